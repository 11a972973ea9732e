"""Forward mode: an interpreter that carries a tangent beside every value; `jvp` and `linearize`."""

from typing import NamedTuple

import numpy

from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.graph import evaluate
from npx.dispatch.interpreter import Interpreter, Tracer, active
from npx.dispatch.op import Op
from npx.dispatch.payloads import is_inexact, ops, zeros

from . import tree
from .arguments import Picked
from .backward import backward
from .calls import Result, run, wrap_as
from .tape import Tape, TapeTracer
from .trace import TraceInterpreter
from .values import any_above, differentiable, own, snapshot, stays_weak, zeros_beside
from .watching import watching


class JVPTracer(Tracer):
    """A value and its tangent, which has the same shape and dtype."""

    __slots__ = ("primal", "tangent")

    def __init__(self, interpreter, primal, tangent):
        self.interpreter, self.primal, self.tangent = interpreter, primal, tangent

    @property
    def aval(self):
        """Shape and dtype."""
        return aval_of(self.primal)


class ForwardInterpreter(Interpreter):
    """Applies every op to values and tangents. What has no tangent is an ordinary value one level down."""

    name = "jvp"
    differentiates = True

    def lower(self, value):
        """The value one level down of a payload that may be a tracer of this interpreter."""
        return value.primal if type(value) is JVPTracer and value.interpreter is self else value

    def tangent(self, value):
        """The tangent of a payload, None for zero."""
        return value.tangent if type(value) is JVPTracer and value.interpreter is self else None

    def process(self, op, args, params):
        """Run the op one level down, and its derivative."""
        primals = tuple(map(self.lower, args))
        if not self.alive:
            return op(*primals, **params)
        if type(op) is not Op:
            return self._call(op, args)
        out = op(*primals, **params)
        outs = out if op.nout != 1 else (out,)
        if not any(map(differentiable, outs)):
            return out
        tangents = tangents_of(op, tuple(map(self.tangent, args)), out, primals, params)
        if op.nout == 1:
            if isinstance(out, numpy.generic):
                out = stays_weak(op, out, primals, params)
            return self._pair(out, tangents)
        return tuple(map(self._pair, outs, tangents or (None,) * len(outs)))

    def _call(self, op, args):
        outs = op.with_tangents(tuple(map(self.lower, args)), tuple(map(self.tangent, args)))
        if outs is None:
            return op.expand(*args)
        if any_above([v for pair in outs for v in pair], self.level):
            return op.closes_over_mapped(args)
        return tuple(self._joined(out, self.lower(tangent)) for out, tangent in zip(*outs))

    def _joined(self, out, tangent):
        """A result of a called function, which may itself have a tangent by values that the function closes over."""
        also = self.tangent(out)
        if also is not None and tangent is not None:
            tangent = ops.add(tangent, also)
        return self._pair(self.lower(out), also if tangent is None else tangent)

    def _pair(self, primal, tangent):
        return primal if tangent is None else JVPTracer(self, primal, tangent)

    def concretize(self, tracer, reason):
        """The value of a tracer that Python asks for, unless its derivative would be lost without a word."""
        return Tape.concretize(self, tracer, reason)


def tangents_of(op, tangents, ans, primals, params):
    """The tangent of a result: by the op's jvp rule, or else by its vjp rule transposed.

    Parameters
    ----------
    op : Op
    tangents : tuple of payload or None
        One per operand, None for zero.
    ans : payload or tuple of payload
        The result.
    primals : tuple of payload
    params : dict

    Returns
    -------
    payload, None or tuple of these

    Raises
    ------
    TypeError
        The op has no derivative.
    """
    if op.no_deriv is not None:
        raise TypeError(f"{op.name} has no derivative ({op.no_deriv}); it was applied at {user_line()}")
    if op.kind == "linalg":  # NumPy's functions run their gufuncs with an error handler, which is not for the rule
        with numpy.errstate(all="ignore"):
            return _by_rule(op, tangents, ans, primals, params)
    return _by_rule(op, tangents, ans, primals, params)


def _by_rule(op, tangents, ans, primals, params):
    if op.jvp is not None:
        return op.jvp(tangents, ans, primals, params)
    if op.vjp is None:
        return None if op.nout == 1 else (None,) * op.nout
    moved = [t is not None for t in tangents]
    outs = transposed(
        lambda gs: [
            op.vjp(i, gs if op.nout != 1 else gs[0], ans, primals, params) if m else None for i, m in enumerate(moved)
        ],
        ans if op.nout != 1 else (ans,),
        tangents,
    )
    return outs if op.nout != 1 else outs[0]


def transposed(pull, outs, tangents):
    """The tangents of results, from the function that takes their cotangents to those of the operands: its transpose.

    Parameters
    ----------
    pull : callable
        ``pull(gs)``, linear in the cotangents `gs` of the results, returns a cotangent or None per operand.
    outs : tuple of payload
        The results.
    tangents : tuple of payload or None
        Of the operands.

    Returns
    -------
    tuple of payload or None
    """
    avals = tuple(map(aval_of, outs))
    tape = Tape()
    with active(tape):
        gs = tuple(tape.leaf(zeros(a)) if is_inexact(a.dtype) else zeros(a) for a in avals)
        cts = pull(gs)
    found = backward((ct.node, t) for ct, t in zip(cts, tangents) if t is not None and tape.lower(ct) is not ct)
    return tuple(found.get(g.node) if type(g) is TapeTracer else None for g in gs)


# ------------------------------------------------------------------------------------------------ jvp, linearize
class Pushforward:
    """A function with the arguments to push tangents through.

    Parameters
    ----------
    picked : Picked
    """

    def __init__(self, picked):
        self.picked = picked
        self.values = [snapshot(p) for p in picked.payloads]
        self.avals = [aval_of(v) for v in self.values]

    def run(self, tangents, has_aux=False):
        """Call the function with flat tangents, None for zero."""
        picked, watch = self.picked, watching.get()
        interpreter = ForwardInterpreter() if watch is None else watch.forward()
        pairs = [v if t is None else JVPTracer(interpreter, v, t) for v, t in zip(self.values, tangents)]
        result = run(interpreter, lambda: Result(picked.call(pairs)), interpreter.lower)
        structure, aux = result.main(picked.transform, picked.fun, has_aux), None
        value = result.lowered(interpreter, interpreter.lower)
        if has_aux:
            value, aux = value
        outs = result.payloads[: structure.num_leaves]
        return Pushed(structure, list(map(interpreter.lower, outs)), list(map(interpreter.tangent, outs)), value, aux)


class Pushed(NamedTuple):
    """What a function returned, flat and as trees, with the tangents of its results (None for zero)."""

    structure: object
    primals: list
    tangents: list
    value: object
    aux: object

    def filled(self):
        """The tangents with zeros in place of None."""
        return [zeros_beside(p) if t is None else t for p, t in zip(self.primals, self.tangents)]

    def wrapped(self, tangents):
        """Flat tangents as a tree of arrays like the value."""
        return self.structure.unflatten(map(wrap_as, tangents, tree.leaves(self.value)))


def jvp(fun, primals, tangents, has_aux=False):
    """Evaluate `fun` and its derivative in one direction.

    Parameters
    ----------
    fun : callable
    primals : tuple
        The arguments: arrays, numbers and pytrees of them.
    tangents : tuple
        The direction, of the same structure and shapes; None for an argument that stays where it is. Tangents of
        integers are not looked at.
    has_aux : bool
        `fun` returns ``(result, aux)``.

    Returns
    -------
    result : pytree
    tangent : pytree
        The directional derivative of the result.
    aux : pytree
        Only with `has_aux`.

    Examples
    --------
    >>> import npx as np
    >>> np.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    picked = Picked.all("jvp", fun, primals)
    given = picked.tangents(tangents)
    pushed = Pushforward(picked).run(given, has_aux)
    taken = set(map(id, given))
    moved = pushed.wrapped([own(t, taken) for t in pushed.filled()])
    return (pushed.value, moved, pushed.aux) if has_aux else (pushed.value, moved)


def linearize(fun, *primals, has_aux=False):
    """Evaluate `fun` once and return its derivative as a linear function.

    Parameters
    ----------
    fun : callable
    *primals : pytrees of arrays and numbers
        Its arguments.
    has_aux : bool
        `fun` returns ``(result, aux)``.

    Returns
    -------
    result : pytree
    derivative : callable
        ``derivative(*tangents)`` is the directional derivative; it does not evaluate `fun` again.
    aux : pytree
        Only with `has_aux`.
    """
    picked = Picked.all("linearize", fun, primals)
    push = Pushforward(picked)
    tracing = TraceInterpreter("linearize", captures=False)
    with active(tracing):
        tangents = [tracing.input(a) if is_inexact(a.dtype) else None for a in push.avals]
        pushed = push.run(tangents, has_aux)
        graph = tracing.finish(pushed.filled())
    hidden = [p for _, p in tracing.captured]
    graph.inputs = [t.value for t in tangents if t is not None] + [v for v, _ in tracing.captured]

    def derivative(*tangents):
        fitted = zip(picked.tangents(tangents), push.avals)
        given = [zeros(aval) if t is None else t for t, aval in fitted if is_inexact(aval.dtype)]
        taken = {id(p) for p in (*given, *(v.const for v in graph.outputs if v.is_const))}
        return pushed.wrapped([own(p, taken) for p in evaluate(graph, given + hidden)])

    return (pushed.value, derivative, pushed.aux) if has_aux else (pushed.value, derivative)
