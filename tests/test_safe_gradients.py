"""Gradients where derivatives are infinite or do not exist: the docs' table is true, selection wins over infinity."""

import sys
from pathlib import Path

import numpy
import pytest

import npx as np

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))
import generate_safe_gradients as table  # noqa: E402

sys.path.remove(str(DOCS))

LIBRARY = table.Npx()
CASES = [case for cases in table.CASES.values() for case in cases]

#: expressions whose derivative at the point is infinite or not defined, as the page says
NOT_FINITE = ("np.sqrt(x)", "np.cbrt(x)", "np.sqrt(x) * np.sqrt(x)", "np.sqrt(np.sum(x**2))")
#: all but matrices with repeated eigenvalues, some of whose derivatives do not exist; and those
FINITE = [case for name, cases in table.CASES.items() if name != "Linear algebra" for case in cases]
FINITE = [case for case in FINITE if case.code not in NOT_FINITE]
TRANSFORMS = ("jit of grad", "grad of jit", "vmap of grad", "jvp", "vjp", "checkpoint")


def name(x):
    return f"{x.code} at {x.x}" if isinstance(x, table.Case) else None


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("case", CASES, ids=name)
def test_page_is_true(case):
    rows = [line.strip("| ").split(" | ") for line in table.PAGE.read_text().splitlines()]
    (row,) = (r for r in rows if r[:2] == [f"`{case.code}`", table.text(case.x)])
    assert row[2:4] == table.npx_cells(case, LIBRARY), "run docs/generate_safe_gradients.py"


@pytest.mark.parametrize("case", FINITE, ids=name)
def test_finite(case):
    for how in (LIBRARY.grad, LIBRARY.second):
        assert numpy.isfinite(how(table.function(case, LIBRARY), np.array(case.x))).all()


def other_ways():
    """Cases with transforms that must agree with `grad`."""
    for case in CASES:
        for how in TRANSFORMS:
            by_mask = "[x > 0]" in case.code  # has another length for each element of a batch
            if not (how == "vmap of grad" and by_mask) and not (how == "jvp" and case not in FINITE):
                yield case, how


@pytest.mark.parametrize(("case", "how"), list(other_ways()), ids=name)
def test_other_transforms_agree(case, how):
    f, x = table.function(case, LIBRARY), np.array(case.x)
    expected = numpy.asarray(np.grad(f)(x))
    if how == "jvp":
        found, expected = np.jvp(f, (x,), (np.ones_like(x),))[1], expected.sum()
    else:
        found = {
            "jit of grad": lambda: np.jit(np.grad(f))(x),
            "grad of jit": lambda: np.grad(np.jit(f))(x),
            "vmap of grad": lambda: np.vmap(np.grad(f))(np.stack([x, x]))[1],
            "vjp": lambda: np.vjp(f, x)[1](1.0)[0],
            "checkpoint": lambda: np.grad(np.checkpoint(f))(x),
        }[how]()
    numpy.testing.assert_allclose(numpy.asarray(found), expected, rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------------------------------------ zeros by selection
def overwritten(x):
    y = np.log(x)
    y[x <= 0] = 0.0
    return y.sum()


def written_through_a_view(x):
    y = 1 / x
    y.reshape(-1)[1:] = 0.0
    return y.sum()


def joined(x):
    return np.concatenate([np.log(x), x])[[0, 2, 3]].sum()


def summed_first(x):
    return np.where(x > 0, np.log(x) + np.sqrt(x), 1.0).sum()


def broadcast(x):
    return np.where(x[:, None] * np.ones(3) > 0, np.log(x)[:, None], 0.0).sum()


def branch_of_a_scalar(x):
    return np.where(x[1] > 0, np.log(x[1]), x.sum())


def product_of_both(x):
    return np.where(x > 0, np.log(x) * np.log(x), 0).sum()


def power(x):
    return np.where(x > 0, x**-1.5, 0).sum()


def reduction(x):
    return np.where(x > 0, np.prod(1 / x[:, None], axis=1), 0).sum()


def loop(x):
    total = np.zeros(2)
    for _ in range(3):
        total += np.where(x > 0, np.sqrt(x), 0)
    return total.sum()


SELECTIONS = [
    overwritten,
    written_through_a_view,
    joined,
    summed_first,
    broadcast,
    branch_of_a_scalar,
    product_of_both,
    power,
    reduction,
    loop,
]


@pytest.mark.parametrize("f", SELECTIONS)
def test_selection_wins(f):
    """Beside the singular point the derivatives are those of the function without it; at the point they are finite."""
    x, away = np.array([2.0, 0.0]), np.array([2.0, 1e-3])
    for derivative in (np.grad(f), np.jit(np.grad(f)), lambda x: np.hessian(f)(x)[0]):
        found = numpy.asarray(derivative(x))
        assert numpy.isfinite(found).all()
        if f is not branch_of_a_scalar:
            numpy.testing.assert_allclose(found[0], numpy.asarray(derivative(away))[0], rtol=1e-12)
    assert numpy.asarray(np.grad(f)(x))[1] == {joined: 1, branch_of_a_scalar: 1}.get(f, 0)


def test_computed_zeros_count():
    """The derivative of x**2 / x does not vanish at 0 because a factor does; it is not defined there."""
    assert numpy.isnan(np.grad(lambda x: x * (x / x))(0.0))


def test_second_derivative_past_a_zero_cotangent():
    """A cotangent that is zero by chance still has derivatives of its own, also in a walk that minds selections."""

    def f(x):
        residual = x * x - 4.0  # zero at 2
        return (residual**2).sum() + np.where(x > 5, np.log(x - 2.0), 0).sum()  # NaN without selection

    x = np.array([2.0])
    assert np.hessian(f)(x)[0, 0] == 32.0
    assert np.grad(lambda x: np.grad(f)(x).sum())(x)[0] == 32.0
    assert np.jit(np.hessian(f))(x)[0, 0] == 32.0


def test_nan_of_the_data_is_kept():
    assert numpy.isnan(np.grad(lambda x: (x**2).sum())(np.array([1.0, numpy.nan]))[1])


def test_no_warnings_from_the_walk_back(recwarn):
    with numpy.errstate(all="ignore"):
        y, pullback = np.vjp(lambda x: np.where(x > 0, np.log(x), 0), np.array([1.0, 0.0]))
    pullback(np.ones(2))
    assert not recwarn.list


def test_cotangents_of_complex_numbers():
    x = np.array([1.0 + 1j, 0.0])
    found = np.grad(lambda x: np.where(x != 0, np.log(x), 0).real.sum())(x)
    numpy.testing.assert_allclose(numpy.asarray(found), [1 / (1 + 1j), 0])


@pytest.mark.parametrize(
    ("f", "expected"),
    [(np.log, numpy.inf), (np.sqrt, numpy.inf), (lambda x: x**-1.0, -numpy.inf), (lambda x: 1 / x, -numpy.inf)],
)
def test_python_numbers_become_infinite_as_numpys_do(f, expected):
    assert np.grad(f)(0.0) == expected
    assert np.jvp(f, (0.0,), (1.0,))[1] == expected


def test_on_a_device():
    pytest.importorskip("jax")
    x = np.asarray([1.0, 0.0, -1.0], device="xla")
    found = np.grad(lambda x: np.where(x > 0, np.log(x), 0).sum())(x)
    assert "xla" in str(found.device)
    assert numpy.asarray(found).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", "efdgFDG")
@pytest.mark.parametrize("n", [0, 1, 7, 5000])
def test_the_look_for_nan(dtype, n):
    from npx.transforms.nan import holds_nan

    clean = numpy.full(n, numpy.inf, dtype)
    assert not holds_nan(clean) and not holds_nan(numpy.ones((n, 2), dtype)[:, 0])
    for place in {0, n // 2, n - 1} if n else ():
        for bad in (numpy.nan, complex(1, numpy.nan)) if clean.dtype.kind == "c" else (numpy.nan,):
            x = clean.copy()
            x[place] = bad
            assert holds_nan(x) and holds_nan(x.reshape(1, -1).T) and holds_nan(x[place])
            assert holds_nan(x.astype(x.dtype.newbyteorder()))
