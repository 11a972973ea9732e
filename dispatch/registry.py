"""The tables of ops and backends."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy

from .locks import lock_for_all

#: every declared op, by name
OPS = {}

#: functions that declare ops when first called: programs that never trace do not need the declarations
DECLARATIONS = []

#: held while ops are declared or backends looked for, which other threads wait for
_loading = lock_for_all()

#: backends by name; third parties join through the entry-point group of the same name as ENTRY_POINTS
BACKENDS = {}
ENTRY_POINTS = "npx.backends"

#: what brings a backend that ships with npx but needs a package: device name -> pip extra
EXTRAS = {"xla": "xla", "cuda": "cuda12"}


def op(name):
    """The op called `name`, declaring the ops first where that has not been done."""
    try:
        return OPS[name]
    except KeyError:
        declare_all()
        return OPS[name]


def declare_all():
    """Run what declares ops."""
    with _loading:
        while DECLARATIONS:
            DECLARATIONS.pop()()


@dataclasses.dataclass(eq=False)
class Backend:
    """The implementations for one payload type.

    Parameters
    ----------
    name : str
        Also the name of its devices: ``"xla"``, ``"xla:1"``.
    payload_type : type
        What its arrays are (for example ``jax.Array``); subclasses count.
    impls : mapping of str to callable
        Op name -> function of payloads and the op's params, returning a payload or a tuple of them.
    asarray : callable
        ``asarray(numpy.ndarray, device=None) -> payload`` with the same dtype.
    to_host : callable
        ``to_host(payload) -> numpy.ndarray``.
    synchronize : callable
        ``synchronize(payload)`` waits until it is computed.
    compile : callable, optional
        ``compile(graph) -> callable(list of payload) -> list of payload``.
    devices : callable, optional
        ``devices() -> tuple of str``; by default one device with the backend's name.
    device_of : callable, optional
        ``device_of(payload) -> str``.
    from_dlpack : callable, optional
        ``from_dlpack(object) -> payload`` on memory of the backend's devices that another library holds.
    """

    name: str
    payload_type: type
    impls: Mapping[str, Callable]
    asarray: Callable
    to_host: Callable
    synchronize: Callable = lambda payload: None
    compile: Callable | None = None
    devices: Callable[[], tuple] | None = None
    device_of: Callable[[Any], str] | None = None
    from_dlpack: Callable[[Any], Any] | None = None


HOST = None  # set when the host backend registers: the backend whose payload is numpy.ndarray
_by_type = {}


def register_backend(backend):
    """Make `backend` known. A second backend for the same name or payload type replaces the first."""
    global HOST
    if backend.payload_type is numpy.ndarray:
        HOST = backend
    BACKENDS[backend.name] = backend
    _by_type.clear()
    for known in list(OPS.values()):
        known.forget_slots()
    return backend


def _third_parties():
    load_entry_points()
    return BACKENDS.values()


def backend_for(payload_type):
    """The backend of a payload type.

    Raises
    ------
    TypeError
        No backend claims the type.
    """
    try:
        return _by_type[payload_type]
    except KeyError:
        pass
    if payload_type is numpy.ndarray and HOST is None:
        backend_named("cpu")
    for attempt in (BACKENDS.values, _third_parties):
        for backend in list(attempt()):
            if issubclass(payload_type, backend.payload_type):
                _by_type[payload_type] = backend
                return backend
    raise TypeError(f"no npx backend takes arrays of type {payload_type.__module__}.{payload_type.__qualname__}")


_entry_points_loaded = False


def load_entry_points():
    """Load third-party backends once; one that fails to import is reported and skipped."""
    global _entry_points_loaded
    with _loading:
        if _entry_points_loaded:
            return
        _entry_points_loaded = True
        import importlib.metadata  # slow to import, and few programs ask for a device

        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            if point.name in BACKENDS:
                continue
            try:
                loaded = point.load()
                register_backend(loaded if isinstance(loaded, Backend) else loaded())
            except Exception as error:  # a broken plugin must not break npx
                why = f"npx backend {point.name!r} ({point.value}) could not be loaded: {error!r}"
                warnings.warn(why, stacklevel=2)


#: device name -> function that imports and registers a backend that ships with npx
BUILTIN_LOADERS = {}


def backend_named(device):
    """The backend of a device such as ``"cpu"``, ``"xla"`` or ``"xla:1"``, loading it when first asked for.

    Raises
    ------
    ImportError
        The backend needs a package that is not installed; the message says which ``pip install`` brings it.
    ValueError
        There is no such device.
    """
    name = str(device).partition(":")[0]
    if name not in BACKENDS and name in BUILTIN_LOADERS:
        try:
            BUILTIN_LOADERS[name]()
        except ImportError as error:
            extra = EXTRAS.get(name, name)
            raise ImportError(
                f"device {device!r} needs a package that is not installed ({error}): pip install 'npx-array[{extra}]'"
            ) from error
    if name not in BACKENDS:
        load_entry_points()
    if name not in BACKENDS:
        known = ", ".join(sorted({*BACKENDS, *BUILTIN_LOADERS}))
        raise ValueError(f"unknown device {device!r}; known: {known}")
    return BACKENDS[name]


def devices_of(backend):
    """The names of the devices of a backend."""
    return tuple(backend.devices()) if backend.devices else (backend.name,)


def device_named(device):
    """The full name of a device and its backend: ``"xla"`` is the first of the devices whose names begin so.

    Raises
    ------
    ImportError, ValueError
        As `backend_named`.
    """
    if not isinstance(device, str):
        raise ValueError(f"a device is given by its name, such as 'cpu' or 'xla:0', not as {device!r}")
    backend = backend_named(device)
    found = devices_of(backend)
    if device not in found and (":" in device or not found):
        raise ValueError(f"unknown device {device!r}; known: {', '.join(found) or 'none of this kind'}")
    return device if device in found else found[0], backend


def place(host, device):
    """A payload with the values of a NumPy array on a device, given by its full name."""
    backend = backend_named(device)
    return backend.asarray(host, device=device) if backend.devices else backend.asarray(host)
