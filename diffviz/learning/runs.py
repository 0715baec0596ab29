"""What a training leaves: a denoiser with its weights, its averages and the data's scale."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz import checks, markup
from diffviz.compute import threads
from diffviz.learning import files
from diffviz.learning.doors import floating_tensor
from diffviz.learning.identity import Record, record, resolve
from diffviz.learning.models import (
    Described,
    Network,
    check_network,
    checked_description,
    described,
    from_description,
    multiply_adds,
    raw_output,
)
from diffviz.learning.outputs import OUTPUTS, output_coefficients

KIND = "run"
PIECE = 2**25  # multiply-adds of the largest product on the points denoised together
ROWS = 2**13  # the most points denoised together
FARTHEST = 1e30  # standard deviations of the data, beyond which products leave float32
PATIENCE = 10.0  # seconds to wait for another process that saves to the same file


@dataclass(frozen=True, eq=False)
class Run:
    """One trained denoiser.

    Args:
        objective: What it was trained under.
        model: The network.
        output: What the raw output of the network stands for: "eps", "x", "v" or "F".
        mean: Mean of the data, shape (*shape).
        std: Standard deviation of the data.
        state: Flat weights (parameters,) by averaging length; at 0.0 the last ones, not averaged.
        ema: The averaging length that ``denoise`` uses.
        loss: Training loss of every step, shape (steps,).
        described: The network with its description from before the training, which files keep. By
            default, and where it is that of another network, it is taken now.

    Raises:
        TypeError: ``model`` is no network, ``objective`` has no name, ``mean`` is no tensor of
            floating point, ``state`` is no mapping, or ``described`` is no ``Described``.
        ValueError: ``output`` is unknown, ``std`` is not above 0, ``mean`` is not finite, ``loss``
            is not one number for each step, or ``ema`` is not in ``state``.


    Example:
        >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
        >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
        >>> run.name, run.output, run.ema, len(run.loss)
        ('fm-ot', 'v', 0.1, 4)
    """

    objective: Any
    model: Network
    output: str
    mean: Tensor
    std: float
    state: Mapping[float, Tensor]
    ema: float
    loss: NDArray
    described: Described | None = None

    def __post_init__(self) -> None:
        check_network(self.model)
        _check_content(self.objective, self.mean, self.loss)
        checks.one_of(self.output, "output", OUTPUTS)
        object.__setattr__(self, "std", checks.positive(self.std, "std"))
        object.__setattr__(self, "ema", _averaging_length(self.ema, self.state))
        object.__setattr__(self, "described", _as_described(self.model, self.described))

    def __repr__(self) -> str:
        return (
            f"Run({self.name!r}: {self.model!r}, {self.output} output, {len(self.loss)} steps, "
            f"average of length {self.ema:g})"
        )

    @property
    def name(self) -> str:
        """Name of the objective."""
        return self.objective.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return tuple(self.mean.shape)

    def _repr_html_(self) -> str:
        return markup.run(self)

    def denoise(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """E[x|z] as the network has learnt it.

        It can be differentiated by z and by the log-SNR.

        Args:
            z: Variance-preserving points, shape (n, *shape). Integers become float.
            logsnr: λ in nats, shape (n,) or ().

        Returns:
            The data expected, with shape, type and device of z.

        Raises:
            TypeError: z or logsnr holds no real numbers.
            ValueError: The shapes do not fit, z is not finite, a λ is NaN, or the output says
                nothing of the data at a λ: "eps" at −∞ and "x" at +∞.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> run.denoise(torch.zeros(3, 2), logsnr=0.0).shape
            torch.Size([3, 2])
        """
        points = floating_tensor(z, "z")
        with threads.suited(self.multiply_adds(points.shape[:1].numel()), points.device):
            return self._denoise(points, logsnr)

    def _denoise(self, points: Tensor, logsnr: Tensor | ArrayLike) -> Tensor:
        """``denoise`` for points that are checked."""
        levels = _levels(logsnr, points)
        if points.shape[1:] != self.mean.shape or levels.shape not in (points.shape[:1], ()):
            n = len(points) if points.ndim else 1
            raise ValueError(
                f"z must be {(n, *self.mean.shape)} and logsnr {(n,)} or (), "
                f"got {tuple(points.shape)}, {tuple(levels.shape)}"
            )
        self._check_levels(levels)
        self._check_reach(points)
        weights = self.state[self.ema]
        rows = self._rows_at_once(points)
        if len(points) <= rows:
            return self.denoise_with(weights, points, levels)
        pieces = zip(points.split(rows), levels.expand(len(points)).split(rows), strict=True)
        return torch.cat([self.denoise_with(weights, *piece) for piece in pieces])

    def _rows_at_once(self, points: Tensor) -> int:
        """How many points are denoised together, so that what lies between layers is in the cache.

        It is a power of two, as pieces of other sizes round in other ways than the whole.
        """
        of_one = self.multiply_adds(1)
        if points.device.type != "cpu" or not 0 < of_one < PIECE:
            return len(points)
        return min(ROWS, 2 ** int(math.log2(PIECE / of_one)))

    def _check_levels(self, levels: Tensor) -> None:
        """Refuse levels where the data do not follow from z and the output."""
        coefficients = output_coefficients(levels + 2 * math.log(self.std), self.output)
        silent = coefficients.determinant == 0
        if silent.any():
            raise ValueError(
                f"a network with {self.output} output says nothing of the data at logsnr "
                f"{levels[silent].flatten()[0].item():g}; stay within ±80 nats or train one with "
                'output="v"'
            )

    def _check_reach(self, points: Tensor) -> None:
        """Refuse points on which the network overflows, which computes in float32."""
        largest = float(points.detach().abs().max()) if points.numel() else 0.0
        reach = FARTHEST * max(1.0, self.std)
        checks.require(
            largest <= reach,
            f"z must lie within ±{reach:g}, got {largest:g}: the network computes in float32",
        )

    def denoise_with(self, weights: Tensor, z: Tensor, logsnr: Tensor) -> Tensor:
        """``denoise`` with other weights and without checks, for ``torch.func``.

        Args:
            weights: Flat weights, shape (parameters,), or those of a network for each point, shape
                (n, parameters).
            z: Variance-preserving points, shape (n, *shape), of floating point.
            logsnr: λ in nats, shape (n,) or (), of z's type.

        Returns:
            The data expected, like z.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> z = torch.zeros(3, 2)
            >>> x_hat = run.denoise_with(run.state[0.0], z, torch.tensor(0.0))
            >>> torch.allclose(x_hat, run.at(0.0).denoise(z, 0.0))
            True
        """
        logsnr = logsnr.expand(len(z)).reshape(-1, *[1] * self.mean.ndim)
        alpha = torch.sigmoid(logsnr).sqrt()
        mean = self.mean.to(z)
        scale = (torch.sigmoid(logsnr) * self.std**2 + torch.sigmoid(-logsnr)).sqrt()
        unit = (z - alpha * mean) / scale
        level = logsnr + 2 * math.log(self.std)
        flat = weights.to(z.device)
        axis = flat.ndim - 1  # of the one network, or of the one point of each
        raw = raw_output(
            self.model,
            flat.expand(1, -1) if flat.ndim == 1 else flat,
            unit.unsqueeze(axis).to(flat),
            level.flatten().unsqueeze(axis).to(flat),
        ).squeeze(axis)
        coefficients = output_coefficients(level, self.output)
        numerator = coefficients.b * unit - coefficients.sigma * raw.to(z)
        return mean + self.std * numerator / coefficients.determinant

    def multiply_adds(self, n: int) -> float:
        """Multiply-adds of the network's largest product on n points; see ``compute.threads``.

        Args:
            n: Number of points.

        Returns:
            The number; infinite if a network for images does not state it.

        Raises:
            TypeError: ``n`` is no whole number.
            ValueError: ``n`` is negative.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> run.multiply_adds(1000)  # two layers of 64 units
            4096000
        """
        return multiply_adds(self.model, tuple(self.mean.shape), checks.count(n, "n", least=0))

    def at(self, ema: float) -> "Run":
        """The same run with weights averaged over another length.

        Args:
            ema: One of the lengths in ``state``; 0.0 for the last weights.

        Returns:
            A run that shares weights and losses with this one.

        Raises:
            ValueError: There is no average of this length.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> list(run.state), run.at(0.05).ema
            ([0.1, 0.05, 0.0], 0.05)
        """
        return replace(self, ema=ema)

    def save(self, path: str | os.PathLike) -> None:
        """Write the run to a file: safetensors with a JSON header.

        The objective is kept as name and identity. An old file is replaced as a whole.

        Args:
            path: Where to.

        Raises:
            OSError: The file cannot be written, or a training has it as its checkpoint. An old one
                is still there.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> run.save("ring8.safetensors")
            >>> dv.Run.load("ring8.safetensors").objective is run.objective
            True
        """
        header = {
            "objective": asdict(record(self.objective)),
            "model": _as_described(self.model, self.described).description,
            "output": self.output,
            "std": float(self.std),
            "ema": float(self.ema),
            "lengths": [float(length) for length in self.state],
        }
        tensors = {_tensor_name(length): weights for length, weights in self.state.items()}
        tensors |= {"mean": self.mean, "loss": torch.from_numpy(np.array(self.loss))}
        with files.alone(path, patience=PATIENCE):
            files.write(path, KIND, header, tensors)

    @classmethod
    def load(
        cls, path: str | os.PathLike, *, objective: Any = None, model: Network | None = None
    ) -> "Run":
        """Read a run that ``save`` has written. It denoises as before, bit for bit.

        Args:
            path: Where from.
            objective: What the run was trained under, or its name in the catalogue. By default it
                is looked up in the catalogue. If that has none with the name and the identity, the
                run's objective has a name and no more.
            model: The network; needed if its class is not one of ``diffviz.models``.

        Returns:
            The run, on the CPU.

        Raises:
            FileNotFoundError: There is no file.
            TypeError: ``model`` is no network.
            ValueError: The file is damaged, no saved run or of a newer version, or the objective or
                the network is another.

        Example:
            >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
            >>> (run,) = dv.fit("fm-ot", data, steps=4, batch=16, progress=False)
            >>> run.save("ring8.safetensors")
            >>> same = dv.Run.load("ring8.safetensors")
            >>> torch.equal(same.denoise(data, 1.0), run.denoise(data, 1.0))
            True
        """
        path = files.checked_path(path)
        with _reading(path):
            header, tensors = files.read(path, KIND)
            saved_objective = Record(**header["objective"])
            description = checked_description(header["model"])
        network = Described(from_description(description, model), description)
        trained_under = resolve(saved_objective, objective)
        with _reading(path):
            return _restored(header, tensors, trained_under, network)


@contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn errors on what a file holds into a ValueError that names the file."""
    try:
        yield
    except KeyError as error:
        message = f"{os.fspath(path)} cannot be read as a saved run (it has no {error})"
        raise ValueError(message) from error
    except (TypeError, ValueError) as error:
        message = f"{os.fspath(path)} cannot be read as a saved run ({error})"
        raise ValueError(message) from error


def _restored(
    header: dict[str, Any], tensors: dict[str, Tensor], objective: Any, model: Described
) -> Run:
    """The run of a file's header and tensors."""
    network = model.network
    state = {length: tensors[_tensor_name(length)] for length in header["lengths"]}
    mean = tensors["mean"]
    parameters = sum(math.prod(size) for size, _ in network.weights(tuple(mean.shape)))
    sizes = {tuple(weights.shape) for weights in state.values()}
    if sizes != {(parameters,)}:
        raise ValueError(f"the network has {parameters} parameters, the file weights of {sizes}")
    for length, weights in state.items():
        checks.require(
            weights.is_floating_point(),
            f"{_tensor_name(length)} must be of floating point, got {weights.dtype}",
        )
    return Run(
        objective=objective,
        model=network,
        output=header["output"],
        mean=mean,
        std=header["std"],
        state=state,
        ema=header["ema"],
        loss=tensors["loss"].numpy(),
        described=model,
    )


def _tensor_name(length: float) -> str:
    """Name in a file of the weights of an averaging length."""
    return f"weights {float(length)!r}"


def _check_content(objective: Any, mean: Any, loss: Any) -> None:
    """Refuse an objective without a name, a mean that is no tensor, and losses of another shape."""
    checks.require(
        isinstance(checks.attribute(objective, "name"), str),
        f"objective must have a name, got {objective!r}",
        TypeError,
    )
    if not isinstance(mean, Tensor) or not mean.is_floating_point():
        raise TypeError(f"mean must be a tensor of floating point, got {checks.brief(mean)}")
    checks.tensor(mean, "mean")
    losses = np.shape(checks.array(loss, "loss"))
    checks.require(len(losses) == 1, f"loss must have shape (steps,), got {losses}")


def _as_described(network: Network, before: Any) -> Described:
    """A network with its earlier description if that is given, else with that of now."""
    if before is None:
        return described(network)
    checks.instance(before, "described", Described, "a models.Described, or None")
    return before if before.network is network else described(network)


def _averaging_length(ema: Any, state: Mapping[float, Tensor]) -> float:
    """An averaging length as a float, refused if it is not among the weights."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state must map averaging lengths to weights, got {checks.brief(state)}")
    length = checks.number(ema, "ema")
    if length not in state:
        lengths = checks.cut(", ".join(map(str, state)))
        raise ValueError(f"no average of length {ema}; there are {lengths} in the state")
    return length


def _levels(logsnr: Any, z: Tensor) -> Tensor:
    """Log-SNR as a tensor of z's type and on its device; infinite levels have a meaning."""
    if isinstance(logsnr, Tensor):
        checks.tensor(logsnr, "logsnr", infinite=True)
        return logsnr.to(z)
    levels = checks.array(logsnr, "logsnr", infinite=True)
    return torch.as_tensor(levels, dtype=z.dtype, device=z.device)
