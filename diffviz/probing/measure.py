"""The public measurement: run a loss on recorded draws and read what it weights."""

import inspect
import random
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from diffviz.checks import require
from diffviz.probing.measured import Measured
from diffviz.probing.reading import conclude
from diffviz.probing.session import SCAN, _Session
from diffviz.probing.standin import Output, StandIn, first_like, network_like


@contextmanager
def _borrowed(net: nn.Module, stand: StandIn, modules: list[nn.Module], session: _Session):
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
    require(
        callable(loss),
        f"loss must be callable as loss(model, x), got {type(loss).__name__}",
        TypeError,
    )
    floats, kind = (
        isinstance(x, Tensor) and x.is_floating_point(),
        f"{type(x).__name__} {getattr(x, 'dtype', '')}",
    )
    require(floats, f"x must be a floating-point tensor of example data, got {kind}", TypeError)
    x, shape = x.detach(), tuple(x.shape)
    batched = x.ndim > 1 and len(x) > 0 and x[0].numel() > 1
    require(
        batched,
        f"x must be a batch with at least 2 numbers a sample, got shape {shape}; for scalars give (n, 8)",
    )
    require(
        torch.isfinite(x).all() and x.flatten(1).any(1).all(),
        "x must be finite, no sample all zeros: alpha is read off it",
    )
    require(mode in ("stratified", "as-is"), f"mode must be 'stratified' or 'as-is', got {mode!r}")
    enough = draws >= 100 and (batch is None or batch >= 1)
    require(
        enough,
        f"need at least 100 draws and a batch of 1 or more, got draws={draws}, batch={batch}",
    )
    wrap = (
        output if callable(output) or output is None else lambda out: Output({output: out, 0: out})
    )
    seed = int(torch.randint(2**31, (), generator=generator)) if generator is not None else 0
    net = network_like(loss, model, x)
    names = inspect.getclosurevars(loss) if inspect.isfunction(loss) else None
    around = [*names.nonlocals.values(), *names.globals.values()] if names else []
    private = [value.bit_generator for value in around if isinstance(value, np.random.Generator)]
    modules = [
        one
        for one in (net, loss, getattr(loss, "__self__", None), *around)
        if isinstance(one, nn.Module)
    ]
    stand = StandIn(first_like(inputs, x), wrap, call)
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
    return conclude(session, read, times, notes, scale)
