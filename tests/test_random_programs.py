"""Random programs of reads, writes and views, under every transform, against NumPy and finite differences.

A failure names its seed: ``program(seed)`` is the same program every time.
"""

import random

import numpy
import pytest

import npx as np
from npx.testing import check_grads

X = numpy.array([0.6, -1.2, 1.7, 0.9])
SEEDS = range(60)


def program(seed):
    """A function of a module, an array of four numbers and two buffers; it returns three arrays."""

    def f(np, x, buffers):
        rng = random.Random(seed)
        arrays = [x * 1.0, *buffers]
        for _ in range(rng.randint(4, 14)):
            step(np, rng, arrays)
        return tuple(a * 1.0 for a in arrays if a.ndim)[-3:]

    return f


def buffers(np):
    return np.zeros((3, 4)), np.ones(12)


def pure(seed):
    """The program with buffers of its own, for npx."""
    return lambda x: program(seed)(np, x, buffers(np))


def random_index(rng, shape):
    index = []
    for n in shape:
        kind = rng.choices(["all", "range", "step", "one", "list"], [35, 25, 15, 15, 10])[0]
        if kind == "range":
            index.append(slice(*sorted((rng.randrange(n + 1), rng.randrange(n + 1)))))
        elif kind == "step":
            index.append(slice(None, None, rng.choice([2, -1, -2])))
        elif kind == "one" and n:
            index.append(rng.randrange(n))
        elif kind == "list" and n and not any(isinstance(i, list) for i in index):
            index.append([rng.randrange(n) for _ in range(2)])
        else:
            index.append(slice(None))
    return tuple(index)


def value_for(np, rng, arrays, shape):
    """Something that broadcasts to `shape`, computed from one of the arrays."""
    a = rng.choice(arrays)
    size = int(numpy.prod(shape))
    if not shape or rng.random() < 0.4:
        return np.sum(a) * 0.1
    flat = np.sin(a).reshape(-1)
    return flat[:size].reshape(shape) * 1.1 if flat.shape[0] >= size > 0 else np.cos(np.sum(a))


def step(np, rng, arrays):
    a = rng.choice(arrays)
    if not a.ndim:
        return
    index = random_index(rng, a.shape)
    kind = rng.choices(
        ["view", "transpose", "reshape", "assign", "augment part", "augment", "out", "where", "mask", "concatenate"],
        [15, 5, 7, 23, 15, 10, 11, 6, 4, 4],
    )[0]
    if kind == "view":
        arrays.append(a[index])
    elif kind == "transpose":
        arrays.append(a.T)
    elif kind == "reshape":
        arrays.append(a.reshape(-1))
    elif kind == "assign":
        a[index] = value_for(np, rng, arrays, a[index].shape)
    elif kind == "augment part":
        value = value_for(np, rng, arrays, a[index].shape)
        how = rng.choice("+-*/")
        if how == "+":
            a[index] += value
        elif how == "-":
            a[index] -= value
        elif how == "*":
            a[index] *= value
        else:
            a[index] /= value * value + 2
    elif kind == "augment":
        if rng.random() < 0.5:
            a += value_for(np, rng, arrays, a.shape)
        else:
            a *= value_for(np, rng, arrays, a.shape)
    elif kind == "out":
        if rng.random() < 0.5:
            np.tanh(a, out=a)
        else:
            np.multiply(a, value_for(np, rng, arrays, a.shape), out=a)
    elif kind == "where":
        arrays.append(np.where(a > 0.3, a, a * a))
    elif kind == "mask":
        a[a > 1.5] = 0.5
    else:
        arrays.append(np.concatenate([a.reshape(-1), rng.choice(arrays).reshape(-1)])[: rng.randint(1, 12)])


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(numpy.asarray(a), numpy.asarray(b), rtol=1e-9, atol=1e-9)


def twice(f):
    def run(x):
        f(x)
        return f(x)

    return run


@pytest.mark.parametrize("seed", SEEDS)
def test_every_transform_gives_numpys_values(seed):
    f, expected = pure(seed), program(seed)(numpy, X.copy(), buffers(numpy))
    assert_equal(f(np.array(X)), expected)
    assert_equal(np.vjp(f, X)[0], expected)
    assert_equal(np.jvp(f, (X,), (X,))[0], expected)
    assert_equal([part[1] for part in np.vmap(f)(numpy.stack([X * 2, X]))], expected)
    assert_equal(twice(np.jit(f))(np.array(X)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_agree(seed):
    f = pure(seed)
    assert_equal(np.jacfwd(f)(X), np.jacrev(f)(X))
    try:
        check_grads(f, (X,), order=1)
    except AssertionError:  # a kink of `where` or of a mask: there is none at another place nearby
        check_grads(f, (X + 0.01234,), order=1)


@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap", "hessian", "jit"])
@pytest.mark.parametrize("seed", SEEDS)
def test_buffers_from_outside_end_as_in_numpy(seed, transform):
    ours, theirs = buffers(np), buffers(numpy)
    memory = [numpy.asarray(b) for b in ours]
    program(seed)(numpy, X.copy(), theirs)

    def f(x):
        return sum(np.sum(part) for part in program(seed)(np, x, ours))

    if transform == "grad":
        np.grad(f)(X)
    elif transform == "jvp":
        np.jvp(f, (X,), (X,))
    elif transform == "vmap":
        np.vmap(f)(X[None])
    elif transform == "hessian":
        np.hessian(f)(X)
    else:
        np.jit(f)(X)
    assert_equal(ours, theirs)
    assert_equal(memory, theirs)
