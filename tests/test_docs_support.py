"""The page of what runs where: a row for each function, and cells that say what the tests find."""

import sys
from pathlib import Path

import pytest
from conformance.calls import public_functions

from npx.dispatch import debug, registry

DOCS = Path(__file__).parent.parent / "docs"
CALLED = ("numpy.sin", "numpy.argsort", "numpy.linalg.inv", "numpy.linalg.eigvals", "polynomial.polyadd")


@pytest.fixture(scope="module")
def support():
    """The module that writes the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield __import__("generate_support")
    del sys.modules["generate_support"]


@pytest.fixture(scope="module")
def rows(support):
    """Function -> its cells, by column, for a few functions."""
    pytest.importorskip("jax")
    before = dict(registry.BACKENDS)
    lines = [line for line in support.page(CALLED).splitlines() if line.startswith("|")]
    assert registry.BACKENDS == before, "the recording backends must go"
    debug.round_trips.clear()
    columns = [cell.strip() for cell in lines[0].strip("|").split("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert all(len(row) == len(columns) for row in cells)
    return {row[0].strip("`"): dict(zip(columns, row)) for row in cells}


def test_each_function_has_a_row(rows):
    wanted = {f.name for f in public_functions() if f.samples and any(word in f.name for word in CALLED)}
    assert wanted == rows.keys() and {"numpy.sin", "numpy.linalg.inv"} <= wanted


def test_cells_tell_the_truth(rows):
    sin = {"function": "`numpy.sin`", **dict.fromkeys(("jit", "derivative", "vmap", "XLA", "CuPy"), "yes")}
    assert rows["numpy.sin"] == sin
    assert rows["numpy.argsort"]["derivative"] == "zero"
    assert rows["numpy.linalg.inv"]["XLA"] == "host" and rows["numpy.linalg.inv"]["CuPy"] == "host: `inv`"
    polyadd = rows["numpy.polynomial.polynomial.polyadd"]
    assert polyadd["jit"] == "split" and polyadd["vmap"] == "yes"


def test_counts_add_up(support, rows):
    assert f"Of {len(rows)} functions" in support.counts(list(rows.values()))
