"""Derivatives: both modes, nested in any order, custom rules, what the results are, and what is refused."""

import functools
import gc
import itertools
import threading
import weakref
from typing import NamedTuple

import numpy
import pytest

import npx as np
from npx.testing import check_grads

X = numpy.array([0.5, 1.0, 1.5])


def close(found, expected, **kwargs):
    numpy.testing.assert_allclose(numpy.asarray(found), numpy.asarray(expected), **{"rtol": 1e-10, **kwargs})


# ---------------------------------------------------------------------------------------------- against differences
def mlp(w, b, x):
    return np.tanh(x @ w + b).sum()


def branches(x):
    return x**2 if x > 0 else np.exp(x)


def loop(x):
    y = x
    while abs(y) < 100:
        y = y * y + x
    return y


def recursion(x, n=4):
    return x if n == 0 else np.sin(recursion(x, n - 1)) + x


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: (x * np.sin(x)).sum(), (X,)),
        (mlp, (numpy.linspace(-1, 1, 6).reshape(3, 2), numpy.array([0.1, -0.2]), numpy.ones((4, 3)))),
        (branches, (1.5,)),
        (branches, (-1.5,)),
        (loop, (1.25,)),
        (recursion, (0.3,)),
        (softmax, (X,)),
        (lambda x: np.array([x[0], x[1] * x[2]]), (X,)),
        (lambda x: {"a": x * x, "b": (x[0], x.sum())}, (X,)),
        (lambda p: p["w"] @ p["v"][0], ({"w": numpy.ones((2, 3)) * X, "v": [X]},)),
        (lambda x, y: np.concatenate([x, y, x * y]), (X, X + 1)),
        (lambda z: (z * z.conj()).real.sum(), (X + 1j * X[::-1],)),
        (lambda z: np.exp(z) * z, (X + 1j * X[::-1],)),
        (lambda x: np.exp(1j * x), (X,)),
        (lambda x: np.sort(x)[::-1] * X, (numpy.array([3.0, 1.0, 2.0]),)),
        (lambda x: x.reshape(1, 3).T @ x[None, :], (X,)),
    ],
)
def test_both_modes_to_second_order(f, args):
    check_grads(f, args, order=2)


def test_float32_stays_float32():
    x = X.astype("f4")
    value, g = np.value_and_grad(lambda x: (x * 2.5 + np.sin(x)).sum())(x)
    assert value.dtype == g.dtype == numpy.float32
    check_grads(lambda x: (x * 2.5 + np.sin(x)).sum(), (x,))


def test_a_python_number_stays_weak():
    """`f(2.0)` with float32 arrays inside is float32 in NumPy, and so it is here."""
    seen = []

    def f(a):
        y = a * a * numpy.ones(3, "f4")
        seen.append(y.dtype)
        return y.sum()

    assert np.grad(f)(2.0) == 12
    assert seen == [numpy.float32]


def test_a_wrong_derivative_is_seen():
    """`check_grads` can fail, in each mode and at each order."""

    def broken(x, factor):
        @np.custom_jvp
        def square(x):
            return x * x

        square.defjvps(lambda t, ans, x: t * x * factor)
        return square(x)

    check_grads(functools.partial(broken, factor=2), (X,))
    for mode in ("fwd", "rev"):
        with pytest.raises(AssertionError, match=mode):
            check_grads(functools.partial(broken, factor=2.1), (X,), modes=mode, order=1)


# ---------------------------------------------------------------------------------------------- nesting
DERIVATIVES = {
    "grad": lambda f: np.grad(f),
    "value_and_grad": lambda f: lambda x: np.value_and_grad(f)(x)[1],
    "vjp": lambda f: lambda x: np.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f: lambda x: np.jvp(f, (x,), (1.0,))[1],
    "linearize": lambda f: lambda x: np.linearize(f, x)[1](1.0),
    "jacfwd": lambda f: np.jacfwd(f),
    "jacrev": lambda f: np.jacrev(f),
    "vmap of grad": lambda f: lambda x: np.vmap(np.grad(f))(np.stack([x, x]))[1],
    "grad of vmap": lambda f: np.grad(lambda x: np.vmap(f, axis_size=2, in_axes=None)(x).sum() / 2),
    "checkpoint": lambda f: np.grad(np.checkpoint(f)),
}


def cubic(x):
    """In place, so that every level also sees writes."""
    y = np.zeros(2)
    y[0] = x * x
    y[1:] = x
    y *= x
    return y[0] * 2 + y[1]


@pytest.mark.parametrize("names", list(itertools.product(DERIVATIVES, repeat=2)), ids=" of ".join)
def test_second_derivatives_by_any_two_transforms(names):
    outer, inner = (DERIVATIVES[n] for n in names)
    close(outer(inner(cubic))(1.7), 12 * 1.7 + 2)


@pytest.mark.parametrize(
    "names", [("grad", "jvp", "vmap of grad"), ("vmap of grad", "grad", "grad"), ("jacfwd", "vjp", "linearize")]
)
def test_third_derivatives(names):
    f = functools.reduce(lambda f, name: DERIVATIVES[name](f), names, cubic)
    close(f(1.7), 12.0)


@pytest.mark.parametrize("outer", ["grad", "jvp", "jacfwd", "jacrev", "vjp", "linearize"])
@pytest.mark.parametrize("inner", ["grad", "jvp", "jacfwd", "jacrev", "vjp", "linearize"])
def test_perturbations_are_not_confused(outer, inner):
    """d/dx of x * d/dy (x + y) is 1, and not 2."""
    assert DERIVATIVES[outer](lambda x: x * DERIVATIVES[inner](lambda y: x + y)(1.0))(1.0) == 1


def test_hessian_in_every_combination():
    def f(x):
        return (x[:-1] * np.sin(x[1:])).sum() + x[0] ** 3

    expected = np.hessian(f)(X)
    for outer, inner in itertools.product([np.jacfwd, np.jacrev], repeat=2):
        close(outer(inner(f))(X), expected)
    close(expected[0], [6 * X[0], numpy.cos(X[1]), 0])


def test_threads_do_not_see_each_other():
    barrier, found = threading.Barrier(4), {}

    def work(k):
        def f(x):
            barrier.wait()
            return x * np.grad(lambda y: x * y * k)(2.0)

        found[k] = np.grad(f)(3.0)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {k: 6.0 * k for k in range(4)}


# ---------------------------------------------------------------------------------------------- arguments and results
class Pair(NamedTuple):
    a: object
    b: object


def test_argnums_and_keywords():
    def f(x, y, scale=1.0, *, flag):
        return (x * y * scale).sum() if flag else x.sum()

    gx, gy = np.grad(f, argnums=(0, -2))(X, 2 * X, 3.0, flag=True)
    close(gx, 6 * X)
    close(gy, 3 * X)
    close(np.grad(f, argnums=2)(X, X, 3.0, flag=True), (X * X).sum())


def test_pytrees():
    params = {"w": [X, Pair(2.0, numpy.ones((2, 3)))], "none": None}
    g = np.grad(lambda p: (p["w"][0] * p["w"][1].a * p["w"][1].b).sum())(params)
    assert type(g["w"][1]) is Pair and g["none"] is None
    close(g["w"][0], [4, 4, 4])
    assert type(g["w"][1].a) is numpy.float64 and g["w"][1].a == 2 * X.sum()
    close(g["w"][1].b, 2 * numpy.stack([X, X]))


def test_aux_passes_through():
    marker = object()

    def f(x):
        y = x * x
        return y.sum(), {"y": y, "marker": marker}

    (value, aux), g = np.value_and_grad(f, has_aux=True)(X)
    assert aux["marker"] is marker and value == (X * X).sum()
    close(aux["y"], X * X)
    g2, aux = np.grad(f, has_aux=True)(X)
    close(g2, g)
    assert np.isfinite(aux["y"]).all()  # an ordinary array again


@pytest.mark.parametrize(
    ("x", "kind"),
    [(3.0, numpy.float64), (numpy.float32(3), numpy.float32), (numpy.array(3.0), np.ndarray), (np.ones(2), np.ndarray)],
)
def test_gradients_are_of_the_kind_of_their_argument(x, kind):
    g = np.grad(lambda x: (x * x).sum() if np.ndim(x) else x * x)(x)
    assert type(g) is kind
    close(g, 2 * numpy.asarray(x))


def test_the_value_is_what_the_function_returns():
    value, _ = np.value_and_grad(lambda x: x.sum())(X)
    assert type(value) is numpy.float64
    y, _ = np.vjp(lambda x: x * 2, X)
    assert type(y) is np.ndarray


def test_gradients_can_be_written_to_and_share_no_memory():
    x, y = np.ones(3), np.ones(3)
    gx, gy = np.grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(x, y)
    gx *= 5
    close(gy, 1)
    ct = np.ones(3)
    (g,) = np.vjp(lambda x: x + 1, x)[1](ct)
    g += 1
    close(ct, 1)
    (t,) = (np.jvp(lambda x: x + 1, (x,), (ct,))[1],)
    t += 1
    close(ct, 1)


def test_an_unused_argument_has_a_zero_gradient():
    g = np.grad(lambda x, y: y, argnums=(0, 1))(X, 2.0)
    close(g[0], numpy.zeros(3))
    assert g[1] == 1
    g[0][0] = 1
    assert np.grad(lambda x: 3.0)(2.0) == 0


def test_allow_int():
    g = np.grad(lambda n, x: (x[n] * n).sum(), argnums=(0, 1), allow_int=True)(numpy.array([1, 1]), X)
    close(g[0], [0, 0])
    close(g[1], [0, 2, 0])


def test_holomorphic():
    z = 1 + 2j
    close(np.grad(lambda z: z**3, holomorphic=True)(z), 3 * z**2)
    jacobian = np.jacfwd(lambda z: z * z, holomorphic=True)(numpy.array([z, 1]))
    close(jacobian, numpy.diag([2 * z, 2]))


def test_complex_gradients_follow_the_convention():
    """The gradient of |z|^2 pairs with a step t as Re(g t)."""
    z, t, eps = 1 + 2j, 0.3 - 0.4j, 1e-6
    g = np.grad(lambda z: (z * z.conjugate()).real)(z)
    close((g * t).real, (abs(z + eps * t) ** 2 - abs(z) ** 2) / eps, rtol=1e-5)


def test_vjp_of_several_results():
    (a, b), pullback = np.vjp(lambda x: (x.sum(), x * 2), X)
    close(pullback((1.0, numpy.ones(3)))[0], [3, 3, 3])
    close(pullback((0.0, X))[0], 2 * X)
    (n, y), pullback = np.vjp(lambda x: (x.argmax(), x), X)
    close(pullback((0, X))[0], X)


def test_jacobians_of_trees():
    def f(p, x):
        return {"y": p["w"] * x, "s": (x * x).sum()}

    p = {"w": X, "n": 2.0}
    for jacobian in (np.jacfwd, np.jacrev):
        j = jacobian(f, argnums=(0, 1))(p, X)
        close(j["y"][0]["w"], numpy.diag(X))
        assert j["y"][0]["n"].shape == (3,)
        close(j["s"][1], 2 * X)
        close(j["y"][1], numpy.diag(X))
        (value,) = jacobian(lambda x: (x * x,), has_aux=False)(X)
        close(value, numpy.diag(2 * X))


# ---------------------------------------------------------------------------------------------- the tape
def test_python_sees_values():
    def f(x):
        assert x > 0 and bool(x) and int(x * 2) == 3
        rows = np.arange(4.0)[: int(x * 2)]
        return rows.sum() * x + [10.0, 20.0][int(x)] * x

    assert np.grad(f)(1.5) == 3 + 20


@pytest.mark.parametrize("lose", [float, complex, numpy.asarray, lambda x: __import__("math").sin(x)])
@pytest.mark.parametrize("transform", [np.grad, lambda f: lambda x: np.jvp(f, (x,), (1.0,))])
def test_a_derivative_is_not_lost_silently(lose, transform):
    with pytest.raises(TypeError, match="stop_gradient"):
        transform(lambda x: lose(x) * x)(2.0)


def test_stop_gradient():
    assert np.grad(lambda x: x * np.stop_gradient(x))(3.0) == 3
    assert np.grad(lambda x: x * float(np.stop_gradient(x)))(3.0) == 3
    assert np.jvp(lambda x: x * np.stop_gradient({"a": x})["a"], (3.0,), (1.0,))[1] == 3
    assert np.grad(np.grad(lambda x: x * x * np.stop_gradient(x)))(3.0) == 6
    close(np.vmap(np.grad(lambda x: x * np.stop_gradient(x)))(X), X)
    x = np.ones(2)
    assert np.stop_gradient(x) is x


def test_arrays_that_leak_are_constants_afterwards():
    kept = []

    def f(x):
        kept.append(x * x)
        return x.sum()

    np.grad(f)(X)
    np.jvp(f, (X,), (X,))
    for y in kept:
        close(y + 1, X * X + 1)
        close(np.grad(lambda x: (x * y).sum())(X), X * X)  # noqa: B023


def test_dead_values_are_freed_while_the_function_runs():
    class Marked(numpy.ndarray):
        pass

    sizes = []

    def f(x):
        for _ in range(5):
            big = x * numpy.ones(1000)
            sizes.append(weakref.ref(big))
            del big
        gc.collect()
        return x * sum(r() is not None for r in sizes)

    assert np.grad(f)(1.0) == 0


def test_values_kept_for_the_pullback_survive_later_writes():
    x, w = np.array(X), np.array(X)
    y, pullback = np.vjp(lambda x: np.exp(x) * w * x[1], x)
    before = numpy.asarray(pullback(np.ones(3))[0]).copy()
    x[:] = 7
    w *= 2
    y += 1
    close(pullback(np.ones(3))[0], before)


def test_an_op_without_derivative_is_named_with_its_line():
    with pytest.raises(TypeError, match=r"nextafter has no derivative .*test_grad\.py:\d+"):
        np.grad(lambda x: np.nextafter(x, 2.0))(1.0)
    with pytest.raises(TypeError, match=r"nextafter has no derivative .*test_grad\.py:\d+"):
        np.jvp(lambda x: np.nextafter(x, 2.0), (1.0,), (1.0,))
    assert np.grad(lambda x: x + 0 * (np.nextafter(np.stop_gradient(x), 2.0)))(1.0) == 1


def test_many_reads_of_one_array():
    """Each read adds to one cotangent; the sum is right for repeated, overlapping and single places."""

    def f(x):
        total = 0.0
        for i in range(3):
            total = total + x[i] * x[i:].sum() * x[[i, i]].sum()
        return total

    check_grads(f, (X,))


# ---------------------------------------------------------------------------------------------- custom rules
def tripled(kind):
    """sin, with a derivative rule that is three times too large."""
    if kind == "vjp":
        f = np.custom_vjp(lambda x: np.sin(x))
        f.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda c, g: (3 * g * c,))
    elif kind == "jvp":
        f = np.custom_jvp(lambda x: np.sin(x))
        f.defjvp(lambda primals, tangents: (np.sin(primals[0]), 3 * np.cos(primals[0]) * tangents[0]))
    else:
        f = np.custom_jvp(lambda x: np.sin(x))
        f.defjvps(lambda t, ans, x: 3 * t * np.cos(x))
    return f


@pytest.mark.parametrize("kind", ["vjp", "jvp", "jvps"])
@pytest.mark.parametrize("name", DERIVATIVES)
def test_custom_rules_hold_under_every_transform(kind, name):
    f = tripled(kind)
    close(DERIVATIVES[name](f)(0.5), 3 * numpy.cos(0.5))
    close(f(0.5), numpy.sin(0.5))
    close(np.vmap(f)(X), numpy.sin(X))
    close(np.grad(lambda x: np.vmap(f)(x).sum())(X), 3 * numpy.cos(X))


def test_custom_vjp_with_trees_fixed_arguments_and_shared_operands():
    @functools.partial(np.custom_vjp, nondiff_argnums=(1,))
    def f(p, power, n):
        return p["x"] ** power * p["s"] * n

    def fwd(p, power, n):
        return f(p, power, n), (p, "any object", n)

    def bwd(power, residuals, g):
        p, label, n = residuals
        assert label == "any object"
        return {"x": 10 * g * p["s"], "s": None}, None

    f.defvjp(fwd, bwd)
    g = np.grad(lambda p: f(p, 2, n=3).sum())({"x": X, "s": 2.0})
    close(g["x"], numpy.full(3, 20.0))
    assert g["s"] == 0
    # under vmap: x mapped, s shared
    g = np.grad(lambda p: np.vmap(lambda x: f({"x": x, "s": p["s"]}, 2, 3))(p["x"]).sum())({"x": X, "s": 2.0})
    close(g["x"], numpy.full(3, 20.0))


def test_shared_operand_of_a_mapped_custom_rule_gets_the_sum():
    f = np.custom_vjp(lambda x, s: x * s)
    f.defvjp(lambda x, s: (x * s, (x, s)), lambda r, g: (g * r[1], g * r[0]))
    gx, gs = np.grad(lambda x, s: np.vmap(lambda x: f(x, s))(x).sum(), argnums=(0, 1))(X, 2.0)
    close(gx, [2, 2, 2])
    close(gs, X.sum())


def closure(kind):
    """A function of w and x that passes x to a called function, which closes over w."""

    def outer(w, x):
        def f(x):
            return x * w

        if kind == "vjp":
            call = np.custom_vjp(f)
            call.defvjp(lambda x: (f(x), None), lambda _, g: (g * np.stop_gradient(w),))
        elif kind == "jvps":
            call = np.custom_jvp(f)
            call.defjvps(lambda t, ans, x: t * np.stop_gradient(w))
        else:
            call = np.checkpoint(f)
        return call(x)

    return outer


@pytest.mark.parametrize("kind", ["vjp", "jvps", "checkpoint"])
def test_what_a_called_function_closes_over_is_differentiated(kind):
    outer = closure(kind)
    assert np.grad(outer, argnums=(0, 1))(2.0, 5.0) == (5.0, 2.0)
    assert np.jvp(outer, (2.0, 5.0), (1.0, 10.0))[1] == 25.0
    close(np.vmap(outer)(X, X), X * X)


@pytest.mark.parametrize("in_axes", [(0, None), (0, 0)])
def test_a_called_function_that_closes_over_mapped_values(in_axes):
    def loss(kind, w):
        return np.vmap(closure(kind), in_axes=in_axes)(w, 2 * X if in_axes[1] == 0 else 5.0).sum()

    close(np.grad(functools.partial(loss, "checkpoint"))(X), 2 * X if in_axes[1] == 0 else numpy.full(3, 5.0))


@pytest.mark.parametrize("kind", ["vjp", "jvps"])
def test_a_rule_that_cannot_be_applied_is_refused(kind):
    def loss(x):
        return np.vmap(lambda w: closure(kind)(w, x))(X).sum()

    with pytest.raises(TypeError, match="as an argument"):
        np.grad(loss)(5.0)
    with pytest.raises(TypeError, match="as an argument"):
        np.jvp(loss, (5.0,), (1.0,))


def test_bad_custom_rules():
    f = np.custom_vjp(lambda x, y: x * y)
    with pytest.raises(AttributeError, match="defvjp"):
        np.grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, None), lambda _, g: g)
    with pytest.raises(TypeError, match="tuple of 2 cotangents"):
        np.grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, None), lambda _, g: (numpy.ones(3), None))
    with pytest.raises(ValueError, match="shape"):
        np.grad(f)(1.0, 2.0)


def test_checkpoint_runs_again_and_keeps_nothing():
    calls, inner = [], []

    @np.checkpoint
    def f(x, scale, label="name"):
        calls.append(label)
        y = np.sin(x)
        inner.append(weakref.ref(y))
        y *= scale
        return {"y": y * np.cos(x)}

    def loss(x):
        y = f(x, 2.0)["y"]
        assert inner[-1]() is None
        return y.sum()

    close(np.grad(loss)(X), 2 * numpy.cos(2 * X))
    assert calls == ["name", "name"]
    check_grads(loss, (X,))
    assert f(X, 1.0)["y"].shape == (3,)


# ---------------------------------------------------------------------------------------------- afterwards
def test_errors_inside_leave_no_trace():
    buffer = np.zeros(3)

    def f(x):
        buffer[0] = x[0]
        x @ numpy.ones(5)

    with pytest.raises(ValueError):
        np.grad(f)(X)
    close(buffer, [0.5, 0, 0])
    assert np.grad(lambda x: x * x)(2.0) == 4


def test_values_kept_from_a_derivative_are_values():
    kept = []

    def f(x):
        kept.append(x * x)
        return kept[-1].sum()

    np.grad(f)(X)
    np.jvp(f, (X,), (X,))
    for value in kept:
        close(value, X**2)
        assert float(value[0]) == X[0] ** 2
