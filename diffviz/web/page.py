"""An explorer as a page without a kernel: one file that holds all it needs.

The browser computes with the module of JavaScript that the explorer names as ``local``, and with
what it gave as ``local_data`` and ``page_data``. The file needs neither a server nor a network.

Example:
    >>> from diffviz.lab.explorers import ComposerExplorer
    >>> from diffviz.web import page
    >>> text = page.html(ComposerExplorer())
    >>> text.startswith("<!doctype html>"), " src=" in text
    (True, False)
"""

import base64
import json
from html import escape
from pathlib import Path
from typing import Any, Protocol

from diffviz import checks
from diffviz.web import bundle
from diffviz.web.description import Description

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0; color-scheme: light dark; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #181818; }} }}
{style}
</style>
<div id="explorer"><noscript>This explorer needs JavaScript.</noscript></div>
<script id="opening" type="application/json">{opening}</script>
<script id="buffers" type="text/plain">{buffers}</script>
<script type="module">
{script}
</script>
</html>
"""


class Explorer(Protocol):
    """What a page is made of."""

    description: Description

    def opening(self, *, on_page: bool = False) -> tuple[dict[str, Any], list[bytes]]:
        """The first message to the browser, and the buffers of its arrays."""


def _check_explorer(explorer: Any) -> None:
    """Refuse what is no explorer."""
    checks.able(explorer, "explorer", ("opening",), "an explorer such as ComposerExplorer()")
    if not isinstance(getattr(explorer, "description", None), Description):
        raise TypeError(f"explorer must have a description, got {checks.brief(explorer)}")


def opening(explorer: Explorer) -> tuple[str, bytes]:
    """What a page begins with; ``page.js`` reads it.

    Args:
        explorer: The explorer, in the state in which the page opens.

    Returns:
        The first message with the lengths of its buffers, as JSON, and the buffers, one after the
        other.
    """
    _check_explorer(explorer)
    message, buffers = explorer.opening(on_page=True)
    lengths = [len(buffer) for buffer in buffers]
    text = json.dumps({"message": message, "lengths": lengths}, ensure_ascii=False)
    return text, b"".join(buffers)


def html(explorer: Explorer) -> str:
    """An explorer as the text of a page.

    Args:
        explorer: The explorer, in the state in which the page opens.

    Returns:
        The page.

    Raises:
        ValueError: The browser cannot compute this explorer.
    """
    _check_explorer(explorer)
    description = explorer.description
    checks.require(
        description.local,
        f"{description.title} needs a kernel, so it has no page; the explorers with a page name "
        "a module of JavaScript as local in their description",
    )
    text, buffers = opening(explorer)
    return PAGE.format(
        title=escape(description.title),
        style=bundle.style(),
        opening=text.replace("</", "<\\/"),  # it would end the element
        buffers=base64.b64encode(buffers).decode(),
        script=bundle.module("alone.js", description.local),
    )


def write(explorer: Explorer, path: str | Path) -> Path:
    """Write an explorer as a page.

    Args:
        explorer: The explorer, in the state in which the page opens.
        path: Where to write; the ending is .html.

    Returns:
        The path of the file.

    Raises:
        ValueError: The path has another ending, or the browser cannot compute this explorer.
    """
    file = checks.place(checks.instance(path, "path", (str, Path), "text or a path"))
    checks.require(file.suffix == ".html", f"the path of a page ends in .html, got {str(path)!r}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html(explorer), encoding="utf-8")
    return file
