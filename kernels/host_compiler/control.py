"""Loops and branches on the host: their bodies are programs of their own, called by a loop in Python.

A body owns its state: it writes into the state's arrays where the old values are dead, so that a buffer is updated in
place through all steps.
"""

import numpy

from npx.dispatch.graph import Graph
from npx.kernels.host_compiler.fuse import WRITES, partition, roots
from npx.kernels.host_compiler.layout import contiguous_strides
from npx.kernels.host_compiler.plan import Plan
from npx.kernels.host_compiler.program import Program
from npx.ops.control import steps


class Body:
    """A region as a function of a list of payloads.

    Parameters
    ----------
    graph : Graph
    owned : range
        Which inputs the body may write into.
    """

    def __init__(self, graph, owned=range(0)):
        strides = [
            None if v.aval.weak else contiguous_strides(v.aval.shape, v.aval.dtype.itemsize) for v in graph.inputs
        ]
        graph = reads_first(graph)
        plan = Plan(graph, partition(graph, graph.inputs[: owned.start]), strides, owned)
        self.run = Program(plan, graph.name, _do_not_complain)
        self.avals = [v.aval for v in graph.inputs]

    def operands(self, values, first=0, copied=False):
        """Payloads as the body takes them: numbers as Python's, arrays contiguous, and copied if it is to own them."""
        return [_as_operand(v, aval, copied) for v, aval in zip(values, self.avals[first:])]


def reads_first(graph):
    """The graph with its nodes in such an order that what a write overwrites is read before, where that can be."""
    root, nodes, done, readers = roots(graph), [], set(graph.inputs), {}
    for node in graph.nodes:
        for value in dict.fromkeys(root[v] for v in node.inputs if not v.is_const):
            readers.setdefault(value, []).append(node)

    def add(node):
        """Append a node after those that it needs, which come earlier in the graph."""
        pending = [node]
        while pending:
            last = pending[-1]
            wanted = [v.node for v in last.inputs if not v.is_const and v not in done]
            pending.extend(wanted)
            if not wanted:
                pending.pop()
                if last.outputs[0] not in done:
                    nodes.append(last)
                    done.update(last.outputs)

    for node in graph.nodes:
        if node.op.name in WRITES and not node.inputs[0].is_const:
            late = _dependents(graph, node)
            for reader in readers[root[node.inputs[0]]]:
                if reader not in late:
                    add(reader)
        add(node)
    return Graph(graph.inputs, nodes, graph.outputs, graph.name)


def _dependents(graph, node):
    """A node and those that need it."""
    values, found = set(node.outputs), {node}
    for other in graph.nodes:
        if not values.isdisjoint(other.inputs):
            values.update(other.outputs)
            found.add(other)
    return found


def _as_operand(value, aval, copied):
    if aval.weak:
        return value.item() if hasattr(value, "item") else value
    array = numpy.array(value, aval.dtype, order="C") if copied else numpy.asarray(value, aval.dtype, order="C")
    return array if array.flags.aligned else array.copy()


def _do_not_complain(args, flags):
    """What a body divides by zero is not told: its arguments are gone, they cannot be looked at again."""


def for_loop(body, constants, reverse):
    """The host's `for_loop`; its results are a list."""
    first = 1 + constants
    step = Body(body.graph, range(first, len(body.graph.inputs)))

    def loop(count, *operands):
        fixed = step.operands(operands[:constants], 1)
        state, run = step.operands(operands[constants:], first, copied=True), step.run
        for i in steps(count, reverse):
            state = run([i, *fixed, *state])
        return state

    return loop


def while_loop(test, body, constants):
    """The host's `while_loop`."""
    check, step = Body(test.graph), Body(body.graph, range(constants, len(body.graph.inputs)))

    def loop(*operands):
        fixed = step.operands(operands[:constants])
        state, run, goes_on = step.operands(operands[constants:], constants, copied=True), step.run, check.run
        while goes_on([*fixed, *state])[0]:
            state = run([*fixed, *state])
        return state

    return loop


def cond(yes, no):
    """The host's `cond`."""
    bodies = Body(no.graph), Body(yes.graph)

    def branch(condition, *operands):
        body = bodies[bool(condition)]
        return body.run(body.operands(operands))

    return branch


LOWERINGS = {"for_loop": for_loop, "while_loop": while_loop, "cond": cond}


def lowered(node):
    """What runs a control flow node: one result by itself, several in a list."""
    run = LOWERINGS[node.op.name](**node.params)
    return run if len(node.outputs) > 1 else lambda *operands: run(*operands)[0]
