"""The methods of ufuncs where a tracer or a device array takes part."""

import math

import numpy
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from npx.array.ndarray import ndarray, payload, wrap
from npx.array.stand_ins import dry_run
from npx.array.ufunc_traced import (
    apply,
    array_operand,
    array_options,
    call,
    checkable,
    deliver,
    op_of,
    operand,
    outputs,
    override,
)
from npx.array.views import write
from npx.dispatch.abstract import Hole, aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import broadcast_to, cast, is_inexact, ops, reshape

#: parameters of the methods after the operands, in order
PARAMETERS = {
    "reduce": ("axis", "dtype", "out", "keepdims", "initial", "where"),
    "accumulate": ("axis", "dtype", "out"),
    "reduceat": ("axis", "dtype", "out"),
}

#: the ops of methods that have no param ``dtype``: their result has the operand's, or is boolean
SAME_DTYPE = frozenset(("max", "min", "any", "all", "cummax", "cummin"))


def _bind(ufunc, method, args, kwargs, operands=1):
    """The operands of a method and its other arguments by name."""
    names = PARAMETERS[method]
    given = dict(zip(names, args[operands:]))
    if len(args) < operands or len(args) > operands + len(names) or not given.keys().isdisjoint(kwargs):
        getattr(ufunc.numpy, method)(*[numpy.zeros(1)] * len(args), **kwargs)  # raises NumPy's TypeError
    return args[:operands], {**given, **kwargs}
