"""How npx arrays meet NumPy, DLPack, pickle and other libraries."""

import functools
import importlib
import sys

import numpy

from npx.array import upward
from npx.array.capi import lent
from npx.array.memory import protect_memory
from npx.array.ndarray import ndarray, on_host, payload, wrap
from npx.array.views import read, root_of
from npx.dispatch import registry
from npx.dispatch.debug import count_round_trip
from npx.dispatch.interpreter import Tracer, stack


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


#: Packages in which an array is not taken for one of NumPy's. npx tells the two apart; the others convert what is none
#: by its own protocols, and hand what is one to C code.
TELL_APART = ("npx.", "jax.", "h5py.", "scipy.sparse.")


def passes_for_numpy(x):
    """Whether an array is in host memory, or traced in a way that lets its value be had."""
    p = root_of(x).data_
    return p.interpreter.captures if isinstance(p, Tracer) else isinstance(p, numpy.ndarray)


def claimed_class(self):
    """The class that ``isinstance`` takes an array for: ``numpy.ndarray``, while it is in host memory.

    Libraries tell arrays from lists and scalars that way. What a transform differentiates or maps, or a device holds,
    does not claim to be one: as a foreign array it is computed with and not converted. Under `jit`, where it can be
    converted, libraries shall take the way that they take without.
    """
    asking = sys._getframe(1).f_globals.get("__name__", "")
    return numpy.ndarray if passes_for_numpy(self) and not asking.startswith(TELL_APART) else type(self)


def method_to_numpy(self, dtype=None, copy=False):
    """The array as a ``numpy.ndarray``, without a copy where it is in host memory.

    For libraries that insist on that class. With ``import npx as np``, ``np.asarray`` gives an npx array.

    Parameters
    ----------
    dtype : dtype, optional
        Another element type.
    copy : bool
        Whether to copy in any case.
    """
    return to_numpy(self, dtype, copy or None)


def is_subclass(x):
    """Whether `x` is an array of a subclass with semantics of its own; those of a memmap are a plain array's."""
    kind = type(x)
    return issubclass(kind, numpy.ndarray) and kind is not numpy.ndarray and not issubclass(kind, numpy.memmap)


def host_value(x, kind):
    """The value of an npx array for an array of a subclass; its memory where it is on the host.

    Raises
    ------
    TypeError
        A transform other than `jit` traces the array: a subclass holds numbers, and what is traced would be lost.
    """
    p = read(x)
    if isinstance(p, Tracer) and not p.interpreter.captures:
        raise TypeError(
            f"an array that {p.interpreter.name} is tracing ({p.aval}) cannot be or meet an array of the class "
            f"{kind.__name__}, which holds numbers in host memory. Take its numbers as a plain array, "
            "a.view(np.ndarray), or give np.stop_gradient(x) if x counts as a constant."
        )
    if not isinstance(p, (numpy.ndarray, Tracer)):
        count_round_trip(f"an array of the class {kind.__name__}", registry.backend_for(type(p)).name)
    return to_numpy(x)


@functools.cache
def _ufuncs():
    """The module of the public ufuncs, which itself needs the array class."""
    return importlib.import_module("npx.array.ufunc")


def array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """A NumPy ufunc was called with an npx array: the npx ufunc of that name answers."""
    ours = _ufuncs()
    if hasattr(ufunc, "nin") and not isinstance(ufunc, (numpy.ufunc, ours.ufunc)):
        return _call_foreign_ufunc(ufunc, method, inputs, kwargs)
    return ours.array_ufunc(self, ufunc, method, *inputs, **kwargs)


def _call_foreign_ufunc(ufunc, method, inputs, kwargs):
    """Call what another package made in the image of a ufunc, such as Numba, on host arrays."""

    def host(x):
        return to_numpy(x) if type(x) is ndarray else tuple(map(host, x)) if type(x) is tuple else x

    result = getattr(ufunc, method)(*map(host, inputs), **{key: host(x) for key, x in kwargs.items()})
    out = kwargs.get("out")
    return wrap(result) if out is None else out[0] if type(out) is tuple and len(out) == 1 else out


def array_function(self, func, types, args, kwargs):
    """A NumPy function was called with an npx array: its npx namesake answers.

    What lies in host memory goes back as a NumPy array: a library that calls NumPy's function may hand it to C code.
    """
    if type(args) is not tuple or type(kwargs) is not dict:
        return numpy.empty(0).__array_function__(func, types, args, kwargs)  # raises
    if not all(issubclass(kind, ndarray) for kind in types):
        return NotImplemented
    if not (func.__module__ or "").startswith("numpy"):  # of a package that lets its functions be overridden likewise
        return getattr(func, "_implementation", func)(*args, **kwargs)
    call = upward.module("namespace").call
    result = call(func, _opened(args), {key: _opened(x) for key, x in kwargs.items()})
    return result if stack() or result is kwargs.get("out") else _bare(result)


def _bare(result):
    """A result with NumPy arrays in place of npx arrays in host memory."""
    if type(result) is ndarray:
        return to_numpy(result) if on_host(result) else result
    if type(result) is list or isinstance(result, tuple):
        items = map(_bare, result)
        return type(result)._make(items) if hasattr(result, "_make") else type(result)(items)
    return result


def _opened(x):
    """An argument with lists in place of object arrays that hold npx arrays: NumPy would ask what they hold again."""
    if type(x) in (list, tuple):
        return type(x)(map(_opened, x))
    is_object = type(x) is numpy.ndarray and x.dtype == object and x.ndim
    return list(x) if is_object and any(type(item) is ndarray for item in x) else x


#: the versions of the array API standard that the namespace of an array may be asked for
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def array_namespace(self, /, *, api_version=None):
    """The namespace of the array API standard, `npx.array_api`.

    Raises
    ------
    ValueError
        There is no such version of the standard, or it is newer than npx.
    """
    if api_version is not None and not isinstance(api_version, str):
        raise ValueError(f"Only None and strings are allowed as the Array API version, received: {api_version}")
    if api_version is not None and api_version not in API_VERSIONS:
        raise ValueError(f'Version "{api_version}" of the Array API Standard is not supported.')
    return upward.module("array_api")


def array_wrap(self, array, context=None, return_scalar=False):
    """What a NumPy function makes of a result it computed from this array."""
    array = payload(array)
    if isinstance(array, numpy.ndarray):
        array = array.view(numpy.ndarray)  # of the class of this array, whatever its own
    return array[()] if return_scalar and array.ndim == 0 else wrap(array)


#: DLPack's number for the host
HOST_MEMORY = 1


def dlpack(self, /, *, stream=None, max_version=None, dl_device=None, copy=None):
    """Export through DLPack: without a copy, unless one is asked for or `dl_device` is another device.

    Raises
    ------
    BufferError
        DLPack cannot describe the array, or ``copy=False`` and a copy is needed.
    """
    p = read(self)
    if isinstance(p, Tracer) or (dl_device and dl_device[0] == HOST_MEMORY and dlpack_device(self)[0] != HOST_MEMORY):
        if copy is False:
            raise BufferError("an array that is traced or on a device cannot be exported to the host without a copy")
        p, copy = to_numpy(self), None
    if isinstance(p, numpy.ndarray):
        protect_memory(p)
        p = lent(self) if p is read(self) else p
    elif max_version is not None and tuple(max_version) < (1, 0):
        max_version = None  # a capsule without a version, as it was before 1.0
    return p.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def dlpack_device(self, /):
    """DLPack's numbers of the device that holds the array: the type, and which of that type."""
    p = read(self)
    return (HOST_MEMORY, 0) if isinstance(p, Tracer) else p.__dlpack_device__()


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
    if stream is not None:
        raise ValueError("The stream argument in to_device() is not supported")
    name, _ = registry.device_named(device)
    if name == self.device:
        return self
    new = wrap(registry.place(to_numpy(self), name))
    new.standard = self.standard
    return new


def pandas_priority(self):
    """Who of two operands computes: not pandas where it would lose a derivative, or take an array for a list."""
    return 0 if self.ndim and passes_for_numpy(self) else 5000


#: What pandas asks of arrays that are neither its own nor NumPy's. Ours are a NumPy array in a wrapper that `to_numpy`
#: takes off, like its ``NumpyExtensionArray``.
PANDAS = {"__pandas_priority__": property(pandas_priority, doc=pandas_priority.__doc__), "_typ": "npy_extension"}


def jax_array(self):
    """The array as one of jax, whose functions ask for it: of the dtype and on the device that jax gives NumPy's."""
    jax, p = sys.modules["jax"], read(self)
    return p if isinstance(p, jax.Array) else jax.numpy.asarray(to_numpy(self))


def rebuild(host):
    """Unpickle; joblib may give an array in a mapped file."""
    return wrap(host if type(host) is numpy.ndarray else host.view(numpy.ndarray))


def reduce_ex(self, protocol):
    """Pickle through the host, with out-of-band buffers as NumPy has them."""
    return rebuild, (to_numpy(self),)
