"""What every ufunc is, on Python numbers: the definitions behind the reference backend.

A function gets bools, ints, floats or complex numbers, by the kind of NumPy's loop, and need not care for their size:
its caller wraps ints round and rounds floats. Python raises where IEEE arithmetic returns an infinity or NaN; `ieee`
takes that back.
"""

import cmath
import functools
import math

INF, NAN = math.inf, math.nan


def ieee(function):
    """`function`, but returning NaN outside its domain and an infinity on overflow."""

    @functools.wraps(function)
    def total(*args):
        try:
            return function(*args)
        except OverflowError:
            return INF
        except (ValueError, ZeroDivisionError):
            return NAN

    return total


def analytic(name):
    """The function called `name` in `math`, for complex numbers that in `cmath`."""
    return lambda x: ieee(getattr(cmath if isinstance(x, complex) else math, name))(x)


def is_nan(x):
    return cmath.isnan(x)


def ordered(x):
    """A key that sorts complex numbers by their real part first, and NaN last."""
    if isinstance(x, complex):
        re, im = ordered(x.real), ordered(x.imag)
        return re[0], im[0], re[1], im[1]
    return (True, 0) if x != x else (False, x)


def truncated(x, y):
    """The quotient of two ints, towards zero; 0 for a zero divisor."""
    return 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


# ---------------------------------------------------------------------------------------------------------- arithmetic


def divide(x, y):
    if y != 0:
        return ieee(lambda: x / y)()
    if isinstance(x, complex):
        return complex(divide(x.real, 0.0), divide(x.imag, 0.0))
    return NAN if x == 0 or x != x else math.copysign(INF, x) * math.copysign(1.0, y)


def fmod(x, y):
    return ieee(math.fmod)(x, y) if isinstance(x, float) else x - truncated(x, y) * y if y else 0


def remainder(x, y):
    if isinstance(x, int):
        return x % y if y else 0
    rest = fmod(x, y)
    if rest == 0:
        return math.copysign(0.0, y)
    return rest + y if (rest < 0) != (y < 0) else rest


def floor_divide(x, y):
    if isinstance(x, int):
        return x // y if y else 0
    if y == 0:
        return divide(x, y)
    rest = fmod(x, y)
    quotient = (x - rest) / y - (rest != 0 and (y < 0) != (rest < 0))
    return math.copysign(0.0, x / y) if quotient == 0 else round_even(quotient)


def power(x, y):
    if isinstance(x, int):
        if y < 0:
            raise ValueError("Integers to negative integer powers are not allowed.")
        return pow(x, y, 2**64)
    if isinstance(x, complex):
        return 1 + 0j if y == 0 else (0j if y.real > 0 else complex(NAN, NAN)) if x == 0 else ieee(pow)(x, y)
    if x == 0 and y < 0:
        return math.copysign(INF, x) if y % 2 == 1 else INF
    try:
        return math.pow(x, y)
    except OverflowError:
        return -INF if x < 0 and y % 2 == 1 else INF
    except ValueError:
        return NAN


def sign(x):
    if isinstance(x, complex):
        return x / abs(x) if x else 0j
    return x if x != x else (x > 0) - (x < 0)


def clip(x, low, high):
    return minimum(maximum(x, low), high)


# -------------------------------------------------------------------------------------------- exponentials, logarithms


def logarithm(name):
    function = analytic(name)

    def log(x):
        if x == 0:
            return complex(-INF, cmath.phase(x)) if isinstance(x, complex) else -INF
        return function(x)

    return log


def log2(x):
    return logarithm("log")(x) / math.log(2) if isinstance(x, complex) else logarithm("log2")(x)


def log1p(x):
    if isinstance(x, complex):
        return logarithm("log")(1 + x)
    return -INF if x == -1 else ieee(math.log1p)(x)


def exp2(x):
    return cmath.exp(x * math.log(2)) if isinstance(x, complex) else power(2.0, x)


def expm1(x):
    if isinstance(x, complex):  # exp(a + ib) - 1 without cancellation
        real = math.expm1(x.real) * math.cos(x.imag) - 2 * math.sin(x.imag / 2) ** 2
        return complex(real, math.exp(x.real) * math.sin(x.imag))
    return ieee(math.expm1)(x)


def log_add(exp, log1p_of_exp):
    """The logarithm of the sum of two powers given by their exponents."""

    def add(x, y):
        if x == y:
            return x + log1p_of_exp(0.0)
        high, low = (x, y) if x > y else (y, x)
        return NAN if is_nan(x - y) else high + log1p_of_exp(low - high)

    return add


def arctanh(x):
    if isinstance(x, complex):
        return complex(math.copysign(INF, x.real), x.imag) if x in (1, -1) else cmath.atanh(x)
    return math.copysign(INF, x) if abs(x) == 1 else ieee(math.atanh)(x)


def sqrt(x):
    return cmath.sqrt(x) if isinstance(x, complex) else ieee(math.sqrt)(x)


# ---------------------------------------------------------------------------------------------------------- comparison


def choose(better, skip_nan=False):
    """The `better` of two numbers; a NaN wins, or loses with `skip_nan`."""

    def pick(x, y):
        if is_nan(x):
            return y if skip_nan else x
        if is_nan(y):
            return x if skip_nan else y
        return x if ordered(x) == ordered(y) else better(x, y, key=ordered)

    return pick


maximum, minimum = choose(max), choose(min)


def compare(test):
    """A comparison; false for NaN."""
    return lambda x, y: not (is_nan(x) or is_nan(y)) and test(ordered(x), ordered(y))


def parts(test):
    """Whether `test` holds for the parts of a number, as a function of the number."""
    return lambda x: [test(part) for part in ((x.real, x.imag) if isinstance(x, complex) else (x,))]


# ------------------------------------------------------------------------------------------------- parts of a number


def round_even(x):
    """The nearest whole number, halves to the even one, keeping the sign of zero."""
    if isinstance(x, complex):
        return complex(round_even(x.real), round_even(x.imag))
    return math.copysign(float(round(x)), x) if math.isfinite(x) else x


def whole(function):
    """`floor`, `ceil` or `trunc` of `math` as a float, keeping infinities and the sign of zero."""
    return lambda x: x if isinstance(x, int) or not math.isfinite(x) else math.copysign(float(function(x)), x)


def modf(x):
    return (math.copysign(0.0, x), x) if math.isinf(x) else math.modf(x)


def heaviside(x, at_zero):
    return x if is_nan(x) else at_zero if x == 0 else float(x > 0)


def ldexp(x, n):
    try:
        return math.ldexp(x, max(n, -5000))
    except OverflowError:
        return math.copysign(INF, x)


def left_shift(x, places):
    return x << places if 0 <= places < 64 else 0


def right_shift(x, places):
    return x >> places if 0 <= places < 64 else -(x < 0)


UFUNCS = {
    "absolute": ieee(abs),
    "add": lambda x, y: x + y,
    "arccos": analytic("acos"),
    "arccosh": analytic("acosh"),
    "arcsin": analytic("asin"),
    "arcsinh": analytic("asinh"),
    "arctan": analytic("atan"),
    "arctan2": math.atan2,
    "arctanh": arctanh,
    "bitwise_and": lambda x, y: x & y,
    "bitwise_count": lambda x: abs(x).bit_count(),
    "bitwise_or": lambda x, y: x | y,
    "bitwise_xor": lambda x, y: x ^ y,
    "cbrt": math.cbrt,
    "ceil": whole(math.ceil),
    "clip": clip,
    "conjugate": lambda x: x.conjugate(),
    "copysign": math.copysign,
    "cos": analytic("cos"),
    "cosh": analytic("cosh"),
    "deg2rad": math.radians,
    "degrees": math.degrees,
    "divide": divide,
    "divmod": lambda x, y: (floor_divide(x, y), remainder(x, y) if y or isinstance(x, int) else NAN),
    "equal": lambda x, y: x == y,
    "exp": analytic("exp"),
    "exp2": exp2,
    "expm1": expm1,
    "fabs": math.fabs,
    "float_power": power,
    "floor": whole(math.floor),
    "floor_divide": floor_divide,
    "fmax": choose(max, skip_nan=True),
    "fmin": choose(min, skip_nan=True),
    "fmod": fmod,
    "frexp": math.frexp,
    "gcd": math.gcd,
    "greater": compare(lambda x, y: x > y),
    "greater_equal": compare(lambda x, y: x >= y),
    "heaviside": heaviside,
    "hypot": math.hypot,
    "invert": lambda x: not x if isinstance(x, bool) else ~x,
    "isfinite": lambda x: all(parts(math.isfinite)(x)),
    "isinf": lambda x: any(parts(math.isinf)(x)),
    "isnan": lambda x: any(parts(math.isnan)(x)),
    "lcm": math.lcm,
    "ldexp": ldexp,
    "left_shift": left_shift,
    "less": compare(lambda x, y: x < y),
    "less_equal": compare(lambda x, y: x <= y),
    "log": logarithm("log"),
    "log10": logarithm("log10"),
    "log1p": log1p,
    "log2": log2,
    "logaddexp": log_add(math.exp, lambda x: math.log1p(math.exp(x))),
    "logaddexp2": log_add(exp2, lambda x: math.log2(1 + 2.0**x)),
    "logical_and": lambda x, y: bool(x) and bool(y),
    "logical_not": lambda x: not x,
    "logical_or": lambda x, y: bool(x) or bool(y),
    "logical_xor": lambda x, y: bool(x) != bool(y),
    "maximum": maximum,
    "minimum": minimum,
    "modf": modf,
    "multiply": lambda x, y: x * y,
    "negative": lambda x: -x,
    "not_equal": lambda x, y: x != y,
    "positive": lambda x: x,
    "power": power,
    "rad2deg": math.degrees,
    "radians": math.radians,
    "reciprocal": lambda x: truncated(1, x) if isinstance(x, int) else divide(type(x)(1), x),
    "remainder": remainder,
    "right_shift": right_shift,
    "rint": round_even,
    "sign": sign,
    "signbit": lambda x: math.copysign(1.0, x) < 0,
    "sin": analytic("sin"),
    "sinh": lambda x: analytic("sinh")(x) if isinstance(x, complex) else math.copysign(analytic("sinh")(abs(x)), x),
    "sqrt": sqrt,
    "square": lambda x: x * x,
    "subtract": lambda x, y: x - y,
    "tan": analytic("tan"),
    "tanh": analytic("tanh"),
    "trunc": whole(math.trunc),
}
