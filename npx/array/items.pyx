"""Iteration over arrays."""

cimport numpy as cnp
from npx.array.ndarray cimport is_plain, ndarray

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_ToScalar(void* data, cnp.ndarray arr)


cdef class Items:
    """Iterates over the first axis of an array."""

    cdef ndarray array
    cdef Py_ssize_t place

    def __init__(self, array):
        self.array = array

    def __iter__(self):
        return self

    def __next__(self):
        cdef cnp.ndarray a
        cdef Py_ssize_t i = self.place
        if self.array is None:
            raise StopIteration
        if i >= len(self.array):
            self.array = None
            raise StopIteration
        self.place += 1
        if is_plain(self.array) and not self.array.standard:
            a = <cnp.ndarray>self.array.data_
            if a.ndim == 1 and cnp.PyArray_TYPE(a) <= cnp.NPY_CDOUBLE:
                return PyArray_ToScalar(cnp.PyArray_BYTES(a) + i * cnp.PyArray_STRIDE(a, 0), a)
        return self.array[i]

    def __length_hint__(self):
        return 0 if self.array is None else max(len(self.array) - self.place, 0)
