"""Devices: the default one, arrays that are asked for or brought to one, and DLPack between them."""

import contextvars
import os
import subprocess
import sys
import threading

import numpy
import pytest

import npx as np
import npx.array_api as xp
from npx import devices
from npx.dispatch import registry

# ------------------------------------------------------------------------------------------------------ DLPack
VERSIONS = [None, (0, 0), (0, 8), (1, 0), (1, 1), (2, 0)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("copy", [None, True, False])
@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_dlpack_exports_for_every_version(device, version, copy):
    x = np.arange(6.0, device=device).reshape(2, 3)
    kind, number = x.__dlpack_device__()
    assert (int(kind), number) == (1, 0)
    for target in (None, (1, 0)):
        assert "dltensor" in repr(x.__dlpack__(max_version=version, dl_device=target, copy=copy))


def test_from_dlpack_shares_memory():
    host = numpy.arange(4.0)
    x = np.from_dlpack(host)
    x[0] = 7
    assert type(x) is np.ndarray and host[0] == 7
    y = np.from_dlpack(x)
    y[1] = 8
    assert x[1] == 8 == host[1] and numpy.from_dlpack(x)[1] == 8
    assert xp.from_dlpack(x).standard and np.from_dlpack(x, copy=False).base is x
    z = np.from_dlpack(x, copy=True)
    z[0] = 0
    assert x[0] == 7


def test_from_dlpack_between_devices():
    x = np.arange(4.0)
    there = np.from_dlpack(x, device="xla")
    assert there.device == "xla:0" and np.from_dlpack(there).device == "xla:0"
    back = np.from_dlpack(there, device="cpu")
    assert back.device == "cpu" and back.tolist() == [0, 1, 2, 3]
    with pytest.raises(BufferError, match="without a copy"):
        np.from_dlpack(x, device="xla", copy=False)
    with pytest.raises(BufferError):
        np.from_dlpack(np.array(["text"]))
    with pytest.raises(ValueError, match="nonsense"):
        np.from_dlpack(x, device="nonsense")
    with np.default_device("xla"):
        assert np.from_dlpack(numpy.ones(2)).device == "cpu"


def test_from_dlpack_of_jax():
    jax = pytest.importorskip("jax.numpy", exc_type=ImportError)
    x = np.from_dlpack(jax.arange(3.0))
    assert x.device == "cpu" and x.tolist() == [0, 1, 2]


# ------------------------------------------------------------------------------------------------------ devices
MAKERS = {
    "array": lambda **k: np.array([1, 2]),
    "asarray": lambda **k: np.asarray([1.0, 2.0], **k),
    "numpy": lambda **k: np.asarray(numpy.ones(2), **k),
    "zeros": lambda **k: np.zeros(2, **k),
    "ones": lambda **k: np.ones((2, 3), **k),
    "empty": lambda **k: np.empty(2, **k),
    "full": lambda **k: np.full(2, 7, **k),
    "arange": lambda **k: np.arange(3, **k),
    "linspace": lambda **k: np.linspace(0, 1, 3, **k),
    "eye": lambda **k: np.eye(2, **k),
    "fftfreq": lambda **k: np.fft.fftfreq(4, **k),
    "draw": lambda **k: np.random.default_rng(0).normal(size=3),
    "legacy draw": lambda **k: np.random.rand(3),
    "fromfunction": lambda **k: np.fromfunction(lambda i, j: i + j, (2, 2)),
    "ufunc": lambda **k: np.exp([1.0, 2.0]),
    "reduction": lambda **k: np.add.reduce([[1, 2], [3, 4]]),
    "outer": lambda **k: np.multiply.outer([1, 2], [3, 4]),
    "function": lambda **k: np.cumsum([1, 2, 3]),
    "in a tuple": lambda **k: np.nonzero([1, 0, 2])[0],
    "in a named tuple": lambda **k: np.linalg.eigh([[2.0, 0.0], [0.0, 3.0]]).eigenvectors,
    "grid": lambda **k: np.mgrid[:2, :3],
    "r_": lambda **k: np.r_[1:3, 7],
    "standard": lambda **k: xp.asarray([1, 2], **k),
}


WITH_DEVICE = set("asarray numpy zeros ones empty full arange linspace eye fftfreq standard".split())


@pytest.mark.parametrize("maker", MAKERS)
def test_default_device(maker):
    """Functions that were given no npx array make their arrays there."""
    make = MAKERS[maker]
    host = make()
    assert host.device == "cpu"
    with np.default_device("xla"):
        assert np.get_default_device() == "xla:0"
        there = make()
        assert there.device == "xla:0" and there.dtype == host.dtype
        if maker in WITH_DEVICE:
            assert make(device="cpu").device == "cpu"
    assert make().device == "cpu"
    if maker != "empty" and "draw" not in maker:
        assert numpy.array_equal(there, host)


def test_functions_of_host_arrays_stay_on_the_host():
    x = np.ones(3)
    with np.default_device("xla"):
        for y in (x + 1, np.exp(x), np.sum(x, keepdims=True), np.zeros_like(x), np.asarray(x), x.reshape(3, 1), x[1:]):
            assert y.device == "cpu"
        assert type(np.exp(2.0)) is numpy.float64 and type(np.sum([1, 2])) is numpy.int64


@pytest.mark.parametrize("make", [
    lambda: np.array(["text"]),
    lambda: np.array([None]),
    lambda: np.zeros(2, "f8,i4"),
    lambda: np.zeros(2, "M8[s]"),
    lambda: np.zeros(2, numpy.longdouble),
    lambda: np.zeros(2, ">f8"),
])  # fmt: skip
def test_what_the_device_cannot_hold_stays_on_the_host(make):
    dtype = make().dtype
    with np.default_device("xla"):
        assert make().device == "cpu" and make().dtype == dtype


def test_out_of_numpy_is_written():
    with np.default_device("xla"):
        out = numpy.zeros(2)
        assert np.add([1, 2], [3, 4], out=out) is out and out.tolist() == [4, 6]


def test_blocks_nest_and_end():
    with np.default_device("xla"):
        with np.default_device("cpu"):
            assert np.ones(1).device == "cpu"
        with pytest.raises(KeyError), np.default_device("cpu"):
            raise KeyError
        assert np.ones(1).device == "xla:0"
    assert np.ones(1).device == "cpu"

    @np.default_device("xla")
    def decorated():
        return np.ones(1).device

    assert [decorated(), decorated()] == ["xla:0"] * 2


def test_a_block_is_for_its_thread_and_context():
    seen = []
    with np.default_device("xla"):
        thread = threading.Thread(target=lambda: seen.append(np.ones(1).device))
        thread.start()
        thread.join()
        inside = contextvars.copy_context()
    assert seen == ["cpu"]
    with np.default_device("cpu"):  # calls ask only while some block runs
        assert inside.run(np.get_default_device) == "xla:0"


def test_the_default_of_the_process():
    seen = []
    try:
        np.set_default_device("xla")
        thread = threading.Thread(target=lambda: seen.append(np.ones(1).device))
        thread.start()
        thread.join()
        assert np.get_default_device() == np.ones(1).device == "xla:0"
        assert xp.__array_namespace_info__().default_device() == "xla:0"
    finally:
        np.set_default_device("cpu")
    assert seen == ["xla:0"] and np.ones(1).device == "cpu"


@pytest.mark.parametrize("choose", [np.set_default_device, lambda d: np.default_device(d).__enter__()])
def test_unknown_devices(choose, monkeypatch):
    for device in ("nonsense", "xla:99", "xla:", None, 3):
        with pytest.raises(ValueError, match="device"):
            choose(device)
    monkeypatch.setitem(registry.BUILTIN_LOADERS, "absent", lambda: __import__("npx_absent_package"))
    with pytest.raises(ImportError, match="npx_absent_package.*pip install"):
        choose("absent")
    assert np.get_default_device() == "cpu"


def run_with(device, code):
    """What a program prints whose environment names a default device."""
    env = {**os.environ, "NPX_DEVICE": device}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


def test_environment():
    done = run_with("xla", "import sys, npx; print('jax' in sys.modules, npx.ones(1).device, npx.get_default_device())")
    assert done.stdout.split() == ["False", "xla:0", "xla:0"], done.stderr
    assert run_with("", "import npx; print(npx.ones(1).device)").stdout.split() == ["cpu"]
    assert "unknown device 'nonsense'" in run_with("nonsense", "import npx; npx.ones(1)").stderr


def test_device_argument_and_to_device():
    x = np.ones(2)
    assert x.to_device("cpu") is x
    there = x.to_device("xla")
    assert there.device == "xla:0" and there.to_device("xla") is there is there.to_device("xla:0")
    assert np.asarray(there, device="cpu").device == np.zeros_like(there, device="cpu").device == "cpu"
    assert np.asarray(x, device="xla").device == np.astype(x, "f4", device="xla").device == "xla:0"
    assert np.astype(there, "f4", device="cpu").device == "cpu"
    assert xp.ones(2).to_device("xla").standard
    with pytest.raises(ValueError, match="stream"):
        x.to_device("cpu", stream=1)
    with pytest.raises(ValueError, match="nonsense"):
        x.to_device("nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        np.ones(2, device="nonsense")
    assert devices.devices()[0] == "cpu" and "xla:0" in devices.devices()
