"""A compiled function on a tape: compiled forwards, and compiled backwards.

The pullback runs the function again with its derivative, in one compiled graph: that costs one more forward pass than
keeping what the derivative needs, and no memory between the passes. It is taken for functions that are compiled in one
piece and write into nothing from outside; the others run under the tape op by op.
"""

from npx.array.ndarray import payload, wrap
from npx.dispatch.interpreter import Tracer

from . import tree
from .calls import is_array, wrap_as
from .conversion import called
from .custom import Call
from .grad import vjp
from .tape import Tape, TapeTracer
from .values import differentiable


class CompiledCall(Call):
    """One call of a jitted function whose operands, some of its leaves, are on a tape.

    Parameters
    ----------
    run : callable
        The jitted function, of its leaves; returns the leaves of its result.
    pull : Jitted
        Takes all leaves that are arrays or numbers, and the cotangents; returns the operands' cotangents.
    leaves : list
        The leaves with plain values in place of tracers.
    arrays : list of int
        Which leaves are arrays or numbers.
    """

    def __init__(self, name, run, pull, leaves, arrays):
        super().__init__(name, None)
        self.run, self.pull, self.leaves, self.arrays = run, pull, leaves, arrays
        self.results = None  # every leaf of the result; the differentiable ones are the results of the op

    def with_pullback(self, primals):
        self.results = self.run(self.leaves)
        outs = tuple(payload(r) for r in self.results if _flows(r))
        values = [self.leaves[i] for i in self.arrays]
        return outs, lambda gs: [payload(g) for g in self.pull(values, [wrap(g) for g in gs])]


def on_tape(jitted, call):
    """The result of a jitted function that is called with values on one tape, or None where that cannot be compiled."""
    traced = {i: p for i, p in enumerate(map(payload, call.leaves)) if isinstance(p, Tracer)}
    tapes = {id(p.interpreter) for p in traced.values()}
    if any(type(p.interpreter) is not Tape for p in traced.values()):
        return None  # a tape that wants to see each op
    if len(tapes) != 1 or any(type(p) is not TapeTracer or isinstance(p.primal, Tracer) for p in traced.values()):
        return None
    leaves = list(call.leaves)
    for i, p in traced.items():
        leaves[i] = wrap_as(p.primal, leaves[i])
    plain = jitted.call(*call.structure.unflatten(leaves))
    signature = jitted.signature(plain)
    if not signature.is_pure(plain):
        return None

    structures = []

    def run(values):
        args, kwargs = call.structure.unflatten(values)
        results, structure = tree.flatten(jitted(*args, **kwargs))
        structures.append(structure)
        return results

    pull = signature.pulls.get(tuple(traced))
    if pull is None:
        pull = signature.pulls[tuple(traced)] = jitted.derived(_pull(jitted.fun, plain, tuple(traced)))
    op = CompiledCall(tree.name_of(jitted.fun), run, pull, leaves, list(plain.places))
    outs = iter(op(*traced.values()))
    results = [wrap_as(next(outs), r) if _flows(r) else r for r in op.results]
    return structures[-1].unflatten(results)


def _flows(leaf):
    """Whether derivatives flow through a leaf of the result."""
    return is_array(leaf) and differentiable(payload(leaf))


def _pull(fun, call, traced):
    """The function that `jit` compiles for the way back: all dynamic leaves and cotangents to those of `traced`."""
    fixed, structure, places = list(call.leaves), call.structure, list(call.places)

    def pull(values, gs):
        leaves = list(fixed)
        for i, value in zip(places, values, strict=True):
            leaves[i] = value

        def flat(*operands):
            for i, x in zip(traced, operands, strict=True):
                leaves[i] = x
            args, kwargs = structure.unflatten(leaves)
            return [r for r in tree.leaves(called(fun)(*args, **kwargs)) if _flows(r)]

        _, back = vjp(flat, *[leaves[i] for i in traced])
        return list(back(gs))

    return pull
