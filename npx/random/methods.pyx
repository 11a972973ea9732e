# cython: binding=True
"""The methods of the generators: NumPy's own, called at once unless a transform or a device may have a say.

Compiled, so that a draw costs little more than NumPy's, and warnings point to the line of the caller as NumPy's do.
"""

import functools

cimport numpy as cnp

from npx import routing
from npx.array.calling import make_wrapper, wrap_made
from npx.dispatch.interpreter import on_stack_change, stack

cnp.import_array()

cdef Py_ssize_t _unsettled = 0  # interpreters that have not settled, in any thread


def _watch(capturing, unsettled, birth):
    global _unsettled
    _unsettled += unsettled


on_stack_change.append(_watch)
_unsettled = len(stack())


cdef bint _is_plain(object x):
    """Whether an argument is quickly seen to hold no array: a number, None, a string, a type, a tuple of these."""
    kind = type(x)
    if kind is int or kind is float or x is None or kind is str or kind is bool or kind is type:
        return True
    if kind is tuple:
        for item in <tuple>x:
            if not _is_plain(item):
                return False
        return True
    return False


cdef bint _are_plain(tuple args, dict kwargs):
    for x in args:
        if not _is_plain(x):
            return False
    if kwargs:
        for x in kwargs.values():
            if not _is_plain(x):
                return False
    return True


def make_method(method, route):
    """The method of a generator class of npx that stands for one of NumPy's.

    Parameters
    ----------
    method : callable
        The method of NumPy's class.
    route : callable
        ``route(self, method, now, args, kwargs)`` is called instead while a transform is active, and for objects whose
        `_direct`, the generator of NumPy to draw from, is None; ``now(plain, *args, **kwargs)`` calls the method of a
        generator of NumPy.
    """
    now = make_wrapper(method, routing.elsewhere, routing.written_arguments)

    def draw(self, *args, **kwargs):
        direct = self._direct
        if direct is None or (_unsettled and stack()):
            return route(self, method, now, args, kwargs)
        if not _are_plain(args, kwargs):
            return now(direct, *args, **kwargs)
        result = method(direct, *args, **kwargs)
        return wrap_made(result) if type(result) is cnp.ndarray else result

    return functools.update_wrapper(draw, method)


def make_function(method, generator, described):
    """The function of a module that calls a method of a generator.

    Parameters
    ----------
    method : callable
        Made by `make_method`.
    generator : object
    described : callable
        NumPy's function, for name and docstring.
    """

    def function(*args, **kwargs):
        return method(generator, *args, **kwargs)

    return functools.update_wrapper(function, described)
