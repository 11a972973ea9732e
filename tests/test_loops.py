"""Gradients through loops of any length and through branches, eager and compiled."""

import numpy
import pytest

import npx as np
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.dispatch.abstract import Aval, Hole, aval_of
from npx.dispatch.graph import evaluate
from npx.dispatch.payloads import ops
from npx.kernels.host_compiler.lower import compile
from npx.transforms.control_flow import Cond, ForLoop, WhileLoop
from npx.transforms.residuals import COUNTER, region
from npx.transforms.trace import trace


# ------------------------------------------------------------------------------------------------ eager
def chain(x, steps):
    y = x
    for _ in range(steps):
        y = y * 0.999999 + 1e-3
    return y


def updates(x, steps):
    y = np.ones(4) * x
    for k in range(steps):
        y[k % 4] *= 0.999999
    return y.sum()


@pytest.mark.parametrize("fun", [chain, updates])
def test_a_long_tape(fun):
    """Neither the walk back nor the end of a tape of 100,000 steps recurses."""
    steps = 100_000
    value, pull = np.vjp(lambda x: fun(x, steps), 1.5)
    numpy.testing.assert_allclose(pull(1.0)[0], 0.999999**steps if fun is chain else 4 * 0.999999 ** (steps / 4))
    del value, pull


@pytest.mark.slow
def test_a_very_long_tape():
    steps = 1_000_000
    numpy.testing.assert_allclose(np.grad(lambda x: chain(x, steps))(1.5), 0.999999**steps)


# ------------------------------------------------------------------------------------------------ compiled: values
def same(got, want):
    """Equal in type, dtype, and value up to rounding."""
    if isinstance(want, (tuple, list)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
        return
    assert type(got) is type(want), (type(got), type(want))
    assert numpy.asarray(got).dtype == numpy.asarray(want).dtype
    numpy.testing.assert_allclose(numpy.asarray(got), numpy.asarray(want), rtol=1e-9)


def newton(a):
    r, steps = a, 0
    while abs(r * r - a) > 1e-12:
        r = 0.5 * (r + a / r)
        steps += 1
    return r, steps


def newton_with_break(a):
    r = a
    while True:
        new = 0.5 * (r + a / r)
        if abs(new - r) < 1e-13:
            break
        r = new
    return r


def recurrence(x):
    out = np.zeros(len(x))
    for i in range(1, len(x)):
        out[i] = np.sin(out[i - 1]) + 0.1 * x[i]
    return out, i


def nested(x):
    table = np.zeros((40, 40))
    for i in range(40):
        for j in range(40):
            table[i, j] = x[i] * x[j] + 0.5 * table[i - 1, j]
    return table


def nested_regions(x):
    table = np.zeros((6, 200))
    for i in range(6):
        for j in range(1, 200):
            table[i, j] = np.sin(x[j]) * x[i] + 0.5 * table[i, j - 1]
    return table


def branches(x):
    positive, negative, count = np.float64(0), np.float64(0), 0
    for i in range(len(x)):
        v = x[i]
        if v > 0 and not v > 3:
            positive = positive + v * v
            count += 1
        else:
            negative = negative + np.sin(v)
        if v > 2.5:
            continue
        negative = negative if v < 1 else negative * 0.99
    return positive, negative, count


def ping_pong(u):
    u, new = u * 1, np.zeros_like(u)
    for _ in range(200):
        new[1:-1] = 0.5 * (u[2:] + u[:-2])
        new[0] = u[0]
        new[-1] = u[-1]
        u, new = new, u
    return u


def diffusion_in_place(u):
    for _ in range(200):
        interior = u[1:-1]
        interior += 0.1 * (u[2:] + u[:-2] - 2 * interior)
    return u.sum()


def until_large(x):
    total = np.float64(0)
    for i in range(1000):
        total = total + x[0] ** 2 + 0.01 * i
        if total > 2.5:
            break
    return total


def helper(y, steps):
    for _ in range(steps):
        y = np.cos(y) * 1.01 + 0.1 * np.sin(y) + 0.2 * y
    return y


def in_a_called_function(x):
    return helper(x, 300).sum()


def with_else(x):
    for _ in range(300):
        x = x * 0.99 + np.sin(x) * 0.001
    else:
        x = x + 1
    return x


def state_in_a_dict(x):
    state = {"sum": x[0] * 0, "rest": x[0] * 0}
    for i in range(len(x)):
        y = x[i] - state["rest"]
        total = state["sum"] + y
        state = {"rest": (total - state["sum"]) - y, "sum": total}
    return state["sum"]


def downwards(x):
    y = x * 0
    for i in range(398, -1, -2):
        y[i] = y[i + 1] * 0.5 + x[i] * i
    return y


X = np.array(numpy.random.RandomState(0).normal(size=400))
REGIONS = [
    (newton, np.float64(2)),
    (newton_with_break, np.float64(2)),
    (recurrence, X),
    (nested, X),
    (nested_regions, X),
    (branches, X),
    (ping_pong, X),
    (diffusion_in_place, X),
    (until_large, X),
    (in_a_called_function, X),
    (with_else, X),
    (state_in_a_dict, X),
    (downwards, X),
]
by_name = pytest.mark.parametrize("fun, x", REGIONS, ids=[fun.__name__ for fun, _ in REGIONS])


def fresh(x):
    return np.array(x) if np.ndim(x) else x


@by_name
def test_a_region_gives_what_the_loop_gives(fun, x):
    compiled = np.jit(fun)
    for scale in (1.0, 1.0, 0.7):
        mine, theirs = fresh(x) * scale, fresh(x) * scale
        same(compiled(mine), fun(theirs))
        same(mine, theirs)
    assert "is a region" in compiled.explain()
    assert "run by Python, because" not in compiled.explain()


def total(fun):
    def loss(x):
        out = fun(x * 1)
        return sum((np.cos(part) * part).sum() for part in (out if type(out) is tuple else (out,)))

    return loss


@by_name
@pytest.mark.parametrize("compile", [lambda f: np.jit(np.grad(f)), lambda f: np.grad(np.jit(f))], ids=["jg", "gj"])
def test_a_region_has_the_gradient_of_the_loop(fun, x, compile):
    loss = total(fun)
    compiled = compile(loss)
    for scale in (1.0, 1.0, 0.7):
        numpy.testing.assert_allclose(compiled(x * scale), np.grad(loss)(x * scale), rtol=1e-8, atol=1e-12)


@by_name
def test_a_region_in_forward_mode(fun, x):
    loss, direction = total(fun), np.sin(np.arange(x.size)).reshape(x.shape)[()]
    want = (np.grad(loss)(x) * direction).sum()
    numpy.testing.assert_allclose(np.jit(lambda x, t: np.jvp(loss, (x,), (t,))[1])(x, direction), want, rtol=1e-8)


@pytest.mark.parametrize("fun", [newton_with_break, lambda a: newton(a)[0]])
def test_a_region_of_second_order_and_under_vmap(fun):
    a = np.array([2.0, 5.0, 30.0])
    numpy.testing.assert_allclose(np.jit(np.grad(np.grad(fun)))(2.0), -0.25 * 2**-1.5)
    numpy.testing.assert_allclose(np.jit(np.vmap(lambda a: helper(a, 100)))(a), helper(a, 100))


def test_long_loops_compile_once():
    """A loop of 100,000 steps is not unrolled: neither values nor gradients record more than a few hundred ops."""

    def f(x, w):
        y, total = x, 0
        for _ in range(100_000):
            total = total + y.sum()
            y = np.sin(y) * w + 0.1
        return total * 1e-3

    x, w = np.array([0.5, -1, 2]), np.array([1.0, 0.9, 0.3])
    compiled = np.jit(f)
    same(compiled(x, w), f(x, w))
    (signature,) = compiled._signatures.values()
    assert signature.tree.nodes < 50
    want = np.grad(f, 1)(x, w)
    numpy.testing.assert_allclose(np.jit(np.grad(f, 1))(x, w), want, rtol=1e-9)
    numpy.testing.assert_allclose(np.grad(compiled, 1)(x, w), want, rtol=1e-9)


def test_the_number_of_steps_may_be_traced():
    compiled = np.jit(lambda x, n: helper(x, n))
    for n in (50, 60, 70, 80, 90, 100, 0, 3):
        same(compiled(X, n), helper(X, n))
    assert len(compiled._signatures) <= 4
    assert "region" in compiled.explain()


def test_memory_of_a_gradient_is_that_of_the_states():
    """A buffer that each step writes one element of is kept once, and not once for each step."""
    n = 20_000

    def f(x):
        out = np.zeros(n)
        for i in range(1, n):
            out[i] = np.sin(out[i - 1]) + x[i]
        return out.sum()

    x = numpy.linspace(0, 1, n)
    out, want = numpy.zeros(n), numpy.zeros(n)
    for i in range(1, n):
        out[i] = numpy.sin(out[i - 1]) + x[i]
    for i in range(n - 1, 0, -1):
        want[i] = 1 + (numpy.cos(out[i]) * want[i + 1] if i + 1 < n else 0)
    numpy.testing.assert_allclose(np.jit(np.grad(f))(x), want, rtol=1e-9)  # n * n numbers would be 3.2 GB


def test_zeros_by_selection_in_a_region():
    def f(x):
        total = np.float64(0)
        for i in range(len(x)):
            total = total + np.where(x[i] > 0, np.log(x[i]), 0)
        return total

    x = numpy.linspace(-1, 1, 201)
    with np.errstate(all="ignore"):
        want = np.where(x > 0, 1 / np.where(x > 0, x, 1), 0)
        numpy.testing.assert_allclose(np.jit(np.grad(f))(x), want)
        numpy.testing.assert_allclose(np.grad(np.jit(f))(x), want)


# ------------------------------------------------------------------------------------------------ left to Python
def appends(x):
    found = []
    for _ in range(100):
        x = np.cos(x)
        found.append(x)
    return found[-1] + found[3]


def keeps_in_a_list(x):
    found = [0] * 100
    for _ in range(100):
        x = np.cos(x)
        found[0] = x
    return found[0]


def keeps_outside(x):
    kept = {}

    def note(y):
        kept["last"] = y
        return y

    for _ in range(200):
        x = note(np.cos(x)) * 1.01 + 0.5
    return x + kept["last"]


def shapes(x):
    total = 0
    for i in range(1, 100):
        total = total + x[:i].sum()
    return total


def aliases(x):
    u, new = x * 1, np.zeros_like(x)
    saved = u
    for _ in range(101):
        new[:] = u * 0.5 + 1 + np.sin(u) * np.cos(u) - np.sin(u) * 2
        u, new = new, u
    return u, saved


def swaps_arguments(x):
    other = x * 0
    for _ in range(101):
        other[:] = x * 0.5 + 1 + np.sin(x) * np.cos(x) - np.sin(x) * 2
        x, other = other, x
    return x


def large_ints(x):
    seed, total = 1, 0.0
    for _ in range(200):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        total = total + x[0] * (seed / 2**64)
    return total, seed


def returns_inside(x):
    for _ in range(100):
        x = x * 1.01 + 0.01
        if x[0] > 2:
            return x
    return -x


def catches(x):
    for k in range(50):
        try:
            x = np.cos(x) + np.ones(3 if k == 40 else 400)
        except ValueError:
            x = x * 2
    return x


def changes_type(x):
    y = x.astype(np.float32)
    for k in range(60):
        y = y * 2 if k < 50 else y.astype(float) + 1
    return y


def draws(x):
    rng = np.random.default_rng(3)
    for _ in range(100):
        x = x * 0.5 + rng.normal() + np.cos(x) + np.sin(x) + np.tanh(x) + np.exp(-x * x) - x**2 * 0.01
    return x


PYTHON = [
    *(appends, keeps_in_a_list, keeps_outside, shapes, aliases, swaps_arguments, large_ints, returns_inside, catches),
    *(changes_type, draws),
]


@pytest.mark.parametrize("fun", PYTHON, ids=lambda fun: fun.__name__)
def test_what_is_no_region_runs_as_before(fun):
    compiled = np.jit(fun)
    for scale in (1.0, 1.0, 0.7):
        mine, theirs = X * scale, X * scale
        same(compiled(mine), fun(theirs))
        same(mine, theirs)
    assert "is a region" not in compiled.explain()


class Private:
    """Its methods know each other by names that Python mangles."""

    def __step(self, x):
        return np.cos(x)

    def run(self, x):
        for _ in range(50):
            x = self.__step(x)
        return x


def test_private_methods():
    same(np.jit(Private().run)(X), Private().run(X))


def test_errors_of_a_loop():
    def reads_too_far(x):
        for i in range(500):
            x[i] = x[i] * 2
        return x

    with pytest.raises(IndexError):
        np.jit(reads_too_far)(np.array(X))

    def unbound(x):
        for _ in range(100):
            x = x + missing  # noqa: F821
        return x

    with pytest.raises(NameError, match="missing"):
        np.jit(unbound)(X)


# ------------------------------------------------------------------------------------------------ the ops
VECTOR, SCALAR = Aval((3,), float), Aval((), float)


def step_with_buffer():
    def step(i, w, y, acc):
        total = ops.sum(y, axis=(0,), dtype=numpy.dtype(float), keepdims=False)
        return [ops.multiply(ops.sin(y), w), ops.setitem(acc, total, i, index=(Hole(0),))]

    return region(step, [COUNTER, VECTOR, VECTOR, Aval((7,), float)])


def roots():
    def test(a, r):
        return [ops.greater(ops.absolute(ops.subtract(ops.multiply(r, r), a)), 1e-13)]

    def step(a, r):
        return [ops.multiply(0.5, ops.add(r, ops.divide(a, r)))]

    return region(test, [SCALAR, SCALAR]), region(step, [SCALAR, SCALAR])


def two_ways():
    return (
        region(lambda a, b: [ops.multiply(a, b)], [SCALAR, SCALAR]),
        region(lambda a, b: [ops.sin(b)], [SCALAR, SCALAR]),
    )


def by_op(x, w):
    y, acc = ForLoop(step_with_buffer(), 1)(7, payload(w), payload(x), numpy.zeros(7))
    return (wrap(y) ** 2).sum() + np.cos(wrap(acc)).sum()


def by_python(x, w):
    y, acc = x, np.zeros(7)
    for i in range(7):
        acc[i] = y.sum()
        y = np.sin(y) * w
    return (y**2).sum() + np.cos(acc).sum()


def root(a):
    return wrap_scalar(WhileLoop(*roots(), 1)(payload(a), payload(a))[0])


def choice(a, b):
    return wrap_scalar(Cond(*two_ways())(payload(a > 0), payload(a), payload(b))[0])


TRANSFORMS = {
    "grad": np.grad,
    "jacfwd": np.jacfwd,
    "jit of grad": lambda f, n=0: np.jit(np.grad(f, n)),
    "grad of jit": lambda f, n=0: np.grad(np.jit(f), n),
    "grad of grad": lambda f, n=0: np.grad(lambda *a: (np.grad(f, n)(*a) ** 2).sum(), n),
    "hessian": np.hessian,
    "jacrev of grad": lambda f, n=0: np.jacrev(np.grad(f, n), n),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_ops_under_transforms(name):
    transform, x, w = TRANSFORMS[name], np.array([0.5, -1, 2]), np.array([1.0, 2, 0.3])
    for n in (0, 1):
        got, want = transform(by_op, n)(x, w), transform(by_python, n)(x, w)
        numpy.testing.assert_allclose(got, want, rtol=1e-9)
    numpy.testing.assert_allclose(transform(root)(3.0), transform(np.sqrt)(3.0), rtol=1e-9)
    for a in (2.0, -2.0):
        want = transform((lambda a, b: a * b) if a > 0 else (lambda a, b: 0 * a + np.sin(b)), 1)(a, 3.0)
        numpy.testing.assert_allclose(transform(choice, 1)(a, 3.0), want, rtol=1e-12)


def test_the_ops_under_vmap():
    x, w = np.array([0.5, -1, 2]), np.array([1.0, 2, 0.3])
    both = np.stack([x, x + 1])
    for axes in ((0, None), (None, 0), (0, 0)):
        a, b = (both if axes[0] == 0 else x), (both if axes[1] == 0 else w)
        for f in (lambda f: f, np.grad):
            numpy.testing.assert_allclose(np.vmap(f(by_op), axes)(a, b), np.vmap(f(by_python), axes)(a, b), rtol=1e-9)
    v = np.array([2.0, 3.0, 100.0])
    numpy.testing.assert_allclose(np.vmap(root)(v), np.sqrt(v))
    numpy.testing.assert_allclose(np.vmap(np.grad(root))(v), 0.5 / np.sqrt(v))
    a = np.array([2.0, -2.0])
    numpy.testing.assert_allclose(np.vmap(choice, (0, None))(a, 3.0), [6, numpy.sin(3)])
    numpy.testing.assert_allclose(np.vmap(choice, (None, 0))(2.0, a), 2 * a)
    numpy.testing.assert_allclose(np.vmap(np.grad(choice), (0, None))(a, 3.0), [3, 0])


def graphs_of_all():
    x, w, a = numpy.array([0.5, -1, 2]), numpy.array([1.0, 2, 0.3]), numpy.float64(3)
    gradient = np.grad(by_op)
    yield lambda x, w: ForLoop(step_with_buffer(), 1)(7, w, x, numpy.zeros(7)), (x, w)
    yield lambda n, x, w: ForLoop(step_with_buffer(), 1)(n, w, x, numpy.zeros(7)), (5, x, w)
    yield lambda x, w: [payload(gradient(wrap(x), wrap(w)))], (x, w)
    yield lambda a: WhileLoop(*roots(), 1)(a, a), (a,)
    yield lambda a, b: Cond(*two_ways())(ops.greater(a, 0), a, b), (a, a)
    yield lambda a, b: Cond(*two_ways())(ops.greater(0, a), a, b), (a, a)


@pytest.mark.parametrize("fun, args", list(graphs_of_all()))
def test_backends(fun, args):
    graph, _ = trace(fun, [aval_of(a) for a in args], captures=False)
    want = evaluate(graph, args)
    for compile_graph in (compile, pytest.importorskip("npx.kernels.xla").compile_graph):
        got = compile_graph(graph)(list(args))
        for g, w in zip(got, want, strict=True):
            numpy.testing.assert_allclose(numpy.asarray(g), w, rtol=1e-12)
            assert aval_of(g).dtype == aval_of(w).dtype


def test_regions_are_equal_where_they_compute_the_same():
    assert step_with_buffer() == step_with_buffer()
    assert len({step_with_buffer(), step_with_buffer()}) == 1
    yes, no = two_ways()
    assert yes != no
    half, third = (region(lambda a, k=k: [ops.multiply(a, k)], [SCALAR]) for k in (1 / 2, 1 / 3))
    assert half != third
