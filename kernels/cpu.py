"""The host backend: NumPy for every primitive, compiled graphs through the host compiler."""

import importlib
from collections.abc import Mapping

import numpy

from npx.dispatch import registry


class Specs(Mapping):
    """Op name -> the NumPy callable that defines the op: what the host runs."""

    def __getitem__(self, name):
        return registry.op(name).spec

    def __iter__(self):
        return iter(registry.OPS)

    def __len__(self):
        return len(registry.OPS)


def compile(graph):
    """Compile a graph; the compiler is imported when first needed."""
    return importlib.import_module("npx.kernels.host_compiler.lower").compile(graph)


BACKEND = registry.register_backend(
    registry.Backend(
        name="cpu",
        payload_type=numpy.ndarray,
        impls=Specs(),
        asarray=lambda host, device=None: host,
        to_host=lambda payload: payload,
        compile=compile,
    )
)
