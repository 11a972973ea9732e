"""Elementwise ops: every NumPy ufunc without core dimensions, and `where`, `real`, `imag`, `astype`.

The ufuncs with a derivative are declared one by one, with the partial derivative for each operand (None: zero) as a
function of the answer and the operands. All other ufuncs follow at the end, from NumPy's own list.
"""

import math

import numpy
from numpy._core import umath

from npx.dispatch import rules
from npx.dispatch.abstract import Aval, aval_of, ufunc_rule
from npx.dispatch.payloads import cast, conj, ops, typed
from npx.dispatch.registry import OPS
from npx.dispatch.rules import ALL_TYPES, Operand, example

#: the ufuncs without core dimensions, by NumPy's names; `clip` is one too, behind a Python function
UFUNCS = {u.__name__: u for u in (*vars(numpy).values(), umath.clip) if isinstance(u, numpy.ufunc) and not u.signature}

# Examples: shapes that broadcast together or clash, and scalars that arrays meet

SHAPES = (
    ((2, 3), (2, 3), (2, 3)),
    ((3,), (2, 3), ()),
    ((), (3,), (2, 1)),
    ((2, 1), (3,), (3,)),
    ((0, 3), (1, 3), (3,)),
)
CLASH = ((2,), (3,), (2,))
SCALARS = (2, 1.25, True, 0.75j)
MIXED = ("dl", "ld", "?d", "d?", "bf", "fb", "Dd", "dD")
ANY, POSITIVE, UNIT, ABOVE_ONE, NATURAL = (-2.0, 2.0), (0.1, 3.0), (-0.9, 0.9), (1.1, 3.0), (0.0, 3.0)


def examples(types, *domains):
    """All `types` on one shape, the plain ones on several shapes, and Python scalars in each place."""
    nin = len(domains)
    few = tuple(t for t in types if set(t) <= {"l", "d"}) or types[:1]
    for shapes in (*SHAPES, CLASH):
        operands = [Operand(shape, *domain) for shape, domain in zip(shapes, domains)]
        yield example(*operands, types=types + MIXED * (nin > 1) if shapes is SHAPES[0] else few)
    for place in range(nin):
        for scalar in SCALARS:
            drawn = [Operand((3,), *domain) for domain in domains]
            yield example(*drawn[:place], scalar, *drawn[place + 1 :], types=types if nin > 1 else few)


def ufunc(name, deriv=None, domain=ANY, **facts):
    """Declare the op of a NumPy ufunc; `domain` is where its examples lie: (low, high), or a pair for each operand."""
    spec = UFUNCS[name]
    loops = tuple(dict.fromkeys(loop.partition("->")[0] for loop in spec.types if "O" not in loop))
    domains = domain if isinstance(domain[0], tuple) else (domain,) * spec.nin
    rules.elementwise(name, spec=spec, deriv=deriv, examples=lambda: examples(loops, *domains), **facts)


# Pieces of derivatives


def one(ans):
    """1 in the dtype of the answer; a Python number would let a small integer operand choose float16."""
    return typed(ans).dtype.type(1)


def nonzero(x):
    """`x`, and 1 where it is 0: for a logarithm whose result does not matter there."""
    return ops.where(x == 0, 1, x)


def divisor(x):
    """`x`, and infinity where it is 0: the quotient is 0 there, and so are its derivatives."""
    return ops.where(x == 0, math.inf, x)


def share(ans, mine, other):
    """The derivative of a selection among two operands: 1 for the one selected, a half each where both are."""
    return (mine == ans) * (one(ans) - (other == ans) * (one(ans) / 2))


def weight(ans, x):
    """``exp(x - ans)`` for the terms of a logarithm of a sum, also where both are infinite."""
    same = x == ans
    return ops.where(same, 0, x) - ops.where(same, 0, ans)


def tie(ans, x, y):
    """A half where both are the result, so that infinities share in the logarithm of a sum; else 1."""
    return ops.where((x == ans) & (y == ans), one(ans) / 2, one(ans))


def log_sum(exp):
    """The derivatives of the logarithm of a sum of two powers."""
    return (
        lambda ans, x, y: exp(weight(ans, x)) * tie(ans, x, y),
        lambda ans, x, y: exp(weight(ans, y)) * tie(ans, x, y),
    )


def unit_root(x):
    """``sqrt(1 - x**2)``; for a complex x on a branch cut of arcsin, on the side that its signed zero tells."""
    if aval_of(x).dtype.kind != "c":
        return ops.sqrt(1 - x * x)
    return ops.sqrt(-(x - 1)) * ops.sqrt(-(-x - 1))


def modulus_deriv(_, x):
    """The derivative of ``|x|``: the sign, 0 at 0, and its conjugate where x is complex."""
    return conj(x) / divisor(ops.absolute(x)) if aval_of(x).dtype.kind == "c" else ops.sign(x)


def base_deriv(_, x, y):
    """The derivative of ``x**y`` in x: ``y * x**(y - 1)``, and 0 for ``y == 0`` also at ``x == 0``."""
    if isinstance(y, (int, float)):
        return 0 if y == 0 else 2 * x if y == 2 else y * x ** (y - 1)
    return y * x ** ops.where(y == 0, 1, y - 1)


def exponent_deriv(ans, x, _):
    """The derivative of ``x**y`` in y: ``x**y * log(x)``, and 0 at ``x == 0``."""
    return ans * ops.log(cast(nonzero(x), typed(ans).dtype))


def sign_vjp(g, ans, x):
    """Zero for a real x; for a complex one the part of `g` across the direction of x counts."""
    if aval_of(ans).dtype.kind != "c":
        return None
    return (g - ops.real(g * ans) * conj(ans)) / divisor(ops.absolute(x))


def sign_jvp(tangents, ans, args, _params):
    if aval_of(ans).dtype.kind != "c":
        return None
    (t,), (x,) = tangents, args
    return (t - ops.real(t * conj(ans)) * ans) / divisor(ops.absolute(x))


SELECT = (lambda ans, x, y: share(ans, x, y), lambda ans, x, y: share(ans, y, x))


# Arithmetic
ufunc("add", (1, 1))
ufunc("subtract", (1, -1))
ufunc("multiply", (lambda _, _x, y: y, lambda _, x, _y: x))
ufunc("divide", (lambda ans, _x, y: one(ans) / y, lambda ans, _x, y: -ans / y), domain=(ANY, POSITIVE))
ufunc("negative", -1)
ufunc("positive", 1)
ufunc("reciprocal", lambda ans, _: -ans * ans, domain=POSITIVE)
ufunc("square", lambda _, x: 2 * x)
ufunc("power", (base_deriv, exponent_deriv), domain=(POSITIVE, NATURAL))
ufunc(
    "float_power",
    (lambda ans, x, y: base_deriv(None, cast(x, typed(ans).dtype), y), exponent_deriv),
    domain=(POSITIVE, NATURAL),
)
ufunc("remainder", (1, lambda _, x, y: -ops.floor_divide(x, y)), domain=(ANY, POSITIVE))
ufunc("fmod", (1, lambda _, x, y: -ops.trunc(x / y)), domain=(ANY, POSITIVE))
ufunc("floor_divide", (None, None), domain=(ANY, POSITIVE))
ufunc("divmod", ((None, 1), (None, lambda ans, _x, _y: -ans[0])), domain=(ANY, POSITIVE))

# Roots, exponentials and logarithms
ufunc("sqrt", lambda ans, _: 0.5 / ans, domain=POSITIVE)
ufunc("cbrt", lambda ans, _: 1 / (3 * ans * ans), domain=POSITIVE)
ufunc("exp", lambda ans, _: ans)
ufunc("exp2", lambda ans, _: ans * math.log(2))
ufunc("expm1", lambda ans, _: ans + 1)
ufunc("log", lambda _, x: 1 / x, domain=POSITIVE)
ufunc("log2", lambda _, x: 1 / (x * math.log(2)), domain=POSITIVE)
ufunc("log10", lambda _, x: 1 / (x * math.log(10)), domain=POSITIVE)
ufunc("log1p", lambda _, x: 1 / (x + 1), domain=POSITIVE)
ufunc("logaddexp", log_sum(ops.exp))
ufunc("logaddexp2", log_sum(ops.exp2))

# Trigonometry
ufunc("sin", lambda _, x: ops.cos(x))
ufunc("cos", lambda _, x: -ops.sin(x))
ufunc("tan", lambda ans, _: 1 + ans * ans, domain=UNIT)
ufunc("arcsin", lambda _, x: 1 / unit_root(x), domain=UNIT)
ufunc("arccos", lambda _, x: -1 / unit_root(x), domain=UNIT)
ufunc("arctan", lambda _, x: 1 / (1 + x * x))
ufunc(
    "arctan2", (lambda _, y, x: x / divisor(ops.hypot(y, x)) ** 2, lambda _, y, x: y / -(divisor(ops.hypot(y, x)) ** 2))
)
ufunc("hypot", (lambda ans, x, _y: x / divisor(ans), lambda ans, _x, y: y / divisor(ans)))
ufunc("degrees", 180 / math.pi)
ufunc("rad2deg", 180 / math.pi)
ufunc("radians", math.pi / 180)
ufunc("deg2rad", math.pi / 180)

# Hyperbolic functions
ufunc("sinh", lambda _, x: ops.cosh(x))
ufunc("cosh", lambda _, x: ops.sinh(x))
ufunc("tanh", lambda ans, _: 1 - ans * ans)
ufunc("arcsinh", lambda _, x: 1 / ops.sqrt(x * x + 1))
ufunc("arccosh", lambda _, x: 1 / (ops.sqrt(x - 1) * ops.sqrt(x + 1)), domain=ABOVE_ONE)
ufunc("arctanh", lambda _, x: 1 / (1 - x * x), domain=UNIT)

# Selection, signs, parts
ufunc("maximum", SELECT)
ufunc("minimum", SELECT)
ufunc("fmax", SELECT)
ufunc("fmin", SELECT)
ufunc("absolute", modulus_deriv)
ufunc("fabs", modulus_deriv)
ufunc(
    "clip",
    (
        lambda ans, x, low, high: share(ans, inner := ops.maximum(x, low), high) * share(inner, x, low),
        lambda ans, x, low, high: share(ans, inner := ops.maximum(x, low), high) * share(inner, low, x),
        lambda ans, x, low, high: share(ans, high, ops.maximum(x, low)),
    ),
)
ufunc("sign", vjp=(sign_vjp,), jvp=sign_jvp)
ufunc("copysign", (lambda ans, x, y: ops.sign(x) * ops.copysign(one(ans), y), None))
ufunc("heaviside", (None, lambda _, x, _h: x == 0))
ufunc("ldexp", (lambda _, x_aval, y: ops.ldexp(one(x_aval), y), None))
ufunc("modf", ((1, None),))
ufunc("frexp", ((lambda ans, _: ops.ldexp(one(ans[0]), -ans[1]), None),))
for name in ("floor", "ceil", "rint", "trunc"):
    ufunc(name)  # piecewise constant
for name, why in {"nextafter": "a step to a neighbouring number", "spacing": "the distance to a neighbour"}.items():
    ufunc(name, no_deriv=f"{why} has no useful derivative")


# Ops that are no ufuncs, and conjugation


def astype(x, dtype):
    """`x` converted, always a new array."""
    return numpy.asarray(x).astype(dtype)[()]


def where(condition, x, y):
    """`numpy.where`, a scalar for scalars."""
    return numpy.where(condition, x, y)[()]


def part_rule(avals, _params):
    """The shape and dtype of the real or imaginary part."""
    (x,) = avals
    if x.dtype.kind != "c":
        return x
    return Aval(x.shape, numpy.empty(0, x.dtype).real.dtype, float if x.weak else None)


LINEAR = {"kind": "elementwise", "batch": rules.batch_elementwise}
SOME_SHAPES = ((2, 3), (), (0, 3))

rules.elementwise(
    "real",
    spec=numpy.real,
    nin=1,
    rule=part_rule,
    deriv=1,
    examples=tuple(example(s, types=ALL_TYPES) for s in SOME_SHAPES),
)
rules.elementwise("imag", spec=numpy.imag, nin=1, rule=part_rule, deriv=-1j, examples=OPS["real"].examples)
rules.linear(
    "conjugate",
    nin=1,
    spec=UFUNCS["conjugate"],
    rule=ufunc_rule(UFUNCS["conjugate"], 1, 1),
    transpose=lambda g, _: conj(g),
    examples=OPS["real"].examples,
    **LINEAR,
)
rules.linear(
    "astype",
    nin=1,
    spec=astype,
    rule=lambda avals, params: Aval(avals[0].shape, params["dtype"]),
    transpose=lambda g, _: g,
    examples=tuple(example((2, 3), types=ALL_TYPES, dtype=numpy.dtype(t)) for t in ALL_TYPES),
    **LINEAR,
)
rules.linear(
    "where",
    nin=3,
    spec=where,
    rule=rules.sampled(where),
    transpose=(
        None,
        lambda g, condition, _x, _y: ops.where(condition, g, 0),
        lambda g, condition, _x, _y: ops.where(condition, 0, g),
    ),
    examples=lambda: examples(ALL_TYPES + ("?dD", "?bd", "?lf", "?mm", "?mM"), ANY, ANY, ANY),
    **LINEAR,
)


# The ufuncs that remain: zero derivative where only integers or booleans come out, none otherwise


def keeps_floats(spec):
    """Whether a loop of the ufunc takes floats to floats."""
    return any(all(set(side) & set("efdgFDG") for side in loop.split("->")) for loop in spec.types)


for name in sorted(UFUNCS.keys() - OPS.keys()):
    ufunc(name, no_deriv="no derivative rule is declared" if keeps_floats(UFUNCS[name]) else None, domain=NATURAL)
