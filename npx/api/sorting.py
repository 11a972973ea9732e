"""Order: sorting, searching, extrema."""

import numpy

from npx.api.indexing import take_along
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
    promoted,
    reshaped,
)
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.registry import op


def _is_stable(kind, stable):
    if kind not in (None, "quicksort", "heapsort", "mergesort", "stable", "q", "h", "m", "s"):
        raise ValueError(f"sort kind must be one of 'quick', 'heap', or 'stable' (got '{kind}')")
    return bool(stable) or kind in ("mergesort", "stable", "m", "s")


def _refuse_order(order, dtype):
    if order is not None:
        numpy.empty(0, dtype).sort(order=order)  # raises: there are no fields


@method("sort")
def sort(self, axis=-1, kind=None, order=None, *, stable=None):
    """`ndarray.sort`, in place."""
    _refuse_order(order, self.dtype)
    p = payload(self)
    axis = axis_index(axis, len(p.shape))
    self[...] = wrap(op("sort")(p, axis=axis, stable=_is_stable(kind, stable)))


@method("argsort")
def argsort(self, axis=-1, kind=None, order=None, *, stable=None):
    """`ndarray.argsort`."""
    _refuse_order(order, self.dtype)
    p, axis = axis_or_flat(payload(self), axis)
    return wrap(op("argsort")(p, axis=axis, stable=_is_stable(kind, stable)))


def _places(kth, p, axis):
    """Which elements are to come to their places, as the param of an op.

    Raises
    ------
    ValueError, TypeError
        As NumPy does.
    """
    kth = concrete(array_operand(kth), "numpy.partition")
    numpy.empty(p.shape[axis]).partition(kth)  # raises
    return tuple(kth.ravel().tolist())


@method("partition")
def partition(self, kth, axis=-1, kind="introselect", order=None):
    """`ndarray.partition`, in place."""
    _refuse_order(order, self.dtype)
    p = payload(self)
    axis = axis_index(axis, len(p.shape))
    self[...] = wrap(op("partition")(p, kth=_places(kth, p, axis), axis=axis))


@method("argpartition")
def argpartition(self, kth, axis=-1, kind="introselect", order=None):
    """`ndarray.argpartition`."""
    _refuse_order(order, self.dtype)
    p, along = axis_or_flat(payload(self), axis)
    return wrap(op("argpartition")(p, kth=_places(kth, p, along), axis=along))


@method("searchsorted")
def searchsorted(self, v, side="left", sorter=None):
    """`ndarray.searchsorted`."""
    p, v = payload(self), array_operand(v)
    if sorter is not None:
        p = take_along(p, array_operand(sorter), 0)
    dtype = promoted(p, v)
    side = {"l": "left", "r": "right"}.get(side, side)
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got '{side}')")
    return wrap_scalar(op("searchsorted")(cast(p, dtype), cast(v, dtype), side=side))


@function("lexsort")
def lexsort(keys, axis=-1):
    """`numpy.lexsort`: the last key counts most."""
    keys = [array_operand(k) for k in (keys if isinstance(keys, (list, tuple)) else list(as_array(keys)))]
    if not keys:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    axis = axis_index(axis, max(1, len(keys[0].shape)))
    order = None
    for key in keys:
        turn = op("argsort")(key if order is None else take_along(key, order, axis), axis=axis, stable=True)
        order = turn if order is None else take_along(order, turn, axis)
    return wrap(order)


def _arg_extremum(name):
    def method_of(self, axis=None, out=None, *, keepdims=False):
        p = payload(self)
        ndim = len(p.shape)
        p, place = axis_or_flat(p, axis)
        if not p.shape[place] and aval_of(p).size == 0:
            getattr(numpy.empty(tuple(p.shape), p.dtype), name)(axis=place)  # raises
        found = op(name)(p, axis=place, keepdims=bool(keepdims) and axis is not None)
        return deliver(reshaped(found, (1,) * ndim) if keepdims and axis is None else found, out)

    method_of.__name__, method_of.__doc__ = name, f"`ndarray.{name}`."
    return method(name)(method_of)


argmax = _arg_extremum("argmax")
argmin = _arg_extremum("argmin")
