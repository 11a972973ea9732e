"""Derivative rules at work: what a declaration says, applied to a cotangent. Compiled, since every eager gradient
spends its time here; the builders that make these objects are in `npx.dispatch.rules`.
"""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject

import inspect

import numpy

from npx.dispatch cimport pool
from npx.dispatch.aval cimport Aval, aval_of, typed
from npx.dispatch.loops cimport OP_ADD, SMALL, small_reduce
from npx.dispatch.op cimport multiply

from npx.dispatch import payloads

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject*, cnp.dtype, int, cnp.npy_intp*, cnp.npy_intp*, void*, int, PyObject*)
    int PyArray_CopyInto(cnp.ndarray, cnp.ndarray) except -1
    int PyArray_FillWithScalar(cnp.ndarray, object) except -1
    enum: NPY_MAXDIMS

cdef extern from "Python.h":
    void Py_INCREF(object)

cdef type _float64 = numpy.float64
cdef object add_reduce = numpy.add.reduce


# ------------------------------------------------------------------------------------------------ operands
cdef inline bint is_inexact(object x) except -1:
    """Whether a payload or `Aval` has derivatives."""
    cdef int num
    if type(x) is cnp.ndarray:
        num = cnp.PyArray_TYPE(<cnp.ndarray>x)
        if num < cnp.NPY_OBJECT or num == cnp.NPY_FLOAT16:
            return num >= cnp.NPY_FLOAT
    elif type(x) is _float64:
        return True
    return payloads.is_inexact(x.dtype)


cdef bint fits(object ct, object operand) except -1:
    """Whether a cotangent on the host has the shape and dtype of its operand already."""
    cdef cnp.ndarray g, x
    cdef tuple shape
    cdef int axis
    if type(ct) is _float64:
        if type(operand) is _float64:
            return True
        return type(operand) is Aval and (<Aval>operand).dtype is _double and not (<Aval>operand).shape
    if type(ct) is not cnp.ndarray:
        return False
    g = <cnp.ndarray>ct
    if type(operand) is cnp.ndarray:
        x = <cnp.ndarray>operand
        if cnp.PyArray_NDIM(x) != cnp.PyArray_NDIM(g) or <PyObject*>cnp.PyArray_DESCR(x) != <PyObject*>cnp.PyArray_DESCR(g):
            return False
        for axis in range(cnp.PyArray_NDIM(g)):
            if cnp.PyArray_DIM(x, axis) != cnp.PyArray_DIM(g, axis):
                return False
        return True
    if type(operand) is not Aval or type((<Aval>operand).shape) is not tuple:
        return False
    shape = <tuple>(<Aval>operand).shape
    if len(shape) != cnp.PyArray_NDIM(g) or <PyObject*>(<Aval>operand).dtype != <PyObject*>cnp.PyArray_DESCR(g):
        return False
    for axis in range(cnp.PyArray_NDIM(g)):
        if cnp.PyArray_DIM(g, axis) != <object>shape[axis]:
            return False
    return True


cdef object _double = numpy.dtype(numpy.float64)


cdef object fit(object ct, object operand):
    """A cotangent brought to the shape and dtype of its operand: summed over what broadcasting has enlarged."""
    if fits(ct, operand):
        return ct
    if type(ct) is cnp.ndarray and not operand.shape and operand.dtype is _double:
        total = small_reduce(OP_ADD, <cnp.ndarray>ct) if cnp.PyArray_TYPE(<cnp.ndarray>ct) == cnp.NPY_DOUBLE else None
        if total is not None:
            return total
    if is_small_double(ct) and operand.dtype is _double and len(operand.shape) <= (<cnp.ndarray>ct).ndim:
        return summed(<cnp.ndarray>ct, operand.shape)
    return payloads.fit_cotangent(ct, operand)


cdef inline bint is_small_double(object x) noexcept:
    """Whether a payload is a small host array of float64 in C order."""
    return (
        type(x) is cnp.ndarray and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_DOUBLE
        and cnp.PyArray_SIZE(<cnp.ndarray>x) <= SMALL and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)
    )


cdef object summed(cnp.ndarray g, tuple shape):
    """A small array summed over the axes that broadcasting has added to `shape`, or enlarged."""
    cdef cnp.npy_intp dims[NPY_MAXDIMS]
    cdef cnp.npy_intp steps[NPY_MAXDIMS]   # in the total, for each axis of g
    cdef cnp.npy_intp places[NPY_MAXDIMS]
    cdef int ndim = g.ndim, left = len(shape), added = ndim - left, axis
    cdef cnp.npy_intp step = 1, at = 0, i
    cdef double* terms = <double*>cnp.PyArray_DATA(g)
    cdef double* sums
    for axis in range(left):
        dims[axis] = shape[axis]
    total = cnp.PyArray_ZEROS(left, dims, cnp.NPY_DOUBLE, 0)
    sums = <double*>cnp.PyArray_DATA(total)
    for axis in range(ndim - 1, -1, -1):
        places[axis] = steps[axis] = 0
        if axis >= added:
            if dims[axis - added] != 1:
                steps[axis] = step
            step *= dims[axis - added]
    for i in range(cnp.PyArray_SIZE(g)):
        sums[at] += terms[i]
        for axis in range(ndim - 1, -1, -1):
            at += steps[axis]
            places[axis] += 1
            if places[axis] < cnp.PyArray_DIM(g, axis):
                break
            at -= steps[axis] * places[axis]
            places[axis] = 0
    return total if left else total[()]


cdef bint is_fixed(object shape) except -1:
    """Whether no length differs along an axis mapped over."""
    for n in shape:
        if type(n) is not int:
            return False
    return True


cdef object spread(object g, object shape, object axis):
    """The cotangent of a reduction over `axis` given to all that was reduced; on the host."""
    cdef cnp.ndarray out, kept
    cdef cnp.npy_intp dims[NPY_MAXDIMS]
    cdef Py_ssize_t k, ndim = len(shape), size = 1
    for k in range(ndim):
        dims[k] = shape[k]
        size *= dims[k]
    if size > SMALL:
        kept = numpy.asarray(g).reshape([1 if k in axis else n for k, n in enumerate(shape)])
        return _repeated(kept, ndim, dims)
    if type(g) is not cnp.ndarray:
        out = cnp.PyArray_EMPTY(<int>ndim, dims, cnp.NPY_DOUBLE, 0)
        PyArray_FillWithScalar(out, g)
        return out
    out = cnp.PyArray_EMPTY(<int>ndim, dims, cnp.PyArray_TYPE(<cnp.ndarray>g), 0)
    PyArray_CopyInto(out, g.reshape([1 if k in axis else n for k, n in enumerate(shape)]))
    return out


cdef object _repeated(cnp.ndarray a, Py_ssize_t ndim, cnp.npy_intp* dims):
    """An array broadcast to a shape of as many axes, without a copy; read-only."""
    cdef cnp.npy_intp strides[NPY_MAXDIMS]
    cdef Py_ssize_t k
    cdef cnp.dtype descr = a.descr
    for k in range(ndim):
        strides[k] = 0 if cnp.PyArray_DIM(a, k) != dims[k] else cnp.PyArray_STRIDE(a, k)
    Py_INCREF(descr)
    r = PyArray_NewFromDescr(<PyTypeObject*>cnp.ndarray, descr, <int>ndim, dims, strides, cnp.PyArray_DATA(a), 0, NULL)
    cnp.set_array_base(r, a)
    return r


# ------------------------------------------------------------------------------------------------ rules
cdef class Reader:
    """Calls a rule with what its parameters ask for.

    Parameters
    ----------
    rule : callable
        Takes leading arguments, the operands, and params of the op.
    nin : int
        Number of operands; -1 where any number, and params must be keyword-only.
    leading : tuple of str
        The arguments before the operands, such as ``("g", "ans")``.
    """

    def __init__(self, rule, nin, leading):
        positional, names = [], []
        self.open = False  # takes any number of further operands
        for p in inspect.signature(rule).parameters.values():
            self.open |= p.kind is p.VAR_POSITIONAL
            is_param = p.kind is p.KEYWORD_ONLY or (nin >= 0 and len(positional) == len(leading) + nin)
            (names if is_param else positional).append(p.name)
        reads = [not n.startswith("_") and not n.endswith("_aval") for n in positional]
        operands = positional[len(leading):]
        if not self.open and len(operands) != nin:
            raise TypeError(f"{rule} must take {(*leading, '...')} and {nin} operands")
        if any([n.endswith("_aval") for n in positional[:len(leading)]]):
            raise TypeError(f"{rule} may ask for the Aval of an operand only: the tape keeps an answer or nothing")
        self.rule, self.names = rule, tuple(names)
        self.reads_ans = "ans" in leading and reads[leading.index("ans")]
        self.reads = tuple(reads[len(leading):])
        self.avals = tuple([k for k, n in enumerate(operands) if n.endswith("_aval")])
        self.plain = not (self.avals or self.names)

    def __call__(self, leading, args, params):
        return self.read(leading, args, params)

    cdef object read(self, tuple leading, object args, dict params):
        cdef tuple given
        if self.plain:
            return self.rule(*leading, *args)
        if self.avals:
            args = list(args)
            for k in self.avals:
                places = range(k, len(args)) if self.open and k == len(self.reads) - 1 else (k,)
                for j in places:
                    args[j] = payloads.to_aval(args[j])
        given = leading + tuple(args)
        if not self.names:
            return self.rule(*given)
        return self.rule(*given, **{n: params[n] for n in self.names if n in params})


cdef class VJP:
    """An op's ``vjp(i, g, ans, args, params)``: the cotangent of operand i, None for zero."""

    def __call__(self, i, g, ans, args, params):
        return self.pull(i, g, ans, args, params)

    cdef object read_for(self, Py_ssize_t i):
        """Which operands the rule for operand i reads, a tuple of bool; None where that is not known one by one."""
        return None

    cdef object pull(self, Py_ssize_t i, object g, object ans, object args, dict params):
        raise NotImplementedError


cdef class RuleVJP(VJP):
    """By one rule per operand.

    Parameters
    ----------
    readers : list of Reader or None
        The last one serves all further operands.
    with_ans : bool
        The rules take the answer too.
    numbered : bool
        There is one rule for all operands, which gets the operand's number first.
    """

    cdef list readers
    cdef bint with_ans, numbered

    def __init__(self, readers, with_ans, numbered):
        self.readers, self.with_ans, self.numbered = list(readers), with_ans, numbered

    cdef object read_for(self, Py_ssize_t i):
        cdef object reader = self.readers[min(i, len(self.readers) - 1)]
        if reader is None:
            return ()
        return None if self.numbered or (<Reader>reader).open else (<Reader>reader).reads

    cdef object pull(self, Py_ssize_t i, object g, object ans, object args, dict params):
        cdef object reader = self.readers[min(i, len(self.readers) - 1)], operand, ct
        cdef tuple leading
        if reader is None:
            return None
        operand = typed(args[i])
        if not is_inexact(operand):
            return None
        leading = (g, ans) if self.with_ans else (g,)
        if self.numbered:
            leading = (i, *leading)
        ct = (<Reader>reader).read(leading, args, params)
        return None if ct is None else fit(ct, operand)


cpdef object scale(object g, object partial, object ans, object args, dict params):
    """``g`` times a partial derivative, which is a number or a `Reader`."""
    if type(partial) is not Reader:
        return g if partial == 1 else -g if partial == -1 else g * partial
    try:
        return multiply(g, derivative(<Reader>partial, ans, args, params))
    except (ZeroDivisionError, OverflowError):  # from Python's numbers; NumPy's become infinite
        numbers = tuple([numpy_number(x) for x in args])
        return multiply(g, derivative(<Reader>partial, numpy_number(ans), numbers, params))


cdef object derivative(Reader reader, object ans, object args, dict params):
    """What a rule gives for a partial derivative."""
    if not reader.plain:
        return reader.read((ans,), args, params)
    if len(args) == 1:
        return reader.rule(ans, args[0])
    if len(args) == 2:
        return reader.rule(ans, args[0], args[1])
    return reader.rule(ans, *args)


cdef object numpy_number(object x):
    """A Python number as NumPy's; any other payload as it is."""
    return numpy.asarray(x)[()] if type(x) is int or type(x) is float or type(x) is complex else x


cdef class ElementwiseVJP(VJP):
    """By partial derivatives, ``partials[operand][output]``: numbers, `Reader` objects, or None for zero."""

    cdef list partials
    cdef int nout

    def __init__(self, partials, nout):
        self.partials, self.nout = partials, nout

    cdef object read_for(self, Py_ssize_t i):
        if self.nout != 1:
            return None
        partial = self.partials[i][0]
        return (<Reader>partial).reads if type(partial) is Reader else ()

    cdef object pull(self, Py_ssize_t i, object g, object ans, object args, dict params):
        cdef object operand = typed(args[i]), ct = None, part
        if not is_inexact(operand):
            return None
        if self.nout == 1:
            partial = self.partials[i][0]
            if type(partial) is int and partial == -1:
                return -fit(g, operand)  # there are fewer to negate after summing
            return None if partial is None else fit(scale(g, partial, ans, args, params), operand)
        for g_out, partial in zip(g, self.partials[i]):
            if g_out is not None and partial is not None:
                part = scale(g_out, partial, ans, args, params)
                ct = part if ct is None else ct + part
        return None if ct is None else fit(ct, operand)


cdef class ReductionVJP(VJP):
    """By the derivative of each result with respect to each of its elements: a number, a `Reader`, None for zero."""

    cdef object deriv
    cdef bint reads_ans

    def __init__(self, deriv):
        self.deriv, self.reads_ans = deriv, type(deriv) is Reader and deriv.reads_ans

    cdef object pull(self, Py_ssize_t i, object g, object ans, object args, dict params):
        cdef object x = typed(args[0]), axis = params["axis"], ct
        if self.deriv is None or not is_inexact(x):
            return None
        if type(self.deriv) is int and self.deriv == 1 and (type(g) is _float64 or type(g) is cnp.ndarray):
            if g.dtype is x.dtype and is_fixed(x.shape):
                return spread(g, x.shape, axis)
        if self.reads_ans:
            ans = keep_axes(ans, x, axis)
        ct = scale(keep_axes(g, x, axis), self.deriv, ans, args, params)
        return payloads.cast(payloads.broadcast_to(ct, x.shape), x.dtype)


cpdef object keep_axes(object value, object x, object axis):
    """A result of a reduction of `x`, or its cotangent, with the reduced axes kept at length 1."""
    return payloads.reshape(value, tuple([1 if k in axis else n for k, n in enumerate(x.shape)]))
