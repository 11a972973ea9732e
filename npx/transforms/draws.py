"""Host calls that draw random numbers, as the active transforms see them.

Under `vmap` a draw is made for each element, in order; under `jit` it becomes an op with an effect. The other
transforms take what is drawn for a constant. A function that runs again in a backward pass (`checkpoint`) must meet the
same numbers: `Draws` keeps them.
"""

import contextlib
import threading

import numpy

from npx.dispatch.interpreter import stack
from npx.ops.effects import Beside, MappedCall, as_payload

from .batch import BatchInterpreter, BatchTracer, Drawn, take_places
from .recording import Inline
from .values import host_value

_local = threading.local()


class Draws:
    """What was drawn in one run of a function, for another run of it."""

    def __init__(self):
        self.kept = []  # (payload as of below all mapped levels, {mapped level that is outside the run: its elements})
        self.depth = 0
        self.rest = None  # in a run that repeats: an iterator over what is still to come

    @contextlib.contextmanager
    def recording(self):
        """Keep what is drawn within the block."""
        with self._active(None):
            yield

    @contextlib.contextmanager
    def repeating(self):
        """Give what was kept, again, to the draws within the block."""
        with self._active(iter(tuple(self.kept))):
            yield

    @contextlib.contextmanager
    def _active(self, rest):
        levels, before = stack(), (self.depth, self.rest)
        self.depth, self.rest = levels[-1].level if levels else 0, rest
        _logs().append(self)
        try:
            yield
        finally:
            _logs().remove(self)
            self.depth, self.rest = before

    @property
    def level(self):
        """Above which interpreter it stands."""
        return self.depth + 0.5

    @property
    def repeats(self):
        """Whether it has something to give again, or to miss."""
        return self.rest is not None

    def is_outside(self, interpreter):
        """Whether a mapped level was active before the run."""
        return interpreter.stands_for.level <= self.depth

    def keep(self, out, mapped):
        """Keep a payload that is mapped at these levels, innermost first."""
        if not self.repeats:
            self.kept.append((out, {i.stands_for: i.rows for i in mapped if self.is_outside(i)}))

    def again(self, mapped):
        """The next payload, and at which of the levels that are mapped now it is."""
        try:
            out, outside = next(self.rest)
        except StopIteration:
            message = "a function that runs again for its derivative draws more random numbers than at first"
            raise RuntimeError(message) from None
        mapped = [i for i in mapped if i.stands_for in outside or not self.is_outside(i)]
        for axis, i in enumerate(reversed(mapped)):
            out = _for_elements(out, axis, outside.get(i.stands_for), i)
        return out, mapped


class Repeated:
    """What one run of a function under `vmap` draws, for the runs for those elements that it leaves behind."""

    def __init__(self, interpreter):
        self.interpreter, self.level = interpreter, interpreter.level

    @property
    def repeats(self):
        """Whether it has something to give again."""
        return bool(self.interpreter.repeats)

    def keep(self, out, mapped):
        """Keep a payload that is mapped at these levels, innermost first."""
        out = _wrapped(out, [i for i in mapped if i.level < self.level])
        rows = tuple(i.rows for i in reversed(mapped) if i.level >= self.level)
        self.interpreter.drawn.append(Drawn(out, rows))

    def again(self, mapped):
        """The next payload, and the levels from here on up that it is mapped at."""
        drawn = self.interpreter.repeats.popleft()
        self.interpreter.drawn.append(drawn)
        mapped, out = [i for i in mapped if i.level >= self.level], drawn.value
        if len(mapped) != len(drawn.rows):
            raise RuntimeError("a function that runs again for other elements of vmap does not draw what it drew")
        for axis, (rows, i) in enumerate(zip(drawn.rows, reversed(mapped))):
            out = _for_elements(out, axis, rows, i)
        return out, mapped


def _for_elements(out, axis, rows, interpreter):
    """A payload with, along an axis, only those of some elements that an interpreter still works for."""
    if rows is None or len(rows) == interpreter.size:
        return out
    return take_places(out, numpy.searchsorted(rows, interpreter.rows), axis)


def _wrapped(out, mapped):
    """A payload as it is seen above levels that it is mapped at, given innermost first."""
    for interpreter in reversed(mapped):
        out = BatchTracer(interpreter, out)
    return out


def _keepers(state):
    """What keeps draws for a second run, innermost first."""
    found = [Repeated(i) for i in stack() if isinstance(i, BatchInterpreter) and state.seeded < i.birth]
    return sorted([*found, *_logs()], key=lambda keeper: keeper.level)[::-1]  # of one level: the latest first


def _logs():
    try:
        return _local.logs
    except AttributeError:
        _local.logs = []
        return _local.logs


def repeats():
    """Whether a run is repeated, so that nothing must be drawn or seeded."""
    return any(log.rest is not None for log in _logs())


def maps():
    """Whether `vmap` is active: each element draws for itself."""
    return any(map(_draws_each, stack()))


def only_recorded():
    """Whether no other transform than `jit` has a say in draws."""
    return not _logs() and not maps()


def concern_draws():
    """Whether some active transform has a say in draws whose arguments it does not trace."""
    return bool(_logs()) or any(_draws_each(i) or hasattr(i, "host_call") for i in stack())


def _draws_each(interpreter):
    return isinstance(interpreter, BatchInterpreter) and interpreter.draws_each and not interpreter.calls


def perform(call, operands, state, put=None, beside=None):
    """What a host call that draws gives under the active transforms.

    Parameters
    ----------
    call : HostCall
    operands : sequence of payload
        None of them is differentiated.
    state : State
        What the call changes: an object with attributes `state` and `seeded`.
    put : callable, optional
        ``put(payload)`` brings an array from the host to where it is to be.
    beside : payload, optional
        Where the result of a recorded call is to be.

    Returns
    -------
    payload
    """
    call, operands, mapped, recorder = _by_element(call, list(operands), state)
    inside = []  # what keeps this draw
    for keeper in _keepers(state):
        if keeper.repeats:
            out, mapped = keeper.again(mapped)
            break
        inside.append(keeper)
    else:
        out = _drawn(call, operands, state, put, beside, recorder)
        if mapped and getattr(out, "dtype", numpy.dtype(float)).kind not in "biufc":
            raise TypeError(f"{call!r} under vmap gives {out.dtype} and not numbers; do it outside of vmap")
    for keeper in inside:
        keeper.keep(out, mapped)
    return _wrapped(out, mapped)


def _drawn(call, operands, state, put, beside, recorder):
    """What the call gives now, or once the recorded code runs."""
    if recorder is not None:
        return recorded(recorder, call, operands, state, beside)
    out = as_payload(call(*(host_value(o, repr(call)) for o in operands)))
    return out if put is None else put(out)


def recorded(recorder, call, operands, state, beside):
    """Record a host call; its result is born beside a payload, unless that is None."""
    if beside is not None:
        call, operands = Beside(call), [*operands, beside]
    return recorder.host_call(call, operands, state)


def _by_element(call, operands, state):
    """The call and its operands below all mapped levels; these levels, innermost first; the recorder below, or None."""
    mapped, recorder = [], None
    for interpreter in reversed(stack()):
        if recorder is not None:
            if _draws_each(interpreter):
                raise Inline  # what is recorded is for one element
        elif _draws_each(interpreter):
            batched = tuple(map(interpreter.is_batched, operands))
            same_start = state.seeded >= interpreter.birth
            if same_start and not any(batched):
                continue  # all elements seed alike, and draw alike
            operands = [o.payload if b else o for o, b in zip(operands, batched)]
            call = MappedCall(call, interpreter.size, batched, state, same_start)
            mapped.append(interpreter)
        elif hasattr(interpreter, "host_call"):
            recorder = interpreter
    return call, operands, mapped, recorder
