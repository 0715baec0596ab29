"""What a training leaves: a denoiser with its weights, its averages and the data's scale."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz import markup


def output_coefficients(level: Tensor, output: str) -> tuple[Tensor, ...]:
    """alpha', sigma', and a, b of the raw output, each of the shape of level."""
    alpha, sigma, none = (
        torch.sigmoid(level).sqrt(),
        torch.sigmoid(-level).sqrt(),
        torch.zeros_like(level),
    )
    return (
        alpha,
        sigma,
        *{
            "eps": (none, none + 1),
            "x": (none + 1, none),
            "v": (-sigma, alpha),
            "F": (sigma, -alpha),
        }[output],
    )


def raw_output(model: Any, flat: Tensor, z: Tensor, level: Tensor) -> Tensor:
    """Raw output of a network, all of whose weights are one tensor (k, parameters)."""
    layout = model.weights(tuple(z.shape[2:]))
    pieces = flat.split([math.prod(shape) for shape, _ in layout], 1)
    return model(
        [piece.view(-1, *shape) for piece, (shape, _) in zip(pieces, layout, strict=True)], z, level
    )


@dataclass(frozen=True)
class Run:
    """One trained denoiser.

    Args:
        objective: what it was trained under.
        model, output: network, and what its raw output stands for.
        mean, std: of the data, shape (*shape) and a number.
        state: flat weights by averaging length; at 0.0 the last ones, not averaged.
        ema: the length that ``denoise`` uses.
        loss: training loss of every step, shape (steps,).
    """

    objective: Any
    model: Any
    output: str
    mean: Tensor
    std: float
    state: dict[float, Tensor]
    ema: float
    loss: NDArray

    @property
    def name(self) -> str:
        return self.objective.name

    def _repr_html_(self) -> str:
        return markup.run(self)

    def denoise(self, z: Tensor, logsnr: Tensor | float) -> Tensor:
        """E[x|z], like z, of variance-preserving z (n, *shape) at logsnr (n,) or (); ValueError if the shapes do not fit."""
        logsnr = torch.as_tensor(logsnr, dtype=z.dtype, device=z.device)
        if z.shape[1:] != self.mean.shape or logsnr.shape not in (z.shape[:1], ()):
            want = (len(z), *self.mean.shape)
            raise ValueError(
                f"z must be {want} and logsnr {want[:1]} or (), got {tuple(z.shape)}, {tuple(logsnr.shape)}"
            )
        logsnr = logsnr.expand(len(z)).reshape(-1, *[1] * self.mean.ndim)
        level, mean, flat = (
            logsnr + 2 * math.log(self.std),
            self.mean.to(z),
            self.state[self.ema].to(z.device)[None],
        )
        scale = (torch.sigmoid(logsnr) * self.std**2 + torch.sigmoid(-logsnr)).sqrt()
        unit = (z - torch.sigmoid(logsnr).sqrt() * mean) / scale
        alpha, sigma, a, b = output_coefficients(level, self.output)
        r = raw_output(self.model, flat, unit[None].to(flat), level.reshape(1, -1).to(flat))[0].to(
            z
        )
        return mean + self.std * (b * unit - sigma * r) / (b * alpha - a * sigma)

    def at(self, ema: float) -> "Run":
        """The same run with weights averaged over another of the lengths in ``state``."""
        if ema not in self.state:
            raise ValueError(
                f"no average of length {ema}; there are {', '.join(map(str, self.state))}"
            )
        return replace(self, ema=ema)
