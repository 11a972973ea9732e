"""The methods and attributes of arrays under each transform, against NumPy's."""

import numpy
import pytest

import npx as np
from npx.no_derivative import why_none
from npx.testing import check_grads

#: method or attribute -> functions that use it, of 3 by 4 floats in (0.1, 0.9)
USES = {
    "T": [lambda x: x.T @ x],
    "all": [lambda x: (x > 0.5).all(), lambda x: (x > 0.5).all(axis=1, keepdims=True)],
    "any": [lambda x: (x > 0.5).any(), lambda x: (x > 0.5).any(axis=0)],
    "argmax": [lambda x: x.argmax(), lambda x: x.argmax(axis=1), lambda x: x.argmax(0, keepdims=True)],
    "argmin": [lambda x: x.argmin(), lambda x: x.argmin(axis=-1)],
    "argpartition": [lambda x: x.argpartition(2, axis=1)[:, 2]],
    "argsort": [lambda x: x.argsort(), lambda x: x.argsort(axis=0, stable=True), lambda x: x.argsort(None)],
    "astype": [lambda x: x.astype(complex) * 1j, lambda x: (9 * x).astype(int), lambda x: x.astype("f4")],
    "choose": [lambda x: (x > 0.5).astype(int).choose([x, -x])],
    "clip": [lambda x: x.clip(0.3, 0.6), lambda x: x.clip(max=x[0])],
    "compress": [lambda x: x.compress([True, False, True], axis=0)],
    "conj": [lambda x: (x + 1j * x).conj(), lambda x: x.conj()],
    "conjugate": [lambda x: (x * 2j).conjugate()],
    "cumprod": [lambda x: x.cumprod(), lambda x: x.cumprod(axis=1)],
    "cumsum": [lambda x: x.cumsum(), lambda x: x.cumsum(0)],
    "diagonal": [lambda x: x.diagonal(), lambda x: x.diagonal(offset=1), lambda x: x.diagonal(-1, 1, 0)],
    "dot": [lambda x: x.dot(x.T), lambda x: x[0].dot(x[1])],
    "dtype": [lambda x: x * (x.dtype == float)],
    "flatten": [lambda x: x.flatten(), lambda x: x.T.flatten("F")],
    "imag": [lambda x: (x + 2j * x).imag, lambda x: x.imag],
    "itemsize": [lambda x: x * x.itemsize],
    "mT": [lambda x: x.mT],
    "max": [lambda x: x.max(), lambda x: x.max(axis=0), lambda x: x.max(1, keepdims=True, initial=0.5)],
    "mean": [lambda x: x.mean(), lambda x: x.mean(axis=(0, 1), keepdims=True), lambda x: x.mean(0, dtype="f4")],
    "min": [lambda x: x.min(), lambda x: x.min(axis=1, where=x > 0, initial=1.0)],
    "nbytes": [lambda x: x * x.nbytes],
    "ndim": [lambda x: x * x.ndim],
    "nonzero": [lambda x: x[(x > 0).nonzero()]],
    "prod": [lambda x: x.prod(), lambda x: x.prod(axis=1)],
    "ravel": [lambda x: x.ravel(), lambda x: x.T.ravel()],
    "repeat": [lambda x: x.repeat(2), lambda x: x.repeat([1, 2, 0], axis=0)],
    "reshape": [lambda x: x.reshape(4, 3), lambda x: x.reshape((2, -1)), lambda x: x.reshape(-1, order="F")],
    "round": [lambda x: (10 * x).round(), lambda x: x.round(1) + x],
    "searchsorted": [lambda x: x[0].cumsum().searchsorted(x[1])],
    "size": [lambda x: x / x.size],
    "squeeze": [lambda x: x[:, None].squeeze(1), lambda x: x[:1, :1].squeeze()],
    "std": [lambda x: x.std(), lambda x: x.std(axis=0, ddof=1)],
    "sum": [lambda x: x.sum(), lambda x: x.sum(1), lambda x: x.sum((0, 1), keepdims=True), lambda x: x.sum(0, "f4")],
    "swapaxes": [lambda x: x.swapaxes(0, 1)],
    "take": [lambda x: x.take([1, 1, 7]), lambda x: x.take(1, axis=1), lambda x: x.take([0, 5], 1, mode="wrap")],
    "trace": [lambda x: x.trace(), lambda x: x.trace(offset=1)],
    "transpose": [lambda x: x.transpose(), lambda x: x.transpose(1, 0), lambda x: x[None].transpose((2, 0, 1))],
    "var": [lambda x: x.var(), lambda x: x.var(axis=1, ddof=1), lambda x: (x + 1j * x**2).var()],
}


def use(function):
    """Add a function to the table, under its name."""
    USES.setdefault(function.__name__, []).append(function)
    return function


@use
def copy(x):
    y = x.copy()
    y[0] = 2.0
    return x * y


@use
def fill(x):
    x[1].fill(2.0)
    x[:, 2].fill(x[0, 0])
    return x


@use
def flat(x):
    x.flat[2:5] = x[2, :3]
    x.flat[7] = 1.0
    return x * x.flat[3] + x.flat[[1, 2, 6]].sum()


@use
def partition(x):
    x.partition(1, axis=1)
    return x[:, 1]


@use
def put(x):
    x.put([0, 5], [x[0, 1], 2.0])
    return x


@use
def ravel(x):
    x.ravel()[3:5] *= 2.0
    return x


@use
def real(x):
    z = x * (1 + 2j)
    z.real = x**2
    z.imag[1] = x.real[0]
    return z


@use
def shape(x):
    y = x * 2
    y.shape = (2, 6)
    return y * x.shape[0]


@use
def sort(x):
    x[0].sort()
    x.sort(axis=0)
    return x


@use
def view(x):
    x.view()[1] *= 3.0
    return x


EVERY_USE = pytest.mark.parametrize(
    "function", [pytest.param(f, id=f"{name}-{k}") for name, uses in USES.items() for k, f in enumerate(uses)]
)


def draw(seed=0):
    return numpy.random.default_rng(seed).uniform(0.1, 0.9, (3, 4))


def close(got, want):
    rtol = 1e-5 if want.dtype == numpy.float32 else 1e-12
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    numpy.testing.assert_allclose(numpy.asarray(got), want, rtol=rtol, atol=rtol)


def test_every_member_is_tried():
    sample = numpy.empty((1, 1))  # of which removed members, still in the class, raise
    public = {name for name in dir(sample) if not name.startswith("_") and hasattr(sample, name)}
    declared = {name for name in public if why_none(f"ndarray.{name}")}
    assert public - declared == set(USES)


@EVERY_USE
def test_jit(function):
    """Values, types, and what is left in the argument."""
    compiled = np.jit(function)
    for seed in (0, 1, 0):
        given, mine = draw(seed), np.array(draw(seed))
        want, got = function(given), compiled(mine)
        assert isinstance(got, numpy.generic) == isinstance(want, numpy.generic)
        close(got, want)
        close(mine, given)


@EVERY_USE
def test_vmap(function):
    batch = numpy.stack([draw(seed) for seed in range(3)])
    want = numpy.stack([function(x.copy()) for x in batch])
    close(np.vmap(function)(batch), want)
    close(np.jit(np.vmap(function))(batch), want)


@EVERY_USE
def test_gradients_to_second_order(function):
    if function(draw()).dtype.char in "dD":
        check_grads(function, (draw(),), order=2)
