"""Policy: surrogates that put a diffusion loss in the place of a likelihood.

``surrogates`` has the ratios and losses of DDPO, FPO, AWR and DPO under any objective; ``bandit``
has a small problem on which policies learn by them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
