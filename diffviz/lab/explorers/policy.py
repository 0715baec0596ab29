"""How well a weighted loss stands in for log p when a policy changes at two scales at once, and policies that learn while one looks on."""

from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.explorers.base import Explorer, control, show
from diffviz.theory import elbo_mixture

CHOICES = {"none: the exact loss": 0} | {str(m): m for m in policy_experiments.DRAWS}


class PolicyExplorer(Explorer):
    """The surrogate of a policy N(0, diag(1, c)) whose mean moves in both directions, against the exact log-ratio.

    Args:
        weighting: at first, one of ``policy_figures.WEIGHTINGS`` or of the catalogue.
        n: actions.
    Raises:
        ValueError: for an unknown weighting, or fewer than three actions.
    """

    def __init__(self, weighting: str = "fm-ot", n: int = 200):
        policy_experiments.known(weighting)
        if n < 3:
            raise ValueError(f"a correlation takes three actions or more, got {n}")
        names = tuple(dict.fromkeys((*policy_experiments.WEIGHTINGS, weighting)))
        self.x = np.random.default_rng(0).standard_normal((n, 2))
        self._draws: dict[tuple[str, int, int], tuple[NDArray, NDArray, NDArray]] = {}
        self.controls: dict[str, Any] = {
            "weighting": control(w.Dropdown, "weighting", options=names, value=weighting),
            "log c": control(w.FloatSlider, "log₁₀ c", -2.0, min=-4, max=1, step=0.1),
            "fine": control(w.FloatSlider, "fine share", 0.5, min=0, max=1, step=0.05),
            "size": control(w.FloatSlider, "size", 0.6, min=0.1, max=1.2, step=0.05),
            "draws": control(w.Dropdown, "draws", options=CHOICES, value=0),
            "again": w.Button(description="Draw again"),
        }
        self._seed, self.panels = 0, plots.axes(8.6, 4.2, columns=2)
        left, right = self.panels
        left.axline((0, 0), slope=1, color="black", lw=1.2, ls=plots.DASHES[2])
        right.axhline(0, color="black", lw=1.5, ls=plots.DASHES[1])
        (self.dots,) = left.plot([], [], "o", ms=4, alpha=0.6, mew=0, gid="surrogate")
        (self.curve,) = right.plot(
            np.log10(policy_experiments.SCALES), 0 * policy_experiments.SCALES, lw=2, gid="gain"
        )
        (self.here,) = right.plot([], [], "o", ms=9, gid="here")
        left.set(
            xlabel="exact log-ratio of an action",
            ylabel="surrogate / κ(1)",
            title="one dot an action; dotted: equal",
        )
        right.set(
            xlabel="log₁₀ c   [fine ← → coarse]",
            ylabel="log₁₀ κ(c)/κ(1)",
            title="gain; dashed: that of the ELBO",
        )
        left.set(xlim=(-3, 3), ylim=(-3, 3))
        right.set(xlim=(-4.1, 1.1), ylim=(-3.6, 1.1))
        super().__init__(cast(Figure, self.panels[0].figure), self.controls, self._show)

    def drawn(self, name: str, m: int) -> tuple[NDArray, NDArray, NDArray]:
        """Levels, factors (m, n) and noise (m, n, 2); the same until "Draw again" is pressed."""
        key = name, m, self._seed
        if key not in self._draws:
            rng = np.random.default_rng(self._seed)
            logsnr, factor = (
                one.reshape(m, -1)
                for one in policy_experiments.known(name).draw(m * len(self.x), rng)
            )
            self._draws = {key: (logsnr, factor, rng.standard_normal((m, *self.x.shape)))}
        return self._draws[key]

    def _show(self, changed: str) -> str:
        c = self.controls
        self._seed += changed == "again"
        show(c["again"], c["draws"].value > 0)
        name, scale, m = c["weighting"].value, 10.0 ** c["log c"].value, c["draws"].value
        move = c["size"].value * np.sqrt([1 - c["fine"].value, c["fine"].value])
        parts = self.x * move - move**2 / 2  # log-ratio of each direction
        exact, (one, fine) = (
            parts.sum(1),
            (elbo_mixture.gain(policy_experiments.known(name), s) for s in (1.0, scale)),
        )
        mean = parts @ np.array([one, fine])
        singles = (
            policy_experiments.two_scales(self.x, scale, move, self.drawn(name, m))
            if m
            else mean[None]
        )
        found = singles.mean(0)
        with np.errstate(over="ignore"):
            ratios = np.exp(exact).mean(), np.exp(found / one).mean(), np.exp(singles / one).mean()

        self.dots.set_data(exact, found / one)
        self.curve.set_ydata(np.log10(policy_experiments.gains(name)))
        self.here.set_data(np.log10([scale]), np.log10([fine / one]))
        for artist in (self.dots, self.curve, self.here):
            artist.set_color(plots.colour(name))
        r = np.corrcoef(exact, found)[0, 1]
        rows = [
            f"gain κ(1) = {one:.4f}, <b>κ(c) = {fine:.4f}</b> at c = {scale:.3g}, ratio {fine / one:.4f}"
        ]
        wanted = policy_experiments.two_scale_correlation(fine / one, 1 - c["fine"].value)
        rows += [
            f"<b>correlation with the exact log-ratio {r:.3f}</b> (without noise, over all actions: {wanted:.3f})"
        ]
        rows += [
            f"mean of exp(surrogate / κ(1)): {ratios[1]:.3g}, of the exact ratio {ratios[0]:.3g}"
        ]
        if m:
            rows[-1] += f"; with the exponential before the average over draws {ratios[2]:.3g}"
        return "<br>".join(rows)


METHODS = {"FPO": "fpo", "AWR": "awr", "DPO": "dpo", "DDPO": "ddpo"}


class LearningExplorer(Explorer):
    """A flow policy that learns from reward or preference, batch by batch; the kernel's stop button ends it, what is learned stays."""

    def __init__(self) -> None:
        from diffviz.policy import bandit

        self.controls: dict[str, Any] = {
            "method": control(w.Dropdown, "method", options=list(METHODS)),
            "weighting": control(
                w.Dropdown,
                "weighting",
                options=list(policy_experiments.WEIGHTINGS),
                value=policy_experiments.DEFAULT,
            ),
            "keep": control(w.FloatSlider, "KL term", 0.0, min=0, max=0.5, step=0.05),
            "batches": control(w.IntSlider, "batches", 12, min=2, max=60),
            "seed": control(w.IntSlider, "seed", 0, min=0, max=9),
            "learn": w.Button(description="Learn"),
        }
        self.panels, self.history = plots.axes(8.6, 3.6, columns=3), bandit.History(bandit.Flow(0))
        reward, goals, cloud = self.panels
        reward.figure.subplots_adjust(bottom=0.22)
        self._next = reward.figure.text(
            0.99, 0.02, "", ha="right", fontsize=9, color="#CC3311", gid="next"
        )
        (self.reward,) = reward.plot([], [], lw=2, gid="reward")
        (self.goals,) = goals.plot([], [], lw=2, color=plots.PALETTE[0], gid="goals")
        cloud.plot(*bandit.FourGoals.goals.T, "+", ms=12, mew=2, color="0.3")
        (self.cloud,) = cloud.plot(
            [], [], ".", ms=4, alpha=0.6, mew=0, color=plots.PALETTE[0], gid="actions"
        )
        reward.set(ylim=(0, 1.02), xlabel="batches of actions", title="mean reward")
        goals.set(ylim=(0, 4.3), xlabel="batches of actions", title="goals kept", yticks=range(5))
        cloud.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title="actions; + goals")
        super().__init__(cast(Figure, reward.figure), self.controls, self._show)

    def _step(self, history: Any) -> None:
        """Show a history as it is; called after every batch."""
        import torch

        from diffviz.policy import bandit

        self.history, batches = history, np.arange(len(history.reward))
        self.reward.set_data(batches, history.reward)
        self.goals.set_data(batches, history.goals)
        self.cloud.set_data(
            *bandit.act(history.model, 300, torch.Generator().manual_seed(1))[-1].numpy().T
        )
        if hasattr(self, "_image"):
            self._image.value = self._picture.png()

    def _show(self, changed: str) -> str:
        from diffviz.policy import bandit

        c = self.controls
        if changed in ("", "learn"):
            for ax in self.panels[:2]:
                ax.set_xlim(0, c["batches"].value)
        if not changed:
            self._step(self.history)
        name = f"{c['method'].value}, weighting of {c['weighting'].value}"
        if c["method"].value == "DDPO":
            name = "DDPO on the sampling chain (it has no weighting)"
        name += f", KL term {c['keep'].value:g}" if c["keep"].value else ", no KL term"
        name += f", seed {c['seed'].value}, {c['batches'].value} batches"
        self._next.set_text(f"at the next Learn: {name}" if changed not in ("", "learn") else "")
        if changed != "learn":
            return f"{name}: press <b>Learn</b>"
        options = {
            "objective": policy_experiments.known(c["weighting"].value),
            "keep": c["keep"].value,
            "seed": c["seed"].value,
        }
        options |= {"batch": 1024, "epochs": 4, "beta": 1.0} if c["method"].value == "DPO" else {}
        found = bandit.learn(
            METHODS[c["method"].value],
            iterations=c["batches"].value,
            callback=self._step,
            **options,
        )
        done = f"reward {found.reward[0]:.2f} → <b>{found.reward[-1]:.2f}</b>, goals kept: <b>{found.goals[-1]}</b>"
        short = f" (stopped after {len(found.reward) - 1})" * (
            len(found.reward) <= c["batches"].value
        )
        return f"{name}{short}: {done}"
