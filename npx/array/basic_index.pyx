"""Views by basic indices, made in one step: NumPy's parser of indices costs more than the view."""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject*, cnp.dtype, int, cnp.npy_intp*, cnp.npy_intp*, void*, int, PyObject*)
    object PyArray_ToScalar(void* data, cnp.ndarray arr)

cdef extern from "Python.h":
    void Py_INCREF(object)
    int PySlice_Unpack(object, Py_ssize_t*, Py_ssize_t*, Py_ssize_t*)
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t*, Py_ssize_t*, Py_ssize_t)
    void PyErr_Clear()
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef enum:
    MOST_AXES = 8  # of the arrays that `basic_index` takes and gives


cdef object basic_index(cnp.ndarray a, object k):
    cdef cnp.npy_intp dims[MOST_AXES]
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef cnp.npy_intp extent, offset = 0
    cdef Py_ssize_t i, stop, step, n = 1, place
    cdef int axis = 0, ndim = a.ndim, left = 0, rest = ndim, until, overflow = 0
    cdef bint several = type(k) is tuple, all_ints = True
    cdef object item = k
    if several:
        n = len(<tuple>k)
    if n + ndim > MOST_AXES:
        return None
    for place in range(n):  # the axes that an ellipsis stands for, or that come after the items
        if several:
            item = (<tuple>k)[place]
        if item is not None and item is not Ellipsis:
            rest -= 1
    if rest < 0:
        return None
    for place in range(n):
        if several:
            item = (<tuple>k)[place]
        if type(item) is int:
            extent = cnp.PyArray_DIM(a, axis)
            i = PyLong_AsLongLongAndOverflow(item, &overflow)
            if i < 0:
                i += extent
            if overflow or not 0 <= i < extent:
                return None
            offset += i * cnp.PyArray_STRIDE(a, axis)
            axis += 1
            continue
        all_ints = False
        if type(item) is slice:
            extent = cnp.PyArray_DIM(a, axis)
            if PySlice_Unpack(item, &i, &stop, &step) < 0:
                PyErr_Clear()  # NumPy looks at all items first: another one may be no index at all
                return None
            extent = PySlice_AdjustIndices(extent, &i, &stop, step)
            if extent:
                offset += i * cnp.PyArray_STRIDE(a, axis)
            dims[left], strides[left] = extent, step * cnp.PyArray_STRIDE(a, axis)
            axis += 1
            left += 1
        elif item is None:
            dims[left], strides[left] = 1, 0
            left += 1
        elif item is Ellipsis and rest >= 0:
            until = axis + rest
            rest = -1  # no second one
            while axis < until:
                dims[left], strides[left] = cnp.PyArray_DIM(a, axis), cnp.PyArray_STRIDE(a, axis)
                left += 1
                axis += 1
        else:
            return None
    if all_ints and axis == ndim:
        return PyArray_ToScalar(cnp.PyArray_BYTES(a) + offset, a) if cnp.PyArray_TYPE(a) <= cnp.NPY_CDOUBLE else None
    for axis in range(axis, ndim):
        dims[left], strides[left] = cnp.PyArray_DIM(a, axis), cnp.PyArray_STRIDE(a, axis)
        left += 1
    return _memory_view(a, left, dims, strides, offset)


cdef object _memory_view(cnp.ndarray a, int ndim, cnp.npy_intp* dims, cnp.npy_intp* strides, cnp.npy_intp offset):
    """A NumPy array on the memory of `a`."""
    cdef cnp.dtype descr = a.descr
    Py_INCREF(descr)
    r = PyArray_NewFromDescr(<PyTypeObject*>cnp.ndarray, descr, ndim, dims, strides, cnp.PyArray_BYTES(a) + offset,
                             cnp.PyArray_FLAGS(a), NULL)
    cnp.set_array_base(r, a)
    return r
