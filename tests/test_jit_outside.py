"""NumPy arrays that a compiled function finds outside: read anew in every call, and written to through npx."""

import numpy
import pytest

import npx as np

memory = numpy.zeros(4)


def assign(x):
    a = np.asarray(memory)
    a[0] = x
    return a * 1


def assign_and_read_bare(x):
    np.asarray(memory)[0] = x
    return np.add(memory, x) + memory


def add_to_a_view(x):
    a = np.asarray(memory)[1:3]
    a += x
    return np.sum(memory) + x


def view_by_numpy(x):
    return np.asarray(memory[1:]) + x


def operand_view_by_numpy(x):
    return x + memory[::-1]


def reshape(x):
    return np.reshape(memory, (2, 2)) + x


def out_into_a_view(x):
    np.add(np.asarray(memory[:2]), x, out=np.asarray(memory[2:]))
    return x * 1


def concatenate(x):
    return np.concatenate([memory, memory[:1]]) * x


def copyto(x):
    np.copyto(np.asarray(memory), x)
    return np.asarray(memory)


def copy(x):
    a = np.array(memory)
    a[0] = x
    return a


FUNCTIONS = [assign, assign_and_read_bare, add_to_a_view, view_by_numpy, operand_view_by_numpy]
FUNCTIONS += [reshape, out_into_a_view, concatenate, copyto, copy]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_compiled_is_eager(function):
    compiled = np.jit(function)
    for start in range(3):
        outcomes = []
        for run in (function, compiled):
            memory[:] = numpy.arange(4) + start
            result = run(np.array(2.0 + start))
            outcomes.append((type(result), numpy.array(result).tolist(), memory.tolist()))
        assert outcomes[0] == outcomes[1]


def test_gradient_of_compiled():
    memory[:] = 3.0
    assert np.grad(np.jit(lambda x: (np.array(memory) * np.asarray(memory) * x).sum()))(1.0) == 36.0


FACTOR = 2.0


@pytest.mark.parametrize(
    ("transform", "argument"),
    [(np.grad, 1.0), (np.vmap, numpy.ones(1)), (np.checkpoint, 1.0)],
    ids="grad vmap checkpoint".split(),
)
def test_globals_of_a_function_that_was_transformed_before(monkeypatch, transform, argument):
    """`jit` notices that they change, though it is given the function that a transform made."""
    compiled = np.jit(transform(lambda x: x * FACTOR))
    assert compiled(argument) == 2
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert compiled(argument) == 3
