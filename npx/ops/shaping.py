"""Ops that move elements without computing: `reshape`, `transpose`, `concatenate`, ..., copies, views as other bits."""

import math

import numpy

from npx.dispatch.abstract import Aval, Hole, Slice, aval_of, broadcast_shape, result_dtype
from npx.dispatch.batching import abstract_element
from npx.dispatch.payloads import broadcast_to as broadcast_payload
from npx.dispatch.payloads import ops, unbroadcast, zeros
from npx.dispatch.payloads import reshape as reshape_payload
from npx.dispatch.rules import ALL_TYPES, elementwise, example, linear, primitive

from .index_specs import FULL
from .indexing import read


def inverse(axes):
    """The inverse of a permutation of axes."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def move_axis(x, source, target):
    """`x` with axis `source` moved to place `target`."""
    axes = [a for a in range(aval_of(x).ndim) if a != source]
    axes.insert(target, source)
    return x if source == target else ops.transpose(x, axes=tuple(axes))


def _as_numpy_does(function):
    """A rule from a NumPy function that returns a view: tried on an array that takes no memory."""

    def rule(avals, params):
        aval = avals[0]
        return Aval(function(zeros(aval), **params).shape, aval.dtype)

    return rule


def _unmoved(x):
    """`x` as an array: NumPy and Python scalars have no method that takes axes."""
    return x if isinstance(x, numpy.ndarray) else numpy.asarray(x)


# ----------------------------------------------------------------------------------------------------------- reshape


def _reshape(x, shape):
    return _unmoved(x).reshape(shape)


def _reshape_rule(avals, params):
    x, shape = avals[0], params["shape"]
    if math.prod(shape) != x.size:
        raise ValueError(f"cannot reshape array of size {x.size} into shape {str(shape).replace(' ', '')}")
    return Aval(shape, x.dtype)


def _batch_reshape(op, size, args, batched, params):
    return op(*args, shape=(size, *params["shape"]))


reshape = linear(
    "reshape",
    kind="shaping",
    nin=1,
    spec=_reshape,
    rule=_reshape_rule,
    transpose=lambda g, x_aval: reshape_payload(g, x_aval.shape),
    batch=_batch_reshape,
    examples=(
        example((2, 6), types=ALL_TYPES, shape=(3, 4)),
        example((2, 6), shape=(2, 1, 3, 2), types="d"),
        example((1, 1), shape=(), types="d"),
        example((), shape=(1,), types="d"),
        example((0, 3), shape=(3, 0), types="d"),
    ),
)


# --------------------------------------------------------------------------------------------------------- transpose


def _transpose(x, axes):
    return _unmoved(x).transpose(axes)


def _batch_transpose(op, size, args, batched, params):
    return op(*args, axes=(0, *(a + 1 for a in params["axes"])))


transpose = linear(
    "transpose",
    kind="shaping",
    nin=1,
    spec=_transpose,
    rule=_as_numpy_does(_transpose),
    transpose=lambda g, _x, axes: ops.transpose(g, axes=inverse(axes)),
    batch=_batch_transpose,
    examples=(
        example((2, 3), types=ALL_TYPES, axes=(1, 0)),
        example((2, 3, 4), axes=(2, 0, 1), types="ldD"),
        example((2, 3, 4), axes=(0, 1, 2), types="d"),
        example((), axes=(), types="d"),
        example((0, 3), axes=(1, 0), types="d"),
    ),
)


# ------------------------------------------------------------------------------------------------------ broadcast_to


def _broadcast_to(x, shape):
    return numpy.broadcast_to(x, shape)


def _batch_broadcast_to(op, size, args, batched, params):
    x, shape = args[0], params["shape"]
    own = aval_of(x).shape[1:]
    return op(reshape_payload(x, (size, *[1] * (len(shape) - len(own)), *own)), shape=(size, *shape))


broadcast_to = linear(
    "broadcast_to",
    kind="shaping",
    nin=1,
    spec=_broadcast_to,
    rule=_as_numpy_does(_broadcast_to),
    transpose=lambda g, x_aval: unbroadcast(g, x_aval.shape),
    batch=_batch_broadcast_to,
    examples=(
        example((3,), types=ALL_TYPES, shape=(2, 3)),
        example((2, 1, 1), shape=(4, 2, 1, 3), types="ldD"),
        example((), shape=(2, 2), types="d"),
        example((1,), shape=(0,), types="d"),
        example((2, 3), shape=(2, 3), types="d"),
    ),
)


# ------------------------------------------------------------------------------------------------------- concatenate


def _concatenate(*arrays, axis):
    return numpy.concatenate(arrays, axis)


def _concatenate_rule(avals, params):
    axis, first = params["axis"], avals[0] if avals else None
    if not avals or any(not _fit_together(first.shape, a.shape, axis) for a in avals):
        _concatenate(*map(zeros, avals), axis=axis)  # raises
    length = sum(a.shape[axis] for a in avals)
    return Aval((*first.shape[:axis], length, *first.shape[axis + 1 :]), result_dtype(*avals))


def _fit_together(first, other, axis):
    """Whether two shapes can be concatenated along a non-negative axis."""
    if len(first) != len(other) or axis >= len(first):
        return False
    return first[:axis] == other[:axis] and first[axis + 1 :] == other[axis + 1 :]


def _concatenate_transpose(i, g, *arrays_aval, axis):
    start = sum(a.shape[axis] for a in arrays_aval[:i])
    return read(g, (*[slice(None)] * axis, slice(start, start + arrays_aval[i].shape[axis])))


def _batch_concatenate(op, size, args, batched, params):
    arrays = (a if b else broadcast_payload(a, (size, *aval_of(a).shape)) for a, b in zip(args, batched))
    return op(*arrays, axis=params["axis"] + 1)


concatenate = linear(
    "concatenate",
    kind="shaping",
    nin=-1,
    spec=_concatenate,
    rule=_concatenate_rule,
    transpose=_concatenate_transpose,
    batch=_batch_concatenate,
    examples=(
        example((2, 3), (1, 3), types=ALL_TYPES, axis=0),
        example((2, 1), (2, 3), (2, 2), axis=1, types="ldD"),
        example((2,), axis=0, types="d"),
        example((0,), (3,), axis=0, types="d"),
    ),
)


# ------------------------------------------------------------------------------------------------------------ repeat


def _repeat(x, repeats, axis):
    return numpy.repeat(x, repeats, axis)


def _repeat_rule(avals, params):
    x, repeats, axis = avals[0], params["repeats"], params["axis"]
    if axis >= x.ndim or len(repeats) not in (1, x.shape[axis]) or min(repeats, default=0) < 0:
        _repeat(zeros(x), repeats, axis)  # raises
    length = x.shape[axis] * repeats[0] if len(repeats) == 1 else sum(repeats)
    return Aval((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)


def _repeat_transpose(g, x_aval, repeats, axis):
    shape = x_aval.shape
    if len(repeats) == 1:
        groups = ops.reshape(g, shape=(*shape[: axis + 1], *repeats, *shape[axis + 1 :]))
        return ops.sum(groups, axis=(axis + 1,), dtype=aval_of(g).dtype, keepdims=False)
    source = numpy.repeat(numpy.arange(shape[axis]), repeats)
    index = tuple(Hole(0) if k == axis else FULL for k in range(len(shape)))
    return ops.add_at(zeros(x_aval), g, source, index=index)


def _batch_axis(op, size, args, batched, params):
    """One operand, params that are axes by their names."""
    return op(*args, **{k: p + 1 if k.startswith("axis") else p for k, p in params.items()})


repeat = linear(
    "repeat",
    kind="shaping",
    nin=1,
    spec=_repeat,
    rule=_repeat_rule,
    transpose=_repeat_transpose,
    batch=_batch_axis,
    examples=(
        example((2, 3), types=ALL_TYPES, repeats=(2,), axis=0),
        example((2, 3), repeats=(1, 0, 3), axis=1, types="ldD"),
        example((2, 2), repeats=(0,), axis=1, types="d"),
        example((1,), repeats=(3,), axis=0, types="d"),
    ),
)


# ---------------------------------------------------------------------------------------------------------- diagonal


def _diagonal(x, offset, axis1, axis2):
    return x.diagonal(offset, axis1, axis2)


def set_diagonal(x, v, offset, axis1, axis2):
    """`x` with its diagonal replaced by `v`, which has the diagonal on its last axis, as `diagonal` returns it."""
    index = [FULL] * aval_of(x).ndim
    index[axis1], index[axis2] = Hole(0), Hole(1)
    steps = numpy.arange(aval_of(v).shape[-1])
    places = steps + max(0, -offset), steps + max(0, offset)
    adjacent = abs(axis1 - axis2) == 1
    v = move_axis(v, aval_of(v).ndim - 1, min(axis1, axis2) if adjacent else 0)
    return ops.setitem(x, v, *places, index=tuple(index))


diagonal = linear(
    "diagonal",
    kind="shaping",
    nin=1,
    spec=_diagonal,
    rule=_as_numpy_does(_diagonal),
    transpose=lambda g, x_aval, offset, axis1, axis2: set_diagonal(zeros(x_aval), g, offset, axis1, axis2),
    batch=_batch_axis,
    examples=(
        example((3, 4), types=ALL_TYPES, offset=0, axis1=0, axis2=1),
        example((3, 2, 4), offset=-1, axis1=0, axis2=2, types="ldD"),
        example((3, 2, 4), offset=1, axis1=2, axis2=1, types="d"),
        example((2, 2), offset=5, axis1=0, axis2=1, types="d"),
    ),
)


# -------------------------------------------------------------------------------------------------- copies and bits


def _copy(x):
    return numpy.array(x)


copy = linear(
    "copy",
    kind="shaping",
    nin=1,
    spec=_copy,
    rule=lambda avals, params: Aval(avals[0].shape, avals[0].dtype),
    transpose=lambda g, _x: g,
    batch=lambda op, size, args, batched, params: op(*args),
    examples=(example((2, 3), types=ALL_TYPES), example((), types="d"), example((0, 2), types="d")),
)


def _view_dtype(x, dtype):
    """``x.view(dtype)``."""
    return numpy.asarray(x, order="C").view(dtype)


def _view_dtype_rule(avals, params):
    x = avals[0]
    row = numpy.broadcast_to(numpy.zeros(x.shape[-1:], x.dtype), x.shape)
    return Aval(row.view(params["dtype"]).shape, params["dtype"])


def _batch_view_dtype(op, size, args, batched, params):
    abstract_element(op, args, batched, params)  # the batch axis must not count as the last one
    return op(*args, **params)


view_dtype = primitive(
    "view_dtype",
    kind="shaping",
    nin=1,
    spec=_view_dtype,
    rule=_view_dtype_rule,
    batch=_batch_view_dtype,
    no_deriv="it reads the bits of a number as another type",
    examples=(
        example((2, 4), types="d", dtype=numpy.dtype("i8")),
        example((2, 4), types="d", dtype=numpy.dtype("f4")),
        example((2, 4), types="f", dtype=numpy.dtype("c8")),
        example((2, 8), types="bB", dtype=numpy.dtype("i4")),
        example((), types="l", dtype=numpy.dtype("f8")),
    ),
)


def _bits(function):
    """The rule of `packbits` and `unpackbits`."""

    def rule(avals, params):
        x, axis = avals[0], params["axis"]
        row = function(numpy.zeros(x.shape[axis : axis + 1], x.dtype), axis=0, **_without_axis(params))
        return Aval((*x.shape[:axis], *row.shape, *x.shape[axis + 1 :]), row.dtype)

    return rule


def _without_axis(params):
    return {k: p for k, p in params.items() if k != "axis"}


packbits = primitive(
    "packbits",
    kind="shaping",
    nin=1,
    spec=numpy.packbits,
    rule=_bits(numpy.packbits),
    batch=_batch_axis,
    vjp=(None,),
    examples=(
        example((2, 11), types="?B", axis=1, bitorder="big"),
        example((9, 2), types="?", axis=0, bitorder="little"),
    ),
)

unpackbits = primitive(
    "unpackbits",
    kind="shaping",
    nin=1,
    spec=numpy.unpackbits,
    rule=_bits(numpy.unpackbits),
    batch=_batch_axis,
    vjp=(None,),
    examples=(
        example((2, 3), types="B", axis=1, count=None, bitorder="big"),
        example((2, 3), types="B", axis=0, count=5, bitorder="little"),
    ),
)


# -------------------------------------------------------------------------------------------- writing through a view


def _complex_dtype(re, im):
    return numpy.result_type(re, im, numpy.complex64)


def _make_complex(re, im):
    """``re + 1j * im``, exact where a part is infinite or a negative zero."""
    out = numpy.empty(numpy.broadcast(re, im).shape, _complex_dtype(re, im))
    out.real, out.imag = re, im
    return out


def _make_complex_rule(avals, params):
    return Aval(broadcast_shape(*(a.shape for a in avals)), _complex_dtype(*(a.dtype for a in avals)))


make_complex = elementwise(
    "make_complex",
    spec=_make_complex,
    nin=2,
    rule=_make_complex_rule,
    deriv=(1, 1j),
    examples=(
        example((2, 3), (2, 3), types="efd"),
        example((3,), (2, 1), types=("fd", "df", "ld")),
        example((), (0, 3), types="d"),
    ),
)


def _scatter_real(base, new):
    return make_complex(new, ops.imag(base)) if aval_of(base).dtype.kind == "c" else new


def _scatter_imag(base, new):
    return make_complex(ops.real(base), new)


def as_pairs(x):
    """Complex numbers as floats, real and imaginary parts in turn along the last axis: ``x.view(float)``."""
    shape = aval_of(x).shape
    parts = [reshape_payload(part, (*shape, 1)) for part in (ops.real(x), ops.imag(x))]
    return reshape_payload(ops.concatenate(*parts, axis=len(shape)), (*shape[:-1], 2 * shape[-1]))


def from_pairs(x):
    """The inverse of `as_pairs`: ``x.view(complex)``."""
    *before, last = aval_of(x).shape
    parts = reshape_payload(x, (*before, last // 2, 2))
    index = (Slice(),) * (len(before) + 1)
    return make_complex(*(ops.getitem(parts, index=(*index, k)) for k in range(2)))


#: views that are read by more than one op
READ = {"as_pairs": as_pairs, "from_pairs": from_pairs}

#: view op -> what a write through the view makes of the base; None where NumPy's view cannot be written to
SCATTER = {
    "getitem": lambda base, new, index: ops.setitem(base, new, index=index),
    "reshape": lambda base, new, shape: reshape_payload(new, aval_of(base).shape),
    "transpose": lambda base, new, axes: ops.transpose(new, axes=inverse(axes)),
    "real": _scatter_real,
    "imag": _scatter_imag,
    "as_pairs": lambda base, new: reshape_payload(from_pairs(new), aval_of(base).shape),
    "from_pairs": lambda base, new: as_pairs(new),
    "diagonal": set_diagonal,
    "view_dtype": lambda base, new, dtype: ops.view_dtype(new, dtype=aval_of(base).dtype),
    "broadcast_to": None,
}


def scatter(name, base, new, **params):
    """The base of a view after the whole view was given a new value.

    Parameters
    ----------
    name : str
        The op that makes the view of the base: ``getitem`` (with a basic index), ``reshape``, ``real`` ...
    base, new : payload
    **params
        The op's params.

    Raises
    ------
    ValueError
        NumPy lets nobody write to such a view.
    """
    if SCATTER[name] is None:
        raise ValueError("assignment destination is read-only")
    return SCATTER[name](base, new, **params)
