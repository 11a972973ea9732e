"""The XLA backend, through jax's public API: TPUs, GPUs and CPUs, many machines at once.

Loading it enables jax's 64-bit types for the process, since NumPy's default dtype is float64. Results differ from
NumPy's where the hardware decides: a float beyond an integer type's range is clipped by a cast, and sums of float16 are
kept in float32. Inside a compiled graph an index out of bounds cannot raise: reads are undefined, writes are dropped.
"""

import abc
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy
from jax import lax
from jax.experimental import io_callback

from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import count_round_trip
from npx.ops.index_specs import layout, rebuild

from .numpy_like import NUMBERS, NumpyLike

jax.config.update("jax_enable_x64", True)

NAME = "xla"
DTYPES = NUMBERS | {numpy.dtype(t) for t in (jnp.bfloat16, jnp.float8_e4m3fn, jnp.float8_e5m2)}
EXACT = {"precision": lax.Precision.HIGHEST}  # accelerators would round float32 factors to fewer bits


class XlaArray(abc.ABC):  # noqa: B024  (classes are registered with it)
    """What the backend takes as its payload: jax's arrays, and jax's own tracers while it compiles."""


XlaArray.register(jax.Array)
XlaArray.register(jax.core.Tracer)


# --------------------------------------------------------------------------------------- where jax.numpy is not NumPy


def _is_integer(x):
    return jnp.issubdtype(x.dtype, jnp.integer)


def _divmod(x, y):
    return _float_divmod(x, y) if jnp.issubdtype(x.dtype, jnp.floating) else _int_divmod(x, y)


def _int_divmod(x, y):
    """Quotient rounded down and remainder; both 0 where the divisor is."""
    by_zero = y == 0
    divisor = jnp.where(by_zero, jnp.ones_like(y), y)
    return tuple(jnp.where(by_zero, jnp.zeros_like(r), r) for r in jnp.divmod(x, divisor))


def _float_divmod(x, y):
    """NumPy's algorithm, for its rounding and its signs of zero."""
    rest = jnp.fmod(x, y)
    wrong_side = (rest != 0) & ((y < 0) != (rest < 0))
    quotient = (x - rest) / y - wrong_side
    quotient = jnp.where(quotient == 0, jnp.copysign(jnp.zeros_like(quotient), x / y), jnp.round(quotient))
    rest = jnp.where(rest == 0, jnp.copysign(rest, y), rest + jnp.where(wrong_side, y, jnp.zeros_like(y)))
    return jnp.where(y == 0, x / y, quotient), jnp.where(y == 0, jnp.fmod(x, y), rest)


def _power(x, y):
    if _is_integer(x):
        return _int_power(x, y)
    if not jnp.iscomplexobj(x):
        return jnp.power(x, y)
    at_zero = jnp.where(y == 0, jnp.ones_like(y), jnp.where(jnp.real(y) > 0, 0, jnp.full_like(y, complex("nan+nanj"))))
    return jnp.where(x == 0, at_zero, jnp.power(jnp.where(x == 0, jnp.ones_like(x), x), y))


def _int_power(x, y):
    if not isinstance(y, jax.core.Tracer) and (y < 0).any():
        raise ValueError("Integers to negative integer powers are not allowed.")
    return lax.integer_pow(x, int(y)) if isinstance(y, numpy.generic) else _power_by_squaring(x, y)


@jax.jit
def _power_by_squaring(x, y):
    """Powers modulo the size of the type."""

    def square(_, state):
        result, factor, exponent = state
        return jnp.where(exponent & 1, result * factor, result), factor * factor, exponent >> 1

    x, y = jnp.broadcast_arrays(x, y)
    bits = x.dtype.itemsize * 8 - (x.dtype.kind == "i")
    return lax.fori_loop(0, bits, square, (jnp.ones_like(x), x, y))[0]


def _on_magnitudes(f):
    """`f` of absolute values held in unsigned types, where that of the least integer fits too."""

    def of_magnitudes(x, y):
        unsigned = numpy.dtype(x.dtype.str.replace("i", "u"))
        return f(*(jnp.abs(v).astype(unsigned) for v in (x, y)))

    return of_magnitudes


def _exp2(x):
    if not jnp.iscomplexobj(x):
        return jnp.exp2(x)
    return jnp.exp(lax.complex(jnp.real(x) * math.log(2), jnp.imag(x) * math.log(2)))


def _modf(x):
    whole = jnp.trunc(x)
    return jnp.copysign(jnp.where(jnp.isinf(x), jnp.zeros_like(x), x - whole), x), whole


def _spacing(x):
    magnitude = jnp.spacing(jnp.where(x == 0, jnp.zeros_like(x), x))
    return jnp.where(jnp.isinf(x), jnp.full_like(x, numpy.nan), magnitude)


def _reciprocal(x):
    return jnp.where(jnp.abs(x) == 1, x, jnp.zeros_like(x)) if _is_integer(x) else jnp.reciprocal(x)


def _arg_extreme(arg, extreme):
    """`arg`, argmax or argmin, for complex numbers too: by their order in `extreme`, the first NaN before all."""

    def place(x, axis, keepdims):
        if jnp.iscomplexobj(x):
            nan = jnp.isnan(x)
            found = x == extreme(x, axis=axis, keepdims=True)
            return jnp.argmax(jnp.where(nan.any(axis=axis, keepdims=True), nan, found), axis=axis, keepdims=keepdims)
        return arg(x, axis=axis, keepdims=keepdims)

    return place


def _running(extreme):
    """A running maximum or minimum, for bool too."""
    return lambda x, axis: extreme(x.astype(numpy.uint8) if x.dtype == bool else x, axis=axis)


def _bincount(x, *weights, minlength):
    if x.size and int(x.min()) < 0:
        raise ValueError("'list' argument must have no negative elements")
    weights = [w.astype(float) for w in weights]
    return jnp.bincount(x, *weights, minlength=minlength).astype(float if weights else numpy.intp)


def _einsum(*operands, subscripts):
    if operands[0].dtype == bool:  # sums of products are "or" of "and"
        return jnp.einsum(subscripts, *(x.astype(numpy.int32) for x in operands)) > 0
    return jnp.einsum(subscripts, *operands, **EXACT)


def _fit_region(x, v, arrays, index):
    """The value to write without the leading axes of length 1 that NumPy lets an assignment drop."""
    region = layout(x.shape, index, tuple(numpy.shape(a) for a in arrays)).shape
    return jnp.reshape(v, v.shape[max(0, v.ndim - len(region)) :])


def _setitem(x, v, *arrays, index):
    return x.at[rebuild(index, arrays)].set(_fit_region(x, v, arrays, index))


def _add_at(x, v, *arrays, index):
    places = x.at[rebuild(index, arrays)]
    return places.max(v) if x.dtype == bool else places.add(v)


#: ufuncs that may be applied to neighbours in any order
ASSOCIATIVE = (
    *("bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor"),
    *("fmax", "fmin", "gcd", "hypot", "lcm", "logaddexp", "logaddexp2"),
)


def _reduce(function, ufunc, x, axis, keepdims, dtype):
    """Combine the halves of the array until one place is left on each axis."""
    if ufunc.identity is not None:
        identity = numpy.asarray(ufunc.identity).astype(x.dtype)
        shape = tuple(1 if k in axis else n for k, n in enumerate(x.shape))
        x = function(x, identity).astype(x.dtype) if x.size else jnp.full(shape, identity)
    for k in axis:
        while (n := x.shape[k]) > 1:
            left, right, rest = jnp.split(x, (n // 2, n // 2 * 2), axis=k)
            x = jnp.concatenate((function(left, right).astype(x.dtype), rest), axis=k)
    return x if keepdims else jnp.squeeze(x, axis)


def _accumulate(function, ufunc, x, axis, dtype):
    return lax.associative_scan(lambda a, b: function(a, b).astype(dtype), x, axis=axis) if x.size else x


FUNCTIONS = {
    "add_at": _add_at,
    "argmax": _arg_extreme(jnp.argmax, jnp.max),
    "argmin": _arg_extreme(jnp.argmin, jnp.min),
    "argpartition": lambda x, kth, axis: jnp.argsort(x, axis=axis),
    "bincount": _bincount,
    "clip": lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high),
    "correlate": functools.partial(jnp.correlate, **EXACT),
    "cummax": _running(lax.cummax),
    "cummin": _running(lax.cummin),
    "divmod": _divmod,
    "dot": functools.partial(jnp.dot, **EXACT),
    "einsum": _einsum,
    "exp2": _exp2,
    "float_power": _power,
    "floor_divide": lambda x, y: _divmod(x, y)[0],
    "gcd": _on_magnitudes(jnp.gcd),
    "lcm": _on_magnitudes(jnp.lcm),
    "make_complex": lambda re, im: lax.complex(*jnp.broadcast_arrays(jnp.real(re), jnp.real(im))),
    "matmul": functools.partial(jnp.matmul, **EXACT),
    "matvec": lambda x, y: jnp.matmul(x, y[..., None], **EXACT)[..., 0],
    "modf": _modf,
    "partition": lambda x, kth, axis: jnp.sort(x, axis=axis),
    "power": _power,
    "reciprocal": _reciprocal,
    "remainder": lambda x, y: _divmod(x, y)[1],
    "repeat": lambda x, repeats, axis: jnp.repeat(x, numpy.array(repeats), axis=axis),
    "setitem": _setitem,
    "sign": lambda x: jnp.where(x == 0, jnp.zeros_like(x), jnp.sign(x)),
    "spacing": _spacing,
    "vecdot": functools.partial(jnp.vecdot, **EXACT),
    "vecmat": lambda x, y: jnp.matmul(jnp.conjugate(x)[..., None, :], y, **EXACT)[..., 0, :],
}
FUNCTIONS |= {
    f"{name}.{method}": functools.partial(function, FUNCTIONS.get(name, getattr(jnp, name)), getattr(numpy, name))
    for name in ASSOCIATIVE
    for method, function in {"reduce": _reduce, "accumulate": _accumulate}.items()
}


# ---------------------------------------------------------------------------- complex numbers: cuts, infinities, NaN

#: complex functions for which XLA's formulas lose the side of a branch cut, and make NaN where NumPy, as C99 says,
#: gives a limit: by what they do with the sign of their argument. All of them take conjugates to conjugates.
ODD = frozenset(f"{arc}{name}{h}" for arc in ("", "arc") for name in ("sin", "tan") for h in ("", "h"))
EVEN = frozenset(("cos", "cosh"))
NEITHER = frozenset(("arccos", "arccosh", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "sqrt"))


def _on_quadrant(function, name):
    """A function of complex numbers from its values on the upper half-plane, or on a quadrant, by symmetry.

    A zero's sign is the side of a branch cut: of what is left, only the side where the sign is positive.
    """

    def symmetric(x):
        below = jnp.signbit(jnp.imag(x))
        x = jnp.where(below, jnp.conj(x), x)
        if name in NEITHER:
            result = function(x)
        else:
            left = jnp.signbit(jnp.real(x))
            result = function(jnp.where(left, -jnp.conj(x), x))
            result = jnp.where(left, -jnp.conj(result) if name in ODD else jnp.conj(result), result)
        return jnp.where(below, jnp.conj(result), result)

    return symmetric


#: numbers of each kind that `_kind` tells apart, in its order; finite ones in all quadrants
SAMPLES = ((-numpy.inf,), (-0.5, -2.0, -4.0, -6.0), (-0.0,), (0.0,), (0.5, 2.0, 4.0, 6.0), (numpy.inf,), (numpy.nan,))


def _kind(x):
    """Which of `SAMPLES` the numbers of a real array belong to."""
    zero = jnp.where(jnp.signbit(x), 2, 3)
    finite = jnp.where(x == 0, zero, jnp.where(x > 0, 4, 1))
    return jnp.where(jnp.isnan(x), 6, jnp.where(jnp.isinf(x), jnp.where(x > 0, 5, 0), finite))


def _limits(ufunc):
    """What NumPy gives for numbers with an infinite or NaN part, by the kinds of both parts, and where that is all.

    Elsewhere the result depends on more than the kinds.
    """
    n = len(SAMPLES)
    values, known = numpy.zeros((n, n), complex), numpy.zeros((n, n), bool)
    for i, j in itertools.product(range(n), repeat=2):
        if len(SAMPLES[i]) == len(SAMPLES[j]) == 1 or max(i, j) > 4 or min(i, j) == 0:
            with numpy.errstate(all="ignore"):
                results = [ufunc(numpy.complex128(complex(a, b))) for a in SAMPLES[i] for b in SAMPLES[j]]
            known[i, j] = len(set(map(repr, results))) == 1
            values[i, j] = results[0]
    return values, known


def _as_in_c(function, ufunc):
    """A function that for complex numbers keeps to the side of branch cuts and to the limits that NumPy gives."""
    limits = functools.cache(lambda: _limits(ufunc))
    symmetric = _on_quadrant(function, ufunc.__name__)

    def careful(x):
        if not jnp.iscomplexobj(x):
            return function(x)
        values, known = limits()
        kind = _kind(jnp.real(x)), _kind(jnp.imag(x))
        return jnp.where(jnp.asarray(known)[kind], jnp.asarray(values.astype(x.dtype))[kind], symmetric(x))

    return careful


# ------------------------------------------------------------------------------------------- to the device and back


def asarray(array, device=None):
    """A copy of a NumPy array on a device; by default where jax puts it.

    Raises
    ------
    TypeError
        XLA lacks the dtype.
    ValueError
        There is no such device.
    """
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise TypeError(f"XLA has no arrays of dtype {array.dtype}")
    copy = numpy.array(array, native, order="C", copy=True)  # jax may use the memory that it is given for ever
    return jax.device_put(copy, None if device is None else _device(device))


def _device(name):
    known = devices()
    if name not in (NAME, *known):
        raise ValueError(f"unknown device {name!r}; known: {', '.join(known)}")
    return jax.devices()[known.index(name) if name in known else 0]


def devices():
    """The names of the devices that jax sees, in its order."""
    return tuple(f"{NAME}:{i}" for i in range(len(jax.devices())))


def device_of(array):
    """The name of the device that holds an array; the backend's name where several hold it."""
    holders = array.devices()
    return f"{NAME}:{jax.devices().index(*holders)}" if len(holders) == 1 else NAME


def to_host(array):
    """A writeable copy in host memory."""
    return numpy.array(array)


def cast(array, dtype):
    """An array in another dtype; a number in a narrower or unsigned integer type wraps round, as it does in C."""
    if jnp.iscomplexobj(array) and dtype.kind in "iuf":
        array = jnp.real(array)
    if dtype.kind not in "iu" or not jnp.issubdtype(array.dtype, jnp.floating):
        return lax.convert_element_type(array, dtype)
    wrapped = lax.convert_element_type(lax.convert_element_type(array, numpy.int64), dtype)
    if dtype != numpy.uint64:
        return wrapped
    return jnp.where(array < 0, wrapped, lax.convert_element_type(array, dtype))


def _compiled(function):
    program = jax.jit(lambda arrays, params: function(*arrays, **dict(params)), static_argnums=1, inline=True)
    return lambda *arrays, **params: program(arrays, tuple(params.items()))


class Implementations(NumpyLike):
    """The impls of the backend, each a compiled program unless it looks at elements or has too many different params.

    Under jax's tracing a trip to the host becomes a callback of the compiled program.
    """

    NOT_COMPILED = {"add_at", "bincount", "getitem", "nonzero", "power", "setitem"}

    def function(self, op):
        function = super().function(op)
        if function is None or op.name in self.NOT_COMPILED:
            return function
        if op.name not in self.compiled:
            if op.name in ODD | EVEN | NEITHER:
                function = _as_in_c(function, op.spec)
            self.compiled[op.name] = _compiled(function)
        return self.compiled[op.name]

    @functools.cached_property
    def compiled(self):
        """Op name -> compiled function."""
        return {}

    def on_host(self, op, args, params):
        if any(isinstance(a, jax.core.Tracer) for a in args):
            return call_back(op, args, tuple(map(aval_of, args)), params)
        return super().on_host(op, args, params)


IMPLS = Implementations(
    NAME,
    jnp,
    FUNCTIONS,
    put=lambda value, dtype: asarray(numpy.asarray(value, dtype)),
    cast=cast,
    to_host=to_host,
    is_array=lambda value: isinstance(value, XlaArray),
    is_concrete=lambda array: not isinstance(array, jax.core.Tracer),
    dtypes=DTYPES,
)


# ---------------------------------------------------------------------------------------------------- compiled graphs


def compile_graph(graph):
    """Compile a graph with ``jax.jit``.

    Parameters
    ----------
    graph : npx.dispatch.graph.Graph

    Returns
    -------
    callable
        List of payloads to list of payloads, as `npx.dispatch.graph.evaluate`. Python scalars may be among either.
    """
    read = [v for node in graph.nodes for v in node.inputs] + graph.outputs
    fixed = list(dict.fromkeys(v for v in read if v.is_const and v.aval.ndim))
    fixed_arrays = [_argument(v.const, v.aval) for v in fixed]  # as arguments, they are no part of the program's text

    @jax.jit
    def program(args, constants):
        return _evaluate(graph, dict(zip((*graph.inputs, *fixed), (*args, *constants), strict=True)))

    def run(args):
        outs = program([_argument(a, v.aval) for a, v in zip(args, graph.inputs, strict=True)], fixed_arrays)
        return [v.aval.weak(out.item()) if v.aval.weak else out for out, v in zip(outs, graph.outputs)]

    return run


def _argument(value, aval):
    """A payload of this dtype on the device."""
    if isinstance(value, jax.core.Tracer):
        return jnp.asarray(value, aval.dtype)
    return value if isinstance(value, XlaArray) else asarray(numpy.asarray(value, aval.dtype))


def _evaluate(graph, env):
    for node in graph.nodes:
        args = tuple(env.get(v, v.const) if v.is_const else env[v] for v in node.inputs)
        avals = tuple(v.aval for v in node.inputs)
        if node.op.kind == "control":
            out = CONTROL[node.op.name](*map(_argument, args, avals), **node.params)
        else:
            out = _apply(node.op, args, avals, node.params)
        env.update(zip(node.outputs, (out,) if node.op.nout == 1 else out, strict=True))
    return [jnp.asarray(env.get(v, v.const) if v.is_const else env[v], v.aval.dtype) for v in graph.outputs]


def _body(region):
    """A region as a function of a sequence of jax arrays."""
    return lambda args: tuple(_evaluate(region.graph, dict(zip(region.graph.inputs, args, strict=True))))


def _for_loop(count, *operands, body, constants, reverse):
    fixed, run = operands[:constants], _body(body)

    def step(k, state):
        return run((count - 1 - k if reverse else k, *fixed, *state))

    return lax.fori_loop(jnp.zeros_like(count), count, step, operands[constants:])


def _while_loop(*operands, test, body, constants):
    fixed, check, run = operands[:constants], _body(test), _body(body)
    return lax.while_loop(lambda s: check((*fixed, *s))[0], lambda s: run((*fixed, *s)), operands[constants:])


def _cond(condition, *operands, yes, no):
    return lax.cond(condition, lambda *args: _body(yes)(args), lambda *args: _body(no)(args), *operands)


CONTROL = {"for_loop": _for_loop, "while_loop": _while_loop, "cond": _cond}


def _apply(op, args, avals, params):
    if op.name in IMPLS:
        return IMPLS.apply(op, args, avals, params)
    if op.expand is not None:
        return op.expand(*args, **params)
    return call_back(op, args, avals, params)


def call_back(op, args, avals, params):
    """Let the compiled program call the host for an op that XLA lacks; counted once, when it is compiled."""
    outs = op.abstract(avals, params)
    for aval in (*avals, *outs):
        if aval.dtype not in DTYPES:
            raise TypeError(f"{op.name} cannot be compiled by XLA: it has no arrays of dtype {aval.dtype}")
    count_round_trip(op.name, NAME)

    def on_host(*values):
        values = [a.weak(v.item()) if a.weak else numpy.asarray(v) for v, a in zip(values, avals)]
        results = op(*values, **params)
        return tuple(numpy.asarray(r, o.dtype) for r, o in zip((results,) if op.nout == 1 else results, outs))

    shapes = tuple(jax.ShapeDtypeStruct(o.shape, o.dtype) for o in outs)
    call = functools.partial(io_callback, ordered=True) if op.effect else jax.pure_callback
    results = call(on_host, shapes, *args)
    return results[0] if op.nout == 1 else results


BACKEND = registry.register_backend(
    registry.Backend(
        name=NAME,
        payload_type=XlaArray,
        impls=IMPLS,
        asarray=asarray,
        to_host=to_host,
        synchronize=jax.block_until_ready,
        compile=compile_graph,
        devices=devices,
        device_of=device_of,
        from_dlpack=jnp.from_dlpack,
    )
)
