"""Saved values: host memory that a tape or a graph still needs, copied just before the user writes into it."""

import weakref

cimport numpy as cnp
import numpy

from npx.dispatch.locks import lock_for_all

cnp.import_array()

cdef Py_ssize_t nsaved = 0
cdef dict _boxes = {}  # id of the array that owns the memory -> set of weak references to boxes
cdef object _copying = lock_for_all()  # held while boxes get copies: other threads wait before they write


class Box:
    """Holds a payload that must keep its content: `value`."""

    __slots__ = ("value", "__weakref__")

    def __init__(self, value):
        self.value = value


cdef object memory_owner(object payload):
    """The NumPy array (or foreign buffer) at the end of the chain of bases."""
    while isinstance(payload, cnp.ndarray) and (<object>payload).base is not None:
        payload = (<object>payload).base
    return payload


cdef object _forget(object key, object ref):
    """Take a reference off the list of what is saved."""
    global nsaved
    refs = _boxes.get(key)
    if refs is not None and ref in refs:
        refs.discard(ref)
        nsaved -= 1
        if not refs:
            del _boxes[key]


def save(payload):
    """A box that keeps the present content of `payload`, copying host memory only if it is written to."""
    global nsaved
    box = Box(payload)
    if isinstance(payload, cnp.ndarray) and payload.size:
        key = id(memory_owner(payload))
        ref = weakref.ref(box, lambda ref, key=key: _forget(key, ref))
        _boxes.setdefault(key, set()).add(ref)
        nsaved += 1
    return box


cdef object _protect(cnp.ndarray memory):
    key = id(memory_owner(memory))
    if key not in _boxes:
        return None
    with _copying:
        copies = {}
        while refs := _boxes.get(key):  # a box leaves the list when it has its copy, and not before
            ref = next(iter(refs))
            box = ref()
            if box is not None:
                value = box.value
                if id(value) not in copies:
                    copies[id(value)] = value, numpy.array(value, copy=True)
                box.value = copies[id(value)][1]
            _forget(key, ref)


def protect_memory(payload):
    """Copy out what tapes have saved of this memory (for callers that hand it to code that may write)."""
    protect(payload)
