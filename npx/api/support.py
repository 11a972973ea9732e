"""The tables of array-level versions, and what their authors need: operands, results, stand-ins."""

import importlib
import operator

import numpy
from numpy._core import multiarray

from npx import numpy_layer
from npx.array.array_likes import arrays
from npx.array.calling import make_wrapper
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.records import RecordTracer
from npx.dispatch.abstract import aval_of, type_key
from npx.dispatch.interpreter import Tracer
from npx.dispatch.registry import backend_for, op

#: NumPy's function -> its version for any payload
FUNCTIONS = {}
#: name of an array method -> its version for any payload
METHODS = {}


def function(*names):
    """Register the version of functions of NumPy's C layer."""

    def register(version):
        for name in names:
            FUNCTIONS[getattr(multiarray, name)] = version
        return version

    return register


def method(*names):
    """Register the version of array methods, called with the array first."""

    def register(version):
        for name in names:
            METHODS[name] = version
        return version

    return register


def python_function(module, name, on_host=True):
    """Register the version of a function of NumPy's Python layer, or of a method of one of its classes.

    Parameters
    ----------
    module, name : str
    on_host : bool
        Take it for arrays in host memory, too, when re-executed code calls it.
    """

    def register(version):
        taken = version
        if not on_host:
            original = getattr(importlib.import_module(module), name)
            taken = make_wrapper(original, lambda function, args, kwargs: version(*args, **kwargs))
        numpy_layer.OVERRIDES.setdefault(module, {})[name] = taken
        return version

    return register


def edit(module, head, source, function):
    """Put `source`, in which {} stands for `function`, in the place of an `if` statement of NumPy's Python layer."""
    name = f"_npx_{function.__name__}"
    numpy_layer.EDITS[module, head] = source.format(name), {name: function}


# ------------------------------------------------------------------------------------------------------ operands
def operand(x):
    """The payload of an array argument; lists become arrays, Python scalars stay as they are."""
    if isinstance(x, (list, tuple)):
        return stack(x)
    p = payload(arrays(x))
    if isinstance(p, (Tracer, numpy.ndarray, numpy.generic, bool, int, float, complex)) or _on_device(p):
        return p
    return numpy.asarray(p)


def array_operand(x):
    """The payload of an array argument that is not to count as a Python scalar."""
    p = operand(x)
    if isinstance(p, Tracer) and p.aval.weak is not None:
        return op("astype")(p, dtype=p.dtype)
    return numpy.asarray(p) if isinstance(p, (bool, int, float, complex)) else p


def _on_device(p):
    try:
        return backend_for(type(p)) is not None
    except TypeError:
        return False


def as_array(x):
    """An npx array: `x` itself if it is one and does not stand for a scalar."""
    if type(x) is ndarray and not x.scalar:
        return x
    p = array_operand(x)
    return wrap(numpy.asarray(p) if isinstance(p, numpy.generic) else p)


def stack(items):
    """Nested sequences that may hold arrays, as one payload.

    Raises
    ------
    ValueError
        The parts differ in shape.
    """
    parts = [array_operand(item) for item in items]
    if all(isinstance(p, (numpy.ndarray, numpy.generic)) for p in parts):
        return numpy.array(parts) if parts else numpy.asarray(items)
    if len({tuple(p.shape) for p in parts}) > 1:
        raise ValueError(
            "setting an array element with a sequence. The requested array has an inhomogeneous shape after 1 "
            f"dimensions. The detected shape was ({len(parts)},) + inhomogeneous part."
        )
    return concatenated([op("reshape")(p, shape=(1, *p.shape)) for p in parts], 0)


def concatenated(parts, axis, dtype=None):
    """Payloads joined along an axis, cast to their common dtype."""
    dtype = promoted(*parts) if dtype is None else dtype
    return op("concatenate")(*(cast(p, dtype) for p in parts), axis=axis)


def promoted(*parts):
    """NumPy's result dtype of payloads."""
    return numpy.result_type(*(_sample(type_key(aval_of(p))) for p in parts))


def _sample(key):
    return key(0) if isinstance(key, type) else key


def cast(p, dtype):
    """A payload in another dtype.

    Raises
    ------
    TypeError
        Objects are asked of a tracer, which cannot be split into them.
    """
    if isinstance(p, (bool, int, float, complex)):
        return numpy.asarray(p, dtype)
    if p.dtype == dtype:
        return p
    if numpy.dtype(dtype).kind == "O" and isinstance(p, Tracer):
        raise TypeError("an array that is being traced cannot become an array of objects")
    return op("astype")(p, dtype=numpy.dtype(dtype))


def reshaped(p, shape):
    """A payload in another shape of the same size, given without -1."""
    return p if tuple(p.shape) == tuple(shape) else op("reshape")(p, shape=tuple(shape))


def raveled(p):
    """A payload as one axis, in C order."""
    return reshaped(p, (aval_of(p).size,))


def taken(p, index, *arrays):
    """A payload indexed by an index spec."""
    return op("getitem")(p, *arrays, index=tuple(index))


def concrete(p, reason):
    """The host value of a payload; a tracer's is asked for, naming `reason`."""
    if isinstance(p, Tracer):
        return numpy.asarray(p.interpreter.concretize(p, reason))
    if isinstance(p, (numpy.ndarray, numpy.generic, int, float)):
        return numpy.asarray(p)
    return backend_for(type(p)).to_host(p)


def fresh(p):
    """A payload that no one else can write into."""
    return p if isinstance(p, Tracer) and type(p) is not RecordTracer else op("copy")(p)


# ------------------------------------------------------------------------------------------------------ arguments
def axis_index(axis, ndim):
    """A non-negative axis; AxisError where there is none."""
    return multiarray.normalize_axis_index(operator.index(axis), ndim)


def axis_or_flat(p, axis):
    """A payload and a non-negative axis; without an axis, the raveled payload and 0."""
    if axis is None:
        return raveled(p), 0
    if not p.shape and operator.index(axis) in (0, -1):
        return reshaped(p, (1,)), 0
    return p, axis_index(axis, len(p.shape))


def empty_like(p):
    """A host array without data that has the shape and dtype of a payload, for NumPy's own checks."""
    aval = aval_of(p)
    return numpy.broadcast_to(numpy.empty((), aval.dtype), aval.shape)


# ------------------------------------------------------------------------------------------------------ results
def deliver(p, out=None, casting="same_kind"):
    """Wrap a result; where `out` is given, write it there and return `out`.

    Raises
    ------
    ValueError, TypeError
        The result's shape or dtype does not fit `out`.
    """
    if type(out) is tuple:
        (out,) = out
    if out is None:
        return wrap_scalar(p)
    if not isinstance(out, (ndarray, numpy.ndarray)):
        raise TypeError("return arrays must be of ArrayType")
    shape = tuple(aval_of(p).shape)
    if tuple(out.shape) != shape:
        raise ValueError(f"output array has wrong shape: {tuple(out.shape)}, not {shape}")
    if not numpy.can_cast(aval_of(p).dtype, out.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {aval_of(p).dtype!r} to {out.dtype!r} according to the rule {casting!r}"
        )
    out[...] = wrap(p)
    return out
