"""Objects whose ``__array__`` gives an npx array, where NumPy wants an array of its own from it.

NumPy refuses such an object; the call is then made again with stand-ins, which give NumPy's array on the same memory.
NumPy still decides when `__array__` is called, and with which arguments.
"""

import numpy

from npx.array.interop import to_numpy
from npx.array.ndarray import ndarray, on_host

#: what NumPy says about such an object, and about a 0-d npx array in an object array that it has to make a string of
REFUSALS = ("object __array__ method not producing an array", "setting an array element with a sequence")

_DEPTH = 64  # NumPy has no more axes, and lists may contain themselves


class NotOnHost(Exception):
    """`__array__` gave an array that is not in host memory."""


class _StandIn:
    def __init__(self, original, given):
        self.original, self.given = original, given

    def __array__(self, *args, **kwargs):
        x = self.original.__array__(*args, **kwargs)
        if not isinstance(x, ndarray):
            return x
        if not on_host(x):
            raise NotOnHost
        self.given.append(x)
        return to_numpy(x)


def is_refusal(error):
    """Whether NumPy may take what it refused with this error, if it gets stand-ins."""
    return str(error).startswith(REFUSALS[0]) or str(error) == REFUSALS[1]


def is_array_like(x):
    """Whether `x` is a foreign object with an ``__array__``."""
    return not isinstance(x, (ndarray, numpy.generic, type, _StandIn)) and hasattr(x, "__array__")


def with_stand_ins(x, given, depth=0):
    """`x` with stand-ins for such objects, in nested lists and tuples too; what they give goes into `given`, a list."""
    if type(x) in (list, tuple) and depth < _DEPTH:
        return type(x)(with_stand_ins(item, given, depth + 1) for item in x)
    if type(x) is numpy.ndarray and x.dtype == object:
        return _with_numpys(x)
    return _StandIn(x, given) if is_array_like(x) else x


def _with_numpys(x):
    """An object array with NumPy's arrays in place of the npx arrays that it holds; itself if it holds none."""
    places = [place for place in numpy.ndindex(x.shape) if type(x[place]) is ndarray]
    if places:
        x = x.copy()
        for place in places:
            x[place] = to_numpy(x[place])
    return x


def call(function, args, kwargs):
    """The result of a function of NumPy's, and the npx arrays that `__array__` gave.

    Raises
    ------
    NotOnHost
        One of them is not in host memory.
    """
    given = []
    kwargs = {key: with_stand_ins(value, given) for key, value in kwargs.items()}
    result = function(*(with_stand_ins(x, given) for x in args), **kwargs)
    _put_originals(result)
    return result, given


def getitem(p, k):
    """``p[k]`` of a NumPy array."""
    try:
        return p[k]
    except ValueError as error:
        if not is_refusal(error):
            raise
    return p[with_stand_ins(k, [])]


def setitem(p, k, value):
    """``p[k] = value`` of a NumPy array."""
    try:
        p[k] = value
        return
    except ValueError as error:
        if not is_refusal(error):
            raise
    p[with_stand_ins(k, [])] = with_stand_ins(value, [])
    _put_originals(p)


def _put_originals(result):
    """An object array may hold the objects themselves, and shall not hold their stand-ins."""
    if isinstance(result, numpy.ndarray) and result.dtype == object:
        for place in numpy.ndindex(result.shape):
            if type(result[place]) is _StandIn:
                result[place] = result[place].original


def arrays(x):
    """What `__array__` gives in place of such objects, in nested lists and tuples, or in a dict, of arguments too."""
    if type(x) is dict:
        return {key: arrays(value) for key, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)(map(arrays, x))
    given = x.__array__() if is_array_like(x) else x
    return given if isinstance(given, ndarray) else x
