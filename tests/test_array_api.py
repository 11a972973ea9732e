"""The array API standard 2025.12: signatures, and what the standard's own suite leaves open or checks loosely.

The suite itself is run by `tests/conformance/array_api.py`.
"""

import inspect
import itertools
import math
import operator
import pickle
import re
from pathlib import Path

import numpy
import pytest

import npx as np
import npx.array_api as xp

#: the standard's functions by their parameters, chapter by chapter where it says so
SIGNATURES = {
    "x, /": """
        abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan
        log log1p log2 log10 logical_not negative positive real reciprocal round sign signbit sin sinh square sqrt tan
        tanh trunc matrix_transpose nonzero unique_all unique_counts unique_inverse unique_values
        linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv linalg.matrix_transpose
        linalg.slogdet linalg.svdvals""",
    "x1, x2, /": """
        add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal
        floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum
        minimum multiply nextafter not_equal pow remainder subtract matmul
        linalg.matmul linalg.outer linalg.solve""",
    "x1, x2, /, *, axis=-1": "vecdot linalg.cross linalg.vecdot",
    "x1, x2, /, *, axes=2": "tensordot linalg.tensordot",
    "x1, x2, /, *, invert=False": "isin",
    "x1, x2, /, *, side='left', sorter=None": "searchsorted",
    "condition, x1, x2, /": "where",
    "x, /, min=None, max=None": "clip",
    "x, /, *, axis=None, keepdims=False": "all any argmax argmin count_nonzero max mean min",
    "x, /, *, axis=None, dtype=None, keepdims=False": "prod sum",
    "x, /, *, axis=None, correction=0.0, keepdims=False": "std var",
    "x, /, *, axis=None, dtype=None, include_initial=False": "cumulative_prod cumulative_sum",
    "x, /, *, axis=-1, descending=False, stable=True": "argsort sort",
    "x, /, *, axis=-1, n=1, prepend=None, append=None": "diff",
    "x, indices, /, *, axis=None": "take",
    "x, indices, /, *, axis=-1": "take_along_axis",
    "start, /, stop=None, step=1, *, dtype=None, device=None": "arange",
    "obj, /, *, dtype=None, device=None, copy=None": "asarray",
    "shape, *, dtype=None, device=None": "empty ones zeros",
    "shape, fill_value, *, dtype=None, device=None": "full",
    "x, /, *, dtype=None, device=None": "empty_like ones_like zeros_like",
    "x, /, fill_value, *, dtype=None, device=None": "full_like",
    "n_rows, n_cols=None, /, *, k=0, dtype=None, device=None": "eye",
    "x, /, *, device=None, copy=None": "from_dlpack",
    "start, stop, /, num, *, dtype=None, device=None, endpoint=True": "linspace",
    "*arrays, indexing='xy'": "meshgrid",
    "x, /, *, k=0": "tril triu",
    "x, dtype, /, *, copy=True, device=None": "astype",
    "from_, to, /": "can_cast",
    "type, /": "finfo iinfo",
    "dtype, kind": "isdtype",
    "*arrays": "broadcast_arrays broadcast_shapes result_type",
    "x, /, shape": "broadcast_to",
    "arrays, /, *, axis=0": "concat stack",
    "x, /, axis": "expand_dims squeeze",
    "x, /, *, axis=None": "flip",
    "x, source, destination, /": "moveaxis",
    "x, /, axes": "permute_dims",
    "x, repeats, /, *, axis=None": "repeat",
    "x, /, shape, *, copy=None": "reshape",
    "x, /, shift, *, axis=None": "roll",
    "x, repetitions, /": "tile",
    "x, /, *, axis=0": "unstack",
    "x, /, *, n=None, axis=-1, norm='backward'": "fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft",
    "x, /, *, s=None, axes=None, norm='backward'": "fft.fftn fft.ifftn fft.rfftn fft.irfftn",
    "n, /, *, d=1.0, dtype=None, device=None": "fft.fftfreq fft.rfftfreq",
    "x, /, *, axes=None": "fft.fftshift fft.ifftshift",
    "x, /, *, upper=False": "linalg.cholesky",
    "x, /, *, offset=0": "linalg.diagonal",
    "x, /, *, keepdims=False, ord='fro'": "linalg.matrix_norm",
    "x, n, /": "linalg.matrix_power",
    "x, /, *, rtol=None": "linalg.matrix_rank linalg.pinv",
    "x, /, *, mode='reduced'": "linalg.qr",
    "x, /, *, full_matrices=True": "linalg.svd",
    "x, /, *, offset=0, dtype=None": "linalg.trace",
    "x, /, *, axis=None, keepdims=False, ord=2": "linalg.vector_norm",
}
FUNCTIONS = {name: text for text, names in SIGNATURES.items() for name in names.split()}

METHODS = {
    "/": "__abs__ __bool__ __complex__ __dlpack_device__ __float__ __index__ __int__ __invert__ __neg__ __pos__",
    "other, /": """
        __add__ __and__ __eq__ __floordiv__ __ge__ __gt__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__
        __or__ __pow__ __rshift__ __sub__ __truediv__ __xor__""",
    "key, /": "__getitem__",
    "key, value, /": "__setitem__",
    "/, *, api_version=None": "__array_namespace__",
    "/, *, stream=None, max_version=None, dl_device=None, copy=None": "__dlpack__",
    "device, /, *, stream=None": "to_device",
}
OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
ATTRIBUTES = ("T", "device", "dtype", "mT", "ndim", "shape", "size")
INFO = {
    "": "capabilities default_device devices",
    "*, device=None": "default_dtypes",
    "*, device=None, kind=None": "dtypes",
}

#: where npx has NumPy's signature: `numpy.clip` says ``a_min`` and ``a_max``; ``min`` and ``max`` are keywords
NUMPYS_SIGNATURE = {"clip"}


def standard_signature(text):
    """The signature that a line of parameters describes."""
    return inspect.signature(eval(f"lambda {text}: 0"))


def ways_to_call(signature):
    """The calls that a signature promises: parameters with a name by place and by keyword, options given or not."""
    parameters = signature.parameters.values()
    places = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
    named = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    several = [None] * 2 * any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for by_place in range(len(named) + 1):
        args = [None] * (len(places) + by_place) + several
        for chosen in (options, {}):
            yield args, {**{p.name: p.default for p in named[by_place:]}, **chosen}


def accepts(function, text):
    """Let a function's signature take every call that the standard allows."""
    signature = inspect.signature(function)
    for args, kwargs in ways_to_call(standard_signature(text)):
        signature.bind(*args, **kwargs)


def look_up(namespace, name):
    return operator.attrgetter(name)(namespace)


TELLS_SIGNATURES = pytest.mark.skipif(
    numpy.lib.NumpyVersion(numpy.__version__) < "2.4.0", reason="an older NumPy tells no signatures of its C functions"
)


@TELLS_SIGNATURES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature(name):
    accepts(look_up(xp, name), FUNCTIONS[name])


@TELLS_SIGNATURES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature_in_npx(name):
    function = look_up(np, name)
    if isinstance(function, np.ufunc):
        assert standard_signature(FUNCTIONS[name]).bind(*[0] * function.nin)
    elif name in NUMPYS_SIGNATURE:
        accepts(function, FUNCTIONS[name].replace("min=", "a_min=").replace("max=", "a_max="))
    else:
        accepts(function, FUNCTIONS[name])


def test_namespace_is_complete():
    """The namespace has the standard's functions, and no others."""
    for part in ("", "linalg.", "fft."):
        names = {name for name in FUNCTIONS if name.rpartition(".")[0] == part.rstrip(".")}
        module = look_up(xp, part.rstrip(".")) if part else xp
        extra = {*xp.CONSTANTS, *xp.DTYPES, "linalg", "fft"} if not part else set()
        assert set(module.__all__) - extra == {name.rpartition(".")[2] for name in names}
    assert xp.__array_api_version__ == np.__array_api_version__ == "2025.12"
    for name in (*xp.CONSTANTS, *xp.DTYPES):
        assert getattr(xp, name) is getattr(numpy, name)


@pytest.mark.parametrize(("name", "text"), [(name, text) for text, names in METHODS.items() for name in names.split()])
def test_method(name, text):
    method = getattr(np.ones((2, 2)), name)
    try:
        inspect.signature(method)
    except ValueError:
        assert callable(method)  # a slot of the interpreter's, whose parameters are what the operator gives
    else:
        if not text.startswith("other"):
            accepts(method, text.removeprefix("/, ").removeprefix("/"))


def test_operators_and_attributes():
    x = xp.ones((2, 2), dtype=xp.int64)
    assert all(hasattr(x, f"__{prefix}{name}__") for name in OPERATORS for prefix in ("", "r", "i"))
    assert all(hasattr(x, name) for name in ATTRIBUTES)


# ------------------------------------------------------------------------------------------------------ namespaces
def test_namespace_of_an_array():
    x = np.ones(3)
    assert x.__array_namespace__() is xp and xp.ones(3).__array_namespace__() is xp
    assert all(x.__array_namespace__(api_version=f"{year}.12") is xp for year in range(2021, 2026))
    for wrong in ("2021.11", "2031.12", 2024):
        with pytest.raises(ValueError, match="[vV]ersion"):
            x.__array_namespace__(api_version=wrong)


@pytest.mark.parametrize("text", [text for text in INFO])
def test_info_signatures(text):
    info = xp.__array_namespace_info__()
    for name in INFO[text].split():
        accepts(getattr(info, name), text)


@pytest.mark.parametrize("namespace", [np, xp], ids=["npx", "npx.array_api"])
def test_info(namespace):
    info = namespace.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() == "cpu" == info.devices()[0]
    assert isinstance(info.devices(), tuple)
    kinds = {"real floating": float, "complex floating": complex, "integral": numpy.int64, "indexing": numpy.intp}
    assert info.default_dtypes() == {kind: numpy.dtype(t) for kind, t in kinds.items()}
    assert set(info.dtypes()) == set(xp.DTYPES)
    assert set(info.dtypes(kind="bool")) == {"bool"}
    assert set(info.dtypes(kind=("complex floating", "bool"))) == {"bool", "complex64", "complex128"}
    with pytest.raises(ValueError, match="nonsense"):
        info.dtypes(device="nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        info.default_dtypes(device="nonsense")


# ------------------------------------------------------------------------------------------------- arrays, not scalars
def is_array(x):
    return type(x) is np.ndarray and x.standard


def test_results_are_arrays():
    """Where NumPy returns scalars."""
    x = xp.asarray([1.0, 2.0, 4.0])
    for result in (
        xp.sum(x),
        xp.max(x),
        xp.any(x),
        x[0],
        x[1:][0],
        xp.sum(x) / 2,
        -xp.sum(x),
        xp.linalg.vector_norm(x),
    ):
        assert is_array(result) and result.shape == ()
    assert [is_array(item) for item in x] == [True] * 3
    assert float(xp.mean(x)) == 7 / 3 and bool(x[0] == 1) and int(x[2]) == 4


def test_arrays_stay_arrays_of_the_standard():
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    for y in (x + 1, 1 - x, x[0], x[:, 1], x[x > 2], x.T, x.mT, xp.permute_dims(x, (1, 0)), abs(x), x @ x, x < 2):
        assert is_array(y)
    assert all(map(is_array, xp.linalg.svd(x))) and all(map(is_array, xp.unstack(x)))
    y = x
    y += 1
    assert y is x and is_array(x)


def test_an_array_of_npx_stays_what_it_is():
    x = np.ones(3)
    y = xp.asarray(x)
    assert is_array(y) and not x.standard and type(x[0]) is numpy.float64
    y[0] = 5
    assert x[0] == 5, "no copy was asked for"
    assert xp.asarray(y) is y
    assert xp.astype(x, xp.float64, copy=False) is not x and is_array(xp.broadcast_arrays(x, y)[0])
    assert not x.standard
    assert is_array(x + y) and is_array(y * x)


def test_under_transforms():
    def f(x):
        y = xp.asarray(x)
        return xp.sum(y * y[0]) + y[1] // 1

    x = np.array([2.0, 3.0, 4.0])
    assert numpy.array_equal(np.grad(f)(x), [2 * 2 + 3 + 4, 2, 2])
    assert float(np.jit(f)(x)) == float(f(x)) == 21
    assert numpy.array_equal(np.vmap(f)(np.stack([x, x])), [21, 21])


# ------------------------------------------------------------------------------------------------------ special cases
INF = math.inf
FLOOR_DIVISION = {
    **{(INF, 2.0): INF, (INF, -2.0): -INF, (-INF, 2.0): -INF, (-INF, -2.0): INF},
    **{(2.0, INF): 0.0, (2.0, -INF): -0.0, (-2.0, INF): -0.0, (-2.0, -INF): 0.0},
    **{(INF, INF): math.nan, (INF, 0.0): INF, (0.0, -INF): -0.0, (math.nan, INF): math.nan},
    **{(7.0, 2.0): 3.0, (-7.0, 2.0): -4.0, (-0.0, 2.0): -0.0, (1.0, -0.0): -INF},
}


def same(x, y):
    """Equal, signs of zeros and NaN included."""
    x, y = numpy.asarray(x), numpy.asarray(y)
    return numpy.array_equal(x, y, equal_nan=True) and numpy.array_equal(
        numpy.signbit(x[~numpy.isnan(x)]), numpy.signbit(y[~numpy.isnan(y)])
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_floor_division(device, dtype):
    """As a function, an operator, its reflection and in place; on single numbers too."""
    pairs = numpy.array(list(FLOOR_DIVISION), dtype).T
    want = numpy.array(list(FLOOR_DIVISION.values()), dtype)
    x, y = (xp.asarray(v, device=device) for v in pairs)
    for got in (xp.floor_divide(x, y), x // y, np.asarray(pairs[0], device=device) // y):
        assert got.dtype == dtype and same(got, want)
    x //= y
    assert same(x, want)
    a, b = xp.asarray(INF, dtype=dtype, device=device), xp.asarray(2, dtype=dtype, device=device)
    assert float(a // 2.0) == INF and float(2.0 // a) == 0 and float(a // b) == INF and (a // 2.0).dtype == dtype


@pytest.mark.filterwarnings("error")
def test_floor_division_warns_of_nothing_that_is_defined():
    x = xp.asarray([INF, 1.0, 3.0])
    assert same(x // xp.asarray([2.0, -INF, 2.0]), [INF, -0.0, 1.0])
    assert xp.asarray([7]) // 2 == 3
    with pytest.raises(RuntimeWarning):
        xp.asarray([1.0]) // 0.0


def test_floor_division_of_npx_is_numpys():
    x = np.array([INF, 1.0])
    with numpy.errstate(invalid="ignore"):
        assert same(x // np.array([2.0, -INF]), numpy.array([INF, 1.0]) // numpy.array([2.0, -INF]))


NAN = math.nan
COMPLEX = {
    "expm1": {
        complex(0, 0): complex(0, 0),
        complex(-0.0, 0): complex(0, 0),
        complex(INF, 0): complex(INF, 0),
        complex(-INF, 1): complex(-1, 0),
        complex(-INF, INF): complex(-1, 0),
        complex(-INF, NAN): complex(-1, 0),
        complex(INF, INF): complex(INF, NAN),
        complex(INF, NAN): complex(INF, NAN),
        complex(NAN, 0): complex(NAN, 0),
        complex(NAN, 1): complex(NAN, NAN),
        complex(1, INF): complex(NAN, NAN),
        complex(1, NAN): complex(NAN, NAN),
    },
    "tanh": {
        complex(0, 0): complex(0, 0),
        complex(INF, 1): complex(1, 0),
        complex(INF, 2): complex(1, 0),
        complex(-INF, 2): complex(-1, 0),
        complex(INF, -2): complex(1, -0.0),
        complex(INF, INF): complex(1, 0),
        complex(INF, NAN): complex(1, 0),
        complex(0, INF): complex(0, NAN),
        complex(0, NAN): complex(0, NAN),
        complex(NAN, 0): complex(NAN, 0),
        complex(NAN, 1): complex(NAN, NAN),
        complex(1, INF): complex(NAN, NAN),
    },
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_special_cases(name, dtype):
    """Real parts by sign, imaginary parts without: the standard leaves that sign open in some cases."""
    x = numpy.array(list(COMPLEX[name]), dtype)
    want = numpy.array(list(COMPLEX[name].values()), dtype)
    got = getattr(xp, name)(xp.asarray(x))
    assert got.dtype == dtype
    assert same(got.real, want.real) and same(abs(got.imag), abs(want.imag))
    assert is_array(got[0]) and getattr(xp, name)(xp.asarray(x[0])) == got[0]


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_functions_elsewhere_are_numpys(name):
    x = numpy.random.default_rng(0).normal(size=(40, 2)).view(complex)[:, 0]
    assert numpy.array_equal(getattr(xp, name)(xp.asarray(x)), getattr(numpy, name)(x))
    h = 1e-6
    slope = (getattr(numpy, name)(x + h) - getattr(numpy, name)(x - h)) / (2 * h)
    _, derivative = np.jvp(getattr(xp, name), (np.asarray(x),), (np.ones_like(np.asarray(x)),))
    assert numpy.allclose(derivative, slope, rtol=1e-7)


# --------------------------------------------------------------------------------------- functions where rules differ
@pytest.mark.parametrize("namespace", [np, xp], ids=["npx", "npx.array_api"])
@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_descending_sort(namespace, device):
    values = numpy.random.default_rng(0).integers(0, 5, size=(4, 30)).astype(float)
    values[values == 0] *= numpy.where(numpy.arange(numpy.count_nonzero(values == 0)) % 2, 1, -1)
    x = namespace.asarray(values, device=device)
    for axis in (0, 1, -1):
        places = numpy.asarray(namespace.argsort(x, axis=axis, descending=True, stable=True))
        want = numpy.argsort(-values, axis=axis, stable=True)
        assert numpy.array_equal(places, want)
        got = namespace.sort(x, axis=axis, descending=True, stable=True)
        assert got.device.partition(":")[0] == device
        assert same(got, numpy.take_along_axis(values, want, axis))
    assert numpy.array_equal(np.sort(values, axis=None, descending=True), numpy.sort(values, axis=None)[::-1])
    assert numpy.array_equal(np.argsort([3, 1, 2], descending=False), [1, 2, 0])


def test_ascending_sort_is_stable():
    values = numpy.random.default_rng(0).integers(0, 3, size=300)
    assert numpy.array_equal(xp.argsort(xp.asarray(values)), numpy.argsort(values, stable=True))


def test_limits_are_pythons_numbers():
    for given in (xp.float32, numpy.dtype("float32"), xp.ones(2, dtype=xp.float32), xp.complex64):
        info = xp.finfo(given)
        assert [type(getattr(info, name)) for name in ("eps", "max", "min", "smallest_normal")] == [float] * 4
        assert info.bits == 32 and info.eps == 2.0**-23 and info.dtype == numpy.float32
    info = xp.iinfo(xp.ones(2, dtype=xp.uint8))
    assert (info.bits, info.max, info.min, info.dtype) == (8, 255, 0, numpy.uint8) and type(info.max) is int
    assert pickle.loads(pickle.dumps(info)) == info


def test_sample_frequencies():
    for name, n in itertools.product(("fftfreq", "rfftfreq"), (1, 4, 7)):
        want = getattr(numpy.fft, name)(n, d=0.5)
        for namespace in (np.fft, xp.fft):
            got = getattr(namespace, name)(n, d=0.5, dtype=xp.float32)
            assert got.dtype == numpy.float32 and numpy.array_equal(got, want.astype("f"))
            assert numpy.array_equal(getattr(namespace, name)(n, d=0.5), want)


def test_clip():
    x = xp.asarray([1.0, 5.0, 9.0])
    for got in (xp.clip(x, 2, 6), xp.clip(x, min=2, max=6), xp.clip(x, 2, max=xp.asarray(6.0))):
        assert is_array(got) and got.tolist() == [2, 5, 6]
    assert (
        xp.clip(x, 2).tolist() == [2, 5, 9]
        and xp.clip(x, max=6).tolist() == [1, 5, 6]
        and xp.clip(x).tolist() == [1, 5, 9]
    )


# ------------------------------------------------------------------------------------------------------ linalg, fft
RNG = numpy.random.default_rng(3)
TOLERANCE = {"float32": 1e-4, "float64": 1e-11, "complex64": 1e-4, "complex128": 1e-11}


def matrices(dtype, shape=(2, 4, 4)):
    """Random matrices of a dtype."""
    values = RNG.normal(size=shape) + (1j * RNG.normal(size=shape) if dtype.startswith("complex") else 0)
    return values.astype(dtype)


def close(got, want, dtype):
    got, want = numpy.asarray(got), numpy.asarray(want)
    assert got.shape == want.shape
    tolerance = TOLERANCE[dtype]
    numpy.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, numpy.abs(want).max(initial=0)))


def adjoint(x):
    return xp.conj(xp.matrix_transpose(x))


@pytest.fixture(params=TOLERANCE)
def dtype(request):
    return request.param


def test_factorisations(dtype):
    a = xp.asarray(matrices(dtype))
    positive = a @ adjoint(a) + xp.eye(4, dtype=a.dtype)
    lower, upper = xp.linalg.cholesky(positive), xp.linalg.cholesky(positive, upper=True)
    close(lower @ adjoint(lower), positive, dtype)
    close(adjoint(upper) @ upper, positive, dtype)
    assert xp.all(xp.tril(lower) == lower) and xp.all(xp.triu(upper) == upper)
    q, r = xp.linalg.qr(a)
    close(q @ r, a, dtype)
    close(adjoint(q) @ q, numpy.broadcast_to(numpy.eye(4), (2, 4, 4)), dtype)
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    close((u * s[:, None, :]) @ vh, a, dtype)
    close(s, xp.linalg.svdvals(a), dtype)
    assert s.dtype == xp.finfo(a.dtype).dtype and bool(xp.all(s[:, :-1] >= s[:, 1:]))


def test_eigenvalues(dtype):
    a = xp.asarray(matrices(dtype))
    symmetric = a + adjoint(a)
    values, vectors = xp.linalg.eigh(symmetric)
    close(symmetric @ vectors, vectors * values[:, None, :], dtype)
    close(values, xp.linalg.eigvalsh(symmetric), dtype)
    found = xp.linalg.eig(a)
    assert found.eigenvalues.dtype == found.eigenvectors.dtype == numpy.result_type(a.dtype, xp.complex64)
    close(a @ found.eigenvectors, found.eigenvectors * found.eigenvalues[:, None, :], dtype)
    close(xp.sort(xp.abs(found.eigenvalues)), xp.sort(xp.abs(xp.linalg.eigvals(a))), dtype)
    real = xp.linalg.eig(xp.asarray([[2.0, 0.0], [0.0, 3.0]]))
    assert real.eigenvalues.dtype == real.eigenvectors.dtype == xp.complex128


def test_solving(dtype):
    a, b = xp.asarray(matrices(dtype)), xp.asarray(matrices(dtype, (2, 4, 3)))
    close(a @ xp.linalg.solve(a, b), b, dtype)
    close(a @ xp.linalg.inv(a), numpy.broadcast_to(numpy.eye(4), (2, 4, 4)), dtype)
    vector = xp.asarray(matrices(dtype, (4,)))
    close(a[0] @ xp.linalg.solve(a[0], vector), vector, dtype)
    sign, logarithm = xp.linalg.slogdet(a)
    close(sign * xp.exp(logarithm), xp.linalg.det(a), dtype)
    tall = xp.asarray(matrices(dtype, (5, 3)))
    close(xp.linalg.pinv(tall) @ tall, numpy.eye(3), dtype)
    assert int(xp.linalg.matrix_rank(tall)) == 3
    close(xp.linalg.matrix_power(a, 3), a @ a @ a, dtype)
    close(xp.linalg.matrix_power(a, -1), xp.linalg.inv(a), dtype)


def test_products_and_norms(dtype):
    a, b = matrices(dtype, (3, 4, 5)), matrices(dtype, (3, 4, 5))
    x, y = xp.asarray(a), xp.asarray(b)
    close(xp.vecdot(x, y), (a.conj() * b).sum(-1), dtype)
    close(xp.linalg.vecdot(x, y, axis=0), (a.conj() * b).sum(0), dtype)
    close(xp.tensordot(x, y, axes=((1, 2), (1, 2))), numpy.einsum("ijk,ljk->il", a, b), dtype)
    close(xp.linalg.outer(x[0, 0], y[0, 0]), a[0, 0][:, None] * b[0, 0], dtype)
    close(xp.linalg.trace(x[:, :, :4]), a[:, range(4), range(4)].sum(-1), dtype)
    close(xp.linalg.diagonal(x, offset=1), a[:, range(4), range(1, 5)], dtype)
    close(xp.linalg.vector_norm(x), (numpy.abs(a) ** 2).sum() ** 0.5, dtype)
    close(xp.linalg.vector_norm(x, ord=3, axis=(0, 2)), (numpy.abs(a) ** 3).sum((0, 2)) ** (1 / 3), dtype)
    close(xp.linalg.matrix_norm(x), (numpy.abs(a) ** 2).sum((1, 2)) ** 0.5, dtype)
    close(xp.linalg.matrix_norm(x, ord="nuc"), numpy.linalg.svd(a, compute_uv=False).sum(-1), dtype)
    u, v = matrices(dtype, (2, 3)), matrices(dtype, (2, 3))
    crossed = numpy.stack([u[:, i] * v[:, j] - u[:, j] * v[:, i] for i, j in ((1, 2), (2, 0), (0, 1))], axis=-1)
    close(xp.linalg.cross(xp.asarray(u), xp.asarray(v)), crossed, dtype)


def fourier_matrix(n, sign):
    k = numpy.arange(n)
    return numpy.exp(sign * 2j * numpy.pi * k[:, None] * k / n)


@pytest.mark.parametrize("n", [1, 4, 7])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_fourier_transforms(dtype, n, norm):
    """Against the sum that defines them, and back again."""
    x = matrices(dtype, (2, n))
    scale = {"backward": 1, "ortho": n**-0.5, "forward": 1 / n}[norm]
    spectrum = x @ fourier_matrix(n, -1) * scale
    y = xp.asarray(x)
    complex_type = numpy.result_type(dtype, "complex64")
    close(xp.fft.ifft(xp.fft.fft(y, norm=norm), norm=norm), x, dtype)
    if dtype.startswith("complex"):
        assert xp.fft.fft(y).dtype == complex_type
        close(xp.fft.fft(y, norm=norm), spectrum, dtype)
        close(xp.fft.fftn(y, norm="ortho"), fourier_matrix(2, -1) @ x @ fourier_matrix(n, -1) / (2 * n) ** 0.5, dtype)
        close(xp.fft.ifftn(xp.fft.fftn(y)), x, dtype)
        return
    half = xp.fft.rfft(y, norm=norm)
    assert half.dtype == complex_type
    close(half, spectrum[:, : n // 2 + 1], dtype)
    close(xp.fft.irfft(half, n=n, norm=norm), x, dtype)
    close(xp.fft.irfftn(xp.fft.rfftn(y), s=(2, n), axes=(0, 1)), x, dtype)
    close(xp.fft.hfft(xp.fft.ihfft(y), n=n), x, dtype)
    close(xp.fft.ifftshift(xp.fft.fftshift(y)), x, dtype)


# ------------------------------------------------------------------------------------------------------ exceptions
EXCEPTIONS = Path(__file__).parent / "conformance" / "array_api_exceptions.md"
ANSWER = re.compile(r"`(?P<expression>[^`]+)` is `(?P<value>[^`]+)` \| (?:always|by draw) \|$", re.M)
ANSWERS = sorted(set(ANSWER.findall(EXCEPTIONS.read_text())))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("expression", "value"), ANSWERS)
def test_exceptions_are_numpys(expression, value):
    """What the list of exceptions gives as NumPy's answer is NumPy's, and npx's too."""
    names = {"inf": INF, "nan": NAN, "inspect": inspect}
    for namespace in (numpy, np):
        assert repr(eval(expression, {**names, "numpy": namespace})) == value


def test_there_are_exceptions():
    assert len(ANSWERS) > 10
