"""The question of training.py for other packages: CPU seconds until samples are near the truth.

Plain loops of our own stand beside them, which differ in the learning rate alone; the best of them
on a set is a loop that is tuned to it. Each package trains as its own example does: with its loss,
its network (k-diffusion has none for the plane, so an MLP of 3 x 64 is supplied) and torch.optim at
the example's learning rate. Batches are drawn with randint from the same 50,000 points, which is
faster than its DataLoader. Samples are scored as training.py does, at times that grow by half.
Neither the score nor the import of the optimiser counts.

Run: OMP_NUM_THREADS=1 python benchmarks/peers_training.py [--toys TOY ...]
    [--limit SECONDS] [--points N]

Needs the packages of tests/peers.txt, which `make test` installs in .peers. What they import beside
is not used here.
"""

import argparse
import copy
import importlib
import importlib.util
import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training import POINTS, TOYS, TRAINING_POINTS, Truth, generator

LIMIT = 40.0  # CPU seconds
FIRST_SCORE = 2.0  # CPU seconds
GROWTH = 1.5  # from one score to the next
PLAIN_RATES = (1e-3, 3e-3, 1e-2)  # learning rates of the plain loops

sys.path.insert(0, str(Path(__file__).parents[1] / ".peers"))


def import_bare(package: str, *unused: str) -> None:
    """Make ``package.module`` importable without what the package's ``__init__`` imports.

    Args:
        package: Name of the package.
        unused: Modules that it needs for images, logging or optimal transport; where they are not
            installed, an empty one takes their place.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise SystemExit(f"{package} is not installed; `make test` installs it")
    sys.modules[package] = ModuleType(package)
    sys.modules[package].__path__ = list(spec.submodule_search_locations or [])
    for name in unused:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = MagicMock()


class Network(nn.Module):
    """MLP 3 x 64 on x and log sigma, called as k-diffusion calls a network."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (3, 64, 64):
            layers += [nn.Linear(inputs, 64), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(64, 2))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The output for points (n, 2) at noise levels (n,)."""
        return self.layers(torch.cat([x, sigma.log()[:, None] / 4], 1))


class KDiffusion:
    """Karras et al.'s preconditioning and lognormal sigma, as in k-diffusion's train.py.

    AdamW at 1e-3 and an average of the weights.

    Args:
        std: Standard deviation of the data.
    """

    batch = 512

    def __init__(self, std: float) -> None:
        """Import the package, and start network, average and optimiser."""
        import_bare(
            "k_diffusion",
            "dctorch",
            "einops",
            "torchdiffeq",
            "torchvision",
            "torchvision.transforms",
            "torchsde",
        )
        from k_diffusion.layers import Denoiser
        from k_diffusion.utils import rand_log_normal

        self.draw_sigma = rand_log_normal
        self.model = Denoiser(Network(), sigma_data=std)
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-3
        )
        self.mean = torch.zeros(2)
        self.std = std

    def step(self, x: Tensor) -> None:
        """One step of training on points (n, 2)."""
        sigma = self.draw_sigma([len(x)], loc=-1.2, scale=1.2)
        loss = self.model.loss(x, torch.randn_like(x), sigma).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            averages, weights = list(self.average.parameters()), list(self.model.parameters())
            torch._foreach_lerp_(averages, weights, 0.005)

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat of the average of the weights, on the variance-preserving frame."""
        sigma = torch.exp(-logsnr / 2).expand(len(z))
        return self.average(z / torch.sigmoid(logsnr).sqrt(), sigma)


class TorchCFM:
    """Flow matching as in torchcfm's two-moons example.

    MLP of 3 x 64 with SELU, Adam at 1e-3; sigma is 0, since the example's 0.1 blurs the data.

    Args:
        std: Standard deviation of the data, for the default grid of ``dv.sample``.
    """

    batch = 256

    def __init__(self, std: float) -> None:
        """Import the package, and start network and optimiser."""
        import_bare("torchcfm", "ot")
        import_bare("torchcfm.models")
        from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
        from torchcfm.models.models import MLP

        self.model = MLP(dim=2, time_varying=True)
        self.matcher = ConditionalFlowMatcher(sigma=0.0)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.mean = torch.zeros(2)
        self.std = std

    def step(self, x: Tensor) -> None:
        """One step of training on points (n, 2)."""
        noise = torch.randn_like(x)
        t, xt, ut = self.matcher.sample_location_and_conditional_flow(noise, x)
        loss = (self.model(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat; its time runs from noise at 0 to data at 1, so x = xt + (1 − t) u."""
        t = torch.sigmoid(logsnr / 2).expand(len(z))[:, None]
        xt = z * (t**2 + (1 - t) ** 2).sqrt()
        return xt + (1 - t) * self.model(torch.cat([xt, t], 1))


class PlainLoop:
    """Flow matching in a loop of torch: MLP of 3 x 64 on sines and cosines, Adam, an average.

    Data are divided by their standard deviation; the average has a decay of 0.995.

    Args:
        std: Standard deviation of the data.
        rate: Learning rate.
    """

    batch = 512
    frequencies = torch.tensor([1.0, 2.0, 4.0])

    def __init__(self, std: float, rate: float) -> None:
        """Start network, average and optimiser."""
        layers: list[nn.Module] = []
        for inputs in (15, 64, 64):
            layers += [nn.Linear(inputs, 64), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(64, 2))
        self.average = copy.deepcopy(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=rate, betas=(0.9, 0.99))
        self.mean = torch.zeros(2)
        self.std = std

    def features(self, z: Tensor, t: Tensor) -> Tensor:
        """Points, their sines and cosines, and the time, shape (n, 15)."""
        phase = (z[..., None] * self.frequencies).flatten(1)
        return torch.cat([z, phase.sin(), phase.cos(), 2 * t - 1], 1)

    def step(self, x: Tensor) -> None:
        """One step of training on points (n, 2)."""
        t = torch.rand(len(x), 1)
        noise = torch.randn_like(x)
        unit = x / self.std
        velocity = self.net(self.features(unit.lerp(noise, t), t))
        loss = (velocity - (noise - unit)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            averages, weights = list(self.average.parameters()), list(self.net.parameters())
            torch._foreach_lerp_(averages, weights, 0.005)

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat of the average, at the time of the linear path of data of unit variance."""
        t = torch.sigmoid(-logsnr / 2 - math.log(self.std)).expand(len(z), 1)
        alpha, sigma = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid().sqrt()
        unit = z / (alpha * self.std + sigma)
        return self.std * (unit - t * self.average(self.features(unit, t)))


PEERS: dict[str, Callable] = {
    **{f"plain loop {rate:g}": partial(PlainLoop, rate=rate) for rate in PLAIN_RATES},
    "k_diffusion": KDiffusion,
    "torchcfm": TorchCFM,
}


@dataclass(frozen=True)
class Score:
    """When a peer came near the truth.

    Args:
        spent: CPU seconds of training.
        distances: Energy distance and sliced Wasserstein-2 in floors, shape (2,).
    """

    spent: float
    distances: NDArray

    @property
    def near(self) -> bool:
        """Whether both distances are within twice the floor."""
        return bool(self.distances.max() <= 2)


def train_until_near(
    peer: PlainLoop | KDiffusion | TorchCFM, data: Tensor, truth: Truth, limit: float
) -> Score:
    """Train until both distances are within twice the floor, or the time is over."""
    score, due = Score(0.0, np.full(2, np.inf)), min(FIRST_SCORE, limit)
    while not score.near and score.spent < limit:
        start = time.process_time() - score.spent
        while time.process_time() - start < due:
            peer.step(data[torch.randint(len(data), (peer.batch,))])
        spent = time.process_time() - start
        score, due = Score(spent, truth.score(peer)), due * GROWTH
    return score


def main() -> None:
    """Print the time and the distances of each peer on each toy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=TOYS, help="all by default")
    parser.add_argument("--limit", type=float, default=LIMIT, help="CPU seconds at most")
    parser.add_argument("--points", type=int, default=POINTS, help="samples and held-out points")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for toy in options.toys:
        truth = Truth(toy, options.points)
        data = truth.toy.sample(TRAINING_POINTS, generator(0)).float()
        std = data.std(0).square().mean().sqrt().item()
        for name, peer in PEERS.items():
            torch.manual_seed(0)
            score = train_until_near(peer(std), data, truth, options.limit)
            took = f"{' ' if score.near else '>'}{score.spent:6.1f} CPU s"
            energy, sliced = score.distances
            print(
                f"{toy:>14} {name:>16} {took}   energy {energy:.2f}   sliced W2 {sliced:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
