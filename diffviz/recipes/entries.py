"""All entries in one mapping, family by family."""

from collections.abc import Mapping
from types import MappingProxyType

from diffviz.checks import unknown
from diffviz.recipes import (
    ddpm,
    diffsynth_templates,
    diffusers_examples,
    edm,
    elbo,
    flow,
    flow_times,
    kdiffusion,
    latents,
    pixels,
    policies,
    proteins,
    reweighted,
    schedules,
    score,
    shifts,
    sigmoid,
    smalldiffusion,
    speech,
    v_prediction,
    weather,
    x_prediction,
)
from diffviz.theory.objectives import Objective

ENTRIES: tuple[Objective, ...] = (
    *elbo.ENTRIES,
    *ddpm.ENTRIES,
    *score.ENTRIES,
    *schedules.ENTRIES,
    *v_prediction.ENTRIES,
    *x_prediction.ENTRIES,
    *reweighted.ENTRIES,
    *sigmoid.ENTRIES,
    *edm.ENTRIES,
    *kdiffusion.ENTRIES,
    *diffusers_examples.EDM_STYLE,
    *flow.ENTRIES,
    *flow_times.ENTRIES,
    *diffusers_examples.SD3,
    *smalldiffusion.ENTRIES,
    *shifts.ENTRIES,
    *diffsynth_templates.ENTRIES,
    *pixels.ENTRIES,
    *latents.ENTRIES,
    *speech.ENTRIES,
    *policies.ENTRIES,
    *weather.ENTRIES,
    *proteins.ENTRIES,
)

CATALOGUE: Mapping[str, Objective] = MappingProxyType({entry.name: entry for entry in ENTRIES})
catalogue = CATALOGUE  # as ``dv.catalogue``


def objective(name: str) -> Objective:
    """The entry of the catalogue with this name.

    Args:
        name: Name of the entry, such as "edm" or "fm-ot".

    Returns:
        The entry.

    Raises:
        ValueError: There is no entry of this name. The message lists names that are near.

    Example:
        >>> dv.objective("edm").year
        2022
        >>> dv.objective("edmm")
        Traceback (most recent call last):
            ...
        ValueError: unknown objective 'edmm'; did you mean 'edm', ...
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("objective", name, CATALOGUE, "dv.catalogue")
    return CATALOGUE[name]
