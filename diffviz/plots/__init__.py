"""Plots as functions of arrays, each on a figure of its own.

Nothing here knows the rest of the package but its checks. ``curves`` draws, ``style`` gives each
objective one colour and dash, and ``save`` writes files whose bytes do not change from run to run.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
