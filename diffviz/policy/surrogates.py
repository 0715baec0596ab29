"""Learning from rewards and preferences with a diffusion loss in the place of −log p.

The mean over draws of ``losses`` estimates L_w(x), w the weighting of the objective that drew the levels, and a surrogate reads
L_w(old) − L_w(new), at the same draws, as log p_new(x)/p_old(x). That is exact for w = 1 over all λ; for another w a change at
scale c counts κ_w(c) times (``gain``).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import logsigmoid

from diffviz.checks import positive
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS, U

# FPO's modes: what the loss compares; what the network puts out does not enter the weighting
_TARGETS = {"u": U, "u_but_supervise_as_eps": EPS, "eps": EPS}
MODES = {
    name: Objective(f"FPO {name}", "policy", 2025, "arXiv 2507.21053", LINEAR, kind)
    for name, kind in _TARGETS.items()
}


def draws(
    objective: Any, x: Tensor, m: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """m draws for each action x (n, *shape), for all policies that are compared: levels, factors (m, n), noise (m, n, *shape).

    ``objective`` is anything with ``draw(n, rng)``, stratified in λ.
    """
    if not hasattr(objective, "draw"):
        raise TypeError(
            f"an objective has draw(n, rng), got {objective!r}; for a name say dv.objective(name)"
        )
    if x.ndim < 2 or not x.is_floating_point() or not torch.isfinite(x).all():
        raise ValueError(
            f"actions are finite floats (n, *shape), got {x.dtype} {tuple(x.shape)}; x.double() and x[:, None] help"
        )
    level, factor = (
        torch.from_numpy(one.reshape(m, len(x))).to(x) for one in objective.draw(m * len(x), rng)
    )
    return level, factor, torch.from_numpy(rng.standard_normal((m, *x.shape))).to(x)


def losses(model: Any, x: Tensor, at: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """factor · ‖eps_hat − eps‖² of every draw, (m, n), differentiable in the model; in expectation L_w(x)."""
    logsnr, factor, eps = at
    if eps.shape[1:] != x.shape:
        raise ValueError(
            f"draws belong to actions {tuple(eps.shape[1:])}, got {tuple(x.shape)}; draw again for these"
        )
    level = logsnr.reshape(*logsnr.shape, *[1] * (x.ndim - 1))
    z = level.sigmoid().sqrt() * x + (-level).sigmoid().sqrt() * eps
    x_hat = model.denoise(z.flatten(0, 1), logsnr.flatten())
    if x_hat.shape != z.flatten(0, 1).shape:
        raise ValueError(
            f"the denoiser returned {tuple(x_hat.shape)} for z {tuple(z.flatten(0, 1).shape)}; it must be like z"
        )
    found = factor * (level.exp() * (x - x_hat.reshape(z.shape)).square()).flatten(2).sum(2)
    if len(bad := logsnr[~torch.isfinite(found)]):
        raise ValueError(
            f"a loss is not finite at logsnr {bad[0]:.4g}: the denoiser failed, or the density reaches too far out"
        )
    return found


def _alike(*every: Tensor) -> None:
    """Refuse what cannot be compared draw by draw: other shapes would broadcast, NaN would go unseen into a network."""
    if len({one.shape for one in every}) > 1 or every[0].ndim != 2 or not every[0].numel():
        shapes = ", ".join(str(tuple(one.shape)) for one in every)
        raise ValueError(
            f"all are (draws, actions), as many of each (every winner needs its loser); got {shapes}"
        )
    if not all(torch.isfinite(one).all() for one in every):
        raise ValueError(
            "a loss or log-probability is NaN or inf: the policy broke before; go back to a copy, with smaller steps"
        )


def _advantage(advantage: ArrayLike | Tensor, like: Tensor) -> Tensor:
    found = torch.as_tensor(advantage).to(like)
    if found.shape != like.shape[1:] or not torch.isfinite(found).all():
        raise ValueError(
            f"advantages are finite, one for each of the {like.shape[1]} actions; got {tuple(found.shape)}"
        )
    if (found == found[0]).all():
        raise ValueError(
            "all advantages are equal, nothing is to be preferred: draw more actions, or further apart"
        )
    return found


def ddpo(old: Tensor, new: Tensor, advantage: ArrayLike | Tensor, clip: float = 0.05) -> Tensor:
    """PPO on the steps of the sampling chain (arXiv 2305.13301): log-probabilities of ``chain`` (steps, n); no weighting."""
    _alike(old, new)
    clip, gains, ratio = positive(clip, "clip"), _advantage(advantage, new), (new - old).exp()
    if not torch.isfinite(ratio).all():
        raise ValueError(
            f"exp({(new - old).max():.4g}) of a log-ratio overflows: take fewer or smaller steps, or a KL term"
        )
    return -torch.minimum(ratio * gains, ratio.clamp(1 - clip, 1 + clip) * gains).mean()


def fpo(old: Tensor, new: Tensor, advantage: ArrayLike | Tensor, clip: float = 0.05) -> Tensor:
    """Flow policy optimisation: PPO with the ratio exp(mean over draws of old − new) (arXiv 2507.21053).

    ``old``, ``new`` are losses (m, n) at the same draws; the released code divides them by the dimension. ``advantage`` (n,).
    """
    _alike(old, new)
    return ddpo(-old.mean(0, keepdim=True), -new.mean(0, keepdim=True), advantage, clip)


def awr(
    loss: Tensor, advantage: ArrayLike | Tensor, temperature: float = 1.0, limit: float = 20.0
) -> Tensor:
    """Advantage-weighted regression: losses (m, n) times min(exp(advantage/temperature), limit) (arXiv 1910.00177)."""
    _alike(loss)
    weight = (
        (_advantage(advantage, loss) / positive(temperature, "temperature"))
        .exp()
        .clamp(max=positive(limit, "limit"))
    )
    return (loss.mean(0) * weight).mean()


def dpo(
    winner: Tensor,
    loser: Tensor,
    reference_winner: Tensor,
    reference_loser: Tensor,
    beta: float = 1.0,
) -> Tensor:
    """Diffusion-DPO: −log sigmoid(β (log-ratio of the winner − of the loser)) (arXiv 2311.12908, eq. 14), all losses (m, n).

    Draws are averaged inside the sigmoid; the released code takes one draw, the same for both of a pair, and ½ β.
    """
    _alike(winner, loser, reference_winner, reference_loser)
    return -logsigmoid(
        positive(beta, "beta") * (reference_winner - winner - reference_loser + loser).mean(0)
    ).mean()


def chain(
    model: Any, z: Tensor, before: float, after: float, follow: Tensor | None = None, generator=None
):
    """One ancestral step up in λ (arXiv 2107.00630, eq. 32): z there, drawn or ``follow``, and its log-probability (n,)."""
    if not before < after:
        raise ValueError(f"a step of the chain goes up in λ, got {before} to {after}")
    start, end = (torch.tensor(one, dtype=z.dtype) for one in (before, after))
    share = -torch.expm1(start - end)  # of x_hat
    mean = (1 - share) / start.sigmoid().sqrt() * z + share * model.denoise(z, start.expand(len(z)))
    step = torch.distributions.Normal(
        end.sigmoid().sqrt() * mean, ((-end).sigmoid() * share).sqrt()
    )
    if follow is None:
        follow = step.mean.detach() + step.stddev * torch.randn(
            z.shape, generator=generator, dtype=z.dtype
        )
    return follow, step.log_prob(follow).flatten(1).sum(1)
