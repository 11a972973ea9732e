"""Binds the name ``numpy`` to npx in the modules of the user, and in no others.

Every import statement, whatever loader or `exec` runs it, calls ``builtins.__import__``. This module replaces it by a
function that looks at the module of the statement. Installed packages, the standard library and extension modules get
NumPy, and ``sys.modules["numpy"]`` is NumPy.
"""

import builtins
import functools
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

from npx.running import hooks

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = {"site-packages", "dist-packages"}

#: packages that are bound to npx although they are installed
included = set()

_import = builtins.__import__
_import_module = importlib.import_module


# ------------------------------------------------------------------------------------------------- whose module it is
def is_installed(path):
    """Whether a file belongs to the standard library or to an installed package."""
    return path.startswith(_STANDARD_LIBRARY) or not _INSTALLED.isdisjoint(path.split(os.sep))


def is_of_user(namespace):
    """Whether code with these globals is the user's own; None where they do not say."""
    name = namespace.get("__name__")
    if not isinstance(name, str):
        name = ""
    if name in ("__main__", "__mp_main__"):  # what the user asks to run: `-m timeit` executes the user's statements
        return True
    if name.partition(".")[0] in ("npx", "numpy"):
        return False
    if any(name == package or name.startswith(f"{package}.") for package in included):
        return True
    path = namespace.get("__file__")
    return not is_installed(path) if isinstance(path, str) else None


def called_by_user(frame):
    """Whether the user's code runs in `frame`; `exec` with bare globals belongs to the code that calls it."""
    while frame is not None:
        answer = is_of_user(frame.f_globals)
        if answer is not None:
            return answer
        frame = frame.f_back
    return False


# ------------------------------------------------------------------------------------------------- what is imported
@functools.cache
def _counterpart(name):
    """npx's module for a module of NumPy, or None: NumPy's private modules have none."""
    if name != "numpy" and not name.startswith("numpy."):
        return None
    try:
        _import_module(name)
        return _import_module("npx" + name[len("numpy") :])
    except ImportError:
        return None


@functools.cache
def _star(name):
    """What ``from numpy import *`` takes its names from: NumPy's names, without those that npx adds."""
    real, ours = sys.modules[name], _counterpart(name)
    listed = getattr(real, "__all__", None) or [key for key in vars(real) if not key.startswith("_")]
    names = types.ModuleType(ours.__name__)
    names.__all__ = list(listed)
    names.__getattr__ = lambda key: getattr(ours, key)
    return names


def _answer_import(name, globals=None, locals=None, fromlist=(), level=0):
    """What an import statement gets; ``NotImplemented`` where that is what Python gives."""
    if level or not called_by_user(sys._getframe(1)):
        return NotImplemented
    module = _counterpart(name)
    if fromlist:
        return NotImplemented if module is None else _star(name) if "*" in fromlist else module
    if module is None:
        if not name.startswith("numpy.") or not _exists(name):
            return NotImplemented
    return _counterpart("numpy")


def _exists(name):
    try:
        _import_module(name)
    except ImportError:
        return False
    return True


def _answer_import_module(name, package=None):
    """The same for `importlib.import_module`."""
    module = _counterpart(name) if called_by_user(sys._getframe(1)) else None
    return NotImplemented if module is None else module


# ------------------------------------------------------------------------------------------------- installing it
def install(include=(), device=None):
    """Bind the user's modules that are imported from now on, here and in the processes of `multiprocessing`.

    Parameters
    ----------
    include : iterable of str, optional
        Installed packages to bind as well.
    device : str, optional
        The default device.
    """
    included.update(include)
    if device is not None:
        _counterpart("numpy").set_default_device(device)
    if builtins.__import__ is not _import:
        return
    _report_early_imports()
    builtins.__import__ = hooks.asking(_import, "numpy", _answer_import)
    importlib.import_module = hooks.asking(_import_module, "numpy", _answer_import_module)
    child = _Child(tuple(included), device)
    if "multiprocessing.spawn" in sys.modules:
        child.join(sys.modules["multiprocessing.spawn"])
    else:
        sys.meta_path.insert(0, child)


def _report_early_imports():
    """Say which of the user's modules had NumPy before npx was asked: sitecustomize and its like."""
    for name, module in list(sys.modules.items()):
        namespace = vars(module) if isinstance(module, types.ModuleType) else {}
        if name != "__main__" and is_of_user(namespace) and _holds_numpy(namespace):
            note = f"npx: {name} imported numpy before npx was asked and keeps it; import it from the program instead"
            print(note, file=sys.stderr)


def _holds_numpy(namespace):
    modules = (value for value in namespace.values() if isinstance(value, types.ModuleType))
    return any(module.__name__.partition(".")[0] == "numpy" for module in modules)


class _Child(importlib.abc.MetaPathFinder):
    """Binds the processes that `multiprocessing` starts afresh (spawn, forkserver), before they import `__main__`.

    A child first unpickles what `multiprocessing.spawn.get_preparation_data` returned in its parent. One item more in
    it, which unpickles by calling `install`, is all that is needed.
    """

    def __init__(self, include, device):
        self.include, self.device = include, device

    def __reduce__(self):
        return install, (self.include, self.device)

    def find_spec(self, fullname, path=None, target=None):
        """Notice when `multiprocessing.spawn` is imported."""
        if fullname != "multiprocessing.spawn":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.join(module)

        spec.loader.exec_module = exec_module
        return spec

    def join(self, spawn):
        """Add this object to what children are prepared with."""
        prepare = spawn.get_preparation_data

        @functools.wraps(prepare)
        def get_preparation_data(name):
            return {"npx": self, **prepare(name)}

        spawn.get_preparation_data = get_preparation_data
