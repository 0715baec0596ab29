"""Figures: each a registered function that draws an experiment, one file a subject.

``draw`` returns a figure by its name, ``write`` saves figures to files, and ``FIGURES`` lists them.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
