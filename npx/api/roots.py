"""Norms and standard deviations with the derivative 0 where they are 0: their kink is symmetric there.

Written with `sqrt`, they would have an infinite derivative times zero. The constant 0, selected in place of the root,
has no derivative of any order.
"""

import numpy

from npx import numpy_layer
from npx.api.support import python_function
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import ops

LINALG, METHODS = "numpy.linalg._linalg", "numpy._core._methods"


def zero_at_zero(value, base):
    """`value`, and the constant 0 where `base` is 0; as it is where nothing traces it."""
    p = payload(value)
    if not isinstance(p, Tracer):
        return value
    return wrap_scalar(ops.where(ops.equal(payload(base), 0), numpy.zeros((), p.dtype), p))


@python_function(LINALG, "sqrt")
def root(x):
    """`numpy.sqrt` of a sum of squares, in `numpy.linalg.norm`."""
    return zero_at_zero(numpy_layer.bind("numpy", "sqrt")(x), x)


@python_function(LINALG, "norm")
def norm(x, ord=None, axis=None, keepdims=False):
    """`numpy.linalg.norm`; a vector of zeros is taken out of the powers of general orders."""
    function, p = numpy_layer.module(LINALG)._npx_norm, payload(x)
    general = isinstance(ord, (int, float)) and ord not in (0, 1, 2) and abs(ord) != numpy.inf
    if axis is None and getattr(p, "ndim", None) == 1:
        axis = 0
    if not (general and isinstance(p, Tracer) and hasattr(axis, "__index__")):
        return function(x, ord, axis, keepdims)
    axes = (axis.__index__() % p.ndim,)
    any_left = ops.any(ops.not_equal(p, 0), axis=axes, keepdims=True)
    found = payload(function(wrap(ops.where(any_left, p, numpy.ones((), p.dtype))), ord, axis, True))
    found = ops.where(any_left, found, numpy.zeros((), found.dtype))
    return wrap_scalar(found if keepdims else ops.sum(found, axis=axes, dtype=found.dtype, keepdims=False))


def root_of_variance(module, name, variance):
    """Give the function `name`, the root of the function `variance`, its own version for traced arrays."""

    @python_function(module, name)
    def std(a, axis=None, dtype=None, out=None, *args, **kwargs):
        layer = numpy_layer.module(module)
        if not isinstance(payload(a), Tracer) or out is not None:
            return getattr(layer, f"_npx_{name}")(a, axis, dtype, out, *args, **kwargs)
        found = getattr(layer, variance)(a, axis, dtype, None, *args, **kwargs)
        return zero_at_zero(numpy_layer.bind("numpy", "sqrt")(found), found)

    std.__name__ = std.__qualname__ = name


root_of_variance(METHODS, "_std", "_var")
root_of_variance("numpy.lib._nanfunctions_impl", "nanstd", "nanvar")
