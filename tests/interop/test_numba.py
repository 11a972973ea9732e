"""Numba compiles for NumPy's arrays: npx arrays are handed over by `numpy.asarray`, without a copy."""

import numpy
import pytest
from programs import library

import npx

numba = library("numba")


@numba.njit
def halve(x):
    """Write into the argument and return a new array."""
    total = numpy.zeros(x.shape[0])
    for i in range(x.shape[0]):
        x[i] /= 2
        total[i] = x[: i + 1].sum()
    return total


def test_asarray_copies_nothing():
    x = npx.arange(4.0)
    view = x[1:]
    total = halve(numpy.asarray(view))
    assert x.tolist() == [0, 0.5, 1, 1.5]
    assert (view + total).tolist() == [1.0, 2.5, 4.5]
    assert halve(x.to_numpy()).tolist() == [0, 0.25, 0.75, 1.5]


def test_results_go_on_with_npx():
    y = npx.sqrt(halve(numpy.arange(3.0)))
    assert type(y) is npx.ndarray


def test_an_npx_array_itself_is_refused():
    with pytest.raises(TypeError, match="can't unbox array"):
        halve(npx.arange(4.0))


def test_vectorized_functions_take_npx_arrays():
    """A ufunc made by Numba asks its arguments, as NumPy's do."""

    @numba.vectorize(["float64(float64, float64)"])
    def hypot(a, b):
        return numpy.sqrt(a * a + b * b)

    x = npx.array([3.0, 6.0])
    y = hypot(x, npx.array([4.0, 8.0]))
    assert type(y) is npx.ndarray
    assert y.tolist() == [5.0, 10.0]
    assert hypot.reduce(x) == numpy.hypot.reduce([3.0, 6.0])


def test_npx_calls_compiled_functions():
    compiled = numba.njit(lambda v: v * v + 1)
    assert npx.vectorize(compiled)(npx.arange(3.0)).tolist() == [1.0, 2.0, 5.0]
    assert npx.apply_along_axis(lambda row: halve(numpy.asarray(row)), 1, npx.ones((2, 2))).shape == (2, 2)
