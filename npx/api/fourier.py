"""Fourier transforms of payloads that NumPy cannot take; `numpy.fft` is otherwise NumPy's own Python code."""

import numpy

from npx.api.support import array_operand, axis_index, cast, concatenated, deliver, python_function, taken
from npx.dispatch.abstract import Aval, Slice
from npx.dispatch.payloads import ops, zeros


@python_function("numpy.fft._pocketfft", "_raw_fft", on_host=False)
def raw_fft(a, n, axis, is_real, is_forward, norm, out=None):
    """What every function of `numpy.fft` comes to: one transform of length `n` along one axis, scaled."""
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    x = array_operand(a)
    axis = axis_index(axis, len(x.shape))
    real_dtype = numpy.result_type(numpy.empty(0, x.dtype).real.dtype, 1.0)
    x = cast(x, real_dtype if is_real and is_forward else numpy.result_type(real_dtype, numpy.complex64))
    if is_real:
        transform = ops.rfft if is_forward else ops.irfft
    else:
        transform = ops.fft if is_forward else ops.ifft
    from_half = is_real and not is_forward
    x = of_length(x, n // 2 + 1 if from_half else n, axis)
    result = transform(x, axis=axis, **({"n": n} if from_half else {}))
    factor = scale(n, is_forward, norm)
    return deliver(result if factor == 1 else result * real_dtype.type(factor), out)


def of_length(x, n, axis):
    """A payload whose axis is cut, or filled up with zeros, to length `n`."""
    shape = list(x.shape)
    if shape[axis] >= n:
        cut = [Slice()] * len(shape)
        cut[axis] = Slice(None, n, None)
        return x if shape[axis] == n else taken(x, cut)
    shape[axis] = n - shape[axis]
    return concatenated([x, zeros(Aval(tuple(shape), x.dtype))], axis)


def scale(n, is_forward, norm):
    """The factor that a `norm` puts before a transform of length `n`.

    Raises
    ------
    ValueError
        There is no such norm.
    """
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    if norm == "ortho":
        return 1 / numpy.sqrt(n)
    return 1 / n if is_forward == (norm == "forward") else 1
