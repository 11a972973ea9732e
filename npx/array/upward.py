"""What the array asks of the layers above it. The package names their modules here; they load on first use."""

import importlib

#: role -> module name, filled by the package `npx`
MODULES = {}


def module(role):
    """The module that plays a role above the array: "api", "namespace", "overrides" or "package"."""
    return importlib.import_module(MODULES[role])
