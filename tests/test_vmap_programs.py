"""Random programs with branches, loops and writes: `vmap` and its combinations against loops over the elements."""

import random

import numpy
import pytest

import npx as np

SEEDS = range(40)


# ---------------------------------------------------------------------------------------------------------- the steps
def branch(s):
    if s.y[s.i] > s.t - 0.3:
        s.y = s.y * 1.5 - s.t
        s.view = s.y[::2]
    else:
        s.y[s.i] -= s.t


def loop(s):
    steps = 0
    while s.y[s.i] < s.t and steps < 6:
        s.y[s.i] += 0.31
        steps += 1


def place_by_value(s):
    s.y[int(abs(s.y[s.i]) * 3) % 4] = s.t


def write(s):
    s.y[s.i :] += s.x[s.i] * s.t


def mask(s):
    s.y[s.y > s.t] -= 0.5


def total(s):
    if s.y.sum() > 0:
        s.y[0] = s.y.sum()


def outside(s):
    s.buffer[s.i] += s.y[s.i] if s.y[0] > s.t else 1.0
    s.y = s.y + s.buffer


def length(s):
    s.y[0] = len(s.y[s.y > s.t])


def swap(s):
    s.y[0], s.y[s.i] = s.y[s.i], s.y[0]


def order(s):
    if s.y[0] > s.y[-1]:
        s.y = s.np.sort(s.y)
        s.view = s.y[:2]


def through_view(s):
    s.view *= s.t


def counted_loop(s):
    for k in range(int(s.y[s.i] > s.t) + 1):
        s.view[...] = s.view * 0.5 + k


def greatest(s):
    s.y[s.i] = max(s.y[0], s.y[1], s.t)


STEPS = (
    *(branch, loop, place_by_value, write, mask, total, outside, length, swap, order, through_view),
    *(counted_loop, greatest),
)


class State:
    """The variables of a run."""

    def __init__(self, np, x, buffer):
        self.np, self.x, self.buffer = np, x, buffer
        self.y = x * 1.0
        self.view = self.y[1:3]


class Program:
    """A random sequence of steps, and arrays to run it on."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.steps = [(rng.choice(STEPS), rng.random(), rng.randint(0, 3)) for _ in range(rng.randint(3, 9))]
        self.rows = numpy.random.default_rng(seed).normal(size=(2, 5, 4))
        self.buffer = np.zeros(4)

    def run(self, np, x, buffer):
        state = State(np, x, buffer)
        for step, state.t, state.i in self.steps:
            step(state)
        return state.y

    def __call__(self, x):
        return self.run(np, x, self.buffer)

    def of_numpy(self, rows):
        """The results for each row, and the buffer that the last one leaves."""
        outs = []
        for row in rows:
            buffer = numpy.zeros(4)
            outs.append(self.run(numpy, row.copy(), buffer))
        return numpy.stack(outs), buffer

    def gradients(self, rows):
        """The gradient for each row by itself."""
        found = []
        for row in rows:
            self.buffer[:] = 0
            found.append(numpy.asarray(np.grad(lambda x: self(x).sum())(np.array(row))))
        return numpy.stack(found)


def close(found, expected):
    numpy.testing.assert_allclose(numpy.asarray(found), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_values_and_what_is_left_outside(seed):
    program = Program(seed)
    expected, left = program.of_numpy(program.rows[0])
    for mapped in (np.vmap(program), np.jit(np.vmap(program)), np.vmap(np.jit(program))):
        program.buffer[:] = 0
        close(mapped(program.rows[0]), expected)
        close(program.buffer, left)
    program.buffer[:] = 0
    close(np.vmap(np.vmap(program))(program.rows), numpy.stack([program.of_numpy(rows)[0] for rows in program.rows]))


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients(seed):
    program = Program(seed)
    rows = program.rows[0]
    expected = program.gradients(rows)

    def loss(x):
        return program(x).sum()

    for gradient in (
        np.vmap(np.grad(loss)),
        np.vmap(np.grad(np.checkpoint(loss))),
        np.vmap(np.jacfwd(loss)),
        np.grad(lambda x: np.vmap(program)(x).sum()),
    ):
        program.buffer[:] = 0
        close(gradient(rows), expected)
