"""diffviz: what does this diffusion loss really optimise?

``import diffviz as dv`` loads the theory (NumPy and SciPy). Learning (torch), plots and explorers load when first touched.
"""

from importlib import import_module
from pkgutil import iter_modules

from diffviz.objectives import Objective, from_weighting
from diffviz.recipes import CATALOGUE as catalogue
from diffviz.recipes import objective

_LATER = {  # loaded when first touched: name to module
    "from_diffusers": "bridge",
    **dict.fromkeys(("dataset", "toy"), "data"),
    **dict.fromkeys(("elbo", "log_likelihood"), "likelihood"),
    **dict.fromkeys(("closest", "probe"), "matching"),
    "sample": "samplers",
    **dict.fromkeys(("Adaptive", "LossByLogSNR"), "tracking"),
    **dict.fromkeys(("Diverged", "Run", "Trainer", "fit"), "training"),
    **dict.fromkeys(
        ("augmentation_density", "classes", "compare", "gaussian_mmse", "loss_density"),
        "weightings",
    ),
    **dict.fromkeys(("rebase", "share_below", "tabulated", "verdict"), "weightings"),
}
_MODULES = {module.name for module in iter_modules(__path__)} - {"__main__"}

__version__ = "0.1.0"  # the one place: pyproject.toml reads it here
__all__ = ["Objective", "catalogue", "from_weighting", "objective", *_LATER, *_MODULES]


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(f"diffviz.{_LATER[name]}"), name)
    if name in _MODULES:
        return import_module(f"diffviz.{name}")
    raise AttributeError(f"module 'diffviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
