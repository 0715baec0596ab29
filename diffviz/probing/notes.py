"""What the method assumes and a loss breaks, in words.

Each note is a function of the evidence that returns a sentence, or None where there is nothing to
say. A new note is a function here with a place in ``NOTES``, whose order is that of the output.

Two kinds of note are written elsewhere and come before these: those on a first look, in
``first_look``, and those on noises that do not count as eps, in ``reading``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from diffviz.probing.coefficients import Method
from diffviz.probing.dropped import Dropped, nothing_dropped
from diffviz.probing.first_look import CORRELATED, FirstLook

GAUSSIAN_KURTOSIS = 3
FEW = 1e-3  # share of the draws up to which rounding may be the cause
SOME = 0.01  # share of the draws that is more than chance


@dataclass(frozen=True)
class Evidence:
    """What notes are written from.

    Attributes:
        first_look: What the first look found.
        residuals: By what relative amount each assumption fails.
        lost: Share of the draws without a finite log-SNR or factor.
        dropped: Samples that are lost at levels that others have.
        kurtosis: Median kurtosis of the noise.
        unweighted: Share of the draws whose weight is 0.
        skipped: Share of the draws whose weight is 0 at random, whatever their level.
        misread: Share of the draws in which z or the target are no sums of parts, though most are.
        other_targets: Share of the draws whose target is not that of their neighbours.
        of_z_alone: The target is a multiple of z.
        negative: Share of the draws whose weight is below 0.
    """

    first_look: FirstLook
    residuals: dict[str, float]
    lost: float
    kurtosis: float
    unweighted: float = 0.0
    skipped: float = 0.0
    misread: float = 0.0
    other_targets: float = 0.0
    of_z_alone: bool = False
    negative: float = 0.0
    dropped: Dropped = field(default_factory=nothing_dropped)


def few_bits(evidence: Evidence) -> str | None:
    """Coefficients are rounded where the network gets numbers of few bits."""
    if evidence.first_look.tolerance <= 0.01:
        return None
    return (
        "the network gets numbers of few bits (bfloat16, half): alpha, sigma and λ are rounded, "
        "most in the tails"
    )


def lost_draws(evidence: Evidence) -> str | None:
    """Draws without a finite log-SNR or factor were left out."""
    if evidence.lost <= 0:
        return None
    return (
        f"{evidence.lost:.2g} of the draws gave no finite log-SNR or factor (no signal, no noise, "
        "or NaN): left out"
    )


def dropped_samples(evidence: Evidence) -> str | None:
    """Samples were lost at levels at which others were not."""
    dropped = evidence.dropped
    if not dropped.share:
        return None
    text = (
        f"in {dropped.share:.2g} of the samples {dropped.what} (dropped at random?): path and "
        "target are those of the others"
    )
    if dropped.depends:
        return f"{text}; the share depends on λ, and w is that of the samples that are not dropped"
    return f"{text}, and so is w up to a constant"


def levels_of_lost_draws(evidence: Evidence) -> str | None:
    """Draws were lost at levels that others have, or that cannot be told."""
    if evidence.lost <= FEW or evidence.dropped.told:
        return None
    return (
        "these are at levels that others have, or that cannot be told (dropped at random?): w "
        "scatters as those that are left; probe the loss without that step for more"
    )


def skipped_samples(evidence: Evidence) -> str | None:
    """Samples have a weight of 0 whatever their level."""
    if not evidence.skipped or evidence.first_look.coupling.refusal:
        return None
    return (
        f"{evidence.skipped:.2g} of the draws have a weight of 0 at levels at which others have "
        "one (samples are masked at random?): w is that of the others, and so it is of the loss, "
        "up to a constant"
    )


def changed_data(evidence: Evidence) -> str | None:
    """Data reach the network changed."""
    if not evidence.first_look.assumptions.changed_data:
        return None
    size = evidence.residuals["data"]
    off = f" (off by {size:.2g})" if size > evidence.first_look.tolerance else ""
    return (
        f"data reach the network changed at random, not linearly or by a matrix{off}: |alpha| is a "
        "ratio of sizes, and λ that of the data as they are noised, in units of their own"
    )


def unweighted_draws(evidence: Evidence) -> str | None:
    """Draws whose weight is 0."""
    is_told = evidence.first_look.coupling.refusal and evidence.unweighted < 1
    if evidence.unweighted <= 0 or is_told:
        return None
    return f"{evidence.unweighted:.2g} of the draws have a weight of 0; they count with w = 0"


def negative_weights(evidence: Evidence) -> str | None:
    """Draws whose weight is below 0."""
    if evidence.negative <= FEW or evidence.first_look.coupling.refusal:
        return None
    return (
        f"{evidence.negative:.2g} of the draws have a negative weight: there the loss pushes the "
        "output away from the target, and w is below 0 or a difference"
    )


def estimated_noise(evidence: Evidence) -> str | None:
    """Noise was drawn by torch, but reaches the network changed."""
    assumptions = evidence.first_look.assumptions
    if not assumptions.estimated_noise or assumptions.external_noise:
        return None
    size = evidence.residuals["noise"]
    off = f" (off by {size:.2g})" if size > evidence.first_look.tolerance else ""
    return f"noise is not made of recorded draws{off}: sigma is estimated"


def other_than_gaussian(evidence: Evidence) -> str | None:
    """Noise that is not Gaussian; its kurtosis is known well enough from 64 components on."""
    first_look = evidence.first_look
    measurable = first_look.assumptions.estimated_noise and first_look.components >= 64
    is_correlated = any(CORRELATED in note for note in first_look.notes)  # few are independent
    allowed = 1.0 if is_correlated else 0.2
    if not measurable or not abs(evidence.kurtosis - GAUSSIAN_KURTOSIS) > allowed:
        return None
    return (
        f"the noise is not Gaussian (kurtosis {evidence.kurtosis:.2f}): λ and w(λ) mean nothing "
        "without Gaussian noise"
    )


def other_noise_in_target(evidence: Evidence) -> str | None:
    """The target is not made of the noise in z alone."""
    if not evidence.residuals["apart"] > evidence.first_look.tolerance:
        return None
    return (
        f"the target holds other noise than z (off by {evidence.residuals['apart']:.2g}): "
        "b is its regression on the noise in z"
    )


def other_target(evidence: Evidence) -> str | None:
    """The target is not linear in x and eps."""
    first_look = evidence.first_look
    is_average = first_look.assumptions.method is Method.TWO_OUTPUTS
    if (
        is_average
        or first_look.added
        or first_look.coupling.refusal
        or not evidence.residuals["target"] > evidence.first_look.tolerance
    ):
        return None
    note = f"the target is no a x + b eps (off by {evidence.residuals['target']:.2g})"
    if evidence.first_look.dependence.found:
        return note
    return (
        f"{note}: a function of the data, or of a network that was not found, or noise that z does "
        "not hold"
    )


def misread_draws(evidence: Evidence) -> str | None:
    """A few draws are made otherwise than most."""
    if evidence.misread <= FEW:
        return None
    return (
        f"in {evidence.misread:.2g} of the draws z or the target is made otherwise than in the "
        "rest (clipped, or chosen for some calls or samples?): these are misread, and λ and w "
        "describe the rest"
    )


def several_targets(evidence: Evidence) -> str | None:
    """Draws of one log-SNR have different targets."""
    if evidence.other_targets <= SOME:
        return None
    return (
        f"in {evidence.other_targets:.2g} of the draws the target is another one than in draws of "
        "near λ (chosen by call or sample?): w is an average over several targets"
    )


def target_of_z(evidence: Evidence) -> str | None:
    """The target holds nothing that z does not tell."""
    if not evidence.of_z_alone:
        return None
    return (
        "the target is a multiple of z (a frozen network, or z itself?): there is nothing to "
        "denoise, and the error of eps has no weight"
    )


def scattered_factor(evidence: Evidence) -> str | None:
    """Draws of one log-SNR have different factors."""
    first_look = evidence.first_look
    if first_look.dependence.found or not evidence.residuals["factor"] > 0.02:
        return None
    return (
        f"factors at the same λ scatter by {evidence.residuals['factor']:.2g}: computed from the "
        "data or over the batch, or weights by sample? w is their mean"
    )


def unreadable_factor(evidence: Evidence) -> str | None:
    """The factor could not be read at all."""
    first_look = evidence.first_look
    is_told = first_look.coupling.has_target or first_look.added
    if first_look.factor_readable or is_told:
        return None
    return (
        "neither squared nor a function of each component's error: the factor cannot be told, "
        "path and density can"
    )


NOTES: tuple[Callable[[Evidence], str | None], ...] = (
    few_bits,
    dropped_samples,
    lost_draws,
    levels_of_lost_draws,
    skipped_samples,
    unweighted_draws,
    negative_weights,
    changed_data,
    estimated_noise,
    other_than_gaussian,
    other_noise_in_target,
    other_target,
    misread_draws,
    several_targets,
    target_of_z,
    scattered_factor,
    unreadable_factor,
)


def write_notes(evidence: Evidence) -> list[str]:
    """All notes that apply.

    Args:
        evidence: What notes are written from.

    Returns:
        Sentences, in a fixed order.
    """
    sentences = [note(evidence) for note in NOTES]
    return [sentence for sentence in sentences if sentence is not None]


SLIGHT = (
    lost_draws,
    skipped_samples,
    unweighted_draws,
    scattered_factor,
)  # log-SNR and weighting hold all the same


def any_is_grave(evidence: Evidence) -> bool:
    """Whether a note says that log-SNR or the weighting are no exact description of the loss.

    Args:
        evidence: What was found.

    Returns:
        Whether there is such a note.
    """
    return evidence.first_look.assumptions.estimated_noise or any(
        note(evidence) is not None for note in NOTES if note not in SLIGHT
    )
