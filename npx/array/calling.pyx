# cython: freelist=32
"""Calls of NumPy on npx arrays in host memory: unwrap the arguments, call, wrap the result.

Where an argument is a tracer or lives on a device, `call` hands the untouched arguments to another function.
"""

cimport cython
cimport numpy as cnp
from npx.array.memory cimport nsaved
from npx.array.ndarray cimport ndarray, on_host, payload, read, wrap, wrap_like

import numpy

from npx.array import array_likes, upward
from npx.array.memory import protect_memory
from npx.array.ndarray import capturing
from npx.dispatch.registry import backend_named

cnp.import_array()

#: type of a NumPy result that holds arrays -> function that gives npx's counterpart
RESULTS = {}

#: where arrays go that a call made from no npx array: function of the NumPy array, or None for the host
cdef object place = None


def set_placement(function):
    """Let ``function(array)`` give the npx array for a NumPy array that was made from no npx array; None: `wrap`.

    Its attribute `where` is a function that names the place.
    """
    global place
    place = function


def placement():
    """The name of the place where new arrays go now; None for the host."""
    return None if place is None else place.where()


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
    if kind is float or kind is int or kind is str or x is None:
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
        return _unwrap_sequence(x, kind, met)
    if kind is dict:
        return {key: unwrap(value, met) for key, value in x.items()} if _holds_arrays(x.values()) else x
    if isinstance(x, cnp.ndarray) and capturing():
        p = payload(x)
        if not isinstance(p, cnp.ndarray):
            met.host = False
        return p
    if kind is not cnp.ndarray and hasattr(kind, "__array_function__"):
        met.foreign = True
    return x


cdef object _unwrap_sequence(object items, object kind, Arguments met):
    cdef list found
    cdef bint changed = False
    if met.depth > MOST_AXES or not _holds_arrays(items):
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


cdef bint _holds_arrays(object items):
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
        items = [rewrap(item, met) for item in result]
        if all([new is old for new, old in zip(items, result)]):
            return result
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


def make_wrapper(function, elsewhere, written=None, overridden=None):
    """A function of npx arrays that calls a NumPy function.

    Parameters
    ----------
    function : callable
        Takes NumPy arrays. The wrapper takes npx arrays in their place, also in nested lists, tuples and dicts.
    elsewhere : callable
        ``elsewhere(function, args, kwargs)`` is called instead, where an array is a tracer or on a device.
    written : callable, optional
        ``written(function, args, kwargs)`` gives the arrays that the function writes into; what tapes have saved of
        them is copied first.
    overridden : callable, optional
        ``overridden(function, args, kwargs)`` is called where an argument has an ``__array_function__``. It returns
        whether that has answered the call, and what.
    """

    def wrapper(*args, **kwargs):
        cdef Arguments met = Arguments.__new__(Arguments)
        cdef list positional = [unwrap(x, met) for x in <tuple>args]
        cdef dict named = <dict>kwargs
        if named:
            named = {key: unwrap(x, met) for key, x in named.items()}
        if met.foreign and overridden is not None:
            answered, result = overridden(function, args, kwargs)
            if answered:
                return result
        if not met.host:
            return elsewhere(function, args, kwargs)
        if named and named.get("device") is not None:
            if named["device"] != "cpu":
                return on_device(wrapper, args, kwargs)
            if met.arrays is None:
                met.arrays = []  # the host it is, whatever the default device
        if nsaved and written is not None:
            for x in written(function, args, kwargs):
                protect_memory(payload(x))
        try:
            result = function(*positional, **named)
        except ValueError as error:
            if not array_likes.is_refusal(error):
                raise
            try:
                result, given = array_likes.call(function, positional, named)
            except array_likes.NotOnHost:
                return wrapper(*array_likes.arrays(args), **array_likes.arrays(kwargs))
            met.arrays = (met.arrays or []) + given
        if met.arrays is not None and holds_objects(function, args, result):
            result = array_likes.call(function, args, kwargs)[0]
        if named and result is not None and named.get("out") is result:
            return kwargs["out"]
        return rewrap(result, met)

    return wrapper


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
