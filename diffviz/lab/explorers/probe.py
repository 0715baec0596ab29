"""The explorer of the probe: what a training loss really weights."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.lab import losses as lab_losses
from diffviz.lab.experiments import probing
from diffviz.lab.experiments.probing import Reading
from diffviz.lab.explorers.colours import BESIDE, SUBJECT
from diffviz.lab.explorers.controls import anchor_slider, base_menu
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import LOGARITHMIC, LOOKS, SHORT_LOGSNR, drawn_limits, log10
from diffviz.plots.style import OTHERS
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.nearest import Match
from diffviz.theory.weightings import rebase
from diffviz.web.description import Control, Description, Menu, Paste, State, Switch
from diffviz.web.pictures import Chart, Note, Table, View

OWN = "own loss"
SIDES = ("loss", "beside")
RATIO = "ratio"
COLOURS = {"loss": SUBJECT, "beside": BESIDE, RATIO: OTHERS[2]}
DASHES = {"loss": 0, "beside": 2}  # so that each is seen under the other and under the nearest
CLOSE = 0.25  # deviation up to which an objective is called near
LOOK = LOOKS[LOGARITHMIC]
HEAD = ("loss", "target", "path", "nearest (deviates by)", "next nearest")
UNREAD = (
    "A link brought a loss, which has not been run. Read it in the box; if you trust it, press "
    "“run”. Until then the example stands in its place."
)


def probe_controls(names: tuple[str, ...]) -> tuple[Control, ...]:
    """The controls of the explorer.

    Args:
        names: Names of the losses.

    Returns:
        Two menus, a box for a loss of one's own, and how the curves are drawn.
    """
    options = (*names, OWN)
    return (
        Menu("loss", "loss", options, names[0], tip="The loss that is probed."),
        Menu("beside", "beside", options, names[1], tip="The loss that it is compared with."),
        Paste(
            "own",
            "own loss, loss(model, x)",
            probing.EXAMPLE,
            placeholder=probing.EXAMPLE,
            apply="run",
            accept=".py,.txt",
            tip="Python code, which runs in your kernel.",
        ),
        Switch("nearest", "nearest", True, tip="Draw the nearest published objective of each."),
        base_menu(),
        anchor_slider(reach=6),
    )


class ProbeExplorer(ViewExplorer):
    """Two losses probed beside each other, one of them one's own if one likes.

    On the left are their weightings over those of the nearest published objectives, on the right
    the ratio of the two. Under the picture stand the target and the path of each, the objectives
    that are nearest, and what the probe notes. A loss is probed once.

    A link may hold a loss. It is not run before a reader has pressed the button of the box.

    Args:
        losses: Name to ``loss(model, x)``, two or more; those of ``diffviz.lab.losses`` by default.
        x: Data to probe with, shape (n, *shape); by default 256 points of N(0, I) in the plane.
        **state: Values of controls at first, such as ``beside="EDM"``.

    Raises:
        TypeError: ``losses`` is no mapping, or ``x`` holds no real numbers.
        ValueError: There are fewer than two losses, or a number of ``x`` is not finite.
    """

    grid = np.linspace(-8, 8, 161)  # λ in nats

    def __init__(
        self,
        losses: Mapping[str, Callable[..., torch.Tensor]] | None = None,
        x: torch.Tensor | None = None,
        **state: Any,
    ):
        given: Any = lab_losses.LOSSES if losses is None else losses
        checks.require(isinstance(given, Mapping), "losses must map names to losses", TypeError)
        self.losses = dict(given)
        if len(self.losses) < 2:
            raise ValueError(f"two losses are compared, {len(self.losses)} given")
        checks.require(OWN not in self.losses, f"no loss can have the name {OWN!r}")
        self._has_default_data = x is None
        self.x = probing.default_data() if x is None else checks.tensor(x, "x")
        self._readings: dict[str, Reading] = {}
        description = Description("Probe", probe_controls(tuple(self.losses)))
        super().__init__(description, state)
        self._accepted = {probing.EXAMPLE, self.state["own"]}  # texts that may be run

    def measured(self, name: str) -> Reading:
        """The reading of a loss, which is probed when it is first asked for.

        Args:
            name: Name of the loss, a key of ``losses``.

        Returns:
            The reading.

        Raises:
            ValueError: The name is unknown, or the loss cannot be probed.
        """
        loss = self.losses[checks.one_of(name, "loss", self.losses)]
        if self._has_default_data and loss is lab_losses.LOSSES.get(name):
            return probing.library_reading(name)
        if name not in self._readings:
            self._readings[name] = probing.measure(loss, self.x)
        return self._readings[name]

    def settled(self, state: State, changed: str) -> State:
        """A loss that is run is shown, and may be run from now on.

        Args:
            state: The state with the new value.
            changed: Name of the control.

        Returns:
            The state, with the own loss on show.
        """
        if changed == "own":
            self._accepted.add(state["own"])
            if OWN not in (state["loss"], state["beside"]):
                state["loss"] = OWN
        return state

    def compute(self, state: State, changed: Changed) -> View:
        """The weightings of two losses, their ratio, and what the probe says of each.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, a table, and notes.

        Raises:
            ValueError: A loss cannot be probed, or the box cannot be run.
        """
        readings = {side: self._reading(state[side], state) for side in SIDES}
        notes = [
            Note(f"{side}: {note}") for side, reading in readings.items() for note in reading.notes
        ]
        is_unread = OWN in (state["loss"], state["beside"]) and state["own"] not in self._accepted
        warning = [Note(UNREAD, strong=True)] if is_unread else []
        charts = self._weightings(readings, state), self._ratio(readings, state)
        return View((*charts, reading_table(readings, state), *warning, *notes), columns=2)

    def _reading(self, name: str, state: State) -> Reading:
        """The reading of a loss, or of the one in the box."""
        if name != OWN:
            return self.measured(name)
        text = state["own"] if state["own"] in self._accepted else probing.EXAMPLE
        if text not in self._readings:
            self._readings[text] = own_reading(text, self.x)
        return self._readings[text]

    def _weightings(self, readings: dict[str, Reading], state: State) -> Chart:
        """Both weightings, and those of the nearest published objectives."""
        base, anchor = state["base"], state["anchor"]
        logs = {
            f"{side}: {state[side]}": logs_of(reading, self.grid, base)
            for side, reading in readings.items()
        }
        colours = {f"{side}: {state[side]}": COLOURS[side] for side in SIDES}
        dashes = {f"{side}: {state[side]}": DASHES[side] for side in SIDES}
        nearest = [match for reading in readings.values() for match in near_matches(reading)[:1]]
        for match in nearest if state["nearest"] else ():
            logs[match.name] = log10(CATALOGUE[match.name].weighting(self.grid, base))
            dashes[match.name] = 1
        curves = {name: anchored(values, self.grid, anchor) for name, values in logs.items()}
        return Chart(
            self.grid,
            curves,
            xlabel=SHORT_LOGSNR,
            ylabel=f"log₁₀ w on the {plots.ERROR_OF[base]} error",
            title="what both losses weight",
            ylim=drawn_limits(curves, LOOK),
            colours=colours,
            dashes=dashes,
        )

    def _ratio(self, readings: dict[str, Reading], state: State) -> Chart:
        """The ratio of the weightings, which is the same on every error."""
        loss, beside = (logs_of(readings[side], self.grid, "eps") for side in SIDES)
        ratio = anchored(loss - beside, self.grid, state["anchor"])
        low, high = drawn_limits({RATIO: ratio}, LOOK) or (-1, 1)
        return Chart(
            self.grid,
            {RATIO: ratio},
            xlabel=SHORT_LOGSNR,
            ylabel="log₁₀ (loss / beside)",
            title="the ratio of the two",
            ylim=(min(low, -1), max(high, 1)),
            colours=COLOURS,
        )


def own_reading(text: str, x: torch.Tensor) -> Reading:
    """The reading of a loss that is typed in.

    Args:
        text: Code that defines it.
        x: Data to probe with, shape (n, *shape).

    Returns:
        The reading.

    Raises:
        ValueError: The code fails, or the loss cannot be probed.
    """
    loss = probing.own_loss(text)
    try:
        return probing.measure(loss, x)
    except Exception as error:  # a reader looks for it in the lines that were typed
        raise ValueError(probing.in_own_lines(error)) from error


def logs_of(reading: Reading, grid: NDArray, base: str) -> NDArray:
    """log10 of a measured weighting on a grid.

    Args:
        reading: The reading.
        grid: λ in nats, shape (n,).
        base: The error on which it acts.

    Returns:
        The logarithms, shape (n,); NaN where the loss draws nothing.
    """
    is_drawn = (grid >= reading.logsnr[0]) & (grid <= reading.logsnr[-1])
    on_eps = np.interp(grid, reading.logsnr, log10(reading.w))
    on_base = on_eps + np.log10(rebase(np.ones(len(grid)), grid, "eps", base))
    return np.where(is_drawn, on_base, np.nan)


def anchored(logs: NDArray, grid: NDArray, anchor: float) -> NDArray:
    """Logarithms that are 0 at the anchor, or at the nearest level that is drawn.

    Args:
        logs: The logarithms, shape (n,); NaN where there are none.
        grid: λ in nats, shape (n,).
        anchor: λ in nats.

    Returns:
        The moved logarithms, shape (n,).
    """
    distance = np.where(np.isfinite(logs), abs(grid - anchor), np.inf)
    nearest_level = distance.argmin()
    return logs - logs[nearest_level]


def near_matches(reading: Reading) -> list[Match]:
    """The objectives whose weighting is close to a reading's.

    Args:
        reading: The reading.

    Returns:
        Those that deviate by at most a quarter, the nearest first.
    """
    return [match for match in reading.matches if match.deviation <= CLOSE]


def reading_table(readings: dict[str, Reading], state: State) -> Table:
    """Target, path and nearest objectives of each loss.

    Args:
        readings: "loss" and "beside" to their readings.
        state: A value for each control.

    Returns:
        The table.
    """
    rows = []
    for side, reading in readings.items():
        near = [f"{match.name} ({match.deviation:.1%})" for match in near_matches(reading)]
        first, second, *_ = [*near, "nothing close", ""]
        path, *_ = reading.path.split(" (")
        rows.append((state[side], reading.target, path, first, second))
    return Table(HEAD, rows, [COLOURS[side] for side in SIDES])
