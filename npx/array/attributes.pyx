"""Attributes of the array class that NumPy answers from host memory."""

cimport numpy as cnp
from cpython.object cimport PyObject
from npx.array.ndarray cimport is_plain, ndarray, view_of_host

import types

import numpy

cnp.import_array()

cdef extern from "Python.h":
    ctypedef object (*getter)(object, void*)
    ctypedef struct PyGetSetDef:
        getter get
        void* closure
    ctypedef struct PyGetSetDescrObject:
        PyGetSetDef* d_getset


cdef class Attribute:
    """A property that calls the C function behind NumPy's own.

    Parameters
    ----------
    descriptor : types.GetSetDescriptorType
        The attribute of ``numpy.ndarray``.
    get, put : callable
        ``get(array)`` and ``put(array, value)`` for arrays that are not plainly in host memory, and for writing.
    """

    cdef PyGetSetDef* numpys
    cdef object descriptor, get, put
    cdef dict __dict__

    def __init__(self, descriptor, get, put):
        if type(descriptor) is not types.GetSetDescriptorType:
            raise TypeError(f"an attribute of a class written in C is wanted, not {descriptor!r}")
        self.descriptor, self.get, self.put = descriptor, get, put
        self.numpys = (<PyGetSetDescrObject*><PyObject*>descriptor).d_getset
        self.__name__, self.__doc__ = descriptor.__name__, descriptor.__doc__

    def __get__(self, instance, owner):
        if instance is None:
            return self
        if isinstance(instance, ndarray) and is_plain(<ndarray>instance):
            return view_of_host(<ndarray>instance, self.numpys.get((<ndarray>instance).data_, self.numpys.closure))
        return self.get(instance)

    def __set__(self, instance, value):
        self.put(instance, value)

    def __delete__(self, instance):
        self.descriptor.__delete__(numpy.empty(0))  # raises NumPy's AttributeError

    def __repr__(self):
        return repr(self.descriptor)
