"""Sums of products: dot, inner, einsum, correlation; and piecewise linear interpolation."""

import numpy

from npx.api.support import array_operand, as_array, axis_or_flat, cast, deliver, function, method, promoted, raveled
from npx.array.ndarray import payload, wrap, wrap_scalar
from npx.array.views import view_of
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import conj, ops
from npx.dispatch.registry import op


@function("dot")
@method("dot")
def dot(a, b, out=None):
    """`numpy.dot`."""
    x, y = array_operand(a), array_operand(b)
    if not x.shape or not y.shape:
        return deliver(ops.multiply(x, y), out)
    return deliver(op("dot")(x, y), out)


@function("inner")
def inner(a, b, /):
    """`numpy.inner`."""
    x, y = array_operand(a), array_operand(b)
    if not x.shape or not y.shape:
        return wrap_scalar(ops.multiply(x, y))
    if x.shape[-1] != y.shape[-1]:
        numpy.inner(numpy.empty(x.shape[-1]), numpy.empty(y.shape[-1]))  # raises
    if len(y.shape) > 1:
        axes = list(range(len(y.shape)))
        y = op("transpose")(y, axes=(*axes[:-2], axes[-1], axes[-2]))
    return wrap_scalar(op("dot")(x, y))


@function("vdot")
def vdot(a, b, /):
    """`numpy.vdot`."""
    return wrap_scalar(op("dot")(raveled(conj(array_operand(a))), raveled(array_operand(b))))


@function("c_einsum")
def einsum(*operands, out=None, dtype=None, order="K", casting="safe"):
    """`numpy.einsum` without an order of contraction."""
    from opt_einsum.parser import parse_einsum_input  # not loaded before something is contracted under a transform

    if isinstance(operands[0], str):
        arrays = [array_operand(a) for a in operands[1:]]
        parts = (operands[0], *(tuple(a.shape) for a in arrays))
    else:
        arrays = [array_operand(a) for a in operands[: 2 * (len(operands) // 2) : 2]]
        parts = [p for a, axes in zip(arrays, operands[1::2]) for p in (tuple(a.shape), list(axes))]
        parts += [list(operands[-1])] if len(operands) % 2 else []
    inputs, result, _ = parse_einsum_input(parts, shapes=True)
    dtype = promoted(*arrays) if dtype is None else numpy.dtype(dtype)
    if len(arrays) == 1 and out is None and dtype == arrays[0].dtype and set(inputs) == set(result):
        return _rearranged(as_array(operands[1] if isinstance(operands[0], str) else operands[0]), inputs, result)
    return deliver(op("einsum")(*(cast(a, dtype) for a in arrays), subscripts=f"{inputs}->{result}"), out)


def _rearranged(x, axes, result):
    """What einsum makes of one operand without a sum: a view that may be written to, of a diagonal too."""
    for name in sorted(set(axes)):
        while axes.count(name) > 1:
            first, second = axes.index(name), axes.rindex(name)
            x = view_of(x, "diagonal", offset=0, axis1=first, axis2=second)
            axes = axes[:first] + axes[first + 1 : second] + axes[second + 1 :] + name
    return view_of(x, "transpose", axes=tuple(map(axes.index, result)))


# ------------------------------------------------------------------------------------------------------ running sums
def _running(name, op_name):
    """`ndarray.cumsum` and `cumprod`."""

    def method_of(self, axis=None, dtype=None, out=None):
        p, axis = axis_or_flat(payload(self), axis)
        dtype = getattr(numpy.empty(0, p.dtype), name)(dtype=dtype).dtype
        return deliver(op(op_name)(p, axis=axis, dtype=dtype), out)

    method_of.__name__, method_of.__doc__ = name, f"`ndarray.{name}`."
    return method(name)(method_of)


cumsum = _running("cumsum", "cumsum")
cumprod = _running("cumprod", "cumprod")


# ------------------------------------------------------------------------------------------------------ correlation
_MODES = {0: "valid", 1: "same", 2: "full", "v": "valid", "s": "same", "f": "full"}


@function("correlate2")
def correlate(a, v, mode="valid"):
    """`numpy.correlate`."""
    a, v = array_operand(a), array_operand(v)
    mode = _MODES.get(mode, mode)
    if len(a.shape) != 1 or len(v.shape) != 1 or not (a.shape[0] and v.shape[0]):
        numpy.correlate(numpy.empty(a.shape), numpy.empty(v.shape), mode)  # raises
    dtype = promoted(a, v)
    return wrap(op("correlate")(cast(a, dtype), cast(v, dtype), mode=mode))


@function("correlate")
def correlate_without_conjugate(a, v, mode="valid"):
    """What `numpy.convolve` calls: neither conjugates `v` nor turns the result around where `v` is the longer one."""
    a, v = array_operand(a), array_operand(v)
    if aval_of(a).size < aval_of(v).size:
        a, v = v, a
    return correlate(wrap(a), wrap(conj(v)), mode)


# ------------------------------------------------------------------------------------------------------ interpolation
@function("interp", "interp_complex")
def interp(x, xp, fp, left=None, right=None):
    """`numpy.interp` without a period, differentiable in `x`, `xp` and `fp`."""
    x, xp, fp = (as_array(a) for a in (x, xp, fp))
    x, xp = x.astype(float, copy=False), xp.astype(float, copy=False)
    fp = fp.astype(complex if fp.dtype.kind == "c" else float, copy=False)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    n = xp.shape[0]
    if n != fp.shape[0]:
        raise ValueError("fp and xp are not of the same length.")
    if n == 0:
        raise ValueError("array of sample points is empty")
    if n == 1:
        inside = fp[0] + 0 * x
    else:
        k = ops.minimum(ops.maximum(ops.subtract(payload(xp.searchsorted(x, "right")), 1), 0), n - 2)
        k = wrap(numpy.asarray(k)) if isinstance(k, numpy.generic) else wrap(k)
        slope = (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
        inside = slope * (x - xp[k]) + fp[k]
    inside = _choose(x >= xp[-1], fp[-1], inside)
    inside = _choose(x < xp[0], fp[0] if left is None else left, inside)
    result = _choose(x > xp[-1], fp[-1] if right is None else right, inside)
    return wrap_scalar(payload(result))


def _choose(condition, x, y):
    return wrap_scalar(op("where")(payload(condition), payload(x), payload(y)))
