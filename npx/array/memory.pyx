"""Saved values: host memory that a tape or a graph still needs, copied just before the user writes into it."""

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject

import numpy

from npx.dispatch.locks import lock_for_all

cnp.import_array()

cdef Py_ssize_t nsaved = 0
cdef dict _boxes = {}  # id of the array that owns the memory -> set of addresses of boxes
cdef object _copying = lock_for_all()  # held while boxes get copies: other threads wait before they write


@cython.freelist(64)
cdef class Box:
    """Holds a payload that must keep its content: `value`."""

    def __init__(self, value):
        self.value = value

    def __dealloc__(self):
        if self.owner is not None:
            _forget(self)


cdef object memory_owner(object payload):
    """The NumPy array (or foreign buffer) at the end of the chain of bases."""
    cdef object base
    while cnp.PyArray_Check(payload):
        base = cnp.get_array_base(<cnp.ndarray>payload)
        if base is None:
            break
        payload = base
    return payload


cdef object _forget(Box box):
    """Take a box off the list of what is saved."""
    global nsaved
    cdef set boxes = _boxes.get(box.owner)
    if boxes is not None:
        boxes.discard(<size_t><PyObject*>box)
        nsaved -= 1
        if not boxes:
            del _boxes[box.owner]
    box.owner = None


cpdef Box save(object payload):
    """A box that keeps the present content of `payload`, copying host memory only if it is written to."""
    global nsaved
    cdef Box box = Box.__new__(Box)
    cdef object boxes, owner
    box.value = payload
    if cnp.PyArray_Check(payload) and cnp.PyArray_SIZE(<cnp.ndarray>payload):
        owner = memory_owner(payload)
        box.owner = <size_t><PyObject*>owner
        boxes = _boxes.get(box.owner)
        if boxes is None:
            boxes = _boxes[box.owner] = set()
        (<set>boxes).add(<size_t><PyObject*>box)
        nsaved += 1
    return box


cdef object _protect(cnp.ndarray memory):
    cdef Box box
    cdef object owner = memory_owner(memory), value
    cdef object key = <size_t><PyObject*>owner
    if key not in _boxes:
        return None
    with _copying:
        copies = {}
        while boxes := _boxes.get(key):  # a box leaves the list when it has its copy, and not before
            box = <Box><PyObject*><size_t>next(iter(boxes))
            value = box.value
            if id(value) not in copies:
                copies[id(value)] = value, numpy.array(value, copy=True)
            box.value = copies[id(value)][1]
            _forget(box)


def protect_memory(payload):
    """Copy out what tapes have saved of this memory (for callers that hand it to code that may write)."""
    protect(payload)
