"""Weightings that released code has by mistake, beside those that were meant."""

import numpy as np

from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.families import edm, flow_uniform
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE
from diffviz.theory.targets import EPS, V


def bugs() -> dict[str, dict[str, Objective]]:
    """Historical mistakes beside what was meant: panel title to named objectives."""
    snr_plus_one = Objective("min-snr-5 v, SNR + 1 (wrong)", "bug", 2023, "huggingface/diffusers issue 5654", COSINE, V,
                             lambda l: np.minimum(np.exp(l) + 1, 5) / (np.exp(l) + 1))  # fmt: skip
    maximum = Objective("max-snr-5 (wrong)", "bug", 2023, "lucidrains/recurrent-interface-network-pytorch issue 11", COSINE, EPS,
                        lambda l: np.maximum(np.exp(l), 5) / np.exp(l))  # fmt: skip
    ignored = flow_uniform(
        1.0,
        "sd3, no effect (wrong)",
        family="bug",
        year=2024,
        source="huggingface/diffusers PR 8528",
    )
    missing = edm(
        -1.2,
        1.2,
        1.0,
        "edm, sigma_data 1 (wrong)",
        family="bug",
        year=2022,
        source="a default left in place",
    )
    return {
        "Min-SNR for v: numerator": {
            "min-snr-5-v": CATALOGUE["min-snr-5-v"],
            snr_plus_one.name: snr_plus_one,
        },
        "min written as max": {"min-snr-5-eps": CATALOGUE["min-snr-5-eps"], maximum.name: maximum},
        "SD3 weighting without effect": {"sd3": CATALOGUE["sd3"], ignored.name: ignored},
        "sigma_data left out": {"edm": CATALOGUE["edm"], missing.name: missing},
    }
