"""Arrays and transforms used from several threads: each sees what it would see alone, and nobody waits for ever.

Where two threads must meet at a certain point, the function that is transformed waits there itself (`beside`): nothing
depends on timing.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import gc
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import time
import types

import numpy
import pytest

import npx as np
from npx import numpy_layer
from npx.array import memory, views
from npx.array.ndarray import capturing, payload
from npx.kernels.host_compiler import engine
from npx.transforms import closure

SECONDS = 30  # longer than anything here takes: a test that waits for so long has failed
N = 8


class Pause:
    """What a function calls to wait until the test lets it go on; once, later calls pass."""

    def __init__(self):
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self):
        self.reached.set()
        assert self.go.wait(SECONDS)


@contextlib.contextmanager
def beside(call, pause):
    """Run the block while ``call()``, in another thread, waits in `pause`; gives the future of its result."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        try:
            while not pause.reached.wait(0.01):
                if running.done():
                    running.result()
                    raise AssertionError("the function ended before its pause")
            yield running
        finally:
            pause.go.set()
        running.result(SECONDS)


def together(*calls):
    """The results of calls that start at the same moment, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait(SECONDS)
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(SECONDS) for future in [pool.submit(run, call) for call in calls]]


@pytest.fixture
def quick_switches():
    """Let Python change threads as often as it can."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(former)


def in_new_process(code, *args):
    """What a script prints, run in an interpreter that has loaded nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------------------------ beside a function under jit
def uses(w, row, m):
    """What a thread may do with arrays that another thread only reads."""
    buffer = numpy.asarray(w)
    return [
        w + 1, w.sum(), w[0], w[1:3] * 2, row * 2, row.sum(), np.dot(w, w), w.copy(), float(w[1]), list(w), w.tolist(),
        np.sort(w)[::-1], np.concatenate([w, row]), buffer.sum(), m @ w, m.T[0], (w > 1).any(), np.where(w > 1, w, 0),
        np.median(w), w.reshape(2, 2).sum(axis=0), str(w), w.dtype, len(w), np.cumsum(m, axis=1)[-1],
    ]  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_an_array_that_is_captured_is_itself_in_other_threads(device):
    if device == "xla":
        pytest.importorskip("jax")
    pause = Pause()
    w, m = (np.asarray(x).to_device(device) for x in (np.arange(4.0), np.arange(8.0).reshape(2, 4)))
    row = m[1]
    expected = uses(w, row, m)

    @np.jit
    def f(x):
        y = (w * x).sum() + row[0] * m[0, 1]
        pause()
        return y + w[3] * x[0]

    with beside(lambda: f(np.ones(4)), pause) as result:
        found = uses(w, row, m)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(b)
        numpy.testing.assert_array_equal(a, b)
    assert result.result() == 13
    assert str(f.explain()).count("multiply") == 3  # of what the other thread did, nothing was recorded
    w += 1  # and the arrays are read anew in each call
    assert f(np.full(4, 2.0)) == 20 + 4 + 8 if device == "cpu" else True


def test_other_threads_write_to_a_captured_array():
    pause, w = Pause(), np.arange(4.0)
    view = w[2:]

    @np.jit
    def f(x):
        y = w.sum() * x
        pause()
        return y

    with beside(lambda: f(np.ones(())), pause):
        w[0] = 10
        view *= 2
        numpy.testing.assert_array_equal(w, [10, 1, 4, 6])
    numpy.testing.assert_array_equal(w, [10, 1, 4, 6])
    numpy.testing.assert_array_equal(view, [4, 6])
    assert f(np.ones(())) == 21


def test_compiled_code_runs_beside_a_recording_of_the_same_arrays():
    pause, w = Pause(), np.arange(4.0)
    compiled = np.jit(lambda x: (w * x).sum())
    assert compiled(np.ones(4)) == 6

    @np.jit
    def f(x):
        y = w * x
        pause()
        return y

    with beside(lambda: f(np.ones(4)), pause):
        assert compiled(np.full(4, 2.0)) == 12
        assert np.grad(compiled)(np.ones(4)).tolist() == [0, 1, 2, 3]
        assert np.vmap(compiled)(np.ones((2, 4))).tolist() == [6, 6]
    assert "split" not in f.explain() and "run by Python" not in f.explain()


@pytest.mark.parametrize("transform", ["grad", "jit"])
def test_compiled_code_writes_beside_another_transform(transform):
    """What both write to is the users' affair; but neither may stop the other's write."""
    pause, m = Pause(), np.zeros((2, 2))
    row = m[0]

    @np.jit
    def fill(x):
        row[:] = x

    fill(1.0)

    def f(x):
        m[1] = x * 2
        pause()
        return m[1].sum()

    with beside(lambda: getattr(np, transform)(f)(np.ones(2)), pause):
        fill(5.0)
        assert m.tolist() == [[5, 5], [0, 0]] and row.tolist() == [5, 5]
    assert m[1].tolist() == [2, 2]


def test_a_function_that_is_being_recorded_is_called_by_others():
    """They get its result, from Python; afterwards its graph serves all."""
    pause, w, runs = Pause(), np.arange(4.0), collections.deque()  # no list: its content would belong to the signature

    @np.jit
    def f(x):
        runs.append(capturing())
        y = w * x
        if y.sum() > 100:
            y = y - 1
        pause() if len(runs) == 1 else None
        y[0] = x[1]
        return y

    with beside(lambda: f(np.ones(4)), pause) as first:
        numpy.testing.assert_array_equal(f(np.full(4, 2.0)), [2, 2, 4, 6])
        numpy.testing.assert_array_equal(f(np.full(4, 99.0)), [99, 98, 197, 296])
    numpy.testing.assert_array_equal(first.result(), [1, 1, 2, 3])
    assert list(runs) == [True, False, False]
    numpy.testing.assert_array_equal(f(np.full(4, 3.0)), [3, 3, 6, 9])
    assert len(runs) == 3
    f(np.full(4, 99.0)), f(np.full(4, 88.0))
    assert list(runs) == [True, False, False, True]


def test_a_new_path_is_recorded_while_calls_follow_the_known_ones():
    """A question whose answer is being recorded, and draws on the way to it, do not show before the path is whole."""
    pause = Pause()
    rng = np.random.default_rng(0)

    @np.jit
    def f(x):
        y = x * 2 + rng.random(2)
        if y[0] > 100:
            pause()
            if y[1] > 100:
                return y + rng.random(2)
        return y

    same = numpy.random.default_rng(0)
    numpy.testing.assert_allclose(f(np.ones(2)), 2 + same.random(2))
    with beside(lambda: f(np.full(2, 99.0)), pause):
        state = rng.bit_generator.state["state"]
        assert (f(np.ones(2)) > 2).all() and rng.bit_generator.state["state"] != state
    assert "run by Python" not in f.explain()


def test_a_recording_that_raises_leaves_no_trace():
    @np.jit
    def f(x, fails):
        y = x * 2
        if x[0] > 1:
            y = y + x
            if fails:
                raise ValueError("on purpose")
            y = y * x
        return y

    for fails in (True, False, True):
        with pytest.raises(ValueError, match="on purpose") if fails else contextlib.nullcontext():
            assert f(np.full(2, 3.0), fails).tolist() == [27, 27]
    assert f(np.ones(2), False).tolist() == [2, 2]


def test_arrays_made_by_others_meanwhile():
    """An array that appears while a function is recorded is not part of the function."""
    pause, box = Pause(), types.SimpleNamespace(latest=np.zeros(3))

    @np.jit
    def f(x):
        pause()
        return x + box.latest

    with beside(lambda: f(np.ones(3)), pause) as result:
        box.latest = np.full(3, 5.0)
    assert result.result().tolist() == [6, 6, 6]
    box.latest[:] = 7
    assert f(np.ones(3)).tolist() == [8, 8, 8]


def test_buffers_made_by_others_meanwhile():
    """They are new in each call, and no arrays from outside."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        @np.jit
        def f(x):
            buffer = pool.submit(np.zeros, 2).result()
            buffer += x
            return buffer.copy()

        assert [f(np.ones(2)).tolist() for _ in range(3)] == [[1, 1]] * 3
        assert "other threads" in f.explain()


def test_capturing_is_a_thread_s_own_affair():
    pause, x = Pause(), np.arange(3.0)
    recorded = []

    def f(x):
        recorded.append(capturing())
        pause()
        return x * 2

    with beside(lambda: np.jit(f)(x), pause):
        assert recorded == [True] and not capturing()
        a = np.ones(3) * 2
        assert type(payload(a)) is numpy.ndarray
        assert np.grad(lambda v: (v * a).sum())(x).tolist() == [2, 2, 2]
    assert recorded == [True] and not capturing()


@pytest.mark.parametrize("kind", ["grad", "vmap", "jit"])
def test_a_function_may_use_threads_of_its_own(kind):
    """What it hands to them stays traced; `jit` leaves such a function to Python."""
    w = np.arange(1.0, 5.0)

    def f(x):
        buffer = np.zeros(4)
        buffer[:2] = x[:2] * w[:2]

        def part(k):
            total = (x[k] * w[k] + buffer[k]) ** 2
            return np.concatenate([np.full(1, total), np.zeros(1)])

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(part, range(4)))
        parts[0][1] = x[3]
        return np.concatenate(parts).sum()

    x = np.arange(2.0, 6.0)
    expected = 4 * (2**2 + 6**2) + 12**2 + 20**2 + 5
    assert f(x) == expected
    if kind == "grad":
        assert np.grad(f)(x).tolist() == [16, 96, 72, 161]
    elif kind == "vmap":
        assert np.vmap(f)(np.stack([x, x])).tolist() == [expected, expected]
    else:
        compiled = np.jit(f)
        for _ in range(3):
            assert compiled(x) == expected
        w[0] = 2.0
        assert compiled(x) == f(x) == expected + 3 * 4 * 2**2
        assert "threads of its own" in compiled.explain()


# ------------------------------------------------------------------------- beside a function under other transforms
@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap", "jit"])
def test_what_a_transformed_function_writes_comes_at_its_end(transform):
    """Until it returns, other threads see and use what was there before."""
    pause, log = Pause(), np.zeros(3)
    last = log[2:]

    def f(x):
        log[1:] = x[1:] * 2
        pause()
        return (log * log).sum()

    def run():
        x = np.array([1.0, 2.0, 3.0])
        if transform == "jvp":
            return np.jvp(f, (x,), (x,))
        return np.vmap(f)(x[None]) if transform == "vmap" else getattr(np, transform)(f)(x)

    with beside(run, pause):
        assert log.tolist() == [0, 0, 0] and last.tolist() == [0] and float(log.sum()) == 0
        assert np.grad(lambda x: (x * log).sum() + last[0] * x[0])(np.ones(3)).tolist() == [0, 0, 0]
        copied = log + 1
    assert copied.tolist() == [1, 1, 1]
    assert log.tolist() == [0, 4, 6] and last.tolist() == [6]


def test_what_was_there_before_until_all_is_put_back(monkeypatch):
    """The transform has ended, and the arrays still hold its tracers."""
    pause, log, return_home = Pause(), np.zeros(3), views._return_home

    def slow_return(root, value):
        pause()
        return_home(root, value)

    def f(x):
        log[1:] = x[1:] * 2
        return (log * log).sum()

    monkeypatch.setattr(views, "_return_home", slow_return)
    with beside(lambda: np.grad(f)(np.ones(3)), pause):
        assert log.tolist() == [0, 0, 0] and type(payload(log)) is numpy.ndarray
    assert log.tolist() == [0, 2, 2]


def test_jit_waits_for_the_end_of_a_write_under_another_transform():
    """It cannot capture the array meanwhile: the call is right, and a later one is compiled."""
    pause, log = Pause(), np.zeros(3)

    def f(x):
        log[:] = x * 2
        pause()
        return (log * log).sum()

    compiled = np.jit(lambda x: x + log)
    with beside(lambda: np.grad(f)(np.ones(3)), pause):
        assert compiled(np.ones(3)).tolist() == [1, 1, 1]
    assert compiled(np.ones(3)).tolist() == [3, 3, 3]
    log += 1
    assert compiled(np.ones(3)).tolist() == [4, 4, 4]
    assert "add" in compiled.explain()


def test_a_pullback_is_called_in_another_thread():
    x = np.arange(4.0)
    value, pull = np.vjp(lambda x: np.sin(x) * x, x)
    x *= 0
    (found,) = together(lambda: pull(np.ones(4)))
    numpy.testing.assert_allclose(found[0], np.sin(np.arange(4.0)) + np.arange(4.0) * np.cos(np.arange(4.0)))


def test_saved_values_while_threads_fill_the_rows(monkeypatch):
    """A thread that finds the copy for a tape half made waits for the rest of it before it writes."""
    x, written, copies = np.ones((2, 3)), threading.Event(), []
    _, pull = np.vjp(lambda v: v * x, np.ones((2, 3)))

    def slow_copy(value, copy):
        copies.append(value)
        if len(copies) == 1:
            written.wait(0.3)  # another thread's write, if it does not wait
        return numpy.array(value, copy=copy)

    monkeypatch.setattr(memory, "numpy", types.SimpleNamespace(array=slow_copy))

    def fill(k):
        x[k] = 9
        written.set()

    together(lambda: fill(0), lambda: fill(1))
    assert x.tolist() == [[9] * 3] * 2
    assert len(copies) and pull(np.ones((2, 3)))[0].tolist() == [[1] * 3] * 2


# ------------------------------------------------------------------------------------------------ stress
def model(scale, branches=True):
    """A function of its own for each test: compiled for nobody yet."""
    w, b = np.arange(12.0).reshape(3, 4) / 10, np.arange(3.0) / 2

    def loss(x):
        h = np.zeros(3)
        for i in range(3):
            h[i] = np.tanh(w[i] @ x) * scale
        h[1:] += b[1:]
        if branches and h.sum() > 3:
            h = h * 2
        return (h**2).sum()

    return loss


def numpy_gradient(f, x, step=1e-6):
    return [(f(x + e) - f(x - e)) / (2 * step) for e in np.eye(len(x)) * step]


def test_everything_at_once(quick_switches):
    loss = model(1.5)
    compiled, both = np.jit(loss), np.jit(np.grad(loss))
    smooth = model(0.1, branches=False)
    mapped = np.jit(np.vmap(smooth))
    points = [np.full(4, 0.3 * k) for k in range(N)]
    values = [loss(x) for x in points]
    gradients = [numpy_gradient(loss, x) for x in points]

    def work(k):
        for r in range(12):
            x, value, gradient = points[(k + r) % N], values[(k + r) % N], gradients[(k + r) % N]
            numpy.testing.assert_allclose(loss(x), value)
            numpy.testing.assert_allclose(compiled(x), value, rtol=1e-12)
            numpy.testing.assert_allclose(np.grad(loss)(x), gradient, rtol=1e-4, atol=1e-6)
            numpy.testing.assert_allclose(both(x), gradient, rtol=1e-4, atol=1e-6)
            numpy.testing.assert_allclose(np.vmap(smooth)(np.stack([x, -x]))[1], smooth(-x))
            numpy.testing.assert_allclose(mapped(np.stack([x, -x]))[1], smooth(-x), rtol=1e-12)

    together(*[lambda k=k: work(k) for k in range(N)])
    assert "run by Python" not in compiled.explain() + both.explain()


def test_a_compiled_function_has_a_frame_for_each_thread(quick_switches):
    compiled = np.jit(lambda x: np.exp(np.sort(np.cumsum(x * 2) - x)[::-1] + 1) @ x)
    xs = [np.linspace(0, k, 3000) / 3000 for k in range(N)]
    expected = [compiled(x) for x in xs]
    results = together(*[lambda k=k: [compiled(xs[k]) for _ in range(50)] for k in range(N)])
    assert [set(r) for r in results] == [{e} for e in expected]


def test_large_results_share_no_memory(quick_switches):
    """The pool of memory serves all threads."""

    def work(k):
        x = np.full(40_000, float(k))
        for _ in range(60):
            y = (x + 1) * 2 - x
            assert y[0] == y[-1] == k + 2 and (y == k + 2).all()
        return True

    assert all(together(*[lambda k=k: work(k) for k in range(N)]))


def test_surroundings_that_change():
    """A container that a compiled function reads may grow while it is looked at; here the profiler makes it grow."""
    table = {k: k for k in range(5)}
    f = np.jit(lambda x: x * table.get("scale", 2))
    assert f(3.0) == 6

    def grow(frame, event, arg):
        if event == "call" and frame.f_code is closure._describe.__code__:
            table[len(table)] = 0

    sys.setprofile(grow)
    try:
        assert f(3.0) == 6
    finally:
        sys.setprofile(None)
    assert len(table) > 10


def test_a_compiled_function_that_makes_its_generator(quick_switches):
    f = np.jit(lambda x: x + np.random.default_rng(7).random(3))
    expected = numpy.random.default_rng(7).random(3).tolist()
    results = together(*[lambda: [f(np.zeros(3)).tolist() for _ in range(50)] for _ in range(4)])
    assert all(r == expected for found in results for r in found)


def test_generators_draw_for_all(quick_switches):
    """Each draw of a generator that threads share goes to one of them."""
    rng = np.random.default_rng(5)
    draws = together(*[lambda: [float(rng.random()) for _ in range(200)] for _ in range(4)])
    assert sorted(sum(draws, [])) == sorted(numpy.random.default_rng(5).random(800).tolist())


def test_errstate_belongs_to_a_thread():
    barrier = threading.Barrier(2)
    x = np.zeros(3)

    def strict():
        with np.errstate(divide="raise"):
            barrier.wait(SECONDS)
            with pytest.raises(FloatingPointError):
                1 / x
            barrier.wait(SECONDS)

    def lenient():
        with np.errstate(divide="ignore"):
            barrier.wait(SECONDS)
            assert np.isinf(1 / x).all() and np.isinf(np.divide(1, x)).all()
            barrier.wait(SECONDS)

    together(strict, lenient)


# ------------------------------------------------------------------------------------------------ loading
LOADING = """
import sys, threading
sys.setswitchinterval(1e-6)
{before}
barrier = threading.Barrier(8)
found, errors = [[] for _ in range(8)], []

def work(k):
    barrier.wait()
    try:
        {body}
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join(60)
assert not any(t.is_alive() for t in threads), "threads wait for each other"
if errors:
    raise errors[0]
{after}
"""


@pytest.mark.parametrize(
    "before, body, after",
    [
        ("", "import npx", "import npx; assert npx.arange(3).sum() == 3"),
        (
            "import npx",
            "found[k] = [getattr(npx, n) for n in dir(npx) if n[0] != '_'] + [npx.linalg.solve, npx.polynomial]",
            "assert all(a is b for other in found for a, b in zip(other, found[0], strict=True))",
        ),
        (
            "import npx; x = npx.arange(1.0, 5.0)",
            "found[k] = [npx.grad(lambda v: npx.median(v * v) + npx.linalg.norm(v) + npx.polyval(v, 2.0).sum())(x)]",
            "assert all((a[0] == found[0][0]).all() for a in found)",
        ),
        (
            "import npx; m = npx.arange(1.0, 7.0).reshape(2, 3)",
            "found[k] = [npx.vmap(f)(m) for f in (npx.cov, npx.gradient, npx.var, npx.nanmax)[k % 2:]][-2:]",
            "assert all((a[1] == found[0][1]).all() for a in found)",
        ),
        (
            "import npx; x = npx.arange(5.0)",
            "f = npx.jit(lambda v: npx.exp(v * k).sum()); found[k] = [f(x), f(x)]",
            """
import gc
gc.collect()
import math
for k, (a, b) in enumerate(found):
    assert math.isclose(a, sum(math.exp(i * k) for i in range(5))) and math.isclose(a, b)
from npx.kernels.host_compiler import engine
assert len([e for e in gc.get_objects() if type(e) is engine.Engine]) == 1
""",
        ),
        (
            "import npx.dispatch.registry as r, npx",
            "found[k] = [r.op('getitem'), r.op('sin'), r.op('svd_f')]",
            "assert all(f == found[0] for f in found)",
        ),
    ],
    ids=["import", "names", "layers", "layers-vmap", "compiler", "ops"],
)
def test_first_use_in_many_threads(before, body, after):
    for _ in range(3):
        in_new_process(LOADING.format(before=before, body=body, after=after))


def test_there_is_one_engine(monkeypatch):
    """The code that an engine has made goes when it goes: a second one would be the end of the first."""
    made = []

    def slow_engine(*args):
        made.append(args)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(engine, "Engine", slow_engine)
    monkeypatch.setattr(engine, "_engine", None)
    first, second = together(engine.engine, engine.engine)
    assert first is second and len(made) == 1


def test_a_module_is_loaded_before_others_use_it(monkeypatch):
    """A thread that asks for a module of NumPy's Python layer while another one executes it waits for all of it."""
    pause, name = Pause(), "numpy.lib._twodim_base_impl"
    monkeypatch.setattr(numpy_layer, "_modules", {})
    monkeypatch.setattr(numpy_layer, "_code", lambda origin: "eye = 1\n_test_pause()\nlater = 2")
    monkeypatch.setitem(numpy_layer.HELPERS, "_test_pause", pause)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with beside(lambda: numpy_layer.module(name).eye, pause):
            other = pool.submit(lambda: vars(numpy_layer.module(name)).get("later"))
            with pytest.raises(concurrent.futures.TimeoutError):
                other.result(0.2)
        assert other.result(SECONDS) == 2


def test_modules_of_the_layer_are_single(monkeypatch):
    barrier = threading.Barrier(2)

    def slow_layer(name):
        barrier.wait(SECONDS)
        return types.ModuleType(name)

    monkeypatch.setattr(numpy_layer, "_modules", {})
    monkeypatch.setattr(numpy_layer, "Layer", slow_layer)
    first, second = together(*[lambda: numpy_layer.module("numpy.lib._twodim_base_impl")] * 2)
    assert first is second


def test_importing_starts_nothing():
    """No thread, no XLA, no compiler: a program may fork after it."""
    in_new_process("""
        import sys, threading
        import npx as np
        assert threading.active_count() == 1
        (np.arange(3.0) + 1).sum()
        assert threading.active_count() == 1
        assert not {"jax", "jaxlib", "cupy", "llvmlite"} & set(sys.modules)
    """)


def test_extensions_do_not_claim_to_run_without_the_lock():
    """They rely on it; a free-threaded Python is told nothing, and turns the lock on."""
    root = pathlib.Path(__file__).parent.parent
    sources = [root / "setup.py", *(p for d in ("npx", "dispatch", "kernels") for p in (root / d).rglob("*.pyx"))]
    assert len(sources) > 5 and not [p for p in sources if "freethreading_compatible" in p.read_text()]


def test_coroutines_take_turns():
    """Between their turns nothing of a transform is left; settings belong to each."""

    async def task(k):
        for _ in range(5):
            with np.errstate(divide="raise" if k else "ignore"):
                assert np.grad(lambda x: (x**2).sum() * k)(np.ones(2)).tolist() == [2 * k] * 2
                await asyncio.sleep(0)
                assert np.jit(lambda x: x * k)(np.ones(2)).tolist() == [k] * 2
                with pytest.raises(FloatingPointError) if k else contextlib.nullcontext():
                    1 / np.zeros(2)
                moved = await asyncio.to_thread(np.grad(lambda x: (x**3).sum()), np.ones(2))
                assert moved.tolist() == [3, 3]

    async def main():
        await asyncio.gather(*map(task, range(3)))

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_coroutine_function_is_no_function_of_arrays():
    async def f(x):
        await asyncio.sleep(0)
        return (x * x).sum()

    for transform in (np.grad, np.vmap, lambda f: lambda x: np.jvp(f, (x,), (x,))):
        with pytest.raises(TypeError, match="must return arrays, got an object of type coroutine"):
            transform(f)(np.ones(3))
    compiled = np.jit(f)
    assert [asyncio.run(compiled(np.ones(3) * k)) for k in range(3)] == [0, 3, 12]
    gc.collect()


# ------------------------------------------------------------------------------------------------ processes
CHILD = """
def checked():
    a = np.arange(200_000.0)
    assert (a + 1)[-1] == 200_000
    assert np.grad(lambda x: (x**3).sum())(np.array([2.0]))[0] == 12
    fresh = np.jit(lambda x: np.exp(x * 0).sum() + x[1])
    assert fresh(a) == 200_001 == fresh(a)
    assert known(a) == a.sum() * 2
    return "done"
"""

FORKED = f"""
import os, sys, threading
import npx as np
known = np.jit(lambda x: (x * 2).sum())
{CHILD}

def in_child(call):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            print(call(), flush=True)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    deadline = threading.Timer(30, os.kill, (pid, 9))
    deadline.start()
    status = os.waitpid(pid, 0)[1]
    deadline.cancel()
    assert status == 0, f"the child ended with status {{status}}"

"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@needs_fork
@pytest.mark.parametrize("used", [False, True], ids=["imported", "used"])
def test_a_forked_child_computes_and_compiles(used):
    used_before = "from npx.kernels.host_compiler import launch; launch.set_threads(2, 0); checked()" if used else ""
    assert in_new_process(f"{FORKED}\n{used_before}\nin_child(checked)\nin_child(checked)") == "done\ndone\n"


@needs_fork
def test_fork_while_other_threads_record_compile_and_load():
    """What they were at is not the child's; their arrays hold what they held before."""
    out = in_new_process(
        FORKED
        + """
w, reached, go = np.arange(3.0), threading.Event(), threading.Event()

def f(x):
    y = x * w
    w[0] = x[0]
    reached.set()
    go.wait(60)
    return y.sum()

recording = threading.Thread(target=np.jit(f), args=(np.ones(3),), daemon=True)
recording.start()
reached.wait(60)

def child():
    assert w.tolist() == [0, 1, 2] and (w + 1).tolist() == [1, 2, 3]
    assert np.jit(lambda x: x * w)(np.ones(3)).tolist() == [0, 1, 2]
    g = np.jit(lambda x: x * 2)
    g(1.0)
    assert "multiply" in g.explain()
    return checked()

in_child(child)
go.set()
recording.join(60)
assert w.tolist() == [1, 1, 2]

stop = threading.Event()

def compile_on():
    k = 0
    while not stop.is_set():
        k += 1
        np.jit(eval("lambda x: " + "+".join(["x"] * (k % 40 + 1)) + f"+ np.sin(x * {k}.0)"))(np.arange(4.0))

busy = threading.Thread(target=compile_on, daemon=True)
busy.start()
for _ in range(10):
    in_child(checked)
stop.set()
busy.join(60)
"""
    )
    assert out == "done\n" * 11


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_exchange_arrays(method, tmp_path):
    script = tmp_path / "exchange.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, sys
        import npx as np

        def work(x):
            return np.jit(lambda v: v * 2)(x), np.grad(lambda v: (v * v).sum())(x)

        if __name__ == "__main__":
            if sys.argv[1] not in multiprocessing.get_all_start_methods():
                sys.exit()
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                for k, (double, gradient) in enumerate(pool.map(work, [np.arange(3.0) + k for k in range(4)])):
                    assert type(double) is np.ndarray is type(gradient)
                    assert (double == (np.arange(3.0) + k) * 2).all() and (double == gradient).all()
        """)
    )
    done = subprocess.run([sys.executable, script, method], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
