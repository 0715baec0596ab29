"""Data that a loss changes at random before it adds noise: flipped, moved, turned, cut or dropped.

Then z = alpha T(x) + sigma eps with T drawn anew, and log-SNR is that of T(x). Where T moves
numbers or leaves them out, it is found by tracing them in each batch; see ``layout``.
"""

from dataclasses import replace

import numpy as np

from diffviz.probing.coefficients import Assumptions, Coefficients, read
from diffviz.probing.layout import Layout
from diffviz.probing.session import Chunk

RARE = 0.01  # share of draws that may miss the tolerance
NOTE = (
    "data reach the network moved, flipped or cut at random (an augmentation): what reaches it "
    "counts as data"
)


def read_augmented(
    chunk: Chunk, assumptions: Assumptions, tolerance: float
) -> tuple[Coefficients, Assumptions] | None:
    """Read a batch whose data are at other places than they were supposed to be.

    Args:
        chunk: The batch.
        assumptions: What is known about the loss.
        tolerance: Relative error up to which an assumption holds.

    Returns:
        Its coefficients with the assumptions under which they were read; None where z and the
        target are not made of single numbers of the data.
    """
    if assumptions.estimated_noise or assumptions.changed_data or assumptions.layout.groups:
        return None
    layout = Layout(retraced=True).retrace(chunk)
    if layout.data is None or None in layout.noises:
        return None
    changed = replace(assumptions, layout=Layout(retraced=True), stride=1)
    part = read(chunk, changed)
    errors = (part.data_error, part.noise_error, part.target_error)
    if any(_fails(error, tolerance) for error in errors):
        return None
    return part, changed


def is_misplaced(part: Coefficients, tolerance: float) -> bool:
    """Whether the data of a batch are elsewhere than they were supposed to be.

    Args:
        part: What was read.
        tolerance: Relative error up to which an assumption holds.

    Returns:
        Whether the part of z that is data is not that of x in more than a few draws.
    """
    return _fails(part.data_error, tolerance)


def _fails(error: np.ndarray, tolerance: float) -> bool:
    """Whether an assumption fails for more than a few draws."""
    return bool((error > tolerance).mean() > RARE)
