"""One training spread over devices: each device trains some of the objectives.

The objectives of a training never meet: each has weights of its own, and they share only data,
noise and quantiles, which follow from the seed. So they may be trained in separate processes, and
the runs are those of one batch, up to rounding where a device adds in another order.
"""

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from diffviz import checks
from diffviz.compute.executors import executor, in_order
from diffviz.data.streams import Moved, Source
from diffviz.learning.runs import Run
from diffviz.learning.settings import Settings
from diffviz.protocols import Trainable


def fit_on_devices(
    objectives: Sequence[Trainable],
    points: Source,
    settings: Settings,
    devices: Any,
    checkpoint: str | os.PathLike | None,
    every: int,
) -> list[Run]:
    """Train objectives on several devices at once, with a process for each device.

    The objectives are dealt out in their order, as evenly as can be.

    Args:
        objectives: What is trained.
        points: Where the points are read from, in this process and in others.
        settings: Settings of the training.
        devices: Names of devices, such as ["cuda:0", "cuda:1"]; one that is there twice gets two
            processes.
        checkpoint: File of a checkpoint; the k-th device writes to a file with ".k" at its end.
        every: Number of steps between two checkpoints.

    Returns:
        One run for each objective, in their order, on the device of the data.

    Raises:
        Diverged: A training diverged. Its ``runs`` are those of its device.
        KeyboardInterrupt: The stop button was pressed. The checkpoints are kept.
        ValueError: There are no devices, or one of them is not there.
        WorkerDied: The process of a device died again and again.
    """
    places = [_device(name) for name in _names(devices)]
    shares = np.array_split(np.arange(len(objectives)), len(places))
    tasks = [
        (
            [objectives[k] for k in share],
            points,
            settings,
            str(place),
            None if checkpoint is None else f"{os.fspath(checkpoint)}.{number}",
            every,
        )
        for number, (share, place) in enumerate(zip(shares, places, strict=True))
        if len(share)
    ]
    with executor(jobs=len(tasks)) as pool:
        parts = in_order(pool, _fit_part, tasks)
    return [_moved(run, points.device) for part in parts for run in part]


def _fit_part(
    objectives: Sequence[Trainable],
    points: Source,
    settings: Settings,
    device: str,
    checkpoint: str | None,
    every: int,
) -> list[Run]:
    """Train some of the objectives on a device, and bring the runs to the CPU."""
    from diffviz.learning.training import fit

    named = {field.name: getattr(settings, field.name) for field in fields(settings)}
    runs = fit(
        objectives,
        Moved(points, torch.device(device)),
        **named,
        checkpoint=checkpoint,
        every=every,
        progress=False,
    )
    return [_moved(run, torch.device("cpu")) for run in runs]


def _moved(run: Run, device: torch.device) -> Run:
    """A run with its tensors on another device."""
    state = {age: weights.to(device) for age, weights in run.state.items()}
    return replace(run, mean=run.mean.to(device), state=state)


def _names(devices: Any) -> list[Any]:
    """The devices as a list of at least one."""
    checks.require(
        isinstance(devices, Sequence) and not isinstance(devices, str) and len(devices) > 0,
        f'devices must be a list such as ["cuda:0", "cuda:1"], got {devices!r}',
        TypeError,
    )
    return list(devices)


def _device(name: Any) -> torch.device:
    """A device that can be computed on."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" computes nothing
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"there is no device {name!r} here ({reason}); 'cpu' is always") from error
    return device
