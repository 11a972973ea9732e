"""Draws while a transform is active, or on a device.

Under `jit` a draw is an op with an effect, so that each call of the compiled function draws anew and leaves the
generator where Python would have left it. Under `vmap` each element draws for itself, in order. For `grad` and the
other derivatives draws are constants, but for what `pathwise` says of their parameters.
"""

import copy
import functools
import inspect

import numpy

from npx import routing
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.dispatch.interpreter import Tracer, stack
from npx.ops.effects import HostCall
from npx.transforms import draws

from . import on_device, pathwise
from .states import host, leave_to_python, public_methods, recorder

#: parameters that are never arrays to compute with: where they are traced, their values are asked for
STRUCTURAL = frozenset(("size", "axis", "length", "output"))

#: methods that fill an array of a given size element by element; several calls in a row draw what one call draws
ELEMENTWISE = frozenset(
    name
    for cls in (numpy.random.Generator, numpy.random.RandomState)
    for name, method in public_methods(cls).items()
    if "size" in inspect.signature(method).parameters
) - {
    *("choice", "integers", "randint", "random_integers"),  # they may hold bits back until the call ends
    *("dirichlet", "multinomial", "multivariate_hypergeometric", "multivariate_normal"),  # an element is an array
}


def draw(generator, method, now, args, kwargs):
    """The result of ``method(generator, *args, **kwargs)``.

    Parameters
    ----------
    generator : object
        Of npx.
    method : callable
        The method of NumPy's class.
    now : callable
        Calls it at once.
    """
    if not stack():
        return on_device.draw(generator, method, now, args, kwargs)
    try:
        call = Draw(generator, method, args, kwargs)
    except TypeError:
        return now(generator._plain, *args, **kwargs)  # NumPy's words about arguments that do not fit
    if not call.traced and not draws.concern_draws():
        return on_device.draw(generator, method, now, args, kwargs)
    if call.is_python:
        if draws.maps():
            raise TypeError(
                f"random.{call.name} of Python objects would differ for each element of vmap: do it outside"
            )
        leave_to_python(f"random.{call.name} of Python objects")
        return now(generator._plain, *args, **kwargs)
    settle_in(generator)
    return call.deliver(pathwise.draw(call) if any(call.differentiated()) else call.perform(call.host_call()))


def settle_in(generator):
    """Let a generator that a function under `jit` makes be the same in all recordings, and start as it was made."""
    recording = recorder()
    if recording is None or recording.abandoned is not None:
        return
    if generator.hidden.born >= recording.birth:
        hidden = recording.made_inside(generator.hidden, Restart)
        if hidden is not generator.hidden:
            generator.adopt(hidden)


@functools.cache
def parameters(method):
    """The parameters of a method of NumPy, without `self`."""
    return tuple(inspect.signature(method).parameters.values())[1:]


class Draw:
    """A call of a drawing method: its arguments, sorted.

    Attributes
    ----------
    fixed : dict
        The arguments that are known.
    operands : dict
        Parameter -> payload, for those that are arrays.
    varied : tuple
        Positional arguments without a name.
    is_python : bool
        The result, or what is written to, is no array.
    """

    def __init__(self, generator, method, args, kwargs):
        self.generator, self.method, self.name = generator, method, method.__name__
        self.fixed, self.operands, self.varied = {}, {}, ()
        given = self._named(args, kwargs)
        self.out = given.pop("out", None)
        self.written = given.get("x") if self.name == "shuffle" else self.out
        self.is_python = self.name == "bytes" or (self.name == "shuffle" and not isinstance(self.written, ndarray))
        for name, value in given.items():
            value = copy.deepcopy(value) if type(value) is list and not _holds_arrays(value) else value
            p = payload(value)
            is_array = isinstance(p, (Tracer, numpy.ndarray)) or isinstance(value, ndarray)
            if is_array and name not in STRUCTURAL and not _is_length(self.name, name, p):
                self.operands[name] = p
            else:
                self.fixed[name] = _whole(host(value)) if is_array else value

    def _named(self, args, kwargs):
        """The arguments by name."""
        names = [p.name for p in parameters(self.method) if p.kind is not p.VAR_POSITIONAL]
        if any(p.kind is p.VAR_POSITIONAL for p in parameters(self.method)):
            self.varied, args = tuple(_whole(host(a)) for a in args), ()
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or given.keys() & kwargs.keys() or not kwargs.keys() <= set(names):
            raise TypeError
        return {**given, **kwargs}

    @property
    def traced(self):
        """Whether some argument is a tracer."""
        written = payload(self.written) if isinstance(self.written, ndarray) else None
        return any(isinstance(p, Tracer) for p in (*self.operands.values(), written))

    @property
    def function(self):
        """The method of NumPy's generator."""
        return self.method.__get__(self.generator._plain)

    def defaults(self):
        """The arguments that the method takes where none are given."""
        return {p.name: p.default for p in parameters(self.method) if p.default is not p.empty}

    def host_call(self, out=True):
        """The draw as a function of the operands; into an array like `out`, unless that is false."""
        function, fixed = self.function, self.fixed
        if self.name == "shuffle":
            function = Shuffled(function)
        out = out and self.out is not None
        if out:
            function, fixed = WithOut(function), {**fixed, "out": (self.out.shape, numpy.dtype(self.out.dtype))}
        return HostCall(function, self.varied, fixed, self.operands, self.name in ELEMENTWISE and not out)

    def differentiated(self):
        """The parameters whose derivatives some transform follows."""
        return [name for name, p in self.operands.items() if pathwise.is_differentiated(p)]

    def perform(self, call, operands=None):
        """The payload that a host call gives, by default on the operands of this draw: drawn now, or recorded."""
        operands, recording = self.operands.values() if operands is None else operands, recorder()
        if recording is not None:
            on_device.anchor(self.generator)
            if not operands and not self.varied and self.out is None and draws.only_recorded():
                p = on_device.in_graph(self.generator, self.method, self.fixed, recording)
                if p is not None:
                    return p
        return draws.perform(call, operands, self.generator.hidden, on_device.put(self.generator, self.name))

    def deliver(self, p):
        """The result for a payload: a new array or scalar, or what the method writes into."""
        if self.written is None:
            size = self.fixed.get("size")
            return wrap(p) if type(size) is tuple and not size else wrap_scalar(p)
        target = routing.from_outside(self.written)
        target[...] = wrap(p)
        return None if self.name == "shuffle" else self.out


def _holds_arrays(items):
    return any(isinstance(item, ndarray) or (type(item) in (list, tuple) and _holds_arrays(item)) for item in items)


def _is_length(method, name, p):
    """Whether an argument is the length of the result."""
    return method == "permutation" and name == "x" and p.shape == ()


def _whole(value):
    """A size as NumPy takes it."""
    return value[()] if isinstance(value, numpy.ndarray) and value.ndim == 0 else value


class _Of:
    """A function made of another one; equal where that is."""

    def __init__(self, function):
        self.function = function
        self.__qualname__ = function.__qualname__

    def __eq__(self, other):
        return type(other) is type(self) and self.function == other.function

    def __hash__(self):
        return hash(self.function)


class Shuffled(_Of):
    """`shuffle` of a copy, which it returns."""

    def __call__(self, x, **kwargs):
        x = numpy.array(x)
        self.function(x, **kwargs)
        return x


class WithOut(_Of):
    """A method that writes into an array of its own; NumPy checks shape and dtype."""

    def __call__(self, *args, out, **kwargs):
        return self.function(*args, out=numpy.empty(*out), **kwargs)


# ---------------------------------------------------------------------------------------------------------- seeding
class Restart:
    """Gives a generator the state that it was made with."""

    def __init__(self, hidden):
        self.hidden = hidden

    def __call__(self):
        self.hidden.restart()
        return numpy.zeros((), bool)

    def __eq__(self, other):
        return type(other) is Restart and self.hidden is other.hidden

    def __hash__(self):
        return hash(id(self.hidden))


class Seeding(_Of):
    """A function that seeds, as one that gives an array."""

    def __call__(self, *args, **kwargs):
        self.function(*args, **kwargs)
        return numpy.zeros((), bool)


def seed(generator, function, value):
    """Seed a generator.

    Parameters
    ----------
    generator : RandomState
    function : callable
        ``function(seed)`` seeds NumPy's generator.
    value : object
        The seed.
    """
    recording = recorder()
    if draws.repeats():  # it has been seeded
        pass
    elif recording is not None:
        p = payload(value)
        traced = isinstance(p, Tracer) and p.interpreter is recording
        call = HostCall(Seeding(function), () if traced else (host(value),), names=("seed",) if traced else ())
        recording.host_call(call, [p] if traced else [], generator.hidden)
    else:
        function(host(value))
    generator.hidden.touch(value is not None)
