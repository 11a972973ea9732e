"""What array operators and indexing do when their C fast path does not apply.

Either everything is on the host after all (lists, foreign objects, views of settled arrays): NumPy does the work. Or a
tracer or device array takes part: the call goes to the ufunc or the indexing op.
"""

import functools
import importlib
import operator
import sys
import weakref

import numpy

from npx.array import array_likes, standard
from npx.array import ndarray as core
from npx.array.interop import to_numpy
from npx.array.items import Items
from npx.array.memory import protect_memory
from npx.array.ndarray import ndarray, payload, wrap, wrap_scalar
from npx.array.protocols import check_buffer
from npx.array.records import RecordTracer
from npx.array.reuse import offer, withdraw
from npx.array.ufunc_overrides import overrides, used_by
from npx.array.views import capture_payload as captured
from npx.array.views import follows, read, require_writeable, require_writeable_view, root_of, view_of, write
from npx.dispatch import registry
from npx.dispatch.abstract import Slice, Varying
from npx.dispatch.interpreter import Tracer, stack
from npx.dispatch.registry import op

# the class calls these through this module
__all__ = ["Items", "captured", "check_buffer", "read", "standard", "to_numpy"]

HOST_SCALARS = (numpy.generic, int, float, complex, bool)


# ------------------------------------------------------------------------------------------------------ payloads
def is_payload(p):
    """Whether some backend that is loaded owns `p`."""
    return any(isinstance(p, backend.payload_type) for backend in registry.BACKENDS.values())


def ndim_of(p):
    """Number of dimensions of a payload."""
    return len(p.shape)


def length(p):
    """``len`` of a payload."""
    shape = shape_of(p)
    if not shape:
        raise TypeError("len() of unsized object")
    return shape[0]


def shape_of(p):
    """The shape of a payload, for Python: a length that differs along an axis mapped over is asked for."""
    shape = p.shape
    if any(isinstance(n, Varying) for n in shape):
        return tuple(n.true_length() if isinstance(n, Varying) else n for n in shape)
    return shape


def is_host(p):
    """Whether a payload is host memory or a scalar (or an object that NumPy has to judge)."""
    return not isinstance(p, Tracer) and (isinstance(p, (numpy.ndarray, *HOST_SCALARS)) or not is_payload(p))


def stack_payload(items):
    """A list or tuple as a payload: unchanged where it holds no traced array, else its items stacked."""
    if not holds_array(items):
        return items
    flat = [payload(item) for item in items]
    if all(is_host(p) for p in flat):
        return flat if any(isinstance(p, (list, tuple)) for p in flat) else [numpy.asarray(p) for p in flat]
    return core.payload(ufunc_module().stack_traced(flat))


def holds_array(items):
    """Whether an npx array lies anywhere in nested lists and tuples."""
    return any(isinstance(i, ndarray) or (type(i) in (list, tuple) and holds_array(i)) for i in items)


def host_sequence(items, absent, depth=0):
    """A list or tuple with host payloads in place of npx arrays; `absent` where one is not on the host."""
    found = []
    if depth > 64:  # deeper than any array of NumPy's: perhaps a list that contains itself
        return items
    for item in items:
        if isinstance(item, ndarray):
            if not core.on_host(item):
                return absent
            item = item.data_
        elif type(item) in (list, tuple):
            item = host_sequence(item, absent, depth + 1)
            if item is absent:
                return absent
        elif isinstance(item, Tracer):
            return absent
        found.append(item)
    return type(items)(found)


# ------------------------------------------------------------------------------------------------------ operators
#: comparison -> the method of its right operand
MIRRORED = {
    operator.lt: "__gt__",
    operator.le: "__ge__",
    operator.gt: "__lt__",
    operator.ge: "__le__",
    operator.eq: "__eq__",
    operator.ne: "__ne__",
}


def ufunc_module():
    """The module of the public ufuncs, which itself needs the array class."""
    return importlib.import_module("npx.array.ufunc")


def _ufunc(name):
    return ufunc_module().lookup(getattr(numpy, name))


def _defers(other, inplace=False):
    """Whether a foreign operand asks for its own operator, by NumPy's rule."""
    kind = type(other)
    if kind in (ndarray, numpy.ndarray, list, tuple, str, bytes) or isinstance(other, HOST_SCALARS) or other is None:
        return False
    if hasattr(kind, "__array_ufunc__"):
        return kind.__array_ufunc__ is None and not inplace
    return getattr(other, "__array_priority__", -1.0) > ndarray.__array_priority__


def _by_foreign(function, left, right):
    """``left OP right`` by the operator of the foreign one.

    It meets a NumPy array, a class that libraries look for, unless its module uses npx.
    """
    p, q = (read(x) if type(x) is ndarray else x for x in (left, right))
    foreign = right if type(left) is ndarray else left
    if stack() or isinstance(p, Tracer) or isinstance(q, Tracer):
        return NotImplemented
    if "npx" in used_by(type(foreign)) or isinstance(foreign, numpy.ndarray):
        return NotImplemented
    return function(p, q)


def binary(function, name, left, right):
    """``left OP right`` with at least one npx array."""
    if _is_operand(left) and _is_operand(right):
        p, q = payload(left), payload(right)
        if isinstance(p, Tracer) or isinstance(q, Tracer):  # the common case under a transform, straight to the op
            out = op(name)(p, q)
            return tuple(map(wrap_scalar, out)) if type(out) is tuple else wrap_scalar(out)
    if _defers(left) or _defers(right):
        return _by_foreign(function, left, right)
    if function is operator.mul:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (list, tuple, str, bytes)) and _repeats(times):
                return sequence * operator.index(times)
    if isinstance(right, numpy.ndarray):
        out = _reflected(function, left, right)
        if out is not NotImplemented:
            return out
    if overrides(left) or overrides(right):
        return _ufunc(name)(left, right)
    p, q = payload(left), payload(right)
    if is_host(p) and is_host(q):
        out = function(p, q)
        return tuple(map(wrap, out)) if type(out) is tuple else wrap(out)
    return _ufunc(name)(left, right)


def _reflected(function, left, right):
    """``left OP right`` where the class of `right` derives from the array class: its own method comes first."""
    name = MIRRORED.get(function) or f"__r{function.__name__.strip('_')}__"
    method = getattr(type(right), name)
    return NotImplemented if method is getattr(numpy.ndarray, name) else method(right, left)


def _is_operand(x):
    """Whether an op takes `x` as it is: an array of numbers or a number."""
    return type(x) in (ndarray, int, float) or (
        (type(x) is numpy.ndarray or isinstance(x, numpy.generic)) and x.dtype.kind in "biufc"
    )


def _repeats(x):
    """Whether `x` stands for a whole number, which repeats a sequence that it is multiplied with."""
    return isinstance(x, ndarray) and x.scalar and x.dtype.kind in "iu"


def inplace(function, plain, name, x, other):
    """``x OP= other``. What stands for a scalar is rebound, as NumPy's scalars are."""
    if x.scalar:
        return binary(plain, name, x, other)
    if _defers(other, inplace=True):
        return NotImplemented
    if overrides(other):
        return _ufunc(name)(x, other, out=(x,))
    p, q = read(x), payload(other)
    if is_host(p) and is_host(q):
        protect_memory(p)
        result = function(p, q)
        return x if result is p else wrap(result)  # a foreign operand may answer with something else
    if _is_operand(other):
        new = op(name)(p, q)
        if type(new) is not tuple and new.shape == p.shape and new.dtype == p.dtype:
            del p  # so that nobody but `x` knows it
            write(x, new)
            return x
    _ufunc(name)(x, other, out=(x,))
    return x


def unary(function, name, x):
    """``OP x``."""
    p = read(x)
    if is_host(p):
        return wrap(function(p))
    return wrap_scalar(op(name)(p)) if isinstance(p, Tracer) else _ufunc(name)(x)


# ------------------------------------------------------------------------------------------------------ indexing
def _payload_index(k):
    """An index with payloads in place of npx arrays."""
    if type(k) is tuple:
        return tuple(_payload_index(i) for i in k)
    return payload(k)


def _index_on_host(k):
    return all(map(_index_on_host, k)) if type(k) in (tuple, list) else not isinstance(k, Tracer) and is_host(k)


def getitem(x, k):
    """``x[k]``: a view for a basic index, a scalar for a full one, else a new array."""
    p, k = read(x), _payload_index(k)
    if is_host(p) and _index_on_host(k):
        r = array_likes.getitem(p, k)
        if type(r) is not numpy.ndarray:
            return r
        v = wrap(r)
        if r.base is not None and (r.base is p or r.base is p.base):  # and no view of gathered elements
            v.base_ = root_of(x)
        return v
    from npx.ops.index_specs import canonical_index, is_basic  # declared on first use: most programs never trace

    if isinstance(k, str) and p.dtype.names is not None:
        v = view_of(x, "field", field=k)
        return v if v.ndim else wrap_scalar(v.data_)
    spec, arrays = canonical_index(p.shape, k)
    if type(p) is RecordTracer:
        return view_of(x, "getitem", index=spec) if is_basic(spec) else view_of(x, "getitem", arrays, index=spec).copy()
    if not is_basic(spec):
        return wrap_scalar(op("getitem")(p, *arrays, index=spec))
    if all(type(entry) is int for entry in spec) and not _has_ellipsis(k):
        return wrap_scalar(op("getitem")(p, index=spec))
    return view_of(x, "getitem", index=spec)


def _has_ellipsis(k):
    return k is Ellipsis or (type(k) is tuple and any(entry is Ellipsis for entry in k))


def setitem(x, k, value):
    """``x[k] = value``: into host memory, or as a new payload of `x` and of what it is a view of."""
    if x.scalar:
        raise TypeError(f"'numpy.{x.dtype.type.__name__}' object does not support item assignment")
    p, k = read(x), _payload_index(k)
    if p.dtype.names is not None and not (isinstance(p, numpy.ndarray) and _index_on_host(k) and _on_host(value)):
        for name, part in _fields(p.dtype.names, k, value):
            field = view_of(x, "field", field=name) if type(p) is RecordTracer else x[name]
            field[... if isinstance(k, str) else k] = part
        return
    is_object = isinstance(p, numpy.ndarray) and p.dtype.hasobject  # it holds npx arrays, traced ones too, as they are
    v = value if is_object else payload(value)
    if is_host(p) and (is_object or is_host(v)) and _index_on_host(k):
        protect_memory(p)
        try:
            array_likes.setitem(p, k, v)
        except array_likes.NotOnHost:
            setitem(x, k, array_likes.arrays(value))
        return
    if type(value) is ndarray and value.base_ is x and _is_part(value, p, k):
        return  # as in ``x[k] += y``, which has written through the part already
    if isinstance(p, numpy.ndarray):
        require_writeable(p)
    if follows(x) and x.view_.arrays:  # of gathered elements, which may lie over one another
        from npx.ops.indexing import read as read_places

        require_writeable_view(x)
        x.base_[tuple(wrap(read_places(places, k)) for places in x.view_.arrays)] = value
        return
    v = v if isinstance(v, (Tracer, numpy.ndarray, *HOST_SCALARS)) or not is_host(v) else numpy.asarray(v)
    if isinstance(v, numpy.ndarray) and v.dtype.kind not in "biufc":  # text and objects: NumPy casts, or refuses, now
        v = v.astype(p.dtype)
    del p  # so that nobody but `x` knows it
    offered = offer(x)
    try:
        new = _written(read(x), k, v)
    finally:
        if offered:
            withdraw()
    write(x, new)


def _on_host(value):
    """Whether a value to write holds no traced array."""
    if type(value) in (tuple, list):
        return all(map(_on_host, value))
    return not isinstance(value, ndarray) or is_host(read(value))


def _fields(names, k, value):
    """The fields that an assignment to records writes, with what is written to each."""
    if isinstance(k, str):
        return [(k, value)]
    if isinstance(value, (ndarray, numpy.ndarray, numpy.void)) and value.dtype.names == names:
        return [(name, value[name]) for name in names]
    if type(value) is tuple and len(value) == len(names):
        return list(zip(names, value))
    raise TypeError("what is written to traced records must be records or one tuple: else assign to the fields, r['x']")


def _is_part(view, p, k):
    """Whether a view of the array with payload `p` is what a basic index makes of it."""
    spec = view.view_
    if spec is None or spec.name != "getitem" or spec.arrays or not _index_on_host(k):
        return False
    from npx.ops.index_specs import canonical_index  # declared on first use: most programs never trace

    return canonical_index(p.shape, k)[0] == spec.params["index"]


def _written(p, k, v):
    """The payload `p` after ``p[k] = v``."""
    mask = _traced_mask(k)
    if mask is not None and len(getattr(v, "shape", ())) == 0:
        mask = op("reshape")(mask, shape=mask.shape + (1,) * (len(p.shape) - len(mask.shape)))
        return op("where")(mask, _cast(v, p.dtype), p)
    from npx.ops.index_specs import canonical_index  # declared on first use: most programs never trace

    spec, arrays = canonical_index(p.shape, k)
    if all(entry == Slice() for entry in spec):
        shape = getattr(v, "shape", ())
        while len(shape) > len(p.shape) and shape[0] == 1:  # NumPy drops leading ones of the value
            v = op("reshape")(v, shape=shape[1:])
            shape = shape[1:]
        if len(shape) <= len(p.shape) and numpy.broadcast_shapes(shape, p.shape) == p.shape:
            return _beside(op("broadcast_to")(_cast(v, p.dtype), shape=p.shape), p)
    return op("setitem")(p, v, *arrays, index=spec)


def _beside(v, p):
    """A payload that takes the place of another one: where that is on a device, there too."""
    if isinstance(p, (Tracer, numpy.ndarray)) or not isinstance(v, numpy.ndarray):
        return v
    backend = registry.backend_for(type(p))
    return backend.asarray(v, device=backend.device_of(p)) if backend.device_of else backend.asarray(v)


def _traced_mask(k):
    if type(k) is tuple and len(k) == 1:
        k = k[0]
    return k if isinstance(k, Tracer) and k.dtype == bool else None


def _cast(v, dtype):
    if isinstance(v, (int, float, complex)):
        return numpy.asarray(v).astype(dtype)
    return v if v.dtype == dtype else op("astype")(v, dtype=dtype)


def contains(x, value):
    """``value in x``."""
    p = read(x)
    if is_host(p):
        return payload(value) in p
    return bool((x == value).any())


# ------------------------------------------------------------------------------------------------------ conversion
def scalar_value(x, kind):
    """What ``int(x)`` and its like convert: a host array, or the concrete value of a tracer."""
    p = read(x)
    if isinstance(p, numpy.ndarray):
        return p
    if p.shape != () and (kind is not int and kind is not float or numpy.prod(p.shape) != 1):
        raise TypeError("only length-1 arrays can be converted to Python scalars")
    if isinstance(p, Tracer):
        host = p.interpreter.concretize(p, f"{kind.__name__}()")
    else:
        host = registry.backend_for(type(p)).to_host(p)
    return host[()] if x.scalar else host  # what stands for a scalar is converted by the rules of scalars


def text(x, form):
    """`repr`, `str` or a format of the array; of one without a single value what it is."""
    p = read(x)
    if isinstance(p, Tracer):
        try:
            p = p.interpreter.concretize(p, "text")
        except TypeError:
            return f"array(<{p.interpreter.name}: {p.aval}>)"
    p = p if isinstance(p, numpy.ndarray) else registry.backend_for(type(p)).to_host(p)
    return form(p[()] if x.scalar else p)


def host_memory(x, what):
    """The host memory of an array for attributes that only NumPy has."""
    p = read(x)
    if not isinstance(p, numpy.ndarray):
        raise TypeError(f"{what} needs an array in host memory")
    return p


def set_shape(x, shape):
    """``x.shape = shape`` in place."""
    p = read(x)
    if isinstance(p, numpy.ndarray):
        p.shape = shape
        return
    flat = x.reshape(shape)
    if x.base_ is None:
        x.data_, x.version = payload(flat), x.version + 1
    else:
        before = view_of(x.base_, x.view_.name, x.view_.arrays, **x.view_.params)
        x.base_, x.view_, x.data_, x.version = before, flat.view_, flat.data_, flat.version


def resize(x, shape, refcheck, references):
    """``x.resize(*shape)``, which NumPy refuses where the memory moves and may be known to somebody else."""
    if shape and shape[0] is _unshared_references:
        return references
    p = read(x)
    if not isinstance(p, numpy.ndarray):
        raise ValueError("cannot resize an array that is not in host memory; np.resize makes a new one")
    own = 3 + (x.exported is p)  # the holder, this frame, the call
    shared = references > _unshared_references() or sys.getrefcount(p) > own or x.base_ is not None
    refcheck = operator.index(refcheck) and (shared or weakref.getweakrefcount(x) > 0)
    protect_memory(p)
    p.resize(*map(payload, shape), refcheck=refcheck)  # to NumPy p itself is always shared


@functools.cache
def _unshared_references():
    """The references to an array in `resize` where only a variable names it, as this Python counts them."""
    x = wrap(numpy.empty(0))
    return x.resize(_unshared_references)


core.install(sys.modules[__name__], importlib.import_module("npx.array.methods").members())
