"""The methods by which a policy learns: what each compares of two policies, and its loss.

A method acts, fixes the draws of a batch (``compare``), and turns the numbers of the old and of the
learning policy at those draws into a loss (``loss``). FPO, AWR, AWM and DPO compare diffusion
losses, NFT their errors, DDPO and GRPO the log-probabilities of a sampler's steps. DPO learns from
preferences, the others from rewards.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor

from diffviz import checks
from diffviz.policy import steps, surrogates
from diffviz.policy.environment import Environment, judged
from diffviz.policy.policies import CHAIN_GRID, act
from diffviz.protocols import Denoiser, Trainable
from diffviz.theory.paths import LINEAR

Comparison = Callable[[Denoiser], Tensor]
EVEN_TIMES = tuple(LINEAR.schedule.ppf(np.linspace(0.02, 0.98, 11)).tolist())  # equal steps of t
FLOW_GRPO = steps.FlowGRPOStep(0.7)
ANCESTRAL = steps.DDIMStep(1.0)  # the step of DDPO's chain
KL_DRAWS = 2  # for each action; two are enough, since nothing is exponentiated


@dataclass(frozen=True)
class Generators:
    """The two streams of random numbers of a learning run.

    Attributes:
        rng: NumPy's, for levels, noise of the losses and preferences.
        generator: Torch's, for actions.
    """

    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def from_seed(cls, seed: int) -> "Generators":
        """Both generators from one seed, a whole number from 0."""
        seed = checks.seed(seed)
        return cls(np.random.default_rng(seed), torch.Generator().manual_seed(seed))


@dataclass(frozen=True, eq=False)
class FlowLosses:
    """Diffusion losses of a batch of actions at fixed draws, shape (draws, n)."""

    actions: Tensor
    draws: surrogates.Draws

    def __call__(self, model: Denoiser) -> Tensor:
        """The losses of a policy."""
        return surrogates.losses(model, self.actions, self.draws)


@dataclass(frozen=True, eq=False)
class StepLogProbs:
    """Log-probabilities of the steps of a noisy sampler, shape (steps, n); see ``policy.steps``."""

    states: tuple[Tensor, ...]
    levels: ArrayLike
    rule: steps.NoisyStep
    released: bool = False

    def __call__(self, model: Denoiser) -> Tensor:
        """The log-probabilities under a policy."""
        return steps.log_probs(model, self.states, self.levels, self.rule, self.released)


@dataclass(frozen=True, eq=False)
class FlowErrors:
    """Errors x_hat − x of a batch of actions at fixed draws, shape (draws, n, 2)."""

    actions: Tensor
    draws: surrogates.Draws

    def __call__(self, model: Denoiser) -> Tensor:
        """The errors of a policy."""
        z, logsnr = surrogates.noisy(self.actions, self.draws)
        return model.denoise(z, logsnr).reshape(self.draws.eps.shape) - self.actions


@dataclass(frozen=True, eq=False)
class PairLosses:
    """Diffusion losses of winners and losers at the same draws, shape (2, draws, pairs)."""

    winners: Tensor
    losers: Tensor
    draws: surrogates.Draws

    def __call__(self, model: Denoiser) -> Tensor:
        """The losses of a policy."""
        return torch.stack(
            [surrogates.losses(model, x, self.draws) for x in (self.winners, self.losers)]
        )


class Method(ABC):
    """A way to learn. Subclasses are frozen dataclasses whose fields are the method's options."""

    def act(self, model: Denoiser, n: int, generator: torch.Generator) -> list[Tensor]:
        """Draw n actions.

        Args:
            model: The policy.
            n: Number of actions.
            generator: Torch generator.

        Returns:
            The path to the actions, as ``policies.act`` returns it; the actions, (n, 2), are last.
        """
        return act(model, n, generator)

    def old_policy(self, model: Denoiser, first: Denoiser) -> Denoiser:
        """The policy that the learning one is compared with: the one that just acted.

        Args:
            model: The policy as it is now.
            first: The policy as it was at the start.

        Returns:
            One of the two.
        """
        return model

    @abstractmethod
    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Fix the draws of a batch.

        Args:
            path: What ``act`` returned.
            first: The policy as it was at the start.
            env: The environment, which judges pairs.
            generators: Random numbers.

        Returns:
            A function of a policy: its losses or log-probabilities at these draws.
        """

    @abstractmethod
    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """The surrogate that is minimised.

        Args:
            old: The comparison's numbers for the old policy.
            new: Those for the learning policy.
            advantage: One for each action, shape (n,).

        Returns:
            A scalar.
        """


@dataclass(frozen=True)
class FPO(Method):
    """Flow policy optimisation; see ``surrogates.fpo``.

    Args:
        objective: Draws the levels; its weighting is that of the surrogate.
        draws: Draws for each action.
        clip: How far a ratio may move from 1 before it stops to count.
    """

    objective: Trainable = surrogates.MODES["u"]
    draws: int = 8
    clip: float = 0.05

    def __post_init__(self) -> None:
        checks.count(self.draws, "draws")
        checks.positive(self.clip, "clip")

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Diffusion losses of the batch; see ``Method.compare``."""
        return _flow_losses(self.objective, path[-1], self.draws, generators)

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.fpo``; see ``Method.loss``."""
        return surrogates.fpo(old, new, advantage, self.clip)


@dataclass(frozen=True)
class AWR(Method):
    """Advantage-weighted regression; see ``surrogates.awr``.

    Args:
        objective: Draws the levels; its weighting is that of the regression.
        draws: Draws for each action.
        temperature: How large an advantage counts e times.
    """

    objective: Trainable = surrogates.MODES["u"]
    draws: int = 8
    temperature: float = 1.0

    def __post_init__(self) -> None:
        checks.count(self.draws, "draws")
        checks.positive(self.temperature, "temperature")

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Diffusion losses of the batch; see ``Method.compare``."""
        return _flow_losses(self.objective, path[-1], self.draws, generators)

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.awr``, which needs no old policy; see ``Method.loss``."""
        return surrogates.awr(new, advantage, self.temperature)


@dataclass(frozen=True)
class DDPO(Method):
    """PPO on the steps of the sampling chain, without a weighting; see ``surrogates.ddpo``.

    Args:
        clip: How far a ratio may move from 1 before it stops to count.
    """

    clip: float = 0.05

    def __post_init__(self) -> None:
        checks.positive(self.clip, "clip")

    def act(self, model: Denoiser, n: int, generator: torch.Generator) -> list[Tensor]:
        """Draw n actions along the ancestral chain; see ``Method.act``."""
        return act(model, n, generator, CHAIN_GRID)

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Log-probabilities of the chain's steps; see ``Method.compare``."""
        return StepLogProbs(tuple(path), CHAIN_GRID, ANCESTRAL)

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.ddpo``; see ``Method.loss``."""
        return surrogates.ddpo(old, new, advantage, self.clip)


@dataclass(frozen=True)
class DPO(Method):
    """Diffusion-DPO on pairs of the first policy's actions; see ``surrogates.dpo``.

    A judge prefers action a to b with probability sigmoid(scale · (reward of a − reward of b)), the
    model of Bradley and Terry (1952).

    Args:
        objective: Draws the levels; its weighting is that of the log-ratios.
        draws: Draws for each action.
        beta: How strongly the first policy holds.
        scale: How surely the judge prefers the larger reward.
    """

    objective: Trainable = surrogates.MODES["u"]
    draws: int = 8
    beta: float = 0.25
    scale: float = 10.0

    def __post_init__(self) -> None:
        checks.count(self.draws, "draws")
        checks.positive(self.beta, "beta")
        checks.number(self.scale, "scale")

    def old_policy(self, model: Denoiser, first: Denoiser) -> Denoiser:
        """The first policy; see ``Method.old_policy``."""
        return first

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Losses of fresh pairs, as many as fit into the batch; see ``Method.compare``."""
        pairs = len(path[-1]) // 2
        a, b = act(first, 2 * pairs, generators.generator)[-1].chunk(2)
        rewards_a, rewards_b = (judged(env, actions.numpy()).reward for actions in (a, b))
        preference = self.scale * (rewards_a - rewards_b)
        a_wins = torch.from_numpy(generators.rng.random(pairs) < expit(preference))[:, None]
        draws = surrogates.draws(self.objective, a, self.draws, generators.rng)
        return PairLosses(
            winners=torch.where(a_wins, a, b),
            losers=torch.where(a_wins, b, a),
            draws=draws,  # one noise for both of a pair
        )

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.dpo``, where the old policy is the reference; see ``Method.loss``."""
        return surrogates.dpo(new[0], new[1], old[0], old[1], self.beta)


@dataclass(frozen=True)
class GRPO(Method):
    """PPO on the steps of a sampler with noise, in the form of Flow-GRPO; see ``policy.steps``.

    Args:
        rule: How much noise a step adds.
        levels: Increasing λ of the steps, in nats; those of Flow-GRPO, equal steps of t, by
            default.
        released: Whether the log-probability is what the published code computes, not the exact
            one.
        clip: How far a ratio may move from 1 before it stops to count.
    """

    rule: steps.NoisyStep = FLOW_GRPO
    levels: tuple[float, ...] = EVEN_TIMES
    released: bool = False
    clip: float = 0.05

    def __post_init__(self) -> None:
        steps.check_rule(self.rule)
        object.__setattr__(self, "levels", tuple(checks.increasing(self.levels, "levels").tolist()))
        checks.positive(self.clip, "clip")

    def act(self, model: Denoiser, n: int, generator: torch.Generator) -> list[Tensor]:
        """Draw n actions step by step; the states come first. See ``Method.act``."""
        states = steps.walk(model, n, self.levels, self.rule, generator)
        alpha, _ = steps.scales(self.rule.frame, self.levels[-1])
        return [*states, states[-1] / alpha]

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Log-probabilities of the steps; see ``Method.compare``."""
        return StepLogProbs(tuple(path[:-1]), self.levels, self.rule, self.released)

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.ddpo``; see ``Method.loss``."""
        return surrogates.ddpo(old, new, advantage, self.clip)


@dataclass(frozen=True)
class AWM(FPO):
    """Advantage-weighted matching, with a ratio for each draw; see ``surrogates.awm``.

    Args:
        objective: Draws the levels; its weighting is that of the surrogate.
        draws: Draws for each action.
        clip: How far a ratio may move from 1 before it stops to count.
    """

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.awm``; see ``Method.loss``."""
        return surrogates.awm(old, new, advantage, self.clip)


@dataclass(frozen=True)
class NFT(Method):
    """DiffusionNFT with the weighting of its code; see ``surrogates.nft``.

    Args:
        objective: Draws the levels; its factors do not count.
        draws: Draws for each action.
        beta: Length of the step.
        limit: Advantage from which an action counts as wholly good.
    """

    objective: Trainable = surrogates.MODES["u"]
    draws: int = 8
    beta: float = 1.0
    limit: float = 5.0

    def __post_init__(self) -> None:
        checks.count(self.draws, "draws")
        checks.positive(self.beta, "beta")
        checks.positive(self.limit, "limit")

    def compare(
        self, path: list[Tensor], first: Denoiser, env: Environment, generators: Generators
    ) -> Comparison:
        """Errors x_hat − x of the batch, shape (draws, n, 2); see ``Method.compare``."""
        draws = surrogates.draws(self.objective, path[-1], self.draws, generators.rng)
        return FlowErrors(path[-1], draws)

    def loss(self, old: Tensor, new: Tensor, advantage: NDArray) -> Tensor:
        """``surrogates.nft``, with shares ½ + A/(2 limit) within [0, 1]; see ``Method.loss``."""
        shares = np.clip(0.5 + np.asarray(advantage) / (2 * self.limit), 0, 1)
        return surrogates.nft(old, new, shares, beta=self.beta)


METHODS: dict[str, type[Method]] = {
    "fpo": FPO,
    "awr": AWR,
    "ddpo": DDPO,
    "dpo": DPO,
    "grpo": GRPO,
    "awm": AWM,
    "nft": NFT,
}


@dataclass(frozen=True, eq=False)
class KLTerm:
    """½ ∫ w(λ) E‖eps_hat − eps_hat of the first policy‖² dλ on a batch of actions.

    For w = 1 it is the KL divergence of the learning policy from the first one.

    Args:
        z: Noisy actions, shape (m · n, 2).
        draws: The draws that made them.
        first_x_hat: What the first policy makes of z, shape (m · n, 2).
    """

    z: Tensor
    draws: surrogates.Draws
    first_x_hat: Tensor

    @classmethod
    def draw(
        cls, objective: Trainable, actions: Tensor, first: Denoiser, rng: np.random.Generator
    ) -> "KLTerm":
        """Fix the draws of a batch.

        Args:
            objective: Draws the levels; its weighting is w.
            actions: Actions of the policy that learns, shape (n, 2).
            first: The policy as it was at the start.
            rng: NumPy generator.

        Returns:
            The term, a function of a policy.
        """
        draws = surrogates.draws(objective, actions, KL_DRAWS, rng)
        z, logsnr = surrogates.noisy(actions, draws)
        return cls(z, draws, first.denoise(z, logsnr).detach())

    def __call__(self, model: Denoiser) -> Tensor:
        """The term for a policy, a scalar that is differentiable in it."""
        logsnr, factor, _ = self.draws
        moved = model.denoise(self.z, logsnr.flatten()) - self.first_x_hat
        squared = moved.square().sum(1).reshape(factor.shape)
        return (factor * (logsnr.exp() * squared)).mean()


def _flow_losses(
    objective: Trainable, actions: Tensor, m: int, generators: Generators
) -> FlowLosses:
    """Diffusion losses of actions at m fresh draws for each."""
    return FlowLosses(actions, surrogates.draws(objective, actions, m, generators.rng))
