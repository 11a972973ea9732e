"""What runs, in which order, and where every value lies: steps and storages.

Storages are decided before anything runs: results that stay inside the program share one arena, results that leave it
get memory of their own in every call, and a write into a buffer happens in place where nobody reads the old value
afterwards.
"""

import numpy

from npx.dispatch import registry
from npx.kernels.host_compiler.arena import assign_offsets
from npx.kernels.host_compiler.fuse import WRITES, code_of, roots
from npx.kernels.host_compiler.layout import Layout, contiguous, is_static_view, is_view, overlap, view
from npx.kernels.host_compiler.loops import Group
from npx.kernels.host_compiler.steps import (
    CallStep,
    CopyStep,
    KernelStep,
    Literal,
    PythonInput,
    PythonResult,
    ScalarStep,
    Storage,
    WindowStep,
    WriteStep,
    layouts_of,
)
from npx.ops.index_specs import is_basic


def concatenate_into(*args, axis):
    *arrays, out = args
    return numpy.concatenate(arrays, axis, out)


def extremum_into(ufunc):
    """A ufunc that is to get the memory for its result by name."""
    return lambda x, y, out: ufunc(x, y, out=out)


#: ops whose host function can write into memory that is given as its last argument; other ufuncs do so themselves
WRITES_INTO = {
    "matmul": numpy.matmul,
    "concatenate": concatenate_into,
    "maximum": extremum_into(numpy.maximum),
    "minimum": extremum_into(numpy.minimum),
}


class Plan:
    """Steps and storages of a graph, for inputs of given layouts.

    Parameters
    ----------
    graph : Graph
    units : list of Unit
        From `partition`.
    strides : sequence
        For each input its strides; None for a Python scalar.
    owned : range
        Inputs that may be written into, in the body of a loop. Its results are arrays, also where they have no axes.

    Attributes
    ----------
    steps : list
    inputs, outputs : list
        For each graph input a Layout or PythonInput; for each graph output also perhaps a Literal or PythonResult.
    arena : int
        Bytes.
    """

    def __init__(self, graph, units, strides, owned=None):
        self.graph, self.steps, self.is_body = graph, [], owned is not None
        self.root = roots(graph)
        self.places = {}  # Value -> Layout, PythonInput
        self.scalars = {}
        for k, (value, steps) in enumerate(zip(graph.inputs, strides, strict=True)):
            kind = "dynamic" if self.is_body and k in owned else "input"
            self.places[value] = PythonInput(k) if steps is None else self.input(value.aval, steps, kind)
        self.inputs = [self.places[value] for value in graph.inputs]
        self.python = {v for v, place in zip(graph.inputs, self.inputs) if isinstance(place, PythonInput)}
        self.position = 0
        self.reads = self._reads(units)
        self.used = self._used_outside(units)
        self.writes = self._writes(units)
        for self.position, unit in enumerate(units):
            if unit.is_group:
                self.group(unit)
            else:
                self.node(unit.nodes[0])
        self.outputs = [self.output(v) for v in graph.outputs]
        self.arena = assign_offsets(self.steps, layouts_of(self.outputs))

    # ------------------------------------------------------------------------------------------------- lifetimes

    def _reads(self, units):
        """Root value -> positions at which its memory is read, in order."""
        reads = {}
        for position, unit in enumerate(units):
            for node in unit.nodes:
                if not is_static_view(node):
                    for root in {self.root[v] for v in node.inputs if not v.is_const}:
                        reads.setdefault(root, []).append(position)
        for value in self.graph.outputs:
            if not value.is_const:
                reads.setdefault(self.root[value], []).append(len(units))
        return reads

    def _used_outside(self, units):
        """Values that are read by another unit than the one that computes them, or returned."""
        home = {v: unit.index for unit in units for node in unit.nodes for v in node.outputs}
        used = set(self.graph.outputs)
        for unit in units:
            for node in unit.nodes:
                used.update(v for v in node.inputs if home.get(v) != unit.index)
        return used

    def _writes(self, units):
        """Value -> (setitem node, its position), for values that are only computed to be written to a fixed place."""
        readers, writes = {}, {}
        for value in self.graph.outputs:
            readers[value] = readers.get(value, 0) + 1
        for position, unit in enumerate(units):
            for node in unit.nodes:
                for value in node.inputs:
                    readers[value] = readers.get(value, 0) + 1
                if node.op.name == "setitem" and is_basic(node.params["index"]):
                    writes[node.inputs[1]] = node, position
        return {v: (node, at) for v, (node, at) in writes.items() if readers[v] == 1 and node.outputs[0] in self.used}

    def is_last_read(self, value, position=None):
        """Whether nothing after the current unit, or that at `position`, reads the memory of `value`."""
        last = self.position if position is None else position
        return not value.is_const and self.reads[self.root[value]][-1] <= last

    # --------------------------------------------------------------------------------------------------- places

    def input(self, aval, strides, kind):
        storage = Storage(kind, aval.nbytes)
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
            place = self.destination(value, (*loads, *stores)) or self.reused(group, loads, stores, value)
            stores.append(place or self.new(value.aval))
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

    def destination(self, value, others):
        """Where a result of the current group is to be written by a later `setitem`, if it can be computed there.

        Then the write is done with: nothing may read the old value in between, and the group itself may not, unless
        it reads each element before it is overwritten. `others` are the group's other operands.
        """
        if value not in self.writes:
            return None
        write, position = self.writes[value]
        x = write.inputs[0]
        if not x.is_const and x not in self.places or code_of(x.aval.dtype) is None:
            return None
        old = self.layout(x)
        if self.may_overwrite(x, old, position):
            part = self.part(old, write.params["index"])
            between = any(self.position < at < position for at in self.reads[self.root[x]])
            if between or part.shape != value.aval.shape or any(overlap(part, o) and part != o for o in others):
                return None
            target = old
        else:
            target = self.new(x.aval)
            part = self.part(target, write.params["index"])
            if part.shape != value.aval.shape:
                return None
            self.steps.append(CopyStep(target, old, note(write)))
        self.places[write.outputs[0]] = target
        return part

    def may_overwrite(self, x, layout, position):
        """Whether the write at `position` may change `x` itself."""
        return layout.storage.writable and self.is_last_read(x, position) and not layout.has_repeats

    # --------------------------------------------------------------------------------------------- single nodes

    def node(self, node):
        if not node.op.effect and not any(v in self.used for v in node.outputs):
            return
        if node.op.name in WRITES:
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
        if node.outputs[0] in self.places:  # a group has written already
            return
        x, v, *arrays = node.inputs
        adds = node.op.name == "add_at"
        old = self.layout(x)
        overlaps = not v.is_const and self.root[v] is self.root.get(x)
        if self.may_overwrite(x, old, self.position) and not (adds and overlaps):
            target = old
        else:
            target = self.new(x.aval)
            self.steps.append(CopyStep(target, old, note(node)))
        self.places[node.outputs[0]] = target
        index, arrays, place = node.params["index"], tuple(map(self.operand, arrays)), target
        if is_basic(index):
            place, index = self.part(target, index), None
        self.steps.append(WriteStep(place, self.operand(v), index, arrays, adds, note(node)))

    def part(self, target, index):
        """The layout of ``target[index]`` for a static index."""
        return view(_Getitem(index), target)

    def call(self, node):
        """Run a node by its host function."""
        from npx.kernels.host_compiler.control import lowered  # whose bodies are programs of their own

        op, args = node.op, tuple(map(self.operand, node.inputs))
        aval = node.outputs[0].aval
        into = WRITES_INTO.get(op.name) or (op.spec if isinstance(op.spec, numpy.ufunc) and op.nout == 1 else None)
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
        if op.kind == "control":
            function, params = lowered(node), {}
        else:
            function, params = host_function(op), node.params
        self.steps.append(CallStep(function, args, params, None, tuple(results), note(node)))

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
        if place.shape == () and not self.is_body:
            return place
        storage = place.storage
        may_leave = place.is_contiguous or not self.is_body
        if storage.kind in ("arena", "dynamic") and place.covers_storage and may_leave:
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
