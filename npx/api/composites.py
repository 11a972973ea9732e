"""Versions of the few Python functions of NumPy that look at values where an array operation would do."""

import numpy
from numpy._core import _multiarray_umath

from npx import numpy_layer
from npx.api.indexing import where
from npx.api.support import FUNCTIONS, python_function
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.payloads import ops


@python_function("numpy.ma.core", "isMaskedArray")
def is_masked_array(x):
    """`numpy.ma.isMaskedArray`."""
    return isinstance(x, numpy.ma.MaskedArray)


@python_function("numpy.ma.core", "is_masked")
def is_masked(x):
    """`numpy.ma.is_masked`: only masked arrays have a mask, and they are NumPy's own."""
    return False


@python_function("numpy.lib._utils_impl", "_median_nancheck")
def median_nancheck(data, result, axis):
    """Put NaN where the sorted `data` ends with one, without asking whether there are any."""
    if data.size == 0:
        return result
    last = data.take(-1, axis=axis)
    return with_nans(result, last, numpy.isnan(last), None)


def with_nans(result, last, is_nan, out):
    """`result` with the elements of `last` where `is_nan` says so."""
    if is_nan is False or is_nan is numpy.False_:
        return result
    result_dtype = payload(result).dtype
    chosen = payload(where(is_nan, last, result))
    chosen = chosen if chosen.dtype == result_dtype else ops.astype(chosen, dtype=result_dtype)
    if out is None:
        return wrap_scalar(chosen)
    out[...] = wrap(chosen)
    return out


numpy_layer.EDITS["numpy.lib._function_base_impl", "if np.any(slices_having_nans)"] = (
    "result = _npx_with_nans(result, arr[-1, ...], slices_having_nans, out)",
    {"_npx_with_nans": with_nans},
)


@python_function("numpy.lib._nanfunctions_impl", "_nanmedian_small")
def nanmedian_small(a, axis=None, out=None, overwrite_input=False):
    """The median of each slice by itself; NumPy's version for small arrays needs masked arrays."""
    layer = numpy_layer.module("numpy.lib._nanfunctions_impl")
    apply = numpy_layer.module("numpy.lib._shape_base_impl").apply_along_axis
    result = apply(layer._nanmedian1d, axis, a, overwrite_input)
    if out is None:
        return result
    out[...] = result
    return out


def no_hash(*args, **kwargs):
    """`numpy.unique` sorts instead of hashing: that has a derivative."""
    return NotImplemented


if hasattr(_multiarray_umath, "_unique_hash"):  # since NumPy 2.3
    FUNCTIONS[_multiarray_umath._unique_hash] = no_hash
