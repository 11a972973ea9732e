cdef class InterpreterCore:
    cdef public int level      # the place on its thread's stack of interpreters, from 1
    cdef public bint alive     # on a stack now

cdef class TracerCore:
    cdef public InterpreterCore interpreter
    cdef object __weakref__
