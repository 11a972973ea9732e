"""The calls that NumPy's users write most, on ten elements, beside NumPy in the same run.

``python -m asv_bench.benchmarks.bench_functions [WORD ...]`` prints the ratios, of the cases that contain a word where
words are given.
"""

import math
import sys

import numpy

import npx

from .common import fastest

GATE = 1.3

#: NumPy's most used functions, most used first, with a call of each. Counted once, in 2026: in how many Python files
#: each was called as ``np.name(...)``, in 1,464 files that import NumPy and are no tests, of SciPy, JAX, scikit-learn,
#: pandas, dask, Matplotlib, xarray, Numba, PyTorch, NetworkX and 20 smaller packages. Left out: masked arrays, random
#: generators, test helpers, and `datetime_data`.
FUNCTIONS = """
    np.array(values)
    np.asarray(a)
    np.zeros(10)
    np.empty(10)
    np.arange(10)
    np.sqrt(a)
    np.sum(a)
    np.ones(10)
    np.any(a)
    np.concatenate((a, b))
    np.isnan(a)
    np.where(mask, a, b)
    np.abs(a)
    np.all(a)
    np.issubdtype(a.dtype, np.floating)
    np.max(a)
    np.dot(a, b)
    np.full(10, 1.5)
    np.isfinite(a)
    np.unique(a)
    np.atleast_1d(a)
    np.argsort(a)
    np.log(a)
    np.linspace(0.0, 1.0, 10)
    np.zeros_like(a)
    np.shape(a)
    np.diff(a)
    np.hstack((a, b))
    np.min(a)
    np.clip(a, 0.5, 2.5)
    np.cumsum(a)
    np.maximum(a, b)
    np.linalg.norm(a)
    np.mean(a)
    np.ceil(a)
    np.empty_like(a)
    np.nonzero(a)
    np.vstack((a, b))
    np.exp(a)
    np.ndim(a)
    np.isscalar(a)
    np.broadcast_to(a, (3, 10))
    np.atleast_2d(a)
    np.prod(a)
    np.ravel(m)
    np.repeat(a, 2)
    np.isinf(a)
    np.eye(3)
    np.sort(a)
    np.searchsorted(a, 2.5)
    np.floor(a)
    np.ones_like(a)
    np.copy(a)
    np.reshape(a, (2, 5))
    np.argmax(a)
    np.flatnonzero(a)
    np.iterable(a)
    np.tile(a, 2)
    np.result_type(a, b)
    np.cos(a)
    np.diag(a)
    np.sin(a)
    np.allclose(a, b)
    np.minimum(a, b)
    np.sign(a)
    np.append(a, b)
    np.size(a)
    np.bincount(indices)
    np.asanyarray(a)
    np.argmin(a)
    np.transpose(m)
    np.broadcast_arrays(a, m)
    np.iscomplexobj(a)
    np.stack((a, b))
    np.real(a)
    np.delete(a, 1)
    np.take(a, indices)
    np.ascontiguousarray(a)
    np.moveaxis(m, 0, 1)
    np.column_stack((a, b))
    np.isclose(a, b)
    np.array_equal(a, b)
    np.power(a, b)
    np.count_nonzero(a)
    np.squeeze(a)
    np.round(a)
    np.meshgrid(a, b)
    np.broadcast_shapes((1, 10), (3, 10))
    np.frombuffer(memory)
    np.full_like(a, 1.5)
    np.log10(a)
    np.log2(a)
    np.logical_not(a)
    np.putmask(c, mask, b)
    np.expand_dims(a, 0)
    np.can_cast(a.dtype, np.complex128)
    np.outer(a, b)
    np.median(a)
    np.logical_and(a, b)
    np.interp(2.5, a, b)
"""

#: Methods, attributes, operators and indexing. The order of the methods is that of their names in the same count, where
#: other classes may have them too.
METHODS = """
    a.astype(np.float32)
    a.copy()
    a.reshape(2, 5)
    a.sum()
    a.any()
    m.ravel()
    a.max()
    a.all()
    a.min()
    a.tolist()
    a.prod()
    m.transpose()
    a.view()
    a.mean()
    a.take(indices)
    a.flatten()
    a.item(0)
    a.squeeze()
    a.dot(b)
    a.nonzero()
    a.conj()
    c.sort()
    c.fill(1.0)
    a.repeat(2)
    a.cumsum()
    a.argmax()
    a.searchsorted(2.5)
    a.argsort()
    a.round()
    a.clip(0.5, 2.5)
    a.var()
    a.std()
    m.swapaxes(0, 1)
    m.sum(axis=0)
    a.shape
    a.dtype
    a.ndim
    a.size
    m.T
    a.real
    a.flags
    len(a)
    for x in a: pass
    float(one)
    a + b
    a - b
    a * b
    a / b
    a // b
    a % b
    a**2
    a**0.5
    a @ b
    m @ a
    -a
    abs(a)
    a + 1.0
    2 * a
    a + one
    a + m
    a + indices
    c += b
    c *= 1.0
    a < b
    a == b
    mask & mask
    ~mask
    a[0]
    a[-1]
    a[2:8]
    a[::2]
    m[1]
    m[1, 2]
    m[:, 1]
    a[None]
    a[:, None]
    a[..., 0]
    a[mask]
    a[indices]
    a[[1, 2]]
    c[0] = 1.0
    c[2:8] = 1.0
    c[2:8] = a[2:8]
    c[mask] = 0.0
    c[indices] = 0.0
    c[:] = a
    np.add(a, b)
    np.add(a, b, out=c)
    np.exp(a, out=c)
    np.add.reduce(a)
    np.sum(m, axis=0)
    np.std(a)
    np.var(a)
    np.einsum("i,i", a, b)
    np.random.rand(10)
    np.random.normal(size=10)
"""

CASES = {
    group: [line.strip() for line in lines.strip().splitlines()]
    for group, lines in (("functions", FUNCTIONS), ("methods", METHODS))
}
LIBRARIES = {"npx": npx, "numpy": numpy}
CALLS = 50  # statements per call that is timed, so that the call itself does not count


def operands(np):
    """What the statements work on, from one library."""
    return {
        "np": np,
        "a": np.linspace(0.5, 5.0, 10),
        "b": np.linspace(1.0, 3.0, 10),
        "c": np.ones(10),
        "m": np.ones((3, 10)),
        "one": np.array(1.0),
        "mask": np.array([True, False] * 5),
        "indices": np.array([7, 2, 3, 3, 0, 1, 5, 9, 4, 2]),
        "values": [float(i) for i in range(10)],
        "memory": bytes(80),
    }


def runner(statement, np):
    """A function that runs `statement` CALLS times on arrays of one library."""
    names = operands(np)
    body = "\n    ".join([statement] * CALLS)
    exec(f"def run({', '.join(f'{name}={name}' for name in names)}):\n    {body}", names)
    return names["run"]


def ratio(statement, seconds=0.3):
    """The time of `statement` with npx as a share of its time with NumPy, and its nanoseconds with NumPy."""
    times = fastest({name: runner(statement, np) for name, np in LIBRARIES.items()}, seconds, samples=2000)
    return times["npx"] / times["numpy"], times["numpy"] / CALLS * 1e9


def geometric_mean(ratios):
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))


class Call:
    """The share of NumPy's time that each call takes."""

    params = [*CASES["functions"], *CASES["methods"]]
    param_names = ["call"]
    unit = "of NumPy's time"

    def track_ratio(self, call):
        return ratio(call)[0]


class Calls:
    """What the gate speaks of: the mean, and how many calls are above it."""

    params = list(CASES)
    param_names = ["group"]
    timeout = 300

    def setup_cache(self):
        return {group: [ratio(case)[0] for case in cases] for group, cases in CASES.items()}

    def track_geometric_mean(self, ratios, group):
        return geometric_mean(ratios[group])

    def track_above_gate(self, ratios, group):
        return sum(ratio > GATE for ratio in ratios[group])


def main(words=()):
    for group, cases in CASES.items():
        table = {case: ratio(case) for case in cases if not words or any(word in case for word in words)}
        for case, (share, nanoseconds) in sorted(table.items(), key=lambda row: -row[1][0]):
            print(f"{case:<44}{nanoseconds:>8.0f} ns{share:>8.2f}{'  above' if share > GATE else ''}")
        if table:
            ratios = [share for share, _ in table.values()]
            above = sum(share > GATE for share in ratios)
            mean = geometric_mean(ratios)
            print(f"{group}: geometric mean {mean:.2f} of NumPy's time; {above} of {len(ratios)} above {GATE}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
