"""Linear algebra: the LAPACK routines that `numpy.linalg` is written with, under NumPy's names for them.

Suffixes say which triangle of a Hermitian matrix a routine reads, ``_lo`` or ``_up``; the other one has no influence on
the result and therefore a zero derivative. Where a matrix is singular, derivatives that do not exist come out as NaN or
infinity. So do those of vectors that belong to equal eigenvalues or singular values, if something depends on them: of
the values alone there are derivatives.
"""

import numpy
from numpy.linalg import _umath_linalg

from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import conj, ops, reshape, swap_last, zeros
from npx.dispatch.rules import example, primitive

from .contractions import column, row
from .gufuncs import batch_gufunc, gufunc_rule
from .indexing import read

TYPES = tuple("fdFD")


def routine(name, examples, **facts):
    """Declare the op of a routine; `examples` is a function, `facts` are derivatives or the reason for having none."""
    gufunc = getattr(_umath_linalg, name)
    return primitive(
        name,
        kind="linalg",
        nin=gufunc.nin,
        nout=gufunc.nout,
        spec=gufunc,
        rule=gufunc_rule(gufunc),
        batch=batch_gufunc,
        examples=examples,
        **facts,
    )


def adjoint(x):
    """The conjugate transpose of each matrix."""
    return conj(swap_last(x))


def scalar(v):
    """Numbers as matrices of one element."""
    return reshape(v, (*aval_of(v).shape, 1, 1))


def trace(x):
    """The sum of the diagonal of each matrix."""
    n = aval_of(x).ndim
    diagonal = ops.diagonal(x, offset=0, axis1=n - 2, axis2=n - 1)
    return ops.sum(diagonal, axis=(n - 2,), dtype=aval_of(x).dtype, keepdims=False)


# ---------------------------------------------------------------------------------------------------------- examples


def general(shape, code):
    """Well conditioned matrices without symmetry."""
    n = int(numpy.prod(shape))
    x = numpy.cos(numpy.arange(n)) + (0.5j * numpy.sin(numpy.arange(n)) if code in "FD" else 0)
    return (x.reshape(shape) + 2 * numpy.eye(shape[-1])).astype(code)


def positive(shape, code):
    """Positive definite matrices."""
    x = general(shape, "D" if code in "FD" else "d")
    return (x @ x.conj().swapaxes(-1, -2)).astype(code)


def square_examples(make):
    yield from (example(make((3, 3), code), types=code) for code in TYPES)
    yield from (example(make(shape, code), types=code) for shape in ((2, 1, 2, 2), (1, 1)) for code in "dD")
    yield example(numpy.zeros((0, 3, 3)), types="d")


def vector_examples(make):
    """Without complex double precision: there tests take differences, and LAPACK's choice of phases has none."""
    yield from (e for e in square_examples(make) if "D" not in e.types)


# ----------------------------------------------------------------------------------------- systems and determinants


routine(
    "inv",
    lambda: square_examples(general),
    vjp=(lambda g, ans, _x: -(swap_last(ans) @ g @ swap_last(ans)),),
    jvp=lambda tangents, ans, args, params: -(ans @ tangents[0] @ ans),
)


def _solve_jvp(solve, product):
    """``A x = b`` differentiated: ``A dx = db - dA x``; the ops that solve and multiply are given by name."""

    def jvp(tangents, ans, args, params):
        ta, tb = tangents
        change = tb if ta is None else -getattr(ops, product)(ta, ans)
        if ta is not None and tb is not None:
            change = tb + change
        return getattr(ops, solve)(args[0], change)

    return jvp


routine(
    "solve",
    lambda: (
        *(example(general((3, 3), code), (3, 2), types=code) for code in TYPES),
        example(general((2, 2), "d"), (4, 2, 1), types="dD"),
        example(general((4, 2, 2), "D"), (2, 3), types="D"),
    ),
    vjp=(
        lambda g, ans, a, _b: -(ops.solve(swap_last(a), g) @ swap_last(ans)),
        lambda g, _ans, a, _b: ops.solve(swap_last(a), g),
    ),
    jvp=_solve_jvp("solve", "matmul"),
)

routine(
    "solve1",
    lambda: (
        *(example(general((3, 3), code), (3,), types=code) for code in TYPES),
        example(general((4, 2, 2), "d"), (2,), types="d"),
        example(general((2, 2), "d"), (4, 2), types="d"),
    ),
    vjp=(
        lambda g, ans, a, _b: -(column(ops.solve1(swap_last(a), g)) * row(ans)),
        lambda g, _ans, a, _b: ops.solve1(swap_last(a), g),
    ),
    jvp=_solve_jvp("solve1", "matvec"),
)


def cofactors(x):
    """The derivative of the determinant of each matrix: ``det(x) * inv(x).T``, also where there is no inverse."""
    with numpy.errstate(all="ignore"):
        det = _umath_linalg.det(x)
        result = det[..., None, None] * _umath_linalg.inv(x).swapaxes(-1, -2)
    singular = det == 0
    if singular.any():
        result[singular] = _singular_cofactors(x[singular])
    return result


def _singular_cofactors(x):
    """By the singular values, each of which leaves the product of the others."""
    u, s, vh = numpy.linalg.svd(x)
    others = numpy.where(numpy.eye(s.shape[-1], dtype=bool), 1, s[:, None, :]).prod(-1)
    scale = numpy.linalg.det(u) * numpy.linalg.det(vh)
    return ((u.conj() * (scale[:, None] * others)[:, None, :]) @ vh.conj()).astype(x.dtype)


def _cofactors_vjp(g, ans, x):
    """Where there is an inverse; else it is NaN."""
    det = scalar(ops.det(x))
    along = ops.sum(g * ans, axis=(aval_of(x).ndim - 2, aval_of(x).ndim - 1), dtype=aval_of(x).dtype, keepdims=True)
    return (along * ans - ans @ swap_last(g) @ ans) / det


primitive(
    "cofactors",
    kind="linalg",
    nin=1,
    spec=cofactors,
    rule=lambda avals, params: avals[0],
    batch=lambda op, size, args, batched, params: op(*args),
    examples=lambda: square_examples(general),
    vjp=(_cofactors_vjp,),
)


def _det_jvp(tangents, ans, args, params):
    (x,), (t,) = args, tangents
    axes = (aval_of(x).ndim - 2, aval_of(x).ndim - 1)
    return ops.sum(ops.cofactors(x) * t, axis=axes, dtype=aval_of(x).dtype, keepdims=False)


routine(
    "det",
    lambda: square_examples(general),
    vjp=(lambda g, _ans, x: scalar(g) * ops.cofactors(x),),
    jvp=_det_jvp,
)


def _slogdet_vjp(g, ans, x):
    """``log(det)`` has the derivative ``inv(x).T``; its real part is logdet, its imaginary part turns the sign."""
    g_sign, g_log = g
    weight = 0.0 if g_log is None else g_log
    if g_sign is not None and aval_of(x).dtype.kind == "c":
        weight = weight + 1j * ops.imag(g_sign * ans[0])
    return scalar(weight) * swap_last(ops.inv(x))


def _slogdet_jvp(tangents, ans, args, params):
    change = trace(ops.solve(args[0], tangents[0]))
    if aval_of(change).dtype.kind != "c":
        return None, change
    return ans[0] * (1j * ops.imag(change)), ops.real(change)


routine("slogdet", lambda: square_examples(general), vjp=(_slogdet_vjp,), jvp=_slogdet_jvp)


# ------------------------------------------------------------------------------------------------ Hermitian matrices


def _masked(x, mask):
    return ops.where(mask, x, 0)


def _strict_triangle(x, lower):
    n = aval_of(x).shape[-1]
    mask = numpy.tri(n, k=-1, dtype=bool)
    return _masked(x, mask if lower else mask.T)


def _real_diagonal(x):
    return _masked(ops.real(x), numpy.eye(aval_of(x).shape[-1], dtype=bool))


def hermitian(x, lower):
    """The Hermitian matrix that LAPACK takes a triangle of `x` for."""
    triangle = _strict_triangle(x, lower)
    return triangle + adjoint(triangle) + _real_diagonal(x)


def to_triangle(g, lower):
    """The transpose of `hermitian`."""
    return _strict_triangle(g + adjoint(g), lower) + _real_diagonal(g)


def _half(x):
    """The lower triangle, half of the diagonal."""
    return _strict_triangle(x, True) + 0.5 * _real_diagonal(x)


def _cholesky_vjp(g, factor):
    """The cotangent of the Hermitian matrix whose lower factor is `factor`."""
    left = ops.solve(swap_last(factor), _half(swap_last(factor) @ g))
    return swap_last(ops.solve(adjoint(factor), swap_last(left)))


def _cholesky_jvp(change, factor):
    """The change of the lower factor with the Hermitian matrix."""
    left = ops.solve(factor, change)
    return factor @ _half(adjoint(ops.solve(factor, adjoint(left))))


routine(
    "cholesky_lo",
    lambda: square_examples(positive),
    vjp=(lambda g, ans, _x: to_triangle(_cholesky_vjp(g, ans), True),),
    jvp=lambda tangents, ans, args, params: _cholesky_jvp(hermitian(tangents[0], True), ans),
)

routine(
    "cholesky_up",
    lambda: square_examples(positive),
    vjp=(lambda g, ans, _x: to_triangle(_cholesky_vjp(adjoint(g), adjoint(ans)), False),),
    jvp=lambda tangents, ans, args, params: adjoint(_cholesky_jvp(hermitian(tangents[0], False), adjoint(ans))),
)


def quotient(x, y):
    """``x / y``, and 0 for 0 / 0: what nothing asks for has no derivative to be infinite."""
    neither = (x == 0) & (y == 0)
    return _masked(x / ops.where(neither, 1, y), ~neither)


def over_gaps(x, w):
    """``x[i, j] / (w[j] - w[i])``, zero on the diagonal, and for equal eigenvalues where x is zero."""
    diagonal = numpy.eye(aval_of(w).shape[-1], dtype=bool)
    return _masked(quotient(_masked(x, ~diagonal), row(w) - column(w)), ~diagonal)


def _eigh_vjp(lower):
    def vjp(g, ans, _x):
        g_w, g_v = g
        w, v = ans
        inner = 0
        if g_v is not None:
            turn = swap_last(v) @ g_v  # its Hermitian part would cancel; without it, nothing is divided by equal gaps
            inner = over_gaps(0.5 * (turn - adjoint(turn)), w)
        if g_w is not None:
            inner = inner + _masked(column(g_w), numpy.eye(aval_of(w).shape[-1], dtype=bool))
        return to_triangle(conj(v) @ inner @ swap_last(v), lower)

    return vjp


def _eigh_jvp(lower):
    def jvp(tangents, ans, args, params):
        w, v = ans
        inner = adjoint(v) @ hermitian(tangents[0], lower) @ v
        n = aval_of(inner).ndim
        return ops.real(ops.diagonal(inner, offset=0, axis1=n - 2, axis2=n - 1)), v @ over_gaps(inner, w)

    return jvp


def _eigvalsh_vjp(name, lower):
    def vjp(g, _ans, x):
        _, v = getattr(ops, name)(x)
        return to_triangle((conj(v) * row(g)) @ swap_last(v), lower)

    return vjp


def _eigvalsh_jvp(name, lower):
    def jvp(tangents, ans, args, params):
        _, v = getattr(ops, name)(args[0])
        change = conj(v) * (hermitian(tangents[0], lower) @ v)
        return ops.real(ops.sum(change, axis=(aval_of(v).ndim - 2,), dtype=aval_of(v).dtype, keepdims=False))

    return jvp


for triangle in ("lo", "up"):
    is_lower, both = triangle == "lo", f"eigh_{triangle}"
    routine(both, lambda: vector_examples(positive), vjp=(_eigh_vjp(is_lower),), jvp=_eigh_jvp(is_lower))
    routine(
        f"eigvalsh_{triangle}",
        lambda: square_examples(positive),
        vjp=(_eigvalsh_vjp(both, is_lower),),
        jvp=_eigvalsh_jvp(both, is_lower),
    )


# -------------------------------------------------------------------------------------------------- singular values


def _svd_vjp(g, _ans, x):
    u, _, vh = ops.svd_s(x)
    return (conj(u) * row(g)) @ conj(vh)


def _svd_jvp(tangents, ans, args, params):
    u, _, vh = ops.svd_s(args[0])
    change = conj(u) * (tangents[0] @ adjoint(vh))
    return ops.real(ops.sum(change, axis=(aval_of(u).ndim - 2,), dtype=aval_of(u).dtype, keepdims=False))


def _diagonal_matrix(v):
    return _masked(row(v), numpy.eye(aval_of(v).shape[-1], dtype=bool))


def _phases(inner, s):
    """The turn of each left singular vector; the right one of the pair is taken to keep its phase."""
    if aval_of(inner).dtype.kind != "c":
        return 0
    return quotient(_masked(1j * ops.imag(inner), numpy.eye(aval_of(s).shape[-1], dtype=bool)), row(s))


def _svd_vectors_vjp(g, ans, x_aval):
    """The transpose of `_svd_vectors_jvp`; the cotangents are conjugated on the way in and out."""
    u, s, vh = ans
    g_u, g_s, g_vh = (zeros(aval_of(a)) if part is None else conj(part) for part, a in zip(g, ans))
    left, right = adjoint(u) @ g_u, vh @ adjoint(g_vh)
    inner = over_gaps(left - adjoint(left), s * s) * row(s) + column(s) * over_gaps(right - adjoint(right), s * s)
    inner = inner + _diagonal_matrix(g_s) + _phases(left, s)
    rows, columns = x_aval.shape[-2:]
    rest = quotient(g_vh - adjoint(right) @ vh, column(s)) if columns > rows else 0
    change = u @ (inner @ vh + rest)
    if rows > columns:
        change = change + quotient(g_u - u @ left, row(s)) @ vh
    return conj(change)


def _svd_vectors_jvp(tangents, ans, args, params):
    u, s, vh = ans
    (change,) = tangents
    inner, n = adjoint(u) @ change @ adjoint(vh), aval_of(u).ndim
    t_u = u @ (over_gaps(inner * row(s) + column(s) * adjoint(inner), s * s) + _phases(inner, s))
    t_v = adjoint(vh) @ over_gaps(column(s) * inner + adjoint(inner) * row(s), s * s)
    rows, columns = aval_of(change).shape[-2:]
    if rows > columns:
        t_u = t_u + quotient(change @ adjoint(vh) - u @ inner, row(s))
    if columns > rows:
        t_v = t_v + quotient(adjoint(change) @ u - adjoint(vh) @ adjoint(inner), row(s))
    return t_u, ops.real(ops.diagonal(inner, offset=0, axis1=n - 2, axis2=n - 1)), adjoint(t_v)


# Of a matrix that is not square, further columns complete the basis of U or V. Any basis of that space would do, so
# they have no derivative of their own; the one here is that of the basis which turns as little as possible. By it
# results that do not depend on the choice, such as a projection on the null space, have the right derivatives.


def _split(v, k):
    """The first `k` columns of each matrix, and the others."""
    return read(v, (Ellipsis, slice(None, k))), read(v, (Ellipsis, slice(k, None)))


def _with_rest(t, v, rest):
    """The tangents of all columns from those of the first ones, `v`."""
    return ops.concatenate(t, -v @ adjoint(adjoint(rest) @ t), axis=aval_of(t).ndim - 1)


def _without_rest(g, v, rest):
    """The transpose of `_with_rest`."""
    g, g_rest = _split(g, aval_of(v).shape[-1])
    return g - rest @ (adjoint(g_rest) @ v)


def _reduced(ans):
    """U, S and V of the reduced factorization, and the columns that complete U and V."""
    u, s, vh = ans
    k = aval_of(s).shape[-1]
    (u, more_u), (v, more_v) = _split(u, k), _split(adjoint(vh), k)
    return u, s, v, more_u, more_v


def _svd_full_vjp(g, ans, x_aval):
    u, s, v, more_u, more_v = _reduced(ans)
    g_u, g_s, g_vh = (zeros(aval_of(a)) if part is None else part for part, a in zip(g, ans))
    g_u = conj(_without_rest(conj(g_u), u, more_u))
    g_v = _without_rest(swap_last(g_vh), v, more_v)
    return _svd_vectors_vjp((g_u, g_s, swap_last(g_v)), (u, s, adjoint(v)), x_aval)


def _svd_full_jvp(tangents, ans, args, params):
    u, s, v, more_u, more_v = _reduced(ans)
    t_u, t_s, t_vh = _svd_vectors_jvp(tangents, (u, s, adjoint(v)), args, params)
    return _with_rest(t_u, u, more_u), t_s, adjoint(_with_rest(adjoint(t_vh), v, more_v))


def _shape_examples(*codes):
    for rows, columns in ((3, 2), (2, 3), (3, 3)):
        yield from (example(general((3, 3), code)[:rows, :columns], types=code) for code in codes)
    yield example(general((2, 3, 3), "d")[:, :2], types="d")


routine("svd", lambda: _shape_examples(*TYPES), vjp=(_svd_vjp,), jvp=_svd_jvp)
routine("svd_s", lambda: _shape_examples(*"fdF"), vjp=(_svd_vectors_vjp,), jvp=_svd_vectors_jvp)
routine("svd_f", lambda: vector_examples(general), vjp=(_svd_full_vjp,), jvp=_svd_full_jvp)
