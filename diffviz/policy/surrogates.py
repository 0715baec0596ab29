"""Learning from rewards and preferences with a diffusion loss in the place of −log p.

Policy gradients and preference learning need log p(x), which a diffusion policy does not give. They
take its loss instead. ``draws`` takes log-SNR, factor and noise for every action x, and ``losses``
evaluates a policy there:

    z = alpha x + sigma eps,    ℓ(x) = factor · ‖eps_hat(z, λ) − eps‖²,    E[ℓ(x)] = L_w(x),

with w the weighting of the objective that drew the levels. At the same draws, a surrogate reads

    L_w,old(x) − L_w,new(x)    as    log p_new(x)/p_old(x).

That is exact for w = 1 over all λ. Under another w, a change of the policy at scale c counts κ_w(c)
times (``diffviz.theory.elbo_mixture.gain``).

DDPO is the exception: it has the exact likelihood of each step of the sampling chain (``chain``),
and no weighting. ``policy.steps`` has such likelihoods for other rules of noise.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import logsigmoid

from diffviz import checks
from diffviz.compute import threads
from diffviz.policy import steps
from diffviz.policy.arguments import check_denoiser, check_objective, check_states
from diffviz.protocols import Denoiser, Trainable
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS, Target, U


def _fpo_mode(name: str, target: Target) -> Objective:
    """One of the losses that FPO's code offers, on the linear path under uniform time."""
    return Objective(
        name=f"FPO {name}",
        family="policy",
        year=2025,
        source="arXiv 2507.21053",
        path=LINEAR,
        target=target,
    )


LONGEST_STEP = 1e9  # β of NFT

# The loss compares the target; what the network puts out does not enter the weighting.
MODES = {
    "u": _fpo_mode("u", U),
    "u_but_supervise_as_eps": _fpo_mode("u_but_supervise_as_eps", EPS),
    "eps": _fpo_mode("eps", EPS),
}


class Draws(NamedTuple):
    """Where policies are compared: m draws for each of n actions.

    Attributes:
        logsnr: λ in nats, shape (m, n).
        factor: Factor on the eps squared error, shape (m, n).
        eps: Standard normal noise, shape (m, n, *shape).
    """

    logsnr: Tensor
    factor: Tensor
    eps: Tensor


def draws(objective: Trainable, x: Tensor, m: int, rng: np.random.Generator) -> Draws:
    """Draw log-SNR, factors and noise for actions, once for all policies that are compared.

    Args:
        objective: What draws the levels, stratified in λ; its weighting is that of the surrogate.
        x: Actions, finite floats of shape (n, *shape).
        m: Number of draws for each action.
        rng: NumPy generator.

    Returns:
        The draws, in the type of x and on its device.

    Raises:
        TypeError: The objective has no name and draw(n, rng), x is no tensor, or rng no generator.
        ValueError: x is not floating point, not finite or has no dimension beside n, or m < 1.
    """
    check_objective(objective)
    check_states(x)
    m = checks.count(m, "m")
    rng = checks.random_generator(rng)
    levels, factors = objective.draw(m * len(x), rng)
    noise = rng.standard_normal((m, *x.shape))
    return Draws(
        logsnr=torch.from_numpy(levels.reshape(m, len(x))).to(x),
        factor=torch.from_numpy(factors.reshape(m, len(x))).to(x),
        eps=torch.from_numpy(noise).to(x),
    )


@threads.decided_by(threads.elements)
def noisy(x: Tensor, at: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Noisy actions at some draws.

    Args:
        x: Actions, shape (n, *shape).
        at: What ``draws`` returned for these actions, m for each.

    Returns:
        z, variance-preserving, shape (m n, *shape), and its λ in nats, shape (m n,).
    """
    check_states(x)
    logsnr, _, eps = _checked_draws(at)
    checks.require(
        eps.shape[1:] == x.shape and logsnr.shape == eps.shape[:2],
        f"x has shape {tuple(x.shape)}, and at was drawn for actions {tuple(eps.shape[1:])}",
    )
    level = logsnr.reshape(*logsnr.shape, *[1] * (x.ndim - 1))
    z = level.sigmoid().sqrt() * x + (-level).sigmoid().sqrt() * eps
    return z.flatten(0, 1), logsnr.flatten()


def _checked_draws(at: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Three tensors, as ``draws`` returns them."""
    are_draws = isinstance(at, tuple) and len(at) == 3
    if not are_draws or not all(isinstance(part, Tensor) for part in at):
        raise TypeError(
            f"at must be what draws(objective, x, m, rng) returns, got {checks.brief(at)}"
        )
    return at


def losses(model: Denoiser, x: Tensor, at: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Weighted eps error of every draw, whose expectation is L_w(x).

    Args:
        model: A policy, a denoiser.
        x: Actions, finite floats of shape (n, *shape).
        at: What ``draws`` returned for these actions.

    Returns:
        factor · ‖eps_hat − eps‖², shape (m, n), differentiable in the model.

    Raises:
        TypeError: x is no tensor, or the model has no denoise(z, logsnr).
        ValueError: The draws belong to other actions, the denoiser returns another shape, or a loss
            is not finite.
    """
    check_states(x)
    logsnr, _, eps = _checked_draws(at)
    if eps.shape[1:] != x.shape:
        raise ValueError(
            f"these draws are for actions of shape {tuple(eps.shape[1:])}, x has "
            f"{tuple(x.shape)}; draw again for x"
        )
    check_denoiser(model)
    with threads.suited(threads.denoising(model, logsnr.numel()), x.device):
        return _losses(model, x, at)


def _losses(model: Denoiser, x: Tensor, at: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """``losses`` at draws that fit the actions."""
    logsnr, factor, _ = at
    flat, levels = noisy(x, at)
    x_hat = checks.returned_tensor(model.denoise(flat, levels), "the denoiser")
    if x_hat.shape != flat.shape:
        raise ValueError(
            f"the denoiser returned shape {tuple(x_hat.shape)} for z of shape "
            f"{tuple(flat.shape)}; they must be equal"
        )
    # eps_hat − eps = e^(λ/2) (x − x_hat)
    error = x - x_hat.reshape(at[2].shape)
    level = logsnr.reshape(*logsnr.shape, *[1] * (x.ndim - 1))
    result = factor * (level.exp() * error.square()).flatten(2).sum(2)
    failed = logsnr[~torch.isfinite(result)]
    if len(failed):
        raise ValueError(
            f"a loss is not finite at logsnr {failed[0]:.4g}: the denoiser returned NaN or inf, "
            "or the objective's density reaches too far out"
        )
    return result


@threads.decided_by(threads.elements)
def ddpo(old: Tensor, new: Tensor, advantage: ArrayLike | Tensor, clip: float = 0.05) -> Tensor:
    """DDPO: PPO's clipped surrogate on each step of the sampling chain.

    −E[min(r A, clamp(r, 1 − clip, 1 + clip) A)] with r = p_new/p_old of a step (Black et al. 2023,
    arXiv 2305.13301). It needs no weighting.

    Args:
        old: Log-probabilities of the steps under the policy that acted, shape (steps, n).
        new: The same under the policy that learns.
        advantage: One for each action, shape (n,).
        clip: How far a ratio may move from 1 before it stops to count.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: ``old`` or ``new`` is no tensor, or the advantages are no real numbers.
        ValueError: Shapes differ, a value is not finite, a ratio or the loss overflows, an
            advantage is too large for the type of ``new``, all advantages are equal, or clip is not
            above 0.
    """
    _check_tables(old=old, new=new)
    clip = checks.positive(clip, "clip")
    advantages = _advantages(advantage, like=new)
    ratio = (new - old).exp()
    if not torch.isfinite(ratio).all():
        raise ValueError(
            f"the ratio of new to old, exp({(new - old).max():.4g}), overflows; take fewer or "
            "smaller steps, or add a KL term"
        )
    clipped = ratio.clamp(1 - clip, 1 + clip)
    loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    return _finite_loss(loss, advantage=advantages, ratio=ratio)


@threads.decided_by(threads.elements)
def fpo(old: Tensor, new: Tensor, advantage: ArrayLike | Tensor, clip: float = 0.05) -> Tensor:
    """FPO: PPO's clipped surrogate with the ratio exp(mean over draws of ℓ_old − ℓ_new).

    Draws are averaged before the exponential (McAllister et al. 2025, arXiv 2507.21053). The
    released code also divides the losses by the dimension.

    Args:
        old: Losses of the policy that acted, shape (m, n).
        new: Losses of the policy that learns, at the same draws.
        advantage: One for each action, shape (n,).
        clip: How far a ratio may move from 1 before it stops to count.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: As for ``ddpo``.
        ValueError: As for ``ddpo``.
    """
    _check_tables(old=old, new=new)
    return ddpo(-old.mean(0, keepdim=True), -new.mean(0, keepdim=True), advantage, clip)


@threads.decided_by(threads.elements)
def awr(
    loss: Tensor, advantage: ArrayLike | Tensor, temperature: float = 1.0, limit: float = 20.0
) -> Tensor:
    """Advantage-weighted regression: E[min(exp(A/temperature), limit) ℓ].

    Source: Peng et al. 2019, arXiv 1910.00177.

    Args:
        loss: Losses of the policy that learns, shape (m, n).
        advantage: One for each action, shape (n,).
        temperature: How large an advantage counts e times.
        limit: Largest weight.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: ``loss`` is no tensor, or the advantages are no real numbers.
        ValueError: Shapes differ, a value is not finite, the loss overflows, an advantage is too
            large for the type of ``loss``, all advantages are equal, or temperature or limit is not
            above 0.
    """
    _check_tables(loss=loss)
    temperature = checks.positive(temperature, "temperature")
    limit = checks.positive(limit, "limit")
    advantages = _advantages(advantage, like=loss)
    weight = (advantages / temperature).exp().clamp(max=limit)
    return _finite_loss((loss.mean(0) * weight).mean(), loss=loss, weight=weight)


@threads.decided_by(threads.elements)
def dpo(
    winner: Tensor,
    loser: Tensor,
    reference_winner: Tensor,
    reference_loser: Tensor,
    beta: float = 1.0,
) -> Tensor:
    """Diffusion-DPO: −log sigmoid(β (log-ratio of the winner − log-ratio of the loser)).

    A log-ratio is ℓ_reference − ℓ (Wallace et al. 2023, arXiv 2311.12908, eq. 14). Draws are
    averaged inside the sigmoid. The released code takes one draw, the same for both of a pair, and
    ½ β.

    Args:
        winner: Losses of the policy that learns on the preferred actions, shape (m, n).
        loser: The same on the other actions of the pairs.
        reference_winner: Losses of the reference policy on the preferred actions, same draws.
        reference_loser: The same on the other actions.
        beta: How strongly the reference holds.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: A table of losses is no tensor.
        ValueError: Shapes differ, a value is not finite, the loss overflows, or beta is not above
            0.
    """
    _check_tables(
        winner=winner,
        loser=loser,
        reference_winner=reference_winner,
        reference_loser=reference_loser,
    )
    beta = checks.positive(beta, "beta")
    margin = (reference_winner - winner - reference_loser + loser).mean(0)
    return _finite_loss(
        -logsigmoid(beta * margin).mean(),
        winner=winner,
        loser=loser,
        reference_winner=reference_winner,
        reference_loser=reference_loser,
    )


@threads.decided_by(threads.elements)
def awm(old: Tensor, new: Tensor, advantage: ArrayLike | Tensor, clip: float = 0.05) -> Tensor:
    """Advantage-weighted matching: PPO's clipped surrogate with the ratio exp(ℓ_old − ℓ_new).

    Every draw has its own ratio, where ``fpo`` averages the draws before the exponential; the code
    offers both. At new = old the gradient is that of E[A ℓ], so bad actions are pushed away, other
    than in ``awr``.

    Source: arXiv 2509.25050 and its code, which averages ℓ over the components.

    Args:
        old: Losses of the policy that acted, shape (m, n).
        new: Losses of the policy that learns, at the same draws.
        advantage: One for each action, shape (n,).
        clip: How far a ratio may move from 1 before it stops to count.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: As for ``ddpo``.
        ValueError: As for ``ddpo``.
    """
    for name, losses_of in (("old", old), ("new", new)):
        checks.instance(losses_of, name, Tensor, "a tensor of losses, shape (m, n)")
        checks.dense_tensor(losses_of, name)  # before its sign is turned
    return ddpo(-old, -new, advantage, clip)


@threads.decided_by(threads.elements)
def nft(
    old: Tensor,
    new: Tensor,
    share: ArrayLike | Tensor,
    factor: Tensor | None = None,
    beta: float = 1.0,
) -> Tensor:
    """DiffusionNFT: fit good actions by a step towards the new policy, bad ones by one away.

    With the errors e = x_hat − x, the loss is

        E[r ℓ((1 − β) e_old + β e_new) + (1 − r) ℓ((1 + β) e_old − β e_new)],

    where r is the share of an action that counts as good. ℓ(e) is factor · ‖e‖². By default it is
    ‖e‖²/mean|e| with a denominator that has no gradient, as in the code: a local weighting, since
    it depends on the error (``local_factor``).

    At new = old the gradient is β (2 r − 1) times that of a diffusion loss. So the first step is
    that of ``awm`` with A = 2 r − 1 under another weighting.

    Source: Zheng et al. 2025, arXiv 2509.16117, eq. 8 and its code.

    Args:
        old: Errors x_hat − x of the policy that acted, shape (m, n, *shape).
        new: The same of the policy that learns, at the same draws.
        share: How good an action is, from 0 to 1, shape (n,).
        factor: Factor on the squared error of x, shape (m, n); that of the code by default.
        beta: Length of the step, above 0, at most 1e9.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: A table is no tensor.
        ValueError: Shapes differ, a value is not finite, the loss overflows, a share is outside
            [0, 1], or beta is not above 0.
    """
    beta = checks.number(checks.positive(beta, "beta"), "beta", high=LONGEST_STEP)
    if factor is not None:
        checks.instance(factor, "factor", Tensor, "a tensor of shape (m, n)")
        checks.tensor(factor, "factor")
    _check_errors(old=old, new=new)
    if factor is not None and factor.shape != new.shape[:2]:
        raise ValueError(
            f"factor must have shape (m, n) = {tuple(new.shape[:2])}, got {tuple(factor.shape)}"
        )
    shares = checks.tensor(share, "share").to(new)
    if shares.shape != new.shape[1:2] or ((shares < 0) | (shares > 1)).any():
        raise ValueError(
            f"share must hold one number from 0 to 1 for each of the {new.shape[1]} actions"
        )
    old = old.detach()
    towards = _local_losses((1 - beta) * old + beta * new, factor)
    away = _local_losses((1 + beta) * old - beta * new, factor)
    loss = (shares * towards + (1 - shares) * away).mean()
    return _finite_loss(loss, old=old, new=new)


@threads.decided_by(threads.elements)
def local_factor(error: Tensor) -> Tensor:
    """The factor on the squared error by which DiffusionNFT's code weighs: 1/mean|error|.

    Args:
        error: Errors of x, shape (m, n, *shape).

    Returns:
        One number for each draw, shape (m, n), without a gradient; at most 1e5, as in the code.
    """
    checks.instance(error, "error", Tensor, "a tensor of shape (m, n, *shape)")
    checks.tensor(error, "error")
    checks.require(error.ndim > 2, f"error must have shape (m, n, *shape), got {error.shape}")
    return 1 / error.detach().abs().flatten(2).mean(2).clamp(min=1e-5)


def _local_losses(error: Tensor, factor: Tensor | None) -> Tensor:
    """The factor times the squared error of each draw, averaged over components, shape (m, n)."""
    squared = error.square().flatten(2).mean(2)
    return squared * (local_factor(error) if factor is None else factor)


def chain(
    model: Denoiser,
    z: Tensor,
    before: float,
    after: float,
    follow: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """One ancestral step up in λ, with its log-probability.

    Source: Kingma et al. 2021, arXiv 2107.00630, eq. 32.

    Args:
        model: A policy, a denoiser.
        z: State at ``before``, variance-preserving, shape (n, *shape).
        before: λ in nats where the step starts.
        after: λ in nats where it ends, above ``before``.
        follow: The state at ``after`` whose probability is asked for; drawn by default.
        generator: Torch generator of the draw; needed unless ``follow`` is given.

    Returns:
        The state at ``after``, shape (n, *shape), and its log-probability, shape (n,), which is
        differentiable in the model.

    Raises:
        TypeError: z is no tensor, or the model has no denoise(z, logsnr).
        ValueError: λ does not go up, ``follow`` has another shape than z, or there is nothing to
            draw with.
    """
    state, law = steps.step(model, z, before, after, steps.DDIMStep(1.0), follow, generator)
    return state, law.log_prob(state)


def _check_tables(**tables: Tensor) -> None:
    """Refuse tables that cannot be compared draw by draw.

    Other shapes would broadcast, and NaN would pass unseen into a network.
    """
    for name, table in tables.items():
        if not isinstance(table, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(table).__name__}")
    shapes = {name: tuple(table.shape) for name, table in tables.items()}
    first, *_ = tables.values()
    if len(set(shapes.values())) > 1 or first.ndim != 2 or not first.numel():
        stated = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            "need tables of one shape (draws, actions), where every winner has its loser; "
            f"got {stated}"
        )
    _check_finite(tables)


def _check_finite(tables: dict[str, Tensor]) -> None:
    """Refuse NaN and infinity, which would pass unseen into a network."""
    for name, table in tables.items():
        checks.dense_tensor(table, name)
        if not table.is_floating_point():  # advantages would be cut to whole numbers like it
            raise TypeError(
                f"{name} must hold real numbers of floating point, got {table.dtype}; take "
                f"{name}.double()"
            )
        if not torch.isfinite(table).all():
            raise ValueError(
                f"{name} holds NaN or inf: the policy broke before this step; go back to a copy "
                "and take smaller steps"
            )


def _check_errors(**tables: Tensor) -> None:
    """Refuse errors that cannot be compared draw by draw, shape (m, n, *shape)."""
    for name, table in tables.items():
        if not isinstance(table, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(table).__name__}")
    shapes = {name: tuple(table.shape) for name, table in tables.items()}
    first, *_ = tables.values()
    if len(set(shapes.values())) > 1 or first.ndim < 3 or not first.numel():
        stated = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"need errors of one shape (draws, actions, *shape), got {stated}")
    _check_finite(tables)


def _advantages(advantage: ArrayLike | Tensor, like: Tensor) -> Tensor:
    """Advantages as a tensor like a table (draws, actions): one for each action, not all equal."""
    given = checks.tensor(advantage, "advantage")
    advantages = given.to(like)
    if advantages.shape != like.shape[1:]:
        raise ValueError(
            f"need one advantage for each of the {like.shape[1]} actions; "
            f"got shape {tuple(advantages.shape)}"
        )
    if (advantages == advantages[0]).all():
        raise ValueError(
            "all advantages are equal, so no action is preferred; draw more actions, or spread "
            "them further apart"
        )
    too_large = ~torch.isfinite(advantages)
    if too_large.any():
        raise ValueError(
            f"advantage {given.to(like.device)[too_large][0].item():g} is too large for "
            f"{like.dtype}; divide the advantages by their standard deviation"
        )
    return advantages


def _finite_loss(result: Tensor, /, **tables: Tensor) -> Tensor:
    """A loss; a ValueError that names the largest number of each table if it overflows."""
    if not torch.isfinite(result):
        largest = ", ".join(f"{name} {t.abs().max().item():g}" for name, t in tables.items())
        raise ValueError(
            f"the loss is {result.item()}, since {result.dtype} cannot hold it (largest "
            f"{largest}); scale them down, or take float64"
        )
    return result
