"""The op: one declaration, and the dispatch of its calls on payloads."""

cimport numpy as cnp
import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import Aval
from npx.dispatch.debug import STAGES, count_round_trip, log, user_line
from npx.dispatch.interpreter import Tracer

cnp.import_array()

cdef object _Tracer = Tracer
cdef bint _log_dispatch = "dispatch" in STAGES


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

    def __call__(self, *args, **params):
        cdef object a, top = None, kind = None, t
        for a in args:
            t = type(a)
            if t is cnp.ndarray or t is float or t is int:
                continue
            if isinstance(a, _Tracer):
                if top is None or a.interpreter.level > top.interpreter.level:
                    top = a
            elif not isinstance(a, (numpy.ndarray, numpy.generic, bool, int, float, complex)):
                kind = t
        if top is not None:
            return top.interpreter.process(self, args, params)
        if _log_dispatch:
            log("dispatch", f"{self.name} on {'host' if kind is None else kind.__name__} at {user_line()}")
        if kind is None:
            f = self.host  # which another thread may forget
            if f is None:
                f = self.host = self._find(numpy.ndarray)
            return f(*args, **params)
        f = self.slots.get(kind)
        if f is None:
            f = self.slots[kind] = self._find(kind)
        return f(*args, **params)

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
