"""What the tests generated from the op declarations share: operands for every example, and comparisons."""

import itertools
import math
from typing import NamedTuple

import numpy

import npx.ops  # noqa: F401  declares the ops; npx itself registers the host backend
from npx.dispatch import interpreter
from npx.dispatch.abstract import DataDependentShape, aval_of
from npx.dispatch.op import Op
from npx.dispatch.payloads import is_inexact
from npx.dispatch.registry import OPS
from npx.dispatch.rules import Operand

ALL_OPS = sorted(OPS.values(), key=lambda op: op.name)
UNITS = {"m": "m8[s]", "M": "M8[s]"}
LOW_PRECISION = {"e": 2e-3, "f": 1e-5, "F": 1e-5}


class Case(NamedTuple):
    """An op with operands and params to call it with."""

    op: Op
    operands: tuple
    params: dict
    types: str

    def __str__(self):
        shown = ", ".join(str(aval_of(x)) for x in self.operands)
        return f"{self.op.name}({shown}, {self.params})"

    def expected(self):
        """What NumPy returns, as a tuple; or the exception that it raises."""
        try:
            return results(self.op, self.op.spec(*self.operands, **self.params))
        except Exception as error:
            return error


def results(op, out):
    """The results of an op as a tuple."""
    return (out,) if op.nout == 1 else tuple(out)


def cases(op, only=None, seed=0):
    """Every example of an op with every one of its types; `only` these, given as a predicate."""
    rng = numpy.random.default_rng([seed, *op.name.encode()])
    for example in op.examples:
        for types in filter(only, example.types):
            codes = itertools.cycle(types)
            operands = tuple(draw(o, next(codes), rng) if isinstance(o, Operand) else o for o in example.operands)
            params = {k: p(numpy.dtype(types[0])) if callable(p) else p for k, p in example.params.items()}
            yield Case(op, operands, params, types)


def plain(types):
    """Whether these are types in which a test need not be repeated: double precision only."""
    return set(types) <= {"l", "d", "D"}


def double(types):
    """Whether these are types in which derivatives are compared with differences."""
    return set(types) <= set("?ldD") and set(types) & set("dD")


def draw(operand, code, rng):
    """A random array; integers are those in the operand's domain."""
    shape, low, high = operand.shape, operand.low, operand.high
    dtype = numpy.dtype(UNITS.get(operand.dtype or code, operand.dtype or code))
    if dtype.kind == "b":
        return numpy.asarray(rng.random(shape) < 0.5)
    if dtype.kind == "c":
        return numpy.asarray(rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)).astype(dtype)
    if dtype.kind in "iumM":
        least = 0 if dtype.kind == "u" else math.ceil(low)
        return numpy.asarray(rng.integers(max(least, math.ceil(low)), math.floor(high), shape, endpoint=True)).astype(
            dtype
        )
    return numpy.asarray(rng.uniform(low, high, shape)).astype(dtype)


def with_gaps(x):
    return numpy.repeat(x, 2, axis=-1)[..., ::2]


def backwards(x):
    return numpy.flip(numpy.flip(x).copy())


#: what a memory layout is made by, of a C-contiguous array
LAYOUTS = (numpy.asfortranarray, with_gaps, backwards)


def direction(x, rng):
    """A random tangent or cotangent of `x`; None where it has none."""
    aval = aval_of(x)
    if not is_inexact(aval.dtype):
        return None
    return draw(Operand(aval.shape, -1.0, 1.0), aval.dtype.char, rng)


def tolerance(dtype):
    """The relative error that the last digits of a dtype allow."""
    return LOW_PRECISION.get(dtype.char, 1e-13)


def assert_same(got, want, context):
    """Equal in shape and dtype, and in value up to the last digits."""
    have, need = aval_of(got), aval_of(want)
    assert (have.shape, have.dtype) == (need.shape, need.dtype), f"{context}: {have}, NumPy: {need}"
    if is_inexact(need.dtype):
        rtol = tolerance(need.dtype)
        numpy.testing.assert_allclose(got, want, rtol=rtol, atol=rtol, err_msg=str(context))
    else:
        numpy.testing.assert_array_equal(got, want, err_msg=str(context))


def builtin_class(error):
    """The class by which a caller would catch an exception: NumPy's own ones count as what they derive from."""
    return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


class Opaque(interpreter.Interpreter):
    """Runs every op at once, but shows only tracers: a rule that looks at a value fails. Checks the shape rules too."""

    def process(self, op, args, params):
        out = op(*(lower(a) for a in args), **params)
        try:
            avals = op.abstract(tuple(map(aval_of, args)), params)
        except DataDependentShape:
            avals = [aval_of(x) for x in results(op, out)]
        for x, aval in zip(results(op, out), avals, strict=True):
            assert (numpy.shape(x), aval_of(x).dtype) == (aval.shape, aval.dtype), op
        return self.lift(out) if op.nout == 1 else tuple(map(self.lift, out))

    def lift(self, value):
        """A tracer of `value`, or None for None."""
        return None if value is None else OpaqueTracer(self, value)


class OpaqueTracer(interpreter.Tracer):
    __slots__ = ("aval", "value")

    def __init__(self, owner, value):
        self.interpreter, self.value, self.aval = owner, value, aval_of(value)


def lower(x):
    """The value of an opaque tracer; anything else as it is."""
    return x.value if isinstance(x, OpaqueTracer) else x


def in_promised_order(case, result):
    """A result without what NumPy leaves open: the order of equal elements, or of those between the kth ones."""
    if case.op.name not in ("argsort", "partition", "argpartition") or case.params.get("stable"):
        return result
    axis = case.params["axis"]
    if case.op.name.startswith("arg"):
        result = numpy.take_along_axis(case.operands[0], result, axis)
    parts = numpy.split(result, [n for k in case.params.get("kth", ()) for n in (k, k + 1)], axis)
    return numpy.concatenate([numpy.sort(part, axis) for part in parts], axis)
