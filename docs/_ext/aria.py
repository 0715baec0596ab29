"""Say how deep the captions of the sidebar are, as their role of a heading asks for."""

from typing import Any

from sphinx.application import Sphinx

CAPTION = '<p class="caption" role="heading">'
WITH_LEVEL = '<p class="caption" role="heading" aria-level="2">'
LATE = 900  # after the theme has made its sidebar


def add_levels(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Add the level to the captions of the sidebar and of the page."""
    for name in ("furo_navigation_tree", "body"):
        if isinstance(context.get(name), str):
            context[name] = context[name].replace(CAPTION, WITH_LEVEL)


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at each page after the theme has."""
    app.connect("html-page-context", add_levels, priority=LATE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
