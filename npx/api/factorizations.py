"""Matrix factorizations of payloads that NumPy cannot take, where NumPy's Python code works on raw LAPACK results."""

import numpy

from npx.api.support import array_operand, cast, concatenated, python_function, taken
from npx.array.ndarray import wrap
from npx.dispatch.abstract import Aval, Slice
from npx.dispatch.payloads import conj, ops, swap_last, zeros
from npx.routing import through_host

MODES = {"f": "reduced", "full": "reduced", "e": "economic"}


@python_function("numpy.linalg._linalg", "qr", on_host=False)
def qr(a, mode="reduced"):
    """`numpy.linalg.qr`; modes that return LAPACK's own packed form go through the host."""
    mode = MODES.get(mode, mode)
    x = array_operand(a)
    numpy.linalg.qr(numpy.empty(tuple(min(n, 1) for n in x.shape)), mode="reduced")  # complains of too few dimensions
    if mode not in ("reduced", "complete", "r", "raw", "economic"):
        raise ValueError(f"Unrecognized mode '{mode}'")
    m, n = x.shape[-2:]
    if mode in ("raw", "economic"):
        return through_host(numpy.linalg.qr, (a, mode), {})
    kept = numpy.result_type(x.dtype, numpy.float32) if x.dtype.kind in "fc" else numpy.dtype(float)
    q, r = completed(cast(x, kept), m, n) if mode == "complete" and m > n else factors(cast(x, kept), m, n)
    return wrap(r) if mode == "r" else numpy.linalg._linalg.QRResult(wrap(q), wrap(r))


def factors(x, m, n):
    """q and r; of a matrix with more columns than rows, those of its first columns tell the others."""
    if m >= n:
        return ops.qr(x)
    leading = [Slice()] * (len(x.shape) - 1)
    q, r = ops.qr(taken(x, (*leading, Slice(None, m, None))))
    rest = ops.matmul(conj(swap_last(q)), taken(x, (*leading, Slice(m, None, None))))
    return q, concatenated([r, rest], len(x.shape) - 1)


def completed(x, m, n):
    """A square q, and r with rows of zeros."""
    q, r = ops.qr_complete(x)
    empty = zeros(Aval((*r.shape[:-2], m - n, n), r.dtype))
    return q, concatenated([r, empty], len(x.shape) - 2)
