"""The explorers as pages without a kernel."""

import shutil
from dataclasses import dataclass
from html import escape

from diffviz.lab import explorers
from diffviz.lab.explorers.view import ViewExplorer
from diffviz.web import bundle
from pages import markdown, training
from pages.folders import Folders


@dataclass(frozen=True)
class ExplorerPage:
    """An explorer that has a page.

    Args:
        name: Name of the page.
        title: Its heading.
        kind: Name of the class in ``diffviz.lab.explorers``, which notebooks show.
        question: What a reader can find out, in one sentence.
    """

    name: str
    title: str
    kind: str
    question: str


# In the order of the pages. One that the browser cannot compute alone is left out.
EXPLORERS = (
    ExplorerPage(
        "composer",
        "Recipe composer",
        "ComposerExplorer",
        "Put a path, a law of times, a target and a multiplier together, and see which published "
        "objectives have the same weighting.",
    ),
    ExplorerPage(
        "noise",
        "Noise levels",
        "NoiseExplorer",
        "Move a photograph and a cloud of points from noise to data, and see how strongly recipes "
        "weight each level.",
    ),
    ExplorerPage(
        "weighting",
        "Weightings",
        "WeightingExplorer",
        "Compare published weightings in any base, move the parameters of their families, or draw "
        "a weighting of your own.",
    ),
    ExplorerPage(
        "schedule",
        "Noise schedules",
        "ScheduleExplorer",
        "See how a path, its shift and its law of times spread the noise levels.",
    ),
    ExplorerPage(
        "prior",
        "Where sampling starts",
        "PriorExplorer",
        "End the noising early and see what brightness the samples lose.",
    ),
    ExplorerPage(
        "trajectories",
        "Trajectories",
        "TrajectoryExplorer",
        "Follow samples from noise to data, by any solver on any grid, on data that you draw.",
    ),
    ExplorerPage(
        "training",
        "Training",
        "TrainingDashboard",
        "Train two objectives side by side in your browser, on the same data and noise. Data and a "
        "weighting can be drawn. TensorFlow.js (0.8 MB) is loaded when you press *Train*.",
    ),
    ExplorerPage(
        "stack",
        "A stack of VAEs",
        "StackExplorer",
        "Move the ends of the noise levels and the number of layers, and see where the ELBO loses "
        "nats.",
    ),
    ExplorerPage(
        "elbo",
        "ELBO",
        "ElboExplorer",
        "Split a likelihood bound into its three terms, and a weighting into ELBOs of noised data.",
    ),
    ExplorerPage(
        "masked",
        "Masked diffusion",
        "MaskedExplorer",
        "Compare published objectives of masked diffusion by masking rate, by number of masked "
        "tokens, and by what they spend on exact data.",
    ),
    ExplorerPage(
        "few-steps",
        "Few steps",
        "FewStepExplorer",
        "Follow a state along the flow whose jumps few-step networks learn, and see MeanFlow's "
        "identity on its path and the weighting that an adaptive factor makes on the diagonal.",
    ),
    ExplorerPage(
        "steps",
        "Noise of a step",
        "StepNoiseExplorer",
        "See how much noise the steps of Flow-GRPO, DanceGRPO, coefficient-preserving sampling and "
        "DDIM add, and what that costs the likelihood of a policy.",
    ),
    ExplorerPage(
        "perception",
        "Perception",
        "PerceptionExplorer",
        "See which noise levels an eye would weight, by its sensitivity and its distance.",
    ),
)


# what stands on a page for an explorer that trains by the kernel
IN_BROWSER = {"TrainingDashboard": training.TrainingPage}


def opened(page: ExplorerPage) -> ViewExplorer:
    """The explorer of a page, as it opens.

    Args:
        page: The page.

    Returns:
        The explorer.
    """
    made: ViewExplorer = IN_BROWSER.get(page.kind, getattr(explorers, page.kind))()
    return made


def available() -> tuple[ExplorerPage, ...]:
    """The explorers that the browser can compute without a kernel."""
    found = []
    for page in EXPLORERS:
        explorer = opened(page)
        if explorer.description.local:
            found.append(page)
        explorer.close()
    return tuple(found)


def host(page: ExplorerPage, up: str, at_once: bool = False) -> str:
    """The place of an explorer in a page.

    Args:
        page: The explorer.
        up: Path from the page to the root of the site.
        at_once: Whether it is loaded with the page; else when it comes into sight.

    Returns:
        HTML.
    """
    now = " data-now" if at_once else ""
    return (
        f'<div class="explorer" data-root="{up}" data-explorer="{page.name}"{now} role="region" '
        f'aria-label="{escape(page.title)}"><noscript>This explorer needs JavaScript.</noscript>'
        "</div>\n"
    )


def write(folders: Folders) -> tuple[ExplorerPage, ...]:
    """Write a page for each explorer, and what it begins with.

    Args:
        folders: Where they go.

    Returns:
        The explorers that have a page.
    """
    pages = available()
    for page in pages:
        text = f"# {page.title}\n\n{page.question}\n\n{host(page, '../', at_once=True)}\n"
        folders.write(f"explorers/{page.name}.md", markdown.WIDE + text)
    listed = "\n".join(page.name for page in pages)
    folders.write(
        "explorers/index.md",
        "# Explorers\n\nThese explorers compute in your browser. The button *link* copies an "
        "address that brings the view back; *code* copies the cell that makes it in a notebook. "
        "How they are made stands in [Explorers, in detail](../explorers.md).\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n",
    )
    return pages


def copy_modules(folders: Folders, pages: tuple[ExplorerPage, ...]) -> None:
    """Copy the modules of the views into the site, and write the opening of each explorer.

    Args:
        folders: Where they go.
        pages: The explorers.
    """
    views = folders.place("views")
    shutil.copytree(
        bundle.FOLDER, views, ignore=shutil.ignore_patterns("*.py*", "__pycache__", "*.d.ts")
    )
    for page in pages:
        explorer = opened(page)
        explorer.save_opening(folders.place(f"openings/{page.name}"))
        explorer.close()
