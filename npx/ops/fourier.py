"""Discrete Fourier transforms along one axis, not scaled; `numpy.fft` scales, cuts and fills up around them."""

import numpy

from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.batching import batch_over_axis
from npx.dispatch.payloads import conj, ops, zeros
from npx.dispatch.rules import example, linear

REALS = tuple("fd")
COMPLEX = tuple("FD")


def transform(name, spec, transpose, examples, length=lambda aval, axis: aval.shape[axis], to_real=False):
    """Declare the op of a transform; `length` gives that of the result from the operand's `Aval` and the params."""

    def rule(avals, params):
        (aval,), axis = avals, params["axis"]
        shape = (*aval.shape[:axis], length(aval, **params), *aval.shape[axis + 1 :])
        dtype = numpy.empty(0, aval.dtype).real.dtype
        return Aval(shape, dtype if to_real else numpy.result_type(dtype, numpy.complex64))

    return linear(
        name,
        kind="fourier",
        nin=1,
        spec=spec,
        rule=rule,
        transpose=transpose,
        batch=batch_over_axis,
        examples=examples,
    )


def half(n):
    """How many coefficients of the transform of n real numbers tell all of them."""
    return n // 2 + 1


def lines(*shapes, types, **params):
    """Examples with axes of odd and even length and of length 1."""
    return [example(shape, types=types, axis=axis, **params) for shape in shapes for axis in range(len(shape))]


def fft(x, axis):
    """``numpy.fft.fft``."""
    return numpy.fft.fft(x, axis=axis)


def ifft(x, axis):
    """``numpy.fft.ifft`` without its factor 1/n."""
    return numpy.fft.ifft(x, axis=axis, norm="forward")


def rfft(x, axis):
    """``numpy.fft.rfft``."""
    return numpy.fft.rfft(x, axis=axis)


def irfft(x, axis, n):
    """``numpy.fft.irfft`` without its factor 1/n."""
    return numpy.fft.irfft(x, n, axis=axis, norm="forward")


transform(
    "fft",
    fft,
    lambda g, _, axis: ops.fft(g, axis=axis),
    lines((5,), (4,), (2, 1, 3), types=COMPLEX),
)

transform(
    "ifft",
    ifft,
    lambda g, _, axis: ops.ifft(g, axis=axis),
    lines((5,), (4,), (2, 1, 3), types=COMPLEX),
)


def rfft_transpose(g, x_aval, axis):
    """The transform of the cotangent, filled up with zeros for the coefficients that `rfft` leaves out."""
    shape = list(x_aval.shape)
    shape[axis] -= half(shape[axis])
    filled = ops.concatenate(g, zeros(Aval(tuple(shape), aval_of(g).dtype)), axis=axis)
    return ops.real(ops.fft(filled, axis=axis))


transform(
    "rfft",
    rfft,
    rfft_transpose,
    lines((5,), (4,), (2, 1, 3), types=REALS),
    length=lambda aval, axis: half(aval.shape[axis]),
)


def irfft_transpose(g, x_aval, axis, n):
    """The conjugate transform of the cotangent; coefficients that stand for two count twice."""
    count = numpy.full((half(n), *[1] * (x_aval.ndim - axis - 1)), 2, aval_of(g).dtype)
    count[0] = 1
    if n % 2 == 0:
        count[-1] = 1
    return conj(ops.rfft(g, axis=axis)) * count


transform(
    "irfft",
    irfft,
    irfft_transpose,
    [*lines((3,), types=COMPLEX, n=5), *lines((3,), types=COMPLEX, n=4), *lines((2, 2), types=COMPLEX, n=2)],
    length=lambda aval, axis, n: n,
    to_real=True,
)
