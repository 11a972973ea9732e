"""In-place writes under every transform, against NumPy, finite differences and loops.

The patterns are in `mutations`; each is run in each combination of transforms.
"""

import itertools
import warnings

import numpy
import pytest
from mutations import PATTERNS

import npx as np
from npx.dispatch import registry
from npx.ops import indexing
from npx.testing import check_grads

X = numpy.array([0.6, -1.2, 1.7, 0.9])
ROWS = numpy.stack([X, X[::-1] * 1.1, X**2])
COMBINATIONS = {}


def combination(check):
    """Add a check to those that are made of every pattern; it gets the pattern."""
    COMBINATIONS[check.__name__.replace("_", " ")] = check
    return check


# ---------------------------------------------------------------------------------------------- every combination
def as_tuple(result):
    return result if type(result) is tuple else (result,)


def leaves(result):
    return [numpy.asarray(r) for r in as_tuple(result)]


def assert_equal(found, expected, tolerance=1e-12):
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def numpys(pattern, x=X):
    return pattern(numpy, x.copy())


def loss(pattern):
    """A real number that depends on every result of a pattern."""
    return lambda x: sum(np.real(part * np.conj(part)).sum() for part in map(np.asarray, as_tuple(pattern(np, x))))


def on_npx(pattern):
    return lambda x: pattern(np, np.asarray(x))


def gradients(pattern, rows):
    """The gradient of each row by itself, which other combinations have to give as well."""
    return numpy.stack([np.grad(loss(pattern))(row) for row in rows])


@combination
def eager(pattern):
    assert_equal(pattern(np, np.array(X)), numpys(pattern))


@combination
def values_under_derivatives(pattern):
    f, x = on_npx(pattern), np.array(X)
    assert_equal(np.vjp(f, x)[0], numpys(pattern))
    assert_equal(np.jvp(f, (x,), (x,))[0], numpys(pattern))
    assert_equal(x, X)  # the function got a copy


@combination
def reverse(pattern):
    check_grads(on_npx(pattern), (X,), order=1, modes="rev")


@combination
def forward(pattern):
    check_grads(on_npx(pattern), (X,), order=1, modes="fwd")


@combination
def second_order(pattern):
    """Forward over reverse, reverse over forward, and each over itself."""
    check_grads(on_npx(pattern), (X,), order=2)


@combination
def vmap(pattern):
    """A loop over the rows."""
    found = leaves(np.vmap(on_npx(pattern))(np.array(ROWS)))
    expected = [leaves(numpys(pattern, row)) for row in ROWS]
    for k, part in enumerate(found):
        numpy.testing.assert_allclose(part, numpy.stack([e[k] for e in expected]), rtol=1e-12, atol=1e-12)


@combination
def vmap_of_grad(pattern):
    assert_equal(np.vmap(np.grad(loss(pattern)))(ROWS), gradients(pattern, ROWS), 1e-10)


@combination
def grad_of_vmap(pattern):
    found = np.grad(lambda rows: np.vmap(loss(pattern))(rows).sum())(ROWS)
    assert_equal(found, gradients(pattern, ROWS), 1e-10)


@combination
def jacobians(pattern):
    """One tangent or cotangent per row, batched: `vmap` inside derivatives, and forward against reverse."""

    def f(x):
        return tuple(np.real(part) for part in map(np.asarray, as_tuple(pattern(np, x))))

    for a, b in zip(np.jacfwd(f)(X), np.jacrev(f)(X), strict=True):
        assert_equal(a, b, 1e-10)


@combination
def jit(pattern):
    """Recorded, then compiled; the argument is written to as it is without."""
    compiled = np.jit(on_npx(pattern))
    for value in (X, ROWS[1], X):
        x, expected = np.array(value), value.copy()
        assert_equal(compiled(x), pattern(numpy, expected), 1e-10)
        assert_equal(x, expected, 1e-10)


@combination
def jit_of_grad(pattern):
    compiled = np.jit(np.grad(loss(pattern)))
    for value in (X, X * 1.1):
        assert_equal(compiled(np.array(value)), gradients(pattern, [value])[0], 1e-10)


@combination
def grad_of_jit(pattern):
    compiled = np.jit(loss(pattern))
    for value in (X, X * 1.1):
        assert_equal(np.grad(compiled)(np.array(value)), gradients(pattern, [value])[0], 1e-10)


@pytest.mark.parametrize("how", COMBINATIONS)
@pytest.mark.parametrize("name", PATTERNS)
def test_mutation(name, how):
    COMBINATIONS[how](PATTERNS[name])


def test_a_narrower_buffer_rounds_and_stops_derivatives():
    """float32 memory keeps the derivative, integer memory has none."""

    def narrower(x):
        y = np.zeros(4, "f4")
        y[:] = x
        i = np.zeros(4, int)
        i[:] = x * 4
        return y.astype(float) * 0 + i * x

    numpy.testing.assert_array_equal(np.jacrev(narrower)(X), numpy.diag((X * 4).astype(int).astype(float)))


# ---------------------------------------------------------------------------------------------- arrays from outside
TRANSFORMS = {
    "grad": lambda f: lambda x: np.grad(f)(x),
    "jvp": lambda f: lambda x: np.jvp(f, (x,), (x,)),
    "hessian": lambda f: lambda x: np.hessian(f)(x),
    "grad of grad": lambda f: lambda x: np.grad(lambda x: np.grad(f)(x).sum())(x),
    "grad of jvp": lambda f: lambda x: np.grad(lambda x: np.jvp(f, (x,), (X,))[1])(x),
    "vmap of one": lambda f: lambda x: np.vmap(f)(x[None]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_closed_over_buffers_end_as_after_a_plain_call(name):
    def fresh():
        buffer = np.zeros((2, 4))
        return buffer, buffer[1], numpy.asarray(buffer)

    def make(buffer, view):
        def f(x):
            buffer[0] = x * x
            view[:] = np.sin(buffer[0])
            view[1:] *= x[:-1]
            return (buffer * x).sum()

        return f

    plain, view, _ = fresh()
    value = make(plain, view)(X)
    buffer, view, memory = fresh()
    f = make(buffer, view)
    TRANSFORMS[name](f)(np.array(X))
    assert_equal(buffer, plain)
    assert_equal(view, plain[1])
    numpy.testing.assert_array_equal(memory, numpy.asarray(plain))  # who else looks at the memory sees it too
    buffer[0, 0] = 7
    assert memory[0, 0] == 7  # and the memory is shared as before
    assert f(X) == value
    check_grads(f, (X,))


def test_state_that_a_function_carries_from_call_to_call():
    state = np.zeros(4)

    def step(x):
        nonlocal state
        state = state * 0.5 + x
        return (state * state).sum()

    g1 = np.grad(step)(X)
    g2 = np.grad(step)(X)
    numpy.testing.assert_allclose(g1, 2 * X)
    numpy.testing.assert_allclose(g2, 3 * X)
    assert (state + 0).shape == (4,)


def test_inner_transform_writes_into_a_buffer_of_the_outer_function():
    def outer(x):
        buffer = np.zeros(4)

        def inner(y):
            buffer[:] = x * y
            return (buffer * y).sum()

        g = np.grad(inner)(x * 2)
        return (g + buffer).sum()  # 2 x (2x) + x (2x)

    numpy.testing.assert_allclose(np.grad(outer)(X), 12 * X)
    check_grads(outer, (X,))


def test_the_argument_itself_written_from_outside_the_function():
    """The function sees its argument as of the call."""
    x = np.array(X)

    def f(y):
        z = y * y
        x[:] = 0
        return (z * y).sum()

    numpy.testing.assert_allclose(np.grad(f)(x), 3 * X**2)
    numpy.testing.assert_array_equal(x, 0)


def test_failed_writes_change_nothing():
    y = np.zeros(4)

    def f(x):
        for bad in (lambda: y.__setitem__(slice(0, 3), x), lambda: y.__setitem__(9, x[0]), lambda: y.__iadd__(x[:3])):
            with pytest.raises((ValueError, IndexError)):
                bad()
        return x.sum()

    for transform in (np.grad, np.vmap):
        transform(f)(X if transform is np.grad else X[None])
        numpy.testing.assert_array_equal(y, 0)


def test_read_only_memory_is_not_written():
    y = np.zeros(4)
    y.flags.writeable = False

    def f(x):
        with pytest.raises(ValueError, match="read-only"):
            y[0] = x[0]
        with pytest.raises(ValueError, match="read-only"):
            y[1:] += x[1:]
        return x.sum()

    np.grad(f)(X)
    numpy.testing.assert_array_equal(y, 0)


@pytest.mark.parametrize("pair", list(itertools.permutations(["grad", "jvp", "vmap of one"], 2)), ids=" then ".join)
def test_transforms_after_one_another_on_one_buffer(pair):
    buffer = np.zeros(4)

    def f(x):
        buffer[:] += x
        return (buffer * buffer).sum()

    for name in pair:
        TRANSFORMS[name](f)(np.array(X))
    numpy.testing.assert_allclose(buffer, 2 * X)


# ---------------------------------------------------------------------------------------------- memory
def element_by_element(x):
    y = np.zeros(1000)
    for i in range(20):
        y[i] = y[i - 1] * 0.5 + x
    return y.sum()


def row_by_row(x):
    y = np.zeros((100, 10))
    y[0] = x
    for i in range(1, 20):
        y[i] = np.tanh(y[i - 1])
        y[i] += x
    return y[19].sum()


def through_views(x):
    y = np.zeros((100, 10))
    for row in y[:20]:
        row[1:] = x
        row *= 2
    return y.sum()


@pytest.mark.parametrize("f", [element_by_element, row_by_row, through_views])
@pytest.mark.parametrize("how", ["vjp", "jvp", "vmap"])
def test_writes_in_a_loop_copy_the_buffer_once(f, how, monkeypatch):
    copied = []

    def setitem(x, v, *arrays, index):
        out = indexing._setitem(x, v, *arrays, index=index)
        copied.append(out is not x and out.size >= 1000)
        return out

    monkeypatch.setattr(registry.op("setitem"), "host", setitem)
    run = {"vjp": lambda: np.vjp(f, 0.5), "jvp": lambda: np.jvp(f, (0.5,), (1.0,)), "vmap": lambda: np.vmap(f)(X)}
    run[how]()
    assert len(copied) >= 20 and sum(copied) <= 3  # that of the value, of its tangent


@pytest.mark.parametrize("how", sorted(set(COMBINATIONS) - {"second order"}))
def test_memory_that_somebody_knows_is_not_written_into(how):
    """Large enough to be written in place where nobody does."""

    def pattern(np, x):
        y = np.zeros((40, 10))
        y[:, 1:5] = x
        view, flat, copy = y[20:], y.reshape(-1), y.copy()
        z = np.sin(y) * y  # kept by a tape
        y[3] = 7.0
        before = [y * 1, y.T + 0, np.ravel(y)]
        same = y
        y[4, 4] = z[5, 2] + view[3, 1]
        view[0] *= 2
        flat[::7] += x[0]
        alias = same[10:]
        alias[0, :4] = z[0, 1:5] * x
        y[30:] = before[0][30:] * copy[:10]
        return (z + y * before[1].T + copy).sum(axis=0), before[2][:50], flat[::11]

    COMBINATIONS[how](pattern)


@pytest.mark.parametrize("how", ["grad", "jvp", "hessian"])
def test_a_record_array_is_refused_and_jit_leaves_it_to_python(how):
    def f(x):
        r = np.rec.array(np.zeros(4, dtype=[("a", float), ("b", float)]))
        r.a = x
        return (r.a * r.a).sum()

    with pytest.raises(TypeError, match="recarray"):
        TRANSFORMS[how](f)(X)
    assert np.jit(f)(X) == (X * X).sum()


def test_records_from_outside_end_as_after_a_plain_call():
    records = np.zeros(4, dtype=[("a", float), ("n", int)])
    memory, part = numpy.asarray(records), records["a"][1:]

    def f(x):
        records["a"] = x
        part[:] = part * x[:-1]
        records["n"][0] = 3
        return (records["a"] * records["n"]).sum()

    assert np.grad(f)(X).tolist() == [3, 0, 0, 0]
    assert memory["a"].tolist() == [X[0], *(X[1:] * X[:-1])] and memory["n"].tolist() == [3, 0, 0, 0]
    part[0] = 9
    assert records[1]["a"] == 9


# ---------------------------------------------------------------------------------------------- other dtypes
Z = X + 1j * numpy.array([0.3, 0.2, -0.5, 0.7])


def takes(pattern, x):
    """Whether NumPy runs a pattern on `x` without a complaint; most write into a float buffer."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pattern(numpy, x.copy())
        except (TypeError, ValueError, Warning):
            return False
    return True


OF_COMPLEX = [name for name, pattern in PATTERNS.items() if takes(pattern, Z)]


@pytest.mark.parametrize("name", OF_COMPLEX)
def test_complex_arguments(name):
    f = on_npx(PATTERNS[name])
    assert len(OF_COMPLEX) > 40
    assert_equal(np.vjp(f, Z)[0], numpys(PATTERNS[name], Z))
    check_grads(f, (Z,), order=1)


@pytest.mark.parametrize("name", sorted(n for n, pattern in PATTERNS.items() if takes(pattern, X.astype("f4"))))
def test_float32_arguments(name):
    pattern, x = PATTERNS[name], X.astype("f4")
    for found, expected in zip(leaves(np.vjp(on_npx(pattern), x)[0]), leaves(numpys(pattern, x)), strict=True):
        numpy.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5, strict=True)
    gradient = np.grad(loss(pattern))(x)
    assert gradient.dtype == numpy.float32
    if name != "arrays_that_are_the_same_array":  # that of float64 is the same array after astype(float)
        numpy.testing.assert_allclose(gradient, gradients(pattern, [X])[0], rtol=2e-3, atol=1e-2)
