"""Ops that do something besides computing: they keep their order and run exactly once per call."""

import numpy

from npx.dispatch.abstract import Aval
from npx.dispatch.op import declare
from npx.dispatch.rules import example


def as_payload(result):
    """What a host function returned, as a payload; Python's numbers stay weak."""
    return result if type(result) in (int, float, complex) else numpy.asarray(result)


def _host_call(*operands, function, aval):
    """``function(*operands)``."""
    return as_payload(function(*operands))


host_call = declare(
    "host_call",
    kind="effect",
    nin=-1,
    spec=_host_call,
    rule=lambda avals, params: params["aval"],
    effect=True,
    no_deriv="it calls into Python",
    examples=(example((3,), types=("d", "l"), function=lambda _: numpy.negative, aval=lambda t: Aval((3,), t)),),
)


class HostCall:
    """A call of a host function that may draw or write; equal calls do the same thing.

    Parameters
    ----------
    function : callable
        Takes and returns host values.
    args : tuple
        Its arguments, with `HOLE` in the place of each operand.
    kwargs : dict
    """

    HOLE = object()

    def __init__(self, function, args, kwargs):
        self.function, self.args, self.kwargs = function, args, kwargs

    def __call__(self, *operands):
        rest = iter(operands)
        args = [next(rest) if a is self.HOLE else a for a in self.args]
        return self.function(*args, **{k: next(rest) if a is self.HOLE else a for k, a in self.kwargs.items()})

    def __eq__(self, other):
        return (
            type(other) is HostCall
            and self.function == other.function
            and _equal(self.args, other.args)
            and _equal(tuple(self.kwargs.items()), tuple(other.kwargs.items()))
        )

    def __hash__(self):
        return hash(self.function)

    def __repr__(self):
        return f"<call of {getattr(self.function, '__qualname__', self.function)}>"


def _equal(a, b):
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, numpy.ndarray) or isinstance(b, numpy.ndarray):
        return numpy.array_equal(a, b)
    return a is b or a == b
