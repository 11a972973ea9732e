"""A compiled graph returns what `evaluate` returns, and leaves its inputs alone."""

import itertools
import math
import threading

import graphs
import numpy
import optable
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npx.dispatch import op as op_module
from npx.dispatch import registry
from npx.dispatch.abstract import Aval, Hole, Slice, aval_of
from npx.dispatch.graph import evaluate
from npx.kernels.host_compiler import launch
from npx.kernels.host_compiler.engine import engine
from npx.kernels.host_compiler.fuse import partition
from npx.kernels.host_compiler.ir import LANE
from npx.kernels.host_compiler.lower import compile
from npx.kernels.host_compiler.plan import CallStep, CopyStep, KernelStep, Plan
from npx.kernels.host_compiler.scalars import LIBM, REDUCTIONS, RULES

FULL = Slice()
CODES = {numpy.dtype("?" if code == "b1" else code).char: code for code in LANE}
INEXACT = {**dict.fromkeys([*LIBM, "power", "float_power"], 8), "logaddexp": 256, "logaddexp2": 256}  # these two cancel
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]


class Build(graphs.Build):
    def compiled(self, *outputs):
        self.graph.outputs = list(outputs)
        return compile(self.graph)

    def check(self, *outputs, ulp=0, calls=2):
        """Compare the compiled graph with `evaluate`."""
        run = self.compiled(*outputs)
        with numpy.errstate(all="ignore"):
            want = evaluate(self.graph, self.payloads)
        before = [numpy.array(p) for p in self.payloads]
        for _ in range(calls):
            got = run(self.payloads)
            for g, w in zip(got, want, strict=True):
                assert_equal(g, w, ulp)
            for payload, old in zip(self.payloads, before):
                numpy.testing.assert_array_equal(payload, old)
        return run


def assert_equal(got, want, ulp=0):
    """Equal in dtype and shape, and in value but for `ulp` units in the last place."""
    have, need = aval_of(got), aval_of(want)
    assert (have.shape, have.dtype) == (need.shape, need.dtype)
    if ulp and need.dtype.kind in "fc":
        tiny = numpy.finfo(need.dtype).tiny
        numpy.testing.assert_allclose(got, want, rtol=ulp * numpy.finfo(need.dtype).eps, atol=tiny)
    else:
        numpy.testing.assert_array_equal(got, want)


def steps(graph, kind):
    """The steps of a class in the plan of a graph with contiguous inputs."""
    plan = Plan(graph, partition(graph), [numpy.empty(v.aval.shape, v.aval.dtype).strides for v in graph.inputs])
    return [step for step in plan.steps if isinstance(step, kind)]


# ------------------------------------------------------------------------------------------------- single ops


@pytest.mark.parametrize("op", optable.ALL_OPS, ids=lambda op: op.name)
def test_every_op(op):
    """All examples of an op in one graph."""
    b, outputs, expected = Build(), [], []
    for case in optable.cases(op):
        want = case.expected()
        if isinstance(want, Exception):
            continue
        part = Build(*case.operands)
        try:
            outs = part.record(op.name, part.inputs, case.params)
        except Exception:  # the shape depends on the data
            continue
        b.payloads += part.payloads
        b.graph.inputs += part.inputs
        b.graph.nodes += part.graph.nodes
        outputs += outs if isinstance(outs, tuple) else (outs,)
        for out, w in zip(outputs[-len(want) :], want, strict=True):
            expected.append(numpy.asarray(w).item() if out.aval.weak else w)
    for got, want in zip(b.compiled(*outputs)(b.payloads), expected, strict=True):
        optable.assert_same(got, want, op.name)


def numbers(code, count, rng, low=-40, high=40):
    """An array with special values first, in the dtype with this character."""
    dtype = numpy.dtype(code)
    if dtype.kind == "b":
        return rng.random(count) < 0.5
    if dtype.kind in "iu":
        info = numpy.iinfo(dtype)
        edges = numpy.array([0, 1, 2, info.max, info.min, info.max - 1], dtype)
        return numpy.concatenate([edges, rng.integers(max(info.min, low), min(info.max, high), count, dtype)])[:count]
    with numpy.errstate(over="ignore"):
        return numpy.concatenate([SPECIAL, rng.uniform(low, high, count)])[:count].astype(dtype)


def loops(op):
    """The loops of a ufunc over dtypes that kernels know."""
    for loop in op.spec.types if isinstance(op.spec, numpy.ufunc) else ():
        codes = loop.partition("->")[0]
        if set(loop.replace("->", "")) <= set(CODES):
            yield codes


@pytest.mark.parametrize("name", sorted(RULES))
def test_elementwise_op_on_all_loops_and_special_values(name):
    op, rng = registry.op(name), numpy.random.default_rng(0)
    for codes in dict.fromkeys(loops(op)):
        operands = [numbers(code, 61, rng) for code in codes]
        grid = [numpy.ascontiguousarray(a) for a in numpy.meshgrid(*operands, indexing="ij")]
        exact = name == "power" and codes[0] not in "fd"  # of integers: not fused
        b = Build(*(grid[:2] if exact else grid))
        if exact:
            b.payloads[1] = numpy.abs(b.payloads[1] % 8)
        b.check(b.record(name, b.inputs, {}), ulp=INEXACT.get(name, 0), calls=1)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"real"}))
def test_elementwise_op_is_fused(name):
    operands = [numpy.ones((3, 4), "f8")] * registry.op(name).nin
    if not any("d" in codes for codes in loops(registry.op(name))):
        operands = [x.astype("i8") for x in operands]
    b = Build(*operands)
    b.graph.outputs = [b.record(name, b.inputs, {})]
    assert [unit.is_group for unit in partition(b.graph)] == [name != "power" or operands[0].dtype == float]


@pytest.mark.parametrize("exponent", [-2, -1, 0, 1, 2, 3, 4, 5, 0.5, -0.5, 1.5, -0.0, math.nan, math.inf])
def test_power_by_a_number(exponent):
    b = Build(numbers("d", 50, numpy.random.default_rng(1)), numbers("f", 50, numpy.random.default_rng(1)))
    b.check(b.power(b.inputs[0], exponent), b.power(b.inputs[1], exponent), ulp=8)
    if isinstance(exponent, int) and exponent >= 0:
        b = Build(numbers("l", 50, numpy.random.default_rng(1)), numbers("B", 50, numpy.random.default_rng(1)))
        b.check(b.power(b.inputs[0], exponent), b.power(b.inputs[1], exponent))


@pytest.mark.parametrize("source", CODES)
def test_casts(source):
    x = numbers(source, 70, numpy.random.default_rng(2), 0, 100)
    if x.dtype.kind == "f":
        x = numpy.abs(x[numpy.isfinite(x) & (numpy.abs(x) < 100)])  # out of range the result depends on the machine
    b = Build(x)
    b.check(*(b.astype(b.inputs[0], dtype=numpy.dtype(target)) for target in CODES), calls=1)


def test_casts_to_unsigned():
    x = numpy.array([-1.0, -200.0, 2.0**62, 2.0**63, 1.5 * 2**63, 255.9, 65535.5])
    b = Build(x, x.astype("f4"))
    b.check(*(b.astype(v, dtype=numpy.dtype("u8")) for v in b.inputs))
    b = Build(numpy.array([-1.0, -2.5, 3.5, 255.0]))
    b.check(*(b.astype(b.inputs[0], dtype=numpy.dtype(t)) for t in "BHILbhil"))


SHAPES = [((5, 7), (7,)), ((5, 1), (1, 7)), ((4, 1, 6), (3, 1)), ((), (40,)), ((1, 1), (3, 40)), ((2, 3, 4, 5), (4, 1))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "stepped", "broadcast"])
def test_broadcasting_and_strides(shapes, layout):
    rng = numpy.random.default_rng(3)

    def lay(x):
        if layout == "reversed":
            return x[(slice(None, None, -1),) * x.ndim]
        if layout == "stepped":
            big = numpy.zeros(tuple(2 * n + 1 for n in x.shape), x.dtype)
            big[(slice(1, None, 2),) * x.ndim] = x
            return big[(slice(1, None, 2),) * x.ndim]
        if layout == "broadcast":
            return numpy.broadcast_to(x.reshape(-1)[:1].reshape((1,) * x.ndim), x.shape)
        return numpy.asarray(x, order=layout)

    b = Build(*(lay(rng.standard_normal(shape)) for shape in shapes), lay(rng.random(shapes[0]) < 0.5))
    x, y, c = b.inputs
    total = b.add(b.multiply(x, 3.25), b.where(c, y, 2))
    rows = b.sum(total, axis=(total.aval.ndim - 1,), dtype=numpy.dtype(float), keepdims=False)
    b.check(total, b.less(total, y), b.transpose(total, axes=tuple(range(total.aval.ndim))[::-1]))
    b.check(rows, ulp=16)


def test_python_numbers_are_weak():
    b = Build(numpy.float32([1, 2]), numpy.uint8([250, 3]), 2, 0.1, numpy.array(3.0))
    single, byte, two, tenth, zero_d = b.inputs
    scalar = b.multiply(two, 3)
    b.check(
        b.multiply(single, tenth), b.add(byte, two), b.add(single, zero_d), b.where(b.less(single, tenth), single, two),
        b.less(byte, 300),
    )  # fmt: skip
    got = b.compiled(scalar, two, b.add(tenth, 1), zero_d)(b.payloads)
    assert [type(g) for g in got] == [int, int, float, numpy.float64]
    assert got == [6, 2, 1.1, 3.0]
    got = b.compiled(b.add(byte, scalar), b.add(single, scalar))(b.payloads)
    assert_equal(got[0], numpy.uint8([0, 9]))
    assert_equal(got[1], numpy.float32([7, 8]))
    with pytest.raises(OverflowError):
        b.compiled(b.add(byte, two))([*b.payloads[:2], 256, *b.payloads[3:]])


# ------------------------------------------------------------------------------------------------- reductions


REDUCED = [
    ((37,), (0,)),
    ((5, 40), (1,)),
    ((40, 5), (0,)),
    ((3, 4, 50), (1,)),
    ((3, 4, 50), (0, 2)),
    ((3, 4, 5), (0, 1, 2)),
    ((6, 1, 5), (1,)),
    ((), ()),
    ((3, 4), ()),
    ((2, 3, 4, 5), (1, 3)),
    ((2, 3, 4, 50), (0, 2)),
]


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, keepdims):
    rng = numpy.random.default_rng(4)
    b, outputs = Build(), []
    for (shape, axis), code in itertools.product(REDUCED, CODES):
        x = numbers(code, math.prod(shape), rng, 0, 3).reshape(shape)
        if numpy.dtype(code).kind == "f":
            x = rng.uniform(0.5, 1.5, shape).astype(code)
        part = Build(x)
        params = {"axis": axis, "keepdims": keepdims}
        if name in ("sum", "prod"):
            params["dtype"] = numpy.add.reduce(x[..., None], axis=-1).dtype
        outputs.append(part.record(name, part.inputs, params))
        b.payloads += part.payloads
        b.graph.inputs += part.inputs
        b.graph.nodes += part.graph.nodes
    assert all(unit.is_group for unit in partition(b.graph))
    b.check(*outputs, ulp=64)


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
@pytest.mark.parametrize("code", ["d", "f"])
def test_reductions_of_special_values(name, code):
    params = {"dtype": numpy.dtype(code)} if name in ("sum", "prod") else {}
    rows = [
        [1, math.inf],
        [-math.inf, math.inf],
        [math.nan, 1],
        [0.0, -0.0],
        [-0.0, -0.0],
        [math.inf, 3],
        [-1, -math.inf],
    ]
    for row, length in itertools.product(rows, (2, 40)):
        x = numpy.resize(numpy.array(row, code), length)
        b = Build(x, numpy.ascontiguousarray(numpy.broadcast_to(x[:, None], (length, 3))))
        outputs = [b.record(name, [v], {"axis": (0,), "keepdims": False, **params}) for v in b.inputs]
        b.check(*outputs, calls=1)


@pytest.mark.parametrize("code", ["f", "d"])
@pytest.mark.parametrize("count", [1000, 1_000_003])
def test_sums_are_as_accurate_as_numpys(code, count):
    for seed in range(3):
        x = numpy.random.default_rng(seed).lognormal(0, 3, count).astype(code)
        b = Build(x)
        got = b.compiled(b.sum(b.inputs[0], axis=(0,), dtype=x.dtype, keepdims=False))([x])[0]
        exact = math.fsum(x.tolist())
        assert abs(got - exact) <= max(abs(x.sum() - exact), numpy.spacing(x.dtype.type(exact)))


def test_softmax_in_three_kernels():
    x = numpy.random.default_rng(5).standard_normal((128, 10)).astype("f4")
    b = Build(x)
    largest = b.max(b.inputs[0], axis=(1,), keepdims=True)
    e = b.exp(b.subtract(b.inputs[0], largest))
    total = b.sum(e, axis=(1,), dtype=x.dtype, keepdims=True)
    b.check(b.divide(e, total), ulp=16)
    assert len(steps(b.graph, KernelStep)) == 3


# ---------------------------------------------------------------------------------------- random graphs, exactly


EXACT = ["add", "subtract", "multiply", "maximum", "minimum", "negative", "absolute", "square", "sign", "floor", "less",
         "equal", "logical_and", "logical_not", "isnan", "isfinite", "where", "astype", "bitwise_xor", "invert",
         "fmax", "left_shift", "right_shift", "floor_divide", "remainder", "divide", "clip", "sqrt", "sum", "max",
         "any"]  # fmt: skip


@st.composite
def random_graphs(draw):
    rng = numpy.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(draw(st.lists(st.integers(1, 40), min_size=0, max_size=3)))
    payloads = []
    for _ in range(draw(st.integers(1, 4))):
        own = tuple(n if draw(st.booleans()) else 1 for n in shape[draw(st.integers(0, len(shape))) :])
        code = draw(st.sampled_from(sorted(CODES)))
        payloads.append(numbers(code, math.prod(own), rng, -5, 5).reshape(own))
        if draw(st.booleans()):
            payloads[-1] = payloads[-1].copy(order="F")[(slice(None, None, -1),) * len(own)]
    b = Build(*payloads)
    values = list(b.inputs)
    for _ in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from(EXACT))
        operands = [draw(st.sampled_from(values)) for _ in range(registry.op(name).nin)]
        if len(operands) > 1 and draw(st.booleans()):
            operands[-1] = draw(st.sampled_from([0, 1, 2, 3, 7, 0.5, -0.0, 1.75, True]))
        params = {}
        if name == "astype":
            source, params["dtype"] = operands[0].aval.dtype, numpy.dtype(draw(st.sampled_from(sorted(CODES))))
            if source.kind == "f" and params["dtype"].kind in "iu":
                continue  # out of range the result depends on the machine
        elif name in REDUCTIONS:
            if name == "sum" and operands[0].aval.dtype.kind == "f":
                continue  # in another order, another rounding
            params = {"axis": tuple(a for a in range(operands[0].aval.ndim) if draw(st.booleans())), "keepdims": True}
            if name == "sum":
                params["dtype"] = numpy.dtype(operands[0].aval.dtype.kind.replace("b", "i") + "8")
        try:
            values.append(b.record(name, operands, params))
        except (TypeError, ValueError):  # NumPy has no such loop
            continue
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))
    return b, outputs


@settings(max_examples=120, deadline=None)
@given(random_graphs())
def test_random_graphs(case):
    b, outputs = case
    try:
        with numpy.errstate(all="ignore"):
            evaluate(b.graph, b.payloads)
    except (OverflowError, ValueError):
        return
    b.check(*outputs)


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
    b = Build(x, x)
    run = b.compiled(b.add(b.exp(b.inputs[0]), b.inputs[1]), b.matmul(b.inputs[0], numpy.eye(4)))
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
        for got, want in zip(run([one, other]), evaluate(b.graph, [one, other]), strict=True):
            assert_equal(got, want, 8)
    for bad in ([x], [x, x[:2]], [x, x.astype("f4")]):
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
