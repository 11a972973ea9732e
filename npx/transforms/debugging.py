"""`debug_gradients`: where the first NaN of a derivative comes from.

While it is on, tapes and forward mode are replaced by kinds that note the user's line with each op and look at what the
derivative rules return. While it is off nothing is noted and nothing looked at.
"""

import contextlib
from typing import NamedTuple

import numpy

from npx.dispatch.debug import user_line
from npx.dispatch.payloads import is_inexact

from .forward import ForwardInterpreter
from .tape import Output, Tape, TapeTracer
from .values import host_value
from .watching import numbers, watching

ADVICE = (
    "Where the value is not wanted there, select another one (np.where, a mask), or keep the operand away from that "
    "point: np.sqrt(np.maximum(x, 1e-30))."
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

    def find(self, payload):
        """A NaN in a payload, or in the values that a tracer stands for, or None."""
        if payload is None:
            return None
        for value in (host_value(v, "debug_gradients") for v in numbers(payload)):
            if is_inexact(value.dtype) and (bad := self.test(value)).any():
                places = numpy.argwhere(bad)
                return Found("NaN" if numpy.isnan(value[tuple(places[0])]) else "inf", places)
        return None


def _not_finite(x):
    return ~numpy.isfinite(x)


class Found(NamedTuple):
    """The NaN or infinities in a payload, and where they are."""

    word: str
    places: numpy.ndarray

    def message(self, transform, where, cause=None):
        """What the error says; `where` is the place in the program, `cause` where the values themselves went wrong."""
        first = tuple(map(int, self.places[0]))
        at = f", at index {first}" if first else ""
        more = f" and {len(self.places) - 1} more places" if len(self.places) > 1 else ""
        why = ADVICE if cause is None else f"Before the way back there was one already, in {cause}."
        return f"{transform}: {self.word} in {where}{at}{more}. {why}"


class WatchedTape(Tape):
    """A tape that notes the user's line with each op, and looks at the cotangents that its rules return.

    Attributes
    ----------
    noted : dict
        Serial number of a node -> name of the op and the user's line.
    cause : str or None
        The first op whose result has a NaN that its operands have not, and its line.
    """

    def __init__(self, watch):
        self.watch, self.noted, self.cause = watch, {}, None

    def process(self, op, args, params):
        """Note the line beside what the tape notes."""
        out = super().process(op, args, params)
        for result in out if type(out) is tuple else (out,):
            if type(result) is TapeTracer and result.interpreter is self:
                node, line = result.node.parents[0] if type(result.node) is Output else result.node, user_line()
                self.noted.setdefault(node.serial, (op.name, line))
                if self.cause is None and self.watch.find(result) and not any(map(self.watch.find, args)):
                    self.cause = f"the result of {op.name}, applied at {line}"
        return out

    def look(self, node, g, parts):
        """Called by the walk back with each node, the cotangent of its result, and those of its operands.

        Raises
        ------
        FloatingPointError
            There is a NaN among them; the earlier nodes had none.
        """
        op, line = self.noted.get(node.serial, (None, None))
        result = "an argument" if op is None else f"the result of {op}, applied at {line}"
        for ct in g if isinstance(g, (tuple, list)) else (g,):
            self._complain(ct, f"the cotangent of {result}, which is a sum or was given so")
        for k, part in enumerate(parts):
            self._complain(part, f"the cotangent of operand {k} of {op}, applied at {line}")

    def _complain(self, ct, where):
        found = self.watch.find(ct)
        if found is not None:
            raise FloatingPointError(found.message(self.name, where, self.cause))


class WatchedForward(ForwardInterpreter):
    """Forward mode that looks at the tangents that its rules return."""

    def __init__(self, watch):
        self.watch = watch

    def process(self, op, args, params):
        """Look at the tangents of the results, if those of the operands had no NaN."""
        out = super().process(op, args, params)
        for result in out if type(out) is tuple else (out,):
            found = self.watch.find(self.tangent(result))
            if found is not None and not any(self.watch.find(self.tangent(a)) for a in args):
                where = f"the tangent of the result of {op.name}, applied at {user_line()}"
                raise FloatingPointError(found.message(self.name, where))
        return out
