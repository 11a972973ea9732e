"""The house rules that a machine can check: which way imports point, and that no declaration is half done."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import npx.ops  # noqa: F401  declares the ops
from npx.dispatch import registry

ROOT = Path(__file__).parent.parent
FOLDERS = {"dispatch": "npx.dispatch", "kernels": "npx.kernels", "npx": "npx"}
SOURCES = sorted(
    p for folder in FOLDERS for suffix in (".py", ".pyx", ".pxd") for p in ROOT.glob(f"{folder}/**/*{suffix}")
)

#: layer -> the layers that it may import, besides itself; what lies directly in npx/ is the roof and may import all
ARROWS = {
    "npx.dispatch": set(),
    "npx.ops": {"npx.dispatch"},
    "npx.array": {"npx.dispatch", "npx.ops"},
    "npx.transforms": {"npx.dispatch", "npx.ops", "npx.array"},
    "npx.kernels": {"npx.dispatch", "npx.ops"},
}

#: third-party package -> the only modules that may import it (prefixes)
PLACES = {
    "jax": ("npx.kernels.xla",),
    "cupy": ("npx.kernels.cupy",),
    "llvmlite": ("npx.kernels.host_compiler",),
    "optree": ("npx.transforms.tree",),
}

MOST_LINES = 600

CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<source>[\w.]+)[ \t]+c?import|c?import[ \t]+(?P<name>[\w.]+))(?P<rest>.*)", re.M
)


def module_name(path):
    """The dotted name under which a source file is installed."""
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    parts = [FOLDERS[top], *rest]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module):
    """The layer that a module of npx belongs to, "npx" for the roof."""
    return next((layer for layer in ARROWS if f"{module}.".startswith(f"{layer}.")), "npx")


def absolute(path, source, dots):
    """The module that a relative import with `dots` leading dots means."""
    package = module_name(path).split(".")
    if path.stem != "__init__":
        package.pop()
    return ".".join([*package[: len(package) - dots + 1], *filter(None, [source])])


def python_imports(path):
    """Dotted names that a Python file imports, wherever in it; `from m import n` gives both m and m.n."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node.module, node.level) if node.level else node.module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def cython_imports(path):
    """The same for a Cython file, by its lines."""
    for found in CYTHON_IMPORT.finditer(path.read_text()):
        if found["name"]:
            yield found["name"]
            continue
        source = found["source"].lstrip(".")
        dots = len(found["source"]) - len(source)
        module = absolute(path, source, dots) if dots else source
        names = re.findall(r"\w+", found["rest"].split("#")[0])
        yield from (f"{module}.{name}" for name in names or [""])


def imports(path):
    return set(python_imports(path) if path.suffix == ".py" else cython_imports(path))


def wrong_arrows(path):
    """What a file imports and should not, in words."""
    me = module_name(path)
    layer = layer_of(me)
    for name in sorted(imports(path)):
        top = name.partition(".")[0]
        if top in PLACES and not me.startswith(PLACES[top]):
            yield f"{me} imports {name}: only {', '.join(PLACES[top])} may"
        if top == "npx" and layer != "npx" and layer_of(name) not in {layer, *ARROWS[layer]}:
            yield f"{me} imports {name}: {layer} may import {', '.join(sorted(ARROWS[layer])) or 'no other layer'}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_arrows_point_down(path):
    assert not list(wrong_arrows(path))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("dispatch/new.py", "from npx.ops import elementwise"),
        ("dispatch/new.pyx", "from npx.array.ndarray cimport ndarray"),
        ("kernels/new.py", "def f():\n    from ..transforms import jit"),
        ("kernels/new.pyx", "cimport npx.array.ndarray as a"),
        ("npx/transforms/new.py", "import importlib\nimportlib.import_module('npx.kernels.cpu')"),
        ("npx/array/new.py", "from .. import api"),
        ("npx/ops/new.py", "import jax.numpy"),
        ("npx/ops/other.py", "from npx.array import ndarray"),
    ],
)
def test_a_wrong_arrow_is_seen(place, line, tmp_path, monkeypatch):
    """The check above can fail."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert list(wrong_arrows(path))


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) < MOST_LINES


@pytest.fixture(scope="module")
def benchmarks():
    """The module of asv_bench that measures the ops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return importlib.import_module("asv_bench.benchmarks.bench_ops")


def all_ops():
    return sorted(registry.OPS.values(), key=lambda op: op.name)


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_declaration_is_complete(op, benchmarks):
    assert callable(op.rule), "no shape and dtype rule"
    assert callable(op.spec), "no NumPy callable that defines it"
    assert op.examples, "no examples: nothing to test, document and benchmark it with"
    assert op.vjp or op.linear or op.no_deriv, "neither a derivative nor a reason for having none"
    assert not (op.vjp and op.no_deriv), "a derivative, and a reason for having none"
    assert benchmarks.OPS[op.name] is op, "no benchmark"
    assert benchmarks.case_of(op).op is op


def test_there_are_ops():
    assert len(all_ops()) >= 100
