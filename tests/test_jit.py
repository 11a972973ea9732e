"""jit returns what the function returns: values, types, writes, exceptions."""

import numpy
import pytest

import npx as np


def same(got, want):
    """Equal in type, dtype, shape and value."""
    if isinstance(want, (tuple, list)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
    elif isinstance(want, dict):
        assert got.keys() == want.keys()
        for k in want:
            same(got[k], want[k])
    elif want is None or isinstance(want, str):
        assert got == want
    elif isinstance(want, np.ndarray):
        assert type(got) is type(want)
        assert got.dtype == want.dtype and got.shape == want.shape
        numpy.testing.assert_allclose(
            numpy.asarray(got), numpy.asarray(want), rtol=2e-6 if got.itemsize == 4 else 1e-12
        )
    else:
        assert type(got) is type(want), (type(got), type(want))
        numpy.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def check(fun, *make, calls=2):
    """Compare jit(fun) with fun on fresh arguments, twice, arguments after the call included."""
    compiled = np.jit(fun)
    for _ in range(calls):
        plain, traced = [m() if callable(m) else m for m in make], [m() if callable(m) else m for m in make]
        want = fun(*plain)
        same(compiled(*traced), want)
        same(traced, plain)
    assert all(s.reason is None for s in compiled._signatures.values()), compiled.explain()
    return compiled


def x():
    return np.arange(1.0, 13.0).reshape(3, 4)


def v():
    return np.linspace(-1, 1, 7)


# ------------------------------------------------------------------------------------------- values and types
@pytest.mark.parametrize(
    "fun",
    [
        lambda a: a + 1,
        lambda a: np.exp(-a) * np.sin(a),
        lambda a: a.sum(),
        lambda a: a.mean(axis=0),
        lambda a: (a - a.mean(axis=1, keepdims=True)) / a.std(axis=1, keepdims=True),
        lambda a: a @ a.T,
        lambda a: a[1:, ::2],
        lambda a: a[[0, 2], [1, 3]],
        lambda a: a.T.reshape(2, 6),
        lambda a: np.where(a > 5, a, -a),
        lambda a: np.concatenate([a, a], axis=1),
        lambda a: a.astype(numpy.float32),
        lambda a: a.max(axis=1),
        lambda a: np.argmax(a),
        lambda a: np.cumsum(a, axis=1),
        lambda a: np.sort(-a, axis=0),
        lambda a: np.einsum("ij,kj->ik", a, a),
        lambda a: (a > 3) & (a < 9),
        lambda a: a[0, 0],
        lambda a: [a, {"k": (a * 2, None, "text", 3)}],
        lambda a: np.zeros(3),
        lambda a: np.var(a, axis=0),
        lambda a: np.percentile(a, 30, axis=0),
        lambda a: np.pad(a, 1),
        lambda a: np.stack([a, a * 2]),
    ],
)
def test_values(fun):
    check(fun, x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "complex128", "bool", "uint8", "float16"])
def test_dtypes(dtype):
    check(lambda a: (a + a, a * 2, a.sum(), a == a[0]), lambda: np.array([[1, 0], [3, 4]]).astype(dtype))


def test_python_scalars_stay_python_scalars():
    check(lambda a, lr: (a * lr, lr * 2, lr), v, 0.5)
    check(lambda n, m: (n + m, n * m, n - m), 3, 4)


def test_numpy_scalars():
    check(lambda s: (s + 1, s * 2.0), np.float32(2.5))


def test_layouts():
    check(lambda a: a * 2 + 1, lambda: x().T)
    check(lambda a: a * 2 + 1, lambda: x()[:, ::-2])
    check(lambda a: a.sum(axis=0), lambda: np.asfortranarray(x()))


def test_a_number_that_changes_is_not_compiled_again():
    compiled = np.jit(lambda a, lr, t: a * lr**t)
    for t in range(12):
        same(compiled(v(), 0.1 * t, t), v() * (0.1 * t) ** t)
    assert len(compiled._signatures) <= 4


# ------------------------------------------------------------------------------------------- writes
def test_writes_into_arguments():
    def update(p, g):
        p -= 0.1 * g
        p[0] = 7
        return p

    check(update, v, v)


def test_the_same_argument_comes_back():
    a = v()
    assert np.jit(lambda p: p)(a) is a

    def inplace(p):
        p += 1
        return p

    assert np.jit(inplace)(a) is a


def test_writes_through_views():
    def smooth(u):
        for _ in range(3):
            u[1:-1, 1:-1] += 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] - 2 * u[1:-1, 1:-1])
            row = u[0]
            row[1:3] *= 2
        return u.sum()

    check(smooth, x)


def test_local_buffers():
    def fill(a):
        out = np.zeros((4, 3))
        for i in range(4):
            out[i] = a[:, i] * i
        out.T[1] = -1
        return out

    check(fill, x)


def test_writes_into_arrays_from_outside():
    buffer, count = np.zeros(7), np.zeros(1, int)

    @np.jit
    def f(a):
        buffer[:] = a * 2
        count[0] += 1
        return buffer.sum()

    for k in range(1, 4):
        same(f(v() + k), ((v() + k) * 2).sum())
        same(buffer, (v() + k) * 2)
        assert count[0] == k


def test_arrays_from_outside_are_read_in_every_call():
    table = np.ones(7)
    f = np.jit(lambda a: a * table)
    same(f(v()), v())
    table[:] = 3
    same(f(v()), v() * 3)


def test_names_from_outside_may_be_bound_again():
    scale, table = 2.0, np.ones(7)

    def f(a):
        return a * scale * table

    compiled = np.jit(f)
    same(compiled(v()), v() * 2)
    scale = 5.0
    same(compiled(v()), v() * 5)
    table = np.full(7, 2.0)
    same(compiled(v()), v() * 10)


def test_a_failed_call_leaves_the_arguments_alone():
    def f(a):
        a += 1
        return a @ np.ones(3)

    a = v()
    with pytest.raises(ValueError):
        np.jit(f)(a)
    same(a, v())


# ------------------------------------------------------------------------------------------- control flow
def test_branches():
    def f(a):
        if a.sum() > 0:
            return a * 2
        elif a[0] < -5:
            return a - 1
        return -a

    compiled = np.jit(f)
    for shift in (1.0, -1.0, -9.0, 1.0, -1.0):
        same(compiled(v() + shift), f(v() + shift))
    assert "split" in compiled.explain()


def test_while_loop():
    def newton(a):
        r, steps = a, 0
        while abs(r * r - a) > 1e-12:
            r = 0.5 * (r + a / r)
            steps += 1
        return r, steps

    compiled = np.jit(newton)
    for value in (2.0, 2.0, 9.0, 100.0):
        same(compiled(np.float64(value)), newton(np.float64(value)))


def test_numbers_in_python():
    def f(a, n):
        total = a * 0
        for i in range(n):
            total = total + a[i]
        return total, int(a[1]), [0] * n

    compiled = np.jit(f)
    for n in (2, 3, 2):
        same(compiled(v() * 9, n), f(v() * 9, n))


def test_data_dependent_shapes():
    check(lambda a: (a[a > 0], np.nonzero(a)[0], np.unique(a.round())), v)


def test_masks():
    def f(a):
        a[a > 0] = 0
        a[a < -0.5] *= 2
        return a

    check(f, v)


def test_many_answers_leave_the_function_to_python():
    compiled = np.jit(lambda a: float(a.sum()))
    for k in range(30):
        same(compiled(v() + k), float((v() + k).sum()))
    assert "run by Python" in compiled.explain()


def test_dictionaries_keyed_by_numbers():
    same(np.jit(lambda a, n: a * {1: 2.0, 2: 3.0}[n])(v(), 2), v() * 3)


# ------------------------------------------------------------------------------------------- other
def test_exceptions():
    with pytest.raises(ValueError, match="broadcast"):
        np.jit(lambda a: a + np.ones(3))(v())
    with pytest.raises(IndexError):
        np.jit(lambda a: a[10])(v())
    with pytest.raises(IndexError):
        np.jit(lambda a, i: a[i])(v(), np.array([10]))
    with pytest.raises(ZeroDivisionError, match="mine"):

        def f(a):
            raise ZeroDivisionError("mine")

        np.jit(f)(v())


def test_random_draws():
    def f(rng, a):
        return a + rng.normal(size=7), rng.random()

    compiled = np.jit(f)
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(3):
        same(compiled(ours, v()), f(theirs, v()))


def test_methods():
    class Model:
        def __init__(self):
            self.w = np.ones(4)

        @np.jit
        def loss(self, a):
            return (self.w * a).sum()

    m = Model()
    same(m.loss(x()[0]), 10.0 * np.float64(1))
    m.w = np.full(4, 2.0)
    same(m.loss(x()[0]), np.float64(20.0))


def test_nesting():
    inner = np.jit(lambda a: np.sin(a) * 2)
    check(lambda a: inner(a) + 1, v)
    f = np.jit(lambda a: (a**3).sum())
    same(np.grad(f)(v()), 3 * v() ** 2)
    check(np.grad(lambda a: (a**3).sum()), v)
    check(np.vmap(lambda a: a @ a), x)
    same(np.grad(np.jit(np.grad(lambda t: t**3)))(2.0), np.float64(12.0))


def test_a_compiled_function_on_a_tape():
    f = np.jit(lambda p: {"loss": (np.sin(p["w"]) * p["b"]).sum(), "name": "f", "n": 3})
    p = {"w": v(), "b": v() + 2}
    g = np.grad(lambda p: f(p)["loss"] + f(p)["n"])(p)
    same(g, {"w": np.cos(v()) * (v() + 2), "b": np.sin(v())})
    assert all(s.pulls for s in f._signatures.values())
    same(np.grad(lambda a: np.jit(lambda b: a * b)(a * 2))(3.0), np.float64(12.0))
    cube = np.jit(lambda a: (a**3).sum())
    same(np.hessian(cube)(v()), np.diag(6 * v()))
    same(np.jvp(cube, (v(),), (np.ones(7),))[1], (3 * v() ** 2).sum())


def test_a_compiled_function_that_writes_on_a_tape():
    def f(a):
        a[0] = 5
        return (a * a).sum() if a[1] > 0 else -a.sum()

    a = v() + 1.5
    same(np.grad(np.jit(f))(a), np.grad(f)(a))
    same(np.grad(np.jit(f))(v()), np.grad(f)(v()))
    same(a, v() + 1.5)


def test_static_arguments():
    compiled = np.jit(lambda a, mode: a.sum() if mode == "sum" else a.max(), static_argnums=1)
    same(compiled(v(), "sum"), v().sum())
    same(compiled(v(), "max"), v().max())
