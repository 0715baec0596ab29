"""What does a training loss really weight? Measured from outside, with a stand-in for the network.

For a squared loss c‖out − target‖² the gradient with respect to the network's output is g(out) = h (out − target), h = 2c. The same
random draws are replayed with the data-sized normal draws (eps) on or off; three calls then tell all, exactly and draw by draw:

    x, no eps, out = 0:  z = alpha x,  g = −h a x        no x, eps, out = 0:  z = sigma eps,  g = −h b eps
    x, eps, out = v:     h v = this g minus the other two        target = a x + b eps,  gain = |b − a sigma/alpha|

    factor = h/2 gain²  on the eps squared error,        w(λ) = 2 factor p(λ),   λ = log(alpha²/sigma²)

Draws of a number or so per sample (times) are replaced by stratified quantiles, jointly of low discrepancy: p(λ) is then the
derivative of a quantile function, no histogram of luck. What the method assumes is checked; what fails is said in ``notes``.
"""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffviz.checks import require
from diffviz.probing.draws import Draws
from diffviz.probing.standin import StandIn

SCAN, ROOT_ERROR = 2000, 0.1  # draws where each costs a call; error at which h is local


def _solve(basis: list[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of each sample's y (n, d) in the basis, (n, k), and the relative size of what is left, (n,)."""
    rows = torch.stack(basis, 1)
    coef = torch.linalg.solve_ex(rows @ rows.mT, rows @ y[..., None])[0]
    return coef[..., 0], ((y - (rows.mT @ coef)[..., 0]).norm(dim=1) / y.norm(dim=1)).nan_to_num(0)


def _off(y: Tensor, wanted: Tensor) -> Tensor:
    return ((y - wanted).norm(dim=1) / wanted.norm(dim=1)).nan_to_num(0, posinf=1)


class _Session:
    """Runs the loss on a chunk of draws at a time and reads it; the flags are what the first look found."""

    def __init__(self, loss, x: Tensor, stand: StandIn, seed: int, private: list, stratified: bool):
        self.loss, self.x, self.stand, self.seed, self.private, self.stratified = (
            loss,
            x,
            stand,
            seed,
            private,
            stratified,
        )
        self.tables, self.generators, self.signs = (
            dict[Any, Any](),
            dict[Any, Any](),
            np.random.default_rng(0),
        )
        self.work = torch.promote_types(x.dtype, torch.float32)
        self.how, self.external, self.offset, self.estimated, self.changed = (
            "sum rule",
            False,
            True,
            False,
            False,
        )
        self.v, self.part = self.sign(), slice(None)

    def sign(self) -> Tensor:
        return torch.from_numpy(self.signs.choice([-1.0, 1.0], self.x[0].numel())).to(self.x)

    def begin(self, call: int, calls: int, batch: int):
        self.xs, self.batch = (
            self.x[torch.arange(call * batch, (call + 1) * batch) % len(self.x)],
            batch,
        )
        self.draws = Draws(
            call,
            calls,
            self.xs,
            self.tables if self.stratified else None,
            self.generators,
            self.seed + call,
        )
        self.states = [bits.state for bits in self.private]

    def run(self, data: float, noise: float, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and the gradient at the output, both (batch, components), with data and noise switched on (1) or off (0)."""
        seed, n = self.seed + self.draws.call, self.batch
        torch.manual_seed(seed), np.random.seed(seed % 2**32), random.seed(seed)  # noqa: NPY002  what else the loss draws, replayed
        for bits, state in zip(self.private, self.states, strict=True):
            bits.state = state
        self.draws.at, self.draws.keep, self.stand.value, self.stand.seen = 0, noise, value, []
        xs = self.xs.clone() if data else torch.zeros_like(self.xs)
        with self.draws:
            out = self.loss(xs)
        out = (
            out["loss"]
            if isinstance(out, dict)
            else out[0]
            if isinstance(out, tuple | list)
            else getattr(out, "loss", out)
        )
        seen, asked, count = self.stand.seen, self.stand.call, len(self.stand.seen)
        require(
            isinstance(out, Tensor),
            f"the loss must return a tensor, bare, in a tuple or under 'loss', not {out}",
            TypeError,
        )
        require(
            count,
            "the loss never calls its network with gradients on: write loss(model, x) that calls it, or give model=",
        )
        require(
            out.requires_grad,
            "the loss carries no gradient: detached, under no_grad, or without the network's output",
        )
        require(
            -count <= asked < count,
            f"call={asked}, but the loss calls its network {count} time(s) with gradients on",
        )
        self.stand.which = range(len(seen))[asked]
        z, leaf, self.rest = seen[self.stand.which]
        self.tolerance = 0.05 if torch.finfo(z.dtype).bits < 32 else 2e-3
        pair = f"the network gets {tuple(z.shape)} for x {tuple(xs.shape)}"
        require(
            z.numel() == xs.numel(), f"{pair}: pick z by inputs=, or give x as the network sees it"
        )
        (grad,) = torch.autograd.grad(
            out.sum() * (n if out.numel() == 1 else 1), leaf, allow_unused=True
        )
        require(
            grad is not None,
            "the loss ignores the output of this call of its network; choose another one by call=",
        )
        return z.reshape(n, -1)[:, self.part].to(self.work), grad.reshape(n, -1)[:, self.part].to(
            self.work
        )

    def state(self, data: float, noise: float) -> tuple[Tensor, Tensor, Tensor]:
        """z, target and h v from this state alone: from two outputs, or where g is not linear by bisection on its sign."""
        z, zero = self.run(data, noise)
        if self.how == "each":
            slope = self.run(data, noise, self.v.expand_as(z))[1] - zero
            return z, -zero / (slope * self.v).mean(1, keepdim=True), slope
        low, high = -(2.0**14) * torch.ones_like(z), 2.0**14 * torch.ones_like(z)
        for _ in range(48):
            middle = (low + high) / 2
            rising = self.run(data, noise, middle)[1] < 0
            low, high = torch.where(rising, middle, low), torch.where(rising, high, middle)
        return (
            z,
            (low + high) / 2,
            self.run(data, noise, (low + high) / 2 + ROOT_ERROR * self.v)[1] / ROOT_ERROR,
        )

    def read(self) -> dict[str, Tensor]:
        """alpha and a (of x), sigma and b (of each noise), h, and by how much each assumption is off, for the draws of this chunk."""
        v = self.v[self.part]
        if self.how == "sum rule":
            (z1, g1), (z2, g2), (z3, g3) = (
                self.run(1, 0),
                self.run(0, 1),
                self.run(1, 1, self.v.expand(self.batch, -1)),
            )
            z0, g0 = (
                (z2, g2) if self.external else self.run(0, 0) if self.offset else (0 * z2, 0 * g2)
            )
            slope = g3 - g1 - g2 + g0
            h = (slope * v).mean(1, keepdim=True)
            t0, t1, t2 = -g0 / h, -g1 / h, -g2 / h
        else:
            (z1, t1, _), (z2, t2, _), (z3, _, slope) = (
                self.state(1, 0),
                self.state(0, 1),
                self.state(1, 1),
            )
            z0, t0 = (z2, t2) if self.external else self.state(0, 0)[:2]
            h = (slope * v).mean(1, keepdim=True)
        zx, tx, ze, te = (
            z1 - z0,
            t1 - t0,
            (z2 if self.external else z2 - z0),
            (t2 if self.external else t2 - t0),
        )
        x = self.xs.reshape(self.batch, -1)[:, self.part].to(self.work)
        if self.changed:
            x = zx * (x.norm(dim=1) / zx.norm(dim=1))[:, None]
        drawn = [value for _, value, noise in self.draws.tape if noise]
        self.wide = [value.numel() == self.xs.numel() for value in drawn]
        shape, last = self.xs.shape, (1,) * self.xs.ndim
        full = [
            e
            if e.numel() == shape.numel()
            else e.reshape((*e.shape, *last)[: len(shape)]).expand(shape)
            for e in drawn
        ]
        eps = [e.reshape(self.batch, -1)[:, self.part].to(self.work) for e in full]
        if self.estimated or not eps:
            eps, self.wide = [ze / ze.square().mean(1, keepdim=True).sqrt()], [True]
        (alpha, off_x), (a, off_a) = _solve([x], zx), _solve([x], tx)
        (sigma, off_e), (b, off_b) = _solve(eps, ze), _solve(eps, te)
        tail = (ze**4).mean(1) / ze.square().mean(1) ** 2
        read = {
            "alpha": alpha[:, 0],
            "a": a[:, 0],
            "sigma": sigma,
            "b": b,
            "h": h[:, 0],
            "tail": tail,
        }
        off = {
            "data": torch.maximum(off_x, _off(z3, z1 + z2 - z0)),
            "noise": off_e,
            "target": torch.maximum(off_a, off_b),
        }
        shift = 0 * alpha[:, 0] if self.external else z0.mean(1) / alpha[:, 0]
        return read | off | {"squared": _off(slope, h * v), "shift": shift}

    def look(self) -> list[str]:
        """Looks at one chunk and sets the flags; what cannot be taken for granted comes back as notes."""
        (z0, _), (z2, _), (again, got) = (
            self.run(0, 0),
            self.run(0, 1),
            self.run(0, 1, self.v.expand(self.batch, -1)),
        )
        notes, tolerance = list[str](), self.tolerance
        same = torch.equal(z2.nan_to_num(), again.nan_to_num())
        require(
            same,
            "the loss draws what cannot be replayed; draw with torch, np.random, or a generator it reaches by name",
        )
        lone = len(got) > 1 and got.any(1).sum() == 1
        require(
            not lone,
            "only one sample's output reaches the loss: if it takes out[0] of a tuple, output=lambda out: (out,)",
        )
        self.external = self.estimated = torch.equal(z0, z2)
        self.offset, d = bool(z0.any()), z2.shape[1]
        if self.external:
            error = f"sigma is estimated, each draw to ±{100 / np.sqrt(2 * d):.2g} %"
            notes += [
                f"the noise is not drawn by torch's normal functions for each sample: {error}"
            ]
        if (calls := len(self.stand.seen)) > 1:
            which = f"this is call {self.stand.which}, the others gave 0 (choose by call=)"
            notes += [f"the loss calls its network {calls} times: {which}"]
        first = self.read()
        self.changed = bool((first["data"] > tolerance).float().mean() > 0.01)
        self.estimated |= bool((first["noise"] > tolerance).float().mean() > 0.01)
        level = (first["alpha"] / first["sigma"].norm(dim=1)).log()
        self.single = len(level) > 1 and bool((level - level[0]).abs().max() < 1e-4)
        self.components, self.blind = d, False
        if (first["squared"] > tolerance).float().mean() > 0.01:
            (z, none), (_, one), (_, two) = (
                self.run(1, 1, k * self.v.expand_as(z2)) for k in (0.0, 1.0, 2.0)
            )
            self.how = "each" if _off(two - one, one - none).median() < tolerance else "root"
            if self.how == "each":
                other = self.sign()
                slope, second = one - none, self.run(1, 1, other.expand_as(z))[1] - none
                mixed = _off(second * other, slope * self.v).median() > tolerance
                even = (
                    _off(slope, (slope * self.v).mean(1, keepdim=True) * self.v).median()
                    < tolerance
                )
                notes += ["the weight depends on the data or the noise: its value at x and eps as drawn is taken"] if even else [
                    "errors are mixed across components: factor and target are averages" if mixed
                    else "components weigh differently (a mask?): factor and target are averages"]  # fmt: skip
        if self.how == "root":
            z, target, slope = self.state(1, 1)
            rest = (
                self.run(1, 1, target)[1].norm(dim=1) / (slope.norm(dim=1) * ROOT_ERROR)
            ).median()
            far = (self.run(1, 1, target + self.v)[1] * self.v).mean(1) / (slope * self.v).mean(1)
            notes += [f"not a squared loss, or weighted by its error: the factor is local, at an error of {ROOT_ERROR} a component; "
                      f"at 1 it is {far.median():.3g} times that"]  # fmt: skip
            if rest > 0.1 or not (far > 0).all():
                self.how, self.blind = "sum rule", True
        if self.how == "sum rule" and not (self.changed or self.estimated):
            self.part = slice(
                None, None, d // 256 | 1
            )  # components agree: some of them tell as much
        return notes
