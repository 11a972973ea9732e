"""Memory for large results, kept for the next one.

A large block that is freed goes back to the system, and the next one of its size costs a page fault for each 4 KiB: up to
ten times the arithmetic. NumPy escapes by computing ``a + b + c`` in the memory of ``a + b``; here temporaries are held
by npx arrays, so their blocks are kept instead. The pool serves only results that npx computes (NEP 49 data allocator,
https://numpy.org/neps/nep-0049.html); other NumPy arrays keep NumPy's allocator.
"""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

cimport numpy as cnp

cnp.import_array()

cdef extern from "numpy/ndarraytypes.h":
    ctypedef struct PyDataMemAllocator:
        void* ctx
        void* (*malloc)(void* ctx, size_t size) noexcept
        void* (*calloc)(void* ctx, size_t count, size_t size) noexcept
        void* (*realloc)(void* ctx, void* block, size_t size) noexcept
        void (*free)(void* ctx, void* block, size_t size) noexcept

    ctypedef struct PyDataMem_Handler:
        char name[127]
        unsigned char version
        PyDataMemAllocator allocator

cdef extern from "Python.h":
    size_t OFFSET "PY_VECTORCALL_ARGUMENTS_OFFSET"
    object PyObject_CallOneArg(object, object)
    object PyObject_Vectorcall(object, PyObject* const*, size_t, PyObject*)

cdef extern from "numpy/arrayobject.h":
    object PyDataMem_SetHandler(object handler)

cdef Py_ssize_t LARGE = 1 << 15  # bytes from which results come from the pool: malloc gives what many such add up to back

cdef enum:
    PLACES = 64          # blocks that are kept
    PAGE = 4096

cdef size_t MOST = 1 << 26   # bytes that are kept in all

cdef void* blocks[PLACES]
cdef size_t sizes[PLACES]
cdef size_t kept = 0
cdef int oldest = 0


cdef inline size_t rounded(size_t size) noexcept:
    return (size + PAGE - 1) & ~(<size_t>PAGE - 1)


cdef void* take(void* ctx, size_t size) noexcept:
    """A block of `size` bytes: one that was kept, or a new one."""
    global kept
    cdef int i
    cdef void* block
    if size < <size_t>LARGE:
        return malloc(size)
    size = rounded(size)
    for i in range(PLACES):
        if sizes[i] == size:
            block = blocks[i]
            blocks[i], sizes[i] = NULL, 0
            kept -= size
            return block
    return malloc(size)


cdef void give(void* ctx, void* block, size_t size) noexcept:
    """Keep a block, in the place of the oldest one if all places are taken."""
    global kept, oldest
    cdef int i, place = -1
    if block == NULL:
        return
    if size < <size_t>LARGE or rounded(size) > MOST:
        free(block)
        return
    size = rounded(size)
    for i in range(PLACES):
        if sizes[i] == 0:
            place = i
            break
    while place < 0 or kept + size > MOST:
        if sizes[oldest]:
            free(blocks[oldest])
            kept -= sizes[oldest]
            blocks[oldest], sizes[oldest] = NULL, 0
            if place < 0:
                place = oldest
        oldest = (oldest + 1) % PLACES
    blocks[place], sizes[place] = block, size
    kept += size


cdef void* take_zeros(void* ctx, size_t count, size_t size) noexcept:
    # The system hands out zeroed pages lazily, cheaper than clearing a block. Rounded like the others: it may be kept.
    cdef size_t total = count * size
    return calloc(1, total if total < <size_t>LARGE else rounded(total))


cdef void* resize(void* ctx, void* block, size_t size) noexcept:
    return realloc(block, size if size < <size_t>LARGE else rounded(size))


cdef PyDataMem_Handler handler
memcpy(handler.name, b"npx_pool", 9)
handler.version = 1
handler.allocator.ctx = NULL
handler.allocator.malloc = take
handler.allocator.calloc = take_zeros
handler.allocator.realloc = resize
handler.allocator.free = give

cdef object _handler = PyCapsule_New(&handler, b"mem_handler", NULL)


cdef inline bint is_large(object p):
    return isinstance(p, cnp.ndarray) and cnp.PyArray_NBYTES(<cnp.ndarray>p) >= LARGE


cdef object call_one(object function, object p):
    if not is_large(p):
        return PyObject_CallOneArg(function, p)
    previous = PyDataMem_SetHandler(_handler)
    try:
        return PyObject_CallOneArg(function, p)
    finally:
        PyDataMem_SetHandler(previous)


cdef object call_two(object function, object p, object q):
    cdef PyObject* operands[3]
    operands[1], operands[2] = <PyObject*>p, <PyObject*>q
    if not (is_large(p) or is_large(q)):
        return PyObject_Vectorcall(function, operands + 1, 2 | OFFSET, NULL)
    previous = PyDataMem_SetHandler(_handler)
    try:
        return PyObject_Vectorcall(function, operands + 1, 2 | OFFSET, NULL)
    finally:
        PyDataMem_SetHandler(previous)


def kept_bytes():
    """How much memory the pool holds for results to come."""
    return kept
