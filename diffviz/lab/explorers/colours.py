"""Colours of what is no objective: one for each role, the same in every explorer.

No objective has them, whether by ``plots.COLOURS`` or by the checksum of its name. The browser gets
them from Python, so that no module of JavaScript has a colour of its own.
"""

from diffviz.plots.style import BEST, DRAWN, FOCUS, NEGATIVE, OTHERS, REFERENCE

__all__ = ["BESIDE", "BEST", "NEGATIVE", "OWN", "REFERENCE", "SUBJECT", "THIRD"]

SUBJECT = FOCUS  # the quantity that a picture is about
BESIDE = OTHERS[5]  # what stands beside it
THIRD = OTHERS[3]  # one more quantity
OWN = DRAWN  # what a reader draws, composes or starts
