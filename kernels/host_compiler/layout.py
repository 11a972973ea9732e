"""Where a value lies in memory, known before the program runs: views cost nothing at run time."""

from typing import NamedTuple

import numpy

from npx.dispatch.abstract import Hole, Slice


class Layout(NamedTuple):
    """A strided window into a storage.

    Attributes
    ----------
    storage : Storage
    offset : int
        Of the first element, in bytes from the storage's first element.
    shape, strides : tuple of int
        Strides in bytes.
    dtype : numpy.dtype
    """

    storage: object
    offset: int
    shape: tuple
    strides: tuple
    dtype: numpy.dtype

    @property
    def is_contiguous(self):
        return self.strides == contiguous_strides(self.shape, self.dtype.itemsize)

    @property
    def covers_storage(self):
        """Whether it is all of the storage, each element once, in any order of axes."""
        return self.storage.nbytes == _size(self.shape) * self.dtype.itemsize and not self.has_repeats

    @property
    def has_repeats(self):
        """Whether two indices may mean one element."""
        return any(s == 0 and n > 1 for s, n in zip(self.strides, self.shape))


def _size(shape):
    size = 1
    for n in shape:
        size *= n
    return size


def contiguous_strides(shape, itemsize):
    """The strides of a C-contiguous array; an axis of length one has the stride it would need."""
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def contiguous(storage, shape, dtype):
    """The layout of all of `storage` in C order."""
    return Layout(storage, 0, shape, contiguous_strides(shape, dtype.itemsize), dtype)


def overlap(one, other):
    """Whether two layouts may have memory in common."""
    if one.storage.owner is not other.storage.owner:
        return False
    if one.storage is not other.storage:  # one is found at run time
        return True
    (low, high), (other_low, other_high) = _extent(one), _extent(other)
    return low < other_high and other_low < high


def _extent(layout):
    """The first byte of a layout, and the one after the last."""
    if 0 in layout.shape:
        return layout.offset, layout.offset
    reach = [s * (n - 1) for s, n in zip(layout.strides, layout.shape)]
    low = layout.offset + sum(r for r in reach if r < 0)
    return low, layout.offset + sum(r for r in reach if r > 0) + layout.dtype.itemsize


def _getitem(array, index):
    return array[(*(slice(*e) if type(e) is Slice else e for e in index), ...)]


#: op name -> the same on a NumPy array, as a view or with an error
VIEWS = {
    "reshape": lambda array, shape: numpy.reshape(array, shape, copy=False),
    "broadcast_to": numpy.broadcast_to,
    "transpose": numpy.transpose,
    "diagonal": numpy.diagonal,
    "getitem": _getitem,
}


def is_view(node):
    """Whether the node's result is a view of its first operand, if the strides allow (only `reshape` may fail)."""
    if node.op.name != "getitem":
        return node.op.name in VIEWS
    if len(node.inputs) > 1 and 0 in node.inputs[0].aval.shape:
        return False
    return all(
        item is None or isinstance(item, (int, Slice)) or type(item) is Hole and _is_place(node.inputs[1 + item.k])
        for item in node.params["index"]
    )


def is_static_view(node):
    """A view whose offset is known before the program runs."""
    return is_view(node) and len(node.inputs) == 1


def _is_place(value):
    return value.aval.ndim == 0 and value.aval.dtype.kind in "iu"


def view(node, layout):
    """The layout of the result of a view; `layout` is that of the first operand.

    Index operands count as zero. None where the elements would have to be copied.
    """
    params = dict(node.params)
    if node.op.name == "getitem":
        params["index"] = tuple(0 if type(e) is Hole else e for e in params["index"])
    address, array = _without_memory(layout)
    try:
        result = VIEWS[node.op.name](array, **params)
    except ValueError:
        if node.op.name == "reshape":
            return None
        raise
    offset = layout.offset + result.__array_interface__["data"][0] - address if result.size else 0
    return Layout(layout.storage, offset, result.shape, result.strides, layout.dtype)


def _without_memory(layout):
    """An array of this layout that must not be read, and its address."""
    if 0 in layout.shape:  # NumPy changes the strides of empty arrays; nothing is read or written there
        array = numpy.empty(layout.shape, layout.dtype)
    else:
        array = numpy.lib.stride_tricks.as_strided(numpy.empty((), layout.dtype), layout.shape, layout.strides)
    return array.__array_interface__["data"][0], array
