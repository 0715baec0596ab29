"""Sampling: from noise to data along the probability-flow ODE or an SDE, on any grid of log-SNR.

With y = z/alpha and s = sigma/alpha = e^(−λ/2) every Gaussian path is the variance-exploding one, and the flow is

    dy/ds = eps_hat = (y − x_hat)/s        (Song et al. 2021, arXiv 2011.13456, eq. 13; Karras et al. 2022, arXiv 2206.00364, eq. 3)

so a solver needs the denoiser and two levels: a function (denoise, y, s, s of the next level, its own options) → y.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torchdiffeq import odeint

from diffviz.checks import positive
from diffviz.theory.paths import LINEAR

_along = lambda x_hat, y, start, end: (
    x_hat + end / start * (y - x_hat)
)  # exact for a constant x_hat


def ddim(denoise, y, start, end, eta=0.0):
    """Euler in s, one call; first order. ``eta`` adds noise, 1 is DDPM (Song et al. 2020, arXiv 2010.02502, eq. 12 and 16)."""
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in [0, 1] (0 adds no noise, 1 is DDPM's), got {eta}")
    fresh = eta * end * math.sqrt(1 - (end / start) ** 2)
    y = _along(denoise(y, start), y, start, math.sqrt(end**2 - fresh**2))
    return y + fresh * denoise.noise(y) if eta else y


def euler(denoise, y, start, end, path=LINEAR, eta=0.0):
    """Euler on dz/dt in the frame and time of a path, one call; first order. Linear is DDIM; with ``eta`` Euler–Maruyama."""
    levels, (low, high) = -2 * np.log([start, end]), path.schedule.support()
    if not (low <= levels[0] < levels[1] <= high and 0 <= eta < math.inf):
        raise ValueError(
            f"need eta >= 0 and logsnr of {path.name}, {low:.4g} to {high:.4g}; got {eta}, {levels.tolist()}"
        )
    (before, after), slope = (
        path.frame.alpha(levels).tolist(),
        float(path.frame.slope(levels)[0]),
    )  # d log alpha/dλ
    h = float(-np.diff(path.time(levels))[0] / path.schedule.pdf(levels[0]))  # dt dλ/dt
    # the SDE is dy = (1 + eta²)/2 (x_hat − y) dλ + eta s dW; for eta = 1 Song et al. 2021 (arXiv 2011.13456), eq. 6
    y = y + h * (slope * y + (1 + eta**2) / 2 * (denoise(y, start) - y))
    return before / after * (y + eta * start * math.sqrt(h) * denoise.noise(y) if eta else y)


def heun(denoise, y, start, end, churn=0.0, inflate=1.003, low=0.0, high=math.inf):
    """Heun in s, two calls; second order (Karras et al. 2022, arXiv 2206.00364, algorithm 2 with S_churn, S_noise, S_tmin, S_tmax)."""
    if not (0 <= churn < math.inf and 0 < inflate < math.inf and 0 <= low < high):
        raise ValueError(
            f"need churn >= 0, inflate > 0 and 0 <= low < high in s; got {churn}, {inflate}, {low}, {high}"
        )
    raised = start * (1 + (low <= start <= high) * min(churn / denoise.steps, math.sqrt(2) - 1))
    y = y + inflate * math.sqrt(raised**2 - start**2) * denoise.noise(y) if raised > start else y
    slope = (y - denoise(y, raised)) / raised
    guess = y + (end - raised) * slope
    return y + (end - raised) * (slope + (guess - denoise(guess, end)) / end) / 2


def dpm_2m(denoise, y, start, end):
    """DPM-Solver++(2M), one call; second order (Lu et al. 2022, arXiv 2211.01095, algorithm 2)."""
    x_hat = denoise(y, start)
    before, _, older = (
        denoise.past[-2] if denoise.past[1:] else (math.inf, y, x_hat)
    )  # the first step is DDIM's
    return _along(
        x_hat + (x_hat - older) / 2 * math.log(start / end) / math.log(before / start),
        y,
        start,
        end,
    )


def dpm_2s(denoise, y, start, end):
    """DPM-Solver++(2S) by way of the middle in λ, two calls; second order (Lu et al. 2022, arXiv 2211.01095, algorithm 1)."""
    middle = math.sqrt(start * end)
    return _along(denoise(_along(denoise(y, start), y, start, middle), middle), y, start, end)


def ab3(denoise, y, start, end, std=1.0):
    """Adams–Bashforth on dz/dθ, θ = atan(s/std), z = y cos θ, one call; third order, after Euler's first step.

    A large ``std`` makes it that on eps_hat over s (ρAB of Zhang & Chen 2022, arXiv 2204.13902); the data's own takes fewer steps.
    """
    denoise(y, start)
    s, ys, x_hats = zip(*denoise.past[-3:], strict=True)
    *angle, last = np.arctan(np.array([*s, end]) / positive(std, "std"))
    nodes, h, degree = (
        (np.array(angle) - angle[-1]) / (last - angle[-1]),
        last - angle[-1],
        np.arange(len(s)),
    )
    share = h * np.linalg.solve(nodes ** degree[:, None], 1 / (degree + 1)) / np.sin(angle)
    turn = sum(
        w * (c * at - x)
        for w, c, at, x in zip(
            share.tolist(), (np.cos(angle) ** 2).tolist(), ys, x_hats, strict=True
        )
    )
    return (math.cos(angle[-1]) * y + turn) / math.cos(last)


def runge_kutta(denoise, y, start, end, method="dopri5"):
    """torchdiffeq's methods on dy/dλ = (x_hat − y)/2: "rk4" has four calls, "dopri5" adapts to (machine precision)^(3/4)."""
    levels = torch.tensor(
        [-2 * math.log(s) for s in (start, end)], dtype=torch.float64, device=y.device
    )
    near, slope = (
        torch.finfo(y.dtype).eps ** 0.75,
        lambda level, y: (denoise(y, math.exp(-level / 2)) - y) / 2,
    )
    return odeint(slope, y, levels, rtol=near, atol=near, method=method)[-1]


SOLVERS: dict[str, Callable] = {
    "ddim": ddim, "euler": euler, "euler-maruyama": partial(euler, eta=1), "heun": heun, "dpm++2m": dpm_2m,
    "dpm++2s": dpm_2s, "ab3": ab3, "rk4": partial(runge_kutta, method="rk4"), "adaptive": runge_kutta,
}  # fmt: skip
