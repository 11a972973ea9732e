"""The direct loops for small arrays: ufuncs and operators give what NumPy gives, its warnings included."""

import itertools
import operator

import numpy
import pytest
from against_numpy import check_call, check_host, check_operator, sample, value

import npx
from npx.array.ndarray import wrap
from npx.dispatch.loops import BINARY_OPS, UNARY_OPS, with_loops
from npx.kernels import elementwise

SIZES = (0, 1, 2, 3, 8, 9, 31, 100, 4096, 4097)


@pytest.fixture(params=[True, False], ids=["baseline", "best"])
def loops(request):
    """The loops that any machine can run, then those chosen for this one."""
    elementwise.register(baseline=request.param)
    yield
    elementwise.register()


@pytest.mark.parametrize("name, dtype", with_loops(), ids=str)
def test_small_loops(loops, name, dtype):
    for size in SIZES:
        x, y = sample(size, dtype.char, 0), sample(size, dtype.char, 1)
        if getattr(numpy, name).nin == 1:
            check_call(name, x)
            continue
        check_call(name, x, y)
        for scalar in (3, 1.25, -2, numpy.ones((), dtype)):
            check_call(name, x, scalar)
            check_call(name, scalar, y)


def test_small_loops_cover_the_operators():
    """float64 has a loop for every operator that NumPy computes with one correctly rounded operation or comparison."""
    floats = {name for name, dtype in with_loops(registered=True) if dtype == numpy.float64}
    assert {"add", "subtract", "multiply", "divide", "less", "equal", "negative", "absolute", "sqrt"} <= floats
    assert set(BINARY_OPS.values()) | set(UNARY_OPS.values()) >= floats


LIMITS = {
    "i": [0, 1, -1, 2**31 - 1, -(2**31), 5, 40],
    "l": [0, 1, -1, 2**63 - 1, -(2**63), 5, 70],
    "d": [0.0, -0.0, 1e308, -1e308, 1e-308, 5e-324, numpy.inf, -numpy.inf, numpy.nan, 1.0],
    "f": [0.0, -0.0, 3e38, -3e38, 1e-38, 1e-45, numpy.inf, -numpy.inf, numpy.nan, 1.0],
}


@pytest.mark.parametrize("state", ["warn", "ignore", "raise"])
@pytest.mark.parametrize("code", LIMITS)
def test_limits_and_errstate(loops, code, state):
    """Overflow, division by zero and invalid operations end as `errstate` says, underflow too."""
    pairs = numpy.array(list(itertools.product(LIMITS[code], repeat=2)), code)
    for name, dtype in with_loops():
        if dtype != numpy.dtype(code):
            continue
        for left, right in pairs:
            with numpy.errstate(all=state):
                if getattr(numpy, name).nin == 1:
                    check_call(name, numpy.array([left]))
                else:
                    check_call(name, numpy.array([left]), numpy.array([right]))
                    check_call(name, numpy.array([left]), right.item())


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift, operator.lt, operator.ge, operator.eq,
    operator.ne, operator.matmul,
]  # fmt: skip
INPLACE = [getattr(operator, name) for f in OPERATORS if (name := f"i{f.__name__.strip('_')}") in operator.__all__]


@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("code", "?ilqefdD")
def test_operators(function, code):
    x, y = sample(12, code, 1), sample(12, code, 2)
    check_operator(function, x, y)
    for scalar in (2, 3, 0, -1, 0.5, 2.0, True, 1e300, 10**20, numpy.float64(0.5), 2j):
        check_operator(function, x, scalar)
        check_operator(function, scalar, x)


@pytest.mark.parametrize("function", INPLACE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("code", "?ilfdD")
def test_inplace_operators(function, code):
    y = sample(12, code, 2)

    def case(other):
        def run(np, a):
            x = sample(12, code, 1)
            try:
                result = function(a(x), a(other) if isinstance(other, numpy.ndarray) else other)
                return result, a(x)
            except Exception as error:
                return type(error), str(error), a(x)  # what NumPy leaves behind

        return run

    for other in (y, y[:1].reshape(()), 2, 0, 0.5, -1, True, 1e300):
        check_host(case(other))


def test_inplace_on_overlapping_memory():
    def case(np, a):
        x = numpy.arange(20.0)
        whole, late, early = a(x), a(x[1:]), a(x[:-1])
        late += early
        whole *= whole
        whole -= a(x[3:4].reshape(()))
        return whole

    check_host(case)


def test_inplace_leaves_readonly_memory():
    x = numpy.arange(3.0)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        wrap(x).__iadd__(1.0)
    assert x.tolist() == [0, 1, 2]


def test_results_are_fresh_memory():
    x = wrap(numpy.arange(4.0))
    for y in (npx.positive(x), +x, npx.add(x, 0), x * 1):
        assert not numpy.shares_memory(value(x), value(y))
