"""Vectorisation: `vmap`."""

import functools
import itertools
import operator

import numpy

from npx.array.ndarray import ndarray, payload, wrap
from npx.array.views import write
from npx.dispatch import debug
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import reshape

from . import tree
from .arguments import also_decorator, check_callable
from .batch import BatchInterpreter, BatchTracer, move_axis, take_places
from .calls import Result, is_array, same_name, wrap_rank
from .closure import Surroundings
from .conversion import called
from .outside import Outside, arrays_of
from .partition import gather, run_paths
from .ragged import dense


@also_decorator
def vmap(fun, in_axes=0, out_axes=0, axis_name=None, axis_size=None):
    """Make a function that maps `fun` over an axis of its arguments, computing all elements at once.

    Where Python asks for a value (``if x > 0``, ``while``, ``int(n)``), the elements are divided by their answers, and
    the function runs once for each path through it, for all elements that take this path.

    Parameters
    ----------
    fun : callable
        Written for one element. What it writes into an argument is written into the mapped array, unless that is a
        ``numpy.ndarray`` of another library, which stays as it is. Each element starts from the arrays outside as they
        were before the call; what the last one wrote into them remains.
    in_axes : int, None, or tuple of these or of pytrees of them
        The axis of each positional argument to map over; None passes it whole. Keyword arguments are mapped over
        axis 0.
    out_axes : int, None, or pytree of these
        Where the mapped axis goes in each result; None for a result that does not depend on the element.
    axis_name : hashable, optional
        By this name `fun` may ask what other elements have: `psum`, `pmean`, `pmax`, `pmin`, `all_gather`,
        `axis_index`.
    axis_size : int, optional
        Length of the mapped axis; needed where no argument is mapped.

    Returns
    -------
    callable
        Its method ``explain(*args)`` calls it and says in words where the elements took several paths, and what was
        computed one element after another.

    Raises
    ------
    TypeError, ValueError
        The mapped axes do not exist or differ in length, or the elements have results that cannot be stacked.

    Examples
    --------
    >>> import npx as np
    >>> np.vmap(lambda row: row / row.sum())(np.array([[1., 1.], [1., 3.]]))
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    >>> np.vmap(lambda x: x if x > 0 else -2 * x)(np.array([-1., 2.]))
    array([2., 2.])
    """
    check_callable(fun, "vmap")
    surroundings = []

    @same_name(fun, "vmap")
    def mapped(*args, **kwargs):
        arguments = Arguments(fun, args, kwargs, in_axes, axis_size)
        if not surroundings:
            surroundings.append(Surroundings(fun))
        outside = Outside(arrays_of(surroundings[0], arguments.shared()))
        make = functools.partial(BatchInterpreter, arguments.size, can_partition=True, axis_name=axis_name)
        runs = run_paths(make, arguments.size, lambda i: arguments.call(fun, i), outside)
        arguments.write_back(runs)
        return _joined(fun, runs, out_axes)

    def explain(*args, **kwargs):
        """Call the mapped function, and say how the elements were computed."""
        size = Arguments(fun, args, kwargs, in_axes, axis_size).size
        with debug.watching() as events:
            mapped(*args, **kwargs)
        return describe(tree.name_of(fun), size, events)

    mapped.explain = explain
    return mapped


def describe(name, size, events):
    """The report on one call.

    Parameters
    ----------
    name : str
        Of the function.
    size : int
        Number of elements.
    events : list of Event
        What was noted during the call.
    """
    runs = 1 + sum(event.number - 1 for event in events if event.kind == "split")
    paths = "in one run" if runs == 1 else f"in {runs} runs, one for each path through the function"
    lines = [f"vmap of {name}: {size} elements, {paths}"]
    for (kind, what, line), found in itertools.groupby(sorted(events, key=_place), key=_place):
        found = list(found)
        times = "" if len(found) == 1 else f", {len(found)} times"
        if kind == "split":
            lines.append(f"  split at {line} ({what}): {max(e.number for e in found)} answers{times}")
        else:
            lines.append(f"  one call for each element at {line}: {what}{times}")
    return "\n".join(lines)


def _place(event):
    return event.kind, event.what, str(event.line)


class Arguments:
    """The arguments of one call, flat, with the mapped axes first.

    Attributes
    ----------
    size : int
        Length of the mapped axis.
    """

    def __init__(self, fun, args, kwargs, in_axes, axis_size):
        self.leaves, self.structure = tree.flatten((args, kwargs))
        self.axes = _axes(fun, args, in_axes) + [0] * (len(tree.leaves(kwargs)) if kwargs else 0)
        self.values, self.size = _mapped_values(fun, args, self.leaves, self.axes, axis_size)
        self.written = []  # for each run, leaf number -> payload of a mapped argument that was written to

    def shared(self):
        """The arguments that all elements get whole."""
        return [leaf for leaf, axis in zip(self.leaves, self.axes) if axis is None]

    def call(self, fun, interpreter):
        """Call the function with tracers of an interpreter's elements."""
        rows = interpreter.rows if interpreter.size < self.size else None
        given, wrapped = {}, []
        for k, (leaf, value, axis) in enumerate(zip(self.leaves, self.values, self.axes)):
            if axis is None:
                wrapped.append(wrap(leaf) if type(leaf) is numpy.ndarray and leaf.dtype.kind in "biufc" else leaf)
                continue
            same = given.get((id(leaf), axis))
            if same is None:
                tracer = BatchTracer(interpreter, value if rows is None else take_places(value, rows))
                same = given[id(leaf), axis] = (k, wrap_rank(tracer), tracer)
            wrapped.append(same[1])
        inner_args, inner_kwargs = self.structure.unflatten(wrapped)
        result = Result(called(fun)(*inner_args, **inner_kwargs))
        result.payloads = list(map(dense, result.payloads))
        now = {
            k: payload(x)
            for k, x, tracer in given.values()
            if type(self.leaves[k]) is ndarray and not x.scalar and payload(x) is not tracer
        }
        self.written.append((interpreter, now))
        return result

    def write_back(self, runs):
        """Write into the mapped arguments what the function wrote into those of the elements: into npx's own arrays."""
        changed = {k for _, now in self.written for k in now}
        written = {id(interpreter): now for interpreter, now in self.written}
        for k in changed:
            values = []
            for r in runs:
                value = written[id(r.interpreter)].get(k)
                if value is None:
                    rows, value = r.interpreter.rows, self.values[k]
                    value = BatchTracer(r.interpreter, value if len(rows) == self.size else take_places(value, rows))
                values.append(value)
            _write_into(self.leaves[k], gather(runs, values, "an argument that is written to"), self.axes[k])


def _write_into(array, value, axis):
    """Write a payload with the mapped axis first into the argument that it is of."""
    shape = list(array.shape)
    axis %= len(shape)
    shape.insert(0, shape.pop(axis))
    write(array, move_axis(reshape(value, tuple(shape)), 0, axis))


def _joined(fun, runs, out_axes):
    """The results of all runs, stacked along the mapped axes."""
    structures = [r.result.main("vmap", fun) for r in runs]
    for r, structure in zip(runs, structures):
        if structure != structures[0]:
            raise ValueError(
                f"vmap: {tree.name_of(fun)} must return one structure for all elements, got "
                f"{tree.describe(structures[0])} for element {runs[0].interpreter.rows[0]} and "
                f"{tree.describe(structure)} for element {r.interpreter.rows[0]}"
            )
    first = runs[0].result
    places = tree.spread(out_axes, first.structure.unflatten(first.leaves), "vmap: out_axes")
    columns = zip(*(r.result.payloads for r in runs))
    return first.structure.unflatten([wrap(_unmap(runs, column, axis)) for column, axis in zip(columns, places)])


def _axes(fun, args, in_axes):
    """The mapped axis of each leaf of the positional arguments."""
    if not isinstance(in_axes, (tuple, list)):
        return tree.spread(in_axes, args, "vmap: in_axes")
    if len(in_axes) != len(args):
        raise ValueError(
            f"vmap: in_axes has {len(in_axes)} entries, {tuple(in_axes)!r}, but {tree.name_of(fun)} was called with "
            f"{len(args)} positional arguments; give one entry for each"
        )
    found = []
    for k, (entry, arg) in enumerate(zip(in_axes, args)):
        found += tree.spread(entry, arg, f"vmap: in_axes of {tree.argument_name(fun, k)}")
    return found


def _mapped_values(fun, args, leaves, axes, axis_size):
    """The payloads of the leaves with the mapped axis first, and its length."""
    if axis_size is not None and (not hasattr(axis_size, "__index__") or operator.index(axis_size) < 0):
        raise TypeError(f"vmap: axis_size must be the length of the mapped axis, a whole number, got {axis_size!r}")
    values, size, said_by = [], axis_size, None

    def name(k):
        return "axis_size" if k is None else _leaf_name(fun, args, k)

    for k, (leaf, axis) in enumerate(zip(leaves, axes)):
        value = payload(leaf)
        if axis is not None:
            value, n = _mapped_first(value, leaf, axis, functools.partial(name, k))
            if size is None:
                size, said_by = n, k
            elif n != size:
                raise ValueError(
                    f"vmap: the mapped axes must have one length: {name(said_by)} gives {size}, axis {axis} of "
                    f"{name(k)} has {n}"
                )
        values.append(value)
    if size is None:
        raise ValueError("vmap: no argument is mapped (in_axes has only None); give axis_size")
    return values, size


def _leaf_name(fun, args, k):
    """What to call the argument that leaf `k` belongs to in messages."""
    for position, arg in enumerate(args):
        k -= len(tree.leaves(arg))
        if k < 0:
            return tree.argument_name(fun, position)
    return "a keyword argument"


def _mapped_first(value, leaf, axis, name):
    if not is_array(leaf):
        raise TypeError(
            f"vmap: {name()} is or holds an object of type {type(leaf).__name__}, which has no axis to map over; "
            "pass None for it in in_axes"
        )
    shape = aval_of(value).shape
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"vmap: {name()} has no axis {axis} to map over, its shape is {shape}; pass None for it in in_axes to "
            "give the whole of it to every element"
        )
    axis %= len(shape)
    return move_axis(value, axis, 0), shape[axis]


def _unmap(runs, values, axis):
    """A result with its mapped axis in place; repeated along it where it does not depend on the element."""
    if axis is None:
        if any(r.interpreter.is_batched(value) for r, value in zip(runs, values)) or not _all_same(values):
            raise ValueError("vmap: a result has out_axes None, but it differs along the mapped axis")
        return values[0]
    value = gather(runs, values, "a result")
    ndim = aval_of(value).ndim
    if not -ndim <= axis < ndim:
        raise ValueError(f"vmap: out_axes has {axis}, but a result has only {ndim} axes with the mapped one")
    return move_axis(value, 0, axis % ndim)


def _all_same(values):
    """Whether the runs returned one value."""
    first = values[0]
    return all(v is first or (not isinstance(v, Tracer) and numpy.array_equal(v, first)) for v in values)
