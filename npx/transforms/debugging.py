"""`debug_gradients`: where the first NaN of a derivative comes from.

While it is on, tapes and forward mode are replaced by kinds that note the user's line with each op and look at what the
derivative rules return. While it is off nothing is noted and nothing looked at.
"""

import contextlib

import numpy

from npx.dispatch.debug import user_line
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import is_inexact

from .forward import ForwardInterpreter, JVPTracer
from .tape import Output, Tape, TapeTracer
from .vmap import BatchTracer
from .watching import watching

ADVICE = (
    "If the value is not used (np.where, a mask), mask the operand before the op too: np.log(np.where(x > 0, x, 1)). "
    "A NaN that was already there before is shown by np.errstate(all='raise')."
)


class debug_gradients(contextlib.ContextDecorator):
    """Raise an error where the first NaN of a derivative appears, naming the op and the line that applied it.

    A context manager and decorator, like `numpy.errstate`; `debug_gradients.on` and `debug_gradients.off` switch it for
    what follows in this thread. It looks at the cotangents of every backward pass whose forward pass ran under it, and
    at the tangents of forward mode. Jitted functions run as Python under it, op by op.

    Parameters
    ----------
    nan : bool
        Look for NaN.
    inf : bool
        Look for infinities.

    Raises
    ------
    FloatingPointError
        From the transformed function: a derivative has a NaN that did not come from an earlier one.

    Examples
    --------
    >>> import npx as np
    >>> with np.debug_gradients():
    ...     np.grad(lambda x: np.sqrt(x) * x)(0.0)
    Traceback (most recent call last):
        ...
    FloatingPointError: grad: NaN in the cotangent ...
    """

    def __init__(self, nan=True, inf=False):
        self._watch = Watch(nan, inf)
        self._tokens = []

    def __enter__(self):
        self._tokens.append(watching.set(self._watch))
        return self

    def __exit__(self, *_):
        watching.reset(self._tokens.pop())

    @classmethod
    def on(cls, nan=True, inf=False):
        """Switch it on for what follows in this thread (or `contextvars` context)."""
        watching.set(Watch(nan, inf))

    @classmethod
    def off(cls):
        """Switch it off."""
        watching.set(None)


class Watch:
    """What is looked for, and the interpreters that look."""

    def __init__(self, nan, inf):
        tests = {(True, True): _not_finite, (True, False): numpy.isnan, (False, True): numpy.isinf}
        if (nan, inf) not in tests:
            raise ValueError("debug_gradients: give nan=True, inf=True or both; there is nothing else to look for")
        self.test = tests[nan, inf]

    def tape(self):
        """A tape that notes lines."""
        return WatchedTape(self)

    def forward(self):
        """Forward mode that looks at each tangent."""
        return WatchedForward(self)

    def places(self, value):
        """Where in a payload, or in the values that a tracer stands for, there is a NaN: indices, or None."""
        value = _numbers(value)
        if value is None or not is_inexact(value.dtype):
            return None
        with numpy.errstate(all="ignore"):
            bad = self.test(value)
        return numpy.argwhere(bad) if bad.any() else None

    def word(self, value, place):
        """What stands in this place."""
        return "NaN" if numpy.isnan(_numbers(value)[tuple(place)]) else "inf"


def _not_finite(x):
    return ~numpy.isfinite(x)


def _numbers(value):
    """The numbers behind a payload; None where there are none yet, or elsewhere than on the host."""
    while isinstance(value, Tracer):
        if isinstance(value, (TapeTracer, JVPTracer)):
            value = value.primal
        elif isinstance(value, BatchTracer):
            value = value.payload
        else:
            return None
    if isinstance(value, (numpy.ndarray, numpy.generic, float, complex)):
        return numpy.asarray(value)
    return None


class WatchedTape(Tape):
    """A tape that notes the user's line with each op, and looks at the cotangents that its rules return.

    Attributes
    ----------
    noted : dict
        Serial number of a node -> name of the op and the user's line.
    """

    def __init__(self, watch):
        self.watch, self.noted = watch, {}

    def process(self, op, args, params):
        """Note the line beside what the tape notes."""
        out = super().process(op, args, params)
        for result in out if type(out) is tuple else (out,):
            if type(result) is TapeTracer and result.interpreter is self:
                node = result.node.parents[0] if type(result.node) is Output else result.node
                self.noted.setdefault(node.serial, (op.name, user_line()))
        return out

    def look(self, node, g, parts):
        """Called by the walk back with each node, the cotangent of its result, and those of its operands.

        Raises
        ------
        FloatingPointError
            There is a NaN among them; the earlier nodes had none.
        """
        op, line = self.noted.get(node.serial, (None, None))
        if op is None:
            return
        for ct in g if isinstance(g, (tuple, list)) else (g,):
            if ct is not None and (places := self.watch.places(ct)) is not None:
                self._complain(
                    f"the cotangent of the result of {op}, applied at {line}, where several are added up or as it was "
                    "given",
                    ct,
                    places,
                )
        for k, part in enumerate(parts):
            if part is not None and (places := self.watch.places(part)) is not None:
                self._complain(f"the cotangent of operand {k} of {op}, applied at {line}", part, places)

    def _complain(self, where, value, places):
        raise FloatingPointError(_message(self.name, self.watch, where, value, places))


class WatchedForward(ForwardInterpreter):
    """Forward mode that looks at the tangents that its rules return."""

    def __init__(self, watch):
        self.watch = watch

    def process(self, op, args, params):
        """Look at the tangents of the results, if those of the operands had no NaN."""
        out = super().process(op, args, params)
        for result in out if type(out) is tuple else (out,):
            tangent = self.tangent(result)
            if tangent is None or (places := self.watch.places(tangent)) is None:
                continue
            if all(t is None or self.watch.places(t) is None for t in map(self.tangent, args)):
                where = f"the tangent of the result of {op.name}, applied at {user_line()}"
                raise FloatingPointError(_message(self.name, self.watch, where, tangent, places))
        return out


def _message(transform, watch, where, value, places):
    first = tuple(map(int, places[0]))
    at = f", at index {first}" if first else ""
    more = f" and {len(places) - 1} more places" if len(places) > 1 else ""
    return f"{transform}: {watch.word(value, first)} in {where}{at}{more}. {ADVICE}"
