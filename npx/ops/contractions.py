"""Products that sum over shared axes: `matmul` and its relatives, `dot`, `einsum`, `correlate`."""

import functools
import math
import string

import numpy

from npx.dispatch import rules
from npx.dispatch.abstract import Aval, Slice, aval_of, result_dtype
from npx.dispatch.batching import abstract_element, batch_by_loop, batch_elementwise, lift_rank
from npx.dispatch.payloads import conj, filled, ops, reshape, swap_last, zeros
from npx.dispatch.rules import ALL_TYPES, example

from .gufuncs import batch_gufunc, gufunc_rule
from .indexing import read

LETTERS = string.ascii_letters


# Products of the last axes


def column(v):
    """A vector as a matrix of one column, behind any loop axes."""
    return reshape(v, (*aval_of(v).shape, 1))


def row(v):
    """A vector as a matrix of one row, behind any loop axes."""
    *loop, n = aval_of(v).shape
    return reshape(v, (*loop, 1, n))


def drop(x, axis):
    """`x` without an axis of length 1, counted from the end."""
    shape = list(aval_of(x).shape)
    del shape[axis]
    return reshape(x, tuple(shape))


def batch_matmul(op, size, args, batched, params):
    """Line up the loop axes; vectors become matrices first."""
    (x, y), (is_row, is_column) = args, (aval_of(a).ndim - b == 1 for a, b in zip(args, batched))
    if list(batched) == [True, False] and aval_of(y).ndim == 2:  # one product with a matrix that all elements share
        return reshape(op(flat_rows(x), y), (*aval_of(x).shape[:-1], aval_of(y).shape[1]))
    if list(batched) == [False, True] and aval_of(x).ndim == 2 and is_column:
        return op(y, swap_last(x))
    matrices = (row(x) if is_row else x, column(y) if is_column else y)
    rank = max(aval_of(m).ndim - b for m, b in zip(matrices, batched))
    matrices = (lift_rank(m, rank) if b else m for m, b in zip(matrices, batched))
    is_outer = aval_of(x).shape[-1] == 1 and all(batched)  # products of columns and rows, of which there are many
    out = (ops.multiply if is_outer and is_number(x) and is_number(y) else op)(*matrices)
    out = drop(out, -1) if is_column else out
    return drop(out, -1 if is_column else -2) if is_row else out


def is_number(x):
    """Whether a payload holds numbers and no truth values, whose product NumPy knows two kinds of."""
    return aval_of(x).dtype.kind in "iufc"


#: elements up to which the call costs more than the product
SMALL = 4096


def is_small(x):
    """Whether a payload is a small host array of one or two axes."""
    return type(x) is numpy.ndarray and x.ndim <= 2 and x.size <= SMALL


def matmul_left(g, x_aval, y):
    """The cotangent of x in ``x @ y``."""
    if x_aval.ndim <= 2 and is_small(y) and is_small(g):
        if y.ndim == 1:
            return numpy.multiply.outer(g, y)
        return y.dot(g) if x_aval.ndim == 1 else g.dot(y.T)
    if aval_of(y).ndim == 1:
        y, g = column(y), column(g)
    return (row(g) if x_aval.ndim == 1 else g) @ swap_last(y)


def matmul_right(g, x, y_aval):
    """The cotangent of y in ``x @ y``."""
    if y_aval.ndim <= 2 and is_small(x) and is_small(g):
        if x.ndim == 1:
            return numpy.multiply.outer(x, g)
        if x.ndim == g.ndim or y_aval.ndim == 1:
            return x.T.dot(g)
    g = column(g) if y_aval.ndim == 1 else g
    if aval_of(x).ndim == 1:
        x, g = row(x), row(g)
    elif y_aval.ndim <= 2:  # one product, not one for each matrix of a stack to be summed up
        x, g = flat_rows(x), flat_rows(g)
    ct = swap_last(x) @ g
    return drop(ct, -1) if y_aval.ndim == 1 else ct


def flat_rows(x):
    """A stack of matrices as one matrix, below each other."""
    *loop, n = aval_of(x).shape
    return reshape(x, (math.prod(loop), n))


PRODUCTS = {"kind": "contraction", "nin": 2}


def product(ufunc, left, right, shapes, batch=batch_gufunc):
    """Declare the op of a ufunc with core dimensions that is linear in both operands."""
    plain = [example(*pair, types=ALL_TYPES if k == 0 else ("d", "D", "dD")) for k, pair in enumerate(shapes)]
    rules.multilinear(
        ufunc.__name__,
        spec=ufunc,
        rule=gufunc_rule(ufunc),
        transpose=(left, right),
        batch=batch,
        examples=plain,
        **PRODUCTS,
    )


product(
    numpy.matmul,
    matmul_left,
    matmul_right,
    shapes=(
        *(((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4))),
        *(((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 2))),
        *(((), (3,)), ((2,), (3,)), ((2, 3), (2, 3)), ((2, 2, 3), (3, 3, 4))),
    ),
    batch=batch_matmul,
)
product(
    numpy.vecdot,
    lambda g, _x, y: conj(column(g) * y),
    lambda g, x, _y: column(g) * conj(x),
    shapes=(((3,), (3,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((2,), (3,)), ((), ())),
)
product(
    numpy.matvec,
    lambda g, _x, y: column(g) * row(y),
    lambda g, x, _y: ops.matvec(swap_last(x), g),
    shapes=(((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3)), ((3, 2), (3,)), ((3,), (3,))),
)
product(
    numpy.vecmat,
    lambda g, _x, y: conj(ops.matvec(y, g)),
    lambda g, x, _y: column(conj(x)) * row(g),
    shapes=(((3,), (3, 2)), ((4, 3), (3, 2)), ((3,), (4, 3, 2)), ((3,), (2, 3)), ((3,), (3,))),
)


# einsum


@functools.lru_cache(1024)
def parse(subscripts):
    """The letters of each operand, and of the result."""
    operands, _, result = subscripts.partition("->")
    return operands.split(","), result


def einsum(*operands, subscripts):
    """`numpy.einsum` on its fast path, which uses BLAS."""
    return numpy.einsum(subscripts, *operands, optimize=len(operands) > 1)


def letter_sizes(terms, avals):
    """The length of each letter; an axis of length 1 stretches."""
    sizes = {}
    for term, aval in zip(terms, avals, strict=True):
        if len(term) != aval.ndim:
            raise ValueError(f"einstein sum subscripts string {term!r} does not fit {aval.ndim} dimensions")
        for d, n in zip(term, aval.shape):
            if sizes.setdefault(d, n) == 1:
                sizes[d] = n
            elif n not in (1, sizes[d]):
                raise ValueError(f"operands of einsum differ in the length of {d!r}: {sizes[d]} and {n}")
    return sizes


def einsum_rule(avals, params):
    terms, result = parse(params["subscripts"])
    sizes = letter_sizes(terms, avals)
    if len(set(result)) < len(result) or not set(result) <= sizes.keys():
        raise ValueError(f"einstein sum subscripts string has a bad result {result!r}")
    return Aval(tuple(sizes[d] for d in result), result_dtype(*(Aval(a.shape, a.dtype) for a in avals)))


def einsum_transpose(i, g, *operands, subscripts):
    """The sum with `g` in the place of operand `i` and the result's letters and that operand's exchanged."""
    terms, result = parse(subscripts)
    sizes = letter_sizes(terms, map(aval_of, operands))
    mine = terms[i]
    factors = [(result, g), *((t, x) for k, (t, x) in enumerate(zip(terms, operands)) if k != i)]
    fresh = (d for d in LETTERS if d not in sizes)
    seen = {d for term, x in factors for d, n in zip(term, aval_of(x).shape) if n == sizes[d]}
    for d in dict.fromkeys(mine):
        if d not in seen:  # no other factor has it, or not in full length
            factors.append((d, filled(True, Aval((sizes[d],), bool))))
    target, shape = "", aval_of(operands[i]).shape
    for d, n in zip(mine, shape):
        if n < sizes[d]:  # this operand was stretched along the axis: its cotangent is summed
            continue
        if d in target:  # a diagonal: off it the cotangent is zero
            other = next(fresh)
            factors.append((d + other, numpy.eye(sizes[d], dtype=bool)))
            d = other
        target += d
    ct = ops.einsum(*(x for _, x in factors), subscripts=f"{','.join(t for t, _ in factors)}->{target}")
    return reshape(ct, shape)


def batch_einsum(op, size, args, batched, params):
    """One letter more for the batch."""
    terms, result = parse(params["subscripts"])
    batch = next(d for d in LETTERS if d not in params["subscripts"])
    terms = (batch + t if b else t for t, b in zip(terms, batched))
    return op(*args, subscripts=f"{','.join(terms)}->{batch}{result}")


def einsum_examples():
    cases = {
        "ij,jk->ik": ((2, 3), (3, 4)),
        "ij->ji": ((2, 3),),
        "ij->": ((2, 3),),
        "ii->i": ((3, 3),),
        "ii->": ((3, 3),),
        "iij->j": ((2, 2, 3),),
        "i,j->ij": ((2,), (3,)),
        "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
        "ij,ij->": ((2, 3), (2, 3)),
        "ij,k->k": ((2, 3), (2,)),
        "ij,jk,kl->il": ((2, 3), (3, 2), (2, 4)),
        "i,i->i": ((1,), (3,)),
        "ij,kj->ik": ((1, 3), (2, 1)),
        ",i->i": ((), (3,)),
        "ij,jk->ki": ((2, 0), (0, 4)),
        "i,i->": ((2,), (3,)),
        "ij->i": ((3,),),
        "i->k": ((3,),),
    }
    for subscripts, shapes in cases.items():
        types = ALL_TYPES if len(subscripts) > 10 else ("d", "D", *["dD"] * (len(shapes) == 2))
        yield example(*shapes, types=types, subscripts=subscripts)


rules.multilinear(
    "einsum",
    kind="contraction",
    nin=-1,
    spec=einsum,
    rule=einsum_rule,
    transpose=einsum_transpose,
    batch=batch_einsum,
    examples=tuple(einsum_examples()),
)


# dot: a matrix product up to two dimensions, a sum over the last and the last but one axis beyond


def dot_rule(avals, _params):
    x, y = avals
    dtype = result_dtype(*(Aval(a.shape, a.dtype) for a in avals))
    if not (x.shape and y.shape):
        return Aval(x.shape or y.shape, dtype)
    if x.shape[-1] != y.shape[max(0, y.ndim - 2)]:
        raise ValueError(f"shapes {x.shape} and {y.shape} not aligned")
    return Aval((*x.shape[:-1], *y.shape[:-2], *(y.shape[-1:] if y.ndim > 1 else ())), dtype)


def dot_subscripts(x_ndim, y_ndim):
    """What `dot` does with more than two dimensions, for `einsum`."""
    x, y, summed = LETTERS[: x_ndim - 1], LETTERS[x_ndim : x_ndim + y_ndim - 1], LETTERS[-1]
    return f"{x}{summed},{y[:-1]}{summed}{y[-1:]}->{x}{y}"


def dot_transpose(i, matrix_rule):
    """The cotangent of operand `i`."""

    def transpose(g, x, y):
        ndims = aval_of(x).ndim, aval_of(y).ndim
        if 0 in ndims:
            return g * (y, x)[i]
        if max(ndims) <= 2:
            return matrix_rule(g, *(aval_of(v) if k == i else v for k, v in enumerate((x, y))))
        return einsum_transpose(i, g, x, y, subscripts=dot_subscripts(*ndims))

    return transpose


def batch_dot(op, size, args, batched, params):
    ndims = [aval_of(a).ndim - b for a, b in zip(args, batched)]
    if 0 in ndims:
        return batch_elementwise(ops.multiply, size, args, batched, params)
    return batch_einsum(ops.einsum, size, args, batched, {"subscripts": dot_subscripts(*ndims)})


rules.multilinear(
    "dot",
    spec=numpy.dot,
    rule=dot_rule,
    transpose=(dot_transpose(0, matmul_left), dot_transpose(1, matmul_right)),
    batch=batch_dot,
    examples=[
        example(*shapes, types=("d", "D", "dD") if k else ALL_TYPES)
        for k, shapes in enumerate(
            (
                *(((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((), (2, 3)), ((3,), ()), ((), ())),
                *(((2, 4, 3), (3,)), ((2, 3), (5, 3, 4)), ((2, 2, 3), (3, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 2))),
                *(((2,), (3,)), ((2, 3), (2, 3)), ((2,), (2, 3, 4))),
            )
        )
    ],
    **PRODUCTS,
)


# correlate


def correlate_rule(avals, params):
    a, v = avals
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError(f"object of too {'deep' if max(a.ndim, v.ndim) > 1 else 'small'} depth for desired array")
    if 0 in a.shape + v.shape:
        raise ValueError(f"{'first' if a.size == 0 else 'second'} array argument cannot be empty")
    start, stop = correlate_bounds(a.size, v.size, params["mode"])
    return Aval((stop - start,), result_dtype(*avals))


def correlate_bounds(m, n, mode):
    """Which part of the full correlation of lengths `m` and `n` a mode returns."""
    if mode == "full":
        return 0, m + n - 1
    short, long = sorted((m, n))
    if mode == "valid":
        return short - 1, long
    start = (short - 1) // 2 if m >= n else short // 2  # NumPy swaps the operands and reverses the result
    return start, start + long


def full_cotangent(g, a, v, mode):
    """The cotangent of the full correlation: zeros where the mode leaves something out."""
    m, n = aval_of(a).size, aval_of(v).size
    start, stop = correlate_bounds(m, n, mode)
    left, right = (zeros(Aval((k,), aval_of(g).dtype)) for k in (start, m + n - 1 - stop))
    return ops.concatenate(left, g, right, axis=0)


def correlate_first(g, a_aval, v, mode):
    """The convolution of `g` with ``conj(v)``."""
    return ops.correlate(full_cotangent(g, a_aval, v, mode), read(v, slice(None, None, -1)), mode="valid")


def correlate_second(g, a, v_aval, mode):
    """The correlation of `g` with `a`, conjugated because `v` enters conjugated."""
    lags = ops.correlate(full_cotangent(g, a, v_aval, mode), conj(a), mode="valid")
    return conj(read(lags, slice(None, None, -1)))


#: terms that a batch of correlations is summed from, however few elements it has
FEW_TERMS = 64


def batch_correlate(op, size, args, batched, params):
    """All elements at once: one term for each number of the shorter operand, times the shifted longer one."""
    abstract_element(op, args, batched, params)  # raises
    lengths = [aval_of(x).shape[-1] for x in args]
    start, stop = correlate_bounds(*lengths, params["mode"])
    short, long = args[0], _columns(conj(args[1]), step=-1)
    if lengths[1] <= lengths[0]:
        short, long = long, short
    n = min(lengths)
    if n > max(size, FEW_TERMS):
        return batch_by_loop(op, size, args, batched, params)
    margin = zeros(Aval((*aval_of(long).shape[:-1], n - 1), aval_of(long).dtype))
    long = ops.concatenate(margin, long, margin, axis=aval_of(long).ndim - 1)
    total = None
    for i in range(n):
        term = ops.multiply(_columns(short, i, i + 1), _columns(long, start + n - 1 - i, stop + n - 1 - i))
        total = term if total is None else ops.add(total, term)
    return total


def _columns(x, start=None, stop=None, step=None):
    """A slice of the last axis."""
    return ops.getitem(x, index=(*[Slice()] * (aval_of(x).ndim - 1), Slice(start, stop, step)))


rules.multilinear(
    "correlate",
    spec=numpy.correlate,
    rule=correlate_rule,
    transpose=(correlate_first, correlate_second),
    batch=batch_correlate,
    examples=[
        example(*shapes, types=("d", "D", "dD") if mode != "full" else ALL_TYPES, mode=mode)
        for mode in ("valid", "same", "full")
        for shapes in (
            ((5,), (3,)),
            ((5,), (2,)),
            ((2,), (5,)),
            ((3,), (4,)),
            ((4,), (4,)),
            ((0,), (2,)),
            ((2, 2), (2,)),
        )
    ],
    **PRODUCTS,
)
