from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    ctypedef PyObject* (*vectorcallfunc)(PyObject*, PyObject* const*, size_t, PyObject*) except NULL
    ctypedef struct CallableType "PyTypeObject":
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
    Py_ssize_t PyVectorcall_NARGS(size_t)
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    unsigned long Py_TPFLAGS_METHOD_DESCRIPTOR
    size_t OFFSET "PY_VECTORCALL_ARGUMENTS_OFFSET"
    object PyObject_Vectorcall(object, PyObject* const*, size_t, PyObject*)

cdef enum:
    MOST_DIRECT = 12  # arguments of a call that is prepared on the C stack

cdef struct Call:
    (PyObject*)[MOST_DIRECT + 1] given # from the second place on: what NumPy gets; the call owns them
    (PyObject*)[MOST_DIRECT] arrays    # the npx arrays among the arguments, borrowed
    int ngiven
    int narrays

# Prepare a call: False where an argument has to be looked at in more detail. `release` it in any case.
cdef bint prepare(Call* call, PyObject* const* args, Py_ssize_t total) except -1
cdef void release(Call* call) noexcept
# What npx returns for a result of NumPy's.
cdef object finish(Call* call, object result)

cdef object place  # see `set_placement`

# A direct way for calls without keywords; NotImplemented where it does not apply. See `direct.pyx`.
ctypedef object (*direct_call)(PyObject* const* args, Py_ssize_t n)

cdef class Direct:
    cdef direct_call run

cdef inline void make_callable(type kind, Py_ssize_t offset, unsigned long flags):
    """Cython has no vectorcall for instances of a class; the interpreter wants its place in the object, and a flag."""
    (<CallableType*>kind).tp_vectorcall_offset = offset
    (<CallableType*>kind).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | flags
