"""The array class: it holds a payload and is never one.

On host and CuPy payloads views alias memory. On functional payloads (tracers, ``jax.Array``) a view is a spec that leads
from its base to it; it reads when the owner's version has moved on, and writes through to the owner.
"""

cimport cython
cimport numpy as cnp
from cpython.buffer cimport PyBUF_FORMAT, PyObject_GetBuffer
from cpython.object cimport PyObject, PyTypeObject
import math
import operator
import weakref

import numpy

from npx.dispatch.interpreter import on_stack_change
from npx.dispatch.loops cimport (
    OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_TRUE_DIVIDE, OP_FLOOR_DIVIDE, OP_REMAINDER, OP_POWER, OP_BITAND, OP_BITOR,
    OP_BITXOR, OP_LSHIFT, OP_RSHIFT, OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE, OP_MATMUL, OP_NEG, OP_POS, OP_ABS,
    OP_INVERT, small_binary, small_binary_scalar, small_inplace, small_inplace_scalar, small_unary,
)
from npx.dispatch.loops import BINARY_OPS, UNARY_OPS
from npx.dispatch cimport pool
from npx.array.basic_index cimport basic_index
from npx.array.memory cimport protect
from npx.dispatch.tracing cimport TracerCore

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PySequence_GetItem(object, Py_ssize_t)
    object PyArray_ToScalar(void* data, cnp.ndarray arr)
    object PyArray_Transpose(cnp.ndarray, void*)
    bint PyDataType_REFCHK(cnp.dtype)
    PyObject* PyDataType_METADATA(cnp.dtype)

cdef extern from "Python.h":
    void PyType_Modified(PyTypeObject*)
    void Py_INCREF(object)
    Py_ssize_t Py_REFCNT(object)
    tuple PyTuple_New(Py_ssize_t)
    PyObject* PyLong_FromSsize_t(Py_ssize_t) except NULL
    void PyTuple_SET_ITEM(tuple, Py_ssize_t, PyObject*)

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define NPX_OF_THREAD static __declspec(thread)
    #else
    #define NPX_OF_THREAD static __thread
    #endif
    NPX_OF_THREAD int npx_capturing = 0;
    NPX_OF_THREAD int npx_unsettled = 0;
    """
    int npx_capturing  # interpreters on this thread's stack that capture arrays older than themselves
    int npx_unsettled  # interpreters of this thread whose tracers some arrays may hold

cdef Py_ssize_t _now = 0     # the birth of the latest interpreter
cdef int _capturing = 0      # `npx_capturing` of all threads: what fast paths look at first
cdef int _transforming = 0   # threads that have unsettled interpreters
cdef object slow = None      # npx.array.slow: every path that is not the fast one, see `install`
cdef object ABSENT = object()


def _watch(int capturing, int unsettled, Py_ssize_t birth):
    """Follow the changes of this thread's stack of interpreters."""
    global _now, _capturing, _transforming, npx_capturing, npx_unsettled
    _now = max(_now, birth)
    _capturing += capturing
    npx_capturing += capturing
    _transforming -= npx_unsettled > 0
    npx_unsettled += unsettled
    _transforming += npx_unsettled > 0


on_stack_change.append(_watch)


def forget_other_threads():
    """Count no transforms but this thread's: there are no other threads (any more)."""
    global _capturing, _transforming
    _capturing, _transforming = npx_capturing, npx_unsettled > 0


cdef bint captures() noexcept:
    return _capturing and npx_capturing


cdef inline bint _settled_elsewhere():
    """Whether no other thread runs a transform, whose tracers an array may hold for now."""
    return _transforming == 0 or (_transforming == 1 and npx_unsettled)


cdef Py_ssize_t birth_while_captured() noexcept:
    return _now if npx_capturing else -_now

# Operators in the order of OpId and UnaryId.
cdef list BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
                    operator.pow, operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift,
                    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, operator.matmul]
cdef list INPLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod,
                     operator.ipow, operator.iand, operator.ior, operator.ixor, operator.ilshift, operator.irshift,
                     None, None, None, None, None, None, operator.imatmul]
cdef list UNARY = [operator.neg, operator.pos, operator.abs, operator.invert]
cdef dict BINARY_UFUNCS = {**BINARY_OPS, OP_POWER: "power", OP_MATMUL: "matmul"}


# ------------------------------------------------------------------------------------------- reading and wrapping
cdef inline bint _direct(ndarray x):
    """Whether NumPy's operators on its memory are those of `x`."""
    return is_plain(x) and not x.standard


cdef inline bint _is_standard(object x):
    return isinstance(x, ndarray) and (<ndarray>x).standard


cdef object view_of_host(ndarray x, object r):
    cdef ndarray v
    if r is x.data_:
        return x
    if type(r) is not cnp.ndarray:
        return r
    v = new_array(r)
    base = cnp.get_array_base(<cnp.ndarray>r)  # gathered elements may be a view too, of memory of their own
    if base is not None and (base is x.data_ or base is cnp.get_array_base(<cnp.ndarray>x.data_)):
        v.base_ = x if x.base_ is None else x.base_
        v.standard = x.standard
    return v


cpdef object read(ndarray x):
    """The payload that `x` holds now, for this thread."""
    if is_plain(x):
        return x.data_
    if x.base_ is None and not captures() and _settled_elsewhere():
        return x.data_
    return slow.read(x)


cpdef object payload(object x):
    """The payload of an npx array; NumPy arrays and scalars unchanged; sequences that hold npx arrays are stacked."""
    if isinstance(x, ndarray):
        return read(<ndarray>x)
    if type(x) is list or type(x) is tuple:
        return slow.stack_payload(x)
    if captures() and isinstance(x, cnp.ndarray):
        return slow.captured(x)
    return x


cpdef object wrap(object p):
    """An npx array around a payload; anything else, NumPy's scalars and subclasses among it, unchanged."""
    if type(p) is cnp.ndarray or isinstance(p, TracerCore):
        return new_array(p)
    if isinstance(p, (numpy.generic, int, float, complex, numpy.ndarray, str, bytes)) or p is None:
        return p
    return new_array(p) if slow.is_payload(p) else p


cpdef object wrap_scalar(object p):
    """Wrap a result that NumPy returns as a scalar: on a tracer or device array, a 0-d array that cannot be written."""
    if type(p) is cnp.ndarray:
        return p[()] if (<cnp.ndarray>p).ndim == 0 else new_array(p)
    if isinstance(p, TracerCore):
        r = new_array(p)
        (<ndarray>r).scalar = not p.shape
        return r
    r = wrap(p)
    if type(r) is ndarray and slow.ndim_of(p) == 0:
        (<ndarray>r).scalar = True
    return r


cdef inline object _memory(ndarray x):
    """What `x` holds, or held before another thread's transform lifted it."""
    return x.data_ if x.home is None else x.home


cpdef object wrap_like(object result, object inputs):
    """Wrap what a NumPy function returned, so that a result which aliases an input array knows its owner.

    Parameters
    ----------
    result : object
        A NumPy result; tuples and lists are wrapped item by item.
    inputs : tuple of ndarray
        The npx arrays that went in.
    """
    cdef ndarray x, r
    cdef object base, held
    if type(result) is not cnp.ndarray:
        if type(result) is tuple or type(result) is list:
            return type(result)([wrap_like(item, inputs) for item in result])
        return wrap(result)
    for item in inputs:
        if _memory(<ndarray>item) is result:
            return item
    r = new_array(result)
    base = (<object>result).base
    while base is not None and not isinstance(base, (cnp.ndarray, memoryview)):
        base = getattr(base, "base", None)  # NumPy's `as_strided` puts an object of its own in between
    if base is not None:
        for item in inputs:
            x = <ndarray>item
            held = _memory(x)
            if base is held or (base is getattr(held, "base", None)):
                r.base_ = x if x.base_ is None else x.base_
                r.standard = x.standard
                break
    return r


cpdef bint on_host(object x):
    """Whether `x` is an npx array whose payload is host memory and may be used directly."""
    return isinstance(x, ndarray) and is_plain(<ndarray>x)


cpdef bint vouch(ndarray x, object host):
    """Whether those who hold `x` may use `host`, its memory: it is kept from now on, whatever else `x` may come to hold."""
    if x.exported is None:
        x.exported = host
    return x.exported is host


def install(slow_paths, dict members):
    """Give the class its slow paths and the members that are generated from NumPy's own list of them."""
    global slow
    slow = slow_paths
    (<dict>(<PyTypeObject*>ndarray).tp_dict).update(members)
    PyType_Modified(<PyTypeObject*>ndarray)


def capturing():
    """Whether an interpreter of this thread captures the arrays that are older than itself."""
    return captures()


cdef inline object _index(object k):
    """An index or value without npx arrays, where all of them are on the host; ABSENT where one is not."""
    if isinstance(k, ndarray):
        return (<ndarray>k).data_ if is_plain(<ndarray>k) else ABSENT
    if type(k) is tuple:
        for item in <tuple>k:
            if type(item) is not slice and type(item) is not int and item is not None and item is not Ellipsis:
                return slow.host_sequence(k, ABSENT)
        return k
    if type(k) is list:
        for item in <list>k:
            if not _is_number(item):
                return slow.host_sequence(k, ABSENT)
        return k
    return ABSENT if isinstance(k, TracerCore) else k


# ------------------------------------------------------------------------------------------- operators
cdef inline bint _is_number(object x):
    return type(x) is float or type(x) is int


cdef inline bint _is_host_operand(object x):
    """Whether `x` is NumPy's own array or scalar, or a Python scalar: NumPy can take it as it is."""
    return type(x) is cnp.ndarray or cnp.PyArray_IsAnyScalar(x)


cdef object _binary(int opid, object left, object right):
    cdef object r
    cdef ndarray a, b
    if isinstance(left, ndarray) and _direct(<ndarray>left):
        a = <ndarray>left
        if isinstance(right, ndarray):
            b = <ndarray>right
            if _direct(b):
                r = small_binary(opid, <cnp.ndarray>a.data_, <cnp.ndarray>b.data_)
                if r is None:
                    r = pool.call_two(BINARY[opid], a.data_, b.data_)
                return new_array(r) if type(r) is cnp.ndarray else wrap(r)
        elif _is_number(right):
            r = small_binary_scalar(opid, <cnp.ndarray>a.data_, right, False)
            if r is None:
                r = pool.call_two(BINARY[opid], a.data_, right)
            return new_array(r) if type(r) is cnp.ndarray else wrap(r)
        elif _is_host_operand(right):
            return wrap(pool.call_two(BINARY[opid], a.data_, right))
    elif _is_number(left) and isinstance(right, ndarray) and _direct(<ndarray>right):
        b = <ndarray>right
        r = small_binary_scalar(opid, <cnp.ndarray>b.data_, left, True)
        if r is None:
            r = pool.call_two(BINARY[opid], left, b.data_)
        return new_array(r) if type(r) is cnp.ndarray else wrap(r)
    elif isinstance(right, ndarray) and _is_host_operand(left) and _direct(<ndarray>right):
        return wrap(pool.call_two(BINARY[opid], left, (<ndarray>right).data_))
    if _transforming and traced.binary != NULL:
        r = traced.binary(opid, left, right)
        if r is not NotImplemented:
            return r
    if _is_standard(left) or _is_standard(right):
        return slow.standard.binary(BINARY[opid], BINARY_UFUNCS[opid], left, right)
    return slow.binary(BINARY[opid], BINARY_UFUNCS[opid], left, right)


cdef object _inplace(int opid, ndarray x, object other):
    cdef object p, r
    if _direct(x) and not x.scalar:
        p = x.data_
        if isinstance(other, ndarray) and _direct(<ndarray>other):
            protect(p)
            if small_inplace(opid, <cnp.ndarray>p, <cnp.ndarray>(<ndarray>other).data_):
                return x
            INPLACE[opid](p, (<ndarray>other).data_)
            return x
        if _is_number(other):
            protect(p)
            if not small_inplace_scalar(opid, <cnp.ndarray>p, other):
                INPLACE[opid](p, other)
            return x
        if _is_host_operand(other):
            protect(p)
            INPLACE[opid](p, other)
            return x
    if x.standard:
        return slow.standard.inplace(INPLACE[opid], BINARY[opid], BINARY_UFUNCS[opid], x, other)
    return slow.inplace(INPLACE[opid], BINARY[opid], BINARY_UFUNCS[opid], x, other)


cdef object _unary(int opid, ndarray x):
    cdef object r
    if _direct(x):
        r = small_unary(opid, <cnp.ndarray>x.data_)
        return wrap(UNARY[opid](x.data_) if r is None else r)
    if _transforming and traced.unary != NULL:
        r = traced.unary(opid, x)
        if r is not NotImplemented:
            return r
    r = slow.unary(UNARY[opid], UNARY_OPS[opid], x)
    return slow.standard.adopt(r) if x.standard else r


cdef bint _set_host(cnp.ndarray a, object k, object value) except -1:
    """Write into host memory; False where NumPy refuses the index or the value."""
    if type(value) is float or type(value) is int:
        (<object>a)[k] = value
        return True
    try:
        (<object>a)[k] = value
    except ValueError:
        return False
    return True


@cython.freelist(128)
cdef class ndarray:
    """An array object represents a multidimensional, homogeneous array of fixed-size items.

    Takes NumPy's arguments ``(shape, dtype=float, buffer=None, offset=0, strides=None, order=None)``; most code calls
    `array`, `zeros` or `empty` instead.

    See Also
    --------
    numpy.ndarray : the specification of every attribute and method.
    """

    def __init__(self, *args, **kwargs):
        self.data_ = numpy.ndarray(*args, **{k: payload(v) for k, v in kwargs.items()})
        self.birth = birth_while_captured() if _capturing else _now

    cdef object current(self):
        cdef ndarray root = self
        cdef object p = self.data_
        if is_plain(self):
            return p
        if (_capturing and captures()) or not _settled_elsewhere():
            return None
        if self.base_ is None:
            return p
        if self.view_ is None or self.home is not None:
            return None
        while root.base_ is not None:
            root = root.base_
        return None if type(root.data_) is cnp.ndarray or self.version != root.version else p

    def __add__(self, other): return _binary(OP_ADD, self, other)
    def __radd__(self, other): return _binary(OP_ADD, other, self)
    def __sub__(self, other): return _binary(OP_SUBTRACT, self, other)
    def __rsub__(self, other): return _binary(OP_SUBTRACT, other, self)
    def __mul__(self, other): return _binary(OP_MULTIPLY, self, other)
    def __rmul__(self, other): return _binary(OP_MULTIPLY, other, self)
    def __truediv__(self, other): return _binary(OP_TRUE_DIVIDE, self, other)
    def __rtruediv__(self, other): return _binary(OP_TRUE_DIVIDE, other, self)
    def __floordiv__(self, other): return _binary(OP_FLOOR_DIVIDE, self, other)
    def __rfloordiv__(self, other): return _binary(OP_FLOOR_DIVIDE, other, self)
    def __mod__(self, other): return _binary(OP_REMAINDER, self, other)
    def __rmod__(self, other): return _binary(OP_REMAINDER, other, self)
    def __and__(self, other): return _binary(OP_BITAND, self, other)
    def __rand__(self, other): return _binary(OP_BITAND, other, self)
    def __or__(self, other): return _binary(OP_BITOR, self, other)
    def __ror__(self, other): return _binary(OP_BITOR, other, self)
    def __xor__(self, other): return _binary(OP_BITXOR, self, other)
    def __rxor__(self, other): return _binary(OP_BITXOR, other, self)
    def __lshift__(self, other): return _binary(OP_LSHIFT, self, other)
    def __rlshift__(self, other): return _binary(OP_LSHIFT, other, self)
    def __rshift__(self, other): return _binary(OP_RSHIFT, self, other)
    def __rrshift__(self, other): return _binary(OP_RSHIFT, other, self)
    def __matmul__(self, other): return _binary(OP_MATMUL, self, other)
    def __rmatmul__(self, other): return _binary(OP_MATMUL, other, self)
    def __iadd__(self, other): return _inplace(OP_ADD, self, other)
    def __isub__(self, other): return _inplace(OP_SUBTRACT, self, other)
    def __imul__(self, other): return _inplace(OP_MULTIPLY, self, other)
    def __itruediv__(self, other): return _inplace(OP_TRUE_DIVIDE, self, other)
    def __ifloordiv__(self, other): return _inplace(OP_FLOOR_DIVIDE, self, other)
    def __imod__(self, other): return _inplace(OP_REMAINDER, self, other)
    def __iand__(self, other): return _inplace(OP_BITAND, self, other)
    def __ior__(self, other): return _inplace(OP_BITOR, self, other)
    def __ixor__(self, other): return _inplace(OP_BITXOR, self, other)
    def __ilshift__(self, other): return _inplace(OP_LSHIFT, self, other)
    def __irshift__(self, other): return _inplace(OP_RSHIFT, self, other)
    def __imatmul__(self, other): return _inplace(OP_MATMUL, self, other)

    def __pow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return _binary(OP_POWER, self, other)

    def __rpow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return _binary(OP_POWER, other, self)

    def __ipow__(self, other):
        return _inplace(OP_POWER, self, other)

    def __divmod__(self, other): return slow.binary(divmod, "divmod", self, other)
    def __rdivmod__(self, other): return slow.binary(divmod, "divmod", other, self)
    def __neg__(self): return _unary(OP_NEG, self)
    def __pos__(self): return _unary(OP_POS, self)
    def __abs__(self): return _unary(OP_ABS, self)
    def __invert__(self): return _unary(OP_INVERT, self)
    def __lt__(self, other): return _binary(OP_LT, self, other)
    def __le__(self, other): return _binary(OP_LE, self, other)
    def __gt__(self, other): return _binary(OP_GT, self, other)
    def __ge__(self, other): return _binary(OP_GE, self, other)
    def __eq__(self, other): return _binary(OP_EQ, self, other)
    def __ne__(self, other): return _binary(OP_NE, self, other)
    __hash__ = None

    # --------------------------------------------------------------------------------------- indexing
    def __getitem__(self, k):
        cdef cnp.ndarray a
        cdef Py_ssize_t i, n
        if not _direct(self):
            r = traced.getitem(self, k) if _transforming and traced.getitem != NULL else NotImplemented
            if r is NotImplemented:
                r = slow.getitem(self, k)
            return slow.standard.adopt(r) if self.standard else r
        a = <cnp.ndarray>self.data_
        if type(k) is int:
            try:
                i = k
            except OverflowError:
                return a[k]
            if a.ndim == 1 and cnp.PyArray_TYPE(a) <= cnp.NPY_CDOUBLE:
                n = cnp.PyArray_DIM(a, 0)
                if i < 0:
                    i += n
                if 0 <= i < n:
                    return PyArray_ToScalar(cnp.PyArray_BYTES(a) + i * cnp.PyArray_STRIDE(a, 0), a)
            if a.ndim > 1:  # NumPy's sequence slot, past the parsing of an index
                return view_of_host(self, PySequence_GetItem(a, i))
        elif type(k) is slice or type(k) is tuple or k is None or k is Ellipsis:
            r = basic_index(a, k)
            if r is not None:
                return view_of_host(self, r)
        if type(k) is not slice:
            index = _index(k)
            if index is ABSENT:
                return slow.getitem(self, k)
            k = index
        try:
            return view_of_host(self, a[k])
        except ValueError:
            return slow.getitem(self, k)  # with what stands for objects of which `__array__` gives npx arrays

    def __setitem__(self, k, value):
        if is_plain(self) and not self.scalar:
            index = k if type(k) is int or type(k) is slice else _index(k)
            if index is not ABSENT:
                if _is_number(value) or PyDataType_REFCHK((<cnp.ndarray>self.data_).descr):
                    p = value  # an object array holds npx arrays as they are
                else:
                    p = _index(value)
                if p is not ABSENT:
                    protect(self.data_)
                    if _set_host(<cnp.ndarray>self.data_, index, p):
                        return
        slow.setitem(self, k, value)

    def __delitem__(self, k):
        raise ValueError("cannot delete array elements")

    def __len__(self):
        cdef cnp.ndarray a
        if is_plain(self):
            a = <cnp.ndarray>self.data_
            if a.ndim:
                return cnp.PyArray_DIM(a, 0)
        return slow.length(read(self))

    def __iter__(self):
        if slow.ndim_of(self.data_) == 0:
            raise TypeError("iteration over a 0-d array")
        return slow.Items(self)

    def __contains__(self, value):
        return slow.contains(self, value)

    # --------------------------------------------------------------------------------------- conversion
    def __bool__(self): return bool(read(self))
    def __int__(self): return int(self.data_ if is_plain(self) else slow.scalar_value(self, int))
    def __float__(self): return float(self.data_ if is_plain(self) else slow.scalar_value(self, float))
    def __complex__(self): return complex(self.data_ if is_plain(self) else slow.scalar_value(self, complex))
    def __index__(self):
        return operator.index(self.data_ if is_plain(self) else slow.scalar_value(self, operator.index))

    def __repr__(self): return slow.text(self, repr)
    def __str__(self): return slow.text(self, str)
    def __format__(self, spec): return slow.text(self, lambda p: format(p, spec))

    def __array__(self, dtype=None, copy=None):
        return slow.to_numpy(self, dtype, copy)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef cnp.dtype descr
        if is_plain(self):
            host = self.data_
            protect(host)  # the receiver may write into it
        else:
            host = slow.to_numpy(self)
        if flags & PyBUF_FORMAT:
            descr = (<cnp.ndarray>host).descr
            if descr.type_num > cnp.NPY_CLONGDOUBLE or PyDataType_METADATA(descr) != NULL:
                slow.check_buffer(host)
        PyObject_GetBuffer(host, buffer, flags)
        if host is self.data_ and vouch(self, host):
            buffer.obj = self

    def resize(self, *new_shape, refcheck=True):
        """Change shape and size of array in-place."""
        return slow.resize(self, new_shape, refcheck, Py_REFCNT(self))

    # --------------------------------------------------------------------------------------- hot attributes
    @property
    def shape(self):
        """Tuple of array dimensions."""
        cdef int axis
        if not is_plain(self):
            return slow.shape_of(read(self))
        shape = PyTuple_New(cnp.PyArray_NDIM(<cnp.ndarray>self.data_))
        for axis in range(cnp.PyArray_NDIM(<cnp.ndarray>self.data_)):
            PyTuple_SET_ITEM(shape, axis, PyLong_FromSsize_t(cnp.PyArray_DIM(<cnp.ndarray>self.data_, axis)))
        return shape

    @shape.setter
    def shape(self, value):
        slow.set_shape(self, value)

    @shape.deleter
    def shape(self):
        raise AttributeError("Cannot delete array shape")

    @property
    def dtype(self):
        """Data type of the elements."""
        return <object>cnp.PyArray_DESCR(<cnp.ndarray>self.data_) if is_plain(self) else self.data_.dtype

    @dtype.setter
    def dtype(self, value):
        slow.host_memory(self, "setting dtype").dtype = value

    @dtype.deleter
    def dtype(self):
        raise AttributeError("Cannot delete array dtype")

    @property
    def ndim(self):
        """Number of dimensions."""
        return cnp.PyArray_NDIM(<cnp.ndarray>self.data_) if is_plain(self) else read(self).ndim

    @property
    def size(self):
        """Number of elements."""
        return cnp.PyArray_SIZE(<cnp.ndarray>self.data_) if is_plain(self) else math.prod(self.shape)

    @property
    def T(self):
        """View of the transposed array."""
        if is_plain(self):
            return view_of_host(self, PyArray_Transpose(<cnp.ndarray>self.data_, NULL))
        return self.transpose()
