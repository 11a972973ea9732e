"""Small questions about payloads that several transforms ask."""

import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import is_inexact

WEAK = (int, float, complex)


def host_value(value, reason):
    """A payload as a ``numpy.ndarray`` for Python, through all levels; an error with `reason` if it has no value."""
    if isinstance(value, Tracer):
        return value.interpreter.concretize(value, reason)
    if isinstance(value, (numpy.ndarray, numpy.generic, *WEAK)):
        return numpy.asarray(value)
    return registry.backend_for(type(value)).to_host(value)


def differentiable(value):
    """Whether a payload has derivatives: floats and complex numbers."""
    kind = type(value)
    if kind is float or kind is complex:
        return True
    return kind is not int and kind is not bool and is_inexact(value.dtype)


def stays_weak(op, out, operands, params):
    """A NumPy scalar as a Python number where the op makes one of Python numbers, so that its dtype still gives way."""
    if not all(type(a) in WEAK or is_weak_tracer(a) for a in operands):
        return out
    (aval,) = op.abstract(tuple(map(aval_of, operands)), params)
    return out.item() if aval.weak else out


def is_weak_tracer(value):
    """Whether a payload is a tracer that stands for a Python number."""
    return isinstance(value, Tracer) and value.aval.weak is not None


def any_above(values, level):
    """Whether some payload is a tracer of a higher level."""
    return any(isinstance(v, Tracer) and v.interpreter.level > level for v in values)


def zeros_beside(value):
    """Zeros of the shape and dtype of a payload, in memory of their own, where the payload lives."""
    aval = aval_of(value)
    memory = numpy.zeros(aval.shape, aval.dtype)
    if isinstance(value, (Tracer, numpy.ndarray, numpy.generic, *WEAK)):
        return memory
    return registry.backend_for(type(value)).asarray(memory)


def snapshot(value):
    """A payload that the user cannot write to any more: host memory is copied."""
    return value.copy() if isinstance(value, numpy.ndarray) else value


def own(value, taken):
    """A payload that the user may write to: host memory is copied unless nothing else refers to it.

    Parameters
    ----------
    value : payload
    taken : set of int
        Ids of the arrays that are somebody else's; `value` joins them.
    """
    if isinstance(value, numpy.ndarray):
        if value.base is not None or not value.flags.writeable or id(value) in taken:
            value = value.copy()
        taken.add(id(value))
    return value
