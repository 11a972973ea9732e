from npx.dispatch.op cimport Op
from npx.dispatch.tracing cimport InterpreterCore, TracerCore

cdef class Noted:
    cdef public Py_ssize_t serial   # a later one has a larger number
    cdef public object parents      # for each operand the node that made it; None for constants

cdef class Leaf(Noted):
    cdef readonly object aval

cdef class Node(Noted):
    cdef readonly Op op
    cdef list args
    cdef bint boxed
    cdef readonly object ans
    cdef readonly dict params
    cdef readonly tuple avals
    cdef readonly object where
    cpdef list operands(self)
    cpdef list pull(self, object g)

cdef class CallNode(Noted):
    cdef readonly object pullback
    cdef readonly tuple avals

cdef class Output(Noted):
    cdef readonly Py_ssize_t index

cdef class TapeTracerCore(TracerCore):
    cdef readonly object primal
    cdef readonly Noted node
    cdef object _aval

cdef class TapeCore(InterpreterCore):
    cpdef process(self, Op op, tuple args, dict params)
    cdef object note(self, Op op, tuple args, tuple primals, list parents, object out, dict params)
    cdef object note_several(self, Op op, tuple args, list parents, object outs, dict params)
    cdef object note_call(self, op, tuple args, tuple primals, list parents)
    cdef object output(self, CallNode node, Py_ssize_t k, object out)
