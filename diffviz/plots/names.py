"""Names in pictures: which texts can be written to any file, and how much of a long one is shown.

A name stands whole in the ``gid`` of its artists, by which they are found. A legend shows the
beginning of a long one.
"""

import unicodedata
from typing import Any

from matplotlib.cbook import is_math_text
from matplotlib.mathtext import MathTextParser

from diffviz import checks

LONGEST = 48  # characters of a name that a legend shows
BREAKS = "\n\t"
UNPRINTABLE = ("Cc", "Cs")  # categories of Unicode: controls, and halves of pairs of UTF-16
PARSER = MathTextParser("path")


def printable(text: Any, what: str) -> str:
    """A text that every format of pictures can hold.

    Args:
        text: The text.
        what: What it is, for messages, such as "the name of a curve".

    Returns:
        The text.

    Raises:
        TypeError: It is no text.
        ValueError: It holds a control character, which SVG does not allow, or half a character.
    """
    checks.require(isinstance(text, str), f"{what} must be text, got {text!r}", TypeError)
    for position, character in enumerate(text):
        if unicodedata.category(character) in UNPRINTABLE and character not in BREAKS:
            raise ValueError(
                f"{what} must hold no control character, got {character!r} at position {position} "
                f"of {text[:LONGEST]!r}; leave it out"
            )
    return text


def shown(name: str) -> str:
    """What a legend shows of a name.

    Args:
        name: The name. Text between two dollars is a formula of Matplotlib if it can be read as
            one; otherwise the dollars are shown.

    Returns:
        The name, or the beginning of a long one with an ellipsis.
    """
    start = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return start if _is_readable(start) else start.replace("$", r"\$")


def _is_readable(text: str) -> bool:
    """Whether Matplotlib can draw a text, which it can unless that holds half a formula."""
    if not is_math_text(text):
        return True
    try:
        PARSER.parse(text)
    except ValueError:
        return False
    return True
