cdef class Reader:
    cdef readonly object rule
    cdef readonly tuple names, reads, avals
    cdef readonly bint open, reads_ans, plain
    cdef object read(self, tuple leading, object args, dict params)

cdef class VJP:
    cdef object read_for(self, Py_ssize_t i)
    cdef object pull(self, Py_ssize_t i, object g, object ans, object args, dict params)
