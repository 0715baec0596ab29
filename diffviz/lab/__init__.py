"""Lab: what the notebooks are made of.

``experiments`` compute numbers, ``figures`` draw them, ``explorers`` connect controls to pictures.
One subject has the same name in all three. ``exercises`` checks what a reader writes. ``losses``
has training losses, right and wrong, to try the probe on. ``slides`` makes decks of the figures.

Example:
    >>> round(dv.lab.experiments.weighting.peak("edm"), 2)
    -3.31
    >>> sorted(dv.lab.losses.INTENDED)
    ['A', 'B', 'C', 'D', 'E']
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
