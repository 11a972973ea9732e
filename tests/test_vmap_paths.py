"""Control flow under `vmap`: the elements are divided by Python's decisions, and all is as in a loop over them."""

import math
import os

import numpy
import pytest

import npx as np
from npx.dispatch import debug

X = numpy.linspace(-2, 3, 11)
ROWS = numpy.random.default_rng(0).normal(size=(12, 4))
COUNTS = numpy.arange(1, 40)


def loop(f, *args):
    """What `vmap` means: the elements are arrays or scalars, as those of a loop over the first axis."""
    results = [f(*(np.array(a[k]) if a.ndim > 1 else a[k] for a in args)) for k in range(len(args[0]))]
    return numpy.stack([numpy.asarray(r) for r in results])


def same(got, want):
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    numpy.testing.assert_allclose(numpy.asarray(got), want, rtol=1e-12, atol=1e-12)


def kinked(x):
    return np.sin(x) if x > 0 else x**3


def slope(x):
    return numpy.where(x > 0, numpy.cos(x), 3 * x**2)


def newton(x):
    y, steps = x + 1.0, 0
    while abs(y * y - x) > 1e-10:
        y = 0.5 * (y + x / y)
        steps += 1
    return y + steps


def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def writes(x):
    y = np.zeros(3)
    if x[0] > 0:
        y[1] = x.sum()
    for i in range(int(x[0] > 0.5) + 1):
        y[i] += x[i]
    y[y > 1] -= 1
    return y


def chained(x):
    if x < -1:
        return x * 0
    if -1 <= x < 1:
        return x * 2
    return -x


def bisect(x):
    low, high = 0.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        if middle**2 < x + 2:
            low = middle
        else:
            high = middle
    return low + 0 * x


FUNCTIONS = {
    "if": (kinked, X),
    "chained comparison": (chained, X),
    "one of several types": (lambda x: 1 if x > 0 else x, X),
    "while": (newton, numpy.linspace(0.1, 90, 30)),
    "while and if": (collatz, COUNTS),
    "bisection": (bisect, X),
    "float": (lambda x: math.sin(float(x)), X),
    "complex": (lambda x: complex(x) * 1j, X),
    "item": (lambda x: x.item() * 2, X),
    "range": (lambda n: sum(range(int(n))), COUNTS),
    "index": (lambda n: "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz".index("def"[n % 3]), COUNTS),
    "shape by value": (lambda n: np.ones(int(n)).sum(), COUNTS),
    "slice by value": (lambda r: r[: int(r[0] > 0) + 1].sum(), ROWS),
    "write": (writes, ROWS),
    "mask": (lambda r: r[r > 0].sum(), ROWS),
    "unique": (lambda r: len(np.unique(np.round(r))), ROWS),
    "nonzero": (lambda r: np.nonzero(r > 0)[0].sum(), ROWS),
    "any": (lambda r: 1.0 if (r > 1.5).any() else r[0], ROWS),
    "assert": (lambda r: r.sum() if np.isfinite(r).all() else None, ROWS),
    "sorted": (lambda r: np.array(sorted(r)), ROWS),
    "max": (lambda r: max(r), ROWS),
    "tuple key": (lambda n: {0: 1.5, 1: 2.5}[int(n) % 2], COUNTS),
    "numpy function": (lambda r: math.fsum(r.tolist()), ROWS),
    "isclose": (lambda r: np.allclose(r, np.abs(r)), ROWS),
    "polynomial": (lambda r: np.trim_zeros(np.where(r > 0, r, 0)).sum(), ROWS),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_decisions(name):
    f, x = FUNCTIONS[name]
    same(np.vmap(f)(np.array(x)), loop(f, x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_decisions_nested(name):
    f, x = FUNCTIONS[name]
    x = x[: 2 * (len(x) // 2)]
    x = numpy.stack([x[::2], x[1::2]])
    same(np.vmap(np.vmap(f))(np.array(x)), numpy.stack([loop(f, rows) for rows in x]))


@pytest.mark.parametrize("order", ["jit of vmap", "vmap of jit"])
@pytest.mark.parametrize("name", ["if", "while", "write", "range", "mask"])
def test_decisions_with_jit(name, order):
    f, x = FUNCTIONS[name]
    transformed = np.jit(np.vmap(f)) if order == "jit of vmap" else np.vmap(np.jit(f))
    for values in (x, x[::-1].copy(), x):
        same(transformed(np.array(values)), loop(f, values))


def test_decisions_with_derivatives():
    same(np.vmap(np.grad(kinked))(X), slope(X))
    same(np.grad(lambda x: np.vmap(kinked)(x).sum())(X), slope(X))
    same(np.vmap(np.grad(np.grad(kinked)))(X), numpy.where(X > 0, -numpy.sin(X), 6 * X))
    same(np.vmap(lambda x: np.jvp(kinked, (x,), (2.0,))[1])(X), 2 * slope(X))
    same(np.jacfwd(np.vmap(kinked))(X), numpy.diag(slope(X)))
    same(np.vmap(np.vmap(np.grad(kinked)))(X[1:].reshape(5, 2)), slope(X[1:]).reshape(5, 2))
    same(np.vmap(np.grad(np.checkpoint(kinked)))(X), slope(X))
    root = np.vmap(np.grad(lambda x: newton(x) * 2))(numpy.array([1.5, 4.5, 30.0]))
    numpy.testing.assert_allclose(root, 1 / numpy.sqrt([1.5, 4.5, 30.0]), rtol=1e-9)


def test_each_path_runs_once_and_computes_its_own_elements_only():
    seen = []

    def f(x):
        if x > 0:
            seen.append("positive")
            return np.log(x)  # would warn
        seen.append("negative")
        return np.log(-x)

    with numpy.errstate(all="raise"):
        same(np.vmap(f)(X[X != 0]), numpy.log(abs(X[X != 0])))
    assert sorted(seen) == ["negative", "positive"]


def test_runs_are_as_many_as_loops_of_different_length():
    calls = []

    def f(n):
        calls.append(1)
        k = 0
        while k < n:
            k += 1
        return k

    same(np.vmap(f)(np.array([3, 5, 3, 5, 7] * 20)), numpy.array([3, 5, 3, 5, 7] * 20))
    assert len(calls) == 3


# ------------------------------------------------------------------------------------------------- side effects
def test_arguments_are_written_element_by_element():
    def f(r):
        if r[0] > 0:
            r *= 2
        r[1] = 7
        return r.sum()

    given, mine = ROWS.copy(), np.array(ROWS)
    want = numpy.stack([f(row) for row in given])
    same(np.vmap(f)(mine), want)
    same(mine, given)
    across = np.array(ROWS.T)
    same(np.vmap(f, in_axes=1)(across), want)
    same(across, given.T)


def test_arrays_from_outside_are_found_as_they_were_and_keep_what_the_last_element_left():
    buffer, count, holder = np.zeros(3), np.zeros(1), {"log": np.zeros(2)}

    def f(x):
        count[0] += 1
        holder["log"][0] += 1
        if x > 1:
            buffer[0] += x
        else:
            buffer[1] += x
        return buffer.sum() + count[0]

    for x in (X, X[::-1].copy()):
        buffer[:], count[:], holder["log"][:] = 0, 0, 0
        same(np.vmap(f)(x), x + 1)
        same(buffer, numpy.array([x[-1], 0, 0] if x[-1] > 1 else [0, x[-1], 0]))
        same(count, numpy.ones(1))
        same(holder["log"], numpy.array([1.0, 0]))


def test_shared_arguments():
    shared = np.zeros(2)

    def f(x, y):
        y[0] += x
        if x > 0:
            y[1] = x
        return y.sum()

    same(np.vmap(f, in_axes=(0, None))(X, shared), numpy.where(X > 0, 2 * X, X))
    same(shared, numpy.array([3.0, 3.0]))


@pytest.mark.parametrize("generator", ["global", "own"])
def test_draws(generator):
    """An element has the same numbers in each run for it, and no number is drawn twice."""

    def random():
        return np.random.random() if generator == "global" else rng.random()

    def f(x):
        u = random() + 0 * x
        return u if u > 0.5 else u - random()

    def restart():
        np.random.seed(3)
        return np.random.default_rng(3)

    rng = restart()
    got = np.vmap(f)(np.arange(9.0))
    after = random()
    rng = restart()
    first = numpy.array([random() for _ in range(9)])
    want = first.copy()
    want[first <= 0.5] -= numpy.array([random() for _ in range((first <= 0.5).sum())])
    same(got, want)
    assert after == random()


def test_draws_by_nested_elements():
    def f(x):
        u = np.random.random()
        return u if x > 0 else -u

    np.random.seed(0)
    got = np.vmap(np.vmap(f))(ROWS)
    np.random.seed(0)
    numpy.testing.assert_array_equal(abs(numpy.asarray(got)), np.random.random(ROWS.shape))
    numpy.testing.assert_array_equal(numpy.asarray(got) > 0, ROWS > 0)


def test_draws_in_a_checkpoint():
    def f(x):
        u = np.random.random() * x
        return u if u > 0.5 else u * 3

    def drawn(transform):
        np.random.seed(0)
        return transform(np.linspace(0.2, 2, 9))

    plain = drawn(np.vmap(np.grad(f)))
    same(drawn(np.vmap(np.grad(np.checkpoint(f)))), numpy.asarray(plain))
    same(drawn(np.grad(lambda x: np.vmap(np.checkpoint(f))(x).sum())), numpy.asarray(plain))


# ------------------------------------------------------------------------------------------------------- errors
def test_an_error_names_the_elements_that_it_is_for():
    def f(x):
        if x > 2:
            raise KeyError("too large")
        if x < -1:
            raise ValueError("too small")
        return x

    with pytest.raises(ValueError, match="too small") as caught:
        np.vmap(f)(X)
    assert caught.value.__notes__ == ["raised for elements 0, 1 of the 11 that vmap maps over"]
    with pytest.raises(KeyError) as caught:
        np.vmap(f)(X[3:])
    assert "elements 6, 7 of the 8" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda n: np.arange(int(n)), ["one shape", "(1,) for element 0", "Pad"]),
        (lambda n: np.ones(2) if n > 3 else n, ["one shape", "()", "(2,)"]),
        (lambda n: (n, n) if n > 3 else n, ["one structure", "element 0", "element 3"]),
        (lambda n: {"a": n} if n > 3 else {"b": n}, ["one structure"]),
    ],
)
def test_results_that_cannot_be_stacked(function, words):
    with pytest.raises(ValueError, match="vmap") as caught:
        np.vmap(function)(np.arange(1, 6))
    assert all(word in str(caught.value) for word in words)


def test_an_unmapped_result_must_be_one():
    assert np.vmap(lambda x: (x, 3.0), out_axes=(0, None))(X)[1] == 3.0
    with pytest.raises(ValueError, match="out_axes None"):
        np.vmap(lambda x: 1.0 if x > 0 else 2.0, out_axes=None)(X)


def test_text_divides_nothing():
    seen = []

    def f(x):
        seen.append(f"{x} {x!r}")
        return x

    np.vmap(f)(X)
    assert seen == ["array(<vmap: float64[]>) array(<vmap: float64[]>)"]


# ------------------------------------------------------------------------------------------------------ reports
def test_explain():
    report = np.vmap(kinked).explain(X)
    assert report.startswith("vmap of kinked: 11 elements, in 2 runs")
    assert "test_vmap_paths.py:" in report and "a condition): 2 answers" in report
    assert np.vmap(lambda x: x + 1).explain(X) == "vmap of <lambda>: 11 elements, in one run"
    report = np.vmap(lambda x: math.sin(float(x))).explain(X)
    assert "one call for each element" in report and "float()" in report
    report = np.vmap(lambda r: np.random.permutation(r)).explain(ROWS)
    assert "one call for each element" in report and "permutation" in report


def test_loops_are_counted_and_refused_in_strict_mode(monkeypatch):
    debug.loops.clear()
    np.vmap(lambda x: math.sin(float(x)))(X)
    np.vmap(kinked)(X)
    ((name, line),) = debug.loops
    assert name == "float()" and "test_vmap_paths.py:" in line
    monkeypatch.setitem(os.environ, "NPX_STRICT", "1")
    same(np.vmap(kinked)(X), loop(kinked, X))
    for f in (lambda x: math.sin(float(x)), lambda x: np.random.permutation(x * np.ones(2))):
        with pytest.raises(debug.StrictError, match="each of 11 elements"):
            np.vmap(f)(X)


# ------------------------------------------------------------------------------- what a transformed function reads
scale = np.ones(1)


@pytest.mark.parametrize("transform", [np.jit, np.grad, np.checkpoint, np.vmap], ids=lambda t: t.__name__)
def test_arrays_that_a_transformed_function_writes_to(transform):
    """They are found through the transform, and put back before the function runs again."""

    def f(x):
        scale[0] += 1
        return (x if x > 0 else -x) * scale[0]

    args = X[:, None] if transform is np.vmap else X
    scale[0] = 1
    found = numpy.asarray(np.vmap(transform(f))(args)).reshape(-1)
    same(found, numpy.where(X > 0, 2.0, -2.0) if transform is np.grad else 2 * abs(X))
    assert scale[0] == 2
