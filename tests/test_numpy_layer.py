"""NumPy's Python layer re-executed over npx: its functions on tracers, and their derivatives."""

import importlib
import traceback

import numpy
import pytest
from numpy_calls import X, available, find, mapped, name_call

import npx as np
import npx.api  # registers the edits
from npx import numpy_layer
from npx.array.ndarray import ndarray, payload
from npx.dispatch.interpreter import Tracer


def as_numpy(x):
    return numpy.asarray(x) if type(x) is np.ndarray else x


def assert_close(got, want):
    """Values within rounding, the same dtypes, shapes and types."""
    if isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want):
            assert_close(g, w)
        return
    assert type(got) is type(want)
    if isinstance(want, (np.ndarray, numpy.generic)):
        assert got.dtype == want.dtype and got.shape == want.shape
        numpy.testing.assert_allclose(as_numpy(got), as_numpy(want), rtol=1e-12, atol=1e-12)
    else:
        assert got == want


# ---------------------------------------------------------------------------------------------------------- the loader
@pytest.mark.parametrize("name", sorted(numpy_layer.MODULES))
def test_every_module_loads(name):
    layer, real = numpy_layer.module(name), importlib.import_module(name)
    for function in getattr(real, "__all__", ()):
        assert hasattr(layer, function)


def test_counterparts_are_found_by_where_numpy_defines_them():
    for function in (numpy.cov, numpy.amax, numpy.concat, numpy.linalg.norm, numpy.vectorize, numpy.r_):
        again = numpy_layer.counterpart(function)
        assert (again is None) == (function is numpy.concat)  # written in C
        assert again is not function


def test_result_and_exception_classes_stay_numpys():
    layer = numpy_layer.module("numpy.linalg._linalg")
    assert layer.LinAlgError is numpy.linalg.LinAlgError
    assert type(np.jit(np.linalg.slogdet)(np.eye(3))) is type(numpy.linalg.slogdet(numpy.eye(3)))


@pytest.mark.parametrize("module, head", sorted(numpy_layer.EDITS))
def test_every_edit_finds_its_statement(module, head):
    """A new NumPy may have changed the source that an edit replaces."""
    replaced = f"_npx_{next(iter(numpy_layer.EDITS[module, head][1].values())).__name__}"
    layer = numpy_layer.module(module)
    layer.__all__  # noqa: B018  (loads it)
    members = [m for value in vars(layer).values() if isinstance(value, type) for m in vars(value).values()]
    found = [getattr(m, "_npx_version_of", m) for m in (*vars(layer).values(), *members)]
    functions = [f for f in found if getattr(f, "__globals__", None) is vars(layer)]
    assert any(replaced in f.__code__.co_names for f in functions)


def test_tracebacks_show_numpys_source():
    with pytest.raises(ValueError) as caught:
        np.grad(lambda x: np.average(x, axis=0, weights=np.ones(2)).sum())(np.ones(3))
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert any(f.filename.endswith("_function_base_impl.py") and f.line.startswith("raise") for f in frames)


# ---------------------------------------------------------------------------------------------------------- on tracers
@pytest.mark.parametrize("name, args", list(available()), ids=name_call)
def test_equals_numpy_under_jit(name, args):
    """Every array is traced. Where NumPy needs a value, the graph splits."""
    function = find(np, name)
    if name == "apply_over_axes":
        args = (np.sum, *args[1:])
    arrays = []

    def place(x):
        arrays.append(np.asarray(x))
        return len(arrays) - 1

    places = mapped(place, args)

    traced = []

    def call(*given):
        traced.append(all(isinstance(payload(x), Tracer) for x in given))
        return function(*_filled(places, args, given))

    assert_close(np.jit(call)(*arrays), function(*_filled(places, args, arrays)))
    assert traced[0]  # after many splits jit may leave the function to Python


def _filled(places, args, arrays):
    """`args` with `arrays` in the places of the NumPy arrays."""
    filled = []
    for place, arg in zip(places, args):
        if isinstance(arg, numpy.ndarray):
            filled.append(arrays[place])
        else:
            filled.append(type(arg)(_filled(place, arg, arrays)) if type(arg) in (list, tuple) else arg)
    return filled


# ---------------------------------------------------------------------------------------------------------- derivatives
POINTS = np.sort(np.asarray(X).ravel())[::2]

SMOOTH = {
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: (row * row).sum() * row, 1, x),
    "average": lambda x: np.average(x, axis=0, weights=np.arange(1, 5.0)),
    "average of weights": lambda x: np.average(np.arange(6.0), weights=x[0] ** 2),
    "bincount": lambda x: np.bincount(np.array([0, 1, 1, 2]), weights=x[:, 0]),
    "block": lambda x: np.block([[x, 2 * x], [x, x]]),
    "choose": lambda x: np.choose([0, 1, 2, 3, 0, 1], x),
    "clip": lambda x: np.clip(x, -0.5, 0.5),
    "concatenate": lambda x: np.concatenate([x, np.ones((1, 6)), 3 * x]),
    "convolve": lambda x: np.convolve(x[0], x[1]),
    "copyto": lambda x: _written(np.zeros((4, 6)), lambda y: np.copyto(y, x, where=x > 0)),
    "corrcoef": np.corrcoef,
    "correlate": lambda x: np.correlate(x[0], x[1], "full"),
    "cov": np.cov,
    "cross": lambda x: np.cross(x[:, :3], x[:, 3:]),
    "cumprod": lambda x: np.cumprod(x, 1),
    "diag": lambda x: np.diag(x[0]),
    "diff": lambda x: np.diff(x, 2),
    "ediff1d": np.ediff1d,
    "einsum": lambda x: np.einsum("...ij,kj->...ik", x, x),
    "fill_diagonal": lambda x: _written(x.copy(), lambda y: np.fill_diagonal(y, 0.0)),
    "full": lambda x: np.full((2, 3), x[0, 0]),
    "gradient": lambda x: np.gradient(x, axis=1),
    "histogram": lambda x: np.histogram(np.arange(24.0), weights=x.ravel())[0],
    "i0": np.i0,
    "inner": lambda x: np.inner(x, x),
    "insert": lambda x: np.insert(x, 1, 2 * x[0], axis=0),
    "interp at x": lambda x: np.interp(x * 0.3, POINTS, POINTS**2),
    "interp of fp": lambda x: np.interp(np.array([0.1, 0.2]), np.arange(24.0) / 10, x.ravel()),
    "kron": lambda x: np.kron(x, x),
    "linspace": lambda x: np.linspace(x[0], x[1], 4),
    "matrix_power": lambda x: np.linalg.matrix_power(x[:, :4], 3),
    "median": lambda x: np.median(x, axis=0),
    "meshgrid": lambda x: np.stack(np.meshgrid(x[0], x[1])),
    "multi_dot": lambda x: np.linalg.multi_dot([x, x.T, x]),
    "nanmean": lambda x: np.nanmean(np.where(x > 1, np.nan, x), 0),
    "nanvar": np.nanvar,
    "nan_to_num": np.nan_to_num,
    "norm": np.linalg.norm,
    "outer": lambda x: np.outer(x, x),
    "pad": lambda x: np.pad(x, 2, "reflect"),
    "pad linear_ramp": lambda x: np.pad(x, 2, "linear_ramp"),
    "pad mean": lambda x: np.pad(x, 2, "mean"),
    "percentile": lambda x: np.percentile(x, [30, 70], axis=1),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda t: t**2, lambda t: t**3]),
    "place": lambda x: _written(x.copy(), lambda y: np.place(y, y > 0, x[0, :2])),
    "polyval": lambda x: np.polyval(x[0], x[1]),
    "Polynomial": lambda x: np.polynomial.Polynomial(x[0])(x[1]),
    "ptp": lambda x: np.ptp(x, 0),
    "put": lambda x: _written(x.copy(), lambda y: np.put(y, [1, 2], x[0, 0])),
    "putmask": lambda x: _written(x.copy(), lambda y: np.putmask(y, y > 0, y * y)),
    "quantile": lambda x: np.quantile(x, 0.3),
    "r_": lambda x: np.r_[x[0], x[1], 1.0],
    "reshape in F order": lambda x: np.reshape(x, (3, 8), order="F"),
    "resize": lambda x: np.resize(x, (5, 7)),
    "roll": lambda x: np.roll(x, 2),
    "select": lambda x: np.select([x > 1, x > 0], [x, 2 * x], 0),
    "sinc": np.sinc,
    "sliding_window_view": lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, axis=1),
    "sort": lambda x: np.sort(x, axis=0),
    "std": lambda x: np.std(x, axis=1),
    "std of complex": lambda x: np.std(x + 1j * x[::-1], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(x, 1), 1),
    "tensordot": lambda x: np.tensordot(x, x, ([1], [1])),
    "trapezoid": lambda x: np.trapezoid(x, axis=1),
    "unwrap": lambda x: np.unwrap(3 * x),
    "vander": lambda x: np.vander(x[0], 3),
    "var": np.var,
    "vdot": lambda x: np.vdot(x, x),
    "vectorize": lambda x: np.vectorize(lambda a: a * a)(x),
    "where": lambda x: np.where(x > 0, x, 2 * x),
}


def _written(y, write):
    write(y)
    return y


def weighted(function):
    """A scalar that depends on every element of the result."""

    def scalar(x):
        y = np.asarray(function(x))
        return (y * np.cos(1.0 + np.arange(y.size)).reshape(y.shape)).sum()

    return scalar


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_agree_with_finite_differences(name):
    function = weighted(lambda x: abs(SMOOTH[name](x)) ** 2 if "complex" in name else SMOOTH[name](x))
    x, direction = np.asarray(X), np.asarray(numpy.random.default_rng(1).normal(size=X.shape))
    step = 1e-6
    slope = (function(x + step * direction) - function(x - step * direction)) / (2 * step)
    tolerance = 1e-6 * (1 + abs(slope))
    assert abs((np.grad(function)(x) * direction).sum() - slope) < tolerance
    assert abs(np.jvp(function, (x,), (direction,))[1] - slope) < tolerance


@pytest.mark.parametrize("name", SMOOTH)
def test_vmap_equals_a_loop(name):
    batch = np.asarray(numpy.stack([X, 0.9 * X, X[::-1]]))
    got = np.vmap(SMOOTH[name])(batch)
    assert_close(got, np.stack([SMOOTH[name](x) for x in batch]))


# ---------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_lost_derivative_is_an_error():
    with pytest.raises(TypeError, match="numpy.asmatrix cannot be traced by grad"):
        np.grad(lambda x: np.asmatrix(x).sum())(np.ones(2))
    with pytest.raises(TypeError, match="array of objects"):
        np.grad(lambda x: np.asarray(x, dtype=object).sum())(np.ones(2))


def test_vmap_of_shapes_that_depend_on_values():
    (places,) = np.vmap(np.nonzero)(np.eye(3))
    assert places.tolist() == [[0], [1], [2]]
    with pytest.raises(ValueError, match="one shape"):
        np.vmap(np.nonzero)(np.tri(3))


def test_text_of_a_traced_array():
    seen = []
    np.jit(lambda x: seen.append(np.array2string(x)) or x)(np.arange(2))
    assert seen[0] == "[0 1]"


def test_checks_that_only_warn_do_not_split_the_graph():
    jitted = np.jit(lambda x: np.nanmax(x, axis=0))
    jitted(np.eye(3))
    assert isinstance(jitted(np.eye(3)), ndarray)
    assert "split" not in jitted.explain()
