"""Direct C loops for small host arrays: the table, and the functions that operators and ufuncs call.

On a handful of elements NumPy spends nearly all its time on choosing a loop and preparing its call. Here the choice is
one table look-up. A kernel module may register loops of its own when it is imported; elsewhere the table has the inner
loops of NumPy's ufuncs. Where there is none, or a loop does not apply (another dtype or layout, more elements than
`SMALL`, a floating point warning due), the functions say so and the caller asks NumPy.
"""

cimport numpy as cnp

cdef enum:
    SMALL = 4096  # elements; above, what NumPy spends before its loop no longer shows

# Places in the table. `BINARY_OPS` and `UNARY_OPS` give the name of the ufunc of each.
cdef enum BinaryId:
    OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_TRUE_DIVIDE, OP_FLOOR_DIVIDE, OP_REMAINDER, OP_POWER,
    OP_BITAND, OP_BITOR, OP_BITXOR, OP_LSHIFT, OP_RSHIFT,
    OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE,
    OP_MATMUL,
    OP_MAXIMUM, OP_MINIMUM, OP_LOGICAL_AND, OP_LOGICAL_OR, OP_LOGICAL_XOR,
    NBINARY

cdef enum UnaryId:
    OP_NEG, OP_POS, OP_ABS, OP_INVERT,
    OP_SQUARE, OP_SQRT, OP_RECIPROCAL, OP_LOGICAL_NOT,
    NUNARY

cdef enum:
    MOST_BINARY = 64  # rows of the table: every ufunc of NumPy's with one result has one
    MOST_UNARY = 80

# What stays fixed along a loop while the other operand moves on.
cdef enum:
    FIXED_NONE, FIXED_SECOND, FIXED_FIRST

ctypedef void (*binary_loop)(const void* a, const void* b, void* out, Py_ssize_t n, int fixed) noexcept nogil
ctypedef void (*unary_loop)(const void* a, void* out, Py_ssize_t n) noexcept nogil

# `type_num` and `out` are NumPy's type numbers of operands and result. `flags`: whether the floating point status that
# the loop leaves counts (NumPy ignores it after comparisons, and integers have none).
cdef int register_binary(str ufunc, int type_num, binary_loop loop, int out, bint flags) except -1
cdef int register_unary(str ufunc, int type_num, unary_loop loop, int out, bint flags) except -1

# Each returns a fresh array, or None where NumPy must do the work.
cdef object small_binary(int opid, cnp.ndarray a, cnp.ndarray b)
cdef object small_binary_scalar(int opid, cnp.ndarray a, object scalar, bint reflected)
cdef object small_unary(int opid, cnp.ndarray a)

# Each gives the scalar that NumPy's reduction of all elements gives, or None likewise.
cdef object small_reduce(int opid, cnp.ndarray a)
cdef object small_mean(cnp.ndarray a)
cdef object small_any(cnp.ndarray a)
cdef object small_all(cnp.ndarray a)

# Each writes into `a` and returns True, or leaves `a` as it was and returns False.
cdef bint small_inplace(int opid, cnp.ndarray a, cnp.ndarray b) noexcept
cdef bint small_inplace_scalar(int opid, cnp.ndarray a, object scalar) noexcept

# The place in the table of the ufunc of NumPy's with this name, or -1.
cpdef int unary_place(str ufunc)
cpdef int binary_place(str ufunc)
