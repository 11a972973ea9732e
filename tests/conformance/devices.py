"""Which ops a NumPy function calls on a device, and so what another backend must have to run it."""

import contextlib
import dataclasses
import importlib
import sys
import types
from collections.abc import Mapping

import numpy

from npx.dispatch import registry


class Recording(Mapping):
    """The implementations of a backend, which notes the ops that are asked for.

    Parameters
    ----------
    impls : mapping of str to callable
    """

    def __init__(self, impls):
        self.impls, self.asked = impls, set()

    def get(self, name, default=None):
        """The implementation of an op, noted."""
        self.asked.add(name)
        return self.impls.get(name, default)

    def __getitem__(self, name):
        self.asked.add(name)
        return self.impls[name]

    def __iter__(self):
        return iter(self.impls)

    def __len__(self):
        return len(self.impls)


@contextlib.contextmanager
def recorded_ops(device):
    """Collect the names of the ops that run on the arrays of a device.

    Yields
    ------
    set of str
        Filled while the block runs; an op stands for those that it expands to as well.
    """
    backend = registry.backend_named(device)
    recording = Recording(backend.impls)
    registry.register_backend(dataclasses.replace(backend, impls=recording))
    try:
        yield recording.asked
    finally:
        registry.register_backend(backend)


# ------------------------------------------------------------------------------------------------ CuPy without a GPU


class CupyArray(numpy.ndarray):
    """Stands for ``cupy.ndarray``."""


def _cupy():
    """A module with the names of CuPy that the backend uses, made of NumPy's."""
    cupy = types.ModuleType("cupy")
    cupy.__getattr__ = lambda name: getattr(numpy, name)
    cupy.ndarray = CupyArray
    cupy.array = lambda x, dtype: numpy.array(x, dtype).view(CupyArray)
    cupy.asnumpy = lambda x: numpy.array(x)
    return cupy


@contextlib.contextmanager
def cuda_backend():
    """The CUDA backend, registered while the block runs, with NumPy in the place of CuPy.

    What CuPy itself computes can only be tested where it runs.

    Yields
    ------
    Backend
    """
    backends, cupy = dict(registry.BACKENDS), sys.modules.get("cupy")
    sys.modules.pop("npx.kernels.cupy", None)
    sys.modules["cupy"] = _cupy()
    try:
        yield importlib.import_module("npx.kernels.cupy").BACKEND
    finally:
        del sys.modules["cupy"], sys.modules["npx.kernels.cupy"]  # the next import is to ask for CuPy again
        if cupy is not None:
            sys.modules["cupy"] = cupy
        registry.BACKENDS.clear()
        for backend in backends.values():
            registry.register_backend(backend)
