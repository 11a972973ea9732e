cdef Py_ssize_t LARGE          # bytes from which results come from the pool: what malloc trims

cdef object enter()            # NumPy allocates from the pool until `leave` gets what this returned
cdef int leave(object previous) except -1
