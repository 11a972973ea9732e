"""npx's versions of NumPy's classes of arrays: `matrix`, `recarray`, `chararray`, `memmap`, `MaskedArray` ...

Each derives from NumPy's class and from `HostSubclass`, so SciPy and matplotlib take its arrays for what they are, and
NumPy's Python code runs for them as it is. The public members take and give npx arrays; what NumPy's own functions read
of an array, such as ``_mask``, stays NumPy's.
"""

import functools
import types

import numpy

from npx.array.calling import make_wrapper
from npx.array.methods import with_subclass
from npx.array.ndarray import ndarray
from npx.array.subclass import WITHOUT_ARRAYS, HostSubclass, to_npx
from npx.dispatch.locks import lock_for_all

#: members that make no arrays and take none, or that only NumPy and Python call
KEPT = frozenset(
    """
    __array_finalize__ __class_getitem__ __copy__ __deepcopy__ __doc__ __format__ __getstate__ __init_subclass__
    __module__ __reduce__ __reduce_ex__ __repr__ __setattr__ __setitem__ __setstate__ __str__
""".split()
)

#: classes of which there is one instance, which is compared by identity
SINGLETONS = frozenset(("MaskedConstant",))

_derived = {}  # NumPy's class -> npx's
_deriving = lock_for_all()


def derive(original):
    """npx's version of a class of arrays of NumPy's; NumPy's own where there is nothing to change.

    Parameters
    ----------
    original : type
        A subclass of ``numpy.ndarray`` that NumPy defines.
    """
    if original is numpy.ndarray:
        return HostSubclass
    if original.__name__ in SINGLETONS:
        return original
    with _deriving:
        if original not in _derived:
            _derived[original] = _derive(original)
        return _derived[original]


def _derive(original):
    parents = [derive(base) for base in original.__bases__ if issubclass(base, numpy.ndarray)]
    bases = (original, *parents) if parents == [HostSubclass] else (*parents, original)
    scope = dict(_globals_of(original))
    derived = type(HostSubclass)(original.__name__, bases, _namespace(original, scope))
    scope[original.__name__] = derived
    return derived


def _globals_of(original):
    """The names of the module that defines a class, which its methods know better than its ``__module__``."""
    return next(m.__globals__ for m in vars(original).values() if isinstance(m, types.FunctionType))


def _namespace(original, scope):
    """The members of npx's version of a class that differ from NumPy's; `scope` is what their global names mean."""
    found = {
        "__module__": "npx" + original.__module__.removeprefix("numpy"),
        "__doc__": original.__doc__,
        "_npx_stands_for": original,  # its instances count as instances of the new class: see `NDArrayMeta`
    }
    for name, value in vars(original).items():
        if name in KEPT or name in WITHOUT_ARRAYS or (name.startswith("_") and not name.endswith("__")):
            continue
        if isinstance(value, types.FunctionType):
            found[name] = _wrapped(_in_scope(value, scope) if value.__globals__ is _globals_of(original) else value)
            if name == "view":
                found[name] = _with_numpys_class(found[name])
        elif name == "__new__":
            found[name] = staticmethod(_wrapped(value.__func__))
        elif isinstance(value, property):
            found[name] = _property(value)
    return found


def _wrapped(function):
    return functools.update_wrapper(make_wrapper(function, with_subclass), function)


def _with_numpys_class(view):
    """The method `view`, which may be asked for the array class."""

    @functools.wraps(view)
    def method(self, *args, **kwargs):
        args = [numpy.ndarray if x is ndarray else x for x in args]
        return view(self, *args, **{key: numpy.ndarray if x is ndarray else x for key, x in kwargs.items()})

    return method


def _property(original):
    def get(self):
        return to_npx(original.fget(self))

    return property(get, original.fset and _wrapped(original.fset), doc=original.__doc__)


def _in_scope(function, scope):
    """A function with other globals: in its methods, the name of a class shall mean npx's (``type(x) is memmap``)."""
    made = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(made, function)


class Functions:
    """What stands for an instance of NumPy's that is called, indexed or has methods, such as ``numpy.ma.add``."""

    def __init__(self, original):
        functools.update_wrapper(self, original, updated=())
        self._original = original
        self._call = make_wrapper(original, with_subclass)

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def __getitem__(self, key):
        return make_wrapper(type(self._original).__getitem__, with_subclass)(self._original, key)

    def __getattr__(self, name):
        value = getattr(self._original, name)
        return _wrapped(value) if callable(value) else value

    def __repr__(self):
        return repr(self._original)
