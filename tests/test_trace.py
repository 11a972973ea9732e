"""Recording a function of payloads as a graph, and `linearize`, which is built on it."""

import numpy
import pytest

import npx as np
from npx.array.ndarray import payload, wrap
from npx.dispatch.abstract import Aval
from npx.dispatch.graph import evaluate
from npx.dispatch.payloads import ops
from npx.transforms.trace import trace

X = numpy.array([1.0, 2.0, 3.0])
AVAL = Aval((3,), float)


def test_a_graph_means_the_function():
    graph, captured = trace(lambda x: [ops.multiply(ops.sin(x), 2.0), x], [AVAL])
    assert [node.op.name for node in graph.nodes] == ["sin", "multiply"] and captured == []
    assert all("test_trace.py:" in node.where for node in graph.nodes)
    doubled, same = evaluate(graph, [X])
    numpy.testing.assert_allclose(doubled, 2 * numpy.sin(X))
    assert same is X
    # the meaning holds for tracers too
    g = np.grad(lambda x: wrap(evaluate(graph, [payload(x)])[0]).sum())(X)
    numpy.testing.assert_allclose(g, 2 * numpy.cos(X))


def test_constants_are_as_of_the_recording():
    w = np.ones(3)

    def f(x):
        y = ops.multiply(x, payload(w))
        w[:] = 5
        return [y]

    graph, _ = trace(f, [AVAL], captures=False)
    w[:] = 7
    numpy.testing.assert_array_equal(evaluate(graph, [X])[0], X)


def test_arrays_from_outside_become_hidden_inputs():
    w = np.array([1.0, 2.0, 3.0])
    graph, captured = trace(lambda x: [ops.multiply(ops.multiply(x, payload(w)), payload(w))], [AVAL])
    assert len(graph.inputs) == 2 and len(captured) == 1
    numpy.testing.assert_array_equal(evaluate(graph, [X, captured[0]])[0], X**3)


def test_errors_name_the_line():
    with pytest.raises(ValueError) as caught:
        trace(lambda x: [ops.add(x, numpy.ones(4))], [AVAL])
    assert any("test_trace.py:" in note for note in caught.value.__notes__)


def test_a_traced_array_that_leaks_is_refused():
    kept = []
    trace(lambda x: kept.append(x) or [x], [AVAL])
    with pytest.raises(TypeError, match="has ended"):
        ops.add(kept[0], 1.0)


def test_linearize_does_not_run_the_function_again():
    calls = []

    def f(x, n):
        calls.append(1)
        y = np.zeros(3)
        y[1:] = np.exp(x[:-1]) * n
        return {"y": y, "n": n}, "aux"

    x = np.array(X)
    value, derivative, aux = np.linearize(f, x, 2, has_aux=True)
    x[:] = 0
    for t in (X, numpy.ones(3)):
        out = derivative(t, 0)
        numpy.testing.assert_allclose(out["y"][1:], 2 * numpy.exp(X[:-1]) * t[:-1])
        assert out["n"] == 0
        out["y"][:] = 9  # memory of its own
    assert len(calls) == 1 and aux == "aux" and value["n"] == 2
    second = np.jvp(lambda t: derivative(t, 0)["y"], (X,), (X,))[1]
    numpy.testing.assert_allclose(second[1:], 2 * numpy.exp(X[:-1]) * X[:-1])
