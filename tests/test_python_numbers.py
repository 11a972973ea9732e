"""Python numbers among traced arguments: their dtype gives way to that of the arrays they meet, as in NumPy."""

import numpy
import pytest

import npx as np
from npx.transforms import tree

pytestmark = pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")

#: of a number t and an array of float32; what NumPy's functions make of numbers is NumPy's, with a dtype that stays
EXPRESSIONS = {
    "number": lambda t, a: t,
    "times": lambda t, a: t * a,
    "arithmetic": lambda t, a: (3 - t / 2) * a + t**2,
    "unary": lambda t, a: (-t, +t, abs(t) * a),
    "division": lambda t, a: (t // 2, t % 2, divmod(t, 2), a // 2),
    "in place": lambda t, a: _increased(t) * a,
    "ufunc": lambda t, a: (np.sin(t), np.sin(t) * a),
    "two operands": lambda t, a: (np.multiply(t, 2), np.add(t, 1) * a, np.add(1, t) * a),
    "ufunc with an array": lambda t, a: (np.add(t, a), np.maximum(a, t)),
    "options": lambda t, a: (np.exp(t, dtype="f4") * a, np.add(t, 1, where=True) * a),
    "array": lambda t, a: (np.asarray(t), np.asarray(t) * a, np.array([t, 1.0, t]) * a),
    "array of a dtype": lambda t, a: np.asarray(t, a.dtype) * a,
    "NumPy scalar": lambda t, a: (t + numpy.int64(1)) * a,
    "where": lambda t, a: (np.where(a > 1, t, a), np.where(t > 0, t, 1.0) * a),
    "clip": lambda t, a: (np.clip(a, 0, t), np.clip(t, 0, 1) * a),
    "functions": lambda t, a: (np.sum(t) * a, np.full(2, t), np.full_like(a, t), np.reshape(t, (1,)) * a),
    "power": lambda t, a: (a**t, np.power(t, 2) * a, t**2.0 * a),
    "write": lambda t, a: _written(a, t),
    "stack": lambda t, a: (np.stack([a, a * t]), np.concatenate([a, a * t])),
    "dot": lambda t, a: np.dot(a, t),
    "linspace": lambda t, a: np.linspace(0, t, 3),
}
ALL = pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)


def _increased(t):
    t += 1
    return t


def _written(a, t):
    b = a.copy()
    b[0] = t
    return b


def array():
    return np.arange(1, 4, dtype="f4")


def assert_same(got, want):
    if isinstance(want, tuple):
        for g, w in zip(got, want, strict=True):
            assert_same(g, w)
        return
    assert type(got) is type(want)
    if not isinstance(want, (int, float, complex)) or isinstance(want, numpy.generic):
        assert got.dtype == want.dtype and got.shape == want.shape
    numpy.testing.assert_allclose(numpy.asarray(got), numpy.asarray(want), rtol=1e-6)


NUMBERS = {"float": (0.5, 1.5, 0.25), "int": tuple(range(2, 9)), "complex": (1.0 + 2.0j, 0.5 - 1.0j)}


@ALL
@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_jit(expression, numbers):
    """Integers are compiled as constants before they are traced as numbers."""
    compiled = np.jit(expression)
    for t in numbers:
        try:
            want = expression(t, array())
        except TypeError:  # complex numbers have no order
            assert type(t) is complex
        else:
            assert_same(compiled(t, array()), want)


@ALL
def test_derivatives(expression):
    """Values have NumPy's types; a derivative has the dtype of what it belongs to."""
    want = expression(0.5, array())
    value, tangent = np.jvp(lambda t, a: expression(t, a), (0.5, array()), (1.0, np.ones_like(array())))
    assert_dtypes(value, want)
    assert_dtypes(tangent, want)
    value, pullback = np.vjp(lambda t, a: expression(t, a), 0.5, array())
    assert_dtypes(value, want)
    ones = tree.map_leaves(np.ones_like, value)
    assert [np.asarray(ct).dtype for ct in pullback(ones)] == [numpy.float64, numpy.float32]


def assert_dtypes(got, want):
    if isinstance(want, tuple):
        for g, w in zip(got, want, strict=True):
            assert_dtypes(g, w)
    else:
        assert np.asarray(got).dtype == np.asarray(want).dtype and np.shape(got) == np.shape(want)


@ALL
def test_vmap(expression):
    """A number that is not mapped over stays one; an element of a mapped array is a NumPy scalar."""
    # 0.3: before 2.3, NumPy takes the square root for a power of 0.5 and forgets the dtype of the exponent
    numbers, arrays = numpy.array([0.3, 1.5]), numpy.stack([array(), array() + 1])
    assert_dtypes_of_batch(np.vmap(expression, in_axes=(None, 0))(0.5, arrays), expression(0.5, array()))
    assert_dtypes_of_batch(np.vmap(expression, in_axes=(0, None))(numbers, array()), expression(numbers[0], array()))


def assert_dtypes_of_batch(got, want):
    if isinstance(want, tuple):
        for g, w in zip(got, want, strict=True):
            assert_dtypes_of_batch(g, w)
    else:
        assert got.dtype == np.asarray(want).dtype and got.shape == (2, *np.shape(want))
