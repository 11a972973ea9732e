"""The functions whose rule in the array API standard differs from NumPy's."""

import dataclasses

import numpy

import npx
from npx.array.standard import floor_divide as _floor_divide


# ------------------------------------------------------------------------------------------------------ elementwise
def floor_divide(x1, x2, /):
    """Floor division; with an infinite operand ``floor(x1 / x2)``, where NumPy follows Python and gives NaN or -1."""
    return _floor_divide(x1, x2)


def clip(x, /, min=None, max=None):
    """Clamp each element to the interval from `min` to `max`; NumPy calls these ``a_min`` and ``a_max``."""
    return npx.clip(x, min, max)


def expm1(x, /):
    """``exp(x) - 1``; for complex numbers with an infinite or NaN real part by the rules of `exp`."""
    if x.dtype.kind != "c":
        return npx.expm1(x)
    finite = npx.isfinite(npx.real(x))
    near = npx.expm1(npx.where(finite, x, 0))
    far = npx.exp(npx.where(finite, 0, x))
    real = npx.where(finite, near.real + 0.0, far.real - 1)  # adding 0 makes -0 to +0
    return _complex(real, npx.where(finite, near.imag, far.imag), x)


def tanh(x, /):
    """Hyperbolic tangent; for complex numbers the limits at infinity and on the imaginary axis are the standard's."""
    if x.dtype.kind != "c":
        return npx.tanh(x)
    a, b = npx.real(x), npx.imag(x)
    at_infinity, on_axis = npx.isinf(a), (a == 0) & ~npx.isfinite(b)
    inside = npx.tanh(npx.where(at_infinity | on_axis, 0, x))
    real = npx.where(at_infinity, npx.sign(a), npx.where(on_axis, a, inside.real))
    imag = npx.where(at_infinity, npx.copysign(0, b), npx.where(on_axis, npx.nan, inside.imag))
    return _complex(real, imag, x)


def _complex(real, imag, like):
    """A complex array of its parts; a sum with ``1j * imag`` would make NaN of infinities."""
    made = npx.empty_like(like)
    made.real, made.imag = real, imag
    return made


# ------------------------------------------------------------------------------------------------------ sorting
def sort(x, /, *, axis=-1, descending=False, stable=True):
    """A sorted copy of `x`, stable unless asked otherwise."""
    return npx.sort(x, axis=axis, descending=descending, stable=stable)


def argsort(x, /, *, axis=-1, descending=False, stable=True):
    """The indices that sort `x`, stable unless asked otherwise."""
    return npx.argsort(x, axis=axis, descending=descending, stable=stable)


def unique_values(x, /):
    """The unique elements of `x` in ascending order, as `unique_inverse` has them: libraries combine the two."""
    return npx.unique(x, equal_nan=False)


def take_along_axis(x, indices, /, *, axis=-1):
    """The elements of `x` at `indices` along an axis, by default the last, which older NumPy wants to be told."""
    return npx.take_along_axis(x, indices, axis=axis)


# ------------------------------------------------------------------------------------------------------ data types
@dataclasses.dataclass(frozen=True)
class FloatInfo:
    """Limits of a floating-point data type as Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: numpy.dtype


@dataclasses.dataclass(frozen=True)
class IntInfo:
    """Limits of an integer data type."""

    bits: int
    max: int
    min: int
    dtype: numpy.dtype


def finfo(type, /):
    """Limits of a floating-point data type, given it or an array of it."""
    found = numpy.finfo(_data_type(type))
    limits = (float(getattr(found, name)) for name in ("eps", "max", "min", "smallest_normal"))
    return FloatInfo(found.bits, *limits, found.dtype)


def iinfo(type, /):
    """Limits of an integer data type, given it or an array of it."""
    found = numpy.iinfo(_data_type(type))
    return IntInfo(found.bits, found.max, found.min, numpy.dtype(found.dtype))


def _data_type(x):
    return x.dtype if isinstance(x, (npx.ndarray, numpy.generic)) else x


# ------------------------------------------------------------------------------------------------------ linalg
def eig(x, /):
    """Eigenvalues and eigenvectors, complex even where NumPy finds that all are real."""
    found = npx.linalg.eig(x)
    return found._make(map(_as_complex, found))


def eigvals(x, /):
    """Eigenvalues, complex even where NumPy finds that all are real."""
    return _as_complex(npx.linalg.eigvals(x))


def _as_complex(x):
    return x.astype(numpy.result_type(x.dtype, numpy.complex64), copy=False)
