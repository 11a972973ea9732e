# cython: freelist=32
"""Calls of NumPy on npx arrays in host memory: unwrap the arguments, call, wrap the result.

Where an argument is a tracer or lives on a device, `call` hands the untouched arguments to another function.
"""

cimport cython
cimport numpy as cnp
from npx.array.memory cimport nsaved
from npx.array.ndarray cimport ndarray, on_host, payload, read, wrap, wrap_like

from npx.array.memory import protect_memory
from npx.array.ndarray import capturing
from npx.dispatch.registry import backend_named

cnp.import_array()

#: type of a NumPy result that holds arrays -> function that gives npx's counterpart
RESULTS = {}


cdef class Arguments:
    """What `unwrap` has met: the npx arrays, and whether all of them were in host memory."""

    cdef list arrays
    cdef bint host

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
    return x


cdef object _unwrap_sequence(object items, object kind, Arguments met):
    cdef list found
    cdef bint changed = False
    if not _holds_arrays(items):
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


cdef bint _holds_arrays(object items):
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
        return wrap(result) if met.arrays is None else wrap_like(result, met.arrays)
    if kind is list or isinstance(result, tuple):
        items = [rewrap(item, met) for item in result]
        if all([new is old for new, old in zip(items, result)]):
            return result
        return items if kind is list else kind._make(items) if hasattr(kind, "_make") else tuple(items)
    convert = RESULTS.get(kind)
    return result if convert is None else convert(result)


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


def make_wrapper(function, elsewhere, written=None):
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
    """

    def wrapper(*args, **kwargs):
        cdef Arguments met = Arguments.__new__(Arguments)
        cdef list positional = [unwrap(x, met) for x in <tuple>args]
        cdef dict named = <dict>kwargs
        if named:
            if named.get("device", "cpu") not in ("cpu", None):
                return on_device(wrapper, args, kwargs)
            named = {key: unwrap(x, met) for key, x in named.items()}
        if not met.host:
            return elsewhere(function, args, kwargs)
        if nsaved and written is not None:
            for x in written(function, args, kwargs):
                protect_memory(payload(x))
        try:
            result = function(*positional, **named)
        except ValueError as error:
            if NOT_AN_ARRAY not in str(error):
                raise
            again = [plain(x) for x in args]
            again_named = {key: plain(x) for key, x in kwargs.items()}
            if all([new is old for new, old in zip((*again, *again_named.values()), (*args, *kwargs.values()))]):
                raise
            return wrapper(*again, **again_named)
        return rewrap(result, met)

    return wrapper


def on_device(function, args, kwargs):
    """Call a creation function with ``device=`` naming another device than the host's."""
    device = kwargs["device"]
    backend_named(device)  # an unknown device is an error before anything is made
    return function(*args, **{**kwargs, "device": "cpu"}).to_device(device)


def wrap_result(result):
    """A NumPy result with npx arrays in place of NumPy's, in tuples and lists too."""
    return rewrap(result, Arguments.__new__(Arguments))
