"""Several networks of one shape as one module, so that they are trained in one pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SideBySide(nn.Module):
    """Several networks of the same shape, each on points of its own.

    Each weight has one slice for each network, so that a layer is one batched product for all of
    them. A small network spends its time between the operations, and not in them. What derives from
    this says what the networks do, in ``forward``.

    Args:
        networks: The networks; their weights are copied.

    Attributes:
        names: Names of the weights in a single network.
        weights: The weights, shape (k, *shape) each.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        named = [dict(each.named_parameters()) for each in networks]
        self.names = tuple(named[0])
        self.weights = nn.ParameterList(
            torch.stack([of_one[name].detach() for of_one in named]) for name in self.names
        )

    def by_name(self) -> dict[str, Tensor]:
        """The weights (k, *shape) by their name in a single network."""
        return dict(zip(self.names, self.weights, strict=True))

    @torch.no_grad()
    def hand_back(self, networks: Sequence[nn.Module]) -> None:
        """Write the weights into as many single networks."""
        for row, network in enumerate(networks):
            for own, trained in zip(network.parameters(), self.weights, strict=True):
                own.copy_(trained[row])
