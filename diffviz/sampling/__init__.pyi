from . import couplings, draws, grids, integrate, likelihood, solvers, trajectories
from .grids import grid
from .integrate import Stopped, Trajectory, default_grid, sample
from .likelihood import Bound, elbo, log_likelihood
from .solvers import SOLVERS, Solver, StepDenoiser

__all__ = [
    "SOLVERS",
    "Bound",
    "Solver",
    "StepDenoiser",
    "Stopped",
    "Trajectory",
    "couplings",
    "default_grid",
    "draws",
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
