# cython: freelist=32
"""Calls of NumPy on npx arrays in host memory: unwrap the arguments, call, wrap the result.

A call whose arguments are plain (arrays in host memory, numbers, strings, ..., and tuples and lists of them) is prepared
on the C stack. Any other call takes the general path, which hands the untouched arguments to another function where
one of them is a tracer or lives on a device.
"""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from npx.array cimport ndarray as core
from npx.array.memory cimport nsaved
from npx.array.ndarray cimport is_plain, ndarray, new_array, on_host, payload, read, wrap, wrap_like

import types

import numpy

from npx.array.memory import protect_memory
from npx.dispatch.registry import backend_named

cnp.import_array()

cdef extern from "Python.h":
    PyTypeObject* Py_TYPE(PyObject*)
    Py_ssize_t Py_SIZE(PyObject*)
    PyObject** PySequence_Fast_ITEMS(PyObject*)
    PyObject* PyTuple_New(Py_ssize_t) except NULL
    PyObject* PyList_New(Py_ssize_t) except NULL
    object PyMethod_New(object, object)
    bint PyErr_ExceptionMatches(object)
    PyObject* vectorcall "PyObject_Vectorcall"(object, PyObject* const*, size_t, PyObject*)
    void C_INCREF "Py_INCREF"(PyObject*)
    void C_DECREF "Py_DECREF"(PyObject*)
    void C_XDECREF "Py_XDECREF"(PyObject*)

cdef extern from "numpy/arrayobject.h":
    bint PyArray_IsAnyScalar(PyObject*)

#: type of a NumPy result that holds arrays -> function that gives npx's counterpart
RESULTS = {}

#: NumPy's function -> the `Direct` way to call it on plain arguments; filled before npx's counterpart is made
DIRECT = {}

#: NumPy's function that does what the array method of that name does -> the fewest and the most positional arguments
#: with which it does, and whether it takes the same keywords. On NumPy's own arrays the Python code before the method is
#: skipped.
METHODS = {
    **{getattr(numpy, name): (least, most, True) for least, most, names in (
        (1, 2, "all any"),  # then comes `out`, for the methods `dtype`
        (1, MOST_DIRECT, "argmax argmin argsort cumprod cumsum diagonal max mean min nonzero prod ravel round"),
        (1, MOST_DIRECT, "squeeze sum trace"),
        (2, MOST_DIRECT, "repeat searchsorted take"),
    ) for name in names.split()},
    numpy.clip: (3, 4, False),
    numpy.reshape: (2, 2, False),
    numpy.swapaxes: (3, 3, False),
    numpy.transpose: (1, 2, False),
}

cdef object place = None  # see `set_placement`


def set_placement(function):
    """Say where new arrays go.

    Parameters
    ----------
    function : callable or None
        ``function(numpy_array)`` gives what is returned in place of the npx array around a new NumPy array, where no
        npx array took part in the call. None: such arrays stay in host memory.
    """
    global place
    place = function


# ------------------------------------------------------------------------------------------- calls on the C stack
cdef enum:
    DEEPEST = 16  # nested sequences

cdef PyTypeObject* NONE = Py_TYPE(<PyObject*>None)
cdef PyTypeObject* TUPLE = <PyTypeObject*>tuple
cdef PyTypeObject* LIST = <PyTypeObject*>list
cdef PyTypeObject* OURS = <PyTypeObject*>ndarray
cdef PyTypeObject* NUMPYS = <PyTypeObject*>cnp.ndarray


cdef inline bint is_simple(PyTypeObject* kind) noexcept:
    return (
        kind == <PyTypeObject*>float or kind == <PyTypeObject*>int or kind == NONE or kind == <PyTypeObject*>str
        or kind == <PyTypeObject*>bool
    )


cdef bint prepare(Call* call, PyObject* const* args, Py_ssize_t total) except -1:
    cdef Py_ssize_t i
    cdef PyObject* p
    call.ngiven = call.narrays = 0
    call.foreign = False
    if total > MOST_DIRECT or core._capturing:
        return False
    for i in range(total):
        p = plain_argument(call, args[i], 0)
        if p == NULL:
            return False
        call.ngiven += 1
        call.given[call.ngiven] = p
    return True


cdef void release(Call* call) noexcept:
    cdef int i
    for i in range(call.ngiven):
        C_DECREF(call.given[i + 1])


cdef PyObject* plain_argument(Call* call, PyObject* x, int depth) except? NULL:
    """A new reference to what NumPy gets for `x`; NULL where it takes the general path to find out."""
    cdef PyTypeObject* kind = Py_TYPE(x)
    cdef PyObject* p = x
    if kind == OURS:
        if not is_plain(<ndarray>x) or call.narrays == MOST_DIRECT:
            return NULL
        call.arrays[call.narrays] = x
        call.narrays += 1
        p = <PyObject*>(<ndarray>x).data_
    elif is_simple(kind):
        pass
    elif kind == TUPLE or kind == LIST:
        return NULL if depth == DEEPEST else plain_sequence(call, x, depth + 1)
    elif kind == NUMPYS or kind == <PyTypeObject*>type or PyArray_IsAnyScalar(x) or isinstance(<object>x, cnp.dtype):
        pass
    elif kind == <PyTypeObject*>dict or isinstance(<object>x, (ndarray, tuple)):
        return NULL
    else:
        call.foreign = True
    C_INCREF(p)
    return p


cdef PyObject* plain_sequence(Call* call, PyObject* x, int depth) except? NULL:
    """`plain_argument` of a tuple or list: itself where nothing in it changes."""
    cdef PyObject** items = PySequence_Fast_ITEMS(x)
    cdef PyObject** copies = NULL
    cdef PyObject* copy = NULL
    cdef PyObject* p
    cdef Py_ssize_t i, k, n = Py_SIZE(x)
    for i in range(n):
        if copy == NULL and is_simple(Py_TYPE(items[i])):
            continue
        p = plain_argument(call, items[i], depth)
        if p == NULL:
            C_XDECREF(copy)
            return NULL
        if p == items[i] and copy == NULL:
            C_DECREF(p)
            continue
        if copy == NULL:
            copy = PyTuple_New(n) if Py_TYPE(x) == TUPLE else PyList_New(n)
            copies = PySequence_Fast_ITEMS(copy)
            for k in range(i):
                C_INCREF(items[k])
                copies[k] = items[k]
        copies[i] = p
    if copy == NULL:
        C_INCREF(x)
        return x
    return copy


cdef object finish(Call* call, object result):
    cdef PyTypeObject* kind = Py_TYPE(<PyObject*>result)
    if kind == NUMPYS:
        return finish_array(call, <cnp.ndarray>result)
    if is_simple(kind) or PyArray_IsAnyScalar(<PyObject*>result):
        return result
    if kind == LIST or isinstance(result, tuple):
        return finish_sequence(call, result)
    convert = RESULTS.get(<object>kind)
    return result if convert is None else convert(result)


cdef object finish_sequence(Call* call, object result):
    cdef PyObject** items = PySequence_Fast_ITEMS(<PyObject*>result)
    cdef Py_ssize_t i, n = Py_SIZE(<PyObject*>result)
    cdef bint arrays = False
    for i in range(n):
        if Py_TYPE(items[i]) == NUMPYS:
            arrays = True
        elif not is_simple(Py_TYPE(items[i])):
            return rewrap(result, arguments_of(call))
    if not arrays:
        return result
    if type(result) is not tuple or (place is not None and call.narrays == 0):
        return rewrap(result, arguments_of(call))
    return tuple([finish_array(call, item) if type(item) is cnp.ndarray else item for item in <tuple>result])


cdef object finish_array(Call* call, cnp.ndarray result):
    cdef int i
    cdef object base
    cdef ndarray x, r
    for i in range(call.narrays):
        x = <ndarray>call.arrays[i]
        if x.data_ is result:
            return x
    if place is not None and call.narrays == 0:
        return rewrap(result, arguments_of(call))
    r = new_array(result)
    base = cnp.get_array_base(result)
    if base is not None:
        for i in range(call.narrays):
            x = <ndarray>call.arrays[i]
            if base is x.data_ or base is cnp.get_array_base(<cnp.ndarray>x.data_):
                r.base_ = x if x.base_ is None else x.base_
                break
    return r


cdef Arguments arguments_of(Call* call):
    cdef Arguments met = Arguments.__new__(Arguments)
    cdef int i
    if call.narrays:
        met.arrays = [<object>call.arrays[i] for i in range(call.narrays)]
    met.given = [<object>call.given[i + 1] for i in range(call.ngiven)]
    return met


# ------------------------------------------------------------------------------------------- the general path
cdef class Arguments:
    """What `unwrap` has met: the npx arrays, and whether all of them were in host memory."""

    cdef list arrays
    cdef list given    # the arguments as NumPy got them, where a new array may be placed elsewhere
    cdef bint host

    def __cinit__(self):
        self.host = True


cdef object unwrap(object x, Arguments met):
    """`x` with host memory in place of npx arrays, in nested lists, tuples and dicts too; the same object if none."""
    cdef object p
    kind = type(x)
    if is_simple(<PyTypeObject*>kind):
        return x
    if isinstance(x, ndarray):
        p = (<ndarray>x).data_ if on_host(x) else read(<ndarray>x)
        if not isinstance(p, cnp.ndarray):
            met.host = False
        if met.arrays is None:
            met.arrays = []
        met.arrays.append(x)
        return p
    if kind is list or isinstance(x, tuple):
        return unwrap_sequence(x, kind, met)
    if kind is dict:
        return {key: unwrap(value, met) for key, value in x.items()} if holds_arrays(x.values()) else x
    if isinstance(x, cnp.ndarray) and core._capturing:
        p = payload(x)
        if not isinstance(p, cnp.ndarray):
            met.host = False
        return p
    return x


cdef object unwrap_sequence(object items, object kind, Arguments met):
    cdef list found
    cdef bint changed = False
    if not holds_arrays(items):
        return items
    found = []
    for item in items:
        p = unwrap(item, met)
        changed = changed or p is not item
        found.append(p)
    if not changed:
        return items
    if kind is list:
        return found
    return tuple(found) if kind is tuple else kind._make(found) if hasattr(kind, "_make") else kind(found)


cdef bint holds_arrays(object items):
    """Whether one of the items may be or hold an array; quick for a long list of numbers."""
    cdef object item, kind, last = float
    for item in items:
        kind = type(item)
        if kind is last:
            continue
        if kind is list or kind is dict or isinstance(item, (ndarray, cnp.ndarray, tuple)):
            return True
        last = kind
    return False


cdef object rewrap(object result, Arguments met):
    """npx arrays in place of the NumPy arrays in a result; an argument that was returned is the same npx array again."""
    kind = type(result)
    if kind is cnp.ndarray:
        if met.arrays is not None:
            return wrap_like(result, met.arrays)
        return wrap(result) if place is None or is_given(result, met.given) else place(result)
    if kind is list or isinstance(result, tuple):
        if not holds_arrays(result):
            return result
        items = [rewrap(item, met) for item in result]
        if kind is tuple:
            return tuple(items)
        return items if kind is list else kind._make(items) if hasattr(kind, "_make") else tuple(items)
    convert = RESULTS.get(kind)
    return result if convert is None else convert(result)


cdef bint is_given(cnp.ndarray result, list given):
    """Whether a result is one of the arguments, or looks into the memory of one."""
    cdef object base = cnp.get_array_base(result), x
    if given is None:
        return True
    for x in given:
        if x is result or (base is not None and isinstance(x, cnp.ndarray)
                           and (base is x or base is cnp.get_array_base(<cnp.ndarray>x))):
            return True
    return False


def plain(x):
    """An argument with npx arrays in place of objects whose `__array__` gives them, which NumPy does not take."""
    if type(x) is list or type(x) is tuple:
        items = [plain(item) for item in x]
        return x if all([new is old for new, old in zip(items, x)]) else type(x)(items)
    if isinstance(x, (ndarray, cnp.ndarray, type)) or not hasattr(x, "__array__"):
        return x
    given = x.__array__()
    return given if isinstance(given, ndarray) else x


cdef object NOT_AN_ARRAY = "object __array__ method not producing an array"


cdef object call_general(Function self, tuple args, dict kwargs):
    cdef Arguments met = Arguments.__new__(Arguments)
    cdef list given
    cdef dict keywords = kwargs
    if self.captured is not None and core._capturing:
        result = self.captured(self.numpy, args, kwargs)
        if result is not NotImplemented:
            return result
    given = [unwrap(x, met) for x in args]
    if kwargs:
        if kwargs.get("device", "cpu") not in ("cpu", None):
            return on_device(self, args, kwargs)
        keywords = {key: unwrap(x, met) for key, x in kwargs.items()}
    if not met.host:
        return self.elsewhere(self.numpy, args, kwargs)
    if nsaved and self.written is not None:
        for x in self.written(self.numpy, args, kwargs):
            protect_memory(payload(x))
    try:
        result = self.numpy(*given, **keywords)
    except ValueError as error:
        if NOT_AN_ARRAY not in str(error):
            raise
        again = [plain(x) for x in args]
        again_named = {key: plain(x) for key, x in kwargs.items()}
        if all([new is old for new, old in zip((*again, *again_named.values()), (*args, *kwargs.values()))]):
            raise
        return self(*again, **again_named)
    if keywords.get("device") is None:
        met.given = [*given, *keywords.values()]
    return rewrap(result, met)


def on_device(function, args, kwargs):
    """Call a creation function with ``device=`` naming another device than the host's."""
    device = kwargs["device"]
    backend_named(device)  # an unknown device is an error before anything is made
    return function(*args, **{**kwargs, "device": "cpu"}).to_device(device)


def wrap_result(result):
    """A NumPy result with npx arrays in place of NumPy's, in tuples and lists too."""
    return rewrap(result, Arguments.__new__(Arguments))


# ------------------------------------------------------------------------------------------- the public functions
cdef class Direct:
    """A way of calling a function of NumPy's that spends less before its work; see `npx.array.direct`."""


cdef class Function:
    """A function of npx arrays that calls a NumPy function.

    Parameters
    ----------
    function : callable
        Takes NumPy arrays. Called through this object it takes npx arrays in their place, also in nested lists, tuples
        and dicts.
    elsewhere : callable
        ``elsewhere(function, args, kwargs)`` is called instead, where an array is a tracer or on a device.
    written : callable, optional
        ``written(function, args, kwargs)`` gives the arrays that the function writes into; what tapes have saved of
        them is copied first.
    captured : callable, optional
        ``captured(function, args, kwargs)`` is called instead while an interpreter captures arrays, unless it returns
        NotImplemented.
    """

    cdef vectorcallfunc vectorcall
    cdef direct_call direct        # or NULL
    cdef object numpy              # NumPy's function
    cdef object implementation     # the same behind NumPy's dispatch, for arguments that have no say in it
    cdef object method             # the array method that does the same, or None
    cdef int least, most           # the positional arguments with which it does
    cdef set keywords              # and the keywords that it takes, too
    cdef object elsewhere
    cdef object written
    cdef object captured
    cdef dict __dict__             # its name, documentation, ..., as any function's
    cdef object __weakref__

    def __init__(self, function, elsewhere, written=None, captured=None):
        cdef object direct = DIRECT.get(function)
        self.numpy, self.elsewhere, self.written, self.captured = function, elsewhere, written, captured
        self.implementation = getattr(function, "_implementation", function)
        self.direct = NULL if direct is None else (<Direct>direct).run
        self.most = -1
        if function in METHODS:
            self.method = getattr(cnp.ndarray, function.__name__)
            code = self.implementation.__code__
            self.least, most, names = METHODS[function]
            self.most = min(most, code.co_argcount)
            self.keywords = set(code.co_varnames[:code.co_argcount]) if names else set()
        self.vectorcall = <vectorcallfunc>call

    def __call__(self, /, *args, **kwargs):
        return call_general(self, args, kwargs)

    def __repr__(self):
        return repr(self.numpy)

    def __reduce__(self):
        return self.__qualname__  # pickled by its name, as functions are


cdef class Method(Function):
    """A `Function` that is bound to the instance it is looked up on, where NumPy's is."""

    def __get__(self, instance, owner):
        return self if instance is None else PyMethod_New(self, instance)


def make_wrapper(function, elsewhere, written=None, captured=None):
    """The `Function` for a function or method of NumPy's; a `Method` where NumPy's becomes one in a class."""
    binds = hasattr(type(function), "__get__") and not isinstance(function, types.MethodType)
    return (Method if binds else Function)(function, elsewhere, written, captured)


cdef PyObject* call(PyObject* function, PyObject* const* args, size_t flags, PyObject* names) except NULL:
    """What Python calls: `args` holds the positional arguments, then the values of the keywords `names`."""
    cdef Function self = <Function>function
    cdef Py_ssize_t n = PyVectorcall_NARGS(flags)
    cdef object r = NotImplemented
    if names == NULL and self.direct != NULL:
        r = self.direct(args, n)
    if r is NotImplemented:
        r = call_plain(self, args, n, names)
        if r is NotImplemented:
            r = call_general(self, positional(args, n), named(args + n, names))
    Py_INCREF(r)
    return <PyObject*>r


cdef object call_plain(Function self, PyObject* const* args, Py_ssize_t n, PyObject* names):
    """Call NumPy on plain arguments; NotImplemented where there is more to it."""
    cdef Call call
    cdef PyObject* result
    cdef object name, function
    cdef Py_ssize_t total = n
    if nsaved and self.written is not None:
        return NotImplemented
    if names != NULL:
        for name in <tuple>names:
            if name == "device":
                return NotImplemented
            total += 1
    if not prepare(&call, args, total):
        release(&call)
        return NotImplemented
    function = self.numpy if call.foreign else self.implementation
    if self.least <= n <= self.most and Py_TYPE(call.given[1]) == NUMPYS and not call.foreign:
        if names == NULL or self.keywords.issuperset(<tuple>names):
            function = self.method
    result = vectorcall(function, call.given + 1, <size_t>n | OFFSET, names)
    if result == NULL:
        foreign = call.foreign
        release(&call)
        if foreign and is_not_an_array():
            return NotImplemented
        propagate()
    given = <object>result
    C_DECREF(result)
    return finish_and_release(&call, given)


cdef object finish_and_release(Call* call, object result):
    try:
        return finish(call, result)
    finally:
        release(call)


cdef int propagate() except -1:
    """Raise the exception that a C function has left."""
    return -1


cdef bint is_not_an_array() except -1:
    """Whether NumPy just refused what an ``__array__`` gave; the exception is gone then, and else stays."""
    if not PyErr_ExceptionMatches(ValueError):
        return False
    try:
        propagate()
    except ValueError as error:
        if NOT_AN_ARRAY not in str(error):
            raise
    return True


cdef tuple positional(PyObject* const* args, Py_ssize_t n):
    cdef Py_ssize_t i
    return tuple([<object>args[i] for i in range(n)])


cdef dict named(PyObject* const* values, PyObject* names):
    return {} if names == NULL else {name: <object>values[i] for i, name in enumerate(<tuple>names)}


cdef Function _sample = Function.__new__(Function)
cdef Py_ssize_t _offset = <char*>&_sample.vectorcall - <char*><PyObject*>_sample
make_callable(Function, _offset, 0)
make_callable(Method, _offset, Py_TPFLAGS_METHOD_DESCRIPTOR)
