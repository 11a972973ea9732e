"""Every op as a function of npx arrays under each transform, with operands from its declaration."""

import functools

import numpy
import pytest
from optable import ALL_OPS, assert_same, builtin_class, cases, direction, plain, results

import npx as np
from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import is_inexact
from npx.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

PURE = [op for op in ALL_OPS if not op.effect]
EVERY_OP = pytest.mark.parametrize("op", PURE, ids=lambda op: op.name)
DIFFERENTIABLE = pytest.mark.parametrize("op", [op for op in PURE if op.vjp is not None], ids=lambda op: op.name)
#: one type code of each class, in the order of preference
CLASSES = ("?", "lhib", "BHIL", "d", "f", "e", "D", "F")


def at_array_level(case):
    """The op as code of a user meets it: a function of npx arrays, or of NumPy's where it is called directly."""

    def call(*arrays):
        out = case.op(*map(payload, arrays), **case.params)
        return tuple(map(wrap_scalar, out)) if type(out) is tuple else wrap_scalar(out)

    return call


def fixed(case):
    """The op as a function of the operands that have a derivative, and these operands."""
    places = [k for k, x in enumerate(case.operands) if is_inexact(aval_of(x).dtype)]
    call = at_array_level(case)

    def of_some(*arrays):
        operands = list(case.operands)
        for k, x in zip(places, arrays, strict=True):
            operands[k] = x
        return call(*operands)

    return of_some, tuple(case.operands[k] for k in places)


def smooth(case):
    """Whether the example has a result with a derivative, at finite numbers in double precision."""
    ans = case.expected()
    return (
        plain(case.types)
        and not isinstance(ans, Exception)
        and any(is_inexact(aval_of(a).dtype) for a in ans)
        and all(numpy.all(numpy.isfinite(a)) for a in ans if is_inexact(aval_of(a).dtype))
        and any(is_inexact(aval_of(x).dtype) for x in case.operands)
    )


@DIFFERENTIABLE
def test_gradients_to_second_order(op):
    for case in filter(smooth, cases(op)):
        call, operands = fixed(case)
        with np.testing.failing(case):
            check_grads(call, operands, order=2)
