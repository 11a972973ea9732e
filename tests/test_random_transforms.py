"""`np.random` under `jit`, `vmap` and the derivatives."""

import numpy
import pytest
from random_calls import CLASSES, calls, draw, every_call, label, make, parameters, public_methods, same_state, state

import npx as np
from npx.dispatch import debug
from npx.random.pathwise import FORMULAS
from npx.random.routes import ELEMENTWISE
from npx.testing import check_grads


def equal(mine, numpys):
    numpy.testing.assert_array_equal(numpy.asarray(mine), numpy.asarray(numpys))


def is_numeric(result):
    return numpy.asarray(result).dtype.kind in "biufc"


# -------------------------------------------------------------------------------------------------------------- jit
@pytest.mark.parametrize(("cls", "name", "call"), every_call(), ids=label)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jit_draws_as_python_does(cls, name, call):
    """In every call, the same values of the same types, and the generator ends in the same state."""
    mine, numpys = make(np, cls), make(numpy, cls)
    compiled = np.jit(lambda x: (x + 1, draw(mine, name, call, np.array)))
    for _ in range(3):
        result, drawn = compiled(np.zeros(2))[1], draw(numpys, name, call, numpy.array)
        equal(result, drawn)
        assert numpy.asarray(result).dtype == numpy.asarray(drawn).dtype
        assert isinstance(result, np.ndarray) == isinstance(drawn, numpy.ndarray)
        assert same_state(state(mine), state(numpys))


def test_draws_are_compiled():
    rng = np.random.default_rng(0)
    compiled = np.jit(lambda x: x + rng.normal(size=3))
    compiled(np.zeros(3))
    assert "host_call" in compiled.explain()
    assert "Python" not in compiled.explain()


def test_parameters_may_be_traced():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    compiled = np.jit(lambda loc, n: mine.normal(loc, scale=loc + 1) + mine.integers(0, n, size=2))
    for k in range(1, 8):
        equal(compiled(np.array(float(k)), k), numpys.normal(k, scale=k + 1) + numpys.integers(0, k, size=2))


def test_sizes_may_be_traced():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    compiled = np.jit(lambda n: mine.normal(size=n))
    for n in (2, 3, 4, 5, 6, 2):
        equal(compiled(n), numpys.normal(size=n))


def test_seeding_is_part_of_a_compiled_function():
    @np.jit
    def f(seed):
        np.random.seed(seed)
        return np.random.normal(size=3)

    for seed in (1, 2, 1, 5, 6, 7, 8):
        equal(f(seed), numpy.random.RandomState(seed).normal(size=3))
    legacy = np.random.RandomState(0)

    @np.jit
    def g(x):
        before = legacy.rand()
        legacy.seed(4)
        return x + before, legacy.rand(2)

    numpys = numpy.random.RandomState(0)
    for _ in range(3):
        before, after = g(1.0)
        assert before == 1.0 + numpys.rand()
        numpys.seed(4)
        equal(after, numpys.rand(2))


@pytest.mark.parametrize(
    "make_one",
    [
        lambda m: m.random.default_rng(3),
        lambda m: m.random.RandomState(m.array([3, 4])),
        lambda m: m.random.Generator(m.random.Philox(counter=m.array([1, 2, 3, 4]), key=5)),
        lambda m: m.random.Generator(m.random.SFC64(m.random.SeedSequence(9, spawn_key=(1,)))),
    ],
)
def test_generators_made_inside(make_one):
    """Each call makes a new one, in every path through the function."""

    def f(module, x):
        rng = make_one(module)
        first = rng.normal(size=2)
        if x.sum() > 0:
            first = first + rng.normal()
        return first, rng.uniform(size=2)

    compiled = np.jit(lambda x: f(np, x))
    for k in (1, 1, -1, -1, 1):
        for mine, numpys in zip(compiled(np.ones(2) * k), f(numpy, numpy.ones(2) * k), strict=True):
            equal(mine, numpys)
    assert "run by Python" not in compiled.explain()


def test_generators_made_inside_without_a_seed_differ():
    compiled = np.jit(lambda: np.random.default_rng().random(4))
    drawn = [tuple(compiled()) for _ in range(3)]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda rng: rng.bit_generator.state["state"]["state"] % 1000,
        lambda rng: rng.spawn(1)[0].random(),
        lambda rng: np.random.Generator(rng.bit_generator.jumped()).random(),
        lambda rng: rng.bytes(3)[0],
        lambda rng: rng.choice(["a", "b", "c"], 3),
        lambda rng: rng.bit_generator.advance(3).random_raw(),
        lambda rng: rng.shuffle(items := [1, 2, 3, 4]) or items,
    ],
)
def test_what_compiled_code_cannot_repeat_is_left_to_python(use):
    compiled, theirs = np.random.default_rng(0), np.random.default_rng(0)
    f = np.jit(lambda x: (x + compiled.random(), use(compiled)))
    for _ in range(3):
        (a, b), (c, d) = f(1.0), (1.0 + theirs.random(), use(theirs))
        equal(a, c)
        equal(b, d)
    assert "run by Python" in f.explain()


def test_out_and_shuffle_under_jit():
    mine, numpys = np.random.default_rng(1), numpy.random.default_rng(1)

    def f(rng, buffer):
        rng.random(out=buffer[1])
        rng.shuffle(buffer[:, 1:])
        rng.permuted(buffer, axis=1, out=buffer)
        return buffer.sum()

    compiled, a, b = np.jit(lambda x: f(mine, x)), np.zeros((3, 4)), numpy.zeros((3, 4))
    for _ in range(3):
        assert float(compiled(a)) == pytest.approx(float(f(numpys, b)))
        equal(a, b)
    with pytest.raises(TypeError, match="wrong type"):
        np.jit(lambda x: mine.random(out=x))(np.zeros(3, dtype=np.float32))


# ------------------------------------------------------------------------------------------------------------- vmap
@pytest.mark.parametrize(("cls", "name", "call"), every_call(), ids=label)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vmap_draws_as_a_loop_does(cls, name, call):
    """For one draw in a function: each element its own numbers, those of a loop over the elements."""
    mine, numpys = make(np, cls), make(numpy, cls)
    if not is_numeric(draw(make(numpy, cls), name, call, numpy.array)):
        with pytest.raises(TypeError, match="vmap"):
            np.vmap(lambda x: draw(mine, name, call, np.array))(np.zeros(3))
        return
    mapped = np.vmap(lambda x: draw(mine, name, call, np.array))(np.arange(3.0))
    equal(mapped, [draw(numpys, name, call, numpy.array) for _ in range(3)])
    assert same_state(state(mine), state(numpys))


@pytest.mark.parametrize(
    ("cls", "name"), [(c, n) for c in CLASSES for n in sorted(ELEMENTWISE) if n in public_methods(c)], ids=label
)
def test_parameters_that_differ_by_element(cls, name):
    """Drawn all at once, and what a loop draws."""
    call = calls(cls, name)[0]
    numbers = [key for key, value in call.items() if isinstance(value, (int, float)) and key != "size"]
    for key in numbers:
        for extra in ({}, {"size": 2}, {"size": (2, 3)}):
            mine, numpys = make(np, cls), make(numpy, cls)
            values = call[key] * numpy.array([1, 1, 2]) if key != "p" else numpy.array([0.2, 0.4, 0.6])
            if key in ("left", "mode"):
                values = call[key] * numpy.array([1.0, 0.9, 0.8])
            before = sum(debug.loops.values())
            mapped = np.vmap(lambda v: getattr(mine, name)(**{**call, key: v, **extra}))(np.array(values))  # noqa: B023
            assert sum(debug.loops.values()) == before
            equal(mapped, [getattr(numpys, name)(**{**call, key: v, **extra}) for v in values])
            assert same_state(state(mine), state(numpys))


def test_arrays_that_differ_by_element():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    rows = numpy.arange(12.0).reshape(3, 4)
    for name in ("permutation", "permuted", "choice"):
        equal(np.vmap(getattr(mine, name))(rows), [getattr(numpys, name)(row) for row in rows])
    equal(
        np.vmap(lambda loc: mine.normal(loc, np.ones(4), size=(2, 4)))(rows),
        [numpys.normal(row, 1.0, size=(2, 4)) for row in rows],
    )

    def shuffled(rng, module, x):
        y = x * 1
        rng.shuffle(y)
        return y

    equal(np.vmap(lambda x: shuffled(mine, np, x))(rows), [shuffled(numpys, numpy, row) for row in rows])


def test_several_draws_come_in_the_order_of_the_calls():
    """The first draw of all elements, then the second: each element's numbers are its own, but not those of a loop."""
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    mapped = np.vmap(lambda x: (mine.random(), mine.normal(size=2)))(np.zeros(3))
    equal(mapped[0], numpys.random(3))
    equal(mapped[1], numpys.normal(size=(3, 2)))


def test_nested_vmap_and_no_elements():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    equal(np.vmap(np.vmap(lambda x: x + mine.random()))(np.zeros((2, 3))), numpys.random((2, 3)))
    empty = np.vmap(lambda x: mine.normal(x, size=2))(np.zeros(0))
    assert empty.shape == (0, 2)
    assert same_state(state(mine), state(numpys))


def test_generators_seeded_inside_draw_alike():
    def f(x):
        np.random.seed(3)
        rng = np.random.default_rng(4)
        return np.random.rand(2), rng.normal(x)

    first, second = np.vmap(f)(np.arange(3.0))
    equal(first, [numpy.random.RandomState(3).rand(2)] * 3)
    equal(second, [numpy.random.default_rng(4).normal(x) for x in range(3)])


def test_generators_without_a_seed_differ_by_element():
    def f(x):
        np.random.seed()
        return x + np.random.rand(), np.random.default_rng().random(), np.random.RandomState().rand()

    for drawn in np.vmap(f)(np.zeros(3)):
        assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda rng: rng.spawn(1)[0].random(),
        lambda rng: rng.bit_generator.spawn(1),
        lambda rng: rng.bit_generator.seed_seq.spawn(1),
        lambda rng: rng.bit_generator.advance(1),
        lambda rng: rng.bytes(2),
        lambda rng: rng.shuffle([1, 2, 3]),
    ],
)
def test_what_would_differ_by_element_is_refused(use):
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="vmap"):
        np.vmap(lambda x: use(rng) and x)(np.zeros(3))


def test_seeds_that_differ_by_element_are_refused():
    with pytest.raises(TypeError, match="vmap"):
        np.vmap(lambda seed: np.random.default_rng(seed).random())(np.arange(3))


def test_vmap_and_jit():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    outer = np.jit(np.vmap(lambda x: x + mine.normal(size=2)))
    for _ in range(3):
        equal(outer(np.zeros(3)), numpys.normal(size=(3, 2)))
    inner = np.jit(lambda: mine.normal(size=2))
    for _ in range(2):
        equal(np.vmap(lambda x: x + inner())(np.zeros(3)), numpys.normal(size=(3, 2)))
        equal(inner(), numpys.normal(size=2))


# ------------------------------------------------------------------------------------------------------ derivatives
WITH_FORMULA = [
    (cls, name, key)
    for cls in CLASSES
    for name in sorted(FORMULAS)
    for key in FORMULAS[name].standard
    if name in public_methods(cls)
]


def value(cls, name, key, size=4):
    """A draw as a function of one of its parameters, and a place for that."""
    call = {**calls(cls, name)[0], "size": size}
    where = numpy.array(call[key], dtype=float)
    return lambda x: getattr(make(np, cls), name)(**{**call, key: x}), where


@pytest.mark.parametrize(("cls", "name", "key"), WITH_FORMULA, ids=label)
def test_draws_are_differentiated_by_their_parameters(cls, name, key):
    """In both modes, to second order; and the numbers are those that NumPy draws."""
    f, where = value(cls, name, key)
    call = {**calls(cls, name)[0], "size": 4}
    equal(np.jvp(f, (where,), (numpy.ones_like(where),))[0], getattr(make(numpy, cls), name)(**call))
    check_grads(f, (where,), order=2)
    numpy.testing.assert_allclose(np.jit(np.jacrev(f))(where), np.jacfwd(f)(where), rtol=1e-12)


@pytest.mark.parametrize(("cls", "name"), sorted({case[:2] for case in WITH_FORMULA}, key=str), ids=label)
def test_the_state_ends_where_numpy_leaves_it(cls, name):
    key = next(iter(FORMULAS[name].standard))
    mine, numpys = make(np, cls), make(numpy, cls)
    call = calls(cls, name)[0]
    np.jacrev(lambda x: getattr(mine, name)(**{**call, key: x}))(np.array(call[key], dtype=float))
    getattr(numpys, name)(**call)
    assert same_state(state(mine), state(numpys))


@pytest.mark.parametrize("cls", CLASSES)
def test_other_parameters_are_refused(cls):
    """There is no silent zero for any parameter of any method that has no formula."""
    for name in public_methods(cls):
        known = parameters(cls, name)
        formula = FORMULAS.get(name)
        for key, given in calls(cls, name)[0].items() if "size" in known and name != "choice" else ():
            if formula is not None and key in formula.standard:
                continue
            rng = make(np, cls)
            call = calls(cls, name)[0]
            with pytest.raises(TypeError, match=f"random.{name} has no derivative with respect to {key}"):
                np.jacrev(lambda x: getattr(rng, name)(**{**call, key: x}) * 1.0)(np.array(given, dtype=float))  # noqa: B023


@pytest.mark.parametrize("name", ["choice", "permutation", "permuted"])
def test_picked_elements_are_differentiated(name):
    x = numpy.arange(1.0, 6.0)
    jacobian = np.jacrev(lambda x: getattr(np.random.default_rng(3), name)(x))(x)
    numpy.testing.assert_array_equal(numpy.asarray(jacobian) @ x, getattr(numpy.random.default_rng(3), name)(x))
    equal(np.jacfwd(lambda x: getattr(np.random.default_rng(3), name)(x))(x), jacobian)


def test_shuffled_arrays_are_differentiated():
    def f(x):
        y = x * 2.0
        np.random.default_rng(3).shuffle(y, axis=1)
        np.random.default_rng(4).permuted(y, out=y)
        return (y * np.arange(6.0).reshape(2, 3)).sum()

    check_grads(f, (numpy.arange(1.0, 7.0).reshape(2, 3),), order=1)


def test_probabilities_of_a_choice_have_no_derivative():
    with pytest.raises(TypeError, match="no derivative with respect to p"):
        np.grad(lambda p: np.random.default_rng(0).choice(3.0 * np.arange(3), p=p / p.sum()))(np.ones(3))


def test_stop_gradient_is_the_way_out():
    g = np.grad(lambda a: a * np.random.default_rng(0).beta(np.stop_gradient(a), 2.0))(3.0)
    assert g == numpy.random.default_rng(0).beta(3.0, 2.0)


def test_draws_are_constants_for_derivatives():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    equal(np.grad(lambda x: (x * mine.normal(size=3)).sum())(np.ones(3)), numpys.normal(size=3))
    equal(np.jacfwd(lambda x: x * mine.normal(size=3))(np.ones(3)), numpy.diag(numpys.normal(size=3)))
    equal(np.hessian(lambda x: (x**2 * mine.normal(size=3)).sum())(np.ones(3)), 2 * numpy.diag(numpys.normal(size=3)))
    per_element = np.vmap(np.grad(lambda s: mine.normal(0.0, s)))(np.ones(3))
    equal(per_element, numpys.normal(size=3))


@pytest.mark.parametrize("jit", [lambda f: f, np.jit])
def test_checkpoint_meets_the_same_numbers(jit):
    def loss(module, rng, wrapped, x):
        return (wrapped(x) * rng.normal(size=3)).sum()

    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    dropout = np.checkpoint(lambda x: x**2 * mine.random(3))
    gradient = jit(np.grad(lambda x: loss(np, mine, dropout, x)))
    for _ in range(2):
        keep, factor = numpys.random(3), numpys.normal(size=3)
        numpy.testing.assert_allclose(gradient(np.ones(3)), 2 * keep * factor, rtol=1e-15)
        assert same_state(state(mine), state(numpys))


def test_checkpoint_under_vmap():
    mine, numpys = np.random.default_rng(0), numpy.random.default_rng(0)
    dropout = np.checkpoint(lambda x: (x * mine.random(3)).sum())
    equal(np.vmap(np.grad(dropout))(np.ones((2, 3))), numpys.random((2, 3)))
    equal(np.grad(lambda x: np.vmap(dropout)(x).sum())(np.ones((2, 3))), numpys.random((2, 3)))
    equal(np.jacfwd(dropout)(np.ones(3)), numpys.random(3))
    nested = np.checkpoint(lambda x: dropout(x) * mine.random())
    inner, outer = numpys.random(3), numpys.random()
    equal(np.grad(nested)(np.ones(3)), inner * outer)
    out, back = np.vjp(lambda x: x * np.checkpoint(lambda y: y * mine.random(3))(x), np.ones(3))
    kept = numpys.random(3)
    equal(np.vmap(back)(np.eye(3))[0], 2 * numpy.diag(kept))
