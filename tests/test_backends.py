"""Every op on every backend that needs no hardware of its own, against NumPy; and what all backends promise."""

import itertools

import numpy
import pytest
from optable import ALL_OPS, assert_same, builtin_class, cases, direction, in_promised_order, results

from npx.dispatch import debug, registry
from npx.dispatch.abstract import Hole, Slice
from npx.dispatch.payloads import ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

BACKENDS = ("reference", "xla")
HELD = frozenset(map(numpy.dtype, "?bhilqBHILQefdFD"))  # the dtypes that both hold
EACH_OP = pytest.mark.parametrize("op", [op for op in ALL_OPS if not op.effect], ids=lambda op: op.name)
EACH_UFUNC = pytest.mark.parametrize(
    "op", [op for op in ALL_OPS if isinstance(op.spec, numpy.ufunc) and not op.spec.signature], ids=lambda op: op.name
)

#: NumPy's AVX-512 loops of these read an operand that a reduction has written already
OVERLAPPING = {f"{name}.{method}" for name in ("power", "arctan2") for method in ("reduce", "reduceat")}
REDUCES_WRONGLY = numpy.power.reduce([2.0, 3.0, 2.0]) != 64


@pytest.fixture(params=BACKENDS)
def backend(request):
    return registry.backend_named(request.param)


def is_held(*values):
    return HELD.issuperset(numpy.asarray(v).dtype for v in values)


def chosen(op, backend):
    """Examples to try: those with arrays of dtypes that both backends hold.

    XLA compiles for each shape and dtype, so there an op meets a few types in its first example, fewer in the others.
    """
    found = list(cases(op))
    if backend.name == "xla":
        first = len(next(iter(op.examples)).types)
        found = [c for k, c in enumerate(found) if set(c.types) <= set("?bBlefdFD" if k < first else "Bfd")]
    return [c for c in found if any(isinstance(x, numpy.ndarray) for x in c.operands) and is_held(*c.operands)]


def on(backend, op, operands, params):
    """The results of an op on a backend, as NumPy arrays."""
    operands = [backend.asarray(x) if isinstance(x, numpy.ndarray) else x for x in operands]
    out = results(op, op(*operands, **params))
    assert all(isinstance(o, backend.payload_type) for o in out if is_held(o)), "a result is not on the backend"
    return [backend.to_host(o) if isinstance(o, backend.payload_type) else o for o in out]


@EACH_OP
def test_value(op, backend):
    for case in chosen(op, backend):
        want = case.expected()
        if isinstance(want, Exception):
            with pytest.raises(builtin_class(want)):
                print(on(backend, op, case.operands, case.params), "for", case)
        elif not (op.name in OVERLAPPING and REDUCES_WRONGLY):
            got = on(backend, op, case.operands, case.params)
            assert len(got) == len(want)
            for have, need in zip(got, want):
                assert_same(in_promised_order(case, have), in_promised_order(case, need), case)


def special(code):
    """Values of a type where definitions differ most: zeros, ends of the range, infinities, NaN."""
    dtype = numpy.dtype(code)
    reals = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.7, 2.5, 1e-3]
    if dtype.kind == "b":
        return numpy.array([False, True])
    if dtype.kind in "iu":
        limits = numpy.iinfo(dtype)
        numbers = (0, 1, 2, 3, 7, 8, 31, 32, 64, -1, -2, -7, limits.min, limits.max, limits.max - 1)
        return numpy.array([n for n in numbers if limits.min <= n <= limits.max], dtype)
    if dtype.kind == "f":
        return numpy.array([*reals, 1e10, -1e10, numpy.inf, -numpy.inf, numpy.nan]).astype(dtype)
    return numpy.array([complex(re, im) for re in (0.0, *reals[2:8]) for im in (0.0, 1.0, -2.0, 0.5)]).astype(dtype)


@EACH_UFUNC
def test_special_values(op, backend):
    types = dict.fromkeys(loop.partition("->")[0] for loop in op.spec.types)
    held = "?bBlLfdD" if backend.name == "xla" else "?bhilqBHILQefdFD"
    for codes in types:
        if not set(codes) <= set(held):
            continue
        grids = [g.ravel() for g in numpy.meshgrid(*(special(code) for code in codes))]
        if op.name == "reciprocal" and codes in "bhilq":
            grids = [g[g != 0] for g in grids]  # there C leaves the result open
        try:
            want = results(op, op.spec(*grids))
        except (TypeError, ValueError) as error:
            with pytest.raises(builtin_class(error)):
                on(backend, op, grids, {})
            continue
        for have, need in zip(on(backend, op, grids, {}), want):
            finite = numpy.isfinite(need) if need.dtype.kind == "c" else ...
            assert_same(have[finite], need[finite], f"{op.name} {codes}")


@pytest.mark.parametrize("op", [op for op in ALL_OPS if op.vjp], ids=lambda op: op.name)
def test_vjp(op, backend):
    """The derivative rules do on every payload what they do on the host."""
    accepted = (c for c in chosen(op, backend) if not isinstance(c.expected(), Exception))
    for case in itertools.islice((c for c in accepted if set(c.types) <= set("dD")), 1 if backend.name == "xla" else 4):
        answers = case.expected()
        gs = [direction(a, numpy.random.default_rng(k)) for k, a in enumerate(answers)]
        want = cotangents(case, gs, answers, lambda x: x)
        got = cotangents(case, gs, answers, lambda x: backend.asarray(x) if isinstance(x, numpy.ndarray) else x)
        for have, need in zip(got, want, strict=True):
            assert (have is None) == (need is None)
            if need is not None:
                have = backend.to_host(have) if isinstance(have, backend.payload_type) else have
                numpy.testing.assert_allclose(have, need, rtol=1e-9, atol=1e-9, err_msg=str(case))
                assert numpy.asarray(have).dtype == numpy.asarray(need).dtype


def cotangents(case, gs, answers, put):
    """The cotangent of each operand for cotangents `gs` of the results, with `put` applied to every payload."""
    op, args = case.op, tuple(map(put, case.operands))
    gs, answers = (put(v[0]) if op.nout == 1 else tuple(map(put, v)) for v in (gs, answers))
    return [op.vjp(i, gs, answers, args, case.params) for i in range(len(args))]


# ------------------------------------------------------------------------------------------------- to and from the host


def test_a_payload_is_a_copy(backend):
    x = numpy.arange(100_000.0)
    payload = backend.asarray(x)
    x[:] = -1
    numpy.testing.assert_array_equal(backend.to_host(payload), numpy.arange(100_000.0))
    y = backend.to_host(payload)
    y[0] = 5
    assert backend.to_host(payload)[0] == 0


def test_operands_are_copied(backend):
    """An operation with a host array has finished with it when it returns."""
    x, y = numpy.ones(100_000), backend.asarray(numpy.ones(100_000))
    total = ops.add(x, y)
    x[:] = 7
    assert (backend.to_host(total) == 2).all()


@pytest.mark.parametrize("dtype", ["U3", "O", "M8[s]", "g"])
def test_dtypes_that_a_backend_lacks(backend, dtype):
    with pytest.raises(TypeError, match="no arrays of dtype"):
        backend.asarray(numpy.zeros(2, dtype))


def test_byte_order(backend):
    x = numpy.array([1.0, 2.0], ">f8")
    assert_same(backend.to_host(backend.asarray(x)), x.astype(float), "big-endian")


# ------------------------------------------------------------------------------------------ NumPy's rules for scalars


def test_python_int_too_large(backend):
    x = backend.asarray(numpy.arange(3, dtype=numpy.uint8))
    with pytest.raises(OverflowError, match="300 out of bounds for uint8"):
        ops.add(x, 300)
    for op in (ops.less, ops.equal, ops.greater_equal):
        for value in (300, -1, 2**70):
            want = op.spec(numpy.arange(3, dtype=numpy.uint8), value)
            numpy.testing.assert_array_equal(backend.to_host(op(x, value)), want)
            numpy.testing.assert_array_equal(backend.to_host(op(value, x)), op.spec(value, numpy.uint8([0, 1, 2])))


def test_negative_power_of_integers(backend):
    x = backend.asarray(numpy.arange(1, 4))
    for exponent in (-1, numpy.array([1, -1, 2])):
        with pytest.raises(ValueError, match="negative integer powers"):
            ops.power(x, exponent)


@pytest.mark.parametrize("device", [False, True], ids=["host indices", "device indices"])
@pytest.mark.parametrize("bad", [3, -4])
def test_index_out_of_bounds(backend, device, bad):
    x = backend.asarray(numpy.arange(6.0).reshape(3, 2))
    places = numpy.array([0, bad])
    places = backend.asarray(places) if device else places
    index = (Hole(0), Slice())
    for op, written in ((ops.getitem, ()), (ops.setitem, (1.0,)), (ops.add_at, (1.0,))):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds for axis 0 with size 3"):
            op(x, *written, places, index=index)


# ------------------------------------------------------------------------------------------ through the host, counted


@pytest.fixture
def round_trips():
    debug.round_trips.clear()
    yield debug.round_trips
    debug.round_trips.clear()


def lacking(backend):
    """An op that the backend does not implement, and operands."""
    x = numpy.array([[4.0, 1.0], [1.0, 3.0]])
    assert "cholesky_lo" not in backend.impls
    return ops.cholesky_lo, x, numpy.linalg.cholesky(x)


def test_round_trip_is_counted(backend, round_trips):
    op, x, want = lacking(backend)
    for _ in range(2):
        out = op(backend.asarray(x))
    assert isinstance(out, backend.payload_type)
    numpy.testing.assert_allclose(backend.to_host(out), want)
    ((name, where, line),) = round_trips
    assert (name, where) == ("cholesky_lo", backend.name) and "test_backends.py" in line
    assert round_trips.total() == 2


def test_round_trip_is_an_error_in_strict_mode(backend, monkeypatch):
    monkeypatch.setenv("NPX_STRICT", "1")
    op, x, _ = lacking(backend)
    with pytest.raises(debug.StrictError, match=f"cholesky_lo is not implemented by the {backend.name} backend"):
        op(backend.asarray(x))


def test_implemented_ops_make_no_round_trip(backend, round_trips):
    """The ops of the first hundred primitives run where their operands are."""
    for name in ("add", "sum", "matmul", "einsum", "getitem", "setitem", "add_at", "sort", "where", "cumsum", "repeat"):
        assert name in backend.impls
        case = next(c for c in chosen(registry.op(name), backend) if c.types[0] == "d")
        on(backend, case.op, case.operands, case.params)
    assert not round_trips
