"""Sample calls of NumPy's public functions, as functions of the arrays among their arguments."""

import contextlib
import importlib
import io
import warnings
from typing import NamedTuple

import numpy

from npx.transforms import tree

from .samples import FIRST, INSTEAD, USUAL, Draw
from .spellings import SPELLINGS

#: the modules whose functions are called
MODULES = (
    "numpy",
    "numpy.linalg",
    "numpy.fft",
    "numpy.lib.scimath",
    "numpy.polynomial.polynomial",
    "numpy.polynomial.chebyshev",
)

#: the other families of polynomials, with functions of the same forms
MORE_POLYNOMIALS = tuple(f"numpy.polynomial.{name}" for name in "hermite hermite_e laguerre legendre polyutils".split())

#: of the values that each call is made with
SEEDS = (0, 1, 2)

#: calls that are kept of those that NumPy accepts
MOST_CALLS = 6


class Sample:
    """One call of one function.

    Parameters
    ----------
    module, name : str
        Where the function is found; npx has it under the same name.
    make : callable
        ``make(Draw) -> (args, kwargs)``.

    Attributes
    ----------
    writes : bool
        Whether the function writes into an argument.
    """

    def __init__(self, module, name, make):
        self.module, self.name, self.make = module, name, make
        before, after = self.draw(0)[0], self.draw(0)
        self._call(numpy, *after)
        self.writes = any(a.tobytes() != b.tobytes() for a, b in zip(after[0], before))

    def __str__(self):
        arrays, rebuild = self.draw(0)
        args, kwargs = rebuild([f"{a.dtype.char}{list(a.shape)}" for a in arrays])
        shown = [str(a) for a in args] + [f"{k}={v}" for k, v in kwargs.items()]
        return f"{self.module}.{self.name}({', '.join(shown)})".replace("'", "")

    def draw(self, seed):
        """Arrays, and the function that builds the arguments from them."""
        leaves, structure = tree.flatten(self.make(Draw(seed)))
        places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, numpy.ndarray)]

        def rebuild(arrays):
            filled = list(leaves)
            for k, array in zip(places, arrays, strict=True):
                filled[k] = array
            return structure.unflatten(filled)

        return [leaves[k] for k in places], rebuild

    def on(self, np):
        """The call as a function of its arrays, in NumPy or npx. What it writes into are copies, returned as well."""
        _, rebuild = self.draw(0)

        def run(*arrays):
            if not self.writes:
                return self._call(np, arrays, rebuild)
            arrays = [a.copy() for a in arrays]
            return self._call(np, arrays, rebuild), arrays

        return run

    def _call(self, np, arrays, rebuild):
        args, kwargs = rebuild(arrays)
        for part in (*self.module.split(".")[1:], self.name):
            np = getattr(np, part)
        return np(*args, **kwargs)


class Function(NamedTuple):
    """A public function and its sample calls; none where it does not compute with arrays."""

    name: str
    samples: list


@contextlib.contextmanager
def quiet():
    """No warnings, and nothing printed."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def public_functions(most=MOST_CALLS, modules=MODULES):
    """Every public function of the modules, once, with at most so many sample calls."""
    found = {}
    for module in modules:
        namespace = importlib.import_module(module)
        for name in sorted(namespace.__all__):
            function = getattr(namespace, name)
            if callable(function) and not isinstance(function, type) and function not in found:
                found[function] = Function(f"{module}.{name}", samples(module, name, function, most))
    return list(found.values())


def samples(module, name, function, most):
    """The first sample calls of a function that NumPy accepts."""
    takes_arrays = isinstance(function, (numpy.ufunc, type(numpy.sum))) or module.startswith("numpy.polynomial")
    usual = USUAL if takes_arrays else ()
    made = (sample(module, name, make) for make in INSTEAD.get(name, FIRST.get(name, ()) + usual))
    return [s for s in made if s is not None][:most]


def spellings(function):
    """The further calls of a public function that NumPy accepts."""
    module, _, name = function.name.rpartition(".")
    made = (sample(module, name, make) for make in SPELLINGS.get(name, ()))
    return [s for s in made if s is not None]


def sample(module, name, make):
    """The sample call, None where NumPy refuses it or it leaves the function's domain."""
    try:
        with quiet():
            made = Sample(module, name, make)
            leaves = tree.leaves([made.on(numpy)(*made.draw(seed)[0]) for seed in SEEDS])
    except Exception:
        return None
    inexact = [leaf for leaf in map(numpy.asarray, leaves) if leaf.dtype.kind in "fc"]
    return None if any(numpy.isnan(leaf).any() for leaf in inexact) and "nan" not in name else made
