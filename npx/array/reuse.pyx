"""Memory of a tracer that nobody else refers to: the next write may happen in it, instead of in a copy.

A write under a transform makes a new payload. Where only the array that is written to knows the old one, no tape has
kept it and no view has read it, its memory is offered to the op `setitem`.
"""

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject
from npx.array.ndarray cimport ndarray

from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import OFFERED

cnp.import_array()

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject*)

cdef enum:
    LEAST = 256  # elements: to copy fewer takes no longer than to look

#: the attributes in which tracers hold payloads of the level below
cdef tuple PARTS = ("primal", "tangent", "payload")


cpdef bint offer(ndarray x) except -1:
    """Offer the host memory below the tracer of an owner, if there is any that only this array knows.

    The caller holds no reference to the tracer, and calls `withdraw` when the write is done.
    """
    if x.base_ is not None or x.data_ is None or Py_REFCNT(<PyObject*>x.data_) != 1:
        return False
    if not isinstance(x.data_, Tracer):
        return False
    _collect(x.data_)
    return len(OFFERED) > 0


@cython.binding(False)
cdef int _collect(object tracer) except -1:
    cdef object part
    for name in PARTS:
        part = getattr(tracer, name, None)
        if part is None or Py_REFCNT(<PyObject*>part) != 2:  # the tracer's and ours
            continue
        if isinstance(part, Tracer):
            _collect(part)
        elif type(part) is cnp.ndarray and _is_free(<cnp.ndarray>part):
            OFFERED[id(part)] = part
    return 0


cdef bint _is_free(cnp.ndarray memory):
    """Whether an array has enough memory of its own, in C order, that may be written to."""
    return (cnp.PyArray_SIZE(memory) >= LEAST and cnp.PyArray_CHKFLAGS(memory, cnp.NPY_ARRAY_OWNDATA)
            and cnp.PyArray_ISCARRAY(memory))


def withdraw():
    """Offer nothing any more."""
    OFFERED.clear()
