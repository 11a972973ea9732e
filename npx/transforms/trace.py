"""Tracing: an interpreter that records the ops of a function as a graph instead of running them."""

import numpy

import npx.ops  # noqa: F401  declares the ops
from npx.array.memory import save
from npx.array.ndarray import wrap
from npx.dispatch.abstract import SCALAR_TYPES, aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.graph import Graph, Value, constant
from npx.dispatch.interpreter import Interpreter, Tracer, active
from npx.dispatch.op import Op
from npx.dispatch.registry import op


class GraphTracer(Tracer):
    """Stands for a value of the graph that is being recorded."""

    __slots__ = ("value",)

    def __init__(self, interpreter, value):
        self.interpreter, self.value = interpreter, value

    @property
    def aval(self):
        """Shape and dtype."""
        return self.value.aval

    def __bool__(self):
        truth = self if self.aval.dtype == bool else op("astype")(self, dtype=numpy.dtype(bool))
        return bool(truth.interpreter.concretize(truth, "a condition"))


class TraceInterpreter(Interpreter):
    """Records ops into `graph`.

    Parameters
    ----------
    name : str
        What to call the transform in messages.
    captures : bool
        See every array that is older than the trace: it becomes a hidden input when it is first read. Otherwise such
        arrays are constants.

    Attributes
    ----------
    graph : Graph
        Its inputs are those of `input` and the hidden ones, in the order in which they came up.
    captured : list of (Value, payload)
        The hidden inputs and what they stood for during the trace: arrays from outside and tracers of lower levels.
    """

    records = True

    def __init__(self, name="jit", captures=True):
        self.name, self.captures = name, captures
        self.graph = Graph(name=name)
        self.captured = []
        self._hidden = {}  # id of a captured payload -> its tracer; `captured` keeps the payload alive
        self._constants = []  # (Value, box)

    def input(self, aval):
        """A tracer for a further input of the graph."""
        value = Value(aval)
        self.graph.inputs.append(value)
        return GraphTracer(self, value)

    def capture(self, payload, owner=None):
        """A tracer for a hidden input of the graph that stands for `payload`, which the array `owner` holds."""
        tracer = self._hidden.get(id(payload))
        if tracer is None:
            tracer = self._hidden[id(payload)] = self.input(aval_of(payload))
            self.captured.append((tracer.value, payload))
        return tracer

    def array_of(self, memory):
        """The array that stands for a bare NumPy array."""
        return wrap(self.capture(memory))

    def value(self, operand):
        """The value of the graph for a payload: a tracer's own, a hidden input, or a constant."""
        if isinstance(operand, Tracer):
            if operand.interpreter is not self:
                operand = self.capture(operand)
            return operand.value
        value = constant(operand)
        if type(operand) not in SCALAR_TYPES:
            self._constants.append((value, save(operand)))
        return value

    def process(self, op, args, params):
        """Record the op; returns tracers of its results."""
        if not self.alive:
            raise TypeError(
                f"{op.name} meets an array that was traced by a {self.name} that has ended; return it instead"
            )
        if type(op) is not Op:
            return op.expand(*args)  # a called function: its own ops are recorded
        where = user_line()
        try:
            outs = self.graph.add(op, [self.value(a) for a in args], params, where)
        except Exception as error:
            error.add_note(f"while {self.name} traced {op.name} at {where}")
            raise
        tracers = tuple(GraphTracer(self, v) for v in outs)
        return tracers[0] if op.nout == 1 else tracers

    def finish(self, outputs):
        """End the recording with the graph's outputs (payloads); returns the graph, whose constants are now final."""
        self.graph.outputs.extend(map(self.value, outputs))
        for value, box in self._constants:
            value.const = box.value.copy() if isinstance(box.value, numpy.ndarray) else box.value
        self._constants.clear()
        return self.graph


def trace(fun, avals, name="jit", captures=True):
    """Record a function of payloads.

    Parameters
    ----------
    fun : callable
        Takes one tracer per aval, returns a sequence of payloads.
    avals : sequence of Aval
    name, captures
        See `TraceInterpreter`.

    Returns
    -------
    graph : Graph
        Its first inputs are those of `fun`; the hidden inputs follow, in the order of `captured`.
    captured : list of payload
        What the hidden inputs stand for.
    """
    interpreter = TraceInterpreter(name, captures)
    with active(interpreter):
        outputs = fun(*map(interpreter.input, avals))
        graph = interpreter.finish(outputs)
    return graph, [payload for _, payload in interpreter.captured]
