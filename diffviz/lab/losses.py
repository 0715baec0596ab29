"""Training losses as codes write them, right and wrong: something to probe.

Each is ``loss(model, x) -> tensor`` in its own time and its own target, where ``model(z, time)`` is
the network. Like the code that they stand for, they draw from Torch's global generator and check
nothing. ``MYSTERIES`` are five losses with a mistake, under letters that do not give it away;
``MISTAKES`` says in words what a mistake can be, ``DECOYS`` which of them no mystery has, and
``INTENDED`` what was meant.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Model = Callable[[Tensor, Tensor], Tensor]
Loss = Callable[[Model, Tensor], Tensor]


def _wide(t: Tensor, x: Tensor) -> Tensor:
    """One number for each datum, in a shape that broadcasts with the data."""
    return t.reshape(-1, *[1] * (x.ndim - 1))


# --- flow matching and SD3 ---------------------------------------------------------------------


def _velocity(model: Model, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction and target of the velocity on the straight path at times t (n,)."""
    noise, s = torch.randn_like(x), _wide(t, x)
    return model((1 - s) * x + s * noise, t), noise - x


def flow_matching(model: Model, x: Tensor) -> Tensor:
    """Uniform time, straight path, velocity.

    Source: Lipman et al. 2022, arXiv 2210.02747, eq. 23; here t = 0 is data.

    Args:
        model: Predicts noise − data from z and t in [0, 1].
        x: Data, shape (n, *shape).

    Returns:
        The mean loss.
    """
    return F.mse_loss(*_velocity(model, x, torch.rand(len(x))))


def sd3(model: Model, x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Logit-normal time under flow matching.

    Source: Esser et al. 2024, arXiv 2403.03206, eq. 19.

    Args:
        model: Predicts noise − data from z and t in [0, 1].
        x: Data, shape (n, *shape).
        mean: Mean of logit t.
        std: Standard deviation of logit t.

    Returns:
        The mean loss.
    """
    t = torch.sigmoid(mean + std * torch.randn(len(x)))
    return F.mse_loss(*_velocity(model, x, t))


def sd3_towards_noise(model: Model, x: Tensor) -> Tensor:
    """SD3 with a mean of 0.5, so that it looks at more noise.

    Source: Esser et al. 2024, arXiv 2403.03206, eq. 19 with m = 0.5.

    Args:
        model: Predicts noise − data from z and t in [0, 1].
        x: Data, shape (n, *shape).

    Returns:
        The mean loss.
    """
    return sd3(model, x, mean=0.5)


def huber(model: Model, x: Tensor) -> Tensor:
    """Flow matching with a Huber loss (Huber 1964): its weight depends on the error.

    Args:
        model: Predicts noise − data from z and t in [0, 1].
        x: Data, shape (n, *shape).

    Returns:
        The mean loss, which is no weighted squared error.
    """
    return F.huber_loss(*_velocity(model, x, torch.rand(len(x))), delta=0.5)


# --- DDPM and EDM ------------------------------------------------------------------------------


def ddpm(model: Model, x: Tensor) -> Tensor:
    """Noise prediction on a table of 1,000 steps.

    Source: Ho et al. 2020, arXiv 2006.11239, algorithm 1.

    Args:
        model: Predicts the noise from z and the step, 0 to 999.
        x: Data, shape (n, *shape).

    Returns:
        The mean loss.
    """
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alphas_cumprod = torch.cumprod(1 - betas, 0).float()
    t = torch.randint(0, 1000, (len(x),))
    noise, abar = torch.randn_like(x), _wide(alphas_cumprod[t], x)
    return F.mse_loss(model(abar.sqrt() * x + (1 - abar).sqrt() * noise, t), noise)


def edm(model: Model, x: Tensor, sigma_data: float = 0.5) -> Tensor:
    """A denoiser with EDM's weight and log-normal noise.

    Source: Karras et al. 2022, arXiv 2206.00364, eq. 8 and table 1.

    Args:
        model: Predicts the data from x + σ eps and σ.
        x: Data, shape (n, *shape).
        sigma_data: Standard deviation of the data that the weight assumes.

    Returns:
        The mean loss.
    """
    sigma = _wide((1.2 * torch.randn(len(x)) - 1.2).exp(), x)
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    denoised = model(x + sigma * torch.randn_like(x), sigma.flatten())
    return (weight * (denoised - x) ** 2).mean()


# --- Min-SNR -----------------------------------------------------------------------------------


class CosineDraw(NamedTuple):
    """Uniform times on the cosine path.

    Attributes:
        t: Times, shape (n,).
        alpha: Scale of the data, in a shape that broadcasts with it.
        sigma: Scale of the noise, likewise.
        snr: alpha²/sigma², shape (n,).
    """

    t: Tensor
    alpha: Tensor
    sigma: Tensor
    snr: Tensor


def _cosine(x: Tensor) -> CosineDraw:
    """Draw uniform times on the cosine path for data (n, *shape)."""
    t = torch.rand(len(x))
    alpha, sigma = torch.cos(torch.pi * t / 2), torch.sin(torch.pi * t / 2)
    return CosineDraw(t, _wide(alpha, x), _wide(sigma, x), (alpha / sigma) ** 2)


def _mean_square(error: Tensor) -> Tensor:
    """Mean squared error of each datum, shape (n,)."""
    return error.square().flatten(1).mean(1)


def _eps_error(model: Model, x: Tensor, draw: CosineDraw) -> Tensor:
    """Squared error of the noise for each datum, shape (n,)."""
    noise = torch.randn_like(x)
    return _mean_square(model(draw.alpha * x + draw.sigma * noise, draw.t) - noise)


def _v_error(model: Model, x: Tensor, draw: CosineDraw) -> Tensor:
    """Squared error of v = alpha eps − sigma x for each datum, shape (n,)."""
    noise = torch.randn_like(x)
    v = draw.alpha * noise - draw.sigma * x
    return _mean_square(model(draw.alpha * x + draw.sigma * noise, draw.t) - v)


def min_snr_eps(model: Model, x: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR on the eps error: min(SNR, γ)/SNR.

    Source: Hang et al. 2023, arXiv 2303.09556, sec. 3.4.

    Args:
        model: Predicts the noise from z and t in [0, 1].
        x: Data, shape (n, *shape).
        gamma: γ.

    Returns:
        The mean loss.
    """
    draw = _cosine(x)
    weight = draw.snr.clamp(max=gamma) / draw.snr
    return (weight * _eps_error(model, x, draw)).mean()


def min_snr_v(model: Model, x: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR on the v error: min(SNR, γ)/(SNR + 1).

    Source: Hang et al. 2023, arXiv 2303.09556, sec. 3.4.

    Args:
        model: Predicts v = alpha eps − sigma x from z and t in [0, 1].
        x: Data, shape (n, *shape).
        gamma: γ.

    Returns:
        The mean loss.
    """
    draw = _cosine(x)
    weight = draw.snr.clamp(max=gamma) / (draw.snr + 1)
    return (weight * _v_error(model, x, draw)).mean()


# --- mistakes ----------------------------------------------------------------------------------


def _numerator(model: Model, x: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR for v with SNR + 1 in the numerator too (huggingface/diffusers issue 5654)."""
    draw = _cosine(x)
    weight = (draw.snr + 1).clamp(max=gamma) / (draw.snr + 1)
    return (weight * _v_error(model, x, draw)).mean()


def _max(model: Model, x: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR with max for min (lucidrains/recurrent-interface-network-pytorch issue 11)."""
    draw = _cosine(x)
    weight = draw.snr.clamp(min=gamma) / draw.snr
    return (weight * _eps_error(model, x, draw)).mean()


def _no_effect(model: Model, x: Tensor) -> Tensor:
    """SD3 whose logit-normal draw does not reach the times.

    A relative of it was released: there the draw became a factor on the loss that had nothing to do
    with the times (huggingface/diffusers PR 8528).
    """
    u = torch.sigmoid(torch.randn(len(x)))  # drawn ...
    t = torch.rand(len(x))
    weight = torch.ones_like(u)  # ... and never used
    prediction, target = _velocity(model, x, t)
    return (_wide(weight, x) * (prediction - target) ** 2).mean()


def _wrong_sign(model: Model, x: Tensor, mean: float = 0.5) -> Tensor:
    """SD3 whose logit-normal draw indexes a table of sigma that falls, so that m counts as −m."""
    u = torch.sigmoid(mean + torch.randn(len(x)))
    return F.mse_loss(*_velocity(model, x, 1 - u))


def _no_sigma_data(model: Model, x: Tensor) -> Tensor:
    """EDM with the deviation of the data left at 1."""
    return edm(model, x, sigma_data=1.0)


MASK = 8  # of the losses on tokens, whose tokens are 0 to 7


def _entropies(predict: Callable[[Tensor], Tensor], x: Tensor, hidden: Tensor) -> Tensor:
    """Cross-entropy of each masked token, 0 where it is visible."""
    logits = predict(torch.where(hidden, MASK, x))
    return F.cross_entropy(logits.mT, x, reduction="none") * hidden


def llada(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """LLaDA: a uniform rate t, 1/t, divided by the length (Nie et al. 2025)."""
    t = 0.999 * torch.rand(len(x), 1) + 0.001
    hidden = torch.rand(x.shape) < t
    return (_entropies(model, x, hidden) / t).sum() / x.numel()


def masked_mean(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A uniform rate, and the mean over the masked tokens of each sequence."""
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    return (_entropies(model, x, hidden).sum(1) / hidden.sum(1).clamp(min=1)).mean()


def batch_mean(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A uniform rate, and PyTorch's mean over the masked tokens of the batch."""
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    return _entropies(model, x, hidden).sum() / hidden.sum()


def focal(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Masked tokens with a focal factor, 1 − p̂ of the true token: no weighting over λ."""
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    each = _entropies(model, x, hidden)
    return ((1 - torch.exp(-each)) * each).sum() / x.numel()


MASKED_LOSSES: dict[str, Callable[..., Tensor]] = {
    "LLaDA": llada,
    "mean of each sequence": masked_mean,
    "mean of the batch": batch_mean,
}


_MISTAKEN: Mapping[str, Loss] = {
    "A": _no_sigma_data,
    "B": _no_effect,
    "C": _numerator,
    "D": _wrong_sign,
    "E": _max,
}


@dataclass(frozen=True)
class Mystery:
    """A loss with a mistake, which printing it does not give away.

    Args:
        letter: Its letter.
    """

    letter: str

    def __call__(self, model: Model, x: Tensor) -> Tensor:
        """The mean loss of a model on data of shape (n, *shape)."""
        return _MISTAKEN[self.letter](model, x)


MYSTERIES: dict[str, Loss] = {letter: Mystery(letter) for letter in _MISTAKEN}
MISTAKE_OF: dict[Loss, str] = {
    MYSTERIES["C"]: "numerator",
    MYSTERIES["E"]: "max",
    MYSTERIES["B"]: "no effect",
    MYSTERIES["D"]: "wrong sign",
    MYSTERIES["A"]: "sigma_data",
}
DECOYS = ("log sigma", "cap", "width")  # mistakes that could be made, and that no mystery has
MISTAKES = (*MISTAKE_OF.values(), *DECOYS)
INTENDED: dict[str, Loss] = {
    "A": edm,
    "B": sd3,
    "C": min_snr_v,
    "D": sd3_towards_noise,
    "E": min_snr_eps,
}
LOSSES: dict[str, Loss] = {
    "flow matching": flow_matching,
    "DDPM": ddpm,
    "EDM": edm,
    "SD3": sd3,
    "Min-SNR, eps": min_snr_eps,
    "Min-SNR, v": min_snr_v,
    **{f"mystery {letter}": loss for letter, loss in MYSTERIES.items()},
}
