"""What does a training loss really weight? Measured from outside, with a stand-in for the network.

For a squared loss c‖out − target‖² the gradient with respect to the network's output is g(out) = h (out − target), h = 2c. The same
random draws are replayed with the data-sized normal draws (eps) on or off; three calls then tell all, exactly and draw by draw:

    x, no eps, out = 0:  z = alpha x,  g = −h a x        no x, eps, out = 0:  z = sigma eps,  g = −h b eps
    x, eps, out = v:     h v = this g minus the other two        target = a x + b eps,  gain = |b − a sigma/alpha|

    factor = h/2 gain²  on the eps squared error,        w(λ) = 2 factor p(λ),   λ = log(alpha²/sigma²)

Draws of a number or so per sample (times) are replaced by stratified quantiles, jointly of low discrepancy: p(λ) is then the
derivative of a quantile function, no histogram of luck. What the method assumes is checked; what fails is said in ``notes``.
"""

import inspect
import random
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffviz.draws import Draws
from diffviz.measured import Measured

SCAN, ROOT_ERROR = 2000, 0.1  # draws where each costs a call; error at which h is local
VP, LINEAR, VE = (
    "variance-preserving",
    "linear (alpha + sigma = 1)",
    "variance-exploding (alpha = 1)",
)
FRAMES = {  # the size of the data for which (alpha, sigma) lies on the frame
    VP: lambda alpha, sigma: alpha / np.sqrt(np.maximum(1 - sigma**2, 1e-12)),
    LINEAR: lambda alpha, sigma: alpha / np.maximum(1 - sigma, 1e-12),
    VE: lambda alpha, sigma: alpha,
}


def _need(holds, words: str, error: type[Exception] = ValueError) -> None:
    if not holds:
        raise error(words)


class _Output(dict):
    """The output under its name: ``out.sample``, ``out["sample"]``, ``out[0]``."""

    __getattr__ = dict.__getitem__


class _StandIn:
    """Notes what the network is given and returns what it is told to; calls without gradient (self-conditioning) get zeros."""

    def __init__(self, pick, wrap, call):
        self.pick, self.wrap, self.call = pick, wrap, call
        self.which: Any = None
        self.value: Any = None
        self.seen: list = []

    def __call__(self, *args, **kwargs):
        z = self.pick(*args, **kwargs).detach()
        if not torch.is_grad_enabled():
            return self.answer(torch.zeros_like(z), kwargs)
        told = self.value is not None and len(self.seen) == self.which
        out = (
            self.value.reshape(z.shape).to(z.dtype) if told else torch.zeros_like(z)
        ).requires_grad_()
        rest = [
            a.detach()
            for a in (*args, *kwargs.values())
            if isinstance(a, Tensor) and a.numel() in (1, len(z))
        ]
        self.seen.append((z, out, rest))
        return self.answer(out, kwargs)

    def answer(self, out, kwargs):
        return (
            self.wrap(out) if self.wrap else (out,) if kwargs.get("return_dict") is False else out
        )


class _Network(nn.Module):
    """Given to a loss when no network is; it has one parameter, for losses that ask for a device or dtype."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.anchor = nn.Parameter(x.new_zeros(1))

    def __getattr__(self, name):
        if name in self.__dict__.get("_parameters", ()):
            return self._parameters[name]
        raise AttributeError(
            f"the loss reads {name!r} of its network: give probe(..., model=) a module that has it"
        )


def _solve(basis: list[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of each sample's y (n, d) in the basis, (n, k), and the relative size of what is left, (n,)."""
    rows = torch.stack(basis, 1)
    coef = torch.linalg.solve_ex(rows @ rows.mT, rows @ y[..., None])[0]
    return coef[..., 0], ((y - (rows.mT @ coef)[..., 0]).norm(dim=1) / y.norm(dim=1)).nan_to_num(0)


def _off(y: Tensor, wanted: Tensor) -> Tensor:
    return ((y - wanted).norm(dim=1) / wanted.norm(dim=1)).nan_to_num(0, posinf=1)


class _Session:
    """Runs the loss on a chunk of draws at a time and reads it; the flags are what the first look found."""

    def __init__(
        self, loss, x: Tensor, stand: _StandIn, seed: int, private: list, stratified: bool
    ):
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
        _need(
            isinstance(out, Tensor),
            f"the loss must return a tensor, bare, in a tuple or under 'loss', not {out}",
            TypeError,
        )
        _need(
            count,
            "the loss never calls its network with gradients on: write loss(model, x) that calls it, or give model=",
        )
        _need(
            out.requires_grad,
            "the loss carries no gradient: detached, under no_grad, or without the network's output",
        )
        _need(
            -count <= asked < count,
            f"call={asked}, but the loss calls its network {count} time(s) with gradients on",
        )
        self.stand.which = range(len(seen))[asked]
        z, leaf, self.rest = seen[self.stand.which]
        self.tolerance = 0.05 if torch.finfo(z.dtype).bits < 32 else 2e-3
        pair = f"the network gets {tuple(z.shape)} for x {tuple(xs.shape)}"
        _need(
            z.numel() == xs.numel(), f"{pair}: pick z by inputs=, or give x as the network sees it"
        )
        (grad,) = torch.autograd.grad(
            out.sum() * (n if out.numel() == 1 else 1), leaf, allow_unused=True
        )
        _need(
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
        _need(
            same,
            "the loss draws what cannot be replayed; draw with torch, np.random, or a generator it reaches by name",
        )
        lone = len(got) > 1 and got.any(1).sum() == 1
        _need(
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


def _network(loss, model, x: Tensor) -> nn.Module:
    """The module whose forward is replaced: given, found by its name in the loss, or an empty one."""
    if model is None:
        return _Network(x)
    if isinstance(model, str):
        first, *rest = model.split(".")
        owner = getattr(loss, "__self__", loss)
        seen = inspect.getclosurevars(loss) if inspect.isfunction(inspect.unwrap(loss)) else None
        names = {**seen.globals, **seen.nonlocals} if seen else {}
        if not hasattr(owner, first) and first not in names:
            raise ValueError(
                f"model={model!r}: the loss has no {first!r}; name an attribute of it or a variable that it uses"
            )
        model = reduce(
            getattr, rest, getattr(owner, first) if hasattr(owner, first) else names[first]
        )
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be an nn.Module or the name of one in the loss, got {type(model).__name__}"
        )
    return model


@contextmanager
def _borrowed(net: nn.Module, stand: _StandIn, modules: list[nn.Module], session: _Session):
    """``net`` answers by the stand-in; forward, modes, gradients and every random state are put back, whatever happens."""
    held = {"forward": net.__dict__["forward"]} if "forward" in net.__dict__ else {}
    undo: list = [
        (np.random.set_state, np.random.get_state()),  # noqa: NPY002
        (random.setstate, random.getstate()),
    ]
    undo += [(partial(setattr, bits, "state"), bits.state) for bits in session.private]
    undo += [
        (partial(setattr, part, "training"), part.training)
        for top in modules
        for part in top.modules()
    ]
    net.__dict__["forward"] = stand
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            yield
    finally:
        del net.__dict__["forward"]
        net.__dict__.update(held)
        for put_back, state in [
            *undo,
            *((one.set_state, state) for one, state in session.generators.items()),
        ]:
            put_back(state)


def _pick(inputs, x: Tensor):
    """How z is found among the arguments of the network."""

    def found(*args, **kwargs):
        for value in (*args, *kwargs.values()):
            if (
                isinstance(value, Tensor)
                and value.is_floating_point()
                and value.shape[1:].numel() == x[0].numel()
            ):
                return value
        raise ValueError(
            f"no argument of the network is of the size of x {tuple(x.shape[1:])} a sample; say which by inputs="
        )

    if inputs is None or callable(inputs):
        return inputs or found
    return lambda *args, **kwargs: kwargs[inputs] if isinstance(inputs, str) else args[inputs]


def probe(
    loss: Callable, x: Tensor, *, inputs: int | str | Callable | None = None, output: str | Callable | None = None,
    model: nn.Module | str | None = None, call: int = -1, scale: float | None = None, draws: int = 20_000,
    batch: int | None = None, mode: str = "stratified", generator: torch.Generator | None = None,
) -> Measured:  # fmt: skip
    """What a training loss optimises: path, target, density and weighting, measured with a stand-in for its network.

    Args:
        loss: ``loss(model, x)`` -> tensor (one number, one a sample, or one a component); ``loss(x)`` where ``model`` is a name.
        x: example data as the loss takes them, float, shape (any number, ...), at least 2 numbers a sample; used in turn.
        inputs: z among the network's arguments: position, keyword, or a function of them; by default the first of x's size.
        output: how the network answers: a name (``out.sample``, ``out["sample"]``, ``out[0]``) or a function of the plain tensor.
        model: network handed to the loss (its attributes are read, its forward replaced for the while), or its dotted name in the loss.
        call: which of several calls of the network with gradients is probed.
        scale: factor by which the loss multiplies x before noise is added; found by itself for x -> 2x − 1.
        draws: number of draws; batch: how many a call (by default as memory allows; give it where the loss fixes it).
        mode: "stratified", or "as-is": the loss's own random numbers.
        generator: seeds the draws (by default always the same ones).
    Raises TypeError or ValueError for input that cannot be probed; the message says what to change.
    """
    _need(
        callable(loss),
        f"loss must be callable as loss(model, x), got {type(loss).__name__}",
        TypeError,
    )
    floats, kind = (
        isinstance(x, Tensor) and x.is_floating_point(),
        f"{type(x).__name__} {getattr(x, 'dtype', '')}",
    )
    _need(floats, f"x must be a floating-point tensor of example data, got {kind}", TypeError)
    x, shape = x.detach(), tuple(x.shape)
    batched = x.ndim > 1 and len(x) > 0 and x[0].numel() > 1
    _need(
        batched,
        f"x must be a batch with at least 2 numbers a sample, got shape {shape}; for scalars give (n, 8)",
    )
    _need(
        torch.isfinite(x).all() and x.flatten(1).any(1).all(),
        "x must be finite, no sample all zeros: alpha is read off it",
    )
    _need(mode in ("stratified", "as-is"), f"mode must be 'stratified' or 'as-is', got {mode!r}")
    enough = draws >= 100 and (batch is None or batch >= 1)
    _need(
        enough,
        f"need at least 100 draws and a batch of 1 or more, got draws={draws}, batch={batch}",
    )
    wrap = (
        output if callable(output) or output is None else lambda out: _Output({output: out, 0: out})
    )
    seed = int(torch.randint(2**31, (), generator=generator)) if generator is not None else 0
    net = _network(loss, model, x)
    names = inspect.getclosurevars(loss) if inspect.isfunction(loss) else None
    around = [*names.nonlocals.values(), *names.globals.values()] if names else []
    private = [value.bit_generator for value in around if isinstance(value, np.random.Generator)]
    modules = [
        one
        for one in (net, loss, getattr(loss, "__self__", None), *around)
        if isinstance(one, nn.Module)
    ]
    stand = _StandIn(_pick(inputs, x), wrap, call)
    alone = loss if isinstance(model, str) else lambda xs: loss(net, xs)
    session = _Session(alone, x, stand, seed, private, mode == "stratified")
    with _borrowed(net, stand, modules, session):
        size = batch or min(draws, max(1, 2**18 // x[0].numel()))
        session.begin(0, 1, batch or min(size, 32))
        notes = session.look()
        if session.single:
            draws, size = min(draws, SCAN) * (batch or 1), batch or 1
        elif session.how == "root":
            draws, size = min(draws, SCAN), min(size, SCAN)
        even = max((k for k in range(1, size + 1) if draws % k == 0), default=1)
        size = size if batch else even if 3 * even > size else size
        parts, rest = [], []
        for number in range(calls := -(-draws // size)):
            session.begin(number, calls, size)
            parts.append(session.read() | {"order": torch.from_numpy(session.draws.order)})
            rest.append([value.reshape(-1).expand(size) for value in session.rest])
    read = {key: torch.cat([part[key] for part in parts]).double().numpy() for key in parts[0]}
    times = [torch.cat(one).double().numpy() for one in zip(*rest, strict=False)]
    return _conclude(session, read, times, notes, scale)


def _conclude(
    session: _Session, read: dict, times: list[NDArray], notes: list[str], scale: float | None
) -> Measured:
    """From coefficients to path, target, factor and words."""
    tolerance, wide, s, b, alpha = (
        session.tolerance,
        np.array(session.wide),
        read["sigma"],
        read["b"],
        read["alpha"],
    )
    with np.errstate(all="ignore"):
        size = np.ma.filled(np.ma.median(np.ma.masked_invalid(np.abs(s)), axis=0), 0)
        own = wide & (size > 0)
        for j in np.flatnonzero(~wide & (size > tolerance * size.max())):
            times_eps = np.nanmedian(np.abs(s[:, j] / s[:, own][:, 0]))
            notes += [
                f"noise shared by components is added, {times_eps:.3g} times eps: λ is that of eps"
            ]
        for j in np.flatnonzero(own & (size < size.max())):
            share = s[:, j] / alpha
            if (
                np.nanstd(share) < tolerance * abs(np.nanmean(share))
                and np.nanstd(alpha) > tolerance
            ):
                own[j] = False
                notes += [
                    f"data are drawn at random too ({abs(np.nanmean(share)):.3g} times a normal draw): counted as data"
                ]
        sigma = np.sqrt((s[:, own] ** 2).sum(1))
        along = (s[:, own] * b[:, own]).sum(1) / sigma
        apart = np.sqrt(np.maximum((b[:, own] ** 2).sum(1) - along**2, 0)) / np.hypot(
            along, read["a"]
        )
        good = (
            np.isfinite(2 * np.log(np.abs(alpha) / sigma))
            & np.isfinite(along)
            & (session.blind | np.isfinite(read["h"]))
        )
        words = "is inputs= the noised x? is the loss NaN, or its weight 0 without data?"
        _need(good.any(), f"no draw has data, noise and a finite gradient at once: {words}")
        lost, read = (
            1 - good.mean(),
            read | {"alpha": alpha, "sigma": sigma, "b": along, "apart": apart},
        )
        read = {key: value[good] for key, value in read.items()}
        alpha, sigma = read["alpha"], read["sigma"]
        sizes = {}
        clear = (sigma > 0.02) & ((sigma < 0.98) | (sigma.min() >= 0.98))
        for name, ratio in FRAMES.items():
            values = ratio(alpha[clear], sigma[clear])
            if np.quantile(np.abs(values / np.median(values) - 1), 0.99) < tolerance:
                sizes[name] = float(np.median(values))
        shift = np.median(read["shift"])
        found = (
            2.0
            if abs(shift + 0.5) < tolerance
            else next(iter(sizes.values()), 1.0)
            if abs(shift) > tolerance
            else 1.0
        )
        scale = (
            scale
            if scale is not None
            else 1.0
            if any(abs(v - 1) < tolerance for v in sizes.values())
            else found
        )
        alpha, a, b = alpha / scale, read["a"] / scale, read["b"]
        logsnr = 2 * np.log(np.abs(alpha) / sigma)
    words = (
        "{} for data in units of {:.4g} (if the loss multiplies x by {:.4g}, give that as scale=)"
    )
    frame = next(
        (words.format(name, scale / v, v) for name, v in sizes.items()),
        "on none of the usual frames",
    )
    frame = next((name for name, v in sizes.items() if abs(scale / v - 1) < tolerance), frame)
    multiplier = read["h"] / 2 if not session.blind else np.full_like(alpha, np.nan)
    off = {
        key: np.quantile(np.nan_to_num(read[key], posinf=1), 0.9)
        for key in ("data", "noise", "target", "apart", "squared")
    }
    with np.errstate(all="ignore"):
        steps = np.abs(
            np.diff(np.log(multiplier * (b - a * sigma / alpha) ** 2)[np.argsort(logsnr)])
        )
        off["factor"] = (
            float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 0.0
        )
    why = [
        (tolerance > 0.01, "the network gets numbers of few bits (bfloat16, half): alpha, sigma and λ are rounded, most in the tails"),
        (lost > 0, f"{lost:.2g} of the draws gave no finite log-SNR or factor (no signal, no noise, or NaN): left out"),
        (session.changed, f"data reach the network changed at random or not linearly (off by {off['data']:.2g}): |alpha| is a ratio of sizes"),
        (session.estimated and not session.external, f"noise is not made of recorded draws (off by {off['noise']:.2g}): sigma is estimated"),
        (session.estimated and session.components >= 64 and abs(np.median(read["tail"]) - 3) > 0.2,
         f"the noise is not Gaussian (kurtosis {np.median(read['tail']):.2f}): λ and w(λ) mean nothing without Gaussian noise"),
        (off["apart"] > tolerance, f"the target holds other noise than z (off by {off['apart']:.2g}): b is its regression on the noise in z"),
        (off["target"] > tolerance and session.how != "each", f"the target is no a x + b eps (off by {off['target']:.2g})"),
        (off["factor"] > 0.02, f"factors at the same λ scatter by {off['factor']:.2g}: computed from the data or over the batch?"),
        (session.blind, "neither squared nor a function of each component's error: the factor cannot be told, path and density can"),
    ]  # fmt: skip
    notes = [*notes, *(words for fails, words in why if fails)]
    kind = _kind(alpha, sigma, a, b, logsnr, frame, tolerance)
    label, order, even = _labels(times, good, logsnr), read["order"].astype(int), session.stratified
    return Measured(
        logsnr,
        alpha,
        sigma,
        a,
        b,
        multiplier,
        label,
        order,
        kind,
        frame,
        scale,
        even,
        off,
        tuple(notes),
    )


def _labels(times: list[NDArray], good: NDArray, logsnr: NDArray) -> NDArray:
    """Draws of equal time belong to one level, where equal time means equal λ; else equal λ does."""
    for time in (*(time[good] for time in times if len(time) == len(good)), np.round(logsnr, 4)):
        _, label = np.unique(time, return_inverse=True)
        if label.max() < 0.9 * len(label):
            mean = np.bincount(label, logsnr) / np.bincount(label)
            if np.abs(logsnr - mean[label]).max() < 0.02 * min(1, np.ptp(logsnr)) + 1e-4:
                return label
    return np.arange(len(logsnr))


def _kind(alpha, sigma, a, b, logsnr, frame, tolerance):
    """Name of the target a x + b eps, up to its sign; eps, x and score up to a constant too."""
    with np.errstate(all="ignore"):
        ratio, norm, order = sigma / alpha, np.hypot(alpha, sigma), np.argsort(logsnr)
        units = np.sqrt(np.median((1 - b**2) / a**2))
        slope = [np.gradient(values[order])[np.argsort(order)] for values in (alpha, sigma)]
        each, one, sign = (
            (lambda f: f),
            np.median,
            (lambda f: np.sign(np.median(f))),
        )  # what a common factor may be
        tries: dict[str, tuple] = {
            "eps": (0, 1, one), "x": (1, 0, one), "v": (-sigma / norm, alpha / norm, sign), "score": (0, 1 / sigma, one),
            f"F (sigma_data {units:.3g})": (ratio / units / np.hypot(ratio, units), -units / np.hypot(ratio, units), sign),
            "u": (-1, 1, one) if frame == LINEAR else (*slope, each),
        }  # fmt: skip
        for kind, (first, second, free) in tries.items():
            factor = free((a * first + b * second) / (first**2 + second**2))
            miss = np.quantile(
                np.hypot(a - factor * first, b - factor * second) / np.hypot(a, b), 0.95
            )
            if miss < tolerance * (10 if free is each else 1) and (kind != "v" or frame == VP):
                return kind
    return "other"
