"""NumPy with gradients, vectorisation, a compiler and accelerators: `import npx as np`."""

from npx._installation import search_path

__path__ = search_path(__path__)

import importlib as _importlib
import os as _os

import npx.array
import npx.kernels.elementwise
from npx import namespace as _namespace
from npx._version import __version__
from npx.array import upward as _upward
from npx.dispatch import registry as _registry
from npx.transforms import EXPORTS as _TRANSFORMS

_upward.MODULES.update(
    api="npx.api", array_api="npx.array_api", namespace="npx.namespace", overrides="npx.overrides", package="npx"
)
_registry.DECLARATIONS.append(lambda: _importlib.import_module("npx.ops"))
_MORE = {  # names beside NumPy's, or with more arguments: the modules that define them
    **_TRANSFORMS,
    **dict.fromkeys(("set_default_device", "get_default_device", "default_device", "from_dlpack"), "npx.devices"),
    **dict.fromkeys(("sort", "argsort"), "npx.extended"),
    **dict.fromkeys(("__array_api_version__", "__array_namespace_info__"), "npx.namespace_info"),
}
_namespace.mirror(globals(), "numpy", extra=_MORE)
array = __getattr__("array")  # noqa: F821  (the package npx.array took the name when it was imported)
if _os.environ.get("NPX_DEVICE"):
    _importlib.import_module("npx.devices")
