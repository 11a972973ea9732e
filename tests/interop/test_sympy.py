"""SymPy: its functions are evaluated by npx, and can then be differentiated and compiled."""

import pytest
from programs import check, library

import npx

sympy = library("sympy")

t, u = sympy.symbols("t u", real=True)
FORMULAS = [
    sympy.sin(t) * sympy.exp(-(u**2)),
    sympy.sqrt(t**2 + u**2) + sympy.Abs(t - u),
    sympy.Piecewise((t, t < u), (u**2, True)),
    sympy.Max(t, u, 1) + sympy.log(t + 5) + sympy.floor(u) + sympy.pi,
    sympy.Matrix([[t, u], [u, -t]]).det(),
]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("modules", ["module", "numpy", "dictionary"])
def test_lambdify(formula, modules):
    def program(np):
        given = {"module": [np, "numpy"], "numpy": "numpy", "dictionary": [table(np), "numpy"]}[modules]
        f = sympy.lambdify((t, u), formula, modules=given)
        return f(np.linspace(0.0, 2.0, 5), np.float64(1.25)), f(1.5, 2.5)

    check(program, exact=False)


def table(np):
    """The functions that a table of modules names one by one."""
    return {name: getattr(np, name) for name in ("sin", "exp", "sqrt", "log", "select", "less")}


def test_matrices():
    def program(np):
        m = sympy.Matrix([[sympy.cos(t), -sympy.sin(t)], [sympy.sin(t), sympy.cos(t)]])
        return sympy.lambdify(t, m, modules=[np, "numpy"])(0.5), sympy.lambdify(
            (t, u), [t + u, t * u], modules=[np, "numpy"]
        )(np.arange(3.0), 2)

    check(program)


@pytest.mark.parametrize("formula", FORMULAS[:4], ids=str)
def test_gradients_are_those_of_sympy(formula):
    f = sympy.lambdify((t, u), formula, modules=[npx, "numpy"])
    want = sympy.lambdify(
        (t, u), sympy.diff(formula, t), modules=["numpy", {"Heaviside": lambda v, *_: npx.heaviside(v, 0.5)}]
    )
    x = npx.array([0.3, 2.1])
    assert npx.allclose(npx.grad(lambda v: f(v, 1.25).sum())(x), want(x, 1.25))
    assert npx.allclose(npx.jit(f)(x, npx.float64(1.25)), f(x, 1.25))


def test_numbers_and_arrays_of_sympy():
    def program(np):
        m = np.array(sympy.Matrix([[1, 2], [3, 4]]), dtype=float)
        rational = sympy.Rational(1, 2)
        objects = np.array([t, u]) + np.array([1, t])
        return (
            m @ m,
            np.array([rational, rational + 1], dtype=float),
            list(objects),
            np.dot(np.array([t, u]), np.array([u, t])),
            float(np.float64(rational)),
        )

    check(program)
    assert sympy.Matrix(npx.eye(2)) == sympy.Matrix([[1.0, 0.0], [0.0, 1.0]])
    assert sympy.sympify(npx.float64(0.5)) == sympy.Float(0.5)
