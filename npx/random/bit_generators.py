"""NumPy's bit generators and seed sequences, as classes that take and give npx arrays."""

import contextlib
import inspect

import numpy
from numpy.random.bit_generator import ISeedSequence, ISpawnableSeedSequence

from npx.array.calling import wrap_result

from .methods import make_method
from .states import State, host, leave_to_python, public_methods, route, wrapped


class StandsFor(type):
    """A class derived from one of NumPy's, whose objects pass for its own: those that other libraries made."""

    def __new__(meta, name, bases, namespace, stands_for=None):
        return super().__new__(meta, name, bases, {**namespace, "_stands_for": stands_for})

    def __init__(cls, name, bases, namespace, stands_for=None):
        super().__init__(name, bases, namespace)

    def __instancecheck__(cls, x):
        return super().__instancecheck__(x) or (cls._stands_for is not None and isinstance(x, cls._stands_for))

    def __subclasscheck__(cls, other):
        return super().__subclasscheck__(other) or (cls._stands_for is not None and issubclass(other, cls._stands_for))


def _giving_arrays(real, name, doc=None):
    """A member of a class of npx: NumPy's, with npx arrays in its results. It does not change what it belongs to."""
    member = getattr(real, name)
    if not callable(member):
        return property(lambda self: wrapped(member.__get__(self)), doc=member.__doc__)

    def method(self, *args, **kwargs):
        return wrap_result(member(self, *host(args), **host(kwargs)))

    method.__name__, method.__qualname__, method.__doc__ = name, f"{real.__name__}.{name}", member.__doc__
    method.__signature__ = inspect.signature(member)
    return method


# ------------------------------------------------------------------------------------------------------------ seeds
class SeedSequence(numpy.random.SeedSequence, metaclass=StandsFor, stands_for=numpy.random.SeedSequence):
    __doc__ = numpy.random.SeedSequence.__doc__
    __module__ = "npx.random"

    entropy = _giving_arrays(numpy.random.SeedSequence, "entropy")
    pool = _giving_arrays(numpy.random.SeedSequence, "pool")
    state = _giving_arrays(numpy.random.SeedSequence, "state")
    generate_state = _giving_arrays(numpy.random.SeedSequence, "generate_state")

    def __init__(self, entropy=None, *, spawn_key=(), pool_size=4, n_children_spawned=0):
        given = dict(spawn_key=host(spawn_key), pool_size=pool_size, n_children_spawned=n_children_spawned)
        super().__init__(host(entropy), **given)

    def spawn(self, n_children):
        leave_to_python("SeedSequence.spawn", differs=True)
        return [SeedSequence(**child.state) for child in super().spawn(n_children)]

    spawn.__doc__ = numpy.random.SeedSequence.spawn.__doc__


class _HostSeeds(ISeedSequence):
    """A seed sequence as bit generators take it: its words are NumPy arrays."""

    def __init__(self, seeds):
        self.seeds = seeds

    def generate_state(self, n_words, dtype=numpy.uint32):
        return host(self.seeds.generate_state(n_words, dtype))

    def __eq__(self, other):
        from npx.ops.effects import same_state  # declares the ops

        if type(other) is not type(self) or not isinstance(self.seeds, SeedSequence):
            return self is other
        return isinstance(other.seeds, SeedSequence) and same_state(host(self.seeds.state), host(other.seeds.state))

    def __hash__(self):
        return id(self)


class _SpawnableHostSeeds(_HostSeeds, ISpawnableSeedSequence):
    def spawn(self, n_children):
        return self.seeds.spawn(n_children)


def _host_seeds(seed):
    """What a bit generator of NumPy is to be given as its seed."""
    seeds = seed if isinstance(seed, ISeedSequence) else SeedSequence(seed)
    return _SpawnableHostSeeds(seeds) if isinstance(seeds, ISpawnableSeedSequence) else _HostSeeds(seeds)


# --------------------------------------------------------------------------------------------------- bit generators
def _state_after(cls, args, kwargs):
    """The state of a bit generator of NumPy that was made with these arguments."""
    return cls(*args, **dict(kwargs)).state


def _members(real):
    """The members of the class of npx that stands for a class of bit generators."""

    def __init__(self, seed=None, *args, **kwargs):
        args, kwargs = host(args), host(kwargs)  # those of Philox: a counter and a key
        is_keyed = kwargs.get("key") is not None or (len(args) > 1 and args[1] is not None)
        seeds = None if seed is None and is_keyed else _host_seeds(host(seed))
        real.__init__(self, seeds, *args, **kwargs)
        origin = (_state_after, real, (None if seed is None else seeds, *args), tuple(kwargs.items()))
        read, write = lambda: real.state.__get__(self), lambda x: real.state.__set__(self, x)
        self.hidden = State(self, read, write, origin, is_seeded=seed is not None or is_keyed)

    def get_state(self):
        leave_to_python(f"the state of a {type(self).__name__}")
        return wrapped(self.hidden.state)

    def set_state(self, value):
        leave_to_python(f"the state of a {type(self).__name__}")
        self.hidden.state = host(value)
        self.hidden.touch()

    def seed_seq(self):
        seeds = real.seed_seq.__get__(self)
        return seeds.seeds if isinstance(seeds, _HostSeeds) else seeds

    def __getstate__(self):
        return self.state, self.seed_seq

    def __setstate__(self, state):
        real.__setstate__(self, state if isinstance(state, dict) else (host(state[0]), _host_seeds(state[1])))

    def __reduce__(self):
        make, arguments, _ = real.__reduce__(self)
        return make, arguments, self.__getstate__()

    members = {
        "__doc__": real.__doc__,
        "__module__": "npx.random",
        **{f.__name__: f for f in (__init__, __getstate__, __setstate__, __reduce__)},
        "_plain": property(lambda self: self),
        "_direct": property(lambda self: None if real is numpy.random.Philox else self),
        "_device": None,
        "state": property(get_state, set_state, doc=real.state.__doc__),
        "seed_seq": property(seed_seq, doc=real.seed_seq.__doc__),
    }
    members.update((name, _changing(real, name)) for name in public_methods(real))
    members["random_raw"] = make_method(real.random_raw, route)
    with contextlib.suppress(ValueError):  # older NumPy gives none
        members["__signature__"] = inspect.signature(real)
    return members


def _changing(real, name):
    """A method that reads or changes the hidden state."""
    method = _giving_arrays(real, name)

    def changing(self, *args, **kwargs):
        leave_to_python(f"{type(self).__name__}.{name}", differs=name != "jumped")
        return method(self, *args, **kwargs)

    changing.__name__, changing.__qualname__, changing.__doc__ = method.__name__, method.__qualname__, method.__doc__
    changing.__signature__ = method.__signature__
    return changing


def state_of(bit_generator):
    """The `State` of a bit generator, one of NumPy's own too."""
    known = getattr(bit_generator, "hidden", None)
    if known is not None:
        return known
    kind = type(bit_generator)
    return State(bit_generator, lambda: bit_generator.state, lambda x: kind.state.__set__(bit_generator, x))


#: name -> class, for each of NumPy's bit generators
BIT_GENERATORS = {
    real.__name__: StandsFor(real.__name__, (real,), _members(real), stands_for=real)
    for real in vars(numpy.random).values()
    if isinstance(real, type) and issubclass(real, numpy.random.BitGenerator) and real is not numpy.random.BitGenerator
}
