"""Devices by name, and the default one, on which new arrays are made.

A function that was given no npx array makes its result on the default device. It is the host's, ``"cpu"``, unless
`set_default_device`, the environment variable ``NPX_DEVICE`` or a block ``with default_device(...)`` says otherwise.
Arrays of a dtype that a device cannot hold (objects, text, structures, ...) stay on the host.
"""

import contextlib
import contextvars
import functools
import os
import sys
import threading

import numpy

from npx.array import calling
from npx.array.ndarray import ndarray, payload, wrap
from npx.dispatch import registry
from npx.namespace import stand_for

HOST = "cpu"
VARIABLE = "NPX_DEVICE"

_of_block = contextvars.ContextVar("npx_default_device", default=None)
_of_process = os.environ.get(VARIABLE, "").strip() or HOST
_found = _of_process == HOST  # whether that is the full name of a device that exists
_blocks = 0  # blocks running now, in any thread
_lock = threading.Lock()


# ------------------------------------------------------------------------------------------------- the default device
def get_default_device():
    """The name of the device on which new arrays are made.

    Returns
    -------
    str
        The device of the innermost `default_device` block, else that of the process.

    See Also
    --------
    set_default_device, default_device
    """
    return _of_block.get() or _device_of_process()


def set_default_device(device):
    """Make new arrays of this process on `device`, in all threads.

    Parameters
    ----------
    device : str
        Such as ``"cpu"``, ``"xla"`` or ``"cuda:1"``.

    Raises
    ------
    ValueError
        There is no such device.
    ImportError
        The device needs a package that is not installed; the message names the extra that brings it.

    See Also
    --------
    default_device : for a block of code only.
    """
    global _of_process, _found
    name, _ = registry.device_named(device)
    with _lock:
        _of_process, _found = name, True
        _place_or_not()


@contextlib.contextmanager
def default_device(device):
    """Make new arrays on `device` within a ``with`` block, or within a function that this decorates.

    The block counts for its own thread and task. Threads that it starts begin with the device of the process.

    Parameters
    ----------
    device : str
        As for `set_default_device`, which also lists the errors.

    Examples
    --------
    >>> import npx as np
    >>> with np.default_device("cpu"):
    ...     x = np.ones(3)
    >>> x.device
    'cpu'
    """
    global _blocks
    token = _of_block.set(registry.device_named(device)[0])
    with _lock:
        _blocks += 1
        _place_or_not()
    try:
        yield
    finally:
        _of_block.reset(token)
        with _lock:
            _blocks -= 1
            _place_or_not()


def _device_of_process():
    """The device of the process; the one that the environment names is looked for when it is first needed."""
    global _of_process, _found
    if not _found:
        _of_process, _found = registry.device_named(_of_process)[0], True
    return _of_process


def _place_or_not():
    """Let calls ask where their results go, but only while the answer may be another device than the host."""
    function = place if _of_process != HOST or _blocks else None
    calling.set_placement(function)


def place(host):
    """An npx array of what NumPy made, on the default device."""
    device = get_default_device()
    if device == HOST or not can_hold(device, host.dtype) or _called_by_host_code():
        return wrap(host)
    return wrap(registry.place(host, device))


place.where = get_default_device

#: modules of NumPy for subclasses of `numpy.ndarray`, whose arrays are in host memory with all that belongs to them
HOST_CODE = ("numpy.ma.", "numpy.matrixlib.", "numpy._core.records", "numpy._core.defchararray", "numpy._core.memmap")


def _called_by_host_code():
    """Whether NumPy's code for such a subclass, re-executed, makes the array."""
    frame = sys._getframe(2)
    while frame is not None and (name := frame.f_globals.get("__name__", "")).startswith(("numpy.", "npx.")):
        if name.startswith(HOST_CODE):
            return True
        frame = frame.f_back
    return False


# ------------------------------------------------------------------------------------------------------ devices
def devices():
    """The names of all devices that can be used here, the host first.

    Returns
    -------
    tuple of str
    """
    registry.load_entry_points()
    found = []
    for name in (HOST, *registry.EXTRAS, *sorted(registry.BACKENDS.keys() - registry.BUILTIN_LOADERS.keys())):
        with contextlib.suppress(ImportError):
            found += registry.devices_of(registry.backend_named(name))
    return tuple(found)


@functools.cache
def can_hold(device, dtype):
    """Whether arrays on a device can have a dtype."""
    try:
        return registry.place(numpy.empty(0, dtype), device).dtype == dtype
    except TypeError:
        return False


# ------------------------------------------------------------------------------------------------------ DLPack
#: DLPack's number of a type of device -> the backends that may hold its memory; all others are memory of the host
DLPACK_BACKENDS = {2: ("cuda", "xla"), 13: ("cuda",)}


def from_dlpack(x, /, *, device=None, copy=None):
    """An array on the memory of an object that supports DLPack, such as a PyTorch tensor.

    Parameters
    ----------
    x : object
        With the methods ``__dlpack__`` and ``__dlpack_device__``.
    device : str, optional
        By default the device of `x`, whatever the default device is.
    copy : bool, optional
        By default only where the memory cannot be shared.

    Returns
    -------
    ndarray

    Raises
    ------
    BufferError
        DLPack cannot describe `x`, or ``copy=False`` and a copy is needed.
    ValueError, ImportError
        As for `set_default_device`.
    """
    new = _shared(x) if type(x) is ndarray else _imported(x)
    target = new.device if device is None else registry.device_named(device)[0]
    if target == new.device:
        return new.copy() if copy else new
    if copy is False:
        raise BufferError(f"an array on {new.device} cannot be brought to {target} without a copy")
    return new.to_device(target)


def _shared(x):
    """A view of an npx array, if DLPack can describe it."""
    p = payload(x)
    if isinstance(p, numpy.ndarray):
        numpy.from_dlpack(p)
    return x[...]


def _imported(x):
    """An npx array on memory of another library."""
    kind = x.__dlpack_device__()[0] if hasattr(x, "__dlpack_device__") else None
    for name in DLPACK_BACKENDS.get(kind, ()):
        with contextlib.suppress(ImportError):
            return wrap(registry.backend_named(name).from_dlpack(x))
    return wrap(numpy.from_dlpack(x))


stand_for(numpy.from_dlpack, from_dlpack)
_place_or_not()
