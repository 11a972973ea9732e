"""Every op on the host, beside the NumPy function that defines it: generated from the op declarations.

The operands are those of the op's own examples; an elementwise op also runs on many elements. An op without examples
stops the import of this module. ``python -m asv_bench.benchmarks.bench_ops [op ...]`` prints the times.
"""

import sys
import warnings
from pathlib import Path

import numpy

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


def times_of(case):
    """Seconds of one call: of the op, and of the NumPy function."""
    functions = {"npx": case.op, "numpy": case.op.spec}
    calls = {run: (lambda f=f: f(*case.operands, **case.params)) for run, f in functions.items()}
    with numpy.errstate(all="ignore"):
        return fastest(calls, seconds=0.05)


class Example:
    """The op's largest example: a few elements, so mostly the cost of the call."""

    params = list(OPS)
    param_names = ["op"]
    unit = "of NumPy's time"

    def case(self, name):
        return case_of(OPS[name])

    def track_ratio(self, name):
        times = times_of(self.case(name))
        return times["npx"] / times["numpy"]


class ManyElements(Example):
    params = ELEMENTWISE

    def case(self, name):
        return enlarged(case_of(OPS[name]))


def main(names):
    print(f"{'op':<26}{'npx':>11}{'NumPy':>11}{'ratio':>8}")
    for name in names or OPS:
        shown = {name: case_of(OPS[name])}
        if name in ELEMENTWISE:
            shown[f"{name} x {MANY}"] = enlarged(shown[name])
        for label, case in shown.items():
            ours, numpys = (seconds * 1e6 for seconds in times_of(case).values())
            print(f"{label:<26}{ours:>8.2f} us{numpys:>8.2f} us{ours / numpys:>8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
