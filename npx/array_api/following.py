"""Functions of npx that follow the array API standard in what they return."""

import functools
import inspect

from npx.array.standard import adopt
from npx.array.ufunc import ufunc


def following(function):
    """A function that calls `function` and returns arrays of the standard."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return adopt(function(*args, **kwargs), args)

    call.__module__ = "npx.array_api"
    if isinstance(function, ufunc):
        call.__signature__ = _signature(function)
    return call


def _signature(function):
    """The standard's signature of a ufunc, which does not tell its own."""
    names = ("x",) if function.nin == 1 else tuple(f"x{k + 1}" for k in range(function.nin))
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    if function.signature == "(n),(n)->()":
        parameters.append(inspect.Parameter("axis", inspect.Parameter.KEYWORD_ONLY, default=-1))
    return inspect.Signature(parameters)


def publish(namespace, source, names, rules=None):
    """Give a module the standard's functions.

    Parameters
    ----------
    namespace : dict
        The module's globals.
    source : module
        Of npx; the functions are taken from it,
    names : iterable of str
    rules : module or object, optional
        but for those that this one has.
    """
    for name in names:
        function = getattr(rules, name, None) or getattr(source, name)
        namespace[name] = following(function)
