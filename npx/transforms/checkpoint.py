"""`checkpoint`: a function that keeps its arguments and runs again in the backward pass; `checkpoint_loop`: a loop of
such steps with a bounded number of states in memory.

The function runs under a `Closure`, an interpreter that sees every array from outside: what the function reads there is
kept like an argument, what it writes there is written once and not again by the second run.
"""

import contextlib
import functools
import operator
from typing import NamedTuple

import numpy

from npx.array.memory import save
from npx.array.ndarray import payload
from npx.array.views import write
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Interpreter, Tracer, active, stack
from npx.dispatch.op import Op
from npx.dispatch.payloads import broadcast_to, cast, ops

from . import tree
from .arguments import check_callable
from .calls import run
from .conversion import called as called_by_user
from .custom import Call, Layout, batch
from .draws import Draws
from .selection import pull_back
from .tape import Tape, TapeTracer
from .treeverse import default_snapshots, marks, reversed_steps
from .values import differentiable, host_value, own, snapshot
from .watching import watching


# ------------------------------------------------------------------------------------------------ arrays from outside
class Stand(Tracer):
    """Stands for a payload that must not be written to: an argument, or what an array from outside holds."""

    __slots__ = ("primal",)

    def __init__(self, interpreter, primal):
        self.interpreter, self.primal = interpreter, primal

    @property
    def aval(self):
        """Shape and dtype."""
        return aval_of(self.primal)


class Found(NamedTuple):
    """An array from outside: what it held, its home then, the payload behind that, and what stands for it inside."""

    owner: object
    held: object
    home: object
    value: object
    stand: Stand


class Closure(Interpreter):
    """Sees the arrays from outside that a function uses, and keeps its writes from them until it has returned.

    Parameters
    ----------
    lower : callable
        ``lower(payload)``: what the function is to find in place of the payload of an array from outside.
    known : dict, optional
        Id of an array from outside -> what the function is to find in its place: in a second run.

    Attributes
    ----------
    found : dict
        Id of an array -> `Found`.
    """

    captures = True
    name = "checkpoint"

    def __init__(self, lower, known=None):
        self._lower, self._known = lower, known or {}
        self.found = {}

    def stand(self, value):
        """What the function gets for an argument: host memory is not its own."""
        return Stand(self, value) if isinstance(value, numpy.ndarray) else value

    def lower(self, value):
        """The payload behind one of this interpreter's tracers."""
        return value.primal if type(value) is Stand and value.interpreter is self else value

    def process(self, op, args, params):
        """Run the op one level down; what may share memory with what it was given is protected like that."""
        values = tuple(map(self.lower, args))
        out = op(*values, **params)
        if not self.alive or type(op) is not Op or type(out) is tuple:
            return out
        shares = type(out) is numpy.ndarray and (out.base is not None or any(out is v for v in values))
        return Stand(self, out) if shares else out

    def capture(self, held, owner):
        """A stand-in for what an array from outside holds; nothing for what the function has written to it."""
        if id(owner) in self.found or held.dtype.kind not in "biufc":
            return held
        value = held
        while type(value) is Stand:
            value = value.primal
        stand = Stand(self, self._known[id(owner)] if id(owner) in self._known else self._lower(value))
        self.found[id(owner)] = Found(owner, held, owner.home, value, stand)
        return stand

    def array_of(self, memory):
        """Bare NumPy arrays concern the next interpreter below that captures."""
        below = self.levels[: self.levels.index(self)]
        return next((i.array_of(memory) for i in reversed(below) if i.captures), None)

    def concretize(self, tracer, reason):
        """The value."""
        return host_value(tracer.primal, reason)

    def writes(self):
        """The arrays from outside that were written to, each with its new payload."""
        return [(f.owner, self.lower(f.owner.data_)) for f in self.found.values() if f.owner.data_ is not f.stand]

    def put_back(self):
        """Give the arrays from outside what they held before."""
        for owner, held, home, *_ in self.found.values():
            owner.data_, owner.home = held, home
            owner.version += 1


# ------------------------------------------------------------------------------------------------ the called function
class Checkpoint(Call):
    """A function that a tape keeps the operands of, to run it again when the derivative is wanted.

    What it draws at random, and what it reads from arrays from outside, is kept too.

    Parameters
    ----------
    name : str
    call : callable
        Takes payloads, returns a tuple of payloads.
    written : list
        Becomes the arrays from outside that the function wrote to; their payloads are the last results.
    """

    def __init__(self, name, call, written):
        super().__init__(name, self.run)
        self.call, self.written = call, written

    def run(self, *operands):
        """The results, with the operands protected where a closure is active."""
        closure = next((i for i in reversed(stack()) if type(i) is Closure), None)
        if closure is not None:
            operands = map(closure.stand, operands)
        return self.call(*operands)

    def closed(self, closure, operands, opened=False):
        """The results of a run under `closure`, and the new contents of arrays from outside.

        An opened function shows its ops to the interpreters of the operands.
        """
        with active(closure, closure.put_back):
            outs = tuple(map(closure.lower, (self.expand if opened else self)(*operands)))
            writes = closure.writes()
        if writes:
            self.written[:] = [owner for owner, _ in writes]
        return (*outs, *(p for _, p in writes))

    def on_tape(self, tape, args, primals):
        """Run one level down, keeping what goes in."""
        closure, draws = Closure(tape.lower), Draws()
        boxes = [save(p) for p in primals]
        with draws.recording():
            outs = self.closed(closure, primals)
        self.draws, outside = draws, Outside(tape, closure)

        def pullback(gs):
            with draws.repeating():
                return pull_again(self, [box.value for box in boxes], outside, gs)

        return outs, pullback, outside.nodes

    def with_tangents(self, primals, tangents):
        return None

    def batched(self, size, payloads, flags):
        def one(*operands):  # what it writes to differs between elements, so that it has to be seen in here
            return self.closed(Closure(lambda value: value), operands, opened=True)

        return Checkpoint(self.name, batch(one, size, flags), self.written)(*payloads)

    def closes_over_mapped(self, args):
        with self.draws.repeating():
            return self.expand(*args)


class Outside:
    """What a function found in arrays from outside, for its second run.

    Attributes
    ----------
    nodes : list of node or None
        For each array the node on the tape of what it held.
    """

    def __init__(self, tape, closure):
        found = closure.found.values()
        self.owners = [f.owner for f in found]
        self.nodes = [_node_of(f.value, tape) for f in found]
        self.boxes = [save(f.stand.primal) for f in found]

    def known(self, values):
        """For a `Closure`: id of each array -> the value that stands for it."""
        return {id(owner): value for owner, value in zip(self.owners, values)}

    def values(self):
        """What the arrays held, one level down."""
        return [box.value for box in self.boxes]


def _node_of(value, tape):
    return value.node if type(value) is TapeTracer and value.interpreter is tape else None


def pull_again(op, operands, outside, gs):
    """The cotangents of operands and of arrays from outside, from those of the results, by a second run on a tape."""
    watch = watching.get()
    tape = Tape() if watch is None else watch.tape()
    values = [*operands, *outside.values()]
    inputs = [tape.leaf(v) if differentiable(v) else snapshot(v) for v in values]
    n = len(operands)

    def call():
        return op.closed(Closure(lambda value: value, outside.known(inputs[n:])), inputs[:n], opened=True)

    outs = run(tape, call, tape.lower)
    found = pull_back([(node, g) for out, g in zip(outs, gs) if (node := _node_of(out, tape)) is not None], tape.look)
    taken = {id(g) for g in gs}
    return [None if (ct := found.get(_node_of(x, tape))) is None else own(ct, taken) for x in inputs]


def under_tape(payloads):
    """Whether a tape is active that may see these payloads, or what is computed from arrays from outside."""
    return any(isinstance(p, Tracer) for p in payloads) or any(isinstance(i, Tape) for i in stack())


def called(op, payloads):
    """The results of a called function, which the innermost tape sees even where no operand is on it."""
    if any(isinstance(p, Tracer) for p in payloads):
        return op(*payloads)
    tape = next(i for i in reversed(stack()) if isinstance(i, Tape))
    return tape.process(op, tuple(payloads), {})


def checkpoint(fun):
    """Make a function that computes the same with less memory under `grad`: it runs again in the backward pass.

    The tape keeps the arguments, what `fun` reads from arrays from outside, and what it draws at random. `fun` must
    compute the same again; its writes into arguments and arrays from outside happen once. Where it also does other
    things, such as appending to a list, these happen in both runs.

    Parameters
    ----------
    fun : callable
        Takes and returns pytrees.

    Returns
    -------
    callable

    See Also
    --------
    checkpoint_loop : for long loops.
    """
    check_callable(fun, "checkpoint")

    @functools.wraps(fun)
    def checkpointed(*args, **kwargs):
        layout, out = Layout(), Layout()
        payloads = layout.take((args, kwargs))
        if not under_tape(payloads):
            return fun(*args, **kwargs)
        changed, written = [], []

        def call(*operands):
            inner = layout.give(operands)
            arrays = layout.pick(tree.leaves(inner))
            before = [payload(x) for x in arrays]
            outs = out.take(called_by_user(fun)(*inner[0], **inner[1]))
            now = [payload(x) for x in arrays]
            changed[:] = [k for k, (p, q) in enumerate(zip(before, now)) if p is not q]
            return (*outs, *(now[k] for k in changed))

        outs = called(Checkpoint(f"checkpoint({tree.name_of(fun)})", call, written), payloads)
        n = len(out.scalars)
        leaves = layout.pick(tree.leaves((args, kwargs)))
        for target, value in zip([*(leaves[k] for k in changed), *written], outs[n:]):
            write(target, value)
        return out.give(outs[:n])

    return checkpointed


# ------------------------------------------------------------------------------------------------ loops
WRITES_OUTSIDE = (
    "{}: the body writes into an array from outside, which the next step would not find there when it runs again; make "
    "the array a part of the state"
)


class CheckpointLoop(Checkpoint):
    """A loop of steps from state to state, of which the tape keeps a few states.

    Parameters
    ----------
    name : str
    step : callable
        ``step(i, *state)``: the payloads of the next state, from those of the state before.
    steps, snapshots : int
        Length of the loop; most states to keep.
    draws : dict, optional
        Step -> what it has drawn at random, for a run that repeats it.
    """

    def __init__(self, name, step, steps, snapshots, draws=None):
        super().__init__(name, lambda *state: self.advance(0, steps, state), [])
        self.step, self.steps, self.snapshots = step, steps, snapshots
        self.repeats, self.drawn = draws is not None, {} if draws is None else draws

    def advance(self, first, last, state, note=None):
        """The state before step `last`, from that before step `first`; ``note(i, state)`` hears of those between."""
        lower = next((i.lower for i in reversed(stack()) if type(i) is Closure), lambda value: value)
        for i in range(first, last):
            if note is not None:
                note(i, state)
            with self._draws(i):
                state = tuple(map(lower, self.at(i)(*state)))
        return state

    def at(self, i):
        """One step as an op of its own."""
        return Checkpoint(self.name, functools.partial(self.step, i), [])

    @contextlib.contextmanager
    def _draws(self, i):
        """Keep what step `i` draws, or give it again."""
        draws = self.drawn.get(i) if self.repeats else Draws()
        if draws is None:
            yield
            return
        with draws.repeating() if self.repeats else draws.recording():
            yield
        if draws.kept:
            self.drawn[i] = draws

    def on_tape(self, tape, args, primals):
        """Run one level down. In the backward pass the steps run again from kept states, last ones first."""
        closure, kept, wanted = Closure(tape.lower), {}, set(marks(self.steps, self.snapshots))
        first_run = CheckpointLoop(self.name, self.step, self.steps, self.snapshots)

        def note(i, state):
            if i in wanted:
                kept[i] = state

        with active(closure, closure.put_back):
            outs = first_run.advance(0, self.steps, tuple(primals), note)
            if closure.writes():
                raise TypeError(WRITES_OUTSIDE.format(self.name))
        again = CheckpointLoop(self.name, self.step, self.steps, self.snapshots, first_run.drawn)
        again.start, again.kept, outside = tuple(primals), kept, Outside(tape, closure)
        self.again = again
        return outs, functools.partial(again.pull, outside), outside.nodes

    def pull(self, outside, gs):
        """The cotangents of the first state and of arrays from outside."""
        kept, self.kept = self.kept or {0: self.start}, None  # a second pull starts with the first state only
        totals = [None] * len(outside.owners)

        def advance(first, last, state):
            closure = Closure(lambda value: value, outside.known(outside.values()))
            with active(closure, closure.put_back):
                return self.advance(first, last, state)

        for i, state in reversed_steps(self.steps, self.snapshots, kept, advance):
            with self._draws(i):
                cts = pull_again(self.at(i), state, outside, gs)
            gs, parts = cts[: len(state)], cts[len(state) :]
            totals = [t if p is None else p if t is None else ops.add(t, p) for t, p in zip(totals, parts)]
        return [*gs, *totals]

    def closes_over_mapped(self, args):
        return self.again.expand(*args)

    def batched(self, size, payloads, flags):
        def step(i, *state):
            outs = self.at(i).batched(size, state, (True,))
            if len(outs) > len(state):
                raise TypeError(WRITES_OUTSIDE.format(self.name))
            return outs

        whole = [p if b else broadcast_to(p, (size, *aval_of(p).shape)) for p, b in zip(payloads, flags)]
        return CheckpointLoop(self.name, step, self.steps, self.snapshots)(*whole)


def checkpoint_loop(body, state, steps, *, snapshots=None):
    """Run ``for i in range(steps): state = body(i, state)``, with few states in memory under `grad`.

    Without a derivative this is that loop. Under `grad` at most `snapshots` states are kept, and no intermediate
    values; the backward pass runs steps again, in the order that takes the fewest of them [1]_. The default keeps about
    ``2 * log2(steps)`` states, and runs a step four to six times in loops of up to a million.

    Parameters
    ----------
    body : callable
        ``body(i, state)`` returns the next state, which must have the structure, shapes and dtypes of the one before.
        It may write into the state's arrays, and read and differentiate arrays from outside, but not write to these.
    state : pytree
        The first state: arrays and numbers.
    steps : int
    snapshots : int, optional
        States in memory at a time, at least 1.

    Returns
    -------
    pytree
        The last state.

    Raises
    ------
    TypeError
        The state changes its structure, or `body` writes into an array from outside.
    ValueError
        A part of the state changes its shape or dtype; `steps` is negative, or `snapshots` less than 1.

    References
    ----------
    .. [1] A. Griewank and A. Walther, "Algorithm 799: revolve", ACM Trans. Math. Softw. 26 (2000), 19-45.

    Examples
    --------
    >>> import npx as np
    >>> def end(x):
    ...     return np.checkpoint_loop(lambda i, y: y + 0.001 * np.sin(y), x, 1000)
    >>> value, slope = np.value_and_grad(end)(1.0)
    """
    check_callable(body, "checkpoint_loop")
    steps = operator.index(steps)
    snapshots = default_snapshots(steps) if snapshots is None else operator.index(snapshots)
    if steps < 0 or snapshots < 1:
        raise ValueError(f"checkpoint_loop: steps={steps} must not be negative, snapshots={snapshots} at least 1")
    layout = Layout()
    payloads = layout.take(state)
    if not under_tape(payloads) or steps == 0:
        for i in range(steps):
            state = body(i, state)
        return state

    def step(i, *operands):
        avals, out = tuple(map(aval_of, operands)), Layout()
        results = out.take(called_by_user(body)(i, layout.give(operands)))
        _check_state(layout, avals, out, results, i)
        layout.others = out.others
        return tuple(_as_before(p, aval) for p, aval in zip(results, avals))

    loop = CheckpointLoop(f"checkpoint_loop({tree.name_of(body)})", step, steps, snapshots)
    return layout.give(called(loop, payloads))


def _check_state(layout, avals, out, results, i):
    if out.structure != layout.structure or out.others.keys() != layout.others.keys():
        raise TypeError(
            f"checkpoint_loop: the state must keep its structure; step {i} got {tree.describe(layout.structure)} and "
            f"returned {tree.describe(out.structure)}"
        )
    for before, p in zip(avals, results):
        now = aval_of(p)
        if now.shape != before.shape or not numpy.can_cast(now.dtype, before.dtype, "same_kind"):
            raise ValueError(
                f"checkpoint_loop: the state must keep its shapes and dtypes; step {i} got {before} and returned {now}"
            )


def _as_before(p, aval):
    return p if aval_of(p).dtype == aval.dtype else cast(p, aval.dtype)
