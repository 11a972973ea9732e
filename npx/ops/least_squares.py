"""QR factorization and least squares.

Sources: the derivative of a pseudoinverse of constant rank is Golub and Pereyra's (SIAM J. Numer. Anal. 10, 1973).
"""

import numpy
from numpy.linalg import _umath_linalg

from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.payloads import conj, ops, swap_last, zeros
from npx.dispatch.rules import example, primitive

from .contractions import row
from .gufuncs import batch_gufunc, gufunc_rule
from .indexing import read
from .linalg import TYPES, adjoint, general

# --------------------------------------------------------------------------------------------------------------- QR


def qr(x):
    """``numpy.linalg.qr`` of matrices with at least as many rows as columns."""
    return tuple(numpy.linalg.qr(x))


def qr_rule(avals, _params):
    (x,) = avals
    m, n = x.shape[-2:]
    if m < n:
        raise ValueError("the op qr takes matrices with at least as many rows as columns")
    return Aval(x.shape, x.dtype), Aval((*x.shape[:-2], n, n), x.dtype)


def below_diagonal(x):
    """The matrix without its diagonal and what is above it."""
    return ops.where(numpy.tri(*aval_of(x).shape[-2:], k=-1, dtype=bool), x, 0)


def turn(x):
    """The antihermitian matrix with the lower triangle of `x` and the imaginary part of its diagonal."""
    lower = below_diagonal(x)
    whole = lower - adjoint(lower)
    if aval_of(x).dtype.kind != "c":
        return whole
    return whole + ops.where(numpy.eye(aval_of(x).shape[-1], dtype=bool), 1j * ops.imag(x), 0)


def over(x, r):
    """``x @ inv(r)``."""
    return swap_last(ops.solve(swap_last(r), swap_last(x)))


def qr_jvp(tangents, ans, args, params):
    q, r = ans
    change = over(tangents[0], r)
    inner = adjoint(q) @ change
    rotation = turn(inner)
    return q @ (rotation - inner) + change, (inner - rotation) @ r


def qr_vjp(g, ans, _x):
    """The transpose of `qr_jvp`; the cotangents are conjugated on the way in and out."""
    q, r = ans
    g_q, g_r = (zeros(aval_of(a)) if part is None else conj(part) for part, a in zip(g, ans))
    inner = adjoint(q) @ g_q - g_r @ adjoint(r)  # the cotangent of the rotation
    lower = below_diagonal(inner - adjoint(inner))
    if aval_of(q).dtype.kind == "c":
        lower = lower + ops.where(numpy.eye(aval_of(r).shape[-1], dtype=bool), 1j * ops.imag(inner), 0)
    change = g_q + q @ (lower - inner)
    return conj(swap_last(ops.solve(conj(r), swap_last(change))))


def tall():
    """Matrices of full column rank."""
    for m, n in ((3, 2), (3, 3), (2, 1)):
        yield from (example(general((3, 3), code)[:m, :n], types=code) for code in TYPES)
    yield example(general((2, 3, 3), "d")[:, :, :2], types="d")


def batch_first(op, size, args, batched, params):
    """Every leading axis of a stack of matrices is a batch axis."""
    return op(*args, **params)


primitive(
    "qr",
    kind="linalg",
    nin=1,
    nout=2,
    spec=qr,
    rule=qr_rule,
    batch=batch_first,
    examples=tall,
    vjp=(qr_vjp,),
    jvp=qr_jvp,
)


# LAPACK makes the whole unitary matrix of a QR factorization of elementary reflectors, whose product is
# ``I + W inv(W1).H B.H`` with ``W = q - I[:, :n]``, of which W1 are the first n rows and B the others. So the columns
# that complete the basis are a function of the others: ``I[:, n:] + W (B inv(W1)).H``.


def qr_complete(x):
    """``numpy.linalg.qr`` of matrices with more rows than columns: q is square, r without its rows of zeros."""
    q, r = numpy.linalg.qr(x, mode="complete")
    return q, r[..., : x.shape[-1], :]


def qr_complete_rule(avals, params):
    (x,) = avals
    _, r = qr_rule(avals, params)
    return Aval((*x.shape[:-1], x.shape[-2]), x.dtype), r


def last_two(x, rows, columns):
    """A block of each matrix."""
    return read(x, (Ellipsis, rows, columns))


def reflector_parts(q, n):
    """What the columns that complete the basis depend on: W, W1 and ``B inv(W1)``."""
    m = aval_of(q).shape[-1]
    w = last_two(q, slice(None), slice(n)) - numpy.eye(m, n, dtype=aval_of(q).dtype)
    top = last_two(w, slice(n), slice(None))
    return w, top, over(last_two(w, slice(n, None), slice(None)), top)


def qr_complete_jvp(tangents, ans, args, params):
    q, r = ans
    n = aval_of(r).shape[-1]
    first, rest = slice(n), slice(n, None)
    t_q, t_r = qr_jvp(tangents, (last_two(q, slice(None), first), r), args, params)
    w, top, ratio = reflector_parts(q, n)
    t_ratio = over(last_two(t_q, rest, slice(None)) - ratio @ last_two(t_q, first, slice(None)), top)
    return ops.concatenate(t_q, t_q @ adjoint(ratio) + w @ adjoint(t_ratio), axis=aval_of(q).ndim - 1), t_r


def qr_complete_vjp(g, ans, x):
    """The transpose of `qr_complete_jvp`: what comes to the completing columns goes on to the others."""
    q, r = ans
    n = aval_of(r).shape[-1]
    g_q, g_r = g
    if g_q is not None:
        g_q = conj(g_q)
        g_rest = last_two(g_q, slice(None), slice(n, None))
        w, top, ratio = reflector_parts(q, n)
        g_ratio = over(adjoint(g_rest) @ w, adjoint(top))
        g_w = ops.concatenate(-adjoint(ratio) @ g_ratio, g_ratio, axis=aval_of(q).ndim - 2)
        g_q = conj(last_two(g_q, slice(None), slice(n)) + g_rest @ ratio + g_w)
    return qr_vjp((g_q, g_r), (last_two(q, slice(None), slice(n)), r), x)


primitive(
    "qr_complete",
    kind="linalg",
    nin=1,
    nout=2,
    spec=qr_complete,
    rule=qr_complete_rule,
    batch=batch_first,
    examples=lambda: (
        *(example(general((4, 4), code)[:, :n], types=code) for code in TYPES for n in (1, 2)),
        example(general((2, 3, 3), "d")[:, :, :2], types="d"),
    ),
    vjp=(qr_complete_vjp,),
    jvp=qr_complete_jvp,
)


# ----------------------------------------------------------------------------------------------------- least squares


def pseudoinverse(a, rank, s_aval):
    """The pseudoinverse of matrices whose numbers of singular values that count are known."""
    u, s, vh = ops.svd_s(a)
    counts = numpy.arange(s_aval.shape[-1]) < ops.reshape(rank, shape=(*aval_of(rank).shape, 1))
    inverse = ops.where(counts, 1 / ops.where(counts, s, 1), 0)
    return adjoint(vh) @ (swap_last(row(inverse)) * adjoint(u))


def lstsq_jvp(tangents, ans, args, params):
    """Golub and Pereyra's derivative of the pseudoinverse, applied to the right-hand side, for a constant rank."""
    t_a, t_b, _ = tangents
    a, b, _ = args
    x, _, rank, s = ans
    t_a = zeros(aval_of(a)) if t_a is None else t_a
    t_b = zeros(aval_of(b)) if t_b is None else t_b
    inverse, rest = pseudoinverse(a, rank, aval_of(s)), b - a @ x
    dual = adjoint(inverse) @ x
    free = adjoint(t_a) @ dual
    t_x = inverse @ (t_b - t_a @ x) + inverse @ (adjoint(inverse) @ (adjoint(t_a) @ rest)) + free - inverse @ (a @ free)
    t_rest = ops.real(conj(rest) * (t_b - t_a @ x))
    t_residuals = 2 * ops.sum(t_rest, axis=(aval_of(rest).ndim - 2,), dtype=aval_of(t_rest).dtype, keepdims=False)
    u, _, vh = ops.svd_s(a)
    turned = ops.real(conj(u) * (t_a @ adjoint(vh)))
    t_s = ops.sum(turned, axis=(aval_of(u).ndim - 2,), dtype=aval_of(turned).dtype, keepdims=False)
    return t_x, t_residuals, None, t_s


def lstsq_vjp_matrix(g, ans, a, b, _rcond):
    """The transpose of `lstsq_jvp` for the matrix; the cotangents are conjugated on the way in and out."""
    x, _, rank, s = ans
    g_x, g_residuals, _, g_s = (None if part is None else conj(part) for part in g)
    rest, change = b - a @ x, 0
    if g_x is not None:
        inverse = pseudoinverse(a, rank, aval_of(s))
        back = adjoint(inverse) @ g_x
        change = rest @ adjoint(inverse @ back) - back @ adjoint(x)
        change = change + (adjoint(inverse) @ x) @ adjoint(g_x - inverse @ (a @ g_x))
    if g_residuals is not None:
        change = change - 2 * (rest * row(g_residuals)) @ adjoint(x)
    if g_s is not None:
        u, _, vh = ops.svd_s(a)
        change = change + (u * row(g_s)) @ vh
    return conj(change)


def lstsq_vjp_right(g, ans, a, b, _rcond):
    """The transpose of `lstsq_jvp` for the right-hand side."""
    x, _, rank, s = ans
    g_x, g_residuals, _, _ = (None if part is None else conj(part) for part in g)
    change = 0
    if g_x is not None:
        change = adjoint(pseudoinverse(a, rank, aval_of(s))) @ g_x
    if g_residuals is not None:
        change = change + 2 * (b - a @ x) * row(g_residuals)
    return None if g_x is None and g_residuals is None else conj(change)


def lstsq_examples():
    """Systems with more equations than unknowns, of full rank: only there the residuals are defined."""
    for code in TYPES:
        yield example(general((4, 4), code)[:, :2], (4, 3), numpy.array(1e-4), types=(code, code, code.lower()))
    yield example(general((2, 4, 4), "d")[:, :, :2], (4, 1), numpy.array(1e-4), types="d")


primitive(
    "lstsq",
    kind="linalg",
    nin=3,
    nout=4,
    spec=_umath_linalg.lstsq,
    rule=gufunc_rule(_umath_linalg.lstsq),
    batch=batch_gufunc,
    examples=lstsq_examples,
    vjp=(lstsq_vjp_matrix, lstsq_vjp_right, None),
    jvp=lstsq_jvp,
)
