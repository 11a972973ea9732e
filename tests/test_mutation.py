"""In-place writes under every transform, against NumPy, finite differences and loops.

Each pattern is ordinary NumPy code: a function of the module and of one array of four numbers.
"""

import itertools

import numpy
import pytest

import npx as np
from npx.testing import check_grads

X = numpy.array([0.6, -1.2, 1.7, 0.9])
PATTERNS = {}


def pattern(f):
    PATTERNS[f.__name__] = f
    return f


# ---------------------------------------------------------------------------------------------- places
@pattern
def slice_assignment(np, x):
    y = np.zeros(6)
    y[1:5] = x * x
    y[-1:] = x[0]
    return y


@pattern
def strided_and_reversed_slices(np, x):
    y = np.ones(8)
    y[::2] = x
    y[5::-2] += x[:3] * x[1:]
    return y


@pattern
def ellipsis_and_newaxis(np, x):
    y = np.zeros((2, 4, 2))
    y[..., 0] = x
    y[1, ..., None, 1] = x[:, np.newaxis] ** 2
    y[...] *= 2
    return y


@pattern
def integer_arrays(np, x):
    y = np.zeros((3, 4))
    y[[0, 2], [1, 3]] = x[:2]
    y[np.array([1, 2])] = x
    y[:, [0, 0]] = x[:2]  # the last one stays
    return y


@pattern
def repeated_places_count_once(np, x):
    y = x * 1.0
    y[[0, 0, 1]] += x[:3] ** 2
    return y


@pattern
def repeated_places_add_up(np, x):
    y = np.zeros(3)
    np.add.at(y, [0, 0, 1, 2], x * x)
    np.multiply.at(y, [2], x[0])
    return y


@pattern
def mask_of_constants(np, x):
    y = x * x
    mask = np.array([True, False, True, False])
    y[mask] = x[mask] * 3
    y[~mask] *= x[:2]
    return y


@pattern
def mask_of_values(np, x):
    y = x * x
    y[y > 1] = 0.5
    y[x < 0] = np.sin(x[0])
    return y


@pattern
def mask_of_values_in_two_dimensions(np, x):
    y = np.outer(x, x)
    y[y < 0] = 1.0
    y[x > 0.8] = -1.0
    return y


@pattern
def mask_read_and_written(np, x):
    y = x * x
    y[y > 1] -= 1
    y[x < 0] = y[x < 0] * x[x < 0]
    return y


# ---------------------------------------------------------------------------------------------- views
@pattern
def view_of_a_view(np, x):
    y = np.zeros(8)
    v = y[1:][::2]
    v[:] = x
    w = v[1:3]
    w *= v[0]
    v[3] = y[3] * y[5]
    return y, v


@pattern
def reshaped_view(np, x):
    y = np.zeros((2, 4))
    flat = y.reshape(-1)
    flat[2:6] = x
    y[1, 0] *= 3
    return flat * 2, y.ravel()[3] + y


@pattern
def transposed_view(np, x):
    y = np.zeros((4, 2))
    t = y.T
    t[0] = x
    t[1, ::2] = y[1:3, 0] ** 2
    y.swapaxes(0, 1)[1, 1] = x[0]
    return t, y.T[1]


@pattern
def rows_of_a_matrix(np, x):
    m = np.zeros((3, 4))
    for k, row in enumerate(m):
        row[:] = x**k
        row[k] += 1
    return m


@pattern
def real_and_imaginary_parts(np, x):
    z = np.zeros(4, complex)
    z.real = x
    z.imag[1:] = x[1:] ** 2
    return z * z


@pattern
def view_that_outlives_its_owner(np, x):
    y = np.zeros(6)
    v = y[2:]
    y[:] = 1
    v += x
    del y
    v[0] *= x[1]
    return v


@pattern
def view_taken_before_the_first_traced_write(np, x):
    y = np.arange(12.0).reshape(3, 4)
    column, block, flat = y[:, 1], y[1:, ::2], y.reshape(12)
    y[1] = x
    column *= 2
    block[0, 0] += flat[5]
    flat[::5] = x[0]
    return y, column, block, flat


@pattern
def squeezed_and_expanded_views(np, x):
    y = np.zeros((1, 4))
    np.squeeze(y)[:] = x
    np.expand_dims(y, 0)[0, 0, 1] *= x[0]
    np.moveaxis(y, 0, 1)[2] += 1
    return y


# ---------------------------------------------------------------------------------------------- operators and out=
@pattern
def augmented_operators(np, x):
    y = x + 2
    y += x
    y -= x[0] * 0.5
    y *= x
    y /= x + 3
    y **= 2
    y %= 0.7
    return y


@pattern
def broadcasting_augmented(np, x):
    y = np.ones((3, 4))
    y += x
    y[:, 1:] *= x[1:]
    y[0] -= x.sum()
    y[:, :1] += x[:3, None]
    return y


@pattern
def matmul_in_place(np, x):
    y = np.outer(x, x + 1)[:2, :2]
    y @= x.reshape(2, 2)
    return y


@pattern
def ufunc_out(np, x):
    y = np.zeros(4)
    r = np.multiply(x, 2, out=y)
    np.sin(y, out=y)
    np.add(y[1:], x[:-1], y[1:])
    return r, y


@pattern
def out_into_a_view(np, x):
    y = np.zeros((2, 4))
    np.exp(x, out=y[1])
    np.add(y[1], x, out=y[0, ::-1])
    np.subtract(x, 1, out=y[0], where=np.array([True, False, True, False]))
    return y


@pattern
def reduction_out(np, x):
    y = np.zeros(3)
    np.sum(x, out=y[1:2].reshape(()))
    np.max(np.outer(x, x[:3])[:, 1:], axis=0, out=y[::2])
    return y


@pattern
def accumulate_out(np, x):
    y = np.zeros(4)
    np.cumsum(x * x, out=y)
    np.multiply.accumulate(y, out=y)
    return y


@pattern
def matmul_out(np, x):
    y = np.zeros((2, 2))
    m = x.reshape(2, 2)
    np.matmul(m, m, out=y)
    np.matmul(y, m, out=y.T)
    return y


# ---------------------------------------------------------------------------------------------- functions that write
@pattern
def functions_that_write(np, x):
    y = np.zeros(5)
    np.copyto(y[:4], x)
    np.put(y, [4, 0], x[1] * 2)
    y.fill(y[4] + x[2])
    y[1:] += x
    np.fill_diagonal(y[:4].reshape(2, 2), x[3])
    return y


@pattern
def copy_where(np, x):
    y = x * 1.0
    np.copyto(y, x * x, where=x > 0)
    np.putmask(y, x < 0, x * 3)
    return y


@pattern
def sort_in_place(np, x):
    y = np.stack([x, -x])
    y.sort()
    y[0] *= np.arange(4)
    y.sort(axis=0)
    return y


@pattern
def along_an_axis(np, x):
    y = np.zeros((2, 4))
    np.put_along_axis(y, np.array([[1, 0], [2, 3]]), x.reshape(2, 2), axis=1)
    return y


# ---------------------------------------------------------------------------------------------- order of things
@pattern
def swap_of_elements(np, x):
    y = x * x
    y[0], y[1] = y[1], y[0]
    y[[2, 3]] = y[[3, 2]]
    return y * x


@pattern
def swap_of_rows_by_views(np, x):
    """Views, so that the second row is overwritten before it is read: NumPy's famous trap."""
    m = np.outer(x, x)
    m[0], m[1] = m[1], m[0]
    a, b = m[2], m[3]
    a[:], b[:] = b.copy(), a.copy()
    return m


@pattern
def overlapping_source_and_target(np, x):
    y = x * 1.0
    y[1:] = y[:-1]
    y[1:] += y[:-1] * x[1:]
    y[::-1] += y
    return y


@pattern
def write_after_use(np, x):
    y = x * 1.0
    z = np.sin(y) * y
    y *= 3
    z2 = y * y
    y[:] = 0
    return z + z2 + y


@pattern
def constant_written_after_use(np, x):
    w = np.array([1.0, 2.0, 3.0, 4.0])
    y = x * w + np.exp(x * w[1:2])
    w *= 100
    w[0] = 0
    return y


@pattern
def index_written_after_use(np, x):
    i = np.array([3, 1, 1])
    y = x[i] ** 2
    i[:] = 0
    return y * x[i]


@pattern
def scalars_are_rebound(np, x):
    s = x[0]
    t = s
    s += x[1]
    total = x.sum()
    before = total
    total *= 2
    return np.array([s, t, total, before]) * x


@pattern
def zero_dimensional_arrays_are_written(np, x):
    s = np.zeros(())
    t = s
    s += x[1]
    s *= x[0]
    return t * x


# ---------------------------------------------------------------------------------------------- buffers and loops
@pattern
def buffer_reused_in_a_loop(np, x):
    buf, total = np.empty(4), np.zeros(4)
    for k in range(3):
        buf[:] = x * k
        buf[1:] += buf[:-1]
        np.sin(buf, out=buf)
        total += buf
    return total


@pattern
def two_buffers_swapped(np, x):
    a, b = x * 1.0, np.zeros(4)
    for _ in range(3):
        b[1:-1] = (a[:-2] + a[2:]) * 0.5 * a[1:-1]
        b[0], b[-1] = a[-1], a[0]
        a, b = b, a
    return a


@pattern
def recurrence(np, x):
    y = np.zeros(7)
    y[0] = x[0]
    for i in range(6):
        y[i + 1] = y[i] * x[i % 4] + np.cos(y[i])
    return y


@pattern
def written_argument(np, x):
    x[0] = x[1] * x[2]
    x[1:] -= x[0]
    return x


@pattern
def write_decided_by_a_helper(np, x):
    def clamp(v):
        v[0] = 0
        return v

    y = x * x
    z = clamp(y[1:])
    return y.sum() * z


@pattern
def state_in_objects(np, x):
    class Model:
        def __init__(self):
            self.state = np.zeros(4)
            self.log = []

        def step(self, u):
            self.state *= 0.5
            self.state += u
            self.log.append(self.state.copy())

    model = Model()
    for k in range(1, 4):
        model.step(x**k)
    return sum(model.log)


@pattern
def narrower_buffer(np, x):
    y = np.zeros(4, "f4")
    y[:] = x
    i = np.zeros(4, int)
    i[:] = x * 4
    return y.astype(float) * 0 + i * x


@pattern
def two_dimensional_stencil(np, x):
    u = np.zeros((4, 4))
    u[1] = x
    u[2, 1:3] = x[:2] ** 2
    for _ in range(2):
        u[1:-1, 1:-1] += 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]) * u[1, 1]
    return u


# ---------------------------------------------------------------------------------------------- the tests
def run(name, x):
    return PATTERNS[name](np, x)


def leaves(result):
    return [numpy.asarray(r) for r in (result if type(result) is tuple else (result,))]


def assert_equal(found, expected, **kwargs):
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-12, **kwargs})


@pytest.mark.parametrize("name", PATTERNS)
def test_eager_is_numpy(name):
    assert_equal(run(name, np.array(X)), PATTERNS[name](numpy, X.copy()))


@pytest.mark.parametrize("name", PATTERNS)
def test_under_grad_and_jvp_the_value_is_numpys(name):
    expected = PATTERNS[name](numpy, X.copy())
    x = np.array(X)
    assert_equal(np.vjp(lambda x: run(name, x), x)[0], expected)
    assert_equal(np.jvp(lambda x: run(name, x), (x,), (x,))[0], expected)
    assert_equal(x, X)


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("name", sorted(set(PATTERNS) - {"narrower_buffer"}))
def test_derivatives(name, mode):
    check_grads(lambda x: run(name, x), (X,), order=1, modes=mode)


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - {"narrower_buffer"}))
def test_second_derivatives(name):
    check_grads(lambda x: run(name, x), (X,), order=2)


def test_a_narrower_buffer_rounds_and_stops_derivatives():
    """float32 memory keeps the derivative, integer memory has none."""
    numpy.testing.assert_array_equal(
        np.jacrev(lambda x: run("narrower_buffer", x))(X), numpy.diag((X * 4).astype(int).astype(float))
    )


#: patterns that read as many elements as the values decide: another number for each element of a batch
RAGGED = {"mask_read_and_written"}


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - RAGGED))
def test_vmap_is_a_loop(name):
    rows = numpy.stack([X, X[::-1] * 1.1, X**2])
    found = leaves(np.vmap(lambda x: run(name, x))(np.array(rows)))
    expected = [leaves(PATTERNS[name](numpy, row.copy())) for row in rows]
    for k, part in enumerate(found):
        numpy.testing.assert_allclose(part, numpy.stack([e[k] for e in expected]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(RAGGED))
def test_ragged_selection_under_vmap_is_refused(name):
    with pytest.raises(TypeError, match=r"np\.where"):
        np.vmap(lambda x: run(name, x))(numpy.stack([X, X]))


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - RAGGED - {"narrower_buffer"}))
def test_jacobians_agree(name):
    """One tangent or cotangent per row, batched: `vmap` inside derivatives, and forward against reverse."""

    def f(x):
        return run(name, x)

    if any(part.dtype.kind == "c" for part in leaves(f(np.array(X)))):

        def f(x):
            return np.real(run(name, x))

    forward, reverse = np.jacfwd(f)(X), np.jacrev(f)(X)
    assert_equal(forward, reverse)


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - RAGGED))
@pytest.mark.parametrize("order", ["vmap of grad", "grad of vmap"])
def test_vmap_and_grad_in_either_order(name, order):
    def loss(x):
        return sum(np.real(part * part.conj()).sum() for part in map(np.asarray, as_tuple(run(name, x))))

    rows = numpy.stack([X, X * 1.1])
    if order == "vmap of grad":
        found = np.vmap(np.grad(loss))(rows)
    else:
        found = np.grad(lambda rows: np.vmap(loss)(rows).sum())(rows)
    assert_equal(found, numpy.stack([np.grad(loss)(row) for row in rows]))


def as_tuple(result):
    return result if type(result) is tuple else (result,)


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
