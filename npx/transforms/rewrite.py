"""Rewrites of graphs: what a graph computes stays the same, with less work.

One pass from first node to last applies, to each node, the rules of `RULES` in order, then looks for an equal node
before it; a pass back drops what nobody reads. Ops with an effect are left alone by all of them.
"""

import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import SCALAR_TYPES, Aval, Hole, result_dtype
from npx.dispatch.graph import Graph, Node, constant
from npx.ops.index_specs import is_basic, layout

#: constants larger than this are not made by folding, unless their operands are as large
FOLDED_BYTES = 4096

HOST_TYPES = (numpy.ndarray, numpy.generic, *SCALAR_TYPES)


def rewrite(graph):
    """A graph that computes the same outputs.

    Parameters
    ----------
    graph : Graph
        Left as it is.

    Returns
    -------
    Graph
        With the same inputs. Constants are folded, nodes that change nothing and repeated ones are gone, and so are
        those that no output needs.
    """
    return without_dead_nodes(simplified(graph))


# ------------------------------------------------------------------------------------------------------------ rules


def fold_constants(node, graph):
    """A node of host constants is a constant; a broadcast one stays small."""
    if not node.inputs or node.op.nout != 1 or node.op.name == "broadcast_to":
        return None
    if not all(v.is_const and isinstance(v.const, HOST_TYPES) for v in node.inputs):
        return None
    aval = node.outputs[0].aval
    if aval.nbytes > max(FOLDED_BYTES, sum(v.aval.nbytes for v in node.inputs)):
        return None
    try:
        with numpy.errstate(all="ignore"):
            result = numpy.asarray(node.op(*(v.const for v in node.inputs), **node.params))
    except Exception:  # it belongs to the call, not to the compilation
        return None
    if result.shape != aval.shape or result.dtype != aval.dtype:
        return None
    return constant(result.item() if aval.weak else result)


def drop_identity(node, graph):
    """Some ops return their first operand for certain params and dtypes."""
    unchanged = IDENTITIES.get(node.op.name)
    if unchanged is None or node.outputs[0].aval != node.inputs[0].aval or not unchanged(node):
        return None
    return node.inputs[0]


def _is_real(node):
    return node.inputs[0].aval.dtype.kind != "c"


def _takes_all(index):
    return all(item == (None, None, None) for item in index)


#: op name -> whether a node whose result has the operand's shape and dtype returns it. `copy` may: values are immutable
IDENTITIES = {
    "astype": lambda node: True,
    "broadcast_to": lambda node: True,
    "conjugate": _is_real,
    "copy": lambda node: True,
    "getitem": lambda node: _takes_all(node.params["index"]),
    "positive": lambda node: True,
    "real": lambda node: True,
    "reshape": lambda node: True,
    "transpose": lambda node: node.params["axes"] == tuple(range(len(node.params["axes"]))),
}


def drop_neutral_operand(node, graph):
    """``x * 1``, ``x / 1``, ``x - 0``, ``x ** 1`` are x, to the last bit."""
    neutral = NEUTRAL.get(node.op.name)
    if neutral is None or node.outputs[0].aval.dtype.kind == "c":
        return None
    number, places = neutral
    for place in places:
        if node.inputs[1 - place].aval == node.outputs[0].aval and is_uniformly(node.inputs[place], number, graph):
            return node.inputs[1 - place]
    return None


#: op name -> the number that changes nothing, and the places of the operands where it does not
NEUTRAL = {"multiply": (1, (0, 1)), "divide": (1, (1,)), "power": (1, (1,)), "subtract": (0, (1,))}


def is_uniformly(value, number, graph):
    """Whether all elements of `value` are known to equal `number`, and not to be minus zero."""
    while (spread := graph.producer(value, "broadcast_to")) is not None:
        value = spread.inputs[0]
    if not value.is_const or value.aval.ndim or value.aval.dtype.kind not in "biuf":
        return False
    known = numpy.asarray(value.const)
    return bool(known == number and not numpy.signbit(known.astype(float)))


def join_repeated(node, graph):
    """A reshape of a reshape is one reshape; likewise `broadcast_to` and `transpose`."""
    if node.op.name not in ("reshape", "broadcast_to", "transpose"):
        return None
    inner, params = graph.producer(node.inputs[0], node.op.name), node.params
    if inner is None:
        return None
    if node.op.name == "transpose":
        params = {"axes": tuple(inner.params["axes"][a] for a in params["axes"])}
    return graph.emit(node, inner.inputs, params)


def read_what_was_written(node, graph):
    """``y[i]`` right after ``y[i] = v`` is v."""
    if node.op.name != "getitem":
        return None
    write, index = graph.producer(node.inputs[0], "setitem"), node.params["index"]
    if write is None or write.params["index"] != index or any(type(item) is Hole for item in index):
        return None
    written = write.inputs[1]
    return written if written.aval == node.outputs[0].aval else None


def write_all(node, graph):
    """``y[:] = v`` is v, broadcast; y is not needed."""
    if node.op.name != "setitem" or not _takes_all(node.params["index"]):
        return None
    target, written = node.outputs[0].aval, node.inputs[1]
    if written.aval.weak or written.aval.dtype != target.dtype or written.aval.ndim > target.ndim:
        return None
    if written.aval.shape == target.shape:
        return written
    return graph.emit(node, (written,), {"shape": target.shape}, registry.op("broadcast_to"))


def spell_out_add_at(node, graph):
    """``y[i] += v`` for a place without index arrays, as a read, an addition and a write: these can be fused."""
    if node.op.name != "add_at" or not is_basic(node.params["index"]):
        return None
    x, v = node.inputs
    shape, _, _, _ = layout(x.aval.shape, node.params["index"], ())
    if result_dtype(x.aval, v.aval) != x.aval.dtype or v.aval.ndim > len(shape):
        return None
    old = graph.emit(node, (x,), node.params, registry.op("getitem"), Aval(shape, x.aval.dtype))
    new = graph.emit(node, (old, v), {}, registry.op("add"), old.aval)
    return graph.emit(node, (x, new), node.params, registry.op("setitem"))


def add_in_place(node, graph):
    """Adding zeros with v added at i, which is what the derivative of a read gives, is adding v at i."""
    if node.op.name != "add":
        return None
    for part, total in (node.inputs, node.inputs[::-1]):
        read = graph.producer(part, "add_at")
        if read is None or total.aval != node.outputs[0].aval or part.aval != total.aval:
            continue
        if _is_zero(read.inputs[0], graph):
            return graph.emit(node, (total, *read.inputs[1:]), read.params, read.op)
    return None


def _is_zero(value, graph):
    if value.is_const and isinstance(value.const, numpy.ndarray):
        return not numpy.any(value.const)
    return is_uniformly(value, 0, graph)


#: tried in this order; each is ``rule(node, graph) -> Value or None``, where `graph` is a `_Pass`
RULES = (
    fold_constants,
    drop_identity,
    drop_neutral_operand,
    join_repeated,
    read_what_was_written,
    write_all,
    add_in_place,
    spell_out_add_at,
)


# ----------------------------------------------------------------------------------------------------------- passes


def simplified(graph):
    """Apply the rules, and compute equal things once."""
    return _Pass(graph).result


class _Pass:
    """The graph as rewritten so far."""

    def __init__(self, graph):
        self.new = {}  # Value of the old graph -> Value of the new one
        self.known = {}  # what a node computes -> its outputs
        self.nodes = []
        self.inputs = set(graph.inputs)
        for node in graph.nodes:
            inputs = tuple(self.new.get(v, v) for v in node.inputs)
            if inputs != node.inputs:
                node_ = Node(node.op, inputs, node.params, [v.aval for v in node.outputs], node.where)
            else:
                node_ = node
            self.new.update(zip(node.outputs, self.add(node_), strict=True))
        outputs = [self.new.get(v, v) for v in graph.outputs]
        self.result = Graph(graph.inputs, self.nodes, outputs, graph.name)

    def add(self, node):
        """Record a node, or find what it computes; returns its outputs."""
        if node.op.effect or node.regions:
            self.nodes.append(node)
            return node.outputs
        for rule in RULES:
            found = rule(node, self)
            if found is not None:
                return (found,)
        key = computation(node)
        if key is None:
            self.nodes.append(node)
            return node.outputs
        if key not in self.known:
            self.nodes.append(node)
            self.known[key] = node.outputs
        return self.known[key]

    def producer(self, value, name):
        """The node of this graph that computes `value`, if it is one of the op called `name`."""
        is_inside = value.node is not None and value not in self.inputs
        return value.node if is_inside and value.node.op.name == name else None

    def emit(self, node, inputs, params, op=None, aval=None):
        """Record a node in the place of `node`, with the same `where`, op and aval unless given; returns its output."""
        avals = [aval or node.outputs[0].aval]
        return self.add(Node(op or node.op, inputs, params, avals, node.where))[0]


def computation(node):
    """A key that equal computations share, or None."""
    key = (node.op, tuple(map(_identity, node.inputs)), tuple((k, type(p), p) for k, p in node.params.items()))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _identity(value):
    """A key that values share which are known to be equal."""
    if not value.is_const or not isinstance(value.const, HOST_TYPES):
        return value
    if isinstance(value.const, SCALAR_TYPES):
        return type(value.const), repr(value.const)
    if value.aval.dtype.hasobject or value.aval.nbytes > FOLDED_BYTES:
        return value
    return value.aval, value.const.tobytes()


def without_dead_nodes(graph):
    """Drop nodes whose results are not needed."""
    needed, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if node.op.effect or not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return Graph(graph.inputs, reversed(kept), graph.outputs, graph.name)
