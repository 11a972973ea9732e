"""The walk back over a tape, from results to leaves.

A read and a write of a part of an array have cotangents of the size of the whole; on the host these are added to and
written into in place, so that a loop over the elements takes time in proportion to their number and not to its square.
A sum is written into where nothing but the walk refers to it, which its reference count says.
"""

cimport numpy as cnp
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject, PyTypeObject

import numpy

from npx.array.basic_index cimport basic_index
from npx.dispatch.aval cimport Aval
from npx.dispatch.derivatives cimport VJP
from npx.dispatch.loops cimport OP_ADD, small_inplace
from npx.dispatch.op cimport add
from npx.transforms.tape cimport CallNode, Leaf, Node, Noted, Output

from npx.dispatch.abstract import Slice
from npx.ops.index_specs import rebuild
from npx.ops.indexing import add_at_inplace, setitem_inplace

cnp.import_array()

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject*)
    PyTypeObject* Py_TYPE(PyObject*)

cdef extern from "numpy/arrayobject.h":
    bint PyArray_SAMESHAPE(cnp.ndarray, cnp.ndarray)

cdef object numpy_add = numpy.add
cdef object _Slice = Slice


def backward(seeds, look=None):
    """Pull cotangents of results back.

    Parameters
    ----------
    seeds : iterable of (node, payload)
        Cotangents of results.
    look : callable, optional
        ``look(node, cotangent, cotangents of the operands)`` is called for each op (`debug_gradients`).

    Returns
    -------
    dict
        Leaf -> cotangent, for the leaves that the results depend on.
    """
    cdef Walk walk = Walk(look)
    cdef Noted node
    for node, ct in seeds:
        walk.add(node, ct)
    return walk.run()


cdef list order(dict roots):
    """The nodes that `roots` depend on, latest last."""
    cdef set seen = set(roots)
    cdef list pending = list(roots), found = list(roots)
    cdef Noted node
    cdef object parent
    while pending:
        node = pending.pop()
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
                found.append(parent)
    found.sort()
    return found


cdef class Walk:
    """A walk back, and the cotangents found so far.

    Attributes
    ----------
    sums : dict
        Node -> the sum of what has come from the nodes that use it; for a node with several results a list of sums.
    """

    cdef dict sums
    cdef object look

    def __cinit__(self, look):
        self.sums, self.look = {}, look

    cdef dict run(self):
        """Walk back from the nodes that have cotangents; returns those of the leaves."""
        cdef dict found = {}
        cdef list nodes = order(self.sums)
        cdef Noted node
        cdef object ct
        while nodes:
            node = nodes.pop()
            ct = self.sums.pop(node, None)
            if ct is None:
                continue
            if type(node) is Node:
                self.pull(<Node>node, ct)
            elif type(node) is Leaf:
                found[node] = ct
            elif type(node) is Output:
                self.gather(<Output>node, ct)
            else:
                self.finish(node, ct, (<CallNode?>node).pull(ct))
        return found

    cdef object gather(self, Output node, object ct):
        """Give the cotangent of one of several results to the node that has them all."""
        cdef tuple parents = <tuple>node.parents
        main = parents[0]
        if main not in self.sums:
            self.sums[main] = [None] * len(main.avals)
        self.sums[main][node.index] = ct
        if len(parents) > 1:
            self.add(parents[1], ct)

    cdef object finish(self, Noted node, object g, object cts):
        """Add the cotangents of the operands, from that of the result, to their sums."""
        if self.look is not None:
            self.look(node, g, cts)
        for parent, ct in zip(node.parents, cts):
            if ct is not None and parent is not None:
                self.add(<Noted>parent, ct)

    cdef object pull(self, Node node, object g):
        """Pull the cotangent of one op back."""
        cdef list parents = <list>node.parents, args
        cdef Py_ssize_t i
        cdef object ct
        if node.op.kind == "indexing" and self.pull_in_place(node, g):
            return None
        if self.look is not None or node.avals is not None or node.op.no_deriv is not None or (
                not isinstance(node.op.vjp, VJP)):
            return self.finish(node, g, node.pull(g))
        args = node.operands()
        for i in range(len(parents)):
            if parents[i] is not None:
                ct = (<VJP>node.op.vjp).pull(i, g, node.ans, args, node.params)
                if ct is not None:
                    self.add(<Noted>parents[i], ct)

    cdef object add(self, Noted node, object ct):
        """Add to the sum of a node; in place where nothing else refers to that."""
        cdef PyObject* held = PyDict_GetItem(self.sums, node)
        if held == NULL:
            self.sums[node] = ct
        elif is_own(held) and fits_into(ct, held):
            add_into(<cnp.ndarray>held, ct)
        else:
            self.sums[node] = add(<object>held, ct)

    cdef bint pull_in_place(self, Node node, object g) except -1:
        """Pull the cotangent of a read or a write back in place; returns whether that was possible."""
        if not (cnp.PyArray_Check(g) or cnp.PyArray_CheckScalar(g)):
            return False
        if node.op.name == "getitem":
            return self.pull_read(node, g, node.operands())
        if node.op.name == "setitem":
            return self.pull_write(node, g, node.operands())
        return False

    cdef bint pull_read(self, Node node, object g, list operands) except -1:
        """Add the cotangent of a read to its places in the whole array's."""
        cdef Noted whole = <Noted?>node.parents[0]
        cdef PyObject* held = PyDict_GetItem(self.sums, whole)
        cdef object total, aval = node.args[0], index = node.params["index"]
        if not (held == NULL or type(<object>held) is cnp.ndarray) or not on_host(operands, 1):
            return False
        if held == NULL:
            total = numpy.zeros(aval.shape, aval.dtype)
            self.sums[whole] = total
        elif is_own(held):
            total = <object>held
        else:
            total = (<object>held).copy()
            self.sums[whole] = total
        if len(operands) > 1 or not of_slices(<tuple>index):
            add_at_inplace(total, g, *operands[1:], index=index)
            return True
        places = rebuild(index)
        part = basic_index(<cnp.ndarray>total, places)
        if type(part) is cnp.ndarray:
            add_into(<cnp.ndarray>part, g)
        else:
            total[places] += g
        return True

    cdef bint pull_write(self, Node node, object g, list operands) except -1:
        """Take what was written out of the cotangent of the new array; the rest is the old one's."""
        cdef object old = node.parents[0], written = node.parents[1], part, mine
        if not on_host(operands, 2):
            return False
        if written is not None:
            part = node.op.vjp(1, g, None, operands, node.params)
            self.add(<Noted>written, part.copy() if isinstance(part, numpy.ndarray) else part)
        if old is not None:
            mine = g if is_own(<PyObject*>g) else numpy.array(g)
            setitem_inplace(mine, 0, *operands[2:], index=node.params["index"])
            self.add(<Noted>old, mine)
        return True


cdef inline bint is_own(PyObject* held) noexcept:
    """Whether this is an array with memory of its own, to which there is a single reference: the walk's."""
    return (
        Py_REFCNT(held) == 1 and Py_TYPE(held) == <PyTypeObject*>cnp.ndarray
        and cnp.PyArray_CHKFLAGS(<cnp.ndarray>held, cnp.NPY_ARRAY_OWNDATA | cnp.NPY_ARRAY_WRITEABLE)
    )


cdef inline bint fits_into(object ct, PyObject* held) noexcept:
    """Whether an array on the host has the shape and dtype of a sum."""
    cdef cnp.ndarray a, b
    if type(ct) is not cnp.ndarray:
        return False
    a, b = <cnp.ndarray>ct, <cnp.ndarray>held
    return PyArray_SAMESHAPE(a, b) and <PyObject*>cnp.PyArray_DESCR(a) == <PyObject*>cnp.PyArray_DESCR(b)


cdef object add_into(cnp.ndarray total, object ct):
    """``total += ct``."""
    if not (type(ct) is cnp.ndarray and small_inplace(OP_ADD, total, <cnp.ndarray>ct)):
        numpy_add(total, ct, total)


cdef bint of_slices(tuple index) noexcept:
    """Whether an index spec has ints, slices and new axes only."""
    cdef object entry
    for entry in index:
        if not (type(entry) is _Slice or type(entry) is int or entry is None):
            return False
    return True


cdef bint on_host(list operands, Py_ssize_t first) except -1:
    """Whether the index operands, from the one numbered `first`, are on the host."""
    cdef Py_ssize_t i
    for i in range(first, len(operands)):
        if not (cnp.PyArray_Check(operands[i]) or cnp.PyArray_CheckScalar(operands[i]) or type(operands[i]) is int):
            return False
    return True
