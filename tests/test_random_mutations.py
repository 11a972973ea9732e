"""Random sequences of writes through random views of one buffer, under every transform.

NumPy is the oracle for values, a loop for `vmap`, finite differences for derivatives. Hypothesis shortens what fails.
"""

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import npx as np
from npx.testing import check_grads

X = numpy.array([0.6, -1.2, 1.7, 0.9])
ROWS = numpy.stack([X, X[::-1] * 1.1, X * 0.5])
SIZES = {"small": (3, 4), "large": (30, 20)}  # of the large one memory is reused

# ---------------------------------------------------------------------------------------------- views
VIEWS = [
    lambda np, a: a[1:],
    lambda np, a: a[::-1],
    lambda np, a: a[..., ::2],
    lambda np, a: a[..., None],
    lambda np, a: a.T,
    lambda np, a: a.swapaxes(0, -1),
    lambda np, a: a.reshape(-1),
    lambda np, a: a.ravel()[1:-1],
    lambda np, a: np.moveaxis(a, 0, -1),
    lambda np, a: a[0] if a.ndim > 1 else a[:1],
    lambda np, a: np.squeeze(a[..., :1], -1) if a.ndim > 1 else a[2:],
    lambda np, a: np.flip(a, 0),
    lambda np, a: np.einsum("i...->i...", a) if a.ndim > 1 else a,
]


# ---------------------------------------------------------------------------------------------- values
def row(np, x, shape):
    """Numbers that depend on `x`, of the length of the last axis."""
    return np.resize(np.sin(x), shape[-1:])


VALUES = [
    lambda np, x, a: 0.5,
    lambda np, x, a: x[1],
    lambda np, x, a: x[0] * a.reshape(-1)[0],
    lambda np, x, a: row(np, x, a.shape),
    lambda np, x, a: row(np, x, a.shape) * np.cos(a),
    lambda np, x, a: a[::-1],
    lambda np, x, a: np.tanh(a) + x[2],
]


# ---------------------------------------------------------------------------------------------- writes
def assign(np, a, v):
    a[...] = v


def assign_part(np, a, v):
    a[:2] = (v + 0 * a)[:2]


def add(np, a, v):
    a += v


def multiply_part(np, a, v):
    a[..., 1:] *= 0.5 + (0.1 * v + 0 * a)[..., 1:]


def places(np, a, v):
    a[[0, -1, 0]] = (v + 0 * a)[[0, -1, 0]]


def places_augmented(np, a, v):
    a[[-1, 0, -1]] += (v + 0 * a)[[0, 0, -1]] * 0.5


def add_at(np, a, v):
    np.add.at(a, [0, 0, -1], 0.3 * (v + 0 * a)[[0, -1, 0]])


def mask(np, a, v):
    a[a > 0.9] *= 0.25


def mask_assigned(np, a, v):
    a[np.arange(a.shape[0]) % 2 == 0] = v if np.ndim(v) == 0 else 0.75


def out(np, a, v):
    np.multiply(np.cos(a), v, out=a)


def out_where(np, a, v):
    np.add(a, 0.2 * v, out=a, where=np.arange(a.shape[-1]) % 2 == 1)


def flat(np, a, v):
    a.flat[1::3] = np.cos(v) if np.ndim(v) == 0 else 0.4


def overlap(np, a, v):
    a[1:] += 0.5 * a[:-1]


def swap(np, a, v):
    a[0], a[-1] = np.copy(a[-1]), np.copy(a[0])


def copyto(np, a, v):
    np.copyto(a[..., :1], np.sin(a[..., :1] + (v + 0 * a)[..., :1]))


WRITES = [assign, assign_part, add, multiply_part, places, places_augmented, add_at, mask, mask_assigned]
WRITES += [out, out_where, flat, overlap, swap, copyto]

STEPS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(range(len(VIEWS))), max_size=3),
        st.booleans(),  # whether the view is kept, and looked at in the end
        st.sampled_from(range(len(VALUES))),
        st.sampled_from(WRITES),
    ),
    min_size=1,
    max_size=6,
)


def program(steps, shape, early):
    """A function of a module and an array of four numbers that makes these steps.

    With `early` the views are taken while the buffer is a constant still.
    """

    def run(np, x):
        buffer = np.arange(numpy.prod(shape)).reshape(shape) % 7 * 0.1
        if not early:
            buffer = buffer * x[0]
        chosen = []
        for views, *_ in steps:
            a = buffer
            for k in views:
                seen = VIEWS[k](np, a)
                a = seen if seen.size and seen.ndim else a
            chosen.append(a)
        total, kept = np.sin(buffer), []
        for a, (_, keep, value, write) in zip(chosen, steps):
            write(np, a, VALUES[value](np, x, a))
            total = total + buffer * x[3]
            if keep:
                kept.append(a)
        return (total, buffer, *(k * 1.0 for k in kept))

    return run


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(numpy.asarray(a), b, rtol=1e-9, atol=1e-9)


def programs(examples):
    def decorate(test):
        test = given(steps=STEPS, size=st.sampled_from(sorted(SIZES)), early=st.booleans())(test)
        return settings(
            max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )(test)

    return decorate


@programs(60)
def test_values(steps, size, early):
    run = program(steps, SIZES[size], early)
    expected = run(numpy, X)

    def f(x):
        return run(np, np.asarray(x))

    assert_equal(f(np.array(X)), expected)
    assert_equal(np.vjp(f, X)[0], expected)
    assert_equal(np.jvp(f, (X,), (X,))[0], expected)
    by_row = [run(numpy, row) for row in ROWS]
    assert_equal(np.vmap(f)(ROWS), [numpy.stack(parts) for parts in zip(*by_row)])


@programs(40)
def test_derivatives(steps, size, early):
    run = program(steps, SIZES[size], early)

    def f(x):
        return tuple(part.sum(axis=0) for part in run(np, np.asarray(x)))

    try:
        check_grads(f, (X,), order=1)
    except AssertionError:  # an element on the edge of a mask; there is none at another place nearby
        check_grads(f, (X + 0.01234,), order=1)

    def loss(x):
        return sum((part * part).sum() for part in f(x))

    assert_equal([np.vmap(np.grad(loss))(ROWS)], [numpy.stack([np.grad(loss)(row) for row in ROWS])])
    assert_equal([np.grad(lambda rows: np.vmap(loss)(rows).sum())(ROWS)], [np.vmap(np.grad(loss))(ROWS)])


@pytest.mark.slow
@programs(40)
def test_second_derivatives(steps, size, early):
    run = program(steps, SIZES["small"], early)

    def loss(x):
        return sum((part * part).sum() for part in run(np, np.asarray(x)))

    try:
        check_grads(loss, (X,), order=2)
    except AssertionError:
        check_grads(loss, (X + 0.01234,), order=2)


@programs(12)
def test_jit(steps, size, early):
    run = program(steps, SIZES[size], early)
    f = np.jit(lambda x: run(np, x))
    for x in (X, X * 1.1, X):
        assert_equal(f(np.array(x)), run(numpy, x))
