"""Vectorisation: an interpreter whose tracers stand for one element along a mapped axis; `vmap`."""

import threading

import numpy

from npx.array.ndarray import payload, wrap
from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.batching import batch_by_loop, take
from npx.dispatch.interpreter import Interpreter, Tracer
from npx.dispatch.op import Op
from npx.dispatch.payloads import broadcast_to, ops
from npx.ops.index_specs import SELECTING

from . import tree
from .calls import Result, as_payload, is_array, run, same_name, wrap_rank
from .grad import check_callable
from .ragged import select
from .values import snapshot


class BatchTracer(Tracer):
    """One element along the mapped axis: the payload of all of them has that axis first."""

    __slots__ = ("payload", "aval")

    def __init__(self, interpreter, payload):
        self.interpreter, self.payload = interpreter, payload
        whole = aval_of(payload)
        self.aval = Aval(whole.shape[1:], whole.dtype)


class BatchInterpreter(Interpreter):
    """Applies every op to all elements at once, by its batch rule."""

    name = "vmap"

    def __init__(self, size, draws_each=True):
        self.size = size
        self.draws_each = draws_each  # whether each element draws random numbers for itself
        self.calls = 0  # called functions that run now: what maps over the elements inside them stands for this
        self.stands_for = self

    def is_batched(self, value):
        """Whether a payload differs along the mapped axis."""
        return type(value) is BatchTracer and value.interpreter is self

    def process(self, op, args, params):
        """Apply the op's batch rule one level down."""
        if not self.alive:
            raise TypeError(
                f"{op.name} meets an array that was computed inside a function under vmap, which has ended: "
                "it has no single value. Return it from the function instead."
            )
        batched = tuple(map(self.is_batched, args))
        payloads = tuple(a.payload if b else a for a, b in zip(args, batched))
        if type(op) is not Op:
            out = self._call(op, payloads, batched)
        else:
            out = (op.batch or batch_by_loop)(op, self.size, payloads, batched, params)
        if type(out) is tuple:
            return tuple(map(self._element, out))
        return self._element(out)

    def _call(self, op, payloads, batched):
        """The results of a called function; what runs inside it maps over the elements itself."""
        self.calls += 1
        _calling().append(self)
        try:
            return op.batched(self.size, payloads, batched)
        finally:
            self.calls -= 1
            _calling().pop()

    def _element(self, out):
        if self.is_batched(out):  # a called function closes over elements: take the pairs of like number
            out = move_axis(ops.diagonal(out.payload, offset=0, axis1=0, axis2=1), out.payload.ndim - 2, 0)
        return BatchTracer(self, out)

    def whole(self, value):
        """The payload of all elements, with the mapped axis first, for a value that may be the same for all."""
        if self.is_batched(value):
            return value.payload
        value = as_payload(value)
        return snapshot(broadcast_to(value, (self.size, *aval_of(value).shape)))

    def last(self, tracer):
        """The last element: what a loop over the mapped axis leaves behind in an array from outside."""
        if self.size == 0:
            return numpy.zeros(tracer.aval.shape, tracer.aval.dtype)
        return take(tracer.payload, self.size - 1)

    def concretize(self, tracer, reason):
        """There is no single value."""
        raise TypeError(
            f"{reason} needs one value, but this array ({tracer.aval}) has another one for each of the {self.size} "
            "elements that vmap maps over. Write it with array operations (np.where, masks), or loop over the elements."
        )


_local = threading.local()


def _calling():
    """The interpreters of this thread that are calling functions, the outermost first."""
    try:
        return _local.calling
    except AttributeError:
        _local.calling = []
        return _local.calling


def substitute(size):
    """A maker of interpreters that map over the elements inside a function which an interpreter is calling now."""
    calling = _calling()
    original = calling[-1] if calling else None

    def make():
        inside = BatchInterpreter(size)
        if original is not None:
            inside.draws_each, inside.stands_for = original.draws_each, original.stands_for
        return inside

    return make


def move_axis(value, source, destination):
    """A payload with one axis moved."""
    ndim = aval_of(value).ndim
    axes = [k for k in range(ndim) if k != source]
    axes.insert(destination, source)
    return value if axes == sorted(axes) else ops.transpose(value, axes=tuple(axes))


SELECTING[BatchInterpreter] = select


def vmap(fun, in_axes=0, out_axes=0, axis_size=None):
    """Make a function that maps `fun` over an axis of its arguments, computing all elements at once.

    Parameters
    ----------
    fun : callable
        Written for one element. Each element starts from the arrays outside as they were before the call; what the
        last one wrote into them remains.
    in_axes : int, None, or tuple of these or of pytrees of them
        The axis of each positional argument to map over; None passes it whole. Keyword arguments are mapped over
        axis 0.
    out_axes : int, None, or pytree of these
        Where the mapped axis goes in each result; None for a result that does not depend on the element.
    axis_size : int, optional
        Length of the mapped axis; needed where no argument is mapped.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        The mapped axes do not exist or differ in length.

    Examples
    --------
    >>> import npx as np
    >>> np.vmap(lambda row: row / row.sum())(np.array([[1., 1.], [1., 3.]]))
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    check_callable(fun, "vmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)

    @same_name(fun, "vmap")
    def mapped(*args, **kwargs):
        leaves, structure = tree.flatten((args, kwargs))
        axes = tree.spread(in_axes, args, "vmap: in_axes") + [0] * len(tree.leaves(kwargs))
        values, size = _mapped_values(fun, args, leaves, axes, axis_size)
        interpreter = BatchInterpreter(size)
        tracers = [v if axis is None else BatchTracer(interpreter, v) for v, axis in zip(values, axes)]
        wrapped = [leaf if axis is None else wrap_rank(t) for leaf, t, axis in zip(leaves, tracers, axes)]
        inner_args, inner_kwargs = structure.unflatten(wrapped)
        result = run(interpreter, lambda: Result(fun(*inner_args, **inner_kwargs)), interpreter.last)
        result.main("vmap", fun)
        places = tree.spread(out_axes, result.structure.unflatten(result.leaves), "vmap: out_axes")
        outs = [_unmap(interpreter, p, axis) for p, axis in zip(result.payloads, places)]
        return result.structure.unflatten(map(wrap, outs))

    return mapped


def _mapped_values(fun, args, leaves, axes, axis_size):
    """The payloads of the leaves with the mapped axis first, and its length."""
    values, names = [], None
    size, said_by = axis_size, "axis_size"
    for k, (leaf, axis) in enumerate(zip(leaves, axes)):
        value = payload(leaf)
        if axis is not None:
            names = names or _leaf_names(fun, args, leaves)
            value, n = _mapped_first(value, leaf, axis, names[k])
            if size is None:
                size, said_by = n, names[k]
            elif n != size:
                raise ValueError(
                    f"vmap: the mapped axes must have one length: {said_by} gives {size}, axis {axis} of {names[k]} "
                    f"has {n}"
                )
        values.append(value)
    if size is None:
        raise ValueError("vmap: no argument is mapped (in_axes has only None); give axis_size")
    return values, size


def _leaf_names(fun, args, leaves):
    """For each leaf of the arguments, what to call its argument in messages."""
    names = [tree.argument_name(fun, k) for k, arg in enumerate(args) for _ in tree.leaves(arg)]
    return names + ["a keyword argument"] * (len(leaves) - len(names))


def _mapped_first(value, leaf, axis, name):
    if not is_array(leaf):
        raise TypeError(
            f"vmap: {name} is or holds an object of type {type(leaf).__name__}, which has no axis to map over; "
            "pass None for it in in_axes"
        )
    shape = aval_of(value).shape
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"vmap: {name} has no axis {axis} to map over, its shape is {shape}; pass None for it in in_axes to "
            "give the whole of it to every element"
        )
    axis %= len(shape)
    return move_axis(value, axis, 0), shape[axis]


def _unmap(interpreter, value, axis):
    """A result with its mapped axis in place; repeated along it where it does not depend on the element."""
    if axis is None:
        if interpreter.is_batched(value):
            raise ValueError("vmap: a result has out_axes None, but it differs along the mapped axis")
        return value
    value = interpreter.whole(value)
    ndim = aval_of(value).ndim
    if not -ndim <= axis < ndim:
        raise ValueError(f"vmap: out_axes has {axis}, but a result has only {ndim} axes with the mapped one")
    return move_axis(value, 0, axis % ndim)
