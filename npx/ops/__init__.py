"""Op declarations, by NumPy's own chapters. Importing this package declares every op."""

import importlib
import pkgutil

for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
