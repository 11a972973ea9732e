"""What derivative and batch rules need at payload level: the ops by name, zeros, casts, the undoing of broadcasting."""

import functools

import numpy

from . import registry
from .abstract import Aval, Hole, Slice, Varying, aval_of, typed


class _Ops:
    """The declared ops as attributes, looked up when a rule runs: ``ops.cos(x)``."""

    def __getattr__(self, name):
        try:
            return registry.OPS[name]
        except KeyError:
            raise AttributeError(f"there is no op {name!r}") from None


ops = _Ops()

#: id -> host memory that is needed no longer when the op `setitem` that is called next has run: it may write into it
OFFERED = {}


def is_inexact(dtype):
    """Whether values of this dtype have derivatives: floats and complex numbers, those of ml_dtypes too."""
    kind = dtype.kind
    return kind == "f" or kind == "c" or (kind == "V" and _is_small_float(dtype))


@functools.cache
def _is_small_float(dtype):
    return dtype.type.__module__ == "ml_dtypes" and "float" in dtype.name


def to_aval(value):
    """The `Aval` of a payload; an `Aval`, which a tape keeps where no rule reads the value, as it is."""
    return value if type(value) is Aval else aval_of(value)


def zeros(aval):
    """Zeros of this shape and dtype on the host, in the memory of one element."""
    return filled(0, aval)


def filled(value, aval):
    """An array of this shape and dtype on the host that repeats `value`, in the memory of one element."""
    return numpy.broadcast_to(numpy.asarray(value, aval.dtype), aval.shape)


def conj(x):
    """The complex conjugate; a real payload as it is."""
    return ops.conjugate(x) if typed(x).dtype.kind == "c" else x


def swap_last(x):
    """The transpose of the last two axes."""
    n = len(typed(x).shape)
    return ops.transpose(x, axes=(*range(n - 2), n - 1, n - 2))


def reshape(x, shape):
    """`x` in this shape; itself where it has it."""
    return x if typed(x).shape == shape else ops.reshape(x, shape=shape)


def broadcast_to(x, shape):
    """`x` broadcast to this shape; itself where it has it."""
    if typed(x).shape == shape:
        return x
    x = ops.broadcast_to(x, shape=shape)
    for n in shape:
        if isinstance(n, Varying):
            return n.tag(x, shape)
    return x


def cast(x, dtype):
    """`x` in this dtype: the real part where `dtype` is real and `x` complex."""
    have = typed(x).dtype
    if have == dtype:
        return x
    if have.kind == "c" and dtype.kind != "c":
        x = ops.real(x)
        if typed(x).dtype == dtype:
            return x
    return ops.astype(x, dtype=dtype)


def unbroadcast(x, shape):
    """The transpose of broadcasting: `x` summed over the axes that broadcasting `shape` added or enlarged."""
    have = typed(x).shape
    if have == shape:
        return x
    added = len(have) - len(shape)
    axes = tuple(i for i, n in enumerate(have) if i < added or (n != 1 and shape[i - added] == 1))
    if axes:
        x = ops.sum(x, axis=axes, dtype=typed(x).dtype, keepdims=False)
    return reshape(x, shape)


def widened(ct, operand):
    """A cotangent of what is selected, at the places of `operand` that count, if a length of that varies."""
    shape = operand.shape
    have = typed(ct).shape
    for axis, n in enumerate(shape if len(have) == len(shape) else ()):
        if isinstance(n, Varying) and type(have[axis]) is int and have[axis] != n:
            index = (*[Slice()] * axis, Hole(0), *[Slice()] * (len(shape) - axis - 1))
            whole = zeros(Aval((*have[:axis], int(n), *have[axis + 1 :]), operand.dtype))
            ct = n.tag(ops.add_at(whole, ct, n.places(), index=index), shape)
    return ct


def fit_cotangent(ct, operand):
    """A cotangent brought to the shape and dtype of its operand, which may be an `Aval`."""
    ct = widened(ct, operand)
    return cast(unbroadcast(ct, operand.shape), operand.dtype)


def fit_tangent(tangent, result):
    """A tangent brought to the shape and dtype of its result, which may be an `Aval`."""
    return broadcast_to(cast(tangent, result.dtype), result.shape)
