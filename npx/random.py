"""NumPy's random numbers: the same streams, as npx arrays.

The module's functions share NumPy's global state. Inside `jit` a draw is an op with an effect, so that each call of the
compiled function draws anew and leaves the generator where Python would have left it.
"""

import functools
import types

import numpy

from npx.array.ndarray import capturing, ndarray, payload, wrap, wrap_scalar
from npx.dispatch.interpreter import Tracer, stack
from npx.namespace import make_wrapper, mirror

#: methods that draw nothing
_NOT_DRAWING = ("get_state", "set_state", "seed", "spawn")


class _LegacyState:
    """The whole state of a `RandomState` as an attribute, as bit generators have it."""

    def __init__(self, generator):
        self._generator = generator

    @property
    def state(self):
        return self._generator.get_state(legacy=False)

    @state.setter
    def state(self, value):
        self._generator.set_state(value)


_GLOBAL = numpy.random.mtrand._rand
_global_state = _LegacyState(_GLOBAL)


def _state_of(generator):
    """The object whose attribute `state` a draw changes, always the same one."""
    if isinstance(generator, numpy.random.Generator):
        return generator.bit_generator
    if generator is _GLOBAL:
        return _global_state
    return vars(generator).setdefault("_state", _LegacyState(generator))


def _recorder():
    """The innermost interpreter that records draws, or None."""
    if not capturing():
        return None
    return next((i for i in reversed(stack()) if hasattr(i, "host_call")), None)


def _drawing(method, name):
    """The version of a drawing method of a NumPy generator class: recorded under `jit`, else run at once."""

    def record(function, args, kwargs):
        recorder = _recorder()
        if recorder is None:
            return NotImplemented
        generator, *args = args
        out = kwargs.pop("out", None)
        args = [_known(a, name) for a in args]
        kwargs = {key: _known(a, name) for key, a in kwargs.items()}
        drawn = recorder.host_call(method, (generator, *args), kwargs, _state_of(generator))
        if out is None:
            return wrap_scalar(drawn)
        out[...] = wrap(drawn)
        return out

    return make_wrapper(method, "npx.random", record)


def _known(x, name):
    """An argument as a payload; a whole number, which may be a size, as its value."""
    if isinstance(x, (list, tuple)):
        return type(x)(_known(item, name) for item in x)
    p = payload(x)
    if isinstance(p, Tracer) and p.shape == () and p.dtype.kind in "iu":
        return p.interpreter.concretize(p, f"numpy.random.{name}")[()]
    return p


def _shuffling(method):
    """The version of `shuffle`, which works in place, on lists too."""
    now = make_wrapper(method, "npx.random")

    def shuffled(self, x, *args):
        x = numpy.array(x)
        method(self, x, *args)
        return x

    def shuffle(self, x, *args, **kwargs):
        recorder = _recorder()
        if not isinstance(x, ndarray):
            return method(self, x, *args, **kwargs)
        if recorder is None:
            return now(self, x, *args, **kwargs)
        x[...] = wrap(recorder.host_call(shuffled, (self, payload(x), *args, *kwargs.values()), {}, _state_of(self)))

    return functools.update_wrapper(shuffle, now)


def _methods(cls):
    """Versions of the methods of a NumPy generator class that take and give npx arrays."""
    found = {}
    for name in dir(cls):
        method = getattr(cls, name)
        if name.startswith("_") or not callable(method):
            continue
        if name == "shuffle":
            found[name] = _shuffling(method)
        else:
            found[name] = make_wrapper(method, "npx.random") if name in _NOT_DRAWING else _drawing(method, name)
    return found


class Generator(numpy.random.Generator):
    """Container for a bit generator, as `numpy.random.Generator`."""

    vars().update(_methods(numpy.random.Generator))

    def __reduce__(self):
        return _rebuild_generator, (self.bit_generator,)


class RandomState(numpy.random.RandomState):
    """Container for the slow Mersenne Twister, as `numpy.random.RandomState`."""

    vars().update(_methods(numpy.random.RandomState))

    def __reduce__(self):
        return _rebuild_state, (self.get_state(legacy=False),)


def _rebuild_generator(bit_generator):
    return Generator(bit_generator)


def _rebuild_state(state):
    new = RandomState()
    new.set_state(state)
    return new


def default_rng(seed=None):
    """Construct a new Generator with the default bit generator (PCG64); see `numpy.random.default_rng`."""
    made = numpy.random.default_rng(payload(seed))
    return seed if made is seed else Generator(made.bit_generator)


def _module_function(name, method_name):
    """A function of the module `numpy.random`: a method of NumPy's global generator."""
    method, bound = getattr(RandomState, method_name), getattr(numpy.random, name)

    def of_global(_, args, kwargs):
        return method(_GLOBAL, *args, **kwargs)

    if isinstance(method, types.FunctionType):

        def function(*args, **kwargs):
            return method(_GLOBAL, *args, **kwargs)

        functools.update_wrapper(function, bound)
    else:
        function = make_wrapper(bound, "npx.random", of_global)
    function.__name__, function.__qualname__, function.__module__ = name, name, "npx.random"
    return function


for _name, _real in list(vars(numpy.random).items()):
    if getattr(_real, "__self__", None) is _GLOBAL:
        globals()[_name] = _module_function(_name, _real.__name__)
ranf, sample = _module_function("ranf", "random_sample"), _module_function("sample", "random_sample")

mirror(globals(), "numpy.random")
