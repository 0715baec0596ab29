"""Training losses as codes write them, right and wrong: something to probe.

Each is ``loss(model, x) -> tensor`` in its own time and its own words. ``MYSTERIES`` are five mistakes, four of them once released,
under letters; ``MISTAKES`` says in words what a mistake can be.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def _wide(t: Tensor, x: Tensor) -> Tensor:
    return t.reshape(-1, *[1] * (x.ndim - 1))


def flow_matching(model, x):
    """Uniform time, straight path, velocity (Lipman et al. 2022, arXiv 2210.02747)."""
    t = torch.rand(len(x))
    noise, s = torch.randn_like(x), _wide(t, x)
    return F.mse_loss(model((1 - s) * x + s * noise, t), noise - x)


def ddpm(model, x):
    """Noise prediction on a table of 1,000 steps (Ho et al. 2020, arXiv 2006.11239, algorithm 1)."""
    alphas_cumprod = torch.cumprod(
        1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0
    ).float()
    t = torch.randint(0, 1000, (len(x),))
    noise, abar = torch.randn_like(x), _wide(alphas_cumprod[t], x)
    return F.mse_loss(model(abar.sqrt() * x + (1 - abar).sqrt() * noise, t), noise)


def edm(model, x, sigma_data=0.5):
    """Denoiser with EDM's weight and log-normal noise (Karras et al. 2022, arXiv 2206.00364, eq. 8)."""
    sigma = _wide((1.2 * torch.randn(len(x)) - 1.2).exp(), x)
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    return (weight * (model(x + sigma * torch.randn_like(x), sigma.flatten()) - x) ** 2).mean()


def sd3(model, x, mean=0.0, std=1.0):
    """Logit-normal time under flow matching (Esser et al. 2024, arXiv 2403.03206, eq. 19)."""
    t = torch.sigmoid(mean + std * torch.randn(len(x)))
    noise, s = torch.randn_like(x), _wide(t, x)
    return F.mse_loss(model((1 - s) * x + s * noise, t), noise - x)


def _cosine(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    t = torch.rand(len(x))
    alpha, sigma = torch.cos(torch.pi * t / 2), torch.sin(torch.pi * t / 2)
    return t, _wide(alpha, x), _wide(sigma, x), (alpha / sigma) ** 2


def min_snr_eps(model, x, gamma=5.0):
    """Min-SNR on the eps error: min(SNR, γ)/SNR (Hang et al. 2023, arXiv 2303.09556)."""
    (t, alpha, sigma, snr), noise = _cosine(x), torch.randn_like(x)
    error = (model(alpha * x + sigma * noise, t) - noise).square().flatten(1).mean(1)
    return (snr.clamp(max=gamma) / snr * error).mean()


def min_snr_v(model, x, gamma=5.0):
    """Min-SNR on the v error: min(SNR, γ)/(SNR + 1)."""
    (t, alpha, sigma, snr), noise = _cosine(x), torch.randn_like(x)
    error = (
        (model(alpha * x + sigma * noise, t) - (alpha * noise - sigma * x))
        .square()
        .flatten(1)
        .mean(1)
    )
    return (snr.clamp(max=gamma) / (snr + 1) * error).mean()


def huber(model, x):
    """Flow matching with a Huber loss: not squared, so that its weight depends on the error."""
    t = torch.rand(len(x))
    noise, s = torch.randn_like(x), _wide(t, x)
    return F.huber_loss(model((1 - s) * x + s * noise, t), noise - x, delta=0.5)


def _numerator(model, x, gamma=5.0):
    (t, alpha, sigma, snr), noise = _cosine(x), torch.randn_like(x)
    error = (
        (model(alpha * x + sigma * noise, t) - (alpha * noise - sigma * x))
        .square()
        .flatten(1)
        .mean(1)
    )
    return ((snr + 1).clamp(max=gamma) / (snr + 1) * error).mean()


def _max(model, x, gamma=5.0):
    (t, alpha, sigma, snr), noise = _cosine(x), torch.randn_like(x)
    error = (model(alpha * x + sigma * noise, t) - noise).square().flatten(1).mean(1)
    return (snr.clamp(min=gamma) / snr * error).mean()


def _no_effect(model, x):
    u = torch.sigmoid(torch.randn(len(x)))  # drawn ...
    t = torch.rand(len(x))
    weight = torch.ones_like(u)  # ... and never used
    noise, s = torch.randn_like(x), _wide(t, x)
    return (_wide(weight, x) * (model((1 - s) * x + s * noise, t) - (noise - x)) ** 2).mean()


def _wrong_sign(model, x, mean=0.5):
    u = torch.sigmoid(mean + torch.randn(len(x)))
    sigma = 1 - u  # u indexes a table of sigma that falls
    noise, s = torch.randn_like(x), _wide(sigma, x)
    return F.mse_loss(model((1 - s) * x + s * noise, sigma), noise - x)


def _no_sigma_data(model, x):
    return edm(model, x, sigma_data=1.0)


MISTAKES = ("numerator", "max", "no effect", "wrong sign", "sigma_data")
INTENDED = {
    "A": edm,
    "B": sd3,
    "C": min_snr_v,
    "D": lambda model, x: sd3(model, x, mean=0.5),
    "E": min_snr_eps,
}
MYSTERIES = {"A": _no_sigma_data, "B": _no_effect, "C": _numerator, "D": _wrong_sign, "E": _max}
LOSSES = {
    "flow matching": flow_matching, "DDPM": ddpm, "EDM": edm, "SD3": sd3, "Min-SNR, eps": min_snr_eps, "Min-SNR, v": min_snr_v,
    **{f"mystery {letter}": loss for letter, loss in MYSTERIES.items()},
}  # fmt: skip
