"""Calling a user's function with tracers: what goes in, what comes out, and what its writes leave behind.

The transforms work on payloads; users' functions on arrays. This module is the only place where the two meet.
"""

import functools

import numpy

import npx.ops  # noqa: F401  declares the ops, which the first transform needs
from npx.array.interop import is_subclass
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.views import settle
from npx.dispatch.interpreter import Tracer, active

from . import replay, tree  # noqa: F401  (`replay` answers calls of composite functions)

SCALARS = (numpy.generic, bool, int, float, complex)


def stands_for_scalar(leaf):
    """Whether `leaf` is a NumPy or Python scalar, or an array that stands for one."""
    return leaf.scalar if type(leaf) is ndarray else isinstance(leaf, SCALARS)


def is_array(leaf):
    """Whether `leaf` is an array or a number, and no other object, such as an array of a subclass (a masked array)."""
    return type(leaf) is ndarray or (isinstance(leaf, (ndarray, *SCALARS, Tracer)) and not is_subclass(leaf))


def wrap_kind(value, scalar):
    """`value`, a payload, as an array or, if `scalar`, as what stands for a NumPy scalar."""
    value = as_payload(value)
    return wrap_scalar(value) if scalar else wrap(value)


def wrap_as(value, leaf):
    """`value`, a payload, as the kind of object that `leaf` is: a scalar or an array."""
    return wrap_kind(value, stands_for_scalar(leaf))


def as_payload(value):
    """A payload that an array can hold: a NumPy array for a Python number."""
    return numpy.asarray(value) if isinstance(value, SCALARS) else value


def wrap_rank(value):
    """`value`, a payload, as NumPy would return it: a scalar where it has no axes."""
    return wrap(value) if getattr(value, "shape", None) else wrap_scalar(value)


class Result:
    """What a function returned under an interpreter: the leaves and their payloads as of the return.

    Attributes
    ----------
    leaves : list
    payloads : list
        Tracers of the interpreter among them.
    structure : PyTreeSpec
    """

    __slots__ = ("leaves", "payloads", "structure")

    def __init__(self, value):
        self.leaves, self.structure = tree.flatten(value)
        self.payloads = [payload(leaf) for leaf in self.leaves]

    def main(self, transform, fun, has_aux=False):
        """The structure of the result proper, without the aux data, after checking that it consists of arrays.

        Its leaves are the first ones of the result.

        Raises
        ------
        TypeError
            The function returned nothing, other objects than arrays, or no pair where it has aux data.
        """
        structure, name = self.structure, tree.name_of(fun)
        if has_aux:
            if structure.type is not tuple or structure.num_children != 2:
                raise TypeError(f"{transform}: with has_aux=True, {name} must return a pair (value, aux)")
            structure = structure.child(0)
        if structure.type is type(None):
            raise TypeError(f"{transform}: {name} returned None; it must return an array. Is there a `return`?")
        for leaf in self.leaves[: structure.num_leaves]:
            if not is_array(leaf):
                raise TypeError(f"{transform}: {name} must return arrays, got an object of type {type(leaf).__name__}")
        return structure

    def lowered(self, interpreter, lower):
        """The returned value with the tracers of an interpreter that has ended lowered.

        A returned array that outlived the interpreter by itself (a buffer from outside that was written to) stays the
        same object.
        """

        def restore(leaf, value):
            if not isinstance(value, Tracer) or value.interpreter is not interpreter:
                return leaf
            now = payload(leaf)
            return leaf if now is not value else wrap_as(lower(value), leaf)

        return tree.unflatten(self.structure, list(map(restore, self.leaves, self.payloads)))


def run(interpreter, call, lower):
    """Return ``call()`` with `interpreter` installed.

    Arrays from outside that were written to hold ordinary values again afterwards, also when `call` raises.

    Parameters
    ----------
    interpreter : Interpreter
    call : callable
        Calls the user's function with tracers, wrapped as arrays.
    lower : callable
        ``lower(tracer) -> payload`` one level down.
    """

    def put_back():
        if interpreter.lifted:
            settle(interpreter, lambda tracer: as_payload(lower(tracer)))

    with active(interpreter, put_back):
        return call()


def same_name(fun, transform):
    """Decorate a transformed function: the names and signature of `fun`, and a line that says what it is."""

    def decorate(wrapper):
        functools.update_wrapper(wrapper, fun, assigned=("__module__", "__qualname__"), updated=())
        wrapper.__name__ = name = tree.name_of(fun)
        doc = getattr(fun, "__doc__", None)
        wrapper.__doc__ = f"`{transform}` of `{name}`." + (f"\n\n{doc}" if doc else "")
        return wrapper

    return decorate
