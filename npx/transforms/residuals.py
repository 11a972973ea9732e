"""What a loop keeps of each step for its derivative, and the two loops that write it and read it.

A step with its pullback is one graph: what depends on no cotangent belongs to the way forward. Either every value that
the way back reads is kept, or the state before each step, from which they are computed again: whichever takes less
memory. What follows from constants and the number of the step is always computed again.
"""

import math

import numpy

from npx.dispatch.abstract import Aval, Hole, Slice, aval_of
from npx.dispatch.graph import Region, evaluate_part
from npx.dispatch.payloads import ops, zeros
from npx.ops.control import WEAK

from .rewrite import rewrite
from .trace import trace

#: the number of a step
COUNTER = Aval((), numpy.dtype(int), int)

#: keeping the values that are read is worth so many times the memory of the states
WORTH_KEEPING = 2


def region(fun, avals):
    """A function of payloads as the body of a loop or branch."""
    graph, _ = trace(fun, avals, "a loop", captures=False)
    return Region(rewrite(graph))


class Residuals:
    """The values to keep of a step with its pullback.

    Parameters
    ----------
    graph : Graph
        Of i, constants, state, cotangents of the next state; gives the next state, then cotangents.
    constants, states : int
        How many.
    loop : callable
        ``loop(body, constants)(count, *operands)`` runs a loop with another body; `back` lets it run backwards.
    """

    def __init__(self, graph, constants, states, loop):
        self.graph, self.constants, self.states, self.loop = graph, constants, states, loop
        inputs = graph.inputs
        self.known, self.state = inputs[: 1 + constants], inputs[1 + constants :][:states]
        self.cotangents = inputs[1 + constants + states :]
        self.kept = self._chosen()

    def _chosen(self):
        """The values to keep."""
        moving = reachable(self.graph, self.state)
        values = [v for v in values_read_back(self.graph, self.cotangents, self.states) if v in moving]
        sources = needed(self.graph, values)
        states = [v for v in self.state if v in sources]
        return states if _nbytes(states) * WORTH_KEEPING < _nbytes(values) else values

    def forward(self, primals, most):
        """The last state, and what was kept of each of at most so many steps."""
        n, s = self.constants, self.states
        histories = [zeros(Aval((most, *v.aval.shape), v.aval.dtype)) for v in self.kept]

        def step(*values):
            operands, before = values[: 1 + n + s], values[1 + n + s :]
            env = dict(zip(self.graph.inputs, operands))
            outs = evaluate_part(self.graph, env, [*self.graph.outputs[:s], *self.kept])
            after = [put_at(h, operands[0], r) for h, r in zip(before, outs[s:])]
            return [*outs[:s], *after]

        body = region(step, [*_avals(self.known), *_avals(self.state), *map(aval_of, histories)])
        outs = self.loop(body, n)(*primals, *histories)
        return tuple(outs[:s]), tuple(outs[s:])

    def backward(self, known, histories, flags, gs):
        """The cotangents of constants and first state, None where flags say that there is none.

        Parameters
        ----------
        known : sequence of payload
            The number of steps, and the constants.
        histories : sequence of payload
        flags : list of bool
            Of constants and state.
        gs : sequence of payload
            Cotangents of the last state.
        """
        n, s, h = self.constants, self.states, len(histories)
        sums = sum(flags[:n])

        def step(*given):
            i, values = given[0], given[1 + n :]
            env = dict(zip(self.known, given[: 1 + n]))
            env |= {v: get_at(past, i, v.aval) for v, past in zip(self.kept, values[:h])}
            env |= zip(self.cotangents, values[h + sums :])
            parts = evaluate_part(self.graph, env, self.graph.outputs[s:])
            totals = [ops.add(total, part) for total, part in zip(values[h : h + sums], parts)]
            return [*totals, *parts[sums:]]

        inputs = [*self.known[1:], *self.state]
        totals = [zeros(Aval(v.aval.shape, v.aval.dtype)) for v, flag in zip(inputs[:n], flags) if flag]
        gs = [g for g, flag in zip(gs, flags[n:]) if flag]
        operands = [*known[1:], *histories, *totals, *gs]
        avals = [*_avals(self.known), *map(aval_of, [*histories, *totals])]
        body = region(step, [*avals, *_avals(self.cotangents)])
        found = iter(self.loop(body, n + h, back=True)(known[0], *operands))
        return [next(found) if flag else None for flag in flags]


def values_read_back(graph, cotangents, outputs):
    """What the way back reads of the way forward: values of a graph that depend on no cotangents.

    Parameters
    ----------
    graph : Graph
        Of a function with its pullback.
    cotangents : list of Value
        Those among its inputs.
    outputs : int
        Results of the function; cotangents follow.
    """
    backward = reachable(graph, cotangents)
    back = [node for node in graph.nodes if not backward.isdisjoint(node.outputs)]
    reads = [v for node in back for v in node.inputs] + graph.outputs[outputs:]
    return [v for v in dict.fromkeys(reads) if not v.is_const and v not in backward]


def put_at(past, i, value):
    """What was kept of all steps, with that of step `i`."""
    return ops.setitem(past, value, i, index=_index(past))


def get_at(past, i, aval):
    """What was kept of step `i`."""
    value = ops.getitem(past, i, index=_index(past))
    return WEAK(value, kind=aval.weak) if aval.weak else value


def _index(past):
    return (Hole(0), *(Slice() for _ in aval_of(past).shape[1:]))


def reachable(graph, sources):
    """The values of a graph that depend on some of them."""
    found = set(sources)
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def needed(graph, values):
    """The values that some depend on, these among them."""
    found = set(values)
    for node in reversed(graph.nodes):
        if not found.isdisjoint(node.outputs):
            found.update(node.inputs)
    return found


def _nbytes(values):
    return math.fsum(v.aval.nbytes for v in values)


def _avals(values):
    return [v.aval for v in values]
