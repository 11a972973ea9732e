"""The tape: an interpreter that notes every op with what its derivative needs. `backward` walks back over the notes.

A tracer carries its value one level down (`primal`), so Python control flow sees real numbers, and the node that made
it. Nodes point to the nodes of their operands; what no result depends on is freed as the function runs. Integers and
booleans have no derivative and leave the tape as ordinary values.

Compiled, because eager gradients of small arrays are as fast as their notes are taken.
"""

cimport numpy as cnp

import numpy

from npx.array.memory cimport Box, save
from npx.dispatch.aval cimport aval_of
from npx.dispatch.derivatives cimport VJP
from npx.dispatch.op cimport Op
from npx.dispatch.tracing cimport InterpreterCore

from npx.dispatch.debug import user_line
from npx.dispatch.interpreter import Interpreter, Tracer
from npx.dispatch.payloads import zeros

from .values import any_above, differentiable, host_value, stays_weak

cnp.import_array()

cdef Py_ssize_t _serials = 0


cdef inline Py_ssize_t next_serial() noexcept:
    global _serials
    _serials += 1
    return _serials


# ------------------------------------------------------------------------------------------------ nodes
cdef class Noted:
    """Something on the tape."""

    def __lt__(self, other):
        return self.serial < (<Noted?>other).serial

    def __hash__(self):
        return self.serial


cdef class Leaf(Noted):
    """The node of a value that a derivative is taken with respect to."""

    def __init__(self, aval):
        self.serial, self.aval, self.parents = next_serial(), aval, ()


cdef class Node(Noted):
    """One op on the tape.

    Attributes
    ----------
    parents : list of node or None
        For each operand, the node that made it; None for constants.
    args : list
        For each operand its value where a rule reads it, else its `Aval`; constants on the host are in boxes.
    ans : payload, tuple of payload or None
        The result, where a rule reads it.
    boxed : bool
        Whether there are boxes among `args`.
    avals : tuple of Aval or None
        Of the results of an op that has several.
    where : str or None
        The user's line, for an op that has no derivative.
    """

    cpdef list operands(self):
        """What was kept of the operands, unboxed."""
        if not self.boxed:
            return self.args
        return [(<Box>a).value if type(a) is Box else a for a in self.args]

    cpdef list pull(self, object g):
        """The cotangents of the operands, None for zero and for constants."""
        cdef Op op = self.op
        cdef list args, parents = <list>self.parents, cts
        cdef Py_ssize_t i, n = len(parents)
        if self.avals is not None:
            g = tuple([zeros(aval) if part is None else part for part, aval in zip(g, self.avals)])
        if op.no_deriv is not None:
            raise TypeError(f"{op.name} has no derivative ({op.no_deriv}); it was applied at {self.where}")
        args = self.operands()
        if isinstance(op.vjp, VJP):
            return [None if parents[i] is None else (<VJP>op.vjp).pull(i, g, self.ans, args, self.params)
                    for i in range(n)]
        return [None if parents[i] is None else op.vjp(i, g, self.ans, args, self.params) for i in range(n)]


cdef class CallNode(Noted):
    """A whole function on the tape, which brings its own pullback (`custom_vjp`, `checkpoint`, ...)."""

    def __init__(self, parents, pullback, avals):
        self.parents, self.pullback, self.avals = parents, pullback, avals
        self.serial = next_serial()

    def pull(self, g):
        """The cotangents of the operands."""
        return self.pullback([zeros(aval) if part is None else part for part, aval in zip(g, self.avals)])


cdef class Output(Noted):
    """One of the results of a node that has several.

    The second parent, if there is one, is the node of a value that adds to the result: what a called function computed
    from values of the same tape that it closes over.
    """

    def __init__(self, node, index, also=None):
        self.parents = (node,) if also is None else (node, also)
        self.index, self.serial = index, next_serial()


# ------------------------------------------------------------------------------------------------ tracers
cdef class TapeTracerCore(TracerCore):
    """The fields of a `TapeTracer`."""

    def __init__(self, interpreter, primal, node):
        self.interpreter, self.primal, self.node = interpreter, primal, node

    @property
    def aval(self):
        """Shape and dtype; made once, for the nodes that keep it."""
        if self._aval is None:
            self._aval = aval_of(self.primal)
        return self._aval

    @property
    def shape(self):
        """Shape, without the detour over `aval` where there is an array below."""
        return self.primal.shape if type(self.primal) is cnp.ndarray else self.aval.shape

    @property
    def dtype(self):
        """Dtype, likewise."""
        return self.primal.dtype if type(self.primal) is cnp.ndarray else self.aval.dtype


class TapeTracer(TapeTracerCore, Tracer):
    """A value on a tape."""

    __slots__ = ()


cdef object _TapeTracer = TapeTracer
cdef type _float64 = numpy.float64, _complex128 = numpy.complex128


cdef TapeTracerCore new_tracer(InterpreterCore tape, object primal, Noted node):
    cdef TapeTracerCore tracer = TapeTracerCore.__new__(_TapeTracer)
    tracer.interpreter, tracer.primal, tracer.node = tape, primal, node
    return tracer


# ------------------------------------------------------------------------------------------------ the tape
cdef inline bint is_differentiable(object value) except -1:
    cdef int num
    if type(value) is cnp.ndarray:
        num = cnp.PyArray_TYPE(<cnp.ndarray>value)
        if num < cnp.NPY_OBJECT or num == cnp.NPY_FLOAT16:
            return num >= cnp.NPY_FLOAT
    elif type(value) is _float64:
        return True
    return differentiable(value)


cdef class TapeCore(InterpreterCore):
    """The compiled part of a `Tape`."""

    cpdef process(self, Op op, tuple args, dict params):
        """Run the op one level down and note it."""
        cdef Py_ssize_t i, n = len(args)
        cdef tuple primals
        cdef list parents
        cdef object a, out
        if not self.alive:
            return op.call(tuple([self.lower(a) for a in args]), params)
        found, parents = [], []
        for a in args:
            if type(a) is _TapeTracer and (<TapeTracerCore>a).interpreter is self:
                found.append((<TapeTracerCore>a).primal)
                parents.append((<TapeTracerCore>a).node)
            else:
                found.append(a)
                parents.append(None)
        primals = tuple(found)
        if type(op) is not Op:
            return self.note_call(op, args, primals, parents)
        out = op.call(primals, params)
        return self.note(op, args, primals, parents, out, params)

    cdef object note(self, Op op, tuple args, tuple primals, list parents, object out, dict params):
        """The result as a tracer, if it has a derivative."""
        cdef Node node
        if op.vjp is None and op.no_deriv is None:
            return out
        if op.nout != 1:
            return self.note_several(op, args, parents, out, params)
        if not is_differentiable(out):
            return out
        if type(out) is _float64 or type(out) is _complex128:
            out = weakened(op, out, primals, params)
        return new_tracer(self, out, note_op(op, args, parents, out, params))

    cdef object note_several(self, Op op, tuple args, list parents, object outs, dict params):
        cdef Node node
        if not any([is_differentiable(out) for out in outs]):
            return outs
        node = note_op(op, args, parents, outs, params)
        node.avals = tuple([aval_of(out) for out in outs])
        return tuple([
            new_tracer(self, out, Output(node, k)) if is_differentiable(out) else out for k, out in enumerate(outs)
        ])

    cdef object note_call(self, op, tuple args, tuple primals, list parents):
        outs, pullback, also = op.on_tape(self, args, list(primals))
        if pullback is None:
            return outs
        if any_above(outs, self.level):
            return op.closes_over_mapped(args)
        node = CallNode([*parents, *also], pullback, tuple([aval_of(out) for out in outs]))
        return tuple([self.output(node, k, out) for k, out in enumerate(outs)])

    cdef object output(self, CallNode node, Py_ssize_t k, object out):
        """A result of a called function on the tape."""
        if not is_differentiable(out):
            return out
        if type(out) is _TapeTracer and (<TapeTracerCore>out).interpreter is self:  # it closes over values of this tape
            return new_tracer(self, (<TapeTracerCore>out).primal, Output(node, k, (<TapeTracerCore>out).node))
        return new_tracer(self, out, Output(node, k))


cdef object weakened(Op op, object out, tuple primals, dict params):
    """A scalar result as a Python number where the op makes one of Python numbers."""
    cdef object a
    for a in primals:
        if type(a) is cnp.ndarray or type(a) is _float64:
            return out
    return stays_weak(op, out, primals, params)


cdef Node note_op(Op op, tuple args, list parents, object out, dict params):
    """The node of an op: of its operands and result it keeps what the derivative reads."""
    cdef Node node = Node.__new__(Node)
    cdef tuple keeps = <tuple>op.keeps
    cdef Py_ssize_t i, last = len(keeps) - 1
    cdef list kept = []
    cdef object a, read = None
    cdef bint keep
    if len(args) == 2 and (parents[0] is None) != (parents[1] is None) and isinstance(op.vjp, VJP):
        read = (<VJP>op.vjp).read_for(0 if parents[1] is None else 1)  # what only the other's derivative needs is not kept
    for i in range(len(args)):
        a = args[i]
        if read is None:
            keep = keeps[i if i < last else last]
        else:
            keep = i < len(<tuple>read) and (<tuple>read)[i]
        if parents[i] is not None:
            a = (<TapeTracerCore>a).primal if keep else (<TapeTracerCore>a).aval
        elif not keep:
            a = aval_of(a)
        elif type(a) is cnp.ndarray:
            a = save(a)
            node.boxed = True
        kept.append(a)
    node.op, node.parents, node.args, node.params = op, parents, kept, params
    node.ans = out if op.keeps_ans else None
    node.serial = next_serial()
    if op.no_deriv is not None:
        node.where = user_line()
    return node


class Tape(TapeCore, Interpreter):
    """Notes ops for `backward.backward`."""

    name = "grad"
    differentiates = True
    #: what the walk back calls with each node, its cotangent and those of its operands (`debugging.WatchedTape`)
    look = None

    def leaf(self, primal):
        """A tracer for a value to differentiate with respect to."""
        return TapeTracer(self, primal, Leaf(aval_of(primal)))

    def lower(self, value):
        """The value one level down of a payload that may be a tracer of this tape."""
        return value.primal if type(value) is TapeTracer and value.interpreter is self else value

    def concretize(self, tracer, reason):
        """The value of a tracer that Python asks for, unless its derivative would be lost without a word."""
        if self.alive and reason in ("float()", "complex()", "conversion to a NumPy array"):
            raise TypeError(
                f"{reason} would drop the derivative of an array that is being differentiated ({tracer.aval}). Use "
                "npx functions in place of math, scipy or other libraries; to look at the value, convert "
                "npx.stop_gradient(x)."
            )
        return host_value(tracer.primal, reason)
