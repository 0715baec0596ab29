"""Theory: what an objective is made of, and what its weighting says.

NumPy and SciPy in float64, without torch. A path gives the scales alpha and sigma, a law gives the
density of log-SNR, a target and a multiplier say which error is squared. Together they are an
``Objective``. ``families`` builds objectives from parameters, and ``losses`` has those that are not
squared, with their local weighting. ``weightings`` evaluates what counts as a weighting and moves
it from base to base. ``analysis`` asks whether a weighting is an ELBO, which objectives are the
same, and where the loss is spent. ``atoms`` holds laws on a table of levels and the curves that
follow from them, and ``discretisation`` says of which continuous weighting a table is one.
``elbo_mixture`` splits a weighted loss into ELBOs, and ``prior`` says what the start of sampling
costs.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
