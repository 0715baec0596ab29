"""Theory: what an objective is made of, and what its weighting says.

NumPy and SciPy in float64, without torch. A path gives the scales alpha and sigma, a law the density
of log-SNR, a target and a multiplier the error that is squared; together they are an ``Objective``.
``families`` builds objectives from parameters, ``analysis`` asks whether a weighting is an ELBO,
which objectives are the same, and where the loss is spent.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
