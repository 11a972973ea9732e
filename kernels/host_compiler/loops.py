"""Loop nests: a group of nodes as loops over strided operands, in a form that is the same for many shapes.

What a nest's code depends on (`Nest`) is kept apart from the numbers that it gets at run time (`Numbers`), so that a
new shape, or a new learning rate, finds compiled code.
"""

from typing import NamedTuple

import numpy

from npx.kernels.host_compiler.fuse import code_of, element_loop, number, reduction_codes
from npx.kernels.host_compiler.ir import size
from npx.kernels.host_compiler.scalars import RULES, SMALL_EXPONENTS

#: Python numbers that are worth a kernel of their own; others are passed at run time
PLAIN_NUMBERS = frozenset([-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4])

#: exponents for which there is something better than `pow`
EXPONENTS = frozenset([*SMALL_EXPONENTS, 0.5])


class Operand(NamedTuple):
    """One array of a nest.

    Attributes
    ----------
    code : str
        Dtype code of the elements.
    role : str
        ``"load"``, ``"store"`` or the name of a reduction, whose result it takes.
    access : str
        How it moves in the innermost loop: ``"unit"`` (consecutive elements), ``"hold"`` (not at all), ``"strided"``,
        or ``"scalar"``: it has one element in all loops.
    """

    code: str
    role: str
    access: str


class Instruction(NamedTuple):
    """An op on vectors.

    Attributes
    ----------
    op : str
    code : str
        What the operands are converted to; for ``astype`` the result's code.
    args : tuple of Arg
    """

    op: str
    code: str
    args: tuple


class Arg(NamedTuple):
    """An operand of an instruction.

    Attributes
    ----------
    source : str
        ``"operand"``, ``"result"`` (of an earlier instruction), ``"parameter"`` or ``"literal"``.
    key : object
        The index there, or the literal itself.
    code : str
    """

    source: str
    key: object
    code: str


class Nest(NamedTuple):
    """What a kernel's code depends on.

    Attributes
    ----------
    kinds : str
        One letter for each loop, outermost first: ``k`` for an axis that is kept, ``r`` for one that is reduced.
    operands : tuple of Operand
    body : tuple of Instruction
    results : tuple of (int, Arg)
        Which operand takes which value.
    parameters : tuple of str
        Codes of the numbers passed at run time.
    """

    kinds: str
    operands: tuple
    body: tuple
    results: tuple
    parameters: tuple

    @property
    def reduces_inside(self):
        """Whether the innermost loop reduces, so that results gather in registers; else they gather in memory."""
        return self.kinds.endswith("r")

    @property
    def split(self):
        """The loop that threads share: a kept one where there is one."""
        return self.kinds.find("k") if "k" in self.kinds else 0


class Numbers(NamedTuple):
    """What a kernel gets at run time: loop lengths, operands' strides in bytes, and bits of the parameters."""

    dims: tuple
    strides: tuple
    parameters: tuple
    cost: int

    def block(self):
        """All of them as the kernel expects them."""
        flat = [*self.dims]
        for strides in self.strides:
            flat.extend(strides)
        return numpy.array(flat + list(self.parameters), numpy.int64)


class _Body:
    """The instructions of a group, and the values that it loads."""

    def __init__(self, unit, python):
        self.python = python  # inputs that are Python scalars: they are converted before the loops
        self.inside = {}  # Value -> Arg
        self.loads, self.codes, self.instructions = [], [], []
        self.parameter_codes, self.parameter_bits = [], []
        self.cost = 1
        self.reduced = []  # (node, Arg): what each reduction reduces
        for node in unit.nodes:
            if reduction_codes(node):
                self.reduced.append((node, self.arg(node.inputs[0], code_of(node.inputs[0].aval.dtype))))
            else:
                self.add(node)

    def add(self, node):
        codes, result = element_loop(node)
        name = node.op.name
        args = tuple(
            self.arg(v, code, EXPONENTS if name == "power" and k == 1 else PLAIN_NUMBERS)
            for k, (v, code) in enumerate(zip(node.inputs, codes, strict=True))
        )
        self.cost += RULES[name].cost if name in RULES else 1
        self.instructions.append(Instruction(name, result if name in ("astype", "where") else codes[0], args))
        self.inside[node.outputs[0]] = Arg("result", len(self.instructions) - 1, result)

    def arg(self, value, code, literals=PLAIN_NUMBERS):
        """Where the kernel finds `value`; a number in `literals` is part of the code."""
        if value in self.inside:
            return self.inside[value]
        known = number(value)
        if known is not None:
            if known in literals and str(known) != "-0.0":
                return Arg("literal", known, code)
            self.parameter_codes.append(code)
            self.parameter_bits.append(_bits(known, code))
            return Arg("parameter", len(self.parameter_codes) - 1, code)
        own = code if value in self.python else code_of(value.aval.dtype)
        if (value, own) not in self.loads:
            self.loads.append((value, own))
        return Arg("operand", self.loads.index((value, own)), own)


def _bits(known, code):
    with numpy.errstate(over="ignore"):
        element = numpy.asarray(known).astype("?" if code == "b1" else code)
    padded = numpy.zeros(8, numpy.uint8)
    padded[: element.itemsize] = element.reshape(1).view(numpy.uint8)
    return int(padded.view(numpy.int64)[0])


class Group:
    """A unit's body with what it loads and yields, before its operands have places in memory.

    Parameters
    ----------
    unit : Unit
    needed : set of Value
        What is read outside the unit.
    python : set of Value
        Inputs that are Python scalars.

    Attributes
    ----------
    loads : list of (Value, str)
        Outside values and the dtype code in which they are read.
    stores : list of Value
        Elementwise results that are needed outside.
    reductions : list of Value
    """

    def __init__(self, unit, needed, python):
        self.unit, self._body = unit, _Body(unit, python)
        self.loads = self._body.loads
        self.stores = [v for v in self._body.inside if v in needed]
        self.reductions = [node.outputs[0] for node, _ in self._body.reduced]

    def nest(self, loads, stores, reductions):
        """The loops.

        Parameters
        ----------
        loads, stores, reductions : sequence of Layout
            One for each of the attributes of the same names.

        Returns
        -------
        Nest, Numbers
        """
        body, shape, axes = self._body, self.unit.shape, self.unit.axes or ()
        strides = [broadcast_strides(layout, shape) for layout in (*loads, *stores)]
        for layout, (node, _) in zip(reductions, body.reduced):
            strides.append(_reduced_strides(layout, shape, axes, node.params["keepdims"]))
        dims, strides, kinds = arrange(shape, axes, strides)
        roles = ["load"] * len(loads) + ["store"] * len(stores)
        roles += [node.op.name if "r" in kinds else "store" for node, _ in body.reduced]
        codes = [code for _, code in self.loads] + [code_of(layout.dtype) for layout in (*stores, *reductions)]
        operands = tuple(Operand(c, r, _access(c, r, s)) for c, r, s in zip(codes, roles, strides))
        args = [body.inside[v] for v in self.stores] + [arg for _, arg in body.reduced]
        nest = Nest(
            kinds,
            operands,
            tuple(body.instructions),
            tuple(enumerate(args, len(loads))),
            tuple(body.parameter_codes),
        )
        elements = 1
        for n in dims:
            elements *= n
        return nest, Numbers(dims, tuple(strides), tuple(body.parameter_bits), elements * body.cost)


def broadcast_strides(layout, shape):
    """The strides with which a layout is read over `shape`."""
    missing = len(shape) - len(layout.shape)
    return (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(layout.shape, layout.strides))


def _reduced_strides(layout, shape, axes, keepdims):
    strides = iter(layout.strides)
    out = []
    for axis in range(len(shape)):
        if axis in axes:
            out.append(0)
            if keepdims:
                next(strides)
        else:
            out.append(next(strides))
    return tuple(out)


def _access(code, role, strides):
    if role == "load" and not any(strides):
        return "scalar"
    inner = strides[-1]
    if inner == size(code) or role != "load" and len(strides) == 1 and inner == 0:
        return "unit"  # in memory that has one element, the stride does not matter
    return "strided" if inner else "hold"


def arrange(shape, axes, strides):
    """Choose the loops: drop axes of length one, put reduced axes innermost (but keep the last axis innermost where it
    is kept, because memory is consecutive there), and join neighbours that are one run of memory for every operand.

    Returns
    -------
    dims : tuple of int
    strides : list of tuple of int
        In the order of the loops, for each operand.
    kinds : str
    """
    axis_list = [a for a in range(len(shape)) if shape[a] != 1]
    reduced = [a for a in axis_list if a in axes]
    kept = [a for a in axis_list if a not in axes]
    last = axis_list[-1:] if kept and reduced and axis_list[-1] == kept[-1] else []
    order = [a for a in kept if a not in last] + reduced + last
    loops = [(shape[a], [s[a] for s in strides], "r" if a in axes else "k") for a in order]
    joined = []
    for n, steps, kind in loops:
        if joined and joined[-1][2] == kind and all(o == i * n for o, i in zip(joined[-1][1], steps)):
            joined[-1] = (joined[-1][0] * n, steps, kind)
        else:
            joined.append((n, steps, kind))
    if not joined:
        joined = [(1, [0] * len(strides), "k")]
    dims, steps, kinds = zip(*joined)
    return dims, [tuple(column) for column in zip(*steps)], "".join(kinds)
