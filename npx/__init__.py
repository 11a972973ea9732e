"""NumPy with gradients, vectorisation, a compiler and accelerators: `import npx as np`."""

from npx._installation import search_path

__path__ = search_path(__path__)

import importlib as _importlib

import npx.array
import npx.kernels.elementwise
from npx import namespace as _namespace
from npx._version import __version__
from npx.array import upward as _upward
from npx.dispatch import registry as _registry
from npx.transforms import EXPORTS as _TRANSFORMS

_upward.MODULES.update(api="npx.api", namespace="npx.namespace", package="npx")
_registry.DECLARATIONS.append(lambda: _importlib.import_module("npx.ops"))
_namespace.mirror(globals(), "numpy", extra=_TRANSFORMS)
array = __getattr__("array")  # noqa: F821  (the package npx.array took the name when it was imported)
