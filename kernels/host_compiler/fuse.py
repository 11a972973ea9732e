"""Which nodes of a graph run together.

A unit is one node that runs by itself, or a group: elementwise nodes over one shape, and reductions of such values over
one set of axes, that become one loop nest. The units come in an order that respects data, effects, and that values
which a write may overwrite are read first.
"""

import functools
import heapq

import numpy

from npx.dispatch.abstract import type_key, ufunc_dtypes
from npx.kernels.host_compiler.ir import LANE
from npx.kernels.host_compiler.layout import is_view
from npx.kernels.host_compiler.scalars import REDUCTIONS, RULES, SMALL_EXPONENTS

#: nodes in one group: more would not fit the registers, and compile slowly
MOST_NODES = 48

WRITES = {"setitem", "add_at"}


def code_of(dtype):
    """The code by which kernels know a dtype; None where they do not."""
    if not isinstance(dtype, numpy.dtype) or not dtype.isnative:
        return None
    code = dtype.str[1:]
    return code if code in LANE else None


class Unit:
    """Nodes that run together.

    Attributes
    ----------
    nodes : list of Node
    shape : tuple or None
        The iteration space of a group; None for a node that runs by itself.
    axes : tuple or None
        The axes that the group's reductions reduce.
    """

    __slots__ = ("nodes", "shape", "axes", "index")

    def __init__(self, node, index, shape=None, axes=None):
        self.nodes, self.index, self.shape, self.axes = [node], index, shape, axes

    @property
    def is_group(self):
        return self.shape is not None

    def admits(self, shape, axes):
        """Whether a node over `shape` that reduces `axes` (or None) may join."""
        same_axes = axes is None or self.axes is None or self.axes == axes
        return self.shape == shape and same_axes and len(self.nodes) < MOST_NODES


# ------------------------------------------------------------------------------------------------ what can be fused


def number(value):
    """The Python number that a constant 0-d value is, or None."""
    if not value.is_const or value.aval.ndim:
        return None
    const = value.const
    return const if isinstance(const, (bool, int, float)) else numpy.asarray(const).item()


def element_loop(node):
    """Operand codes and result code of the loop over elements that `node` means, or None where it cannot be fused."""
    rule = RULES.get(node.op.name)
    name = node.op.name
    if name in ("astype", "where"):
        result = code_of(node.outputs[0].aval.dtype)
        operands = (code_of(node.inputs[0].aval.dtype),) if name == "astype" else ("b1", result, result)
    elif rule is None or len(node.outputs) != 1:
        return None
    elif isinstance(node.op.spec, numpy.ufunc):
        keys = tuple(type_key(v.aval) for v in node.inputs)
        *operands, result = map(code_of, ufunc_dtypes(node.op.spec, keys, 1))
        if len(set(operands)) != 1:
            return None
    else:
        operands, result = (code_of(node.inputs[0].aval.dtype),), code_of(node.outputs[0].aval.dtype)
    if None in operands or result is None or any(code_of(v.aval.dtype) is None for v in node.inputs):
        return None
    if rule is not None and (operands[0][0] not in rule.kinds or not _exact(node, operands[0])):
        return None
    if not all(_fits(v, code, result) for v, code in zip(node.inputs, operands)):
        return None
    return tuple(operands), result


def _exact(node, code):
    """Whether the rule covers these operands: integer powers only with a small constant exponent."""
    if node.op.name != "power" or code[0] == "f":
        return True
    exponent = number(node.inputs[1])
    return exponent in SMALL_EXPONENTS and exponent >= 0


def _fits(value, code, result):
    """Whether a weak int converts to the loop's dtype `code`: where it does not, NumPy raises or compares as Python."""
    if value.aval.weak is not int or code[0] not in "iu":
        return True
    if not value.is_const:
        return code == "i8" or result != "b1"
    info = numpy.iinfo(code)
    return info.min <= value.const <= info.max


def reduction_codes(node):
    """Operand code and result code of a reduction, or None where it cannot be fused."""
    if node.op.name not in REDUCTIONS:
        return None
    source, result = code_of(node.inputs[0].aval.dtype), code_of(node.outputs[0].aval.dtype)
    return (source, result) if source and result else None


def iteration(node):
    """The iteration space and the reduced axes of a node that can be fused, or None."""
    if node.op.effect or any(0 in v.aval.shape for v in (*node.inputs, *node.outputs)):
        return None
    if reduction_codes(node):
        return node.inputs[0].aval.shape, tuple(node.params["axis"])
    return (node.outputs[0].aval.shape, None) if element_loop(node) else None


# ----------------------------------------------------------------------------------------------------- dependencies


def roots(graph):
    """Value -> the value whose memory it is a view of (itself for most)."""
    root = {v: v for v in graph.inputs}
    for node in graph.nodes:
        for out in node.outputs:
            root[out] = root.get(node.inputs[0], node.inputs[0]) if is_view(node) else out
    return root


def _orderings(graph, kept):
    """Pairs of nodes (first, second) that must keep their order though no data flows: effects, and reads of a buffer
    before it is written over. The values `kept` never are."""
    root, readers, last_effect = roots(graph), {}, None
    kept = set(kept)
    for node in graph.nodes:
        if node.op.effect:
            if last_effect is not None:
                yield last_effect, node
            last_effect = node
        if node.op.name in WRITES:
            old = root.get(node.inputs[0])
            if old not in kept:
                for reader in readers.get(old, ()):
                    yield reader, node
        for value in dict.fromkeys(node.inputs):
            if not value.is_const:
                readers.setdefault(root[value], []).append(node)


class _Partition:
    """Units under construction; `deps[u]` is the set of units that unit `u` waits for, as a bit mask."""

    def __init__(self, graph, kept):
        self.units, self.deps, self.unit_of, self.order = {}, {}, {}, {}
        self.producer = {v: node for node in graph.nodes for v in node.outputs}
        self.before = {}
        for first, second in _orderings(graph, kept):
            self.before.setdefault(second, []).append(first)
        for order, node in enumerate(graph.nodes):
            self.add(node, order)

    def predecessors(self, node):
        """Indices of the units of which `node` needs something."""
        nodes = self.producers(node) + self.before.get(node, [])
        return {self.unit_of[n] for n in nodes}

    def producers(self, node):
        """The nodes of this graph that compute operands of `node`; an input may come from a node of another graph."""
        return [self.producer[v] for v in node.inputs if v in self.producer]

    def complete(self, node):
        """Those of them that must have run completely: where `node` reads what a loop reduces to."""
        nodes = [n for n in self.producers(node) if n.op.name in REDUCTIONS]
        return {self.unit_of[n] for n in nodes + self.before.get(node, [])}

    def closure(self, indices):
        """These units and all that they wait for."""
        return functools.reduce(lambda mask, u: mask | self.deps[u] | 1 << u, indices, 0)

    def add(self, node, order):
        self.order[node] = order
        space = iteration(node)
        partners = sorted(set(self.partners(node, space)), reverse=True) if space else []
        target = next((p for p in partners if not self.is_behind(node, p)), None)
        if target is None:
            self.units[order] = Unit(node, order, *(space or (None, None)))
            self.deps[order] = self.closure(self.predecessors(node))
            self.unit_of[node] = order
            return
        for other in partners:
            if other != target and not self.is_behind(node, other, target):
                self.merge(other, target)
        unit = self.units[target]
        unit.nodes.append(node)
        unit.axes = unit.axes if space[1] is None else space[1]
        self.unit_of[node] = target
        self.wait(target, self.closure(self.predecessors(node) - {target}))

    def is_behind(self, node, index, *others):
        """Whether `node` needs something that waits for all of unit `index`, besides what it reads in the `others`."""
        return self.closure(self.predecessors(node) - {index, *others} | self.complete(node)) >> index & 1

    def partners(self, node, space):
        """Groups that compute an operand of `node` over the same iteration space."""
        for producer in self.producers(node):
            unit = self.units[self.unit_of[producer]]
            if producer.op.name not in REDUCTIONS and unit.is_group and unit.admits(*space):
                yield unit.index

    def wait(self, index, mask):
        """Unit `index`, and all that wait for it, wait for `mask` too."""
        for u, deps in self.deps.items():
            if u == index or deps >> index & 1:
                self.deps[u] = deps | mask

    def merge(self, index, target):
        """Move unit `index` into `target` if neither waits for the other."""
        one, into = self.units[index], self.units[target]
        if self.deps[target] >> index & 1 or self.deps[index] >> target & 1:
            return
        if not into.admits(one.shape, one.axes) or len(one.nodes) + len(into.nodes) > MOST_NODES:
            return
        into.nodes = sorted(one.nodes + into.nodes, key=self.order.__getitem__)
        into.axes = into.axes if one.axes is None else one.axes
        self.unit_of.update(dict.fromkeys(one.nodes, target))
        mask = self.deps.pop(index)
        del self.units[index]
        for u, deps in self.deps.items():
            if deps >> index & 1:
                self.deps[u] = deps & ~(1 << index) | 1 << target
        self.wait(target, mask)

    def ordered(self):
        """The units, each after those that it waits for; else as late as its last node."""
        direct = {u: set() for u in self.units}
        for node, u in self.unit_of.items():
            direct[u] |= self.predecessors(node) - {u}
        followers = {u: [] for u in self.units}
        for u, needed in direct.items():
            for p in needed:
                followers[p].append(u)
        waiting = {u: len(needed) for u, needed in direct.items()}
        last = {u: self.order[unit.nodes[-1]] for u, unit in self.units.items()}
        ready = [(last[u], u) for u, n in waiting.items() if n == 0]
        heapq.heapify(ready)
        while ready:
            _, u = heapq.heappop(ready)
            yield self.units[u]
            for f in followers[u]:
                waiting[f] -= 1
                if waiting[f] == 0:
                    heapq.heappush(ready, (last[f], f))


def partition(graph, kept=None):
    """The units of `graph` in an order in which they can run.

    Parameters
    ----------
    graph : Graph
    kept : list of Value, optional
        Inputs that are not written into; all of them by default.

    Returns
    -------
    list of Unit
    """
    return list(_Partition(graph, graph.inputs if kept is None else kept).ordered())
