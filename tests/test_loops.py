"""Gradients through loops of any length and through branches, eager and compiled."""

import numpy
import pytest

import npx as np


# ------------------------------------------------------------------------------------------------ eager
def chain(x, steps):
    y = x
    for _ in range(steps):
        y = y * 0.999999 + 1e-3
    return y


def updates(x, steps):
    y = np.ones(4) * x
    for k in range(steps):
        y[k % 4] *= 0.999999
    return y.sum()


@pytest.mark.parametrize("fun", [chain, updates])
def test_a_long_tape(fun):
    """Neither the walk back nor the end of a tape of 100,000 steps recurses."""
    steps = 100_000
    value, pull = np.vjp(lambda x: fun(x, steps), 1.5)
    numpy.testing.assert_allclose(pull(1.0)[0], 0.999999**steps if fun is chain else 4 * 0.999999 ** (steps / 4))
    del value, pull


@pytest.mark.slow
def test_a_very_long_tape():
    steps = 1_000_000
    numpy.testing.assert_allclose(np.grad(lambda x: chain(x, steps))(1.5), 0.999999**steps)
