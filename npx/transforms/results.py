"""How jit makes the results of a call: arguments come back as themselves, views of them as views, the rest computed.

A maker is a function ``make(payloads, call, made)`` of the computed payloads, the call's arguments, and the arrays made
for this call so far.
"""

import collections

import numpy

from npx.array import upward
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.views import root_of
from npx.ops.index_specs import rebuild

NUMBERS = (int, float, complex)


def makers(leaves, recorder, arguments, want):
    """The makers of what a function returned.

    Parameters
    ----------
    leaves : list
        The returned objects.
    recorder : Recorder
    arguments : list
        The leaves of the arguments that the function was called with.
    want : callable
        ``want(value)`` asks for a value of the graph to be computed, and returns its position among the payloads.
    """
    places = {id(x): i for i, x in enumerate(arguments) if _is_array(x)}
    uses = collections.Counter(id(root_of(x)) for x in leaves if _is_array(x))
    shared = {}  # id of an owner that was made in the call -> its maker

    def owner_maker(root):
        """The maker of an owner whose identity matters: several results, or others than results, refer to it."""
        if id(root) in places:
            i = places[id(root)]
            return lambda payloads, call, made: call.leaves[i]
        if root.birth < recorder.birth:
            return lambda payloads, call, made: root
        if uses[id(root)] > 1:
            if id(root) not in shared:
                shared[id(root)] = _once(_computed(root, recorder, want))
            return shared[id(root)]
        return None

    def maker(leaf):
        if type(leaf) is not ndarray:
            is_local = isinstance(leaf, numpy.ndarray) and id(leaf) not in recorder.outside
            return lambda payloads, call, made: leaf.copy() if is_local else leaf
        if _is_older(leaf, recorder):
            return lambda payloads, call, made: leaf
        owner = None if leaf.scalar else owner_maker(root_of(leaf))
        steps = steps_to(leaf)
        if owner is None or steps is None:
            return _computed(leaf, recorder, want)
        return lambda payloads, call, made: walk(owner(payloads, call, made), steps)

    return [maker(leaf) for leaf in leaves]


def _is_array(x):
    return type(x) is ndarray and not x.scalar


def _is_older(x, recorder):
    """Whether an array was there before the call; a view of host memory is as old as its owner."""
    is_of_host = x.base_ is None or x.view_ is None or x.home is not None
    return is_of_host and not x.scalar and root_of(x).birth < recorder.birth


def _computed(x, recorder, want):
    """The maker of a new array, scalar or Python number."""
    value = recorder.value_of(payload(x))
    k, kind = want(value), value.aval.weak
    if kind is not None:
        return lambda payloads, call, made: kind(payloads[k])
    as_array = wrap_scalar if x.scalar else wrap
    return lambda payloads, call, made: as_array(own(payloads[k]))


def _once(make):
    """A maker that makes one array for each call."""

    def make_once(payloads, call, made):
        if make not in made:
            made[make] = make(payloads, call, made)
        return made[make]

    return make_once


def own(p):
    """A payload that an array can hold."""
    return numpy.asarray(p) if isinstance(p, (numpy.generic, *NUMBERS, bool)) else p


def steps_to(x):
    """The view ops, with their params, that lead from the owner of `x` to it; None where one gathers elements."""
    steps = []
    while x.base_ is not None:
        if x.view_ is None or x.view_.arrays:
            return None
        steps.append((x.view_.name, x.view_.params))
        x = x.base_
    return steps[::-1]


def walk(x, steps):
    """The view of an array that view ops lead to."""
    for name, params in steps:
        x = _VIEWS[name](x, **params)
    return x


_VIEWS = {
    "getitem": lambda x, index: x[(*rebuild(index), ...)],
    "transpose": lambda x, axes: x.transpose(axes),
    "reshape": lambda x, shape: x.reshape(shape),
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "diagonal": lambda x, offset, axis1, axis2: x.diagonal(offset, axis1, axis2),
    "view_dtype": lambda x, dtype: x.view(dtype),
    "broadcast_to": lambda x, shape: upward.module("namespace").call(numpy.broadcast_to, (x, shape), {}),
}
