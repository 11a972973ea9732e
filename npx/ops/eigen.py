"""Eigenvalues and eigenvectors of general matrices.

LAPACK scales each eigenvector to length one and turns it until its largest element is real; the derivatives hold that.
Where eigenvalues are equal, see `npx.ops.linalg`; a matrix without a full set of eigenvectors gives NaN or infinity.
"""

import numpy

from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import conj, ops, swap_last

from .contractions import column, row
from .linalg import general, over_gaps, routine, square_examples


def distinct(shape, code):
    """Matrices with eigenvalues that lie well apart."""
    return (general(shape, code) + numpy.diag(numpy.arange(shape[-1]))).astype(code)


def total(x, axis):
    """The sum over one of the last two axes, kept."""
    n = aval_of(x).ndim
    return ops.sum(x, axis=(n + axis,), dtype=aval_of(x).dtype, keepdims=True)


def as_diagonal(v):
    """Diagonal matrices of these numbers."""
    return ops.where(numpy.eye(aval_of(v).shape[-1], dtype=bool), row(v), 0)


def largest(v):
    """True at the largest element of each column, and that element, which LAPACK makes real."""
    n = aval_of(v).ndim
    places = ops.argmax(ops.absolute(v), axis=n - 2, keepdims=True)
    mark = places == numpy.arange(aval_of(v).shape[-2])[:, None]
    return mark, ops.real(total(ops.where(mark, v, 0), -2))


def eig_vjp(g, ans, _x):
    """The transpose of `eig_jvp`."""
    g_w, g_v = g
    w, v = ans
    inner = 0 if g_w is None else as_diagonal(g_w)
    if g_v is not None:
        along = total(g_v * v, -2)
        mark, size = largest(v)
        g_v = g_v - ops.real(along) * conj(v) - ops.where(mark, 1j * ops.imag(along) / size, 0)
        inner = inner + over_gaps(swap_last(v) @ g_v, w)
    return ops.solve(swap_last(v), inner @ swap_last(v))


def eig_jvp(tangents, ans, args, params):
    """``A v = w v`` differentiated; then each change of a vector is freed of what would change its length and turn."""
    w, v = ans
    inner = ops.solve(v, tangents[0] @ v)
    change = v @ over_gaps(inner, w)
    mark, size = largest(v)
    longer = ops.real(total(conj(v) * change, -2))
    turned = ops.imag(total(ops.where(mark, change, 0), -2)) / size
    n = aval_of(v).ndim
    return ops.diagonal(inner, offset=0, axis1=n - 2, axis2=n - 1), change - v * (longer + 1j * turned)


routine("eig", lambda: square_examples(distinct), vjp=(eig_vjp,), jvp=eig_jvp)


def eigvals_vjp(g, _ans, x):
    _, v = ops.eig(x)
    return ops.solve(swap_last(v), column(g) * swap_last(v))


def eigvals_jvp(tangents, ans, args, params):
    _, v = ops.eig(args[0])
    inner, n = ops.solve(v, tangents[0] @ v), aval_of(v).ndim
    return ops.diagonal(inner, offset=0, axis1=n - 2, axis2=n - 1)


routine("eigvals", lambda: square_examples(distinct), vjp=(eigvals_vjp,), jvp=eigvals_jvp)
