"""What npx arrays give to Python's and NumPy's protocols for sharing memory.

`numpy.asarray` asks an object for a buffer, then for ``__array_struct__``, ``__array_interface__`` and ``__array__``,
and takes the first that is there. A buffer loses units, field offsets or titles of some dtypes, or cannot describe the
dtype at all; such arrays refuse to give one, and NumPy finds their dtype in ``__array_struct__``.
"""

import functools
import types

import numpy

from npx.array.capi import lent, struct_with_dtype
from npx.array.memory import protect_memory
from npx.array.views import read

#: kinds of dtypes that every protocol carries
PLAIN_KINDS = frozenset("?biufc")


def carries(protocol, dtype):
    """Whether NumPy gets an equal dtype back from what a NumPy array of this dtype hands out.

    Parameters
    ----------
    protocol : str
        ``"buffer"`` or ``"__array_struct__"``.
    dtype : numpy.dtype
    """
    if dtype.metadata is not None:
        return False
    return dtype.kind in PLAIN_KINDS or _comes_back(protocol, dtype)


@functools.lru_cache(256)
def _comes_back(protocol, dtype):
    source = numpy.ndarray((1,), dtype)
    try:
        if protocol == "buffer":
            carrier = memoryview(source)
        else:
            carrier = type("Carrier", (), {protocol: getattr(source, protocol)})()
        return numpy.asarray(carrier).dtype == source.dtype
    except (TypeError, ValueError, RuntimeError):  # from NumPy's parsers of formats and type strings
        return False


def check_buffer(host):
    """Refuse a buffer with a format that NumPy cannot read back.

    Raises
    ------
    BufferError
        NumPy would read another dtype.
    ValueError
        NumPy's, where the dtype has no format at all.
    """
    if not carries("buffer", host.dtype):
        memoryview(host)  # raises what NumPy raises
        raise BufferError(f"a buffer cannot describe {host.dtype} exactly; numpy.asarray(x) gives the memory")


def _host(x, name):
    """The host memory of `x` for a protocol through which the receiver may write into it."""
    p = read(x)
    if not isinstance(p, numpy.ndarray):
        raise AttributeError(f"{name} is not available on an array that is not in host memory")
    protect_memory(p)
    return p


def array_interface(self):
    """The array protocol for use from Python."""
    return _host(self, "__array_interface__").__array_interface__


def array_struct(self):
    """The array protocol for use from C."""
    p = _host(self, "__array_struct__")
    return p.__array_struct__ if carries("__array_struct__", p.dtype) else struct_with_dtype(p)


def get_ctypes(self):
    """An object to simplify the interaction of the array with the ctypes module; what it hands out keeps the array."""
    _host(self, "ctypes")
    return lent(self).ctypes


def size_of(self):
    """Memory of the array in bytes, with that of its elements where it owns them."""
    p = read(self)
    elements = p.__sizeof__() if isinstance(p, numpy.ndarray) else 0
    return object.__sizeof__(self) + elements


def with_signature(member, original):
    """Let `inspect.signature` show that of NumPy's member for ours; return ours."""
    if hasattr(member, "__dict__") and callable(member) and isinstance(original, types.MethodDescriptorType):
        member.__wrapped__ = original
    return member
