"""What other code in C expects of arrays: NumPy's C interface, references that keep memory alive, sequence slots."""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from npx.array.ndarray cimport ndarray, read, vouch

cnp.import_array()

cdef extern from "Python.h":
    ctypedef struct SequenceMethods "PySequenceMethods":
        object (*sq_concat)(object, object)
        object (*sq_item)(object, Py_ssize_t)
        int (*sq_ass_item)(object, Py_ssize_t, PyObject*) except -1
    ctypedef struct SequenceType "PyTypeObject":
        SequenceMethods* tp_as_sequence
    void Py_INCREF(object)
    void Py_XDECREF(PyObject*)
    void PyType_Modified(PyTypeObject*)

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject*, cnp.dtype, int, cnp.npy_intp*, cnp.npy_intp*, void*, int, PyObject*)
    ctypedef struct PyArrayInterface:
        int flags
        PyObject* descr
    int NPY_ARR_HAS_DESCR
    int NPY_ARRAY_NOTSWAPPED
    int NPY_ARRAY_WRITEABLE
    int NPY_ARRAY_C_CONTIGUOUS
    int NPY_ARRAY_F_CONTIGUOUS
    int NPY_ARRAY_ALIGNED


def lent(ndarray x):
    """A NumPy view of the host memory of `x` that keeps `x` itself, for code that holds on to NumPy arrays."""
    cdef cnp.ndarray a = read(x)
    cdef cnp.dtype descr = a.descr
    cdef object r
    Py_INCREF(descr)
    r = PyArray_NewFromDescr(<PyTypeObject*>cnp.ndarray, descr, a.ndim, cnp.PyArray_DIMS(a), cnp.PyArray_STRIDES(a),
                             cnp.PyArray_BYTES(a), cnp.PyArray_FLAGS(a), NULL)
    cnp.set_array_base(r, x if vouch(x, a) else a)
    return r


def struct_with_dtype(cnp.ndarray a):
    """``a.__array_struct__`` with the dtype itself as description, which NumPy reads without loss."""
    capsule = (<object>a).__array_struct__
    cdef PyArrayInterface* described = <PyArrayInterface*>PyCapsule_GetPointer(capsule, NULL)
    cdef int kept = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_WRITEABLE
    cdef object descr = a.descr
    Py_XDECREF(described.descr)
    Py_INCREF(descr)
    described.descr = <PyObject*>descr
    described.flags = (cnp.PyArray_FLAGS(a) & kept) | NPY_ARRAY_NOTSWAPPED | NPY_ARR_HAS_DESCR
    return capsule


def add_members(cls, dict members):
    """Give a class that is written in C further members."""
    (<dict>(<PyTypeObject*>cls).tp_dict).update(members)
    PyType_Modified(<PyTypeObject*>cls)


# ------------------------------------------------------------------------------------------- the sequence slots
cdef object _concatenate(object x, object other):
    raise TypeError(
        "Concatenation operation is not implemented for arrays, use np.concatenate() instead. "
        "Please do not rely on this error; it may not be given on all Python implementations."
    )


cdef object _item(object x, Py_ssize_t i):
    return x[i - len(x) if i < 0 else i]  # Python has added the length once: what is still negative is out of bounds


cdef int _set_item(object x, Py_ssize_t i, PyObject* value) except -1:
    if i < 0:
        i -= len(x)
    if value is NULL:
        del x[i]
    else:
        x[i] = <object>value
    return 0


cdef void _install_slots():
    """Without them Python adds up arrays that it is asked to concatenate, and shifts indices twice."""
    cdef SequenceMethods* slots = (<SequenceType*>ndarray).tp_as_sequence
    slots.sq_concat = _concatenate
    slots.sq_item = _item
    slots.sq_ass_item = _set_item


_install_slots()
