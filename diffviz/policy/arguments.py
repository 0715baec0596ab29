"""What functions of policies accept: objectives, denoisers and states."""

import torch
from torch import Tensor

from diffviz import checks
from diffviz.protocols import Denoiser, Trainable


def check_objective(objective: Trainable) -> None:
    """Refuse what draws no levels.

    Args:
        objective: What should have a name and ``draw(n, rng)`` -> (log-SNR, factor).

    Raises:
        TypeError: It has not.
    """
    if not checks.offers(objective, Trainable):
        raise TypeError(
            f"objective must have a name and draw(n, rng), got {checks.brief(objective)}; "
            "dv.objective(name) finds one by its name"
        )


def check_denoiser(model: Denoiser) -> None:
    """Refuse what is no policy.

    Args:
        model: What should have ``denoise(z, logsnr)`` -> x_hat.

    Raises:
        TypeError: It has not.
    """
    if not checks.offers(model, Denoiser):
        raise TypeError(f"model must have denoise(z, logsnr) -> x_hat, got {checks.brief(model)}")


def check_states(x: Tensor, name: str = "x") -> None:
    """Refuse all but finite floats of shape (n, *shape).

    Args:
        x: Actions, or noisy states.
        name: What messages call them.

    Raises:
        TypeError: It is no tensor.
        ValueError: It is not floating point, not finite, or has no dimension beside n.
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a tensor, got {type(x).__name__}; torch.as_tensor makes one"
        )
    checks.dense_tensor(x, name)
    if x.ndim < 2 or not x.is_floating_point() or not torch.isfinite(x).all():
        raise ValueError(
            f"{name} must hold finite floats of shape (n, *shape), got {x.dtype} of shape "
            f"{tuple(x.shape)}; x.double() and x[:, None] may help"
        )
