"""The same question as training.py for other packages: CPU seconds until samples are within twice the floor of the truth.

Each trains as its own example does: its loss, its network (k-diffusion has none for the plane: an MLP of ours, 3 x 64, is
supplied), torch.optim at the example's learning rate, single batches drawn with randint from the same 50,000 points (faster than
its DataLoader).
Scored as training.py does, at times that grow by half; the score is not counted, the import of the optimiser is not either.

Run: OMP_NUM_THREADS=1 python benchmarks/peers_training.py [toy ...]
Needs the packages of tests/peers.txt, which `make test` installs in .peers; what they import beside is not used here.
"""

import copy
import importlib
import importlib.util
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import torch
from training import TOYS, Truth, generator

LIMIT = 40.0  # CPU seconds
sys.path.insert(0, str(Path(__file__).parents[1] / ".peers"))


def bare(package: str, *unused: str) -> None:
    """Make ``package.module`` importable without what the package's __init__ drags in (images, logging, optimal transport)."""
    if package in sys.modules:
        return
    place = importlib.util.find_spec(package).submodule_search_locations
    sys.modules[package] = ModuleType(package)
    sys.modules[package].__path__ = place
    for name in unused:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = MagicMock()


class Net(torch.nn.Module):
    """MLP 3 x 64 on x and log sigma, called as k-diffusion calls a network."""

    def __init__(self):
        super().__init__()
        sizes = (3, 64, 64, 64)
        layers = [
            part for i, o in pairwise(sizes) for part in (torch.nn.Linear(i, o), torch.nn.SiLU())
        ]
        self.net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 2))

    def forward(self, x, sigma):
        return self.net(torch.cat([x, sigma.log()[:, None] / 4], 1))


def k_diffusion(std: float):
    """Karras et al.'s preconditioning and lognormal sigma, AdamW at 1e-3 and an average of weights, as in its train.py."""
    bare(
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

    model = Denoiser(Net(), sigma_data=std)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-3)

    def step(x):
        sigma = rand_log_normal([len(x)], loc=-1.2, scale=1.2)
        loss = model.loss(x, torch.randn_like(x), sigma).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 0.005)

    def denoise(z, logsnr):
        sigma = torch.exp(-logsnr / 2).expand(len(z))
        return average(z / torch.sigmoid(logsnr).sqrt(), sigma)

    return step, denoise


def torchcfm(std: float):
    """Its two-moons example: flow matching, MLP of 3 x 64 with SELU, Adam at 1e-3; sigma 0, as its 0.1 blurs the data."""
    bare("torchcfm", "ot")
    bare("torchcfm.models")
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
    from torchcfm.models.models import MLP

    model, matcher = MLP(dim=2, time_varying=True), ConditionalFlowMatcher(sigma=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        t, xt, ut = matcher.sample_location_and_conditional_flow(torch.randn_like(x), x)
        loss = (model(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def denoise(z, logsnr):  # theirs runs from noise at 0 to data at 1: x = xt + (1 - t) u
        t = torch.sigmoid(logsnr / 2).expand(len(z))[:, None]
        xt = z * (t**2 + (1 - t) ** 2).sqrt()
        return xt + (1 - t) * model(torch.cat([xt, t], 1))

    return step, denoise


def main(*toys: str) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in toys or TOYS:
        truth = Truth(name)
        data = truth.toy.sample(50_000, generator(0)).float()
        for peer, batch in ((k_diffusion, 512), (torchcfm, 256)):
            torch.manual_seed(0)
            step, denoise = peer(data.std(0).square().mean().sqrt().item())
            spent, due, score = 0.0, 2.0, np.full(2, np.inf)
            while score.max() > 2 and spent < LIMIT:
                start = time.process_time()
                while spent + time.process_time() - start < due:
                    step(data[torch.randint(len(data), (batch,))])
                spent, due = spent + time.process_time() - start, due * 1.5
                score = truth.score(SimpleNamespace(denoise=denoise, mean=torch.zeros(2)))
            took = f"{'>' if score.max() > 2 else ' '}{spent:6.1f} CPU s"
            print(
                f"{name:>14} {peer.__name__:>12} {took}   energy {score[0]:.2f}   sliced W2 {score[1]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
