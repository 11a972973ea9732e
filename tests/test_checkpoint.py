"""`checkpoint` and `checkpoint_loop`: gradients of functions that run again, with little memory."""

import functools
import tracemalloc
import weakref

import numpy
import pytest

import npx as np
from npx.transforms.treeverse import default_snapshots, marks, reversed_steps

X = np.array([0.5, -1.0, 2.0])


def close(got, want):
    numpy.testing.assert_allclose(numpy.asarray(got), numpy.asarray(want), rtol=1e-12)


def same_with_and_without(loss, *args, **kwargs):
    """The gradients of ``loss(transform, *args)`` with a checkpoint and without, and of second order."""
    for order in (1, 2):

        def derivative(transform, order=order):
            f = functools.partial(loss, transform)
            return np.grad(f) if order == 1 else np.grad(lambda *a: (np.grad(f)(*a) ** 2).sum())

        close(derivative(np.checkpoint)(*args, **kwargs), derivative(lambda f: f)(*args, **kwargs))


# ------------------------------------------------------------------------------------------------ writes, closures
def test_writes_into_arguments():
    def loss(transform, x):
        @transform
        def f(y, z):
            y[0] *= z[1]
            z[:] = np.sin(y)
            return (y * z).sum()

        y, z = x * 2, np.ones(3)
        out = f(y, z)
        return out + (y**2 * z).sum()

    same_with_and_without(loss, X)


def test_writes_into_arrays_from_outside():
    def loss(transform, x):
        traced, plain, count = x * 2, np.ones(3), np.zeros(1, int)

        @transform
        def f(y):
            view = traced[1:]
            view *= y[0]
            plain[0] = y[1] * plain[2]
            count[0] += 1
            return (y * traced * plain).sum()

        out = f(x) + f(np.cos(x))
        assert count[0] == 2
        return out + (traced * plain).sum()

    same_with_and_without(loss, X)


def test_what_is_closed_over_is_as_it_was():
    def loss(transform, x):
        scale, weights = np.full(3, 2.0), np.exp(x)
        f = transform(lambda y: (np.sin(y) * scale * weights).sum())
        out = f(x)
        scale[:] = 100
        weights[:] = 100
        return out

    same_with_and_without(loss, X)
    w = np.array(X)
    close(np.grad(lambda w: np.checkpoint(lambda: (w**3).sum())())(w), 3 * X**2)


def test_values_of_closures_are_not_kept():
    inner = []

    def loss(w):
        @np.checkpoint
        def f():
            y = np.sin(w)
            inner.append(weakref.ref(y))
            return (y * y).sum()

        out = f()
        assert inner[-1]() is None
        return out

    close(np.grad(loss)(X), numpy.sin(2 * X))


def test_nested_with_draws_and_trees():
    def loss(transform, x, seed=0):
        rng = np.random.default_rng(seed)

        @transform
        def inner(p, label):
            noise = rng.normal(size=3)
            return {"y": np.sin(p["y"]) * noise, "z": p["y"].sum()}, label

        @transform
        def outer(p):
            p, label = inner(p, "name")
            assert label == "name"
            return (p["y"] * rng.random() * p["z"]).sum()

        return outer({"y": x}) + rng.random()

    same_with_and_without(loss, X)


@pytest.mark.parametrize("transform", [np.jit, lambda f: np.vmap(f)])
def test_under_other_transforms(transform):
    w = np.array([1.0, 2.0, 3.0])

    def loss(x):
        buffer = np.zeros(3)

        @np.checkpoint
        def f(y):
            buffer[1:] = y[:-1] * w[1:]
            return np.sin(y * w).sum()

        return f(x) + (buffer * x).sum()

    x = numpy.stack([X, X + 1])
    if transform is np.jit:
        close(np.jit(np.grad(loss))(X), np.grad(loss)(X))
    else:
        close(np.vmap(np.grad(loss))(x), numpy.stack([np.grad(loss)(row) for row in x]))
    close(np.jvp(loss, (X,), (X,))[1], np.grad(loss)(X) @ X)


# ------------------------------------------------------------------------------------------------ loops
def plain_loop(body, state, steps, snapshots=None):
    for i in range(steps):
        state = body(i, state)
    return state


@pytest.mark.parametrize("snapshots", [None, 1, 3, 100])
def test_a_loop_has_the_gradient_of_the_loop(snapshots):
    w = np.array([0.1, 0.2, 0.3])

    def loss(loop, x, w):
        rng = np.random.default_rng(1)

        def body(i, state):
            p, q = state["pq"]
            p[0] += 0.01 * i * q[1]
            q = 0.5 * q - w * np.sin(p) * (1 + 0.1 * rng.random())
            return {"pq": (p, q), "n": state["n"] + 1}

        end = loop(body, {"pq": (x * 1, np.cos(x)), "n": 0}, 23, snapshots=snapshots)
        assert end["n"] == 23
        return (end["pq"][0] * end["pq"][1]).sum()

    for argnums in (1, 2):
        want = np.grad(loss, argnums)(plain_loop, X, w)
        close(np.grad(loss, argnums)(np.checkpoint_loop, X, w), want)
        squared = lambda loop, *a, n=argnums: (np.grad(loss, n)(loop, *a) ** 2).sum()
        close(np.grad(squared, argnums)(np.checkpoint_loop, X, w), np.grad(squared, argnums)(plain_loop, X, w))
    close(loss(np.checkpoint_loop, X, w), loss(plain_loop, X, w))


def test_a_pullback_of_a_loop_can_be_called_again():
    _, pull = np.vjp(lambda x: np.checkpoint_loop(lambda i, y: y * np.cos(y), x, 30), X)
    close(pull(np.ones(3))[0], pull(np.ones(3))[0])


def test_loops_under_other_transforms():
    w = np.array([1.0, 0.5, 0.2])

    def loss(x):
        return np.checkpoint_loop(lambda i, y: np.sin(y * w) + 0.01 * i, x, 9).sum()

    want = np.grad(loss)(X)
    close(np.jit(np.grad(loss))(X), want)
    close(np.grad(np.jit(loss))(X), want)
    close(np.jvp(loss, (X,), (X,))[1], want @ X)
    close(np.vmap(np.grad(loss))(numpy.stack([X, 2 * X])), numpy.stack([want, np.grad(loss)(2 * X)]))
    close(np.hessian(loss)(X), np.jacfwd(np.grad(loss))(X))


def test_few_states_are_in_memory():
    n, size, steps = 500, 20_000, 0

    def body(i, y):
        nonlocal steps
        steps += 1
        return np.sin(y) + 0.01 * y

    x = numpy.linspace(0, 1, size)
    want = np.grad(lambda x: plain_loop(body, x, n).sum())(x[:10])
    steps = 0
    tracemalloc.start()
    try:
        got = np.grad(lambda x: np.checkpoint_loop(body, x, n).sum())(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    close(got[:10], want)
    assert steps < 6 * n
    assert peak < (default_snapshots(n) + 20) * x.nbytes < n * x.nbytes / 10


@pytest.mark.parametrize("snapshots", [1, 2, 3, 5, 8])
def test_as_few_steps_run_again_as_can(snapshots):
    @functools.cache
    def fewest(steps, s):
        if steps == 1:
            return 0
        if s == 1:
            return steps * (steps - 1) // 2
        return min(m + fewest(steps - m, s - 1) + fewest(m, s) for m in range(1, steps))

    for steps in range(1, 40):
        kept = {i: i for i in marks(steps, snapshots)}
        advanced, order, most = max(kept), [], len(kept)

        def advance(first, last, state):
            nonlocal advanced
            assert state == first
            advanced += last - first
            return last

        for i, state in reversed_steps(steps, snapshots, kept, advance):
            assert i == state
            order.append(i)
            most = max(most, len(kept))
        assert order == list(range(steps))[::-1]
        assert advanced == fewest(steps, snapshots) and most <= snapshots


def test_bad_loops_are_refused():
    outside = np.zeros(3)

    def writes(i, y):
        outside[:] = y
        return y

    def run(body, **kwargs):
        return np.grad(lambda x: np.checkpoint_loop(body, x, 3, **kwargs).sum())(X)

    with pytest.raises(TypeError, match="part of the state"):
        run(writes)
    with pytest.raises(TypeError, match="structure"):
        run(lambda i, y: (y, y))
    with pytest.raises(ValueError, match="shapes"):
        run(lambda i, y: y[1:])
    with pytest.raises(ValueError, match="snapshots"):
        run(lambda i, y: y, snapshots=0)
    with pytest.raises(TypeError, match="function"):
        np.checkpoint_loop(3, X, 2)
    close(outside, numpy.zeros(3))
