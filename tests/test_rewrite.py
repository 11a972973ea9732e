"""Rewrites keep what a graph computes and drop what it need not do."""

import graphs
import numpy
import pytest

import npx.ops  # noqa: F401  declares the ops
from npx.dispatch import op as op_module
from npx.dispatch import registry
from npx.dispatch.abstract import Aval, Hole, Slice, aval_of
from npx.dispatch.graph import evaluate
from npx.transforms.rewrite import rewrite

FULL = Slice()
X = numpy.arange(12.0).reshape(3, 4)


class Build(graphs.Build):
    def rewritten(self, *outputs):
        """The rewritten graph, checked: the same outputs, and the graph itself is as before."""
        self.graph.outputs = list(outputs)
        before = str(self.graph)
        graph = rewrite(self.graph)
        assert str(self.graph) == before
        want = evaluate(self.graph, self.payloads)
        for got, expected, value in zip(evaluate(graph, self.payloads), want, graph.outputs, strict=True):
            assert aval_of(got).dtype == aval_of(expected).dtype
            numpy.testing.assert_array_equal(got, expected)
            assert value.aval.weak or value.aval == aval_of(expected)
        return graph


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_dead_nodes_go():
    b = Build(X)
    b.exp(b.sin(b.inputs[0]))
    assert names(b.rewritten(b.add(b.inputs[0], 1.0))) == ["add"]


def test_constants_fold():
    b = Build(X)
    scale = b.multiply(b.add(1.5, 2), 2.0)  # of Python numbers: stays weak
    ramp = b.multiply(numpy.arange(4.0), 2.0)
    graph = b.rewritten(b.add(b.multiply(b.inputs[0], scale), ramp))
    assert names(graph) == ["multiply", "add"]
    assert graph.nodes[0].inputs[1].const == 7.0
    assert type(graph.nodes[0].inputs[1].const) is float


def test_large_constants_and_failing_ones_do_not_fold():
    b = Build(X)
    big = b.broadcast_to(1.0, shape=(100, 100, 100))
    graph = b.rewritten(b.sum(big, axis=(0, 1, 2), dtype=numpy.dtype(float), keepdims=False))
    assert names(graph) == ["broadcast_to", "sum"]
    b = Build(numpy.uint8(3))
    b.graph.outputs = [b.power(numpy.array([2]), numpy.array([-1]))]  # raises when it runs, not before
    assert names(rewrite(b.graph)) == ["power"]


def test_equal_nodes_are_computed_once():
    b = Build(X)
    x = b.inputs[0]
    graph = b.rewritten(b.add(b.exp(b.add(x, 1.0)), b.exp(b.add(x, 1.0))))
    assert names(graph) == ["add", "exp", "add"]


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (0.0, -0.0), (1, True), (numpy.float32(2), 2.0), (numpy.float64(0.0), numpy.float64(-0.0))],
)
def test_different_constants_are_not_confused(one, other):
    b = Build(numpy.arange(4))
    x = b.inputs[0]
    graph = b.rewritten(b.maximum(x, one), b.maximum(x, other))
    assert len(graph.nodes) == 2


def test_params_tell_nodes_apart():
    b = Build(X)
    x = b.inputs[0]
    params = {"dtype": numpy.dtype(float), "keepdims": False}
    assert len(b.rewritten(b.sum(x, axis=(0,), **params), b.sum(x, axis=(1,), **params)).nodes) == 2


@pytest.mark.parametrize(
    "record",
    [
        lambda b, x: b.astype(x, dtype=numpy.dtype(float)),
        lambda b, x: b.broadcast_to(x, shape=(3, 4)),
        lambda b, x: b.conjugate(x),
        lambda b, x: b.copy(x),
        lambda b, x: b.getitem(x, index=(FULL, FULL)),
        lambda b, x: b.positive(x),
        lambda b, x: b.real(x),
        lambda b, x: b.reshape(x, shape=(3, 4)),
        lambda b, x: b.transpose(x, axes=(0, 1)),
        lambda b, x: b.transpose(b.transpose(x, axes=(1, 0)), axes=(1, 0)),
        lambda b, x: b.multiply(x, 1),
        lambda b, x: b.multiply(b.broadcast_to(1.0, shape=(4,)), x),
        lambda b, x: b.divide(x, 1.0),
        lambda b, x: b.subtract(x, 0),
        lambda b, x: b.power(x, 1),
        lambda b, x: b.reshape(b.reshape(x, shape=(12,)), shape=(3, 4)),
        lambda b, x: b.setitem(b.copy(b.negative(x)), x, index=(FULL, FULL)),
    ],
)
def test_nothing_to_do(record):
    b = Build(X)
    graph = b.rewritten(record(b, b.inputs[0]))
    assert names(graph) == []
    assert graph.outputs == b.inputs


@pytest.mark.parametrize(
    "record",
    [
        lambda b, x: b.multiply(x, 1.0),  # the dtype changes
        lambda b, x: b.add(x, 0),  # of floats: -0.0 + 0 is 0.0
        lambda b, x: b.astype(x, dtype=numpy.dtype(float)),
        lambda b, x: b.transpose(x, axes=(1, 0)),
        lambda b, x: b.getitem(x, index=(FULL, Slice(0, 4, 2))),
        lambda b, x: b.subtract(0, x),
        lambda b, x: b.divide(1, x),
        lambda b, x: b.power(1, x),
        lambda b, x: b.multiply(x, b.broadcast_to(1, shape=(2, 3, 4))),
    ],
)
def test_something_to_do(record):
    b = Build(X.astype(int) + 1)
    assert len(names(b.rewritten(record(b, b.inputs[0])))) >= 1


def test_complex_numbers_are_not_neutral():
    b = Build(X * 1j)
    assert names(b.rewritten(b.multiply(b.inputs[0], 1), b.conjugate(b.inputs[0]))) == ["multiply", "conjugate"]


def test_repeated_shaping_is_joined():
    b = Build(X)
    x = b.inputs[0]
    twice = b.reshape(b.reshape(x, shape=(2, 6)), shape=(4, 3))
    turned = b.transpose(b.transpose(b.reshape(x, shape=(3, 2, 2)), axes=(1, 2, 0)), axes=(2, 1, 0))
    spread = b.broadcast_to(b.broadcast_to(x, shape=(2, 3, 4)), shape=(5, 2, 3, 4))
    graph = b.rewritten(twice, turned, spread)
    assert sorted(names(graph)) == ["broadcast_to", "reshape", "reshape", "transpose"]


def test_a_written_part_is_read_back():
    b = Build(X, numpy.ones(4))
    x, row = b.inputs
    written = b.setitem(x, row, index=(1, FULL))
    graph = b.rewritten(b.exp(b.getitem(written, index=(1, FULL))))
    assert names(graph) == ["exp"]
    other = b.getitem(written, index=(2, FULL))
    cast = b.getitem(b.setitem(x, numpy.arange(4), index=(1, FULL)), index=(1, FULL))
    assert "getitem" in names(b.rewritten(other)) and "getitem" in names(b.rewritten(cast))


def test_a_part_written_through_an_array_is_read_from_memory():
    """Of places that are named twice, the last value stays."""
    b = Build(X, numpy.array([0, 0, 1]), numpy.arange(12.0).reshape(3, 4))
    x, places, rows = b.inputs
    index = (Hole(0), FULL)
    graph = b.rewritten(b.getitem(b.setitem(x, rows, places, index=index), places, index=index))
    assert names(graph) == ["setitem", "getitem"]


def test_writing_all_forgets_the_old():
    b = Build(X, numpy.arange(4.0), numpy.arange(4))
    x, row, ints = b.inputs
    assert names(b.rewritten(b.setitem(b.exp(x), row, index=(FULL, FULL)))) == ["broadcast_to"]
    assert names(b.rewritten(b.setitem(b.exp(x), ints, index=(FULL, FULL)))) == ["exp", "setitem"]
    assert names(b.rewritten(b.setitem(b.exp(x), 2, index=(FULL, FULL)))) == ["exp", "setitem"]


def test_adding_at_a_fixed_place_is_spelled_out():
    b = Build(X, numpy.arange(4.0), numpy.arange(4).astype(complex), numpy.array([0, 0]))
    x, row, other, places = b.inputs
    y = b.exp(x)
    assert names(b.rewritten(b.add_at(y, row, index=(1, FULL)))) == ["exp", "getitem", "add", "setitem"]
    assert names(b.rewritten(b.add_at(y, 2, index=(FULL, FULL)))) == ["exp", "add"]
    assert (
        names(b.rewritten(b.add_at(b.astype(y, dtype=numpy.dtype(complex)), other, index=(1, FULL))))[-1] == "setitem"
    )
    assert names(b.rewritten(b.add_at(b.copy(row), 1.0, places, index=(Hole(0),)))) == ["add_at"]
    b = Build(X.astype("f4"), numpy.arange(4.0))  # added in float64
    assert names(b.rewritten(b.add_at(b.inputs[0], b.inputs[1], index=(1, FULL)))) == ["add_at"]


def test_inputs_may_come_from_another_graph():
    """A function that is compiled in pieces: how an input was computed is not this graph's business."""
    first = Build(X)
    turned = first.transpose(first.inputs[0], axes=(1, 0))
    b = Build(X.T)
    b.graph.inputs[0] = turned
    graph = b.rewritten(b.transpose(turned, axes=(1, 0)))
    assert names(graph) == ["transpose"]


def test_effects_are_left_alone(monkeypatch):
    monkeypatch.setattr(registry, "OPS", dict(registry.OPS))
    drawn = iter(range(10))
    draw = op_module.declare(
        "draw", kind="test", nin=0, effect=True, spec=lambda: next(drawn), rule=lambda avals, params: Aval((), int)
    )
    b = Build()
    first, _unused, third = (b.graph.add(draw, [], {})[0] for _ in range(3))
    b.graph.outputs = [b.subtract(third, first)]
    graph = rewrite(b.graph)
    assert names(graph) == ["draw", "draw", "draw", "subtract"]
    assert evaluate(graph, []) == [2]
