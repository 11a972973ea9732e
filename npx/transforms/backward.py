"""The walk back over a tape, from results to leaves.

A read and a write of a part of an array have cotangents of the size of the whole; on the host these are added to and
written into in place, so that a loop over the elements takes time in proportion to their number and not to its square.
"""

import numpy

from npx.dispatch.payloads import ops
from npx.ops.indexing import add_at_inplace, setitem_inplace

from .tape import Leaf, Node, Output


def backward(seeds, look=None):
    """Pull cotangents of results back.

    Parameters
    ----------
    seeds : iterable of (node, payload)
        Cotangents of results.
    look : callable, optional
        ``look(node, cotangent, cotangents of the operands)`` is called for each op (`debug_gradients`).

    Returns
    -------
    dict
        Leaf -> cotangent, for the leaves that the results depend on.
    """
    cotangents = Cotangents()
    for node, ct in seeds:
        cotangents.add(node, ct)
    found = {}
    for node in _order(cotangents.sums):
        ct = cotangents.sums.pop(node, None)
        if ct is None:
            continue
        kind = type(node)
        if kind is Leaf:
            found[node] = ct
        elif kind is Output:
            main, *also = node.parents
            cotangents.sums.setdefault(main, [None] * len(main.avals))[node.index] = ct
            for other in also:
                cotangents.add(other, ct)
        elif kind is not Node or node.op.kind != "indexing" or not cotangents.pull_in_place(node, ct):
            parts = node.pull(ct)
            if look is not None:
                look(node, ct, parts)
            for parent, part in zip(node.parents, parts):
                if part is not None and parent is not None:
                    cotangents.add(parent, part)
    return found


def _order(roots):
    """The nodes that `roots` depend on, latest first."""
    seen, pending = set(roots), list(roots)
    while pending:
        for parent in pending.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return sorted(seen, key=_serial, reverse=True)


def _serial(node):
    return node.serial


class Cotangents:
    """The cotangents found so far.

    Attributes
    ----------
    sums : dict
        Node -> the sum of what has come from the nodes that use it; for a node with several results a list of sums.
    owned : set of node
        Those whose sum is host memory that nothing else refers to.
    """

    __slots__ = ("sums", "owned")

    def __init__(self):
        self.sums, self.owned = {}, set()

    def add(self, node, ct):
        """Add to the sum of a node; in place where it is memory of ours."""
        total = self.sums.get(node)
        if total is None:
            self.sums[node] = ct
        elif node in self.owned and type(ct) is numpy.ndarray and ct.shape == total.shape and ct.dtype == total.dtype:
            total += ct
        else:
            total = self.sums[node] = ops.add(total, ct)
            if type(total) is numpy.ndarray:
                self.owned.add(node)
            else:
                self.owned.discard(node)

    def pull_in_place(self, node, g):
        """Pull the cotangent of a read or a write back in place; returns whether that was possible."""
        if not isinstance(g, (numpy.ndarray, numpy.generic)):
            return False
        name = node.op.name
        if name == "getitem":
            return self._pull_read(node, g, node.operands()[1:])
        if name == "setitem":
            return self._pull_write(node, g, node.operands()[2:])
        return False

    def _pull_read(self, node, g, indices):
        """Add the cotangent of a read to its places in the whole array's."""
        whole = node.parents[0]
        total = self.sums.get(whole)
        if not (total is None or type(total) is numpy.ndarray) or not _on_host(indices):
            return False
        if whole not in self.owned:
            if total is None:
                aval = node.args[0]
                total = numpy.zeros(aval.shape, aval.dtype)
            else:
                total = total.copy()
            self.sums[whole] = total
            self.owned.add(whole)
        add_at_inplace(total, g, *indices, index=node.params["index"])
        return True

    def _pull_write(self, node, g, indices):
        """Take what was written out of the cotangent of the new array; the rest is the old one's."""
        old, written = node.parents[:2]
        if not _on_host(indices):
            return False
        if written is not None:
            part = node.op.vjp(1, g, None, node.operands(), node.params)
            self.add(written, part.copy() if isinstance(part, numpy.ndarray) else part)
        if old is not None:
            mine = g if node in self.owned else numpy.array(g)
            setitem_inplace(mine, 0, *indices, index=node.params["index"])
            if old in self.sums:
                self.add(old, mine)
            else:
                self.sums[old] = mine
                self.owned.add(old)
        return True


def _on_host(indices):
    return all(isinstance(i, (numpy.ndarray, numpy.integer, int)) for i in indices)
