"""Sample calls as functions of the floating point arrays among their arguments."""

import numpy

import npx
from npx.transforms import tree

STEP = 1e-6


class Call:
    """A function of the floating point arrays in a sample call, with its results that have derivatives."""

    def __init__(self, sample):
        self.sample = sample
        arrays, _ = sample.draw(0)
        self.places = [k for k, a in enumerate(arrays) if a.dtype.kind in "fc"]

    def __str__(self):
        return str(self.sample)

    def draw(self, seed):
        """Values for the arrays."""
        arrays, _ = self.sample.draw(seed)
        return [arrays[k] for k in self.places]

    def results(self, np):
        """The function, in NumPy or npx, with all that it returns."""
        arrays, _ = self.sample.draw(0)

        def call(*floats):
            filled = list(arrays)
            for k, x in zip(self.places, floats, strict=True):
                filled[k] = x
            return self.sample.on(np)(*filled)

        return call

    def on(self, np):
        """The function, in NumPy or npx."""
        return lambda *floats: floats_of(self.results(np)(*floats))

    def is_smooth(self):
        """Whether it has floating point results, and differences from either side agree: no kink, no jump."""
        arrays = self.draw(0)
        rng = numpy.random.default_rng(0)
        directions = [rng.standard_normal(a.shape) * (1 + 1j if a.dtype.kind == "c" else 1) for a in arrays]
        behind, here, ahead = (
            self.on(numpy)(*(a + step * d for a, d in zip(arrays, directions))) for step in (-STEP, 0.0, STEP)
        )
        return bool(here) and all(
            same_kind(a, b, c) and numpy.allclose(c - b, b - a, rtol=1e-2, atol=1e-3 * STEP)
            for a, b, c in zip(behind, here, ahead, strict=True)
        )


def same_kind(*arrays):
    """Whether all have one shape and dtype."""
    return len({(a.shape, a.dtype) for a in arrays}) == 1


def numbers_of(result):
    """The results that are numbers or truth values."""
    leaves = [x for x in tree.leaves(result) if isinstance(x, (npx.ndarray, numpy.generic, bool, int))]
    return [x for x in leaves if not hasattr(x, "dtype") or x.dtype.kind in "biufc"]


def floats_of(result):
    """The results that have a derivative."""
    return [x for x in numbers_of(result) if hasattr(x, "dtype") and x.dtype.kind in "fc"]
