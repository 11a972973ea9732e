"""Sphinx configuration."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
import generate_ops  # noqa: E402
import generate_support  # noqa: E402

project = "npx"
author = "The npx developers"
release = importlib.metadata.version("npx-array")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False}


def setup(app):
    """Write the generated pages before Sphinx looks for pages."""
    for generator in (generate_ops, generate_support):
        app.connect("builder-inited", lambda app, generator=generator: generator.write_page())
