"""Every op on the host, and its shape, dtype and batch rules, against the NumPy function that defines it."""

import operator

import numpy
import pytest
from optable import ALL_OPS, LAYOUTS, Opaque, assert_same, builtin_class, cases, lower, plain, results

from npx.dispatch import interpreter
from npx.dispatch.abstract import DataDependentShape, aval_of
from npx.ops import operators

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

EVERY_OP = pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name)
PURE_OPS = pytest.mark.parametrize("op", [op for op in ALL_OPS if not op.effect], ids=lambda op: op.name)
SPECIAL = numpy.array([0.0, -0.0, 1.0, -1.0, 0.5, numpy.inf, -numpy.inf, numpy.nan, 1e300, 5e-324])


@PURE_OPS
def test_value(op):
    for case in cases(op):
        want = case.expected()
        before = [numpy.array(x) for x in case.operands]
        if isinstance(want, Exception):
            with pytest.raises(builtin_class(want)):
                op(*case.operands, **case.params)
            continue
        got = results(op, op(*case.operands, **case.params))
        assert len(got) == len(want)
        for have, need in zip(got, want):
            assert_same(have, need, case)
        for x, kept in zip(case.operands, before):
            numpy.testing.assert_array_equal(x, kept, err_msg=f"{case} has written into its operand")


@PURE_OPS
def test_layouts(op):
    """Fortran order, gaps between the elements, and backwards."""
    for case in cases(op, only=plain):
        for layout in LAYOUTS:
            operands = [layout(x) if isinstance(x, numpy.ndarray) and x.ndim else x for x in case.operands]
            want = case._replace(operands=tuple(operands)).expected()
            if not isinstance(want, Exception):
                for have, need in zip(results(op, op(*operands, **case.params)), want):
                    assert_same(have, need, f"{case} {layout.__name__}")


@pytest.mark.parametrize(
    "op",
    [op for op in ALL_OPS if op.kind == "elementwise" and isinstance(op.spec, numpy.ufunc)],
    ids=lambda op: op.name,
)
def test_special_values(op):
    for dtype in (numpy.float32, numpy.float64):
        grids = numpy.meshgrid(*[SPECIAL.astype(dtype)] * op.nin)
        try:
            want = results(op, op.spec(*grids))
        except TypeError:
            with pytest.raises(TypeError):
                op(*grids)
            continue
        for have, need in zip(results(op, op(*grids)), want):
            assert_same(have, need, op)


@EVERY_OP
def test_abstract(op):
    """The rule knows what NumPy returns, or raises, without computing it."""
    for case in cases(op):
        want = case.expected()
        avals = tuple(map(aval_of, case.operands))
        if isinstance(want, Exception):
            with pytest.raises(builtin_class(want)):
                print(op.abstract(avals, case.params), "for", case)
            continue
        try:
            got = op.abstract(avals, case.params)
        except DataDependentShape:
            continue
        assert [(a.shape, a.dtype) for a in got] == [(numpy.shape(w), aval_of(w).dtype) for w in want], case


@pytest.mark.parametrize("name", [*operators.BINARY, *operators.COMPARISONS])
def test_binary_operators(name):
    """Python's operators on tracers, in both directions, call the op that NumPy's call."""
    apply = divmod if name == "divmod" else getattr(operator, f"__{name}__")
    x, y = numpy.array([[6, 3], [5, 1]]), numpy.array([[2, 3], [1, 4]])
    with interpreter.active(Opaque()) as opaque:
        for a, b in ((opaque.lift(x), y), (x, opaque.lift(y)), (opaque.lift(x), opaque.lift(y))):
            numpy.testing.assert_equal(tuple(map(lower, apply(a, b))), tuple(apply(x, y)))
        assert getattr(opaque.lift(x), f"__{name}__")(object()) is NotImplemented


@pytest.mark.parametrize("name", operators.UNARY)
def test_unary_operators(name):
    x = numpy.array([2, -3])
    with interpreter.active(Opaque()) as opaque:
        numpy.testing.assert_equal(lower(getattr(operator, name)(opaque.lift(x))), getattr(operator, name)(x))


def test_attributes_of_tracers():
    x = numpy.arange(6.0).reshape(2, 3) * 1j
    with interpreter.active(Opaque()) as opaque:
        t = opaque.lift(x)
        assert hash(t) != hash(opaque.lift(x))
        numpy.testing.assert_equal(lower(t.T), x.T)
        numpy.testing.assert_equal(lower(t.imag), x.imag)
        numpy.testing.assert_equal(lower(t.conj().reshape(3, -1)), x.conj().reshape(3, 2))
        numpy.testing.assert_equal(lower(t.real.astype("f4").sum(-1)), x.real.astype("f4").sum(-1))
        numpy.testing.assert_equal(lower(t.sum(keepdims=True)), x.sum(keepdims=True))


@PURE_OPS
def test_batch(op):
    """The batch rule against a loop, with each operand batched alone and all of them together."""
    for draws in zip(*(cases(op, only=plain, seed=k) for k in range(3))):
        arrays = [k for k, x in enumerate(draws[0].operands) if isinstance(x, numpy.ndarray)]
        answers = [case.expected() for case in draws]
        if any(isinstance(a, Exception) for a in answers) or len({tuple(map(numpy.shape, a)) for a in answers}) > 1:
            continue
        for places in {*((k,) for k in arrays), tuple(arrays)} - {()}:
            check_batch(draws, places)


def check_batch(draws, places):
    """Operands at `places` differ from draw to draw, the others are those of the first."""
    first = draws[0]
    op, params = first.op, first.params
    rows = [[case.operands[k] if k in places else x for k, x in enumerate(first.operands)] for case in draws]
    args = [numpy.stack(column) if k in places else column[0] for k, column in enumerate(zip(*rows))]
    got = results(op, op.batch(op, len(rows), args, [k in places for k in range(len(args))], params))
    want = [results(op, op.spec(*row, **params)) for row in rows]
    for have, need in zip(got, zip(*want)):
        assert_same(have, numpy.stack(need), f"{first} batched in {places}")
