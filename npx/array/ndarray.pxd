cimport numpy as cnp

cdef class ndarray:
    cdef public object data_      # the payload; of a view, as of `version`
    cdef public ndarray base_     # views: the array they look into; None for owners
    cdef public object view_      # views of functional payloads: the `ViewSpec` that leads from base_ here
    cdef public object home       # the host memory of an array that holds a tracer for now
    cdef public Py_ssize_t version  # owners: functional writes so far; views: the owner's version when data_ was read
    cdef public Py_ssize_t birth    # the interpreter clock at creation
    cdef public object exported     # host memory that is lent out under the name of this array, to outlive its uses
    cdef public bint scalar         # stands for what NumPy would return as a scalar: immutable
    cdef public bint standard       # its operators follow the array API standard, see npx.array.standard
    cdef object __weakref__
    cdef object current(self)       # the payload, where nothing has to be looked into; else None

cdef Py_ssize_t _now      # the birth of the latest interpreter
cdef int _capturing       # interpreters, in all threads, that capture arrays older than themselves
cdef int _transforming    # threads that have unsettled interpreters
cdef bint captures() noexcept                     # whether one of them is of this thread
cdef Py_ssize_t birth_while_captured() noexcept   # of an array made while some thread captures: negative in the others


cdef inline ndarray new_array(object p):
    """An npx array around a payload."""
    cdef ndarray r = ndarray.__new__(ndarray)
    r.data_ = p
    r.birth = birth_while_captured() if _capturing else _now
    return r


cdef inline bint is_plain(ndarray x):
    """Whether data_ can be used as it is, and is host memory."""
    if type(x.data_) is not cnp.ndarray or (_capturing and captures()):
        return False
    return x.base_ is None or (x.view_ is None and x.base_.home is None)


cpdef object payload(object x)
cpdef object wrap(object p)
cpdef object wrap_scalar(object p)
cpdef object wrap_like(object result, object inputs)
cpdef object read(ndarray x)
cpdef bint on_host(object x)
cpdef bint vouch(ndarray x, object host)

# What operators and indices do under a transform; each gives NotImplemented where there is more to it. Installed by
# `npx.array.traced`.
cdef struct TracedPaths:
    object (*binary)(int opid, object left, object right)
    object (*unary)(int opid, ndarray x)
    object (*getitem)(ndarray x, object k)

cdef TracedPaths traced

# What NumPy made of the host array `x`: a view that knows its owner, a new array, a scalar, or `x` itself.
cdef object view_of_host(ndarray x, object r)
