"""npx arrays inside lists, object arrays and objects with an ``__array__``."""

import numpy
import pytest

import npx as np


class Like:
    """Gives an array through ``__array__``, as it is."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


# ------------------------------------------------------------------------------------------------------ object arrays
@pytest.mark.parametrize("shape", [(), (3,)])
def test_an_object_array_holds_the_array_itself(shape):
    x = np.ones(shape)
    held = np.empty(2, dtype=object)
    held[0] = x
    assert held[0] is x
    held[:] = [None, x]
    assert held[1] is x or shape != ()
    ragged = np.array([x, [x, None]] if shape else [x], dtype=object)
    assert ragged[0] is x
    fields = np.zeros(1, dtype=[("a", "O"), ("b", int)])
    fields[0] = (x, 1)
    assert fields["a"][0] is x


def test_arrays_in_an_object_array_are_used_as_numpys_are():
    x, y = np.arange(3.0), np.arange(2.0)
    held = np.array([x, y], dtype=object)
    for module, function in [(np, "concatenate"), (np, "hstack"), (numpy, "concatenate"), (numpy, "hstack")]:
        assert getattr(module, function)(held).tolist() == [0, 1, 2, 0, 1]
    assert [v.tolist() for v in held + 1] == [[1, 2, 3], [1, 2]]
    small = np.array([None])
    small[0] = np.array(1.5)
    assert small.astype(float).tolist() == [1.5] and small.astype(str).tolist() == ["1.5"]


def test_a_traced_array_can_be_held():
    def f(x):
        held = np.empty(2, dtype=object)
        held[0], held[1] = 2 * x, x
        return (held[0] * held[1]).sum()

    assert np.grad(f)(np.ones(3)).tolist() == [4, 4, 4]
    assert np.jit(f)(np.ones(3)) == 6


def test_lists_that_contain_themselves():
    loop = []
    loop.append(loop)
    assert np.array([loop, loop], dtype=object).shape == numpy.array([loop, loop], dtype=object).shape
    held = np.array([None])
    held[0] = loop
    assert held[0] is loop


# ------------------------------------------------------------------------------------------------------ __array__
def test_array_gives_the_array_itself():
    x = np.arange(3.0)
    for function in (np.array, np.asarray, np.asanyarray):
        assert function(Like(x)) is x
    assert np.array(Like(x), order="F", copy=True, ndmin=2).tolist() == [[0, 1, 2]]


def test_array_gets_numpys_arguments():
    calls = []

    class Recorder:
        def __array__(self, dtype=None, copy=None):
            calls.append((dtype, copy))
            return np.ones(2, dtype=dtype)

    for arguments in ({}, {"dtype": np.float32}, {"copy": True}, {"copy": False}):
        np.array(Recorder(), **{"copy": None, **arguments})
    assert {(None, None), (np.dtype("f4"), None), (None, True), (None, False)} <= set(calls)


@pytest.mark.parametrize(
    "use",
    [
        lambda x, like: np.sum(like),
        lambda x, like: np.concatenate([x, like]),
        lambda x, like: np.exp(like),
        lambda x, like: x + np.exp(like),
        lambda x, like: np.where(x > 1, like, x),
    ],
)
def test_functions_take_such_objects(use):
    x = np.arange(3.0)
    want = use(x, x)
    assert numpy.array_equal(use(x, Like(x)), want)
    g = np.grad(lambda t: np.sum(use(t, Like(x))))(x)
    assert numpy.array_equal(g, np.grad(lambda t: np.sum(use(t, x)))(x))


def test_indices_and_values():
    x = np.arange(4.0)
    at = Like(np.array([0, 2]))
    assert x[at].tolist() == [0, 2] and x.reshape(2, 2)[Like(np.array(1)), 0] == 2
    x[at] = Like(np.array([7.0, 8.0]))
    assert x.tolist() == [7, 1, 8, 3]
    like, held = Like(np.arange(4)), np.empty(1, dtype=object)
    held[:] = [like]
    assert held[0] is like
    assert np.array([like, None], dtype=object)[0] is like
    with pytest.raises(ValueError):
        x[:3] = Like(np.ones(4))
