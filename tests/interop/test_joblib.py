"""joblib: work in processes and threads, memory that knows npx arrays by their content, files."""

import numpy
import pytest
from programs import address, library

import npx

joblib = library("joblib")


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing", "sequential"])
def test_parallel(backend):
    """The arrays are large enough to be handed to processes as mapped files."""
    x = npx.arange(2000.0).reshape(20, 100)
    parallel = joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=100)
    sums = parallel(joblib.delayed(npx.sum)(row) for row in x)
    assert sums == [row.sum() for row in x]
    halves = parallel(joblib.delayed(npx.multiply)(part, 0.5) for part in (x[:10], x[10:]))
    assert all(type(h) is npx.ndarray for h in halves)
    assert npx.array_equal(npx.concatenate(halves), x / 2)


def test_memory_knows_arrays_by_their_content(tmp_path):
    calls = []

    def norm(x, scale=None):
        calls.append(1)
        return npx.linalg.norm(x) * scale

    remembered = joblib.Memory(tmp_path, verbose=0).cache(norm)
    x = npx.arange(4.0)
    assert remembered(x, scale=npx.array(2.0)) == remembered(npx.arange(4.0), scale=npx.array(2.0))
    assert len(calls) == 1
    x[0] = 9
    assert remembered(x, scale=npx.array(2.0)) != remembered(npx.arange(4.0), scale=npx.array(2.0))
    assert len(calls) == 2


def test_hash():
    x = npx.arange(6.0).reshape(2, 3)
    assert joblib.hash(x) == joblib.hash(x.copy())
    assert joblib.hash(x) == joblib.hash(npx.arange(12.0).reshape(2, 6)[:, :3] * 0 + x)
    different = [x + 1, x.ravel(), x.astype(npx.float32), npx.asfortranarray(x)]
    assert joblib.hash(x) not in map(joblib.hash, different)


@pytest.mark.parametrize("compress", [0, 3])
def test_files(tmp_path, compress):
    path = tmp_path / "a.joblib"
    model = {"weights": npx.arange(6.0).reshape(2, 3), "names": npx.array(["a", "b"]), "numbers": numpy.arange(3)}
    joblib.dump(model, path, compress=compress)
    back = joblib.load(path)
    assert type(back["weights"]) is npx.ndarray and type(back["numbers"]) is numpy.ndarray
    assert npx.array_equal(back["weights"], model["weights"])
    assert back["names"].tolist() == ["a", "b"]


def test_mapped_files(tmp_path):
    """With `mmap_mode` the memory of the array is the file."""
    path = tmp_path / "a.joblib"
    joblib.dump(npx.arange(1000.0), path)
    back = joblib.load(path, mmap_mode="r+")
    assert type(back) is npx.ndarray
    back[0] = 7
    assert address(back) == address(back.to_numpy())
    assert joblib.load(path)[0] == 7
    with pytest.raises(ValueError, match="read-only"):
        joblib.load(path, mmap_mode="r")[0] = 1
