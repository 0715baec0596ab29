"""Whether the target of a loss comes from a network.

A consistency, shortcut or distillation loss compares the network with what a network says. Then
there is no target a x + b eps, and no weighting of one. It is found by varying what is not probed:
the other calls of the same network, its derivative, and other modules that are called meanwhile. If
the gradient of the probed call moves while z does not, the target moves.

The known ways to train for few steps differ in what moves their target, and in how many other calls
they make. In some of them the samples on the diagonal, r = t, have a target without the network:
their gradient stays as it is.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from diffviz.probing.outside import names_in
from diffviz.probing.session import Chunk, Response, State
from diffviz.probing.standin import Answers, StandIn

PRODUCTS = frozenset(
    {
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "matmul",
        "__matmul__",
        "__rmatmul__",
        "mm",
        "bmm",
        "addmm",
        "baddbmm",
        "einsum",
        "scaled_dot_product_attention",
    }
)  # of which networks are made
CATEGORICAL = frozenset(
    {"cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"}
)
OF_ANOTHER_CALL = (
    "z itself depends on another call of the network: path and levels are those for answers of 0"
)
MOVED = 1e-3  # relative change of a gradient or of z that counts
MOVED_A_LITTLE = 1e-5  # the same of one sample, whose two times may be near each other
OF_ITS_OWN = "another call of the same network"
DERIVATIVE = "the derivative of the network by its input"
# what a target is made of: of the derivative or of answers, and of how many other calls
LIKE = {
    (DERIVATIVE, 0): "MeanFlow ('meanflow'), or of consistency training in continuous time",
    (DERIVATIVE, 1): "improved MeanFlow ('imeanflow'), or MeanFlow with guidance",
    (OF_ITS_OWN, 1): "consistency training ('consistency', 'ict'), or of what mixes it with a flow",
    (OF_ITS_OWN, 2): "shortcut models ('shortcut')",
}
FAINT = 1e-6  # relative size of the gradient of a sample that counts as 0


@dataclass(frozen=True)
class Dependence:
    """What of a loss comes from a network.

    Attributes:
        causes: Where the target comes from, in words; empty where it comes from none.
        notes: The same in whole sentences, and what else was found.
        weights: Where the weights of samples come from, though the target does not.
        inputs: z depends on another call of the network.
    """

    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    inputs: bool = False

    @property
    def found(self) -> bool:
        """Whether the target comes from a network."""
        return bool(self.causes)

    @property
    def changes(self) -> bool:
        """Whether target, weights or z come from a network."""
        return bool(self.causes or self.weights or self.inputs)


def find_dependence(chunk: Chunk, direction: Tensor, *, unexplained: bool = False) -> Dependence:
    """Vary all that is not probed, and see what moves.

    Args:
        chunk: A small batch with recorded draws.
        direction: Output of the probed call, shape (d,).
        unexplained: The target is no a x + b eps. Then a network is also looked for in the products
            of matrices that the loss computes, since it may be a plain function.

    Returns:
        What was found.
    """
    plain = chunk.run(State.BOTH, direction)
    own = _own_answers(chunk, plain, direction)
    notes = _notes_on_few_steps(_causes(own.pairs), own.others, own.stays)
    pairs = own.pairs | _teachers(chunk, plain, direction)
    causes = _causes(pairs)
    weights = [name for name, pair in pairs.items() if name not in causes and _moved(*pair)]
    if unexplained and not causes:
        causes = _functions(chunk, plain, direction)
    if causes and own.others:
        notes += _notes_on_levels(chunk)
    if own.inputs:
        notes.append(OF_ANOTHER_CALL)
    notes += _notes_on_judges(chunk, direction, causes) + _sentences(causes, weights)
    if not (causes or weights or own.inputs):
        notes += _notes_on_other_terms(chunk, direction)
    return Dependence(tuple(causes), tuple(notes), tuple(weights), own.inputs)


class _OwnAnswers(NamedTuple):
    """What other answers of the network that is probed change.

    Attributes:
        others: Number of its other calls.
        inputs: Whether z itself depends on them.
        pairs: Gradients before and after a change, by what was changed, in words.
        stays: Share of the samples whose gradient no change moves.
    """

    others: int
    inputs: bool
    pairs: dict[str, tuple[Tensor, Tensor]]
    stays: float


def _own_answers(chunk: Chunk, plain: Response, direction: Tensor) -> _OwnAnswers:
    """Vary the answers of other calls of the network, and its derivative."""
    others = len(chunk.standin.calls) - 1 + len(chunk.standin.silent)
    base, inputs = plain.gradient, False
    pairs = {}
    if others:
        other = chunk.run(State.BOTH, direction, answers=Answers(others=1.0))
        base, inputs = other.gradient, _moved(plain.z, other.z)
        if not inputs:
            pairs[OF_ITS_OWN] = plain.gradient, base
    # where another answer is the direction of the derivative, both must differ from 0
    sloped = chunk.run(State.BOTH, direction, answers=Answers(others=float(others > 0), slope=1.0))
    pairs[DERIVATIVE] = base, sloped.gradient
    stays = _share_that_stays(plain.gradient, [base, sloped.gradient])
    return _OwnAnswers(others, inputs, pairs, stays)


def _notes_on_other_terms(chunk: Chunk, direction: Tensor) -> list[str]:
    """Names the other calls whose target comes from the network, though that of this one does not.

    A loss may add such a term to a diffusion loss, as few-step training does beside its diagonal.
    """
    standin = chunk.standin
    sizes = [call.z[:1].numel() for call in standin.calls]
    if len(sizes) == chunk.size:  # one call for each sample
        return []
    others = [number for number in range(len(sizes)) if number != standin.number]
    named = [
        number
        for number in others
        if sizes[number] == direction.numel() and _has_own_target(chunk, direction, number)
    ]
    return [
        f"call {number} has a target that comes from the network: the loss as a whole has no "
        f"weighting of its own, and what is told here is of call {standin.number} alone (of its "
        f"diagonal, where it trains for few steps); call={number} tells of the other"
        for number in named
    ]


def _has_own_target(chunk: Chunk, direction: Tensor, number: int) -> bool:
    """Whether the target of a call comes from the network."""
    with chunk.standin.probing(number):
        try:
            plain = chunk.run(State.BOTH, direction)
        except ValueError:  # the loss ignores its output
            return False
        return bool(_causes(_own_answers(chunk, plain, direction).pairs))


def _causes(pairs: dict[str, tuple[Tensor, Tensor]]) -> list[str]:
    """What changes the target, in words, and not the weights of samples alone."""
    return [name for name, pair in pairs.items() if _turned(*pair)]


def _sentences(causes: list[str], weights: list[str]) -> list[str]:
    """Says in whole sentences what target or weights depend on."""
    if causes:
        return [
            f"the target depends on {' and on '.join(causes)}: the loss has no weighting of its "
            "own; the levels and the factor on the difference (multiplier) are as told"
        ]
    if weights:
        return [
            f"the weight of a sample depends on {' and on '.join(weights)}: it is that for the "
            "answers given here (0 in other calls of the same network)"
        ]
    return []


def _notes_on_judges(chunk: Chunk, direction: Tensor, causes: list[str]) -> list[str]:
    """Says which networks get the output too, where the target comes from a network."""
    judges = sorted(set(judges_of(chunk, direction)) - CATEGORICAL) if causes else []
    if not judges:
        return []
    return [
        f"the output is passed on to a network ({', '.join(judges)}): if it compares output and "
        "data, as a perceptual term does, that is a term besides the squared error; probe the loss "
        "without it"
    ]


def _share_that_stays(plain: Tensor, others: list[Tensor]) -> float:
    """Share of the samples whose gradient no change of the network's other answers moves."""
    size = plain.norm(dim=1)
    moved = [(other - plain).norm(dim=1) > MOVED_A_LITTLE * size for other in others]
    return float((~torch.stack(moved).any(0)).double().mean())


def _notes_on_few_steps(causes: list[str], others: int, stays: float) -> list[str]:
    """Says which known way to train for few steps has such a target, and what is on its diagonal.

    Args:
        causes: Where the target comes from, of the network that is probed.
        others: Number of its other calls.
        stays: Share of the samples whose target does not come from it.
    """
    if not causes:
        return []
    notes = []
    like = LIKE.get((causes[-1], others))
    if like:
        notes.append(f"such a target is that of {like}; dv.few_step has what these train on")
    if 0 < stays < 1:
        notes.append(
            f"in about {stays:.2g} of the samples of the first look the target comes from no "
            "network (the diagonal, r = t?): these train as a diffusion loss; probe them alone for "
            "its w"
        )
    return notes


def judges_of(chunk: Chunk, direction: Tensor) -> list[str]:
    """What a loss passes the output of its network on to.

    Args:
        chunk: A small batch with recorded draws.
        direction: Output of the probed call, shape (d,).

    Returns:
        Classes of modules with parameters, such as a discriminator or a decoder, and names of
        losses of categories.
    """
    names: set[str] = set()

    def note(module: nn.Module, args: Any) -> None:
        if next(module.parameters(), None) is None:
            return
        large = [one for one in _tensors_in(args) if one.ndim > 1 and one.numel() > len(one) > 0]
        if any(one.requires_grad and _follows(one, chunk) for one in large):
            names.add(type(module).__name__)

    handle = register_module_forward_pre_hook(note)
    try:
        with _CategoryLosses(names):
            chunk.run(State.BOTH, direction)
    finally:
        handle.remove()
    return sorted(names)


class _CategoryLosses(TorchFunctionMode):
    """Notes which losses of categories are computed."""

    def __init__(self, names: set[str]):
        super().__init__()
        self._names = names

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Let all functions pass."""
        name = getattr(func, "__name__", "")
        if name in CATEGORICAL:
            self._names.add(name)
        return func(*args, **(kwargs or {}))


def _notes_on_levels(chunk: Chunk) -> tuple[str, ...]:
    """Says at which levels the other call sees its input, relative to those of the probed one."""
    levels = []
    for state in (State.NOTHING, State.DATA, State.NOISE):
        z = chunk.run(state).z
        other = _input_of_other_call(chunk)
        if other.shape != z.shape:
            return ()
        levels.append((z, other))
    (nothing, other_nothing), (data, other_data), (noise, other_noise) = levels
    signal = (other_data - other_nothing).norm(dim=1) / (data - nothing).norm(dim=1)
    sigma = (other_noise - other_nothing).norm(dim=1) / (noise - nothing).norm(dim=1)
    difference = 2 * (signal / sigma).log()
    known = difference[~difference.isnan()]
    if not len(known):
        return ()
    low, middle, high = (float(known.quantile(q)) for q in (0, 0.5, 1))
    return (
        f"the other call of the network sees a log-SNR higher by {middle:.3g} nats in the median, "
        f"by {low:.3g} to {high:.3g} in all",
    )


def _input_of_other_call(chunk: Chunk) -> Tensor:
    """Z of the last call that is not probed, shape (rows, d)."""
    calls = enumerate(chunk.standin.calls)
    others = [call.z for number, call in calls if number != chunk.standin.number]
    z = (chunk.standin.silent or others)[-1]
    return z.reshape(len(z), -1).to(chunk.dtype)


def _teachers(chunk: Chunk, plain: Response, direction: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Gradients before and after other modules answer otherwise, by what these are in words."""
    with _shaken(chunk) as names:
        shaken = chunk.run(State.BOTH, direction)
    if not names or _moved(plain.z, shaken.z):
        return {}
    pair = plain.gradient, shaken.gradient
    return {f"another network ({name})": pair for name in sorted(names)}


def _functions(chunk: Chunk, plain: Response, direction: Tensor) -> list[str]:
    """Functions with products of matrices that the target depends on, in words."""
    products = _ShakenProducts(chunk)
    with products:
        shaken = chunk.run(State.BOTH, direction)
    if _moved(plain.z, shaken.z) or not _moved(plain.gradient, shaken.gradient):
        return []
    return [f"a network called as a function ({name})" for name in sorted(products.names)]


class _ShakenProducts(TorchFunctionMode):
    """Changes products and convolutions, apart from those of what the stand-in answered.

    Attributes:
        names: Functions in which they are computed.
    """

    def __init__(self, chunk: Chunk):
        super().__init__()
        self.names: set[str] = set()
        self._chunk = chunk

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Answer a product with other numbers; let all other functions pass."""
        output = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") not in PRODUCTS or not isinstance(output, Tensor):
            return output
        if output.requires_grad and _follows(output, self._chunk):
            return output
        self.names.add(_name_of_caller())
        return _shifted(output)


def _name_of_caller() -> str:
    """Name of the innermost function outside torch and this package."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("torch.", "diffviz.probing")):
            return frame.f_code.co_name
        frame = frame.f_back
    return "unnamed"


@contextmanager
def _shaken(chunk: Chunk) -> Iterator[set[str]]:
    """Change what modules answer, apart from the stand-in and from what follows from its output."""
    names: set[str] = set()

    def change(module: nn.Module, args: Any, output: Any) -> Any:
        if module.__dict__.get("forward") is chunk.standin:
            return None
        tensors = list(_tensors_in(output))
        if not tensors or any(one.requires_grad and _follows(one, chunk) for one in tensors):
            return None
        is_copy = isinstance(module.__dict__.get("forward"), StandIn)
        names.add("a copy of the probed one" if is_copy else type(module).__name__)
        return _shifted(output)

    handle = register_module_forward_hook(change)
    try:
        yield names
    finally:
        handle.remove()


def _tensors_in(output: Any) -> Iterator[Tensor]:
    """The real tensors in what a module answers: bare, or in tuples, lists, dicts and objects."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors_in(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors_in(value)
    elif names := names_in(output):
        for value in names.values():
            if isinstance(value, Tensor):
                yield from _tensors_in(value)


def _shifted(output: Any) -> Any:
    """The same answer with other numbers."""
    if isinstance(output, Tensor):
        if not output.is_floating_point():
            return output
        return output + torch.cos(torch.arange(output.numel()).reshape(output.shape)).to(output)
    changed = copy(output)
    if isinstance(output, Mapping):
        for name, value in output.items():
            changed[name] = _shifted(value)
    elif isinstance(output, (tuple, list)):
        values = [_shifted(value) for value in output]
        named = hasattr(output, "_fields")
        return type(output)(*values) if named else type(output)(values)
    elif names := names_in(output):
        for name, value in names.items():
            if isinstance(value, Tensor):
                setattr(changed, name, _shifted(value))
    return changed


def _follows(output: Tensor, chunk: Chunk) -> bool:
    """Whether a tensor was computed from an answer of the stand-in."""
    leaves = [call.output for call in chunk.standin.calls]
    if not leaves:
        return False
    with torch.enable_grad():
        total = output.sum()
    gradients = torch.autograd.grad(total, leaves, allow_unused=True, retain_graph=True)
    return any(gradient is not None for gradient in gradients)


def _turned(one: Tensor, other: Tensor) -> bool:
    """Whether gradients of samples have another direction, and not another size alone.

    A loss that weights its samples by what a network says, as one that compares errors with those
    of a reference, changes their sizes alone.
    """
    if not _moved(one, other):
        return False
    known = _is_alive(one) & _is_alive(other)
    if not known.any():
        return True
    one, other = one[known], other[known]
    size = (one * other).sum(1, keepdim=True) / one.square().sum(1, keepdim=True)
    return _moved(other, size * one)


def _is_alive(gradient: Tensor) -> Tensor:
    """Which samples have a gradient that is more than rounding beside others, shape (n,)."""
    size = gradient.norm(dim=1)
    return size > FAINT * size.max()


def _moved(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors differ by more than rounding."""
    return bool((one - other).norm() > MOVED * one.norm())
