"""Sorting, searching and counting. Places and counts, integers, have the derivative zero; values in order have one."""

import numpy

from npx.dispatch.abstract import Aval, DataDependentShape, Hole, Slice, aval_of, result_dtype
from npx.dispatch.batching import SHAPED, batch_by_loop, batch_over_axis
from npx.dispatch.payloads import broadcast_to, cast, ops, reshape, zeros
from npx.dispatch.rules import ALL_TYPES, Operand, example, linear, primitive

from .indexing import along, read

PLACES = numpy.dtype(numpy.intp)


def _same(avals, params):
    return Aval(avals[0].shape, avals[0].dtype)


def _places(avals, params):
    return Aval(avals[0].shape, PLACES)


def gather(x, order, axis):
    """``numpy.take_along_axis``."""
    spec, arrays = along(order, axis)
    return ops.getitem(x, *arrays, index=spec)


def scatter(x, order, axis):
    """The inverse of `gather` for an `order` that is a permutation."""
    spec, arrays = along(order, axis)
    return ops.setitem(zeros(aval_of(x)), x, *arrays, index=spec)


def argsort_ascending(x, axis):
    return ops.argsort(x, axis=axis, stable=True)


# -------------------------------------------------------------------------------------------------------------- sort


def _kind(stable):
    return "stable" if stable else "quicksort"


def _sort(x, axis, stable):
    return numpy.sort(x, axis, _kind(stable))


def _argsort(x, axis, stable):
    return numpy.argsort(x, axis, _kind(stable))


def _sort_vjp(g, _ans, x, axis):
    return scatter(g, argsort_ascending(x, axis), axis)


def _sort_jvp(tangents, ans, args, params):
    return gather(tangents[0], argsort_ascending(args[0], params["axis"]), params["axis"])


def _sort_examples(types):
    yield example((3, 4), types=ALL_TYPES, axis=1, stable=True)
    yield example((3, 4), types=types, axis=0, stable=False)
    yield example((5,), types=types, axis=0, stable=False)
    yield example((0, 2), types="d", axis=1, stable=False)


sort = primitive(
    "sort",
    kind="sorting",
    nin=1,
    spec=_sort,
    rule=_same,
    vjp=(_sort_vjp,),
    jvp=_sort_jvp,
    batch=batch_over_axis,
    examples=lambda: _sort_examples("ldD"),
)

argsort = primitive(
    "argsort",
    kind="sorting",
    nin=1,
    spec=_argsort,
    rule=_places,
    vjp=(None,),
    batch=batch_over_axis,
    examples=lambda: _sort_examples("ldD"),
)


# --------------------------------------------------------------------------------------------------------- partition


def _partition(x, kth, axis):
    return numpy.partition(x, kth, axis)


def _argpartition(x, kth, axis):
    return numpy.argpartition(x, kth, axis)


def _partition_rule(dtype):
    def rule(avals, params):
        x, n = avals[0], avals[0].shape[params["axis"]]
        for k in params["kth"]:
            if not -n <= k < n:
                raise ValueError(f"kth(={k}) out of bounds ({n})")
        return Aval(x.shape, dtype or x.dtype)

    return rule


# `argpartition` may leave the elements between the kth ones in another order than `partition` does: the derivative
# matches operand and result by rank.


def _partition_vjp(g, ans, x, axis):
    return scatter(gather(g, argsort_ascending(ans, axis), axis), argsort_ascending(x, axis), axis)


def _partition_jvp(tangents, ans, args, params):
    axis = params["axis"]
    return scatter(gather(tangents[0], argsort_ascending(args[0], axis), axis), argsort_ascending(ans, axis), axis)


_PARTITIONED = (
    example((3, 7), types=ALL_TYPES, kth=(2, 4), axis=1),
    example((7, 2), types="ldD", kth=(3,), axis=0),
    example((1,), types="d", kth=(0,), axis=0),
)

partition = primitive(
    "partition",
    kind="sorting",
    nin=1,
    spec=_partition,
    rule=_partition_rule(None),
    vjp=(_partition_vjp,),
    jvp=_partition_jvp,
    expand=lambda x, kth, axis: ops.sort(x, axis=axis, stable=False),
    batch=batch_over_axis,
    examples=_PARTITIONED,
)

argpartition = primitive(
    "argpartition",
    kind="sorting",
    nin=1,
    expand=lambda x, kth, axis: ops.argsort(x, axis=axis, stable=False),
    spec=_argpartition,
    rule=_partition_rule(PLACES),
    vjp=(None,),
    batch=batch_over_axis,
    examples=_PARTITIONED,
)


# ----------------------------------------------------------------------------------------------------------- lexsort


def _lexsort(*keys, axis):
    return numpy.lexsort(keys, axis)


def _lexsort_rule(avals, params):
    if not avals:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    if any(a.shape != avals[0].shape for a in avals):
        raise ValueError("all keys need to be the same shape")
    return Aval(avals[0].shape, PLACES)


def _expand_lexsort(*keys, axis):
    order = argsort_ascending(keys[0], axis)
    for key in keys[1:]:
        order = gather(order, argsort_ascending(gather(key, order, axis), axis), axis)
    return order


def _batch_lexsort(op, size, args, batched, params):
    keys = (a if b else broadcast_to(a, (size, *aval_of(a).shape)) for a, b in zip(args, batched))
    return op(*keys, axis=params["axis"] + 1)


lexsort = primitive(
    "lexsort",
    kind="sorting",
    nin=-1,
    spec=_lexsort,
    rule=_lexsort_rule,
    vjp=(None,),
    batch=_batch_lexsort,
    expand=_expand_lexsort,
    examples=(
        example((5,), Operand((5,), 0, 2, "l"), types="ld", axis=0),
        example((3, 4), (3, 4), (3, 4), types="d", axis=1),
    ),
)


# ------------------------------------------------------------------------------------------------------ searchsorted


def _searchsorted(sorted_, v, side):
    return numpy.searchsorted(sorted_, v, side)


def _searchsorted_rule(avals, params):
    if avals[0].ndim != 1:
        raise ValueError(
            "object too deep for desired array" if avals[0].ndim else "object of too small depth for desired array"
        )
    result_dtype(*avals)  # raises where the dtypes have no order together
    return Aval(avals[1].shape, PLACES)


def _batch_searchsorted(op, size, args, batched, params):
    """Search in many sorted arrays at once by merging.

    In the stable order of both arrays together, the place of a value less its place among the values alone is the
    number of sorted elements before it.
    """
    if not batched[0]:
        return op(*args, **params)
    dtype = result_dtype(*map(aval_of, args))
    shape = aval_of(args[1]).shape if batched[1] else (size, *aval_of(args[1]).shape)
    sorted_ = cast(args[0], dtype)
    v = cast(args[1], dtype)
    v = reshape(v if batched[1] else broadcast_to(v, shape), (size, int(numpy.prod(shape[1:]))))
    n, right = aval_of(sorted_).shape[1], params["side"] == "right"
    both = ops.concatenate(*((sorted_, v) if right else (v, sorted_)), axis=1)
    own = slice(n, None) if right else slice(None, aval_of(v).shape[1])
    before = read(_ranks(both), (slice(None), own)) - _ranks(v)
    return reshape(before, shape)


def _ranks(x):
    """The place that each element takes when the rows are sorted."""
    return argsort_ascending(argsort_ascending(x, 1), 1)


_ASCENDING = numpy.array([-1.0, 0.0, 0.0, 0.5, 1.0])

searchsorted = primitive(
    "searchsorted",
    kind="sorting",
    nin=2,
    spec=_searchsorted,
    rule=_searchsorted_rule,
    vjp=(None,),
    batch=_batch_searchsorted,
    examples=(
        example(_ASCENDING, (2, 3), types="lefdD", side="left"),
        example(_ASCENDING.astype(int), Operand((4,), -2, 2), types="ld", side="right"),
        example(_ASCENDING, (), types="d", side="left"),
        example(_ASCENDING, 0.0, types="d", side="right"),
        example(_ASCENDING[:0], (2,), types="d", side="left"),
    ),
)


# ------------------------------------------------------------------------------------- shapes that depend on the data


def _nonzero(x):
    return numpy.array(numpy.nonzero(x))


def _nonzero_rule(avals, params):
    if avals[0].ndim == 0:
        _nonzero(zeros(avals[0]))  # raises
    raise DataDependentShape("the number of nonzero elements depends on the values of the array")


def _bincount(x, *weights, minlength):
    return numpy.bincount(x, *weights, minlength=minlength)


def _bincount_rule(avals, params):
    _bincount(*(numpy.zeros(min(a.shape, (1,)), a.dtype) for a in avals), minlength=0)  # raises for bad operands
    raise DataDependentShape("the length of a bincount depends on the largest value in the array")


nonzero = primitive(
    "nonzero",
    kind="sorting",
    nin=1,
    spec=_nonzero,
    rule=_nonzero_rule,
    vjp=(None,),
    examples=(
        example(Operand((3, 4), -1, 1, "i8"), types="l"),
        example((2, 2), types=ALL_TYPES),
        example((0,), types="d"),
    ),
)


def _count_nonzero(args, batched, params):
    (x,) = args
    return ops.sum(
        ops.astype(x, dtype=numpy.dtype(bool)),
        axis=tuple(range(1, aval_of(x).ndim)),
        dtype=numpy.dtype(numpy.intp),
        keepdims=False,
    )


def _batch_nonzero(op, size, args, batched, params, count):
    """The places in the whole batch, which come element by element, without their first coordinate."""
    places = ops.getitem(op(*args), index=(Slice(1), Slice()))
    return ops.transpose(ops.reshape(places, shape=(aval_of(places).shape[0], size, count)), axes=(1, 0, 2))


SHAPED["nonzero"] = (_count_nonzero, _batch_nonzero)


def _with_batch_axis(args, batched):
    """The operands of a bincount with a batch axis each."""
    size = next(aval_of(a).shape[0] for a, b in zip(args, batched) if b)
    return [a if b else ops.broadcast_to(a, shape=(size, *aval_of(a).shape)) for a, b in zip(args, batched)]


def _longest_count(args, batched, params):
    """The length of each bincount; -1 where a negative number makes it an error."""
    x = _with_batch_axis(args, batched)[0]
    if not aval_of(x).shape[-1]:
        return numpy.zeros(aval_of(x).shape[0], numpy.intp)
    length = ops.maximum(ops.add(ops.max(x, axis=(1,), keepdims=False), 1), params["minlength"])
    return ops.where(ops.less(ops.min(x, axis=(1,), keepdims=False), 0), -1, length)


def _batch_bincount(op, size, args, batched, params, length):
    """One bincount, in which each element has numbers of its own."""
    if length < 0:
        return batch_by_loop(op, size, args, batched, params)  # raises
    length = max(length, params["minlength"])
    x, *weights = _with_batch_axis(args, batched)
    shifted = ops.add(x, numpy.arange(size)[:, None] * length)
    flat = [ops.reshape(a, shape=(size * aval_of(a).shape[1],)) for a in (shifted, *weights)]
    return ops.reshape(op(*flat, minlength=size * length), shape=(size, length))


bincount = linear(
    "bincount",
    kind="sorting",
    nin=-1,
    spec=_bincount,
    rule=_bincount_rule,
    transpose=(None, lambda g, x, *_weights: ops.getitem(g, x, index=(Hole(0),))),
    examples=(
        example(Operand((6,), 0, 4, "i8"), (6,), types="fd", minlength=0),
        example(Operand((6,), 0, 4, "i8"), types="l", minlength=7),
    ),
)

SHAPED["bincount"] = (_longest_count, _batch_bincount)
