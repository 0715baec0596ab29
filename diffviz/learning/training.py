"""Train small denoisers under any number of objectives side by side, so that what differs is the objective.

An objective enters only as draws of (logsnr, factor): loss = mean of factor ||eps_hat - eps||². All networks start from the
same weights, see the same data, the same noise and the same quantiles of their own density, and are one batched model.

The network lives in the frame of unit-variance data. With mean m and standard deviation s of the data, a variance-preserving
point z = alpha x + sigma eps at level λ is, up to its scale, z' = alpha' x' + sigma' eps at λ' = λ + 2 ln s, x' = (x - m)/s.
The raw output r estimates a x' + b eps, and with the gain g = (b alpha' - a sigma')/alpha'

    r_hat - r = g (eps_hat - eps),    x_hat' = (b z' - sigma' r_hat) / (b alpha' - a sigma'),

so that the loss is factor/g² ||r_hat - r||², whatever r is. v = alpha' eps - sigma' x' is EDM's -F (Karras et al. 2022,
table 1): bounded with its x_hat at every level, so that neither end of the range amplifies an error.
"""

import json
import math
import os
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from diffviz.learning.models import MLP, Transformer
from diffviz.learning.runs import Run, output_coefficients, raw_output
from diffviz.recipes.entries import objective as recipe

BLOCK = 32  # steps drawn at once: a quantile function costs by the call
BETAS = 0.9, 0.99  # of Adam (Kingma & Ba 2015)
LIMIT = 80.0  # nats; beyond, float32 coefficients underflow
OUTPUTS = "eps", "x", "v", "F"
RATES = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "constant": lambda done: 1.0,
}  # by share of steps done


class Diverged(FloatingPointError):
    """A loss or gradient stopped being finite; ``runs`` holds what was trained before that step."""

    runs: "list[Run]"


@dataclass(frozen=True)
class Step:
    """One step of k objectives on n points."""

    step: int  # number of steps done
    logsnr: Tensor  # (k, n), in nats
    error: Tensor  # (k, n), squared eps error summed over dimensions
    loss: Tensor  # (k,), mean of factor * error


def _points(data: ArrayLike | Tensor) -> Tensor:
    """Data as float32 points (n, *shape), refused where it is no such thing."""
    points = data.detach() if isinstance(data, Tensor) else torch.as_tensor(np.array(data))
    if not 2 <= points.ndim <= 4 or not points.numel() or points.is_complex():
        shape = f"{points.dtype} {tuple(points.shape)}; numbers on a line are data[:, None]"
        raise ValueError(
            f"data must be real, (n, d), (n, h, w) or (n, channels, h, w); got {shape}"
        )
    points = points.float()
    if len(bad := (~torch.isfinite(points)).flatten(1).any(1).nonzero()):
        raise ValueError(
            f"data has NaN or inf in {len(bad)} rows, the first is row {bad[0].item()}; drop them"
        )
    if (points == points[0]).all():
        raise ValueError("all points of data are equal; there is nothing to denoise")
    return points


@dataclass(repr=False, eq=False)
class Trainer:
    """Training step by step, for a dashboard or a loop of one's own; arguments as for ``fit``."""

    objectives: Any
    data: Any
    model: Any = None
    steps: int = 800
    batch: int = 512
    seed: int = 0
    rate: float = 1e-2
    schedule: str = "cosine"
    output: str = "v"
    ema: Sequence[float] = (0.1, 0.05)
    clip: float = 1.0

    def __post_init__(self) -> None:
        alone = isinstance(self.objectives, str) or hasattr(self.objectives, "draw")
        self.objectives = [
            recipe(o) if isinstance(o, str) else o
            for o in ([self.objectives] if alone else self.objectives)
        ]
        if not self.objectives or not all(
            hasattr(one, "draw") and hasattr(one, "name") for one in self.objectives
        ):
            raise TypeError(
                f"objectives are names of the catalogue or have name and draw(n, rng); got {self.objectives}"
            )
        whole = all(isinstance(count, int) and count > 0 for count in (self.steps, self.batch))
        known = (
            self.schedule in RATES
            and self.output in OUTPUTS
            and all(0 < age <= 0.5 for age in self.ema)
        )
        if not (whole and known and 0 < self.rate < math.inf and self.clip > 0):
            raise ValueError(
                f"need whole steps={self.steps} and batch={self.batch}, rate={self.rate} and clip={self.clip} above 0, "
                f"schedule={self.schedule!r} of {[*RATES]}, output={self.output!r} of {OUTPUTS}, ema={self.ema} in (0, 0.5]"
            )
        self.data = _points(self.data)
        self.mean, self.std = self.data.mean(0), self.data.var(0, correction=0).mean().sqrt().item()
        self._unit = (self.data - self.mean) / self.std
        self.model = self.model or (MLP if self.mean.ndim == 1 else Transformer)()
        rng, k = np.random.default_rng(self.seed), len(self.objectives)
        start = [
            std * rng.standard_normal(math.prod(shape), "f4")
            for shape, std in self.model.weights(tuple(self.mean.shape))
        ]
        weights = torch.from_numpy(np.concatenate(start)).to(self.data.device).repeat(k, 1)
        done = {
            "loss": weights.new_zeros(k, self.steps),
            "step": weights.new_zeros((), dtype=torch.int64),
        }
        averages = weights.repeat(len(self.ema), 1, 1)
        self._state = {
            "weights": weights,
            "first": 0 * weights,
            "second": 0 * weights,
            "averages": averages,
        } | done
        self._block = -1

    @property
    def step(self) -> int:
        """Number of steps done."""
        return int(self._state["step"])

    def _draw(self, block: int) -> None:
        """What is random in the next BLOCK steps, from (seed, block) alone: resuming needs no generator's state."""
        n, total = self.batch, self.batch * BLOCK
        rng = np.random.default_rng((self.seed, block, 1))
        shuffle = rng.permuted(np.tile(np.arange(BLOCK), (n, 1)), axis=1)
        levels = []
        for one in self.objectives:
            drawn = np.asarray(
                one.draw(total, np.random.default_rng((self.seed, block))), dtype=float
            )
            low, high = [[-LIMIT], [0]], [[LIMIT], [np.finfo(float).max]]
            if drawn.shape != (2, total) or not ((drawn >= low) & (drawn <= high)).all():
                raise ValueError(
                    f"{one.name} drew logsnr and factor of shape {drawn.shape}, from {drawn.min(-1)} to {drawn.max(-1)}; "
                    f"needed: (2, {total}), logsnr within ±{LIMIT:g}, finite factors >= 0: truncate its density"
                )
            # n strata of neighbours in level, dealt out to the steps: each step gets one of every stratum
            order = np.argsort(drawn[0], kind="stable").reshape(n, BLOCK)
            levels.append(drawn[:, np.take_along_axis(order, shuffle, 1).T])
        logsnr, factor = torch.from_numpy(np.stack(levels, 2))  # (BLOCK, k, n) each
        level = logsnr + 2 * math.log(self.std)
        alpha, sigma, a, b = output_coefficients(level, self.output)
        ease = (alpha / (b * alpha - a * sigma)) ** 2  # 1/g²
        self._levels = [
            v.to(self.data) for v in (logsnr, level, ease, factor * ease, alpha, sigma, a, b)
        ]
        self._index = torch.from_numpy(rng.integers(len(self.data), size=(BLOCK, n))).to(
            self.data.device
        )
        self._noise = torch.from_numpy(rng.standard_normal((BLOCK, n, *self.mean.shape), "f4")).to(
            self.data
        )
        self._block = block

    def advance(self) -> Step:
        """Train one step; raises ``Diverged`` if a loss or gradient is not finite, the weights then stay what they were."""
        step, weights = self.step, self._state["weights"].requires_grad_()
        block, row = divmod(step, BLOCK)
        if step >= self.steps:
            raise ValueError(f"all {self.steps} steps are done; a new Trainer starts afresh")
        if block != self._block:
            self._draw(block)
        logsnr, level, ease, factor, *coefficients = (v[row] for v in self._levels)
        alpha, sigma, a, b = (v.reshape(*v.shape, *[1] * self.mean.ndim) for v in coefficients)
        x, eps = self._unit[self._index[row]], self._noise[row]
        r = raw_output(self.model, weights, alpha * x + sigma * eps, level)
        error = (r - (a * x + b * eps)).square().flatten(2).sum(-1)
        loss = (factor * error).mean(1)
        (slope,) = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            size = slope.square().sum(1, keepdim=True)
            sound = torch.isfinite(loss + size[:, 0])
            if not sound.all():
                k = int(sound.int().argmin())
                worst = logsnr[
                    k, (factor * error)[k].nan_to_num(math.inf, math.inf).argmax()
                ].item()
                found = f"{self.objectives[k].name}: loss or gradient not finite at step {step}, largest at logsnr {worst:.3g}"
                stop = Diverged(
                    f"{found}; weights are kept as before it, try a rate below {self.rate:g}"
                )
                stop.runs = self.runs()
                raise stop
            self._state["loss"][:, step] = loss
            self._state = self._updated(step, slope, size)
            return Step(step + 1, logsnr, error * ease, loss.detach())

    def _updated(self, step: int, slope: Tensor, size: Tensor) -> dict[str, Tensor]:
        """The state after one step of Adam on one tensor of all weights; a new one, so that nothing is ever half done."""
        old, (decay, decay2) = self._state, BETAS
        # a loss has no scale of its own, so the limit is relative: second sums to the mean squared length
        limit = self.clip**2 * old["second"].sum(1, keepdim=True) / (1 - decay2 ** max(step, 1))
        slope = slope * torch.where(limit > 0, limit / size, 1.0).clamp(max=1).sqrt()
        first = old["first"].lerp(slope, 1 - decay)
        second = (decay2 * old["second"]).addcmul_(slope, slope, value=1 - decay2)
        rate = self.rate * RATES[self.schedule](step / self.steps) / (1 - decay ** (step + 1))
        scale = (second / (1 - decay2 ** (step + 1))).sqrt_().add_(1e-15)
        weights = torch.addcdiv(old["weights"].detach(), first, scale, value=-rate)
        # average of weights with mean age share * step, the power function of Karras et al. 2024, sec. 3.1
        fresh = [1 - (1 - 1 / (step + 1)) ** (1 / share - 1) for share in self.ema]
        averages = old["averages"].lerp(weights, weights.new_tensor(fresh)[:, None, None])
        return old | {
            "weights": weights,
            "first": first,
            "second": second,
            "averages": averages,
            "step": old["step"] + 1,
        }

    def runs(self) -> list[Run]:
        """What is trained so far, one Run for each objective."""
        flats = {
            **dict(zip(self.ema, self._state["averages"], strict=True)),
            0.0: self._state["weights"].detach(),
        }
        about, losses = (
            (self.model, self.output, self.mean, self.std),
            self._state["loss"][:, : self.step].cpu().numpy(),
        )
        states = [{age: flat[k].clone() for age, flat in flats.items()} for k in range(len(losses))]
        return [
            Run(o, *about, states[k], next(iter(flats)), losses[k].copy())
            for k, o in enumerate(self.objectives)
        ]

    def _about(self) -> dict[str, Any]:
        """All that a checkpoint must agree on for its continuation to be the same training."""
        about = {
            key: getattr(self, key)
            for key in ("steps", "batch", "seed", "rate", "schedule", "output", "clip")
        }
        about |= {
            "objectives": [one.name for one in self.objectives],
            "ema": list(self.ema),
            "model": repr(self.model),
        }
        return about | {"data": zlib.crc32(self.data.cpu().numpy().tobytes())}

    def save(self, path: str | os.PathLike) -> None:
        """Write a checkpoint, safetensors with JSON in its header: in the place of an old one, or with a warning not at all."""
        state = {key: tensor.detach().cpu().contiguous() for key, tensor in self._state.items()}
        header = {
            "diffviz": json.dumps(self._about()),
            "crc": str(zlib.crc32(safetensors.torch.save(state))),
        }
        fresh = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
        try:
            fresh.write_bytes(safetensors.torch.save(state, header))
            os.replace(fresh, path)
        except OSError as error:
            if not os.path.exists(path):
                raise
            warnings.warn(
                f"no checkpoint at step {self.step}, the old one stays: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
        finally:
            fresh.unlink(missing_ok=True)

    def resume(self, path: str | os.PathLike) -> None:
        """Continue from a checkpoint, bit for bit; raises ValueError if it is damaged or of another training."""
        try:
            with safe_open(path, "pt") as file:
                header, state = (
                    file.metadata() or {},
                    {key: file.get_tensor(key) for key in file.keys()},  # noqa: SIM118
                )
            about = json.loads(header["diffviz"])
            other = [
                f"{key} {about.get(key)}, here {here}"
                for key, here in self._about().items()
                if about.get(key) != here
            ]
            if other or header["crc"] != str(zlib.crc32(safetensors.torch.save(state))):
                raise ValueError("; ".join(other) or "damaged")
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is no checkpoint of this training ({error}); name another file"
            ) from error
        self._state, self._block = (
            {key: state[key].to(old.device) for key, old in self._state.items()},
            -1,
        )


def fit(
    objectives: Any, data: ArrayLike | Tensor, *, callback: Callable[[Step], Any] | None = None,
    checkpoint: str | os.PathLike | None = None, every: int = 16 * BLOCK, progress: bool = True, **settings: Any,
) -> list[Run]:  # fmt: skip
    """Train one denoiser for each objective, side by side: same start, same data, same noise.

    The stop button ends it early and returns what is trained. Points train on one thread: more make small networks slower.

    Args:
        objectives: one or several: Objectives, names of the catalogue, or anything with ``name`` and ``draw(n, rng)``. ``draw``
            is called once per BLOCK = 32 steps, so its law may change as training goes; a checkpoint goes on bit for bit then
            if it is of a multiple of 32 steps and what the law depends on (a tracker) is restored as it was there.
        data: points (n, d) or images (n, h, w), (n, channels, h, w), drawn with replacement; trained on a tensor's device.
        callback: gets a ``Step`` after each step, for a tracker or a plot; may raise KeyboardInterrupt to stop.
        checkpoint: file written at the start, every ``every`` steps and at the end; if it exists, training goes on from there.
        model: by default ``MLP()`` for points, ``Transformer()`` for images; see ``diffviz.models``.
        steps, batch, seed: how many steps, of how many points, and the seed of all that is random.
        rate, schedule: learning rate of Adam; "cosine" takes it to zero, "constant" not.
        output: what the network puts out, "eps", "x", "v" or "F"; independent of the loss.
        ema: mean ages of averaged weights, as shares of the training; ``Run.denoise`` uses the first, ``Run.at`` others.
        clip: longest gradient, in units of its running root mean square; math.inf for any.
    Returns one Run for each objective, in their order.
    Raises ValueError or TypeError if data, draws, a setting or the checkpoint are unusable, and Diverged, whose ``runs`` are those
    before, if a loss or gradient is not finite.
    """
    trainer = Trainer(objectives, data, **settings)
    if checkpoint is not None:
        (trainer.resume if os.path.exists(checkpoint) else trainer.save)(checkpoint)
    steps, threads = range(trainer.step, trainer.steps), torch.get_num_threads()
    torch.set_num_threads(1 if trainer.mean.ndim == 1 else threads)
    try:
        for _ in tqdm(
            steps, initial=trainer.step, total=trainer.steps, disable=not progress, leave=False
        ):
            step = trainer.advance()
            if callback is not None:
                callback(step)
            if checkpoint is not None and step.step % every == 0:
                trainer.save(checkpoint)
    except KeyboardInterrupt:
        pass
    finally:
        torch.set_num_threads(threads)
    if checkpoint is not None:
        trainer.save(checkpoint)
    return trainer.runs()
