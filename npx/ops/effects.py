"""Ops that do something besides computing: they keep their order and run exactly once per call."""

import numpy

from npx.dispatch.abstract import Aval
from npx.dispatch.debug import count_loop
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
        Its positional arguments.
    fixed : dict
        Those of its keyword arguments that are known.
    names : tuple of str
        The keywords of the operands that the call is made with.
    elementwise : bool
        The function takes a `size`, and fills an array of that size element by element, in order.
    """

    def __init__(self, function, args=(), fixed=None, names=(), elementwise=False):
        self.function, self.args, self.fixed, self.names = function, tuple(args), dict(fixed or {}), tuple(names)
        self.elementwise = elementwise

    def __call__(self, *operands):
        return self.function(*self.args, **self.fixed, **dict(zip(self.names, map(_as_scalar, operands), strict=True)))

    def all_at_once(self, size, operands, batched):
        """The results of `size` calls, for a function that is elementwise: one call that draws all of them."""
        shapes = [o.shape[1:] if b else numpy.shape(o) for o, b in zip(operands, batched)]
        shape = self.fixed.get("size")
        if shape is None:
            known = [numpy.shape(v) for k, v in self.fixed.items() if k not in ("size", "dtype", "method")]
            shape = numpy.broadcast_shapes(*shapes, *known)
        shape = (shape,) if numpy.ndim(shape) == 0 else tuple(shape)
        spread = [
            o.reshape(size, *(1,) * (len(shape) - len(s)), *s) if b else o for o, s, b in zip(operands, shapes, batched)
        ]
        given = {**self.fixed, **dict(zip(self.names, spread)), "size": (size, *shape)}
        return self.function(*self.args, **given)

    def __eq__(self, other):
        return (
            type(other) is HostCall
            and self.function == other.function
            and self.names == other.names
            and equal(self.args, other.args)
            and equal(tuple(self.fixed.items()), tuple(other.fixed.items()))
        )

    def __hash__(self):
        return hash(self.function)

    def __repr__(self):
        return f"<call of {getattr(self.function, '__qualname__', self.function)}>"


class MappedCall:
    """A host call made once for each element along a mapped axis, in order.

    Parameters
    ----------
    call : HostCall or MappedCall
    size : int
        Number of elements.
    batched : tuple of bool
        Which operands have the mapped axis, first.
    state : object
        What the call changes: an object with an attribute `state`.
    same_start : bool
        Each element starts from one state and not from where the element before it ended.
    """

    elementwise = False

    def __init__(self, call, size, batched, state, same_start=False):
        self.call, self.size, self.batched, self.state, self.same_start = call, size, batched, state, same_start

    def __call__(self, *operands):
        if self.size == 0:
            return self._of_no_element(operands)
        if self.call.elementwise and not self.same_start:
            return self.call.all_at_once(self.size, operands, self.batched)
        count_loop(repr(self.call), self.size)
        start, ends, results = self.state.state, [], []
        for k in range(self.size):
            if self.same_start:
                self.state.state = start
            results.append(self.call(*(o[k] if b else o for o, b in zip(operands, self.batched))))
            ends.append(self.state.state if self.same_start else None)
        if any(not same_state(ends[0], end) for end in ends[1:]):
            raise TypeError(
                f"{self.call!r} under vmap: the generator was seeded inside the function, and draws for this element "
                "take another number of random bits than for the others; the generator would end in several states. "
                "Seed it outside."
            )
        return numpy.stack(results)

    def _of_no_element(self, operands):
        start = self.state.state
        one = numpy.asarray(
            self.call(*(numpy.ones(o.shape[1:], o.dtype) if b else o for o, b in zip(operands, self.batched)))
        )
        self.state.state = start
        return numpy.empty((0, *one.shape), one.dtype)

    def __eq__(self, other):
        return (
            type(other) is MappedCall
            and (self.size, self.batched, self.same_start) == (other.size, other.batched, other.same_start)
            and self.state is other.state
            and self.call == other.call
        )

    def __hash__(self):
        return hash((self.call, self.size))

    def __repr__(self):
        return repr(self.call)


class Beside:
    """A host call with a last operand that it does not look at: its result is born where that is."""

    def __init__(self, call):
        self.call = call

    def __call__(self, *operands):
        return self.call(*operands[:-1])

    def __eq__(self, other):
        return type(other) is Beside and self.call == other.call

    def __hash__(self):
        return hash(self.call)

    def __repr__(self):
        return repr(self.call)


def same_state(a, b):
    """Whether two states of generators, nested dicts of numbers and arrays, are equal."""
    if isinstance(a, dict):
        return all(same_state(value, b[key]) for key, value in a.items())
    return numpy.array_equal(a, b)


def _as_scalar(operand):
    """What NumPy's functions take as one number: a 0-d array as the scalar in it."""
    return operand[()] if isinstance(operand, numpy.ndarray) and operand.ndim == 0 else operand


def equal(a, b):
    """Whether two arguments of calls are equal: objects, arrays, tuples of these."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, numpy.ndarray) or isinstance(b, numpy.ndarray):
        return numpy.array_equal(a, b)
    return a is b or a == b
