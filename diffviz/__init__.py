"""diffviz: what does this diffusion loss really optimise?

Every Gaussian diffusion objective is one weighted loss over log-SNR. This package computes the
weighting of published objectives, measures it from training code, trains small models under it and
draws it. ``import diffviz as dv`` costs next to nothing: a part loads when its name is first used,
and only learning, sampling, probing and searching load torch.

Example:
    >>> import diffviz as dv
    >>> dv.objective("edm").weighting([-4.0, 0.0, 4.0]).round(3)
    array([2.083, 1.008, 0.286])
    >>> dv.compare(dv.objective("fm-ot"), dv.objective("v-cosine")).same
    True
"""

from diffviz import extras

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
