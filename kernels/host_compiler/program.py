"""A plan as a Python function with one line for each step.

The function closes over a frame: the arena's arrays, and the kernels bound to them, made once. A frame serves one call
at a time; calls that overlap get frames of their own.
"""

import numpy

from npx.dispatch.abstract import Hole, Mask, Slice
from npx.dispatch.debug import log
from npx.kernels.host_compiler.arena import ALIGNMENT
from npx.kernels.host_compiler.engine import engine
from npx.kernels.host_compiler.launch import Flags, Fresh, Kernel, Launch, fresh, view
from npx.kernels.host_compiler.layout import Layout
from npx.kernels.host_compiler.scalars import REDUCTIONS
from npx.kernels.host_compiler.steps import (
    CallStep,
    CopyStep,
    KernelStep,
    Literal,
    PythonInput,
    PythonResult,
    ScalarStep,
    WindowStep,
    WriteStep,
)
from npx.ops.indexing import add_at_inplace

#: a program with a larger arena gives it back after each call
LARGEST_KEPT_ARENA = 1 << 28

#: results of host functions above this size are dropped as soon as they are dead
WORTH_DROPPING = 1 << 16

GLOBALS = {
    "Flags": Flags,
    "Fresh": Fresh,
    "Launch": Launch,
    "add": numpy.add,
    "add_at": add_at_inplace,
    "asarray": numpy.asarray,
    "copyto": numpy.copyto,
    "fresh": fresh,
    "view": view,
}


class Program:
    """Runs a plan.

    Parameters
    ----------
    plan : Plan
    name : str
        For tracebacks and logs.
    complain : callable
        ``complain(args, flags)`` is called after a call in which floating-point flags were raised.
    """

    def __init__(self, plan, name, complain):
        self.complain = complain
        self.filename = f"<npx {name}>"
        self.arena = plan.arena
        self.frames = []
        writer = Writer(plan)
        source, self.notes = writer.source()
        log("jit", source)
        namespace = GLOBALS | writer.bound
        exec(compile(source, self.filename, "exec"), namespace)  # noqa: S102
        self.make = namespace["make"]

    def __call__(self, args):
        try:
            frame = self.frames.pop()
        except IndexError:
            frame = self.frame()
        run, flags = frame
        try:
            results = run(args)
        except Exception as error:
            self.annotate(error)
            raise
        finally:
            raised = flags.take()
            if self.arena <= LARGEST_KEPT_ARENA:
                self.frames.append(frame)
        if raised is not None:
            self.complain(args, raised)
        return results

    def frame(self):
        memory = numpy.empty(self.arena + ALIGNMENT, numpy.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        return self.make(memory[start : start + self.arena])

    def annotate(self, error):
        """Tell the user's line of the step that failed."""
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.filename:
                note = self.notes.get(trace.tb_lineno)
                if note:
                    error.add_note(note)
                return
            trace = trace.tb_next


class Writer:
    """Writes the source of a plan.

    Attributes
    ----------
    bound : dict
        Global names of the source: constants, kernels, host functions.
    """

    def __init__(self, plan):
        self.plan = plan
        self.bound = {}
        self.setup, self.lines, self.notes = [], [], []
        self.arrays = {}  # Layout -> name
        self.bases = {}  # Storage -> name
        self.local = {}  # Storage -> names of local variables that hold it
        self.count = 0
        for k, place in enumerate(plan.inputs):
            if isinstance(place, Layout):
                self.bases[place.storage] = f"x{k}"
        nests = [step.nest for step in plan.steps if isinstance(step, KernelStep)]
        self.addresses = engine().kernels(nests) if nests else {}

    def source(self):
        """The source, and the notes by line number."""
        last = self.last_uses()
        for k, step in enumerate(self.plan.steps):
            self.write(step)
            self.drop([s for s, at in last.items() if at == k])
        outputs = ", ".join(map(self.result, self.plan.outputs))
        inputs = ", ".join(
            f"p{k}" if isinstance(place, PythonInput) else f"x{k}" for k, place in enumerate(self.plan.inputs)
        )
        head = [
            "def make(arena):",
            "    flags = Flags()",
            *(f"    {line}" for line in self.setup),
            "    def run(args):",
        ]
        if inputs:
            head.append(f"        {inputs}, = args")
        body = [*(f"        {line}" for line in self.lines), f"        return [{outputs}]", "    return run, flags", ""]
        notes = {len(head) + k: note for k, note in enumerate(self.notes, 1) if note}
        return "\n".join(head + body), notes

    def last_uses(self):
        """Large results of host functions, and the steps after which they are dead."""
        last = {}
        for k, step in enumerate(self.plan.steps):
            for layout in step.layouts():
                if layout.storage.owner.kind == "dynamic" and layout.storage.owner.nbytes > WORTH_DROPPING:
                    last[layout.storage.owner] = k
        for place in self.plan.outputs:
            if isinstance(place, Layout):
                last.pop(place.storage.owner, None)
        return last

    def drop(self, storages):
        names = [name for s in storages for name in self.local.get(s, ())]
        if names:
            self.line(" = ".join([*names, "None"]))

    # ----------------------------------------------------------------------------------------------------- names

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def bind(self, prefix, value):
        name = self.name(prefix)
        self.bound[name] = value
        return name

    def line(self, text, note=None):
        self.lines.append(text)
        self.notes.append(note)

    def variable(self, storage, prefix):
        """A new local variable that keeps `storage` alive."""
        name = self.name(prefix)
        self.local.setdefault(storage.owner, []).append(name)
        return name

    def base(self, storage):
        """The variable that holds a storage outside the arena."""
        name = self.bases.get(storage)
        if name is None:
            if storage.kind == "constant":
                name = self.bind("c", storage.array)
            else:
                name = self.variable(storage, "v")
                if storage.kind == "fresh":
                    shape, dtype = storage.layout.shape, self.dtype(storage.layout.dtype)
                    self.setup.append(f"new_{name} = Fresh({shape}, {dtype}, {storage.nbytes})")
                    self.line(f"{name} = new_{name}()")
            self.bases[storage] = name
        return name

    def dtype(self, dtype):
        name = f"dtype_{dtype.str[1:]}" if dtype.isnative and dtype.str[1:].isalnum() else self.name("dtype")
        self.bound[name] = dtype
        return name

    def array(self, layout):
        """The variable that holds the array with this layout."""
        name = self.arrays.get(layout)
        if name is None:
            name = self.arrays[layout] = self.new_array(layout)
        return name

    def new_array(self, layout):
        storage, offset, shape, strides, dtype = layout
        if storage.kind == "arena":
            name = self.name("a")
            window = f"view(arena, {storage.offset + offset}, {shape}, {strides}, {self.dtype(dtype)})"
            self.setup.append(f"{name} = {window}")
            return name
        base = self.base(storage)
        if layout == storage.layout:
            return base
        if storage.kind == "constant":
            return self.bind("c", view(storage.array, offset, shape, strides, dtype))
        name = self.variable(storage, "w")
        self.line(f"{name} = view({base}, {offset}, {shape}, {strides}, {self.dtype(dtype)})")
        return name

    def operand(self, arg):
        """An expression for an operand of a host function."""
        if isinstance(arg, Literal):
            return self.bind("n", arg.value)
        if isinstance(arg, PythonInput):
            return f"p{arg.index}"
        if isinstance(arg, PythonResult):
            return f"{self.array(arg.layout)}.item()"
        return self.array(arg)

    def result(self, place):
        """An expression for an output."""
        if isinstance(place, Layout) and place.shape == () and not self.plan.is_body:
            return f"{self.array(place)}[()]"
        return self.operand(place)

    def index(self, index, arrays):
        """An index in Python's own syntax; its 0-d arrays are read, so that NumPy finds ints."""
        texts = []
        for item in index:
            if type(item) is Hole:
                arg = arrays[item.k]
                text = self.operand(arg)
                texts.append(f"int({text})" if isinstance(arg, Layout) and arg.shape == () else text)
            elif type(item) is Slice:
                texts.append(":".join("" if bound is None else str(bound) for bound in item))
            elif item is Ellipsis:
                texts.append("...")
            else:
                texts.append(str(item.value if type(item) is Mask else item))
        return f"{', '.join(texts)}," if texts else "()"

    # ----------------------------------------------------------------------------------------------------- steps

    def write(self, step):
        WRITERS[type(step)](self, step)

    def kernel(self, step):
        nest, numbers, operands = step
        partial = ()
        if nest.kinds[nest.split] == "r":
            partial = tuple(
                (k, getattr(numpy, REDUCTIONS[operand.role].combine), layout.dtype)
                for k, (operand, layout) in enumerate(zip(nest.operands, operands))
                if operand.role in REDUCTIONS
            )
        kernel = Kernel(self.addresses[nest], numbers.block(), numbers.dims[nest.split], numbers.cost, partial)
        bound, dynamic = [], []
        for layout in operands:
            storage = layout.storage
            if storage.kind == "arena":
                bound.append(f"(arena, {storage.offset + layout.offset})")
                continue
            base = self.base(storage)
            if storage.kind == "constant":
                bound.append(f"({base}, {layout.offset})")
                continue
            if base not in dynamic:
                dynamic.append(base)
            bound.append(f"({dynamic.index(base)}, {layout.offset})")
        name = self.name("k")
        self.setup.append(f"{name} = Launch({self.bind('kernel', kernel)}, ({', '.join(bound)},), flags)")
        self.line(f"{name}({', '.join(dynamic)})")

    def call(self, step):
        args = [self.operand(a) for a in step.args]
        params = [f"**{self.bind('params', step.params)}"] if step.params else []
        function = self.bind("f", step.function)
        if step.out is not None:
            out = "out=" if isinstance(step.function, numpy.ufunc) else ""  # NumPy 2.4 deprecates a positional one
            self.line(f"{function}({', '.join([*args, out + self.array(step.out), *params])})", step.note)
            return
        called = f"{function}({', '.join(args + params)})"
        given = [name for name, arg in zip(args, step.args) if isinstance(arg, Layout)]
        if len(step.results) > 1:
            several = self.name("t")
            self.line(f"{several} = {called}", step.note)
        elif step.results[0] is None:
            self.line(called, step.note)
        for k, result in enumerate(step.results):
            if result is None:
                continue
            name = self.base(result.storage)
            value = f"{several}[{k}]" if len(step.results) > 1 else called
            operands = "".join(f"{g}, " for g in given)
            self.line(f"{name} = fresh({value}, ({operands}), {self.dtype(result.dtype)})", step.note)
            given.append(name)
        if len(step.results) > 1:
            self.line(f"{several} = None")

    def update(self, step):
        target, value = self.array(step.target), self.operand(step.value)
        if step.index is None:
            self.line(f"add({target}, {value}, {target})" if step.adds else f"{target}[...] = {value}", step.note)
        elif step.adds:
            arrays = "".join(f", {self.operand(a)}" for a in step.arrays)
            self.line(f"add_at({target}, {value}{arrays}, index={self.bind('i', step.index)})", step.note)
        else:
            self.line(f"{target}[{self.index(step.index, step.arrays)}] = {value}", step.note)

    def copy(self, step):
        source, target = self.array(step.source), self.array(step.target)
        self.line(f"copyto({target}, {source})", step.note)

    def window(self, step):
        source, index = self.array(step.source), self.index(step.index, step.arrays)
        self.line(f"{self.base(step.target.storage)} = {source}[{index} ...]", step.note)

    def scalar(self, step):
        name = self.base(step.target.storage)
        self.line(f"{name} = asarray(p{step.source.index}, {self.dtype(step.target.dtype)})")


WRITERS = {
    KernelStep: Writer.kernel,
    CallStep: Writer.call,
    WriteStep: Writer.update,
    CopyStep: Writer.copy,
    WindowStep: Writer.window,
    ScalarStep: Writer.scalar,
}
