"""Colours of what is no objective: one for each role, the same in every explorer.

The browser gets them from Python, so that no module of JavaScript has a colour of its own.
"""

from diffviz.plots import PALETTE
from diffviz.plots.style import DRAWN, NEGATIVE

__all__ = ["BESIDE", "DRAWN", "FACTOR", "NEGATIVE", "PERCEIVED", "PRODUCT", "REFERENCE", "SUBJECT"]

SUBJECT = PALETTE[0]  # the quantity that a picture is about
BESIDE = PALETTE[4]  # what stands beside it
REFERENCE = PALETTE[9]  # what is known exactly, or was there before
PERCEIVED = PALETTE[3]  # what an eye or an ear makes of it
FACTOR = PALETTE[5]  # a third quantity
PRODUCT = PALETTE[6]  # what is made of the others
