"""The installed package: its name, its layout, and what importing it brings along."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OPTIONAL = {"jax", "cupy", "torch", "matplotlib"}
HEAVY = {"llvmlite", "optree"}


def run(code, cwd):
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_version_is_that_of_the_metadata():
    import npx

    assert npx.__version__ == importlib.metadata.version("npx-array")


@pytest.mark.parametrize("folder", ["repository", "elsewhere"])
def test_every_compiled_module_imports(folder, tmp_path):
    """From the repository root too, where Python finds the source folder `npx` first."""
    sources = [path for top in ("npx", "dispatch", "kernels") for path in (ROOT / top).rglob("*.pyx")]
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in sources]
    names = [".".join(p if p[0] == "npx" else ("npx", *p)) for p in parts]
    code = f"import importlib; [importlib.import_module(name) for name in {['npx.dispatch', 'npx.kernels', *names]}]"
    run(code, ROOT if folder == "repository" else tmp_path)


def test_declarations_are_installed():
    """Code outside can `cimport` from npx."""
    import npx.dispatch

    installed = {path.name for path in Path(npx.dispatch.__file__).parent.glob("*.pxd")}
    assert installed == {path.name for path in (ROOT / "dispatch").glob("*.pxd")}


def test_import_is_light(tmp_path):
    loaded = run("import sys, npx; print(*{name.partition('.')[0] for name in sys.modules})", tmp_path)
    assert not (OPTIONAL | HEAVY) & set(loaded)
