"""Direct ways to call NumPy on plain arguments, past the parsing of arguments and the Python code before the work.

Only for calls that are short beside what they skip: each has to save a good part of its time on ten elements. They take
positional arguments of the commonest forms and give NotImplemented for all others. `npx.array.calling` asks them first.
"""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t
from npx.array.calling cimport Direct, direct_call, place
from npx.array.memory cimport protect
from npx.array.ndarray cimport is_plain, ndarray, new_array, view_of_host
from npx.dispatch.loops cimport (
    OP_ADD, OP_MAXIMUM, OP_MINIMUM, OP_MULTIPLY, small_any, small_all, small_mean, small_reduce,
)

import numpy

from npx.array.calling import DIRECT

cnp.import_array()

ctypedef PyObject* const* Arguments

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1
    void Py_INCREF(object)

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Dims:
        cnp.npy_intp* ptr
        int len
    object PyArray_ZEROS(int, cnp.npy_intp*, int, int)
    object PyArray_EMPTY(int, cnp.npy_intp*, int, int)
    object PyArray_FromBuffer(object, object, cnp.npy_intp, cnp.npy_intp)
    object PyArray_Newshape(cnp.ndarray, PyArray_Dims*, cnp.NPY_ORDER)
    object PyArray_Ravel(cnp.ndarray, cnp.NPY_ORDER)
    object PyArray_Flatten(cnp.ndarray, cnp.NPY_ORDER)
    object PyArray_NewCopy(cnp.ndarray, cnp.NPY_ORDER)
    object PyArray_Transpose(cnp.ndarray, PyArray_Dims*)
    object PyArray_SwapAxes(cnp.ndarray, int, int)
    object PyArray_Squeeze(cnp.ndarray)
    object PyArray_View(cnp.ndarray, PyObject*, PyTypeObject*)
    object PyArray_ToList(cnp.ndarray)
    object PyArray_Nonzero(cnp.ndarray)
    object PyArray_GETITEM(cnp.ndarray, void*)
    object PyArray_CastToType(cnp.ndarray, object, int)
    object PyArray_TakeFrom(cnp.ndarray, object, int, PyObject*, cnp.NPY_CLIPMODE)
    object PyArray_Repeat(cnp.ndarray, object, int)
    object PyArray_ArgSort(cnp.ndarray, int, cnp.NPY_SORTKIND)
    object PyArray_Round(cnp.ndarray, int, PyObject*)
    int ALL_AXES "NPY_RAVEL_AXIS"
    int PyArray_FillWithScalar(cnp.ndarray, object) except -1

cdef enum:
    MOST_AXES = 8  # given as arguments

cdef object DOUBLE = numpy.dtype(float)

#: the types that `astype` is often called with -> dtype
cdef dict TYPES = {kind: numpy.dtype(kind) for kind in (float, int, bool, numpy.bool_, numpy.int32, numpy.int64,
                                                        numpy.float32, numpy.float64)}


cdef inline bint is_host(PyObject* x):
    return type(<object>x) is ndarray and is_plain(<ndarray>x)


cdef inline cnp.ndarray memory(PyObject* x):
    return <cnp.ndarray>(<ndarray>x).data_


cdef inline bint is_real(cnp.ndarray a):
    return cnp.PyArray_TYPE(a) <= cnp.NPY_LONGDOUBLE


cdef inline bint small_int(object x, cnp.npy_intp* value):
    """Whether `x` is an int that fits, and its value."""
    cdef int overflow = 0
    if type(x) is not int:
        return False
    value[0] = PyLong_AsLongLongAndOverflow(x, &overflow)
    return not overflow


cdef int shape_of(PyObject* const* args, Py_ssize_t n, cnp.npy_intp* dims):
    """The number of ints that were given, one by one or in a tuple; -1 where something else was."""
    cdef Py_ssize_t i
    cdef object only
    if n == 1 and type(<object>args[0]) is tuple:
        only = <object>args[0]
        if len(<tuple>only) > MOST_AXES:
            return -1
        for i in range(len(<tuple>only)):
            if not small_int((<tuple>only)[i], &dims[i]):
                return -1
        return <int>len(<tuple>only)
    if n > MOST_AXES:
        return -1
    for i in range(n):
        if not small_int(<object>args[i], &dims[i]):
            return -1
    return <int>n


# ------------------------------------------------------------------------------------------- reductions to a scalar
cdef inline object given(object result):
    return NotImplemented if result is None else result


cdef object sum_of(Arguments args, Py_ssize_t n):
    return given(small_reduce(OP_ADD, memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object product_of(Arguments args, Py_ssize_t n):
    return given(small_reduce(OP_MULTIPLY, memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object greatest_of(Arguments args, Py_ssize_t n):
    return given(small_reduce(OP_MAXIMUM, memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object least_of(Arguments args, Py_ssize_t n):
    return given(small_reduce(OP_MINIMUM, memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object mean_of(Arguments args, Py_ssize_t n):
    return given(small_mean(memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object any_of(Arguments args, Py_ssize_t n):
    return given(small_any(memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


cdef object all_of(Arguments args, Py_ssize_t n):
    return given(small_all(memory(args[0]))) if n == 1 and is_host(args[0]) else NotImplemented


# ------------------------------------------------------------------------------------------- new arrays
cdef inline object created(PyObject* const* args, Py_ssize_t n, bint zeros):
    cdef cnp.npy_intp dims[MOST_AXES]
    cdef int ndim, axis
    if n != 1 or place is not None:
        return NotImplemented
    ndim = shape_of(args, n, dims)
    if ndim < 0:
        return NotImplemented
    for axis in range(ndim):
        if dims[axis] < 0:
            return NotImplemented
    if zeros:
        return new_array(PyArray_ZEROS(ndim, dims, cnp.NPY_DOUBLE, 0))
    return new_array(PyArray_EMPTY(ndim, dims, cnp.NPY_DOUBLE, 0))


cdef object zeros(Arguments args, Py_ssize_t n):
    return created(args, n, True)


cdef object empty(Arguments args, Py_ssize_t n):
    return created(args, n, False)


cdef object ones(Arguments args, Py_ssize_t n):
    cdef object r = created(args, n, False)
    cdef Py_ssize_t i
    cdef double* items
    if r is not NotImplemented:
        items = <double*>cnp.PyArray_DATA(<cnp.ndarray>(<ndarray>r).data_)
        for i in range(cnp.PyArray_SIZE(<cnp.ndarray>(<ndarray>r).data_)):
            items[i] = 1.0
    return r


cdef object arange(Arguments args, Py_ssize_t n):
    cdef cnp.npy_intp stop, i
    cdef cnp.npy_intp dims[1]
    cdef cnp.npy_intp* items
    cdef object r
    if n != 1 or place is not None or not small_int(<object>args[0], &stop) or stop < 0:
        return NotImplemented
    dims[0] = stop
    r = PyArray_EMPTY(1, dims, cnp.NPY_INTP, 0)
    items = <cnp.npy_intp*>cnp.PyArray_DATA(<cnp.ndarray>r)
    for i in range(stop):
        items[i] = i
    return new_array(r)


cdef object frombuffer(Arguments args, Py_ssize_t n):
    if n != 1 or place is not None or type(<object>args[0]) is not bytes:
        return NotImplemented
    Py_INCREF(DOUBLE)
    return new_array(PyArray_FromBuffer(<object>args[0], DOUBLE, -1, 0))


cdef object copy(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return new_array(PyArray_NewCopy(memory(args[0]), cnp.NPY_CORDER))


cdef object flatten(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return new_array(PyArray_Flatten(memory(args[0]), cnp.NPY_CORDER))


cdef object astype(Arguments args, Py_ssize_t n):
    cdef cnp.ndarray a
    cdef object dtype
    if n != 2 or type(<object>args[1]) is not type or not is_host(args[0]):
        return NotImplemented
    a, dtype = memory(args[0]), TYPES.get(<object>args[1])
    if dtype is None or not is_real(a) or not cnp.PyArray_FLAGS(a) & cnp.NPY_ARRAY_C_CONTIGUOUS:
        return NotImplemented
    Py_INCREF(dtype)
    return new_array(PyArray_CastToType(a, dtype, False))


cdef object take(Arguments args, Py_ssize_t n):
    if n != 2 or not is_host(args[0]) or not is_host(args[1]):
        return NotImplemented
    return taken(PyArray_TakeFrom(memory(args[0]), memory(args[1]), ALL_AXES, NULL, cnp.NPY_RAISE))


cdef object repeat(Arguments args, Py_ssize_t n):
    cdef cnp.npy_intp times
    if n != 2 or not is_host(args[0]) or not small_int(<object>args[1], &times):
        return NotImplemented
    return new_array(PyArray_Repeat(memory(args[0]), <object>args[1], ALL_AXES))


cdef object argsort(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]) or cnp.PyArray_NDIM(memory(args[0])) == 0:
        return NotImplemented
    if not is_real(memory(args[0])):  # where comparisons can fail it gives a result beside the exception
        return NotImplemented
    return new_array(PyArray_ArgSort(memory(args[0]), -1, cnp.NPY_QUICKSORT))


cdef object round_(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]) or cnp.PyArray_TYPE(memory(args[0])) != cnp.NPY_DOUBLE:
        return NotImplemented
    return taken(PyArray_Round(memory(args[0]), 0, NULL))


cdef inline object taken(object result):
    """A new array, or a scalar for one without dimensions."""
    if type(result) is not cnp.ndarray:
        return result
    return new_array(result) if cnp.PyArray_NDIM(<cnp.ndarray>result) else result[()]


# ------------------------------------------------------------------------------------------- the array or views of it
cdef object itself(Arguments args, Py_ssize_t n):
    """What takes an array as it is."""
    if n == 1 and is_host(args[0]) and not (<ndarray>args[0]).scalar:
        return <object>args[0]
    return NotImplemented


cdef object itself_where_contiguous(Arguments args, Py_ssize_t n):
    if n == 1 and is_host(args[0]) and cnp.PyArray_NDIM(memory(args[0])):
        if cnp.PyArray_FLAGS(memory(args[0])) & cnp.NPY_ARRAY_C_CONTIGUOUS:
            return <object>args[0]
    return NotImplemented


cdef object itself_where_an_axis(Arguments args, Py_ssize_t n):
    return <object>args[0] if n == 1 and is_host(args[0]) and cnp.PyArray_NDIM(memory(args[0])) else NotImplemented


cdef object itself_where_real(Arguments args, Py_ssize_t n):
    if n == 1 and is_host(args[0]) and not (<ndarray>args[0]).scalar and is_real(memory(args[0])):
        return <object>args[0]
    return NotImplemented


cdef object reshape(Arguments args, Py_ssize_t n):
    cdef cnp.npy_intp dims[MOST_AXES]
    cdef PyArray_Dims shape
    if n < 2 or not is_host(args[0]):
        return NotImplemented
    shape.ptr, shape.len = dims, shape_of(args + 1, n - 1, dims)
    if shape.len < 0:
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_Newshape(memory(args[0]), &shape, cnp.NPY_CORDER))


cdef object ravel(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_Ravel(memory(args[0]), cnp.NPY_CORDER))


cdef object transpose(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_Transpose(memory(args[0]), NULL))


cdef object swapaxes(Arguments args, Py_ssize_t n):
    cdef cnp.npy_intp i, j
    if n != 3 or not is_host(args[0]) or not (small_int(<object>args[1], &i) and small_int(<object>args[2], &j)):
        return NotImplemented
    if not (-MOST_AXES <= i < MOST_AXES and -MOST_AXES <= j < MOST_AXES):
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_SwapAxes(memory(args[0]), <int>i, <int>j))


cdef object squeeze(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_Squeeze(memory(args[0])))


cdef object view(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]):
        return NotImplemented
    return view_of_host(<ndarray>args[0], PyArray_View(memory(args[0]), NULL, NULL))


# ------------------------------------------------------------------------------------------- into and out of Python
cdef object item(Arguments args, Py_ssize_t n):
    cdef cnp.ndarray a
    cdef cnp.npy_intp i = 0
    if n > 2 or n < 1 or not is_host(args[0]):
        return NotImplemented
    a = memory(args[0])
    if cnp.PyArray_TYPE(a) == cnp.NPY_VOID or n == 2 and (a.ndim != 1 or not small_int(<object>args[1], &i)):
        return NotImplemented  # parts of records may be arrays
    if n == 1 and cnp.PyArray_SIZE(a) != 1:
        return NotImplemented
    if i < 0:
        i += cnp.PyArray_SIZE(a)
    if not 0 <= i < cnp.PyArray_SIZE(a):
        return NotImplemented
    return PyArray_GETITEM(a, cnp.PyArray_BYTES(a) + (i * cnp.PyArray_STRIDE(a, 0) if n == 2 else 0))


cdef object tolist(Arguments args, Py_ssize_t n):
    if n != 1 or not is_host(args[0]) or cnp.PyArray_TYPE(memory(args[0])) >= cnp.NPY_OBJECT:
        return NotImplemented
    return PyArray_ToList(memory(args[0]))


cdef object fill(Arguments args, Py_ssize_t n):
    cdef object value
    if n != 2 or not is_host(args[0]) or (<ndarray>args[0]).scalar:
        return NotImplemented
    value = <object>args[1]
    if type(value) is not float and type(value) is not int:
        return NotImplemented
    if not cnp.PyArray_FLAGS(memory(args[0])) & cnp.NPY_ARRAY_WRITEABLE:
        return NotImplemented
    protect(memory(args[0]))
    PyArray_FillWithScalar(memory(args[0]), value)


cdef object nonzero(Arguments args, Py_ssize_t n):
    cdef object found
    if n != 1 or not is_host(args[0]) or cnp.PyArray_NDIM(memory(args[0])) != 1:
        return NotImplemented
    found = PyArray_Nonzero(memory(args[0]))
    return (new_array((<tuple>found)[0]),)


cdef object iterable(Arguments args, Py_ssize_t n):
    return True if n == 1 and is_host(args[0]) and cnp.PyArray_NDIM(memory(args[0])) else NotImplemented


# ------------------------------------------------------------------------------------------- which calls they are for
cdef int register(direct_call run, tuple functions) except -1:
    cdef Direct way = Direct.__new__(Direct)
    way.run = run
    DIRECT.update(dict.fromkeys(functions, way))
    return 0


cdef tuple both(str name):
    """NumPy's function and array method of one name."""
    return getattr(numpy, name), getattr(numpy.ndarray, name)


cdef type methods = numpy.ndarray
register(sum_of, both("sum"))
register(product_of, both("prod"))
register(greatest_of, both("max"))
register(least_of, both("min"))
register(mean_of, both("mean"))
register(any_of, both("any"))
register(all_of, both("all"))
register(zeros, (numpy.zeros,))
register(empty, (numpy.empty,))
register(ones, (numpy.ones,))
register(arange, (numpy.arange,))
register(frombuffer, (numpy.frombuffer,))
register(copy, (methods.copy,))
register(flatten, (methods.flatten,))
register(itself, (numpy.asarray, numpy.asanyarray))
register(itself_where_contiguous, (numpy.ascontiguousarray,))
register(itself_where_an_axis, (numpy.atleast_1d,))
register(itself_where_real, (numpy.real, methods.conj, methods.conjugate))
register(astype, (methods.astype,))
register(take, both("take"))
register(repeat, both("repeat"))
register(argsort, both("argsort"))
register(round_, both("round"))
register(reshape, (methods.reshape,))
register(ravel, both("ravel"))
register(transpose, both("transpose"))
register(swapaxes, both("swapaxes"))
register(squeeze, both("squeeze"))
register(view, (methods.view,))
register(item, (methods.item,))
register(tolist, (methods.tolist,))
register(fill, (methods.fill,))
register(nonzero, both("nonzero"))
register(iterable, (numpy.iterable,))
