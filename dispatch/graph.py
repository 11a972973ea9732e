"""Graphs: recorded ops as plain data.

A graph is a straight list of nodes in the order of recording; control flow is a node that holds regions (graphs of
their own). Values are immutable: a write into a buffer is an op that yields the new buffer, and the compiler turns it
back into a write in place where the old value is dead. Dimensions in shapes and params are integers; an entry may also
be a `Value` (a scalar of the graph), for backends that compile once for many shapes.
"""

from .abstract import aval_of

_UNSET = object()


class Value:
    """One immutable array in a graph: an input, a node's output, or a constant.

    Attributes
    ----------
    aval : Aval
    node : Node or None
        The node that produces it; None for inputs and constants.
    const : object
        The payload or Python scalar of a constant (see `is_const`).
    """

    __slots__ = ("aval", "node", "const")

    def __init__(self, aval, node=None, const=_UNSET):
        self.aval, self.node, self.const = aval, node, const

    @property
    def is_const(self):
        return self.const is not _UNSET

    def __repr__(self):
        return f"<{'const ' if self.is_const else ''}{self.aval}>"


class Node:
    """One application of an op.

    Attributes
    ----------
    op : Op
    inputs : tuple of Value
    params : dict
        Static keyword arguments of the op.
    outputs : tuple of Value
    where : str or None
        The user's source line, as ``file:line``.
    regions : tuple of Graph
        The bodies of a control flow op.
    """

    __slots__ = ("op", "inputs", "params", "outputs", "where", "regions")

    def __init__(self, op, inputs, params, avals, where=None, regions=()):
        self.op, self.inputs, self.params = op, tuple(inputs), params
        self.where, self.regions = where, tuple(regions)
        self.outputs = tuple(Value(a, self) for a in avals)


class Graph:
    """Inputs, nodes in execution order, outputs."""

    __slots__ = ("inputs", "nodes", "outputs", "name")

    def __init__(self, inputs=(), nodes=(), outputs=(), name="graph"):
        self.inputs, self.nodes, self.outputs = list(inputs), list(nodes), list(outputs)
        self.name = name

    def add(self, op, inputs, params, where=None, regions=()):
        """Record one op; returns its output values as a tuple."""
        avals = op.abstract(tuple(v.aval for v in inputs), params)
        node = Node(op, inputs, params, avals, where, regions)
        self.nodes.append(node)
        return node.outputs

    def __str__(self):
        names = {}

        def show(v):
            if v.is_const:
                return repr(v.const) if v.aval.ndim == 0 else f"const:{v.aval}"
            return names.setdefault(v, f"%{len(names)}")

        lines = [f"{self.name}({', '.join(f'{show(v)}:{v.aval}' for v in self.inputs)})"]
        for n in self.nodes:
            params = "".join(f" {k}={p!r}" for k, p in n.params.items())
            outs = ", ".join(f"{show(v)}:{v.aval}" for v in n.outputs)
            at = f"    # {n.where}" if n.where else ""
            lines.append(f"  {outs} = {n.op.name}({', '.join(map(show, n.inputs))}){params}{at}")
        lines.append(f"  return {', '.join(map(show, self.outputs))}")
        return "\n".join(lines)


def constant(value):
    """A graph constant holding a payload or a Python scalar."""
    return Value(aval_of(value), const=value)


def evaluate(graph, args):
    """Run a graph op by op on payloads (tracers included): the definition of what a compiled graph must return.

    Parameters
    ----------
    graph : Graph
    args : sequence of payload
        One per graph input.

    Returns
    -------
    list of payload
        One per graph output.
    """
    env = dict(zip(graph.inputs, args, strict=True))

    def read(v):
        return v.const if v.is_const else env[v]

    for node in graph.nodes:
        out = node.op(*map(read, node.inputs), **node.params)
        if len(node.outputs) == 1:
            env[node.outputs[0]] = out
        else:
            env.update(zip(node.outputs, out, strict=True))
    return [read(v) for v in graph.outputs]
