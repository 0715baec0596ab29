"""Sampling: from noise to data along a grid of log-SNR, and how likely data are.

``grids`` makes grids, ``solvers`` make one step, ``integrate`` runs a solver and keeps the
trajectory, ``trajectories`` asks when a sample is settled, ``couplings`` pairs noise with data, and
``likelihood`` has the ELBO and the likelihood by the probability-flow ODE. ``draws`` takes random
numbers from a generator on any device. ``dv.sample`` and ``dv.grid`` are the doors;
``default_grid`` is the grid that ``dv.sample`` takes if none is given.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
