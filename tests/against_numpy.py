"""The same call made with NumPy and with npx, on host arrays and on tracers: what tests of values share."""

import warnings

import numpy

import npx
from npx.array.ndarray import payload, wrap
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Interpreter, Tracer, active


class Box(Tracer):
    """A tracer that has a value."""

    __slots__ = ("value", "aval")

    def __init__(self, interpreter, value):
        self.interpreter, self.value, self.aval = interpreter, value, aval_of(value)


class Identity(Interpreter):
    """Computes each op on the values of the tracers."""

    name = "identity"

    def process(self, op, args, params):
        out = op(*(a.value if isinstance(a, Box) else a for a in args), **params)
        return tuple(Box(self, o) for o in out) if type(out) is tuple else Box(self, out)


def value(x):
    """What an npx array, a NumPy array or a scalar holds."""
    p = payload(x)
    return p.value if isinstance(p, Box) else p


def settled(result):
    """A result with values in place of arrays, tuples included."""
    return tuple(map(settled, result)) if isinstance(result, tuple) else value(result)


def assert_wrapped(result):
    """No NumPy array where an npx array belongs."""
    for x in result if isinstance(result, tuple) else (result,):
        assert type(x) is not numpy.ndarray


def outcome(case, np, array):
    """The result of a case, or its exception, and the categories of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = case(np, array)
            if np is npx:
                assert_wrapped(result)
        except Exception as error:
            result = error
    return settled(result), [(w.category, str(w.message)) for w in caught]


def assert_same(got, want):
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"{want!r} expected, got {got!r}"
        assert (type(got), str(got)) == (type(want), str(want))
    elif isinstance(want, tuple):
        assert isinstance(got, tuple) and len(got) == len(want)
        for g, w in zip(got, want):
            assert_same(g, w)
    elif isinstance(want, (numpy.ndarray, numpy.generic)):
        assert not isinstance(got, Exception), got
        assert got.dtype == want.dtype and got.shape == want.shape
        numpy.testing.assert_array_equal(got, want)
        if want.dtype.kind in "fc":
            numpy.testing.assert_array_equal(numpy.signbit(got.real), numpy.signbit(want.real))
    else:
        assert type(got) is type(want) and got == want


def check_host(case):
    """A case gives on npx arrays what it gives on NumPy's: value, type of scalars, exception, warnings.

    Parameters
    ----------
    case : callable
        ``case(np, array)``: computes with the module `np`, having passed its operands through `array`.
    """
    got, got_warnings = outcome(case, npx, wrap)
    want, want_warnings = outcome(case, numpy, lambda a: a)
    assert_same(got, want)
    if not isinstance(want, (tuple, Exception)):
        assert type(got) is type(want)
    assert got_warnings == want_warnings


def check_traced(case):
    """The same where the arrays are tracers."""
    want, _ = outcome(case, numpy, lambda a: a)
    with active(Identity()) as interpreter:
        got, _ = outcome(case, npx, lambda a: wrap(Box(interpreter, a)))
    assert_same(got, want)


def check_call(name, *operands):
    """The ufunc called `name` gives on host arrays what NumPy's gives; scalars among the operands stay scalars."""
    check_host(lambda np, a: getattr(np, name)(*(a(x) if isinstance(x, numpy.ndarray) else x for x in operands)))


def check_operator(function, *operands):
    """The same for an operator."""
    check_host(lambda np, a: function(*(a(x) if isinstance(x, numpy.ndarray) else x for x in operands)))


def sample(shape, code, seed=0):
    """Numbers of either sign, zeros, and for floats what is special about them."""
    rng = numpy.random.default_rng(seed)
    x = rng.integers(-4, 5, shape).astype("f8") + (rng.random(shape) if code in "efdFD" else 0)
    if code in "FD":
        x = x + 1j * rng.integers(-2, 3, shape)
    x = x.astype(code)
    if code in "fdD" and x.size > 6:
        x.flat[:6] = numpy.nan, numpy.inf, -numpy.inf, -0.0, 0.0, 1.0
    return x
