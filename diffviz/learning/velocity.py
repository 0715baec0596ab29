"""A velocity field learnt from pairs, for any source: flow matching without a log-SNR."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from diffviz.sampling.couplings import check_pairs


def fit_velocity(
    source: Tensor,
    x: Tensor,
    generator: torch.Generator,
    steps: int = 3000,
    batch: int = 256,
    width: int = 64,
) -> Callable[[Tensor, Tensor], Tensor]:
    """u(z, t) trained on E‖u − (source − x)‖², z = (1 − t) x + t source, t uniform (Lipman et al. 2022, arXiv 2210.02747, eq. 23).

    Args:
        source, x: pairs of points, (n, d) both.
        steps, batch, width: of Adam, pairs in a step, units in each of three hidden layers.
    Returns:
        A function of z (n, d) and a time () for ``couplings.flow``.
    Raises ValueError for what are no pairs of vectors, or coordinates that are all alike.
    """
    check_pairs(source, x, least=2)
    scale = max(source.std(), x.std()).item()
    if x.ndim != 2 or scale == 0:
        raise ValueError(
            f"source and x are vectors (n, d) and not all alike, got {tuple(x.shape)}; images: x.flatten(1)"
        )
    sizes = [x.shape[1] + 1, width, width, width, x.shape[1]]
    layers = [nn.utils.skip_init(nn.Linear, i, o) for i, o in pairwise(sizes)]
    for one in layers:  # from the generator alone: the global one stays as it is
        nn.init.kaiming_normal_(one.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(one.bias)
    net = nn.Sequential(layers[0], *(part for one in layers[1:] for part in (nn.SiLU(), one)))
    source, x = source.float(), x.float()

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        time = t.to(torch.float32).expand(len(z)).reshape(-1, 1)
        return scale * net(torch.cat([z.float() / scale, 2 * time - 1], 1)).to(z)

    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,), generator=generator)
        t = torch.rand(batch, generator=generator)
        z = x[rows].lerp(source[rows], t[:, None])
        loss = (velocity(z, t) - (source - x)[rows]).square().mean() / scale**2
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
    return velocity
