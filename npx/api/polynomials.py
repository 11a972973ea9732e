"""Polynomials of payloads that NumPy cannot take: roots, and the region around complex points."""

import numpy

from npx import numpy_layer
from npx.api.support import as_array, cast, concatenated, edit, python_function
from npx.array.ndarray import payload, wrap


@python_function("numpy.lib._polynomial_impl", "roots", on_host=False)
def roots(p):
    """`numpy.roots`; the roots at 0, which NumPy counts instead of computing, move with the last coefficients."""
    p = numpy_layer.bind("numpy", "atleast_1d")(as_array(p))
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    counts = p != 0
    if not counts.any():
        return wrap(numpy.array([]))
    if p.dtype.kind not in "fc":
        p = p.astype(float)
    first, zeros = int(counts.argmax()), int(counts[::-1].argmax())
    found = nonzero_roots(p[first : p.size - zeros])
    if not zeros:
        return found
    at_zero = payload(root_at_zero(p, zeros))
    return wrap(concatenated([cast(payload(found), found.dtype), *[cast(at_zero, found.dtype)] * zeros], 0))


def nonzero_roots(p):
    """The eigenvalues of the companion matrix."""
    n = p.size - 1
    if n == 0:
        return wrap(numpy.array([]))
    companion = wrap(numpy.diag(numpy.ones(n - 1, p.dtype), -1))
    companion[0, :] = -p[1:] / p[0]
    return numpy_layer.bind("numpy.linalg", "eigvals")(companion)


def root_at_zero(p, times):
    """A root of value 0, an array of one element, with the derivative of the root: infinite for a multiple one."""
    ratio = -p[-1:] / p[-1 - times]
    if times > 1:
        return ratio ** (1 / times)
    value, slope = p[:1], p[:1] * 0  # one step of Newton's method, for derivatives up to the third
    for coefficient in [p[k : k + 1] for k in range(1, p.size)]:
        slope = slope * ratio + value
        value = value * ratio + coefficient
    return ratio - value / slope + 0.0  # no negative zero


def rectangle(x):
    """Two corners of the region around complex points; NumPy makes Python numbers of them."""
    low, high = (getattr(x.real, side)() + 1j * getattr(x.imag, side)() for side in ("min", "max"))
    return numpy_layer.bind("numpy", "array")((low, high))


edit(
    "numpy.polynomial.polyutils",
    "if x.dtype.char in np.typecodes['Complex']",
    "if x.dtype.kind == 'c':\n    return {}(x)\nreturn np.array((x.min(), x.max()))",
    rectangle,
)
