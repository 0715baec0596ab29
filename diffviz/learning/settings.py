"""Settings of a training: what it depends on besides objectives and data."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from diffviz import checks
from diffviz.learning.models import Network, check_network
from diffviz.learning.outputs import OUTPUTS


def cosine(done: float) -> float:
    """Half a period of a cosine, from 1 to 0, by the share of steps that is done."""
    return (1 + math.cos(math.pi * done)) / 2


def constant(done: float) -> float:
    """1 at every share of steps that is done."""
    return 1.0


LARGEST_CLIP = 1e100  # its square is still finite

SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "constant": constant}


@dataclass(frozen=True)
class Settings:
    """What a training depends on besides objectives and data; written into every checkpoint.

    Args:
        model: The network; see ``diffviz.learning.models``.
        steps: Number of steps.
        batch: Number of points in a step.
        seed: Seed of all that is random.
        learning_rate: Learning rate of Adam at the start.
        schedule: Schedule of the learning rate: "cosine" takes it to zero, "constant" leaves it.
        output: What the network puts out: "eps", "x", "v" or "F". The loss does not depend on it.
        ema: Mean ages of the averaged weights as shares of the steps done, each in (0, 0.5].
        clip: Longest gradient in units of its running root mean square; ``math.inf`` for any.
        adaptive: Whether levels follow the measured loss; see ``importance``.

    Raises:
        TypeError: A setting is of the wrong kind.
        ValueError: A setting is outside its range, or its name is unknown.
    """

    model: Network
    steps: int = 800
    batch: int = 512
    seed: int = 0
    learning_rate: float = 1e-2
    schedule: str = "cosine"
    output: str = "v"
    ema: Sequence[float] = (0.1, 0.05)
    clip: float = 1.0
    adaptive: bool = False

    def __post_init__(self) -> None:
        checked = {
            "model": check_network(self.model),
            "steps": checks.count(self.steps, "steps"),
            "batch": checks.count(self.batch, "batch"),
            "seed": checks.seed(self.seed),
            "learning_rate": checks.rate(self.learning_rate, "learning_rate"),
            "schedule": checks.one_of(self.schedule, "schedule", SCHEDULES),
            "output": checks.one_of(self.output, "output", OUTPUTS),
            "ema": _ages(self.ema),
            "clip": _clip(self.clip),
            "adaptive": checks.one_of(self.adaptive, "adaptive", (False, True)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        at = checks.number(step, "step", low=0.0)
        return self.learning_rate * SCHEDULES[self.schedule](at / self.steps)

    def record(self, network: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as plain values for a JSON header.

        Args:
            network: What ``describe`` said of the network before the training.

        Returns:
            By name each setting; the network by its kind and settings.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"model": network, "ema": list(self.ema)}


def _ages(ema: Any) -> tuple[float, ...]:
    """Mean ages of averages: different numbers in (0, 0.5]."""
    ages = tuple(checks.array(ema, "ema", ndim=1).tolist())
    for age in ages:
        checks.require(0 < age <= 0.5, f"ema holds shares in (0, 0.5], got {age:g} of {ema!r}")
    checks.require(len(set(ages)) == len(ages), f"ema holds a share twice: {ema!r}")
    return ages


def _clip(clip: Any) -> float:
    """A number above 0, or infinity."""
    if isinstance(clip, float) and clip == math.inf:
        return math.inf
    return checks.number(checks.positive(clip, "clip"), "clip", high=LARGEST_CLIP)
