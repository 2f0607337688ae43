"""Sphinx configuration; `make docs` builds the pages to build/docs and takes every warning for an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from wtransport.version import __version__  # noqa: E402 - found on the path that the line above makes

project = "wtransport"
author = "the wtransport authors"
version = release = __version__

extensions = ["myst_parser", "reference", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples/README.md", "figures/*.md"]  # figures: included by a page

html_theme = "furo"
html_title = f"wtransport {__version__}"
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Single backticks in docstrings name a thing of the API where there is one, and are code otherwise.
default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Otherwise "Returns" of a section would need a type in front of its first colon.
napoleon_use_rtype = False
