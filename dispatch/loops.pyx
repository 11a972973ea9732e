"""Direct C loops for small host arrays: the table, and the functions that operators and ufuncs call."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.ref cimport PyObject
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy

import numpy

cnp.import_array()

cdef extern from "<fenv.h>" nogil:
    int FE_DIVBYZERO, FE_INVALID, FE_OVERFLOW, FE_UNDERFLOW
    int fetestexcept(int)
    int feclearexcept(int)

#: NumPy's ufunc of each place in the table; `power` as an operator is more than its ufunc, `matmul` has no loops
BINARY_OPS = {
    OP_ADD: "add", OP_SUBTRACT: "subtract", OP_MULTIPLY: "multiply", OP_TRUE_DIVIDE: "divide",
    OP_FLOOR_DIVIDE: "floor_divide", OP_REMAINDER: "remainder",
    OP_BITAND: "bitwise_and", OP_BITOR: "bitwise_or", OP_BITXOR: "bitwise_xor",
    OP_LSHIFT: "left_shift", OP_RSHIFT: "right_shift",
    OP_LT: "less", OP_LE: "less_equal", OP_GT: "greater", OP_GE: "greater_equal", OP_EQ: "equal", OP_NE: "not_equal",
    OP_MAXIMUM: "maximum", OP_MINIMUM: "minimum",
    OP_LOGICAL_AND: "logical_and", OP_LOGICAL_OR: "logical_or", OP_LOGICAL_XOR: "logical_xor",
}
UNARY_OPS = {
    OP_NEG: "negative", OP_POS: "positive", OP_ABS: "absolute", OP_INVERT: "invert",
    OP_SQUARE: "square", OP_SQRT: "sqrt", OP_RECIPROCAL: "reciprocal", OP_LOGICAL_NOT: "logical_not",
}

cdef dict _binary_places = {name: place for place, name in BINARY_OPS.items()}
cdef dict _unary_places = {name: place for place, name in UNARY_OPS.items()}

# The dtypes that may have loops, by their place in the table, and the places by NumPy's type number.
cdef enum:
    NTYPES = 6
    NTYPENUMS = 24  # NumPy's built-in type numbers end before
cdef int[NTYPES] TYPE_NUMS = [
    cnp.NPY_BOOL, cnp.NPY_INT32, cnp.NPY_INT64, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_COMPLEX128]
cdef int[NTYPENUMS] TYPE_PLACES
cdef (PyObject*)[NTYPES] DESCRIPTORS  # NumPy's own instances: any other may be byte-swapped or carry metadata
cdef list _descriptors_alive = []
cdef type _float64 = numpy.float64


cdef void _fill_types():
    cdef int place
    for place in range(NTYPENUMS):
        TYPE_PLACES[place] = -1
    for place in range(NTYPES):
        TYPE_PLACES[TYPE_NUMS[place]] = place
        descriptor = cnp.PyArray_DescrFromType(TYPE_NUMS[place])
        _descriptors_alive.append(descriptor)
        DESCRIPTORS[place] = <PyObject*>descriptor


_fill_types()


cdef struct Entry:
    void* loop
    int out
    bint flags

cdef Entry[NBINARY][NTYPES] BINARY
cdef Entry[NUNARY][NTYPES] UNARY


cdef int register_binary(str ufunc, int type_num, binary_loop loop, int out, bint flags) except -1:
    BINARY[<int>_binary_places[ufunc]][TYPE_PLACES[type_num]] = Entry(<void*>loop, out, flags)
    return 0


cdef int register_unary(str ufunc, int type_num, unary_loop loop, int out, bint flags) except -1:
    UNARY[<int>_unary_places[ufunc]][TYPE_PLACES[type_num]] = Entry(<void*>loop, out, flags)
    return 0


def registered():
    """The pairs of ufunc and dtype that have a loop."""
    cdef int place, kind
    return [
        (names[place], numpy.dtype(<object>DESCRIPTORS[kind]))
        for names in (BINARY_OPS, UNARY_OPS)
        for place in names
        for kind in range(NTYPES)
        if (BINARY[place][kind].loop if names is BINARY_OPS else UNARY[place][kind].loop) != NULL
    ]


cpdef int unary_place(str ufunc):
    return _unary_places.get(ufunc, -1)


cpdef int binary_place(str ufunc):
    return _binary_places.get(ufunc, -1)


# ---- what the operands are

cdef inline int type_place(cnp.ndarray a) noexcept:
    """The place of `a`'s dtype in the table, or -1 where `a` is no plain, contiguous, aligned array of such a dtype."""
    cdef int wanted = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED
    cdef int type_num = cnp.PyArray_TYPE(a)
    if type(a) is not cnp.ndarray or cnp.PyArray_FLAGS(a) & wanted != wanted or not 0 <= type_num < NTYPENUMS:
        return -1
    cdef int place = TYPE_PLACES[type_num]
    if place < 0 or <PyObject*>cnp.PyArray_DESCR(a) != DESCRIPTORS[place]:
        return -1
    return place


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int ndim = cnp.PyArray_NDIM(a), i
    if ndim != cnp.PyArray_NDIM(b):
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef inline int which_fixed(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Which of the operands is the same element all along, or -1 where their shapes want a true broadcast."""
    if same_shape(a, b):
        return FIXED_NONE
    if cnp.PyArray_NDIM(b) == 0:
        return FIXED_SECOND
    if cnp.PyArray_NDIM(a) == 0:
        return FIXED_FIRST
    return -1


cdef inline cnp.ndarray empty_like(cnp.ndarray a, int type_num):
    return cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), type_num)


# ---- floating point status: a loop that raises a flag is run again by NumPy, which warns as `errstate` says

cdef inline void clear_status() noexcept nogil:
    cdef int flags = FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW
    if fetestexcept(flags):  # reading is far cheaper than clearing
        feclearexcept(flags)


cdef inline bint status_raised() noexcept nogil:
    return fetestexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW) != 0


# ---- Python scalars, weak as NEP 50 says

cdef union Element:
    int32_t i32
    int64_t i64
    float f32
    double f64
    double[2] c128


cdef bint weak_element(object scalar, int place, Element* element) noexcept:
    """Write `scalar` as an element of the array's dtype; False where NumPy should see to it."""
    cdef int type_num = TYPE_NUMS[place]
    if PyFloat_CheckExact(scalar):
        return float_element(PyFloat_AS_DOUBLE(scalar), type_num, element)
    if PyLong_CheckExact(scalar):
        return int_element(scalar, type_num, element)
    if type(scalar) is _float64 and type_num == cnp.NPY_FLOAT64:
        element.f64 = PyFloat_AS_DOUBLE(scalar)
        return True
    return False


cdef inline bint float_element(double value, int type_num, Element* element) noexcept:
    if type_num == cnp.NPY_FLOAT64:
        element.f64 = value
        return True
    if type_num == cnp.NPY_FLOAT32:
        if not (FLT_MIN <= fabs(value) <= FLT_MAX or value == 0):  # the cast itself may have to warn
            return False
        element.f32 = <float>value
        return True
    if type_num == cnp.NPY_COMPLEX128:
        element.c128[0], element.c128[1] = value, 0
        return True
    return False


cdef inline bint int_element(object scalar, int type_num, Element* element) noexcept:
    cdef int overflow = 0
    cdef long long value = PyLong_AsLongLongAndOverflow(scalar, &overflow)
    if overflow:
        return False
    if type_num == cnp.NPY_INT64:
        element.i64 = value
        return True
    if type_num == cnp.NPY_INT32:
        element.i32 = <int32_t>value
        return element.i32 == value
    if -(1 << 24) <= value <= 1 << 24:  # exact in every floating dtype
        return float_element(<double>value, type_num, element)
    return False


# ---- the operations

cdef object small_binary(int opid, cnp.ndarray a, cnp.ndarray b):
    cdef int place = type_place(a)
    if place < 0 or place != type_place(b):
        return None
    cdef int fixed = which_fixed(a, b)
    if fixed < 0:
        return None
    return run_binary(opid, place, b if fixed == FIXED_FIRST else a, cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), fixed)


cdef object small_binary_scalar(int opid, cnp.ndarray a, object scalar, bint reflected):
    cdef int place = type_place(a)
    cdef Element element
    if place < 0:
        return None
    if opid == OP_POWER:
        return None if reflected else power(a, scalar)
    if not weak_element(scalar, place, &element):
        return None
    if reflected:
        return run_binary(opid, place, a, &element, cnp.PyArray_DATA(a), FIXED_FIRST)
    return run_binary(opid, place, a, cnp.PyArray_DATA(a), &element, FIXED_SECOND)


cdef inline object run_binary(int opid, int place, cnp.ndarray like, const void* a, const void* b, int fixed):
    """The result in an array of the shape of `like`."""
    cdef Entry* entry = &BINARY[opid][place]
    cdef Py_ssize_t n = cnp.PyArray_SIZE(like)
    if entry.loop == NULL or n > SMALL or cnp.PyArray_NDIM(like) == 0:  # NumPy makes a scalar of a 0-d result
        return None
    cdef cnp.ndarray out = empty_like(like, entry.out)
    if not entry.flags:
        (<binary_loop>entry.loop)(a, b, cnp.PyArray_DATA(out), n, fixed)
        return out
    clear_status()
    (<binary_loop>entry.loop)(a, b, cnp.PyArray_DATA(out), n, fixed)
    return None if status_raised() else out


cdef object power(cnp.ndarray a, object exponent):
    """The powers that NumPy's operator (and not its ufunc) computes otherwise."""
    cdef int type_num = cnp.PyArray_TYPE(a)
    cdef bint inexact = type_num == cnp.NPY_FLOAT32 or type_num == cnp.NPY_FLOAT64
    cdef double value
    if PyLong_CheckExact(exponent):
        return small_unary(OP_SQUARE, a) if exponent == 2 and type_num != cnp.NPY_BOOL else None
    if inexact and PyFloat_CheckExact(exponent):
        value = PyFloat_AS_DOUBLE(exponent)
        if value == 2:
            return small_unary(OP_SQUARE, a)
        if value == 0.5:
            return small_unary(OP_SQRT, a)
    return None


cdef object small_unary(int opid, cnp.ndarray a):
    cdef int place = type_place(a)
    if place < 0:
        return None
    cdef Entry* entry = &UNARY[opid][place]
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a)
    if entry.loop == NULL or n > SMALL or cnp.PyArray_NDIM(a) == 0:
        return None
    cdef cnp.ndarray out = empty_like(a, entry.out)
    if not entry.flags:
        (<unary_loop>entry.loop)(cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), n)
        return out
    clear_status()
    (<unary_loop>entry.loop)(cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), n)
    return None if status_raised() else out


# ---- in place

cdef bint small_inplace(int opid, cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int place = type_place(a)
    if place < 0 or place != type_place(b):
        return False
    cdef int fixed = which_fixed(a, b)
    if fixed == FIXED_NONE and not overlap(a, b):
        return run_inplace(opid, place, a, cnp.PyArray_DATA(b), fixed)
    if fixed == FIXED_SECOND:
        return run_inplace_fixed(opid, place, a, cnp.PyArray_DATA(b))
    return False


cdef bint small_inplace_scalar(int opid, cnp.ndarray a, object scalar) noexcept:
    cdef int place = type_place(a)
    cdef Element element
    if place < 0 or not weak_element(scalar, place, &element):
        return False
    return run_inplace(opid, place, a, &element, FIXED_SECOND)


cdef inline bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two contiguous arrays of one size share memory otherwise than element by element."""
    cdef uintptr_t p = <uintptr_t>cnp.PyArray_DATA(a), q = <uintptr_t>cnp.PyArray_DATA(b)
    cdef uintptr_t distance = q - p if p < q else p - q
    return 0 < distance < <uintptr_t>cnp.PyArray_NBYTES(a)


cdef inline bint run_inplace_fixed(int opid, int place, cnp.ndarray a, const void* b) noexcept:
    cdef Element element  # a copy: `b` may lie in `a`
    memcpy(&element, b, cnp.PyArray_ITEMSIZE(a))
    return run_inplace(opid, place, a, &element, FIXED_SECOND)


cdef inline bint run_inplace(int opid, int place, cnp.ndarray a, const void* b, int fixed) noexcept:
    cdef char[8 * SMALL] scratch
    cdef Entry* entry = &BINARY[opid][place]
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a), nbytes = cnp.PyArray_NBYTES(a)
    cdef void* data = cnp.PyArray_DATA(a)
    if entry.loop == NULL or entry.out != TYPE_NUMS[place] or not cnp.PyArray_FLAGS(a) & cnp.NPY_ARRAY_WRITEABLE:
        return False
    if n > SMALL or nbytes > <Py_ssize_t>sizeof(scratch):
        return False
    if not entry.flags:
        (<binary_loop>entry.loop)(data, b, data, n, fixed)
        return True
    clear_status()  # what NumPy must do again needs `a` as it was
    (<binary_loop>entry.loop)(data, b, scratch, n, fixed)
    if status_raised():
        return False
    memcpy(data, scratch, nbytes)
    return True
