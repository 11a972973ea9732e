"""The same program run with NumPy and with npx, and what of its results can be compared."""

import numpy

import npx


def registrar(cases):
    """A decorator that notes a function of the namespace in `cases`, under its name."""

    def case(function):
        cases[function.__name__.replace("_", " ")] = function
        return function

    return case


def described(x):
    """What can be compared between NumPy and npx."""
    if isinstance(x, numpy.ndarray) or type(x) is npx.ndarray:
        extra = {key: described(v) for key, v in sorted(getattr(x, "__dict__", {}).items())}
        return type(x).__name__, str(x.dtype), x.shape, numpy.asarray(x).tolist(), extra
    if isinstance(x, (tuple, list)):
        return type(x).__name__, [described(item) for item in x]
    if isinstance(x, dict):
        return {key: described(value) for key, value in x.items()}
    if isinstance(x, (numpy.ufunc, npx.ufunc)) or callable(x):
        return x.__name__
    if isinstance(x, (numpy.generic, int, float, complex, str, bytes, slice, numpy.dtype)) or x is None:
        return type(x).__name__, str(x)
    return type(x).__name__


def outcome(function, np):
    try:
        return described(function(np))
    except Exception as error:
        return type(error).__name__


def no_numpy_array(x):
    """No array of NumPy's own class where npx's belongs."""
    assert type(x) is not numpy.ndarray
    if isinstance(x, (tuple, list)):
        for item in x:
            no_numpy_array(item)


def assert_same_program(function):
    """What a function of the namespace gives is, as `described`, the same for both, and npx's arrays are npx's."""
    want, got = outcome(function, numpy), outcome(function, npx)
    assert got == want
    no_numpy_array(function(npx) if isinstance(want, tuple) else None)
