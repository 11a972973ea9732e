"""Recording the body of a loop or a branch: what it reads and writes becomes the operands and results of a region.

The body is a function without arguments, or of the number of the step, that shares variables with the function around
it. It runs once, on tracers. Variables that it binds anew, and arrays from outside that it writes to, are its state.
What cannot be said as a region raises `Unfit`, and Python runs the statement as it always does.
"""

import gc
import sys
import weakref

import numpy

from npx.array.interop import is_subclass
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.views import read, root_of
from npx.dispatch.abstract import aval_of
from npx.dispatch.graph import Graph
from npx.dispatch.interpreter import active

from . import tree
from .calls import SCALARS, stands_for_scalar
from .paths import Diverged, Unsuitable
from .recording import Inline
from .trace import GraphTracer, TraceInterpreter

UNSET = object()

#: how far a Python int in the state may move in a step: others might outgrow 64 bits
LARGEST_STEP = 2**31


#: what refers to an array that only its variable has: the variable, two notes of its value, the call that counts
REFERENCES_TO_PRIVATE = 4


class Unfit(BaseException):
    """A statement cannot be a region; the message says why. No `except` of the user's catches it."""


class Leaked(Exception):
    """The body has kept something outside that belongs to one step: it has to be recorded as it is."""


class BodyTrace(TraceInterpreter):
    """Records a body. Python's questions, and draws of random numbers, make it unfit."""

    def __init__(self):
        super().__init__("a loop", captures=True)
        self.owners = {}  # id of an array from outside -> (array, its payload and home before, its stand-in)
        self.made = []  # weak references to the tracers

    def input(self, aval):
        return self._noted(super().input(aval))

    def _noted(self, tracer):
        self.made.append(weakref.ref(tracer))
        return tracer

    def process(self, op, args, params):
        out = super().process(op, args, params)
        for tracer in out if type(out) is tuple else (out,):
            if isinstance(tracer, GraphTracer) and tracer.interpreter is self:
                self._noted(tracer)
        return out

    def capture(self, payload, owner=None):
        """A hidden input; each array from outside has one of its own, for the body may write to it."""
        if owner is None:
            return super().capture(payload)
        if id(owner) in self.owners:
            return payload  # what the body has written there
        if payload.dtype.kind not in "biufc":
            raise Unfit(f"it uses an array of {payload.dtype}")
        tracer = self.input(aval_of(payload))
        self.captured.append((tracer.value, payload))
        self.owners[id(owner)] = owner, payload, owner.home, tracer
        return tracer

    def array_of(self, memory):
        """The array that the recorder below has for a bare NumPy array."""
        below = self.levels[: self.levels.index(self)]
        return next((i.array_of(memory) for i in reversed(below) if i.captures), None)

    def cannot_capture(self):
        raise Unfit("another thread writes to an array that it reads")

    def memory_of(self, array):
        below = self.levels[: self.levels.index(self)]
        return next((i.memory_of(array) for i in reversed(below) if i.captures), None)

    def concretize(self, tracer, reason):
        if not self.alive:
            return super().concretize(tracer, reason)
        raise Unfit(f"{reason} depends on values of the loop")

    def host_call(self, call, operands, state_of=None):
        """Draws are not repeated by a region."""
        raise Unfit(f"it draws random numbers ({call!r})")

    def made_inside(self, hidden, restart):
        """Nor are generators made."""
        raise Unfit("it makes a generator of random numbers")

    def put_back(self):
        """Give the arrays from outside what they held before."""
        for owner, held, home, _ in self.owners.values():
            owner.data_, owner.home = held, home
            owner.version += 1

    def check_leaks(self, known):
        """Refuse a body that has kept an array of one step somewhere; the tracers in `known` are ours."""
        known = {id(t) for t in known} | {id(entry[3]) for entry in self.owners.values()}
        for clean in (lambda: None, gc.collect):
            tracers = None  # which would keep what is in cycles
            clean()
            tracers = [t for ref in self.made if (t := ref()) is not None and id(t) not in known]
            if not tracers:
                return
        holders = [x for x in gc.get_referrers(*tracers) if type(x) is ndarray]
        del tracers
        if any(getattr(read(x), "interpreter", None) is self for x in holders):
            raise Leaked


class Variables:
    """The variables that a body shares with the function around it.

    Parameters
    ----------
    function : callable
        The body: its closure has the variables.
    names : tuple of str
        Those that it may bind.
    """

    def __init__(self, function, names):
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
        self.cells = {name: cells[name] for name in names}

    def __getitem__(self, name):
        try:
            return self.cells[name].cell_contents
        except ValueError:
            return UNSET

    def __setitem__(self, name, value):
        if value is not UNSET:
            self.cells[name].cell_contents = value
        elif self[name] is not UNSET:
            del self.cells[name].cell_contents

    def all(self):
        """What each is bound to."""
        return {name: self[name] for name in self.cells}

    def restore(self, values):
        """Bind them as they were."""
        for name, value in values.items():
            self[name] = value


class Recorded:
    """One run of a body on tracers.

    Parameters
    ----------
    run : callable
        ``run(*inputs)`` runs the body and returns a payload or None; it is given a tracer for each of `avals`.
    variables : Variables
    bound : set of str
        Variables that are given new objects, since the body is known to bind them.
    cleared : set of str
        Variables that the body is to set before it reads them.
    avals : sequence of Aval
    """

    def __init__(self, run, variables, bound, cleared, avals=()):
        self.trace, self.entry = BodyTrace(), variables.all()
        for name in bound - cleared:
            if self.entry[name] is UNSET:
                raise Unfit(f"{name!r} has no value before it")
        kinds = {name: _avals_of(self.entry[name]) for name in bound - cleared}
        with active(self.trace, self.trace.put_back):
            self.inputs = [self.trace.input(a) for a in avals]
            self.given = {name: self._fresh(self.entry[name], kinds[name]) for name in kinds}
            variables.restore({name: given.value for name, given in self.given.items()})
            variables.restore(dict.fromkeys(cleared, UNSET))
            try:
                self.result = Flat(run(*map(wrap_scalar, self.inputs)))
                self.exit = {name: Flat(value) for name, value in variables.all().items() if value is not UNSET}
            except BaseException as error:
                self.discard()
                if isinstance(error, (Unfit, Inline, Diverged, Unsuitable)) or not isinstance(error, Exception):
                    raise
                kind = Unset if isinstance(error, NameError) else Unfit
                raise kind(f"it raises {type(error).__name__}: {error}") from None
            finally:
                variables.restore(self.entry)
            self.writes = [
                (owner, stand, owner.data_)
                for owner, _, _, stand in self.trace.owners.values()
                if owner.data_ is not stand
            ]

    def discard(self):
        """Let go of the arrays from outside: the notes on them form a cycle."""
        self.trace.put_back()
        self.trace.owners = {}

    def _fresh(self, value, avals):
        """New objects in the place of arrays and numbers."""
        leaves, structure = tree.flatten(value)
        given = Given(leaves, structure)
        for leaf, aval in zip(leaves, avals):
            if aval is None:
                given.fresh.append(leaf)
                given.tracers.append(None)
                continue
            tracer = self.trace.input(aval)
            given.tracers.append(tracer)
            given.fresh.append(wrap_scalar(tracer) if stands_for_scalar(leaf) else wrap(tracer))
        given.value = structure.unflatten(given.fresh)
        return given

    def newly_bound(self):
        """Names that the body binds and that were not given new objects."""
        return {
            name for name, flat in self.exit.items() if name not in self.given and flat.value is not self.entry[name]
        }

    def graph(self, inputs, outputs):
        """The graph from some inputs (values) to some outputs (payloads)."""
        self.trace.graph.outputs.clear()
        graph = self.trace.finish(outputs)
        return Graph(inputs, graph.nodes, graph.outputs, graph.name)

    def check_aliases(self, recorder):
        """Refuse a body that writes into an array which it also binds to variables, where it matters which is which."""
        left = [x for name in self.given for x in self.exit[name].arrays()]
        if any(root_of(x).birth < self.trace.birth for x in left):
            raise Unfit("it binds a variable to an array from outside, or to a view of one")
        if not any(given.is_written() for given in self.given.values()):
            return
        if not all(self._is_private(given, k, recorder) for given in self.given.values() for k in given.places()):
            raise Unfit("it writes into an array that others may know, and binds its variable to another one")
        entry = [root_of(given.leaves[k]) for given in self.given.values() for k in given.places()]
        for roots in (entry, [root_of(x) for x in left]):
            if len(set(map(id, roots))) < len(roots):
                raise Unfit("it writes into an array that several variables share")
        if any(id(root) in self.trace.owners for root in entry):
            raise Unfit("it writes into an array that it knows by several names")

    @staticmethod
    def _is_private(given, k, recorder):
        """Whether nothing but its variable refers to an array: its list of leaves, the notes of this, and the call."""
        x = given.leaves[k]
        if type(x) is not ndarray or x.base_ is not None or x.birth < recorder.birth:
            return False
        del x
        return sys.getrefcount(given.leaves[k]) <= REFERENCES_TO_PRIVATE

    def forget(self):
        """Let go of the arrays that the body made, and refuse one that has kept others."""
        for flat in (self.result, *self.exit.values()):
            flat.forget()
        for given in self.given.values():
            given.fresh, given.value = None, None
        flats = (self.result, *self.exit.values())
        known = [t for flat in flats for t in flat.payloads]
        known += [t for given in self.given.values() for t in given.tracers]
        self.trace.check_leaks([*known, *self.inputs, *(p for _, _, p in self.writes)])


def _avals_of(value):
    """The avals of the leaves of a tree, None for those that are no arrays or numbers."""
    return [aval_of(payload(x)) if is_traceable(x) else None for x in tree.leaves(value)]


class Flat:
    """What a variable is bound to, or a body returns, in a recording: leaves, their payloads, and which are scalars."""

    def __init__(self, value):
        self.value = value
        self.leaves, self.structure = tree.flatten(value)
        self.traceable = list(map(is_traceable, self.leaves))
        self.payloads = [payload(x) if t else None for x, t in zip(self.leaves, self.traceable)]
        self.scalars = list(map(stands_for_scalar, self.leaves))

    def arrays(self):
        """The leaves with an identity that matters."""
        return [x for x in self.leaves if type(x) is ndarray and not x.scalar]

    def forget(self):
        """Drop the traced objects."""
        self.value = None
        self.leaves = [None if t else x for x, t in zip(self.leaves, self.traceable)]


class Unset(Unfit):
    """A variable is read before it is set."""


class Given:
    """What a variable holds in a recording.

    Attributes
    ----------
    leaves, fresh, tracers : list
        The leaves of what it was bound to, those that stand for them, and the tracers in these; None for those that are
        no arrays or numbers.
    structure : PyTreeSpec
    value : pytree
        What it is bound to for the recording.
    """

    def __init__(self, leaves, structure):
        self.leaves, self.structure = leaves, structure
        self.value, self.fresh, self.tracers = None, [], []

    def places(self):
        """Which leaves are arrays with an identity that matters."""
        return [k for k, x in enumerate(self.fresh) if type(x) is ndarray and not x.scalar]

    def is_written(self):
        """Whether the body has written into an array that it was given."""
        return any(self.fresh[k].data_ is not self.tracers[k] for k in self.places())

    def outputs(self, name, flat):
        """The payloads of the places of tracers in what the variable is bound to afterwards."""
        if flat.structure != self.structure:
            raise Unfit(f"{name!r} changes its structure")
        found = []
        for k, (old, tracer) in enumerate(zip(self.leaves, self.tracers)):
            new = flat.leaves[k]
            if tracer is None and new is not old or tracer is not None and not flat.traceable[k]:
                raise Unfit(f"{name!r} changes to an object of type {type(new).__name__}")
            if tracer is None:
                continue
            aval = aval_of(flat.payloads[k])
            if aval != tracer.aval or flat.scalars[k] != stands_for_scalar(old):
                raise Unfit(f"{name!r} changes from {tracer.aval} to {aval}")
            found.append(flat.payloads[k])
        return found

    def rebuilt(self, values):
        """What the variable is bound to in the end: `values` is an iterator over payloads."""
        pairs = zip(self.leaves, self.tracers)
        return self.structure.unflatten(leaf if t is None else wrapped(next(values), leaf) for leaf, t in pairs)


def wrapped(p, leaf, scalar=None):
    """A payload as an array, or as a scalar where `leaf` is one."""
    scalar = stands_for_scalar(leaf) if scalar is None else scalar
    return wrap_scalar(p) if scalar else wrap(_own(p))


def _own(p):
    return numpy.asarray(p) if isinstance(p, SCALARS) else p


def is_traceable(leaf):
    """Whether a leaf is an array of numbers or a number."""
    if type(leaf) in (bool, int, float, complex):
        return True
    if is_subclass(leaf) or not isinstance(leaf, (ndarray, numpy.ndarray, numpy.generic)):
        return False
    return payload(leaf).dtype.kind in "biufc"


def moves_slowly(value, starts, counters):
    """Whether a Python int in the state cannot outgrow 64 bits: a step adds or subtracts something small.

    Parameters
    ----------
    value : Value
        It after a step.
    starts, counters : set of Value
        What it may be before the step; numbers of steps.
    """
    while value not in starts:
        if is_small(value, counters):
            return True
        node = value.node
        if node is None or node.op.name not in ("add", "subtract"):
            return node is not None and node.op.name == "cond" and _slow_in_branches(value, starts, counters)
        x, y = node.inputs
        if is_small(y, counters):
            value = x
        elif is_small(x, counters) and node.op.name == "add":
            value = y
        else:
            return False
    return True


def _slow_in_branches(value, starts, counters):
    node, k = value.node, value.node.outputs.index(value)
    for region in node.regions.values():
        pairs = [(v, operand) for v, operand in zip(region.graph.inputs, node.inputs[1:]) if operand.aval.weak is int]
        before = {v for v, operand in pairs if moves_slowly(operand, starts, counters)}
        small = {v for v, operand in pairs if is_small(operand, counters)}
        if not moves_slowly(region.graph.outputs[k], before, small):
            return False
    return True


def is_small(value, counters):
    """Whether a value follows from constants and the number of the step, and is not large."""
    if value.is_const:
        return type(value.const) is int and abs(value.const) < LARGEST_STEP
    if value in counters:
        return True
    node = value.node
    arithmetic = node is not None and node.op.name in ("add", "subtract", "multiply")
    return arithmetic and all(is_small(v, counters) for v in node.inputs)
