"""Reading and writing through an index: `getitem`, `setitem` and `add_at`."""

import math

import numpy

from npx.dispatch.abstract import Aval, Hole, Slice, Varying, aval_of, type_key, ufunc_dtypes
from npx.dispatch.interpreter import install_operator
from npx.dispatch.payloads import OFFERED, ops, reshape, zeros
from npx.dispatch.rules import NUMBERS, example, linear

from .index_specs import FULL, canonical_index, is_basic, layout, rebuild
from .reading import getitem as getitem_on_host

__all__ = ["add_at_inplace", "along", "canonical_index", "is_basic", "layout", "read", "rebuild", "setitem_inplace"]


def read(x, index):
    """`x[index]` at payload level, for an index as NumPy takes it."""
    spec, arrays = canonical_index(aval_of(x).shape, index)
    return ops.getitem(x, *arrays, index=spec)


def along(indices, axis):
    """The index of ``numpy.take_along_axis``: spec and index operands.

    Parameters
    ----------
    indices : payload
        Integers; one array of places along `axis` for each place on the other axes.
    axis : int
    """
    shape = aval_of(indices).shape
    arrays = [numpy.arange(n).reshape(-1, *[1] * (len(shape) - 1 - k)) for k, n in enumerate(shape)]
    arrays[axis] = indices
    return tuple(map(Hole, range(len(shape)))), tuple(arrays)


# --------------------------------------------------------------------------------------------------- host functions


def _setitem(x, v, *arrays, index):
    """What `x` is after ``x[index] = v``: a copy, unless its memory is offered."""
    if OFFERED and OFFERED.pop(id(x), None) is x:
        return setitem_inplace(x, v, *arrays, index=index)
    return setitem_inplace(numpy.array(x, order="C"), v, *arrays, index=index)


def _add_at(x, v, *arrays, index):
    """A copy of `x` after ``numpy.add.at(x, index, v)``."""
    return add_at_inplace(numpy.array(x, order="C"), v, *arrays, index=index)


def setitem_inplace(x, v, *arrays, index):
    """Write `v` into `x`, a writeable ``numpy.ndarray``, at `index`; return `x`."""
    x[rebuild(index, arrays)] = v
    return x


def add_at_inplace(x, v, *arrays, index):
    """Add `v` to `x`, a writeable ``numpy.ndarray``, at `index`, as often as a place is named; return `x`."""
    places = rebuild(index, arrays)
    if is_basic(index):
        view = x[(*places, ...)]
        numpy.add(view, v, out=view)
    elif x.ndim < 2 or not x.flags.c_contiguous or numpy.result_type(x, v) != x.dtype:
        numpy.add.at(x, places, v)
    else:
        _add_at_flat(x, v, places, layout(x.shape, index, tuple(map(numpy.shape, arrays))).shape)
    return x


def _add_at_flat(x, v, places, shape):
    """``numpy.add.at`` through one flat index, for which NumPy has a loop six times faster than the general one."""
    if x.size > 8 * math.prod(shape):  # numbering all places of x would cost more than it saves
        numpy.add.at(x, places, v)
        return
    flat = numpy.arange(x.size).reshape(x.shape)[places]
    v = numpy.broadcast_to(v, shape).astype(x.dtype, copy=False)
    numpy.add.at(x.reshape(-1), flat.reshape(-1), v.reshape(-1))


# ------------------------------------------------------------------------------------------------------------- rules


def _region(x, indices, index):
    return layout(x.shape, index, tuple(i.shape for i in indices))


def _getitem_rule(avals, params):
    x, *indices = avals
    return Aval(_region(x, indices, params["index"]).shape, x.dtype)


def _setitem_rule(avals, params):
    x, v, *indices = avals
    shape = _region(x, indices, params["index"]).shape
    extra = max(0, v.ndim - len(shape))  # an assignment may drop leading axes of length 1
    if not _fits(v.shape[extra:], shape) or any(n != 1 for n in v.shape[:extra]):
        if is_basic(params["index"]):
            raise ValueError(f"could not broadcast input array from shape {_show(v.shape)} into shape {_show(shape)}")
        raise ValueError(
            f"shape mismatch: value array of shape {_show(v.shape)} could not be broadcast to indexing result "
            f"of shape {_show(shape)}"
        )
    if v.ndim and all(type(entry) is int for entry in params["index"]):
        numpy.zeros(())[()] = numpy.zeros(v.shape)  # one element takes no array, not even of length 1, since NumPy 2.4
    if v.weak is complex and x.dtype.kind not in "cO":
        raise TypeError(f"{'float' if x.dtype.kind == 'f' else 'int'}() argument must be a real number, not 'complex'")
    return Aval(x.shape, x.dtype)


def _add_at_rule(avals, params):
    x, v, *indices = avals
    shape = _region(x, indices, params["index"]).shape
    if not _fits(v.shape, shape):
        raise ValueError(
            f"non-broadcastable operand with shape {_show(v.shape)} doesn't match the broadcast shape {_show(shape)}"
        )
    dtype = ufunc_dtypes(numpy.add, (x.dtype, type_key(v)), 1)[2]
    if not numpy.can_cast(dtype, x.dtype, "same_kind"):
        raise TypeError(f"Cannot cast ufunc 'add' output from {dtype!r} to {x.dtype!r} with casting rule 'same_kind'")
    return Aval(x.shape, x.dtype)


def _fits(shape, target):
    """Whether `shape` can be broadcast to `target`."""
    return len(shape) <= len(target) and all(m in (1, n) for m, n in zip(shape[::-1], target[::-1]))


def _show(shape):
    return str(shape).replace(" ", "")


# ------------------------------------------------------------------------------------------------------- derivatives


def _getitem_transpose(g, x_aval, *indices, index):
    put = ops.setitem if is_basic(index) else ops.add_at
    return put(zeros(x_aval), g, *indices, index=index)


def _overwritten_transpose(g, _x, _v, *indices, index):
    return ops.setitem(g, 0, *indices, index=index)


def _written_transpose(g, x_aval, _v, *indices, index):
    ct = ops.getitem(g, *indices, index=index)
    won = _last_writes(x_aval.shape, indices, index)
    if won is None:
        return ct
    where = _region(x_aval, map(aval_of, indices), index)
    after = aval_of(ct).ndim - where.at - len(where.advanced)
    return ops.where(reshape(won, (*where.advanced, *[1] * after)), ct, zeros(aval_of(ct)))


def _last_writes(shape, indices, index):
    """Which writes of an assignment through index arrays last, in the shape of these arrays; None where all do.

    Where an index names a place twice, the later write wins. So number the writes, let them happen, and see which
    numbers have stayed.
    """
    shapes = tuple(aval_of(i).shape for i in indices)
    advanced = layout(shape, index, shapes).advanced
    if math.prod(advanced) < 2 or any(isinstance(n, Varying) for s in shapes for n in s):  # a mask names no place twice
        return None
    axes = [entry for entry in index if type(entry) in (int, Slice, Hole)]
    holes = {entry: n for entry, n in zip(axes, shape) if type(entry) is Hole}
    numbers = numpy.arange(math.prod(advanced)).reshape(advanced)
    table = ops.setitem(zeros(Aval(tuple(holes.values()), numbers.dtype)), numbers, *indices, index=tuple(holes))
    won = ops.equal(ops.getitem(table, *indices, index=tuple(holes)), numbers)
    return None if isinstance(won, numpy.ndarray) and won.all() else won


# ---------------------------------------------------------------------------------------------------------- batching


def _batched_index(size, x, indices, batched, index):
    """The index for arrays with a batch axis.

    Parameters
    ----------
    size : int
    x : Aval
        The array without its batch axis.
    indices : sequence of payload
    batched : sequence of bool
        For the array, then for each index operand: whether it has a batch axis.
    index : spec

    Returns
    -------
    spec, arrays : tuple
    order : tuple of int
        For each axis of the result the axis that it is in ``(batch, *result without batch)``.
    where : Layout
        Without batch.
    """
    shapes = tuple(aval_of(i).shape[b:] for i, b in zip(indices, batched[1:]))
    where = layout(x.shape, index, shapes)
    rank, width = len(where.shape), len(where.advanced)
    first = [1 + where.at + k for k in range(width)]  # the advanced axes
    rest = [1 + k for k in range(rank) if 1 + k not in first]
    if not any(batched[1:]):
        order = [*first, 0, *rest] if where.separated else range(rank + 1)
        return (FULL, *index), tuple(indices), tuple(order), where
    indices = [
        reshape(i, (size, *[1] * (width - len(s)), *s)) if b else i for i, s, b in zip(indices, shapes, batched[1:])
    ]
    if not batched[0]:
        order = [*rest[: where.at], 0, *first, *rest[where.at :]]
        return index, tuple(indices), tuple(order), where
    indices.append(numpy.arange(size).reshape(size, *[1] * width))
    return (Hole(len(indices) - 1), *index), tuple(indices), (0, *first, *rest), where


def _transpose(x, order):
    return x if order == tuple(range(len(order))) else ops.transpose(x, axes=order)


def _batch_getitem(op, size, args, batched, params):
    x, *indices = args
    aval = aval_of(x)
    single = Aval(aval.shape[batched[0] :], aval.dtype)
    spec, arrays, order, _ = _batched_index(size, single, indices, batched, params["index"])
    out = op(x, *arrays, index=spec)
    return _transpose(out, tuple(map(int, numpy.argsort(order))))


def _batch_write(op, size, args, batched, params):
    """For `setitem` and `add_at`."""
    x, v, *indices = args
    aval = aval_of(x)
    if not batched[0]:
        x = ops.broadcast_to(x, shape=(size, *aval.shape))
        single = aval
    else:
        single = Aval(aval.shape[1:], aval.dtype)
    spec, arrays, order, where = _batched_index(size, single, indices, (True, *batched[2:]), params["index"])
    if aval_of(v).ndim:
        v = _transpose(_line_up(v, batched[1], len(where.shape)), order)
    return op(x, v, *arrays, index=spec)


def _line_up(v, batched, rank):
    """A value to write, with a batch axis (of length 1 if it has none) and `rank` further axes."""
    shape = aval_of(v).shape
    lead, single = (shape[:1], shape[1:]) if batched else ((1,), shape)
    single = (*[1] * (rank - len(single)), *single[max(0, len(single) - rank) :])
    return reshape(v, (*lead, *single))


# ------------------------------------------------------------------------------------------------------ declarations


def _examples(*values):
    """One example for each sort of index and each of `values`, the shape of the operand to write given the region's."""
    full, step, back = Slice(), Slice(1, 4, 2), Slice(2, None, -1)
    some, column, pair = numpy.array([0, 2, 1, 2]), numpy.array([[1], [0]]), numpy.array([-1, 1])
    nothing, cube = numpy.array([], dtype=int), (3, 5, 4)
    for shape, index, arrays, types in (
        (cube, (1, full, full), (), NUMBERS),
        (cube, (full, step, None, back), (), "ldD"),
        (cube, (0, 1, 2), (), "ldD"),
        (cube, (Hole(0), full, full), (some,), NUMBERS),
        (cube, (full, Hole(0), Hole(1)), (some, some), "ldD"),
        (cube, (Hole(0), full, Hole(1)), (column, pair), "d"),
        (cube, (Hole(0), step, 2), (numpy.array(1),), "d"),
        ((), (), (), "dD"),
        ((0, 3), (Slice(0, 0, 1), 1), (), "d"),
        ((2,), (Hole(0),), (nothing,), "d"),
    ):
        region = layout(shape, index, tuple(a.shape for a in arrays)).shape
        for value in values:
            written = () if value is None else (value(region),)
            yield example(shape, *written, *arrays, index=index, types=types)


_WRITTEN = (lambda region: region, lambda region: region[-1:], lambda region: ())


getitem = linear(
    "getitem",
    kind="indexing",
    nin=-1,
    spec=getitem_on_host,
    rule=_getitem_rule,
    transpose=(_getitem_transpose, None),
    batch=_batch_getitem,
    examples=lambda: _examples(None),
)

setitem = linear(
    "setitem",
    kind="indexing",
    nin=-1,
    spec=_setitem,
    rule=_setitem_rule,
    transpose=(_overwritten_transpose, _written_transpose, None),
    batch=_batch_write,
    examples=lambda: _examples(*_WRITTEN),
)

add_at = linear(
    "add_at",
    kind="indexing",
    nin=-1,
    spec=_add_at,
    rule=_add_at_rule,
    transpose=(
        lambda g, *_: g,
        lambda g, _x, _v, *indices, index: ops.getitem(g, *indices, index=index),
        None,
    ),
    batch=_batch_write,
    examples=lambda: _examples(*_WRITTEN),
)

install_operator("__getitem__", read)
