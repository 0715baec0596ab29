"""The explorer of the ELBO: which ELBOs a weighted loss is a mixture of."""

from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.elbo import Data, known
from diffviz.lab.explorers.base import (
    RED,
    Explorer,
    control,
    figure_of,
    offer,
    parameter_sliders,
    require_option,
)
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.families import FAMILIES, Parameter
from diffviz.theory.objectives import Objective

DATA = {"N(0, 1)": "gaussian", "two modes (gmm1)": "gmm1", "ring of 8 (ring8)": "ring8"}
ENTRIES = (
    "elbo",
    "fm-ot",
    "iddpm-cosine",
    "ddpm-linear",
    "edm",
    "sd3",
    "min-snr-5-eps",
    "p2-gamma1",
    "indi",
)
WEIGHTINGS = (*FAMILIES, *ENTRIES)
SLIDERS = 3  # the most parameters that a family has

# curves: the name in the legend, which is also the gid of the line
LAW, W, NEGATIVE = "−dw/dλ, scaled", "w / max", "negative"
MIXED, DIRECT = "−w′·L: as ELBOs", "½w·mmse: as errors"
COLOURS = {LAW: "#0072B2", MIXED: "#0072B2", W: "0.55", DIRECT: "0.55", NEGATIVE: RED}


class Mixture(NamedTuple):
    """A weighted loss, as a mean of errors and as a signed mixture of ELBOs.

    Args:
        logsnr: Grid of λ in nats, shape (n,).
        plain: The weighting as it is, shape (n,).
        w: The weighting that is drawn, which may be held at its peak, shape (n,).
        verdicts: The verdict on w for each of ``DATA``, in their order.
        information: I(x; z_λ) of the chosen data on the grid, in nats, shape (n,).
        mmse: Error of the exact denoiser on the grid, shape (n,).
        loss: The loss as ½ ∫ w·mmse dλ.
        mixture: The loss as a signed mixture of ELBOs.
    """

    logsnr: NDArray
    plain: NDArray
    w: NDArray
    verdicts: tuple[analysis.Verdict, ...]
    information: NDArray
    mmse: NDArray
    loss: float
    mixture: float

    @property
    def is_flat(self) -> bool:
        """Whether w is constant, so that its derivative is only rounding noise."""
        return bool(np.ptp(self.w) < 1e-9 * self.w.max())

    @property
    def law(self) -> NDArray:
        """−dw/dλ, the signed law of noise levels; 0 for a constant w, shape (n,)."""
        law = self.verdicts[0].augmentation
        return 0 * law if self.is_flat else law

    @property
    def scaled_law(self) -> NDArray:
        """−dw/dλ over its largest absolute value, shape (n,)."""
        return self.law if self.is_flat else self.law / np.abs(self.law).max()


class ElboExplorer(Explorer):
    """Any weighting as a mixture of ELBOs.

    On the left is the law of noise levels −dw/dλ, with its negative part in red; on the right what
    each level adds to the loss, as an ELBO and as an error. The text gives the verdict, the loss by
    both routes, and the gap of the unweighted ELBO to −log p.

    Args:
        weighting: Parametric family or entry of the catalogue at first, one of ``WEIGHTINGS``.
        data: Data at first, a key of ``DATA``.

    Raises:
        ValueError: A name is unknown.
    """

    def __init__(self, weighting: str = "EDM", data: str = "two modes (gmm1)"):
        module = "diffviz.lab.explorers.elbo"
        require_option("weighting", weighting, WEIGHTINGS, f"{module}.WEIGHTINGS")
        require_option("data", data, DATA, f"{module}.DATA")
        self.data = {label: known(toy) for label, toy in DATA.items()}
        self.panels = plots.axes(8.6, 4.2, columns=2)
        controls = self._make_controls(weighting, data)
        super().__init__(figure_of(self.panels[0]), controls, self._update)

    def objective(self) -> Objective:
        """The objective that is chosen in the menu, with the values of the sliders."""
        name = self.controls["weighting"].value
        if name in CATALOGUE:
            return CATALOGUE[name]
        values = {
            parameter.name: self.controls[f"p{index}"].value
            for index, parameter in enumerate(_parameters(name))
        }
        return FAMILIES[name].build(**values)

    def _make_controls(self, weighting: str, data: str) -> dict[str, Any]:
        """The controls by name, from top to bottom; a new one is read where it is used."""
        sliders = parameter_sliders(SLIDERS)
        offer(list(sliders.values()), _parameters(weighting))
        slider, menu = widgets.FloatSlider, widgets.Dropdown
        return {
            "weighting": control(menu, "weighting", options=WEIGHTINGS, value=weighting),
            **sliders,
            "held": control(
                widgets.Checkbox, "hold w at its peak to the left", False, indent=False
            ),
            "data": control(menu, "data", options=list(DATA), value=data),
            "low": control(slider, "from λ_min", -20.0, min=-20, max=-3, step=0.25),
            "high": control(slider, "to λ_max", 10.0, min=3, max=20, step=0.25),
        }

    def _chosen_data(self) -> Data:
        """The data that are chosen."""
        return self.data[self.controls["data"].value]

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        if changed == "weighting":
            sliders = [self.controls[f"p{index}"] for index in range(SLIDERS)]
            offer(sliders, _parameters(self.controls["weighting"].value))
        mixture = self._mixture()
        self._draw_law(mixture)
        self._draw_shares(mixture)
        if not changed:  # the first drawing
            self._furnish_axes()
        self._fit_height()
        return self._describe(mixture)

    def _mixture(self) -> Mixture:
        """The weighted loss by both routes."""
        objective, data = self.objective(), self._chosen_data()
        low, high = self.controls["low"].value, self.controls["high"].value
        logsnr = analysis.window(objective, low=low, high=high, points=801)
        plain = objective.weighting(logsnr)
        w = plain
        if self.controls["held"].value:  # the least non-increasing curve above w
            w = np.maximum.accumulate(plain[::-1])[::-1]
        verdicts = tuple(
            analysis.verdict(w, logsnr, information=toy.information) for toy in self.data.values()
        )
        mmse, information = data.mmse(logsnr), data.information(logsnr)
        # ½ ∫ w·mmse dλ by parts, since dI/dλ = mmse/2: the values at both ends less ∫ I dw, with I
        # at the middle of each step
        middle = data.information((logsnr[1:] + logsnr[:-1]) / 2)
        ends = w[-1] * information[-1] - w[0] * information[0]
        return Mixture(
            logsnr=logsnr,
            plain=plain,
            w=w,
            verdicts=verdicts,
            information=information,
            mmse=mmse,
            loss=np.trapezoid(w * mmse, logsnr) / 2,
            mixture=ends - np.diff(w) @ middle,
        )

    def _draw_law(self, mixture: Mixture) -> None:
        """Draw the weighting and the law of noise levels on the left."""
        law = mixture.scaled_law
        plots.lines(
            mixture.logsnr,
            {W: mixture.w / mixture.w.max(), NEGATIVE: hatched(law), LAW: law},
            xlabel=plots.LOGSNR,
            ylabel="scaled to the largest value",
            title="the law of noise levels",
            outside=None,
            colours=COLOURS.__getitem__,
            ax=self.panels[0],
        )

    def _draw_shares(self, mixture: Mixture) -> None:
        """Draw what each level adds to the loss on the right."""
        as_elbos = mixture.law * mixture.information / mixture.loss
        as_errors = mixture.w * mixture.mmse / 2 / mixture.loss
        plots.lines(
            mixture.logsnr,
            {DIRECT: as_errors, NEGATIVE: hatched(as_elbos), MIXED: as_elbos},
            xlabel=plots.LOGSNR,
            ylabel="share of the loss per nat",
            title="what each level adds to the loss",
            outside=None,
            colours=COLOURS.__getitem__,
            ax=self.panels[1],
        )

    def _furnish_axes(self) -> None:
        """Set limits, legends and the line at zero; once is enough."""
        left, right = self.panels
        _furnish_panel(left, (W, LAW, NEGATIVE))
        _furnish_panel(right, (DIRECT, MIXED))
        left.set_ylim(-1.1, 1.6)

    def _fit_height(self) -> None:
        """Set the limits of y on the right, in powers of two so that a slider seldom moves them."""
        right = self.panels[1]
        curves = [line for line in right.lines if line.get_gid() in (MIXED, DIRECT)]
        values = np.concatenate([np.asarray(line.get_ydata()) for line in curves])
        top = 0.4 * 2 ** max(0, np.ceil(np.log2(max(values.max(), 1e-9) / 0.3)))
        bottom = -top / 8 if values.min() > -top / 9 else -top
        if right.get_ylim() != (bottom, top):
            right.set_ylim(bottom, top)

    def _describe(self, mixture: Mixture) -> str:
        """The verdict, the loss by both routes and the gap of the ELBO, as HTML."""
        end = mixture.w[-1] * mixture.information[-1]
        loss = (
            f"loss ½∫w·mmse dλ = {mixture.loss:.4g}, "
            f"as a signed mixture of ELBOs {mixture.mixture:.4g}; "
            f"λ_max alone {end / mixture.loss:.1%}"
        )
        if self.controls["held"].value:
            unheld = np.trapezoid(mixture.plain * mixture.mmse, mixture.logsnr) / 2
            loss += f"; holding w at its peak added {mixture.loss / unheld - 1:.2%}"
        rows = [describe_verdicts(mixture.verdicts), loss, self._describe_gap()]
        return "<br>".join(rows).replace("-", "−")

    def _describe_gap(self) -> str:
        """The unweighted ELBO of the data between the ends of λ, beside their entropy."""
        low, high = self.controls["low"].value, self.controls["high"].value
        data = self._chosen_data()
        nats = sum(data.terms(low, high))
        return (
            f"E[−ELBO] = {nats:.5f} nats on [{low:g}, {high:g}], entropy {data.entropy:.5f}, "
            f"<b>gap {nats - data.entropy:.2g}</b>"
        )


def hatched(values: NDArray) -> NDArray:
    """The part of a curve below 0 as a zigzag with the axis, which a thick line fills.

    Args:
        values: The curve, shape (n,).

    Returns:
        0 and the value in turns where it is negative, NaN elsewhere, shape (n,).
    """
    is_odd = np.arange(len(values)) % 2
    return np.where(values < 0, np.where(is_odd, values, 0.0), np.nan)


def describe_verdicts(verdicts: tuple[analysis.Verdict, ...]) -> str:
    """The verdict on a weighting in words.

    Args:
        verdicts: The verdict for each of ``DATA``, in their order. They differ only in the share of
            the mixture that is negative.

    Returns:
        The words as HTML.
    """
    first = verdicts[0]
    if first.monotone:
        return f"<b>{first}</b>"
    shares = ", ".join(
        f"{verdict.negative_share:.2%} on {label}"
        for label, verdict in zip(DATA, verdicts, strict=True)
    )
    return f"<b>not monotone: peak at {round(first.peak, 2) + 0.0:.2f}</b>; negative {shares}"


def _parameters(weighting: str) -> tuple[Parameter, ...]:
    """The parameters of a family, none for an entry of the catalogue."""
    return FAMILIES[weighting].parameters if weighting in FAMILIES else ()


def _furnish_panel(ax: Axes, names: tuple[str, ...]) -> None:
    """Set the limits of x, the line at zero and a legend of ``names``, and style the curves."""
    ax.set_xlim(-20, 20)
    ax.axhline(0, color="0.4", lw=0.8)
    lines = {line.get_gid(): line for line in ax.lines}
    lines[f"{NEGATIVE}:ends"].set_visible(False)  # ``plots.lines`` puts dots at the ends of curves
    lines[NEGATIVE].set_alpha(0.45)
    for name, line in lines.items():
        if name in COLOURS:
            line.set_linestyle(plots.DASHES[1] if name in (W, DIRECT) else "-")
    handles = [lines[name] for name in names]
    ax.legend(handles, names, frameon=False, fontsize=9, handlelength=3, loc="upper right")
