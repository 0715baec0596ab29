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
import zlib
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from diffviz.models import MODELS
from diffviz.recipes import objective as recipe

BLOCK = 32  # steps drawn at once: a quantile function costs by the call
BETAS = 0.9, 0.99  # of Adam (Kingma & Ba 2015)
LIMIT = 80.0  # nats; beyond, float32 coefficients underflow
# raw output -> (a, b), given alpha' and sigma'
OUTPUTS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "eps": lambda alpha, sigma: (torch.zeros_like(alpha), torch.ones_like(alpha)),
    "x": lambda alpha, sigma: (torch.ones_like(alpha), torch.zeros_like(alpha)),
    "v": lambda alpha, sigma: (-sigma, alpha),
    "F": lambda alpha, sigma: (sigma, -alpha),
}
# schedule of the learning rate -> share of it, given the share of training done
RATES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "constant": lambda done: 1.0,
}


class Diverged(FloatingPointError):
    """A loss or gradient stopped being finite; ``runs`` holds what was trained before that step."""

    runs: "list[Run]"


@dataclass(frozen=True)
class Step:
    """One step of training k objectives on n points: number of steps done, levels (k, n), squared eps error summed over
    dimensions (k, n), loss (k,) = mean of factor * error."""

    step: int
    logsnr: Tensor
    error: Tensor
    loss: Tensor


def _coefficients(level: Tensor, output: str) -> tuple[Tensor, ...]:
    alpha, sigma = torch.sigmoid(level).sqrt(), torch.sigmoid(-level).sqrt()
    return alpha, sigma, *OUTPUTS[output](alpha, sigma)


def _unflatten(flat: Tensor, layout: Sequence[tuple[tuple[int, ...], float]]) -> list[Tensor]:
    """Views of all weights, given as one tensor (k, parameters)."""
    pieces = flat.split([math.prod(shape) for shape, _ in layout], 1)
    return [piece.view(len(flat), *shape) for piece, (shape, _) in zip(pieces, layout, strict=True)]


def _points(data: ArrayLike | Tensor) -> Tensor:
    """Data as float32 points (n, *shape), refused where it is no such thing."""
    points = data.detach() if isinstance(data, Tensor) else torch.from_numpy(np.array(data, dtype=np.float32))
    if not 2 <= points.ndim <= 4 or not points.numel() or points.is_complex():
        shape = f"{points.dtype} {tuple(points.shape)}; numbers on a line are data[:, None]"
        raise ValueError(f"data must be real, (n, d), (n, h, w) or (n, channels, h, w); got {shape}")
    points = points.float()
    if len(bad := (~torch.isfinite(points)).flatten(1).any(1).nonzero()):
        raise ValueError(f"data has NaN or inf in {len(bad)} rows, the first is row {bad[0].item()}; drop them")
    if (points == points[0]).all():
        raise ValueError("all points of data are equal; there is nothing to denoise")
    return points


def _write(path: str | os.PathLike, about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """A safetensors file with JSON in its header; written beside an old one, then put in its place, or not at all."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    header = {"diffviz": json.dumps(about | {"crc": zlib.crc32(safetensors.torch.save(tensors))})}
    fresh = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(safetensors.torch.save(tensors, header))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _read(path: str | os.PathLike, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["diffviz"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        if about["kind"] != kind or about["crc"] != zlib.crc32(safetensors.torch.save(tensors)):
            raise ValueError(f"a damaged file, or a {about['kind']} where a {kind} is wanted")
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no {kind} of diffviz ({error}); move it away, or name another file") from error
    return about, tensors


@dataclass(frozen=True)
class Run:
    """One trained denoiser.

    Args:
        objective: what it was trained under (its name, if loaded without).
        model, output: network, and what its raw output stands for.
        mean, std: of the data, shape (*shape) and a number.
        state: flat weights by averaging length; at 0.0 the last ones, not averaged.
        ema: the length that ``denoise`` uses.
        loss: training loss of every step, shape (steps,).
    """

    objective: Any
    model: Any
    output: str
    mean: Tensor
    std: float
    state: dict[float, Tensor]
    ema: float
    loss: NDArray

    @property
    def name(self) -> str:
        return getattr(self.objective, "name", str(self.objective))

    def denoise(self, z: Tensor, logsnr: Tensor | float) -> Tensor:
        """Estimate of E[x|z], like z, for points z (n, *shape) of the variance-preserving frame at level logsnr (n,) or ().

        Raises:
            ValueError: if the shapes do not fit.
        """
        logsnr = torch.as_tensor(logsnr, dtype=z.dtype, device=z.device)
        if z.shape[1:] != self.mean.shape or logsnr.shape not in (z.shape[:1], ()):
            want = (len(z), *self.mean.shape)
            raise ValueError(f"z must be {want} and logsnr {want[:1]} or (), got {tuple(z.shape)}, {tuple(logsnr.shape)}")
        logsnr = logsnr.expand(len(z)).reshape(-1, *[1] * self.mean.ndim)
        level, mean, flat = (logsnr + 2 * math.log(self.std), self.mean.to(z), self.state[self.ema].to(z.device))
        scale = (torch.sigmoid(logsnr) * self.std**2 + torch.sigmoid(-logsnr)).sqrt()
        unit = (z - torch.sigmoid(logsnr).sqrt() * mean) / scale
        alpha, sigma, a, b = _coefficients(level, self.output)
        weights = _unflatten(flat[None], self.model.weights(tuple(mean.shape)))
        r = self.model(weights, unit[None].to(flat), level.reshape(1, -1).to(flat))[0].to(z)
        return mean + self.std * (b * unit - sigma * r) / (b * alpha - a * sigma)

    def at(self, ema: float) -> "Run":
        """The same run with weights averaged over another of the lengths in ``state``."""
        if ema not in self.state:
            raise ValueError(f"no average of length {ema}; there are {', '.join(map(str, self.state))}")
        return replace(self, ema=ema)

    def save(self, path: str | os.PathLike) -> None:
        """Write it to one safetensors file; if that fails, an old one stays."""
        about = {key: getattr(self, key) for key in ("name", "output", "std", "ema")}
        about |= {"kind": "run", "model": [type(self.model).__name__, asdict(self.model)]}
        tensors = {f"state {length}": flat for length, flat in self.state.items()}
        _write(path, about, tensors | {"mean": self.mean, "loss": torch.from_numpy(self.loss)})

    @classmethod
    def load(cls, path: str | os.PathLike, objective: Any = None, model: Any = None) -> "Run":
        """Read what ``save`` wrote.

        Args:
            objective: takes the place of the stored name.
            model: needed only if the network is none of ``diffviz.models``.
        Raises:
            ValueError: if the file is damaged or something else.
        """
        about, tensors = _read(path, "run")
        mean, loss = tensors.pop("mean"), tensors.pop("loss").numpy()
        state = {float(key.removeprefix("state ")): flat for key, flat in tensors.items()}
        model = model or MODELS[about["model"][0]](**about["model"][1])
        return cls(objective or about["name"], model, about["output"], mean, about["std"], state, about["ema"], loss)


@dataclass(repr=False, eq=False)
class Trainer:
    """Training step by step, for a dashboard or a loop of one's own; arguments as for ``fit``."""

    objectives: Any
    data: Any
    _: KW_ONLY
    model: Any = None
    steps: int = 1000
    batch: int = 512
    seed: int = 0
    rate: float = 1e-2
    schedule: str = "cosine"
    output: str = "v"
    ema: Sequence[float] = (0.1, 0.05)
    clip: float = 3.0

    def __post_init__(self) -> None:
        single = isinstance(self.objectives, str) or hasattr(self.objectives, "draw")
        several = [self.objectives] if single else list(self.objectives)
        self.objectives = [recipe(one) if isinstance(one, str) else one for one in several]
        for one in self.objectives:
            if not (hasattr(one, "draw") and hasattr(one, "name")):
                raise TypeError(f"{one!r} has no name and draw(n, rng); pass a name of the catalogue or an Objective")
        if not self.objectives or not all(v > 0 for v in (self.steps, self.batch, self.rate, self.clip)):
            raise ValueError("need an objective, and steps, batch, rate and clip above 0")
        if self.schedule not in RATES or self.output not in OUTPUTS or not all(0 < age <= 0.5 for age in self.ema):
            raise ValueError(
                f"schedule is one of {', '.join(RATES)}, output of {', '.join(OUTPUTS)}, ema are shares in (0, 0.5]; "
                f"got {self.schedule!r}, {self.output!r}, {self.ema}"
            )
        self.data = _points(self.data)
        self.mean, self.std = self.data.mean(0), self.data.var(0, correction=0).mean().sqrt().item()
        self._unit = (self.data - self.mean) / self.std
        self.model = self.model or MODELS["MLP" if self.mean.ndim == 1 else "Transformer"]()
        self._layout = self.model.weights(tuple(self.mean.shape))
        generator = torch.Generator().manual_seed(self.seed)
        start = [std * torch.randn(math.prod(shape), generator=generator) for shape, std in self._layout]
        weights = torch.cat(start).to(self.data.device).repeat(len(self.objectives), 1)
        self._state = {
            "step": torch.tensor(0),
            "loss": weights.new_zeros(len(weights), self.steps),
            "weights": weights,
            "first": torch.zeros_like(weights),
            "second": torch.zeros_like(weights),
            "averages": weights.repeat(len(self.ema), 1, 1),
        }
        self._block = -1

    @property
    def step(self) -> int:
        """Number of steps done."""
        return int(self._state["step"])

    def _draw(self, block: int) -> None:
        """What is random in the next BLOCK steps, from (seed, block) alone: resuming needs no generator's state."""
        n, device = self.batch, self.data.device
        shuffle = np.random.default_rng((self.seed, block, 1)).permuted(np.tile(np.arange(BLOCK), (n, 1)), axis=1)
        levels = []
        for one in self.objectives:
            drawn = np.stack(one.draw(n * BLOCK, np.random.default_rng((self.seed, block)))).astype(float)
            bad = ~(np.isfinite(drawn).all(0) & (np.abs(drawn[0]) < LIMIT) & (drawn[1] >= 0))
            if drawn.shape != (2, n * BLOCK) or bad.any():
                first = drawn[:, bad][:, :1].ravel() if bad.any() else ()
                example = "logsnr {:.4g} with factor {:.4g}".format(*first) if len(first) else "too few or many"
                raise ValueError(
                    f"{one.name} drew {example}; training needs {n * BLOCK} finite levels within ±{LIMIT:g} and factors >= 0: "
                    "truncate its density"
                )
            # n strata of neighbours in level, dealt out to the steps: each step gets one of every stratum
            order = np.argsort(drawn[0], kind="stable").reshape(n, BLOCK)
            levels.append(drawn[:, np.take_along_axis(order, shuffle, 1).T])
        logsnr, factor = torch.from_numpy(np.stack(levels, 2))  # (BLOCK, k, n) each
        level = logsnr + 2 * math.log(self.std)
        alpha, sigma, a, b = _coefficients(level, self.output)
        ease = (alpha / (b * alpha - a * sigma)) ** 2  # 1/g²
        self._levels = [v.float().to(device) for v in (logsnr, level, ease, factor * ease, alpha, sigma, a, b)]
        seed = int(np.random.SeedSequence((self.seed, block, 2)).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        self._index = torch.randint(len(self.data), (BLOCK, n), generator=generator).to(device)
        self._noise = torch.randn(BLOCK, n, *self.mean.shape, generator=generator).to(device)
        self._block = block

    def advance(self) -> Step:
        """Train one step.

        Raises:
            Diverged: if a loss or gradient is not finite; the weights stay what they were.
        """
        step, weights = self.step, self._state["weights"].requires_grad_()
        block, row = divmod(step, BLOCK)
        if step >= self.steps:
            raise ValueError(f"all {self.steps} steps are done; a new Trainer starts afresh")
        if block != self._block:
            self._draw(block)
        logsnr, level, ease, factor, *coefficients = (v[row] for v in self._levels)
        alpha, sigma, a, b = (v.reshape(*v.shape, *[1] * self.mean.ndim) for v in coefficients)
        x, eps = self._unit[self._index[row]], self._noise[row]
        r = self.model(_unflatten(weights, self._layout), alpha * x + sigma * eps, level)
        error = (r - (a * x + b * eps)).square().flatten(2).sum(-1)
        loss = (factor * error).mean(1)
        (slope,) = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            size = slope.square().sum(1, keepdim=True)
            total = loss + size[:, 0]
            if not math.isfinite(total.sum().item()):
                k = int((~torch.isfinite(total)).nonzero()[0])
                worst = logsnr[k, (factor * error)[k].nan_to_num(math.inf, math.inf).argmax()].item()
                stop = Diverged(
                    f"{self.objectives[k].name}: loss or gradient not finite at step {step}, largest at logsnr {worst:.3g}; "
                    f"weights are kept as before it, try a rate below {self.rate:g}"
                )
                stop.runs = self.runs()
                raise stop
            self._state["loss"][:, step] = loss
            self._state = self._updated(step, slope, size)
            return Step(step + 1, logsnr, error * ease, loss.detach())

    def _updated(self, step: int, slope: Tensor, size: Tensor) -> dict[str, Tensor]:
        """The state after one step of Adam, one tensor for all weights of all objectives; new, so that nothing is ever half done."""
        old, (decay, decay2) = self._state, BETAS
        if step:  # a loss has no scale of its own, so the limit is relative: second sums to the mean squared length
            limit = self.clip**2 * old["second"].sum(1, keepdim=True) / (1 - decay2**step)
            slope = slope * (limit / size).clamp(max=1).sqrt()
        first = old["first"].lerp(slope, 1 - decay)
        second = (decay2 * old["second"]).addcmul_(slope, slope, value=1 - decay2)
        rate = self.rate * RATES[self.schedule](step / self.steps) / (1 - decay ** (step + 1))
        scale = (second / (1 - decay2 ** (step + 1))).sqrt_().add_(1e-15)
        weights = torch.addcdiv(old["weights"].detach(), first, scale, value=-rate)
        # average of weights with mean age share * step, the power function of Karras et al. 2024, sec. 3.1
        fresh = [1 - (1 - 1 / (step + 1)) ** (1 / share - 1) for share in self.ema]
        averages = old["averages"].lerp(weights, weights.new_tensor(fresh)[:, None, None])
        new = {"weights": weights, "first": first, "second": second, "averages": averages}
        return old | new | {"step": torch.tensor(step + 1)}

    def runs(self) -> list[Run]:
        """What is trained so far, one Run for each objective."""
        flats = dict(zip((*self.ema, 0.0), (*self._state["averages"], self._state["weights"].detach()), strict=True))
        ema, losses = next(iter(flats)), self._state["loss"][:, : self.step].cpu().numpy()
        return [
            Run(o, self.model, self.output, self.mean, self.std, {e: v[k].clone() for e, v in flats.items()}, ema, loss.copy())
            for k, (o, loss) in enumerate(zip(self.objectives, losses, strict=True))
        ]

    def _about(self) -> dict[str, Any]:
        """All that a checkpoint must agree on for its continuation to be the same training."""
        keys = ("steps", "batch", "seed", "rate", "schedule", "output", "clip")
        about = {"objectives": [o.name for o in self.objectives], "ema": list(self.ema), "model": repr(self.model)}
        return about | {"data": zlib.crc32(self.data.cpu().numpy().tobytes())} | {key: getattr(self, key) for key in keys}

    def save(self, path: str | os.PathLike) -> None:
        """Write a checkpoint; if that fails, an old one stays."""
        _write(path, self._about() | {"kind": "checkpoint"}, self._state)

    def resume(self, path: str | os.PathLike) -> None:
        """Continue from a checkpoint, bit for bit as if never interrupted.

        Raises:
            ValueError: if it is damaged or of another training; nothing changes then.
        """
        about, state = _read(path, "checkpoint")
        other = [f"{key} {about.get(key)}, here {here}" for key, here in self._about().items() if about.get(key) != here]
        if other:
            raise ValueError(f"{path} is of another training: {'; '.join(other)}; name another file")
        self._state = {key: state[key].to(old.device) for key, old in self._state.items()}


def fit(
    objectives: Any,
    data: ArrayLike | Tensor,
    *,
    callback: Callable[[Step], Any] | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: int = 500,
    progress: bool = True,
    **settings: Any,
) -> list[Run]:
    """Train one denoiser for each objective, side by side: same start, same data, same noise.

    The stop button ends it early and returns what is trained. Points, unlike images, train on one thread: on more, small
    networks run slower, on a busy machine by far.

    Args:
        objectives: one or several: Objectives, names of the catalogue, or anything with ``name`` and ``draw(n, rng)``.
        data: points (n, d) or images (n, h, w), (n, channels, h, w), any number, drawn with replacement; array, or tensor on the
            device to train on.
        callback: gets a ``Step`` after each step, for a tracker or a plot; may raise KeyboardInterrupt to stop.
        checkpoint: file written every ``every`` steps and at the end; if it exists, training goes on from there.
        progress: whether to show a bar.
        model: by default ``MLP()`` for points, ``Transformer()`` for images; see ``diffviz.models``.
        steps, batch, seed: how many steps, of how many points, and the seed of all that is random.
        rate, schedule: learning rate of Adam; "cosine" takes it to zero, "constant" not.
        output: what the network puts out, "eps", "x", "v" or "F"; independent of the loss.
        ema: mean ages of averaged weights, as shares of the training; ``Run.denoise`` uses the first, ``Run.at`` others.
        clip: longest gradient, in units of its running root mean square.
    Returns:
        One Run for each objective, in their order.
    Raises:
        ValueError, TypeError: if data, draws, a setting or the checkpoint are unusable.
        Diverged: if a loss or gradient is not finite; its ``runs`` are those before.
    """
    trainer = Trainer(objectives, data, **settings)
    if checkpoint is not None and os.path.exists(checkpoint):
        trainer.resume(checkpoint)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if trainer.mean.ndim == 1 else threads)
    try:
        for _ in tqdm(
            range(trainer.step, trainer.steps), initial=trainer.step, total=trainer.steps, disable=not progress, leave=False
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
