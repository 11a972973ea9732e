"""The class of the array class: NumPy's arrays are instances of it, subclasses are made by `npx.array.subclass`."""

cimport numpy as cnp
from cpython.object cimport PyTypeObject
from npx.array.ndarray cimport ndarray

import importlib
from abc import ABCMeta

import numpy

cnp.import_array()

cdef extern from "Python.h":
    void Py_INCREF(object)
    void Py_SET_TYPE(object, PyTypeObject*)

cdef dict _unbound = {}  # name -> what the class gives for it: a member that takes NumPy's arrays too
cdef object _unbound_names = frozenset(vars(numpy.ndarray)) - {"__doc__", "__hash__", "__class_getitem__"} | {"__init__"}


class NDArrayMeta(ABCMeta):
    """The class of `ndarray`, for which NumPy's arrays count as instances and subclasses are made by another module.

    It derives from `ABCMeta`, so that a subclass can have abstract base classes too.
    """

    __slots__ = ()

    def __new__(meta, name, bases, namespace, **keywords):
        return importlib.import_module("npx.array.subclass").make_class(meta, name, bases, namespace, keywords)

    def __getattribute__(cls, name):
        if cls is ndarray and name in _unbound_names:
            found = _unbound.get(name)
            if found is None:
                own = (<dict>(<PyTypeObject*>ndarray).tp_dict).get(name)
                found = _unbound[name] = importlib.import_module("npx.array.subclass").unbound(name, own)
            return found
        return type.__getattribute__(cls, name)

    def __dir__(cls):
        return dir(numpy.ndarray) if cls is ndarray else type.__dir__(cls)

    def __instancecheck__(cls, instance):
        if type.__instancecheck__(cls, instance):
            return True
        also = numpy.ndarray if cls is ndarray else (<object>cls).__dict__.get("_npx_stands_for")
        return ABCMeta.__instancecheck__(cls, instance) if also is None else isinstance(instance, also)

    def __subclasscheck__(cls, subclass):
        if type.__subclasscheck__(cls, subclass):
            return True
        also = numpy.ndarray if cls is ndarray else (<object>cls).__dict__.get("_npx_stands_for")
        return ABCMeta.__subclasscheck__(cls, subclass) if also is None else issubclass(subclass, also)


# A cdef class cannot name a metaclass; NDArrayMeta adds no state to `type`, so the swap is sound.
Py_INCREF(NDArrayMeta)
Py_SET_TYPE(ndarray, <PyTypeObject*>NDArrayMeta)
