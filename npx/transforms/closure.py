"""What a function reads besides its arguments: its closure, the globals it names, the object it is bound to.

A compiled function must notice when one of these is bound to something else. `Surroundings.state` is a cheap key: the
values of numbers and strings, the identity of everything else, looking into containers and into the functions of the
user that are called.
"""

import functools
import types

from npx.dispatch.debug import is_own_file

PLAIN = (bool, int, float, complex, str, bytes, type(None))
CONTAINERS = (list, tuple, dict)
DEPTH = 3  # of containers in containers, and of functions that call functions


class Surroundings:
    """The names that a function reads from outside.

    Parameters
    ----------
    fun : callable
        A function, method, partial or callable object.
    """

    def __init__(self, fun):
        self.cells = []  # cell objects
        self.names = []  # (namespace dict, name)
        self.objects = []  # instances whose attributes count
        self._seen = set()
        self._visit(fun, DEPTH)

    def _visit(self, fun, depth):
        if isinstance(fun, functools.partial):
            self._visit(fun.func, depth)
            return
        if isinstance(fun, types.MethodType):
            self.objects.append(fun.__self__)
            fun = fun.__func__
        elif not isinstance(fun, types.FunctionType):
            if hasattr(fun, "__wrapped__"):
                self._visit(fun.__wrapped__, depth)
            call = getattr(type(fun), "__call__", None)  # noqa: B004 (the function itself is wanted)
            if not isinstance(call, types.FunctionType):
                return
            self.objects.append(fun)
            fun = call
        if fun in self._seen:
            return
        self._seen.add(fun)
        if is_own_file(fun.__code__.co_filename):
            if hasattr(fun, "__wrapped__"):  # a transformed function reads what that of the user does
                self._visit(fun.__wrapped__, depth)
            return
        for cell in fun.__closure__ or ():
            self.cells.append(cell)
            self._visit_value(_contents(cell), depth)
        for name in _global_names(fun.__code__):
            if name in fun.__globals__:
                self.names.append((fun.__globals__, name))
                self._visit_value(fun.__globals__[name], depth)

    def _visit_value(self, value, depth):
        if depth and isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
            self._visit(value, depth - 1)

    def values(self):
        """What the names are bound to now."""
        yield from map(_contents, self.cells)
        yield from (namespace.get(name) for namespace, name in self.names)
        yield from self.objects

    def state(self):
        """A hashable key of what the names are bound to now, and the objects that it identifies by address."""
        key, held = [], []
        for cell in self.cells:
            _describe(_contents(cell), key, held, DEPTH)
        for namespace, name in self.names:
            _describe(namespace.get(name), key, held, DEPTH)
        for instance in self.objects:
            _describe_instance(instance, key, held)
        return tuple(key), held


def state_of(value):
    """The key of one object that a function was given, by what it holds, and the objects identified by address."""
    key, held = [], []
    try:
        key.append((type(value), hash(value), value))
    except TypeError:
        key.append((type(value), id(value)))
        held.append(value)
    _describe_instance(value, key, held)
    return tuple(key), held


def _describe_instance(value, key, held):
    if not isinstance(value, (types.FunctionType, types.ModuleType, type)):
        _describe(getattr(value, "__dict__", None), key, held, DEPTH)


def _contents(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _global_names(code):
    """Global names in a code object and the functions defined inside it."""
    names = list(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names += _global_names(const)
    return names


def _describe(value, key, held, depth):
    kind = type(value)
    if kind in PLAIN:
        key.append((kind, value))
    elif kind in CONTAINERS and depth:
        key.append((kind, len(value)))
        for item in list(value.items()) if kind is dict else value:  # another thread may change it
            _describe(item, key, held, depth - 1)
    else:
        key.append(id(value))
        held.append(value)
