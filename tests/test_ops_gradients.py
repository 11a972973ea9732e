"""Generated from the declarations: the derivatives of every op, to second order, in both modes, in each dtype.

In double precision they are compared with finite differences, in lower precision with those of double precision.
"""

import re

import numpy
import pytest
from optable import ALL_OPS, cases, double

import npx as np
from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import is_inexact
from npx.no_derivative import why_none
from npx.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

DIFFERENTIABLE = pytest.mark.parametrize(
    "op", [op for op in ALL_OPS if op.vjp is not None and not op.effect], ids=lambda op: op.name
)

LOW = set("efF")


def inexact(results):
    """The results that have derivatives."""
    return [x for x in results if is_inexact(aval_of(x).dtype)]


class Function:
    """A call of an op as a function of its floating point operands."""

    def __init__(self, case):
        self.case = case
        self.places = [k for k, x in enumerate(case.operands) if is_inexact(aval_of(x).dtype)]
        self.operands = [numpy.asarray(case.operands[k]) for k in self.places]

    def __call__(self, *floats):
        operands = list(self.case.operands)
        for k, x in zip(self.places, floats, strict=True):
            operands[k] = payload(x)
        out = self.case.op(*operands, **self.case.params)
        found = (out,) if self.case.op.nout == 1 else out
        return [wrap_scalar(x) for x in inexact(found)]

    def is_interesting(self):
        """Whether it can be called, with elements to differentiate, and something comes out."""
        if not self.operands or not any(x.size for x in self.operands):
            return False
        ans = self.case.expected()
        return (
            not isinstance(ans, Exception) and bool(inexact(ans)) and all(numpy.isfinite(a).all() for a in inexact(ans))
        )

    def agrees_with(self, exact):
        """Whether the results are those of another precision."""
        pairs = zip(inexact(self.case.expected()), inexact(exact.case.expected()), strict=True)
        return all(numpy.allclose(a, b, rtol=1e-1, atol=1e-1) for a, b in pairs)

    def tolerance(self):
        """How far derivatives may be off, in parts of the largest, and the largest number that there may be."""
        dtypes = [aval_of(x).dtype for x in (*self.operands, *inexact(self.case.expected()))]
        least = max(map(numpy.finfo, dtypes), key=lambda info: info.eps)
        return 20 * least.eps, least.max / 100

    def in_double(self):
        """The same in double precision."""
        operands = tuple(doubled(x) if k in self.places else x for k, x in enumerate(self.case.operands))
        params = {k: doubled_dtype(p) if isinstance(p, numpy.dtype) else p for k, p in self.case.params.items()}
        return Function(self.case._replace(operands=operands, params=params))


def doubled_dtype(dtype):
    """Double precision of the same kind."""
    return numpy.dtype({"f": float, "c": complex}.get(dtype.kind, dtype))


def doubled(x):
    """An operand in double precision; Python numbers are that."""
    return x.astype(doubled_dtype(x.dtype)) if hasattr(x, "dtype") else x


def functions(op, types):
    """The calls that an op is tried with, one for each form of operands and dtype."""
    seen = set()
    for case in cases(op, types):
        form = (case.types, *(aval_of(x).ndim for x in case.operands), *map(str, case.params.items()))
        function = Function(case)
        if form not in seen and function.is_interesting():
            seen.add(form)
            yield function


@DIFFERENTIABLE
def test_double_precision(op):
    for function in functions(op, double):
        if function.tolerance()[0] < 1e-14:
            check_grads(function, function.operands, order=2, rtol=2e-6)


def derivatives(function):
    """First and second derivatives of a weighted sum of the results, each mode and both mixed ones, as host arrays."""
    arrays = function.operands
    tangents = [directions(x) for x in arrays]

    def pull(*xs):
        values, pullback = np.vjp(function, *xs)
        return pullback([directions(v) for v in values])

    def push(*xs):
        return np.jvp(function, xs, tuple(tangents))[1]

    def pull_back(inner):
        values, pullback = np.vjp(inner, *arrays)
        return pullback(type(values)(directions(v) for v in values))

    found = [*pull(*arrays), *push(*arrays), *np.jvp(pull, tuple(arrays), tuple(tangents))[1]]
    found += [*pull_back(pull), *pull_back(push)]
    return [numpy.asarray(x) for x in found]


def directions(x):
    """A fixed direction for an array of this shape and dtype."""
    return numpy.cos(numpy.arange(x.size)).reshape(x.shape).astype(x.dtype)


@DIFFERENTIABLE
def test_low_precision(op):
    for function in functions(op, lambda types: set(types) <= LOW):
        exact, (tolerance, largest) = function.in_double(), function.tolerance()
        if not function.agrees_with(exact):  # LAPACK may turn vectors differently in each precision
            continue
        wanted = derivatives(exact)
        if max(numpy.abs(x).max(initial=0) for x in wanted) > largest:
            continue
        for low, high in zip(derivatives(function), wanted, strict=True):
            if low.dtype == numpy.float16 and numpy.isinf(low).any():  # something on the way was above 65504
                continue
            scale = max(1.0, float(numpy.abs(high).max(initial=0)))
            numpy.testing.assert_allclose(low, high, rtol=0, atol=tolerance * scale, err_msg=str(function.case))


# ------------------------------------------------------------------------------------------------- methods of ufuncs
UFUNCS = [u for u in vars(numpy).values() if isinstance(u, numpy.ufunc) and not u.signature and u.nout == 1]
X, Y = numpy.array([0.7, 1.4, 0.3, 1.9]), numpy.array([[1.2, 0.6], [0.4, 1.7]])
PLACES = [2, 0, 2]


def accumulated(f, x):
    return f.accumulate(x)


def reduced(f, x):
    return f.reduce(x)


def reduced_at(f, x):
    return f.reduceat(x, [1, 3, 0, 0])


def outer(f, x):
    return f.outer(x, x[:2] + 0.1)


def changed_at(f, x):
    y = x * 1.0
    f.at(y, PLACES, *[x[:3] + 0.3] * (f.nin - 1))
    return y


METHODS = (accumulated, reduced, reduced_at, outer, changed_at)


def method_calls():
    """Each method of each ufunc that gives floats and has a derivative."""
    for f in dict.fromkeys(UFUNCS):
        ours = getattr(np, f.__name__)
        for method in METHODS:
            try:
                with numpy.errstate(all="ignore"):
                    floating = method(f, X).dtype == float and method(f, 1 / (1 + X)).dtype == float
            except (TypeError, ValueError):  # not of this ufunc
                continue
            if floating:
                yield pytest.param(ours, method, id=f"{f.__name__}-{method.__name__}")


@pytest.mark.parametrize(("ufunc", "method"), list(method_calls()))
def test_methods_of_ufuncs(ufunc, method):
    why = why_none(ufunc.__name__) or why_none(f"{ufunc.__name__}.{OPS_OF.get(method)}")
    at = next(x for x in (X, 1 / (1 + X), 5 + X) if numpy.isfinite(method(ufunc.numpy, x)).all())
    if why is None:
        check_grads(lambda x: method(ufunc, x), (at,), order=2, rtol=2e-6)
        return
    with pytest.raises(TypeError, match=re.escape(why)):
        np.jvp(lambda x: method(ufunc, x), (at,), (at,))


#: methods that are ops
OPS_OF = {accumulated: "accumulate", reduced: "reduce", reduced_at: "reduceat"}


@pytest.mark.parametrize("name", ["add", "multiply", "subtract", "divide", "maximum", "fmin", "logaddexp", "hypot"])
def test_reductions_of_some_elements(name):
    mask = numpy.array([True, False, True, True])
    check_grads(lambda x: getattr(np, name).reduce(x, where=mask, initial=0.5), (X,), order=2, rtol=2e-6)
