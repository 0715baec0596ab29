"""The explorers of policies.

One shows how well a weighted loss stands in for log p when a policy changes at two scales at once;
the other trains policies while one looks on.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.explorers.base import RED, Explorer, control, figure_of, show
from diffviz.theory import elbo_mixture

DRAWS = {"none: the exact loss": 0} | {str(draws): draws for draws in policy_experiments.DRAWS}

Draws = tuple[NDArray, NDArray, NDArray]  # λ (m, n), factors (m, n) and noise (m, n, 2)


class Comparison(NamedTuple):
    """A surrogate beside the exact log-ratio.

    Args:
        exact: Exact log-ratio of each action, shape (n,).
        singles: Surrogate of each action from single draws, shape (m, n); m = 1 for the exact loss.
        gain: Gain κ(1) of the weighting at the coarse scale.
        fine_gain: Gain κ(c) at the fine scale.
    """

    exact: NDArray
    singles: NDArray
    gain: float
    fine_gain: float

    @property
    def surrogate(self) -> NDArray:
        """Surrogate of each action, the mean over draws, shape (n,)."""
        return self.singles.mean(0)


class PolicyExplorer(Explorer):
    """The surrogate of a policy against the exact log-ratio.

    The policy is N(0, diag(1, c)), and its mean moves in both directions. On the left is one dot
    for each action, on the right the gain κ of the weighting by c.

    Args:
        weighting: Weighting at first, a key of ``diffviz.lab.experiments.policy.WEIGHTINGS`` or of
            the catalogue.
        n: Number of actions.

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: The weighting is unknown, or there are fewer than three actions.
    """

    def __init__(self, weighting: str = "fm-ot", n: int = 200):
        policy_experiments.known(weighting)  # refuses an unknown name
        n = checks.count(n, "n", least=0)
        if n < 3:
            raise ValueError(f"a correlation takes three actions or more, got {n}")
        self.x = np.random.default_rng(0).standard_normal((n, 2))
        self._seed = 0
        self._draws: dict[tuple[str, int, int], Draws] = {}
        self.panels = plots.axes(8.6, 4.2, columns=2)
        left, right = self.panels
        left.axline((0, 0), slope=1, color="black", lw=1.2, ls=plots.DASHES[2])
        right.axhline(0, color="black", lw=1.5, ls=plots.DASHES[1])
        scales = policy_experiments.SCALES
        (self.dots,) = left.plot([], [], "o", ms=4, alpha=0.6, mew=0, gid="surrogate")
        (self.curve,) = right.plot(np.log10(scales), 0 * scales, lw=2, gid="gain")
        (self.here,) = right.plot([], [], "o", ms=9, gid="here")
        self._furnish_axes()
        super().__init__(figure_of(left), self._make_controls(weighting), self._update)

    def drawn(self, name: str, m: int) -> Draws:
        """Draws of λ and of noise for all actions, the same until "Draw again" is pressed.

        Args:
            name: Name of the weighting.
            m: Number of draws for each action.

        Returns:
            λ in nats and factors, both of shape (m, n), and noise of shape (m, n, 2).
        """
        key = name, m, self._seed
        if key not in self._draws:
            rng = np.random.default_rng(self._seed)
            logsnr, factor = policy_experiments.known(name).draw(m * len(self.x), rng)
            noise = rng.standard_normal((m, *self.x.shape))
            self._draws = {key: (logsnr.reshape(m, -1), factor.reshape(m, -1), noise)}
        return self._draws[key]

    @staticmethod
    def _make_controls(weighting: str) -> dict[str, Any]:
        """The controls by name."""
        names = tuple(dict.fromkeys((*policy_experiments.WEIGHTINGS, weighting)))
        menu, slider = widgets.Dropdown, widgets.FloatSlider
        return {
            "weighting": control(menu, "weighting", options=names, value=weighting),
            "log c": control(slider, "log₁₀ c", -2.0, min=-4, max=1, step=0.1),
            "fine": control(slider, "fine share", 0.5, min=0, max=1, step=0.05),
            "size": control(slider, "size", 0.6, min=0.1, max=1.2, step=0.05),
            "draws": control(menu, "draws", options=DRAWS, value=0),
            "again": widgets.Button(description="Draw again"),
        }

    def _furnish_axes(self) -> None:
        """Set labels and limits."""
        left, right = self.panels
        left.set(
            xlim=(-3, 3),
            ylim=(-3, 3),
            xlabel="exact log-ratio of an action",
            ylabel="surrogate / κ(1)",
            title="one dot an action; dotted: equal",
        )
        right.set(
            xlim=(-4.1, 1.1),
            ylim=(-3.6, 1.1),
            xlabel="log₁₀ c   [fine ← → coarse]",
            ylabel="log₁₀ κ(c)/κ(1)",
            title="gain; dashed: that of the ELBO",
        )

    def _variance(self) -> float:
        """The variance c of the second direction."""
        return 10.0 ** self.controls["log c"].value

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        if changed == "again":
            self._seed += 1
        show(self.controls["again"], self.controls["draws"].value > 0)
        comparison = self._compare()
        self._draw(comparison)
        return self._describe(comparison)

    def _compare(self) -> Comparison:
        """The exact log-ratio of each action and its surrogate."""
        name, draws = self.controls["weighting"].value, self.controls["draws"].value
        variance, fine = self._variance(), self.controls["fine"].value
        move = self.controls["size"].value * np.sqrt([1 - fine, fine])
        parts = self.x * move - move**2 / 2  # log-ratio of each direction, (n, 2)
        weighting = policy_experiments.known(name)
        gain, fine_gain = (elbo_mixture.gain(weighting, scale) for scale in (1.0, variance))
        if draws:
            at = self.drawn(name, draws)
            singles = policy_experiments.two_scales(self.x, variance, move, at)
        else:
            singles = (parts @ np.array([gain, fine_gain]))[None]
        return Comparison(parts.sum(1), singles, gain, fine_gain)

    def _draw(self, comparison: Comparison) -> None:
        """Move the dots on the left, the curve of the gain and the point on it on the right."""
        name = self.controls["weighting"].value
        ratio = comparison.fine_gain / comparison.gain
        self.dots.set_data(comparison.exact, comparison.surrogate / comparison.gain)
        self.curve.set_ydata(np.log10(policy_experiments.gains(name)))
        self.here.set_data(np.log10([self._variance()]), np.log10([ratio]))
        for line in (self.dots, self.curve, self.here):
            line.set_color(plots.colour(name))

    def _describe(self, comparison: Comparison) -> str:
        """The gains, the correlation and the mean ratio, as HTML."""
        exact, singles, gain, fine_gain = comparison
        ratio = fine_gain / gain
        coarse_share = 1 - self.controls["fine"].value
        correlation = np.corrcoef(exact, comparison.surrogate)[0, 1]
        expected = policy_experiments.two_scale_correlation(ratio, coarse_share)
        with np.errstate(over="ignore"):
            exact_mean = np.exp(exact).mean()
            surrogate_mean = np.exp(comparison.surrogate / gain).mean()
            single_mean = np.exp(singles / gain).mean()
        rows = [
            f"gain κ(1) = {gain:.4f}, <b>κ(c) = {fine_gain:.4f}</b> "
            f"at c = {self._variance():.3g}, ratio {ratio:.4f}",
            f"<b>correlation with the exact log-ratio {correlation:.3f}</b> "
            f"(without noise, over all actions: {expected:.3f})",
            f"mean of exp(surrogate / κ(1)): {surrogate_mean:.3g}, "
            f"of the exact ratio {exact_mean:.3g}",
        ]
        if self.controls["draws"].value:
            rows[-1] += f"; with the exponential before the average over draws {single_mean:.3g}"
        return "<br>".join(rows)


METHODS = {"FPO": "fpo", "AWR": "awr", "DPO": "dpo", "DDPO": "ddpo"}
PREFERENCE_OPTIONS: dict[str, Any] = {"batch": 1024, "epochs": 4, "beta": 1.0}  # of DPO


@dataclass(frozen=True)
class LearningSettings:
    """What the controls say of the next learning.

    Args:
        method: A key of ``METHODS``.
        weighting: Name of the weighting of the surrogate.
        keep: Factor of the KL term to the first policy.
        batches: Number of batches of actions.
        seed: Seed of policy and actions.
    """

    method: str
    weighting: str
    keep: float
    batches: int
    seed: int

    def __str__(self) -> str:
        method = f"{self.method}, weighting of {self.weighting}"
        if self.method == "DDPO":
            method = "DDPO on the sampling chain (it has no weighting)"
        kl_term = f"KL term {self.keep:g}" if self.keep else "no KL term"
        return f"{method}, {kl_term}, seed {self.seed}, {self.batches} batches"


class LearningExplorer(Explorer):
    """A flow policy that learns from reward or preference, batch by batch.

    On the left is the mean reward, in the middle the number of goals that are kept, and on the
    right are the actions. The kernel's stop button ends the learning; what is learned stays.
    """

    def __init__(self) -> None:
        from diffviz.policy import bandit

        self.history = bandit.History(bandit.Flow(0))
        self.panels = plots.axes(8.6, 3.6, columns=3)
        reward, goals, cloud = self.panels
        figure = figure_of(reward)
        figure.subplots_adjust(bottom=0.22)
        self._notice = figure.text(0.99, 0.02, "", ha="right", fontsize=9, color=RED, gid="next")
        shade = plots.PALETTE[0]
        (self.reward,) = reward.plot([], [], lw=2, gid="reward")
        (self.goals,) = goals.plot([], [], lw=2, color=shade, gid="goals")
        cloud.plot(*bandit.FourGoals.goals.T, "+", ms=12, mew=2, color="0.3")
        (self.cloud,) = cloud.plot([], [], ".", ms=4, alpha=0.6, mew=0, color=shade, gid="actions")
        self._furnish_axes()
        super().__init__(figure, self._make_controls(), self._update)

    @staticmethod
    def _make_controls() -> dict[str, Any]:
        """The controls by name."""
        menu, whole = widgets.Dropdown, widgets.IntSlider
        names = list(policy_experiments.WEIGHTINGS)
        default = policy_experiments.DEFAULT
        return {
            "method": control(menu, "method", options=list(METHODS)),
            "weighting": control(menu, "weighting", options=names, value=default),
            "keep": control(widgets.FloatSlider, "KL term", 0.0, min=0, max=0.5, step=0.05),
            "batches": control(whole, "batches", 12, min=2, max=60),
            "seed": control(whole, "seed", 0, min=0, max=9),
            "learn": widgets.Button(description="Learn"),
        }

    def _furnish_axes(self) -> None:
        """Set labels and limits."""
        reward, goals, cloud = self.panels
        label = "batches of actions"
        reward.set(ylim=(0, 1.02), xlabel=label, title="mean reward")
        goals.set(ylim=(0, 4.3), xlabel=label, title="goals kept", yticks=range(5))
        cloud.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title="actions; + goals")

    def _settings(self) -> LearningSettings:
        """What the controls say."""
        names = ("method", "weighting", "keep", "batches", "seed")
        return LearningSettings(**{name: self.controls[name].value for name in names})

    def _update(self, changed: str) -> str:
        """Learn if the button was pressed; else say what the next learning will be."""
        settings = self._settings()
        if not changed:
            self._draw(self.history)
        if changed in ("", "learn"):
            for ax in self.panels[:2]:
                ax.set_xlim(0, settings.batches)
            self._notice.set_text("")
        else:
            self._notice.set_text(f"at the next Learn: {settings}")
        if changed != "learn":
            return f"{settings}: press <b>Learn</b>"
        return self._describe(settings, self._learn(settings))

    def _learn(self, settings: LearningSettings) -> Any:
        """Learn anew, and return the history."""
        from diffviz.policy import bandit

        return bandit.learn(
            METHODS[settings.method],
            iterations=settings.batches,
            callback=self._follow,
            objective=policy_experiments.known(settings.weighting),
            keep=settings.keep,
            seed=settings.seed,
            **(PREFERENCE_OPTIONS if settings.method == "DPO" else {}),
        )

    def _follow(self, history: Any) -> None:
        """Show a history after a batch."""
        self._draw(history)
        self._show_picture()

    def _draw(self, history: Any) -> None:
        """Draw reward and goals by batch, and 300 actions of the policy as it is."""
        import torch

        from diffviz.policy import bandit

        self.history = history
        batches = np.arange(len(history.reward))
        actions = bandit.act(history.model, 300, torch.Generator().manual_seed(1))[-1]
        self.reward.set_data(batches, history.reward)
        self.goals.set_data(batches, history.goals)
        self.cloud.set_data(*actions.numpy().T)

    @staticmethod
    def _describe(settings: LearningSettings, history: Any) -> str:
        """Reward and goals before and after, as HTML."""
        done = len(history.reward) - 1  # the first entry is the policy before any batch
        stopped = f" (stopped after {done})" if done < settings.batches else ""
        return (
            f"{settings}{stopped}: reward {history.reward[0]:.2f} → "
            f"<b>{history.reward[-1]:.2f}</b>, goals kept: <b>{history.goals[-1]}</b>"
        )
