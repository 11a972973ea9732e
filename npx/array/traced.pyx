"""Operators and indices on arrays that hold tracers: straight to the op, where nothing has to be looked into."""

cimport numpy as cnp
from npx.array cimport ndarray as core
from npx.array.ndarray cimport captures, ndarray, read, wrap_scalar
from npx.array.specs cimport Spec, fill
from npx.dispatch.loops cimport OP_MATMUL, OP_POWER, OP_SQUARE
from npx.dispatch.op cimport Op
from npx.dispatch.tracing cimport TracerCore

import numpy

from npx.array.views import ViewSpec
from npx.array.records import RecordTracer
from npx.array.views import view_of as gathered_view_of
from npx.dispatch import registry
from npx.dispatch.loops import BINARY_OPS, UNARY_OPS

cnp.import_array()

cdef dict _NO_PARAMS = {}
cdef dict _names = {**BINARY_OPS, OP_POWER: "power", OP_MATMUL: "matmul"}
cdef dict _binary_ops = {}
cdef dict _unary_ops = {}
cdef object _number = numpy.number


cdef Op find(dict table, int opid, dict names):
    """The op of an operator."""
    cdef object op = table.get(opid)
    if op is None:
        op = table[opid] = registry.op(names[opid])
    return <Op>op


cdef object operand(object x):
    """What an op takes for an operand, where that is quickly said; else NotImplemented."""
    cdef object p
    if type(x) is ndarray:
        if (<ndarray>x).standard:
            return NotImplemented
        p = (<ndarray>x).current()
        if type(p) is cnp.ndarray:
            return p if cnp.PyArray_TYPE(<cnp.ndarray>p) <= cnp.NPY_CLONGDOUBLE else NotImplemented
        return p if isinstance(p, TracerCore) else NotImplemented
    if type(x) is float or type(x) is int:
        return x
    if type(x) is cnp.ndarray:
        return x if cnp.PyArray_TYPE(<cnp.ndarray>x) <= cnp.NPY_CLONGDOUBLE and not captures() else NotImplemented
    return x if isinstance(x, _number) else NotImplemented


cdef object binary(int opid, object left, object right):
    """``left OP right`` of tracers, numbers and arrays of numbers."""
    cdef object p = operand(left), q
    if p is NotImplemented:
        return NotImplemented
    q = operand(right)
    if q is NotImplemented or not (isinstance(p, TracerCore) or isinstance(q, TracerCore)):
        return NotImplemented
    if opid == OP_POWER and (type(q) is int or type(q) is float) and q == 2 and p.dtype.kind in "fc":
        return wrap_scalar(find(_unary_ops, OP_SQUARE, UNARY_OPS).call((p,), _NO_PARAMS))  # as NumPy's operator does
    return wrap_scalar(find(_binary_ops, opid, _names).call((p, q), _NO_PARAMS))


cdef object unary(int opid, ndarray x):
    """``OP x`` of a tracer."""
    cdef object p = x.current()
    if not isinstance(p, TracerCore) or x.standard:
        return NotImplemented
    return wrap_scalar(find(_unary_ops, opid, UNARY_OPS).call((p,), _NO_PARAMS))


# ------------------------------------------------------------------------------------------- basic indices
cdef object _RecordTracer = RecordTracer

cdef enum:
    MOST = 4096  # indices that are known

cdef dict _known = {}  # shape and index -> the op's params, and whether it takes one element


cdef object item_key(object item):
    """An item of an index as part of a key; NotImplemented for what is no int, slice of ints, None or ellipsis."""
    if type(item) is int or item is None or item is Ellipsis:
        return item
    if type(item) is not slice:
        return NotImplemented
    bounds = (item.start, item.stop, item.step)
    for bound in bounds:
        if type(bound) is not int and bound is not None:
            return NotImplemented
    return bounds


cdef object known(tuple shape, object k):
    """The params of the op that reads with a basic index, and whether it takes one element; None for another index."""
    cdef list key = [shape]
    cdef object n, item, found
    for n in shape:
        if type(n) is not int:  # it differs along an axis mapped over
            return None
    for item in (<tuple>k if type(k) is tuple else (k,)):
        item = item_key(item)
        if item is NotImplemented:
            return None
        key.append(item)
    key_ = tuple(key)
    found = _known.get(key_)
    if found is None:
        from npx.ops.index_specs import canonical_index  # declared on first use: most programs never trace

        if len(_known) >= MOST:
            _known.clear()
        spec, _ = canonical_index(shape, k)
        one = all([type(entry) is int for entry in spec]) and Ellipsis not in key
        found = _known[key_] = {"index": spec}, one
    return found


cdef Op _reader = None


cdef Op reader():
    """The op that reads a part of an array."""
    global _reader
    if _reader is None:
        _reader = registry.op("getitem")
    return _reader


cdef object getitem(ndarray x, object k):
    """``x[k]`` of a tracer with a basic index."""
    cdef object p = x.current(), found, shape
    if not isinstance(p, TracerCore) or x.standard or type(p) is _RecordTracer:
        return NotImplemented
    shape = p.shape
    found = known(<tuple>shape, k) if type(shape) is tuple else None
    if found is None:
        return NotImplemented
    params, one = found
    if one:
        return wrap_scalar(reader().call((p,), params))
    return view_of(x, "getitem", params)


cdef object view_of(ndarray x, str name, dict params):
    cdef ndarray v, root = x
    if x.view_ is not None and x.view_.arrays:  # of gathered elements
        return gathered_view_of(x, name, **params)
    while root.base_ is not None:
        root = root.base_
    v = ndarray.__new__(ndarray)
    v.birth, v.base_, v.standard = root.birth, x, x.standard
    v.view_ = fill(Spec.__new__(ViewSpec), name, params, ())
    v.data_ = v.view_.read(read(x)) if name != "getitem" else reader().call((read(x),), params)
    v.version = root.version
    return v


core.traced.binary, core.traced.unary, core.traced.getitem = binary, unary, getitem
