"""``x.flat``: a one-dimensional iterator that reads and writes through to the array."""

import numpy

from npx.array.memory import protect_memory
from npx.array.ndarray import payload, wrap
from npx.array.views import read


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

    def __array__(self, dtype=None, copy=None):
        return numpy.asarray(self.base.reshape(-1), dtype=dtype)

    def __eq__(self, other):
        return self.base.reshape(-1) == other

    __hash__ = None

    def copy(self):
        """A 1-D copy of the array's content."""
        return self.base.reshape(-1).copy()

    @property
    def coords(self):
        """The index of the item that comes next."""
        host = self._iterator()
        return host.coords

    @property
    def index(self):
        """The flat position of the item that comes next."""
        host = self._iterator()
        return host.index
