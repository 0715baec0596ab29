"""Noise paths that several published objectives share.

``TIME_CUT_OFF`` is where the score-SDE code stops before data, so that its loss stays finite.
"""

from diffviz.theory import paths
from diffviz.theory.paths import LINEAR, Path, restricted

TIME_CUT_OFF = 1e-5

VP_LINEAR = paths.vp_linear()
SUB_VP = paths.sub_vp()
SCALED_LINEAR = paths.scaled_linear()
VE = paths.ve(sigma_min=0.01, sigma_max=50)

SDE_VP = restricted(VP_LINEAR, TIME_CUT_OFF, 1.0, VP_LINEAR.name)
SDE_SUB_VP = restricted(SUB_VP, TIME_CUT_OFF, 1.0, SUB_VP.name)
SDE_VE = restricted(VE, TIME_CUT_OFF, 1.0, VE.name)
SIT_LINEAR = restricted(LINEAR, 1e-3, 1 - 1e-3, "linear, ends cut")


def between(path: Path, low: float, high: float, name: str | None = None) -> Path:
    """The stretch of a path between two log-SNRs, run through in unit time.

    Args:
        path: The whole path.
        low: Least λ in nats, at the noisy end.
        high: Largest λ in nats, at the end of the data.
        name: Name of the stretch; by default the path's own with its times.

    Returns:
        The stretch as a path.
    """
    start = float(path.time(high))
    end = float(path.time(low))
    return restricted(path, start, end, name)
