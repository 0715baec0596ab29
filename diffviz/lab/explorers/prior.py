"""The explorer of the prior.

Sampling starts from N(0, I), at a level of noise at which training left something else. How bright
are the samples? And which starts may be paired with which data?
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.experiments import starts, walks
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.web.description import Clock, Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Cloud, Images, Note, Table, View, as_bytes

OWN_LEVEL = "own λ"  # the entry of the menu for a level that the slider sets
LAST_LEVELS = prior_experiments.TERMINAL | {prior_experiments.ZERO: -np.inf}
BRIGHTNESS, COUPLINGS = "brightness", "couplings"
ALONE = "nothing"  # beside a coupling
DATA, SAMPLES = "data", "samples"
MEAN_RATIO, STD_RATIO, HERE = "mean / data's", "std / data's", "here"
SCHEDULES = "ends of schedules"
COLOURS = {MEAN_RATIO: SUBJECT, STD_RATIO: BESIDE, SCHEDULES: REFERENCE}
PHOTOGRAPHS, MOVED = "right start", "start from N(0, I)"  # rows of images
LOWEST = -24.0  # λ in nats that stands for −∞ on the axis
# where the slider of λ stands for each schedule
LAST_PLACES = {name: float(max(level, LOWEST)) for name, level in LAST_LEVELS.items()}
LATTICE = np.linspace(LOWEST, 0, 193)
FROM_RING = "from a ring of eight Gaussians to two moons"
TRAILS = 60  # pairs whose way is drawn as a line

Bell = tuple[float, float]  # mean and standard deviation of brightness


def prior_controls() -> tuple[Control, ...]:
    """The controls of the explorer."""
    mean = prior_experiments.MEAN
    bright = {"shows": (BRIGHTNESS,)}
    coupled = {"shows": (COUPLINGS,)}
    schedules = (*LAST_LEVELS, OWN_LEVEL)
    place = LAST_PLACES["Stable Diffusion"]
    pixels = "Pixels a side of the images."
    sampled = "Whether sampling starts from noise with the offset too. No effect without offset."
    strength = "Strength of offset noise."
    spread = "Standard deviation of the brightness."
    doubling = math.log10(2)  # decades
    return (
        Menu("shows", "shows", (BRIGHTNESS, COUPLINGS), BRIGHTNESS, buttons=True),
        Menu("schedule", "ends like", schedules, "Stable Diffusion", when=bright),
        Slider("logsnr", "λ at end", LOWEST, 0, 0.05, place, "nats", when=bright),
        Slider("side", "pixels", 8, 512, doubling, 64, "", "log", True, tip=pixels, when=bright),
        Slider("mean", "mean", -1, 1, 0.05, mean, tip="−1 black, 1 white.", when=bright),
        Slider("std", "std", 0.02, 0.4, 0.01, 0.22, tip=spread, when=bright),
        Slider("offset", "offset κ", 0, 0.3, 0.005, 0.0, tip=strength, when=bright),
        Switch("start", "at start too", True, tip=sampled, when=bright),
        Menu("coupling", "coupling", starts.COUPLINGS, starts.INDEPENDENT, when=coupled),
        Menu("beside", "beside it", (ALONE, *starts.COUPLINGS), ALONE, when=coupled),
        Clock("time", "time", 1.0),
    )


class PriorExplorer(ViewExplorer):
    """Brightness of images: of the data, and of samples that start from N(0, I).

    The controls set the log-SNR at the end of training, the size of the images, the mean and the
    spread of their brightness, and the strength of offset noise. The charts show the two laws of
    brightness, and the ratios of samples to data by the log-SNR at the end; below are photographs,
    and what such a start makes of them. The second view plays couplings of a ring with two moons,
    one alone or two on one clock.

    Args:
        schedule: Name of the schedule whose last level is chosen at first: a key of
            ``diffviz.lab.experiments.prior.TERMINAL``, or "zero terminal SNR".
        **state: Values of other controls at first, such as ``offset=0.1``.

    Raises:
        ValueError: The schedule is unknown, or a value is not allowed.
    """

    grid = LATTICE  # λ at the end of training
    tone = np.linspace(-1.5, 1.5, 301)  # brightness

    def __init__(self, schedule: str = "Stable Diffusion", **state: Any):
        listing = "diffviz.lab.experiments.prior.TERMINAL"
        require_option("schedule", schedule, (*LAST_LEVELS, OWN_LEVEL), listing)
        begins: State = {"schedule": schedule}
        if schedule in LAST_LEVELS:
            begins["logsnr"] = LAST_PLACES[schedule]
        description = Description("The prior", prior_controls(), local="prior.js")
        super().__init__(description, begins | state)

    def settled(self, state: State, changed: str) -> State:
        """The state after a change: the menu of schedules and the slider of λ follow each other."""
        schedule = state["schedule"]
        if changed == "schedule" and schedule in LAST_LEVELS:
            state["logsnr"] = LAST_PLACES[schedule]
        elif changed == "logsnr" and state["logsnr"] != LAST_PLACES.get(schedule):
            state["schedule"] = OWN_LEVEL
        return state

    def level(self) -> float:
        """λ at the end of training in nats, −inf for zero terminal SNR."""
        return level_of(self.state)

    def ratios(self, level: ArrayLike) -> tuple[NDArray, NDArray]:
        """Brightness of samples over that of the data.

        Args:
            level: λ at the end of training in nats, a number or shape (n,).

        Returns:
            Ratio of the means and ratio of the standard deviations, in the shape of ``level``.
        """
        return ratios_of(self.state, level)

    def local_data(self) -> dict[str, Any]:
        """Levels, grids and photographs."""
        shades = COLOURS | {name: plots.colour(name) for name in (DATA, SAMPLES)}
        return {
            "levels": LAST_PLACES,
            "endless": [name for name, level in LAST_LEVELS.items() if np.isneginf(level)],
            "own": OWN_LEVEL,
            "lowest": LOWEST,
            "lattice": self.grid,
            "tone": self.tone,
            "photographs": starts.photographs(),
            "quantiles": starts.QUANTILES,
            "power": starts.power(),
            "colours": shades | {"behind": walks.GREY},
            "trails": TRAILS,
        }

    def page_data(self) -> dict[str, Any]:
        """The films of all couplings, and their numbers."""
        pairings = {name: starts.paired(name) for name in starts.COUPLINGS}
        return {
            "films": {name: film_data(pairing) for name, pairing in pairings.items()},
            "head": coupling_head(),
            "numbers": {name: list(one.numbers.values()) for name, one in pairings.items()},
        }

    def compute(self, state: State, changed: Changed) -> View:
        """Brightness, or a coupling.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, photographs and a note; or one film or two, and a table.
        """
        if state["shows"] == COUPLINGS:
            return coupling_view(state)
        bells = brightness_of(state)
        charts = (bell_chart(self.tone, bells), ratio_chart(state))
        return View((*charts, photographs(state), Note(describe(state, bells))), columns=2)


# --- brightness ----------------------------------------------------------------------------------


def level_of(state: State) -> float:
    """λ at the end of training.

    Args:
        state: A value for each control.

    Returns:
        λ in nats, −inf for zero terminal SNR.
    """
    schedule = state["schedule"]
    return LAST_LEVELS[schedule] if schedule in LAST_LEVELS else state["logsnr"]


def ratios_of(state: State, level: ArrayLike) -> tuple[NDArray, NDArray]:
    """Brightness of samples over that of the data.

    Args:
        state: A value for each control.
        level: λ at the end of training in nats, a number or shape (n,).

    Returns:
        Ratio of the means and ratio of the standard deviations, in the shape of ``level``.
    """
    return prior_experiments.offset_bias(
        level,
        state["offset"],
        state["side"],
        1.0,  # the ratio does not depend on the mean
        state["std"],
        also_at_start=state["start"],
    )


def brightness_of(state: State) -> dict[str, Bell]:
    """Mean and standard deviation of brightness, of the data and of samples.

    Args:
        state: A value for each control.

    Returns:
        The two numbers by name.
    """
    mean, std = state["mean"], state["std"]
    mean_ratio, std_ratio = ratios_of(state, level_of(state))
    return {DATA: (mean, std), SAMPLES: (mean * float(mean_ratio), std * float(std_ratio))}


def bell_chart(tone: NDArray, bells: dict[str, Bell]) -> Chart:
    """The densities of brightness.

    Args:
        tone: Brightness, shape (n,).
        bells: Mean and standard deviation by name.

    Returns:
        The chart.
    """
    curves = {
        name: np.exp(-(((tone - mean) / std) ** 2) / 2) for name, (mean, std) in bells.items()
    }
    return Chart(
        tone,
        curves,
        xlabel="brightness  [−1 to 1]",
        ylabel="density / maximum",
        title="brightness of data and samples",
        ylim=(0, 1.05),
        dashes={SAMPLES: 1},  # where nothing is lost, the samples lie over the data
    )


def ratio_chart(state: State) -> Chart:
    """Both ratios by λ, with the levels of the schedules and the present one.

    Args:
        state: A value for each control.

    Returns:
        The chart.
    """
    mean_ratio, std_ratio = ratios_of(state, LATTICE)
    places = np.array(list(LAST_PLACES.values()))
    return Chart(
        LATTICE,
        {
            MEAN_RATIO: mean_ratio,
            STD_RATIO: std_ratio,
            SCHEDULES: np.full(len(LATTICE), np.nan),  # for the legend
        },
        xlabel=f"λ at the end  [nats; {LOWEST:g} stands for −∞]".replace("-", "−"),
        ylabel="samples / data",
        title="what samples keep of it",
        xlim=(LOWEST - 1, 2),
        ylim=(0, 1.2),
        colours=COLOURS,
        marks={HERE: max(level_of(state), LOWEST)},
        dots={SCHEDULES: (places, ratios_of(state, places)[0])},
        symbols={SCHEDULES: "disc"},
    )


def photographs(state: State) -> Images:
    """Photographs as bright as the data, and under each where its start leads from N(0, I).

    Args:
        state: A value for each control.

    Returns:
        The images.
    """
    images = starts.as_bright(state["mean"], state["std"])
    samples = starts.started(
        images,
        level_of(state),
        state["offset"],
        state["side"],
        state["mean"],
        state["std"],
        state["start"],
    )
    pixels = (np.concatenate([images, samples]) + 1) / 2
    return Images(pixels, columns=len(images), rows=(PHOTOGRAPHS, MOVED))


def describe(state: State, bells: dict[str, Bell]) -> str:
    """The numbers of the present setting.

    Args:
        state: A value for each control.
        bells: Mean and standard deviation of brightness by name.

    Returns:
        Lines of text.
    """
    level = level_of(state)
    # offset noise has this much more power at frequency 0
    factor = 1 + (state["offset"] * state["side"]) ** 2
    shift = -np.log(factor) + 0.0
    (data_mean, data_std), (mean, std) = bells[DATA], bells[SAMPLES]
    rows = [
        f"λ = {level:.3f}: α_T = {np.sqrt(expit(level)):.4f}, SNR_T = {np.exp(level):.3g}",
        f"frequency 0 has λ = {level + shift:.3f} with this offset noise, "
        f"a shift of −log(1 + κ² N) = {shift:.3f}",
        f"data {data_mean:.2f} ± {data_std:.2f}, samples {mean:.3f} ± {std:.3f}: "
        f"mean off by {mean - data_mean + 0.0:.3f}, {std / data_std:.1%} of the spread",
        "grey discs on the curve of the mean, where schedules end, from right to left: "
        + ", ".join(LAST_LEVELS),
    ]
    return "\n".join(rows).replace("-inf", "−∞").replace("-", "−")


# --- couplings -----------------------------------------------------------------------------------


def coupling_view(state: State) -> View:
    """The ways of one coupling or two from source to data, and the numbers of all couplings.

    Args:
        state: A value for each control.

    Returns:
        A film or two, and a table.
    """
    shown = [state["coupling"]]
    if state["beside"] != ALONE:
        shown.append(state["beside"])
    rows = []
    for coupling in starts.COUPLINGS:
        crossing, cost, length = starts.paired(coupling).numbers.values()
        mark = "▸" if coupling in shown else ""
        rows.append((f"{mark} {coupling}", f"{crossing:.1%}", f"{cost:.1f}", f"{length:.3f}"))
    titles = shown if len(shown) > 1 else [f"{FROM_RING}: {shown[0]}"]
    films = [
        coupling_film(coupling, title, state["time"])
        for coupling, title in zip(shown, titles, strict=True)
    ]
    return View((*films, Table(coupling_head(), rows)), columns=len(films))


def coupling_film(coupling: str, title: str, time: float) -> Cloud:
    """The ways of a coupling from source to data.

    Args:
        coupling: Name of the coupling.
        title: What stands above.
        time: Share of the film that is over, from 0 to 1.

    Returns:
        The film.
    """
    pairing = starts.paired(coupling)
    return Cloud(
        points={DATA: pairing.z[-1]},
        paths={SAMPLES: pairing.z},
        colours={SAMPLES: pair_colours(pairing), DATA: walks.GREY},
        times=pairing.share,
        captions=[f"t = {1 - share:.3f}: 1 source, 0 data (grey)" for share in pairing.share],
        xlabel="z₁",
        ylabel="z₂",
        title=title,
        trails=TRAILS,
        present=time,
    )


def pair_colours(pairing: starts.Pairing) -> NDArray:
    """A colour for each pair by where it ends.

    Args:
        pairing: The pairs.

    Returns:
        Red, green and blue in [0, 1], shape (n, 3).
    """
    return walks.end_colours(pairing.z[-1], starts.COUPLING_REACH)


def coupling_head() -> tuple[str, ...]:
    """The heads of the table of couplings."""
    return "", *starts.paired(starts.INDEPENDENT).numbers


def film_data(pairing: starts.Pairing) -> dict[str, NDArray]:
    """What the browser plays of a coupling.

    Args:
        pairing: The pairs.

    Returns:
        Points in float32, shares of the way, and colours as bytes.
    """
    return {
        "z": pairing.z.astype(np.float32),
        "share": pairing.share,
        "colours": as_bytes(pair_colours(pairing)),
    }
