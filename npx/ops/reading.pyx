"""Reading a part of a host array: compiled, for programs read elements and slices all the time."""

cimport numpy as cnp

import numpy

from npx.ops.index_specs import rebuild

cnp.import_array()

cdef enum:
    MUCH_LARGER = 8  # an array this many times as large as a view of it is not kept alive by the view
    MOST = 1024

cdef dict _places = {}  # id of an index spec -> the spec, and what NumPy takes


cdef object places(object index):
    """What NumPy takes for an index spec without arrays; a spec that comes again is known by its id."""
    cdef object found = _places.get(id(index))
    if found is None or (<tuple>found)[0] is not index:
        if len(_places) >= MOST:
            _places.clear()
        found = _places[id(index)] = index, rebuild(index)
    return (<tuple>found)[1]


def getitem(x, *arrays, index):
    """``x[index]``; a small part of an array as a copy: a tape that keeps it is not to keep the whole."""
    cdef object r
    if not (cnp.PyArray_Check(x) or cnp.PyArray_CheckScalar(x)):
        x = numpy.asarray(x)
    if arrays:
        return x[rebuild(index, arrays)]
    r = x[places(index)]
    if type(r) is cnp.ndarray and cnp.PyArray_SIZE(<cnp.ndarray>r) * MUCH_LARGER < x.size:
        return r.copy()
    return r
