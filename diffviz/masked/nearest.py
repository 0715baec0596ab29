"""The entries of the catalogue that are nearest to a measured masked loss."""

from dataclasses import dataclass

from diffviz.checks import brief, count
from diffviz.masked.entries import CATALOGUE
from diffviz.masked.measurement import MaskedMeasured, weight_elsewhere

EQUAL = 0.01  # share of the weight up to which losses are the same, within what was drawn


@dataclass(frozen=True)
class Near:
    """An entry, and how far a loss is from it.

    Args:
        name: Name of the entry.
        deviation: Share of the weight by which they differ, relative to the ELBO.
    """

    name: str
    deviation: float


def closest_masked(measured: MaskedMeasured, k: int = 3) -> list[Near]:
    """Entries whose weights are nearest to those of a measured loss.

    They are compared by the number of masked tokens, at the length that was measured, so that
    masks of a fixed number and independent ones can be compared.

    Args:
        measured: From ``dv.probe_masked``.
        k: Number of entries.

    Returns:
        The entries, the nearest first. Of those that are equal within 1 %, the ones that average
        and mask in the same way come first.

    Raises:
        TypeError: ``measured`` is no measurement, or k is no whole number.
        ValueError: k is below 1.
    """
    if not isinstance(measured, MaskedMeasured):
        raise TypeError(f"measured must come from dv.probe_masked, got {brief(measured)}")
    weights = measured.count_weights()
    near = [
        Near(name, weight_elsewhere(weights, entry.count_weights(measured.length)))
        for name, entry in CATALOGUE.items()
    ]
    return sorted(near, key=lambda one: _rank(one, measured))[: count(k, "k")]


def _rank(near: Near, measured: MaskedMeasured) -> tuple[bool, bool, bool, float]:
    """Where an entry stands: among equal weights, those of the same average and masks first."""
    entry = CATALOGUE[near.name]
    is_counted = entry.masks != "independent"
    is_equal = near.deviation <= EQUAL
    return (
        not is_equal,
        is_equal and entry.average != measured.average,
        is_equal and is_counted != (measured.masks == "counted"),
        near.deviation,
    )
