"""The explorer of schedules: one weighted loss under any density of λ."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import progress
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.experiments.composer import uniform_levels
from diffviz.lab.experiments.elbo import known
from diffviz.lab.experiments.schedule import Filling
from diffviz.lab.explorers import colours
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT
from diffviz.lab.explorers.controls import parameter_slider, require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.work import Newest
from diffviz.plots.style import UNIFORM
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis, laws
from diffviz.theory.families import Parameter
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.web.description import Action, Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Note, View, Working


class Density(NamedTuple):
    """A density over λ with parameters for sliders.

    Args:
        build: Function of the parameters, in their order, that returns the law.
        key: What the names of its sliders begin with.
        parameters: Its parameters.
    """

    build: Callable[..., Any]
    key: str
    parameters: tuple[Parameter, ...] = ()


def cosine_law() -> Any:
    """The law of λ of the cosine path under uniform time."""
    return COSINE.schedule


def linear_law() -> Any:
    """The law of λ of the linear path under uniform time."""
    return LINEAR.schedule


DENSITIES: dict[str, Density] = {
    "cosine": Density(cosine_law, "cosine"),
    "FM, uniform t": Density(linear_law, "fm"),
    "SD3, logit-normal t": Density(
        laws.logit_normal_logsnr,
        "sd3",
        (Parameter("m", 0, -2, 2, 0.05), Parameter("s", 1, 0.2, 2, 0.05)),
    ),
    "EDM, log-normal σ": Density(
        laws.logit_normal_logsnr,
        "edm",
        (Parameter("mean", -1.2, -3, 1, 0.05), Parameter("std", 1.2, 0.4, 2, 0.05)),
    ),
    "uniform λ": Density(
        uniform_levels,
        "uniform",
        (Parameter("low", -10, -20, -1, 0.5), Parameter("high", 10, 1, 20, 0.5)),
    ),
}
DENSITY_COLOURS = {  # those of the objectives that draw from them
    "cosine": plots.colour("iddpm-cosine"),
    "FM, uniform t": plots.colour("fm-ot"),
    "SD3, logit-normal t": plots.colour("sd3"),
    "EDM, log-normal σ": plots.colour("edm"),
    "uniform λ": UNIFORM,
}
LABELS = {"low": "from λ", "high": "to λ"}  # of parameters that are not called by their names
WEIGHTINGS = (
    "fm-ot",
    "iddpm-cosine",
    "edm",
    "sd3",
    "sigmoid-bias2",
    "min-snr-5-eps",
    "p2-gamma1",
    "elbo",
)
RULES = ("kingma-gao", "minimum-variance", "time-warp")
DRAW, SIX, LIVE = "one draw", "six views", "live loss"
ANALYTIC, NETWORK = "exact", "network in training"
LOOKS, SPENDS = "p(λ)", "the best p ∝ w·mmse"
UNSHIFTED = "no shift"
ADDS, ADDS_LEAST = "under p(λ)", "under the best p"
NOW, BEFORE, EXACT = "average ± its error", "the run before", "exact"
DRAWN, ADAPTIVE, BEST = "p(λ)", "adaptive", SPENDS
GRID = np.linspace(-20, 20, 801)  # λ in nats
SEEN = (-12.0, 12.0)  # the part of it that is drawn
BATCHES = 200  # of one live loss
KEPT = 8  # results of live losses that an explorer remembers
RANGES = {"t": (1.0, 0.0), "λ": (-15.0, 15.0), "σ": (1.0, 0.0)}  # of axes, noise on the left


class Cost(NamedTuple):
    """What one draw Y = w/p · ½‖ε̂ − ε‖² costs in variance.

    Args:
        second_moment: E[Y²] under the training density.
        smallest: Its smallest value under any density on the same range.
        missed: Share of the loss outside the range of the density.
    """

    second_moment: float
    smallest: float
    missed: float


def density_sliders() -> tuple[Slider, ...]:
    """The sliders of all densities; only those of the chosen one are shown."""
    return tuple(
        parameter_slider(
            slider_name(density.key, parameter.name),
            parameter,
            "density",
            name,
            LABELS.get(parameter.name, ""),
        )
        for name, density in DENSITIES.items()
        for parameter in density.parameters
    )


def slider_name(key: str, parameter: str) -> str:
    """Name of the control of a density's parameter.

    Args:
        key: Key of the density.
        parameter: Name of the parameter.

    Returns:
        The name, such as "edm_mean".
    """
    return f"{key}_{parameter}"


def schedule_controls(weighting: str) -> tuple[Control, ...]:
    """The controls of the explorer.

    Args:
        weighting: An objective that the menu offers besides ``WEIGHTINGS``.

    Returns:
        The controls.
    """
    names = tuple(dict.fromkeys((*WEIGHTINGS, weighting)))
    live = {"picture": (LIVE,)}
    of_loss = {"picture": (DRAW, LIVE)}
    return (
        Menu("picture", "picture", (DRAW, SIX, LIVE), DRAW, buttons=True),
        Menu("density", "density", tuple(DENSITIES), "FM, uniform t", tip="Where training looks."),
        *density_sliders(),
        Slider(
            "shift",
            "shift",
            0.25,
            8,
            0.05,
            1.0,
            tip="A time shift s moves λ by −2 log s.",
        ),
        Menu(
            "weighting",
            "weighting",
            names,
            "fm-ot",
            when=of_loss,
            tip="The w that the loss has.",
        ),
        Slider("log_c", "data: log c", -6, 6, 0.1, 0.0, when=of_loss, tip="The data are N(0, c)."),
        Menu(
            "denoiser",
            "denoiser",
            (ANALYTIC, NETWORK),
            ANALYTIC,
            when=live,
            tip="The exact one on N(0, c), or a network that is trained on two modes.",
        ),
        Menu("rule", "adaptive", RULES, RULES[0], when=live, tip="How a law follows the loss."),
        Switch("adapts", "it draws", when=live, tip="The adaptive law draws, not the density."),
        Slider(
            "decay",
            "decay",
            0.9,
            0.999,
            0.001,
            0.99,
            when=live,
            tip="Decay of the average per batch.",
        ),
        Action("draw", f"draw {BATCHES} batches", main=True, when=live),
    )


class ScheduleExplorer(ViewExplorer):
    """One weighted loss under any density of λ.

    One picture shows where training looks and where the loss is, and what one draw contributes to
    the second moment. Another shows the density as a schedule in six views. The third fills in the
    loss by log-SNR as batches are drawn, with an adaptive law beside it: the loss of the exact
    denoiser, or of a network that is trained on two modes. The text says what the mismatch costs in
    variance. The data are N(0, c) otherwise.

    Args:
        density: Training density at first, a key of ``DENSITIES``.
        weighting: Objective whose w the loss has at first, whatever density that objective itself
            trains under.
        **state: Values of other controls at first, such as ``picture="six views"``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A name is unknown, or a value is not allowed.
    """

    def __init__(self, density: str = "FM, uniform t", weighting: str = "fm-ot", **state: Any):
        require_option("density", density, DENSITIES, "diffviz.lab.explorers.schedule.DENSITIES")
        name = objective(weighting).name
        self._runs = Newest[tuple[Any, ...], Filling](KEPT)  # the last result of each live loss
        description = Description("Schedules", schedule_controls(name), local="schedule.js")
        super().__init__(description, {"density": density, "weighting": name, **state})

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """The chosen picture with the cost of one draw.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            The view, or one that fills in as batches are drawn.
        """
        if "draw" in changed:
            return self._fill(state)
        return self._show(state)

    def local_data(self) -> dict[str, Any]:
        """A label and colours; the browser knows the weightings by their formulas."""
        shades = DENSITY_COLOURS | {SPENDS: colours.BEST, UNSHIFTED: REFERENCE}
        return {"label": plots.LOGSNR, "colours": shades}

    def _show(self, state: State) -> View:
        """The view of a state."""
        cost = cost_of(state)
        notes = shift_notes(state)
        if state["picture"] == SIX:
            return View((*six_charts(state), *notes), columns=3)
        if state["picture"] == LIVE:
            return self._live_view(state, notes)
        looks, costs = density_chart(state), cost_chart(state, cost)
        return View((looks, costs, *cost_notes(state, cost, costs), *notes), columns=2)

    def _fill(self, state: State) -> Iterator[View | Working]:
        """Draw batches, and show the loss as it fills in."""
        key = live_key(state)
        arguments, settings = live_arguments(state)
        if state["denoiser"] == NETWORK:
            yield Working(0.0, "the first batch")
            steps = progress.followed(schedule_experiments.training, *arguments, **settings)
        else:
            steps = schedule_experiments.filling(*arguments, **settings)
        for filled in steps:
            self._runs.keep(key, filled)
            yield self._show(self.state)
            yield Working(filled.batches / BATCHES, f"{filled.batches} of {BATCHES} batches")

    def _live_view(self, state: State, notes: tuple[Note, ...]) -> View:
        """The loss by log-SNR as far as it has been drawn, beside that of the run before."""
        key = live_key(state)
        here = self._runs.get(key)
        if state["denoiser"] == NETWORK:
            arguments, settings = live_arguments(state)
            here = self._runs.found(key, schedule_experiments.training, *arguments, **settings)
        _, before = self._runs.before(key) or (None, None)
        words = Note(live_text(state, here))
        charts = loss_chart(state, here, before), laws_chart(state, here)
        return View((*charts, words, *notes), 2)


# --- what a state means ---------------------------------------------------------------------------


def law_of(state: State) -> Any:
    """The law of λ before the shift.

    Args:
        state: A value for each control.

    Returns:
        A frozen SciPy distribution.
    """
    density = DENSITIES[state["density"]]
    return density.build(*(state[slider_name(density.key, one.name)] for one in density.parameters))


def variance_of(state: State) -> float:
    """The variance c of the data.

    Args:
        state: A value for each control.

    Returns:
        The variance.
    """
    return float(np.exp(state["log_c"]))


def mmse_of(state: State) -> Callable[[NDArray], NDArray]:
    """The error of the exact denoiser on N(0, c) as a function of λ.

    Args:
        state: A value for each control.

    Returns:
        The function.
    """

    def mmse(logsnr: NDArray) -> NDArray:
        return expit(logsnr + state["log_c"])

    return mmse


def live_mmse(state: State) -> NDArray:
    """The least error of a live loss in the middles of its bins, shape (bins,).

    Data times √c have at λ the error that the data have at λ + log c.

    Args:
        state: A value for each control.

    Returns:
        The error on N(0, c), or on the two modes that a network is trained on.
    """
    middle = schedule_experiments.bin_middles()
    if state["denoiser"] == NETWORK:
        return known("gmm1").mmse(middle + state["log_c"])
    return mmse_of(state)(middle)


def cost_of(state: State) -> Cost:
    """The second moment of one draw, by quadrature over all λ.

    Args:
        state: A value for each control.

    Returns:
        The cost.
    """
    weighting: Objective = CATALOGUE[state["weighting"]]
    moments = schedule_experiments.second_moment(
        weighting, law_of(state), state["shift"], variance_of(state)
    )
    return Cost(*moments)


def live_key(state: State) -> tuple[Any, ...]:
    """All that a live loss depends on.

    Args:
        state: A value for each control.

    Returns:
        The values.
    """
    density = DENSITIES[state["density"]]
    sliders = [slider_name(density.key, one.name) for one in density.parameters]
    of_loss = ("shift", "weighting", "log_c", "denoiser", "rule", "adapts", "decay")
    return tuple(state[name] for name in ("density", *sliders, *of_loss))


def live_arguments(state: State) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the experiments that fill in a loss.

    Args:
        state: A value for each control.

    Returns:
        Those by position and those by name.
    """
    weighting = CATALOGUE[state["weighting"]]
    settings = {name: state[name] for name in ("rule", "adapts", "decay")}
    arguments = (weighting, law_of(state), state["shift"], variance_of(state))
    return arguments, settings | {"batches": BATCHES}


# --- one draw -------------------------------------------------------------------------------------


def log_density(state: State) -> NDArray:
    """Logarithm of p on the grid after the shift, NaN where there is nothing to draw, shape (n,).

    Args:
        state: A value for each control.

    Returns:
        The logarithm.
    """
    logp = law_of(state).logpdf(GRID + 2 * np.log(state["shift"]))
    return np.where(np.isneginf(logp), np.nan, logp)


def loss_of(state: State) -> NDArray:
    """The loss density w·mmse on the grid, shape (n,).

    Args:
        state: A value for each control.

    Returns:
        The loss density.
    """
    return analysis.loss_density(CATALOGUE[state["weighting"]], GRID, mmse_of(state))


def density_chart(state: State) -> Chart:
    """Where training looks and where the loss is.

    Args:
        state: A value for each control.

    Returns:
        The chart. Its height changes in powers of two, so that a slider seldom moves it.
    """
    loss = loss_of(state)
    curves = {LOOKS: np.exp(log_density(state)), SPENDS: loss / np.trapezoid(loss, GRID)}
    highest = np.nanmax([*curves.values()])
    top = 0.25 * 2 ** max(0.0, np.ceil(np.log2(highest / 0.2)))
    return Chart(
        GRID,
        curves,
        xlabel=plots.LOGSNR,
        ylabel="density per nat",
        title="where training looks, and where it should",
        xlim=SEEN,
        ylim=(0.0, float(top)),
        colours={LOOKS: DENSITY_COLOURS[state["density"]], SPENDS: colours.BEST},
        dashes={LOOKS: 0, SPENDS: 1},
    )


def cost_chart(state: State, cost: Cost) -> Chart:
    """Logarithm of what a draw contributes to E Y² per nat, for the density and for the best.

    Args:
        state: A value for each control.
        cost: The cost over all λ.

    Returns:
        The chart.
    """
    loss = loss_of(state)
    logp = log_density(state)
    # ∫ w·mmse over the range of p; the second moment is at least ¾ of its square
    is_finite = np.isfinite(cost.smallest)
    total = np.sqrt(cost.smallest / 0.75) if is_finite else np.trapezoid(loss, GRID)
    with np.errstate(divide="ignore"):
        log_best = np.log10(loss / total) + 0 * logp
    return Chart(
        GRID,
        {ADDS: 2 * log_best - logp / np.log(10), ADDS_LEAST: log_best},
        xlabel=plots.LOGSNR,
        ylabel="log₁₀ per nat",
        title="what each λ adds to E Y², over the least",
        xlim=SEEN,
        ylim=(-5, 3),
        colours={ADDS: DENSITY_COLOURS[state["density"]], ADDS_LEAST: colours.BEST},
        dashes={ADDS: 0, ADDS_LEAST: 1},
    )


def cost_notes(state: State, cost: Cost, chart: Chart) -> tuple[Note, ...]:
    """The cost of one draw in words.

    Args:
        state: A value for each control.
        cost: The cost over all λ.
        chart: The chart of what a draw contributes.

    Returns:
        The notes.
    """
    with np.errstate(over="ignore"):
        contributions = np.nan_to_num(10 ** np.asarray(chart.curves[ADDS]), posinf=np.inf)
        ratio_inside = float(np.trapezoid(contributions, GRID))
    first, *rest = describe_cost(cost, ratio_inside)
    return Note(first, strong=True), *map(Note, rest)


def describe_cost(cost: Cost, ratio_inside: float) -> list[str]:
    """The cost of one draw in words.

    Args:
        cost: The cost over all λ.
        ratio_inside: E[Y²] over its smallest value within |λ| ≤ 20.

    Returns:
        Sentences; the first is the cost.
    """
    second, smallest, missed = cost
    if np.isinf(smallest):
        moment = (
            "the loss itself is infinite: w·mmse does not fall off; "
            "on a bounded range (uniform λ) it is finite"
        )
    elif np.isinf(second):
        moment = (
            "E Y² is infinite: p(λ) has thinner tails than the loss, "
            "and no number of draws averages that out"
            f" (within |λ| ≤ 20 alone the ratio is {ratio_inside:.4g})"
        )
    else:
        moment = (
            f"E Y² = {second:.4g}, smallest {smallest:.4g} (p ∝ w·mmse), "
            f"ratio {second / smallest:.4f}"
        )
    sentences = [moment, "one draw: Y = w/p · ½‖ε̂ − ε‖² on N(0, c), exact denoiser"]
    if missed > 5e-5:
        unseen = f"{missed:.2%} of the loss lies outside the range of p(λ) and is never seen"
        sentences.insert(1, unseen)
    if np.isnan(missed) and np.isfinite(smallest):
        sentences.insert(1, "outside the range of p(λ) the loss is infinite, and never seen")
    return sentences


def shift_notes(state: State) -> tuple[Note, ...]:
    """What the shift does, in words.

    Args:
        state: A value for each control.

    Returns:
        One note; none for the shift 1, which does nothing.
    """
    if state["shift"] == 1:
        return ()
    move = -2 * np.log(state["shift"])
    return (Note(f"shift {state['shift']:g} moves λ by −2 log s = {move:.3f}".replace("-", "−")),)


# --- six views ------------------------------------------------------------------------------------


def six_charts(state: State) -> tuple[Chart, ...]:
    """The density as a schedule under uniform time, in six views.

    Under a shift each view has the schedule without it too. Time and σ run from right to left, so
    that noise is on the left of all six.

    Args:
        state: A value for each control.

    Returns:
        The charts.
    """
    law, name = law_of(state), state["density"]
    drawn = {name: schedule_experiments.views(law, state["shift"])}
    if state["shift"] != 1:
        drawn[UNSHIFTED] = schedule_experiments.views(law)
    panels = (  # places and values among the views, labels, title, ends of the vertical axis
        ("time", "logsnr", "t", "λ", "λ over time", (-15.0, 15.0)),
        ("time", "sigma", "t", "σ", "σ over time", (0.0, 1.02)),
        ("logsnr", "sigma", "λ", "σ", "σ over λ", (0.0, 1.02)),
        ("logsnr", "logsnr_density", "λ", "p(λ)", "p over λ", None),
        ("sigma", "sigma_density", "σ", "p(σ)", "p over σ", (0.0, 6.0)),
        ("time", "slope", "t", "dλ/dt", "speed dλ/dt", (-60.0, 0.0)),
    )
    return tuple(
        Chart(
            {key: getattr(view, place) for key, view in drawn.items()},
            {key: getattr(view, value) for key, view in drawn.items()},
            xlabel=xlabel,
            ylabel=ylabel,
            title=title,
            xlim=RANGES[xlabel],
            ylim=ylim,
            colours={name: DENSITY_COLOURS[name], UNSHIFTED: REFERENCE},
            dashes={name: 0, UNSHIFTED: 1},
        )
        for place, value, xlabel, ylabel, title, ylim in panels
    )


# --- the live loss --------------------------------------------------------------------------------


def loss_chart(state: State, here: Filling | None, before: Filling | None) -> Chart:
    """The loss by log-SNR as far as it has been drawn.

    Args:
        state: A value for each control.
        here: The loss with these settings; None before anything was drawn.
        before: The loss of the run before with other settings; None if there was none.

    Returns:
        The chart.
    """
    middle = schedule_experiments.bin_middles()
    empty = np.full(len(middle), np.nan)
    mean, stderr = (here.mean, here.stderr) if here else (empty, empty)
    curves = {EXACT: live_mmse(state), NOW: mean}
    if before:
        curves[BEFORE] = before.mean
    spread = np.nan_to_num(stderr)
    centre = np.nan_to_num(mean)
    return Chart(
        middle,
        curves,
        xlabel=plots.LOGSNR,
        ylabel="squared ε error",
        title="loss by log-SNR",
        xlim=(-12.0, 12.0),
        ylim=(0.0, 1.6),
        colours={NOW: SUBJECT, EXACT: REFERENCE, BEFORE: BESIDE},
        dashes={NOW: 0, EXACT: 1, BEFORE: 0},
        faint=(BEFORE,) if before else (),
        bands={NOW: (centre - spread, centre + spread)} if here else {},
    )


def laws_chart(state: State, here: Filling | None) -> Chart:
    """The density that draws, the one that adapts, and the best one.

    Args:
        state: A value for each control.
        here: The loss with these settings; None before anything was drawn.

    Returns:
        The chart.
    """
    middle = schedule_experiments.bin_middles()
    empty = np.full(len(middle), np.nan)
    best = CATALOGUE[state["weighting"]].weighting(middle) * live_mmse(state)
    start = law_of(state).pdf(middle + 2 * np.log(state["shift"]))
    curves = {
        DRAWN: here.density if here else (empty if state["adapts"] else start),
        ADAPTIVE: here.adaptive if here else empty,
        BEST: best / np.trapezoid(best, middle),
    }
    shade = BESIDE if state["adapts"] else DENSITY_COLOURS[state["density"]]
    return Chart(
        middle,
        curves,
        xlabel=plots.LOGSNR,
        ylabel="density per nat",
        title="the law that draws",
        xlim=(-12.0, 12.0),
        ylim=(0.0, 0.35),
        colours={DRAWN: shade, ADAPTIVE: SUBJECT, BEST: colours.BEST},
        dashes={DRAWN: 0, ADAPTIVE: 0, BEST: 1},
    )


def live_text(state: State, here: Filling | None) -> str:
    """How much has been drawn, and what both laws cost.

    Args:
        state: A value for each control.
        here: The loss with these settings; None before anything was drawn.

    Returns:
        The words.
    """
    if here is None:
        law = f"the law of {state['rule']}" if state["adapts"] else state["density"]
        what = "trains a network" if state["denoiser"] == NETWORK else "draws"
        return (
            f"Nothing is drawn yet. The button {what} under {law} and averages with decay "
            f"{state['decay']:g}, beside the law of {state['rule']}."
        )
    drawn = f"{here.batches} batches of {schedule_experiments.BATCH}"
    if state["denoiser"] == NETWORK:
        return f"{drawn}; a network on the two modes of gmm1, times √c"
    weighting, variance = CATALOGUE[state["weighting"]], variance_of(state)
    still, adaptive = (
        schedule_experiments.over_least(weighting, density, variance)
        for density in (here.density, here.adaptive)
    )
    return (
        f"{drawn}; E Y² over the least within |λ| ≤ 12: "
        f"{still:.3f} for the law that draws, {adaptive:.3f} for {state['rule']}"
    )
