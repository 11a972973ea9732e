"""Selections by a mask under `vmap`: ``y[y > 1] -= 1`` without a loop, though each element selects another number.

A selection is kept at full width: all places that the mask covers, of which those under the mask count. Elementwise ops
compute on; writing back, adding at places and sums take what counts. The places that do not count hold a number that
does, so that nothing is computed which NumPy would not compute. An op for which the true length matters asks for it,
and the elements with one length go on.
"""

import functools

import numpy

from npx.dispatch.abstract import Aval, Slice, Varying, aval_of
from npx.dispatch.interpreter import Interpreter, Tracer
from npx.dispatch.op import Op
from npx.dispatch.payloads import ops, reshape, typed
from npx.ops.index_specs import layout
from npx.ops.indexing import read


class Selected(Varying):
    """The length of an axis that holds what a mask selects.

    Attributes
    ----------
    mask : BatchTracer
        Of one axis: which places count.
    """

    def __new__(cls, interpreter, mask):
        self = super().__new__(cls, mask.aval.size)
        self.interpreter, self.mask = interpreter, mask
        return self

    def places(self):
        """The places that count. The elements for which these are more or fewer are left behind."""
        return ops.getitem(ops.nonzero(self.mask), index=(0, Slice()))

    def true_length(self):
        """How many places count, likewise."""
        return int(aval_of(self.places()).shape[0])

    def tag(self, value, shape):
        """A payload of full width as a selection of this shape."""
        return RaggedTracer(self.interpreter, value, shape)

    def same(self, other):
        """Whether both select the same places."""
        if self is other or self.mask is other.mask:
            return True
        p, q = self.mask.payload, other.mask.payload
        if isinstance(p, Tracer) or isinstance(q, Tracer):
            return p is q
        return numpy.array_equal(numpy.asarray(p), numpy.asarray(q))


class RaggedTracer(Tracer):
    """A selection: `inner` is the payload of full width, in whose shape one axis is a `Selected`."""

    __slots__ = ("inner", "aval")

    def __init__(self, interpreter, inner, shape):
        self.interpreter, self.inner = interpreter, inner
        have = aval_of(inner)
        self.aval = Aval(shape, have.dtype, have.weak)

    @property
    def axis(self):
        """Which axis is the selection's."""
        return next(k for k, n in enumerate(self.aval.shape) if type(n) is Selected)

    @property
    def length(self):
        """That axis' length."""
        return self.aval.shape[self.axis]

    def dense(self):
        """What is selected, by the elements for which that is of one length."""
        before = (slice(None),) * self.axis
        return read(self.inner, (*before, self.length.places()))


class Selections(Interpreter):
    """Applies ops to selections. It stands between an interpreter of `vmap` and the one above."""

    name = "vmap"

    def __init__(self, batch):
        self.batch = batch
        self.level, self.birth, self.lifted = batch.level + 1, batch.birth, batch.lifted

    alive = property(lambda self: self.batch.alive)
    levels = property(lambda self: self.batch.levels)
    replaced = property(lambda self: self.batch.replaced)

    def process(self, op, args, params):
        """Apply the op at full width where the places that do not count can be kept apart, else to what is selected."""
        rule = RULES.get(op.name, RULES.get(op.kind)) if type(op) is Op else None
        out = None if rule is None else rule(op, args, params)
        if out is None:
            out = op(*(a.dense() if type(a) is RaggedTracer else a for a in args), **params)
        return out

    def concretize(self, tracer, reason):
        """The value of what is selected, if there is one."""
        dense = tracer.dense()
        return dense.interpreter.concretize(dense, reason)


def _inner(value):
    return value.inner if type(value) is RaggedTracer else value


def _lengths(values):
    return [n for v in values for n in typed(v).shape if type(n) is Selected]


def _one_length(values):
    """The length that all selections among payloads have in common; None where they differ."""
    first, *others = _lengths(values)
    return first if all(map(first.same, others)) else None


def _joint_shape(length, values):
    """What the shapes of payloads broadcast to, or None where an axis of a fixed length meets that of a selection."""
    shapes = [typed(v).shape for v in values]
    rank = max(map(len, shapes))
    joint = []
    for axis in zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes)):
        kinds = {type(n) for n in axis if type(n) is Selected or n != 1}
        if Selected in kinds and len(kinds) > 1:
            return None
        joint.append(length if Selected in kinds else max(axis, key=lambda n: n != 1))
    return tuple(joint)


def _counting(length, axis, rank):
    """The mask, lined up with an axis of a payload."""
    return ops.reshape(length.mask, shape=(1,) * axis + (int(length),) + (1,) * (rank - axis - 1))


# -------------------------------------------------------------------------------------------------------------- rules
def _elementwise(op, args, params):
    length = _one_length(args)
    shape = None if length is None else _joint_shape(length, args)
    if shape is None:
        return None
    out = op(*map(_inner, args), **params)
    if op.nout != 1:
        return tuple(RaggedTracer(length.interpreter, o, shape) for o in out)
    return RaggedTracer(length.interpreter, out, shape)


def _region(x, places, index):
    """The layout of what an index selects; None where its arrays do not select by one mask."""
    if not places or any(type(p) is not RaggedTracer for p in places):
        return None
    length = _one_length(places)
    if length is None:
        return None
    shapes = tuple(tuple(map(int, p.aval.shape)) for p in places)
    where = layout(tuple(map(int, typed(x).shape)), index, shapes)
    return length, (*where.shape[: where.at], length, *where.shape[where.at + 1 :]), where.at


def _getitem(op, args, params):
    x, *places = args
    region = _region(x, places, params["index"])
    if region is None or type(x) is RaggedTracer:
        return None
    length, shape, axis = region
    out = op(x, *map(_inner, places), **params)
    return RaggedTracer(length.interpreter, _filled(out, length, axis), shape)


def _filled(value, length, axis):
    """`value` with its first element that counts in the places that do not; ones where none counts."""
    counting = _counting(length, axis, typed(value).ndim)
    first = ops.argmax(length.mask, axis=0, keepdims=False)
    before = (slice(None),) * axis
    one = read(read(value, (*before, first)), (*before, None))
    found = ops.any(length.mask, axis=(0,), keepdims=False)
    return ops.where(counting, value, ops.where(found, one, numpy.ones((), typed(value).dtype)))


def _value_to_write(v, length, shape):
    """A value of full width for a region of this shape; None where it does not fit."""
    if type(v) is not RaggedTracer:
        own = typed(v).shape
        behind = len(shape) - next(k for k, n in enumerate(shape) if type(n) is Selected)
        return v if len(own) < behind or own[len(own) - behind] == 1 else None
    return v.inner if v.length.same(length) and _joint_shape(length, [v, Aval(shape, typed(v).dtype)]) else None


def _setitem(op, args, params):
    x, v, *places = args
    region = _region(x, places, params["index"])
    if region is None or type(x) is RaggedTracer:
        return None
    length, shape, axis = region
    value = _value_to_write(v, length, shape)
    if value is None:
        return None
    places = tuple(map(_inner, places))
    old = ops.getitem(x, *places, **params)
    value = ops.astype(value, dtype=typed(x).dtype) if typed(value).dtype != typed(x).dtype else value
    return op(x, ops.where(_counting(length, axis, len(shape)), value, old), *places, **params)


def _add_at(op, args, params):
    x, v, *places = args
    region = _region(x, places, params["index"])
    if region is None or type(x) is RaggedTracer:
        return None
    length, shape, axis = region
    value = _value_to_write(v, length, shape)
    if value is None:
        return None
    zero = numpy.zeros((), typed(value).dtype)
    return op(x, ops.where(_counting(length, axis, len(shape)), value, zero), *map(_inner, places), **params)


def _reduced(neutral, op, args, params):
    """A reduction: what does not count is made neutral."""
    (x,) = args
    value, rank = x.inner, len(x.aval.shape)
    if x.axis in params["axis"]:
        filler = numpy.asarray(neutral, typed(value).dtype)
        value = ops.where(_counting(x.length, x.axis, rank), value, filler)
    out = op(value, **params)
    if x.axis in params["axis"]:
        return out
    shape = [1 if k in params["axis"] else n for k, n in enumerate(x.aval.shape)]
    kept = [n for k, n in enumerate(shape) if params["keepdims"] or k not in params["axis"]]
    return RaggedTracer(x.interpreter, out, tuple(kept))


def _reshape(op, args, params):
    """Only axes of length 1 come and go."""
    (x,) = args
    if [n for n in x.aval.shape if n != 1] != [n for n in params["shape"] if n != 1]:
        return None
    if not any(type(n) is Selected and n.same(x.length) for n in params["shape"]):
        return None
    return RaggedTracer(x.interpreter, op(x.inner, **params), tuple(params["shape"]))


def _broadcast_to(op, args, params):
    (x,) = args
    out = op(x.inner, **params)
    axis = x.axis - len(x.aval.shape)
    shape = list(params["shape"])
    if shape[axis] != x.length:
        return None
    shape[axis] = x.length
    return RaggedTracer(x.interpreter, out, tuple(shape))


def _copy(op, args, params):
    (x,) = args
    return RaggedTracer(x.interpreter, op(x.inner, **params), x.aval.shape)


#: op, or kind of op -> ``rule(op, args, params)``: the result, or None where the true length matters
RULES = {
    "elementwise": _elementwise,
    "getitem": _getitem,
    "setitem": _setitem,
    "add_at": _add_at,
    "sum": functools.partial(_reduced, 0),
    "prod": functools.partial(_reduced, 1),
    "any": functools.partial(_reduced, False),
    "all": functools.partial(_reduced, True),
    "reshape": _reshape,
    "broadcast_to": _broadcast_to,
    "copy": _copy,
}


# ---------------------------------------------------------------------------------------------------------- selecting
def select(mask):
    """The index operands that stand for a mask, one for each of its axes; None where only its value will do."""
    if not mask.aval.size or not mask.interpreter.alive:
        return None
    flat = reshape(mask, (mask.aval.size,))
    length = Selected(Selections(mask.interpreter), flat)
    grid = numpy.unravel_index(numpy.arange(mask.aval.size), mask.aval.shape)
    return tuple(RaggedTracer(length.interpreter, places, (length,)) for places in grid)


def dense(value):
    """A payload with what is selected in place of a selection."""
    while type(value) is RaggedTracer:
        value = value.dense()
    return value
