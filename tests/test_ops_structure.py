"""Ops that move elements: indices against NumPy, transposes against explicit matrices, batch rules against loops.

What follows from the declarations alone is tested for every op in `test_ops_values` and `test_ops_derivatives`.
"""

import itertools
import math
import random

import hypothesis.extra.numpy as arrays_of
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optable import Opaque, assert_same, cases, lower, plain

from npx.dispatch import interpreter, registry
from npx.dispatch.abstract import Aval, DataDependentShape, Hole, Slice, aval_of
from npx.dispatch.payloads import ops
from npx.ops.index_specs import canonical_index, is_basic, layout, rebuild
from npx.ops.indexing import add_at_inplace, read, setitem_inplace
from npx.ops.shaping import READ, SCATTER, scatter

SHAPES = [(2, 3, 4), (2, 3), (2,), (), (3, 2, 0), (1, 1)]
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


def numbers(*shape, dtype=float):
    """Distinct numbers, so that a wrong place shows."""
    return (numpy.arange(math.prod(shape)) + 1.0).astype(dtype).reshape(shape)


@pytest.fixture(params=["payloads", "tracers"])
def lift(request):
    """What makes an operand of an array: itself, or a tracer that does not tell its value."""
    if request.param == "payloads":
        yield lambda x: x
        return
    with interpreter.active(Opaque()) as opaque:
        yield opaque.lift


# ------------------------------------------------------------------------------------------------------- index specs

ITEMS = [
    *(0, -1, 5, -9, numpy.uint8(1), numpy.array(1)),
    *(slice(None), slice(1, None), slice(None, None, -1), slice(2, 0, -1), slice(-5, 99, 2)),
    *(None, Ellipsis, True, False, numpy.True_),
    *([0, 1], [[1], [0]], [7], [], (), numpy.array([-1, 0, 1, 1], numpy.int8)),
    *(numpy.array([True, False]), numpy.array([[True, False, True], [False, True, True]])),
    *(1.5, "a", [1.5], slice(1.5), {}),
]


def outcome(function, *args):
    try:
        return function(*args)
    except (IndexError, TypeError, ValueError) as error:
        return type(error), str(error)


def read_by_spec(x, index):
    spec, arrays = canonical_index(x.shape, index)
    where = layout(x.shape, spec, tuple(a.shape for a in arrays))
    got = x[rebuild(spec, arrays)]
    hash(spec)
    assert where.shape == got.shape
    assert sum(type(entry) in (int, Slice, Hole) for entry in spec) == x.ndim
    return got


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_index_means_what_numpy_means(shape):
    """Values and shapes, or the class and words of the error."""
    x, draw, errors = numbers(*shape), random.Random(0), 0
    for _ in range(2000):
        index = tuple(draw.choice(ITEMS) for _ in range(draw.randint(0, len(shape) + 2)))
        want, got = outcome(x.__getitem__, index), outcome(read_by_spec, x, index)
        if isinstance(want, tuple):
            errors += 1
            assert want == got, index
            continue
        numpy.testing.assert_array_equal(got, want, err_msg=str(index), strict=True)
        if numpy.size(want) and numpy.ndim(want):
            assert is_basic(canonical_index(shape, index)[0]) == numpy.shares_memory(x, want), index
    assert 0 < errors < 2000


@pytest.mark.parametrize("item", ITEMS[:-5], ids=str)
def test_an_index_without_tuple(item):
    x = numbers(2, 3)
    want, got = outcome(x.__getitem__, item), outcome(read_by_spec, x, item)
    assert want == got if isinstance(want, tuple) else numpy.array_equal(want, got)


def test_equal_slices_have_equal_specs():
    """So that caches and common subexpressions find them."""
    specs = {canonical_index((5,), s)[0] for s in (slice(None), slice(0, 5), slice(-5, None), slice(None, 99, 1))}
    assert specs == {(Slice(),)}
    assert canonical_index((5,), -1) == canonical_index((5,), 4) == ((4,), ())


def test_an_empty_ellipsis_separates_advanced_indices():
    x, places = numbers(2, 3, 4), numpy.array([0, 1, 0, 1, 1])
    assert read_by_spec(x, (slice(None), places, ..., places)).shape == (5, 2)
    assert read_by_spec(x, (slice(None), places, places)).shape == (2, 5)


@given(st.data())
@QUICK
def test_indices_that_hypothesis_finds(data):
    shape = data.draw(arrays_of.array_shapes(max_dims=4, max_side=4))
    kinds = (
        arrays_of.basic_indices(shape, allow_newaxis=True),
        arrays_of.integer_array_indices(shape),
        arrays_of.arrays(bool, shape),
        arrays_of.arrays(bool, shape[:1]),
    )
    index = data.draw(st.one_of(*kinds))
    numpy.testing.assert_array_equal(read_by_spec(numbers(*shape), index), numbers(*shape)[index], strict=True)


def test_tracers_as_indices():
    x, places, mask = numbers(3, 4), numpy.array([2, 0]), numbers(3, 4) % 3 == 0
    with interpreter.active(Opaque()) as opaque:
        tracer = opaque.lift(places)
        numpy.testing.assert_array_equal(lower(read(x, tracer)), x[places])
        numpy.testing.assert_array_equal(lower(read(x, (slice(1, 3), opaque.lift(numpy.array(-1))))), x[1:3, -1])
        numpy.testing.assert_array_equal(lower(opaque.lift(x)[:, tracer]), x[:, places])
        with pytest.raises(IndexError, match="too many indices"):
            read(opaque.lift(x), (tracer, tracer, tracer))
        with pytest.raises(IndexError, match="arrays used as indices must be of integer"):
            read(x, opaque.lift(numpy.array([1.5])))
        with pytest.raises(TypeError, match="needs the value"):
            read(x, opaque.lift(mask))


# --------------------------------------------------------------------------------------- reading and writing by index

#: index patterns by the shape that they fit; repeated places, separated and adjacent arrays, new axes, single values
PATTERNS = [
    ((4, 3, 5), (1,)),
    ((4, 3, 5), (slice(1, None), None, slice(None, None, -2))),
    ((4, 3, 5), (0, 1, -1)),
    ((4, 3, 5), ([2, 0, 2],)),
    ((4, 3, 5), (slice(None), [2, 0, 2])),
    ((4, 3, 5), (slice(None), [2, 0, 2], [0, 4, 0])),
    ((4, 3, 5), ([[3], [0]], slice(None), [1, 2, 1])),
    ((4, 3, 5), (slice(None), [0, 2], 3)),
    ((4, 3, 5), (1, slice(None), [0, 2])),
    ((4, 3, 5), (None, [1, 1], slice(0, 2), None)),
    ((4, 3, 5), (slice(None), slice(None), numpy.array(2))),
    ((4, 3, 5), (numpy.array(1), slice(None), numpy.array(2))),
    ((4, 3, 5), (numbers(4, 3, 5) % 4 == 0,)),
    ((4, 3, 5), (slice(None), numbers(3, 5) % 2 == 0)),
    ((4, 3, 5), (slice(None), True, [2, 0])),
    ((4, 3, 5), (slice(None), [2, 0], ..., [1, 1])),
    ((4, 3, 5), ([], slice(None))),
    ((4,), ([0, 3, 0, 3],)),
    ((), ()),
    ((), (True,)),
    ((), (None, ...)),
    ((0, 3), (slice(None), [0, 0])),
]


def shapes_to_write(x, index):
    """Shapes of the values that NumPy lets be assigned to ``x[index]``."""
    region = x[index].shape
    for shape in dict.fromkeys([region, region[-1:], (), tuple(1 for _ in region), (1, *region)]):
        try:
            x.copy()[index] = numbers(*shape)
        except (TypeError, ValueError):  # into one element, or through a mask, it takes fewer than by other indices
            assert len(shape) > len(region) or numpy.ndim(index[0]) == x.ndim
        else:
            yield shape


@pytest.mark.parametrize(("shape", "index"), PATTERNS, ids=str)
def test_writes_are_numpys(shape, index, lift):
    x = numbers(*shape)
    spec, places = canonical_index(shape, index)
    for value_shape in shapes_to_write(x, index):
        value = numbers(*value_shape) * 0.5
        want = x.copy()
        want[index] = value
        got = lower(ops.setitem(lift(x), lift(value), *map(lift, places), index=spec))
        numpy.testing.assert_array_equal(got, want, strict=True)
        numpy.testing.assert_array_equal(setitem_inplace(x.copy(), value, *places, index=spec), want)
        if len(value_shape) > x[index].ndim:
            continue
        want = x.copy()
        numpy.add.at(want, index, value)
        got = lower(ops.add_at(lift(x), lift(value), *map(lift, places), index=spec))
        numpy.testing.assert_allclose(got, want, strict=True)
        fortran = numpy.array(x, order="F")
        assert add_at_inplace(fortran, value, *places, index=spec) is fortran
        numpy.testing.assert_allclose(fortran, want)
    numpy.testing.assert_array_equal(x, numbers(*shape))


def matrix(op, args, i, params):
    """The derivative of a linear op in operand i as a matrix, from its values on unit vectors."""
    zero = [a if numpy.asarray(a).dtype.kind == "i" else numpy.zeros_like(a) for a in args]
    columns = []
    for place in range(numpy.size(args[i])):
        unit = numpy.zeros_like(args[i])
        unit.flat[place] = 1
        columns.append(numpy.ravel(op(*zero[:i], unit, *zero[i + 1 :], **params)))
    return numpy.array(columns).reshape(len(columns), numpy.size(op(*args, **params)))


def check_transposes(op, args, params, lift, operands):
    """The cotangents of the first `operands` operands are the matrix' transpose times the result's cotangent."""
    ans = op(*args, **params)
    g = numpy.random.default_rng(0).normal(size=numpy.shape(ans))
    for i in range(operands):
        kept = [lift(a) if op.keeps[min(k, len(op.keeps) - 1)] else aval_of(a) for k, a in enumerate(args)]
        got = lower(op.vjp(i, lift(g), None, tuple(kept), params))
        want = (matrix(op, args, i, params) @ g.ravel()).reshape(numpy.shape(args[i]))
        numpy.testing.assert_allclose(got, want, atol=1e-12, strict=True, err_msg=f"{op} operand {i}")


@pytest.mark.parametrize(("shape", "index"), PATTERNS, ids=str)
def test_transposes_of_reads_and_writes(shape, index, lift):
    x = numbers(*shape)
    spec, places = canonical_index(shape, index)
    check_transposes(ops.getitem, (x, *places), {"index": spec}, lift, 1)
    for value_shape in shapes_to_write(x, index):
        value = numbers(*value_shape)
        check_transposes(ops.setitem, (x, value, *places), {"index": spec}, lift, 2)
        if len(value_shape) <= x[index].ndim:
            check_transposes(ops.add_at, (x, value, *places), {"index": spec}, lift, 2)
    if places:
        assert ops.getitem.vjp(1, x[index], None, (x, *places), {"index": spec}) is None


def test_cotangents_take_the_operands_dtype():
    x, g, spec = aval_of(numpy.zeros(3)), numpy.array([1.0, 2.0, 3.0]), (Slice(1, 3, 1),)
    complex_value = ops.setitem.vjp(1, g, None, (x, Aval((2,), numpy.complex64)), {"index": spec})
    numpy.testing.assert_array_equal(complex_value, numpy.array([2, 3], numpy.complex64), strict=True)
    real_value = ops.setitem.vjp(1, g * 1j + 1, None, (aval_of(g * 1j), Aval((), numpy.float32)), {"index": spec})
    numpy.testing.assert_array_equal(real_value, numpy.float32(2), strict=True)
    assert ops.setitem.vjp(1, g, None, (x, aval_of(numpy.array(1))), {"index": spec}) is None


def test_tangents_of_writes():
    x, value, spec, places = numbers(4), numbers(3), (Hole(0),), numpy.array([1, 3, 1])
    args, params = (x, value, places), {"index": spec}
    ans = ops.setitem(*args, **params)
    tangent = ops.setitem.jvp((None, value, None), ans, args, params)
    numpy.testing.assert_array_equal(tangent, [0, 3, 0, 2])
    tangent = ops.setitem.jvp((x, None, None), ans, args, params)
    numpy.testing.assert_array_equal(tangent, [1, 0, 3, 0])


def check_batches(op, args, params, lift, size=3):
    """The batch rule against a loop, for every choice of batched operands."""
    for batched in itertools.product((False, True), repeat=len(args)):
        if not any(batched):
            continue
        full = [
            numpy.array([numpy.roll(a, k) * (k + 1 if a.dtype.kind == "f" else 1) for k in range(size)]) if b else a
            for a, b in zip(map(numpy.asarray, args), batched)
        ]
        want = [op(*(a[k] if b else a for a, b in zip(full, batched)), **params) for k in range(size)]
        got = lower(op.batch(op, size, tuple(map(lift, full)), batched, params))
        numpy.testing.assert_allclose(got, numpy.array(want), strict=True, err_msg=f"{op} {batched}")


@pytest.mark.parametrize(("shape", "index"), PATTERNS, ids=str)
def test_batches_of_reads_and_writes(shape, index, lift):
    x = numbers(*shape)
    spec, places = canonical_index(shape, index)
    check_batches(ops.getitem, (x, *places), {"index": spec}, lift)
    for value_shape in shapes_to_write(x, index):
        value = numbers(*value_shape)
        check_batches(ops.setitem, (x, value, *places), {"index": spec}, lift)
        if len(value_shape) <= x[index].ndim:
            check_batches(ops.add_at, (x, value, *places), {"index": spec}, lift)


@given(st.data())
@QUICK
def test_batches_and_transposes_of_random_indices(data):
    shape = data.draw(arrays_of.array_shapes(max_dims=3, max_side=3))
    entries = st.one_of(
        st.just(slice(None)), st.just([0, 0]), st.just([[0], [-1]]), st.just(0), st.just(slice(None, None, -1))
    )
    items = [data.draw(entries) for _ in range(data.draw(st.integers(0, len(shape))))]
    if data.draw(st.booleans()):
        items.insert(data.draw(st.integers(0, len(items))), None)
    spec, places = canonical_index(shape, tuple(items))
    x = numbers(*shape)
    params = {"index": spec}
    value = numbers(*x[tuple(items)].shape)
    check_batches(ops.getitem, (x, *places), params, lambda a: a, size=2)
    check_batches(ops.setitem, (x, value, *places), params, lambda a: a, size=2)
    check_transposes(ops.setitem, (x, value, *places), params, lambda a: a, 2)


WRONG_WRITES = [
    ((4, 3), (slice(None),), (4,)),
    ((4, 3), (slice(0, 2),), (3, 3)),
    ((4, 3), ([0, 1],), (3, 3)),
    ((4, 3), (0, 0), (2,)),
    ((4, 3), (0,), (2, 3)),
]


@pytest.mark.parametrize(("shape", "index", "value_shape"), WRONG_WRITES)
@pytest.mark.parametrize("name", ["setitem", "add_at"])
def test_a_value_that_does_not_fit(shape, index, value_shape, name):
    """ValueError, from the op as from its rule; for a write the words are NumPy's."""
    x, value = numbers(*shape), numbers(*value_shape)
    spec, places = canonical_index(shape, index)
    with pytest.raises(ValueError) as from_op:
        registry.op(name)(x, value, *places, index=spec)
    with pytest.raises(ValueError) as from_rule:
        registry.op(name).abstract(tuple(map(aval_of, (x, value, *places))), {"index": spec})
    if name == "setitem" and "sequence" not in str(from_op.value):
        assert str(from_op.value).strip() == str(from_rule.value).strip()


def test_a_value_of_a_wrong_type():
    x, spec = numbers(3), (Slice(),)
    for name, value in (("setitem", 1j), ("add_at", 1j), ("add_at", numpy.ones(3, complex))):
        op = registry.op(name)
        pytest.raises(TypeError, op, x, value, index=spec)
        pytest.raises(TypeError, op.abstract, (aval_of(x), aval_of(value)), {"index": spec})


# -------------------------------------------------------------------------------------------------- shaping and sorting


@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_of_searchsorted(side, lift):
    """Rows that differ, with ties, and values of another dtype."""
    rows, values = numpy.array([[-1, 0, 0, 1], [-2, -2, 0, 9], [1, 1, 1, 1]]), numpy.array([[-2, 0.0], [1, 9], [0, 5]])
    for batched in ((True, False), (False, True), (True, True)):
        full = rows if batched[0] else rows[0], values if batched[1] else values[0]
        want = [numpy.searchsorted(*(a[k] if b else a for a, b in zip(full, batched)), side) for k in range(3)]
        got = ops.searchsorted.batch(ops.searchsorted, 3, tuple(map(lift, full)), batched, {"side": side})
        numpy.testing.assert_array_equal(lower(got), want, strict=True)


def test_batches_of_bits(lift):
    bits = numpy.arange(12, dtype=numpy.uint8).reshape(3, 4)
    params = {"dtype": numpy.dtype("i4")}
    got = lower(ops.view_dtype.batch(ops.view_dtype, 3, (lift(bits),), (True,), params))
    numpy.testing.assert_array_equal(got, bits.view("i4"), strict=True)
    with pytest.raises(ValueError, match="0d array"):
        ops.view_dtype.batch(ops.view_dtype, 4, (lift(bits[0]),), (True,), params)


@pytest.mark.parametrize("name", ["sort", "partition"])
@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_of_sorts(name, axis, lift):
    """Both modes, against differences; `partition` leaves elements in an order of its own."""
    op, rng = registry.op(name), numpy.random.default_rng(0)
    params = {"axis": axis, **({"stable": False} if name == "sort" else {"kth": (2, 11)})}
    x, t = rng.normal(size=(2, 40, 30))
    ans, step = op(x, **params), 1e-7
    g = rng.normal(size=x.shape)
    want = (op(x + step * t, **params) - op(x - step * t, **params)) / (2 * step)
    order = numpy.argsort(ans, axis)
    tangent = lower(op.jvp((lift(t),), lift(ans), (lift(x),), params))
    difference = numpy.take_along_axis(want, numpy.argsort(op(x + step * t, **params), axis), axis)
    numpy.testing.assert_allclose(numpy.take_along_axis(tangent, order, axis), difference, atol=1e-6)
    cotangent = lower(op.vjp(0, lift(g), lift(ans), (lift(x),), params))
    numpy.testing.assert_allclose((cotangent * t).sum(), (g * tangent).sum())


@pytest.mark.parametrize("name", ["partition", "argpartition", "lexsort"])
def test_expansions(name):
    """What a backend without the op runs in its place: partitions may come out in full order."""
    for case in cases(registry.op(name), plain):
        got, (want,), params = case.op.expand(*case.operands, **case.params), case.expected(), case.params
        if name == "argpartition":
            got, want = (numpy.take_along_axis(*case.operands, places, params["axis"]) for places in (got, want))
        if name != "lexsort":
            got, want = (numpy.take(found, params["kth"], params["axis"]) for found in (got, want))
        numpy.testing.assert_array_equal(got, want, strict=True)


def test_shapes_that_depend_on_values():
    """Their rules say so, for jit to ask for the values."""
    pytest.raises(DataDependentShape, ops.nonzero.abstract, (aval_of(numbers(3)),), {})
    pytest.raises(DataDependentShape, ops.bincount.abstract, (aval_of(numpy.arange(3)),), {"minlength": 0})
    assert issubclass(DataDependentShape, TypeError)
    with pytest.raises(ValueError, match="0d arrays"):
        ops.nonzero.abstract((aval_of(1.0),), {})
    numpy.testing.assert_array_equal(ops.nonzero(numpy.eye(2)), [[0, 1], [0, 1]])


def test_the_transpose_of_bincount():
    x, weights, g = numpy.array([0, 2, 2]), numbers(3), numpy.array([1.0, 2.0, 4.0])
    numpy.testing.assert_array_equal(ops.bincount.vjp(1, g, None, (x, weights), {"minlength": 0}), [1, 4, 4])
    assert ops.bincount.vjp(0, g, None, (x, weights), {"minlength": 0}) is None
    tangent = ops.bincount.jvp((None, weights), numpy.zeros(3), (x, weights), {"minlength": 0})
    numpy.testing.assert_array_equal(tangent, [1, 0, 5])


WRONG = [
    ("reshape", (numbers(6),), {"shape": (4,)}),
    ("transpose", (numbers(2, 3),), {"axes": (0, 0)}),
    ("transpose", (numbers(2, 3),), {"axes": (0, 1, 2)}),
    ("broadcast_to", (numbers(3),), {"shape": (2,)}),
    ("concatenate", (numbers(2, 3), numbers(2, 2)), {"axis": 0}),
    ("concatenate", (numbers(2, 3), numbers(2)), {"axis": 0}),
    ("concatenate", (numbers(), numbers()), {"axis": 0}),
    ("concatenate", (), {"axis": 0}),
    ("repeat", (numbers(3),), {"repeats": (1, 2), "axis": 0}),
    ("repeat", (numbers(3),), {"repeats": (-1,), "axis": 0}),
    ("repeat", (numbers(3),), {"repeats": (1,), "axis": 1}),
    ("diagonal", (numbers(3),), {"offset": 0, "axis1": 0, "axis2": 1}),
    ("diagonal", (numbers(3, 3),), {"offset": 0, "axis1": 1, "axis2": 1}),
    ("view_dtype", (numbers(3),), {"dtype": numpy.dtype("c16")}),
    ("view_dtype", (numbers(),), {"dtype": numpy.dtype("f4")}),
    ("partition", (numbers(3),), {"kth": (3,), "axis": 0}),
    ("searchsorted", (numbers(2, 2), numbers(2)), {"side": "left"}),
    ("searchsorted", (numbers(), numbers(2)), {"side": "left"}),
    ("lexsort", (numbers(2), numbers(3)), {"axis": 0}),
    ("lexsort", (), {"axis": 0}),
    ("packbits", (numbers(8),), {"axis": 0, "bitorder": "big"}),
    ("bincount", (numbers(3),), {"minlength": 0}),
    ("nonzero", (numbers(),), {}),
]


@pytest.mark.parametrize(("name", "args", "params"), WRONG)
def test_wrong_shapes_raise_what_numpy_raises(name, args, params):
    """The rule, which speaks while a graph is recorded, raises the same class and words as the op."""
    op = registry.op(name)
    errors = (ValueError, TypeError, IndexError)
    from_op = pytest.raises(errors, op, *args, **params)
    from_rule = pytest.raises(from_op.type, op.abstract, tuple(map(aval_of, args)), params)
    assert str(from_op.value).strip() == str(from_rule.value).strip()


# --------------------------------------------------------------------------------------------------------------- views

VIEWS = [
    ("getitem", (4, 3), {"index": (Slice(1, 3, 1), None, 2)}, float),
    ("getitem", (4, 3), {"index": (Slice(3, None, -2), Slice())}, float),
    ("reshape", (4, 3), {"shape": (2, 6)}, float),
    ("transpose", (2, 3, 4), {"axes": (2, 0, 1)}, float),
    ("real", (3,), {}, complex),
    ("imag", (3,), {}, complex),
    ("real", (3,), {}, float),
    ("view_dtype", (2, 3), {"dtype": numpy.dtype("f4")}, float),
    ("diagonal", (3, 2, 4), {"offset": 1, "axis1": 2, "axis2": 0}, float),
    ("diagonal", (3, 4), {"offset": -1, "axis1": 0, "axis2": 1}, float),
    ("as_pairs", (2, 3), {}, complex),
]


@pytest.mark.parametrize(("name", "shape", "params", "dtype"), VIEWS)
def test_writing_through_a_view(name, shape, params, dtype, lift):
    """As writing through NumPy's view changes its base."""
    base = numbers(*shape, dtype=dtype)
    if dtype is complex:
        base.imag = [numpy.inf, -0.0, 2.0]
    want = base.copy()
    view = want.view(float) if name == "as_pairs" else registry.op(name)(want, **params)
    if name in READ:
        numpy.testing.assert_array_equal(lower(READ[name](lift(want))), view)
    assert numpy.shares_memory(view, want)
    view.flags.writeable = True
    new = numbers(*view.shape, dtype=view.dtype) * 7
    view[...] = new
    got = lower(scatter(name, lift(base), lift(new), **params))
    assert (got.shape, got.dtype, got.tobytes()) == (want.shape, want.dtype, want.tobytes())


def test_every_view_is_in_the_table():
    with pytest.raises(ValueError, match="read-only"):
        scatter("broadcast_to", numbers(3), numbers(2, 3), shape=(2, 3))
    assert {name for name, *_ in VIEWS} | {"broadcast_to"} | set(READ) == set(SCATTER)


@pytest.mark.parametrize(("name", "dtype", "other"), [("as_pairs", complex, float), ("from_pairs", float, complex)])
def test_views_that_several_ops_read(name, dtype, other, lift):
    base = numbers(2, 4).astype(dtype)
    want = base.copy()
    view = want.view(other)
    assert_same(lower(READ[name](lift(base))), view, name)
    view[...] *= 7
    assert_same(lower(scatter(name, lift(base), lift(view))), want, name)
