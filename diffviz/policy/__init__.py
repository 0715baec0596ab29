"""Policy: surrogates that put a diffusion loss in the place of a likelihood.

``surrogates`` has the ratios and losses of DDPO, FPO, AWR, AWM, NFT and DPO under any objective.
``steps`` has the exact likelihood of each step of a sampler with noise, and what the code of
Flow-GRPO, DanceGRPO and coefficient-preserving sampling computes instead. The other files are a
small problem on which policies learn: ``environment`` gives the rewards, ``policies`` act,
``methods`` say what is compared and minimised, and ``bandit`` is the loop.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
