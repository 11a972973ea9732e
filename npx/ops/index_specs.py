"""Index specs: what NumPy accepts between square brackets, in one hashable form.

A spec has one entry for each item of the index, with ellipses expanded and every axis of the array covered:

- ``None`` for a new axis, a non-negative ``int``, or a `Slice` with its bounds clipped to the axis;
- `Hole` for the k-th index operand, an array of integers (boolean masks have become their `nonzero`);
- `Mask` for a single truth value, which NumPy takes as an advanced index that covers no axis;
- ``Ellipsis`` only where it covers no axis and stands between advanced indices, which it separates.
"""

import functools
import operator
from typing import NamedTuple

import numpy

from npx.dispatch.abstract import Hole, Mask, Slice, aval_of
from npx.dispatch.interpreter import Tracer

FULL = Slice()

#: class of interpreters -> ``select(mask)``: the index operands that stand for a boolean tracer whose value differs
#: from element to element, one for each of its axes; or None, and the value is asked for
SELECTING = {}


def canonical_index(shape, index):
    """Split an index into its static part and its arrays.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array that is indexed.
    index : object
        Anything NumPy accepts as an index; arrays in it may be payloads of any backend or tracers. The value of a
        boolean tracer, and of a tracer in a slice, is asked for (`Interpreter.concretize`).

    Returns
    -------
    spec : tuple
        See the module's docstring.
    arrays : tuple
        The index operands, integer arrays, in the order of their holes.

    Raises
    ------
    IndexError, TypeError
        As NumPy does.
    """
    items = index if type(index) is tuple else (index,)
    try:
        spec = _ints_and_slices(shape, items)
        return _general(shape, items) if spec is None else (spec, ())
    except (IndexError, TypeError, ValueError):
        _try_on_dummy(shape, items)  # raises NumPy's error, unless the trouble lies with a tracer
        raise


def _ints_and_slices(shape, items):
    """The spec of an index of Python ints and slices only; None for any other index and for a bad one."""
    if len(items) > len(shape):
        return None
    spec = []
    for item, n in zip(items, shape):
        kind = type(item)
        if kind is int and -n <= item < n:
            spec.append(item + n if item < 0 else item)
        elif kind is slice and not _has_tracer(item):
            spec.append(_clip(item, n))
        else:
            return None
    if len(items) < len(shape):
        spec.extend([FULL] * (len(shape) - len(items)))
    return tuple(spec)


def _has_tracer(item):
    return isinstance(item.start, Tracer) or isinstance(item.stop, Tracer) or isinstance(item.step, Tracer)


def _clip(item, n):
    """A slice as `Slice`, bounds clipped to an axis of length `n`; `FULL` where it takes the whole axis in order."""
    start, stop, step = item.indices(n)
    if step == 1 and start == 0 and stop == n:
        return FULL
    return Slice(start, None if stop < 0 else stop, step)


def _general(shape, given):
    items = [_classify(item) for item in given]
    ellipses = sum(item is Ellipsis for item in items)
    free = len(shape) - sum(map(_covered, items))
    if free < 0 or ellipses > 1:
        raise IndexError("too many indices for array" if free < 0 else "an index can only have a single ellipsis")
    if not ellipses:
        items.append(Ellipsis)
    spec, arrays, axis = [], [], 0
    for position, item in enumerate(items):
        if item is Ellipsis:
            spec.extend([FULL] * free or [Ellipsis] * _separates(items, position))
            axis += free
            continue
        n = shape[axis : axis + _covered(item)]
        axis += len(n)
        if item is None or type(item) is Mask:
            spec.append(item)
        elif type(item) is slice:
            spec.append(_clip(item, *n))
        elif type(item) is int:
            if not -n[0] <= item < n[0]:
                raise IndexError(f"index {item} is out of bounds for an axis of size {n[0]}")
            spec.append(item % n[0])
        elif item.dtype == bool:
            if item.shape != n:
                raise IndexError("boolean index did not match indexed array")
            for places in _places(item):
                spec.append(Hole(len(arrays)))
                arrays.append(places)
        else:
            if isinstance(item, numpy.ndarray) and item.size and not (-n[0] <= item.min() and item.max() < n[0]):
                _try_on_dummy(shape, given)  # NumPy lets it pass where the result is empty
            spec.append(Hole(len(arrays)))
            arrays.append(item)
    return tuple(spec), tuple(arrays)


def _classify(item):
    """One item as None, Ellipsis, int, Mask, a slice of ints, or an array of integers or (on the host) of bools."""
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        return slice(*map(_static_bound, (item.start, item.stop, item.step))) if _has_tracer(item) else item
    if isinstance(item, (bool, numpy.bool)):
        return Mask(bool(item))
    if isinstance(item, numpy.integer):
        return int(item)
    if not (hasattr(item, "dtype") and hasattr(item, "shape")):
        try:
            return operator.index(item)
        except TypeError:
            item = numpy.asarray(item)
            if item.size == 0:
                item = item.astype(numpy.intp)
    if item.dtype == bool:
        if not item.ndim:
            return Mask(bool(item))
        return item if isinstance(item, Tracer) and type(item.interpreter) in SELECTING else numpy.asarray(item)
    if item.dtype.kind not in "iu":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return item


def _places(mask):
    """The index operands that stand for a boolean array, one for each of its axes."""
    if isinstance(mask, Tracer):
        places = SELECTING[type(mask.interpreter)](mask)
        if places is not None:
            return places
    return numpy.nonzero(numpy.asarray(mask))


def _static_bound(bound):
    """A slice's bound; a tracer is asked for its value."""
    return operator.index(numpy.asarray(bound)[()]) if isinstance(bound, Tracer) else bound


def _covered(item):
    """How many axes of the array a classified item covers."""
    if item is None or item is Ellipsis or type(item) is Mask:
        return 0
    if type(item) is int or type(item) is slice or item.dtype != bool:
        return 1
    return item.ndim


def _separates(items, position):
    """Whether an ellipsis that covers no axis keeps the advanced indices to its left and right apart."""
    if not any(type(item) is Mask or hasattr(item, "dtype") for item in items):
        return False
    neighbours = items[:position][-1:], items[position + 1 :][:1]
    return all(side and type(side[0]) is not slice and side[0] is not None for side in neighbours)


def _try_on_dummy(shape, items):
    """Index an array of this shape that has no data."""
    items = tuple(_dummy(item) if isinstance(item, Tracer) else item for item in items)
    numpy.broadcast_to(numpy.False_, shape)[items]


def _dummy(array):
    aval = aval_of(array)
    return numpy.broadcast_to(numpy.zeros((), aval.dtype), aval.shape)


def is_basic(spec):
    """Whether the spec has ints, slices and new axes only, so that NumPy's result is a view."""
    return not any(type(entry) in (Hole, Mask) for entry in spec)


def rebuild(spec, arrays=()):
    """The tuple that NumPy takes as the index.

    Parameters
    ----------
    spec : tuple
    arrays : sequence of payload
        The index operands.
    """
    if not arrays:
        return _rebuild_static(spec)
    return tuple(arrays[entry.k] if type(entry) is Hole else _static_entry(entry) for entry in spec)


def _static_entry(entry):
    if type(entry) is Slice:
        return slice(*entry)
    return entry.value if type(entry) is Mask else entry


@functools.lru_cache(8192)
def _rebuild_static(spec):
    return tuple(map(_static_entry, spec))


class Layout(NamedTuple):
    """The shape of ``x[index]`` and where the advanced indices' axes lie in it."""

    shape: tuple
    advanced: tuple  # what the advanced indices broadcast to
    at: int  # the place of these axes in `shape`
    separated: bool  # advanced indices with other items between them: their axes come first


@functools.lru_cache(8192)
def layout(shape, spec, index_shapes):
    """The layout of the result of indexing an array of shape `shape`.

    Parameters
    ----------
    shape : tuple of int
    spec : tuple
    index_shapes : tuple of tuple of int
        Shapes of the index operands.

    Raises
    ------
    IndexError
        The index arrays do not broadcast together.
    """
    basic = is_basic(spec)
    before, after, runs, axis = [], [], 0, 0  # result axes before and after the first advanced index
    shapes, inside = [], False
    for entry in spec:
        kind = type(entry)
        if kind in (Hole, Mask) or (kind is int and not basic):
            runs += not inside
            inside = True
            shapes.append(index_shapes[entry.k] if kind is Hole else (int(entry.value),) if kind is Mask else ())
        else:
            inside = False
            if entry is None:
                (after if runs else before).append(1)
            elif kind is Slice:
                (after if runs else before).append(len(range(*slice(*entry).indices(shape[axis]))))
        axis += kind in (int, Slice, Hole)
    if axis != len(shape):
        raise IndexError(f"index spec {spec} does not fit an array of {len(shape)} dimensions")
    try:
        advanced = numpy.broadcast_shapes(*shapes)
    except ValueError:
        listed = "".join(str(s).replace(" ", "") + " " for s in shapes if s)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed}"
        ) from None
    separated = runs > 1
    at = 0 if separated else len(before)
    rest = (*before, *after)
    return Layout((*rest[:at], *advanced, *rest[at:]), advanced, at, separated)
