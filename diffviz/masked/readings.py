"""One run of a masked loss with a stand-in for its network, read from the gradient of its logits.

The cross-entropy of a token has the gradient q − 1_x in its logits, where q is their softmax. The
gradient of the loss is therefore c_l (q − 1_x) at each token l, and c_l is the weight of its
cross-entropy. With labels smoothed by s it is c_l (q − (1 − s) 1_x − s/V). Where it has neither
form, the loss is no weighted cross-entropy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffviz.checks import require
from diffviz.masked.replay import Draws, Plan

Loss = Callable[..., Any]
TOLERANCE = 2e-3  # of the gradient that no cross-entropy explains
SHIFTS = (0, -1, 1)  # of the token that a logit is for
NO_CROSS_ENTROPY = (
    "the loss is no weighted cross-entropy: its gradient in the logits is not c (softmax − "
    "one-hot). A score entropy is one only if its scores are e^λ softmax(logits), and uniform "
    "noise has none"
)

COARSE = (
    "Its gradient has no more digits than bfloat16, which do not tell weights apart: probe it in "
    "float32"
)


class Seen(Exception):
    """Raised by a stand-in that only looks at what the network is given."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What one run of a loss shows.

    Args:
        z: Tokens that the network was given, shape (n, L).
        weight: Weight of the cross-entropy of each token, shape (n, L).
        smoothing: How much labels are smoothed.
        shift: Place of the logit of a token, less that of the token.
        is_coarse: Whether the gradient has no more digits than bfloat16.
    """

    z: Tensor
    weight: Tensor
    smoothing: float
    shift: int
    is_coarse: bool = False


class StandIn(torch.nn.Module):
    """Takes the place of the network: it answers with random logits.

    Args:
        shape: Shape (n, L) of the tokens.
        vocabulary: Number of logits.
        seed: Seed of the logits; None raises ``Seen`` at once.
    """

    def __init__(self, shape: tuple[int, int], vocabulary: int, seed: int | None = None):
        super().__init__()
        self.shape = shape
        self.vocabulary = vocabulary
        self.z: Tensor | None = None
        self.logits: Tensor | None = None
        if seed is not None:  # here, where no draw is recorded
            generator = torch.Generator().manual_seed(seed)
            self.logits = torch.randn(*shape, vocabulary, generator=generator).requires_grad_()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Logits for the tokens that are among the arguments, with themselves as ``.logits``."""
        z = self._tokens([*args, *kwargs.values()])
        require(
            self.z is None,
            "the loss calls its network more than once; probe each call in a loss of its own",
        )
        self.z = z.detach().clone()
        if self.logits is None:
            raise Seen
        answer = self.logits * 1.0  # so that a loss may change it in place
        answer.logits = answer  # type: ignore[attr-defined]
        return answer

    def _tokens(self, arguments: list[Any]) -> Tensor:
        """The first whole numbers of the right shape."""
        shapes = [tuple(one.shape) for one in arguments if isinstance(one, Tensor)]
        for value in arguments:
            fits = isinstance(value, Tensor) and not value.is_floating_point()
            if fits and value.ndim == 2 and tuple(value.shape) == self.shape:
                return value
        raise ValueError(
            f"no argument of the network holds tokens of shape {self.shape}; it gets {shapes}. "
            "Where the loss crops or pads x, give x as it then is"
        )


def see(loss: Loss, x: Tensor, plan: Plan, vocabulary: int) -> tuple[Tensor, Draws]:
    """Tokens that the network is given in one run.

    Args:
        loss: ``loss(model, x)``.
        x: Tokens, shape (n, L).
        plan: What the run draws.
        vocabulary: Number of logits.

    Returns:
        Masked tokens, shape (n, L), and the draws.
    """
    network = StandIn(plan.shape, vocabulary)
    draws = Draws(plan)
    try:
        with draws:
            loss(network, x.clone())
    except Seen:
        assert network.z is not None
        return network.z, draws
    raise ValueError("the loss does not call its network, or hides what it raises")


def read(loss: Loss, x: Tensor, plan: Plan, vocabulary: int, seed: int = 0) -> Reading:
    """Weights of the cross-entropies of one run.

    Args:
        loss: ``loss(model, x)``.
        x: Tokens, shape (n, L).
        plan: What the run draws.
        vocabulary: Number of logits.
        seed: Seed of the logits.

    Returns:
        The reading.

    Raises:
        ValueError: The loss is no weighted cross-entropy, or it is not finite.
    """
    network = StandIn(plan.shape, vocabulary, seed)
    with Draws(plan):
        value = _value(loss, network, x)
    require(value.requires_grad, "the loss does not depend on the output of its network")
    assert network.z is not None and network.logits is not None
    (gradient,) = torch.autograd.grad(value.reshape(()), network.logits)
    require(
        bool(gradient.isfinite().all()),
        "the gradient of the loss in the logits is NaN or infinite: a weight is not finite, as 1/t "
        "where t is 0, or the loss takes the logarithm of 0",
    )
    if not gradient.any():  # no token was masked
        return Reading(network.z, torch.zeros(x.shape, dtype=torch.float64), 0.0, 0)
    is_coarse = torch.equal(gradient, gradient.bfloat16().to(gradient.dtype))
    for shift in SHIFTS:
        fitted = _fit(gradient.double(), network.logits.detach().double(), x, shift)
        if fitted is not None:
            return Reading(network.z, *fitted, shift, is_coarse)
    raise ValueError(NO_CROSS_ENTROPY + (f". {COARSE}" if is_coarse else ""))


def _value(loss: Loss, network: StandIn, x: Tensor) -> Tensor:
    """The loss with a stand-in for its network, one number."""
    try:
        value = loss(network, x.clone())
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if network.z is not None:
            shape = (*network.shape, network.vocabulary)
            error.add_note(
                f"the stand-in for the network answered with logits of shape {shape}, which has "
                "them as .logits too"
            )
        raise
    is_number = isinstance(value, Tensor) and value.numel() == 1
    given = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    require(
        is_number,
        f"the loss must return one number as a tensor, got {given or type(value).__name__}",
    )
    return value


def _fit(gradient: Tensor, logits: Tensor, x: Tensor, shift: int) -> tuple[Tensor, float] | None:
    """Weights and smoothing that explain a gradient, for tokens at a distance from their logits."""
    length = x.shape[1]
    places = torch.arange(length)
    at = places + shift  # where the logits of each token are
    inside = (at >= 0) & (at < length)
    own = gradient[:, at[inside]]
    target = x[:, places[inside]]
    scale = own.abs().amax(-1)
    counted = scale > 1e-7 * gradient.abs().max()
    missed = gradient.abs().sum() - own.abs().sum()
    if missed > 1e-6 * gradient.abs().sum() or not counted.any():
        return None
    g = own[counted]
    chosen = target[counted]
    q = _softmax_of_used(g, logits[:, at[inside]][counted])
    one_hot = torch.nn.functional.one_hot(chosen, g.shape[-1]).double()
    weight, smoothing, left = _regress(g, q, one_hot)
    if left > TOLERANCE:
        return None
    weights = torch.zeros(x.shape, dtype=torch.float64)
    inner = torch.zeros(target.shape, dtype=torch.float64)
    inner[counted] = weight
    weights[:, places[inside]] = inner
    return weights, smoothing


def _softmax_of_used(g: Tensor, logits: Tensor) -> Tensor:
    """Softmax over the logits that have a gradient; those of a mask may be ruled out."""
    unused = (g.abs() < 1e-9 * g.abs().amax(-1, keepdim=True)).all(0)
    return logits.masked_fill(unused, -torch.inf).softmax(-1)


def _regress(g: Tensor, q: Tensor, one_hot: Tensor) -> tuple[Tensor, float, float]:
    """Weights c, smoothing s and the share of g that c (q − (1 − s) 1_x − s/V) leaves."""
    used = q > 0
    even = used.double() / used.sum(-1, keepdim=True)
    plain = q - one_hot
    moved = one_hot - even
    # least squares for (c, d) in g = c plain + d moved, with d = c s
    a = (plain * plain).sum(-1)
    b = (plain * moved).sum(-1)
    c = (moved * moved).sum(-1)
    u = (plain * g).sum(-1)
    v = (moved * g).sum(-1)
    det = a * c - b * b
    weight = (c * u - b * v) / det
    extra = (a * v - b * u) / det
    simple = u / a
    left_simple = (g - simple[:, None] * plain).norm() / g.norm()
    if left_simple < TOLERANCE / 10:
        return simple, 0.0, float(left_simple)
    fitted = weight[:, None] * plain + extra[:, None] * moved
    smoothing = float((extra / weight).median())
    spread = float((extra / weight - smoothing).abs().median())
    left = float((g - fitted).norm() / g.norm())
    return weight, smoothing, left if spread < 1e-2 else 1.0
