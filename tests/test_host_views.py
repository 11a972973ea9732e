"""Basic indexing of host arrays makes its views itself; they are NumPy's, to the stride and the flag."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, basic_indices

import npx as np

SHAPES = array_shapes(min_dims=1, max_dims=9, min_side=0, max_side=4)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_views_are_numpys(data):
    host = data.draw(SHAPES.flatmap(lambda shape: arrays(numpy.int16, shape, elements=st.integers(-9, 9))))
    if data.draw(st.booleans()):
        host = host.T[::-1]
    host.flags.writeable = data.draw(st.booleans())
    index = data.draw(basic_indices(host.shape, allow_newaxis=True, allow_ellipsis=True))
    want, mine = host[index], np.asarray(host)
    got = mine[index]
    assert type(got) is (np.ndarray if isinstance(want, numpy.ndarray) else type(want))
    assert numpy.array_equal(got, want)
    if isinstance(want, numpy.ndarray):
        found = numpy.asarray(got)
        assert (found.shape, found.dtype) == (want.shape, want.dtype)
        assert got.flags.writeable == want.flags.writeable and got.flags.c_contiguous == want.flags.c_contiguous
        if want.size:
            assert got.strides == want.strides and got.ctypes.data == want.ctypes.data
        assert got.base is mine or got is mine


@pytest.mark.parametrize("index", [3, -4, (0, 5), (slice(None), 4), 2**70, (-(2**70), slice(1)), (0, 0, 0), slice("a")])
def test_errors_are_numpys(index):
    host = numpy.ones((3, 4))
    with pytest.raises(Exception) as want:
        host[index]
    with pytest.raises(want.type) as got:
        np.asarray(host)[index]
    assert str(got.value) == str(want.value)


def test_memory_lives_as_long_as_its_views():
    views = [np.arange(1000.0)[k : k + 10] for k in range(100)]
    views = [v[2:] for v in views]
    assert all(v.tolist() == list(range(k + 2, k + 10)) for k, v in enumerate(views))


def test_a_view_of_a_structured_or_object_array():
    records = np.zeros(4, dtype=[("a", int), ("b", "U3")])
    records[1:3]["a"] = 5
    assert records["a"].tolist() == [0, 5, 5, 0]
    objects = np.array([[1], None, "x"], dtype=object)
    objects[::2][1] = "y"
    assert objects.tolist() == [[1], None, "y"]
