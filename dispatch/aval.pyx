"""Abstract values, the part that every op on a tape or in a graph makes: compiled."""

cimport cython
cimport numpy as cnp

import functools
import operator

import numpy

cnp.import_array()

cdef object _BOOL = numpy.dtype(bool)
cdef dict _DTYPES = {kind: numpy.dtype(kind) for kind in (int, float, complex)}


@cython.freelist(64)
@cython.final
cdef class Aval:
    """Shape and dtype of a payload.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    weak : type, optional
        ``int``, ``float`` or ``complex`` where the value stands for a Python scalar, whose dtype gives way to that of
        the arrays it meets (NEP 50).
    """

    def __init__(self, shape, dtype, weak=None):
        self.shape = shape
        self.dtype = dtype if isinstance(dtype, cnp.dtype) else numpy.dtype(dtype)
        self.weak = weak

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return functools.reduce(operator.mul, self.shape, 1)

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    def __eq__(self, other):
        cdef Aval b
        if type(other) is not Aval:
            return False
        b = <Aval>other
        return self.weak is b.weak and self.shape == b.shape and self.dtype == b.dtype

    def __hash__(self):
        return hash((self.shape, self.dtype, self.weak))

    def __reduce__(self):
        return Aval, (self.shape, self.dtype, self.weak)

    def __repr__(self):
        name = self.weak.__name__ if self.weak else self.dtype.name
        return f"{name}[{','.join(map(str, self.shape))}]"


cdef Aval new_aval(object shape, object dtype):
    cdef Aval aval = Aval.__new__(Aval)
    aval.shape, aval.dtype = shape, dtype
    return aval


cpdef object aval_of(object value):
    """The abstract value of a payload, tracer, NumPy scalar or Python scalar."""
    cdef object kind, aval
    if cnp.PyArray_Check(value) or cnp.PyArray_CheckScalar(value):
        return new_aval(value.shape, value.dtype)
    kind = type(value)
    if kind is bool:
        return new_aval((), _BOOL)
    if kind is int or kind is float or kind is complex:
        return weak_aval(kind, value)
    aval = getattr(value, "aval", None)
    if type(aval) is Aval:
        return aval
    return Aval(tuple(value.shape), value.dtype)


def weak_aval(kind, value=0):
    """The abstract value of a Python scalar of type `kind`; a large int takes the dtype NumPy would give it."""
    cdef Aval aval
    if kind is int and not -(2**63) <= value < 2**63:
        return Aval((), numpy.asarray(value).dtype, int)
    aval = new_aval((), _DTYPES[kind])
    aval.weak = kind
    return aval


cpdef object typed(object x):
    """What has the shape and dtype of a payload or `Aval`: itself, or the `Aval` of a Python scalar."""
    cdef object kind = type(x)
    return aval_of(x) if kind is float or kind is int or kind is bool or kind is complex else x
