"""What a program consists of: pieces of memory, operands, and steps."""

from typing import NamedTuple

from npx.kernels.host_compiler.layout import Layout
from npx.kernels.host_compiler.loops import Nest, Numbers


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
        return (*layouts_of(self.args), *(o for o in outs if o is not None))


class WriteStep(NamedTuple):
    """``target[index] = value``, or ``+=`` where `adds`; `index` is None where `target` is the place itself."""

    target: Layout
    value: object
    index: tuple | None
    arrays: tuple
    adds: bool
    note: str | None

    def layouts(self):
        return (self.target, *layouts_of((self.value, *self.arrays)))


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
        return (self.target, self.source, *layouts_of(self.arrays))


class ScalarStep(NamedTuple):
    """Convert a Python scalar among the inputs to a 0-d array."""

    target: Layout
    source: PythonInput
    note: str | None = None

    def layouts(self):
        return (self.target,)


def layouts_of(args):
    return [a if isinstance(a, Layout) else a.layout for a in args if isinstance(a, (Layout, PythonResult))]
