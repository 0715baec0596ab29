"""The random draws of a training loss, intercepted: recorded, replayed with the noise on or off, and made even where they are times.

A draw the size of the data is noise; one of a number or so per sample is a time, and is replaced by quantiles of its own law at evenly
spread u: each time axis has its share of the grid (i + ½)/N, jointly in the order of a Kronecker sequence.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor
from torch.overrides import TorchFunctionMode


def _whole(u, *args, **kwargs):
    ends = [a for a in args if isinstance(a, int)] + [
        kwargs[k] for k in ("low", "from", "high", "to") if k in kwargs
    ]
    low = ends[-2] if len(ends) > 1 else 0
    return low + torch.floor(u * (ends[-1] - low))


def _between(u, _, low=0.0, high=1.0, **kwargs):
    low, high = kwargs.get("from", low), kwargs.get("to", high)
    return low + (high - low) * u


def _normal(u, mean=0.0, std=1.0, *_, **__):
    return mean + std * torch.special.ndtri(u)


def _index(u, weights, *_, **__):
    share = weights.double().cumsum(-1)
    return torch.searchsorted(share, u * share[-1]).clamp(max=len(share) - 1)


def _beta(u, concentration, **_):  # torch draws Beta(a, b) as a Dirichlet of two
    share = torch.from_numpy(
        special.betaincinv(
            *concentration.double().numpy(force=True).T, u[..., 0].numpy(force=True).T
        ).T
    )
    return torch.stack([share, 1 - share], -1)


LAWS: dict[
    str, Callable[..., Tensor]
] = {  # torch's random functions: quantile function of u, given the call's own arguments
    **dict.fromkeys(("rand", "rand_like"), lambda u, *_, **__: u),
    **dict.fromkeys(("randn", "randn_like"), lambda u, *_, **__: torch.special.ndtri(u)),
    **dict.fromkeys(("randint", "randint_like", "random_"), _whole),
    "normal": _normal,
    "normal_": lambda u, _, *args, **kwargs: _normal(u, *args, **kwargs),
    "log_normal_": lambda u, _, mean=1.0, std=2.0, **__: _normal(u, mean, std).exp(),
    "uniform_": _between,
    "bernoulli": lambda u, p, *_, **__: u < p,
    "bernoulli_": lambda u, _, p=0.5, **__: u < p,
    "exponential_": lambda u, _, lambd=1.0, **__: -torch.log1p(-u) / lambd,
    "cauchy_": lambda u, _, median=0.0, sigma=1.0, **__: (
        median + sigma * torch.tan(torch.pi * (u - 0.5))
    ),
    "multinomial": _index,
    "_sample_dirichlet": _beta,
}
AS_THEY_ARE = {
    "randperm",
    "_standard_gamma",
    "poisson",
    "geometric_",
}  # recorded and replayed, never stratified
NOISE = {"randn", "randn_like", "normal", "normal_"}


class Draws(TorchFunctionMode):
    """The random draws of one call of the loss: recorded, stratified where they are times, replayed with the noise times ``keep``."""

    def __init__(
        self, call: int, calls: int, x: Tensor, tables: dict | None, generators: dict, seed: int
    ):
        super().__init__()
        self.call, self.calls, self.x, self.generators = call, calls, x, generators
        self.tables, self.stratified = ({} if tables is None else tables), tables is not None
        self.tape: list[tuple[str, Tensor, bool]] = []
        self.at, self.slots, self.keep = 0, 0, 1.0
        self.own, self.seed = torch.Generator().manual_seed(seed).get_state(), seed
        self.order = (
            np.random.default_rng(seed).permutation(len(x)) * calls + call
        )  # places in the stratified sequence

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name not in LAWS and name not in AS_THEY_ARE:
            return func(*args, **kwargs)
        if self.at == len(self.tape):
            self.tape.append(self._record(name, func, args, kwargs))
        kept, value, noise = self.tape[self.at]
        self.at += 1
        if kept != name:
            raise ValueError(
                f"the loss draws {kept} once and {name} the next time with the same seed: it cannot be replayed"
            )
        value = value.clone() if self.keep or not noise else torch.zeros_like(value)
        return args[0].copy_(value) if name.endswith("_") else value

    def _record(self, name, func, args, kwargs):
        if (generator := kwargs.get("generator")) is not None:
            self.generators.setdefault(generator, generator.get_state())
        with torch.random.fork_rng(
            devices=[]
        ):  # a replayed draw takes nothing from the generator, nor may the recorded one
            torch.set_rng_state(self.own)
            out = (
                func(*args, **kwargs).detach().clone()
            )  # in place it writes into a tensor of the loss
            self.own = torch.get_rng_state()
        n, size = len(self.x), out.numel()
        fits = out.ndim == self.x.ndim and all(
            a in (1, b) for a, b in zip(out.shape, self.x.shape, strict=True)
        )
        fits |= (
            name in NOISE and out.ndim > 1 and out.shape == self.x.shape[: out.ndim]
        )  # one a channel, dimensions to come
        if name != "_sample_dirichlet" and (size == self.x.numel() or (fits and size > n)):
            return name, out, name in NOISE and len(out) == n
        rows = size if size <= n else out.shape[0]
        whole = (
            name != "random_" or len(args) > 1
        )  # of the full range of integers there is no quantile
        drawn_anew = name != "multinomial" or (
            args[0].ndim == 1 and (kwargs.get("replacement") or args[2:3] == (True,))
        )
        few = (
            self.slots < 10 and 0 < rows <= n and size <= 4 * rows
        )  # a loop that rejects draws ends only if new ones are new
        if self.stratified and name in LAWS and whole and drawn_anew and few:
            u = np.stack([self._quantiles(rows) for _ in range(size // rows)], -1).reshape(
                out.shape
            )
            value = LAWS[name](torch.from_numpy(u).to(out.device), *args, **kwargs)
            top = (
                1 - torch.finfo(out.dtype).eps / 2 if name in ("rand", "rand_like") else None
            )  # below 1 in few bits too
            out = (value if top is None else value.clamp(max=top)).to(out.dtype)
        return name, out, False

    def _quantiles(self, rows: int) -> NDArray:
        """This call's share of the grid (i + ½)/N, in the order of a Kronecker sequence: even by itself and jointly with other draws."""
        slot, total = self.slots, rows * self.calls
        self.slots += 1
        if (slot, total) not in self.tables:
            step = np.sqrt([0, 1.25, 2, 3, 7, 11, 13, 17, 19, 23, 29, 31, 37])[slot]
            self.tables[slot, total] = (
                np.argsort(np.argsort(np.arange(total) * step % 1, kind="stable")) + 0.5
            ) / total
        order, n = (
            np.random.default_rng(self.seed).permutation(rows) * self.calls + self.call,
            len(self.x),
        )
        u = self.tables[slot, total][order]
        return (
            (np.floor(u * n) + u) / n if rows == 1 and self.calls <= n else u
        )  # an offset of n times: even between them too
