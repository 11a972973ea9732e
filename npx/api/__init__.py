"""Array-level versions of the functions and methods that NumPy writes in C, for tracers and device arrays.

They take NumPy's arguments, bring them to the canonical form of the ops (`docs/design/conventions.md`) and wrap the
result. What NumPy writes in Python is not here: see `npx.numpy_layer`.
"""

import functools

import numpy

from npx import routing
from npx.api import (
    composites,
    conversion,
    factorizations,
    fourier,
    indexing,
    methods,
    polynomials,
    products,
    roots,
    shaping,
    sorting,
)
from npx.api.support import FUNCTIONS, METHODS


def method(name):
    """The version of the array method `name` that takes any payload."""
    found = METHODS.get(name)
    if found is None:
        original = getattr(numpy.ndarray, name)

        def found(*args, **kwargs):
            return routing.through_host(original, args, kwargs)

        METHODS[name] = functools.update_wrapper(found, original)
    return found
