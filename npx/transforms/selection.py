"""Zeros that a selection made absorb infinities and NaN on the way back.

``np.where(x > 0, np.log(x), 0)`` does not depend on the logarithm where x is 0: there its cotangent is zero because the
other branch was selected, not because a number happens to be zero, and the derivative of the logarithm, infinite there,
must not count. So a walk back that gave a NaN is repeated with cotangents that know which of their elements are zero by
selection. Where nothing can be looked at, because a graph is recorded, cotangents know it from the start.
"""

import functools

import numpy
from numpy._core.umath import _extobj_contextvar, _make_extobj

from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Interpreter, Tracer, active, stack
from npx.dispatch.op import Op
from npx.dispatch.payloads import broadcast_to, ops

from .backward import backward
from .nan import holds_nan
from .values import differentiable, host_value
from .watching import numbers

#: op -> number of the operands that are values; the further ones are indices
MOVES = dict.fromkeys(("reshape", "transpose", "broadcast_to", "repeat", "diagonal", "copy", "getitem"), 1)
MOVES.update(concatenate=None, setitem=2, add_at=2)
ON_HOST = (numpy.ndarray, numpy.generic, int, float, complex)
SUMS = frozenset(("add", "subtract", "make_complex"))

#: the state of `numpy.errstate` in which derivative rules run, made once: entering that takes twenty times as long
QUIET = _make_extobj(all="ignore")


class SelectedTracer(Tracer):
    """A cotangent, zero where `alive` is false; None means that all of it is alive."""

    __slots__ = ("payload", "alive")

    def __init__(self, interpreter, payload, alive):
        self.interpreter, self.payload, self.alive = interpreter, payload, alive

    @property
    def aval(self):
        """Shape and dtype."""
        return aval_of(self.payload)


class SelectionInterpreter(Interpreter):
    """Runs derivative rules on cotangents and follows which of their elements are zero by selection.

    Rules are linear in the cotangents: a plain value that is joined with one is zero, and so not alive.
    """

    name = "grad"

    def lower(self, value):
        """The value of a payload that may be a tracer of this interpreter."""
        return value.payload if type(value) is SelectedTracer and value.interpreter is self else value

    def process(self, op, args, params):
        """Run the op one level down, and see which elements of the result are alive."""
        values = tuple(map(self.lower, args))
        if type(op) is not Op:  # a loop or another function as a whole, for the levels below too
            return tuple(self._followed(out) for out in op(*values))
        out = op(*values, **params)
        if op.nout != 1 or not differentiable(out):
            return out
        alive = self._alive(op, args, values, params)
        if alive is not None and not op.linear:
            alive = broadcast_to(alive, aval_of(out).shape)
            if not all(a is not v or _finite(v) for a, v in zip(args, values)):
                out = ops.where(alive, out, numpy.zeros((), aval_of(out).dtype))
        return SelectedTracer(self, out, alive)

    def _followed(self, out):
        """A result of a called function, of which nothing is known."""
        is_followed = type(out) is SelectedTracer and out.interpreter is self
        return out if is_followed or not differentiable(out) else SelectedTracer(self, out, None)

    def _alive(self, op, args, values, params):
        """Which elements of a result are alive; an elementwise op's before broadcasting; None for all."""
        name = op.name
        masks = [a.alive if a is not v else False for a, v in zip(args, values)]
        if name == "where":
            return ops.where(values[0], *map(_mask, masks[1:], values[1:]))
        if name in MOVES:
            n = MOVES[name] or len(values)
            if all(m is None for m in masks[:n]):
                return None
            return op(*map(_mask, masks[:n], values[:n]), *values[n:], **params)
        if name in SUMS:
            return _either(masks, values)
        alive, *others = (m for m in masks if m is not False)
        if alive is None or others or op.kind == "elementwise":
            return None if others else alive
        return ops.any(alive, axis=params["axis"], keepdims=params["keepdims"]) if name == "sum" else None

    def concretize(self, tracer, reason):
        """The value."""
        return host_value(tracer.payload, reason)


def _mask(mask, value):
    """A mask as an array of the shape of its value."""
    if mask is None or mask is False:
        return numpy.broadcast_to(numpy.bool_(mask is None), aval_of(value).shape)
    return mask


def _either(masks, values):
    """The elements of a sum that are alive, where one of the terms is; broadcast together."""
    shapes = [aval_of(v).shape for v in values]
    whole = numpy.broadcast_shapes(*shapes)
    if any(mask is None and shape == whole for mask, shape in zip(masks, shapes)):
        return None
    return ops.logical_or(*map(_mask, masks, values))


def _finite(value):
    """Whether a factor is known to be finite, so that it leaves zeros alone."""
    return isinstance(value, ON_HOST) and bool(numpy.isfinite(value).all())


# ------------------------------------------------------------------------------------------------------ the walk back
def pull_back(seeds, look=None):
    """`backward`, with zeros by selection absorbing what is not finite; `look` as there."""
    before = _extobj_contextvar.set(QUIET)
    try:
        if look is None and not _recording():
            found = backward(seeds)
            if not _have_nan(found.values()):
                return found
        return _pull_back_with_masks(seeds, look)
    finally:
        _extobj_contextvar.reset(before)


def _pull_back_with_masks(seeds, look):
    interpreter = SelectionInterpreter()
    with active(interpreter):
        found = backward([(node, SelectedTracer(interpreter, ct, None)) for node, ct in seeds], look)
    found = {leaf: interpreter.lower(ct) for leaf, ct in found.items()}
    if look is not None:
        for leaf, ct in found.items():
            look(leaf, ct, ())
    return found


def _recording():
    """Whether ops are being recorded: there are no values to look at. Within another careful walk there is no need."""
    levels = stack()
    if not levels:
        return False
    return any(i.records for i in levels) and not any(type(i) is SelectionInterpreter for i in levels)


def _have_nan(payloads):
    """Whether there is a NaN in some payload, at any of its levels."""
    on_device = []
    for payload in payloads:
        if type(payload) is numpy.ndarray:
            if holds_nan(payload):
                return True
            continue
        for value in numbers(payload):
            if not isinstance(value, ON_HOST):
                axes = tuple(range(aval_of(value).ndim))
                on_device.append(ops.any(ops.isnan(value), axis=axes, keepdims=False))
            elif holds_nan(value):
                return True
    return bool(on_device) and bool(host_value(functools.reduce(ops.logical_or, on_device), "grad"))
