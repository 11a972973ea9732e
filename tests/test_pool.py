"""Memory of large results: kept for the next one, bounded, and never shared by two arrays that live."""

import gc

import numpy

import npx as np
from npx.dispatch.pool import kept_bytes

N = 400  # 1.28 MB of float64


def test_results_are_right_and_do_not_share_memory():
    a = np.arange(float(N * N)).reshape(N, N)
    host = numpy.asarray(a)
    alive = [a + k for k in range(20)]
    for k, b in enumerate(alive):
        assert b.flags.owndata
        numpy.testing.assert_array_equal(numpy.asarray(b), host + k)
    numpy.testing.assert_array_equal(numpy.asarray(a * 2 + a - np.sqrt(a) * 3), host * 2 + host - numpy.sqrt(host) * 3)
    assert len({numpy.asarray(b).ctypes.data for b in alive}) == len(alive)


def test_a_block_is_used_again():
    a = np.ones((N, N))
    places = set()
    for _ in range(10):
        b = a + 1
        places.add(numpy.asarray(b).ctypes.data)
        del b
    assert len(places) < 10 and kept_bytes() >= N * N * 8


def test_memory_outlives_the_array_that_is_viewed():
    row = (np.ones((N, N)) * 3)[5]
    for _ in range(5):
        np.ones((N, N)) * 7
    assert (row == 3).all()


def test_what_is_kept_is_bounded():
    arrays = [np.ones((N, N + k)) * 2 for k in range(60)]
    del arrays
    gc.collect()
    assert 0 < kept_bytes() <= 1 << 26


def test_resized_and_huge_results():
    a = np.ones((N, N)) + 1
    a.resize((N, 2 * N))
    assert (a[: N // 2] == 2).all() and (a[N // 2 :] == 0).all()
    before = kept_bytes()
    big = np.ones(9_000_000) + 1  # 72 MB: more than the pool keeps
    assert big[-1] == 2
    del big
    assert kept_bytes() <= max(before, 1 << 26)


def test_numpy_keeps_its_own_allocator():
    np.ones((N, N)) + 1
    assert numpy._core.multiarray.get_handler_name(numpy.ones((N, N))) == "default_allocator"
