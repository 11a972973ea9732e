"""The Python array API standard, version 2025.12: `x.__array_namespace__()` of every npx array.

A thin namespace over npx's arrays. The functions are npx's own, but for those in `npx.array_api.rules`, where the
standard contradicts NumPy. All of them return arrays where NumPy returns scalars, and so do operators on these arrays
(`npx.array.standard`).
"""

import npx
from npx.array_api import fft, linalg, rules
from npx.array_api.following import following, publish
from npx.namespace_info import __array_api_version__, __array_namespace_info__

#: what is npx's own, and NumPy's
CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)
#: functions that return no array
QUESTIONS = ("broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type")

#: functions that return arrays, by chapters of the standard
FUNCTIONS = """
    arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu zeros
    zeros_like
    astype
    abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or
    bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor floor_divide greater
    greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not
    logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive pow real reciprocal remainder
    round sign signbit sin sinh square sqrt subtract tan tanh trunc
    take take_along_axis
    matmul matrix_transpose tensordot vecdot
    broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze stack tile
    unstack
    argmax argmin count_nonzero nonzero searchsorted where
    isin unique_all unique_counts unique_inverse unique_values
    argsort sort
    cumulative_prod cumulative_sum max mean min prod std sum var
    all any diff
    """.split()

publish(globals(), npx, FUNCTIONS, rules)
for _name in (*CONSTANTS, *DTYPES, *QUESTIONS):
    globals()[_name] = getattr(rules, _name, None) or getattr(npx, _name)

__all__ = sorted((*CONSTANTS, *DTYPES, *QUESTIONS, *FUNCTIONS, "fft", "linalg"))


def __getattr__(name):
    """What the standard lacks: libraries look in this namespace for the rest of NumPy, too."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(npx, name)
    value = following(value) if callable(value) and not isinstance(value, type) else value
    globals()[name] = value
    return value


def __dir__():
    return sorted((*__all__, "__array_api_version__", "__array_namespace_info__"))
