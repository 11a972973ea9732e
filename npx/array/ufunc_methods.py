"""The methods of ufuncs where a tracer or a device array takes part."""

import numpy
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from npx.array.ndarray import ndarray, payload, wrap
from npx.array.stand_ins import dry_run
from npx.array.ufunc_traced import (
    apply,
    array_operand,
    array_options,
    call,
    cast_operand,
    checkable,
    deliver,
    op_of,
    operand,
    outputs,
)
from npx.array.views import write
from npx.dispatch.abstract import Aval, Hole, aval_of
from npx.dispatch.payloads import broadcast_to, cast, ops, reshape

#: parameters of the methods after the operands, in order
PARAMETERS = {
    "reduce": ("axis", "dtype", "out", "keepdims", "initial", "where"),
    "accumulate": ("axis", "dtype", "out"),
    "reduceat": ("axis", "dtype", "out"),
}

#: the ops of methods that have no param ``dtype``
WITHOUT_DTYPE = frozenset(("max", "min", "any", "all", "cummax", "cummin"))

#: ufuncs without identity that may take an element twice
IDEMPOTENT = frozenset(("maximum", "minimum", "fmax", "fmin"))

#: ufuncs that depend on the order of the elements -> the second operand that changes nothing
NEUTRAL_SECOND = {"subtract": 0, "divide": 1}


class _Call:
    """What `reduce`, `accumulate` and `reduceat` share: arguments that NumPy has checked, the dtype to compute in."""

    def __init__(self, ufunc, method, args, kwargs, checked=()):
        names = PARAMETERS[method]
        self.ufunc, self.method = ufunc, method
        first = 1 + len(checked)
        given = {**dict(zip(names, args[first:])), **kwargs}
        self.options = array_options({k: v for k, v in given.items() if v is not numpy._NoValue})
        self.outs = outputs(ufunc, self.options)
        self.x = array_operand(args[0])
        self.aval = aval_of(self.x)
        self._check(checked)
        self.axis = self.options.get("axis", 0)

    def _check(self, checked):
        options = checkable(self.options, self.outs)
        self.dtype = dry_run(getattr(self.ufunc.numpy, self.method), (self.x, *checked), options)
        if self.outs is not None:
            self.dtype = self.options.get("dtype")
            if self.dtype is None:
                self.dtype = self.ufunc.resolve_dtypes(
                    (self.outs[0].dtype, self.aval.dtype, None), reduction=True, casting="unsafe"
                )[2]
        self.dtype = numpy.dtype(self.dtype)

    def op(self, *operands, **params):
        """Apply the op of this method; one without the param ``dtype`` gets its operand cast."""
        op = op_of(getattr(self.ufunc.numpy, self.method))
        if op is None:
            raise TypeError(f"{self.ufunc.__name__}.{self.method} cannot be traced: no type is closed under it")
        if op.name not in WITHOUT_DTYPE:
            params["dtype"] = self.dtype
        elif self.dtype != bool:
            operands = (cast(operands[0], self.dtype), *operands[1:])
        return op(*operands, **params)

    def deliver(self, result):
        """Return the result, in `out` if there is one."""
        return deliver((result,), self.outs, keep_arrays=self.options.get("out") is Ellipsis)


def _check_number(ufunc, method, args, kwargs):
    """NumPy's complaint about the number of arguments."""
    operands, names = 2 if method == "reduceat" else 1, PARAMETERS[method]
    by_position = names[: max(len(args) - operands, 0)]
    if not args or len(args) > operands + len(names) or not kwargs.keys().isdisjoint(by_position):
        getattr(ufunc.numpy, method)(*(None,) * len(args), **kwargs)  # raises


# ---------------------------------------------------------------------------------------------------------- reduce
def reduce(ufunc, *args, **kwargs):
    """``ufunc.reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=..., where=True)``."""
    _check_number(ufunc, "reduce", args, kwargs)
    this = _Call(ufunc, "reduce", args, kwargs)
    x, axes = this.x, _axes(this.axis, this.aval.ndim)
    keepdims = bool(this.options.get("keepdims", False))
    initial, where = this.options.get("initial", ufunc.identity), this.options.get("where", True)
    ordered = ufunc.identity is None and ufunc.__name__ not in IDEMPOTENT
    if where is not True:
        if ordered and ufunc.__name__ not in NEUTRAL_SECOND:
            raise TypeError(f"{ufunc.__name__}.reduce with where= cannot be traced")
        neutral = ufunc.identity if ufunc.identity is not None else NEUTRAL_SECOND.get(ufunc.__name__, initial)
        x = ops.where(where, cast(x, this.dtype), cast_operand(neutral, this.dtype))
    if "initial" not in this.options or initial is None:
        return this.deliver(this.op(x, axis=axes, keepdims=keepdims))
    initial = cast_operand(initial, this.dtype)
    if ufunc.identity is None and any(this.aval.shape[k] == 0 for k in axes):  # nothing to reduce: only `initial`
        shape = tuple(1 if k in axes else n for k, n in enumerate(this.aval.shape) if keepdims or k not in axes)
        return this.deliver(broadcast_to(initial, shape))
    if ordered and axes:
        x = _with_first(cast(x, this.dtype), initial, *axes)
        return this.deliver(this.op(x, axis=axes, keepdims=keepdims))
    result = this.op(x, axis=axes, keepdims=keepdims)
    return this.deliver(cast(apply(ufunc, (initial, result)), this.dtype))


def _axes(axis, ndim):
    """The axes of a reduction as an ascending tuple; a 0-d array has the axes 0 and -1 for NumPy."""
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0:
        return ()
    return tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _with_first(x, initial, axis):
    """`x` with `initial` put before its first elements along an axis."""
    shape = tuple(1 if k == axis else n for k, n in enumerate(aval_of(x).shape))
    return ops.concatenate(broadcast_to(initial, shape), x, axis=axis)


# ---------------------------------------------------------------------------------------------- accumulate, reduceat
def accumulate(ufunc, *args, **kwargs):
    """``ufunc.accumulate(array, axis=0, dtype=None, out=None)``."""
    _check_number(ufunc, "accumulate", args, kwargs)
    this = _Call(ufunc, "accumulate", args, kwargs)
    return this.deliver(this.op(this.x, axis=_one_axis(this)))


def reduceat(ufunc, *args, **kwargs):
    """``ufunc.reduceat(array, indices, axis=0, dtype=None, out=None)``."""
    _check_number(ufunc, "reduceat", args, kwargs)
    if len(args) < 2:
        args, kwargs = (*args, kwargs["indices"]), {k: v for k, v in kwargs.items() if k != "indices"}
    indices = array_operand(args[1])
    this = _Call(ufunc, "reduceat", args, kwargs, checked=((0,) * aval_of(indices).size,))
    axis = _one_axis(this)
    if isinstance(indices, numpy.ndarray):  # out of bounds?
        ufunc.numpy.reduceat(numpy.ones(this.aval.shape[axis], this.dtype), indices)
    return this.deliver(this.op(this.x, indices, axis=axis))


def _one_axis(this):
    axis = this.axis[0] if isinstance(this.axis, tuple) else this.axis
    return normalize_axis_index(0 if axis is None else axis, this.aval.ndim)


# ---------------------------------------------------------------------------------------------------------- outer
def outer(ufunc, *args, **kwargs):
    """``ufunc.outer(A, B, **kwargs)``."""
    inputs = tuple(map(operand, args))
    dry_run(ufunc.numpy.outer, inputs, checkable(array_options(kwargs), outputs(ufunc, kwargs)))
    left, right = inputs
    shape, rank = aval_of(left).shape, aval_of(right).ndim
    return call(ufunc, wrap(reshape(left, shape + (1,) * rank)) if shape else args[0], args[1], **kwargs)


# ---------------------------------------------------------------------------------------------------------- at
def at(ufunc, *args, **kwargs):
    """``ufunc.at(a, indices, b=None)``."""
    if not 2 <= len(args) <= 3 or kwargs or type(args[0]) is not ndarray:
        _refuse_at(ufunc, args, kwargs)
    a, indices, b = args[0], args[1], tuple(map(operand, args[2:]))
    x = payload(a)
    aval = aval_of(x)
    dry_run(ufunc.numpy.at, (Aval((1,), aval.dtype), 0, *(_element(v) for v in b)), {})
    places = payload(wrap(numpy.arange(aval.size).reshape(aval.shape))[indices])
    shape = aval_of(places).shape
    count = (aval_of(places).size,)
    b = tuple(reshape(broadcast_to(v, shape), count) for v in b)
    flat = _at_flat(ufunc, reshape(x, (aval.size,)), reshape(places, count), *b)
    write(a, reshape(flat, aval.shape))


def _refuse_at(ufunc, args, kwargs):
    """Raise NumPy's error for the arguments of `at`."""
    if args and isinstance(args[0], numpy.ndarray):
        outputs(ufunc, {"out": args[0]})
    numpy.ufunc.at(ufunc.numpy, *(None,) * len(args), **kwargs)


def _element(v):
    """One element of an operand, for a dry run."""
    aval = aval_of(v)
    return v if aval.weak else Aval((), aval.dtype)


def _at_flat(ufunc, x, places, *b):
    """The 1-d payload `x` after operating at `places` (flat indices), one after the other where a place comes again."""
    if ufunc.__name__ == "add":
        return ops.add_at(x, cast(*b, aval_of(x).dtype), places, index=(Hole(0),))
    if ufunc.__name__ == "subtract":
        return ops.add_at(x, ops.negative(cast(*b, aval_of(x).dtype)), places, index=(Hole(0),))
    for chosen in _rounds(numpy.asarray(places)):
        where = places[chosen]
        operands = (_take(x, where), *(_take(v, chosen) for v in b))
        x = ops.setitem(x, cast(apply(ufunc, operands), aval_of(x).dtype), where, index=(Hole(0),))
    return x


def _take(x, places):
    return ops.getitem(x, places, index=(Hole(0),))


def _rounds(places):
    """Split the positions in `places` such that each part names every place at most once, in order of occurrence."""
    order = numpy.argsort(places, kind="stable")
    ordered = places[order]
    occurrence = numpy.arange(places.size) - numpy.searchsorted(ordered, ordered)
    return [numpy.sort(order[occurrence == k]) for k in range(occurrence.max(initial=-1) + 1)]
