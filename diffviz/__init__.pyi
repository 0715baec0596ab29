# The public names of diffviz: what `dir(diffviz)` shows, and what an editor completes.
from . import lab, plots
from .data import dataset, mixture, toy
from .few_steps import few_step, few_step_catalogue
from .learning import AdaptiveObjective, Diverged, LossByLogSNR, Run, fit, floor, models, read_log
from .masked import MaskedObjective, masked_catalogue, masked_objective, probe_masked
from .recipes import catalogue, closest, from_diffusers, from_settings, objective
from .reports import probe, probe_arrays, report
from .sampling import elbo, grid, log_likelihood, sample, solvers
from .theory import (
    Objective,
    augmentation_density,
    cascade,
    compare,
    equivalent,
    families,
    from_weighting,
    laws,
    loss_density,
    losses,
    multipliers,
    paths,
    rebase,
    share_below,
    targets,
    verdict,
    with_loss,
)

__version__: str

__all__ = [
    "AdaptiveObjective",
    "Diverged",
    "LossByLogSNR",
    "MaskedObjective",
    "Objective",
    "Run",
    "augmentation_density",
    "cascade",
    "catalogue",
    "closest",
    "compare",
    "dataset",
    "elbo",
    "equivalent",
    "families",
    "few_step",
    "few_step_catalogue",
    "fit",
    "floor",
    "from_diffusers",
    "from_settings",
    "from_weighting",
    "grid",
    "lab",
    "laws",
    "log_likelihood",
    "loss_density",
    "losses",
    "masked_catalogue",
    "masked_objective",
    "mixture",
    "models",
    "multipliers",
    "objective",
    "paths",
    "plots",
    "probe",
    "probe_arrays",
    "probe_masked",
    "read_log",
    "rebase",
    "report",
    "sample",
    "share_below",
    "solvers",
    "targets",
    "toy",
    "verdict",
    "with_loss",
]
