"""Direct C loops for small host arrays: the table, and the functions that operators, ufuncs and reductions call."""

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

cdef extern from "Python.h":
    PyObject* PyErr_Occurred()
    void PyErr_Clear()

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void* data, object descr, object base)

#: NumPy's ufunc of each place in the table that has a name in C, and after those of the others. `power` as an operator
#: is more than its ufunc, `matmul` has no loops
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



def _complete(names, first, most, nin):
    """Give a place to every other ufunc of NumPy's with `nin` operands and one result."""
    found = [u for _, u in sorted(vars(numpy).items()) if isinstance(u, numpy.ufunc) and u.signature is None]
    others = {u.__name__ for u in found if (u.nin, u.nout) == (nin, 1)}.difference(names.values())
    names.update(zip(range(first, most), sorted(others)))


_complete(BINARY_OPS, NBINARY, MOST_BINARY, 2)
_complete(UNARY_OPS, NUNARY, MOST_UNARY, 1)
cdef dict _binary_places = {name: place for place, name in BINARY_OPS.items()}
cdef dict _unary_places = {name: place for place, name in UNARY_OPS.items()}
cdef int POWER = _binary_places["power"]  # the ufunc

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
cdef object _true = numpy.True_, _false = numpy.False_


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
    void* loop                          # registered by a kernel, or NULL
    int out
    bint flags
    cnp.PyUFuncGenericFunction numpys   # NumPy's own loop for operands of this dtype, or NULL
    void* data

cdef Entry[MOST_BINARY][NTYPES] BINARY
cdef Entry[MOST_UNARY][NTYPES] UNARY


cdef int register_binary(str ufunc, int type_num, binary_loop loop, int out, bint flags) except -1:
    enter(&BINARY[<int>_binary_places[ufunc]][TYPE_PLACES[type_num]], <void*>loop, out, flags)
    return 0


cdef int register_unary(str ufunc, int type_num, unary_loop loop, int out, bint flags) except -1:
    enter(&UNARY[<int>_unary_places[ufunc]][TYPE_PLACES[type_num]], <void*>loop, out, flags)
    return 0


cdef void enter(Entry* entry, void* loop, int out, bint flags) noexcept:
    entry.loop, entry.out, entry.flags = loop, out, flags


cdef void _enter_numpys_loops(cnp.ufunc ufunc, Entry* row):
    """Note the loop that NumPy takes where all operands have one dtype: the first in its list for exactly that."""
    cdef int i, k, place
    cdef char* types
    for i in range(ufunc.ntypes):
        types = <char*>ufunc.types + i * ufunc.nargs
        place = TYPE_PLACES[types[0]] if 0 <= types[0] < NTYPENUMS else -1
        if place < 0 or types[ufunc.nin] < 0 or TYPE_PLACES[types[ufunc.nin]] < 0 or row[place].numpys != NULL:
            continue
        for k in range(1, ufunc.nin):
            if types[k] != types[0]:
                break
        else:
            row[place].numpys, row[place].data = ufunc.functions[i], ufunc.data[i]
            row[place].out = types[ufunc.nin]


for _place, _name in BINARY_OPS.items():
    if _place != OP_MATMUL:
        _enter_numpys_loops(getattr(numpy, _name), BINARY[<int>_place])
for _place, _name in UNARY_OPS.items():
    _enter_numpys_loops(getattr(numpy, _name), UNARY[<int>_place])


def with_loops(bint registered=False):
    """The pairs of ufunc and dtype that have a loop, or one that a kernel has registered."""
    cdef int place, kind
    cdef Entry* entry
    found = []
    for names in (BINARY_OPS, UNARY_OPS):
        for place in names:
            for kind in range(NTYPES):
                entry = &BINARY[place][kind] if names is BINARY_OPS else &UNARY[place][kind]
                if entry.loop != NULL or (entry.numpys != NULL and not registered):
                    found.append((names[place], numpy.dtype(<object>DESCRIPTORS[kind])))
    return found


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

cdef inline bint run(Entry* entry, const void* a, const void* b, void* out, Py_ssize_t n, int fixed,
                     Py_ssize_t itemsize, Py_ssize_t outsize) noexcept:
    """Run a binary loop; False where NumPy must do it again, to warn or to raise."""
    cdef (char*)[3] operands
    cdef cnp.npy_intp[3] steps
    cdef cnp.npy_intp count = n
    if entry.loop != NULL:
        if not entry.flags:
            (<binary_loop>entry.loop)(a, b, out, n, fixed)
            return True
        clear_status()
        (<binary_loop>entry.loop)(a, b, out, n, fixed)
        return not status_raised()
    operands[0], operands[1], operands[2] = <char*>a, <char*>b, <char*>out
    steps[0] = 0 if fixed == FIXED_FIRST else itemsize
    steps[1] = 0 if fixed == FIXED_SECOND else itemsize
    steps[2] = outsize
    return run_numpys(entry, operands, &count, steps)


cdef inline bint run_numpys(Entry* entry, char** operands, cnp.npy_intp* n, cnp.npy_intp* steps) noexcept:
    clear_status()
    entry.numpys(operands, n, steps, entry.data)
    if PyErr_Occurred() != NULL:
        PyErr_Clear()
        return False
    return not status_raised()


cdef object small_binary(int opid, cnp.ndarray a, cnp.ndarray b):
    cdef int place = type_place(a)
    if place < 0 or place != type_place(b):
        return None
    cdef int fixed = which_fixed(a, b)
    if fixed < 0:
        return None
    if opid == OP_POWER:
        if fixed != FIXED_NONE:
            return None
        opid = POWER
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
    cdef cnp.ndarray out
    if n > SMALL or cnp.PyArray_NDIM(like) == 0:  # NumPy makes a scalar of a 0-d result
        return None
    if entry.loop == NULL and entry.numpys == NULL:
        return None
    out = empty_like(like, entry.out)
    if run(entry, a, b, cnp.PyArray_DATA(out), n, fixed, cnp.PyArray_ITEMSIZE(like), cnp.PyArray_ITEMSIZE(out)):
        return out
    return None


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
    if n > SMALL or cnp.PyArray_NDIM(a) == 0 or (entry.loop == NULL and entry.numpys == NULL):
        return None
    cdef cnp.ndarray out = empty_like(a, entry.out)
    return out if run_unary(entry, a, out, n) else None


cdef inline bint run_unary(Entry* entry, cnp.ndarray a, cnp.ndarray out, cnp.npy_intp n) noexcept:
    cdef (char*)[2] operands
    cdef cnp.npy_intp[2] steps
    if entry.loop != NULL:
        if not entry.flags:
            (<unary_loop>entry.loop)(cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), n)
            return True
        clear_status()
        (<unary_loop>entry.loop)(cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), n)
        return not status_raised()
    operands[0], operands[1] = cnp.PyArray_BYTES(a), cnp.PyArray_BYTES(out)
    steps[0], steps[1] = cnp.PyArray_ITEMSIZE(a), cnp.PyArray_ITEMSIZE(out)
    return run_numpys(entry, operands, &n, steps)


# ---- reductions of all elements

cdef int reduced(int opid, cnp.ndarray a, Element* result) noexcept:
    """Reduce with NumPy's loop, from NumPy's start, so in NumPy's order; the dtype's place, or -1."""
    cdef int place = type_place(a)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a), first = 0, itemsize = cnp.PyArray_ITEMSIZE(a)
    cdef (char*)[3] operands
    cdef cnp.npy_intp[3] steps
    cdef cnp.npy_intp count
    if place < 0 or n == 0 or n > SMALL or cnp.PyArray_NDIM(a) == 0:
        return -1
    cdef Entry* entry = &BINARY[opid][place]
    if entry.numpys == NULL or entry.out != TYPE_NUMS[place]:
        return -1
    if opid == OP_MAXIMUM or opid == OP_MINIMUM:
        memcpy(result, cnp.PyArray_DATA(a), itemsize)
        first = 1
    elif (opid != OP_ADD and opid != OP_MULTIPLY) or type_num_is_narrow(TYPE_NUMS[place]):
        return -1
    else:
        int_element_or_float(opid == OP_MULTIPLY, TYPE_NUMS[place], result)
    operands[0] = operands[2] = <char*>result
    operands[1] = cnp.PyArray_BYTES(a) + first * itemsize
    steps[0] = steps[2] = 0
    steps[1] = itemsize
    count = n - first
    if not run_numpys(entry, operands, &count, steps):
        return -1
    return place


cdef inline bint type_num_is_narrow(int type_num) noexcept:
    """Whether NumPy sums up elements of this dtype in a wider one."""
    return type_num == cnp.NPY_BOOL or type_num == cnp.NPY_INT32


cdef inline void int_element_or_float(bint value, int type_num, Element* element) noexcept:
    if type_num == cnp.NPY_INT64:
        element.i64 = value
    else:
        float_element(value, type_num, element)


cdef object small_reduce(int opid, cnp.ndarray a):
    cdef Element result
    cdef int place = reduced(opid, a, &result)
    if place < 0:
        return None
    return PyArray_Scalar(&result, <object>cnp.PyArray_DESCR(a), None)


cdef object small_mean(cnp.ndarray a):
    cdef Element result
    if cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT64 or reduced(OP_ADD, a, &result) < 0:
        return None
    result.f64 = result.f64 / cnp.PyArray_SIZE(a)
    return None if status_raised() else PyArray_Scalar(&result, <object>cnp.PyArray_DESCR(a), None)


cdef object small_any(cnp.ndarray a):
    cdef int found = find(a, True)
    return None if found < 0 else numpy_bool(found)


cdef object small_all(cnp.ndarray a):
    cdef int found = find(a, False)
    return None if found < 0 else numpy_bool(not found)


cdef inline object numpy_bool(bint value):
    return _true if value else _false


cdef int find(cnp.ndarray a, bint wanted) noexcept:
    """Whether some element has this truth value, or -1 where NumPy has to tell."""
    cdef int place = type_place(a)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a), i
    cdef void* data = cnp.PyArray_DATA(a)
    if place < 0 or n > SMALL or cnp.PyArray_NDIM(a) == 0:
        return -1
    if TYPE_NUMS[place] == cnp.NPY_BOOL:
        for i in range(n):
            if ((<char*>data)[i] != 0) == wanted:
                return True
    elif TYPE_NUMS[place] == cnp.NPY_FLOAT64:
        for i in range(n):
            if ((<double*>data)[i] != 0) == wanted:
                return True
    elif TYPE_NUMS[place] == cnp.NPY_INT64:
        for i in range(n):
            if ((<int64_t*>data)[i] != 0) == wanted:
                return True
    else:
        return -1
    return False


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
    if entry.out != TYPE_NUMS[place] or (entry.loop == NULL and entry.numpys == NULL):
        return False
    if not cnp.PyArray_FLAGS(a) & cnp.NPY_ARRAY_WRITEABLE:
        return False
    if n > SMALL or nbytes > <Py_ssize_t>sizeof(scratch):
        return False
    if entry.loop != NULL and not entry.flags:
        (<binary_loop>entry.loop)(data, b, data, n, fixed)
        return True
    # What NumPy must do again needs `a` as it was.
    if not run(entry, data, b, scratch, n, fixed, cnp.PyArray_ITEMSIZE(a), cnp.PyArray_ITEMSIZE(a)):
        return False
    memcpy(data, scratch, nbytes)
    return True
