"""The arguments of the derivative transforms: which are differentiated, and what goes in beside them.

What is wrong with them is found here, for all transforms, and said by name.
"""

import functools

from npx.array.ndarray import payload
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import cast, is_inexact, typed

from . import tree
from .calls import SCALARS, is_array, wrap_as
from .conversion import called


def check_callable(fun, transform):
    """Refuse what is no function, before it is called with confusing results."""
    if not callable(fun):
        raise TypeError(f"{transform} takes a function, got {type(fun).__name__}")


def also_decorator(transform):
    """Let a transform be called with options only: it is a decorator then. It keeps static and class methods what they
    are, whose arguments are counted as those of any method.
    """

    @functools.wraps(transform)
    def either(*args, **options):
        if not args and "fun" not in options:
            return functools.partial(either, **options)
        if args and isinstance(args[0], (staticmethod, classmethod)):
            return type(args[0])(transform(args[0].__func__, *args[1:], **options))
        return transform(*args, **options)

    return either


class Picked:
    """The arguments that a derivative is taken with respect to, as flat payloads.

    Parameters
    ----------
    transform : str
        What to call the transform in messages.
    fun : callable
    args, kwargs : tuple, dict
        All arguments.
    argnums : int, str, or tuple of these
        Positions, and names of parameters.
    """

    def __init__(self, transform, fun, args, kwargs, argnums):
        self.transform, self.fun, self.args, self.kwargs = transform, fun, args, kwargs
        self.single = not isinstance(argnums, (tuple, list))
        self.places = [self._place(n) for n in ([argnums] if self.single else argnums)]
        if len(set(self.places)) < len(self.places):
            raise ValueError(f"{transform}: argnums={argnums!r} has an argument twice")
        flat = [tree.flatten(self._argument(place)) for place in self.places]
        self.structures = [structure for _, structure in flat]
        self.leaves = [leaf for leaves, _ in flat for leaf in leaves]
        self.payloads = [payload(leaf) for leaf in self.leaves]

    @classmethod
    def all(cls, transform, fun, args, what="the arguments"):
        """All of the positional arguments, integers among them."""
        check_callable(fun, transform)
        if not isinstance(args, (tuple, list)):
            raise TypeError(
                f"{transform}: {what} must be a tuple with one entry for each argument of {tree.name_of(fun)}, got "
                f"an object of type {type(args).__name__}; for a single argument write (x,)"
            )
        picked = cls(transform, fun, tuple(args), {}, tuple(range(len(args))))
        picked.check(holomorphic=False, allow_int=True)
        return picked

    def _argument(self, place):
        return self.kwargs[place] if isinstance(place, str) else self.args[place]

    def _place(self, n):
        """A position counted from the left, or the name of a keyword argument."""
        given = len(self.args)
        if type(n) is int and 0 <= n < given:
            return n
        name = tree.name_of(self.fun)
        if isinstance(n, str):
            if n in self.kwargs:
                return n
            position = tree.position_of(self.fun, n)
            if position is None or position >= given:
                raise ValueError(f"{self.transform}: argnums names {n!r}, but {name} was not called with it")
            return position
        if not hasattr(n, "__index__") or isinstance(n, bool):
            raise TypeError(
                f"{self.transform}: argnums must be an int, the name of a parameter, or a tuple of these, got {n!r}"
            )
        n = n.__index__()
        if not -given <= n < given:
            by_name = "".join(f"; those passed by keyword go by name, argnums={k!r}" for k in list(self.kwargs)[:1])
            raise ValueError(
                f"{self.transform}: argnums has {n}, but {name} was called with {given} positional arguments{by_name}"
            )
        return n % given

    def name(self, k):
        """What to call the argument that leaf `k` belongs to."""
        for place, structure in zip(self.places, self.structures):
            k -= structure.num_leaves
            if k < 0:
                what = f"argument {place!r}" if isinstance(place, str) else tree.argument_name(self.fun, place)
                return f"{what} of {tree.name_of(self.fun)}"
        raise IndexError(k)

    def check(self, holomorphic, allow_int):
        """Refuse what has no derivative."""
        for k, (leaf, p) in enumerate(zip(self.leaves, self.payloads)):
            if not is_array(leaf):
                raise TypeError(
                    f"{self.transform}: {self.name(k)} is or holds an object of type {type(leaf).__name__}; "
                    f"derivatives are taken with respect to arrays and numbers. {_way_round(leaf)}"
                )
            dtype = typed(p).dtype
            if not is_inexact(dtype) and not (allow_int and dtype.kind in "biu"):
                raise TypeError(
                    f"{self.transform}: {self.name(k)} has dtype {dtype}; derivatives are taken with respect to "
                    "floating point numbers. Convert it (x.astype(float)), choose others with argnums, or pass "
                    "allow_int=True for a zero gradient."
                )
            if holomorphic and dtype.kind != "c":
                raise TypeError(
                    f"{self.transform}: holomorphic=True needs complex arguments; {self.name(k)} is {dtype}"
                )

    def call(self, values):
        """Call the function with `values` in place of the picked payloads."""
        args, kwargs = list(self.args), self.kwargs
        values = [wrap_as(v, leaf) for v, leaf in zip(values, self.leaves)]
        for place, part in zip(self.places, self._trees(values)):
            if isinstance(place, str):
                kwargs = {**kwargs, place: part}
            else:
                args[place] = part
        return called(self.fun)(*args, **kwargs)

    def rebuild(self, values):
        """Payloads like the picked ones in the structure of the arguments; one tree for a single argument."""
        parts = tuple(self._trees([wrap_as(v, leaf) for v, leaf in zip(values, self.leaves)]))
        return parts[0] if self.single else parts

    def _trees(self, values):
        start = 0
        for structure in self.structures:
            yield tree.unflatten(structure, values[start : start + structure.num_leaves])
            start += structure.num_leaves

    def tangents(self, given):
        """Tangents of all arguments as flat payloads; None for integers and where an argument's is None."""
        transform = self.transform
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                f"{transform}: the tangents must be a tuple with one entry for each argument, got an object of type "
                f"{type(given).__name__}; for a single argument write (t,)"
            )
        if len(given) != len(self.structures):
            raise TypeError(
                f"{transform}: the tangents must have the structure of the arguments, one entry for each; there are "
                f"{len(self.structures)} arguments, but {len(given)} tangents"
            )
        flat = []
        for n, (structure, part) in enumerate(zip(self.structures, given)):
            if part is None:
                flat += [None] * structure.num_leaves
                continue
            what = f"{transform}: the tangent of {tree.argument_name(self.fun, n)}"
            leaves = tree.leaves_like(structure, part, what)
            flat += fit_all(leaves, map(aval_of, self.payloads[len(flat) :]), structure, what)
        return flat


def _way_round(leaf):
    """What to do about an argument that is no array."""
    if hasattr(type(leaf), "__dataclass_fields__"):
        return 'Declare its class with @optree.dataclasses.dataclass(namespace="npx"), or choose others with argnums.'
    return "Choose other arguments with argnums."


def fit_all(leaves, avals, structure, what):
    """The leaves of a tree of tangents or cotangents as payloads in the dtypes of their values; see `fit`."""
    paths = tree.paths(structure) if structure.num_nodes > 1 else [""]
    return [fit(leaf, aval, f"{what}{' at ' * bool(path)}{path}") for leaf, aval, path in zip(leaves, avals, paths)]


def fit(leaf, aval, what):
    """A tangent or cotangent as a payload in the dtype of its value; None where that is an integer.

    Raises
    ------
    ValueError
        Its shape is not that of the value.
    TypeError
        It is no array, or complex where the value is real.
    """
    if not is_inexact(aval.dtype):
        return None
    if not is_array(leaf):
        raise TypeError(f"{what} must be an array of shape {aval.shape}, got an object of type {type(leaf).__name__}")
    value = payload(leaf)
    have = aval_of(value)
    if have.shape != aval.shape:
        raise ValueError(f"{what} has shape {have.shape}, but its value has shape {aval.shape}")
    if have.dtype.kind == "c" and aval.dtype.kind != "c":
        raise TypeError(f"{what} is complex ({have.dtype}), but its value is {aval.dtype}; pass its real part")
    if not is_inexact(have.dtype) and have.dtype.kind not in "biu":
        raise TypeError(f"{what} has dtype {have.dtype}, but its value is {aval.dtype}")
    if isinstance(value, SCALARS):
        return aval.dtype.type(value)
    return value if have.dtype == aval.dtype else cast(value, aval.dtype)
