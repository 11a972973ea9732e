"""Where npx's modules lie."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec


def search_path(path: list[str]) -> list[str]:
    """Return the `__path__` that the package `npx` should have, given the one that Python found.

    The repository's own `npx/` folder lacks `dispatch` and `kernels`, which lie beside it, and may lack the compiled
    modules. Python run from the repository root finds that folder first. In an editable install it is the right one;
    otherwise the npx installed in this environment is used.

    Raises
    ------
    ImportError
        If this is the source folder and no npx is installed.
    """
    if find_spec("npx.dispatch") is not None:
        return path
    root = os.path.dirname(os.path.abspath(path[0]))
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry) != root]
    installed = PathFinder.find_spec("npx", elsewhere)
    if installed is None or not installed.submodule_search_locations:
        raise ImportError(f"npx is imported from its source folder, {root}, and is not installed: `pip install -e .`")
    return list(installed.submodule_search_locations)
