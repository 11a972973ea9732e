"""What each elementwise op does with one vector of elements.

The one list of ops that the host compiler can fuse. A rule is ``rule(b, t, *xs)``: it emits with the `Builder` `b` the
op for operands of dtype code `t` (the NumPy loop's operand type) and returns the result in the loop's result type.
Every rule follows NumPy's C loop, in wraparound, division by zero, NaN and signed zeros.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy

from npx.ops.reductions import REDUCE


class Rule(NamedTuple):
    """How to emit one op.

    Attributes
    ----------
    emit : callable
    kinds : str
        The dtype kinds of operands that it takes (of ``biuf``); others are left to NumPy.
    cost : int
        In additions, roughly.
    """

    emit: Callable
    kinds: str
    cost: int


#: op name -> Rule
RULES = {}


def rule(*names, kinds="biuf", cost=1):
    """Register a rule under the names of ops."""

    def register(emit):
        RULES.update(dict.fromkeys(names, Rule(emit, kinds, cost)))
        return emit

    return register


def is_float(t):
    return t[0] == "f"


# ------------------------------------------------------------------------------------------------------ arithmetic

for _name, _bool_opcode in (("add", "or"), ("subtract", None), ("multiply", "and")):

    @rule(_name, kinds="biuf" if _bool_opcode else "iuf")
    def _arith(b, t, x, y, stem=_name[:3], bool_opcode=_bool_opcode):
        return b.binary(bool_opcode, t, x, y) if t == "b1" else b.arith(stem, t, x, y)


@rule("divide", kinds="f", cost=4)
def _divide(b, t, x, y):
    return b.binary("fdiv", t, x, y)


@rule("reciprocal", kinds="f", cost=4)
def _reciprocal(b, t, x):
    return b.binary("fdiv", t, b.constant(t, 1), x)


@rule("negative", kinds="iuf")
def _negative(b, t, x):
    return b.emit(f"fneg {b.vec(t)} {x}") if is_float(t) else b.binary("sub", t, b.constant(t, 0), x)


@rule("positive", "conjugate", "real")
def _identity(b, t, x):
    return x


@rule("square", kinds="iuf")
def _square(b, t, x):
    return b.arith("mul", t, x, x)


@rule("absolute", "fabs")
def _absolute(b, t, x):
    if is_float(t):
        return b.intrinsic("fabs", t, x)
    if t[0] in "bu":
        return x
    return b.select(b.compare("lt", t, x, b.constant(t, 0)), t, _negative(b, t, x), x)


@rule("sign", kinds="iuf")
def _sign(b, t, x):
    zero, one = b.constant(t, 0), b.constant(t, 1)
    other = b.select(b.compare("eq", t, x, zero), t, zero, x) if is_float(t) else zero
    if t[0] != "u":
        other = b.select(b.compare("lt", t, x, zero), t, b.constant(t, -1), other)
    return b.select(b.compare("gt", t, x, zero), t, one, other)


@rule("sqrt", kinds="f", cost=6)
def _sqrt(b, t, x):
    return b.intrinsic("sqrt", t, x)


@rule("power", "float_power", kinds="iuf", cost=40)
def _power(b, t, x, y):
    exponent = b.literals.get(y)
    if exponent == 0.5 and is_float(t) and HALF_IS_SQRT:
        return _sqrt(b, t, x)
    if exponent in SMALL_EXPONENTS and (exponent >= 0 or is_float(t)):
        product = _repeated_product(b, t, x, abs(int(exponent)))
        return product if exponent >= 0 else _reciprocal(b, t, product)
    return b.libm("pow", t, x, y)


#: whether NumPy takes the root for an exponent of 0.5 (newer ones do; -0.0 tells)
HALF_IS_SQRT = bool(numpy.signbit(numpy.power(numpy.array([-0.0]), 0.5)[0]))

#: exponents for which products are within a few ulp of `pow`
SMALL_EXPONENTS = (-2, -1, 0, 1, 2, 3, 4)


def _repeated_product(b, t, x, n):
    result, base = None, x
    while n:
        if n & 1:
            result = base if result is None else b.arith("mul", t, result, base)
        n >>= 1
        if n:
            base = b.arith("mul", t, base, base)
    return b.constant(t, 1) if result is None else result


# ----------------------------------------------------------------------------------------- division with remainder


def _safe_divisor(b, t, x, y):
    """`y`, but one where the machine's division would trap; and where `y` is zero."""
    by_zero = b.compare("eq", t, y, b.constant(t, 0))
    unsafe = by_zero
    if t[0] == "i":
        lowest = b.compare("eq", t, x, b.constant(t, -(2 ** (8 * int(t[1]) - 1))))
        overflows = b.binary("and", "b1", lowest, b.compare("eq", t, y, b.constant(t, -1)))
        unsafe = b.binary("or", "b1", by_zero, overflows)
    return b.select(unsafe, t, b.constant(t, 1), y), by_zero


def _zero_where(b, t, mask, x):
    return b.select(mask, t, b.constant(t, 0), x)


@rule("floor_divide", kinds="iuf", cost=30)
def _floor_divide(b, t, x, y):
    if is_float(t):
        return _float_divmod(b, t, x, y)[0]
    divisor, by_zero = _safe_divisor(b, t, x, y)
    quotient = b.binary("udiv" if t[0] == "u" else "sdiv", t, x, divisor)
    if t[0] == "i":
        rest = b.binary("sub", t, x, b.binary("mul", t, quotient, divisor))
        down = _signs_differ(b, t, rest, divisor)
        quotient = b.select(down, t, b.binary("sub", t, quotient, b.constant(t, 1)), quotient)
        overflows = b.compare("ne", t, divisor, y)  # lowest // -1 is lowest; by zero is overwritten below
        quotient = b.select(overflows, t, x, quotient)
    return _zero_where(b, t, by_zero, quotient)


@rule("remainder", kinds="iuf", cost=30)
def _remainder(b, t, x, y):
    if is_float(t):
        return _float_divmod(b, t, x, y)[1]
    divisor, by_zero = _safe_divisor(b, t, x, y)
    rest = b.binary("urem" if t[0] == "u" else "srem", t, x, divisor)
    if t[0] == "i":
        rest = b.select(_signs_differ(b, t, rest, divisor), t, b.binary("add", t, rest, divisor), rest)
        rest = _zero_where(b, t, b.compare("ne", t, divisor, y), rest)
    return _zero_where(b, t, by_zero, rest)


@rule("fmod", kinds="iuf", cost=30)
def _fmod(b, t, x, y):
    if is_float(t):
        return b.libm("fmod", t, x, y)
    divisor, by_zero = _safe_divisor(b, t, x, y)
    return _zero_where(b, t, by_zero, b.binary("urem" if t[0] == "u" else "srem", t, x, divisor))


def _signs_differ(b, t, rest, divisor):
    """Where a remainder that is not zero has not the divisor's sign."""
    zero = b.constant(t, 0)
    differ = b.binary("xor", "b1", b.compare("lt", t, rest, zero), b.compare("lt", t, divisor, zero))
    return b.binary("and", "b1", b.compare("ne", t, rest, zero), differ)


def _float_divmod(b, t, x, y):
    """``npy_divmod``."""
    zero, one = b.constant(t, 0), b.constant(t, 1)
    rest = b.libm("fmod", t, x, y)
    plain = b.binary("fdiv", t, x, y)
    quotient = b.binary("fdiv", t, b.binary("fsub", t, x, rest), y)
    adjust = _signs_differ(b, t, rest, y)
    quotient = b.select(adjust, t, b.binary("fsub", t, quotient, one), quotient)
    modulus = b.select(adjust, t, b.binary("fadd", t, rest, y), rest)
    modulus = b.select(b.compare("eq", t, rest, zero), t, b.intrinsic("copysign", t, zero, y), modulus)
    floored = b.intrinsic("floor", t, quotient)
    short = b.compare("gt", t, b.binary("fsub", t, quotient, floored), b.constant(t, 0.5))
    floored = b.select(short, t, b.binary("fadd", t, floored, one), floored)
    signed_zero = b.intrinsic("copysign", t, zero, plain)
    floored = b.select(b.compare("eq", t, quotient, zero), t, signed_zero, floored)
    by_zero = b.compare("eq", t, y, zero)
    return b.select(by_zero, t, plain, floored), b.select(by_zero, t, rest, modulus)


# ------------------------------------------------------------------------------------------------------------ bits

for _name in ("and", "or", "xor"):

    @rule(f"bitwise_{_name}", kinds="biu")
    def _bitwise(b, t, x, y, opcode=_name):
        return b.binary(opcode, t, x, y)

    @rule(f"logical_{_name}")
    def _logical(b, t, x, y, opcode=_name):
        return b.binary(opcode, "b1", b.truth(t, x), b.truth(t, y))


@rule("invert", kinds="biu")
def _invert(b, t, x):
    return b.binary("xor", t, x, b.constant(t, True if t == "b1" else -1))


@rule("logical_not")
def _logical_not(b, t, x):
    return b.invert(b.truth(t, x))


@rule("left_shift", kinds="iu")
def _left_shift(b, t, x, y):
    return _shift(b, t, "shl", x, y, b.constant(t, 0))


@rule("right_shift", kinds="iu")
def _right_shift(b, t, x, y):
    if t[0] == "u":
        return _shift(b, t, "lshr", x, y, b.constant(t, 0))
    sign = b.binary("ashr", t, x, b.constant(t, 8 * int(t[1]) - 1))
    return _shift(b, t, "ashr", x, y, sign)


def _shift(b, t, opcode, x, y, beyond):
    """Shift; `beyond` where `y` is negative or not less than the number of bits."""
    inside = b.compare("lt", "u" + t[1], y, b.constant(t, 8 * int(t[1])))
    return b.select(inside, t, b.binary(opcode, t, x, _zero_where(b, t, b.invert(inside), y)), beyond)


# ------------------------------------------------------------------------------------------ comparison and choice

for _name, _predicate in (
    ("equal", "eq"), ("not_equal", "ne"), ("less", "lt"), ("less_equal", "le"), ("greater", "gt"),
    ("greater_equal", "ge"),
):  # fmt: skip

    @rule(_name)
    def _compare(b, t, x, y, predicate=_predicate):
        return b.compare(predicate, t, x, y)


for _name, _predicate in (("maximum", "gt"), ("minimum", "lt")):

    @rule(_name)
    def _extremum(b, t, x, y, name=_name, predicate=_predicate):
        if is_float(t):
            return b.intrinsic(name, t, x, y, flags="nsz")  # NaN if one is
        return b.select(b.compare(predicate, t, x, y), t, x, y)


for _name, _predicate in (("fmax", "ge"), ("fmin", "le")):

    @rule(_name)
    def _number(b, t, x, y, predicate=_predicate):
        first = b.compare(predicate, t, x, y)
        if is_float(t):
            first = b.binary("or", "b1", first, b.compare("uno", t, y, y))
        return b.select(first, t, x, y)


@rule("clip")
def _clip(b, t, x, low, high):
    maximum, minimum = RULES["maximum"].emit, RULES["minimum"].emit
    return minimum(b, t, maximum(b, t, x, low), high)


@rule("isnan")
def _isnan(b, t, x):
    return b.compare("uno", t, x, x) if is_float(t) else b.constant("b1", False)


@rule("isinf")
def _isinf(b, t, x):
    return b.compare("eq", t, _absolute(b, t, x), b.constant(t, math.inf)) if is_float(t) else b.constant("b1", False)


@rule("isfinite")
def _isfinite(b, t, x):
    return b.compare("lt", t, _absolute(b, t, x), b.constant(t, math.inf)) if is_float(t) else b.constant("b1", True)


@rule("signbit", kinds="f")
def _signbit(b, t, x):
    integer = "i" + t[1]
    bits = b.emit(f"bitcast {b.vec(t)} {x} to {b.vec(integer)}")
    return b.compare("lt", integer, bits, b.constant(integer, 0))


@rule("copysign", kinds="f")
def _copysign(b, t, x, y):
    return b.intrinsic("copysign", t, x, y)


@rule("heaviside", kinds="f")
def _heaviside(b, t, x, at_zero):
    zero = b.constant(t, 0)
    other = b.select(b.compare("eq", t, x, zero), t, at_zero, x)  # x itself where it is NaN
    other = b.select(b.compare("gt", t, x, zero), t, b.constant(t, 1), other)
    return b.select(b.compare("lt", t, x, zero), t, zero, other)


# ------------------------------------------------------------------------------------------------------- functions

for _name in ("floor", "ceil", "trunc", "rint"):

    @rule(_name, cost=2)
    def _rounded(b, t, x, name=_name):
        return b.intrinsic(name, t, x) if is_float(t) else x


#: ufunc -> function of C's math library
LIBM = {
    **{f: f for f in "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh cbrt hypot".split()},
    **{f"arc{f}": f"a{f}" for f in "sin cos tan sinh cosh tanh tan2".split()},
}

for _name, _function in LIBM.items():

    @rule(_name, kinds="f", cost=20)
    def _libm(b, t, *xs, function=_function):
        return b.libm(function, t, *xs)


for _names, _numerator, _denominator in (
    (("degrees", "rad2deg"), 180, math.pi),
    (("radians", "deg2rad"), math.pi, 180),
):

    @rule(*_names, kinds="f")
    def _scaled(b, t, x, numerator=_numerator, denominator=_denominator):
        factor = numpy.divide(numerator, denominator, dtype=t)
        return b.binary("fmul", t, x, b.constant(t, factor))


for _name, _exp, _scale, _doubling in (
    ("logaddexp", "exp", 1.0, math.log(2)),
    ("logaddexp2", "exp2", 1 / math.log(2), 1.0),
):

    @rule(_name, kinds="f", cost=45)
    def _logaddexp(b, t, x, y, exp=_exp, scale=_scale, doubling=_doubling):
        """``npy_logaddexp``: where the operands are equal, infinities among them, the sum is not a difference's."""
        gap = b.binary("fsub", t, x, y)
        small = b.libm(exp, t, b.emit(f"fneg {b.vec(t)} {_absolute(b, t, gap)}"))
        small = b.binary("fmul", t, b.libm("log1p", t, small), b.constant(t, scale))
        larger = b.select(b.compare("gt", t, gap, b.constant(t, 0)), t, x, y)
        result = b.select(b.compare("uno", t, gap, gap), t, gap, b.binary("fadd", t, larger, small))
        doubled = b.binary("fadd", t, x, b.constant(t, doubling))
        return b.select(b.compare("eq", t, x, y), t, doubled, result)


# ------------------------------------------------------------------------------------------------------ reductions


class Reduction(NamedTuple):
    """How partial results combine.

    Attributes
    ----------
    combine : str
        The op in `RULES` that joins two partial results.
    identity : callable
        ``identity(t)``: the number that changes nothing.
    horizontal : callable
        ``horizontal(t)``: the LLVM reduction over the lanes, without its prefix.
    """

    combine: str
    identity: Callable
    horizontal: Callable


def _lowest(t):
    return -math.inf if is_float(t) else 0 if t[0] in "bu" else -(2 ** (8 * int(t[1]) - 1))


def _highest(t):
    return math.inf if is_float(t) else 1 if t == "b1" else 2 ** (8 * int(t[1]) - (t[0] == "i")) - 1


def _extremum_over_lanes(name):
    def horizontal(t):
        if is_float(t):
            return f"f{name}imum"
        return {"b1": {"max": "or", "min": "and"}[name]}.get(t) or ("s" if t[0] == "i" else "u") + name

    return horizontal


def _arithmetic_over_lanes(stem, on_bools):
    return lambda t: on_bools if t == "b1" else "f" * is_float(t) + stem


#: op name -> Reduction
REDUCTIONS = {
    REDUCE[ufunc]: Reduction(ufunc, *facts)
    for ufunc, facts in {
        "add": (lambda t: -0.0 if is_float(t) else 0, _arithmetic_over_lanes("add", "or")),
        "multiply": (lambda t: 1, _arithmetic_over_lanes("mul", "and")),
        "maximum": (_lowest, _extremum_over_lanes("max")),
        "minimum": (_highest, _extremum_over_lanes("min")),
        "logical_or": (lambda t: 0, lambda t: "or"),
        "logical_and": (lambda t: 1, lambda t: "and"),
    }.items()
}
