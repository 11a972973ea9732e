"""`debug_gradients` names the op and the user's line where the first NaN of a derivative appeared."""

import inspect
import threading

import numpy
import pytest

import npx as np

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
X = numpy.array([4.0, 0.0])


def line_of(function, comment):
    lines, first = inspect.getsourcelines(function)
    (number,) = (first + k for k, line in enumerate(lines) if comment in line)
    return f"{__file__}:{number}"


TRANSFORMS = {
    "grad": np.grad,
    "value_and_grad": np.value_and_grad,
    "vjp": lambda f: lambda x: np.vjp(f, x)[1](1.0),
    "jvp": lambda f: lambda x: np.jvp(f, (x,), (np.ones_like(x),)),
    "jacfwd": np.jacfwd,
    "jacrev": np.jacrev,
    "hessian": np.hessian,
    "vmap of grad": lambda f: lambda x: np.vmap(np.grad(f))(np.stack([x, x])),
    "jit of grad": lambda f: np.jit(np.grad(f)),
    "grad of jit": lambda f: np.grad(np.jit(f)),
    "grad of checkpoint": lambda f: np.grad(np.checkpoint(f)),
}


@np.custom_vjp
def not_a_number(x):
    return x * 1.0


not_a_number.defvjp(lambda x: (x, None), lambda _, g: (g * numpy.array([1.0, numpy.nan]),))


def applies_rule(x):
    y = np.sin(x)
    return not_a_number(y).sum()  # the rule


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_names_op_and_line(transform):
    with pytest.raises(FloatingPointError) as caught, np.debug_gradients():
        TRANSFORMS[transform](applies_rule)(np.array(X))
    assert "not_a_number" in str(caught.value)
    assert line_of(applies_rule, "# the rule") in str(caught.value)
    assert "(1,)" in str(caught.value) or transform not in ("grad", "vjp", "jvp")


def test_off_again():
    with np.debug_gradients():
        pass
    assert numpy.isnan(np.grad(applies_rule)(np.array(X))[1])


def test_on_and_off():
    np.debug_gradients.on()
    try:
        with pytest.raises(FloatingPointError):
            np.grad(applies_rule)(np.array(X))
    finally:
        np.debug_gradients.off()
    np.grad(applies_rule)(np.array(X))


def test_decorator_and_nesting():
    @np.debug_gradients()
    def derivative(x):
        with np.debug_gradients(nan=False, inf=True):
            assert numpy.isnan(np.grad(applies_rule)(x)[1])
        return np.grad(applies_rule)(x)

    with pytest.raises(FloatingPointError):
        derivative(np.array(X))


def test_infinities_where_asked_for():
    def f(x):
        return np.sqrt(x).sum()  # infinite at 0

    with np.debug_gradients():
        assert numpy.isinf(np.grad(f)(np.array(X))[1])
    with pytest.raises(FloatingPointError, match="inf in the cotangent of operand 0 of sqrt") as caught:
        with np.debug_gradients(inf=True):
            np.grad(f)(np.array(X))
    assert line_of(f, "# infinite") in str(caught.value)


def test_sum_of_cotangents():
    """inf - inf: neither op is at fault alone; the value that both use is named."""

    def f(x):
        y = np.add(x, 0.0)  # used twice
        return (np.sqrt(y) - np.sqrt(y)).sum()

    with pytest.raises(FloatingPointError, match="result of add.*is a sum") as caught, np.debug_gradients():
        np.grad(f)(np.array(X))
    assert line_of(f, "# used twice") in str(caught.value)


def test_sum_in_an_argument():
    with pytest.raises(FloatingPointError, match="cotangent of an argument.*is a sum"), np.debug_gradients():
        np.grad(lambda x: (np.sqrt(x) - np.sqrt(x)).sum())(np.array(X))


def test_values_that_went_wrong_before():
    """The op where the values themselves became NaN is named, though the derivative fails at another one."""

    def f(x):
        y = np.log(x - 1.0)  # negative
        z = y + 2.0
        return (z * z).sum()

    with pytest.raises(FloatingPointError, match="of multiply.*already, in the result of log") as caught:
        with np.debug_gradients():
            np.grad(f)(np.array(X))
    assert line_of(f, "# negative") in str(caught.value)


def test_what_a_selection_leaves_out_is_no_error():
    with np.debug_gradients(inf=True):
        assert np.grad(lambda x: np.where(x > 0, np.log(x), 0).sum())(np.array(X)).tolist() == [0.25, 0.0]


def test_pullback_called_later():
    with np.debug_gradients():
        _, pullback = np.vjp(applies_rule, np.array(X))
    with pytest.raises(FloatingPointError):
        pullback(1.0)


def test_finite_derivatives_are_the_same():
    def f(x):
        y = np.zeros(3)
        y[:2] = np.exp(x)
        return (y * y).sum()

    expected = np.grad(f)(np.array(X))
    with np.debug_gradients(inf=True):
        numpy.testing.assert_array_equal(np.grad(f)(np.array(X)), expected)


def test_other_threads_are_left_alone():
    found = []
    with np.debug_gradients():
        thread = threading.Thread(target=lambda: found.append(np.grad(applies_rule)(np.array(X))))
        thread.start()
        thread.join()
    assert numpy.isnan(found[0][1])


def test_nothing_to_look_for():
    with pytest.raises(ValueError, match="nan=True, inf=True"):
        np.debug_gradients(nan=False)
