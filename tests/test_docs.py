"""The Python code of the README and of each page of the docs runs, page by page, as a reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def code(text):
    """The Python blocks of a page one after another, each on the lines that it has in the page."""
    lines = [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        body = block[1].splitlines()
        lines[first : first + len(body)] = body
    return "\n".join(lines)


PAGES = [p for p in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if BLOCK.search(p.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page_runs(page, tmp_path):
    """In an interpreter of its own: a page may declare ops and register backends."""
    script = tmp_path / f"page_{page.stem}.py"  # a module of Python's may have the name of the page
    script.write_text(code(page.read_text()))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{page.name} (line numbers are those of the page)\n{done.stderr}"


@pytest.mark.parametrize("name", ["README.md", "docs/add_an_op.md", "docs/add_a_backend.md"])
def test_page_has_code(name):
    assert ROOT / name in PAGES


def test_links_lead_somewhere():
    """Relative links in the README and the docs lead somewhere."""
    for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


FOLDERS = "npx|dispatch|kernels|tests|docs|examples|asv_bench"
FILE = rf"`((?:{FOLDERS})/[\w./]*\w)`"


@pytest.mark.parametrize("page", [ROOT / "README.md", *ROOT.glob("docs/*.md")], ids=lambda p: p.name)
def test_references_hold(page):
    """A file that a page names exists, and what it says is "in" that file is there."""
    text = page.read_text()
    for file in re.findall(FILE, text):
        assert (ROOT / file).exists(), f"{page.name} speaks of {file}"
    for name, file in re.findall(rf"`(\w+)`\s+in\s+{FILE}", text):
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), f"{page.name} says that {name} is in {file}"
