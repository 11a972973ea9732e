"""Every op on the host, beside the NumPy function that defines it: generated from the op declarations.

The operands are those of the op's own examples; an elementwise op also runs on many elements. An op that offers no
example to run stops the import of this module. ``python -m asv_bench.benchmarks.bench_ops [op ...]`` prints the times.
"""

import sys
import warnings
from pathlib import Path

import numpy

from .common import fastest

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from optable import ALL_OPS, cases, plain  # noqa: E402

MANY = 100_000


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


CASES = {op.name: case_of(op) for op in ALL_OPS}
ELEMENTWISE = [name for name, case in CASES.items() if case.op.kind == "elementwise"]
RUNS = {"npx": lambda case: case.op, "numpy": lambda case: case.op.spec}


def enlarged(case):
    """The case with its operands repeated to MANY elements."""
    operands = (numpy.resize(x, MANY) if numpy.ndim(x) else x for x in case.operands)
    return case._replace(operands=tuple(operands))


class Example:
    """The op's largest example: a few elements, so mostly the cost of the call."""

    params = [list(CASES), list(RUNS)]
    param_names = ["op", "run"]

    def setup(self, op, run):
        self.case = CASES[op]
        self.function = RUNS[run](self.case)

    def time_op(self, op, run):
        self.function(*self.case.operands, **self.case.params)


class ManyElements(Example):
    params = [ELEMENTWISE, list(RUNS)]

    def setup(self, op, run):
        super().setup(op, run)
        self.case = enlarged(self.case)


def times_of(case):
    """Seconds of one call, for each of RUNS."""
    functions = {run: pick(case) for run, pick in RUNS.items()}
    calls = {run: (lambda f=f: f(*case.operands, **case.params)) for run, f in functions.items()}
    return fastest(calls, seconds=0.05)


def main(names):
    print(f"{'op':<26}{'npx':>11}{'NumPy':>11}{'ratio':>8}")
    for name in names or CASES:
        shown = {name: CASES[name]}
        if name in ELEMENTWISE:
            shown[f"{name} x {MANY}"] = enlarged(CASES[name])
        for label, case in shown.items():
            ours, numpys = (seconds * 1e6 for seconds in times_of(case).values())
            print(f"{label:<26}{ours:>8.2f} us{numpys:>8.2f} us{ours / numpys:>8.2f}")


if __name__ == "__main__":
    numpy.seterr(all="ignore")
    main(sys.argv[1:])
