from . import couplings, grids, integrate, likelihood, solvers, trajectories
from .grids import grid
from .integrate import Stopped, Trajectory, sample
from .likelihood import Bound, elbo, log_likelihood
from .solvers import SOLVERS

__all__ = [
    "SOLVERS",
    "Bound",
    "Stopped",
    "Trajectory",
    "couplings",
    "elbo",
    "grid",
    "grids",
    "integrate",
    "likelihood",
    "log_likelihood",
    "sample",
    "solvers",
    "trajectories",
]
