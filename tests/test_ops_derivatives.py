"""The derivative of every op that has one, against finite differences, and its two modes against each other."""

import numpy
import pytest
from optable import ALL_OPS, Opaque, assert_same, cases, direction, double, lower, results

from npx.dispatch import interpreter, registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import is_inexact

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

WITH_VJP = [op for op in ALL_OPS if op.vjp is not None and not op.effect]
DIFFERENTIABLE = pytest.mark.parametrize("op", WITH_VJP, ids=lambda op: op.name)
FORWARD = pytest.mark.parametrize("op", [op for op in WITH_VJP if op.jvp is not None], ids=lambda op: op.name)
STEP = 1e-4


def inexact(types):
    return set(types) & set("efdFD")


def points(op, types):
    """Cases of such types, with the answer, and a random direction for each operand and result that has one."""
    rng = numpy.random.default_rng(1)
    for case in cases(op, types):
        ans = case.expected()
        if isinstance(ans, Exception) or not any(is_inexact(aval_of(a).dtype) for a in ans):
            continue
        if types is double and not all(aval_of(a).dtype.char in "?ildD" and numpy.isfinite(a).all() for a in ans):
            continue
        tangents = [direction(x, rng) for x in case.operands]
        if any(t is not None for t in tangents):
            yield case, ans, tangents, [direction(a, rng) for a in ans]


def bare(op, values):
    """A single result by itself, several as a tuple: the form of `ans` and `g`."""
    return values[0] if op.nout == 1 else tuple(values)


def pullback(case, ans, cotangents):
    """The cotangent of each operand. As on a tape, rules get only what the op says they read."""
    op = case.op
    keeps = [op.keeps[min(k, len(op.keeps) - 1)] for k in range(len(case.operands))]
    args = [x if keep else aval_of(x) for x, keep in zip(case.operands, keeps)]
    kept = bare(op, ans) if op.keeps_ans else None
    return [op.vjp(k, bare(op, cotangents), kept, args, case.params) for k in range(len(args))]


def pushforward(case, ans, tangents):
    """The tangent of each result."""
    out = case.op.jvp(tuple(tangents), bare(case.op, ans), case.operands, case.params)
    return [None] * case.op.nout if out is None else results(case.op, out)


def differences(case, tangents):
    """The derivative of each result along `tangents` by differences of fourth order."""
    op = case.op

    def at(h):
        moved = [x if t is None else x + h * t for x, t in zip(case.operands, tangents)]
        return results(op, op.spec(*moved, **case.params))

    rows = zip(at(-2 * STEP), at(-STEP), at(STEP), at(2 * STEP))
    return [(a - 8 * b + 8 * c - d) / (12 * STEP) if is_inexact(aval_of(a).dtype) else None for a, b, c, d in rows]


def pairing(values, others):
    """``Re(sum(x * y))`` over those that have a derivative."""
    return sum(numpy.sum(x * y).real for x, y in zip(values, others) if x is not None and y is not None)


@DIFFERENTIABLE
def test_vjp(op):
    assert any(points(op, double)) or not any(points(op, inexact)), "no example in double precision"
    for case, ans, tangents, cotangents in points(op, double):
        pulled = pullback(case, ans, cotangents)
        want = pairing(cotangents, differences(case, tangents))
        numpy.testing.assert_allclose(pairing(pulled, tangents), want, rtol=1e-6, atol=1e-8, err_msg=str(case))


@DIFFERENTIABLE
def test_cotangents_fit(op):
    """Each has the shape and dtype of its operand, and integers have none."""
    for case, ans, _, cotangents in points(op, inexact):
        for x, ct in zip(case.operands, pullback(case, ans, cotangents)):
            aval = aval_of(x)
            if ct is not None:
                assert is_inexact(aval.dtype), case
                assert (numpy.shape(ct), aval_of(ct).dtype) == (aval.shape, aval.dtype), case


def test_linear_ops_have_a_jvp():
    assert [op.name for op in WITH_VJP if op.linear and op.jvp is None] == []


@FORWARD
def test_jvp(op):
    """With a tangent for each operand alone, the others zero, and for all together."""
    for case, ans, tangents, cotangents in points(op, double):
        alone = [[t if j == k else None for j, t in enumerate(tangents)] for k in range(len(tangents))]
        for some in (*(a for a in alone if any(t is not None for t in a)), tangents):
            pushed = pushforward(case, ans, some)
            for got, want, result in zip(pushed, differences(case, some), ans):
                if got is not None:
                    assert (numpy.shape(got), aval_of(got).dtype) == (numpy.shape(result), aval_of(result).dtype), case
                if want is not None:
                    got = numpy.zeros_like(want) if got is None else got
                    numpy.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8, err_msg=str(case))
        pulled = pullback(case, ans, cotangents)
        numpy.testing.assert_allclose(
            pairing(cotangents, pushed), pairing(pulled, tangents), rtol=1e-9, atol=1e-12, err_msg=str(case)
        )


@DIFFERENTIABLE
def test_rules_ask_for_no_value(op):
    """With tracers for operands, answer and directions the rules give the same: so they can be traced themselves."""
    for case, ans, tangents, cotangents in points(op, double):
        with interpreter.active(Opaque()) as opaque:
            traced = case._replace(operands=tuple(map(opaque.lift, case.operands)))
            directions = [[*map(opaque.lift, t)] for t in (ans, tangents, cotangents)]
            assert_all_close(
                map(lower, pullback(traced, directions[0], directions[2])), pullback(case, ans, cotangents)
            )
            if op.jvp is not None:
                pushed = pushforward(traced, *directions[:2])
                assert_all_close(map(lower, pushed), pushforward(case, ans, tangents))


INF, NAN = numpy.inf, numpy.nan


@pytest.mark.parametrize(
    ("name", "operands", "partials"),
    [
        ("absolute", (0.0,), (0,)),
        ("absolute", (0j,), (0,)),
        ("arctan2", (0.0, 0.0), (0, 0)),
        ("clip", (1.0, 1.0, 2.0), (0.5, 0.5, 0)),
        ("clip", (3.0, 1.0, 2.0), (0, 0, 1)),
        ("fmax", (NAN, 1.0), (0, 1)),
        ("heaviside", (0.0, 3.0), (None, 1)),
        ("hypot", (0.0, 0.0), (0, 0)),
        ("logaddexp", (-INF, 0.0), (0, 1)),
        ("logaddexp", (INF, 0.0), (1, 0)),
        ("maximum", (1.0, 1.0), (0.5, 0.5)),
        ("minimum", (1.0, 1.0), (0.5, 0.5)),
        ("power", (0.0, 0.0), (0, 0)),
        ("power", (0.0, 1.0), (1, 0)),
        ("power", (0.0, 2.0), (0, 0)),
        ("power", (-3.0, 2), (-6, None)),
        ("power", (0.0, 0), (0, None)),
        ("sqrt", (0.0,), (INF,)),
        ("where", (True, INF, 1.0), (None, 1, 0)),
    ],
)
def test_where_differences_fail(name, operands, partials):
    """At kinks, ties, poles and infinities the derivative is JAX's, or the one of the formula without its 0/0."""
    for lift in (numpy.asarray, lambda x: x):
        args = tuple(map(lift, operands))
        op = registry.op(name)
        got = [op.vjp(k, numpy.float64(1), op(*args), args, {}) for k in range(len(args))]
        assert [None if g is None else complex(g) for g in got] == list(partials)


@pytest.mark.parametrize("name", ["max", "min", "fmax.reduce", "fmin.reduce"])
def test_equal_extremes_share(name):
    op, x = registry.op(name), numpy.full((1, 4), 2.0)
    params = {"axis": (1,), "keepdims": False} | ({"dtype": x.dtype} if "." in name else {})
    numpy.testing.assert_equal(op.vjp(0, numpy.ones(1), op(x, **params), (x,), params), numpy.full((1, 4), 0.25))


def assert_all_close(got, want):
    for x, y in zip(got, want, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            assert_same(x, y, "with tracers")
