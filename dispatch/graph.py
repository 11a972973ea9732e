"""Graphs: recorded ops as plain data.

A graph is a straight list of nodes in the order of recording; control flow is a node that holds regions (graphs of
their own). Values are immutable: a write into a buffer is an op that yields the new buffer, and the compiler turns it
back into a write in place where the old value is dead. Dimensions in shapes and params are integers; an entry may also
be a `Value` (a scalar of the graph), for backends that compile once for many shapes.
"""

import numpy

from .abstract import aval_of

_UNSET = object()

#: name of a control flow op -> ``apply(*operands, **params)``, by which the transforms differentiate and map it
control = {}


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
    """

    __slots__ = ("op", "inputs", "params", "outputs", "where")

    def __init__(self, op, inputs, params, avals, where=None):
        self.op, self.inputs, self.params, self.where = op, tuple(inputs), params, where
        self.outputs = tuple(Value(a, self) for a in avals)

    @property
    def regions(self):
        """The bodies of a control flow op: those of its params that are regions, by name."""
        return {name: p for name, p in self.params.items() if type(p) is Region}


class Graph:
    """Inputs, nodes in execution order, outputs."""

    __slots__ = ("inputs", "nodes", "outputs", "name")

    def __init__(self, inputs=(), nodes=(), outputs=(), name="graph"):
        self.inputs, self.nodes, self.outputs = list(inputs), list(nodes), list(outputs)
        self.name = name

    def add(self, op, inputs, params, where=None):
        """Record one op; returns its output values as a tuple."""
        avals = op.abstract(tuple(v.aval for v in inputs), params)
        node = Node(op, inputs, params, avals, where)
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
            params = "".join(f" {k}={p!r}" for k, p in n.params.items() if type(p) is not Region)
            outs = ", ".join(f"{show(v)}:{v.aval}" for v in n.outputs)
            at = f"    # {n.where}" if n.where else ""
            lines.append(f"  {outs} = {n.op.name}({', '.join(map(show, n.inputs))}){params}{at}")
            lines += [f"  {name} {line}" for name, r in n.regions.items() for line in str(r.graph).splitlines()]
        lines.append(f"  return {', '.join(map(show, self.outputs))}")
        return "\n".join(lines)


class Region:
    """A graph as the body of a control flow op. Regions are equal where their graphs compute the same ops.

    Parameters
    ----------
    graph : Graph
        Does not change any more.
    """

    __slots__ = ("graph", "_key")

    def __init__(self, graph):
        self.graph, self._key = graph, None

    @property
    def key(self):
        """What equal graphs have in common."""
        if self._key is None:
            numbers = {v: k for k, v in enumerate(self.graph.inputs)}
            nodes = []
            for node in self.graph.nodes:
                operands = tuple(_key_of(v, numbers) for v in node.inputs)
                nodes.append((node.op.name, operands, tuple(node.params.items())))
                numbers |= {v: k for k, v in enumerate(node.outputs, len(numbers))}
            outputs = tuple(_key_of(v, numbers) for v in self.graph.outputs)
            self._key = tuple(v.aval for v in self.graph.inputs), tuple(nodes), outputs
        return self._key

    def __eq__(self, other):
        return type(other) is Region and (self.graph is other.graph or self.key == other.key)

    def __hash__(self):
        return hash((len(self.graph.inputs), tuple(node.op.name for node in self.graph.nodes)))

    def __repr__(self):
        return f"<region of {len(self.graph.nodes)} nodes>"


def _key_of(value, numbers):
    if not value.is_const:
        return numbers[value]
    const = value.const
    return type(const), value.aval, numpy.asarray(const).tobytes() if value.aval.ndim else repr(const)


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
    return _run(graph.nodes, dict(zip(graph.inputs, args, strict=True)), graph.outputs)


def evaluate_part(graph, env, wanted):
    """The payloads of some values of a graph, from those of others.

    Parameters
    ----------
    graph : Graph
    env : dict
        Value -> payload; nothing that these depend on is computed.
    wanted : list of Value
    """
    needed, nodes = {v for v in wanted if v not in env}, []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(v for v in node.inputs if v not in env)
            nodes.append(node)
    return _run(reversed(nodes), dict(env), wanted)


def _run(nodes, env, wanted):
    def read(v):
        return v.const if v.is_const else env[v]

    for node in nodes:
        apply = control.get(node.op.name, node.op)
        out = apply(*map(read, node.inputs), **node.params)
        new = zip(node.outputs, (out,) if node.op.nout == 1 else out, strict=True)
        env.update((v, p) for v, p in new if v not in env)
    return [read(v) for v in wanted]
