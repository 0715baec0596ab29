"""Small networks for many objectives at once: every weight carries a leading axis, one slice for each objective.

A network is a frozen description; its weights live outside it, as tensors of shape (k, ...) for k objectives trained
side by side, so that each layer is one batched matrix product for all of them. It maps (z, logsnr) to a raw output r of
z's shape. What r stands for (eps, x, v, F) is the trainer's affair: it hands over unit-variance data, see `training`.

Another architecture is any object with the two methods used here:

    weights(shape) -> [(shape of a weight, standard deviation it starts with), ...]
    __call__(weights, z, logsnr) -> r        z, r: (k, n, *shape);  logsnr: (k, n);  weights: [(k, *shape of a weight), ...]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = list[tuple[tuple[int, ...], float]]
LEVEL = 7  # number of features of the log-SNR


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x @ weight + bias for every objective: x (k, n, i), weight (k, i, o), bias (k, 1, o) -> (k, n, o)."""
    return torch.baddbmm(bias, x, weight)


def level(logsnr: Tensor) -> Tensor:
    """Bounded features of the log-SNR, shape (..., 7); levels beyond +-20 look like +-20."""
    c = logsnr.clamp(-20, 20).unsqueeze(-1) / 20
    phase = c * c.new_tensor([1.0, 3.0, 6.0]) * math.pi / 2
    return torch.cat([c, phase.sin(), phase.cos()], -1)


def _layer(i: int, o: int, gain: float = 1.0) -> Weights:
    return [((i, o), gain / math.sqrt(i)), ((1, o), 0.0)]


@dataclass(frozen=True)
class MLP:
    """Perceptron on z, sines and cosines of z, and features of the log-SNR; for points of the plane and other vectors.

    Args:
        width, depth: units in a hidden layer, and number of them.
        frequencies: angular frequencies of the Fourier features of z (unit variance); () for none.
    """

    width: int = 64
    depth: int = 3
    frequencies: tuple[float, ...] = (1.0, 2.0, 4.0)

    def weights(self, shape: tuple[int, ...]) -> Weights:
        d = math.prod(shape)
        sizes = [d * (1 + 2 * len(self.frequencies)) + LEVEL] + [self.width] * self.depth
        hidden = [w for i, o in pairwise(sizes) for w in _layer(i, o, math.sqrt(2))]
        return hidden + _layer(sizes[-1], d, 0.0)

    def __call__(self, weights: Sequence[Tensor], z: Tensor, logsnr: Tensor) -> Tensor:
        x = z.flatten(2)
        phase = (x.unsqueeze(-1) * x.new_tensor(self.frequencies)).flatten(2)
        h = torch.cat([x, phase.sin(), phase.cos(), level(logsnr)], -1)
        *hidden, last = zip(weights[::2], weights[1::2], strict=True)
        for layer in hidden:
            h = F.silu(linear(h, *layer))
        return linear(h, *last).view_as(z)


@dataclass(frozen=True)
class Transformer:
    """Small diffusion transformer (Peebles & Xie 2023, adaLN-zero) for images (h, w) or (channels, h, w) up to 28 x 28.

    Args:
        width, depth, heads: channels of a token, blocks, attention heads (a divisor of width).
        patch: side of the square patch that makes a token; the largest up to 7 that divides h and w if None.
    """

    width: int = 64
    depth: int = 3
    heads: int = 4
    patch: int | None = None

    def _side(self, h: int, w: int) -> int:
        return self.patch or max(side for side in range(1, 8) if h % side == w % side == 0)

    def weights(self, shape: tuple[int, ...]) -> Weights:
        *channels, h, w = shape
        side = self._side(h, w)
        if h % side or w % side or self.width % self.heads:
            raise ValueError(
                f"patch={side} must divide the image {h} x {w}, and heads={self.heads} the width {self.width}"
            )
        d, p = self.width, side**2 * math.prod(channels)
        block = (
            _layer(d, 6 * d, 0.0)
            + _layer(d, 3 * d)
            + _layer(d, d)
            + _layer(d, 4 * d)
            + _layer(4 * d, d)
        )
        tokens = [((h * w // side**2, d), 0.5)]
        return (
            tokens
            + _layer(p, d)
            + _layer(LEVEL, d, 2.0)
            + self.depth * block
            + _layer(d, 2 * d, 0.0)
            + _layer(d, p, 0.0)
        )

    def __call__(self, weights: Sequence[Tensor], z: Tensor, logsnr: Tensor) -> Tensor:
        (k, n), (h, w), d = z.shape[:2], z.shape[-2:], self.width
        side, (position, *rest) = self._side(h, w), weights
        layers = zip(rest[::2], rest[1::2], strict=True)
        dense = lambda x: linear(x.flatten(1, -2), *next(layers)).unflatten(1, x.shape[1:-1])
        adapted = lambda x, shift, scale: dense(F.layer_norm(x, (d,)) * (1 + scale) + shift)
        patches = F.unfold(z.reshape(k * n, -1, h, w), side, stride=side).mT
        x = dense(patches.unflatten(0, (k, n))) + position.unsqueeze(1)
        c = F.silu(dense(level(logsnr))).unsqueeze(2)
        for _ in range(self.depth):
            shift, scale, gate, shift2, scale2, gate2 = dense(c).chunk(6, -1)
            q, key, v = (
                adapted(x, shift, scale)
                .view(k * n, -1, 3, self.heads, d // self.heads)
                .permute(2, 0, 3, 1, 4)
            )
            attended = F.scaled_dot_product_attention(q, key, v).transpose(1, 2).reshape_as(x)
            x = x + gate * dense(attended)
            x = x + gate2 * dense(F.gelu(adapted(x, shift2, scale2), approximate="tanh"))
        x = adapted(x, *dense(c).chunk(2, -1))
        return F.fold(x.flatten(0, 1).mT, (h, w), side, stride=side).view_as(z)
