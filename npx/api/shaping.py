"""Shapes: views, joins and repeats."""

import operator

import numpy

from npx.api.support import (
    array_operand,
    as_array,
    axis_index,
    axis_or_flat,
    concatenated,
    concrete,
    deliver,
    empty_like,
    fresh,
    function,
    method,
    promoted,
    python_function,
    raveled,
    reshaped,
)
from npx.api.views import lies_in_order, reshape_in_place, stand_in
from npx.array.ndarray import ndarray, payload, wrap
from npx.array.views import read_only, root_of, view_of
from npx.dispatch.abstract import Hole, aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import is_inexact
from npx.dispatch.registry import op


def _ints(args):
    """A shape or axes given as separate integers or as one sequence."""
    if len(args) == 1:
        args = tuple(args[0]) if hasattr(args[0], "__iter__") else args
    return tuple(operator.index(a) for a in args)


def complete_shape(size, shape):
    """The shape with its -1 resolved.

    Raises
    ------
    ValueError
        No array of this size has the shape.
    """
    known = 1
    for n in shape:
        known *= 1 if n < 0 else n
    unknown = sum(n < 0 for n in shape)
    if unknown > 1 or any(n < -1 for n in shape):
        raise ValueError("can only specify one unknown dimension")
    if (unknown and (known == 0 or size % known)) or (not unknown and known != size):
        listed = f"({shape[0]},)" if len(shape) == 1 else str(tuple(shape)).replace(" ", "")
        raise ValueError(f"cannot reshape array of size {size} into shape {listed}")
    return tuple(size // known if n < 0 else n for n in shape)


@method("reshape")
def reshape(self, *shape, order="C", copy=None):
    """`ndarray.reshape`: a view wherever NumPy gives one."""
    p = payload(self)
    shape = complete_shape(aval_of(p).size, _ints(shape))
    if _order(self, order) == "F":
        turned = transpose(self) if copy is None else transpose(self.copy())
        return transpose(reshape(turned, *shape[::-1]))
    lies = stand_in(self)
    is_view = lies is not None and reshape_in_place(lies, shape) is not None
    if copy is False and not is_view:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    if copy or not is_view:
        return wrap(reshaped(fresh(p), shape))
    return view_of(self, "reshape", shape=shape)


@method("ravel")
def ravel(self, order="C"):
    """`ndarray.ravel`: a view only of what is contiguous, where `reshape` takes any stride."""
    order = _order(self, order)
    return reshape(self, -1, order=order, copy=None if lies_in_order(self, order) else True)


def _order(x, order):
    """The order that "A" and "K" stand for: that of the columns for an array which only lies in that."""
    if order in ("A", "K"):
        return "F" if lies_in_order(x, "F") and not lies_in_order(x, "C") else "C"
    return order


@method("flatten")
def flatten(self, order="C"):
    """`ndarray.flatten`."""
    return ravel(self, order).copy()


@method("transpose")
def transpose(self, *axes):
    """`ndarray.transpose`."""
    ndim = len(payload(self).shape)
    if not axes or (len(axes) == 1 and axes[0] is None):
        order = tuple(range(ndim))[::-1]
    else:
        given = _ints(axes)
        if len(given) != ndim:
            raise ValueError("axes don't match array")
        order = tuple(axis_index(a, ndim) for a in given)
        if len(set(order)) != ndim:
            raise ValueError("repeated axis in transpose")
    return view_of(self, "transpose", axes=order)


@method("swapaxes")
def swapaxes(self, axis1, axis2):
    """`ndarray.swapaxes`."""
    order = list(range(self.ndim))
    i, j = axis_index(axis1, self.ndim), axis_index(axis2, self.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(self, order)


@method("mT")
def matrix_transpose(self):
    """`ndarray.mT`."""
    if self.ndim < 2:
        raise ValueError("matrix transpose with ndim < 2 is undefined")
    return swapaxes(self, -1, -2)


@method("squeeze")
def squeeze(self, axis=None):
    """`ndarray.squeeze`."""
    shape = self.shape
    if axis is None:
        drop = {i for i, n in enumerate(shape) if n == 1}
    else:
        drop = {axis_index(a, len(shape)) for a in (axis if type(axis) is tuple else (axis,))}
        if any(shape[i] != 1 for i in drop):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return view_of(self, "reshape", shape=tuple(n for i, n in enumerate(shape) if i not in drop))


@method("diagonal")
def diagonal(self, offset=0, axis1=0, axis2=1):
    """`ndarray.diagonal`: a view to read from."""
    ndim = self.ndim
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = axis_index(axis1, ndim), axis_index(axis2, ndim)
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same")
    return read_only(view_of(self, "diagonal", offset=operator.index(offset), axis1=i, axis2=j))


@method("view")
def view(self, dtype=None, type=None):
    """`ndarray.view`: the same dtype, another one, or the parts of complex numbers as floats.

    A view as records is a read-only copy: what a transform traces are numbers.
    """
    p = payload(self)
    dtype = p.dtype if dtype is None or dtype is ndarray else numpy.dtype(dtype)
    if dtype.names is not None:
        records = concrete(p, "a view as records").view(dtype)
        records.flags.writeable = False
        return wrap(records)
    if dtype == p.dtype:
        return view_of(self, "reshape", shape=tuple(p.shape))
    if p.dtype.kind == "c" and dtype.base == numpy.empty(0, p.dtype).real.dtype and dtype.shape in ((), (2,)):
        if not p.shape and not dtype.shape:
            numpy.empty((), p.dtype).view(dtype)  # raises
        if dtype.shape:
            return reshape(view(reshape(self, *p.shape, 1), dtype.base), *p.shape, 2)
        return view_of(self, "as_pairs")
    if dtype.kind == "c" and p.dtype == numpy.empty(0, dtype).real.dtype and p.shape and p.shape[-1] % 2 == 0:
        return view_of(self, "from_pairs")
    _refuse_bits(p, dtype)
    return view_of(self, "view_dtype", dtype=dtype)


def _refuse_bits(p, dtype):
    """Raise where the bits of an array that is being differentiated would go on as integers, without derivative."""
    if isinstance(p, Tracer) and p.interpreter.differentiates and is_inexact(p.dtype) and not is_inexact(dtype):
        raise TypeError(
            f"x.view({dtype}) of a {p.dtype} array that {p.interpreter.name} traces reads the bits of its numbers, "
            "which has no derivative. For the bits of a constant give np.stop_gradient(x); to round, np.rint or astype."
        )


@function("concatenate")
def concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """`numpy.concatenate`."""
    parts = [array_operand(a) for a in arrays]
    if axis is None:
        parts, axis = [raveled(p) for p in parts], 0
    elif any(not p.shape for p in parts):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    if not parts:
        raise ValueError("need at least one array to concatenate")
    if out is not None and dtype is not None:
        raise TypeError("concatenate() only takes `out` or `dtype` as an argument, but both were provided.")
    wanted = out.dtype if out is not None else promoted(*parts) if dtype is None else numpy.dtype(dtype)
    for p in parts:
        if not numpy.can_cast(p.dtype, wanted, casting):
            numpy.empty(1, p.dtype).astype(wanted, casting=casting)  # raises
    axis = axis_index(axis, len(parts[0].shape))
    _check_join([p.shape for p in parts], axis)
    return deliver(concatenated(parts, axis, wanted), out)


def _check_join(shapes, axis):
    """Raise what NumPy raises where arrays of these shapes cannot be joined."""
    first = shapes[0]
    for k, shape in enumerate(shapes):
        if len(shape) != len(first):
            raise ValueError(
                "all the input arrays must have same number of dimensions, but the array at index 0 has "
                f"{len(first)} dimension(s) and the array at index {k} has {len(shape)} dimension(s)"
            )
        for i, (n, m) in enumerate(zip(first, shape)):
            if n != m and i != axis:
                raise ValueError(
                    "all the input array dimensions except for the concatenation axis must match exactly, but along "
                    f"dimension {i}, the array at index 0 has size {n} and the array at index {k} has size {m}"
                )


@method("repeat")
def repeat(self, repeats, axis=None):
    """`ndarray.repeat`."""
    p, axis = axis_or_flat(payload(self), axis)
    counts = numpy.atleast_1d(concrete(array_operand(repeats), "the number of repeats"))
    n = p.shape[axis]
    numpy.repeat(numpy.empty((n, 0), bool), counts, 0)  # raises where the counts do not fit
    return wrap(op("repeat")(p, repeats=tuple(map(int, counts)), axis=axis))


# ------------------------------------------------------------------------------------------------------ strided views
@python_function("numpy.lib._stride_tricks_impl", "_broadcast_to", on_host=False)
def broadcast_to(array, shape, subok=False, readonly=True):
    """`numpy.broadcast_to`: a view to read from."""
    x = as_array(array)
    shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    numpy.broadcast_to(empty_like(payload(x)), shape)  # raises where it does not fit
    return view_of(x, "broadcast_to", shape=shape)


@python_function("numpy.lib._stride_tricks_impl", "as_strided", on_host=False)
def as_strided(x, shape=None, strides=None, subok=False, writeable=True, **_):
    """`numpy.lib.stride_tricks.as_strided` in the memory that the owner of `x` would have if it were contiguous."""
    x, owners = as_array(x), {}
    lies = stand_in(x, owners)
    if lies is None:  # gathered elements
        x = x.copy()
        lies = stand_in(x, owners)
    shape = x.shape if shape is None else tuple(shape)
    strides = x.strides if strides is None else tuple(strides)
    root = root_of(x)
    itemsize = root.dtype.itemsize
    places = numpy.full(shape, (lies.ctypes.data - stand_in(root, owners).ctypes.data) // itemsize)
    for axis, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        step, rest = divmod(stride, itemsize)
        if rest or x.dtype != root.dtype:
            raise TypeError("strides of a traced array must be multiples of its item size")
        places += numpy.expand_dims(numpy.arange(n) * step, tuple(k for k in range(len(shape)) if k != axis))
    view = view_of(view_of(root, "reshape", shape=(root.size,)), "getitem", (places,), index=(Hole(0),))
    return view if writeable else read_only(view)


# ------------------------------------------------------------------------------------------------------ bits
@function("packbits")
def packbits(a, /, axis=None, bitorder="big"):
    """`numpy.packbits`."""
    p, axis = axis_or_flat(array_operand(a), axis)
    return wrap(op("packbits")(p, axis=axis, bitorder=bitorder))


@function("unpackbits")
def unpackbits(a, /, axis=None, count=None, bitorder="big"):
    """`numpy.unpackbits`."""
    p, axis = axis_or_flat(array_operand(a), axis)
    return wrap(op("unpackbits")(p, axis=axis, count=count, bitorder=bitorder))
