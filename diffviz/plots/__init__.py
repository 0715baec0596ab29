"""Plots as functions of arrays, each on a figure of its own.

Nothing here knows the rest of the package but its checks. ``curves`` draws lines and weightings,
``scales`` normalises weightings, ``canvas`` makes figures, ``style`` gives each objective one
colour, ``names`` says which names can be written, and ``files`` writes figures whose bytes do not
change from run to run.

Example:
    >>> curves = {"edm": dv.objective("edm")}
    >>> ax = dv.plots.weighting_curves(np.linspace(-10, 10, 101), curves)
    >>> [line.get_gid() for line in ax.lines]
    ['edm', 'edm:ends']
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
