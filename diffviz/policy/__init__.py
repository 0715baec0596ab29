"""Policy: surrogates that put a diffusion loss in the place of a likelihood.

``surrogates`` has the ratios and losses of DDPO, FPO, AWR and DPO under any objective. The other
files are a small problem on which policies learn by them: ``environment`` gives the rewards,
``policies`` act, ``methods`` say what is compared and minimised, and ``bandit`` is the loop.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
