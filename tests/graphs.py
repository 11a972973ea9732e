"""Graphs built by hand, for tests of what rewrites and compiles them."""

from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.graph import Graph, Value, constant


class Build:
    """A graph under construction, with an input for each payload: ``b.add(b.inputs[0], 1)`` records the op `add`."""

    def __init__(self, *payloads):
        self.payloads = list(payloads)
        self.graph = Graph([Value(aval_of(p)) for p in payloads])
        self.inputs = self.graph.inputs

    def __getattr__(self, name):
        if name not in registry.OPS:
            raise AttributeError(name)
        return lambda *operands, **params: self.record(name, operands, params)

    def record(self, name, operands, params, where=None):
        values = [v if isinstance(v, Value) else constant(v) for v in operands]
        outs = self.graph.add(registry.op(name), values, params, where)
        return outs[0] if len(outs) == 1 else outs
