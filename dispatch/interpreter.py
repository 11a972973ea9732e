"""Interpreters and tracers: how a transform sees ops go by.

An interpreter is what a transform installs for the time it runs a function. Its tracers are payloads: immutable values
that know their interpreter. An op that meets tracers hands itself to the interpreter of the highest level among them,
which may in turn call ops on values of lower levels.
"""

import itertools
import math
import threading

from .abstract import Aval
from .tracing import InterpreterCore, TracerCore

_local = threading.local()
_births = itertools.count(1)

#: the interpreters of all threads whose tracers arrays may hold
unsettled = set()


def stack():
    """The interpreters active in this thread, lowest level first."""
    try:
        return _local.stack
    except AttributeError:
        _local.stack = []
        return _local.stack


class Interpreter(InterpreterCore):
    """Base of the interpreters. Subclasses give `process`, and `lift` where plain payloads may join."""

    #: larger than that of every interpreter, in any thread, that was installed before
    birth = 0
    #: the stack of the thread that it works for; None once the arrays that held its tracers are settled
    levels = None
    #: weak references to the arrays that hold tracers of this interpreter after a write (kept by the array layer)
    lifted = ()
    #: id of an older array that holds one -> what it held before, where that was not host memory (likewise)
    replaced = {}
    #: True for an interpreter that must see every array older than itself (jit), not only its own tracers.
    captures = False
    #: True for an interpreter that records ops in place of running them: there are no values to look at.
    records = False
    #: True for one that takes derivatives: integers that it makes of floats have lost theirs
    differentiates = False
    #: what to call this transform in messages
    name = "a transform"

    def process(self, op, args, params):
        """Apply `op` to payloads, at least one of them a tracer of this interpreter; return a payload, or a tuple."""
        raise NotImplementedError

    def memory_of(self, array):
        """The host memory whose layout an array with a tracer has; None where it has a layout of its own."""
        return None

    def loses_derivative(self, tracer):
        """Whether a derivative is lost where a tracer is replaced by its value."""
        return not self.captures

    def holds_for_any(self, tracer):
        """Whether a condition, a tracer of any shape, holds for some of the values that it stands for."""
        return bool(self.concretize(tracer, "a condition").any())

    def concretize(self, tracer, reason):
        """The host value (``numpy.ndarray``) of a tracer that Python asks for, or an error naming `reason`."""
        raise TypeError(
            f"{reason} needs the value of an array that {self.name} is tracing ({tracer.aval}). "
            "Write it with array operations (np.where, masks), or move it out of the transformed function."
        )


class active:
    """A context that installs `interpreter` on top of this thread's stack.

    Parameters
    ----------
    interpreter : Interpreter
    settle : callable, optional
        Called without arguments when it has left the stack: takes its tracers out of the arrays that hold them.
    """

    __slots__ = ("interpreter", "settle", "levels")

    def __init__(self, interpreter, settle=None):
        self.interpreter, self.settle = interpreter, settle

    def __enter__(self):
        interpreter, levels = self.interpreter, stack()
        interpreter.level = levels[-1].level + 2 if levels else 1  # those in between are for its own use
        interpreter.birth = next(_births)
        interpreter.alive, interpreter.levels, self.levels = True, levels, levels
        interpreter.lifted, interpreter.replaced = [], {}
        levels.append(interpreter)
        unsettled.add(interpreter)
        _changed(interpreter.captures, 1, interpreter.birth)
        return interpreter

    def __exit__(self, *_):
        interpreter = self.interpreter
        self.levels.remove(interpreter)
        interpreter.alive = False
        _changed(-interpreter.captures, 0)
        try:
            if self.settle is not None:
                self.settle()
        finally:
            interpreter.levels = None
            unsettled.discard(interpreter)
            _changed(0, -1)


#: called with how many more interpreters this thread has that capture, and how many more that have not settled, and
#: with the birth of a new one: the array layer keeps flags for its fast paths
on_stack_change = []


def _changed(capturing, unsettled, birth=0):
    for hook in on_stack_change:
        hook(capturing, unsettled, birth)


class Operators:
    """Python's operators on a payload, each an op: derivative rules are written with them.

    They are installed by the op declarations (`install_operator`). Tracers have them, and so may the array class of a
    backend that has none of its own.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy operators give way to ours
    __array_priority__ = 1000

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))


class Tracer(TracerCore, Operators):
    """A payload that stands for a value inside a transform."""

    __slots__ = ()

    aval: Aval

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)

    def __array__(self, dtype=None, copy=None):
        value = self.interpreter.concretize(self, "conversion to a NumPy array")
        return value if dtype is None else value.astype(dtype)

    def __bool__(self):
        return bool(self.interpreter.concretize(self, "a condition"))

    def __len__(self):
        if not self.aval.shape:
            raise TypeError("len() of unsized object")
        return self.aval.shape[0]

    def __repr__(self):
        return f"{type(self).__name__}({self.aval})"


def install_operator(name, function):
    """Give every tracer, and what else has `Operators`, the operator method `name`."""
    setattr(Operators, name, function)


def top_tracer(args):
    """The tracer of the highest level among `args`, or None."""
    top = None
    for a in args:
        if isinstance(a, Tracer) and (top is None or a.interpreter.level > top.interpreter.level):
            top = a
    return top
