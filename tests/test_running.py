"""``python -m npx``: programs run as under Python, to the letter, with npx where they import numpy."""

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile

import pytest

from npx.running import command

PLAIN = """
import atexit, importlib, os, signal, sys, traceback
import helper
print(sys.argv, sys.path[0], __name__, __file__, __doc__, __package__, type(__loader__), __spec__ and __spec__.name)
print(sorted(globals()), sys.modules["__main__"].helper is helper)
atexit.register(print, "at exit")
for name in ("absent", "broken", "numpy.absent"):
    try:
        importlib.import_module(name) if "." in name else exec("import " + name)
    except Exception:
        traceback.print_exc()
try:
    import broken
except ZeroDivisionError:
    traceback.print_exc()
def fail():
    raise ValueError("with a cause") from KeyError("cause")
def hook(kind, error, trace):
    print(kind, error, trace.tb_frame.f_code.co_name, error.__traceback__ is trace, file=sys.stderr)
match sys.argv[-1]:
    case "raise":
        fail()
    case "hook":
        sys.excepthook = hook
        fail()
    case "exit":
        sys.exit(7)
    case "interrupt":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started it deaf
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
"""

MAIN = "import sys; print(sys.argv, sys.path[0], __name__, __package__, __spec__.name, __file__); 1 / 0"

BOUND = """
import importlib, json, sys
import numpy, numpy as np, numpy.linalg, numpy.linalg as la, numpy._core.umath
import scipy.linalg
sys.path.append("site-packages")
import helper, npx, package.installed
from numpy import *
from numpy.random import default_rng
from numpy import fft as transform
def within():
    import numpy.ma
    return numpy, __import__("numpy"), importlib.import_module("numpy.polynomial"), numpy.ma
bare, own = {}, {"__name__": "helper"}
exec("import numpy", bare)
exec("import numpy", own)
class Here:
    pass
def name_of(module):
    return module.__name__
print(json.dumps({
    "bound": [*map(name_of, (np, la, numpy.linalg, transform, helper.np, bare["numpy"], own["numpy"], *within()))],
    "same": numpy is np is npx and numpy.linalg is la and np.array is array and numpy.random.default_rng is default_rng,
    "real": [numpy._core.__name__, sys.modules["numpy"].__name__, type(scipy.linalg.inv(np.eye(2))).__module__],
    "star": "linspace" in globals() and "grad" not in globals(),
    "result": type(helper.doubled(np.arange(3))).__module__,
    "pickle": Here.__module__,
    "installed": name_of(package.installed.np),
}))
"""

HELPER = """
import numpy as np
def doubled(x):
    return np.multiply(x, 2)
"""

POOLS = """
import multiprocessing
import numpy as np
class Item:
    def __init__(self, x):
        self.x = x
def work(item):
    return __name__, Item(np.add(item.x, 1)), type(np.ones(1)).__module__, np.get_default_device()
if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            name, item, kind, device = pool.map(work, [Item(np.arange(3))])[0]
        print(name, item.x.tolist(), kind, device)
"""

TESTS = """
'''
>>> import numpy as np
>>> type(np.ones(1)).__module__
'npx'
'''
import unittest
import numpy as np
def test_rewritten():
    import numpy.linalg
    assert np.__name__ == "npx" and numpy.linalg is np.linalg
class TestCase(unittest.TestCase):
    def test_case(self):
        self.assertEqual(np.__name__, "npx")
"""

COUNTED = """\
import numpy as np
a = np.eye(3) + 1
b = np.add(a, a) * a.sum()
for i in range(1200):
    a[i % 3, 0] = i
for _ in range(2):
    np.linalg.cholesky(np.eye(2))
a.tolist()
f = np.jit(lambda x: np.sin(x) + x)
f(np.ones(2)); f(np.ones(2))
"""

FILES = {
    "plain.py": PLAIN,
    "bound.py": BOUND,
    "helper.py": HELPER,
    "pools.py": POOLS,
    "test_it.py": TESTS,
    "counted.py": COUNTED,
    "broken.py": "import helper\n1 / 0",
    "syntax.py": "x = 1\nif x\n    y",
    "refused.py": "import sys, numpy as np\nsys.modules['numpy'].ndarray.sum(np.ones(3))",
    "early/sitecustomize.py": "import numpy",
    "package/__init__.py": "__path__.append('site-packages')",
    "site-packages/installed.py": "import numpy as np",
    "package/__main__.py": MAIN,
    "container/__main__.py": MAIN,
    "no_main/other.py": "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("programs")
    for name, text in FILES.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    with zipfile.ZipFile(top / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", MAIN)
    return top


def python(folder, *words, **options):
    """The exit code, stdout and stderr of ``python *words``."""
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, **options)
    return done.returncode, done.stdout, done.stderr


def npx(folder, *words, **options):
    return python(folder, "-m", "npx", *words, **options)


@pytest.mark.parametrize(
    "words",
    [
        ("./package/../plain.py", "--report", "raise"),
        ("plain.py", "hook"),
        ("plain.py", "exit"),
        pytest.param(
            ("plain.py", "interrupt"), marks=pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
        ),
        ("./container", "-x"),
        ("archive.zip", "1"),
        ("-m", "package", "-m", "2"),
        ("-mplain", "raise"),
        ("-m", "absent"),
        ("syntax.py",),
        ("-c", "import sys; print(sys.argv, sys.path[0], sorted(globals())); 1 / 0", "--device", "nowhere"),
        ("-", "a"),
    ],
    ids=" ".join,
)
def test_runs_as_python_does(folder, words):
    """Output, tracebacks and exit codes are those of Python, character for character."""
    given = {"input": "import sys; print(sys.argv, sys.path[0], sorted(globals())); 1 / 0"}
    assert npx(folder, *words, **given) == python(folder, *words, **given)


@pytest.mark.parametrize(("words", "code"), [(("absent.py",), 2), (("no_main",), 1)], ids=["file", "main"])
def test_what_is_missing_is_said_as_python_does_with_a_line_on_what_to_do(folder, words, code):
    expected, ours = python(folder, *words), npx(folder, *words)
    assert ours[0] == expected[0] == code
    assert ours[2].startswith(expected[2])
    assert ours[2].removeprefix(expected[2]).startswith("npx: ")


@pytest.mark.parametrize("include", [(), ("--include", "package.installed")], ids=["", "include"])
def test_names_of_the_user_are_bound_and_no_others(folder, include):
    code, out, err = npx(folder, *include, "bound.py")
    assert code == 0, err
    facts = json.loads(out)
    assert {name.partition(".")[0] for name in facts.pop("bound")} == {"npx"}
    assert facts == {
        "same": True,
        "real": ["numpy._core", "numpy", "numpy"],
        "star": True,
        "result": "npx",
        "pickle": "__main__",
        "installed": "npx" if include else "numpy",
    }


def test_processes_of_multiprocessing(folder):
    code, out, err = npx(folder, "--device", "reference", "pools.py")
    assert code == 0, err
    assert out.splitlines() == ["__mp_main__ [1, 2, 3] npx reference"] * 2


def test_loaders_of_others(folder):
    """pytest's rewriting of asserts, doctest, unittest, timeit."""
    code, out, err = npx(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", "test_it.py")
    assert (code, "3 passed" in out) == (0, True), out + err
    code, out, err = npx(folder, "-m", "timeit", "-n1", "-r1", "-s", "import numpy; print(numpy.__name__)", "pass")
    assert (code, out.startswith("npx\n")) == (0, True), out + err


def table(report, title):
    """A table of the report: first column -> the cells of the others, and its heads under None."""
    first, *lines = next(part for part in report.split("\n\n") if part.startswith(title)).splitlines()
    heads = first.split("  ", 1)[1].split()
    rows = (line.rsplit(None, len(heads)) for line in lines)
    return {None: heads, **{name.strip(): cells for name, *cells in rows}}


def test_report(folder):
    code, out, err = npx(folder, "--report", "--device", "reference", "counted.py")
    assert (code, out) == (0, ""), err
    calls = table(err, "calls")
    assert calls[None] == ["reference", "traced", "seconds"]
    assert {name: list(map(int, cells[:-1])) for name, cells in calls.items() if name} == {
        "add": [2, 1],  # `eye + 1`, `np.add`, and `+` in the recorded function
        "eye": [3, 0],
        "jit(<lambda>)": [2, 0],
        "linalg.cholesky": [2, 0],
        "multiply": [1, 0],
        "ones": [2, 0],
        "setitem": [1200, 0],
        "sin": [0, 1],
        "sum": [1, 0],
        "tolist": [1, 0],
    }
    assert table(err, "lines")["counted.py:7"][0] == "4"
    assert table(err, "round trips")["counted.py:7  cholesky_lo (reference)"] == ["2"]
    assert table(err, "values")["counted.py:8  tolist (reference)"][0] == "1"
    assert {line: cells[0] for line, cells in table(err, "Python loops").items() if line} == {"counted.py:5": "1200"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--option"], "error: unrecognized arguments: --option"),
        (["--device", "nowhere", "plain.py"], "error: argument --device: unknown device 'nowhere'"),
        (["--include"], "error: argument --include: expected one argument"),
        (["-m"], "error: argument expected for the -m option"),
        ([], "error: nothing to run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_command_lines(words, said, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(words)
    assert (stop.value.code, said in capsys.readouterr().err) == (2, True)


def test_version_and_help(capsys):
    for option, said in (("--version", importlib.metadata.version("npx-array")), ("--help", "--include PKG")):
        with pytest.raises(SystemExit) as stop:
            command.main([option])
        assert (stop.value.code, said in capsys.readouterr().out) == (0, True)


def test_who_wants_an_array_of_numpys_gets_advice(folder):
    expected, ours = python(folder, "refused.py"), npx(folder, "refused.py")
    assert expected == (0, "", "")
    assert ours[0] == 1 and ours[2].splitlines()[-1].startswith("npx: what takes numpy.ndarray only, gets one from")


def test_who_imported_numpy_first(folder):
    code, _, err = npx(folder, "-c", "", env={**os.environ, "PYTHONPATH": "early"})
    assert (code, err.startswith("npx: sitecustomize imported numpy before")) == (0, True), err
