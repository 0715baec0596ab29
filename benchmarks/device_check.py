"""The tests of devices on a GPU, and what each kind of work does a second there.

Each row runs one kind of work by diffviz and the same by plain torch, in turns, and prints how much
each does a second, and the ratio of their times: above 1, diffviz is slower. Plain torch is the
shortest loop that does the same arithmetic with the same networks: one training after the other
with Adam of ``torch.optim``; a loss's own backward passes; DDIM written out.

- "fit, 12 objectives, points": perceptrons, batch 512.
- "fit, 64 x 64 images": a transformer with tokens of 4 x 4 pixels, batch 64.
- "probe": flow matching on images of 3 x 64 x 64, with a network of 36 million weights handed over
  that the probe must not run; plain torch runs as many backward passes of the loss.
- "sample": DDIM in 50 steps, 10,000 points, with a trained perceptron.

On a machine without a GPU it says so and ends with 0. ``--cpu-dry-run`` does all of it on the CPU
in tiny sizes, so that the script itself is tested.

Run: python benchmarks/device_check.py [--cpu-dry-run]
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from timing import machine
from torch import Tensor, nn
from training import TWELVE

import diffviz as dv
from diffviz.learning.models import MLP, Transformer, raw_output
from diffviz.probing.measure import probe

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "compute" / "test_devices.py"


@dataclass(frozen=True)
class Sizes:
    """How large the work is.

    Args:
        steps: Steps of a training of points.
        image_steps: Steps of a training of images.
        batch: Points in a step.
        images: Images in a step.
        side: Pixels a side.
        channels: Channels of the U-Net-sized network at its widest.
        draws: Draws of a probe.
        samples: Points that are sampled.
        levels: Steps of the sampler.
        repeats: How often each is timed, after a first time that does not count.
    """

    steps: int = 200
    image_steps: int = 40
    batch: int = 512
    images: int = 64
    side: int = 64
    channels: int = 512
    draws: int = 20_000
    samples: int = 10_000
    levels: int = 50
    repeats: int = 3


TINY = Sizes(
    steps=3,
    image_steps=2,
    batch=8,
    images=2,
    side=8,
    channels=8,
    draws=200,
    samples=20,
    levels=3,
    repeats=1,
)


@dataclass(frozen=True)
class Work:
    """The same work twice.

    Args:
        name: What it is.
        unit: What is counted.
        amount: How much of it a call does.
        ours: The work by diffviz.
        plain: The work by plain torch.
    """

    name: str
    unit: str
    amount: int
    ours: Callable[[], object]
    plain: Callable[[], object]


def found_device() -> torch.device | None:
    """The GPU, if there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return None


def finish(device: torch.device) -> None:
    """Wait until all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    if device.type == "mps":
        torch.mps.synchronize()


def normal(device: torch.device, *size: int) -> Tensor:
    """Standard normal numbers, the same at each call."""
    return torch.randn(size, generator=torch.Generator().manual_seed(0)).to(device)


# --- training -----------------------------------------------------------------------------------


class Plain(nn.Module):
    """A network of diffviz as an ordinary module.

    Args:
        network: The network.
        shape: Shape of a point.
    """

    def __init__(self, network: MLP | Transformer, shape: tuple[int, ...]):
        super().__init__()
        self.network = network
        rng = np.random.default_rng(0)
        pieces = [std * rng.standard_normal(size, "f4") for size, std in network.weights(shape)]
        flat = np.concatenate([piece.ravel() for piece in pieces])
        self.flat = nn.Parameter(torch.from_numpy(flat)[None])

    def forward(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """Raw output for points z (n, *shape) at levels (n,)."""
        return raw_output(self.network, self.flat, z[None], logsnr[None])[0]


def plain_training(
    network: MLP | Transformer, data: Tensor, k: int, steps: int, batch: int
) -> None:
    """Train k networks one after the other, each on uniform levels with the v target."""
    for _ in range(k):
        model = Plain(network, tuple(data.shape[1:])).to(data.device)
        adam = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(steps):
            rows = torch.randint(len(data), (batch,), device=data.device)
            x, eps = data[rows], torch.randn(batch, *data.shape[1:], device=data.device)
            logsnr = 20 * torch.rand(batch, device=data.device) - 10
            level = logsnr.view(-1, *[1] * (data.ndim - 1))
            alpha, sigma = level.sigmoid().sqrt(), (-level).sigmoid().sqrt()
            error = model(alpha * x + sigma * eps, logsnr) - (alpha * eps - sigma * x)
            adam.zero_grad()
            error.square().mean().backward()
            adam.step()


def training(
    name: str, network: MLP | Transformer, data: Tensor, k: int, steps: int, batch: int
) -> Work:
    """A training by ``dv.fit`` and by plain torch."""

    def ours() -> object:
        return dv.fit(TWELVE[:k], data, model=network, steps=steps, batch=batch, progress=False)

    def plain() -> None:
        plain_training(network, data, k, steps, batch)

    return Work(name, "steps of an objective", k * steps, ours, plain)


# --- probe and sampler --------------------------------------------------------------------------


def convolutions(channels: int) -> nn.Module:
    """A network of convolutions, with as many weights as a U-Net of that width."""
    sizes = [3, channels // 4, channels // 2, *[channels] * 15, channels // 2, channels // 4, 3]
    layers = [nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(sizes)]
    return nn.Sequential(*layers)


class TakesTime(nn.Module):
    """A network of z and t that is not to be run.

    Args:
        channels: Its width.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = convolutions(channels)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """The output, like z."""
        return self.layers(z)


def flow_matching(model: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """Flow matching on straight lines, as a training loop has it."""
    t = torch.rand(len(x), device=x.device)
    eps = torch.randn_like(x)
    time_of_each = t.view(-1, 1, 1, 1)
    z = (1 - time_of_each) * x + time_of_each * eps
    return (model(z, t) - (eps - x)).square().mean()


def probing(device: torch.device, sizes: Sizes) -> Work:
    """A probe, and backward passes of the loss on as many draws through a bias."""
    x = normal(device, 32, 3, sizes.side, sizes.side)
    network = TakesTime(sizes.channels).to(device)
    bias = torch.zeros_like(x[0]).requires_grad_()

    def ours() -> object:
        return probe(flow_matching, x, model=network, draws=sizes.draws)

    def plain() -> None:
        for _ in range(3 * sizes.draws // len(x)):
            torch.autograd.grad(flow_matching(lambda z, t: 0 * z + bias, x), bias)

    weights = sum(weight.numel() for weight in network.parameters())
    return Work(f"probe, {weights / 1e6:.0f} M weights", "draws", sizes.draws, ours, plain)


def plain_ddim(run: dv.Run, start: Tensor, levels: Tensor) -> Tensor:
    """DDIM written out, on the variance-preserving frame."""
    z = start
    with torch.no_grad():
        for here, there in pairwise(levels):
            x_hat = run.denoise_with(run.state[run.ema], z, here)
            eps_hat = (z - here.sigmoid().sqrt() * x_hat) / (-here).sigmoid().sqrt()
            z = there.sigmoid().sqrt() * x_hat + (-there).sigmoid().sqrt() * eps_hat
    return z


def sampling(device: torch.device, sizes: Sizes) -> Work:
    """DDIM from a run that is hardly trained."""
    data = normal(device, 1000, 2)
    (run,) = dv.fit("fm-ot", data, steps=2, batch=sizes.batch, progress=False)
    start = normal(device, sizes.samples, 2)
    grid = dv.grid(dv.objective("fm-ot").law, sizes.levels)
    levels = torch.from_numpy(grid).to(start)

    def ours() -> object:
        return dv.sample(run, grid, "ddim", start=start)

    def plain() -> Tensor:
        return plain_ddim(run, start, levels)

    return Work("sample", "points of a step", sizes.samples * sizes.levels, ours, plain)


# --- the table ----------------------------------------------------------------------------------


def works(device: torch.device, sizes: Sizes) -> list[Work]:
    """All rows of the table."""
    points = normal(device, 50_000 if sizes.batch > 8 else 100, 2) + 1
    images = normal(device, max(128, sizes.images), sizes.side, sizes.side)
    transformer = Transformer(patch=4)
    return [
        training("fit, 12 objectives, points", MLP(), points, 12, sizes.steps, sizes.batch),
        training(
            f"fit, {sizes.side} x {sizes.side} images",
            transformer,
            images,
            1,
            sizes.image_steps,
            sizes.images,
        ),
        probing(device, sizes),
        sampling(device, sizes),
    ]


def elapsed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call on the wall clock, with all that it asked of the device."""
    finish(device)
    start = time.perf_counter()
    call()
    finish(device)
    return time.perf_counter() - start


def print_table(device: torch.device, sizes: Sizes) -> None:
    """Print what each work does a second, and the ratio of its time to that of plain torch."""
    print(f"{'':28}{'diffviz':>12}{'plain torch':>14}{'ratio':>8}  a second")
    for work in works(device, sizes):
        work.ours()
        work.plain()
        rounds = [
            (elapsed(work.ours, device), elapsed(work.plain, device)) for _ in range(sizes.repeats)
        ]
        ours, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"{work.name:28}{work.amount / ours:12,.0f}{work.amount / plain:14,.0f}"
            f"{ours / plain:8.2f}  {work.unit}",
            flush=True,
        )


def run_tests() -> int:
    """Run the tests of devices, and return the status of pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
    return subprocess.run(command, cwd=ROOT).returncode


def main() -> int:
    """Run the tests, print the table, and return the status of the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu-dry-run", action="store_true", help="tiny sizes, on the CPU")
    is_dry = parser.parse_args().cpu_dry_run
    device = torch.device("cpu") if is_dry else found_device()
    if device is None:
        print("device-check: there is no GPU here that torch can use, so nothing was checked")
        return 0
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    print(f"{name}; {machine()}", flush=True)
    status = run_tests()
    print_table(device, TINY if is_dry else Sizes())
    return status


if __name__ == "__main__":
    sys.exit(main())
