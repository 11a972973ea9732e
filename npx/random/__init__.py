"""NumPy's random numbers: the same streams, as npx arrays.

The module's functions share NumPy's global state. Inside `jit` a draw is an op with an effect, under `vmap` each
element draws for itself, and on a device arrays are born where the generator says.
"""

import sys
import types

import numpy

from npx import namespace

from .bit_generators import BIT_GENERATORS, SeedSequence
from .generators import Generator, RandomState, default_rng, global_state, module_functions, seed_global

_rand = global_state()


def seed(seed=None):
    seed_global(_rand, seed)


_FUNCTIONS = module_functions(_rand, __name__)
globals().update(BIT_GENERATORS)
globals().update(_FUNCTIONS)
seed.__doc__ = numpy.random.seed.__doc__
default_rng.__module__ = __name__
namespace.mirror(globals(), "numpy.random")
__all__ = list(numpy.random.__all__)  # noqa: PLE0605

for _real, _ours in (
    (numpy.random.mtrand._rand, _rand),
    *((_class._stands_for, _class) for _class in (Generator, RandomState, SeedSequence, *BIT_GENERATORS.values())),
    *((getattr(numpy.random, _name), globals()[_name]) for _name in ("default_rng", "seed", *_FUNCTIONS)),
):
    namespace.stand_for(_real, _ours)


class _Module(types.ModuleType):
    """The module passes for the generator whose methods its functions are, as NumPy's does in other libraries."""

    __class__ = property(lambda self: RandomState)


sys.modules[__name__].__class__ = _Module
