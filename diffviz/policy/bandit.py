"""Four goals in the plane, a small flow policy, and the loop that learns from reward or from preference.

The environment has the interface of gymnasium; an episode is one action. Policies start as N(0, I) exactly, so that the
first reward is known: 4 width²/(1 + width²) exp(−2.25/(1 + width²)) = 0.059, but for the overlap of the goals.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn

from diffviz.checks import finite
from diffviz.policy import surrogates
from diffviz.sampling import grids
from diffviz.sampling.integrate import sample
from diffviz.theory.paths import LINEAR

GRID, CHAIN = (
    grids.grid(LINEAR.schedule, 20, -8, 8),
    np.linspace(-8, 8, 21),
)  # levels of the flow sampler, and of DDPO's chain


class FourGoals:
    """Reward exp(−distance²/(2 width²)) to the nearest of four goals; a step takes one action (2,) or many (n, 2)."""

    width, goals = 0.35, 1.5 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """An observation without content, and info."""
        return np.zeros(0), {}

    def step(self, action):
        """Observation, reward, terminated, truncated, info; ``info["goal"]`` is the nearest goal."""
        place = finite(action, "action")
        if place.shape[-1:] != (2,):
            raise ValueError(
                f"an action is a point in the plane, (2,) or (n, 2); got {place.shape}"
            )
        distance = np.linalg.norm(place[..., None, :] - self.goals, axis=-1)
        reward = np.exp(-((distance.min(-1) / self.width) ** 2) / 2)
        over = np.ones_like(reward, dtype=bool)
        return np.zeros(0), reward, over, ~over, {"goal": distance.argmin(-1)}


class Shift(nn.Module):
    """The exact denoiser of N(mean, I), with its mean to learn: the gain law holds for it to the letter."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat = alpha z + sigma² mean."""
        level = logsnr.expand(len(z))[:, None]
        return level.sigmoid().sqrt() * z + (-level).sigmoid() * self.mean


class Flow(nn.Module):
    """v_hat by a perceptron of three layers of 64, on z and λ with their sines and cosines; N(0, I) at the start."""

    mean = torch.zeros(2, dtype=torch.float64)

    def __init__(self, seed: int = 0):
        super().__init__()
        layers = [one for inputs in (9, 64, 64) for one in (nn.Linear(inputs, 64), nn.SiLU())]
        self.net, generator = (
            nn.Sequential(*layers, nn.Linear(64, 2)),
            torch.Generator().manual_seed(seed),
        )
        for one in self.net.parameters():
            nn.init.normal_(
                one,
                0,
                (2 / one.shape[1]) ** 0.5 if one.ndim > 1 and len(one) == 64 else 0,
                generator,
            )

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat = alpha z − sigma v_hat."""
        level = logsnr.expand(len(z))[:, None]
        part = level.clamp(-10, 10) / 4
        v = self.net(torch.cat([z, z.sin(), z.cos(), part, part.sin(), part.cos()], 1).float()).to(
            z
        )
        return level.sigmoid().sqrt() * z - (-level).sigmoid().sqrt() * v


@dataclass
class History:
    """A policy, and by step the mean reward and the number of goals with 5 % or more of the actions within two widths."""

    model: nn.Module
    reward: list[float] = field(default_factory=list)
    goals: list[int] = field(default_factory=list)


@torch.no_grad()
def act(model: Any, n: int, generator: torch.Generator, steps: Any = None) -> list[Tensor]:
    """n actions (n, 2), last in a list: from the flow, or with every z before them from the ancestral chain on ``steps``."""
    path = [torch.randn(n, 2, generator=generator, dtype=torch.float64)]
    for before, after in pairwise([] if steps is None else steps):
        path.append(surrogates.chain(model, path[-1], before, after, generator=generator)[0])
    return [sample(model, GRID, "heun", start=path[0]).samples] if steps is None else path


def _of_flow(path, first, env, how):
    at = surrogates.draws(how.objective, path[-1], how.draws, how.rng)
    return lambda model: surrogates.losses(model, path[-1], at)


def _of_chain(path, first, env, how):
    steps = list(zip(path, CHAIN, CHAIN[1:], path[1:], strict=False))
    return lambda model: torch.stack([surrogates.chain(model, *step)[1] for step in steps])


def _kept(path, first, how):
    """½ ∫ w E‖eps_hat − eps_hat of the first policy‖² dλ on the policy's actions: for w = 1 the KL from the first policy."""
    at = surrogates.draws(
        how.objective, path[-1], 2, how.rng
    )  # two are enough: nothing is exponentiated
    level, factor, eps = at[0][..., None], at[1], at[2]
    z = (level.sigmoid().sqrt() * path[-1] + (-level).sigmoid().sqrt() * eps).flatten(0, 1)
    before = first.denoise(z, at[0].flatten()).detach()
    moved = lambda model: (
        (model.denoise(z, at[0].flatten()) - before).square().sum(1).reshape(factor.shape)
    )
    return lambda model: (factor * level[..., 0].exp() * moved(model)).mean()


def _of_pairs(path, first, env, how):
    """Pairs from the first policy; the judge prefers a to b with probability sigmoid(scale (reward a − reward b))."""
    a, b = act(first, len(path[-1]) // 2 * 2, how.generator)[-1].chunk(2)
    odds = how.scale * (env.step(a.numpy())[1] - env.step(b.numpy())[1])
    wins = torch.from_numpy(how.rng.random(len(a)) < expit(odds))[:, None]
    at = surrogates.draws(how.objective, a, how.draws, how.rng)  # one noise for both of a pair
    return lambda model: torch.stack(
        [
            surrogates.losses(model, x, at)
            for x in (torch.where(wins, a, b), torch.where(wins, b, a))
        ]
    )


METHODS: dict[
    str, tuple[Callable, Callable]
] = {  # what is compared of old and new policy, and the surrogate made of it
    "fpo": (
        _of_flow,
        lambda new, old, advantage, how: surrogates.fpo(old, new, advantage, how.clip),
    ),
    "awr": (
        _of_flow,
        lambda new, old, advantage, how: surrogates.awr(new, advantage, how.temperature),
    ),
    "ddpo": (
        _of_chain,
        lambda new, old, advantage, how: surrogates.ddpo(old, new, advantage, how.clip),
    ),
    "dpo": (
        _of_pairs,
        lambda new, old, advantage, how: surrogates.dpo(new[0], new[1], old[0], old[1], how.beta),
    ),
}
DEFAULTS = {
    "objective": surrogates.MODES["u"],
    "draws": 8,
    "clip": 0.05,
    "temperature": 1.0,
    "beta": 0.25,
    "scale": 10.0,
    "keep": 0.0,
}


def learn(
    method: str = "fpo", env: Any = None, *, model: Any = None, iterations: int = 20, batch: int = 512, epochs: int = 16,
    rate: float = 1e-3, seed: int = 0, callback: Callable[[History], Any] | None = None, **options: Any,
) -> History:  # fmt: skip
    """Learn by one of METHODS; the stop button ends it early and returns what is learned.

    Args:
        env: anything with ``step(actions)``; model: a ``Flow`` by default; epochs: updates on each batch of actions.
        callback: gets the history after every batch; options: of DEFAULTS.
    """
    if method not in METHODS or not options.keys() <= DEFAULTS.keys():
        raise ValueError(
            f"method is one of {', '.join(METHODS)}, options {', '.join(DEFAULTS)}; got {method!r}, {[*options]}"
        )
    if iterations < 0 or epochs < 1 or batch < 2 or not 0 <= options.get("keep", 0) < np.inf:
        wrong = f"{iterations}, {epochs}, {batch} and {options.get('keep', 0)}"
        raise ValueError(
            f"need iterations >= 0, epochs >= 1, batch >= 2 and a finite keep >= 0, got {wrong}"
        )
    how = SimpleNamespace(
        **DEFAULTS | options,
        rng=np.random.default_rng(seed),
        generator=torch.Generator().manual_seed(seed),
    )
    env, model = env or FourGoals(), model or Flow(seed)
    history, first, (compared, surrogate) = History(model), copy.deepcopy(model), METHODS[method]
    optimiser = torch.optim.Adam(model.parameters(), rate)
    try:
        for k in range(iterations + 1):
            path = act(model, batch, how.generator, CHAIN if method == "ddpo" else None)
            _, reward, _, _, info = env.step(path[-1].numpy())
            hit = np.bincount(info["goal"][reward > np.exp(-2)], minlength=4)
            history.reward.append(float(reward.mean()))
            history.goals.append(int((hit > 0.05 * hit.sum()).sum()))
            if callback is not None:
                callback(history)
            measure = compared(path, first, env, how)
            old = measure(first if method == "dpo" else model).detach()
            kept = _kept(path, first, how) if how.keep else lambda _: 0.0
            for _ in range(epochs * (k < iterations)):
                optimiser.zero_grad()
                loss = surrogate(
                    measure(model), old, (reward - reward.mean()) / (reward.std() + 1e-12), how
                )
                (loss + how.keep * kept(model)).backward()
                optimiser.step()
    except KeyboardInterrupt:
        pass
    return history
