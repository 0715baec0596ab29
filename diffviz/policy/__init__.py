"""Policy: surrogates that put a diffusion loss in the place of a likelihood.

``surrogates`` has the ratios and losses of DDPO, FPO, AWR and DPO under any objective; ``bandit``
has a small problem on which policies learn by them.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
