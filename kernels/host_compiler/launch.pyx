"""Calling kernels, and the few array operations that a program needs at each step, without Python's overhead."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from weakref import getweakrefcount

import numpy

cimport numpy as cnp
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object)


cdef extern from * nogil:
    """
    #if defined(__x86_64__) || defined(_M_X64)  /* kernels use the vector unit only: its register is quick to reach */
    #include <xmmintrin.h>
    enum { NPX_INVALID = 1, NPX_DIVIDE = 4, NPX_OVER = 8, NPX_UNDER = 16, NPX_ALL = 29 };
    static int npx_raised(void) { return (int)_mm_getcsr() & NPX_ALL; }
    static void npx_clear(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)NPX_ALL); }
    #else
    #include <fenv.h>
    enum { NPX_INVALID = FE_INVALID, NPX_DIVIDE = FE_DIVBYZERO, NPX_OVER = FE_OVERFLOW, NPX_UNDER = FE_UNDERFLOW,
           NPX_ALL = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW };
    static int npx_raised(void) { return fetestexcept(NPX_ALL); }
    static void npx_clear(void) { feclearexcept(NPX_ALL); }
    #endif
    """
    enum:
        NPX_INVALID
        NPX_DIVIDE
        NPX_OVER
        NPX_UNDER
    int npx_raised()   # the floating-point flags of this thread
    void npx_clear()


cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(
        PyTypeObject* type, cnp.dtype descr, int ndim, cnp.npy_intp* dims, cnp.npy_intp* strides, void* data, int flags,
        void* owner,
    )

cnp.import_array()

ctypedef void (*entry_point)(char** arrays, int64_t* numbers, int64_t low, int64_t high) noexcept nogil

#: kernels cheaper than this (in `Numbers.cost`, some 30 of which take a nanosecond) keep the interpreter's lock
cdef int64_t HOLD_LOCK = 500_000
#: kernels dearer than this are shared between threads
cdef int64_t SPLIT = 8_000_000
#: shares of a loop start at multiples of this
cdef int64_t GRAIN = 64

#: results of this many bytes are used again
cdef int64_t RECYCLED_LEAST = 65536
cdef int64_t RECYCLED_MOST = 67108864

#: what `numpy.errstate` calls them -> the processor's flags
FLAGS = {"divide": NPX_DIVIDE, "over": NPX_OVER, "under": NPX_UNDER, "invalid": NPX_INVALID}

cdef object numpy_empty = numpy.empty
cdef object _pool = None
_pool_lock = threading.Lock()


def _usable_cores():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


cdef int THREADS = _usable_cores()


def _forget_pool():
    """After a fork the child has none of the parent's threads."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


cdef object pool():
    global _pool
    if _pool is None:
        with _pool_lock:
            if _pool is None:
                _pool = ThreadPoolExecutor(max(1, THREADS - 1), thread_name_prefix="npx-kernel")
    return _pool


def set_threads(int count, int64_t split):
    """Share kernels dearer than `split` (in `Numbers.cost`) among `count` threads; returns the former values."""
    global THREADS, SPLIT
    former = THREADS, SPLIT
    _forget_pool()
    THREADS, SPLIT = count, split
    return former


cdef class Kernel:
    """Compiled code with its run-time numbers.

    Parameters
    ----------
    address : int
    numbers : numpy.ndarray
        `Numbers.block`.
    extent : int
        The length of the loop that threads may share.
    cost : int
    partial : tuple
        For a kernel whose shared loop reduces: (operand, ufunc that joins partial results, dtype) for each reduction.
    """

    cdef entry_point entry
    cdef object numbers
    cdef int64_t* block
    cdef int64_t extent, cost
    cdef tuple partial

    def __init__(self, size_t address, numbers, int64_t extent, int64_t cost, tuple partial=()):
        self.entry = <entry_point>address
        self.numbers = numbers
        self.block = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>numbers)
        self.extent, self.cost, self.partial = extent, cost, partial


cdef class Flags:
    """The floating-point flags that the kernels of one frame have raised since they were last asked for."""

    cdef int raised

    def take(self):
        """The names of the flags, and forget them; None for no flags."""
        if self.raised == 0:
            return None
        names = [name for name, flag in FLAGS.items() if self.raised & flag]
        self.raised = 0
        return names


cdef class Launch:
    """A kernel bound to the arrays of one frame.

    Parameters
    ----------
    kernel : Kernel
    operands : tuple
        For each operand (array, byte offset), or (k, byte offset) for the k-th argument of the call.
    flags : Flags
        Of the frame.
    """

    cdef Kernel kernel
    cdef Flags flags
    cdef tuple operands
    cdef char** pointers
    cdef int count, dynamic
    cdef int* slots
    cdef int64_t* offsets

    def __init__(self, Kernel kernel, tuple operands, Flags flags):
        cdef int k
        self.flags = flags
        self.kernel, self.operands, self.count, self.dynamic = kernel, operands, len(operands), 0
        self.pointers = <char**>malloc((self.count + 1) * sizeof(char*))
        self.slots = <int*>malloc((self.count + 1) * sizeof(int))
        self.offsets = <int64_t*>malloc((self.count + 1) * sizeof(int64_t))
        if not (self.pointers and self.slots and self.offsets):
            raise MemoryError
        for k, (where, offset) in enumerate(operands):
            self.offsets[k] = offset
            if isinstance(where, int):
                self.slots[k] = where
                self.dynamic = max(self.dynamic, where + 1)
            else:
                self.slots[k] = -1
                self.pointers[k] = <char*>cnp.PyArray_DATA(<cnp.ndarray>where) + self.offsets[k]

    def __dealloc__(self):
        free(self.pointers)
        free(self.slots)
        free(self.offsets)

    def __call__(self, *arrays):
        cdef int k
        cdef Kernel kernel = self.kernel
        if len(arrays) != self.dynamic:
            raise TypeError(f"{self.dynamic} arrays expected")
        if self.dynamic:
            for k in range(self.count):
                if self.slots[k] >= 0:
                    self.pointers[k] = (
                        <char*>cnp.PyArray_DATA(<cnp.ndarray?>arrays[self.slots[k]]) + self.offsets[k]
                    )
        npx_clear()
        if kernel.cost < HOLD_LOCK:
            kernel.entry(self.pointers, kernel.block, 0, kernel.extent)
        elif kernel.cost < SPLIT or THREADS == 1 or kernel.extent < 2 * GRAIN:
            with nogil:
                kernel.entry(self.pointers, kernel.block, 0, kernel.extent)
        else:
            self.share()
        self.flags.raised |= npx_raised()

    cdef share(self):
        """Run the kernel on several threads, this one among them."""
        cdef Kernel kernel = self.kernel
        cdef int64_t step = (kernel.extent + THREADS - 1) // THREADS
        cdef int64_t low
        step = (step + GRAIN - 1) // GRAIN * GRAIN
        lows = range(0, kernel.extent, step)
        partials = [(k, ufunc, numpy.empty(len(lows), dtype)) for k, ufunc, dtype in kernel.partial]
        shares = []
        for number, low in enumerate(lows):
            shares.append(Share.__new__(Share))
            (<Share>shares[number]).prepare(self, low, min(low + step, kernel.extent), partials, number)
        futures = [pool().submit(share) for share in shares[1:]]
        shares[0]()
        for future in futures:
            future.result()
        for share in shares:
            self.flags.raised |= (<Share>share).raised
        with numpy.errstate(all="ignore"):  # flags are looked at when all is done
            for k, ufunc, results in partials:
                joined = numpy.asarray(ufunc.reduce(results), results.dtype)
                memcpy(self.pointers[<int>k], cnp.PyArray_DATA(<cnp.ndarray>joined), results.itemsize)


cdef class Share:
    """One thread's part of a launch."""

    cdef Launch launch
    cdef char** pointers
    cdef int64_t low, high
    cdef object partials
    cdef int raised  # flags belong to the thread that runs

    cdef prepare(self, Launch launch, int64_t low, int64_t high, partials, int number):
        self.launch, self.low, self.high, self.partials = launch, low, high, partials
        self.pointers = <char**>malloc((launch.count + 1) * sizeof(char*))
        if not self.pointers:
            raise MemoryError
        memcpy(self.pointers, launch.pointers, launch.count * sizeof(char*))
        for k, _, results in partials:
            self.pointers[<int>k] = <char*>cnp.PyArray_DATA(<cnp.ndarray>results) + number * <int>results.itemsize

    def __dealloc__(self):
        free(self.pointers)

    def __call__(self):
        cdef Kernel kernel = self.launch.kernel
        with nogil:
            npx_clear()
            kernel.entry(self.pointers, kernel.block, self.low, self.high)
            self.raised = npx_raised()


cdef class Fresh:
    """Makes the arrays of one result that leaves the program.

    Fresh memory costs a page fault for every few thousand bytes, so a large array is used again once nobody else holds
    it: two are kept, for a caller who lets go of the last result when he has the next.
    """

    cdef tuple shape
    cdef cnp.dtype dtype
    cdef bint recycles
    cdef list kept

    def __init__(self, tuple shape, cnp.dtype dtype, int64_t nbytes):
        self.shape, self.dtype, self.kept = shape, dtype, []
        self.recycles = RECYCLED_LEAST <= nbytes <= RECYCLED_MOST

    def __call__(self):
        if not self.recycles:
            return numpy_empty(self.shape, self.dtype)
        for array in self.kept:
            if Py_REFCNT(array) == 2 and self.is_untouched(<cnp.ndarray>array) and not getweakrefcount(array):
                return array  # known to this loop and to the list only
        array = numpy_empty(self.shape, self.dtype)
        self.kept.append(array)
        if len(self.kept) > 2:
            del self.kept[0]
        return array

    cdef bint is_untouched(self, cnp.ndarray array):
        """Whether the last owner has left shape, dtype and flags as they were."""
        cdef int wanted = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_WRITEABLE | cnp.NPY_ARRAY_OWNDATA
        return array.descr is self.dtype and (cnp.PyArray_FLAGS(array) & wanted) == wanted and _has_shape(
            array, self.shape
        )


def view(cnp.ndarray base, int64_t offset, tuple shape, tuple strides, cnp.dtype dtype):
    """A window into the memory of `base`, `offset` bytes after its first element. Nothing is checked."""
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp steps[64]
    cdef int k, ndim = len(shape)
    for k in range(ndim):
        dims[k] = shape[k]
        steps[k] = strides[k]
    Py_INCREF(dtype)
    out = PyArray_NewFromDescr(
        <PyTypeObject*>cnp.ndarray, dtype, ndim, dims, steps, <char*>cnp.PyArray_DATA(base) + offset,
        cnp.PyArray_FLAGS(base) & cnp.NPY_ARRAY_WRITEABLE, NULL,
    )
    cnp.set_array_base(out, base)
    return out


def fresh(result, tuple operands, cnp.dtype dtype):
    """`result` as a C-contiguous array that owns its memory and is none of `operands`; copied if it must be."""
    cdef cnp.ndarray array
    cdef int flags
    if type(result) is cnp.ndarray:
        array = <cnp.ndarray>result
        flags = cnp.PyArray_FLAGS(array)
        if (
            flags & cnp.NPY_ARRAY_OWNDATA and flags & cnp.NPY_ARRAY_C_CONTIGUOUS and flags & cnp.NPY_ARRAY_WRITEABLE
            and (array.descr is dtype or array.descr == dtype)
        ):
            for operand in operands:
                if operand is result:
                    break
            else:
                return result
    return numpy.array(result, dtype, order="C")


def all_plain(list args, tuple specs):
    """Whether each argument is a C-contiguous, aligned ``numpy.ndarray`` of the shape and dtype in `specs`.

    A spec is (shape, dtype), or None for a Python scalar, which may be anything.
    """
    cdef Py_ssize_t k
    cdef cnp.ndarray array
    cdef int wanted = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED
    if len(args) != len(specs):
        raise TypeError(f"{len(specs)} arguments expected, got {len(args)}")
    for k in range(len(args)):
        spec = specs[k]
        if spec is None:
            continue
        if type(args[k]) is not cnp.ndarray:
            return False
        array = <cnp.ndarray>args[k]
        if cnp.PyArray_FLAGS(array) & wanted != wanted:
            return False
        if not _has_shape(array, <tuple>(<tuple>spec)[0]):
            return False
        if array.descr is not (<tuple>spec)[1] and array.descr != (<tuple>spec)[1]:
            return False
    return True


cdef bint _has_shape(cnp.ndarray array, tuple shape):
    cdef int k, ndim = cnp.PyArray_NDIM(array)
    if ndim != len(shape):
        return False
    for k in range(ndim):
        if cnp.PyArray_DIM(array, k) != <Py_ssize_t>shape[k]:
            return False
    return True
