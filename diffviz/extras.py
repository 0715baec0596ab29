"""Public names that load when they are first used, and the line that installs what they need.

A package's ``__init__`` calls ``attach``, which reads its names from the stub beside it. Where a
name needs an optional package that is not installed, the error says so and gives the command that
installs it; where a name does not exist, the error offers near ones.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lazy_loader

STARTED = time.time()  # before any other module of the package is read
EXTRA_OF = {
    "torch": "torch",
    "torchdiffeq": "torch",
    "safetensors": "torch",
    "tensorboard": "logs",
    "lightning": "callbacks",
    "accelerate": "callbacks",
    "transformers": "callbacks",
    "distributed": "cluster",
    "ipywidgets": "lab",
    "anywidget": "lab",
    "IPython": "lab",
    "nbconvert": "slides",
    "nbformat": "slides",
    "pptx": "slides",
}


@contextmanager
def needed_by(user: str) -> Iterator[None]:
    """Turn the error of a missing optional package into the command that installs it.

    Args:
        user: What needs the package, such as "diffviz.fit", for the message.

    Raises:
        ModuleNotFoundError: A package of an extra is missing; the message has the command.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        raise ModuleNotFoundError(
            f"{user} needs {error.name}, which is not installed; "
            f"pip install 'diffviz[{EXTRA_OF[error.name]}]' installs it",
            name=error.name,
        ) from None


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The functions by which a package loads the names of its stub at their first use.

    Args:
        package: Name of the package, ``__name__``.
        file: Path of its ``__init__.py``, ``__file__``; the stub ``__init__.pyi`` lies beside it.

    Returns:
        ``__getattr__``, ``__dir__`` and ``__all__`` of the package.
    """
    load, names, public = lazy_loader.attach_stub(package, file)

    def load_public(name: str) -> Any:
        """A public name of the package, loaded now."""
        if name not in public:
            raise AttributeError(f"{package} has no public name {name!r}{_near(name, public)}")
        with needed_by(f"{package}.{name}"):
            return load(name)

    return load_public, names, public


def _near(name: str, public: list[str]) -> str:
    """The end of a message that offers near names, empty where there is none."""
    from difflib import get_close_matches  # 15 ms that only a wrong name pays

    lower = {known.lower(): known for known in public}
    near = [lower[known] for known in get_close_matches(name.lower(), lower, 3, 0.5)]
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""
