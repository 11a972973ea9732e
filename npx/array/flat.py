"""``x.flat``: a one-dimensional iterator that reads and writes through to the array."""

import collections
import itertools
import math
import operator

import numpy

from npx.array import upward
from npx.array.memory import protect_memory
from npx.array.ndarray import payload, wrap
from npx.array.protocols import with_signature
from npx.array.views import read


def _comparison(name):
    compare = getattr(operator, name)

    def compared(self, other):
        return compare(self.base.reshape(-1), other)

    return compared


class flatiter:
    """Flat iterator over an array, as ``numpy.flatiter``.

    Parameters
    ----------
    base : ndarray
        The array, of any shape; it is read and written in C order.
    """

    __slots__ = ("base", "_host", "_place")

    def __init__(self, base):
        self.base = base
        self._host = None
        self._place = 0  # of the next element, where the array is not in host memory
        self._iterator()  # refuses arrays of more axes than NumPy's can have

    def _iterator(self):
        """NumPy's own iterator, where the array is in host memory; it takes over, and hands over, at any element."""
        p = read(self.base)
        if not isinstance(p, numpy.ndarray):
            if self._host is not None:
                self._place, self._host = self._host.index, None
            return None
        if self._host is None or self._host.base is not p:
            done = self._place if self._host is None else self._host.index
            self._host = p.flat
            collections.deque(itertools.islice(self._host, done), 0)
        return self._host

    def __len__(self):
        return self.base.size

    def __iter__(self):
        return self

    def __next__(self):
        host = self._iterator()
        if host is not None:
            return next(host)
        if self._place >= self.base.size:
            raise StopIteration
        self._place += 1
        return self.base[self._coordinates(self._place - 1)]

    def _coordinates(self, place):
        """The index of the element at a place in C order."""
        return tuple(map(int, numpy.unravel_index(place, self.base.shape))) if place < self.base.size else ()

    def __getitem__(self, k):
        host = self._iterator()
        if host is not None:
            return wrap(host[payload(k)])
        return self.base.reshape(-1)[k].copy()

    def __setitem__(self, k, value):
        host, v = self._iterator(), payload(value)
        if host is not None and (isinstance(v, numpy.ndarray) or not hasattr(v, "shape")):
            protect_memory(host.base)
            host[payload(k)] = v
            return
        flat, np = self.base.reshape(-1), upward.module("package")
        shape = getattr(np.arange(flat.size)[k], "shape", ())
        if shape and math.prod(shape):  # what is too short is repeated, what is too long is cut
            value = np.resize(value, shape)
        flat = flat.copy()
        flat[k] = value
        self.base[...] = flat.reshape(self.base.shape)

    def __delitem__(self, k):
        raise TypeError("Cannot delete iterator elements")

    def __array__(self, dtype=None, copy=None):
        host = self._iterator()
        if host is None:  # an npx array: `npx.array.array_likes` makes an operand of it
            flat = self.base.reshape(-1)
            return flat.copy() if dtype is None else flat.astype(dtype)
        return numpy.array(host.__array__(), dtype=dtype, copy=copy)

    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = map(_comparison, ("eq", "ne", "lt", "le", "gt", "ge"))
    __hash__ = None

    def copy(self):
        """Get a copy of the iterator as a 1-D array."""
        return self.base.reshape(-1).copy()

    @property
    def coords(self):
        host = self._iterator()
        return self._coordinates(self._place) if host is None else host.coords

    @property
    def index(self):
        host = self._iterator()
        return self._place if host is None else host.index


for _name in ("coords", "index"):
    vars(flatiter)[_name].__doc__ = vars(numpy.flatiter)[_name].__doc__
for _name in ("__array__", "copy"):
    with_signature(vars(flatiter)[_name], vars(numpy.flatiter)[_name])
