"""Graphs built by hand, for tests of what rewrites and compiles them."""

import numpy

import npx.ops  # noqa: F401  declares the ops
from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.graph import Graph, Value, constant, evaluate
from npx.kernels.host_compiler.fuse import partition
from npx.kernels.host_compiler.lower import compile
from npx.kernels.host_compiler.plan import Plan


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

    def compiled(self, *outputs):
        self.graph.outputs = list(outputs)
        return compile(self.graph)

    def check(self, *outputs, ulp=0, calls=2):
        """Compare the compiled graph with `evaluate`."""
        run = self.compiled(*outputs)
        with numpy.errstate(all="ignore"):
            want = evaluate(self.graph, self.payloads)
        before = [numpy.array(p) for p in self.payloads]
        for _ in range(calls):
            got = run(self.payloads)
            for g, w in zip(got, want, strict=True):
                assert_equal(g, w, ulp)
            for payload, old in zip(self.payloads, before):
                numpy.testing.assert_array_equal(payload, old)
        return run


def assert_equal(got, want, ulp=0):
    """Equal in dtype and shape, and in value but for `ulp` units in the last place."""
    have, need = aval_of(got), aval_of(want)
    assert (have.shape, have.dtype) == (need.shape, need.dtype)
    if ulp and need.dtype.kind in "fc":
        tiny = numpy.finfo(need.dtype).tiny
        numpy.testing.assert_allclose(got, want, rtol=ulp * numpy.finfo(need.dtype).eps, atol=tiny)
    else:
        numpy.testing.assert_array_equal(got, want)


def steps(graph, kind):
    """The steps of a class in the plan of a graph with contiguous inputs."""
    plan = Plan(graph, partition(graph), [numpy.empty(v.aval.shape, v.aval.dtype).strides for v in graph.inputs])
    return [step for step in plan.steps if isinstance(step, kind)]
