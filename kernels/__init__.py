"""Backends and their loops. Know no transform."""

import importlib

from npx.dispatch.registry import BUILTIN_LOADERS

#: device name -> the module that registers its backend when imported
MODULES = {"cpu": "cpu", "xla": "xla", "cuda": "cupy", "reference": "reference"}

for _device, _module in MODULES.items():
    BUILTIN_LOADERS[_device] = lambda name=_module: importlib.import_module(f"{__name__}.{name}")
