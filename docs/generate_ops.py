"""Writes `ops.md`: a row for each declared op, from its declaration. Sphinx calls it before each build.

``python docs/generate_ops.py`` does so by hand.
"""

import inspect
from pathlib import Path

import numpy

import npx.ops  # noqa: F401  declares the ops
from npx.dispatch import batching, loops, registry
from npx.dispatch.abstract import Aval, DataDependentShape, aval_of
from npx.dispatch.graph import Node, Value
from npx.dispatch.payloads import is_inexact
from npx.dispatch.rules import Operand
from npx.kernels.host_compiler import fuse, layout

PAGE = Path(__file__).parent / "ops.md"

HEAD = """\
# The ops

Every op that is declared, from its declaration; the names and meanings of their params are in
[conventions](design/conventions.md). This page is written by `docs/generate_ops.py` when the docs are built.

**Derivative.** *linear*: the op is its own derivative, and states its transpose. *both modes*: rules for reverse and
forward mode. *reverse*: a rule for reverse mode, from which forward mode is derived. *zero*: no result is a float.
Otherwise the reason why there is none; asking for it is an error.

**vmap.** *elementwise* and *along the axis*: one call for all elements, by the rule for the op's kind. *own rule*: one
call, by a rule of the op itself. *loop*: one call per element, counted and reported.

**Host.** What runs on NumPy arrays: the NumPy callable of the row, and before it *small loops* of npx for arrays of few
elements. **Compiled.** What `jit` makes of it on the host: *fused* into loops with its neighbours, a *view* that costs
nothing, a *write* in place where the old value is dead, or else a *call* of the NumPy callable.

**Other backends.** *yes*: an implementation of its own. *expanded*: in terms of other ops. *host*: a round trip through
the host, counted and reported.{missing}
"""

HOST = "cpu"
BATCH = {
    batching.batch_elementwise: "elementwise",
    batching.batch_over_axis: "along the axis",
    batching.batch_by_loop: "loop",
    None: "loop",
}


def write_page():
    """Write the page, where it has changed."""
    text = page()
    if not PAGE.exists() or PAGE.read_text() != text:
        PAGE.write_text(text)


def page():
    """The text of the page."""
    backends, missing = load_backends()
    note = f"\nNot shown, for want of a package that they need: {', '.join(missing)}." if missing else ""
    parts = [HEAD.format(missing=note)]
    ops = sorted(registry.OPS.values(), key=lambda op: (op.kind, op.name))
    for kind in dict.fromkeys(op.kind for op in ops):
        rows = [row(op, backends) for op in ops if op.kind == kind]
        parts.append(f"## {kind.capitalize()}\n\n{table(rows)}\n")
    return "\n".join(parts)


def load_backends():
    """The backends beside the host's that ship with npx and can be loaded here, and the names of the others."""
    found, missing = [], []
    for name in registry.BUILTIN_LOADERS:
        try:
            found.append(registry.backend_named(name))
        except ImportError:
            missing.append(name)
    return [b for b in found if b.name != HOST], missing


def table(rows):
    """Rows, which are dicts with the same keys, as Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(r.values()) for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row(op, backends):
    """The cells of one op, by column."""
    return {
        "op": f"`{op.name}`",
        "NumPy": definition(op),
        "operands": "any" if op.nin < 0 else str(op.nin),
        "results": str(op.nout),
        "derivative": derivative(op),
        "vmap": "own rule" if op.name in batching.SHAPED else BATCH.get(op.batch, "own rule"),
        "host": "small loops" if op.name in SMALL_LOOPS else "NumPy",
        "compiled": compiled(op),
        **{backend.name: implementation(op, backend) for backend in backends},
    }


# ------------------------------------------------------------------------------------------------------------ cells


def definition(op):
    """The NumPy callable that defines the op, or what its definition says of itself."""
    spec = op.spec
    if isinstance(getattr(spec, "__self__", None), numpy.ufunc):
        return f"`numpy.{spec.__self__.__name__}.{spec.__name__}`"
    for module in (numpy, numpy._core.umath, numpy.linalg._umath_linalg):
        if getattr(module, spec.__name__, None) is spec:
            return f"`{module.__name__}.{spec.__name__}`"
    if hasattr(numpy, op.name):
        return f"`numpy.{op.name}`"
    if hasattr(numpy.ndarray, op.name):
        return f"`ndarray.{op.name}`"
    return inspect.getdoc(spec).partition("\n")[0].replace("``", "`").rstrip(".")


def derivative(op):
    """Whether the op has a derivative, in which modes, or why not."""
    if op.no_deriv is not None:
        return f"none: {op.no_deriv}"
    if is_discrete(op):
        return "zero"
    if op.linear:
        return "linear"
    return "both modes" if op.jvp else "reverse"


def is_discrete(op):
    """Whether no example of the op has floating point results."""
    return not any(is_inexact(out.aval.dtype) for node in example_nodes(op) for out in node.outputs)


def example_nodes(op):
    """The op's examples as nodes of a graph, for each of their types that NumPy takes."""
    for example in op.examples:
        for types in example.types:
            avals = tuple(operand_aval(o, types[k % len(types)]) for k, o in enumerate(example.operands))
            params = {k: p(numpy.dtype(types[0])) if callable(p) else p for k, p in example.params.items()}
            try:
                outs = op.abstract(avals, params)
            except DataDependentShape:
                outs = (aval_of(op.spec(*(numpy.ones(a.shape, a.dtype) for a in avals), **params)),)
            except (TypeError, ValueError):  # an example of what NumPy refuses
                continue
            yield Node(op, map(Value, avals), params, outs)


def operand_aval(operand, code):
    """The abstract value of an operand of an example."""
    if isinstance(operand, Operand):
        return Aval(operand.shape, numpy.dtype(operand.dtype or code))
    return aval_of(operand)


SMALL_LOOPS = {ufunc for ufunc, _ in loops.with_loops(registered=True)}


def compiled(op):
    """What the host compiler makes of the op at best."""
    if op.name in fuse.WRITES:
        return "write"
    nodes = list(example_nodes(op))
    if any(map(layout.is_view, nodes)):
        return "view"
    return "fused" if any(map(fuse.iteration, nodes)) else "call"


def implementation(op, backend):
    """How another backend runs the op."""
    if op.name in backend.impls:
        return "yes"
    return "expanded" if op.expand is not None else "host"


if __name__ == "__main__":
    write_page()
