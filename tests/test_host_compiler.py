"""A compiled graph returns what `evaluate` returns, and leaves its inputs alone."""

import itertools
import math
import platform

import llvmlite.binding as llvm
import numpy
import optable
import pytest
from graphs import Build, assert_equal, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from npx.dispatch import registry
from npx.dispatch.abstract import Slice
from npx.dispatch.graph import evaluate
from npx.kernels.host_compiler import program
from npx.kernels.host_compiler.engine import Engine
from npx.kernels.host_compiler.fuse import partition
from npx.kernels.host_compiler.ir import LANE
from npx.kernels.host_compiler.scalars import LIBM, REDUCTIONS, RULES
from npx.kernels.host_compiler.steps import KernelStep

FULL = Slice()
CODES = {numpy.dtype("?" if code == "b1" else code).char: code for code in LANE}
INEXACT = {**dict.fromkeys([*LIBM, "power", "float_power"], 8), "logaddexp": 256, "logaddexp2": 256}  # these two cancel
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]


# ------------------------------------------------------------------------------------------------- single ops


@pytest.mark.parametrize("op", optable.ALL_OPS, ids=lambda op: op.name)
def test_every_op(op):
    """All examples of an op in one graph."""
    b, outputs, expected = Build(), [], []
    for case in optable.cases(op):
        with numpy.errstate(all="ignore"):
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
    run = b.compiled(*outputs)
    with numpy.errstate(all="ignore"):
        results = run(b.payloads)
    for got, want in zip(results, expected, strict=True):
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


# ------------------------------------------------------------------------------------------- lesser processors


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="processors of another family")
@pytest.mark.parametrize(("cpu", "lanes", "variant"), [("haswell", 8, "_ZGVdN4v_exp"), ("x86-64", 4, None)])
def test_lesser_processors(cpu, lanes, variant, monkeypatch):
    """Without AVX-512; and without anything, where math functions run lane by lane."""
    has = {"avx2": True, "fma": True, "sse4.1": True} if cpu == "haswell" else {}
    if not all(llvm.get_host_cpu_features().get(name) for name in has):
        pytest.skip("this processor is lesser")
    lesser = Engine(cpu, has)
    assert lesser.target.lanes == lanes
    if lesser.target.vector_function("exp", 1, lanes)[0] != variant:
        assert not llvm.address_of_symbol("_ZGVdN4v_exp")  # no glibc
    monkeypatch.setattr(program, "engine", lambda: lesser)
    rng = numpy.random.default_rng(6)
    x, y, n = rng.standard_normal((6, 37)), rng.random(37).astype("f4"), rng.integers(-9, 9, (37, 6))
    b = Build(x, y, n)
    v, w, k = b.inputs
    turned = b.astype(b.transpose(k, axes=(1, 0)), dtype=numpy.dtype("i2"))
    chosen = b.where(b.less(v, w), b.multiply(w, 1.5), b.exp(v))
    bits = b.astype(b.square(v), dtype=numpy.dtype("u8"))
    b.check(chosen, bits, b.multiply(turned, 3), b.remainder(k, 4), b.hypot(w, 2.0), b.power(w, 1.7), ulp=8)
    params = {"axis": (1,), "keepdims": False}
    total = b.sum(chosen, dtype=numpy.dtype(float), **params)
    b.check(total, b.max(w, axis=(0,), keepdims=True), b.any(turned, **params), ulp=16)


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
