"""How far a measured weighting is from that of flow matching."""

import numpy as np


def off_flow_matching(measured):
    """Largest deviation from exp(-λ/2) in 20 bins over 96 % of the draws, up to a constant."""
    edges = measured.edges(20, 0.96)
    exact = -np.diff(np.exp(-edges / 2)) / np.diff(edges)
    ratio = measured.weighting(edges)[0] / exact
    return np.abs(ratio / np.median(ratio) - 1).max()
