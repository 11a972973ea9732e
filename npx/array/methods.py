"""The members of the array class that are generated from NumPy's own list.

On the host a method unwraps, calls NumPy's and wraps; on tracers and device arrays its counterpart in `npx.api` runs.
"""

import functools
import inspect
import types
import weakref

import numpy

from npx.array import direct, interop, protocols, upward  # noqa: F401  (`direct` before the methods are made)
from npx.array.attributes import Attribute
from npx.array.calling import make_wrapper
from npx.array.capi import lent
from npx.array.flat import flatiter
from npx.array.memory import protect_memory
from npx.array.ndarray import ndarray, on_host, payload, wrap, wrap_like
from npx.array.views import is_writeable, read, view_of
from npx.dispatch.interpreter import Tracer

#: methods that write into the array itself
WRITERS = frozenset({"sort", "partition", "fill", "put", "setfield", "byteswap", "setflags", "itemset"})

#: where the `out` of a method stands whose function has another order of arguments, or no signature
OUT_PLACES = {"all": 3, "any": 3, "dot": 2}


def traced_method(name):
    """The counterpart of an array method on payloads that NumPy cannot take."""
    return upward.module("api").method(name)


def written_by(name):
    """The function that finds, among the arguments of the array method `name`, those that it writes into."""

    def written(function, args, kwargs):
        if name in WRITERS:
            return args[:1]
        out = kwargs.get("out")
        position = _out_position(name)
        if out is None and position is not None and position < len(args):
            out = args[position]
        return out if type(out) is tuple else () if out is None else (out,)

    return written


@functools.cache
def _out_position(name):
    """Where `out` stands among the arguments of a method."""
    if name in OUT_PLACES:
        return OUT_PLACES[name]
    try:  # NumPy's function of that name has its arguments in the same order
        names = list(inspect.signature(getattr(numpy, name, None)).parameters)
    except (TypeError, ValueError):
        return None
    return names.index("out") if "out" in names else None


def _method(name, general=None):
    original = getattr(numpy.ndarray, name)

    def elsewhere(function, args, kwargs):
        return traced_method(name)(*args, **kwargs)

    method = make_wrapper(original, elsewhere, written_by(name), general=general)
    functools.update_wrapper(method, original)
    method.__module__ = ndarray.__module__
    return method


def with_subclass(function, args, kwargs):
    """Call a NumPy function with an array of a subclass where an argument is traced or on a device."""
    return upward.module("overrides").with_subclass(function, args, kwargs)


_view_as_it_is = _method("view")
_view_of_subclass = make_wrapper(numpy.ndarray.view, with_subclass)


def _view(self, *args, **kwargs):
    """New view of array with the same data; see `numpy.ndarray.view`.

    Raises
    ------
    TypeError
        A subclass is asked for, and a transform that cannot give the array's value traces it.
    """
    own = _view_as_it_is if type(self) is ndarray else _view_of_subclass
    if not kwargs and (not args or (len(args) == 1 and not isinstance(args[0], type))):
        return own(self, *args)
    args = [numpy.ndarray if x is ndarray else x for x in args]
    kwargs = {key: numpy.ndarray if x is ndarray else x for key, x in kwargs.items()}
    kinds = [x for x in (*args, *kwargs.values()) if isinstance(x, type) and issubclass(x, numpy.ndarray)]
    if type(self) is not ndarray or not kinds:
        return own(self, *args, **kwargs)
    on_host = isinstance(read(self), numpy.ndarray)
    if kinds[-1] is not numpy.ndarray:
        return (lent(self) if on_host else interop.host_value(self, kinds[-1])).view(*args, **kwargs)
    if not on_host:
        args = [x for x in args if x is not numpy.ndarray]
        kwargs.pop("type", None)
    return _view_as_it_is(self, *args, **kwargs)


view = _method("view", general=_view)


def _attribute(name):
    """A property that NumPy answers from host memory."""
    original = getattr(numpy.ndarray, name)

    def get(self):
        p = read(self)
        if isinstance(p, numpy.ndarray):
            return wrap_like(getattr(p, name), (self,))
        return traced_attribute(self, p, name)

    def put(self, value):
        p, v = read(self), payload(value)
        if name in ("real", "imag") and (isinstance(v, Tracer) or not isinstance(p, numpy.ndarray)):
            getattr(self, name)[...] = value
            return
        if not isinstance(p, numpy.ndarray):
            raise TypeError(f"cannot set {name} of an array that is not in host memory")
        protect_memory(p)
        setattr(p, name, v)

    if type(original) is types.GetSetDescriptorType:
        return Attribute(original, get, put)
    return property(get, put, doc=original.__doc__)


def traced_attribute(x, p, name):
    """An attribute of an array whose payload is not host memory."""
    if name == "real" or name == "imag":
        if p.dtype.kind == "c":
            return view_of(x, name)
        return x if name == "real" else wrap(numpy.broadcast_to(numpy.zeros((), p.dtype), p.shape))  # read-only
    stand_in = numpy.broadcast_to(numpy.empty((), p.dtype), p.shape)
    if name in ("itemsize", "nbytes"):
        return getattr(stand_in, name)
    if name == "strides":
        return numpy.empty(tuple(min(n, 1) for n in p.shape), p.dtype).strides if not p.shape else _strides(p)
    if name == "flags":
        layout = numpy.empty((1,) * len(p.shape), p.dtype)
        layout.flags.writeable = is_writeable(x)
        return layout.flags
    if name == "mT":
        return x.swapaxes(-1, -2)
    raise AttributeError(f"{name} is not available on an array that is not in host memory")


def _strides(p):
    """Strides of a C-contiguous array of this shape."""
    strides, step = [], p.dtype.itemsize
    for extent in reversed(p.shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def _base(self):
    """The array whose memory this one looks into, or None."""
    if self.base_ is not None:
        return self.base_
    p = read(self)
    return same_wrapper(p.base) if isinstance(p, numpy.ndarray) else None


_wrappers = weakref.WeakValueDictionary()  # id of a NumPy array -> npx array around it


def same_wrapper(p):
    """`wrap` with the same result for the same NumPy array, as long as that result is alive."""
    if type(p) is not numpy.ndarray:
        return wrap(p)
    if type(p.base) is ndarray and is_lent(p, p.base):
        return p.base
    found = _wrappers.get(id(p))
    if found is None or found.data_ is not p:
        found = _wrappers[id(p)] = wrap(p)
    return found


def is_lent(p, x):
    """Whether a NumPy array shows the whole memory of an npx array."""
    return on_host(x) and p.shape == x.shape and p.strides == x.strides and p.dtype is x.dtype


def _flat(self):
    """A 1-D iterator over the array."""
    return flatiter(self)


def _set_flat(self, value):
    flatiter(self)[...] = value


def _copy_of(self, memo=None):
    if on_host(self) and memo is not None and self.dtype.hasobject:
        import copy

        return wrap(copy.deepcopy(read(self), memo))
    return self.copy("K")


def _round(self, ndigits=None):
    """``round(x)`` of what stands for a scalar: a Python int, or with `ndigits` a scalar."""
    if not self.scalar:
        raise TypeError("type numpy.ndarray doesn't define __round__ method")
    return int(self.round()) if ndigits is None else self.round(ndigits)


def _setstate(self, state):
    host = numpy.ndarray.__new__(numpy.ndarray, (0,))
    host.__setstate__(state)
    self.data_ = host


def members():
    """Name -> member for every public member of ``numpy.ndarray`` that the class does not define itself."""
    own = set(vars(ndarray))
    found = {
        "__array_ufunc__": interop.array_ufunc,
        "__array_function__": interop.array_function,
        "__array_namespace__": interop.array_namespace,
        "__array_wrap__": interop.array_wrap,
        "__array_priority__": 0.0,
        "__dlpack__": interop.dlpack,
        "__dlpack_device__": interop.dlpack_device,
        "__reduce_ex__": interop.reduce_ex,
        "__reduce__": lambda self: interop.reduce_ex(self, 2),
        "__setstate__": _setstate,
        "__copy__": _copy_of,
        "__round__": _round,
        "__deepcopy__": _copy_of,
        "__class_getitem__": classmethod(types.GenericAlias),
        "__sizeof__": protocols.size_of,
        "__array_interface__": property(protocols.array_interface),
        "__array_struct__": property(protocols.array_struct),
        "ctypes": property(protocols.get_ctypes, doc=numpy.ndarray.ctypes.__doc__),
        "view": view,
        "to_device": interop.to_device,
        "to_numpy": interop.method_to_numpy,
        "__module__": "npx",
        "__class__": property(interop.claimed_class, doc=interop.claimed_class.__doc__),
        "__jax_array__": interop.jax_array,
        **interop.PANDAS,
        "device": property(interop.device, doc=interop.device.__doc__),
        "base": property(_base, doc=_base.__doc__),
        "flat": property(_flat, _set_flat, doc=_flat.__doc__),
    }
    for name in dir(numpy.ndarray):
        if name.startswith("_") or name in own or name in found:
            continue
        kind = type(getattr(numpy.ndarray, name))
        found[name] = _method(name) if kind is types.MethodDescriptorType else _attribute(name)
    for name, member in {**vars(ndarray), **found}.items():
        protocols.with_signature(member, vars(numpy.ndarray).get(name))
    return found
