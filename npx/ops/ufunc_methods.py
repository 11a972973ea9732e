"""`reduce`, `accumulate` and `reduceat` of every binary ufunc, where they have no rule of their own in `reductions`.

All follow from one fact: ``s[k] = f(s[k - 1], x[k])``. With the partial derivatives of the ufunc at those operands the
tangents and cotangents of a scan are themselves recurrences, linear ones. A reduction is the last element of a scan,
and `reduceat` is a table of scans, a row for each segment.
"""

import numpy

from npx.dispatch import rules
from npx.dispatch.abstract import Aval, Hole, aval_of
from npx.dispatch.batching import batch_over_axis
from npx.dispatch.payloads import cast, filled, ops, zeros
from npx.dispatch.registry import OPS
from npx.dispatch.rules import Operand, example

from .contractions import column
from .elementwise import NATURAL, UFUNCS, keeps_floats
from .index_specs import FULL
from .indexing import read
from .reductions import (
    flip,
    join,
    method_op,
    part,
    recurrence,
    reduced_dtype,
    reduced_shape,
    reduction_facts,
    scan,
    types_of,
)
from .shaping import move_axis

#: ufuncs whose scan has no param ``dtype``
WITHOUT_DTYPE = ("maximum", "minimum")


#: ufuncs that NumPy reduces wrongly where it has a vector loop for them (AVX512): elements between are left out
UNCHAINED = ("arctan2", "power")


def scan_of(name, x, axis):
    """``ufunc.accumulate(x, axis)`` in the dtype of `x`."""
    params = {} if name in WITHOUT_DTYPE else {"dtype": aval_of(x).dtype}
    return getattr(ops, method_op(name, "accumulate"))(x, axis=axis, **params)


def partials(name, x, ans, axis):
    """The derivatives of each step of a scan: by the result before it, 0 for the first, and by the element.

    Parameters
    ----------
    name : str
        Of the ufunc.
    x, ans : payload
        Elements, and the scan of them, in one dtype.
    axis : int
    """
    step, operands = OPS[name], (part(ans, axis, None, -1), part(x, axis, 1, None))
    result = part(ans, axis, 1, None)
    one = filled(1, aval_of(result))
    pulled = (step.vjp(k, one, result, operands, {}) for k in (0, 1))
    by_result, by_element = (zeros(aval_of(result)) if ct is None else ct for ct in pulled)
    first = part(filled(1, aval_of(ans)), axis, None, 1)
    return join(first * 0, by_result, axis=axis), join(first, by_element, axis=axis)


def push(by_result, by_element, t, axis):
    """The tangents of the steps of a scan: ``t[k] = by_result[k] * t[k - 1] + by_element[k] * dx[k]``."""
    return recurrence(by_result, by_element * t, axis)


def pull(by_result, by_element, g, axis):
    """The transpose of `push`: ``s[k] = g[k] + by_result[k + 1] * s[k + 1]``, each times ``by_element[k]``."""
    backwards = flip(by_result, axis)
    factors = join(part(backwards, axis, None, 1), part(backwards, axis, None, -1), axis=axis)
    return by_element * flip(recurrence(factors, flip(g, axis), axis), axis)


def has_steps(x, axis):
    """Whether there is an element along `axis`, so that a scan has a first one."""
    return aval_of(x).shape[axis] > 0


def accumulate_derivatives(name):
    """The rules of ``ufunc.accumulate``."""

    def vjp(g, ans, x, axis, dtype):
        x = cast(x, aval_of(ans).dtype)
        return pull(*partials(name, x, ans, axis), g, axis) if has_steps(x, axis) else g

    def jvp(tangents, ans, args, params):
        axis, dtype = params["axis"], aval_of(ans).dtype
        x, t = cast(args[0], dtype), cast(tangents[0], dtype)
        return push(*partials(name, x, ans, axis), t, axis) if has_steps(x, axis) else t

    return {"vjp": (vjp,), "jvp": jvp}


def last(x, axis, keepdims):
    """The last element along an axis."""
    return read(x, (slice(None),) * axis + ((slice(-1, None) if keepdims else -1),))


def reduce_derivatives(name):
    """The rules of ``ufunc.reduce``, where the order of the elements counts: over one axis, or none."""

    def vjp(g, _ans, x, axis, dtype, keepdims):
        x = cast(x, dtype)
        if not axis:
            return g
        (axis,) = axis
        shape = aval_of(x).shape
        if not shape[axis]:
            return zeros(aval_of(x))
        g = ops.reshape(g, shape=reduced_shape(shape, axis, keepdims=True))
        rest = zeros(Aval((*shape[:axis], shape[axis] - 1, *shape[axis + 1 :]), aval_of(g).dtype))
        return pull(*partials(name, x, scan_of(name, x, axis), axis), join(rest, g, axis=axis), axis)

    def jvp(tangents, ans, args, params):
        x, t = cast(args[0], params["dtype"]), cast(tangents[0], params["dtype"])
        if not params["axis"]:
            return t
        (axis,) = params["axis"]
        if not aval_of(x).shape[axis]:
            return zeros(aval_of(ans))
        pushed = push(*partials(name, x, scan_of(name, x, axis), axis), t, axis)
        return last(pushed, axis, params["keepdims"])

    return {"vjp": (vjp,), "jvp": jvp}


# ---------------------------------------------------------------------------------------------------------- reduceat


def segments(starts, n):
    """The places of the elements of each segment, a row for each, and which of them count.

    A segment ends where the next one begins, and has one element where that would leave none. Rows are filled up with
    the last element.
    """
    starts = cast(starts, numpy.dtype(numpy.intp))
    starts = ops.where(starts < 0, starts + n, starts)
    ends = join(part(starts, 0, 1, None), numpy.full(1, n), axis=0)
    count = ops.maximum(ends - starts, 1)
    longest = int(count.max(initial=1)) if isinstance(count, numpy.ndarray) else n
    steps, (first, last_step) = numpy.arange(longest), map(column, (starts, count - 1))
    return first + ops.minimum(steps, last_step), steps <= last_step, steps == last_step


def rows(x, places):
    """The elements along the last axis at each row's places."""
    return read(x, (Ellipsis, places))


def table(name, x, starts, axis, dtype):
    """The segments of `x` as rows: how to gather them, the steps' derivatives, and where each segment ends."""
    x = move_axis(cast(x, dtype), axis, aval_of(x).ndim - 1)
    places, counts, ends = segments(starts, aval_of(x).shape[-1])
    filled_up = rows(x, places)
    along = aval_of(filled_up).ndim - 1
    by_result, by_element = partials(name, filled_up, scan_of(name, filled_up, along), along)
    return places, ops.where(counts, by_result, 0), ops.where(counts, by_element, 0), ends


def reduceat_derivatives(name):
    """The rules of ``ufunc.reduceat``."""

    def vjp(g, _ans, x, starts, axis, dtype):
        aval = aval_of(x)
        behind = aval.ndim - 1
        if not aval_of(starts).size:
            return zeros(aval)
        places, by_result, by_element, ends = table(name, x, starts, axis, dtype)
        g = move_axis(g, axis, behind)
        g = ops.where(ends, column(g), 0)
        pulled = pull(by_result, by_element, g, behind + 1)
        shape = tuple(n for k, n in enumerate(aval.shape) if k != axis) + (aval.shape[axis],)
        index = (FULL,) * behind + (Hole(0),)
        ct = ops.add_at(zeros(Aval(shape, aval_of(pulled).dtype)), pulled, places, index=index)
        return move_axis(ct, behind, axis)

    def jvp(tangents, ans, args, params):
        (x, starts), axis, dtype = args, params["axis"], params["dtype"]
        behind = aval_of(x).ndim - 1
        if not aval_of(starts).size:
            return zeros(aval_of(ans))
        places, by_result, by_element, ends = table(name, x, starts, axis, dtype)
        t = rows(move_axis(cast(tangents[0], dtype), axis, behind), places)
        pushed = push(by_result, by_element, t, behind + 1)
        chosen = ops.where(ends, pushed, 0)
        out = ops.sum(chosen, axis=(behind + 1,), dtype=aval_of(chosen).dtype, keepdims=False)
        return move_axis(out, behind, axis)

    return {"vjp": (vjp, None), "jvp": jvp}


def reduceat_shape(shape, indices, axis, **_):
    return (*shape[:axis], *indices, *shape[axis + 1 :])


def reduceat_facts(ufunc):
    starts = numpy.array([0, 3, 1, 1])
    shapes = (((5,), 0), ((2, 4), 1), ((4, 0), 0))
    return {
        "name": method_op(ufunc.__name__, "reduceat"),
        "kind": "reduction",
        "nin": 2,
        "spec": ufunc.reduceat,
        "rule": rules.sampled(ufunc.reduceat, reduceat_shape),
        "batch": batch_over_axis,
        "examples": lambda: (
            example(Operand(shape, *NATURAL), starts, types=types_of(ufunc), axis=axis, dtype=reduced_dtype(ufunc))
            for shape, axis in shapes
        ),
    }


# ------------------------------------------------------------------------------------------------------ declarations


def is_binary_operation(ufunc):
    """Whether some type is closed under the ufunc, so that it can be repeated."""
    loops = (loop.partition("->") for loop in ufunc.types)
    return ufunc.nin == 2 and any(operands == 2 * result for operands, _, result in loops)


def derivatives(rules_of, name):
    """The derivatives of a method of the ufunc `name`, or why it has none: mostly as for the ufunc itself."""
    if not keeps_floats(UFUNCS[name]):
        return {"vjp": (None,), "no_deriv": None}
    if OPS[name].no_deriv is not None:
        return {"no_deriv": OPS[name].no_deriv}
    if name in UNCHAINED and rules_of is not accumulate_derivatives:
        return {"no_deriv": f"on some processors NumPy leaves elements out; {name}.accumulate has a derivative"}
    return rules_of(name)


for name, ufunc in UFUNCS.items():
    if is_binary_operation(ufunc):
        if (method := method_op(name, "reduce")) not in OPS:
            facts = derivatives(reduce_derivatives, name)
            rules.primitive(**reduction_facts(method, ufunc, NATURAL, with_dtype=True), **facts)
        if (method := method_op(name, "accumulate")) not in OPS:
            facts = derivatives(accumulate_derivatives, name)
            rules.primitive(**scan(method, ufunc, NATURAL, with_dtype=True), **facts)
        rules.primitive(**reduceat_facts(ufunc), **derivatives(reduceat_derivatives, name))
