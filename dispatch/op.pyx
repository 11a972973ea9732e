"""The op: one declaration, and the dispatch of its calls on payloads."""

cimport numpy as cnp
import numpy

from npx.dispatch cimport pool
from npx.dispatch.loops cimport (
    OP_ADD, OP_MULTIPLY, OP_SUBTRACT, OP_TRUE_DIVIDE, binary_place, small_binary, small_binary_scalar, small_unary,
    unary_place,
)
from npx.dispatch.tracing cimport TracerCore

from npx.dispatch import registry
from npx.dispatch.debug import STAGES, count_round_trip, log, user_line

cnp.import_array()

cdef bint _log_dispatch = "dispatch" in STAGES
cdef type _float64 = numpy.float64
cdef object numpy_add = numpy.add, numpy_multiply = numpy.multiply


cdef class Op:
    """A declared operation.

    Calling it with payloads runs the implementation of the backend that owns them or, where one is a tracer, hands the
    call to the interpreter of the highest level.
    """

    def __init__(self, name, *, kind, nin, rule, spec=None, nout=1, vjp=None, jvp=None, batch=None, expand=None,
                 keeps=(True,), keeps_ans=True, linear=False, effect=False, no_deriv=None, examples=()):
        self.name, self.kind, self.nin, self.nout = name, kind, nin, nout
        self.spec, self.rule, self.vjp, self.jvp, self.batch, self.expand = spec, rule, vjp, jvp, batch, expand
        self.keeps, self.keeps_ans, self.linear, self.effect = keeps, keeps_ans, linear, effect
        self.no_deriv, self.examples, self.host = no_deriv, examples, None
        self.slots = {}
        self.is_ufunc, self.place = isinstance(spec, numpy.ufunc), -1
        if self.is_ufunc and nin <= 2 and nout == 1 and getattr(numpy, spec.__name__, None) is spec:
            self.place = unary_place(spec.__name__) if nin == 1 else binary_place(spec.__name__)

    def __call__(self, *args, **params):
        return self.call(args, params)

    cdef object call(self, tuple args, dict params):
        cdef object a, kind = None, t
        cdef TracerCore top = None
        for a in args:
            t = type(a)
            if t is cnp.ndarray or t is float or t is int:
                continue
            if isinstance(a, TracerCore):
                if top is None or (<TracerCore>a).interpreter.level > top.interpreter.level:
                    top = <TracerCore>a
            elif not (cnp.PyArray_Check(a) or cnp.PyArray_CheckScalar(a) or isinstance(a, (bool, int, float, complex))):
                kind = t
        if top is not None:
            return top.interpreter.process(self, args, params)
        if _log_dispatch:
            log("dispatch", f"{self.name} on {'host' if kind is None else kind.__name__} at {user_line()}")
        if kind is None:
            return self.on_host(args, params)
        f = self.slots.get(kind)
        if f is None:
            f = self.slots[kind] = self._find(kind)
        return f(*args, **params)

    cdef object on_host(self, tuple args, dict params):
        cdef object x, r, f = self.host  # which another thread may forget
        if f is None:
            f = self.host = self._find(numpy.ndarray)
        if params:
            return f(*args, **params)
        if self.is_ufunc and f is self.spec:
            if len(args) == 2:
                return self.two(args[0], args[1])
            if len(args) == 1:
                x = args[0]
                r = small_unary(self.place, <cnp.ndarray>x) if self.place >= 0 and type(x) is cnp.ndarray else None
                return pool.call_one(f, x) if r is None else r
        return f(*args)

    cdef object two(self, object x, object y):
        """The ufunc of the op with two operands."""
        cdef object r = None
        if self.place < 0:
            pass
        elif type(x) is cnp.ndarray:
            if type(y) is cnp.ndarray:
                r = small_binary(self.place, <cnp.ndarray>x, <cnp.ndarray>y)
            elif type(y) is float or type(y) is int or type(y) is _float64:
                r = small_binary_scalar(self.place, <cnp.ndarray>x, y, False)
        elif type(y) is cnp.ndarray:
            if type(x) is float or type(x) is int or type(x) is _float64:
                r = small_binary_scalar(self.place, <cnp.ndarray>y, x, True)
        elif OP_ADD <= self.place <= OP_TRUE_DIVIDE:
            r = scalars(self.place, x, y)
        return pool.call_two(self.spec, x, y) if r is None else r

    def _find(self, kind):
        """The implementation for payloads of type `kind`: the backend's, the expansion, or a trip through the host."""
        backend = registry.backend_for(kind)
        f = backend.impls.get(self.name)
        if f is not None:
            return f
        if self.expand is not None:
            return self.expand
        if backend is registry.HOST:
            raise TypeError(f"the host backend lacks {self.name}")
        return _round_trip(self, backend)

    def forget_slots(self):
        """Look implementations up again: a backend has changed."""
        self.host = None
        self.slots.clear()

    cpdef tuple abstract(self, tuple avals, dict params):
        """The abstract values of the results, always as a tuple; raises what NumPy raises for bad operands."""
        out = self.rule(avals, params)
        return out if type(out) is tuple else (out,)

    def __repr__(self):
        return f"<op {self.name}>"

    def __reduce__(self):
        return registry.op, (self.name,)


cdef object scalars(int operator, object x, object y):
    """What the ufunc gives for two numbers of which one is NumPy's: by its scalars' operator, which is quicker."""
    if not ((type(x) is _float64 and (type(y) is _float64 or type(y) is float))
            or (type(y) is _float64 and type(x) is float)):
        return None
    if operator == OP_ADD:
        return x + y
    if operator == OP_MULTIPLY:
        return x * y
    if operator == OP_SUBTRACT:
        return x - y
    return x / y if operator == OP_TRUE_DIVIDE else None


# Python's operators as derivative rules use them: `x` and `y` are payloads, tracers among them.

cdef object multiply(object x, object y):
    cdef object r = None
    if type(x) is cnp.ndarray and type(y) is cnp.ndarray:
        r = small_binary(OP_MULTIPLY, <cnp.ndarray>x, <cnp.ndarray>y)
        if r is None:
            r = pool.call_two(numpy_multiply, x, y)
    return x * y if r is None else r


cdef object add(object x, object y):
    cdef object r = None
    if type(x) is cnp.ndarray and type(y) is cnp.ndarray:
        r = small_binary(OP_ADD, <cnp.ndarray>x, <cnp.ndarray>y)
        if r is None:
            r = pool.call_two(numpy_add, x, y)
    return x + y if r is None else r


def _round_trip(op, backend):
    """Run `op` on the host for a backend that lacks it, counted and reported."""
    def through_host(*args, **params):
        count_round_trip(op.name, backend.name)
        host = [backend.to_host(a) if isinstance(a, backend.payload_type) else a for a in args]
        out = op(*host, **params)
        if op.nout == 1:
            return backend.asarray(numpy.asarray(out))
        return tuple(backend.asarray(numpy.asarray(o)) for o in out)
    return through_host


def declare(name, **facts):
    """Declare the op `name`; see `Op` for the facts. Declaring a name twice is an error."""
    if name in registry.OPS:
        raise ValueError(f"op {name!r} is declared twice")
    op = registry.OPS[name] = Op(name, **facts)
    return op
