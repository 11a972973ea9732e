"""Ufuncs made of Python functions (`numpy.frompyfunc`) on traced arrays."""

import math

import numpy

from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import broadcast_to, cast, ops, reshape


def is_python(ufunc):
    """Whether a NumPy ufunc only takes objects: it calls a Python function for each element."""
    return all(set(loop) <= set("O->") for loop in ufunc.types)


def call_python(ufunc, inputs, stack):
    """The results of such a ufunc, whose function gets traced scalars for elements.

    NumPy gives arrays of objects; objects that are traced become an array of numbers.

    Parameters
    ----------
    ufunc : numpy.ufunc
    inputs : sequence of payload
    stack : callable
        Makes one payload of a list of payloads.
    """
    shape = numpy.broadcast_shapes(*(aval_of(p).shape for p in inputs))
    results = ufunc(*(_elements(broadcast_to(cast(p, aval_of(p).dtype), shape)) for p in inputs))
    if type(results) is tuple:
        return tuple(_numbers(r, shape, stack) for r in results)
    return _numbers(results, shape, stack)


def _elements(p):
    """The elements of a payload as a 1-d array of objects, each an npx scalar."""
    size = math.prod(aval_of(p).shape)
    if not isinstance(p, Tracer):
        return numpy.asarray(p).astype(object).reshape(size)
    flat = reshape(p, (size,))
    return numpy.fromiter((wrap_scalar(ops.getitem(flat, index=(k,))) for k in range(size)), object, size)


def _numbers(objects, shape, stack):
    """The objects that a Python function returned as an array of this shape: of numbers if some are traced."""
    values = [payload(x) for x in objects]
    if any(isinstance(v, Tracer) for v in values):
        return reshape(stack(values), shape)
    return objects.reshape(shape)
