"""`compile`: a graph as a function of NumPy arrays."""

import numpy

from npx.dispatch.debug import STAGES, log
from npx.kernels.host_compiler.complaints import Complaints
from npx.kernels.host_compiler.fuse import partition
from npx.kernels.host_compiler.launch import all_plain
from npx.kernels.host_compiler.layout import contiguous_strides
from npx.kernels.host_compiler.plan import Plan
from npx.kernels.host_compiler.program import Program

#: input layouts for which a graph keeps programs of its own; beyond that, inputs are made contiguous
MOST_PROGRAMS = 8


def compile(graph):
    """Compile a graph for the host.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    callable
        ``f(list of payload) -> list of payload``, with the meaning of `evaluate`. Arguments have the shapes and dtypes
        of the graph's inputs, in any memory layout. Results are new arrays; 0-d results are NumPy scalars, and results
        that stand for Python scalars are such.
    """
    return Compiled(graph)


class Compiled:
    """A compiled graph: programs by the memory layout of the inputs."""

    def __init__(self, graph):
        self.graph, self.units = graph, partition(graph)
        self.specs = tuple(None if v.aval.weak else (v.aval.shape, v.aval.dtype) for v in graph.inputs)
        self.programs, self.complaints = {}, Complaints(graph)
        self.plain = self.program([s and contiguous_strides(s[0], s[1].itemsize) for s in self.specs])

    def __call__(self, args):
        if all_plain(args, self.specs):
            return self.plain(args)
        return self.call_strided(args)

    def call_strided(self, args):
        """A call in which an argument is not contiguous, not aligned, a NumPy scalar or a subclass."""
        args = [a if spec is None else _as_array(a, *spec) for a, spec in zip(args, self.specs)]
        key = tuple(None if spec is None else a.strides for a, spec in zip(args, self.specs))
        program = self.programs.get(key)
        if program is None:
            if len(self.programs) >= MOST_PROGRAMS:
                return self.plain([a if s is None else numpy.asarray(a, order="C") for a, s in zip(args, self.specs)])
            program = self.programs[key] = self.program(key)
        return program(args)

    def program(self, strides):
        plan = Plan(self.graph, self.units, strides)
        if "jit" in STAGES:
            log("jit", f"{self.graph}\n{len(plan.steps)} steps, {plan.arena} bytes of arena")
        return Program(plan, self.graph.name, self.complaints.hear)


def _as_array(payload, shape, dtype):
    """A payload as an aligned ``numpy.ndarray``, and no subclass."""
    array = numpy.asarray(payload)
    if array.shape != shape or array.dtype != dtype:
        raise TypeError(f"compiled for {dtype.name}{list(shape)}, called with {array.dtype.name}{list(array.shape)}")
    return array if array.flags.aligned else array.copy()
