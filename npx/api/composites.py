"""Versions of the few Python functions of NumPy that look at values where an array operation would do."""

import numpy
from numpy._core import _multiarray_umath

from npx import numpy_layer, routing
from npx.api.indexing import is_mapped, where
from npx.api.support import FUNCTIONS, array_operand, cast, concrete, edit, python_function, reshaped, stack
from npx.array.interop import is_subclass
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import ops
from npx.no_derivative import why_none

HOST = (numpy.ndarray, numpy.generic, bool, int, float, complex)


@python_function("numpy.ma.core", "isMaskedArray")
def is_masked_array(x):
    """`numpy.ma.isMaskedArray`."""
    return isinstance(x, numpy.ma.MaskedArray)


@python_function("numpy.ma.core", "is_masked")
def is_masked(x):
    """`numpy.ma.is_masked`."""
    return numpy.ma.is_masked(x)


@python_function("numpy.lib._utils_impl", "_median_nancheck")
def median_nancheck(data, result, axis):
    """Put NaN where the sorted `data` ends with one, without asking whether there are any."""
    if is_subclass(data):
        return numpy.lib._utils_impl._median_nancheck(data, result, axis)
    if data.size == 0:
        return result
    last = data.take(-1, axis=axis)
    return with_nans(result, last, numpy.isnan(last), None)


def with_nans(result, last, is_nan, out):
    """`result` with the elements of `last` where `is_nan` says so."""
    if is_nan is False or is_nan is numpy.False_:
        return result
    chosen = _choose(is_nan, last, result)
    if out is None:
        return chosen
    out[...] = chosen
    return out


def _choose(condition, x, y):
    """`where` in the dtype of `y`."""
    dtype, chosen = aval_of(payload(y)).dtype, payload(where(condition, x, y))
    return wrap_scalar(chosen if chosen.dtype == dtype else ops.astype(chosen, dtype=dtype))


edit(
    "numpy.lib._function_base_impl",
    "if np.any(slices_having_nans)",
    "result = {}(result, arr[-1, ...], slices_having_nans, out)",
    with_nans,
)


# ------------------------------------------------------------------------------------------------------ linspace
def scale_steps(y, div, delta, step):
    """The numbers 0, 1, ... of `linspace` times the step, which may be too small to be a number."""
    scaled = y * step
    if numpy.any(step == 0) if isinstance(payload(step), HOST) else True:
        scaled = where(step == 0, y / div * delta, scaled)
    return scaled.astype(y.dtype, copy=False) if numpy.isscalar(delta) else scaled


edit("numpy._core.function_base", "if any_step_zero", "y = {}(y, div, delta, step)", scale_steps)


# ------------------------------------------------------------------------------------------------------ nan functions
@python_function("numpy.lib._nanfunctions_impl", "_copyto")
def copyto(a, val, mask):
    """`a` with `val` under the mask; what stands for a scalar cannot be written to."""
    if getattr(a, "scalar", True):
        return _choose(mask, val, a)
    numpy_layer.bind("numpy", "copyto")(a, val, where=mask, casting="unsafe")
    return a


edit(
    "numpy.lib._nanfunctions_impl",
    "if np.any(isbad)",
    """
if _npx_check(np.any(isbad), False, False):
    warnings.warn("Degrees of freedom <= 0 for slice.", RuntimeWarning, stacklevel=2)
var = {}(var, np.nan, isbad)
""",
    copyto,
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


# ------------------------------------------------------------------------------------------------------ user functions
@python_function("numpy.lib._function_base_impl", "vectorize._vectorize_call")
def vectorize_call(self, func, args):
    """One call for each element, with traced scalars; NumPy's version would go through objects."""
    if self.signature is not None:
        return self._vectorize_call_with_signature(func, args)
    arrays = numpy_layer.bind("numpy", "broadcast_arrays")(*args) if args else ()
    if not arrays or arrays[0].size == 0 or not any(isinstance(payload(a), Tracer) for a in arrays):
        return type(self)._npx_vectorize_call(self, func, args)
    flat = [a.reshape(-1) for a in arrays]
    results = [func(*(a[i] for a in flat)) for i in range(arrays[0].size)]
    if not isinstance(results[0], tuple):
        return _collected(results, arrays[0].shape, self.otypes and self.otypes[0])
    columns = zip(*results, strict=True)
    return tuple(
        _collected(column, arrays[0].shape, self.otypes and self.otypes[k]) for k, column in enumerate(columns)
    )


def _collected(values, shape, dtype):
    """The results of calls as an array, in the dtype of the first."""
    dtype = array_operand(values[0]).dtype if dtype is None else numpy.dtype(dtype)
    return wrap(reshaped(cast(stack(values), dtype), shape))


def piece(y, x, condition, func, args, kwargs):
    """`y` with the elements under the condition replaced by `func` of those of `x`.

    Where a transform hides the condition, `func` is applied to all of `x`.
    """
    p = payload(condition)
    if is_mapped(p):
        y[condition] = func(x[condition], *args, **kwargs) if callable(func) else func
        return y
    try:
        condition = wrap(numpy.asarray(p if isinstance(p, HOST) else concrete(p, "a condition of numpy.piecewise")))
    except TypeError:
        new = func(x, *args, **kwargs) if callable(func) else func
        return _choose(condition, new, y)
    if not callable(func):
        y[condition] = func
    elif (chosen := x[condition]).size > 0:
        y[condition] = func(chosen, *args, **kwargs)
    return y


edit(
    "numpy.lib._function_base_impl",
    "if not isinstance(func, collections.abc.Callable)",
    "y = {}(y, x, cond, func, args, kw)",
    piece,
)


# ------------------------------------------------------------------------------------------------------ unique
def unique_hash(array, *args, **kwargs):
    """`numpy.unique` sorts instead of hashing, which has no derivative; whole numbers under jit keep NumPy's order."""
    p = payload(array)
    if p.dtype.kind in "iu" and isinstance(p, Tracer) and p.interpreter.captures:
        return routing.through_host(_multiarray_umath._unique_hash, (array, *args), kwargs)
    return NotImplemented


def counts_of(values, is_first):
    """How often each value comes, where the first of each is marked among the sorted `values`.

    Raises
    ------
    TypeError
        The values are being differentiated.
    """
    p = payload(values)
    if isinstance(p, Tracer) and p.interpreter.differentiates:
        raise TypeError(f"numpy.unique with counts, traced by {p.interpreter.name}: {why_none('unique_counts')}")
    places = numpy_layer.bind("numpy", "nonzero")(is_first)
    return numpy_layer.bind("numpy", "diff")(numpy_layer.bind("numpy", "append")(places[0], is_first.size))


edit("numpy.lib._arraysetops_impl", "if return_counts", "ret += ({}(aux, mask),) if return_counts else ()", counts_of)

if hasattr(_multiarray_umath, "_unique_hash"):  # since NumPy 2.3
    FUNCTIONS[_multiarray_umath._unique_hash] = unique_hash


# ------------------------------------------------------------------------------------------------------ windows
@python_function("numpy.lib._function_base_impl", "kaiser", on_host=False)
def kaiser(M, beta):
    """`numpy.kaiser`; NumPy's version puts the length and `beta` into one array, and so differentiates by both."""
    M = concrete(array_operand(M), "the length of numpy.kaiser")[()]
    if M == 1:
        return wrap(numpy.ones(1))
    middle = (M - 1) / 2.0
    width = numpy.sqrt(1 - ((numpy.arange(0, M) - middle) / middle) ** 2.0)
    i0 = numpy_layer.bind("numpy", "i0")
    return i0(beta * width) / i0(beta)
