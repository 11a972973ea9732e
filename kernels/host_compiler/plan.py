"""What runs, in which order, and where every value lies: steps and storages.

Storages are decided before anything runs: results that stay inside the program share one arena, results that leave it
get memory of their own in every call, and a write into a buffer happens in place where nobody reads the old value
afterwards.
"""

from typing import NamedTuple

import numpy

from npx.dispatch import registry
from npx.kernels.host_compiler.fuse import roots
from npx.kernels.host_compiler.layout import Layout, contiguous, is_static_view, is_view, view
from npx.kernels.host_compiler.loops import Group, Nest, Numbers

ALIGNMENT = 64


class Storage:
    """A piece of memory.

    Attributes
    ----------
    kind : str
        ``"input"`` and ``"constant"`` are never written; ``"arena"`` lies at `offset` in the program's arena;
        ``"fresh"`` is allocated in each call, to be returned; ``"dynamic"`` is what a host function returned;
        ``"window"`` is part of `parent`, found at run time.
    nbytes : int
    array : numpy.ndarray or None
        The memory of a constant.
    """

    __slots__ = ("kind", "nbytes", "array", "parent", "offset", "layout")

    def __init__(self, kind, nbytes, array=None, parent=None):
        self.kind, self.nbytes, self.array, self.parent = kind, nbytes, array, parent
        self.offset = self.layout = None

    @property
    def owner(self):
        return self if self.parent is None else self.parent.owner

    @property
    def writable(self):
        return self.owner.kind in ("arena", "dynamic")


class Literal(NamedTuple):
    """A Python scalar, as host functions take it."""

    value: object


class PythonInput(NamedTuple):
    """A graph input that is a Python scalar; `index` among the inputs."""

    index: int


class PythonResult(NamedTuple):
    """A computed value that stands for a Python scalar."""

    layout: Layout


class KernelStep(NamedTuple):
    """Run a loop nest."""

    nest: Nest
    numbers: Numbers
    operands: tuple

    def layouts(self):
        return self.operands


class CallStep(NamedTuple):
    """Call a host function: into `out`, or for results that become `results`."""

    function: object
    args: tuple
    params: dict
    out: Layout | None
    results: tuple
    note: str | None

    def layouts(self):
        outs = self.results if self.out is None else (self.out,)
        return (*_layouts(self.args), *(o for o in outs if o is not None))


class WriteStep(NamedTuple):
    """``target[index] = value``, or ``+=`` where `adds`; `index` is None where `target` is the place itself."""

    target: Layout
    value: object
    index: tuple | None
    arrays: tuple
    adds: bool
    note: str | None

    def layouts(self):
        return (self.target, *_layouts((self.value, *self.arrays)))


class CopyStep(NamedTuple):
    """Copy elements."""

    target: Layout
    source: Layout
    note: str | None

    def layouts(self):
        return (self.target, self.source)


class WindowStep(NamedTuple):
    """Find a view whose offset depends on index operands."""

    target: Layout
    source: Layout
    index: tuple
    arrays: tuple
    note: str | None

    def layouts(self):
        return (self.target, self.source, *_layouts(self.arrays))


class ScalarStep(NamedTuple):
    """Convert a Python scalar among the inputs to a 0-d array."""

    target: Layout
    source: PythonInput
    note: str | None = None

    def layouts(self):
        return (self.target,)


def _layouts(args):
    return [a if isinstance(a, Layout) else a.layout for a in args if isinstance(a, (Layout, PythonResult))]


def concatenate_into(*args, axis):
    *arrays, out = args
    return numpy.concatenate(arrays, axis, out)


#: ops besides ufuncs whose host function can write into memory that is given: it is passed as the last argument
WRITES_INTO = {"matmul": numpy.matmul, "concatenate": concatenate_into}


class Plan:
    """Steps and storages of a graph, for inputs of given layouts.

    Parameters
    ----------
    graph : Graph
    units : list of Unit
        From `partition`.
    strides : sequence
        For each input its strides; None for a Python scalar.

    Attributes
    ----------
    steps : list
    inputs, outputs : list
        For each graph input a Layout or PythonInput; for each graph output also perhaps a Literal or PythonResult.
    arena : int
        Bytes.
    """

    def __init__(self, graph, units, strides):
        self.graph, self.steps = graph, []
        self.root = roots(graph)
        self.places = {}  # Value -> Layout, PythonInput
        self.scalars = {}
        for k, (value, steps) in enumerate(zip(graph.inputs, strides, strict=True)):
            self.places[value] = PythonInput(k) if steps is None else self.input(value.aval, steps)
        self.inputs = [self.places[value] for value in graph.inputs]
        self.python = {v for v, place in zip(graph.inputs, self.inputs) if isinstance(place, PythonInput)}
        self.position = 0
        self.readers = self._last_reads(units)
        self.used = self._used_outside(units)
        for self.position, unit in enumerate(units):
            if unit.is_group:
                self.group(unit)
            else:
                self.node(unit.nodes[0])
        self.outputs = [self.output(v) for v in graph.outputs]
        self.arena = assign_offsets(self.steps, _layouts(self.outputs))

    # ------------------------------------------------------------------------------------------------- lifetimes

    def _last_reads(self, units):
        """Root value -> the last position at which its memory is read."""
        last = {}
        for position, unit in enumerate(units):
            for node in unit.nodes:
                if not is_static_view(node):
                    last.update((self.root[v], position) for v in node.inputs if not v.is_const)
        last.update((self.root[v], len(units)) for v in self.graph.outputs if not v.is_const)
        return last

    def _used_outside(self, units):
        """Values that are read by another unit than the one that computes them, or returned."""
        home = {v: unit.index for unit in units for node in unit.nodes for v in node.outputs}
        used = set(self.graph.outputs)
        for unit in units:
            for node in unit.nodes:
                used.update(v for v in node.inputs if home.get(v) != unit.index)
        return used

    def is_last_read(self, value):
        """Whether nothing after the current unit reads the memory of `value`."""
        return not value.is_const and self.readers[self.root[value]] <= self.position

    # --------------------------------------------------------------------------------------------------- places

    def input(self, aval, strides):
        storage = Storage("input", aval.nbytes)
        storage.layout = Layout(storage, 0, aval.shape, strides, aval.dtype)
        return storage.layout

    def new(self, aval, kind="arena"):
        """A contiguous place for a value."""
        storage = Storage(kind, aval.nbytes)
        storage.layout = contiguous(storage, aval.shape, aval.dtype)
        return storage.layout

    def place(self, value):
        """Where `value` lies: a Layout, or a PythonInput."""
        found = self.places.get(value)
        if found is None:  # a constant: all else has been placed when it was computed
            array = numpy.asarray(value.const, value.aval.dtype)
            if not array.flags.aligned:
                array = array.copy()
            storage = Storage("constant", array.nbytes, array)
            storage.layout = found = Layout(storage, 0, array.shape, array.strides, array.dtype)
            self.places[value] = found
        return found

    def layout(self, value, dtype=None):
        """Where `value` lies; a Python scalar among the inputs is converted to `dtype` first."""
        found = self.place(value)
        if not isinstance(found, PythonInput):
            return found
        dtype = numpy.dtype(dtype or value.aval.dtype)
        key = (found.index, dtype)
        if key not in self.scalars:
            storage = Storage("dynamic", dtype.itemsize)
            storage.layout = self.scalars[key] = contiguous(storage, (), dtype)
            self.steps.append(ScalarStep(storage.layout, found))
        return self.scalars[key]

    def operand(self, value):
        """`value` as an operand of a host function: Python scalars stay weak."""
        if value.is_const and isinstance(value.const, (bool, int, float, complex)):
            return Literal(value.const)
        found = self.place(value)
        return PythonResult(found) if value.aval.weak and isinstance(found, Layout) else found

    # ---------------------------------------------------------------------------------------------------- groups

    def group(self, unit):
        group = Group(unit, self.used, self.python)
        if not group.stores and not group.reductions:
            return
        loads = [self.layout(v, "?" if code == "b1" else code) for v, code in group.loads]
        stores = []
        for value in group.stores:
            place = self.reused(group, loads, stores, value) or self.new(value.aval)
            stores.append(place)
        reductions = [self.new(v.aval) for v in group.reductions]
        self.places.update(zip((*group.stores, *group.reductions), (*stores, *reductions)))
        nest, numbers = group.nest(loads, stores, reductions)
        self.steps.append(KernelStep(nest, numbers, (*loads, *stores, *reductions)))

    def reused(self, group, loads, stores, value):
        """The place of an operand that is dead after this group, for an elementwise result; or None."""
        if group.reductions:
            return None
        for (candidate, _), place in zip(group.loads, loads):
            if (
                place.storage.kind == "arena"
                and place.shape == value.aval.shape
                and place.dtype.itemsize == value.aval.dtype.itemsize
                and place.is_contiguous
                and place.covers_storage
                and self.is_last_read(candidate)
                and sum(other.storage.owner is place.storage for other in (*loads, *stores)) == 1
            ):
                return contiguous(place.storage, place.shape, value.aval.dtype)
        return None

    # --------------------------------------------------------------------------------------------- single nodes

    def node(self, node):
        if not node.op.effect and not any(v in self.used for v in node.outputs):
            return
        if node.op.name in ("setitem", "add_at"):
            self.write(node)
        elif is_view(node):
            self.view(node)
        else:
            self.call(node)

    def view(self, node):
        """Place the result of a view; a reshape that is none copies."""
        source = self.layout(node.inputs[0])
        result = view(node, source)
        if result is None:
            result = self.new(node.outputs[0].aval)
            self.steps.append(CopyStep(contiguous(result.storage, source.shape, source.dtype), source, note(node)))
        elif len(node.inputs) > 1:
            storage = Storage("window", result.storage.nbytes, parent=source.storage)
            result = storage.layout = result._replace(storage=storage, offset=0)
            arrays = tuple(map(self.operand, node.inputs[1:]))
            self.steps.append(WindowStep(result, source, node.params["index"], arrays, note(node)))
        self.places[node.outputs[0]] = result

    def write(self, node):
        """`setitem` and `add_at`: in place where the old value is dead, else on a copy."""
        x, v, *arrays = node.inputs
        adds = node.op.name == "add_at"
        old = self.layout(x)
        overlaps = not v.is_const and self.root[v] is self.root.get(x)
        if old.storage.writable and self.is_last_read(x) and not old.has_repeats and not (adds and overlaps):
            target = old
        else:
            target = self.new(x.aval)
            self.steps.append(CopyStep(target, old, note(node)))
        self.places[node.outputs[0]] = target
        index, arrays, place = node.params["index"], tuple(map(self.operand, arrays)), target
        if not arrays:
            place, index = self.part(target, index) or target, None
        self.steps.append(WriteStep(place, self.operand(v), index, arrays, adds, note(node)))

    def part(self, target, index):
        """The layout of ``target[index]`` for a static index."""
        return view(_Getitem(index), target)

    def call(self, node):
        """Run a node by its host function."""
        op, args = node.op, tuple(map(self.operand, node.inputs))
        aval = node.outputs[0].aval
        into = op.spec if isinstance(op.spec, numpy.ufunc) and op.nout == 1 else WRITES_INTO.get(op.name)
        if into is not None and is_simple(aval.dtype):
            out = self.new(aval)
            self.places[node.outputs[0]] = out
            self.steps.append(CallStep(into, args, node.params, out, (), note(node)))
            return
        results = []
        for value in node.outputs:
            needed = value in self.used
            results.append(self.new(value.aval, "dynamic") if needed else None)
            if needed:
                self.places[value] = results[-1]
        self.steps.append(CallStep(host_function(op), args, node.params, None, tuple(results), note(node)))

    # --------------------------------------------------------------------------------------------------- outputs

    def output(self, value):
        """The place of a graph output. Memory that leaves becomes fresh, once; a second output in it gets a copy."""
        if value.is_const and value.aval.weak:
            return Literal(value.const)
        place = self.place(value)
        if isinstance(place, PythonInput):
            return place
        if value.aval.weak:
            return PythonResult(place)
        if place.shape == ():
            return place
        storage = place.storage
        if storage.kind in ("arena", "dynamic") and place.covers_storage:
            if storage.kind == "arena":
                storage.kind = "fresh"
                if place.is_contiguous:
                    storage.layout = place
            else:
                storage.kind = "returned"
            return place
        out = self.new(value.aval)
        out.storage.kind = "fresh"
        self.steps.append(CopyStep(out, place, None))
        return out


class _Getitem:
    """A stand-in node for `view`."""

    class op:
        name = "getitem"

    def __init__(self, index):
        self.params = {"index": index}


def note(node):
    """What an error in the node's step says about where it happened."""
    return node.where and f"in {node.op.name} at {node.where}"


def is_simple(dtype):
    """Whether values of this dtype may lie in an arena and be written by ``out=``."""
    return dtype.kind in "biufcmM" and dtype.isnative


def host_function(op):
    """What runs `op` on NumPy arrays. One with an effect may keep its operands, so it gets copies."""
    function = registry.backend_for(numpy.ndarray).impls.get(op.name) or op.expand or op
    if not op.effect:
        return function
    return lambda *args, **params: function(
        *(numpy.array(a) if type(a) is numpy.ndarray else a for a in args), **params
    )


def assign_offsets(steps, outputs):
    """Give the arena's storages their offsets, so that those that live at different times share memory.

    Parameters
    ----------
    steps : list
    outputs : list of Layout
        What is read after the last step.

    Returns
    -------
    int
        Bytes that the arena needs.
    """
    first, last = {}, {}
    for k, layouts in enumerate([*(step.layouts() for step in steps), outputs]):
        for layout in layouts:
            storage = layout.storage.owner
            if storage.kind == "arena":
                first.setdefault(storage, k)
                last[storage] = k
    events = {}
    for storage, k in first.items():
        events.setdefault(k, ([], []))[0].append(storage)
        events.setdefault(last[storage], ([], []))[1].append(storage)
    holes, total = [], 0
    for k in sorted(events):
        starting, ending = events[k]
        for storage in starting:
            size = -(-max(storage.nbytes, 1) // ALIGNMENT) * ALIGNMENT
            fitting = [h for h in holes if h[1] >= size]
            if fitting:
                hole = min(fitting, key=lambda h: h[1])
                holes.remove(hole)
                storage.offset = hole[0]
                if hole[1] > size:
                    holes.append((hole[0] + size, hole[1] - size))
            else:
                storage.offset, total = total, total + size
        for storage in ending:
            holes.append((storage.offset, -(-max(storage.nbytes, 1) // ALIGNMENT) * ALIGNMENT))
        holes = _joined(holes)
    return total


def _joined(holes):
    """Neighbouring holes as one."""
    out = []
    for start, size in sorted(holes):
        if out and out[-1][0] + out[-1][1] == start:
            out[-1] = (out[-1][0], out[-1][1] + size)
        else:
            out.append((start, size))
    return out
