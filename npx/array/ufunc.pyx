"""The public ufunc objects: ``npx.add``, ``npx.exp`` and what ``npx.frompyfunc`` returns.

On host memory NumPy's ufunc does the work, or for a few elements a direct loop. Where a tracer or a device array takes
part, `npx.array.ufunc_traced` and `npx.array.ufunc_methods` call ops.
"""

cimport numpy as cnp
from cpython.object cimport PyObject
from npx.array.memory cimport nsaved
from npx.dispatch cimport pool
from npx.array.calling cimport (
    OFFSET, Call, PyObject_Vectorcall, PyVectorcall_NARGS, finish, make_callable, place, prepare, release,
    vectorcallfunc,
)
from npx.array cimport ndarray as core
from npx.array.ndarray cimport ndarray, on_host, payload, wrap, wrap_scalar
from npx.array.traced cimport operand
from npx.dispatch.aval cimport aval_of
from npx.dispatch.op cimport Op
from npx.dispatch.tracing cimport TracerCore
from npx.dispatch.loops cimport (
    binary_place, small_binary, small_binary_scalar, small_reduce, small_unary, unary_place,
)

import functools
import importlib
import types

import numpy

from npx.array import upward
from npx.array.capi import add_members
from npx.array.memory import protect_memory
from npx.array.protocols import with_signature
from npx.array.slow import is_host
from npx.array.ufunc_overrides import gives_npx_array, override, overrides, with_converted

cnp.import_array()

cdef extern from "Python.h":
    object PyObject_VectorcallMethod(object, PyObject* const*, size_t, PyObject*)
    void Py_INCREF(object)
    void Py_SET_TYPE(object, object)

#: method -> the place of `out` among its positional arguments; `at` writes into its first operand
cdef dict OUT_PLACES = {"reduce": 3, "accumulate": 3, "reduceat": 4, "at": 0, "outer": -1}


cdef object traced_module():
    """Calls where a tracer or device array takes part; imported when something is first traced: it needs this module."""
    return importlib.import_module("npx.array.ufunc_traced")


cdef object traced(str method):
    """The function that does the work of a method, or of a call, where a tracer or device array takes part."""
    if method is None:
        return traced_module().call
    return getattr(importlib.import_module("npx.array.ufunc_methods"), method)


cdef class ufunc:
    """Functions that operate element by element on whole arrays.

    Takes and gives what NumPy's ufunc of the same name does, on npx arrays in host memory, on devices and under
    transforms. Attributes other than the methods are NumPy's.

    See Also
    --------
    numpy.ufunc : the specification.
    """

    cdef readonly object numpy  # NumPy's ufunc
    cdef int small              # its place in the table of direct loops, or -1
    cdef int nin
    cdef int operands           # nin, or 0 where there is no fast path
    cdef Op op                  # for tracers; looked up when first needed
    cdef bint has_op
    cdef vectorcallfunc vectorcall
    cdef dict __dict__

    def __init__(self, numpy_ufunc):
        self.numpy = numpy_ufunc
        vars(self).update(getattr(numpy_ufunc, "__dict__", ()))
        self.nin = numpy_ufunc.nin
        self.operands = self.nin if self.nin <= 2 and numpy_ufunc.nout == 1 else 0
        self.small, self.has_op = -1, numpy_ufunc.signature is None
        if getattr(numpy, numpy_ufunc.__name__, None) is numpy_ufunc:  # others may bear the name of one of NumPy's
            find = unary_place if self.operands == 1 else binary_place
            self.small = find(numpy_ufunc.__name__)
        self.vectorcall = <vectorcallfunc>call

    def __call__(self, *args, **kwargs):
        return call_method(self, None, args, kwargs)

    cdef object unary(self, object x):
        """The result for an array in host memory, else None."""
        cdef object p, r
        if not on_host(x):
            return None
        p = (<ndarray>x).data_
        r = None if self.small < 0 else small_unary(self.small, <cnp.ndarray>p)
        if r is None:
            r = pool.call_one(self.numpy, p)
        return wrap_host(r)

    cdef object binary(self, object x, object y):
        """The result for arrays in host memory or one such array and a scalar, else None."""
        cdef object p, q, r = None
        if on_host(x):
            p = (<ndarray>x).data_
            if on_host(y):
                q = (<ndarray>y).data_
                if self.small >= 0:
                    r = small_binary(self.small, <cnp.ndarray>p, <cnp.ndarray>q)
            elif type(y) is float or cnp.PyArray_IsAnyScalar(y):
                q = y
                if self.small >= 0:
                    r = small_binary_scalar(self.small, <cnp.ndarray>p, y, False)
            else:
                return None
        elif (type(x) is float or cnp.PyArray_IsAnyScalar(x)) and on_host(y):
            p, q = x, (<ndarray>y).data_
            if self.small >= 0:
                r = small_binary_scalar(self.small, <cnp.ndarray>q, x, True)
        else:
            return None
        if r is None:
            r = pool.call_two(self.numpy, p, q)
        return wrap_host(r)

    cdef object traced(self, object x, object y):
        """The result for one or two tracers, arrays of numbers and numbers, else None."""
        cdef object p = operand(x), q
        if p is NotImplemented or not self.has_op:
            return None
        if self.op is None:
            self.op = traced_module().op_of(self.numpy)
            self.has_op = self.op is not None
            if not self.has_op:
                return None
        if self.nin == 1:
            if isinstance(p, TracerCore) and p.aval.weak is None:
                return wrap_scalar(self.op.call((p,), {}))
            return None
        q = operand(y)
        if q is NotImplemented or not (isinstance(p, TracerCore) or isinstance(q, TracerCore)):
            return None
        if aval_of(p).weak is not None and aval_of(q).weak is not None:  # NumPy's ufuncs make arrays of Python's numbers
            return None
        return wrap_scalar(self.op.call((p, q), {}))

    def reduce(self, /, *args, **kwargs):
        """Reduce `array`'s dimensions along `axis`; see `numpy.ufunc.reduce`."""
        if not kwargs and len(args) == 1 and self.nin == 2 and self.small >= 0 and on_host(args[0]):
            a = (<ndarray>args[0]).data_
            r = small_reduce(self.small, a) if cnp.PyArray_NDIM(a) == 1 else None
            if r is not None:
                return r
        return call_method(self, "reduce", args, kwargs)

    def accumulate(self, /, *args, **kwargs):
        """Accumulate the result of applying the operator to all elements; see `numpy.ufunc.accumulate`."""
        return call_method(self, "accumulate", args, kwargs)

    def reduceat(self, /, *args, **kwargs):
        """Reduce slices along one axis; see `numpy.ufunc.reduceat`."""
        return call_method(self, "reduceat", args, kwargs)

    def outer(self, /, *args, **kwargs):
        """Apply the ufunc to all pairs of an element of `A` and one of `B`; see `numpy.ufunc.outer`."""
        return call_method(self, "outer", args, kwargs)

    def at(self, /, *args, **kwargs):
        """Operate in place on the elements that `indices` names, again for one named again; see `numpy.ufunc.at`."""
        return call_method(self, "at", args, kwargs)

    def __getattr__(self, name):
        value = getattr(self.numpy, name)
        if name == "__signature__":  # NumPy makes it when it is first asked for, and keeps it here
            vars(self)[name] = value
        return value

    def __dir__(self):
        return dir(self.numpy)

    @property
    def __doc__(self):
        return vars(self).get("__doc__", self.numpy.__doc__)

    @__doc__.setter
    def __doc__(self, value):
        vars(self)["__doc__"] = value

    @__doc__.deleter
    def __doc__(self):
        del vars(self)["__doc__"]

    def __repr__(self):
        return repr(self.numpy)

    def __eq__(self, other):
        return self is other or self.numpy is other

    def __hash__(self):
        return hash(self.numpy)

    def __reduce__(self):
        return lookup, (self.numpy,)


def _forwarded(name, original):
    """An attribute or method that NumPy's ufunc answers."""
    if not isinstance(original, types.MethodDescriptorType):
        return property(lambda self: getattr(self.numpy, name), doc=original.__doc__)

    def method(self, *args, **kwargs):
        return getattr(self.numpy, name)(*args, **kwargs)

    method.__name__, method.__doc__ = name, original.__doc__
    return with_signature(method, original)


add_members(ufunc, {name: _forwarded(name, member) for name, member in vars(numpy.ufunc).items()
                    if not name.startswith("_") and name not in vars(ufunc)})
for _name in vars(ufunc).keys() & vars(numpy.ufunc).keys():
    with_signature(vars(ufunc)[_name], vars(numpy.ufunc)[_name])


class UfuncMeta(type):
    """Makes ``isinstance(f, npx.ufunc)`` true for NumPy's ufuncs too, and those of other packages."""

    __slots__ = ()

    def __instancecheck__(cls, instance):
        return type.__instancecheck__(cls, instance) or isinstance(instance, numpy.ufunc)


Py_INCREF(UfuncMeta)
Py_SET_TYPE(ufunc, UfuncMeta)  # it adds no state to `type`, so the swap is sound


# ------------------------------------------------------------------------------------------- calls
cdef enum:
    MOST = 80  # more arguments than NumPy allows a ufunc, with its keywords


cdef PyObject* call(PyObject* function, PyObject* const* args, size_t flags, PyObject* names) except NULL:
    """What Python calls: `args` holds the positional arguments, then the values of the keywords `names`."""
    cdef ufunc self = <ufunc>function
    cdef Py_ssize_t n = PyVectorcall_NARGS(flags), i
    cdef object r = None
    if names == NULL:
        if n == 1 == self.operands:
            r = self.unary(<object>args[0])
        elif n == 2 == self.operands:
            r = self.binary(<object>args[0], <object>args[1])
        if r is None and core._transforming and n == self.operands:
            r = self.traced(<object>args[0], <object>args[1] if n == 2 else None)
    if r is None:
        r = call_plain(self, args, n, names)
        if r is NotImplemented:
            r = any_arguments(self, None, args, n, None if names == NULL else <tuple>names)
    Py_INCREF(r)
    return <PyObject*>r


cdef object call_plain(ufunc self, PyObject* const* args, Py_ssize_t n, PyObject* names):
    """Call NumPy's ufunc on plain arguments; NotImplemented where there is more to it."""
    cdef Call call
    cdef Py_ssize_t i, total = n if names == NULL else n + len(<tuple>names)
    if nsaved and total > self.nin:  # it may write into an argument
        return NotImplemented
    try:
        if not prepare(&call, args, total):
            return NotImplemented
        result = PyObject_Vectorcall(self.numpy, call.given + 1, <size_t>n | OFFSET, names)
        if total == self.nin:
            return finish(&call, result)
        for i in range(self.nin, total):
            if call.given[i + 1] == <PyObject*>result:
                return <object>args[i]
        result = wrap_given(result, [<object>args[i] for i in range(total)])
        return result if place is None or call.narrays else placed(result)
    finally:
        release(&call)


cdef ufunc _sample = ufunc.__new__(ufunc)
make_callable(ufunc, <char*>&_sample.vectorcall - <char*><PyObject*>_sample, 0)


cdef object call_method(ufunc self, str method, tuple args, dict kwargs):
    """Call the ufunc, or one of its methods, with a tuple and a dict."""
    cdef PyObject* given[MOST]
    cdef Py_ssize_t n = len(args), total = 0
    cdef object x
    if n + len(kwargs) > MOST:
        raise TypeError(f"{self.numpy.__name__}{'.' + method if method else ''}() got too many arguments")
    for x in args:
        given[total] = <PyObject*>x
        total += 1
    for x in kwargs.values():
        given[total] = <PyObject*>x
        total += 1
    return any_arguments(self, method, given, n, tuple(kwargs) if kwargs else None)


cdef object any_arguments(ufunc self, str method, PyObject* const* args, Py_ssize_t n, tuple names):
    """Call NumPy's ufunc, or one of its methods, on the payloads; the traced one where they are not host memory."""
    cdef Py_ssize_t total = n + (0 if names is None else len(names)), i
    cdef PyObject* unwrapped[MOST + 1]
    cdef PyObject* keywords = NULL if names is None else <PyObject*>names
    cdef list alive = []
    cdef object p, result
    if total > MOST:
        raise TypeError(f"{self.numpy.__name__}() got too many arguments")
    for i in range(total):
        if is_foreign(<object>args[i]) and (i < n or names[i - n] in ("out", "where")):
            return override(self, method or "__call__", *by_name(args, n, names))
    for i in range(total):
        p = host_payload(<object>args[i])
        if p is NotImplemented:
            return traced_call(self, method, args, n, names)
        alive.append(p)
        unwrapped[i + 1] = <PyObject*>p
    if nsaved:
        protect_outputs(self, method, alive, n, names)
    try:
        if method is None:
            result = PyObject_Vectorcall(self.numpy, unwrapped + 1, n, keywords)
        else:
            unwrapped[0] = <PyObject*>self.numpy
            result = PyObject_VectorcallMethod(method, unwrapped, n + 1, keywords)
    except ValueError as error:
        if not any([gives_npx_array(x) for x in alive]):
            raise
        return with_converted(self, method or "__call__", *by_name(args, n, names))
    if place is not None and all([as_given(p, <object>args[i]) for i, p in enumerate(alive)]):
        return placed(wrap_given(result, [<object>args[i] for i in range(total)]))
    if names is None and n <= self.nin and type(result) is not tuple:
        return wrap_host(result)
    return wrap_given(result, [<object>args[i] for i in range(total)])


cdef tuple by_name(PyObject* const* args, Py_ssize_t n, tuple names):
    """The positional arguments, and a dict of the others."""
    cdef list positional = [<object>args[i] for i in range(n)]
    return positional, {} if names is None else {name: <object>args[n + i] for i, name in enumerate(names)}


cdef object traced_call(ufunc self, str method, PyObject* const* args, Py_ssize_t n, tuple names):
    positional, named = by_name(args, n, names)
    if any([isinstance(x, cnp.ndarray) and type(x) is not cnp.ndarray for x in positional]):
        above = upward.module("overrides")
        if above.first_subclass(positional, named) is not None:
            function = self.numpy if method is None else getattr(self.numpy, method)
            return above.with_subclass(function, positional, named)
    return traced(method)(self, *positional, **named)


cdef bint is_foreign(object x):
    """Whether an operand, or an output in a tuple, has an `__array_ufunc__` of its own."""
    cdef object kind = type(x)
    if kind is ndarray or kind is cnp.ndarray or x is None or cnp.PyArray_IsAnyScalar(x):
        return False
    if kind is tuple:
        return any([is_foreign(item) for item in x])
    return overrides(x)


cdef object host_payload(object x):
    """`x` without npx arrays, also inside a tuple or list; NotImplemented where one is not in host memory."""
    cdef object p, item
    if on_host(x):
        return (<ndarray>x).data_
    if type(x) is tuple:
        items = [host_payload(item) for item in x]
        return NotImplemented if any([item is NotImplemented for item in items]) else tuple(items)
    if x is None or cnp.PyArray_IsAnyScalar(x):
        return x
    p = payload(x)
    return p if type(p) is cnp.ndarray or is_host(p) else NotImplemented


cdef object protect_outputs(ufunc self, str method, list payloads, Py_ssize_t n, tuple names):
    """Give tapes their own copies of the arrays that this call writes into."""
    cdef object x, out
    cdef Py_ssize_t place = self.nin if method is None else OUT_PLACES[method], i
    for i, x in enumerate(payloads):
        if names[i - n] == "out" if i >= n else i == place or (method is None and i > place):
            for out in x if type(x) is tuple else (x,):
                protect_memory(out)


cdef inline object wrap_host(object result):
    """Wrap one result of NumPy's."""
    if type(result) is not cnp.ndarray and cnp.PyArray_IsAnyScalar(result):
        return result
    return wrap(result)


cdef bint as_given(object p, object x):
    """Whether an argument holds no npx array: it went to NumPy as it is."""
    return p is x or (type(x) is tuple and all([as_given(q, y) for q, y in zip(p, x)]))


cdef object placed(object result):
    """What was made from no npx array, where new arrays go."""
    if type(result) is tuple:
        return tuple([placed(r) for r in result])
    return place((<ndarray>result).data_) if type(result) is ndarray else result


cdef object wrap_given(object result, list arguments):
    """Wrap what NumPy returned; an array that was given as output is returned itself."""
    cdef object x, y
    if type(result) is tuple:
        return tuple([wrap_given(r, arguments) for r in result])
    if type(result) is cnp.ndarray:
        for x in arguments:
            for y in x if type(x) is tuple else (x,):
                if y is result or (isinstance(y, ndarray) and (<ndarray>y).data_ is result):
                    return y
    return wrap_host(result)


cdef object numpy_array_wrap = numpy.ndarray.__array_wrap__


def array_wrap(self, array, context=None, return_scalar=False):
    """``__array_wrap__`` of subclasses; see `numpy.ndarray.__array_wrap__`."""
    return wrap(numpy_array_wrap(self, payload(array), context, return_scalar))


# ------------------------------------------------------------------------------------------- NumPy's ufuncs and ours
cdef dict _known = {}


def lookup(numpy_ufunc):
    """The npx ufunc that wraps `numpy_ufunc`, always the same one for a ufunc of NumPy's."""
    found = _known.get(numpy_ufunc)
    if found is None:
        found = ufunc(numpy_ufunc)
        if "(vectorized)" not in numpy_ufunc.__name__:  # what frompyfunc makes lives no longer than its users
            found = _known.setdefault(numpy_ufunc, found)
    return found


def frompyfunc(func, /, nin, nout, **kwargs):
    return ufunc(numpy.frompyfunc(func, nin, nout, **kwargs))


functools.update_wrapper(frompyfunc, numpy.frompyfunc, ("__doc__", "__text_signature__"))


def array_ufunc(self, called, method, *inputs, **kwargs):
    """``ndarray.__array_ufunc__``: a ufunc was called with an npx array among its arguments."""
    if any(map(is_foreign, inputs)) or is_foreign(kwargs.get("out")):
        return NotImplemented
    if type(called) is not ufunc and not isinstance(called, numpy.ufunc):
        raise TypeError(f"__array_ufunc__ takes a ufunc first, not {called!r}")
    function = called if type(called) is ufunc else lookup(called)
    return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)


def stack_traced(payloads):
    """One payload from a list of payloads of one shape, tracers or device arrays among them."""
    return traced_module().stack(payloads)

