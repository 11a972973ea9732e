"""What the elements of `vmap` know of each other: values and derivatives against sums written out, and JAX's."""

import numpy
import pytest

import npx as np

X = numpy.array([1.0, 2.0, 4.0])
ROWS = numpy.arange(6.0).reshape(3, 2) / 3
#: of the function below, by each element's value, through the elements' sum: `psum` is its own transpose, as in JAX
TOTAL = numpy.sin(X).sum()


def mapped(f, **how):
    return np.vmap(f, axis_name="i", **how)


def f(x):
    return x * x * np.psum(np.sin(x), "i")


def close(found, expected):
    numpy.testing.assert_allclose(numpy.asarray(found), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x / np.psum(x, "i"), X / 7),
        (lambda x: np.psum(1, "i") * x, 3 * X),
        (lambda x: np.axis_index("i") + x, X + [0, 1, 2]),
        (lambda x: np.pmean({"a": (x, x * 2)}, "i")["a"][1] + x, 14 / 3 + X),
        (lambda x: np.pmax(x, "i") - np.pmin(x, "i") + 0 * x, [3.0, 3, 3]),
        (lambda x: np.all_gather(x, "i") * x, numpy.outer(X, X)),
        (lambda x: x if x > np.pmean(x, "i") else -x, [-1.0, -2, 4]),
    ],
)
def test_values(function, expected):
    close(mapped(function)(X), expected)
    close(np.jit(mapped(function))(X), expected)


def test_results_are_the_same_for_all():
    assert mapped(lambda x: np.psum(x, "i"), out_axes=None)(X) == 7.0


def test_the_axis_is_found_by_its_name():
    inner = mapped(lambda r: np.vmap(lambda x: x - np.psum(x, "i"))(r))(ROWS)
    close(inner, ROWS - ROWS.sum(0))
    both = mapped(lambda r: np.vmap(lambda x: np.psum(x, "i") + np.psum(x, "j"), axis_name="j")(r))(ROWS)
    close(both, ROWS.sum(0) + ROWS.sum(1)[:, None])
    close(mapped(lambda r: mapped(lambda x: np.psum(x, "i") + x)(r))(ROWS), ROWS + ROWS.sum(1)[:, None])


def test_derivatives():
    own = numpy.cos(X) * (X**2).sum()  # the derivative of each element's result by all elements' x, summed
    close(np.grad(lambda x: mapped(f)(x).sum())(X), 2 * X * TOTAL + own)
    close(mapped(np.grad(f))(X), 2 * X * TOTAL + own)
    close(mapped(np.grad(np.checkpoint(f)))(X), 2 * X * TOTAL + own)
    close(mapped(lambda x: np.jvp(f, (x,), (1.0,))[1])(X), 2 * X * TOTAL + X**2 * numpy.cos(X).sum())
    first = mapped(np.grad(lambda x: (np.all_gather(x, "i") * np.arange(3.0)).sum() * x))
    close(first(X), (X * [0, 1, 2]).sum() + numpy.arange(3) * X.sum())


def test_after_a_split_they_are_refused():
    with pytest.raises(TypeError, match="several paths"):
        mapped(lambda x: np.psum(x, "i") if x > 1.5 else x)(X)


def test_names_that_are_not_there():
    with pytest.raises(NameError, match="axis_name='k'"):
        mapped(lambda x: np.psum(x, "k"))(X)
    with pytest.raises(NameError, match="axis_index"):
        np.axis_index("i")
    with pytest.raises(TypeError, match="str"):
        mapped(lambda x: np.psum("text", "i"))(X)
