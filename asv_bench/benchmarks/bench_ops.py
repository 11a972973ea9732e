"""Every op on the host, beside the NumPy function that defines it: generated from the op declarations.

The operands are those of the op's own examples; an elementwise op is also compiled, and run on many elements. An op
without examples stops the import of this module. ``python -m asv_bench.benchmarks.bench_ops [op ...]`` prints times.
"""

import sys
import warnings
from pathlib import Path

import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import SCALAR_TYPES, aval_of
from npx.dispatch.graph import Graph, Value, constant

from .common import fastest

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from optable import ALL_OPS, cases, plain  # noqa: E402

MANY = 100_000
OPS = {op.name: op for op in ALL_OPS}
ELEMENTWISE = [name for name, op in OPS.items() if op.kind == "elementwise"]

if missing := [name for name, op in OPS.items() if not op.examples]:
    raise NotImplementedError(f"ops without a benchmark, since their declarations have no examples: {missing}")


def case_of(op):
    """The op's largest example that NumPy accepts, in double precision or int64 where it takes them.

    Raises
    ------
    NotImplementedError
        There is none.
    """
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for only in (plain, None):
            accepted = [c for c in cases(op, only) if not isinstance(c.expected(), Exception)]
            if accepted:
                return max(accepted, key=lambda case: sum(map(numpy.size, case.operands)))
    raise NotImplementedError(f"the op {op.name} has no benchmark: declare an example that NumPy accepts")


def enlarged(case):
    """The case with its operands repeated to MANY elements."""
    operands = (numpy.resize(x, MANY) if numpy.ndim(x) else x for x in case.operands)
    return case._replace(operands=tuple(operands))


def compiled(case):
    """The op alone as a compiled program, a function of the operands that are arrays."""
    values = [constant(x) if isinstance(x, SCALAR_TYPES) else Value(aval_of(x)) for x in case.operands]
    graph = Graph([v for v in values if not v.is_const])
    graph.outputs.extend(graph.add(case.op, values, case.params))
    return registry.backend_for(numpy.ndarray).compile(graph)


def times_of(case, run):
    """Seconds of one call: of `run`, and of the NumPy function."""
    with numpy.errstate(all="ignore"):
        return fastest({"npx": run, "numpy": lambda: case.op.spec(*case.operands, **case.params)}, seconds=0.05)


def times_of_call(name):
    """The op called with its largest example, a few elements: what the call costs."""
    case = case_of(OPS[name])
    return times_of(case, lambda: case.op(*case.operands, **case.params))


def times_compiled(name):
    """The op compiled, on many elements: what the loop costs."""
    case = enlarged(case_of(OPS[name]))
    program, arrays = compiled(case), [x for x in case.operands if not isinstance(x, SCALAR_TYPES)]
    return times_of(case, lambda: program(arrays))


def ratio(times):
    return times["npx"] / times["numpy"]


class Call:
    params = list(OPS)
    param_names = ["op"]
    unit = "of NumPy's time"

    def track_ratio(self, name):
        return ratio(times_of_call(name))


class Compiled:
    params = ELEMENTWISE
    param_names = ["op"]
    unit = "of NumPy's time"

    def track_ratio(self, name):
        return ratio(times_compiled(name))


def main(names):
    print(f"{'op':<26}{'npx':>11}{'NumPy':>11}{'ratio':>8}")
    for name in names or OPS:
        rows = {name: times_of_call(name)}
        if name in ELEMENTWISE:
            rows[f"{name}, compiled"] = times_compiled(name)
        for label, times in rows.items():
            print(f"{label:<26}{times['npx'] * 1e6:>8.2f} us{times['numpy'] * 1e6:>8.2f} us{ratio(times):>8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
