"""What every ufunc with core dimensions shares: its shape and dtype rule and its batch rule, from its signature."""

import functools

import numpy

from npx.dispatch.abstract import Aval, aval_of, type_key, ufunc_dtypes
from npx.dispatch.batching import abstract_element, lift_rank
from npx.dispatch.payloads import zeros


@functools.cache
def core_dims(ufunc):
    """The core dimensions of operands and results by name: ``((n?, k), (k, m?)), ((n?, m?),)`` for `matmul`."""
    sides = ufunc.signature.replace(" ", "").split("->")
    return tuple(tuple(tuple(filter(None, core.split(","))) for core in side[1:-1].split("),(")) for side in sides)


def gufunc_rule(ufunc):
    """The shape and dtype rule of a ufunc with core dimensions; it raises what the ufunc raises."""
    operands, results = core_dims(ufunc)

    def rule(avals, params):
        dtypes = ufunc_dtypes(ufunc, tuple(map(type_key, avals)), len(results))[len(operands) :]
        try:
            sizes, loop = _sizes(operands, avals)
        except ValueError:
            ufunc(*map(zeros, avals))  # says it in NumPy's words
            raise
        outs = tuple(
            Aval((*loop, *(sizes[d] for d in core if sizes[d] is not None)), dtype)
            for core, dtype in zip(results, dtypes)
        )
        return outs if len(outs) > 1 else outs[0]

    return rule


def _sizes(operands, avals):
    """Core dimension -> length (None where a name with a question mark is missing), and the shape of the loop."""
    sizes, loops = {}, []
    for core, aval in zip(operands, avals):
        if aval.ndim < len(core):
            sizes.update((d, None) for d in core if d.endswith("?"))
            core = [d for d in core if not d.endswith("?")]
        split = aval.ndim - len(core)
        if split < 0:
            raise ValueError("not enough dimensions")
        loops.append(aval.shape[:split])
        for d, n in zip(core, aval.shape[split:]):
            if sizes.setdefault(d, n) != n:
                raise ValueError("core dimensions do not agree")
    if "m" in sizes and "n" in sizes:
        sizes.setdefault("p", min(sizes["m"], sizes["n"]))  # LAPACK's: no operand has it
    return sizes, numpy.broadcast_shapes(*loops)


def batch_gufunc(op, size, args, batched, params):
    """Line up the loop axes of a ufunc with core dimensions, none of them optional."""
    abstract_element(op, args, batched, params)  # the batch axis must not stand in for a core dimension
    cores = [len(core) for core in core_dims(op.spec)[0]]
    loop = max(aval_of(a).ndim - b - core for a, b, core in zip(args, batched, cores))
    return op(*(lift_rank(a, loop + core) if b else a for a, b, core in zip(args, batched, cores)), **params)
