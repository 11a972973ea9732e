"""Sample calls of every method of NumPy's generators, and how to compare what they draw and where they end."""

import functools
import inspect

import numpy

import npx as np

#: arguments that suit a parameter in every method that has one of this name
BY_PARAMETER = {
    "loc": 1.5,
    "scale": 2.0,
    "shape": 2.5,
    "mean": 0.5,
    "sigma": 0.7,
    "mu": 0.3,
    "kappa": 2.0,
    "a": 3.0,
    "b": 2.0,
    "p": 0.4,
    "n": 6,
    "lam": 4.0,
    "df": 5.0,
    "dfnum": 4.0,
    "dfden": 7.0,
    "nonc": 1.5,
    "left": -1.0,
    "mode": 0.5,
    "right": 2.0,
    "ngood": 9,
    "nbad": 8,
    "nsample": 5,
    "low": -3,
    "high": 11,
    "length": 7,
    "n_children": 2,
    "colors": [4, 5, 6],
    "alpha": [0.7, 1.2, 2.0],
    "pvals": [0.2, 0.5, 0.3],
    "x": 6,
}

#: method -> further arguments, or what replaces those above
BY_METHOD = {
    "multivariate_normal": {"mean": [0.5, -1.0], "cov": [[2.0, 0.3], [0.3, 1.0]]},
    "choice": {"a": [3.0, 1.0, 4.0, 1.5, 9.0]},
    "shuffle": {"x": numpy.arange(12.0).reshape(6, 2)},
    "permuted": {"x": numpy.arange(12.0).reshape(6, 2)},
    "permutation": {"x": numpy.arange(12.0).reshape(6, 2)},
}

#: method, or class and method -> more calls of it, by keyword
MORE = {
    "random": [{"size": 5, "dtype": numpy.float32}],
    "standard_normal": [{"size": 5, "dtype": numpy.float32}],
    "standard_exponential": [{"size": 5, "dtype": numpy.float32, "method": "inv"}],
    "standard_gamma": [{"shape": 0.5, "size": 4, "dtype": numpy.float32}, {"shape": [0.5, 2.0, 7.0]}],
    "integers": [
        {"low": 2, "high": 7, "size": 9, "dtype": numpy.uint8},
        {"low": [1, 2, 3], "high": [[4], [9]]},
        {"low": 0, "high": 5, "size": 3, "endpoint": True},
    ],
    "choice": [
        {"a": 7, "size": (2, 2)},
        {"a": 7, "size": 4, "replace": False},
        {"a": ["x", "y", "z"], "size": 4, "p": [0.1, 0.6, 0.3]},
        {"a": 7},
    ],
    "permutation": [{"x": 6}, {"x": [3, 1, 2]}],
    "normal": [{"loc": [1.0, 2.0, 3.0], "scale": [[1.0], [2.0]]}],
    "Generator.multinomial": [{"n": [4, 9], "pvals": [0.2, 0.5, 0.3]}],
    "multivariate_normal": [{"mean": [0.5, -1.0], "cov": [[2.0, 0.3], [0.3, 1.0]], "size": 3, "method": "cholesky"}],
}

#: what changes a generator and draws nothing; `test_random` has tests of their own for these
NOT_DRAWING = {"get_state", "set_state", "seed", "spawn"}

CLASSES = (numpy.random.Generator, numpy.random.RandomState)


def public_methods(cls):
    return [name for name in dir(cls) if not name.startswith("_") and inspect.isroutine(getattr(cls, name))]


@functools.cache
def parameters(cls, name):
    return inspect.signature(getattr(cls, name)).parameters


def calls(cls, name):
    """Keyword arguments of the sample calls of a method (a tuple of positional ones where it takes no others)."""
    known = parameters(cls, name)
    if any(p.kind is p.VAR_POSITIONAL for p in known.values()):
        return [(), (3,), (2, 2)]
    given = {**BY_PARAMETER, **BY_METHOD.get(name, {})}
    base = {key: given[key] for key in known if key in given and not (name == "choice" and key == "p")}
    found = [base]
    if "size" in known:
        found += [{**base, "size": 5}, {**base, "size": (2, 3)}]
    more = [*MORE.get(name, ()), *MORE.get(f"{cls.__name__}.{name}", ())]
    return found + [call for call in more if call.keys() <= known.keys()]


def every_call():
    """``(class, method, arguments)`` for all sample calls."""
    return [
        (cls, name, call)
        for cls in CLASSES
        for name in public_methods(cls)
        if name not in NOT_DRAWING
        for call in calls(cls, name)
    ]


def label(value):
    """A name for a part of a sample call."""
    return value.__name__ if isinstance(value, type) else value if isinstance(value, str) else None


def make(module, cls, seed=5, bit_generator=None):
    """A generator of a class, by the names of `numpy` or `npx`."""
    if cls is numpy.random.RandomState:
        return module.random.RandomState(seed)
    return module.random.Generator(getattr(module.random, bit_generator or "PCG64")(seed))


def state(generator):
    if isinstance(generator, numpy.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def same_state(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(value, b[key]) for key, value in a.items())
    return numpy.array_equal(a, b)


def draw(generator, name, call, array=numpy.asarray):
    """The result of a sample call, or what it wrote; lists and NumPy arrays are given as arrays of a kind."""
    if isinstance(call, tuple):
        return getattr(generator, name)(*call)
    given = {key: array(value) if isinstance(value, (list, numpy.ndarray)) else value for key, value in call.items()}
    if name == "shuffle":
        given["x"] = given["x"].copy()
        x = given.pop("x")
        assert getattr(generator, name)(x, **given) is None
        return x
    return getattr(generator, name)(**given)


def assert_same(mine, numpys):
    """The same values, dtype and kind of object: NumPy's scalars, and npx arrays for NumPy's."""
    if isinstance(numpys, numpy.ndarray):
        assert type(mine) is np.ndarray
        assert mine.dtype == numpys.dtype
        numpy.testing.assert_array_equal(numpy.asarray(mine), numpys)
    else:
        assert type(mine) is type(numpys)
        assert mine == numpys
