"""NumPy's generators as classes that take and give npx arrays.

An object of them passes for one of NumPy's, and draws from a plain one of NumPy's inside it, so that what NumPy's
methods call in turn is NumPy's.
"""

import functools

import numpy

from npx import devices
from npx.dispatch import registry

from .bit_generators import BIT_GENERATORS, StandsFor, state_of
from .methods import make_function, make_method
from .states import State, host, leave_to_python, public_methods, route, wrapped


def _methods(cls):
    """The public methods of a generator class of NumPy, for its counterpart."""
    return {name: make_method(method, route) for name, method in public_methods(cls).items()}


class Generator(numpy.random.Generator, metaclass=StandsFor, stands_for=numpy.random.Generator):
    __doc__ = numpy.random.Generator.__doc__
    __module__ = "npx.random"

    vars().update(_methods(numpy.random.Generator))

    def __init__(self, bit_generator, *, device=None):
        super().__init__(bit_generator)
        self._device = None if device is None else registry.device_named(device)[0]
        self.adopt(state_of(bit_generator))

    @property
    def device(self):
        """The name of the device on which arrays are born: by default the default device."""
        return self._device or devices.get_default_device()

    def adopt(self, hidden):
        """Draw from another bit generator from now on."""
        self.hidden, self._plain = hidden, numpy.random.Generator(hidden.owner)
        may_be_elsewhere = self._device is not None or isinstance(hidden.owner, numpy.random.Philox)
        self._direct = None if may_be_elsewhere else self._plain

    def spawn(self, n_children):
        leave_to_python("Generator.spawn", differs=True)
        return [type(self)(child, device=self._device) for child in self.bit_generator.spawn(n_children)]

    spawn.__doc__ = numpy.random.Generator.spawn.__doc__

    def __reduce__(self):
        make = _make_generator if self._device is None else functools.partial(_make_generator, device=self._device)
        return make, (self.bit_generator,), None


def _make_generator(bit_generator, device=None):
    """Unpickle; the name of a bit generator stands for a new one."""
    if isinstance(bit_generator, str):
        bit_generator = BIT_GENERATORS[bit_generator]()
    return Generator(bit_generator, device=device)


class RandomState(numpy.random.RandomState, metaclass=StandsFor, stands_for=numpy.random.RandomState):
    __doc__ = numpy.random.RandomState.__doc__
    __module__ = "npx.random"

    vars().update(_methods(numpy.random.RandomState))

    def __init__(self, seed=None):
        plain = numpy.random.RandomState(host(seed))
        self._stand_for(plain, (_state_of_random_state, host(seed)), seed is not None)

    def _stand_for(self, plain, origin=None, is_seeded=True):
        super().__init__(plain._bit_generator)
        self.adopt(State(plain, lambda: plain.get_state(legacy=False), plain.set_state, origin, is_seeded))

    def adopt(self, hidden):
        """Draw from another of NumPy's generators from now on."""
        self.hidden, self._plain = hidden, hidden.owner
        self._direct = self._plain

    #: the one of NumPy's generator, which `set_bit_generator` may exchange
    _bit_generator = property(lambda self: self._plain._bit_generator)
    _device = None

    def get_state(self, legacy=True):
        leave_to_python("the state of a RandomState")
        return wrapped(self._plain.get_state(legacy))

    def set_state(self, state):
        leave_to_python("the state of a RandomState")
        self._plain.set_state(host(state))
        self.hidden.touch()

    def seed(self, seed=None):
        _seed(self, self._plain.seed, seed)

    for _method in (get_state, set_state, seed):
        _method.__doc__ = getattr(numpy.random.RandomState, _method.__name__).__doc__
    del _method

    def __reduce__(self):
        return _make_random_state, (self._bit_generator,), self.get_state(legacy=False)


def _state_of_random_state(seed):
    return numpy.random.RandomState(seed).get_state(legacy=False)


def _make_random_state(bit_generator):
    """Unpickle; the name of a bit generator stands for a new one."""
    return RandomState(BIT_GENERATORS[bit_generator]() if isinstance(bit_generator, str) else bit_generator)


def global_state():
    """The generator behind the functions of the module: NumPy's own, whose state the two share."""
    shared = RandomState.__new__(RandomState)
    shared._stand_for(numpy.random.mtrand._rand)
    return shared


def module_functions(generator, module):
    """Name -> function, for the functions of the module that are methods of a generator.

    Parameters
    ----------
    generator : RandomState
        That of `global_state`.
    module : str
        Where the functions are found.
    """
    methods = {"ranf": "random_sample", "sample": "random_sample"}
    for name, real in vars(numpy.random).items():
        if getattr(real, "__self__", None) is generator._plain:
            methods[name] = real.__name__
    functions = {}
    for name, method in methods.items():
        function = make_function(getattr(RandomState, method), generator, getattr(numpy.random, name))
        function.__name__, function.__qualname__, function.__module__ = name, name, module
        functions[name] = function
    return functions


def _seed(generator, function, seed):
    """Seed a generator: part of what a compiled function does."""
    from . import routes

    routes.seed(generator, function, seed)


def seed_global(generator, seed):
    """`seed` of the module, whatever bit generator it draws from."""
    _seed(generator, numpy.random.seed, seed)


def default_rng(seed=None, *, device=None):
    """Construct a `Generator`: with PCG64, or with Philox where its arrays are to be born on a device.

    Parameters
    ----------
    seed : None, int, array_like of int, SeedSequence, BitGenerator, Generator or RandomState, optional
        As for `numpy.random.default_rng`. A generator of npx is returned as it is; one of NumPy's gives a generator
        that draws from the same stream.
    device : str, optional
        Where arrays are born; by default on the default device.
    """
    if isinstance(seed, Generator):
        is_ours = hasattr(seed, "_plain") and device is None
        return seed if is_ours else Generator(seed.bit_generator, device=device)
    if isinstance(seed, RandomState):
        return Generator(seed._bit_generator, device=device)
    if hasattr(seed, "capsule"):
        return Generator(seed, device=device)
    on_host = (device or devices.get_default_device()) == devices.HOST
    return Generator(BIT_GENERATORS["PCG64" if on_host else "Philox"](seed), device=device)
