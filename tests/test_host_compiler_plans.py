"""What a compiled graph does with memory, threads, odd arrays and ops that have no kernel."""

import itertools
import threading

import numpy
import pytest
from graphs import Build, assert_equal, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from npx.dispatch import op as op_module
from npx.dispatch import registry
from npx.dispatch.abstract import Aval, Hole, Slice
from npx.dispatch.graph import evaluate
from npx.kernels.host_compiler import launch
from npx.kernels.host_compiler.engine import engine
from npx.kernels.host_compiler.fuse import partition
from npx.kernels.host_compiler.lower import compile
from npx.kernels.host_compiler.plan import Plan
from npx.kernels.host_compiler.steps import CallStep, CopyStep, WriteStep
from npx.transforms.rewrite import rewrite

FULL = Slice()
INT = numpy.dtype(int)


# --------------------------------------------------------------------------------------------- writes and memory


def test_write_in_place_where_the_old_value_is_dead():
    b = Build(numpy.zeros((4, 5)))
    x = b.exp(b.inputs[0])
    for k in range(3):
        x = b.setitem(x, float(k), index=(k, Slice(1, 3)))
    b.check(x)
    assert not steps(b.graph, CopyStep)


def test_write_on_a_copy_where_the_old_value_lives():
    b = Build(numpy.zeros((4, 5)))
    x = b.exp(b.inputs[0])
    y = b.setitem(x, 7.0, index=(1, FULL))
    b.check(b.add(x, y), y)
    b.check(y, x)
    b.check(y, b.transpose(x, axes=(1, 0)))
    late = b.sum(b.getitem(x, index=(1, FULL)), axis=(0,), dtype=numpy.dtype(float), keepdims=False)
    b.check(y, late)


def test_reads_before_a_write_stay_before_it():
    """Fusing the two additions would need the old buffer after the write."""
    b = Build(numpy.arange(20.0).reshape(4, 5))
    x = b.exp(b.inputs[0])
    first = b.add(b.getitem(x, index=(0, FULL)), 1.0)
    y = b.setitem(x, b.matmul(b.inputs[0], numpy.ones((5, 5))), index=(FULL, FULL))
    b.check(y, b.multiply(first, b.getitem(y, index=(0, FULL))), ulp=4)
    assert not steps(b.graph, CopyStep)


def test_results_are_computed_where_they_are_written():
    b = Build(numpy.arange(20.0).reshape(4, 5), numpy.arange(5.0))
    x, row = b.inputs
    y = b.exp(x)
    for k in range(3):
        y = b.setitem(y, b.add(b.getitem(y, index=(k, FULL)), row), index=(k, FULL))
    y = b.setitem(y, b.multiply(b.getitem(y, index=(3, FULL)), 1.5), index=(2, FULL))
    zeros = b.broadcast_to(numpy.zeros((), "i4"), shape=(4, 5))
    ints = b.setitem(zeros, b.add(row, 0.5), index=(Slice(0, 4, 3), FULL))  # broadcast: written by NumPy
    ints = b.setitem(ints, b.multiply(row, 1.5), index=(1, Slice(4, None, -1)))
    b.check(y, ints, ulp=4)
    assert len(steps(b.graph, WriteStep)) == 1


def test_neighbours_are_read_before_they_are_written():
    """The old values are needed when their place is due."""
    b = Build(numpy.random.default_rng(0).random((30, 40)))
    u = b.multiply(b.inputs[0], 1.0)
    inside, rows, columns = (Slice(1, 29), Slice(1, 39)), Slice(1, 29), Slice(1, 39)
    for _ in range(3):
        left, right = b.getitem(u, index=(rows, Slice(0, 38))), b.getitem(u, index=(rows, Slice(2, 40)))
        up, down = b.getitem(u, index=(Slice(0, 28), columns)), b.getitem(u, index=(Slice(2, 30), columns))
        u = b.setitem(u, b.multiply(b.add(b.add(left, right), b.add(up, down)), 0.25), index=inside)
    b.check(u)
    other = b.setitem(b.exp(u), b.add(b.getitem(u, index=inside), 1.0), index=inside)
    b.check(b.setitem(other, b.getitem(other, index=(0, FULL)), index=(1, FULL)), u, ulp=4)
    old = b.getitem(other, index=(0, FULL))
    new = b.setitem(other, b.multiply(b.getitem(other, index=(1, FULL)), 2.0), index=(0, FULL))
    b.check(b.add(new, b.multiply(old, b.sum(new, axis=(0,), dtype=numpy.dtype(float), keepdims=False))), ulp=16)


def test_inputs_and_constants_are_never_written():
    fixed = numpy.zeros((3, 3))
    b = Build(numpy.zeros((3, 3)))
    y = b.setitem(b.inputs[0], 1.0, index=(0, FULL))
    z = b.setitem(fixed, 2.0, index=(0, FULL))
    w = b.setitem(b.transpose(b.inputs[0], axes=(1, 0)), 3.0, index=(0, FULL))
    b.check(y, z, w)
    numpy.testing.assert_array_equal(fixed, 0)


def test_overlapping_write():
    b = Build(numpy.arange(10.0))
    x = b.negative(b.inputs[0])
    b.check(b.setitem(x, b.getitem(x, index=(Slice(0, 9),)), index=(Slice(1, 10),)))
    b = Build(numpy.arange(10.0), numpy.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    x = b.negative(b.inputs[0])
    b.check(b.add_at(x, x, b.inputs[1], index=(Hole(0),)))
    b.check(b.add_at(x, b.getitem(x, index=(Slice(0, 9),)), index=(Slice(1, 10),)))


def test_writes_through_index_arrays():
    b = Build(numpy.zeros((6, 4)), numpy.array([0, 2, 2]), numpy.array(1), 3, numpy.ones((3, 4)))
    x, places, zero_d, number, rows = b.inputs
    y = b.exp(x)
    y = b.setitem(y, rows, places, index=(Hole(0), FULL))
    y = b.add_at(y, rows, places, index=(Hole(0), FULL))
    y = b.setitem(y, 5, zero_d, number, index=(Hole(0), Hole(1)))
    y = b.add_at(y, 2.0, number, index=(Hole(0), Slice(0, 4, 2)))
    b.check(y, b.getitem(y, places, index=(Hole(0), FULL)), b.getitem(y, zero_d, index=(FULL, Hole(0))))


def test_traced_index_is_a_view_until_the_write():
    """``y[k]`` is read before and after ``y[k]`` is written."""
    b = Build(numpy.arange(12.0).reshape(3, 4), 1)
    y, k = b.exp(b.inputs[0]), b.inputs[1]
    row = b.getitem(y, k, index=(Hole(0), FULL))
    z = b.setitem(y, b.multiply(row, 2.0), k, index=(Hole(0), FULL))
    b.check(z, b.getitem(z, k, index=(Hole(0), FULL)), ulp=4)
    assert len(steps(b.graph, CopyStep)) == 1  # the second output, which is part of the first


def test_outputs_are_fresh():
    b = Build(numpy.arange(6.0), numpy.array(2.0))
    x, zero_d = b.inputs
    y = b.add(x, 1.0)
    fixed = numpy.ones(3)
    run = b.compiled(
        y, y, b.reshape(y, shape=(2, 3)), x, zero_d, b.getitem(y, index=(Slice(1, 3),)), b.copy(fixed), b.copy(x)
    )
    first, second = run(b.payloads), run(b.payloads)
    arrays = [a for a in first + second if isinstance(a, numpy.ndarray)] + b.payloads + [fixed]
    for a, c in itertools.combinations(arrays, 2):
        assert not numpy.shares_memory(a, c)
    first[0][:] = -1
    numpy.testing.assert_array_equal(run(b.payloads)[0], numpy.arange(6.0) + 1)


def test_memory_of_large_results_is_used_again():
    x = numpy.arange(20_000.0)
    b = Build(x)
    run = b.compiled(b.add(b.inputs[0], 1.0))
    y = run([x])[0]
    address = y.ctypes.data
    for _ in range(3):
        z = run([x])[0]
        assert z.ctypes.data != address
    del z
    part = y[1:]
    del y
    assert all(run([x])[0].ctypes.data != address for _ in range(3))
    numpy.testing.assert_array_equal(part, x[1:] + 1)
    del part
    y = run([x])[0]
    known = {run([x])[0].ctypes.data for _ in range(4)}
    assert len(known) == 1 and y.ctypes.data not in known
    y.shape = (2, 10_000)
    y = None
    numpy.testing.assert_array_equal(run([x])[0], x + 1)


def test_transposed_factors_are_not_copied():
    b = Build(numpy.random.default_rng(0).random((6, 4)))
    x = b.inputs[0]
    gram = b.matmul(b.transpose(x, axes=(1, 0)), x)
    b.check(b.matmul(b.transpose(b.exp(x), axes=(1, 0)), b.multiply(x, 2.0)), gram, ulp=16)
    assert not steps(b.graph, CopyStep)


def test_reshape_that_must_copy():
    b = Build(numpy.arange(12.0).reshape(3, 4))
    turned = b.transpose(b.exp(b.inputs[0]), axes=(1, 0))
    b.check(b.reshape(turned, shape=(2, 6)), b.add(b.reshape(turned, shape=(12,)), 1.0), ulp=4)


def test_buffers_share_memory():
    b = Build(numpy.ones(1000))
    x = b.inputs[0]
    for _ in range(20):
        x = b.cumsum(b.add(x, 1.0), axis=0, dtype=numpy.dtype(float))
    b.check(x)
    plan = Plan(b.graph, partition(b.graph), [(8,)])
    assert plan.arena <= 2 * 8064


# ---------------------------------------------------------------------------------------- random writes and views


@st.composite
def indices(draw, shape):
    spec = []
    for n in shape:
        kind = draw(st.sampled_from(["int", "slice", "reversed", "full"]))
        start = draw(st.integers(0, n - 1))
        stop = draw(st.integers(start + 1, n))
        backwards = Slice(stop - 1, None if start == 0 else start - 1, -draw(st.integers(1, 2)))
        options = {"int": start, "slice": Slice(start, stop, draw(st.integers(1, 2))), "reversed": backwards}
        spec.append(options.get(kind, FULL))
    return tuple(spec)


KINDS = ["new", "combine", "read", "write", "write", "add_at", "turn", "flat", "sum", "call", "row"]


@st.composite
def programs(draw):
    """Integer arithmetic, exact in any order, between views, writes and library calls."""
    rng = numpy.random.default_rng(draw(st.integers(0, 2**32)))
    b = Build(rng.integers(-9, 9, (4, 6)), rng.integers(-9, 9, (4, 6)), draw(st.integers(0, 3)))
    *values, place = b.inputs
    for _ in range(draw(st.integers(2, 25))):
        x = values[draw(st.integers(max(0, len(values) - 6), len(values) - 1))]
        shape = x.aval.shape
        kind = draw(
            st.sampled_from(
                ["new", "combine", "read", "write", "write", "add_at", "turn", "flat", "sum", "call", "row"]
            )
        )
        if kind == "new":
            values.append(b.add(x, 1))
        elif kind == "combine":
            fitting = [v for v in values if v.aval.shape == shape]
            values.append(b.subtract(b.multiply(x, 2), draw(st.sampled_from(fitting))))
        elif kind == "read":
            values.append(b.getitem(x, index=draw(indices(shape))))
        elif kind in ("write", "add_at"):
            index = draw(indices(shape))
            part = b.getitem(draw(st.sampled_from([v for v in values if v.aval.shape == shape])), index=index)
            backwards = tuple(Slice(n - 1, None, -1) for n in part.aval.shape)
            fitting = [v for v in values if v.aval.shape == part.aval.shape]
            options = [5, part, b.multiply(part, 3), b.multiply(b.getitem(part, index=backwards), 3), *fitting]
            written = draw(st.sampled_from(options))
            record = b.setitem if kind == "write" else b.add_at
            values.append(record(x, written, index=index))
        elif kind == "turn":
            values.append(b.transpose(x, axes=tuple(range(len(shape)))[::-1]))
        elif kind == "flat":
            values.append(b.reshape(x, shape=(x.aval.size,)))
        elif kind == "sum" and shape:
            values.append(b.sum(x, axis=(draw(st.integers(0, len(shape) - 1)),), dtype=INT, keepdims=False))
        elif kind == "call" and shape:
            values.append(b.cumsum(x, axis=0, dtype=INT))
        elif kind == "row" and shape and shape[0] >= 4:
            index = (Hole(0), *[FULL] * (len(shape) - 1))
            row = b.getitem(x, place, index=index)
            values += [row, b.setitem(x, b.add(row, 1), place, index=index)]
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=5))
    return b, outputs


@settings(max_examples=250, deadline=None)
@given(programs())
def test_random_programs(case):
    b, outputs = case
    b.check(*outputs)
    b.graph = rewrite(b.graph)
    b.check(*b.graph.outputs)


# --------------------------------------------------------------------------------------------- odd arrays and ops


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4)])
def test_empty_arrays(shape):
    b = Build(numpy.zeros(shape), numpy.zeros(shape[-1:]))
    x, y = b.inputs
    z = b.exp(b.add(x, y))
    total = b.sum(z, axis=tuple(range(len(shape))), dtype=numpy.dtype(float), keepdims=False)
    flat = b.getitem(
        b.transpose(z, axes=tuple(range(len(shape)))[::-1]), index=(Slice(0, 0), *[FULL] * (len(shape) - 1))
    )
    b.check(z, total, flat, b.setitem(z, 1.0, index=(FULL,) * len(shape)))


def test_zero_dimensional_arrays():
    b = Build(numpy.array(2.0), numpy.float32(3))
    x, y = b.inputs
    z = b.multiply(b.exp(x), y)
    b.check(z, b.setitem(b.negative(z), 4.0, index=()), b.reshape(z, shape=(1, 1)), b.add(z, numpy.ones(3)), ulp=8)


def test_unusual_inputs():
    x = numpy.arange(12.0).reshape(3, 4)
    b = Build(x, x, 2)
    outputs = b.add(b.exp(b.inputs[0]), b.inputs[1]), b.multiply(b.matmul(b.inputs[0], numpy.eye(4)), b.inputs[2])
    run = b.compiled(*outputs)
    frozen = x.copy()
    frozen.flags.writeable = False
    packed = numpy.zeros(1 + x.nbytes, "u1")[1:].view(float).reshape(3, 4)
    packed[:] = x
    big = numpy.zeros((30, 40))
    variants = [frozen, packed, numpy.asfortranarray(x), x[::-1, ::-1], x.view(numpy.recarray)]
    variants += [big[:: k + 1, : 4 * (k + 1) : k + 1][:3] + 0 * k for k in range(3)]
    for k in range(12):
        window = big[k : k + 3 * (k + 1) : k + 1, : 4 * (k + 1) : k + 1][:3, :4]
        if window.shape == (3, 4):
            variants.append(window)
    for one, other in itertools.product(variants, [x, variants[0], variants[2]]):
        for got, want in zip(run([one, other, 2]), evaluate(b.graph, [one, other, 2]), strict=True):
            assert_equal(got, want, 8)
    for bad in ([x], [x, x[:2], 2], [x, x.astype("f4"), 2]):
        with pytest.raises(TypeError):
            run(bad)


def test_dtypes_left_to_numpy():
    half, other = numpy.arange(6, dtype="e"), numpy.arange(6.0) * 1j
    objects, swapped = numpy.array([1, 2.5, 3], object), numpy.arange(6.0).astype(">f8")
    dates = numpy.arange(6).astype("M8[s]")
    b = Build(half, other, objects, swapped, dates, numpy.arange(6).astype("m8[s]"), numpy.arange(6, dtype="g"))
    h, z, o, s, d, t, g = b.inputs
    b.check(
        b.add(b.exp(h), 1), b.multiply(b.add(z, h), 2), b.add(o, o), b.exp(b.add(s, 1.0)), b.add(d, t), b.sqrt(g),
        b.sum(h, axis=(0,), dtype=numpy.dtype("e"), keepdims=False), b.real(b.exp(z)), b.add(b.imag(z), 1.0),
        b.setitem(b.add(o, 1), 7, index=(1,)), b.setitem(b.negative(z), 1.5, index=(Slice(0, 2),)),
        ulp=8,
    )  # fmt: skip


def test_inputs_may_come_from_another_graph():
    """A function that is compiled in pieces."""
    first = Build(numpy.arange(3.0), 2)
    y, n = first.exp(first.inputs[0]), first.add(first.inputs[1], 1)
    b = Build(numpy.arange(3.0), 3)
    b.graph.inputs[:] = y, n
    b.check(b.sin(b.multiply(y, n)), n, ulp=8)


def test_several_outputs():
    b = Build(numpy.array([1.5, -2.25, 3.0]))
    fraction, whole = b.modf(b.inputs[0])
    _, exponent = b.frexp(b.inputs[0])
    b.check(b.add(fraction, 1.0), whole, exponent)


def test_error_names_the_users_line():
    b = Build(numpy.arange(3.0), 7)
    b.graph.outputs = [b.record("getitem", [b.exp(b.inputs[0]), b.inputs[1]], {"index": (Hole(0),)}, where="user.py:3")]
    with pytest.raises(IndexError, match="out of bounds") as caught:
        compile(b.graph)(b.payloads)
    assert caught.value.__notes__ == ["in getitem at user.py:3"]


def test_effects_run_in_order_and_once(monkeypatch):
    monkeypatch.setattr(registry, "OPS", dict(registry.OPS))
    seen = []

    def note(x):
        seen.append(x)
        return x

    op_module.declare(
        "note",
        kind="test",
        nin=1,
        effect=True,
        spec=note,
        rule=lambda avals, params: Aval(avals[0].shape, avals[0].dtype),
    )
    b = Build(numpy.arange(3.0))
    x = b.add(b.inputs[0], 1.0)
    y = b.note(x)
    b.note(b.multiply(x, 5.0))
    run = b.compiled(b.add(y, 1.0))
    for start in (0.0, 10.0):
        numpy.testing.assert_array_equal(run([numpy.arange(3.0) + start])[0], numpy.arange(3.0) + start + 2)
    firsts = [x[0] for x in seen]
    assert firsts == [1.0, 5.0, 11.0, 55.0]


# ------------------------------------------------------------------------------------------- kernels and threads


def test_a_new_shape_compiles_nothing():
    def compiled(*shape):
        x = numpy.random.default_rng(0).random(shape)
        b = Build(x, 0.5)
        y = b.multiply(b.exp(b.inputs[0]), 0.123 * len(x))
        z = b.add(y, b.inputs[1])
        b.check(z, b.sum(z, axis=(1,), dtype=numpy.dtype(float), keepdims=False), ulp=16)

    compiled(5, 7)
    known = len(engine().addresses)
    compiled(9, 70)
    compiled(300, 2)
    assert len(engine().addresses) == known


def test_calls_may_overlap():
    x = numpy.random.default_rng(0).random((200, 200))
    b = Build(x)
    y = b.matmul(b.exp(b.inputs[0]), b.inputs[0])
    y = b.setitem(y, 0.0, index=(0, FULL))
    run = b.compiled(b.add(b.matmul(y, y), 1.0))
    results = {}

    def work(k):
        results[k] = [run([x + k])[0] for _ in range(10)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        want = evaluate(b.graph, [x + k])[0]
        for got in results[k]:
            assert_equal(got, want, 64)


@pytest.mark.parametrize("shape", [(1000,), (130, 7), (3, 500), (1, 1000)])
def test_kernels_shared_by_threads(shape):
    x = numpy.random.default_rng(0).random(shape)
    former = launch.set_threads(3, 0)
    try:
        b = Build(x)
        y = b.add(b.multiply(b.inputs[0], 2.0), 1.0)
        axes = [(0,), tuple(range(len(shape))), (len(shape) - 1,)]
        totals = [b.sum(y, axis=a, dtype=numpy.dtype(float), keepdims=False) for a in axes]
        peaks = [b.max(y, axis=a, keepdims=True) for a in axes]
        b.check(y, *totals, *peaks, ulp=16)
        b.check(b.any(b.less(y, 1.5), axis=axes[1], keepdims=False), b.all(y, axis=axes[1], keepdims=False))
    finally:
        launch.set_threads(*former)


def test_steps_call_the_host_only_for_products():
    b = Build(numpy.ones((4, 3)), numpy.ones((3, 5)))
    x, w = b.inputs
    hidden = b.maximum(b.add(b.matmul(x, w), 1.0), 0.0)
    b.check(b.matmul(hidden, b.transpose(w, axes=(1, 0))), ulp=4)
    assert [step.function for step in steps(b.graph, CallStep)] == [numpy.matmul, numpy.matmul]
