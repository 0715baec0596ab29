"""Reports: a measured loss beside the nearest entries, and one page to share.

``measurement`` puts a measured loss beside the catalogue. ``card`` gathers what there is to say
about an objective, a measured loss or a loss by log-SNR, ``pictures`` draws it, and ``page`` writes
it as one HTML file or one picture.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
