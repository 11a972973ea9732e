"""Dry runs: NumPy itself says whether a traced call is right, and what dtype its result has.

A call of a ufunc (or of one of its methods) on tracers or device arrays is first made on stand-ins: host arrays of the
same dtypes, whose axes are cut to a few places such that equal lengths stay equal and different ones different. So
broadcasting, casting rules, axes, keywords and empty reductions raise what NumPy raises, without a second copy of its
rules. Runs are remembered.
"""

import contextlib
import functools
import itertools
import warnings
from typing import NamedTuple

import numpy

from npx.dispatch.abstract import SCALAR_TYPES, Aval, aval_of


class _List(NamedTuple):
    """A list among the arguments, hashable."""

    items: tuple


def dry_run(function, args, kwargs):
    """The dtype of the result of ``function(*args, **kwargs)``; a tuple where it returns several.

    Parameters
    ----------
    function : callable
        A NumPy ufunc, or a bound method of one.
    args : tuple
    kwargs : dict
        The call's arguments, payloads for arrays.

    Raises
    ------
    Exception
        What NumPy raises for this call.
    """
    described = tuple(map(_describe, args)), tuple((k, _describe(v)) for k, v in kwargs.items())
    with contextlib.suppress(Exception):
        return _result_dtype(function, *described)
    return _run(function, *described, lambda n: n)  # NumPy's words about the true shapes, to which a list may be bound


@functools.lru_cache(4096)
def _result_dtype(function, args, kwargs):
    return _run(function, args, kwargs, _short_lengths((args, kwargs)))


def _run(function, args, kwargs, length):
    stand_in = functools.partial(_stand_in, length=length)
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(*map(stand_in, args), **{name: stand_in(value) for name, value in kwargs})
    return tuple(numpy.asarray(r).dtype for r in result) if type(result) is tuple else numpy.asarray(result).dtype


def _describe(value):
    """An argument as a hashable value, with the `Aval` of an array in its place; options as they are."""
    if type(value) is list:
        return _List(tuple(map(_describe, value)))
    if isinstance(value, tuple):
        return tuple(map(_describe, value))
    if type(value) in SCALAR_TYPES:  # an int may be out of bounds for a dtype, all floats are alike
        return Aval((), numpy.dtype(type(value)), type(value)) if type(value) in (float, complex) else value
    is_array = hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)
    return aval_of(value) if is_array else value


def _short_lengths(described):
    """A function that gives each length its own small one; 0 and 1 mean something to NumPy and stay."""
    short = {0: 0, 1: 1}
    fresh = itertools.count(2)
    for aval in _avals(described):
        for n in aval.shape:
            if n not in short:
                short[n] = next(fresh)
    return short.__getitem__


def _avals(described):
    if type(described) is Aval:
        yield described
    elif isinstance(described, tuple):
        for item in described:
            yield from _avals(item)


def _stand_in(value, length):
    if type(value) is Aval:
        return value.weak(1) if value.weak else numpy.ones(tuple(map(length, value.shape)), value.dtype)
    if type(value) is _List:
        return [_stand_in(item, length) for item in value.items]
    return tuple(_stand_in(item, length) for item in value) if isinstance(value, tuple) else value
