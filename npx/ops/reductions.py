"""Reductions and scans that have a name or a derivative of their own: `sum`, `max`, `argmax`, `cumsum`, ...

A reduction that NumPy has a name for goes by that name. The others are called after ufunc and method:
``logaddexp.reduce``; most of them are in `ufunc_methods`.
"""

import math

import numpy

from npx.dispatch import rules
from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.batching import batch_over_axis
from npx.dispatch.payloads import cast, filled, ops, reshape, zeros
from npx.dispatch.rules import ALL_TYPES, example

from .elementwise import ANY, divisor, weight
from .indexing import along, read

#: ufunc -> the op that is its reduction, or its scan, where that has a name of its own
REDUCE = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_or": "any",
    "logical_and": "all",
}
ACCUMULATE = {"add": "cumsum", "multiply": "cumprod", "maximum": "cummax", "minimum": "cummin"}

ZEROS = numpy.array(
    [[3.0, 0.0, 0.0], [0.0, 2.0, 0.5], [-2.0, 1.0, 0.0], [0.5, 4.0, 0.25]]
)  # none, one, two in a column


def method_op(ufunc, method):
    """The name of the op that is `method` (reduce, accumulate or reduceat) of the ufunc called `ufunc`."""
    own = {"reduce": REDUCE, "accumulate": ACCUMULATE}.get(method, {})
    return own.get(ufunc, f"{ufunc}.{method}")


# Shape and dtype rules


def reduced_shape(shape, axis, keepdims=False, **_):
    """The shape after reducing `axis`, an int or a tuple."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(1 if k in axes else n for k, n in enumerate(shape) if keepdims or k not in axes)


# Pieces of derivatives


def selected(ans, x, axis):
    """The derivative of a largest or smallest element: 1 for it, equal shares where there are several."""
    mask = cast(x, aval_of(ans).dtype) == ans
    return mask / ops.sum(mask, axis=axis, dtype=aval_of(x).dtype, keepdims=True)


def log_sum(exp):
    """The derivative of the logarithm of a sum of powers: their shares, also where all are zero or infinite."""

    def shares(ans, x, axis):
        powers = exp(weight(ans, x))
        return powers / ops.sum(powers, axis=axis, dtype=aval_of(powers).dtype, keepdims=True)

    return shares


def part(x, axis, *bounds):
    """A slice along one axis."""
    return read(x, (slice(None),) * axis + (slice(*bounds),))


def flip(x, axis):
    return part(x, axis, None, None, -1)


def join(*payloads, axis):
    return ops.concatenate(*payloads, axis=axis)


def product_before(x, axis):
    """For each element the product of those before it along one axis."""
    aval = aval_of(x)
    if aval.shape[axis] == 0:
        return x
    one = filled(1, Aval(reduced_shape(aval.shape, axis, keepdims=True), aval.dtype))
    return join(one, ops.cumprod(part(x, axis, 0, -1), axis=axis, dtype=aval.dtype), axis=axis)


def product_of_others(_, x, axis, dtype):
    """For each element the product of the others over `axis`, without a division: zeros do no harm."""
    x, shape = cast(x, dtype), aval_of(x).shape
    order = (*(k for k in range(len(shape)) if k not in axis), *axis)
    count = math.prod(shape[k] for k in axis)
    lined_up = reshape(ops.transpose(x, axes=order), (*reduced_shape(shape, axis), count))
    last = len(shape) - len(axis)
    others = product_before(lined_up, last) * flip(product_before(flip(lined_up, last), last), last)
    back = tuple(order.index(k) for k in range(len(shape)))
    return ops.transpose(reshape(others, tuple(shape[k] for k in order)), axes=back)


def recurrence(a, b, axis):
    """``s`` with ``s[k] = a[k] * s[k - 1] + b[k]`` along an axis, in log2(n) steps over all places at once."""
    step, n = 1, aval_of(b).shape[axis]
    while step < n:
        late, early = part(a, axis, step, None), part(b, axis, 0, step)
        b = join(early, part(b, axis, step, None) + late * part(b, axis, 0, -step), axis=axis)
        a = join(part(a, axis, 0, step), late * part(a, axis, 0, -step), axis=axis)
        step *= 2
    return b


def cumprod_vjp(g, ans, x, axis, dtype):
    """``ct[i] = product before i * s[i]`` where ``s[i] = g[i] + x[i + 1] * s[i + 1]``: right for zeros too."""
    x = cast(x, aval_of(ans).dtype)
    backwards = flip(x, axis)
    factors = join(part(backwards, axis, 0, 1), part(backwards, axis, 0, -1), axis=axis)
    return product_before(x, axis) * flip(recurrence(factors, flip(g, axis), axis), axis)


def cumprod_jvp(tangents, ans, args, params):
    """``t[k] = x[k] * t[k - 1] + product before k * dx[k]``."""
    axis, dtype = params["axis"], aval_of(ans).dtype
    x, t = cast(args[0], dtype), cast(tangents[0], dtype)
    return recurrence(x, product_before(x, axis) * t, axis)


def places(ans, x, axis):
    """The index of the element that each place of a running maximum has taken: spec and arrays."""
    shape = aval_of(x).shape
    numbers = numpy.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return along(ops.cummax(ops.where(x == ans, numbers, 0), axis=axis), axis)


def running_vjp(g, ans, x, axis):
    spec, arrays = places(ans, x, axis)
    return ops.add_at(zeros(aval_of(x)), g, *arrays, index=spec)


def running_jvp(tangents, ans, args, params):
    spec, arrays = places(ans, args[0], params["axis"])
    return ops.getitem(tangents[0], *arrays, index=spec)


# Declarations


def reduced_dtype(ufunc):
    """The dtype in which NumPy reduces operands of a dtype: params of the examples."""
    return lambda dtype: ufunc.resolve_dtypes((None, dtype, None), reduction=True)[2]


def types_of(ufunc):
    """The types that the ufunc can reduce."""

    def reduces(code):
        try:
            return bool(reduced_dtype(ufunc)(numpy.dtype(code)))
        except TypeError:
            return False

    return tuple(filter(reduces, ALL_TYPES))


def axes_examples(types, domain, also, **params):
    """A reduction over each axis and over several, of arrays with and without elements."""
    for shape, axis in (
        ((2, 3), (1,)),
        ((3, 2, 2), (0,)),
        ((2, 3, 2), (0, 2)),
        ((0, 3), (1,)),
        ((2, 0), (1,)),
        ((), ()),
    ):
        yield example(shape, domain=domain, types=types, axis=axis, keepdims=False, **params)
    yield example((2, 3), domain=domain, types=types, axis=(1,), keepdims=True, **params)
    for x in also:
        yield example(x, types=(x.dtype.char,), axis=(0,), keepdims=False, **params)


def axis_examples(types, domain=ANY, also=(), **params):
    """One axis, as scans have it."""
    for shape, axis in (((4,), 0), ((2, 3), 1), ((3, 2, 2), 0), ((0, 3), 1), ((2, 0), 1)):
        yield example(shape, domain=domain, types=types, axis=axis, **params)
    for x in also:
        yield example(x, types=(x.dtype.char,), axis=0, **params)


def reduction_facts(name, ufunc, domain=ANY, also=(), with_dtype=False):
    """The facts, besides the derivative, of the op that is the reduction of a ufunc.

    Parameters
    ----------
    name : str
    ufunc : numpy.ufunc
    domain : tuple
        Where the examples lie.
    also : tuple of numpy.ndarray
        More examples.
    with_dtype : bool
        Whether the op has the param ``dtype``.
    """
    params = {"dtype": reduced_dtype(ufunc)} if with_dtype else {}
    return {
        "name": name,
        "kind": "reduction",
        "nin": 1,
        "spec": ufunc.reduce,
        "rule": rules.sampled(ufunc.reduce, reduced_shape),
        "batch": batch_over_axis,
        "examples": lambda: axes_examples(types_of(ufunc), domain, also, **params),
    }


def reduction(name, ufunc, *, deriv=None, **options):
    """Declare the op that is the reduction of a ufunc; see `reduction_facts` and `npx.dispatch.rules.reduction`."""
    rules.reduction(**reduction_facts(name, ufunc, **options), deriv=deriv)


def scan(name, ufunc, domain=ANY, also=(), with_dtype=False):
    """The facts, besides the derivative, of the op that is the scan of a ufunc; see `reduction_facts`."""
    params = {"dtype": reduced_dtype(ufunc)} if with_dtype else {}
    return {
        "name": name,
        "kind": "scan",
        "nin": 1,
        "spec": ufunc.accumulate,
        "rule": rules.sampled(ufunc.accumulate, lambda shape, **_: shape),
        "batch": batch_over_axis,
        "examples": lambda: axis_examples(types_of(ufunc), domain, also, **params),
    }


reduction("sum", numpy.add, with_dtype=True, deriv=1)
reduction("prod", numpy.multiply, also=(ZEROS,), with_dtype=True, deriv=product_of_others)
reduction("max", numpy.maximum, deriv=selected)
reduction("min", numpy.minimum, deriv=selected)
reduction("fmax.reduce", numpy.fmax, with_dtype=True, deriv=selected)
reduction("fmin.reduce", numpy.fmin, with_dtype=True, deriv=selected)
reduction("hypot.reduce", numpy.hypot, with_dtype=True, deriv=lambda ans, x: x / divisor(ans))
reduction("logaddexp.reduce", numpy.logaddexp, with_dtype=True, deriv=log_sum(ops.exp))
reduction("logaddexp2.reduce", numpy.logaddexp2, with_dtype=True, deriv=log_sum(ops.exp2))
reduction("any", numpy.logical_or)
reduction("all", numpy.logical_and)

for name, function in {"argmax": numpy.argmax, "argmin": numpy.argmin}.items():
    rules.reduction(
        name,
        spec=function,
        rule=rules.sampled(function, reduced_shape),
        examples=(*axis_examples(ALL_TYPES, keepdims=False), *axis_examples(("d",), keepdims=True)),
    )

rules.linear(
    **scan("cumsum", numpy.add, with_dtype=True),
    transpose=lambda g, _, axis: flip(ops.cumsum(flip(g, axis), axis=axis, dtype=aval_of(g).dtype), axis),
)
rules.primitive(**scan("cumprod", numpy.multiply, also=(ZEROS,), with_dtype=True), vjp=(cumprod_vjp,), jvp=cumprod_jvp)
rules.primitive(**scan("cummax", numpy.maximum), vjp=(running_vjp,), jvp=running_jvp)
rules.primitive(**scan("cummin", numpy.minimum), vjp=(running_vjp,), jvp=running_jvp)
