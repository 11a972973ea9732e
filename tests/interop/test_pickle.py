"""pickle: every protocol, buffers out of band, and what becomes of views."""

import pickle

import numpy
import pytest
from programs import address, check

import npx

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

ARRAYS = [
    lambda np: np.arange(6.0).reshape(2, 3),
    lambda np: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    lambda np: np.arange(12.0)[::2],
    lambda np: np.arange(6).reshape(2, 3).T,
    lambda np: np.array(1.5),
    lambda np: np.zeros((0, 3)),
    lambda np: np.array(["a", "bc"]),
    lambda np: np.array([1, "x", None, [2]], dtype=object),
    lambda np: np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    lambda np: np.array(["2024-01-01"], dtype="M8[D]"),
    lambda np: np.arange(3, dtype=">i4"),
    lambda np: np.array([True, False]),
    lambda np: np.array([1 + 2j]),
    lambda np: np.float32(1.5),
    lambda np: np.dtype("f8"),
    lambda np: np.ma.masked_array([1, 2], mask=[True, False]),
]


def described(x):
    """A result with what pickle keeps of an array besides its values."""
    if isinstance(x, npx.ndarray):
        return x, x.flags.c_contiguous, x.flags.f_contiguous, x.flags.writeable, x.flags.owndata or x.base is not None
    return x


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", ARRAYS)
def test_round_trip(make, protocol):
    check(lambda np: described(pickle.loads(pickle.dumps(make(np), protocol))))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_npx_arrays_come_back_as_npx_arrays(protocol):
    back = pickle.loads(pickle.dumps({"x": npx.arange(3), "n": numpy.arange(3)}, protocol))
    assert type(back["x"]) is npx.ndarray and type(back["n"]) is numpy.ndarray


def test_buffers_out_of_band_share_memory():
    def program(np):
        x, buffers = np.arange(1000.0), []
        data = pickle.dumps(x, protocol=5, buffer_callback=buffers.append)
        back = pickle.loads(data, buffers=buffers)
        return len(buffers), len(data) < 500, address(back) == address(x), back

    check(program)


def test_out_of_band_views():
    def program(np):
        x, buffers = np.arange(6.0).reshape(2, 3), []
        data = pickle.dumps([x, x.T, x[:, ::2]], protocol=5, buffer_callback=buffers.append)
        back = pickle.loads(data, buffers=[memoryview(bytes(b.raw())) for b in buffers])
        return len(buffers), back, [b.flags.writeable for b in back], [b.flags.f_contiguous for b in back]

    check(program)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sharing_within_one_pickle(protocol):
    """One object stays one object; a view becomes an array of its own."""

    def program(np):
        x = np.arange(4.0)
        a, b, view = pickle.loads(pickle.dumps([x, x, x[1:]], protocol))
        a[1] = 99
        return a is b, a, view, view.base is None or not np.shares_memory(view, a)

    check(program)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_size(protocol):
    """A view brings its own elements along and not those of its base."""
    assert len(pickle.dumps(npx.zeros(10_000)[:10], protocol)) < 2000


def test_arrays_pickled_by_numpy_are_read_anywhere():
    x = numpy.arange(3.0)
    assert type(pickle.loads(pickle.dumps(x))) is numpy.ndarray


def test_functions_and_methods():
    x = npx.arange(4.0)
    assert pickle.loads(pickle.dumps(npx.sum))(x) == 6
    assert pickle.loads(pickle.dumps(x.sum))() == 6
    assert pickle.loads(pickle.dumps(npx.add)) is npx.add
    assert pickle.loads(pickle.dumps(npx.ndarray)) is npx.ndarray
    assert pickle.loads(pickle.dumps(npx.linalg.norm))(x) == numpy.linalg.norm(x)


def test_generators_go_on_where_they_were():
    def program(np):
        rng = np.random.default_rng(3)
        rng.normal(size=2)
        return pickle.loads(pickle.dumps(rng)).normal(size=3), rng.normal(size=3)

    check(program)


def test_what_is_traced_is_not_pickled():
    with pytest.raises(TypeError, match="stop_gradient"):
        npx.grad(lambda x: len(pickle.dumps(x)) * x.sum())(npx.arange(3.0))


def test_jitted_functions_may_pickle():
    x = npx.arange(3.0)
    assert npx.jit(lambda x: pickle.loads(pickle.dumps(x)) * 2)(x).tolist() == [0, 2, 4]
