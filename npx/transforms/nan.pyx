"""Whether there is a NaN among numbers: the question that ends every walk back, so it has to be quick."""

cimport numpy as cnp

import numpy

cnp.import_array()

ctypedef fused real:
    float
    double

#: elements from which NumPy's vectorised functions are faster than the loop here
cdef Py_ssize_t MANY = 4096


def holds_nan(value):
    """Whether there is a NaN in a NumPy array or number, of floats or complex numbers."""
    cdef cnp.ndarray a
    cdef Py_ssize_t n
    cdef int kind
    if type(value) is not cnp.ndarray:
        return bool(value != value)
    a = value
    kind, n = cnp.PyArray_TYPE(a), cnp.PyArray_SIZE(a)
    if n > MANY and (kind == cnp.NPY_DOUBLE or kind == cnp.NPY_FLOAT):
        largest = numpy.max(a)  # in which a NaN cannot get lost
        return bool(largest != largest)
    if n > MANY or not (cnp.PyArray_ISONESEGMENT(a) and cnp.PyArray_ISALIGNED(a) and cnp.PyArray_ISNOTSWAPPED(a)):
        return bool(numpy.isnan(a).any())
    if kind == cnp.NPY_DOUBLE or kind == cnp.NPY_CDOUBLE:
        return among(<double*> cnp.PyArray_DATA(a), n if kind == cnp.NPY_DOUBLE else 2 * n)
    if kind == cnp.NPY_FLOAT or kind == cnp.NPY_CFLOAT:
        return among(<float*> cnp.PyArray_DATA(a), n if kind == cnp.NPY_FLOAT else 2 * n)
    return bool(numpy.isnan(a).any())


cdef bint among(real* x, Py_ssize_t n):
    """Whether there is a NaN in memory."""
    cdef Py_ssize_t i
    cdef bint found = False
    for i in range(n):
        found |= x[i] != x[i]
    return found
