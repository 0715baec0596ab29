"""Slides of the figures: a deck for the browser and one for PowerPoint.

A slide has a title, its figure, one sentence, the source, and notes for the speaker. The deck for
the browser is one file that fetches nothing; S opens the view of the speaker.

Example:
    >>> from diffviz.lab import slides
    >>> slides.slides(["weightings"])[0].title
    'One axis for all objectives'
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
