"""Policies of the plane, and how they act: through the flow, or step by step along a chain.

A policy is a denoiser. Both policies here start as N(0, I) exactly, so that the first reward is
known in closed form.
"""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from diffviz import checks
from diffviz.compute import threads
from diffviz.policy import surrogates
from diffviz.protocols import Denoiser
from diffviz.sampling import grids
from diffviz.sampling.integrate import sample
from diffviz.theory.paths import LINEAR

FLOW_GRID = grids.grid(LINEAR.schedule, 20, -8, 8)  # levels of the flow sampler
CHAIN_GRID = np.linspace(-8, 8, 21)  # levels of DDPO's chain
HIDDEN = 64  # units of a layer of Flow


class Shift(nn.Module):
    """The exact denoiser of N(mean, I), with its mean to learn.

    The gain law holds for it exactly (``diffviz.theory.elbo_mixture.gain``).

    Attributes:
        mean: The mean, shape (2,), float64; 0 at the start.
    """

    def __init__(self) -> None:
        """Start at mean 0."""
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """E[x|z] = alpha z + sigma² mean.

        Args:
            z: Variance-preserving, shape (n, 2).
            logsnr: λ in nats, shape (n,) or (1,) or ().

        Returns:
            x_hat, shape (n, 2).
        """
        level = logsnr.expand(len(z))[:, None]
        return level.sigmoid().sqrt() * z + (-level).sigmoid() * self.mean

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points."""
        return n * 2 * threads.ELEMENT


class Flow(nn.Module):
    """v_hat by a perceptron with three hidden layers, on z and λ with their sines and cosines.

    The output layer starts at 0, so that v_hat = 0 and x_hat = alpha z: the policy is N(0, I).

    Args:
        seed: Seed of the hidden layers' start.

    Raises:
        TypeError: The seed is no whole number.
        ValueError: The seed is below 0.
    """

    mean = torch.zeros(2, dtype=torch.float64)

    def __init__(self, seed: int = 0) -> None:
        """Draw the weights; see the class."""
        super().__init__()
        generator = torch.Generator().manual_seed(checks.seed(seed))
        layers: list[nn.Module] = []
        for inputs in (9, HIDDEN, HIDDEN):
            layers += [_undrawn_linear(inputs, HIDDEN), nn.SiLU()]
        self.net = nn.Sequential(*layers, _undrawn_linear(HIDDEN, 2))
        for parameter in self.net.parameters():
            nn.init.normal_(parameter, 0, _initial_std(parameter), generator)

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat = alpha z − sigma v_hat.

        Args:
            z: Variance-preserving, shape (n, 2).
            logsnr: λ in nats, shape (n,) or (1,) or ().

        Returns:
            x_hat, shape (n, 2), in the type of z.

        Raises:
            ValueError: z has another shape.
        """
        checks.require(
            z.ndim == 2 and z.shape[1] == 2, f"z must have shape (n, 2), got {tuple(z.shape)}"
        )
        level = logsnr.expand(len(z))[:, None]
        scaled = level.clamp(-10, 10) / 4
        inputs = torch.cat([z, z.sin(), z.cos(), scaled, scaled.sin(), scaled.cos()], 1)
        v_hat = self.net(inputs.float()).to(z)
        return level.sigmoid().sqrt() * z - (-level).sigmoid().sqrt() * v_hat

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest layer on n points."""
        return n * HIDDEN**2


def _undrawn_linear(inputs: int, outputs: int) -> nn.Module:
    """A linear layer without values, so that torch's global generator is left alone."""
    return nn.utils.skip_init(nn.Linear, inputs, outputs)


def _initial_std(parameter: Tensor) -> float:
    """He's standard deviation for the weights of a hidden layer; 0 for biases and the output."""
    is_hidden_weight = parameter.ndim > 1 and len(parameter) == HIDDEN
    return (2 / parameter.shape[1]) ** 0.5 if is_hidden_weight else 0.0


@torch.no_grad()
def act(
    model: Denoiser, n: int, generator: torch.Generator, steps: ArrayLike | None = None
) -> list[Tensor]:
    """Draw actions of a policy.

    Args:
        model: The policy.
        n: Number of actions.
        generator: Torch generator.
        steps: Increasing levels λ of an ancestral chain, in nats; by default the flow is
            integrated.

    Returns:
        The actions, shape (n, 2), float64, last in a list. From the flow they are alone in it, and
        from the chain every z before them comes first.

    Raises:
        TypeError: n is no whole number, the generator is not torch's, or the model no denoiser.
        ValueError: n < 1, or the levels do not increase.
    """
    n = checks.count(n, "n")
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch generator such as torch.Generator().manual_seed(0), "
            f"got {generator!r}"
        )
    surrogates.check_denoiser(model)
    with threads.suited(threads.denoising(model, n)):
        return _path(model, n, generator, steps)


def _path(
    model: Denoiser, n: int, generator: torch.Generator, steps: ArrayLike | None
) -> list[Tensor]:
    """What ``act`` returns, for arguments that are checked."""
    start = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    if steps is None:
        return [sample(model, FLOW_GRID, "heun", start=start).samples]
    path = [start]
    for before, after in pairwise(checks.increasing(steps, "steps")):
        state, _ = surrogates.chain(model, path[-1], before, after, generator=generator)
        path.append(state)
    return path
