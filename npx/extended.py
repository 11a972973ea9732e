"""NumPy's functions with arguments that the array API standard adds to them."""

import functools
import inspect

import numpy

from npx.namespace import expose, stand_for


def extended(real, keyword, default):
    """Decorate the function that does the work where a NumPy function is called with one more keyword.

    Parameters
    ----------
    real : callable
        NumPy's function.
    keyword : str
    default : object
        Only for the signature: without the keyword npx's counterpart of `real` is called at once.

    Returns
    -------
    callable
        Takes ``work(plain, value, *args, **kwargs)``, with that counterpart and the keyword's value, and gives the
        public function: the counterpart itself where NumPy has learnt the keyword.
    """
    plain, signature = expose(real), inspect.signature(real)

    def extend(work):
        if keyword in signature.parameters:
            return plain

        @functools.wraps(real)
        def function(*args, **kwargs):
            if keyword not in kwargs:
                return plain(*args, **kwargs)
            return work(plain, kwargs.pop(keyword), *args, **kwargs)

        new = inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=default)
        function.__signature__ = signature.replace(parameters=[*signature.parameters.values(), new])
        function.__module__ = plain.__module__
        stand_for(real, function)
        return function

    return extend


@extended(numpy.sort, "descending", False)
def sort(plain, descending, a, axis=-1, *args, **kwargs):
    """Sort; from the end, so that equal elements keep their order where they should."""
    if not descending:
        return plain(a, axis, *args, **kwargs)
    a, axis = _one_axis(a, axis)
    return _flip(plain(_flip(a, axis), axis, *args, **kwargs), axis)


@extended(numpy.argsort, "descending", False)
def argsort(plain, descending, a, axis=-1, *args, **kwargs):
    """The indices that sort, likewise."""
    if not descending:
        return plain(a, axis, *args, **kwargs)
    a, axis = _one_axis(a, axis)
    from_the_end = plain(_flip(a, axis), axis, *args, **kwargs)
    return _flip(from_the_end.shape[axis] - 1 - from_the_end, axis)


_flip, _ravel = expose(numpy.flip), expose(numpy.ravel)


def _one_axis(a, axis):
    return (_ravel(a), 0) if axis is None else (a, axis)


@extended(numpy.fft.fftfreq, "dtype", None)
def fftfreq(plain, dtype, *args, **kwargs):
    """Sample frequencies of the discrete Fourier transform, in a data type."""
    return _cast(plain(*args, **kwargs), dtype)


@extended(numpy.fft.rfftfreq, "dtype", None)
def rfftfreq(plain, dtype, *args, **kwargs):
    """Sample frequencies for `rfft`, in a data type."""
    return _cast(plain(*args, **kwargs), dtype)


def _cast(x, dtype):
    return x if dtype is None else x.astype(dtype, copy=False)
