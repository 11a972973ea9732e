"""Calls of functions, methods and ufuncs on host arrays: every calling convention gives what NumPy gives."""

import copy
import functools
import inspect
import itertools
import pickle
import sys
import weakref

import numpy
import pytest
from against_numpy import check_host

import npx as np
from npx.array import calling
from npx.array.ndarray import payload, wrap

A = numpy.linspace(-1.0, 2.0, 6)
M = numpy.arange(12.0).reshape(3, 4)
MASK = numpy.array([True, False, True, True, False, True])


# ------------------------------------------------------------------------------------------- objects like functions
FUNCTIONS = [np.sum, np.zeros, np.concatenate, np.linalg.norm]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_calls_are_made_by_objects_like_functions(function):
    assert callable(function)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.copy(function) is function and copy.deepcopy(function) is function
    assert weakref.ref(function)() is function
    assert {function: 1}[function] == 1
    assert function.__name__ == function.__wrapped__.__name__
    assert function.__doc__ == function.__wrapped__.__doc__
    assert function.__module__.startswith("npx")
    try:
        want = inspect.signature(function.__wrapped__)
    except ValueError:  # older releases of NumPy describe no methods
        return
    assert inspect.signature(function) == want


def test_wraps():
    @functools.wraps(np.sum)
    def total(*args):
        return np.sum(*args)

    assert (total.__name__, total.__module__, total.__wrapped__) == ("sum", "npx", np.sum)
    assert inspect.signature(total) == inspect.signature(numpy.sum)


@pytest.mark.parametrize("name", ["sum", "zeros", "ones", "where"])
def test_functions_in_classes_become_methods_where_numpys_do(name):
    ours = type("Ours", (), {"f": getattr(np, name)})()
    theirs = type("Theirs", (), {"f": getattr(numpy, name)})()
    assert hasattr(ours.f, "__self__") == (getattr(theirs.f, "__self__", None) is theirs) or ours.f is np.zeros


def test_methods_are_descriptors():
    x = np.array(A)
    bound = x.sum
    assert bound.__self__ is x and bound.__name__ == "sum"
    assert bound() == np.ndarray.sum(x) == np.ndarray.sum(A) == A.sum()
    assert list(map(np.ndarray.max, [x, x])) == [A.max(), A.max()]
    with pytest.raises(TypeError):
        np.ndarray.sum([1.0])
    with pytest.raises(TypeError):
        np.ndarray.sum()


# ------------------------------------------------------------------------------------------- calling conventions
class GivesAnArray:
    """Has an array that only `__array__` gives."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


CALLS = {
    "positional": lambda np, array: np.sum(array(M), 0),
    "keywords": lambda np, array: np.sum(array(M), axis=0, keepdims=True),
    "all keywords": lambda np, array: np.sum(a=array(M), axis=1),
    "unpacked": lambda np, array: np.clip(*(array(M), 2.0), **{"max": 5.0}),
    "tuple of arrays": lambda np, array: np.concatenate((array(A), array(A))),
    "list of arrays": lambda np, array: np.vstack([array(M), array(M)]),
    "list of arrays and lists": lambda np, array: np.hstack([array(A), [1.0, 2.0], 3.0]),
    "nested": lambda np, array: np.block([[array(M), array(M)], [array(M), array(M)]]),
    "array in a list of numbers": lambda np, array: np.array([1.0, array(numpy.array(2.0)), 3]),
    "deep": lambda np, array: np.array(functools.reduce(lambda x, _: [x], range(24), array(A))),
    "a dict": lambda np, array: np.pad(array(A), 2, **{"mode": "constant", "constant_values": (1.0, 2.0)}),
    "more arguments than are prepared": lambda np, array: np.broadcast_arrays(*[array(A)] * 15),
    "more arrays in a list": lambda np, array: np.stack([array(A)] * 15),
    "out": lambda np, array: (lambda out: (np.cumsum(array(A), out=out) is out, out))(array(A.copy())),
    "out of a method": lambda np, array: (lambda out: (array(A).clip(0, 1, out=out) is out, out))(array(A.copy())),
    "out of a ufunc": lambda np, array: (lambda out: (np.exp(array(A), out) is out, out))(array(A.copy())),
    "out by name": lambda np, array: (lambda out: (np.add(array(A), 1, out=out) is out, out))(array(A.copy())),
    "out in a tuple": lambda np, array: (lambda out: (np.add(array(A), 1, out=(out,)) is out, out))(array(A.copy())),
    "two results": lambda np, array: np.modf(array(A)),
    "one of two outs": lambda np, array: (lambda out: (np.modf(array(A), out=(None, out))[1] is out, out))(
        array(A.copy())
    ),
    "where": lambda np, array: np.sum(array(A), where=array(MASK)),
    "where of a ufunc": lambda np, array: np.add(array(A), 1, out=array(A.copy()), where=array(MASK)),
    "dtype": lambda np, array: np.add(array(A), 1, dtype=np.float32),
    "dtype by name": lambda np, array: array(A).astype("int8"),
    "NumPy's scalars": lambda np, array: np.add(array(A), numpy.float32(1.5)),
    "lists for a ufunc": lambda np, array: np.add([1, 2], [3.0, 4.0]),
    "a range": lambda np, array: np.add(array(A), range(6)),
    "text": lambda np, array: np.einsum("ij->i", array(M)),
    "Python functions": lambda np, array: np.apply_along_axis(lambda row: row.sum(), 0, array(M)),
    "too few arguments": lambda np, array: np.sum(),
    "too many arguments": lambda np, array: np.sum(*[array(A)] * 14),
    "an unknown keyword": lambda np, array: np.sum(array(A), nonsense=1),
    "a method's unknown keyword": lambda np, array: array(A).sum(nonsense=1),
    "a bad axis": lambda np, array: np.max(array(A), 7),
    "a bad shape": lambda np, array: array(A).reshape(4, 4),
    "no item": lambda np, array: array(A).item(17),
    "not one item": lambda np, array: array(A).item(),
    "negative shapes": lambda np, array: np.zeros((2, -1)),
    "a method's arguments": lambda np, array: np.ndarray.reshape(array(M), 4, 3),
    "no value given": lambda np, array: np.sum(array(M), keepdims=numpy._NoValue),
    "reduce": lambda np, array: (np.add.reduce(array(M)), np.multiply.reduce(array(A)), np.add.reduce([1, 2])),
}


@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS)
def test_calling_conventions(case):
    check_host(case)


def test_arguments_with_a_say():
    """Objects with NumPy's protocols answer as they answer NumPy."""

    class Answers:
        def __array_function__(self, function, types, args, kwargs):
            return "answered"

        def __array_ufunc__(self, ufunc, method, *args, **kwargs):
            return "answered"

    for call in (
        lambda np, x: np.sum(Answers()),
        lambda np, x: np.concatenate([x, Answers()]),
        lambda np, x: np.where(x, x, Answers()),
        lambda np, x: np.add(x, Answers()),
        lambda np, x: np.add(x, 1, out=Answers()),
    ):
        assert call(np, np.array(A)) == call(numpy, A) == "answered"
    masked = numpy.ma.masked_array(A, ~MASK)
    assert np.sum(masked) == numpy.sum(masked) and type(np.abs(masked)) is type(masked)


def test_arguments_that_give_npx_arrays():
    x = np.array(A)
    got = np.concatenate([GivesAnArray(x), x])
    assert type(got) is np.ndarray
    numpy.testing.assert_array_equal(got, numpy.concatenate([A, A]))
    assert np.sum(GivesAnArray(x)) == A.sum()

    class Refuses:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("no array today")

    with pytest.raises(ValueError, match="no array today"):
        np.sum(Refuses())


def test_no_reference_is_kept():
    x = np.array(A)
    p = payload(x)

    def fails():
        try:
            np.reshape(x, (7, 7))
        except ValueError:
            pass

    for call in (
        lambda: np.sum(x),
        lambda: np.add(x, x, out=x),
        lambda: np.concatenate([x, (1.0, 2.0)]),
        lambda: np.stack([x, [GivesAnArray(A)] * 6][:1]),
        lambda: np.broadcast_arrays(x, x),
        lambda: x.reshape(2, 3),
        lambda: x.nonzero(),
        lambda: np.array([[x], {}], dtype=object),
        fails,
    ):
        call()
        before = sys.getrefcount(x), sys.getrefcount(p)
        for _ in range(50):
            call()
        assert (sys.getrefcount(x), sys.getrefcount(p)) == before


# ------------------------------------------------------------------------------------------- owners of views
VIEWS = {
    "reshape": lambda np, x: x.reshape(4, 3),
    "np.reshape": lambda np, x: np.reshape(x, (4, 3)),
    "ravel": lambda np, x: x.ravel(),
    "transpose": lambda np, x: x.transpose(),
    "T": lambda np, x: x.T,
    "swapaxes": lambda np, x: np.swapaxes(x, 0, 1),
    "view": lambda np, x: x.view(),
    "expand_dims": lambda np, x: np.expand_dims(x, 0),
    "squeeze": lambda np, x: x[None].squeeze(),
    "broadcast_to": lambda np, x: np.broadcast_to(x, (2, 3, 4)),
    "broadcast_arrays": lambda np, x: np.broadcast_arrays(x, np.ones((2, 1, 1)))[0],
    "diagonal": lambda np, x: np.diagonal(x),
    "real": lambda np, x: (x + 0j).real,
    "a view of a view": lambda np, x: np.ravel(x[1:])[2:],
    "nothing to squeeze": lambda np, x: x.squeeze(),
    "ravel of a vector": lambda np, x: x[0].ravel(),
    "copy": lambda np, x: x.copy(),
    "flatten": lambda np, x: x.flatten(),
    "ravel that copies": lambda np, x: x.T.ravel(),
    "nonzero": lambda np, x: x[0].nonzero()[0],
    "asarray": lambda np, x: np.asarray(x),
    "atleast_1d": lambda np, x: np.atleast_1d(x),
    "ascontiguousarray": lambda np, x: np.ascontiguousarray(x.T),
    "conj": lambda np, x: x.conj(),
}


@pytest.mark.parametrize("case", VIEWS.values(), ids=VIEWS)
def test_views_know_their_owners(case):
    """A result shares memory with its argument where NumPy's does, is it where NumPy's is, and knows it then."""
    theirs, ours = M.copy(), wrap(M.copy())
    want, got = case(numpy, theirs), case(np, ours)
    numpy.testing.assert_array_equal(got, want)
    assert payload(got).strides == want.strides and payload(got).flags.writeable == want.flags.writeable
    assert (got is ours) == (want is theirs)
    shared = numpy.shares_memory(want, theirs)
    assert numpy.shares_memory(payload(got), payload(ours)) == shared
    if shared and got is not ours:
        assert got.base is ours


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.fill(7.0),
        lambda x: np.add(x, 1.0, out=x),
        lambda x: np.add(x, 1.0, x),
        lambda x: np.exp(x, out=(x,)),
        lambda x: np.cumsum(x, out=x),
        lambda x: np.cumsum(x, 0, None, x),
        lambda x: x.clip(0.0, 0.1, x),
        lambda x: x.sort(),
        lambda x: np.copyto(x, 0.0),
        lambda x: np.put(x, 1, 5.0),
        lambda x: np.putmask(x, [True] * 6, 3.0),
        lambda x: np.add.at(x, 1, 5.0),
        lambda x: x[:2].fill(1.0),
    ],
)
def test_writes_leave_what_is_saved(write):
    """What a tape needs later is copied before a call writes over it."""

    def f(x, memory):
        y = x * memory
        write(memory)
        return np.sum(y)

    values = A[::-1].copy()
    memory = np.array(values)
    numpy.testing.assert_array_equal(np.grad(f)(np.ones(6), memory), values)
    assert not numpy.array_equal(payload(memory), values)


# ------------------------------------------------------------------------------------------- direct ways
@pytest.mark.parametrize("code", "?ilfdD")
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin"])
def test_reductions_to_a_scalar(name, code):
    """To the bit, with NumPy's warnings."""
    random = numpy.random.default_rng(0)
    for shape in (0, 1, 7, 8, 9, 127, 130, 1000, 4096, 4097, (3, 10), (64, 64), (0, 3), ()):
        x = (random.standard_normal(shape) * 3).astype(code) if shape != () else numpy.ones((), code)
        for y in (x, x[::2] if x.ndim else x, x.T, x.astype(x.dtype.newbyteorder())):
            check_host(lambda np, array, y=y: getattr(array(y), name)())
            check_host(lambda np, array, y=y: getattr(np, name)(array(y)))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "any", "all"])
@pytest.mark.parametrize("state", ["warn", "raise"])
def test_reductions_of_special_values(name, state):
    special = [0.0, -0.0, numpy.nan, numpy.inf, -numpy.inf, 1e308, 5e-324, -1.0]
    for values in itertools.product(special, repeat=2):
        x = numpy.array(values)
        with numpy.errstate(all=state):
            check_host(lambda np, array, x=x: getattr(array(x), name)())
            check_host(lambda np, array, x=x: numpy.signbit(getattr(array(x), name)()))


ARGUMENTS = [
    (), (0,), (1,), (-1,), (2, 3), ((2, 3),), ((),), (3, -1), (6,), (1.5,), (True,), (None,), (1, 0), ((1, 0),),
    (2**70,), (-3,), ("C",), (float,), (int,), (numpy.float32,), (complex,), (numpy.array([1, 0, 0]),), ([2, 3],),
    (2, None), (numpy.int64(1),),
]  # fmt: skip
SAMPLES = [A, M, M.T, M[:, ::2], A[::-1], numpy.array(3.5), A + 1j, A.astype(int), MASK, A.astype(">f8"), A[:0],
           numpy.array([1.0]), numpy.ones((1, 3, 1)), numpy.array(["a", "b"]), numpy.array([1, None], dtype=object),
           numpy.array(["2020-01-01"], "M8[D]"), numpy.zeros(2, [("x", "f8"), ("y", "i4")])]  # fmt: skip


def passed(array, arguments):
    """Arguments as one of the libraries gets them."""
    return [array(x.copy()) if isinstance(x, numpy.ndarray) else x for x in arguments]


MEMBERS = sorted({f.__name__ for f in calling.DIRECT if hasattr(f, "__objclass__")})
FREE = sorted({f.__name__ for f in calling.DIRECT if not hasattr(f, "__objclass__")})


@pytest.mark.parametrize("name", MEMBERS)
def test_direct_methods(name):
    """Whatever the arguments: the direct ways take some, the others go the general way."""
    for x, arguments in itertools.product(SAMPLES, ARGUMENTS):

        def case(np, array, x=x, arguments=arguments):
            y = array(x.copy())
            result = getattr(y, name)(*passed(array, arguments))
            return str(y) if name == "fill" else (result, y)

        check_host(case)


def shape_if_empty(name, x):
    return (x.shape, x.dtype) if name == "empty" else x


@pytest.mark.parametrize("name", FREE)
def test_direct_functions(name):
    for x, arguments in itertools.product(SAMPLES, ARGUMENTS):
        if name in ("zeros", "ones", "empty", "arange"):
            check_host(lambda np, array, args=arguments: shape_if_empty(name, getattr(np, name)(*passed(array, args))))
        else:
            check_host(lambda np, array, x=x, args=arguments: getattr(np, name)(array(x), *passed(array, args)))


@pytest.mark.parametrize("function", calling.METHODS, ids=lambda f: f.__name__)
def test_functions_that_are_methods(function):
    """NumPy's function and its method of one name agree for all arguments that may be taken from one to the other."""
    least, most, names = calling.METHODS[function]
    keywords = list(inspect.signature(function).parameters)[1:2] if names else []
    for x, arguments in itertools.product(SAMPLES, ARGUMENTS):
        if least - 2 <= len(arguments) < most:  # too few arguments among them
            check_host(
                lambda np, array, x=x, args=arguments: getattr(np, function.__name__)(array(x), *passed(array, args))
            )
        named = dict(zip(keywords, arguments))
        if named and len(arguments) == 1:
            check_host(lambda np, array, x=x, named=named: getattr(np, function.__name__)(array(x), **named))


INDICES = [0, -1, 1, 7, slice(None), slice(1, None), slice(None, None, -1), slice(5, 1), None, Ellipsis, True,
           numpy.int64(1), 2**70]  # fmt: skip


@pytest.mark.parametrize("ndim", range(4))
def test_indices(ndim):
    """Every index of up to three items: the same memory, strides and flags, or the same exception."""
    shape = (3, 4, 5)[:ndim]
    x = numpy.arange(numpy.prod(shape, dtype=int), dtype=float).reshape(shape)
    y = wrap(x)
    for length in range(4):
        for index in itertools.chain(itertools.product(INDICES, repeat=length), INDICES if length == 1 else ()):
            try:
                want = x[index]
            except IndexError:
                with pytest.raises(IndexError):
                    y[index]
                continue
            got = y[index]
            if type(want) is not numpy.ndarray:
                assert type(got) is type(want) and got == want
                continue
            p = payload(got)
            assert type(got) is np.ndarray and p.shape == want.shape and p.strides == want.strides
            assert p.flags.writeable and p.flags.c_contiguous == want.flags.c_contiguous
            assert p.__array_interface__["data"] == want.__array_interface__["data"] or want.base is not x
            numpy.testing.assert_array_equal(p, want)


def test_iteration():
    x = np.array(M)
    assert [type(row) for row in x] == [np.ndarray] * 3
    assert all(row.base is x for row in x)
    assert list(np.array(A)) == list(A) and all(type(item) is numpy.float64 for item in np.array(A))
    items = iter(np.array(A))
    next(items)
    assert items.__length_hint__() == 5 and iter(items) is items
    assert len(list(items)) == 5 and list(items) == [] and items.__length_hint__() == 0
    with pytest.raises(TypeError):
        iter(np.array(1.0))


# ------------------------------------------------------------------------------------------- placement
class Placed:
    def __init__(self, host):
        assert type(host) is numpy.ndarray
        self.host = host


@pytest.fixture
def placement():
    calling.set_placement(Placed)
    yield
    calling.set_placement(None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.zeros(3),
        lambda: np.zeros((2, 2), dtype=int),
        lambda: np.ones(3),
        lambda: np.empty(3),
        lambda: np.arange(3),
        lambda: np.full(3, 1.5),
        lambda: np.array([1.0, 2.0]),
        lambda: np.asarray([1.0, 2.0]),
        lambda: np.linspace(0, 1, 3),
        lambda: np.exp([1.0, 2.0]),
        lambda: np.add([1.0, 2.0], 1),
        lambda: np.add(numpy.ones(2), numpy.ones(2)),
        lambda: np.sum(numpy.ones((2, 2)), axis=0),
        lambda: np.zeros(3, device=None),
        lambda: np.meshgrid([1.0], [2.0])[1],
    ],
)
def test_new_arrays_are_placed(placement, call):
    assert type(call()) is Placed


def test_what_is_not_placed(placement):
    host, mine = numpy.ones((2, 3)), wrap(numpy.ones(3))
    for x in (np.zeros(3, device="cpu"), np.exp(mine), mine + 1, mine[1:], np.concatenate([mine, host[0]])):
        assert type(x) is np.ndarray
    assert np.sum([1.0, 2.0]) == 3.0 and np.exp(1.0) == numpy.exp(1.0)
    out = numpy.zeros(2)
    assert np.add([1.0, 2.0], 1.0, out=out) is out
