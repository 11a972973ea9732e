"""Arrays of `npx.array_api`: npx arrays with a mark, by which operators and indexing follow the array API standard.

They differ from NumPy's in two rules. A result is always an array, never a scalar. Floor division by or of an infinity
is ``floor(x / y)``. Where one operand is marked, so is the result; a view is marked as its base is.
"""

import importlib
import operator

import numpy

from npx.array.ndarray import ndarray, payload, wrap
from npx.dispatch.registry import op


# ------------------------------------------------------------------------------------------------------ the mark
def adopt(x, arguments=()):
    """A result of npx as the standard has it: marked arrays, and arrays in place of scalars.

    Parameters
    ----------
    x : object
        An array or scalar, or a tuple or list of them; anything else is returned as it is.
    arguments : sequence
        What `x` was made from. One of these that is returned is not marked itself: the result is a view of it.
    """
    if type(x) is ndarray:
        return x if x.standard else _marked(x, arguments)
    if isinstance(x, numpy.generic) or type(x) is numpy.ndarray:
        return _mark(wrap(numpy.asarray(x)))
    if isinstance(x, (tuple, list)):
        items = [adopt(item, arguments) for item in x]
        return type(x)._make(items) if hasattr(x, "_make") else type(x)(items)
    return x


def _marked(x, arguments):
    for given in arguments:
        if given is x:
            return _mark(x[...])
    return _mark(wrap(payload(x)) if x.scalar else x)


def _mark(x):
    x.standard = True
    return x


# ------------------------------------------------------------------------------------------------------ operators
def binary(function, name, left, right):
    """``left OP right`` with at least one marked array."""
    if function is operator.floordiv and _may_be_infinite(left, right):
        return floor_divide(left, right)
    return adopt(_numpys("slow").binary(function, name, left, right))


def inplace(function, plain, name, x, other):
    """``x OP= other`` for a marked array."""
    if function is operator.ifloordiv and _may_be_infinite(x, other):
        x[...] = floor_divide(x, other)
        return x
    return adopt(_numpys("slow").inplace(function, plain, name, x, other), (x,))


def floor_divide(x, y):
    """``floor(x / y)`` where an operand is infinite; elsewhere NumPy's floor division, which pairs with `remainder`."""
    if not _may_be_infinite(x, y):
        return adopt(_ufunc("floor_divide")(x, y))
    ratio = _ufunc("divide")(x, y)  # warns of what is worth a warning
    with numpy.errstate(divide="ignore", invalid="ignore"):
        quotient = _ufunc("floor_divide")(x, y)
    infinite = _ufunc("logical_or")(_ufunc("isinf")(x), _ufunc("isinf")(y))
    return adopt(wrap(_where(payload(infinite), payload(ratio), payload(quotient))))


def _may_be_infinite(x, y):
    """Whether both are numbers or arrays, and a float is among them."""
    kinds = {_kind(x), _kind(y)}
    return "f" in kinds and kinds <= set("biuf")


def _kind(x):
    dtype = getattr(x, "dtype", None)
    return dtype.kind if isinstance(dtype, numpy.dtype) else numpy.dtype(type(x)).kind


def _where(condition, x, y):
    on_host = all(isinstance(p, (numpy.ndarray, numpy.generic)) for p in (condition, x, y))
    return numpy.where(condition, x, y) if on_host else op("where")(condition, x, y)


def _ufunc(name):
    return _numpys("ufunc").lookup(getattr(numpy, name))


def _numpys(module):
    """The module of NumPy's rules, which itself needs this one."""
    return importlib.import_module(f"npx.array.{module}")
