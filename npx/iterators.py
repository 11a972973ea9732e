"""Classes of NumPy that hand out parts of arrays: what they hand out are npx arrays."""

import numpy

from npx import routing
from npx.array import calling, upward
from npx.array.ndarray import ndarray, payload, wrap
from npx.dispatch.abstract import aval_of


class nditer:  # noqa: N801
    """Multi-dimensional iterator over arrays, which are needed in host memory; see `numpy.nditer`."""

    def __init__(self, *args, **kwargs):
        args, kwargs = routing.host_values("nditer", args, kwargs)
        super().__setattr__("_numpy", numpy.nditer(*args, **kwargs))

    @classmethod
    def _around(cls, iterator):
        new = cls.__new__(cls)
        object.__setattr__(new, "_numpy", iterator)
        return new

    def __getattr__(self, name):
        return calling.wrap_result(getattr(self._numpy, name))

    def __setattr__(self, name, value):
        setattr(self._numpy, name, value)

    def __delattr__(self, name):
        delattr(self._numpy, name)

    def __dir__(self):
        return dir(self._numpy)

    def __iter__(self):
        return self

    def __next__(self):
        return calling.wrap_result(next(self._numpy))

    def __len__(self):
        return len(self._numpy)

    def __getitem__(self, k):
        return calling.wrap_result(self._numpy[k])

    def __setitem__(self, k, value):
        self._numpy[k] = payload(value)

    def __enter__(self):
        self._numpy.__enter__()
        return self

    def __exit__(self, *exception):
        return self._numpy.__exit__(*exception)

    def __copy__(self):
        return self.copy()

    def copy(self):
        """A copy of the iterator in its present state."""
        return self._around(self._numpy.copy())


calling.RESULTS[numpy.nditer] = nditer._around


class _LikeNumPys(type):
    """Instances of NumPy's class count as instances."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, numpy.broadcast) or super().__instancecheck__(instance)


class broadcast(metaclass=_LikeNumPys):  # noqa: N801
    """The shape that arrays broadcast to, and an iterator over them; see `numpy.broadcast`.

    NumPy's own object, unless an array is traced or on a device.
    """

    def __new__(cls, *args):
        numpys = numpy.broadcast(*map(_for_shape, args))
        if all(isinstance(payload(a), numpy.ndarray) or not isinstance(a, ndarray) for a in args):
            return numpys
        new = super().__new__(cls)
        new._numpy, new._arrays = numpys, args
        return new

    def __getattr__(self, name):
        return getattr(self._numpy, name)

    @property
    def iters(self):
        """The iterators over the arrays, broadcast."""
        np = upward.module("package")
        return tuple(np.broadcast_to(a, self.shape).flat for a in self._arrays)

    def __iter__(self):
        return self

    def __next__(self):
        number = self.index
        next(self._numpy)  # its elements have no values
        place, np = numpy.unravel_index(number, self.shape), upward.module("package")
        return tuple(np.broadcast_to(a, self.shape)[place] for a in self._arrays)


def _for_shape(x):
    """Host memory of this shape; without data where the array has none on the host."""
    p = payload(x)
    if isinstance(p, numpy.ndarray) or not isinstance(x, ndarray):
        return p
    aval = aval_of(p)
    return numpy.broadcast_to(numpy.empty((), aval.dtype), aval.shape)


class NpzFile(numpy.lib.npyio.NpzFile):
    """What `load` returns for an archive; see `numpy.lib.npyio.NpzFile`."""

    def __getitem__(self, key):
        return wrap(super().__getitem__(key))


def _as_npz_file(opened):
    opened.__class__ = NpzFile
    return opened


calling.RESULTS[numpy.lib.npyio.NpzFile] = _as_npz_file
