"""NumPy's composite functions under a transform, from recordings.

What ``np.outer(x, y)`` or ``x.mean(axis=0)`` does with traced arrays depends on their shapes and dtypes and on the other
arguments, not on values: it is a fixed list of ops. So the list is recorded once, and later calls apply it, without the
Python code of NumPy's that leads to it. A call is not recorded, and runs as it is, where it asks for a value, writes into
an argument, warns, changes `numpy.errstate`, or takes or gives anything but arrays, numbers and the like.
"""

cimport numpy as cnp

import warnings

import numpy

from npx.array.ndarray cimport ndarray, wrap, wrap_scalar
from npx.array.traced cimport view_of
from npx.dispatch.aval cimport Aval, aval_of
from npx.dispatch.op cimport Op
from npx.dispatch.tracing cimport InterpreterCore, TracerCore

from npx.array import calling
from npx.array.ndarray import capturing
from npx.dispatch.interpreter import active

from .trace import GraphTracer, TraceInterpreter

cnp.import_array()

#: calls of a kind that are made before one is recorded
SEEN_FIRST = 1
#: recordings that are kept, and those of one function: further kinds of calls run as they are
MOST, MOST_EACH = 4096, 128
#: of the constants of a recording, such as the mask of `numpy.tril`
MOST_BYTES = 1 << 20

cdef dict _recordings = {}   # key of a call -> its `Recording`, how often it was seen, or None: it cannot be recorded
cdef dict _counts = {}       # function -> number of its keys
cdef object _UNFIT = object()


# ------------------------------------------------------------------------------------------------ keys
cdef bint _describe(object x, list key, list arrays, bint* traced) except -1:
    """Add to the key of a call what an argument tells about it; False where such a call is not recorded.

    Parameters
    ----------
    arrays : list
        The arrays, which become inputs, are appended.
    traced : pointer to bint
        Set where one of them holds a tracer.
    """
    cdef object kind = type(x), p
    cdef InterpreterCore interpreter
    cdef ndarray a
    cdef Py_ssize_t k
    if kind is ndarray:
        a = <ndarray>x
        if a.standard:
            return False
        for k in range(len(arrays)):
            if arrays[k] is x:  # the same array again
                key.append(k)
                return True
        p = a.current()
        if isinstance(p, TracerCore):
            interpreter = (<TracerCore>p).interpreter
            if not interpreter.alive or (<object>interpreter).records:
                return False
            traced[0] = True
            for n in p.shape:
                if type(n) is not int:  # it differs along an axis mapped over
                    return False
            key.append(p.aval)
        elif type(p) is cnp.ndarray and cnp.PyArray_TYPE(<cnp.ndarray>p) in _FLOATS and cnp.PyArray_SIZE(<cnp.ndarray>p):
            key.append(aval_of(p))
        else:
            return False  # of integers the values may matter, as indices do
        key.append((a.scalar, rearranged(a)))
        arrays.append(x)
        return True
    if x is None or kind is int or kind is float or kind is str or kind is bool or kind is type or x is Ellipsis:
        key.append(kind)
        key.append(x)
        return True
    if kind is tuple or kind is list:
        key.append(kind)
        key.append(len(x))
        for item in x:
            if not _describe(item, key, arrays, traced):
                return False
        return True
    if isinstance(x, cnp.dtype) or x is _no_value:
        key.append(x)
        return True
    return False


cdef inline bint rearranged(ndarray x):
    """Whether the layout of an array may be another than that of a new one."""
    return x.base_ is not None or x.home is not None


cdef bint any_rearranged(list arrays):
    return any([rearranged(x) for x in arrays])


cdef frozenset _FLOATS = frozenset((cnp.NPY_FLOAT, cnp.NPY_DOUBLE, cnp.NPY_CFLOAT, cnp.NPY_CDOUBLE, cnp.NPY_LONGDOUBLE))
cdef object _no_value = numpy._NoValue


def call(function, run, tuple args, dict kwargs):
    """Call a function of NumPy's from its recording; NotImplemented where there is none.

    Parameters
    ----------
    function : callable
        NumPy's function or method, which stands for `run` among the keys.
    run : callable
        Takes npx arrays, traced ones too; it is what is recorded.
    args, kwargs
        The arguments.
    """
    cdef list key = [function], arrays = []
    cdef bint traced = False
    cdef object found
    for x in args:
        if not _describe(x, key, arrays, &traced):
            return NotImplemented
    for name, x in kwargs.items():
        key.append(name)
        if not _describe(x, key, arrays, &traced):
            return NotImplemented
    if not traced or capturing():
        return NotImplemented
    key_ = tuple(key)
    found = _recordings.get(key_, 0)
    if found is None:
        return NotImplemented
    if type(found) is int:
        if found == 0 and not _admit(function):
            return NotImplemented
        if found < SEEN_FIRST:
            _recordings[key_] = found + 1
            return NotImplemented
        found = _recordings[key_] = _record(run, args, kwargs, arrays)
        if found is None:
            return NotImplemented
    return (<Recording>found).apply(arrays)


cdef bint _admit(object function) except -1:
    """Whether there is room for a further key of a function."""
    cdef Py_ssize_t count = _counts.get(function, 0)
    if count >= MOST_EACH:
        return False
    if len(_recordings) >= MOST:
        _recordings.clear()
        _counts.clear()
        count = 0
    _counts[function] = count + 1
    return True


# ------------------------------------------------------------------------------------------------ recording
class _Recorder(TraceInterpreter):
    """Notes, too, whether floating point errors are handled differently for some op."""

    differentiates = True  # perhaps: what refuses to lose derivatives is not recorded

    def __init__(self):
        TraceInterpreter.__init__(self, "a recording", captures=False)
        self.errors, self.steady = numpy.geterr(), True

    def process(self, op, args, params):
        """Record the op."""
        self.steady = self.steady and not op.effect and numpy.geterr() == self.errors
        return TraceInterpreter.process(self, op, args, params)

    def concretize(self, tracer, reason):
        """Refuse; the call may have another way, but not the one it takes where values are known."""
        self.steady = False
        return TraceInterpreter.concretize(self, tracer, reason)


cdef object _record(run, tuple args, dict kwargs, list arrays):
    """The `Recording` of a call, None where there is none."""
    recorder = _Recorder()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with active(recorder):
                stand_ins = [_stand_in(recorder, x) for x in arrays]
                held = [(<ndarray>x).data_ for x in stand_ins]
                replaced = {id(x): y for x, y in zip(arrays, stand_ins)}
                result = run(*_replace(args, replaced), **_replace(kwargs, replaced))
                untouched = all([(<ndarray>x).data_ is p for x, p in zip(stand_ins, held)])
                if warned or not (untouched and recorder.steady):
                    return None
                leaves = []
                shape = _leaves(result, leaves)
                return None if shape is _UNFIT else _recording(recorder, arrays, stand_ins, leaves, shape)
        except Exception:  # the call itself will raise it
            return None


cdef object _stand_in(recorder, ndarray x):
    cdef object tracer = recorder.input(aval_of(x.current()))
    return wrap_scalar(tracer) if x.scalar else wrap(tracer)


cdef object _replace(object x, dict replaced):
    if type(x) is ndarray:
        return replaced[id(x)]
    if type(x) is tuple or type(x) is list:
        return type(x)([_replace(item, replaced) for item in x])
    return {name: _replace(item, replaced) for name, item in x.items()} if type(x) is dict else x


cdef object _leaves(object result, list leaves):
    """Append the leaves of a result; returns how to put them together: a function of an iterator, or `_UNFIT`."""
    kind = type(result)
    if kind is ndarray or kind is int or kind is bool or kind is float or kind is str or result is None:
        leaves.append(result)
        return None
    if kind is list or isinstance(result, tuple):
        parts = [_leaves(item, leaves) for item in result]
        if any([part is _UNFIT for part in parts]):
            return _UNFIT
        return kind, parts
    return _UNFIT


cdef object _together(object shape, object leaves):
    """A result from its shape and leaves."""
    if shape is None:
        return next(leaves)
    kind, parts = shape
    items = [_together(part, leaves) for part in parts]
    return kind(items) if kind is tuple or kind is list else kind._make(items)


cdef object _recording(recorder, list arrays, list stand_ins, list leaves, object shape):
    """The recording, from what a call has left behind; None where a result has nothing to do with the arguments."""
    cdef list outputs = [], makers = [], found = [leaf for leaf in leaves if type(leaf) is ndarray]
    if len({id(leaf) for leaf in found}) != len(found):
        return None  # one array several times
    for leaf in leaves:
        maker = _maker(recorder, arrays, stand_ins, leaf, outputs)
        if maker is _UNFIT:
            return None
        makers.append(maker)
    graph = recorder.finish(outputs)
    if any_rearranged(arrays) and all([node.op.kind == "shaping" for node in _needed(graph)]) and outputs:
        return None  # whether these are copies is for the layout to decide
    constants = {id(v.const): v.const for node in graph.nodes for v in node.inputs if v.is_const}
    if sum([getattr(c, "nbytes", 0) for c in constants.values()]) > MOST_BYTES:
        return None
    return Recording(graph, makers, shape)


cdef object _maker(recorder, list arrays, list stand_ins, object leaf, list outputs):
    """How a leaf of the result is made, see `Recording`; what has to be computed joins `outputs`."""
    cdef ndarray root
    cdef list specs = []
    cdef Py_ssize_t k
    cdef bint by_arrays = False
    if type(leaf) is not ndarray:
        return leaf
    root = <ndarray>leaf
    while root.base_ is not None:
        by_arrays |= root.view_ is None or len(root.view_.arrays) > 0
        if not by_arrays:
            specs.insert(0, (root.view_.name, root.view_.params))
        root = root.base_
    for k, x in enumerate(stand_ins):
        if x is root:
            layout_decides = (not specs or any([name == "reshape" for name, _ in specs])) and any_rearranged(arrays)
            return _UNFIT if by_arrays or layout_decides else Viewed(k, specs)
    held = (<ndarray>leaf).current()
    if type(held) is not GraphTracer or held.interpreter is not recorder:
        return _UNFIT  # it has nothing to do with the arguments
    outputs.append(held)
    return Computed(len(outputs) - 1, (<ndarray>leaf).scalar)


# ------------------------------------------------------------------------------------------------ recordings
cdef class Computed:
    """A result that is computed: its place among the graph's outputs."""

    cdef Py_ssize_t place
    cdef bint scalar

    def __init__(self, place, scalar):
        self.place, self.scalar = place, scalar


cdef class Viewed:
    """A result that is an array argument, given by its number, or a view of it."""

    cdef Py_ssize_t argument
    cdef list specs

    def __init__(self, argument, specs):
        self.argument, self.specs = argument, specs


cdef class Step:
    """One op: the places of its operands and results among the values."""

    cdef Op op
    cdef tuple sources
    cdef dict params
    cdef Py_ssize_t first   # the place of its first result


cdef class Recording:
    """The ops of a call, in order, and how the results come from them.

    Parameters
    ----------
    graph : Graph
    makers : list
        For each leaf of the result a `Computed`, a `Viewed`, or the leaf itself.
    shape : object
        See `_leaves`.
    """

    cdef list steps, values, makers
    cdef object shape
    cdef tuple outputs

    def __init__(self, graph, makers, shape):
        cdef Step step
        places, self.values, self.steps = {}, [], []
        self.makers, self.shape = makers, shape
        for value in graph.inputs:
            self._place(value, places)
        for node in _needed(graph):
            step = Step()
            step.op, step.params = node.op, dict(node.params)
            step.sources = tuple([self._place(value, places) for value in node.inputs])
            step.first = len(self.values)
            for value in node.outputs:
                self._place(value, places)
            self.steps.append(step)
        self.outputs = tuple([self._place(value, places) for value in graph.outputs])

    def _place(self, value, places):
        if value not in places:
            places[value] = len(self.values)
            self.values.append(value.const if value.is_const else None)
        return places[value]

    cdef object apply(self, list arrays):
        """The result of a call with these arrays."""
        cdef list values = self.values.copy()
        cdef Step step
        cdef Py_ssize_t k
        cdef object out, maker
        for k in range(len(arrays)):
            values[k] = (<ndarray>arrays[k]).current()
        for step in self.steps:
            out = step.op.call(tuple([values[<Py_ssize_t>k] for k in step.sources]), step.params)
            if step.op.nout == 1:
                values[step.first] = out
            else:
                for k in range(step.op.nout):
                    values[step.first + k] = out[k]
        if self.shape is None:
            return self.make(self.makers[0], values, arrays)
        return _together(self.shape, iter([self.make(maker, values, arrays) for maker in self.makers]))

    cdef object make(self, object maker, list values, list arrays):
        cdef ndarray x
        if type(maker) is Computed:
            p = values[self.outputs[(<Computed>maker).place]]
            if (<Computed>maker).scalar:
                return wrap_scalar(p)
            return wrap(p if isinstance(p, (TracerCore, cnp.ndarray)) else numpy.asarray(p))
        if type(maker) is Viewed:
            x = <ndarray>arrays[(<Viewed>maker).argument]
            for name, params in (<Viewed>maker).specs:
                x = view_of(x, name, params)
            return x
        return maker


cdef list _needed(graph):
    """The nodes that the outputs depend on, in order."""
    needed, found = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            found.append(node)
    return found[::-1]


calling.set_replay(call)
