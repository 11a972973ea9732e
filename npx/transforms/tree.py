"""Pytrees: arguments and results as flat lists of leaves, and words for them in messages.

Tuples, lists, dicts, namedtuples and what is registered with `optree`, for all or in the namespace "npx", are nodes;
None is a node without leaves; anything else, arrays and numbers among it, is a leaf. `optree` is imported by the first
transform that is called.
"""

import functools
import inspect

import numpy

from npx.array.ndarray import ndarray

#: of `optree`, where classes are registered for npx
NAMESPACE = "npx"


@functools.cache
def _optree():
    import optree

    return optree


@functools.cache
def leaf_structure():
    """The structure of a single leaf."""
    return _optree().tree_structure(0)


def flatten(tree):
    """The leaves of a tree and its structure (`unflatten` builds it again)."""
    if type(tree) is ndarray or type(tree) is float:  # the most frequent ones
        return [tree], leaf_structure()
    return _optree().tree_flatten(tree, namespace=NAMESPACE)


def unflatten(structure, leaves):
    """The tree of a structure with these leaves, a list."""
    return leaves[0] if structure is leaf_structure() else structure.unflatten(leaves)


def leaves(tree):
    """The leaves of a tree."""
    return _optree().tree_leaves(tree, namespace=NAMESPACE)


def map_leaves(function, tree, *rest):
    """A tree of the same structure with `function` applied to its leaves, and to those of further trees like it."""
    return _optree().tree_map(function, tree, *rest, namespace=NAMESPACE)


def leaves_like(structure, tree, what):
    """The leaves of a tree that must have a given structure.

    Raises
    ------
    TypeError
        It has another one; the message calls the tree `what`.
    """
    found, other = flatten(tree)
    if other != structure:
        raise TypeError(f"{what} must have the structure {describe(structure)}, got {describe(other)}")
    return found


def spread(prefix, tree, what):
    """One value for each leaf of `tree`, from a tree of ints and None that may end above its leaves.

    Parameters
    ----------
    prefix : pytree of int or None
    tree : pytree
    what : str
        What to call `prefix` in messages.

    Raises
    ------
    ValueError
        `prefix` is not a prefix of `tree`.
    TypeError
        A leaf of `prefix` is neither an int nor None.
    """
    values, structure = _optree().tree_flatten(prefix, is_leaf=lambda node: node is None, namespace=NAMESPACE)
    for value in values:
        if value is not None and (not hasattr(value, "__index__") or isinstance(value, bool)):
            raise TypeError(f"{what} must hold integers and None, got {value!r}")
    try:
        subtrees = structure.flatten_up_to(tree)
    except ValueError as error:
        raise ValueError(f"{what}={prefix!r} does not match the structure of the values it is for: {error}") from None
    return [value for value, subtree in zip(values, subtrees, strict=True) for _ in leaves(subtree)]


def spread_flags(prefix, tree, what):
    """One bool for each leaf of `tree`, from a tree of bools that may end above its leaves.

    Raises
    ------
    TypeError
        `prefix` is not a prefix of `tree`, or a leaf of it is no bool; the message calls it `what`.
    """
    try:
        flags = _optree().broadcast_prefix(prefix, tree, namespace=NAMESPACE)
    except ValueError as error:
        raise TypeError(f"{what} must be a tree of bools like the result: {error}") from None
    for flag in flags:
        if not isinstance(flag, (bool, numpy.bool_)):
            raise TypeError(f"{what} must be a tree of bools like the result, got {flag!r}")
    return flags


def describe(structure):
    """A structure in words for messages: ``(*, {'w': *})``."""
    return str(structure).removeprefix("PyTreeSpec(").removesuffix(")")


def name_of(fun):
    """What to call a function in messages."""
    while isinstance(fun, functools.partial):
        fun = fun.func
    return getattr(fun, "__name__", None) or repr(fun)


def paths(structure):
    """For each leaf of a structure how to get to it: ``['w'][0]``."""
    return [accessor.codify("") for accessor in structure.accessors()]


def _positional(fun):
    """The names of the parameters of a function that can be passed by position; none where it has no signature."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def position_of(fun, name):
    """The position of a parameter; None where the function has none of that name."""
    names = _positional(fun)
    return names.index(name) if name in names else None


def argument_name(fun, position):
    """What to call an argument in messages: its name in the signature of `fun`, where it has one, and its position."""
    names = _positional(fun)
    return f"argument {names[position]!r} (position {position})" if position < len(names) else f"argument {position}"
