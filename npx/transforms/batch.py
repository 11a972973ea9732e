"""The interpreter of `vmap`: its tracers stand for one element along a mapped axis.

Where Python asks for a value that differs from element to element, the interpreter keeps the largest group of elements
with one answer, goes on with these, and postpones the others: `partition.run_paths` runs the function again for them.
A tracer from before gives up the elements that have left when it is next used.
"""

import collections
import threading
from typing import NamedTuple

import numpy

from npx.dispatch.abstract import Aval, Hole, Slice, aval_of
from npx.dispatch.batching import SHAPED, batch_by_loop, each_place, stack, take
from npx.dispatch.debug import count_split
from npx.dispatch.interpreter import Interpreter, Tracer
from npx.dispatch.op import Op
from npx.dispatch.payloads import broadcast_to, ops
from npx.ops.index_specs import SELECTING

from .calls import as_payload
from .ragged import select
from .values import host_value, snapshot


class BatchTracer(Tracer):
    """One element along the mapped axis: the payload of all of them has that axis first."""

    __slots__ = ("_whole", "_epoch")

    def __init__(self, interpreter, payload, epoch=None):
        self.interpreter, self._whole = interpreter, payload
        self._epoch = interpreter.epoch if epoch is None else epoch

    @property
    def aval(self):
        """Shape and dtype of one element."""
        whole = aval_of(self._whole)
        return Aval(whole.shape[1:], whole.dtype)

    shape = property(lambda self: self._whole.shape[1:])
    dtype = property(lambda self: self._whole.dtype)

    @property
    def payload(self):
        """The payload of the elements that the interpreter still works for."""
        interpreter = self.interpreter
        if self._epoch != interpreter.epoch:
            self._whole = take_places(self._whole, interpreter.places_since(self._epoch))
            self._epoch = interpreter.epoch
        return self._whole


class Postponed(NamedTuple):
    """Elements that a function has yet to be run for, and what it drew for them before they were left behind."""

    rows: numpy.ndarray
    drawn: tuple


class Drawn(NamedTuple):
    """A payload that was drawn at random, as it is below an interpreter.

    Its first axes are those of the levels from there on up for which it was drawn, with the elements `rows` of each.
    """

    value: object
    rows: tuple


class BatchInterpreter(Interpreter):
    """Applies every op to all elements at once, by its batch rule.

    Parameters
    ----------
    size : int
        Number of elements.
    draws_each : bool
        Whether each element draws random numbers for itself.
    can_partition : bool
        Whether whoever runs the function looks at `postponed`.
    axis_name : hashable, optional
        By what name the elements can ask for each other (`collectives`).

    Attributes
    ----------
    total : int
        Number of elements before any was left behind.
    epoch : int
        How often elements have been left behind.
    postponed : list of Postponed
    drawn, repeats : list of Drawn
        What was drawn so far; what the next draws are to give again.
    """

    name = "vmap"

    def __init__(self, size, draws_each=True, can_partition=False, axis_name=None):
        self.size, self.draws_each, self.can_partition = size, draws_each, can_partition
        self.total, self.axis_name = size, axis_name
        self.calls = 0  # called functions that run now: what maps over the elements inside them stands for this
        self.stands_for = self
        self.epoch, self.postponed, self.drawn = 0, [], []
        self.repeats = collections.deque()
        self._history = [None]  # epoch -> numbers of its elements, None for all; the last is of now
        self._places = {}  # epoch -> the places that are left of its elements

    # ------------------------------------------------------------------------------------ elements
    @property
    def rows(self):
        """The numbers of the elements that it works for now, ascending."""
        if self._history[-1] is None:
            self._history[-1] = numpy.arange(self.size)
        return self._history[-1]

    def start(self, postponed):
        """Work for elements that an earlier run has left behind."""
        self._history, self.size = [postponed.rows], len(postponed.rows)
        self.repeats = collections.deque(postponed.drawn)

    def places_since(self, epoch):
        """Where the present elements stood in an earlier epoch."""
        places = self._places.get(epoch)
        if places is None:
            places = self._places[epoch] = numpy.searchsorted(self._history[epoch], self.rows)
        return places

    def partition(self, labels, reason):
        """Keep the largest group of elements with one label, and postpone the others.

        Parameters
        ----------
        labels : numpy.ndarray
            One integer or boolean for each element, and not all of them the same.
        reason : str
            What Python asks, for the report.

        Returns
        -------
        int
            Place of an element that was kept, before it.
        """
        groups = groups_of(labels)
        count_split(reason, len(groups), self.size)
        kept, rows, drawn = max(groups, key=len), self.rows, tuple(self.drawn)
        self.postponed += [Postponed(rows[places], drawn) for places in groups if places is not kept]
        self._history.append(rows[kept])
        self._places.clear()
        self.epoch, self.size = self.epoch + 1, len(kept)
        return int(kept[0])

    # ------------------------------------------------------------------------------------ ops
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
        batched = [type(a) is BatchTracer and a.interpreter is self for a in args]
        if type(op) is not Op:
            return self._call(op, args, batched)
        if op.name in SHAPED:
            return self._with_shape(op, args, batched, params)
        payloads = [a.payload if b else a for a, b in zip(args, batched)]
        rule = op.batch or batch_by_loop
        if rule is batch_by_loop and self.size:
            return self._place_by_place(op, payloads, batched, params)
        out = rule(op, self.size, payloads, batched, params)
        if type(out) is tuple:
            return tuple(BatchTracer(self, o) for o in out)
        return BatchTracer(self, out)

    def _call(self, op, args, batched):
        """The results of a called function; what runs inside it maps over the elements itself."""
        if op.axis is self:
            return op.along(args[0].payload, True)
        epoch, payloads = self.epoch, tuple(a.payload if b else a for a, b in zip(args, batched))
        self.calls += 1
        calling().append(self)
        try:
            outs = op.batched(self.size, payloads, batched)
        finally:
            self.calls -= 1
            calling().pop()
        return tuple(self._element(out, epoch) for out in outs)

    def _element(self, out, epoch):
        """What a called function returned, where elements have been left behind meanwhile, or it closes over some."""
        if self.is_batched(out):  # a called function closes over elements: take the pairs of like number
            pairs = out.payload
            if epoch != self.epoch:
                pairs = take_places(pairs, self.places_since(epoch), axis=1)
            epoch, out = self.epoch, move_axis(ops.diagonal(pairs, offset=0, axis1=0, axis2=1), pairs.ndim - 2, 0)
        return BatchTracer(self, out, epoch)

    def _with_shape(self, op, args, batched, params):
        """An op whose result's shape depends on values: the elements with one shape go on."""
        question, rule = SHAPED[op.name]
        payloads = tuple(a.payload if b else a for a, b in zip(args, batched))
        answer = self.ask(question(payloads, batched, params), f"the shape of {op.name}")
        payloads = tuple(a.payload if b else a for a, b in zip(args, batched))
        return BatchTracer(self, rule(op, self.size, payloads, batched, params, int(answer)))

    def _place_by_place(self, op, payloads, batched, params):
        """An op without a batch rule, called once for each element; those with one shape of the result go on."""
        outs = each_place(op, self.size, payloads, batched, params)
        shapes = {}
        labels = [shapes.setdefault(tuple(aval_of(o).shape for o in out), len(shapes)) for out in outs]
        if len(shapes) > 1:
            self._require_partition(f"the shape of {op.name}", "results of several shapes")
            before = self.epoch
            self.partition(numpy.array(labels), f"the shape of {op.name}")
            outs = [outs[k] for k in self.places_since(before)]
        found = tuple(BatchTracer(self, stack(column)) for column in zip(*outs))
        return found[0] if op.nout == 1 else found

    # ------------------------------------------------------------------------------------ values
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

    def loses_derivative(self, tracer):
        below = tracer.payload
        return isinstance(below, Tracer) and below.interpreter.loses_derivative(below)

    def concretize(self, tracer, reason):
        """The value of the elements that go on; the others are postponed."""
        if not self.alive:
            raise TypeError(
                f"{reason} needs one value, but this array ({tracer.aval}) was computed inside a function under vmap, "
                "which has ended. Return it from the function instead."
            )
        if reason == "text":  # a line that is printed for all elements is no reason to compute them apart
            self._require_partition(reason, "another one", possible=False)
        return self.ask(tracer.payload, reason)

    def ask(self, whole, reason):
        """The value of a payload with the mapped axis first, for the elements that go on."""
        if self.size == 0:
            aval = aval_of(whole)
            return numpy.zeros(aval.shape[1:], aval.dtype)
        values = numpy.asarray(host_value(whole, reason))
        labels = labels_of(values)
        if labels is None:
            return numpy.array(values[0])
        self._require_partition(reason, "another one")
        return numpy.array(values[self.partition(labels, reason)])

    def holds_for_any(self, tracer):
        """Whether a condition holds for some element: none is left behind."""
        below = ops.any(tracer.payload, axis=tuple(range(len(tracer.aval.shape) + 1)), keepdims=False)
        return below.interpreter.holds_for_any(below) if isinstance(below, Tracer) else bool(below)

    def _require_partition(self, reason, what, possible=True):
        if not (possible and self.can_partition):
            raise TypeError(
                f"{reason} needs one value, but there is {what} for each of the {self.size} elements that "
                f"{self.name} maps over. Write it with array operations (np.where, masks), or loop over the elements."
            )


SELECTING[BatchInterpreter] = select


def groups_of(labels):
    """The places of each of several labels, in ascending order."""
    if labels.dtype == bool:
        return [labels.nonzero()[0], (~labels).nonzero()[0]]
    order = labels.argsort(kind="stable")
    ordered = labels[order]
    return numpy.split(order, (ordered[1:] != ordered[:-1]).nonzero()[0] + 1)


def labels_of(values):
    """Equal labels for equal elements (to the bit) along the first axis; None where all are equal."""
    if len(values) == 1 or not values[0].size:
        return None
    if values.dtype == bool and values.ndim == 1:
        return None if numpy.count_nonzero(values) in (0, len(values)) else values
    rows = numpy.ascontiguousarray(values).reshape(len(values), -1)
    if rows.shape[1] == 1 and rows.dtype.itemsize in (1, 2, 4, 8):
        labels = rows.view(f"u{rows.dtype.itemsize}")[:, 0]
        return None if (labels == labels[0]).all() else labels
    bits = rows.view(numpy.uint8)
    if (bits == bits[0]).all():
        return None
    return numpy.unique(bits, axis=0, return_inverse=True)[1].reshape(-1)


def take_places(x, places, axis=0):
    """Some places of a payload along an axis."""
    if type(x) is numpy.ndarray:
        return x.take(places, axis)
    index = [Slice()] * aval_of(x).ndim
    index[axis] = Hole(0)
    return ops.getitem(x, places, index=tuple(index))


def move_axis(value, source, destination):
    """A payload with one axis moved."""
    ndim = aval_of(value).ndim
    axes = [k for k in range(ndim) if k != source]
    axes.insert(destination, source)
    return value if axes == sorted(axes) else ops.transpose(value, axes=tuple(axes))


# ---------------------------------------------------------------------------------------------- called functions
_local = threading.local()


def calling():
    """The interpreters of this thread that are calling functions, the outermost first."""
    try:
        return _local.calling
    except AttributeError:
        _local.calling = []
        return _local.calling


def substitute(size):
    """A maker of interpreters that map over the elements inside a function which an interpreter is calling now."""
    original = calling()[-1] if calling() and calling()[-1].size == size else None
    rows = None if original is None else original.rows

    def make():
        inside = BatchInterpreter(size, can_partition=True)
        if original is not None:
            inside.total, inside.axis_name = original.total, original.axis_name
            inside.draws_each, inside.stands_for = original.draws_each, original.stands_for
            inside.start(Postponed(rows, ()))
        return inside

    return make
