"""``x.flat``: a one-dimensional iterator that reads and writes through to the array."""

import operator

import numpy

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

    __slots__ = ("base", "_host")

    def __init__(self, base):
        self.base = base
        self._host = None
        self._iterator()  # refuses arrays of more axes than NumPy's can have

    def _iterator(self):
        """NumPy's own iterator, where the array is in host memory."""
        p = read(self.base)
        if not isinstance(p, numpy.ndarray):
            return None
        if self._host is None or self._host.base is not p:
            self._host = p.flat
        return self._host

    def __len__(self):
        return self.base.size

    def __iter__(self):
        return self

    def __next__(self):
        if self._host is None and self._iterator() is None:
            self._host = (self.base.reshape(-1)[i] for i in range(self.base.size))
        return next(self._host)

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
        flat = self.base.reshape(-1).copy()
        flat[k] = value
        self.base[...] = flat.reshape(self.base.shape)

    def __delitem__(self, k):
        raise TypeError("Cannot delete iterator elements")

    def __array__(self, dtype=None, copy=None):
        host = self._iterator()
        return numpy.array(self.base.reshape(-1) if host is None else host.__array__(), dtype=dtype, copy=copy)

    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = map(_comparison, ("eq", "ne", "lt", "le", "gt", "ge"))
    __hash__ = None

    def copy(self):
        """Get a copy of the iterator as a 1-D array."""
        return self.base.reshape(-1).copy()

    coords = property(lambda self: self._iterator().coords, doc=numpy.flatiter.coords.__doc__)
    index = property(lambda self: self._iterator().index, doc=numpy.flatiter.index.__doc__)


for _name in ("__array__", "copy"):
    with_signature(vars(flatiter)[_name], vars(numpy.flatiter)[_name])
