"""NumPy's names in npx, and calls of its functions on arrays in host memory."""

import copy
import importlib
import inspect
import pickle
import subprocess
import sys
import types
import warnings

import numpy
import pytest
from numpy_calls import available, find, mapped, name_call

import npx as np
from npx.namespace import expose

SUBMODULES = """
    char ctypeslib dtypes exceptions fft lib lib.array_utils lib.format lib.introspect lib.mixins lib.npyio
    lib.recfunctions lib.scimath lib.stride_tricks linalg ma ma.core ma.extras ma.mrecords matlib polynomial
    polynomial.chebyshev polynomial.hermite polynomial.hermite_e polynomial.laguerre polynomial.legendre
    polynomial.polynomial polynomial.polyutils random rec strings testing testing.overrides typing version
""".split()


def public_names(module):
    return [name for name in dir(module) if not name.startswith("_")]


def to_npx(x):
    return mapped(np.asarray, x)


def assert_same(got, want):
    """Equal values, dtypes, shapes and types, with npx arrays where NumPy has its own."""
    if type(want) is numpy.ndarray:
        assert type(got) is np.ndarray
        assert got.shape == want.shape and got.dtype == want.dtype
        numpy.testing.assert_array_equal(numpy.asarray(got), want)
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want):
            assert_same(g, w)
    else:
        assert type(got) is type(want)
        assert got == want or (got != got and want != want)


# ---------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize("path", ["", *SUBMODULES])
def test_every_public_name_exists(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = importlib.import_module(f"numpy.{path}".strip("."))
        mine = importlib.import_module(f"npx.{path}".strip("."))
        names = public_names(real)
        assert set(names) <= set(dir(mine))
        for name in names:
            value = getattr(mine, name)
            assert isinstance(value, types.ModuleType) == isinstance(getattr(real, name), types.ModuleType), name


def test_an_absent_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'npx' has no attribute 'no_such_name'"):
        np.no_such_name  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("npx.no_such_module")
    with pytest.raises(ImportError):
        from npx.linalg import no_such_name  # noqa: F401


def test_import_forms():
    code = """
import npx.linalg
from npx.lib import stride_tricks
import npx.random as r
from npx import *
from npx.ma import masked_array
import npx.array.ndarray
import npx
assert type(arange(3)) is npx.ndarray and callable(npx.array)
assert stride_tricks is npx.lib.stride_tricks and r is npx.random
assert sin is npx.sin and linalg is npx.linalg
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_resolved_once():
    assert np.sum is np.sum and np.linalg.norm is expose(numpy.linalg.norm)
    assert np.concat is np.concatenate


@pytest.mark.parametrize("function", [np.sum, np.concatenate, np.linalg.inv, np.fft.fft, np.random.rand, np.add])
def test_functions_are_described_and_pickled(function):
    assert function.__doc__
    assert pickle.loads(pickle.dumps(function)) is function


def test_functions_keep_numpys_signature():
    assert inspect.signature(np.mean) == inspect.signature(numpy.mean)
    assert np.mean.__module__ == "npx" and np.linalg.inv.__module__ == "npx.linalg"


def test_classes_and_constants_are_numpys():
    for name in ("float32", "dtype", "pi", "newaxis", "errstate", "finfo", "generic", "bool"):
        assert getattr(np, name) is getattr(numpy, name)
    assert np.linalg.LinAlgError is numpy.linalg.LinAlgError
    assert np.exceptions.AxisError is numpy.exceptions.AxisError
    assert np.ndarray is not numpy.ndarray


# ---------------------------------------------------------------------------------------------------------- calls
@pytest.mark.parametrize("name, args", list(available()), ids=name_call)
def test_equals_numpy_on_the_host(name, args):
    assert_same(find(np, name)(*to_npx(args)), find(numpy, name)(*args))


def test_numpy_arrays_are_taken_and_npx_arrays_returned():
    x = numpy.arange(3.0)
    assert type(np.cumsum(x)) is np.ndarray
    y = np.asarray(x)
    y[0] = 7
    assert x[0] == 7


def test_results_that_alias_an_argument_know_it():
    x = np.arange(6.0)
    y = np.reshape(x, (2, 3))
    assert y.base is x
    y[0, 0] = 9
    assert x[0] == 9
    assert np.asarray(x) is x and np.ravel(x).base is x
    assert all(part.base is x for part in np.split(x, 3))


def test_out_is_returned_itself():
    x, out = np.arange(6.0).reshape(2, 3), np.zeros(3)
    assert np.sum(x, 0, out=out) is out and np.sum(x, 0, None, out) is out
    numpy.testing.assert_array_equal(numpy.asarray(out), [3, 5, 7])
    assert np.concatenate([x[0], x[1]], out=(joined := np.zeros(6))) is joined


@pytest.mark.parametrize(
    "write",
    [
        lambda np, x: np.copyto(x, 5.0, where=x > 2),
        lambda np, x: np.put(x, [0, 2], [7.0, 8.0]),
        lambda np, x: np.place(x, x > 2, [1.0, 2.0]),
        lambda np, x: np.putmask(x, x > 1, x**2),
        lambda np, x: np.fill_diagonal(x, 9.0),
        lambda np, x: np.put_along_axis(x, np.argmax(x, 1, keepdims=True), -1.0, 1),
        lambda np, x: np.nan_to_num(x, copy=False),
        lambda np, x: np.random.default_rng(0).shuffle(x),
    ],
)
def test_writes_go_into_the_argument(write):
    """And a tape that has saved the old content keeps it."""
    want = numpy.arange(12.0).reshape(3, 4)
    got = np.array(want)

    def loss(w):
        y = w * got
        write(np, got)
        return y.sum()

    before = want.sum()
    g = np.grad(loss)(1.0)
    write(numpy, want)
    assert g == before
    numpy.testing.assert_array_equal(numpy.asarray(got), want)


def test_arrays_in_containers_and_keywords():
    x = np.arange(3.0)
    assert np.array([[x, x], [x, x]]).shape == (2, 2, 3)
    assert np.select(condlist=[x > 1], choicelist=[x]).tolist() == [0, 0, 2]
    assert np.max(x, initial=np.float64(5)) == 5


def test_objects_whose_array_method_gives_an_npx_array():
    class Column:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

    assert np.sum(Column()) == 3 and np.stack([Column(), Column()]).shape == (2, 3)


def test_errors_are_numpys():
    x = np.arange(6.0)
    for call, error in [
        (lambda np, x: np.reshape(x, (4, 2)), ValueError),
        (lambda np, x: np.sum(x, axis=2), numpy.exceptions.AxisError),
        (lambda np, x: np.concatenate([x, x.reshape(2, 3)]), ValueError),
        (lambda np, x: np.linalg.inv(x), numpy.linalg.LinAlgError),
        (lambda np, x: np.take(x, 9), IndexError),
        (lambda np, x: np.mean(), TypeError),
    ]:
        with pytest.raises(error) as mine:
            call(np, x)
        with pytest.raises(error) as numpys:
            call(numpy, numpy.arange(6.0))
        assert str(mine.value) == str(numpys.value)


# ---------------------------------------------------------------------------------------------------------- callbacks
@pytest.mark.parametrize(
    "call",
    [
        lambda np, f: np.apply_along_axis(f, 1, np.ones((2, 3))),
        lambda np, f: np.fromfunction(lambda i, j: f(i + j), (2, 3)),
        lambda np, f: np.piecewise(np.arange(4.0), [np.arange(4) > 1], [f, f]),
        lambda np, f: np.vectorize(f, signature="(n)->(n)")(np.ones((2, 3))),
        lambda np, f: np.apply_over_axes(lambda a, axis: f(a), np.ones((2, 3)), [0]),
    ],
)
def test_user_functions_get_npx_arrays(call):
    def double(a):
        assert type(a) is np.ndarray
        return a * 2

    assert_same(call(np, double), call(numpy, lambda a: a * 2))


def test_pad_with_a_function():
    def fill(vector, width, axis, kwargs):
        assert type(vector) is np.ndarray
        vector[: width[0]], vector[-width[1] :] = 7, 8

    padded = np.pad(np.zeros(2), 1, fill)
    assert padded.tolist() == [7, 0, 0, 8]


def test_vectorize_and_frompyfunc():
    add = np.vectorize(lambda a, b: a + b)
    assert_same(add(np.arange(3), 2), numpy.arange(3) + 2)
    assert np.frompyfunc(lambda a: a + 1, 1, 1)(np.arange(2)).tolist() == [1, 2]


# ---------------------------------------------------------------------------------------------------------- classes
def test_index_builders():
    x = np.arange(3.0)
    assert_same(np.r_[x, 5], numpy.r_[numpy.arange(3.0), 5])
    assert_same(np.c_[x, x], numpy.c_[numpy.arange(3.0), numpy.arange(3.0)])
    assert_same(np.mgrid[:2, :3], numpy.mgrid[:2, :3])
    assert np.s_[1:2] == slice(1, 2)
    assert list(np.ndindex(2, 1)) == [(0, 0), (1, 0)]
    assert [(i, v) for i, v in np.ndenumerate(x)] == [((0,), 0.0), ((1,), 1.0), ((2,), 2.0)]


def test_polynomials():
    p = np.poly1d([1.0, 2.0, 3.0])
    assert_same(p(np.arange(3.0)), numpy.poly1d([1.0, 2.0, 3.0])(numpy.arange(3.0)))
    assert_same(np.polymul(p, p).coeffs, numpy.array([1.0, 4, 10, 12, 9]))
    q = np.polynomial.Polynomial([1.0, 2.0, 3.0])
    assert type(q.coef) is np.ndarray
    assert_same((q * q).coef, numpy.array([1.0, 4, 10, 12, 9]))
    assert pickle.loads(pickle.dumps(q)) == q


def test_iterators():
    x = np.arange(6).reshape(2, 3)
    with np.nditer([x, None]) as it:
        for a, b in it:
            assert type(a) is np.ndarray
            b[...] = 2 * a
        assert_same(it.operands[1], 2 * numpy.arange(6).reshape(2, 3))
    assert [int(v) for v in np.nditer(x)] == list(range(6))
    assert np.broadcast(x, np.arange(3)).shape == (2, 3)


def test_files(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with np.load(tmp_path / "a.npz") as archive:
        assert_same(archive["x"], numpy.arange(3))
    np.savetxt(tmp_path / "a.txt", np.eye(2))
    assert_same(np.loadtxt(tmp_path / "a.txt"), numpy.eye(2))


# ---------------------------------------------------------------------------------------------------------- random
def test_the_global_generator_is_numpys():
    np.random.seed(3)
    mine = [np.random.rand(2), np.random.randint(5, size=3), np.random.sample(2)]
    numpy.random.seed(3)
    assert_same(mine, [numpy.random.rand(2), numpy.random.randint(5, size=3), numpy.random.sample(2)])


@pytest.mark.parametrize("make", ["default_rng", "RandomState"])
def test_generators(make):
    mine, numpys = getattr(np.random, make)(0), getattr(numpy.random, make)(0)
    assert isinstance(mine, type(numpys))
    assert_same(mine.normal(size=3), numpys.normal(size=3))
    assert_same(mine.choice(np.arange(9), 4), numpys.choice(numpy.arange(9), 4))
    assert_same(mine.permutation(np.arange(4.0)), numpys.permutation(numpy.arange(4.0)))
    again = pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine)
    expected = numpys.normal(size=2)
    for generator in (mine, *again):
        assert type(generator) is type(mine)
        assert_same(generator.normal(size=2), expected)
    items = [1, 2, 3, 4]
    mine.shuffle(items)
    assert sorted(items) == [1, 2, 3, 4]


def test_generator_out_and_spawn():
    rng = np.random.default_rng(0)
    out = np.zeros(3)
    assert rng.random(out=out) is out and out.all()
    assert type(rng.spawn(1)[0]) is np.random.Generator
    assert np.random.default_rng(rng) is rng


@pytest.mark.parametrize("make", ["default_rng", "RandomState", None])
def test_draws_inside_jit(make):
    """Each call of the compiled function draws anew, the same numbers as NumPy."""
    seed = 5
    if make is None:
        np.random.seed(seed)
        rng, numpys = np.random, numpy.random.RandomState(seed)
    else:
        rng, numpys = getattr(np.random, make)(seed), getattr(numpy.random, make)(seed)

    @np.jit
    def noisy(x):
        y = x + rng.normal(size=3)
        rng.shuffle(y)
        return y

    for _ in range(3):
        want = 1 + numpys.normal(size=3)
        numpys.shuffle(want)
        assert_same(noisy(np.ones(3)), want)


# ---------------------------------------------------------------------------------------------------------- testing
def test_testing_helpers():
    x = np.arange(3.0)
    np.testing.assert_allclose(x, [0, 1, 2])
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(x, x + 1)

    def refuse(a):
        assert type(a) is np.ndarray
        raise KeyError

    np.testing.assert_raises(KeyError, refuse, x)
