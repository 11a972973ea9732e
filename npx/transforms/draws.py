"""Host calls that draw random numbers, as the active transforms see them.

Under `vmap` a draw is made for each element, in order; under `jit` it becomes an op with an effect. The other
transforms take what is drawn for a constant. A function that runs again in a backward pass (`checkpoint`) must meet the
same numbers: `Draws` keeps them.
"""

import contextlib
import threading

import numpy

from npx.dispatch.interpreter import stack
from npx.ops.effects import MappedCall, as_payload

from .recording import Inline
from .values import host_value
from .vmap import BatchInterpreter, BatchTracer

_local = threading.local()


class Draws:
    """What was drawn in one run of a function, for another run of it."""

    def __init__(self):
        self.kept = []  # (payload as of below all mapped levels, those of these levels that were active before the run)
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

    def is_outside(self, interpreter):
        """Whether a mapped level was active before the run."""
        return interpreter.stands_for.level <= self.depth

    def keep(self, out, mapped):
        """Keep a payload that is mapped at these levels."""
        self.kept.append((out, [i.stands_for for i in mapped if self.is_outside(i)]))

    def again(self, mapped):
        """The next payload, and at which of the levels that are mapped now it is."""
        try:
            out, outside = next(self.rest)
        except StopIteration:
            message = "a function that runs again for its derivative draws more random numbers than at first"
            raise RuntimeError(message) from None
        return out, [i for i in mapped if i.stands_for in outside or not self.is_outside(i)]


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


def perform(call, operands, state, put=None):
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

    Returns
    -------
    payload
    """
    call, operands, mapped, recorder = _by_element(call, list(operands), state)
    repeated = next((log for log in reversed(_logs()) if log.rest is not None), None)
    if repeated is not None:
        out, mapped = repeated.again(mapped)
    elif recorder is not None:
        out = recorder.host_call(call, operands, state)
    else:
        out = as_payload(call(*(host_value(o, repr(call)) for o in operands)))
        out = out if put is None else put(out)
    if mapped and getattr(out, "dtype", numpy.dtype(float)).kind not in "biufc":
        raise TypeError(f"{call!r} under vmap gives {out.dtype} and not numbers; do it outside of vmap")
    for log in _logs():
        if log.rest is None:
            log.keep(out, mapped)
    for interpreter in reversed(mapped):
        out = BatchTracer(interpreter, out)
    return out


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
