"""Every op as a function of npx arrays under each transform, with operands from its declaration."""

import functools

import numpy
import pytest
from optable import ALL_OPS, assert_same, builtin_class, cases, direction, double, plain, results

import npx as np
from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import is_inexact
from npx.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

PURE = [op for op in ALL_OPS if not op.effect]
WITH_VJP = [op for op in PURE if op.vjp is not None]
EVERY_OP = pytest.mark.parametrize("op", PURE, ids=lambda op: op.name)
DIFFERENTIABLE = pytest.mark.parametrize("op", WITH_VJP, ids=lambda op: op.name)
#: type codes that a compiler treats alike: one of each class is tried
CLASSES = ("?", "bhil", "BHIL", "e", "f", "d", "F", "D")


# ------------------------------------------------------------------------------------------------------- functions
def on_arrays(case):
    """The op as a function that takes and returns arrays."""

    def call(*arrays):
        out = case.op(*map(payload, arrays), **case.params)
        return tuple(map(wrap_scalar, out)) if type(out) is tuple else wrap_scalar(out)

    return call


def has_derivative(x):
    return is_inexact(aval_of(x).dtype)


def of_inexact(case):
    """The op as a function of those operands that have a derivative, and these operands."""
    places = [k for k, x in enumerate(case.operands) if has_derivative(x)]

    def call(*arrays):
        operands = list(case.operands)
        for k, x in zip(places, arrays, strict=True):
            operands[k] = x
        return on_arrays(case)(*operands)

    return call, [case.operands[k] for k in places]


def pulled(case, cotangents):
    """A function of the inexact operands and then of the cotangents: what the pullback gives."""
    call, operands = of_inexact(case)

    def cotangents_of(*arrays):
        value, pullback = np.vjp(call, *arrays[: len(operands)])
        return pullback(arrays[len(operands)] if case.op.nout == 1 else arrays[len(operands) :])

    return cotangents_of, [*operands, *cotangents]


def smooth_cases(op, seed=0):
    """Examples in double precision with a finite result that has a derivative."""
    for case in cases(op, only=double, seed=seed):
        ans = case.expected()
        if isinstance(ans, Exception) or not any(map(has_derivative, case.operands)):
            continue
        smooth = [a for a in ans if has_derivative(a)]
        if smooth and all(aval_of(a).dtype.char in "dD" and numpy.all(numpy.isfinite(a)) for a in smooth):
            yield case, ans


def cotangents_of(ans, rng):
    """A random cotangent of each result; NumPy has no zeros without a derivative, so integers get themselves."""
    return [a if (g := direction(a, rng)) is None else g for a in ans]


def same(got, want, context):
    got, want = (x if type(x) is tuple else (x,) for x in (got, want))
    for have, need in zip(got, want, strict=True):
        assert_same(payload(have), payload(need), context)


# ----------------------------------------------------------------------------------------------------- derivatives
@DIFFERENTIABLE
def test_gradients_to_second_order(op):
    for case, _ in smooth_cases(op):
        call, operands = of_inexact(case)
        try:
            check_grads(call, operands, order=2)
        except Exception as error:
            error.add_note(str(case))
            raise


@DIFFERENTIABLE
def test_python_numbers(op):
    """A Python float in the place of every scalar operand gives the derivatives that float64 gives."""
    if op.kind != "elementwise" or "d" not in {t for e in op.examples for t in e.types}:
        pytest.skip("takes arrays only")


# ------------------------------------------------------------------------------------------------------------ vmap
def draws_of(op, size=3):
    """Examples in several draws that give results of one shape; with it the places of the arrays."""
    for draws in zip(*(cases(op, only=plain, seed=k) for k in range(size))):
        answers = [case.expected() for case in draws]
        places = [k for k, x in enumerate(draws[0].operands) if isinstance(x, numpy.ndarray)]
        if places and not any(isinstance(a, Exception) for a in answers):
            if len({tuple(map(numpy.shape, a)) for a in answers}) == 1:
                yield draws, places


def stacked(rows, places):
    """The rows of operands as operands of a mapped function, which are mapped over at `places`, and its `in_axes`."""
    args = [numpy.stack(column) if k in places else column[0] for k, column in enumerate(zip(*rows))]
    return args, tuple(0 if k in places else None for k in range(len(args)))


def selections(places):
    """One operand mapped over, each in turn, and all of them."""
    return sorted({*((k,) for k in places), tuple(places)})


def check_vmap(function, rows, places, context):
    """`function` mapped over the operands at `places` against the loop over its calls."""
    rows = [[x if k in places else rows[0][k] for k, x in enumerate(row)] for row in rows]
    want = [function(*row) for row in rows]
    want = tuple(map(numpy.stack, zip(*want))) if type(want[0]) is tuple else numpy.stack(want)
    args, in_axes = stacked(rows, places)
    same(np.vmap(function, in_axes=in_axes)(*args), want, f"{context} mapped over {places}")


@EVERY_OP
def test_vmap(op):
    for draws, places in draws_of(op):
        for some in selections(places):
            check_vmap(on_arrays(draws[0]), [case.operands for case in draws], some, draws[0])


@DIFFERENTIABLE
def test_vmap_of_vjp(op):
    """The derivative rules themselves batch: with each operand or cotangent mapped alone, and all of them."""
    rng = numpy.random.default_rng(0)
    for draws in zip(*(smooth_cases(op, seed=k) for k in range(2))):
        functions = [pulled(case, cotangents_of(ans, rng)) for case, ans in draws]
        rows = [operands for _, operands in functions]
        places = [k for k, x in enumerate(rows[0]) if isinstance(x, (numpy.ndarray, numpy.generic))]
        for some in selections(places):
            check_vmap(functions[0][0], rows, some, f"vjp of {draws[0][0]}")


# ------------------------------------------------------------------------------------------------------------- jit
def check_jit(function, *calls, context):
    """`function` compiled against itself, called with each of these operands, twice: once recorded, then not."""
    compiled = np.jit(function)
    for operands in (*calls, *calls):
        same(compiled(*operands), function(*operands), f"{context} under jit")
    assert all(s.reason is None for s in compiled._signatures.values()), compiled.explain()
    return compiled


def usable(*draws):
    return not any(isinstance(case.expected(), Exception) for case in draws)


@EVERY_OP
def test_jit(op):
    for first, second in zip(cases(op), cases(op, seed=1)):
        if usable(first, second):
            check_jit(on_arrays(first), first.operands, second.operands, context=first)
