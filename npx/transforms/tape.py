"""The tape: an interpreter that notes every op with what its derivative needs. `backward` walks back over the notes.

A tracer carries its value one level down (`primal`), so Python control flow sees real numbers, and the node that made
it. Nodes point to the nodes of their operands; what no result depends on is freed as the function runs. Integers and
booleans have no derivative and leave the tape as ordinary values.
"""

import itertools

import numpy

from npx.array.memory import Box, save
from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.interpreter import Interpreter, Tracer
from npx.dispatch.op import Op
from npx.dispatch.payloads import is_inexact, zeros

from .values import any_above, differentiable, host_value, stays_weak

_serials = itertools.count()


class TapeTracer(Tracer):
    """A value on a tape."""

    __slots__ = ("primal", "node", "_aval")

    def __init__(self, interpreter, primal, node):
        self.interpreter = interpreter
        self.primal = primal
        self.node = node
        self._aval = None

    @property
    def aval(self):
        """Shape and dtype; computed once, for the nodes that keep it."""
        if self._aval is None:
            self._aval = aval_of(self.primal)
        return self._aval

    @property
    def shape(self):
        """Shape, without the detour over `aval` where there is an array below."""
        p = self.primal
        return p.shape if type(p) is numpy.ndarray else self.aval.shape

    @property
    def dtype(self):
        """Dtype, likewise."""
        p = self.primal
        return p.dtype if type(p) is numpy.ndarray else self.aval.dtype


class Leaf:
    """The node of a value that a derivative is taken with respect to."""

    __slots__ = ("serial", "aval")
    parents = ()

    def __init__(self, aval):
        self.serial, self.aval = next(_serials), aval


class Node:
    """One op on the tape.

    Attributes
    ----------
    parents : list of node or None
        For each operand, the node that made it; None for constants.
    args : list
        For each operand its value where a rule reads it, else its `Aval`; constants on the host are in boxes.
    ans : payload, tuple of payload or None
        The result, where a rule reads it.
    boxed : bool
        Whether there are boxes among `args`.
    avals : tuple of Aval or None
        Of the results of an op that has several.
    where : str or None
        The user's line, for an op that has no derivative.
    """

    __slots__ = ("op", "parents", "args", "boxed", "ans", "params", "avals", "serial", "where")

    def __init__(self, op, parents, args, boxed, ans, params):
        self.op, self.parents, self.args, self.boxed, self.ans, self.params = op, parents, args, boxed, ans, params
        self.avals, self.serial = None, next(_serials)
        self.where = None if op.no_deriv is None else user_line()

    def operands(self):
        """What was kept of the operands, unboxed."""
        return [a.value if type(a) is Box else a for a in self.args] if self.boxed else self.args

    def pull(self, g):
        """The cotangents of the operands, None for zero and for constants."""
        if self.avals is not None:
            g = tuple(zeros(aval) if part is None else part for part, aval in zip(g, self.avals))
        op, ans, params = self.op, self.ans, self.params
        if op.no_deriv is not None:
            raise TypeError(f"{op.name} has no derivative ({op.no_deriv}); it was applied at {self.where}")
        args, vjp = self.operands(), op.vjp
        return [None if p is None else vjp(i, g, ans, args, params) for i, p in enumerate(self.parents)]


class CallNode:
    """A whole function on the tape, which brings its own pullback (`custom_vjp`, `checkpoint`, ...)."""

    __slots__ = ("parents", "pullback", "avals", "serial")

    def __init__(self, parents, pullback, avals):
        self.parents, self.pullback, self.avals = parents, pullback, avals
        self.serial = next(_serials)

    def pull(self, g):
        """The cotangents of the operands."""
        return self.pullback([zeros(aval) if part is None else part for part, aval in zip(g, self.avals)])


class Output:
    """One of the results of a node that has several.

    `also` is the node of a value that adds to the result: what a called function computed from values of the same tape
    that it closes over.
    """

    __slots__ = ("parents", "index", "serial")

    def __init__(self, node, index, also=None):
        self.parents = (node,) if also is None else (node, also)
        self.index, self.serial = index, next(_serials)


class Tape(Interpreter):
    """Notes ops for `backward.backward`."""

    name = "grad"
    differentiates = True
    #: what the walk back calls with each node, its cotangent and those of its operands (`debugging.WatchedTape`)
    look = None

    def leaf(self, primal):
        """A tracer for a value to differentiate with respect to."""
        tracer = TapeTracer(self, primal, None)
        tracer.node = Leaf(tracer.aval)
        return tracer

    def lower(self, value):
        """The value one level down of a payload that may be a tracer of this tape."""
        return value.primal if type(value) is TapeTracer and value.interpreter is self else value

    def process(self, op, args, params):
        """Run the op one level down and note it."""
        if not self.alive:
            return op(*map(self.lower, args), **params)
        primals, parents = [], []
        for a in args:
            if type(a) is TapeTracer and a.interpreter is self:
                primals.append(a.primal)
                parents.append(a.node)
            else:
                primals.append(a)
                parents.append(None)
        if type(op) is not Op:
            return self._call(op, args, primals, parents)
        out = op(*primals, **params)
        if op.vjp is None and op.no_deriv is None:
            return out
        if op.nout != 1:
            return self._several(op, args, parents, out, params)
        if type(out) is numpy.ndarray:
            if not is_inexact(out.dtype):
                return out
        elif not differentiable(out):
            return out
        elif type(out) is numpy.float64 or type(out) is numpy.complex128:
            out = stays_weak(op, out, primals, params)
        return TapeTracer(self, out, _note(op, args, parents, out, params))

    def _several(self, op, args, parents, outs, params):
        if not any(map(differentiable, outs)):
            return outs
        node = _note(op, args, parents, outs, params)
        node.avals = tuple(map(aval_of, outs))
        return tuple(
            TapeTracer(self, out, Output(node, k)) if differentiable(out) else out for k, out in enumerate(outs)
        )

    def _call(self, op, args, primals, parents):
        outs, pullback, also = op.on_tape(self, primals)
        if pullback is None:
            return outs
        if any_above(outs, self.level):
            return op.closes_over_mapped(args)
        node = CallNode([*parents, *also], pullback, tuple(map(aval_of, outs)))

        def on_tape(k, out):
            if not differentiable(out):
                return out
            if type(out) is TapeTracer and out.interpreter is self:  # it closes over values of this tape
                return TapeTracer(self, out.primal, Output(node, k, also=out.node))
            return TapeTracer(self, out, Output(node, k))

        return tuple(on_tape(k, out) for k, out in enumerate(outs))

    def concretize(self, tracer, reason):
        """The value of a tracer that Python asks for, unless its derivative would be lost without a word."""
        if self.alive and reason in ("float()", "complex()", "conversion to a NumPy array"):
            raise TypeError(
                f"{reason} would drop the derivative of an array that is being differentiated ({tracer.aval}). Use "
                "npx functions in place of math, scipy or other libraries; to look at the value, convert "
                "npx.stop_gradient(x)."
            )
        return host_value(tracer.primal, reason)


def _note(op, args, parents, out, params):
    """The node of an op: of its operands and result it keeps what the derivative reads."""
    keeps = op.keeps
    if len(keeps) < len(args):
        keeps += keeps[-1:] * (len(args) - len(keeps))
    kept, boxed = [], False
    for a, parent, keep in zip(args, parents, keeps):
        if parent is not None:
            a = a.primal if keep else a.aval
        elif not keep:
            a = aval_of(a)
        elif type(a) is numpy.ndarray:
            a, boxed = save(a), True
        kept.append(a)
    return Node(op, parents, kept, boxed, out if op.keeps_ans else None, params)
