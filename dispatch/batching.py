"""Batch rules for whole kinds of ops: ``batch(op, size, args, batched, params)``, batch axis 0 in and out."""

import numpy

from .abstract import Aval, Slice, aval_of
from .debug import count_loop
from .payloads import ops, reshape, zeros

#: ops whose result's shape depends on values -> ``question(args, batched, params)``, an integer for each place of the
#: batch that decides on the shape, and ``rule(op, size, args, batched, params, answer)`` for places with one answer
SHAPED = {}


def batch_elementwise(op, size, args, batched, params):
    """Line up the ranks: the axes that broadcasting would add go after the batch axis."""
    ranks = [(a.ndim if type(a) is numpy.ndarray else aval_of(a).ndim) - b for a, b in zip(args, batched)]
    rank = max(ranks)
    if min(ranks) < rank:
        args = [lift_rank(a, rank) if b and r < rank else a for a, b, r in zip(args, batched, ranks)]
    return op(*args, **params)


def lift_rank(x, rank):
    """A batched payload with axes of length 1 after the batch axis, so that `rank` axes follow that."""
    size, *shape = aval_of(x).shape
    return reshape(x, (size, *[1] * (rank - len(shape)), *shape))


def batch_over_axis(op, size, args, batched, params):
    """For an op along ``axis`` (an int or a tuple) of its first operand: the same axes, one further."""
    if any(batched[1:]):
        return batch_by_loop(op, size, args, batched, params)
    axis = params["axis"]
    moved = axis + 1 if isinstance(axis, int) else tuple(a + 1 for a in axis)
    return op(*args, **{**params, "axis": moved})


def batch_by_loop(op, size, args, batched, params):
    """For any op: one call for each place of the batch, the results stacked."""
    if size == 0:
        return _empty_batch(op, args, batched, params)
    outs = tuple(map(stack, zip(*each_place(op, size, args, batched, params))))
    return outs[0] if op.nout == 1 else outs


def each_place(op, size, args, batched, params):
    """The results of one call for each place of the batch, as a list of tuples."""
    count_loop(op.name, size)
    outs = (op(*(take(a, k) if b else a for a, b in zip(args, batched)), **params) for k in range(size))
    return [(out,) if op.nout == 1 else out for out in outs]


def take(x, k):
    """The k-th place of a batched payload."""
    return ops.getitem(x, index=(k, *[Slice()] * (aval_of(x).ndim - 1)))


def stack(payloads):
    """Payloads of one shape and dtype, stacked along a new axis 0."""
    return ops.concatenate(*(reshape(p, (1, *aval_of(p).shape)) for p in payloads), axis=0)


def _empty_batch(op, args, batched, params):
    """The result for a batch without places: its shape and dtype by the op's own rule."""
    outs = tuple(zeros(Aval((0, *v.shape), v.dtype)) for v in abstract_element(op, args, batched, params))
    return outs[0] if op.nout == 1 else outs


def abstract_element(op, args, batched, params):
    """The op's rule for one place of the batch; it raises where a single call would."""
    avals = (Aval(v.shape[1:], v.dtype) if b else v for v, b in zip(map(aval_of, args), batched))
    return op.abstract(tuple(avals), params)
