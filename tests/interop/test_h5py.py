"""h5py writes npx arrays into files and reads into their memory."""

import numpy
import pytest
from programs import check, library

import npx

h5py = library("h5py")


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        yield f


def test_datasets(file):
    def program(np):
        file.clear()
        x = np.arange(12.0).reshape(3, 4)
        file["x"] = x
        file.create_dataset("strided", data=x[:, ::2], chunks=(1, 2), compression="gzip")
        grown = file.create_dataset("grown", shape=(2, 4), maxshape=(None, 4), dtype=np.float32)
        grown[...] = x[:2]
        grown.resize(3, axis=0)
        grown[2] = np.ones(4)
        grown[:, np.array([0, 2])] = np.zeros((3, 2))
        file["flags"] = np.array([True, False])
        file["complex"] = np.array([1 + 2j])
        file["bytes"] = np.array([b"ab", b"c"])
        file["table"] = np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
        mask = np.array([True, False, True])
        return [file[name][()] for name in sorted(file)] + [
            file["x"][mask],
            file["x"][:, np.array([1, 3])],
            file["x"][1] + np.ones(4),
        ]

    check(program)


def test_attributes(file):
    def program(np):
        file.attrs["scale"] = np.array([1.0, 2.0])
        file.attrs["n"] = np.int64(3)
        file.attrs.create("m", np.eye(2), dtype=np.float32)
        return file.attrs["scale"], file.attrs["n"], file.attrs["m"]

    check(program)


def test_reading_into_memory(file):
    """`read_direct` and `write_direct` insist on a NumPy array: `numpy.asarray` gives one on the same memory."""

    def program(np):
        file.clear()
        file["x"] = np.arange(6.0)
        out = np.zeros(8)
        file["x"].read_direct(numpy.asarray(out), np.s_[0:3], np.s_[2:5])
        file["x"].write_direct(numpy.asarray(out), np.s_[2:5], np.s_[0:3])
        return out, file["x"][:]

    check(program)
    with pytest.raises(TypeError, match=r"expected numpy\.ndarray, got npx"):
        file["x"].read_direct(npx.zeros(6))
