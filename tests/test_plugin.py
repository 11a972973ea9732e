"""A backend from somebody else's package, installed by pip and found by its entry point."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "toy_backend"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of packages with the toy backend in it."""
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / PACKAGE.name)
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def run(site):
    """Run a program that can import the toy backend; return what it printed."""

    def run(program, **environment):
        environment = os.environ | {"PYTHONPATH": str(site)} | environment
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1]

    return run


def test_it_is_found_when_asked_for(run):
    program = """
import sys
import npx as np
print("toy_backend" in sys.modules)
x = np.asarray([1.0, 2.0], device="toy")
print("toy_backend" in sys.modules, x.device, x)
"""
    assert run(program) == ["False", "True toy [1. 2.]"]


def test_a_program_runs_on_it(run):
    """What it lacks (`exp`, writes) goes through the host, with NumPy's results, and comes back."""
    program = """
import npx as np
x = np.asarray([[1.0, 2.0], [3.0, 4.0]], device="toy")
y = x @ x + 2 * x
y[0] += 1
z = np.exp(-y).sum(axis=0)
print(y.device, z.device)
print(np.asarray(y, device="cpu").tolist())
"""
    assert run(program) == ["toy toy", "[[10.0, 15.0], [21.0, 30.0]]"]


def test_its_round_trips_are_counted(run):
    program = """
import npx as np
from npx.dispatch import debug
x = np.asarray([1.0, 2.0], device="toy")
(x + x) * -x
print(dict(debug.round_trips))
np.exp(x), np.exp(x)
print([(*key[:2], count) for key, count in debug.round_trips.items()])
"""
    assert run(program) == ["{}", "[('exp', 'toy', 2)]"]


def test_strict_mode(run):
    program = """
import npx as np
x = np.asarray([1.0, 2.0], device="toy")
print((x + x).device)
try:
    np.exp(x)
except RuntimeError as error:
    print(error)
"""
    first, second = run(program, NPX_STRICT="1")
    assert first == "toy" and second.startswith("exp is not implemented by the toy backend")


def test_transforms_know_nothing_of_it_and_work(run):
    program = """
import npx as np
x = np.asarray([1.0, 2.0, 3.0], device="toy")

def f(v):
    buf = np.zeros(3)
    buf[:2] = v[:2] * 2
    return (buf * v).sum()

for g in (np.grad(f), np.jit(np.grad(f))):
    print(g(x).tolist(), g(x).device)
print(np.vmap(lambda v: v * 2)(x).device)
"""
    assert run(program) == ["[4.0, 8.0, 0.0] toy"] * 2 + ["toy"]
