"""The gate of the array: what a statement on ten elements costs, beside NumPy in the same run.

``python -m asv_bench.benchmarks.bench_overhead`` prints the ratios and fails where one is above its gate.
"""

import sys

import numpy

import npx

from .common import fastest

ARITHMETIC, INDEXING = 0.6, 1.3

#: (statement, dtype) -> the most it may take, as a share of NumPy's time
GATES = {
    **{
        (f"a {operator} b", dtype): ARITHMETIC
        for operator in ("+", "-", "*", "/")
        for dtype in ("float64", "float32", "int64")
        if (operator, dtype) != ("/", "int64")  # not a same-dtype operation
    },
    ("a += b", "float64"): ARITHMETIC,
    ("a * 2.0", "float64"): ARITHMETIC,
    ("a < b", "float64"): ARITHMETIC,
    ("-a", "float64"): ARITHMETIC,
    **{(statement, "float64"): INDEXING for statement in ("a[0]", "a[:-1]", "a[2:8]", "a[::2]", "m[1]", "m[:, 1]")},
    **{(statement, "float64"): INDEXING for statement in ("a[0] = 1.0", "a[2:8] = 1.0", "a[2:8] = b[2:8]")},
}
LIBRARIES = {"npx": npx, "numpy": numpy}
CALLS = 100  # statements per call that is timed, so that the call itself does not count


def runner(statement, dtype, np):
    """A function that runs `statement` CALLS times on arrays of one library."""
    body = "\n    ".join([statement] * CALLS)
    names = {"a": np.ones(10, dtype=dtype), "b": np.full(10, 2, dtype=dtype), "m": np.ones((3, 3), dtype=dtype)}
    exec(f"def run(a=a, b=b, m=m):\n    {body}", names)
    return names["run"]


class Overhead:
    params = list(GATES)
    param_names = ["statement"]
    unit = "of NumPy's time"

    def track_ratio(self, case):
        times = fastest({name: runner(*case, np) for name, np in LIBRARIES.items()})
        return times["npx"] / times["numpy"]


def main():
    missed = 0
    print(f"{'ten elements':<24}{'npx':>9}{'NumPy':>9}{'ratio':>8}{'gate':>7}")
    for (statement, dtype), gate in GATES.items():
        times = fastest({name: runner(statement, dtype, np) for name, np in LIBRARIES.items()})
        ours, numpys = (times[name] / CALLS * 1e9 for name in LIBRARIES)
        over = ours > gate * numpys
        missed += over
        label = f"{statement}  {dtype}"
        print(f"{label:<24}{ours:>6.0f} ns{numpys:>6.0f} ns{ours / numpys:>8.2f}{gate:>7}{'  missed' if over else ''}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
