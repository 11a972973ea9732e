"""NumPy's public names, served by npx.

Nothing here lists NumPy's functions: a name of ``npx.x`` is looked up in ``numpy.x`` when it is first used, and
`expose` decides by what it finds there. Functions become wrappers (`npx.array.calling`), ufuncs npx's ufuncs, modules
their mirrors; classes, scalar types, constants and exceptions are NumPy's own, but for a few classes that hold arrays.
"""

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
import types

import numpy

from npx import numpy_layer, overrides, routing
from npx.array import calling

#: NumPy's object -> module and name of what stands for it
STANDS_FOR = {
    numpy.ndarray: "npx.array.ndarray:ndarray",
    numpy.flatiter: "npx.array.flat:flatiter",
    numpy.ufunc: "npx.array.ufunc:ufunc",
    numpy.nditer: "npx.iterators:nditer",
    numpy.broadcast: "npx.iterators:broadcast",
    numpy.frompyfunc: "npx.array.ufunc:frompyfunc",
    numpy._core._multiarray_umath._array_converter: "npx.api.conversion:ArrayConverter",
}

#: functions that hand arrays to a function of the user: they run re-executed, so that it gets npx arrays
CALLS_BACK = frozenset(("apply_along_axis", "apply_over_axes", "fromfunction", "mask_indices", "pad", "piecewise"))

#: modules that always run re-executed: their functions share classes that hold arrays (poly1d) or are arrays (matrix)
ALWAYS_LAYER = (
    *("numpy.polynomial", "numpy.lib._polynomial_impl", "numpy.matrixlib", "numpy.ma", "numpy.lib.recfunctions"),
    *("numpy._core.records", "numpy._core.defchararray", "numpy._core.memmap"),
)

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type(numpy.sum))
_exposed = {}  # id of NumPy's object -> (that object, npx's)


def expose(real, module="npx"):
    """npx's counterpart of an object found in NumPy.

    Parameters
    ----------
    real : object
    module : str
        The module of npx in which it is found, for functions that do not name a module themselves.
    """
    known = _exposed.get(id(real))
    if known is None:
        known = _exposed.setdefault(id(real), (real, _expose(real, module)))  # another thread may have been first
    return known[1]


def stand_for(real, ours):
    """Let an object of npx stand for one of NumPy's wherever that is found."""
    _exposed[id(real)] = (real, ours)
    if isinstance(ours, types.FunctionType) and hasattr(real, "__text_signature__"):
        ours.__text_signature__ = real.__text_signature__


def _expose(real, module):
    if isinstance(real, types.ModuleType):
        return _mirror_of(real)
    if isinstance(real, (type, types.BuiltinFunctionType)) and real in STANDS_FOR:
        module, _, name = STANDS_FOR[real].partition(":")
        return getattr(importlib.import_module(module), name)
    if isinstance(real, numpy.ufunc):
        return importlib.import_module("npx.array.ufunc").lookup(real)
    if isinstance(real, type):
        return _expose_class(real)
    if isinstance(real, _FUNCTIONS) or type(real).__name__ == "cython_function_or_method":
        return _expose_function(real, module)
    if type(real).__module__.startswith("numpy"):  # an instance, such as numpy.r_
        again = numpy_layer.counterpart(real)
        return real if again is None else again
    return real


def _mirror_of(real):
    name = real.__name__
    if not name.startswith("numpy") or "._" in name:
        return real
    return importlib.import_module("npx" + name[len("numpy") :])


def _expose_class(real):
    if issubclass(real, (numpy.generic, numpy.dtype, tuple, BaseException)):
        return real
    return numpy_layer.counterpart(real) or real


def _expose_function(real, module):
    if (numpy_layer.home(real) or "").startswith(ALWAYS_LAYER):
        return numpy_layer.counterpart(real) or real
    return make_wrapper(real, module)


def behind(public):
    """The NumPy function of which a function is npx's counterpart; any other object itself."""
    real = getattr(public, "__wrapped__", None)
    return real if _exposed.get(id(real), (None, None))[1] is public else public


def make_wrapper(function, module="npx"):
    """The public function that calls a NumPy function on npx arrays."""
    wrapper = calling.make_wrapper(function, routing.elsewhere, routing.written_arguments, _overridden)
    if function.__name__ in CALLS_BACK:
        direct = wrapper

        def wrapper(*args, **kwargs):
            if any(map(_is_callback, (*args, *kwargs.values()))):
                return routing.version_of(function)(*args, **kwargs)
            return direct(*args, **kwargs)

    functools.update_wrapper(wrapper, function, (*functools.WRAPPER_ASSIGNMENTS, "__text_signature__"))
    home = getattr(function, "__module__", None)
    public = isinstance(home, str) and home.startswith("numpy")
    wrapper.__module__ = "npx" + home[len("numpy") :] if public else module
    return wrapper


def _overridden(function, args, kwargs):
    return overrides.dispatch(expose(function), function, args, kwargs)


def _is_callback(x):
    return callable(x) or (type(x) in (list, tuple) and any(map(callable, x)))


def call(function, args, kwargs):
    """Call npx's counterpart of a NumPy function."""
    return expose(function)(*args, **kwargs)


numpy_layer.use_namespace(expose)


# ------------------------------------------------------------------------------------------------------ modules
def mirror(namespace, source, extra=()):
    """Let a module serve the names of a NumPy module that it does not define itself.

    Parameters
    ----------
    namespace : dict
        The module's globals.
    source : str
        Name of the NumPy module.
    extra : dict of str to str, optional
        More names, with the module that defines each; it is imported on first use.
    """
    extra = dict(extra)
    here = namespace["__name__"]
    own = [name for name, value in namespace.items() if getattr(value, "__module__", None) == here]

    def __getattr__(name):
        if name == "__all__":
            return sorted({*getattr(sys.modules[source], "__all__", ()), *extra, *own})
        if name in extra:
            value = getattr(importlib.import_module(extra[name]), name)
        else:
            try:
                real = getattr(sys.modules[source], name)
            except AttributeError as error:
                raise AttributeError(str(error).replace(source, here), name=name, obj=sys.modules[here]) from None
            value = expose(real, here)
            if name not in vars(sys.modules[source]):  # NumPy's own `__getattr__` gave it, and may warn each time
                return value
        namespace[name] = value
        return value

    importlib.import_module(source)
    namespace["__getattr__"] = __getattr__
    namespace["__dir__"] = lambda: sorted({*dir(sys.modules[source]), *own, *extra})


class _Finder:
    """Finds ``npx.x`` for each public module ``numpy.x`` for which npx has no file."""

    def find_spec(self, fullname, path=None, target=None):
        package, _, rest = fullname.partition(".")
        if package != "npx" or not rest or "._" in fullname:
            return None
        try:
            real = importlib.util.find_spec(f"numpy.{rest}")
        except ImportError:
            return None
        if real is None:
            return None
        is_package = real.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(fullname, self, origin=real.origin, is_package=is_package)

    def create_module(self, spec):
        """Leave it to Python."""

    def exec_module(self, module):
        source = "numpy" + module.__name__[len("npx") :]
        module.__doc__ = importlib.import_module(source).__doc__
        mirror(vars(module), source)


sys.meta_path.append(_Finder())
