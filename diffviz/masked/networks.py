"""A small transformer that predicts masked tokens; it is not told the time.

Masked tokens show how many there are, so that the exact prediction does not depend on the time
(Ou et al. 2024, arXiv 2406.03736).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diffviz.checks import count, require, seed
from diffviz.learning import side_by_side
from diffviz.learning.models import linear

HEADS = 2  # of attention


class Transformer(nn.Module):
    """A bidirectional transformer over tokens and one mask.

    Args:
        alphabet: Number of tokens V; the mask is the token V.
        length: Number of tokens of a sequence.
        width: Size of a token inside, a multiple of 2.
        layers: Number of layers.
    """

    def __init__(self, alphabet: int, length: int, width: int = 16, layers: int = 2):
        super().__init__()
        width = count(width, "width", least=2)
        require(width % 2 == 0, f"width must be a multiple of 2, got {width}")
        self.tokens = nn.Embedding(count(alphabet, "alphabet", least=2) + 1, width)
        self.places = nn.Embedding(count(length, "length"), width)
        layer = nn.TransformerEncoderLayer(
            width,
            HEADS,
            4 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        layers = count(layers, "layers")
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, alphabet)

    def forward(self, z: Tensor) -> Tensor:
        """Logits of tokens, shape (n, L, V), for masked sequences of shape (n, L)."""
        place = torch.arange(z.shape[1], device=z.device)
        return self.head(self.norm(self.body(self.tokens(z) + self.places(place))))


def transformer(
    alphabet: int, length: int, width: int = 16, layers: int = 2, start: int = 0
) -> Transformer:
    """A transformer whose first weights depend on a seed alone.

    Args:
        alphabet: Number of tokens V.
        length: Number of tokens of a sequence.
        width: Size of a token inside, a multiple of 2.
        layers: Number of layers.
        start: Seed of the weights.

    Returns:
        The network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed(start, "start"))
        return Transformer(alphabet, length, width, layers)


class SideBySide(side_by_side.SideBySide):
    """Several transformers of the same size.

    Args:
        networks: The transformers; their weights are copied.
    """

    def __init__(self, networks: Sequence[Transformer]) -> None:
        super().__init__(networks)
        self.layers = len(networks[0].body.layers)

    def forward(self, z: Tensor) -> Tensor:
        """Logits of tokens, shape (k, n, L, V), for masked sequences of shape (k, n, L)."""
        weights = self.by_name()
        tokens = weights["tokens.weight"]
        first = len(tokens[0]) * torch.arange(len(tokens), device=z.device)
        embedded = F.embedding(z + first[:, None, None], tokens.flatten(0, 1))
        x = embedded + weights["places.weight"][:, None, : z.shape[2]]
        for layer in range(self.layers):
            name = f"body.layers.{layer}"
            x = x + _attended(weights, f"{name}.self_attn", _normed(weights, f"{name}.norm1", x))
            hidden = F.gelu(
                _dense(weights, f"{name}.linear1", _normed(weights, f"{name}.norm2", x))
            )
            x = x + _dense(weights, f"{name}.linear2", hidden)
        return _dense(weights, "head", _normed(weights, "norm", x))


def _dense(weights: dict[str, Tensor], name: str, x: Tensor, between: str = ".") -> Tensor:
    """A layer on x (k, n, L, i), whose weight is (k, o, i)."""
    weight = weights[f"{name}{between}weight"].mT
    bias = weights[f"{name}{between}bias"].unsqueeze(1)
    return linear(x.flatten(1, 2), weight, bias).unflatten(1, x.shape[1:3])


def _normed(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """A layer norm on x (k, n, L, i)."""
    scale, shift = (weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
    return F.layer_norm(x, x.shape[-1:]) * scale + shift


def _attended(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Attention among the tokens of x (k, n, L, i)."""
    k, n, length, width = x.shape
    parts = _dense(weights, f"{name}.in_proj", x, between="_")
    heads = parts.view(k * n, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(*heads).transpose(1, 2)
    return _dense(weights, f"{name}.out_proj", attended.reshape(k, n, length, width))


def laws(network: nn.Module, z: NDArray) -> NDArray:
    """Laws of tokens that a network predicts.

    Args:
        network: Masked sequences (n, L) to logits (n, L, V).
        z: Tokens, V where they are masked, shape (n, L).

    Returns:
        Probabilities in float64, shape (n, L, V).
    """
    with torch.no_grad():
        logits = network(torch.from_numpy(np.asarray(z, dtype=np.int64)))
        return logits.double().softmax(-1).numpy()
