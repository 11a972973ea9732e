"""Objects with ``__array_ufunc__``, ``__array_function__`` or ``__array__``: NumPy's order, with npx's objects."""

import numpy
import pytest
from side_by_side import assert_same_program, outcome, registrar

import npx
from npx.lib import mixins as npx_mixins

CASES = {}
case = registrar(CASES)


def handled_functions(np, log):
    """The example of NumPy's page on interoperability: a table of functions."""
    table = {}

    class Diagonal:
        def __init__(self, n=3, value=2.0):
            self.n, self.value = n, value

        def __array__(self, dtype=None, copy=None):
            return self.value * np.eye(self.n, dtype=dtype)

        def __array_function__(self, func, types, args, kwargs):
            log.append((func, [t.__name__ for t in types], [type(x).__name__ for x in args], sorted(kwargs)))
            if func not in table or not all(issubclass(t, (np.ndarray, Diagonal)) for t in types):
                return NotImplemented
            return table[func](*args, **kwargs)

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            log.append((ufunc, method, ufunc is np.multiply))
            if method == "__call__" and ufunc is np.multiply:
                factors = [x.value if isinstance(x, Diagonal) else x for x in inputs]
                return Diagonal(self.n, factors[0] * factors[1])
            return NotImplemented

    table[np.sum] = lambda x, *args, **kwargs: x.n * x.value
    table[np.concatenate] = lambda xs, *args, **kwargs: ("joined", len(xs))
    table[np.linalg.norm] = lambda x, *args, **kwargs: "norm"
    return Diagonal


@case
def duck_functions(np):
    log = []
    kind = handled_functions(np, log)
    d, x = kind(), np.ones(3)
    answers = [np.sum(d), np.concatenate([x, d]), np.linalg.norm(d), outcome(lambda np: np.mean(d), np)]
    return answers, outcome(lambda np: np.sum(x, axis=0), np), np.asarray(d), np.full_like(x, 3), log


@case
def duck_ufuncs(np):
    log = []
    d, x = handled_functions(np, log)(), np.ones(3)
    refused = [outcome(lambda np: np.add(d, x), np), outcome(lambda np: np.add.reduce(d), np)]
    return np.multiply(d, 3.0), np.multiply(2, d).value, outcome(lambda np: d * x, np), refused, log


@case
def duck_arguments(np):
    """NumPy's normal form of the arguments, and the order in which operands are asked."""
    log = []

    class Duck:
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            log.append((type(self).__name__, ufunc, method, inputs, kwargs))
            return NotImplemented

    class Derived(Duck):
        pass

    d, e, x = Duck(), Derived(), np.arange(3.0)
    calls = [
        lambda np: np.add(x, d),
        lambda np: np.add(d, e),
        lambda np: np.add(d, d, x),
        lambda np: np.add(x, x, out=d),
        lambda np: np.add(x, x, d, where=x > 1),
        lambda np: np.modf(x, None, d),
        lambda np: np.add.reduce(d, 0, None, x),
        lambda np: np.add.reduce(x, axis=0, out=(d,), keepdims=True),
        lambda np: np.add.at(x, [0], d),
        lambda np: np.add.outer(d, x),
        lambda np: np.add.reduceat(d, [0, 1]),
        lambda np: np.add(d, x, sig="dd->d"),
        lambda np: np.add(d, x, x, x),
        lambda np: np.add(d, x, out=(x, x)),
    ]
    return [outcome(call, np) for call in calls], log


@case
def duck_operators(np):
    class Duck:
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return ufunc, method, ufunc is getattr(np, ufunc.__name__), [type(x).__name__ for x in inputs], len(kwargs)

        def __radd__(self, other):
            return "radd"

    class Deferred:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "radd", type(other).__name__

    x = np.ones(2)
    y = np.ones(2)
    y *= Duck()
    return x + Duck(), x * Duck(), x == Duck(), y, x + Deferred(), outcome(lambda np: x * Deferred(), np)


@case
def operators_mixin(np):
    class Wrapped(np.lib.mixins.NDArrayOperatorsMixin):
        def __init__(self, value):
            self.value = value

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            values = [x.value if isinstance(x, Wrapped) else x for x in inputs]
            return Wrapped((ufunc is getattr(np, ufunc.__name__), getattr(ufunc, method)(*values, **kwargs)))

    w, x = Wrapped(np.arange(3.0)), np.ones(3)
    return [r.value for r in (w + x, x + w, w * 2, 2 - w, -w, w < x, x < w, abs(w), w @ x)]


@case
def like(np):
    class Duck:
        def __array_function__(self, func, types, args, kwargs):
            return func, func is getattr(np, func.__name__), [t.__name__ for t in types], args, sorted(kwargs)

    made = [np.array([1], like=Duck()), np.ones(2, dtype=int, like=Duck()), np.asarray([1], like=np.ones(1))]
    return made, outcome(lambda np: np.array([1], like=3), np), outcome(lambda np: np.zeros(1, like=Duck(), x=1), np)


@case
def array_wrap_of_a_duck(np):
    class Duck:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

        def __array_wrap__(self, arr, context=None, return_scalar=False):
            return type(arr).__name__, context[0], [type(x).__name__ for x in context[1]]

    return np.exp(Duck()), np.add(Duck(), np.ones(3)), np.add(1, Duck())


@pytest.mark.parametrize("name", CASES)
def test_as_in_numpy(name):
    assert_same_program(CASES[name])


def test_the_objects_themselves_reach_the_protocols():
    """Not copies of the wrappers: what was passed."""
    seen = []

    class Duck:
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            seen.extend([inputs[0], kwargs.get("out")])
            return inputs[0]

        def __array_function__(self, func, types, args, kwargs):
            seen.append(args[0][0])
            return args[0][0]

    x, out = npx.arange(3), npx.zeros(3)
    assert npx.add(x, Duck(), out=out) is x and seen[0] is x and seen[1][0] is out
    assert npx.concatenate((x, Duck())) is x and seen[2] is x


def test_ufuncs_stand_for_numpys():
    assert isinstance(numpy.add, npx.ufunc) and isinstance(npx.add, npx.ufunc)
    assert npx.add == numpy.add and {npx.add: 1}[numpy.add] == 1 and npx.add != numpy.subtract


def test_a_mixin_of_npx_is_not_numpys():
    assert npx_mixins.NDArrayOperatorsMixin is not numpy.lib.mixins.NDArrayOperatorsMixin
