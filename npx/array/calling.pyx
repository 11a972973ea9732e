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

import inspect
import types

import numpy

from npx.array import array_likes, upward
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
    # while it has its former keyword, a shape of None means that there is none
    **({} if "newshape" in inspect.signature(numpy.reshape).parameters else {numpy.reshape: (2, 2, False)}),
    numpy.swapaxes: (3, 3, False),
    numpy.transpose: (1, 2, False),
}

cdef object place = None  # see `set_placement`


def set_placement(function):
    """Let ``function(array)`` give the npx array for a NumPy array that was made from no npx array; None: `wrap`.

    Its attribute `where` is a function that names the place.
    """
    global place
    place = function


cdef object replay = None  # see `set_replay`


def set_replay(function):
    """Let ``function(numpy_function, wrapper, args, kwargs)`` answer calls under a transform, or give NotImplemented."""
    global replay
    replay = function


def placement():
    """The name of the place where new arrays go now; None for the host."""
    return None if place is None else place.where()


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
    if total > MOST_DIRECT or (core._capturing and core.captures()):
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
    elif kind == TUPLE or kind == LIST:
        return NULL if depth == DEEPEST else plain_sequence(call, x, depth + 1)
    elif not (is_simple(kind) or kind == NUMPYS or kind == <PyTypeObject*>type or PyArray_IsAnyScalar(x)
              or isinstance(<object>x, cnp.dtype) or kind == <PyTypeObject*>range):
        return NULL
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
    return result if isinstance(result, cnp.dtype) else rewrap(result, arguments_of(call))


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
    if type(result) is not tuple:
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
        return place(result)
    base = cnp.get_array_base(result)
    if base is not None and call.narrays and not isinstance(base, cnp.ndarray):
        return rewrap(result, arguments_of(call))
    r = new_array(result)
    if base is not None:
        for i in range(call.narrays):
            x = <ndarray>call.arrays[i]
            if base is x.data_ or base is cnp.get_array_base(<cnp.ndarray>x.data_):
                r.base_ = x if x.base_ is None else x.base_
                r.standard = x.standard
                break
    return r


cdef Arguments arguments_of(Call* call):
    cdef Arguments met = Arguments.__new__(Arguments)
    cdef int i
    if call.narrays:
        met.arrays = [<object>call.arrays[i] for i in range(call.narrays)]
    return met


# ------------------------------------------------------------------------------------------- the general path
cdef enum:
    MOST_AXES = 64  # of NumPy's arrays; lists may contain themselves


cdef class Arguments:
    """What `unwrap` has met: the npx arrays, and whether all of them were in host memory."""

    cdef list arrays
    cdef bint host
    cdef int depth     # of nested sequences
    cdef bint foreign  # some argument has an `__array_function__` that may answer the call

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
    if isinstance(x, cnp.ndarray) and core._capturing and core.captures():
        p = payload(x)
        if not isinstance(p, cnp.ndarray):
            met.host = False
        return p
    if kind is not cnp.ndarray and hasattr(kind, "__array_function__"):
        met.foreign = True
    return x


cdef object unwrap_sequence(object items, object kind, Arguments met):
    cdef list found
    cdef bint changed = False
    if met.depth > MOST_AXES or not holds_arrays(items):
        return items
    found = []
    met.depth += 1
    for item in items:
        p = unwrap(item, met)
        changed = changed or p is not item
        found.append(p)
    met.depth -= 1
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
        if hasattr(kind, "__array_function__"):
            return True
        last = kind
    return False


cdef object rewrap(object result, Arguments met):
    """npx arrays in place of the NumPy arrays in a result; an argument that was returned is the same npx array again."""
    kind = type(result)
    if kind is cnp.ndarray:
        if met.arrays is not None:
            return wrap_like(result, met.arrays)
        return wrap_made(result)
    if kind is list or isinstance(result, tuple):
        if not holds_arrays(result):
            return result
        items = [rewrap(item, met) for item in result]
        if kind is tuple:
            return tuple(items)
        return items if kind is list else kind._make(items) if hasattr(kind, "_make") else tuple(items)
    if isinstance(result, cnp.ndarray) and type(kind) is type:
        return upward.module("overrides").of_npx_class(result)
    convert = RESULTS.get(kind)
    return result if convert is None else convert(result)


#: functions that make an array of nested lists
cdef object FROM_LISTS = frozenset((numpy.array, numpy.asarray, numpy.asanyarray, numpy.ascontiguousarray,
                                    numpy.asfortranarray))


cdef bint holds_objects(object function, tuple args, object result):
    """Whether NumPy made an object array of lists: then it shall find the npx arrays themselves in them."""
    if type(result) is not cnp.ndarray or cnp.PyArray_TYPE(<cnp.ndarray>result) != cnp.NPY_OBJECT:
        return False
    return len(args) > 0 and isinstance(args[0], (list, tuple)) and function in FROM_LISTS


cdef object call_general(Function self, tuple args, dict kwargs):
    cdef Arguments met
    cdef list positional
    cdef dict named
    if self.general is not None:
        return self.general(*args, **kwargs)
    met = Arguments.__new__(Arguments)
    positional = [unwrap(x, met) for x in args]
    named = {key: unwrap(x, met) for key, x in kwargs.items()} if kwargs else kwargs
    if met.foreign and self.overridden is not None:
        answered, result = self.overridden(self.numpy, args, kwargs)
        if answered:
            return result
    if not met.host:
        return self.elsewhere(self.numpy, args, kwargs)
    if named and named.get("device") is not None:
        if named["device"] != "cpu":
            return on_device(self, args, kwargs)
        if met.arrays is None:
            met.arrays = []  # the host it is, whatever the default device
    if nsaved and self.written is not None:
        for x in self.written(self.numpy, args, kwargs):
            protect_memory(payload(x))
    try:
        result = self.numpy(*positional, **named)
    except ValueError as error:
        if not array_likes.is_refusal(error):
            raise
        try:
            result, given = array_likes.call(self.numpy, positional, named)
        except array_likes.NotOnHost:
            return self(*array_likes.arrays(args), **array_likes.arrays(kwargs))
        met.arrays = (met.arrays or []) + given
    if met.arrays is not None and holds_objects(self.numpy, args, result):
        result = array_likes.call(self.numpy, args, kwargs)[0]
    if named and result is not None and named.get("out") is result:
        return kwargs["out"]
    return rewrap(result, met)


def on_device(function, args, kwargs):
    """Call a creation function with ``device=`` naming another device than the host's."""
    device = kwargs["device"]
    backend_named(device)  # an unknown device is an error before anything is made
    return function(*args, **{**kwargs, "device": "cpu"}).to_device(device)


cpdef object wrap_made(object made):
    """The npx array for a NumPy array that was made from no npx array: on the default device."""
    return wrap(made) if place is None else place(made)


def wrap_result(result):
    """A NumPy result with npx arrays around NumPy's memory in place of its arrays, in tuples and lists too."""
    cdef Arguments met = Arguments.__new__(Arguments)
    met.arrays = []
    return rewrap(result, met)


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
    overridden : callable, optional
        ``overridden(function, args, kwargs)`` is called where an argument has an ``__array_function__``. It returns
        whether that has answered the call, and what.
    general : callable, optional
        Is called with the arguments in place of all this, where there is no direct way.
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
    cdef object overridden
    cdef object general
    cdef dict __dict__             # its name, documentation, ..., as any function's
    cdef object __weakref__

    def __init__(self, function, elsewhere, written=None, overridden=None, general=None):
        cdef object direct = DIRECT.get(function)
        self.numpy, self.elsewhere, self.written = function, elsewhere, written
        self.overridden, self.general = overridden, general
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


def make_wrapper(function, elsewhere, written=None, overridden=None, general=None):
    """The `Function` for a function or method of NumPy's; a `Method` where NumPy's becomes one in a class."""
    binds = hasattr(type(function), "__get__") and not isinstance(function, types.MethodType)
    return (Method if binds else Function)(
        function, elsewhere, written, overridden, general
    )


cdef PyObject* call(PyObject* function, PyObject* const* args, size_t flags, PyObject* names) except NULL:
    """What Python calls: `args` holds the positional arguments, then the values of the keywords `names`."""
    cdef Function self = <Function>function
    cdef Py_ssize_t n = PyVectorcall_NARGS(flags)
    cdef object r
    if names == NULL and self.direct != NULL:
        r = self.direct(args, n)
        if r is not NotImplemented:
            Py_INCREF(r)
            return <PyObject*>r
    r = NotImplemented if self.general is not None else call_plain(self, args, n, names)
    if r is NotImplemented:
        positional, named = as_tuple(args, n), as_dict(args + n, names)
        if core._transforming and replay is not None and self.general is None:
            r = replay(self.numpy, self, positional, named)
        if r is NotImplemented:
            r = call_general(self, positional, named)
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
    function = self.implementation
    if self.least <= n <= self.most and Py_TYPE(call.given[1]) == NUMPYS:
        if names == NULL or self.keywords.issuperset(<tuple>names):
            function = self.method
    result = vectorcall(function, call.given + 1, <size_t>n | OFFSET, names)
    if result == NULL:
        release(&call)
        if is_refused():
            return NotImplemented
        propagate()
    given = <object>result
    C_DECREF(result)
    if call.narrays and n and type(given) is cnp.ndarray and holds_objects(self.numpy, (<object>args[0],), given):
        release(&call)
        return NotImplemented
    return finish_and_release(&call, given)


cdef object finish_and_release(Call* call, object result):
    try:
        return finish(call, result)
    finally:
        release(call)


cdef int propagate() except -1:
    """Raise the exception that a C function has left."""
    return -1


cdef bint is_refused() except -1:
    """Whether NumPy may take what it has just refused, if it gets stand-ins; the exception is gone then, else stays."""
    if not PyErr_ExceptionMatches(ValueError):
        return False
    try:
        propagate()
    except ValueError as error:
        if not array_likes.is_refusal(error):
            raise
    return True


cdef tuple as_tuple(PyObject* const* args, Py_ssize_t n):
    cdef Py_ssize_t i
    return tuple([<object>args[i] for i in range(n)])


cdef dict as_dict(PyObject* const* values, PyObject* names):
    return {} if names == NULL else {name: <object>values[i] for i, name in enumerate(<tuple>names)}


cdef Function _sample = Function.__new__(Function)
cdef Py_ssize_t _offset = <char*>&_sample.vectorcall - <char*><PyObject*>_sample
make_callable(Function, _offset, 0)
make_callable(Method, _offset, Py_TPFLAGS_METHOD_DESCRIPTOR)
