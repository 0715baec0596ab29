"""What the raw output r of a network stands for: an estimate of a x' + b eps.

x' is the data at unit variance and z' = alpha' x' + sigma' eps, variance-preserving at the level λ'
of that data. An error of the output and one of eps_hat belong together by the gain

    r_hat − r = g (eps_hat − eps),    g = (b alpha' − a sigma')/alpha',

and the data follow from the output by

    x_hat' = (b z' − sigma' r_hat) / (b alpha' − a sigma').

v = alpha' eps − sigma' x' is EDM's −F (Karras et al. 2022, table 1). Its x_hat is bounded at every
level, so that neither end of the range amplifies an error.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def eps_output(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients a, b of the noise."""
    return torch.zeros_like(alpha), torch.ones_like(alpha)


def x_output(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients a, b of the data."""
    return torch.ones_like(alpha), torch.zeros_like(alpha)


def v_output(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients a, b of v = alpha' eps − sigma' x' (Salimans and Ho 2022)."""
    return -sigma, alpha


def edm_output(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients a, b of EDM's F, which is −v (Karras et al. 2022)."""
    return sigma, -alpha


OUTPUTS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "eps": eps_output,
    "x": x_output,
    "v": v_output,
    "F": edm_output,
}


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Coefficients of z' and of the raw output, all of the shape of the level.

    Args:
        alpha: Scale of the data in z'.
        sigma: Scale of the noise in z'.
        a: Coefficient of x' in the output.
        b: Coefficient of eps in the output.
    """

    alpha: Tensor
    sigma: Tensor
    a: Tensor
    b: Tensor

    @property
    def determinant(self) -> Tensor:
        """Determinant b alpha' − a sigma', by which x' and eps follow from z' and the output."""
        return self.b * self.alpha - self.a * self.sigma

    @property
    def inverse_gain(self) -> Tensor:
        """1/g: how much an error of the output shows up in eps_hat."""
        return self.alpha / self.determinant


def output_coefficients(level: Tensor, output: str) -> Coefficients:
    """Coefficients of a kind of output.

    Args:
        level: Log-SNR of the data at unit variance in nats, any shape.
        output: One of ``OUTPUTS``.

    Returns:
        The coefficients, each of the shape of the level.
    """
    alpha = torch.sigmoid(level).sqrt()
    sigma = torch.sigmoid(-level).sqrt()
    a, b = OUTPUTS[output](alpha, sigma)
    return Coefficients(alpha, sigma, a, b)
