"""Derivatives against finite differences: `check_grads`."""

import numpy

from npx.dispatch.payloads import is_inexact

from . import tree
from .forward import jvp
from .grad import vjp

MODES = ("fwd", "rev")


def check_grads(f, args, order=2, modes=MODES, atol=None, rtol=None, eps=None, seed=0):
    """Check the derivatives of a function, up to `order`, against central differences in random directions.

    Parameters
    ----------
    f : callable
        Takes and returns pytrees of arrays. It may write into its arguments, which are copies.
    args : tuple
        Where to check.
    order : int
        Highest order of the derivatives.
    modes : str or sequence of str
        Of "fwd" (`npx.jvp`) and "rev" (`npx.vjp`); higher orders take every combination.
    atol, rtol : float, optional
        Tolerances, as in `numpy.testing.assert_allclose`; by default according to the least precise dtype.
    eps : float, optional
        Step of the differences; by default the cube root of the machine precision.
    seed : int
        Of the random directions.

    Raises
    ------
    AssertionError
        They disagree; the message says which derivative.
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or not set(modes) <= set(MODES):
        raise ValueError(f"modes must be of {MODES}, got {modes}")
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    args = tree.map_leaves(numpy.asarray, tuple(args))
    precision = max((_precision(a.dtype) for a in tree.leaves(args) if is_inexact(a.dtype)), default=None)
    if precision is None:
        raise TypeError("check_grads needs a floating point argument")
    eps = precision ** (1 / 3) if eps is None else eps
    tolerance = 30 * precision ** (1 / 2)
    tolerances = {"atol": tolerance if atol is None else atol, "rtol": tolerance if rtol is None else rtol}
    _Check(numpy.random.default_rng(seed), eps, tolerances, modes).run(f, args, order, "")


def _precision(dtype):
    if dtype.kind == "c":
        dtype = numpy.dtype(dtype.char.lower())
    if dtype.kind == "f":
        return float(numpy.finfo(dtype).eps)
    return 2.0**-7  # bfloat16, the most precise of the small types


class _Check:
    def __init__(self, rng, eps, tolerances, modes):
        self.rng, self.eps, self.tolerances, self.modes = rng, eps, tolerances, modes

    def run(self, f, args, order, outer):
        """Check the first derivatives of `f`, which is itself the derivative `outer`, and then its further ones."""
        tangents = tree.map_leaves(self._direction, args)
        differences = self._difference(f, args, tangents)
        for mode in self.modes:
            name = f"{mode} of {outer}" if outer else mode
            if mode == "fwd":
                pushed = jvp(f, _copy(args), tangents)[1]
                self._compare(pushed, differences, f"the tangents ({name})")
            else:
                value, pullback = vjp(f, *_copy(args))
                weights = tree.map_leaves(self._direction, tree.map_leaves(numpy.asarray, value))
                found = _inner(pullback(weights), tangents)
                self._compare(found, _inner(weights, differences), f"the cotangents ({name})")
            if order > 1:
                derived = _pushed(f, tangents) if mode == "fwd" else _pulled(f, weights)
                self.run(derived, args, order - 1, name)

    def _direction(self, a):
        """A random array like `a`; zero for integers."""
        if not is_inexact(a.dtype):
            return numpy.zeros(a.shape, a.dtype)
        parts = [self.rng.standard_normal(a.shape) for _ in range(2 if a.dtype.kind == "c" else 1)]
        return numpy.asarray(parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]).astype(a.dtype)

    def _difference(self, f, args, tangents):
        def moved(step):
            return f(*tree.map_leaves(lambda a, t: a + (step * t).astype(a.dtype), args, tangents))

        def quotient(ahead, behind):
            ahead, behind = numpy.asarray(ahead), numpy.asarray(behind)
            if not is_inexact(ahead.dtype):
                return numpy.zeros(ahead.shape, ahead.dtype)
            return (ahead - behind) / numpy.asarray(2 * self.eps, ahead.real.dtype)

        return tree.map_leaves(quotient, moved(self.eps), moved(-self.eps))

    def _compare(self, found, expected, what):
        for a, b in zip(tree.leaves(found), tree.leaves(expected), strict=True):
            numpy.testing.assert_allclose(
                numpy.asarray(a), numpy.asarray(b), **self.tolerances, err_msg=f"{what} differ from finite differences"
            )


def _copy(args):
    return tree.map_leaves(lambda a: numpy.array(a, copy=True), args)


def _inner(cotangents, tangents):
    """The pairing of cotangents and tangents: the real part of the sum of products."""
    pairs = zip(tree.leaves(cotangents), tree.leaves(tangents), strict=True)
    return sum(float(numpy.sum(numpy.asarray(c) * numpy.asarray(t)).real) for c, t in pairs)


def _pushed(f, tangents):
    """The directional derivative of `f` as a function of its arguments."""
    return lambda *args: jvp(f, args, tangents)[1]


def _pulled(f, weights):
    """The gradient of a weighted sum of the results of `f` as a function of its arguments."""
    return lambda *args: vjp(f, *args)[1](weights)
