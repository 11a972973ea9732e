cdef class Aval:
    cdef readonly object shape
    cdef readonly object dtype
    cdef readonly object weak

cdef Aval new_aval(object shape, object dtype)
cpdef object aval_of(object value)
cpdef object typed(object x)
