"""Solvers: one step from noise towards data, on the probability-flow ODE or an SDE.

With y = z/alpha and s = sigma/alpha = e^(−λ/2) every Gaussian path is the variance-exploding one.
The flow is

    dy/ds = eps_hat = (y − x_hat)/s

(Song et al. 2021, arXiv 2011.13456, eq. 13; Karras et al. 2022, arXiv 2206.00364, eq. 3). A solver
therefore needs a denoiser and two levels: it is a function (denoise, y, s, next s) → next y, with
options of its own. Order p means that the error of a whole trajectory falls like steps^−p.

Example:
    >>> toy = dv.toy("gaussian")
    >>> [dv.sample(toy, solver=name, n=10).calls for name in ("ddim", "heun", "dpm++2m")]
    [21, 41, 21]
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import number, one_of, positive, require
from diffviz.sampling.odes import odeint
from diffviz.theory.paths import LINEAR, Path

# methods of torchdiffeq: those that choose their own steps, then those that make one
ODE_METHODS = (
    *("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun"),
    *("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams"),
)


class Call(NamedTuple):
    """One call of the denoiser.

    Args:
        s: Noise over signal, sigma/alpha.
        y: z/alpha, shape (n, *shape).
        x_hat: E[x|z], shape (n, *shape).
    """

    s: float
    y: Tensor
    x_hat: Tensor


class StepDenoiser(Protocol):
    """The denoiser as a solver sees it, with the steps before this one."""

    @property
    def steps(self) -> int:
        """Number of steps of the whole trajectory."""

    @property
    def history(self) -> list[Call]:
        """The first call of every step so far, this one included once it was made."""

    def __call__(self, y: Tensor, s: float) -> Tensor:
        """E[x|z] for y = z/alpha at s = sigma/alpha, like y."""

    def noise(self, y: Tensor) -> Tensor:
        """A draw of noise like y."""


class Solver(Protocol):
    """One step of a trajectory; solvers may have further keywords with defaults."""

    def __call__(self, denoise: StepDenoiser, y: Tensor, start: float, end: float) -> Tensor:
        """The next y, at s = ``end``, for y at s = ``start`` > ``end``."""


def step_with_constant_x(x_hat: Tensor, y: Tensor, start: float, end: float) -> Tensor:
    """The flow from ``start`` to ``end`` if x_hat were constant: x_hat + end/start (y − x_hat)."""
    return x_hat + end / start * (y - x_hat)


# --- first order --------------------------------------------------------------------------------


def ddim(denoise: StepDenoiser, y: Tensor, start: float, end: float, eta: float = 0.0) -> Tensor:
    """Euler in s: one call a step, first order.

    Source: Song et al. 2020 (arXiv 2010.02502), eq. 12 and 16.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        eta: Share of DDPM's noise that is added: 0 for none, 1 for ancestral sampling.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        ValueError: ``eta`` lies outside [0, 1].
    """
    eta = number(eta, "eta", 0, 1)
    fresh = eta * end * math.sqrt(1 - (end / start) ** 2)
    kept = math.sqrt(end**2 - fresh**2)
    y = step_with_constant_x(denoise(y, start), y, start, kept)
    return y + fresh * denoise.noise(y) if eta else y


def euler(
    denoise: StepDenoiser,
    y: Tensor,
    start: float,
    end: float,
    path: Path = LINEAR,
    eta: float = 0.0,
) -> Tensor:
    """Euler on dz/dt in the frame and the time of a path: one call a step, first order.

    On the linear path it is DDIM. With noise it is Euler–Maruyama on the SDE

        dy = (1 + eta²)/2 (x_hat − y) dλ + eta s dW,

    which for eta = 1 is that of Song et al. 2021 (arXiv 2011.13456), eq. 6.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        path: The path in whose z and t the step is straight.
        eta: Amount of noise, from 0.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        TypeError: ``path`` is no path, or ``eta`` no number.
        ValueError: ``eta`` is negative, or the step leaves the levels of the path.
    """
    require(
        isinstance(path, Path), f"path must be a path such as paths.LINEAR, got {path!r}", TypeError
    )
    eta = number(eta, "eta", 0)
    levels = -2 * np.log([start, end])
    low, high = path.schedule.support()
    require(
        low <= levels[0] < levels[1] <= high,
        f"the path {path.name} has logsnr {low:.4g} to {high:.4g}; got a step "
        f"{levels.tolist()}, which must rise within it",
    )
    alpha_before, alpha_after = path.frame.alpha(levels).tolist()
    slope = float(path.frame.slope(levels)[0])  # d log alpha/dλ
    dt = float(-np.diff(path.time(levels))[0])
    h = dt / float(path.schedule.pdf(levels[0]))  # dt |dλ/dt|
    y = y + h * (slope * y + (1 + eta**2) / 2 * (denoise(y, start) - y))
    if eta:
        y = y + eta * start * math.sqrt(h) * denoise.noise(y)
    return alpha_before / alpha_after * y


def euler_maruyama(
    denoise: StepDenoiser,
    y: Tensor,
    start: float,
    end: float,
    path: Path = LINEAR,
    eta: float = 1.0,
) -> Tensor:
    """``euler`` on the SDE, with noise by default; see there.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        path: The path in whose z and t the step is straight.
        eta: Amount of noise, from 0.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        TypeError: ``path`` is no path, or ``eta`` no number.
        ValueError: ``eta`` is negative, or the step leaves the levels of the path.
    """
    return euler(denoise, y, start, end, path=path, eta=eta)


# --- second order -------------------------------------------------------------------------------


def heun(
    denoise: StepDenoiser,
    y: Tensor,
    start: float,
    end: float,
    churn: float = 0.0,
    inflate: float = 1.003,
    low: float = 0.0,
    high: float = math.inf,
) -> Tensor:
    """Heun in s, with EDM's churn: two calls a step, second order.

    Source: Karras et al. 2022 (arXiv 2206.00364), algorithm 2.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        churn: S_churn: noise that is added before each step, over the whole trajectory.
        inflate: S_noise: factor on the standard deviation of that noise.
        low: S_tmin: least s at which noise is added.
        high: S_tmax: largest s at which noise is added.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        TypeError: A setting is no number.
        ValueError: A setting is out of range.
    """
    churn = number(churn, "churn", 0)
    inflate = positive(inflate, "inflate")
    low = number(low, "low", 0)
    high = high if isinstance(high, float) and high == math.inf else number(high, "high")
    require(low < high, f"churn needs low < high in s; got {low} and {high}")
    growth = min(churn / denoise.steps, math.sqrt(2) - 1) if low <= start <= high else 0.0
    raised = start * (1 + growth)
    if raised > start:
        y = y + inflate * math.sqrt(raised**2 - start**2) * denoise.noise(y)
    slope = (y - denoise(y, raised)) / raised
    guess = y + (end - raised) * slope
    slope_at_guess = (guess - denoise(guess, end)) / end
    return y + (end - raised) * (slope + slope_at_guess) / 2


def dpm_2m(denoise: StepDenoiser, y: Tensor, start: float, end: float) -> Tensor:
    """DPM-Solver++(2M): x_hat extrapolated in λ, one call a step, second order.

    The first step is DDIM's. Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 2.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.

    Returns:
        z/alpha at ``end``, like y.
    """
    x_hat = denoise(y, start)
    if len(denoise.history) > 1:
        before = denoise.history[-2]
        ratio = math.log(start / end) / math.log(before.s / start)
        x_hat = x_hat + (x_hat - before.x_hat) / 2 * ratio
    return step_with_constant_x(x_hat, y, start, end)


def dpm_2s(denoise: StepDenoiser, y: Tensor, start: float, end: float) -> Tensor:
    """DPM-Solver++(2S), by way of the middle in λ: two calls a step, second order.

    Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 1.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.

    Returns:
        z/alpha at ``end``, like y.
    """
    middle = math.sqrt(start * end)
    halfway = step_with_constant_x(denoise(y, start), y, start, middle)
    return step_with_constant_x(denoise(halfway, middle), y, start, end)


# --- higher orders ------------------------------------------------------------------------------


def adams_weights(nodes: NDArray, start: float, end: float) -> NDArray:
    """Weights of slopes at some nodes that integrate polynomials exactly over a step.

    Args:
        nodes: Places of the slopes, shape (k,).
        start: Where the step begins.
        end: Where the step ends.

    Returns:
        Weights, shape (k,): ∫ f from ``start`` to ``end`` is Σ weight · f(node) for every
        polynomial f of degree below k.
    """
    h = end - start
    degree = np.arange(len(nodes))
    powers = ((nodes - start) / h) ** degree[:, None]
    return h * np.linalg.solve(powers, 1 / (degree + 1))


def adams_bashforth_weights(nodes: NDArray, end: float) -> NDArray:
    """Weights of past slopes that integrate polynomials exactly over the next step.

    Args:
        nodes: Places of the slopes, the last where the step begins, shape (k,).
        end: Where the step ends.

    Returns:
        Weights, shape (k,); see ``adams_weights``.
    """
    return adams_weights(nodes, float(nodes[-1]), end)


def step_in_angle(recent: Sequence[Call], weights: NDArray, end: float, std: float) -> Tensor:
    """The next y from the last one and weighted slopes of z in the angle θ = atan(s/std).

    With z = y cos θ the flow is

        dz/dθ = (y cos² θ − x_hat)/sin θ,

    which varies slowly if ``std`` is the data's own standard deviation.

    Args:
        recent: Calls whose slopes count; the step begins at the last.
        weights: What each slope is multiplied by, shape (calls,).
        end: Noise over signal after the step.
        std: Standard deviation of the data.

    Returns:
        z/alpha at ``end``, shape (n, *shape).
    """
    angles = np.arctan(np.array([call.s for call in recent]) / std)
    shares = weights / np.sin(angles)
    squares = np.cos(angles) ** 2
    y = recent[-1].y
    change = torch.zeros_like(y)
    for call, share, square in zip(recent, shares.tolist(), squares.tolist(), strict=True):
        change = change + share * (square * call.y - call.x_hat)
    return (math.cos(angles[-1]) * y + change) / math.cos(math.atan(end / std))


def ab3(denoise: StepDenoiser, y: Tensor, start: float, end: float, std: float = 1.0) -> Tensor:
    """Adams–Bashforth in the angle θ = atan(s/std): one call a step, third order.

    See ``step_in_angle``. A large ``std`` makes it Adams–Bashforth on eps_hat over s, the ρAB of
    Zhang and Chen 2022 (arXiv 2204.13902). The first step is Euler's and the second one of second
    order.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        std: Standard deviation of the data.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        ValueError: ``std`` is not a finite number above 0.
    """
    std = positive(std, "std")
    denoise(y, start)
    recent = denoise.history[-3:]
    *nodes, last = np.arctan(np.array([*(call.s for call in recent), end]) / std)
    return step_in_angle(recent, adams_bashforth_weights(np.array(nodes), last), end, std)


def abm4(denoise: StepDenoiser, y: Tensor, start: float, end: float, std: float = 1.0) -> Tensor:
    """Adams–Bashforth–Moulton in the angle θ = atan(s/std): one call a step, fourth order.

    The step before was predicted by three slopes (Adams–Bashforth). The call at its end gives one
    more, by which it is integrated again (Adams–Moulton) before the next step is predicted: the
    mode PEC of Hairer, Nørsett and Wanner 1993, sec. III.1, and the corrector of Zhao et al. 2023
    (arXiv 2302.04867), which needs no further call either. The first step is Euler's, and the next
    two have as many slopes as there are. What a trajectory records is what was predicted.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        std: Standard deviation of the data.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        ValueError: ``std`` is not a finite number above 0.
    """
    std = positive(std, "std")
    denoise(y, start)
    recent = denoise.history[-4:]
    *angles, last = np.arctan(np.array([*(call.s for call in recent), end]) / std)
    nodes = np.array(angles)
    weights = np.zeros(len(nodes))
    weights[-3:] += adams_bashforth_weights(nodes[-3:], last)
    if len(nodes) > 1:
        weights += adams_weights(nodes, nodes[-2], nodes[-1])
        weights[:-1] -= adams_bashforth_weights(nodes[:-1], nodes[-1])
    return step_in_angle(recent, weights, end, std)


def runge_kutta(
    denoise: StepDenoiser, y: Tensor, start: float, end: float, method: str = "dopri5"
) -> Tensor:
    """A method of torchdiffeq on dy/dλ = (x_hat − y)/2.

    The adaptive ones keep a tolerance of (machine precision)^(3/4), which makes them a reference.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        method: torchdiffeq's name: "rk4" has four calls a step, "dopri5" and "dopri8" adapt.

    Returns:
        z/alpha at ``end``, like y.
    """

    def slope(level: Tensor, y: Tensor) -> Tensor:
        return (denoise(y, math.exp(-level / 2)) - y) / 2

    method = one_of(method, "method", ODE_METHODS)
    levels = [-2 * math.log(start), -2 * math.log(end)]
    span = torch.tensor(levels, dtype=torch.float64, device=y.device)
    tolerance = torch.finfo(y.dtype).eps ** 0.75
    return odeint(slope, y, span, rtol=tolerance, atol=tolerance, method=method)[-1]


def rk4(
    denoise: StepDenoiser, y: Tensor, start: float, end: float, std: float | None = None
) -> Tensor:
    """Runge and Kutta's method, by the 3/8 rule: four calls a step, fourth order.

    It runs in λ. There its slopes say little where a step is long, as steps through pure noise are.
    With ``std`` it runs in the angle of ``step_in_angle``, where the flow varies slowly.

    Args:
        denoise: The denoiser.
        y: z/alpha at ``start``, shape (n, *shape).
        start: Noise over signal before the step.
        end: Noise over signal after the step.
        std: Standard deviation of the data, for the angle θ = atan(s/std); None for λ.

    Returns:
        z/alpha at ``end``, like y.

    Raises:
        ValueError: ``std`` is not a finite number above 0.
    """
    if std is None:
        return runge_kutta(denoise, y, start, end, method="rk4")
    width = positive(std, "std")

    def slope(angle: Tensor, z: Tensor) -> Tensor:
        x_hat = denoise(z / angle.cos(), width * angle.tan().item())
        return (z * angle.cos() - x_hat) / angle.sin()

    angles = torch.tensor([start, end], dtype=torch.float64, device=y.device).div(width).atan()
    first, last = angles.cos().tolist()
    return odeint(slope, first * y, angles, method="rk4")[-1] / last


SOLVERS: dict[str, Solver] = {
    "ddim": ddim,
    "euler": euler,
    "euler-maruyama": euler_maruyama,
    "heun": heun,
    "dpm++2m": dpm_2m,
    "dpm++2s": dpm_2s,
    "ab3": ab3,
    "abm4": abm4,
    "rk4": rk4,
    "adaptive": runge_kutta,
}
