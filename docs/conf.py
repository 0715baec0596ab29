"""Sphinx's settings: the pages of ``docs`` and the reference that is made from the docstrings.

Why Sphinx: both were tried, Sphinx with myst-nb and mkdocs-material with mkdocstrings and
mkdocs-jupyter. Both show the lazy names of the package with their signatures. The notebooks
decided: myst-nb puts them on pages like all others, while mkdocs-jupyter embeds a whole page of its
own for each, which fetches scripts from the network when it is read; and mkdocs prints that its
second version will not run the theme. A reader of these pages needs no network.
"""

import sys
from pathlib import Path

import diffviz

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "diffviz"
author = "the diffviz authors"
copyright = author
version = release = diffviz.__version__
extensions = [
    "aria",
    "bibliography",
    "mathml",
    "plain_docstrings",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "pages", "_doctrees"]

html_theme = "furo"
html_title = "diffviz"
html_math_renderer = "mathml"
html_copy_source = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are committed executed

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False  # there are none, and looking for them takes long
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
suppress_warnings = ["mystnb.unknown_mime_type"]

if tags.has("site"):  # noqa: F821, Sphinx defines it; make_site.py sets this tag
    html_static_path = ["_static"]
    html_favicon = "_static/favicon.svg"
    html_css_files = ["site.css"]
    html_js_files = [("site.js", {"type": "module"})]
    html_show_sourcelink = False
    html_show_copyright = False
