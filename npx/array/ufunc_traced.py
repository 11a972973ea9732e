"""Calls of ufuncs where a tracer or a device array takes part.

The operands are brought to payloads and, where the user names a dtype, cast; the op gives the result; `where=` selects
between it and what was there, and `out=` is assigned. NumPy's errors come from a dry run (`npx.array.stand_ins`).
"""

import functools

import numpy
from numpy.lib.array_utils import normalize_axis_index

from npx.array.array_likes import arrays
from npx.array.errors import NoOp
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.slow import is_payload
from npx.array.stand_ins import dry_run
from npx.array.ufunc_python import call_python, is_python
from npx.array.views import write
from npx.dispatch import registry
from npx.dispatch.abstract import SCALAR_TYPES, aval_of, result_dtype, type_key
from npx.dispatch.debug import count_round_trip
from npx.dispatch.interpreter import Tracer, top_tracer
from npx.dispatch.payloads import broadcast_to, cast, is_inexact, ops, reshape

registry.declare_all()  # this module is imported when something is first traced

#: keywords that say which loop to take
LOOP_OPTIONS = frozenset(("dtype", "sig", "signature", "casting"))


def call(ufunc, *args, **kwargs):
    """``ufunc(*args, **kwargs)``."""
    if not ufunc.nin <= len(args) <= ufunc.nargs:
        ufunc.numpy(*(1,) * len(args))  # raises
    if len(args) > ufunc.nin and "out" not in kwargs:
        absent = (None,) * (ufunc.nargs - len(args))
        args, kwargs = args[: ufunc.nin], {**kwargs, "out": args[ufunc.nin :] + absent}
    inputs = tuple(map(operand, args))
    if ufunc.signature is not None:
        return _call_gufunc(ufunc, inputs, kwargs)
    inputs = strong(inputs)
    if not kwargs:
        return wrap_results(apply(ufunc, inputs))
    kwargs = array_options(kwargs)
    outs, where = outputs(ufunc, kwargs), kwargs.get("where", True)
    dry_run(ufunc.numpy, inputs, checkable(kwargs, outs))
    inputs = _cast_operands(ufunc, inputs, kwargs)
    if where is not True:
        inputs = tuple(_harmless_operand(ufunc, p, where) for p in inputs)
    return deliver(as_tuple(apply(ufunc, inputs)), outs, where, kwargs.get("out") is Ellipsis)


# ---------------------------------------------------------------------------------------------------------- arguments
def operand(x):
    """The payload of an operand: Python scalars stay as they are, all that is no array becomes one."""
    p = payload(x)
    if isinstance(p, (Tracer, numpy.ndarray, numpy.generic, *SCALAR_TYPES)) or is_payload(p):
        return p
    p = payload(arrays(p))
    return p if isinstance(p, (Tracer, numpy.ndarray)) or is_payload(p) else numpy.asarray(p)


def strong(inputs):
    """Operands of a ufunc, one at least with a dtype of its own: of Python numbers alone NumPy makes NumPy scalars."""
    avals = tuple(map(aval_of, inputs))
    if not all(a.weak for a in avals):
        return inputs
    first, *others = inputs
    first = ops.astype(first, dtype=avals[0].dtype) if isinstance(first, Tracer) else avals[0].dtype.type(first)
    return (first, *others)


def array_operand(x):
    """The payload of an operand that NumPy takes as an array, a Python scalar too."""
    p = operand(x)
    return numpy.asarray(p) if type(p) in SCALAR_TYPES else p


def array_options(kwargs):
    """Keyword arguments with payloads for the arrays among them, but for ``out``."""
    found = dict(kwargs)
    if found.get("initial") is not None:
        found["initial"] = operand(found["initial"])
    if found.get("where", True) is not True:
        found["where"] = operand(found["where"])
        if not hasattr(kwargs["where"], "dtype"):  # NumPy makes a mask of what is no array
            found["where"] = cast(array_operand(found["where"]), numpy.dtype(bool))
    return found


def outputs(ufunc, kwargs):
    """The arrays of ``out=``, one or None for each result; None where there are none.

    Raises
    ------
    TypeError
        A NumPy array is among them: it cannot hold a traced result.
    """
    out = kwargs.get("out")
    if out is None or out is Ellipsis:
        return None
    out = out if type(out) is tuple else (out,)
    for x in out:
        if isinstance(x, numpy.ndarray):
            raise TypeError(
                f"out= of {ufunc.__name__} is a numpy.ndarray, which cannot hold a result of a device or a transform: "
                "give an npx array"
            )
    return None if all(x is None for x in out) else out


def checkable(kwargs, outs):
    """The keyword arguments as a dry run takes them."""
    out = kwargs.get("out")
    if outs is None or type(out) is not tuple and type(out) is not ndarray:
        return kwargs
    held = tuple(payload(x) for x in outs)
    return {**kwargs, "out": held if type(out) is tuple else held[0]}


# ---------------------------------------------------------------------------------------------------------- results
def as_tuple(results):
    """The results of an op as a tuple."""
    return results if type(results) is tuple else (results,)


def wrap_results(results):
    """What a call without `out` returns."""
    return tuple(map(wrap_scalar, results)) if type(results) is tuple else wrap_scalar(results)


def deliver(results, outs=None, where=True, keep_arrays=False):
    """Return results, or assign them to `outs`, in the places that `where` selects."""
    outs = outs or (None,) * len(results)
    delivered = tuple(_deliver(r, out, where, keep_arrays) for r, out in zip(results, outs))
    return delivered[0] if len(delivered) == 1 else delivered


def _deliver(result, out, where, keep_array):
    aval = aval_of(result)
    if out is None:
        if where is not True:  # NumPy leaves the other places as it finds the memory
            result = ops.where(where, result, aval.dtype.type(0))
        return wrap(as_array(result)) if keep_array else wrap_scalar(result)
    if where is not True:
        result = ops.where(where, cast(result, out.dtype), payload(out))
    write(out, broadcast_to(as_array(cast(result, out.dtype)), aval_of(payload(out)).shape))
    return out


def as_array(p):
    """A payload that is no scalar of NumPy's or Python's."""
    return numpy.asarray(p) if isinstance(p, (numpy.generic, *SCALAR_TYPES)) else p


# ---------------------------------------------------------------------------------------------------------- the op
def op_of(function):
    """The op that a NumPy ufunc, or a bound method of one, is the specification of; None if there is none."""
    return _ops().get(function)


@functools.cache
def _ops():
    """NumPy's ufunc, or a bound method of one -> its op."""
    registry.declare_all()
    return {op.spec: op for op in list(registry.OPS.values()) if isinstance(_owner(op.spec), numpy.ufunc)}


def _owner(spec):
    """The object that a bound method belongs to; anything else itself."""
    return getattr(spec, "__self__", spec)


def apply(ufunc, inputs):
    """The results of the ufunc's op on payloads."""
    op = op_of(ufunc.numpy)
    return _without_op(ufunc, inputs) if op is None else op(*inputs)


def _without_op(ufunc, inputs):
    """A ufunc that npx has no op for: the host computes it, for a device or in a split of the graph."""
    tracer = top_tracer(inputs)
    if tracer is not None and is_python(ufunc.numpy) and not tracer.interpreter.captures:
        return call_python(ufunc.numpy, inputs, stack)
    if tracer is not None:
        if ufunc.signature is not None or not tracer.interpreter.captures:
            raise NoOp(ufunc, tracer.interpreter)
        reason = f"the ufunc {ufunc.__name__}"
        return ufunc.numpy(*(p.interpreter.concretize(p, reason) if isinstance(p, Tracer) else p for p in inputs))
    if ufunc.numpy in _inner_ufuncs():
        raise NoOp(ufunc, None)
    backend = next(registry.backend_for(type(p)) for p in inputs if is_payload(p) and not isinstance(p, numpy.ndarray))
    count_round_trip(ufunc.__name__, backend.name)
    results = ufunc.numpy(*(backend.to_host(p) if isinstance(p, backend.payload_type) else p for p in inputs))
    if type(results) is tuple:
        return tuple(backend.asarray(numpy.asarray(r)) for r in results)
    return backend.asarray(numpy.asarray(results))


@functools.cache
def _inner_ufuncs():
    """The ufuncs that only NumPy's own functions call: some write into an operand, or need `out`."""
    modules = (numpy.linalg._umath_linalg, numpy.fft._pocketfft_umath)
    return frozenset(f for module in modules for f in vars(module).values() if isinstance(f, numpy.ufunc))


def _cast_operands(ufunc, inputs, options):
    """The operands in the dtypes of the loop that the user asks for."""
    if LOOP_OPTIONS.isdisjoint(options):
        return inputs
    signature = options.get("signature", options.get("sig"))
    if options.get("dtype") is not None:
        signature = (None,) * ufunc.nin + (_dtype(options["dtype"]),) * ufunc.nout
    elif isinstance(signature, (tuple, list)):
        signature = tuple(s if s is None else _dtype(s) for s in signature)
    if signature is None:
        return inputs
    keys = tuple(type_key(aval_of(p)) for p in inputs) + (None,) * ufunc.nout
    dtypes = ufunc.resolve_dtypes(keys, signature=signature, casting=options.get("casting", "same_kind"))
    return tuple(cast_operand(p, dtype) for p, dtype in zip(inputs, dtypes))


def _dtype(given):
    """A dtype, also where NumPy's class of it is given."""
    return given() if isinstance(given, type) and issubclass(given, numpy.dtype) else numpy.dtype(given)


def cast_operand(p, dtype):
    """An operand, which may be a Python scalar, in this dtype."""
    return numpy.asarray(p, dtype)[()] if type(p) in SCALAR_TYPES else cast(p, dtype)


def _harmless_operand(ufunc, p, where):
    """An operand with a value in the places that `where` leaves out at which nothing can go wrong.

    NumPy computes nothing there: no warning may come from there, and no infinite derivative: 0 times it is nan.
    """
    if type(p) in SCALAR_TYPES:
        return p
    dtype = aval_of(p).dtype
    return ops.where(where, p, dtype.type(_harmless(ufunc.numpy) if is_inexact(dtype) else 1))


@functools.cache
def _harmless(ufunc):
    """A number for which a ufunc and its derivatives are finite: 0.5 lies in nearly every domain."""
    with numpy.errstate(all="ignore"):
        try:
            return next(v for v in (0.5, 2.0) if numpy.all(numpy.isfinite(ufunc(*(v,) * ufunc.nin))))
        except (TypeError, StopIteration):
            return 0.5


# ---------------------------------------------------------------------------------------------------------- stacking
def stack(payloads):
    """One payload from payloads and nested lists of one shape, along a new first axis, in their common dtype.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    parts = [stack(p) if isinstance(p, (list, tuple)) else array_operand(p) for p in payloads]
    avals = [aval_of(p) for p in parts]
    if len({a.shape for a in avals}) > 1:
        raise ValueError(
            "setting an array element with a sequence. The requested array has an inhomogeneous shape after "
            f"1 dimensions. The detected shape was ({len(parts)},) + inhomogeneous part."
        )
    dtype = result_dtype(*avals)
    return ops.concatenate(*(reshape(cast(p, dtype), (1, *a.shape)) for p, a in zip(parts, avals)), axis=0)


# ---------------------------------------------------------------------------------------------- core dimensions
def _call_gufunc(ufunc, inputs, kwargs):
    """A ufunc with core dimensions: its op works on the last axes, `axes`, `axis` and `keepdims` move them there."""
    outs = outputs(ufunc, kwargs)
    inputs = tuple(map(array_operand, inputs))
    dry_run(ufunc.numpy, inputs, checkable(kwargs, outs))
    cores = core_ranks(ufunc, inputs)
    axes = _core_axes(ufunc, cores, kwargs)
    operands = _cast_operands(ufunc, inputs, kwargs)
    if axes is not None:
        operands = tuple(_axes_last(p, where) for p, where in zip(operands, axes))
    results = as_tuple(apply(ufunc, operands))
    if kwargs.get("keepdims"):
        results = tuple(reshape(r, (*aval_of(r).shape, *(1,) * cores[0])) for r in results)
        cores = cores[: ufunc.nin] + (cores[0],) * ufunc.nout
    if axes is not None:
        results = tuple(_axes_back(r, where) for r, where in zip(results, axes[ufunc.nin :]))
    return deliver(results, outs, keep_arrays=kwargs.get("out") is Ellipsis)


def core_ranks(ufunc, inputs):
    """How many core dimensions each operand and result has; a dimension with a question mark may be missing."""
    sides = [side.strip("()").split("),(") for side in ufunc.signature.replace(" ", "").split("->")]
    names = [[tuple(filter(None, core.split(","))) for core in side] for side in sides]
    missing = set()
    for p, core in zip(inputs, names[0]):
        if len(aval_of(p).shape) < len(core):
            missing.update(d for d in core if d.endswith("?"))
    return tuple(sum(d not in missing for d in core) for core in names[0] + names[1])


def _core_axes(ufunc, cores, options):
    """A tuple of axes for each operand and result, from ``axes=`` or ``axis=``; None where they are the last ones."""
    axes = options.get("axes")
    if options.get("axis") is not None:
        axis = options["axis"]
        axes = [(axis,)] * ufunc.nin + [(axis,) if options.get("keepdims") else ()] * ufunc.nout
    if axes is None:
        return None
    axes = [where if isinstance(where, tuple) else (where,) for where in axes]
    if len(axes) == ufunc.nin:  # allowed where no result has core dimensions
        axes += [axes[0] if options.get("keepdims") else ()] * ufunc.nout
    return axes


def _axes_last(p, axes):
    rank = len(aval_of(p).shape)
    axes = tuple(normalize_axis_index(k, rank) for k in axes)
    order = (*(k for k in range(rank) if k not in axes), *axes)
    return p if order == tuple(range(rank)) else ops.transpose(p, axes=order)


def _axes_back(p, axes):
    rank = len(aval_of(p).shape)
    axes = tuple(normalize_axis_index(k, rank) for k in axes)
    order = (*(k for k in range(rank) if k not in axes), *axes)
    return p if order == tuple(range(rank)) else ops.transpose(p, axes=tuple(order.index(k) for k in range(rank)))
