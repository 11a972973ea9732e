"""``__array_ufunc__``: calls of ufuncs that an operand of a class of the user's answers itself.

NumPy decides whose method is asked, in which order, and with which arguments in which form. To ask it without handing
out its own ufuncs and arrays, its ufunc is called with objects that stand for the operands; each of them asks the
operand that it stands for, with npx's ufunc and the very objects that were passed.

Classes of libraries that are written for NumPy (a pandas ``Series``) get NumPy's ufuncs and arrays, from NumPy.
"""

import inspect
import sys
import weakref

import numpy

from npx.array.ndarray import ndarray, wrap

_DEFAULT = numpy.ndarray.__array_ufunc__
_used_by = weakref.WeakKeyDictionary()


def overrides(x):
    """Whether an operand has an ``__array_ufunc__`` of its own, which is to get npx's ufuncs."""
    method = getattr(type(x), "__array_ufunc__", _DEFAULT)
    return method is not _DEFAULT and type(x) is not ndarray and not written_for_numpy(method)


def written_for_numpy(method):
    """Whether the module that defines a method uses ``numpy`` and not npx: NumPy's objects are what it expects."""
    return used_by(method) == {"numpy"}


def used_by(definition):
    """Which of ``numpy`` and ``npx`` the module that defines a method or class has imported, by whichever name."""
    try:
        found = _used_by.get(definition)
    except TypeError:  # None, or another object without weak references
        return set()
    if found is None:
        names = getattr(inspect.unwrap(definition), "__globals__", None)
        if names is None:
            names = getattr(sys.modules.get(getattr(definition, "__module__", None)), "__dict__", {})
        modules = {id(sys.modules[name]): name for name in ("numpy", "npx")}
        found = _used_by[definition] = {modules[id(value)] for value in list(names.values()) if id(value) in modules}
    return found


def override(ufunc, method, args, kwargs):
    """The answer of the operands to a call of a ufunc, of which at least one `overrides` it.

    Parameters
    ----------
    ufunc : ufunc
    method : str
        ``"__call__"``, ``"reduce"``, ...
    args, kwargs : tuple, dict
    """
    args = [_stand_in(x, ufunc) for x in args]
    for name in kwargs.keys() & {"out", "where"}:
        x = kwargs[name]
        x = tuple(_stand_in(item, ufunc) for item in x) if type(x) is tuple else _stand_in(x, ufunc)
        kwargs = {**kwargs, name: x}
    return getattr(ufunc.numpy, method)(*args, **kwargs)


class _Operand:
    """Stands for an operand that NumPy shall not ask itself, such as an npx array."""

    def __init__(self, operand, ufunc):
        self.operand, self.ufunc = operand, ufunc

    def __repr__(self):
        return repr(self.operand)


def _ask(self, _, method, /, *inputs, **kwargs):
    """``__array_ufunc__`` of what stands for an operand that has one."""
    kwargs = {key: _operands(value) for key, value in kwargs.items()}
    return type(self.operand).__array_ufunc__(self.operand, self.ufunc, method, *map(_operands, inputs), **kwargs)


def _operands(x):
    if type(x) is tuple:
        return tuple(map(_operands, x))
    return x.operand if isinstance(x, _Operand) else x


def _stand_in(x, ufunc):
    if type(x) is ndarray:
        return _Operand(x, ufunc)
    return _class_for(type(x))(x, ufunc) if overrides(x) else x


_classes = weakref.WeakKeyDictionary()


def _class_for(kind):
    """The class of what stands for operands of a class that overrides; its bases are those of that class likewise.

    NumPy asks a subclass before its base, and each class once.
    """
    found = _classes.get(kind)
    if found is None:
        bases = tuple(_class_for(base) for base in kind.__bases__ if hasattr(base, "__array_ufunc__"))
        method = _ask if kind.__array_ufunc__ is not None else None
        found = type(kind.__name__, bases or (_Operand,), {"__array_ufunc__": method})
        _classes[kind] = found
    return found


# ------------------------------------------------------------------------------------------------------ __array__
def gives_npx_array(x):
    """Whether an object has an ``__array__`` that may give an npx array, which NumPy does not take."""
    return not isinstance(x, (ndarray, numpy.generic, type)) and hasattr(x, "__array__")


def with_converted(ufunc, method, args, kwargs):
    """The result of a ufunc with operands of which ``__array__`` gives npx arrays; `__array_wrap__` is honoured."""
    args = [_Converted(x, ufunc) if gives_npx_array(x) else x for x in args]
    return getattr(ufunc, method)(*args, **kwargs)


class _Converted(_Operand):
    """Stands for such an operand, as the array that it gives."""

    def __array__(self, dtype=None, copy=None):
        return numpy.array(self.operand.__array__(), dtype, copy=copy)

    def __getattr__(self, name):
        if name not in ("__array_priority__", "__array_wrap__"):
            raise AttributeError(name)
        found = getattr(self.operand, name)
        return found if name == "__array_priority__" else self._wrap

    def _wrap(self, array, *rest):
        if rest and rest[0] is not None:  # the context
            _, inputs, place = rest[0]
            rest = (self.ufunc, tuple(map(_to_npx, inputs)), place), *rest[1:]
        return self.operand.__array_wrap__(wrap(array), *rest)  # NumPy tries with fewer arguments


def _to_npx(x):
    return wrap(_operands(x))
