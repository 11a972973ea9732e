"""Making arrays of other things, casts, and questions about dtypes and memory."""

import numpy

from npx.api.support import (
    array_operand,
    as_array,
    cast,
    concrete,
    fresh,
    function,
    method,
    operand,
    reshaped,
)
from npx.api.views import lies_in_order, stand_ins
from npx.array.calling import wrap_result
from npx.array.interop import is_subclass
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.dispatch.abstract import aval_of, type_key
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import is_inexact
from npx.dispatch.registry import backend_for


@function("array")
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, **_):
    """`numpy.array`."""
    p = array_operand(object)
    if isinstance(p, numpy.ndarray):
        return wrap(numpy.array(p, dtype, copy=copy, order=order, ndmin=ndmin))
    wanted = p.dtype if dtype is None else numpy.dtype(dtype)
    given = type(object) is ndarray and not object.scalar and p.dtype == wanted and lies_in_order(object, order)
    if copy is False and not given:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if given and not copy:
        return object if p.shape and len(p.shape) >= ndmin else reshape_to_ndmin(object, ndmin)
    p = cast(p, wanted)
    shape = (1,) * (ndmin - len(p.shape)) + tuple(p.shape)
    return wrap(reshaped(fresh(p), shape))


def reshape_to_ndmin(x, ndmin):
    """A view of `x` with leading axes of length 1."""
    return x if x.ndim >= ndmin else x.reshape((1,) * (ndmin - x.ndim) + x.shape)


@function("asarray", "asanyarray")
def asarray(a, dtype=None, order=None, *, device=None, copy=None, **_):
    """`numpy.asarray`."""
    return array(a, dtype, copy=copy, order=order)


@function("ascontiguousarray")
def ascontiguousarray(a, dtype=None, **_):
    """`numpy.ascontiguousarray`: the array itself only where NumPy has no need to copy it."""
    return array(a, dtype, copy=None, order="C", ndmin=1)


@function("asfortranarray")
def asfortranarray(a, dtype=None, **_):
    """`numpy.asfortranarray`, likewise."""
    return array(a, dtype, copy=None, order="F", ndmin=1)


@function("empty_like")
def empty(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """`numpy.empty_like`: on the prototype's device; under a transform in host memory, which writes then lift."""
    p = array_operand(prototype)
    aval = aval_of(p)
    new = numpy.empty(aval.shape if shape is None else shape, aval.dtype if dtype is None else dtype)
    if isinstance(p, (Tracer, numpy.ndarray, numpy.generic)):
        return wrap(new)
    return wrap(backend_for(type(p)).asarray(new))


@function("arange")
def arange(*args, dtype=None, **given):
    """`numpy.arange`: how many numbers there are is decided by the values, which a tracer is asked for."""
    bounds = {**dict(zip(("start", "stop", "step") if len(args) > 1 else ("stop",), args)), **given}
    bounds = {name: x for name, x in bounds.items() if name in ("start", "stop", "step") and x is not None}
    values = {name: concrete(operand(x), "numpy.arange")[()] for name, x in bounds.items()}
    host = numpy.arange(values.get("start", 0), values["stop"], values.get("step", 1), dtype=dtype)
    first, step = (as_array(bounds.get(name, default)) for name, default in (("start", 0), ("step", 1)))
    if not is_inexact(host.dtype) or not any(isinstance(payload(x), Tracer) for x in (first, step)):
        return wrap(host)
    return (first + numpy.arange(host.size) * ((first + step) - first)).astype(host.dtype, copy=False)


@function("copyto")
def copyto(dst, src, casting="same_kind", where=True):
    """`numpy.copyto`."""
    p, old = operand(src), payload(dst)
    weak = isinstance(p, (bool, int, float, complex))
    if not weak and not numpy.can_cast(aval_of(p).dtype, dst.dtype, casting):
        numpy.empty(1, aval_of(p).dtype).astype(dst.dtype, casting=casting)  # raises
    if where is True:
        dst[...] = wrap(p)
        return
    new = as_array(where)
    dst[...] = _where(new, wrap(cast(p, dst.dtype)), wrap(old))


def _where(condition, x, y):
    from npx.api.indexing import where  # indexing is written with this module

    return where(condition, x, y)


@method("astype")
def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """`ndarray.astype`."""
    p, dtype = payload(self), numpy.dtype(dtype)
    if casting != "unsafe":
        numpy.empty((1,) * len(p.shape), p.dtype).astype(dtype, casting=casting)  # raises where it is not allowed
    if p.dtype == dtype and not copy and lies_in_order(self, order):
        return self
    return wrap(cast(p, dtype) if p.dtype != dtype else fresh(p))


@method("copy", "__copy__")
def copy(self, order="C"):
    """`ndarray.copy`."""
    return wrap(fresh(payload(self)))


# ------------------------------------------------------------------------------------------------------ questions
def _type_of(x):
    """What promotion sees: a dtype, or a Python scalar for a weak value."""
    if isinstance(x, (ndarray, list, tuple)):
        key = type_key(aval_of(array_operand(x)))
        return key(0) if isinstance(key, type) else key
    return x


@function("result_type")
def result_type(*arrays_and_dtypes):
    """`numpy.result_type`."""
    return numpy.result_type(*map(_type_of, arrays_and_dtypes))


@function("can_cast")
def can_cast(from_, to, casting="safe"):
    """`numpy.can_cast`."""
    return numpy.can_cast(_type_of(from_), to, casting)


@function("min_scalar_type")
def min_scalar_type(a):
    """`numpy.min_scalar_type`."""
    p = array_operand(a)
    return p.dtype if p.shape else numpy.min_scalar_type(numpy.asarray(p))


@function("may_share_memory", "shares_memory")
def shares_memory(a, b, max_work=None):
    """`numpy.shares_memory`: whether writing to one array can change the other."""
    first, second = stand_ins(a, b)
    return numpy.shares_memory(first, second)


# ------------------------------------------------------------------------------------------------------ converter
class ArrayConverter:
    """What NumPy's `_array_converter` does for its Python functions: arguments as arrays, the result like them.

    Parameters
    ----------
    *objects : array_like
    """

    def __new__(cls, *objects):
        return super().__new__(_SubclassConverter if any(map(is_subclass, objects)) else cls)

    def __init__(self, *objects):
        self._objects = objects
        self._arrays = tuple(map(as_array, objects))
        self.scalar_input = tuple(
            not isinstance(x, ndarray) and aval_of(payload(a)).shape == () for x, a in zip(objects, self._arrays)
        )
        self._weak = tuple(type(x) in (int, float, complex) for x in objects)

    def __len__(self):
        return len(self._objects)

    def __getitem__(self, k):
        return self.as_arrays()[k]

    def as_arrays(self, *, subok=True, pyscalars="convert_if_no_array"):
        """The arguments as arrays; Python scalars stay what they are beside arrays."""
        keep = pyscalars == "preserve" or (pyscalars == "convert_if_no_array" and not all(self._weak))
        triples = zip(self._objects, self._arrays, self._weak)
        return tuple(x if weak and keep else a for x, a, weak in triples)

    def result_type(self, extra_dtype=None, ensure_inexact=False):
        """The promoted dtype of the arguments."""
        types = [x if weak else _type_of(a) for x, a, weak in zip(self._objects, self._arrays, self._weak)]
        types += [extra_dtype] if extra_dtype is not None else []
        return numpy.result_type(*types, *([0.0] if ensure_inexact else []))

    def wrap(self, arr, /, to_scalar=None):
        """The result as a scalar, if all arguments were scalars."""
        if to_scalar is None:
            to_scalar = all(self.scalar_input)
        if isinstance(arr, ndarray) and arr.ndim == 0:
            return wrap_scalar(payload(arr)) if to_scalar else arr
        return arr if isinstance(arr, ndarray) or to_scalar else wrap(numpy.asarray(arr))


class _SubclassConverter(ArrayConverter):
    """NumPy's own converter, where an argument is of a subclass: it knows whose the result is."""

    def __init__(self, *objects):
        self._objects = objects
        self._of_numpy = numpy._core._multiarray_umath._array_converter(*map(payload, objects))
        self.scalar_input = self._of_numpy.scalar_input

    def as_arrays(self, *, subok=True, pyscalars="convert_if_no_array"):
        return wrap_result(self._of_numpy.as_arrays(subok=subok, pyscalars=pyscalars))

    def result_type(self, extra_dtype=None, ensure_inexact=False):
        return self._of_numpy.result_type(extra_dtype, ensure_inexact)

    def wrap(self, arr, /, to_scalar=None):
        return wrap_result(self._of_numpy.wrap(payload(arr), to_scalar=to_scalar))
