"""smalldiffusion's schedule: ln sigma uniform on the variance-exploding path."""

from diffviz.recipes.closed_forms import elbo, squared_v_gain
from diffviz.theory import paths
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import EPS, V

SMALLDIFFUSION = "yuanchenyang/smalldiffusion"

LOG_LINEAR = paths.ve(sigma_min=0.02, sigma_max=10)

ENTRIES = (
    Objective(
        name="smalldiffusion",
        family="eps",
        year=2024,
        source=f"{SMALLDIFFUSION} ScheduleLogLinear",
        path=LOG_LINEAR,
        target=EPS,
        stated=elbo,
    ),
    Objective(
        name="smalldiffusion-v",
        family="v",
        year=2024,
        source=f"{SMALLDIFFUSION} PredV",
        path=LOG_LINEAR,
        target=V,
        stated=squared_v_gain,
    ),
)
