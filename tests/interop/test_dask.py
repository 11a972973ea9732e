"""dask: npx arrays are cut into chunks, and functions written with npx run on them."""

import operator

import pytest
from programs import check, library

da = library("dask.array")


def chunks(np):
    return da.from_array(np.arange(24.0).reshape(4, 6), chunks=(2, 3))


@pytest.mark.parametrize(
    "op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul, operator.lt]
)
def test_operators_in_both_orders(op):
    def program(np):
        a, x = chunks(np), np.ones((4, 6))
        if op is operator.matmul:
            x = x.T
        results = op(a, x), op(x, a), op(a, np.array(2.0)) if op is not operator.matmul else a
        return [type(r).__module__.split(".")[0] for r in results], [r.compute(scheduler="sync") for r in results]

    check(program)


def test_functions():
    def program(np):
        a = chunks(np)
        results = [
            a.sum(), a.mean(axis=0), a[np.array([0, 2])], a[:, 1:4], a.T, np.sin(a), np.sum(a),
            a.map_blocks(lambda b: np.exp(-b)),
            da.map_blocks(lambda b: np.sum(b, axis=1, keepdims=True), a, chunks=((2, 2), (1, 1))), a[a > 5],
            da.concatenate([a, a]), a.map_overlap(lambda b: b + np.roll(b, 1, axis=0), depth=1, boundary="reflect"),
            da.linalg.norm(a), a.std(), np.concatenate([a, a]), da.apply_along_axis(np.max, 1, a),
            da.blockwise(np.add, "ij", a, "ij", a, "ij"), a.cumsum(axis=0),
            da.histogram(a, bins=np.linspace(0, 24, 4))[0],
            da.reduction(a, lambda b, **how: np.sum(b, **how), lambda b, **how: np.sum(b, **how), dtype=float),
            da.where(a > 3, a, np.zeros((4, 6))), da.stack([a, a]), a.reshape(2, 2, 6),
            da.percentile(a.ravel(), np.array([50])), da.from_array(np.array(["a", "b"])),
        ]  # fmt: skip
        return [r.compute(scheduler="sync") for r in results]

    check(program)


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_schedulers(scheduler):
    def program(np):
        a = da.from_array(np.arange(100.0), chunks=10)
        return (a.map_blocks(lambda b: np.sort(b)[::-1].copy()) ** 2).sum().compute(scheduler=scheduler)

    check(program)


def test_processes():
    """npx arrays and functions travel to worker processes."""
    from dask import compute, delayed

    import npx

    tasks = [delayed(npx.sum)(npx.arange(n)) for n in (3, 4)]
    assert compute(*tasks, scheduler="processes", num_workers=2) == (3, 6)


def test_assignment_and_storage():
    def program(np):
        a = chunks(np)
        a[0] = np.zeros(6)
        a[a > 20] = np.float64(-1.0)
        out = np.empty((4, 6))
        da.store(a, out, scheduler="sync")
        return out, np.asarray(a)

    check(program)


def test_delayed_and_bags():
    from dask import bag, delayed

    def program(np):
        total = delayed(np.sum)([delayed(np.square)(np.arange(3.0)), delayed(np.ones)(3)])
        wrapped = da.from_delayed(delayed(np.arange)(3.0), (3,), float)
        return (
            total.compute(scheduler="sync"),
            wrapped.compute(scheduler="sync"),
            bag.from_sequence([np.arange(2), np.arange(3)]).map(np.sum).compute(scheduler="sync"),
        )

    check(program)


def test_names_depend_on_the_content():
    """Arrays of equal content get one name, so that dask shares their results; others get another."""
    from dask.base import tokenize

    import npx

    assert tokenize(npx.arange(3)) == tokenize(npx.arange(3)) != tokenize(npx.arange(4))
