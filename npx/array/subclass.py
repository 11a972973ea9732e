"""Subclasses of the array class: ``class A(npx.ndarray)`` makes a real subclass of ``numpy.ndarray``.

An npx array holds its payload and can exchange it; a subclass is its memory, with NumPy's semantics to the letter, for
C code too. It stands on `HostSubclass`, whose methods take and give npx arrays. NumPy calls the protocol methods that a
subclass defines (`PROTOCOLS`) with its own arrays, ufuncs and functions: the class that is made gets them translated.
"""

import functools
import types
from abc import ABCMeta

import numpy

from npx.array import interop, upward
from npx.array.calling import make_wrapper, wrap_result
from npx.array.methods import same_wrapper, with_subclass, written_by
from npx.array.methods import view as npx_view
from npx.array.ndarray import ndarray, wrap
from npx.array.ufunc import array_wrap, lookup, ufunc

NDArrayMeta = type(ndarray)

#: methods that take and give no arrays: NumPy's own do
WITHOUT_ARRAYS = frozenset(("tobytes", "tolist"))


# ------------------------------------------------------------------------------------------------------ translation
def to_npx(x):
    """What stands for an object of NumPy's that code of the user gets: an array, ufunc or the array class."""
    if type(x) is numpy.ufunc:
        return lookup(x)
    return ndarray if x is numpy.ndarray else wrap_result(x)


def _values_to_npx(kwargs):
    return {key: to_npx(value) for key, value in kwargs.items()}


def _finalize(method):
    def __array_finalize__(self, obj, /):
        return method(self, same_wrapper(obj))

    return __array_finalize__


def _wrap(method):
    def __array_wrap__(self, array, context=None, *rest, **kwargs):
        if context is not None:
            called, inputs, place = context
            context = (to_npx(called), tuple(map(to_npx, inputs)), place)
        return method(self, wrap(array), context, *rest, **kwargs)

    return __array_wrap__


def _ufunc(method):
    def __array_ufunc__(self, called, name, /, *inputs, **kwargs):
        return method(self, to_npx(called), name, *map(to_npx, inputs), **_values_to_npx(kwargs))

    return __array_ufunc__


def _function(method):
    def __array_function__(self, function, types, args, kwargs):
        function = upward.module("overrides").npx_function(function)
        return method(self, function, tuple(map(to_npx, types)), to_npx(args), _values_to_npx(kwargs))

    return __array_function__


#: protocol method -> function that makes, of the user's version, the one that NumPy calls
PROTOCOLS = {
    "__array_finalize__": _finalize,
    "__array_wrap__": _wrap,
    "__array_ufunc__": _ufunc,
    "__array_function__": _function,
}


def _translated(protocol, method):
    """The version of a protocol method that NumPy calls; what is no function, such as None, stays as it is."""
    if not isinstance(method, types.FunctionType) or hasattr(method, "_npx_version_of"):
        return method
    version = functools.update_wrapper(PROTOCOLS[protocol](method), method)
    version._npx_version_of = method
    return version


# ------------------------------------------------------------------------------------------------ the class statement
def make_class(meta, name, bases, namespace, keywords):
    """``NDArrayMeta.__new__``: the class that the statement ``class name(*bases)`` asks for."""
    if namespace.get("__module__") == __name__:  # one of the bases below
        return ABCMeta.__new__(meta, name, bases, namespace, **keywords)
    inherited = {protocol: _from_mixin(protocol, bases) for protocol in PROTOCOLS}
    own = {p: namespace.get(p, method) for p, method in inherited.items() if p in namespace or method is not None}
    needed = [base for protocol, base in _BASES.items() if isinstance(own.get(protocol), types.FunctionType)]
    namespace = {**namespace, **{protocol: _translated(protocol, method) for protocol, method in own.items()}}
    return ABCMeta.__new__(meta, name, _with_host_bases(bases, needed), namespace, **keywords)


def _is_host_subclass(base):
    return issubclass(base, HostSubclass)


def _from_mixin(protocol, bases):
    """The version of a protocol method that comes from a base that is no array class; None if an array class has it."""
    for base in bases:
        if base is ndarray or issubclass(base, numpy.ndarray):
            if getattr(base, protocol) is not getattr(numpy.ndarray, protocol):
                return None
        elif isinstance(getattr(base, protocol, None), types.FunctionType):
            return getattr(base, protocol)
    return None


def _with_host_bases(bases, needed):
    """The bases of a class, with those of this module in the place of `npx.ndarray` or at the end."""
    needed = [base for base in needed if not any(b is not ndarray and issubclass(b, base) for b in bases)]
    if ndarray not in bases:
        return (*bases, *needed)
    place = bases.index(ndarray)
    given = any(b is not ndarray and _is_host_subclass(b) for b in bases)
    return (*bases[:place], *(needed or ([] if given else [HostSubclass])), *bases[place + 1 :])


# ------------------------------------------------------------------------------------------------------ the bases
def _host_method(name):
    """A method of ``numpy.ndarray`` that takes and gives npx arrays."""
    original = getattr(numpy.ndarray, name)
    return functools.update_wrapper(make_wrapper(original, with_subclass, written_by(name)), original)


class HostSubclass(numpy.ndarray, metaclass=NDArrayMeta):
    """The base of subclasses of the array class, in the place of `npx.ndarray`.

    It leaves operators, indexing and the protocol methods to NumPy, so that they cost what they cost there. It has all
    members of ``numpy.ndarray`` itself: ``super()`` in a subclass shall find these, and not those of a class of NumPy's
    that is a base as well (see `npx.array.derived`).
    """

    for _name, _value in vars(numpy.ndarray).items():
        if _name not in ("__new__", "__doc__"):
            _meets_arrays = type(_value) is types.MethodDescriptorType and _name not in WITHOUT_ARRAYS
            locals()[_name] = _host_method(_name) if _meets_arrays and not _name.startswith("_") else _value
    del _name, _value, _meets_arrays

    _host_new = staticmethod(make_wrapper(numpy.ndarray.__new__, with_subclass))

    def __new__(cls, *args, **kwargs):
        return cls._host_new(cls, *args, **kwargs)

    view = npx_view
    __array_wrap__ = array_wrap
    __array_namespace__ = interop.array_namespace

    @property
    def base(self):
        """The array whose memory this one looks into, or None."""
        return same_wrapper(numpy.ndarray.base.__get__(self))


_host_array_ufunc = _host_method("__array_ufunc__")
_host_array_function = _host_method("__array_function__")


class _TakesUfuncs(HostSubclass):
    """Below a class that defines ``__array_ufunc__``. NumPy skips the method only where it is its own."""

    def __array_ufunc__(self, called, method, /, *inputs, **kwargs):
        called = called.numpy if type(called) is ufunc else called
        return _host_array_ufunc(self, called, method, *inputs, **kwargs)


class _TakesFunctions(HostSubclass):
    """Below a class that defines ``__array_function__``; see `_TakesUfuncs`."""

    def __array_function__(self, function, types, args, kwargs):
        function = upward.module("overrides").numpy_function(function)
        types = tuple(numpy.ndarray if kind is ndarray else kind for kind in types)
        return _host_array_function(self, function, types, args, kwargs)


#: protocol method -> the base of classes that define it
_BASES = {"__array_ufunc__": _TakesUfuncs, "__array_function__": _TakesFunctions}


# ------------------------------------------------------------------------------------------- members of the class
def unbound(name, own):
    """What ``npx.ndarray.name`` gives: the member, which takes subclasses and NumPy's arrays too.

    Parameters
    ----------
    name : str
    own : object
        The member as npx arrays have it; None if they have none.
    """
    theirs = getattr(numpy.ndarray, name)
    if name == "__new__":
        return _new(own)
    if name == "view" or (own is not None and not hasattr(own, "__get__")):
        return own
    if name in ("__array_wrap__", *_BASES):
        return _method(own, theirs, vars(_BASES.get(name, HostSubclass))[name])
    if isinstance(theirs, types.GetSetDescriptorType):
        return _attribute(own, theirs)
    if isinstance(theirs, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return _method(own, theirs)
    return own


def _method(own, theirs, host=None):
    host = host or make_wrapper(theirs, with_subclass, written_by(theirs.__name__))

    def method(self, /, *args, **kwargs):
        if type(self) is ndarray and own is not None:
            return own(self, *args, **kwargs)
        return host(self, *args, **kwargs)

    return functools.update_wrapper(method, theirs)


def _attribute(own, theirs):
    def accessor(kind):
        def access(self, *value):
            if type(self) is ndarray:
                return getattr(own, kind)(self, *value)
            return wrap_result(getattr(theirs, kind)(self, *value))

        return access

    return property(accessor("__get__"), accessor("__set__"), doc=theirs.__doc__)


def _new(own):
    host = make_wrapper(numpy.ndarray.__new__, with_subclass)

    def __new__(cls, *args, **kwargs):
        """Create an array of the class; see `numpy.ndarray`."""
        if cls is not ndarray:
            return host(cls, *args, **kwargs)
        x = own(cls)
        if args or kwargs:
            x.__init__(*args, **kwargs)
        return x

    return __new__
