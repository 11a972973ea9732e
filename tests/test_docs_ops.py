"""The pages that list what npx has list all of it: a row for each op, an entry for each transform."""

import re
import sys
from pathlib import Path

import pytest

from npx.dispatch import registry
from npx.transforms import EXPORTS

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def ops_page():
    """The text that the docs build writes to `ops.md`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield __import__("generate_ops").page()
    del sys.modules["generate_ops"]


def rows(page):
    """Name of an op -> the cells of its row, by column."""
    found, columns = {}, []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| op "):
            columns = cells
        elif line.startswith("| `"):
            assert len(cells) == len(columns), f"a broken row: {line}"
            found[cells[0].strip("`")] = dict(zip(columns, cells))
    return found


def test_each_op_has_a_row(ops_page):
    assert rows(ops_page).keys() == registry.OPS.keys()


def test_cells_are_filled(ops_page):
    empty = [(name, column) for name, row in rows(ops_page).items() for column, cell in row.items() if not cell]
    assert not empty


def test_cells_tell_the_truth(ops_page):
    table = rows(ops_page)
    assert table["add"]["derivative"] == "linear"
    assert table["equal"]["derivative"] == "zero"
    assert table["exp"]["derivative"] == "both modes"
    assert table["argsort"]["derivative"] == "zero"
    assert table["spacing"]["derivative"] == f"none: {registry.OPS['spacing'].no_deriv}"
    assert [table[n]["vmap"] for n in ("host_call", "nonzero", "exp")] == ["loop", "own rule", "elementwise"]
    assert [
        table[name]["compiled"] for name in ("exp", "transpose", "setitem", "sort")
    ] == "fused view write call".split()
    assert table["sum"]["NumPy"] == "`numpy.add.reduce`"


def test_each_transform_is_documented():
    documented = re.findall(r"auto(?:function|class):: npx\.(\w+)$", (DOCS / "api.md").read_text(), re.M)
    assert sorted(documented) == sorted(EXPORTS)
