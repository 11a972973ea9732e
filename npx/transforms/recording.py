"""The interpreter of jit: it records ops into a tree of paths and answers Python's questions with real values."""

import collections
import gc
import threading
import weakref

import numpy

from npx.array.memory import save
from npx.array.ndarray import ndarray, wrap
from npx.array.views import read, restore
from npx.dispatch import registry
from npx.dispatch.abstract import DataDependentShape, aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.graph import Node, Value
from npx.dispatch.interpreter import Interpreter, Tracer, stack
from npx.dispatch.op import Op
from npx.dispatch.registry import op as op_named
from npx.ops.effects import HostCall, as_payload, equal

from .paths import Diverged, Unsuitable
from .trace import GraphTracer


class Inline(Exception):
    """An outer transform's tracer was met: the function is run as it is, under the outer transform."""


class Recorder(Interpreter):
    """Records one run of a function into a `PathTree`, along the pieces that are known.

    Parameters
    ----------
    tree : PathTree
    payloads : list
        The arguments' payloads of this call, for the questions that Python asks.
    outside : set of int
        Addresses of the objects that the function's closure and globals hold.
    regions : bool
        Whether loops may become regions.

    Attributes
    ----------
    abandoned : Unsuitable, Diverged or None
        Why nothing is recorded any more. The run goes on, computing each op at once, and is the call: the function is
        not called a second time.
    """

    captures = True
    name = "jit"

    records = True

    def __init__(self, tree, payloads, outside=frozenset(), regions=True):
        self.tree, self.outside, self.regions = tree, outside, regions
        self.unfit = collections.Counter()  # code of a loop's body -> how often it was found unfit for a region
        self.path = [tree.first]
        self.cursor = 0
        self.concrete = dict(zip(tree.inputs, payloads, strict=True))
        self.pending = []  # nodes recorded since the last question, not yet evaluated
        self.answers = {}  # Value -> its concrete host value, once Python has asked
        self.owners = {}  # id of a captured owner or array -> (owner, Value)
        self.states = {}  # id -> (what random draws change, its state before the first draw)
        self.made_generators = {}  # id of the state of a generator made in this run -> (what stands for it, that state)
        self.constants = {}  # id of host memory -> (box that follows it, Value)
        self.memory = {}  # id of an argument -> its host memory
        self.layouts_count = False  # whether that has been asked for
        self.abandoned = None
        self.made = []  # weak references to the tracers
        self.lock = threading.RLock()  # the function may hand arrays to threads of its own
        self.known_captures = {id(captured.source): value for captured, value in tree.captured}

    # ------------------------------------------------------------------------------------ ops
    def tracer(self, value):
        """A tracer of a value, noted."""
        tracer = GraphTracer(self, value)
        self.made.append(weakref.ref(tracer))
        return tracer

    def process(self, op, args, params):
        if type(op) is not Op:
            return op.expand(*args)  # a called function: its own ops are recorded
        if not self.alive:
            return op(*map(self.lower, args), **params)
        with self.lock:
            if self.levels is not stack():
                self.abandon(Unsuitable("it computes in threads of its own"))
            return self._process(op, args, params)

    def _process(self, op, args, params):
        inputs = tuple(self.value_of(a) for a in args)
        where = user_line()
        try:
            avals = op.abstract(tuple(v.aval for v in inputs), params)
        except DataDependentShape:
            return self._with_values(op, inputs, params)
        except Exception as error:
            if where:
                error.add_note(f"in {op.name}, traced by jit at {where}")
            raise
        outputs = self.add(op, inputs, params, avals, where)
        tracers = tuple(map(self.tracer, outputs))
        return tracers[0] if op.nout == 1 else tracers

    def add(self, op, inputs, params, avals, where):
        """Record one node; returns its output values."""
        node = self.on_tree(self.tree.record, self.path[-1], self.cursor, op, inputs, params, avals, where)
        self.cursor += 1
        self.pending.append(node or Node(op, inputs, params, avals, where))
        outputs = self.pending[-1].outputs
        if self.abandoned is not None:
            self._run_pending()
        return outputs

    def abandon(self, why):
        """Record nothing any more; the first reason counts."""
        self.abandoned = self.abandoned or why

    def note(self, text):
        """Keep a line for the report."""
        self.tree.notes[text] = None

    def on_tree(self, method, *args):
        """What a method of the tree returns; None from when on it refuses."""
        if self.abandoned is None:
            try:
                return method(*args)
            except (Unsuitable, Diverged) as why:
                self.abandon(why)
        return None

    def _with_values(self, op, inputs, params):
        """An op whose result's shape depends on values: ask for them and run it here."""
        return op(*(v.const if v.is_const else self.ask(v, op.name) for v in inputs), **params)

    def value_of(self, payload):
        """The graph value of an operand."""
        if isinstance(payload, GraphTracer) and payload.interpreter is self:
            return payload.value
        if isinstance(payload, Tracer):
            return self.capture(payload)
        if isinstance(payload, numpy.ndarray):
            return self._constant(payload)
        return Value(aval_of(payload), const=payload)

    def _constant(self, memory):
        """A constant with the present content of host memory; the same one until the memory is written to."""
        known = self.constants.get(id(memory))
        if known is None or known[0].value is not memory:
            known = (save(memory), Value(aval_of(memory), const=memory.copy()))
            self.constants[id(memory)] = known
        return known[1]

    # ------------------------------------------------------------------------------------ captured arrays
    def capture(self, payload, owner=None):
        """The tracer of an array from outside; its present payload is read again in every call."""
        if isinstance(payload, Tracer):
            raise Inline
        if payload.dtype.names is not None:
            raise Unsuitable(f"it uses an array of records from outside ({payload.dtype})")
        source = payload if owner is None else owner
        known = self.owners.get(id(source))
        if known is None:
            value = self.known_captures.get(id(source))
            if owner is not None and -owner.birth >= self.birth:
                self.abandon(Unsuitable("it uses arrays that other threads make meanwhile"))
            if value is None:
                value = Value(aval_of(payload))
                self.tree.captured.append((Captured(source, owner is not None), value))
            elif value.aval != aval_of(payload):
                raise Diverged(f"an array from outside changed its shape or dtype, {value.aval} to {aval_of(payload)}")
            known = self.owners[id(source)] = (source, value)
            self.concrete[value] = payload
        return self.tracer(known[1])

    def cannot_capture(self):
        """Note that an array is read here to which a transformed function in another thread writes."""
        self.abandon(Diverged("another thread was writing to an array that it reads"))

    def memory_of(self, array):
        """The host memory of an argument: where NumPy gives a view and where a copy depends on its layout."""
        memory = self.memory.get(id(array))
        self.layouts_count |= memory is not None
        return memory

    def array_of(self, memory):
        """The npx array on the memory of a bare NumPy array that the function finds outside, or of a view of one.

        Through it the memory is read anew in every call, and written to. None for an array that was just made: it is a
        constant.
        """
        owner = memory
        while id(owner) not in self.outside:
            owner = numpy.ndarray.base.__get__(owner)  # of a subclass of npx's, too
            if not isinstance(owner, numpy.ndarray):
                return None
        x = self.tree.shared.get(id(owner))
        if x is None:
            x = self.tree.shared[id(owner)] = wrap(numpy.asarray(owner))
            x.birth = 0
        if owner is memory:
            return x
        view = wrap(numpy.asarray(memory))
        view.birth, view.base_ = 0, x
        return view

    # ------------------------------------------------------------------------------------ effects
    def host_call(self, call, operands, state_of=None):
        """Record a call of a host function that draws random numbers.

        Parameters
        ----------
        call : HostCall
        operands : sequence of payload
        state_of : object, optional
            What the call changes: an object with an attribute `state`. It is put back after recording, so that the
            compiled code starts from where the call started.

        Returns
        -------
        payload
            A tracer; a host value where it is nothing to compute with, and the function is left to Python.
        """
        if state_of is not None and id(state_of) not in self.states:
            self.states[id(state_of)] = (state_of, state_of.state)
        inputs = tuple(map(self.value_of, operands))
        concrete = [self._to_host(self.evaluate(v)) for v in inputs]
        before = None if state_of is None else state_of.state
        aval = aval_of(as_payload(call(*concrete)))
        if state_of is not None:
            state_of.state = before
        if aval.dtype.kind not in "biufc":
            self.leave_to_python(f"{call!r} gives no numbers")
            return as_payload(call(*concrete))
        (output,) = self.add(op_named("host_call"), inputs, {"function": call, "aval": aval}, (aval,), user_line())
        return self.tracer(output)

    def made_inside(self, hidden, restart):
        """The state of a generator that the function makes: the same one in all recordings.

        Parameters
        ----------
        hidden : object
            The state of the generator that was made in this recording, with attributes `state` and `origin`.
        restart : callable
            ``restart(hidden)()`` gives it the state that it was made with; done in every call.
        """
        known = self.made_generators.get(id(hidden))
        if known is None:
            k, made = len(self.made_generators), self.tree.made
            if k >= len(made) or not equal(made[k].origin, hidden.origin):
                made[k:] = [hidden]
            known = self.made_generators[id(hidden)] = (made[k], hidden)
            self.host_call(HostCall(restart(made[k])), (), made[k])
        return known[0]

    def leave_to_python(self, why):
        """Record no more: this run goes on and is the call, and later calls are left to Python."""
        self.abandon(Unsuitable(why))
        self._run_pending()

    # ------------------------------------------------------------------------------------ questions
    def concretize(self, tracer, reason):
        with self.lock:
            return self.ask(tracer.value, reason)

    def ask(self, value, reason):
        """The concrete host value of a graph value; its use becomes a split."""
        if value.is_const:
            return numpy.asarray(value.const)
        if value not in self.answers:
            concrete = self._to_host(self.evaluate(value))
            if self.alive:
                where = f"{user_line()} ({reason})"
                self.path.append(self.on_tree(self.tree.ask, self.path[-1], self.cursor, value, concrete, where))
                self.cursor = 0
            self.answers[value] = numpy.array(concrete)
        return self.answers[value].copy()

    def evaluate(self, value):
        """The concrete payload of a value."""
        self._run_pending()
        return self._concrete(value)

    def _run_pending(self):
        """Run what was recorded and not yet run, with this call's values."""
        for node in self.pending:
            out = node.op(*map(self._concrete, node.inputs), **node.params)
            self.concrete.update(zip(node.outputs, (out,) if node.op.nout == 1 else out, strict=True))
        self.pending.clear()

    def _concrete(self, value):
        return value.const if value.is_const else self.concrete[value]

    # ------------------------------------------------------------------------------------ after the end
    def lower(self, payload):
        """The value of a payload that may be a tracer of this recorder, when the recording has ended."""
        own = isinstance(payload, GraphTracer) and payload.interpreter is self
        return self.evaluate(payload.value) if own else payload

    def leaked(self):
        """The arrays that the function has kept somewhere outside: they still hold a tracer."""
        for clean in (lambda: None, gc.collect):
            holders = kept = None  # which would keep what is in cycles
            clean()
            tracers = [tracer for ref in self.made if (tracer := ref()) is not None]
            if not tracers:
                return []
            holders = [x for x in gc.get_referrers(*tracers) if type(x) is ndarray]
            del tracers
            kept = [x for x in holders if getattr(read(x), "interpreter", None) is self]
            if not kept:
                return []
        return kept

    def settle(self, arrays):
        """Give leaked arrays their values."""
        for x in arrays:
            if x.base_ is None:
                p = self.lower(x.data_)
                restore(x, numpy.array(p) if isinstance(p, (numpy.ndarray, numpy.generic, bool, int, float)) else p)

    @staticmethod
    def _to_host(payload):
        if isinstance(payload, (numpy.ndarray, numpy.generic, bool, int, float, complex)):
            return numpy.asarray(payload)
        return registry.backend_for(type(payload)).to_host(payload)


class Captured:
    """Where a hidden input comes from: an npx array, read anew in every call, or a NumPy array."""

    __slots__ = ("source", "is_array")

    def __init__(self, source, is_array):
        self.source, self.is_array = source, is_array

    def __call__(self):
        return read(self.source) if self.is_array else self.source
