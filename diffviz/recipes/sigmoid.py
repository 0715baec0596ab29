"""The sigmoid weighting, w = sigmoid(bias − λ)."""

from diffviz.recipes.sources import KINGMA_GAO
from diffviz.theory.families import sigmoid

HOOGEBOOM = "Hoogeboom et al. 2024 (arXiv 2410.19324, eq. 4)"

ENTRIES = (
    sigmoid(
        bias=0,
        name="sigmoid-bias0",
        family="sigmoid",
        year=2023,
        source=f"{KINGMA_GAO}; {HOOGEBOOM}",
    ),
    sigmoid(
        bias=2,
        name="sigmoid-bias2",
        family="sigmoid",
        year=2023,
        source=f"{KINGMA_GAO}; {HOOGEBOOM}",
    ),
    sigmoid(
        bias=-3,
        name="sigmoid-bias-3",
        family="sigmoid",
        year=2024,
        source=f"{KINGMA_GAO}; {HOOGEBOOM}",
    ),
)
