"""Subclasses of the array class: the same program gives under npx what it gives under NumPy.

A case is a function of the namespace. What it returns is compared as `described`: classes by name, values, dtypes, the
attributes that the subclass adds, and what the protocol methods were called with. `test_duck_arrays.py` goes on with
classes that are no subclasses.
"""

import abc
import copy
import pickle
import types

import numpy
import pytest
from side_by_side import assert_same_program, described, outcome, registrar

import npx

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass", "ignore:'where' used")

CASES = {}
case = registrar(CASES)


# ------------------------------------------------------------------------------------------------------ classes
def info_array(np, log=None):
    """The example of NumPy's page on subclassing; `log` notes what ``__array_finalize__`` gets."""

    class InfoArray(np.ndarray):
        def __new__(cls, x, info=None):
            obj = np.asarray(x).view(cls)
            obj.info = info
            return obj

        def __array_finalize__(self, obj):
            if log is not None:
                log.append(type(obj).__name__)
            if obj is not None:
                self.info = getattr(obj, "info", None)

    return InfoArray


def real_info_array(np, log=None):
    class RealInfo(np.ndarray):
        def __new__(cls, shape, dtype=float, buffer=None, offset=0, strides=None, order=None, info=None):
            obj = super().__new__(cls, shape, dtype, buffer, offset, strides, order)
            obj.info = info
            return obj

        def __array_finalize__(self, obj):
            self.info = getattr(obj, "info", "default")

    return RealInfo


def wrapping(np, log):
    class Wrapping(np.ndarray):
        def __array_wrap__(self, arr, context=None, return_scalar=False):
            called = None if context is None else (context[0], [type(x).__name__ for x in context[1]], context[2])
            log.append(("wrap", type(arr).__name__, called, return_scalar))
            return super().__array_wrap__(arr, context, return_scalar)

    return Wrapping


def logging_ufuncs(np, log):
    """The second example of that page: it computes with plain arrays."""

    class A(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
            log.append((ufunc, method, [type(x).__name__ for x in inputs], out is None, sorted(kwargs)))
            plain = [x.view(np.ndarray) if isinstance(x, A) else x for x in inputs]
            if out:
                kwargs["out"] = tuple(x.view(np.ndarray) if isinstance(x, A) else x for x in out)
            results = super().__array_ufunc__(ufunc, method, *plain, **kwargs)
            if results is NotImplemented or method == "at":
                return None if method == "at" else NotImplemented
            if ufunc.nout == 1:
                results = (results,)
            results = tuple(
                np.asarray(result).view(A) if given is None else given
                for result, given in zip(results, out or (None,) * ufunc.nout)
            )
            return results[0] if len(results) == 1 else results

    return A


# ------------------------------------------------------------------------------------------------------ cases
@case
def construction(np):
    log = []
    kind = info_array(np, log)
    a = kind([1.0, 2.0, 3.0], info="metres")
    return a, a[1:], a[0], a.copy(), a.reshape(3, 1), a.T, np.array(a, subok=True), np.array(a), np.asanyarray(a), log


@case
def construction_from_shape(np):
    kind = real_info_array(np)
    a = kind((2,), dtype=int, buffer=np.arange(6), offset=8, strides=(16,), info=1)
    b = np.ndarray.__new__(kind, (2,), int)
    b[...] = 7
    plain = np.ndarray((2, 2), buffer=np.arange(4.0), order="F")
    return a, b, kind((0, 2)), plain, np.ndarray.__new__(np.ndarray, (0,), int)


@case
def views(np):
    kind = info_array(np)
    x = np.arange(4.0)
    a = x.view(kind)
    a[0] = 9
    b = a.view(np.ndarray)
    b[1] = 8
    return x, a, b, a.view("i8"), a.view(np.float32), a.view(np.int64, np.ndarray), x.view(type=kind), a.view(kind)


@case
def base_is_the_array(np):
    x = np.arange(4.0)
    a = x.view(info_array(np))
    return a.base is x, a[1:].base is a, a.base.base is None, a.view(np.ndarray)[0]


@case
def questions_of_class(np):
    kind = info_array(np)
    a = kind([1])
    return (
        isinstance(a, np.ndarray),
        issubclass(kind, np.ndarray),
        isinstance(np.arange(2), kind),
        type(a) is kind,
        issubclass(np.ndarray, kind),
        isinstance(a, kind),
    )


@case
def arithmetic(np):
    log = []
    kind = info_array(np, log)
    a, x = kind([1.0, 2.0, 3.0], info="a"), np.arange(3.0)
    results = [a + x, x + a, a * 2, 2 * a, x - a, a - x, a == x, x < a, -a, abs(a), a @ x, x @ a, divmod(a, 2), a**2]
    return results, log


@case
def arithmetic_in_place(np):
    kind = info_array(np)
    a, x = kind([1.0, 2.0, 3.0], info="a"), np.arange(3.0)
    before, kept = x, a
    x += a
    a *= np.arange(3.0)
    return x, a, x is before, a is kept, np.add(x, a, out=x) is x, np.add(x, a, out=a) is a


@case
def functions(np):
    kind = info_array(np)
    a, x = kind([[3.0, 1.0], [2.0, 5.0]], info="a"), np.ones((2, 2))
    return (
        [
            np.sum(a),
            np.sum(a, axis=0),
            np.mean(a),
            a.mean(0),
            np.sort(a),
            np.cumsum(a),
            np.exp(a),
            np.where(a > 1, a, 0),
        ],
        [np.concatenate([a, x]), np.stack([a, a]), np.zeros_like(a), np.empty_like(a).shape, np.ones_like(x)],
        [np.median(a), np.percentile(a, 50), np.dot(a, x), np.linalg.inv(a), np.outer(a, a).shape, np.diag(a)],
        [np.broadcast_to(a, (2, 2, 2)), np.broadcast_to(a, (2, 2, 2), subok=True), np.atleast_3d(a), np.squeeze(a)],
    )


@case
def methods(np):
    kind = info_array(np)
    a = kind([[3.0, 1.0], [2.0, 5.0]], info="a")
    return (
        [a.sum(), a.max(axis=0), a.argsort(), a.nonzero(), a.astype(int), a.astype(int, subok=False), a.ravel()],
        [a.flat[1:], a.take(np.array([0, 1])), a.dot(np.ones(2)), a.clip(np.array(2.0), None), a.tolist()],
        [a.real, a.imag, a.transpose(), a.swapaxes(0, 1), a.diagonal(), a.repeat(2), a.round(), a.item(0)],
        [a.choose([np.zeros((2, 2))] * 6, mode="clip"), a.searchsorted(2) if a.ndim == 1 else None, a.std()],
    )


@case
def writes_through_methods(np):
    kind = info_array(np)
    a = kind([3.0, 1.0, 2.0])
    out = np.zeros(())
    a.sort()
    a.put([0], np.array([7.0]))
    a[np.array([1])] = np.array([5.0])
    a[np.array([False, False, True])] += np.ones(1)
    a.flat = np.array([1.0, 2.0, 3.0])
    return a, a.sum(out=out) is out, out, a[np.array([2, 0])], a[np.array(1)], a[np.arange(3) > 1]


@case
def unbound_members(np):
    kind = info_array(np)
    a, x = kind([3.0, 1.0]), np.array([2.0, 0.0])
    np.ndarray.sort(a)
    np.ndarray.__setitem__(a, 0, 9.0)
    np.ndarray.__iadd__(a, x)
    np.ndarray.shape.__set__(a, (2, 1))
    return (
        [np.ndarray.__getitem__(a, 0), np.ndarray.shape.__get__(a), np.ndarray.__add__(a, 1), np.ndarray.__add__(x, a)],
        [np.ndarray.view(a, np.ndarray), np.ndarray.view(x, kind), np.ndarray.sum(a), np.ndarray.sum(x), a],
        [np.ndarray.__repr__(x), np.ndarray.__len__(a), np.ndarray.T.__get__(a), np.ndarray.dtype.__get__(x)],
        [np.ndarray.copy(x), np.ndarray.__eq__(x, a), np.ndarray.__array_finalize__(a, x), np.ndarray.tolist(a)],
    )


@case
def unbound_in_the_class_body(np):
    class A(np.ndarray):
        __radd__ = np.ndarray.__sub__
        original = np.ndarray.sum

        def __getitem__(self, k):
            return np.ndarray.__getitem__(self, k)

    a = np.arange(3.0).view(A)
    return 1 + a, np.ones(3) + a, a.original(), a[1:]


@case
def wraps(np):
    log = []
    a, x = np.arange(1.0, 4.0).view(wrapping(np, log)), np.ones(3)
    results = [np.add(a, x), x * a, a.sum(), np.sum(a, axis=0), np.modf(a), np.linalg.inv(np.eye(3).view(type(a)))]
    return results, log


@case
def wrap_by_priority(np):
    class Low(np.ndarray):
        __array_priority__ = -1.0

    class High(Low):
        __array_priority__ = 5.0

    low, high, x = np.ones(2).view(Low), np.ones(2).view(High), np.ones(2)
    return low + x, x + low, low + high, high + low, x + high, np.concatenate([low, x]), np.add(low, low)


@case
def wrap_without_return_scalar(np):
    class Old(np.ndarray):
        def __array_wrap__(self, arr, context=None):
            return "wrapped"

    return np.ones(2).view(Old) + 1


@case
def ufuncs_by_the_class(np):
    log = []
    kind = logging_ufuncs(np, log)
    a, x, out = np.arange(1.0, 4.0).view(kind), np.ones(3), np.zeros(3)
    results = [a + 1, a + x, x + a, np.add(x, a, out=out) is out, out, np.add.reduce(a), np.add.accumulate(a)]
    results += [np.add.outer(a, x), np.modf(a), a.sum(), np.exp(a, where=np.array([True, True, True])), a == x]
    a += x
    np.add.at(a, [0], x[:1])
    x += a
    return results, a, x, log


@case
def ufuncs_are_refused(np):
    class Without(np.ndarray):
        __array_ufunc__ = None

        def __radd__(self, other):
            return "radd", type(other).__name__

    a = np.ones(2).view(Without)
    return np.ones(2) + a, outcome(lambda np: np.add(np.ones(2), a), np), outcome(lambda np: a * np.ones(2), np)


@case
def reflected_operators(np):
    class A(np.ndarray):
        def __radd__(self, other):
            return "radd", type(other).__name__

        def __rmul__(self, other):
            return NotImplemented

        def __gt__(self, other):
            return "gt", type(other).__name__

    a, x = np.ones(2).view(A), np.ones(2)
    return x + a, x * a, x < a, x > a, 2 + a, a + x


@case
def ufuncs_of_a_mixin(np):
    class Mixin:
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return ufunc, method, ufunc is np.add, [type(x).__name__ for x in inputs]

    class A(Mixin, np.ndarray):
        pass

    class B(np.ndarray, Mixin):
        pass

    return np.ones(2).view(A) + np.ones(2), np.ones(2) + np.ones(2).view(A), np.ones(2).view(B) + np.ones(2)


@case
def protocols_of_a_grandchild(np):
    log = []
    kind = info_array(np)

    class Child(kind):
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            log.append((ufunc is np.add, [type(x).__name__ for x in inputs]))
            plain = [x.view(np.ndarray) if isinstance(x, Child) else x for x in inputs]
            return super().__array_ufunc__(ufunc, method, *plain, **kwargs)

        def __array_wrap__(self, arr, context=None, return_scalar=False):
            log.append(type(arr).__name__)
            return super().__array_wrap__(arr, context, return_scalar)

    a = np.arange(3.0).view(Child)
    return a + np.ones(3), np.ones(3) + a, np.add.reduce(a), log, a.__array_wrap__(np.ones(2))


@case
def functions_by_the_class(np):
    log = []

    class A(np.ndarray):
        def __array_function__(self, func, types, args, kwargs):
            log.append((func, func is getattr(np, func.__name__, None), [t.__name__ for t in types], sorted(kwargs)))
            return super().__array_function__(func, types, args, kwargs)

    a, x = np.arange(3.0).view(A), np.ones(3)
    results = [np.sum(a), np.concatenate([a, x]), np.concatenate([x, a], axis=0), np.median(a), np.where(a > 1, a, x)]
    return results, np.array_equal(a, a), np.stack([a, x], out=np.zeros((2, 3))), log


@case
def mixed_bases(np):
    class Plain:
        def greet(self):
            return "hello", self.sum()

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def name(self): ...

    class A(np.ndarray, Plain):
        pass

    class B(Plain, A):
        pass

    class C(np.ndarray, Abstract):
        def name(self):
            return "c"

    made = [np.arange(3.0).view(kind) for kind in (A, B, C)]
    return made, [isinstance(c, Abstract) for c in made], made[0].greet(), made[1].greet(), made[2].name(), B.__mro__[1]


@case
def class_keywords_and_hooks(np):
    seen = []

    class A(np.ndarray):
        def __init_subclass__(cls, label=None, **kwargs):
            super().__init_subclass__(**kwargs)
            seen.append((cls.__name__, label))

        __slots__ = ("note",)

    class B(A, label="b"):
        pass

    made = type("Made", (np.ndarray,), {"note": 1})
    b = np.ones(2).view(B)
    b.note = 3
    return seen, b.note, np.ones(2).view(made).note, types.new_class("New", (np.ndarray,)).__name__, A.__name__


@case
def copies(np):
    a = info_array(np)([1.0, 2.0], info=["x"])
    b, c = copy.copy(a), copy.deepcopy(a)
    return b, c, b.info is a.info, c is a, np.copy(a), np.copy(a, subok=True)


@case
def structured(np):
    class Table(np.ndarray):
        def total(self):
            return self["x"].sum()

    t = np.array([(1, 2.0), (3, 4.0)], dtype=[("n", int), ("x", float)]).view(Table)
    return t, t["x"], t[0], t.total(), t[["x"]], np.ndarray.__new__(Table, (1,), t.dtype, t), t.view(np.recarray).n


@case
def objects(np):
    class A(np.ndarray):
        pass

    a = np.array([1, "x", None], dtype=object).view(A)
    a[1] = [1, 2]
    return a, a[1], a[:2], a == a


@case
def masked_arrays(np):
    m = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    x = np.ones(3)
    return (
        [m + x, x + m, m.filled(0), m.data, m.mask, m.view(np.ndarray), np.asarray(m), m.sum(), m.mean(), np.exp(m)],
        [
            m[1] is np.ma.masked,
            m[0],
            m.compressed(),
            np.ma.median(m),
            np.ma.masked_where(x > 0, x),
            m.baseclass.__name__,
        ],
        [
            np.ma.getmaskarray(m),
            np.concatenate([m, m]),
            np.ma.concatenate([m, x]),
            np.ma.average(m),
            repr(m),
            np.sort(m),
        ],
        [isinstance(m, np.ndarray), isinstance(m, np.ma.MaskedArray), type(m.filled()) is np.ndarray],
    )


@case
def matrices(np):
    m = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    return m, m * m, m.A, m.A1, m.T, m.I, m[0], m.sum(0), np.ones(2) * m, np.nanvar(m, axis=0), np.kron(m, m), m**2


@case
def records(np):
    r = np.rec.array([(1, "a"), (2, "b")], names="n,s")
    return r, r.n, type(r.n) is np.ndarray, r[0].s, r[:1], np.rec.fromarrays([[1, 2], [3.0, 4.0]]), r.view(np.ndarray)


@case
def character_arrays(np):
    c = np.char.array(["ab ", "c"])
    return c, c.upper(), c + c, c == "ab", c[0], np.char.add(c, "x"), c.view(np.ndarray)


@case
def memory_maps(np):
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        mm = np.memmap(file.name, float, "w+", shape=(3,))
        mm[:] = np.arange(3.0)
        results = [type(mm) is np.memmap, type(mm + 1).__name__, type(mm[:2]).__name__, type(mm[[0, 1]]).__name__]
        results += [mm.sum(), type(np.ones(3) + mm) is np.ndarray]
        mm.flush()
        results.append(np.fromfile(file.name))
        return results


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_in_numpy(name):
    assert_same_program(CASES[name])


# ------------------------------------------------------------------------------------------------------ npx itself
class Importable(npx.ndarray):
    """A subclass that pickle finds."""

    def __reduce__(self):
        made = super().__reduce__()
        return made[0], made[1], (*made[2], self.note)

    def __setstate__(self, state):
        super().__setstate__(state[:-1])
        self.note = state[-1]


def test_pickle():
    a = npx.arange(3.0).view(Importable)
    a.note = "n"
    b = pickle.loads(pickle.dumps(a))
    assert type(b) is Importable and b.note == "n" and b.tolist() == [0, 1, 2]
    for x in (npx.ma.array([1, 2], mask=[0, 1]), npx.matrix([[1]]), npx.rec.array([(1,)], names="n")):
        assert type(pickle.loads(pickle.dumps(x))) is type(x)


def test_a_subclass_is_a_numpy_array():
    """C code and libraries take it as it is, on the same memory."""
    x = npx.arange(3.0)
    a = x.view(info_array(npx))
    assert isinstance(a, numpy.ndarray) and issubclass(type(a), numpy.ndarray)
    numpy.asarray(a)[0] = 5
    assert x[0] == 5


def test_classes_stand_for_numpys():
    """npx's classes of arrays are subclasses of NumPy's, and NumPy's arrays are instances of npx's classes."""
    for name, given in (("ma.MaskedArray", [1]), ("matrix", [[1]]), ("char.chararray", 2), ("memmap", None)):
        ours, theirs = npx, numpy
        for part in name.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        assert issubclass(ours, theirs) and ours is not theirs
        if given is not None:
            assert isinstance(theirs(given), ours)
    assert npx.ma.masked is numpy.ma.masked and npx.ma.nomask is numpy.ma.nomask
    assert npx.record is numpy.record


def test_numpys_own_masked_functions_take_npxs_masked_arrays():
    m = npx.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    again = numpy.ma.array(m)
    assert again.mask.tolist() == [False, True, False]
    assert numpy.ma.median(m) == 2 and numpy.ma.filled(m, 0).tolist() == [1, 0, 3]
    mixed = again + m
    assert mixed.tolist() == [2, None, 6] and isinstance(mixed, npx.ma.MaskedArray)


def test_numpy_asks_with_npxs_objects():
    """A call of NumPy's own functions with an instance, as a library makes it."""
    log = []
    a = numpy.add(npx.arange(1.0, 3.0).view(logging_ufuncs(npx, log)), numpy.ones(2))
    assert isinstance(a, numpy.ndarray) and log[0][0] is npx.add

    class A(npx.ndarray):
        def __array_function__(self, func, types, args, kwargs):
            return func, [type(x) for x in args[0]]

    assert numpy.concatenate([npx.ones(1).view(A), numpy.ones(1)]) == (npx.concatenate, [A, npx.ndarray])


def test_members_of_the_class_are_numpys():
    assert dir(npx.ndarray) == dir(numpy.ndarray)
    assert npx.ndarray.sum is npx.ndarray.sum
    assert npx.ndarray.__getitem__.__name__ == "__getitem__"


def test_protocols_assigned_in_the_body_are_not_touched():
    class A(npx.ndarray):
        __array_ufunc__ = None
        __array_wrap__ = staticmethod(lambda *args: 1)

    assert A.__array_ufunc__ is None


def test_scipys_functions_of_masked_arrays():
    mstats = pytest.importorskip("scipy.stats.mstats")
    m = npx.ma.array(npx.arange(20.0), mask=npx.arange(20) == 3)
    trimmed = mstats.trimboth(m)
    assert isinstance(trimmed, npx.ma.MaskedArray) and trimmed.count() == 13
    assert mstats.gmean(npx.ma.array([1.0, 5.0, 4.0], mask=[0, 1, 0])) == 2


# ------------------------------------------------------------------------------------------------------ transforms
def test_jit_goes_back_to_python():
    kind = info_array(npx)

    def f(x):
        a = (2 * x).view(kind)
        return a + x, npx.sum(a * 3)

    compiled = npx.jit(f)
    for x in (npx.arange(3.0), npx.ones(3), npx.arange(3.0)):
        for _ in range(2):
            assert described(compiled(x)) == described(f(x))


def test_jit_sees_what_became_of_an_array_from_outside():
    a = npx.arange(3.0).view(info_array(npx))
    compiled = npx.jit(lambda x: x + a)
    for first in (0.0, 7.0, 8.0):
        a[0] = first
        assert described(compiled(npx.ones(3))) == described(npx.ones(3) + a)


def test_jit_leaves_arguments_of_a_subclass_to_python():
    m = npx.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    compiled = npx.jit(lambda m, x: (m + x, m.sum()))
    for _ in range(2):
        assert described(compiled(m, npx.ones(3))) == described((m + npx.ones(3), m.sum()))
        m[0] += 1
    assert "MaskedArray" in compiled.explain(m, npx.ones(3))


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_other_transforms_refuse_arguments_of_a_subclass(transform):
    with pytest.raises(TypeError, match="MaskedArray"):
        getattr(npx, transform)(lambda m: m.sum())(npx.ma.array([1.0, 2.0], mask=[0, 1]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, a: x.view(type(a)),
        lambda x, a: (x + a).sum(),
        lambda x, a: (a * x).sum(),
        lambda x, a: npx.concatenate([x, a]).sum(),
        lambda x, a: a.dot(x),
    ],
)
@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_other_transforms_name_the_way_out(function, transform):
    a = npx.arange(3.0).view(info_array(npx))
    x = npx.ones(3) if transform == "grad" else npx.ones((2, 3))
    with pytest.raises(TypeError, match="view\\(np.ndarray\\)|cannot be traced by|needs one value"):
        getattr(npx, transform)(lambda x: function(x, a))(x)


def test_masked_arrays_are_mapped_and_not_differentiated():
    total = lambda x: npx.ma.array(x).sum()  # noqa: E731
    assert npx.vmap(total)(npx.arange(6.0).reshape(2, 3)).tolist() == [3, 12]
    with pytest.raises(TypeError, match="view\\(np.ndarray\\)|cannot be traced by"):
        npx.grad(total)(npx.ones(3))


def test_the_way_out():
    a = npx.arange(3.0).view(info_array(npx))
    assert npx.grad(lambda x: (x * a.view(npx.ndarray)).sum())(npx.ones(3)).tolist() == [0, 1, 2]


def test_a_memmap_is_a_plain_array_for_transforms(tmp_path):
    mm = npx.memmap(tmp_path / "m", float, "w+", shape=(3,))
    mm[:] = [1, 2, 3]
    assert npx.grad(lambda x: (x * mm).sum())(npx.ones(3)).tolist() == [1, 2, 3]
    assert npx.jit(lambda x: x * mm)(npx.ones(3)).tolist() == [1, 2, 3]
