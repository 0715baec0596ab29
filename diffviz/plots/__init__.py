"""Plots as functions of arrays, each on a figure of its own.

Nothing here knows the rest of the package but its checks. ``curves`` draws lines and weightings,
``scales`` normalises weightings, ``canvas`` makes figures, ``style`` gives each objective one
colour, and ``files`` writes figures whose bytes do not change from run to run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
