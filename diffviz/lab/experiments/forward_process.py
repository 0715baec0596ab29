"""What methods of the forward process weight: FPO, advantage-weighted matching and DiffusionNFT.

They noise finished actions, and put the loss of each draw in the place of −log p. Where that loss
is not squared, its weighting is local: it depends on the error that the policy makes, and so on the
policy.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.checks import one_of
from diffviz.lab.experiments.policy import DEFAULT, SCALES, known
from diffviz.theory import analysis, elbo_mixture
from diffviz.theory.frames import Curve
from diffviz.theory.multipliers import constant
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import Target, U, X

FORWARD = ("FPO", "AWM", "AWM as released", "NFT as released")
FIRST, LEARNED = "N(0, I)", "four goals"  # policies at whose errors a loss is looked at
POLICIES = (FIRST, LEARNED)
GOAL, WIDTH = 1.5, 0.2  # place of the goals on either axis, and how near a policy has come


@dataclass(frozen=True)
class TwoModes:
    """Mean squared eps error of one component at four goals, which has two modes."""

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The error at λ in nats, same shape."""
        from diffviz.data import toys  # torch only for those who ask

        return np.asarray(toys.mixture([[-GOAL], [GOAL]], WIDTH).mmse(logsnr))


def policy_errors(policy: str) -> Curve:
    """Mean squared eps error of one component, for the exact denoiser of a policy.

    The four goals stand at all pairs of ±1.5, so that either component has two modes.

    Args:
        policy: One of ``POLICIES``.

    Returns:
        The error as a function of λ.

    Raises:
        ValueError: The name is unknown.
    """
    is_first = one_of(policy, "policy", POLICIES) == FIRST
    return analysis.gaussian_mmse if is_first else TwoModes()


@dataclass(frozen=True)
class PowerOfError:
    """The multiplier of a loss that grows as a power of the squared error, at given errors.

    A loss ‖e‖^(2q) of an error whose mean square is m pulls as the squared loss does under a
    multiplier in proportion to m^(q − 1).

    Args:
        base: Factor on the loss, a function of λ.
        power: q.
        target: The target whose error it is.
        errors: Mean squared eps error of one component as a function of λ.
    """

    base: Curve
    power: float
    target: Target
    errors: Curve

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The multiplier at λ in nats on the linear path, same shape."""
        error = self.target.gain(logsnr, LINEAR) ** 2 * self.errors(logsnr)
        return self.base(logsnr) * error ** (self.power - 1)


def noise_time(logsnr: NDArray) -> NDArray:
    """Time t = sigma of the linear path at λ in nats, same shape."""
    return expit(-np.asarray(logsnr) / 2)


def forward_objective(name: str, policy: str = FIRST) -> Objective:
    """The squared objective that pulls as the loss of a method does, at the errors of a policy.

    Levels are those of uniform time on the linear path. FPO's loss is that of its released mode.
    AWM weights u as flow matching does in the paper; its released settings have t ‖e‖^½ with the
    error e of u (power ¼ of the mean square). NFT's code divides the squared error of x by mean|e|.

    Args:
        name: One of ``FORWARD``.
        policy: One of ``POLICIES``; the first two of ``FORWARD`` do not depend on it.

    Returns:
        The objective.

    Raises:
        ValueError: A name is unknown.
    """
    errors = policy_errors(policy)
    flow = known("fm-ot")
    objectives = {
        "FPO": known(DEFAULT),
        "AWM": flow,
        "AWM as released": replace(
            flow, multiplier=PowerOfError(noise_time, 0.25, U, errors), stated=None
        ),
        "NFT as released": replace(
            flow, target=X, multiplier=PowerOfError(constant, 0.5, X, errors), stated=None
        ),
    }
    return replace(objectives[one_of(name, "method", FORWARD)], name=name)


def forward_gains(name: str) -> NDArray:
    """How strongly a method counts changes of N(0, I) at scale c, over that at c = 1.

    Args:
        name: One of ``FORWARD``.

    Returns:
        κ_w(c)/κ_w(1) at ``experiments.policy.SCALES``.

    Raises:
        ValueError: The name is unknown.
    """
    parts = elbo_mixture.masses(forward_objective(name), -elbo_mixture.FAR, elbo_mixture.FAR)
    return parts.gain(SCALES) / parts.gain(1.0)
