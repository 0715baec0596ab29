"""A small transformer that predicts masked tokens; it is not told the time.

Masked tokens show how many there are, so that the exact prediction does not depend on the time
(Ou et al. 2024, arXiv 2406.03736).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffviz.checks import count, require, seed


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
            width, 2, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
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
