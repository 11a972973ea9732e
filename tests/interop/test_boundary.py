"""What npx arrays say and give to code that was written for NumPy, whichever library it is in."""

import copy

import numpy
import pytest
from programs import address, library

import npx


class Foreign:
    """Of a library that knows NumPy's arrays: it asks for its own operators, and refuses what is not NumPy's."""

    __array_priority__ = 10

    def _operator(self, other):
        return "ours" if type(other) is numpy.ndarray else NotImplemented

    __radd__ = __rsub__ = __rmatmul__ = __lt__ = __gt__ = __eq__ = _operator
    __module__ = "a_library"


def claims(x):
    return isinstance(x, numpy.ndarray)


# ------------------------------------------------------------------------------------------------------ the class
def test_host_arrays_pass_for_numpys():
    x = npx.arange(6.0).reshape(2, 3)
    assert claims(x) and claims(x[0]) and claims(x.T) and claims(npx.array(1.0))
    assert x.__class__ is numpy.ndarray and type(x) is npx.ndarray
    assert not isinstance(x, (list, tuple, float)) and isinstance(x, npx.ndarray)


def test_traced_arrays_do_where_they_can_be_converted():
    x = npx.arange(3.0)
    said = []

    def f(v):
        said.append((claims(v), claims(v * 2), claims(x)))
        return (v * x).sum()

    npx.grad(f)(x)
    npx.jit(f)(x)
    npx.vmap(f)(npx.ones((2, 3)))
    assert said[0] == (False, False, True)  # grad
    assert said[1] == (True, True, True)  # jit
    assert said[-1] == (False, False, True)  # vmap
    assert claims(x)


def test_a_buffer_that_was_traced_passes_again():
    buffer = npx.zeros(3)
    view = buffer[1:]

    def f(v):
        buffer[:] = v
        assert not claims(buffer) and not claims(view)
        return buffer.sum()

    npx.grad(f)(npx.ones(3))
    assert claims(buffer) and claims(view)


def test_device_arrays_do_not():
    library("jax")
    assert not claims(npx.arange(3.0).to_device("xla"))


# ------------------------------------------------------------------------------------------------------ conversions
def test_to_numpy():
    x = npx.arange(4.0)
    assert type(x.to_numpy()) is numpy.ndarray and address(x.to_numpy()) == address(x)
    assert address(x.to_numpy(copy=True)) != address(x)
    assert x.to_numpy(numpy.float32).dtype == numpy.float32
    with pytest.raises(TypeError, match="stop_gradient"):
        npx.grad(lambda v: v.to_numpy().sum())(x)
    assert npx.jit(lambda v: v + v.to_numpy())(x).tolist() == [0, 2, 4, 6]


def test_copies_keep_the_layout():
    x = npx.asfortranarray(npx.ones((2, 3)))
    assert copy.copy(x).flags.f_contiguous and copy.deepcopy(x).flags.f_contiguous
    assert npx.grad(lambda v: (copy.deepcopy(v) * v).sum())(x).tolist() == [[2, 2, 2], [2, 2, 2]]


# ------------------------------------------------------------------------------------------------ NumPy's functions
def test_numpys_functions_give_numpys_arrays():
    x = npx.arange(3.0)
    for result in (numpy.concatenate([x, x]), numpy.atleast_1d(x), numpy.where(x > 1, x, 0), numpy.zeros_like(x)):
        assert type(result) is numpy.ndarray
    values, counts = numpy.unique(x, return_counts=True)
    assert type(values) is type(counts) is numpy.ndarray
    assert type(numpy.linalg.eigh(npx.eye(2)).eigenvalues) is numpy.ndarray
    assert numpy.sum(x) == 3


def test_they_write_where_they_are_told_to():
    x, out = npx.arange(3.0), npx.zeros(3)
    assert numpy.cumsum(x, out=out) is out
    numpy.copyto(x, 7)
    assert out.tolist() == [0, 1, 3] and x.tolist() == [7, 7, 7]


def test_what_they_give_may_be_written_to():
    """A tape has its own copy of what it has saved."""
    x = npx.arange(3.0)

    def f(v):
        y = v * x
        npx.stop_gradient(y)
        return y.sum()

    _, pull = npx.vjp(f, x)
    numpy.reshape(x, (3,))[:] = 100
    assert pull(1.0)[0].tolist() == [0, 1, 2]


def test_they_are_traced():
    x = npx.arange(1.0, 4.0)
    assert npx.allclose(npx.grad(lambda v: numpy.sum(numpy.concatenate([v, v**2])))(x), 1 + 2 * x)
    assert type(npx.jit(lambda v: numpy.sort(v))(x)) is npx.ndarray


def test_operators_and_ufuncs_keep_npx_arrays():
    x, y = npx.arange(3.0), numpy.ones(3)
    for result in (x + y, y + x, y * x, y < x, numpy.exp(x), numpy.add(y, x)):
        assert type(result) is npx.ndarray


# ------------------------------------------------------------------------------------------------------ operators
def test_foreign_operands_meet_numpys_arrays():
    x = npx.arange(3.0)
    for result in (x + Foreign(), x - Foreign(), x @ Foreign(), x < Foreign(), x == Foreign()):
        assert result == "ours"
    with pytest.raises(TypeError):
        x * Foreign()


def test_in_place_operators_of_foreign_operands():
    x = npx.arange(3.0)
    x += Foreign()
    assert x == "ours"


def test_what_no_ufunc_may_touch_is_refused_in_place():
    class Untouchable:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "ours"

    for np in (numpy, npx):
        x = np.arange(3.0)
        assert x + Untouchable() == "ours"
        with pytest.raises(TypeError):
            x += Untouchable()
