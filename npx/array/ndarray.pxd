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

cpdef object payload(object x)
cpdef object wrap(object p)
cpdef object wrap_scalar(object p)
cpdef object wrap_like(object result, object inputs)
cpdef object read(ndarray x)
cpdef bint on_host(object x)
cpdef bint vouch(ndarray x, object host)
