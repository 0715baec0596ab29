"""Small networks for many objectives at once: each weight has one slice for each objective.

A network is a frozen description. Its weights live outside it, as tensors of shape (k, ...) for k
objectives trained side by side, so that each layer is one batched matrix product for all of them.
It maps (z, logsnr) to a raw output r of z's shape. What r stands for (eps, x, v or F) is decided in
``outputs``; the trainer hands over data of unit variance.

Another architecture is any object with the two methods of ``Network``. In files it stands by its
class and its fields.

Example:
    >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
    >>> small = dv.models.MLP(width=16)
    >>> (run,) = dv.fit("fm-ot", data, model=small, steps=2, batch=16, progress=False)
    >>> run.model == small
    True
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from diffviz import checks
from diffviz.learning.content import name_of, settings_of

Weights = list[tuple[tuple[int, ...], float]]
LEVEL = 7  # number of features of the log-SNR
LARGEST_PATCH = 7


class Network(Protocol):
    """What a trainer needs of a network."""

    def weights(self, shape: tuple[int, ...]) -> Weights:
        """Shapes of the weights for points of a shape, each with its standard deviation at first.

        Args:
            shape: Shape of one point.

        Returns:
            One pair (shape of a weight, standard deviation) for each weight.
        """
        ...

    def __call__(self, weights: Sequence[Tensor], z: Tensor, logsnr: Tensor) -> Tensor:
        """Raw output of k networks.

        Args:
            weights: One tensor (k, *shape of a weight) for each entry of ``weights(shape)``.
            z: Points, shape (k, n, *shape).
            logsnr: Their log-SNR in nats, shape (k, n).

        Returns:
            The output, of z's shape.
        """
        ...


# --- parts of networks ----------------------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Product x @ weight + bias for every objective.

    Args:
        x: Inputs, shape (k, n, i).
        weight: Shape (k, i, o).
        bias: Shape (k, 1, o).

    Returns:
        Outputs, shape (k, n, o).
    """
    return torch.baddbmm(bias, x, weight)


def level(logsnr: Tensor) -> Tensor:
    """Bounded features of the log-SNR; levels beyond ±20 look like ±20.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        Features, shape (..., 7).
    """
    c = logsnr.clamp(-20, 20).unsqueeze(-1) / 20
    phase = c * c.new_tensor([1.0, 3.0, 6.0]) * math.pi / 2
    return torch.cat([c, phase.sin(), phase.cos()], -1)


def _layer(i: int, o: int, gain: float = 1.0) -> Weights:
    """Weight and bias of a layer from i to o units, with variance gain²/i at first."""
    return [((i, o), gain / math.sqrt(i)), ((1, o), 0.0)]


def raw_output(model: Network, flat: Tensor, z: Tensor, logsnr: Tensor) -> Tensor:
    """Raw output of a network all of whose weights are one tensor.

    Args:
        model: The network.
        flat: Its weights, shape (k, parameters).
        z: Points, shape (k, n, *shape).
        logsnr: Their log-SNR in nats, shape (k, n).

    Returns:
        The output, of z's shape.
    """
    shapes = [shape for shape, _ in model.weights(tuple(z.shape[2:]))]
    pieces = flat.split([math.prod(shape) for shape in shapes], 1)
    weights = [piece.view(-1, *shape) for piece, shape in zip(pieces, shapes, strict=True)]
    return model(weights, z, logsnr)


def multiply_adds(model: Network, shape: tuple[int, ...], n: int) -> float:
    """Multiply-adds of the largest product of a network on n points.

    Args:
        model: The network.
        shape: Shape of one point.
        n: Number of points, those of all objectives together.

    Returns:
        What the network says by a method ``multiply_adds(shape)`` of its own; without one, a
        product with the largest weight for vectors, and infinity for images.
    """
    if checks.offers(model, KnowsWork):
        return n * model.multiply_adds(shape)
    if len(shape) > 1:
        return math.inf
    return n * _largest_weight(model, shape)


class KnowsWork(Protocol):
    """A network that knows how much it computes."""

    def multiply_adds(self, shape: tuple[int, ...]) -> float:
        """Multiply-adds of the largest product on one point of a shape."""


def _largest_weight(model: Network, shape: tuple[int, ...]) -> int:
    """Number of elements of the largest weight."""
    return max((math.prod(weight) for weight, _ in model.weights(shape)), default=0)


# --- networks -------------------------------------------------------------------------------------


def _set_counts(network: Any, *names: str) -> None:
    """Check that fields of a frozen network are positive whole numbers, and keep them as ints."""
    for name in names:
        object.__setattr__(network, name, checks.count(getattr(network, name), name))


@dataclass(frozen=True)
class MLP:
    """Perceptron on z, sines and cosines of z, and features of the log-SNR.

    It is meant for points of the plane and other vectors.

    Args:
        width: Units in a hidden layer.
        depth: Number of hidden layers.
        frequencies: Angular frequencies of the Fourier features of z (unit variance); () for none.

    Raises:
        TypeError: A setting is of the wrong kind.
        ValueError: The width or the depth is below 1, or a frequency is not finite.
    """

    width: int = 64
    depth: int = 3
    frequencies: tuple[float, ...] = (1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        _set_counts(self, "width", "depth")
        frequencies = checks.array(self.frequencies, "frequencies", ndim=1)
        object.__setattr__(self, "frequencies", tuple(frequencies.tolist()))

    def weights(self, shape: tuple[int, ...]) -> Weights:
        """Shapes of the weights for points of a shape; see ``Network.weights``."""
        d = math.prod(shape)
        features = d * (1 + 2 * len(self.frequencies)) + LEVEL
        sizes = [features] + [self.width] * self.depth
        hidden = [weight for i, o in pairwise(sizes) for weight in _layer(i, o, math.sqrt(2))]
        return hidden + _layer(sizes[-1], d, 0.0)

    def multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Multiply-adds of the largest layer on one point of a shape."""
        return _largest_weight(self, shape)

    def __call__(self, weights: Sequence[Tensor], z: Tensor, logsnr: Tensor) -> Tensor:
        """Raw output; see ``Network.__call__``."""
        x = z.flatten(2)
        phase = (x.unsqueeze(-1) * x.new_tensor(self.frequencies)).flatten(2)
        h = torch.cat([x, phase.sin(), phase.cos(), level(logsnr)], -1)
        *hidden, last = zip(weights[::2], weights[1::2], strict=True)
        for weight, bias in hidden:
            h = F.silu(linear(h, weight, bias))
        return linear(h, *last).view_as(z)


class _Layers:
    """Dense layers of a transformer, applied in the order in which their weights stand."""

    def __init__(self, weights: Sequence[Tensor]):
        self._pairs: Iterator[tuple[Tensor, Tensor]] = zip(weights[::2], weights[1::2], strict=True)

    def dense(self, x: Tensor) -> Tensor:
        """The next layer on x (k, ..., i)."""
        weight, bias = next(self._pairs)
        return linear(x.flatten(1, -2), weight, bias).unflatten(1, x.shape[1:-1])

    def adapted(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """The next layer on x after a layer norm that the log-SNR shifts and scales."""
        normal = F.layer_norm(x, x.shape[-1:])
        return self.dense(normal * (1 + scale) + shift)


@dataclass(frozen=True)
class Transformer:
    """Small diffusion transformer with adaLN-zero (Peebles and Xie 2023, arXiv 2212.09748).

    It is meant for images (h, w) or (channels, h, w) up to 28 × 28.

    Args:
        width: Channels of a token.
        depth: Number of blocks.
        heads: Attention heads, a divisor of the width.
        patch: Side of the square patch that makes a token. By default it is the largest up to 7
            that divides h and w.

    Raises:
        TypeError: A setting is no whole number.
        ValueError: A setting is below 1.
    """

    width: int = 64
    depth: int = 3
    heads: int = 4
    patch: int | None = None

    def __post_init__(self) -> None:
        _set_counts(self, "width", "depth", "heads")
        if self.patch is not None:
            _set_counts(self, "patch")

    def _side(self, h: int, w: int) -> int:
        """Side of a patch of an image h × w."""
        sides = range(1, LARGEST_PATCH + 1)
        return self.patch or max(side for side in sides if h % side == w % side == 0)

    def weights(self, shape: tuple[int, ...]) -> Weights:
        """Shapes of the weights for images of a shape; see ``Network.weights``.

        Args:
            shape: (h, w) or (channels, h, w).

        Returns:
            Positions of the tokens, then weight and bias of each layer in the order of their use.

        Raises:
            ValueError: The shape is none of an image, or the patch or the heads do not divide it.
        """
        if len(shape) < 2:
            raise ValueError(
                "a Transformer takes images (h, w) or (channels, h, w), "
                f"got points of shape {shape}; for vectors take an MLP"
            )
        *channels, h, w = shape
        side = self._side(h, w)
        if h % side or w % side or self.width % self.heads:
            raise ValueError(
                f"patch={side} must divide the image {h} x {w}, "
                f"and heads={self.heads} the width {self.width}"
            )
        d = self.width
        p = side**2 * math.prod(channels)
        position = [((h * w // side**2, d), 0.5)]
        embedding = _layer(p, d) + _layer(LEVEL, d, 2.0)
        modulation = _layer(d, 6 * d, 0.0)
        attention = _layer(d, 3 * d) + _layer(d, d)
        perceptron = _layer(d, 4 * d) + _layer(4 * d, d)
        blocks = self.depth * (modulation + attention + perceptron)
        last = _layer(d, 2 * d, 0.0) + _layer(d, p, 0.0)
        return position + embedding + blocks + last

    def multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Multiply-adds of the largest product on one image of a shape: a layer or attention."""
        (tokens, _), _ = self.weights(shape)[0]
        *channels, h, w = shape
        pixels = h * w // tokens * math.prod(channels)
        return tokens * self.width * max(4 * self.width, pixels, tokens)

    def __call__(self, weights: Sequence[Tensor], z: Tensor, logsnr: Tensor) -> Tensor:
        """Raw output; see ``Network.__call__``."""
        k, n = z.shape[:2]
        h, w = z.shape[-2:]
        side = self._side(h, w)
        position, *rest = weights
        layers = _Layers(rest)
        patches = F.unfold(z.reshape(k * n, -1, h, w), side, stride=side).mT
        x = layers.dense(patches.unflatten(0, (k, n))) + position.unsqueeze(1)
        condition = F.silu(layers.dense(level(logsnr))).unsqueeze(2)
        for _ in range(self.depth):
            x = self._block(layers, x, condition)
        x = layers.adapted(x, *layers.dense(condition).chunk(2, -1))
        return F.fold(x.flatten(0, 1).mT, (h, w), side, stride=side).view_as(z)

    def _block(self, layers: _Layers, x: Tensor, condition: Tensor) -> Tensor:
        """Attention and perceptron on tokens x (k, n, tokens, width)."""
        shift, scale, gate, shift2, scale2, gate2 = layers.dense(condition).chunk(6, -1)
        attended = self._attention(layers.adapted(x, shift, scale))
        x = x + gate * layers.dense(attended)
        hidden = F.gelu(layers.adapted(x, shift2, scale2), approximate="tanh")
        return x + gate2 * layers.dense(hidden)

    def _attention(self, qkv: Tensor) -> Tensor:
        """Attention of queries, keys and values (k, n, tokens, 3 · width) among tokens."""
        k, n, tokens, _ = qkv.shape
        size = self.width // self.heads
        heads = qkv.view(k * n, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*heads).transpose(1, 2)
        return attended.reshape(k, n, tokens, self.width)


# --- networks as arguments and in files -----------------------------------------------------------

NETWORKS: dict[str, type] = {"MLP": MLP, "Transformer": Transformer}


def default_model(shape: Sequence[int]) -> Network:
    """The network for points of a shape: an MLP for vectors, a Transformer for images."""
    checks.instance(shape, "shape", (tuple, list, torch.Size), "a tuple such as (2,)")
    return MLP() if len(shape) == 1 else Transformer()


def check_network(model: Any) -> Network:
    """A network, refused with a TypeError if it is none.

    Args:
        model: An object with the methods of ``Network``.

    Returns:
        The same object.

    Raises:
        TypeError: A method is missing, or the model is a class.
    """
    if isinstance(model, type):
        raise TypeError(f"model must be a network, not a class: model={model.__name__}()")
    if not checks.offers(model, Network):
        raise TypeError(
            "model must be a network such as dv.models.MLP(width=64), with weights(shape) and "
            f"__call__(weights, z, logsnr); got {checks.brief(model)}"
        )
    return model


def describe(model: Network) -> dict[str, Any]:
    """Class and settings of a network as JSON has them.

    Args:
        model: The network.

    Returns:
        {"class": name, "settings": {...}}. The settings are the fields of a dataclass and the
        attributes of the object. What JSON does not know is described by what it holds, so that it
        reads the same in another process; see ``content``.
    """
    check_network(model)
    cls = type(model)
    own = NETWORKS.get(cls.__name__) is cls
    name = cls.__name__ if own else name_of(cls)
    return {"class": name, "settings": settings_of(model)}


@dataclass(frozen=True, eq=False)
class Described:
    """A network with its description of a moment, since use may move what it holds.

    A batch norm gathers means, for instance, and a part may be switched to evaluation. A training
    takes the description before its first step, and its files are compared by that one.

    Args:
        network: The network.
        description: What ``describe`` returned then.
    """

    network: Network
    description: Mapping[str, Any]


def described(network: Network) -> Described:
    """A network with its description of now."""
    return Described(network, describe(network))


def checked_description(description: Any) -> dict[str, Any]:
    """What ``describe`` returns; a ValueError for anything else."""
    is_one = isinstance(description, dict) and {"class", "settings"} <= description.keys()
    if not is_one or not isinstance(description["class"], str):
        raise ValueError(
            "description must have a class and settings, as describe returns it; "
            f"got {checks.brief(description)}"
        )
    return description


def from_description(description: dict[str, Any], given: Network | None = None) -> Network:
    """The network of a description.

    Args:
        description: What ``describe`` returned.
        given: The network itself; needed if its class is not one of this module.

    Returns:
        The network.

    Raises:
        TypeError: What is given is no network.
        ValueError: The network that is given has another description, or one must be given.
    """
    description = checked_description(description)
    name = description["class"]
    settings = description["settings"]
    if given is not None:
        here = describe(check_network(given))
        if here != description:
            raise ValueError(f"the network is {name} with {settings}, not {here}; give that one")
        return given
    if name not in NETWORKS:
        raise ValueError(
            f"the network is {name} with {settings}, which is not part of diffviz; "
            "give it as model=..."
        )
    try:
        return NETWORKS[name](**settings)
    except TypeError as error:
        raise ValueError(f"the network {name} has no settings {settings}: {error}") from error
