"""Taking, choosing and putting elements by position or condition."""

import math
import operator

import numpy

from npx import numpy_layer
from npx.api.support import (
    array_operand,
    as_array,
    axis_index,
    axis_or_flat,
    cast,
    concrete,
    deliver,
    function,
    method,
    operand,
    promoted,
    python_function,
    raveled,
    reshaped,
    taken,
)
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.abstract import Hole, Slice, aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import ops
from npx.dispatch.registry import op
from npx.ops.index_specs import SELECTING


@function("where")
def where(condition, *choices):
    """`numpy.where`."""
    if not choices:
        return nonzero(as_array(condition))
    if len(choices) != 2:
        raise ValueError("either both or neither of x and y should be given")
    x, y = map(operand, choices)
    return wrap(op("where")(cast(operand(condition), numpy.dtype(bool)), x, y))  # an array also where it has no axes


@method("nonzero")
def nonzero(self):
    """`ndarray.nonzero`: how many places there are depends on the values, which `jit` is asked for."""
    p = payload(self)
    if not is_mapped(p):
        return tuple(map(wrap, numpy.nonzero(concrete(p, "numpy.nonzero"))))
    places = op("nonzero")(p)
    return tuple(wrap(op("getitem")(places, index=(k, Slice()))) for k in range(self.ndim))


def is_mapped(p):
    """Whether a payload stands for a value of each element of `vmap`."""
    return isinstance(p, Tracer) and type(p.interpreter) in SELECTING


@function("count_nonzero")
def count_nonzero(a):
    """`numpy.count_nonzero` without an axis."""
    p = raveled(array_operand(a))
    count = ops.sum(ops.not_equal(p, 0), axis=(0,), dtype=numpy.dtype(numpy.intp), keepdims=False)
    if _COUNTS_ARE_INTS and isinstance(count, Tracer) and count.interpreter.captures:
        return int(concrete(count, "numpy.count_nonzero"))
    return wrap_scalar(count)


#: before NumPy 2.3 a count is a Python number
_COUNTS_ARE_INTS = type(numpy.count_nonzero(numpy.zeros(1))) is int


# ------------------------------------------------------------------------------------------------------ take and put
def valid_indices(indices, n, mode):
    """Integer indices as a payload; negative ones are left to the indexing op, `mode` decides on those out of range.

    Raises
    ------
    TypeError, ValueError, IndexError
        As NumPy does.
    """
    indices = array_operand(indices)
    if not numpy.can_cast(indices.dtype, numpy.intp, "same_kind"):
        if isinstance(indices, numpy.ndarray) and not indices.size:
            indices = indices.astype(numpy.intp)
        else:
            numpy.empty(1, indices.dtype).astype(numpy.intp, casting="same_kind")  # raises
    if indices.dtype == bool:
        indices = cast(indices, numpy.dtype(numpy.intp))
    if mode == "wrap" or mode == 1:
        return ops.remainder(indices, n)
    if mode == "clip" or mode == 2:
        return ops.minimum(ops.maximum(indices, 0), n - 1)
    if mode not in ("raise", 0):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")
    if isinstance(indices, (numpy.ndarray, numpy.generic)):
        numpy.broadcast_to(numpy.False_, (n,)).take(indices)  # raises
    return indices


def _along(axis, ndim):
    return (*[Slice()] * axis, Hole(0), *[Slice()] * (ndim - axis - 1))


@method("take")
def take(self, indices, axis=None, out=None, mode="raise"):
    """`ndarray.take`."""
    p, axis = axis_or_flat(payload(self), axis)
    places = valid_indices(indices, p.shape[axis], mode)
    return deliver(taken(p, _along(axis, len(p.shape)), places), out)


def cycled(p, size):
    """A payload as one axis of length `size`, repeated as often as needed."""
    p = raveled(p)
    n = p.shape[0]
    return p if n == size else taken(p, (Hole(0),), numpy.arange(size) % n)


@method("put")
def put(self, indices, values, mode="raise"):
    """`ndarray.put`."""
    p, v = payload(self), cast(array_operand(values), self.dtype)
    places = raveled(valid_indices(indices, self.size, mode))
    if places.shape[0] and aval_of(v).size:
        new = op("setitem")(raveled(p), cycled(v, places.shape[0]), places, index=(Hole(0),))
        self[...] = wrap(reshaped(new, p.shape))


@function("putmask")
def putmask(a, mask, values):
    """`numpy.putmask`."""
    v = cast(array_operand(values), a.dtype)
    mask = cast(array_operand(mask), numpy.dtype(bool))
    if aval_of(mask).size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    if aval_of(v).size:
        new = reshaped(cycled(v, a.size), a.shape)
        a[...] = wrap(op("where")(reshaped(mask, a.shape), new, payload(a)))


@function("_place")
def place(arr, mask, vals):
    """`numpy.place`: the k-th place under the mask gets the k-th value, in cycles."""
    mask = cast(array_operand(mask), numpy.dtype(bool))
    v = raveled(cast(array_operand(vals), arr.dtype))
    if aval_of(mask).size != arr.size:
        raise ValueError("place: mask and data must be the same size")
    n = aval_of(v).size
    if n == 0:
        if concrete(mask, "numpy.place").any():
            raise ValueError("Cannot insert from an empty array!")
        return
    counted = op("cumsum")(raveled(mask), axis=0, dtype=numpy.dtype(numpy.intp))
    turns = ops.remainder(ops.maximum(ops.subtract(counted, 1), 0), n)
    new = reshaped(taken(v, (Hole(0),), turns), arr.shape)
    arr[...] = wrap(op("where")(reshaped(mask, arr.shape), new, payload(arr)))


@method("compress")
def compress(self, condition, axis=None, out=None):
    """`ndarray.compress`."""
    condition = as_array(condition)
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(self, nonzero(condition)[0], axis, out)


@method("choose")
def choose(self, choices, out=None, mode="raise"):
    """`ndarray.choose`."""
    options = [array_operand(c) for c in choices]
    index = valid_indices(self, len(options), mode)
    if mode == "raise" and isinstance(index, numpy.ndarray) and (index < 0).any():
        raise ValueError("invalid entry in choice array")
    dtype = promoted(*options)
    chosen = cast(options[-1], dtype)
    for k in reversed(range(len(options) - 1)):
        chosen = op("where")(ops.equal(index, k), cast(options[k], dtype), chosen)
    shape = numpy.broadcast_shapes(index.shape, *(o.shape for o in options))
    return deliver(chosen if tuple(chosen.shape) == shape else op("broadcast_to")(chosen, shape=shape), out)


@python_function("numpy.lib._shape_base_impl", "put_along_axis", on_host=False)
def put_along_axis(arr, indices, values, axis):
    """`numpy.put_along_axis`; without an axis NumPy's version writes through an array of ``arr.flat``."""
    layer, indices = numpy_layer.module("numpy.lib._shape_base_impl"), as_array(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        flat = arr.flatten()
        flat[indices] = values
        arr[...] = flat.reshape(arr.shape)
    else:
        arr[layer._make_along_axis_idx(arr.shape, indices, axis_index(axis, arr.ndim))] = values


def take_along(p, places, axis):
    """Elements of a payload at integer `places` along an axis, of the same shape elsewhere."""
    ndim = len(p.shape)
    grids = [numpy.arange(n).reshape([n if i == k else 1 for i in range(ndim)]) for k, n in enumerate(p.shape)]
    grids[axis] = places
    return taken(p, tuple(Hole(k) for k in range(ndim)), *grids)


# ------------------------------------------------------------------------------------------------------ counts, places
@function("bincount")
def bincount(x, /, weights=None, minlength=0):
    """`numpy.bincount`: the length of the result depends on the values of `x`."""
    if is_mapped(array_operand(x)):
        return _bincount_of_mapped(array_operand(x), weights, operator.index(minlength))
    places = concrete(array_operand(x), "numpy.bincount")
    if weights is None:
        return wrap(numpy.bincount(places, minlength=minlength))
    size = numpy.bincount(places, minlength=minlength).size
    w = cast(array_operand(weights), numpy.dtype(float))
    if tuple(w.shape) != places.shape:
        raise ValueError("The weights and list don't have the same length.")
    return wrap(op("add_at")(numpy.zeros(size), w, places, index=(Hole(0),)))


def _bincount_of_mapped(x, weights, minlength):
    if weights is None:
        return wrap(op("bincount")(x, minlength=minlength))
    w = cast(array_operand(weights), numpy.dtype(float))
    if tuple(w.shape) != tuple(x.shape):
        raise ValueError("The weights and list don't have the same length.")
    return wrap(op("bincount")(x, w, minlength=minlength))


@function("_monotonicity")
def monotonicity(x):
    """1 where numbers do not descend, -1 where they do not ascend, else 0."""
    x = as_array(x)
    if not (x[1:] < x[:-1]).any():
        return 1
    return 0 if (x[1:] > x[:-1]).any() else -1


@function("unravel_index")
def unravel_index(indices, shape, order="C"):
    """`numpy.unravel_index`; out of range indices of a tracer go unnoticed."""
    flat = as_array(indices)
    shape = tuple(map(int, shape)) if hasattr(shape, "__iter__") else (int(shape),)
    parts, step = [], 1
    for n in shape[::-1] if order == "C" else shape:
        parts.append(flat // step % n)
        step *= n
    return tuple(parts[::-1] if order == "C" else parts)


@function("ravel_multi_index")
def ravel_multi_index(multi_index, dims, mode="raise", order="C"):
    """`numpy.ravel_multi_index`; out of range indices of a tracer go unnoticed."""
    dims = tuple(map(int, dims)) if hasattr(dims, "__iter__") else (int(dims),)
    modes = (mode,) * len(dims) if isinstance(mode, str) else mode
    parts = [as_array(part) for part in multi_index]
    if len(parts) != len(dims):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(dims)}")
    total = 0
    for k, (part, n, how) in enumerate(zip(parts, dims, modes, strict=True)):
        rest = dims[k + 1 :] if order == "C" else dims[:k]
        total = total + wrap_scalar(valid_indices(part, n, how)) * math.prod(rest)
    return total
