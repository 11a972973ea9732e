cimport numpy as cnp

cdef Py_ssize_t nsaved

cdef class Box:
    cdef public object value
    cdef object owner           # id of the array that owns the memory; None where nothing can be written
    cdef object __weakref__

cpdef Box save(object payload)
cdef object _protect(cnp.ndarray memory)

cdef inline object protect(object payload):
    """Give every tape that saved this memory its own copy: a write into it is due."""
    if nsaved and isinstance(payload, cnp.ndarray):
        _protect(<cnp.ndarray>payload)
