"""Explorer of the ELBO notebook: slide a weighting and see which ELBOs its loss is a mixture of."""

from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments.elbo import known
from diffviz.lab.explorers.base import Explorer, control, offer
from diffviz.lab.figures.style import NEGATIVE as RED
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import Objective

DATA = {"N(0, 1)": "gaussian", "two modes (gmm1)": "gmm1", "ring of 8 (ring8)": "ring8"}
FIXED = (
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
LAW, W, NEGATIVE = "−dw/dλ, scaled", "w / max", "negative"
MIXED, DIRECT = "−w′·L: as ELBOs", "½w·mmse: as errors"
INK = {LAW: "#0072B2", MIXED: "#0072B2", W: "0.55", DIRECT: "0.55", NEGATIVE: RED}


def _hatched(values: NDArray) -> NDArray:
    """The part below 0 as a zigzag with the axis, which a thick line fills; NaN elsewhere."""
    return np.where(values < 0, np.where(np.arange(len(values)) % 2, values, 0.0), np.nan)


class ElboExplorer(Explorer):
    """Any weighting: its law of noise levels with the negative part, what each level's ELBO adds to the loss, and the gap to −log p.

    Args:
        weighting: parametric family or catalogue entry at first; data: one of ``DATA``.
    """

    def __init__(self, weighting: str = "EDM", data: str = "two modes (gmm1)"):
        names = (*FAMILIES, *FIXED)
        if weighting not in names:
            raise unknown(
                "weighting",
                weighting,
                names,
                "diffviz.theory.families.FAMILIES and elbo_explorer.FIXED",
            )
        if data not in DATA:
            raise unknown("data", data, DATA, "elbo_explorer.DATA")
        self.known = {name: known(toy) for name, toy in DATA.items()}
        self.controls: dict[str, Any] = {
            "weighting": control(w.Dropdown, "weighting", options=names, value=weighting),
            **{f"p{i}": control(w.FloatSlider, "", readout_format=".2f") for i in range(3)},
            "held": control(w.Checkbox, "hold w at its peak to the left", False, indent=False),
            "data": control(w.Dropdown, "data", options=list(DATA), value=data),
            "low": control(w.FloatSlider, "from λ_min", -20.0, min=-20, max=-3, step=0.25),
            "high": control(w.FloatSlider, "to λ_max", 10.0, min=3, max=20, step=0.25),
        }
        self._offer()
        self.panels = plots.axes(8.6, 4.2, columns=2)
        super().__init__(cast(Figure, self.panels[0].figure), self.controls, self._show)

    def _parameters(self) -> tuple:
        family = FAMILIES.get(self.controls["weighting"].value)
        return family.parameters if family else ()

    def _offer(self) -> None:
        offer([self.controls[f"p{i}"] for i in range(3)], self._parameters())

    def chosen(self) -> Objective:
        """The objective whose weighting is on show."""
        name, c = self.controls["weighting"].value, self.controls
        if name in CATALOGUE:
            return CATALOGUE[name]
        return FAMILIES[name].build(
            **{one[0]: c[f"p{i}"].value for i, one in enumerate(self._parameters())}
        )

    def _show(self, changed: str) -> str:
        if changed == "weighting":
            self._offer()
        c, one = self.controls, self.chosen()
        low, high = c["low"].value, c["high"].value
        logsnr = analysis.window(one, low=low, high=high, points=801)
        plain = one.weighting(logsnr)
        values = np.maximum.accumulate(plain[::-1])[::-1] if c["held"].value else plain
        here = self.known[c["data"].value]
        verdicts = [
            analysis.verdict(values, logsnr, information=other.information)
            for other in self.known.values()
        ]
        law, level = verdicts[0].augmentation, here.information(logsnr)
        loss = np.trapezoid(values * here.mmse(logsnr), logsnr) / 2
        middle = here.information((logsnr[1:] + logsnr[:-1]) / 2)
        mixture = values[-1] * level[-1] - values[0] * level[0] - np.diff(values) @ middle
        flat = np.ptp(values) < 1e-9 * values.max()  # rounding noise of a constant w is no law
        scaled = 0 * law if flat else law / np.abs(law).max()
        self._lines(
            logsnr,
            scaled,
            values / values.max(),
            (0 if flat else 1) * law * level / loss,
            values * here.mmse(logsnr) / 2 / loss,
        )
        if not changed:
            self._frame()
        self._limits(logsnr)
        shares = ", ".join(
            f"{v.negative_share:.2%} on {name}" for name, v in zip(DATA, verdicts, strict=True)
        )
        terms = sum(here.terms(low, high))
        words = (
            f"<b>{verdicts[0]}</b>"
            if verdicts[0].monotone
            else f"<b>not monotone: peak at {round(verdicts[0].peak, 2) + 0.0:.2f}</b>"
        )
        words += "" if verdicts[0].monotone else f"; negative {shares}"
        words += f"<br>loss ½∫w·mmse dλ = {loss:.4g}, as a signed mixture of ELBOs {mixture:.4g}"
        words += f"; λ_max alone {values[-1] * level[-1] / loss:.1%}"
        if c["held"].value:
            before = np.trapezoid(plain * here.mmse(logsnr), logsnr) / 2
            words += f"; holding w at its peak added {loss / before - 1:.2%}"
        words += f"<br>E[−ELBO] = {terms:.5f} nats on [{low:g}, {high:g}], entropy {here.entropy:.5f}, <b>gap {terms - here.entropy:.2g}</b>"
        return words.replace("-", "−")

    def _lines(
        self, logsnr: NDArray, law: NDArray, w_: NDArray, mixed: NDArray, direct: NDArray
    ) -> None:
        title, label = "the law of noise levels", "scaled to the largest value"
        curves = {W: w_, NEGATIVE: _hatched(law), LAW: law}
        plots.lines(
            logsnr,
            curves,
            xlabel=plots.LOGSNR,
            ylabel=label,
            title=title,
            outside=None,
            colours=INK.__getitem__,
            ax=self.panels[0],
        )
        title, label = "what each level adds to the loss", "share of the loss per nat"
        curves = {DIRECT: direct, NEGATIVE: _hatched(mixed), MIXED: mixed}
        plots.lines(
            logsnr,
            curves,
            xlabel=plots.LOGSNR,
            ylabel=label,
            title=title,
            outside=None,
            colours=INK.__getitem__,
            ax=self.panels[1],
        )

    def _frame(self) -> None:
        """Once: limits, legends, the zero line, and no dots at the ends of what is only shading."""
        for ax, names in zip(self.panels, ((W, LAW, NEGATIVE), (DIRECT, MIXED)), strict=True):
            ax.set_xlim(-20, 20)
            ax.axhline(0, color="0.4", lw=0.8)
            lines = {line.get_gid(): line for line in ax.lines}
            lines[f"{NEGATIVE}:ends"].set_visible(False)
            lines[NEGATIVE].set_alpha(0.45)
            for name, line in lines.items():
                if name in INK:
                    line.set_linestyle(plots.DASHES[1] if name in (W, DIRECT) else "-")
            ax.legend(
                [lines[name] for name in names],
                names,
                frameon=False,
                fontsize=9,
                handlelength=3,
                loc="upper right",
            )
        self.panels[0].set_ylim(-1.1, 1.6)

    def _limits(self, logsnr: NDArray) -> None:
        """Of the right panel, in steps, so that a slider seldom moves them."""
        right = self.panels[1]
        shown = np.concatenate(
            [
                np.asarray(line.get_ydata())
                for line in right.lines
                if line.get_gid() in (MIXED, DIRECT)
            ]
        )
        top = 0.4 * 2 ** max(0, np.ceil(np.log2(max(shown.max(), 1e-9) / 0.3)))
        bottom = -top / 8 if shown.min() > -top / 9 else -top
        if right.get_ylim() != (bottom, top):
            right.set_ylim(bottom, top)
