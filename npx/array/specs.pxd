cdef class Spec:
    cdef public object name, params, arrays
    cdef public bint writeable

cdef Spec fill(Spec spec, str name, dict params, tuple arrays)
