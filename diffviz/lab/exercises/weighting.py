"""Judges of notebook 1: what objectives weight."""

from collections.abc import Iterable
from typing import Any

from diffviz.lab.exercises.answers import entry, number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.families import flow

EDM2_DENSITY_PEAK = 0.8  # λ in nats at which EDM2 looks most often


@exercise("edm2-peak")
def edm2_peak(answer: Any) -> str:
    """The λ at which EDM2's weighting is largest."""
    value, truth = number(answer), analysis.verdict(CATALOGUE["edm2"]).peak
    if abs(value - truth) < 0.02:
        return RIGHT
    if abs(value - EDM2_DENSITY_PEAK) < 0.1:
        return (
            "That is where EDM2 looks most often, p(λ). "
            "Its weighting is p times gain² times the multiplier."
        )
    side = "lower" if value > truth else "higher"
    return (
        f"The peak lies at a {side} log-SNR. Evaluate (1 + e^(−λ)/σ_data²) p(λ) on a grid, with "
        "σ_data = 0.5 and p that of N(0.8, 2²), since λ = −2 ln σ."
    )


@exercise("same-as-fm")
def same_as_fm(answer: Any) -> str:
    """Objectives with other targets than u that weight as flow matching does."""
    several = isinstance(answer, Iterable) and not isinstance(answer, str)
    given = [entry(each) for each in (answer if several else [answer])]
    flow_matching = CATALOGUE["fm-ot"]
    for candidate in sorted(given, key=lambda candidate: candidate.name):
        comparison = analysis.compare(candidate, flow_matching)
        if not comparison.same:
            place = f"{comparison.deviation:.0%} at λ = {comparison.at:.1f}"
            return f"{candidate.name} differs by {place}."
    by_target = {candidate.target.name: candidate.name for candidate in given}
    with_u = by_target.pop("u", None)
    if len(by_target) >= 2:
        return RIGHT
    if with_u and not by_target:
        return f"{with_u} is the same loss with the target u; find two others. dv.equivalent helps."
    if not by_target:
        return "Name two objectives of the catalogue."
    (target,) = by_target
    return (
        f"{by_target[target]} counts: it regresses on {target}. One more is missing, with another "
        f"target than u and {target}. dv.equivalent helps."
    )


@exercise("centre-the-loss")
def centre_the_loss(answer: Any) -> str:
    """The time shift under which half of a logit-normal flow's loss lies below λ = 0."""
    shift = number(answer)
    if not 0.01 <= shift <= 100:
        return "A shift is a positive factor; try between 0.1 and 10."
    share = analysis.share_below(flow(0.5, 0.6, shift), mmse=analysis.gaussian_mmse)
    if abs(share - 0.5) < 0.005:
        return RIGHT
    return (
        f"With this shift {share:.1%} of the loss lies below λ = 0; "
        "a shift s moves every λ by −2 log s."
    )
