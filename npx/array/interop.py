"""How npx arrays meet NumPy, DLPack, pickle and other libraries."""

import importlib

import numpy

from npx.array import upward
from npx.array.memory import protect_memory
from npx.array.ndarray import payload, wrap
from npx.array.views import read
from npx.dispatch import registry
from npx.dispatch.interpreter import Tracer


def to_numpy(x, dtype=None, copy=None):
    """The array as a ``numpy.ndarray``, without a copy where it is in host memory.

    Raises
    ------
    TypeError
        The array is being traced and has no value yet.
    ValueError
        ``copy=False`` and a copy is needed.
    """
    p = read(x)
    if isinstance(p, numpy.ndarray):
        protect_memory(p)  # the caller may write into it
        return numpy.array(p, dtype=dtype, copy=copy, subok=True) if dtype is not None or copy else p
    if copy is False:
        raise ValueError("a device or traced array cannot be converted to a NumPy array without a copy")
    if isinstance(p, Tracer):
        host = p.interpreter.concretize(p, "conversion to a NumPy array")
    else:
        host = registry.backend_for(type(p)).to_host(p)
    return numpy.array(host, dtype=dtype)


def array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """A NumPy ufunc was called with an npx array: the npx ufunc of that name answers."""
    return importlib.import_module("npx.array.ufunc").array_ufunc(self, ufunc, method, *inputs, **kwargs)


def array_function(self, func, types, args, kwargs):
    """A NumPy function was called with an npx array: its npx namesake answers."""
    return upward.module("namespace").call(func, args, kwargs)


def array_namespace(self, *, api_version=None):
    """The array API namespace of this array: npx."""
    return upward.module("package")


def array_wrap(self, array, context=None, return_scalar=False):
    """What a NumPy function makes of a result it computed from this array."""
    array = payload(array)
    return array[()] if return_scalar and array.ndim == 0 else wrap(array)


def dlpack(self, **kwargs):
    """Export through DLPack, zero copy."""
    p = read(self)
    if isinstance(p, Tracer):
        p = to_numpy(self)
    protect_memory(p)
    return p.__dlpack__(**kwargs)


def dlpack_device(self):
    """The DLPack device of the payload."""
    p = read(self)
    return (1, 0) if isinstance(p, Tracer) else p.__dlpack_device__()


def device(x):
    """The name of the device that holds the payload; ``"cpu"`` is the host."""
    p = read(x)
    if isinstance(p, (numpy.ndarray, Tracer)):
        return "cpu"
    backend = registry.backend_for(type(p))
    return backend.device_of(p) if backend.device_of else backend.name


def to_device(self, device, /, *, stream=None):
    """Copy the array to `device`, such as ``"cpu"``, ``"xla"`` or ``"cuda:1"``.

    Returns
    -------
    ndarray
        On that device; the array itself where it is there already.

    Raises
    ------
    ValueError
        There is no such device.
    ImportError
        The device needs a package that is not installed; the message names the extra that brings it.
    """
    if device == self.device:
        return self
    backend = registry.backend_named(device)
    return wrap(backend.asarray(to_numpy(self), device=None if device == backend.name else device))


def rebuild(host):
    """Unpickle."""
    return wrap(host)


def reduce_ex(self, protocol):
    """Pickle through the host, with out-of-band buffers as NumPy has them."""
    return rebuild, (to_numpy(self),)
