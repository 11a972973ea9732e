"""Processes: importing npx starts no thread, children go on after a fork, arrays travel to processes and back."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
from multiprocessing import shared_memory

import numpy
import pytest

import npx

METHODS = [
    pytest.param(m, marks=pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"))
    for m in multiprocessing.get_all_start_methods()
]


def run(code, **environment):
    """Run a program in an interpreter of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------------------------------- work for the children
def norm(x, *, scale=1.0):
    """A number from an array."""
    return npx.linalg.norm(x) * scale


def double(x):
    """An array from an array; writes into its argument too."""
    y = x * 2
    x[...] = -1
    return y


def fill(name, shape):
    """Write into an array on shared memory."""
    memory = shared_memory.SharedMemory(name)
    x = npx.ndarray(shape, dtype=npx.float64, buffer=memory.buf)
    x[1:] += npx.arange(1.0, shape[0])
    total = float(x.sum())
    del x
    memory.close()
    return total


def gradient(x):
    """A gradient and a compiled value."""
    return npx.grad(lambda v: (v**3).sum())(x), npx.jit(lambda v: npx.sin(v) + 1)(x)


def fails(x):
    """Raise NumPy's exception."""
    return npx.linalg.inv(x)


def send(connection):
    """Answer through a pipe."""
    connection.send(connection.recv() + 1)


# ---------------------------------------------------------------------------------------------------------- the tests
@pytest.mark.parametrize("method", METHODS)
def test_pools(method):
    x = npx.arange(6.0)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(norm, [x[:3], x[3:]]) == [norm(x[:3]), norm(x[3:])]
        doubled = pool.map(double, [x.reshape(2, 3), npx.array(1.5)])
        assert [type(d) for d in doubled] == [npx.ndarray, npx.float64]
        assert doubled[0].tolist() == [[0, 2, 4], [6, 8, 10]] and doubled[1] == 3
        assert x.tolist() == [0, 1, 2, 3, 4, 5]
        g, y = pool.apply(gradient, (x,))
        assert npx.allclose(g, 3 * x**2) and npx.allclose(y, npx.sin(x) + 1)
        with pytest.raises(npx.linalg.LinAlgError):
            pool.apply(fails, (npx.zeros((2, 2)),))


@pytest.mark.parametrize("method", METHODS)
def test_executors(method):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(npx.sum, [npx.arange(3), npx.arange(4)])) == [3, 6]


def test_threads():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: npx.sort(npx.arange(100.0)[::-1] * i), range(1, 9)))
    assert all(npx.array_equal(p, npx.arange(100.0) * i) for i, p in enumerate(parts, 1))


@pytest.mark.parametrize("method", METHODS)
def test_shared_memory(method):
    memory = shared_memory.SharedMemory(create=True, size=5 * 8)
    try:
        x = npx.ndarray((5,), dtype=npx.float64, buffer=memory.buf)
        x[:] = 1
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(fill, (memory.name, (5,))) == 15
        assert x.tolist() == [1, 2, 3, 4, 5]
        again = npx.frombuffer(memory.buf, dtype=npx.float64, count=5)
        again[0] = 7
        assert x[0] == 7
        del x, again
    finally:
        memory.close()
        memory.unlink()


@pytest.mark.parametrize("method", METHODS)
def test_pipes(method):
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=send, args=(there,))
    child.start()
    here.send(npx.arange(3))
    answer = here.recv()
    child.join()
    assert type(answer) is npx.ndarray and answer.tolist() == [1, 2, 3]


def test_shared_arrays_of_multiprocessing():
    shared = multiprocessing.get_context("spawn").Array("d", 4)
    x = npx.frombuffer(shared.get_obj(), dtype=npx.float64)
    x[2] = 5
    assert list(shared) == [0, 0, 5, 0]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc, which Linux has")
def test_import_starts_nothing():
    """No thread besides those of NumPy, and no client of XLA."""
    code = "import os, {}; print(len(os.listdir('/proc/self/task')), 'jax' in __import__('sys').modules)"
    assert run(code.format("npx")) == run(code.format("numpy"))


FORK = """
import os, sys, threading
import npx as np
{before}
child = os.fork()
if child == 0:
    try:
        {after}
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
_, status = os.waitpid(child, 0)
{after}
sys.exit(os.waitstatus_to_exitcode(status))
"""

USES = {
    "operators": "x = np.arange(1e5); assert (x + x)[-1] == 2 * (1e5 - 1)",
    "temporaries from the pool": "x = np.ones(10**6); y = (x + x) * x - x; assert y.sum() == 10**6",
    "BLAS": "a = np.ones((300, 300)); assert (a @ a)[0, 0] == 300",
    "LAPACK": "a = np.eye(200) * 2; assert np.allclose(np.linalg.inv(a), np.eye(200) / 2)",
    "jit": "f = np.jit(lambda v: np.exp(v) * 2 + 1); assert np.allclose(f(np.ones(10**5)), 2 * np.e + 1)",
    "grad": "g = np.grad(lambda v: (np.sin(v) ** 2).sum()); assert np.allclose(g(np.ones(5)), np.sin(2.0))",
    "random numbers": "np.random.seed(0); assert np.random.rand(3).shape == (3,)",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize("use", USES)
def test_a_forked_child_goes_on(use):
    """The parent has used npx, the child uses it again, and then the parent."""
    run(FORK.format(before=USES[use], after=USES[use]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_child_of_a_parent_with_threads_goes_on():
    """Threads of the parent compile and compute while it forks; a thread in the middle of an import is not survived."""
    before = """
np.jit(lambda v: np.cosh(v))(np.ones(100))
stop = threading.Event()
def work():
    while not stop.is_set():
        np.jit(lambda v: np.tanh(v) * 3)(np.ones(1000))
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
[t.start() for t in threads]
"""
    after = "f = np.jit(lambda v: np.cos(v) - 1); assert np.allclose(f(np.zeros(100)), 0)"
    code = FORK.format(before=before, after=after).replace("_, status", "stop.set()\n_, status")
    run(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_compiled_function_is_used_by_both():
    before = "f = np.jit(lambda v: (v * 2 + 1).sum()); x = np.arange(1000.0); want = f(x)"
    run(FORK.format(before=before, after="assert f(x) == want and f(x[:10]) == 100"))


def test_numpys_scalars_and_arrays_travel_with_npx_arrays():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(norm, (numpy.arange(3.0),), {"scale": npx.array([2.0])}).tolist() == [2 * numpy.sqrt(5)]
