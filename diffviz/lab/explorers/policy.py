"""The explorers of policies.

One shows how well a weighted loss stands in for log p when a policy changes at two scales at once;
the other trains policies while one looks on.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.experiments import progress
from diffviz.lab.experiments.policy import Learned, Learning
from diffviz.lab.explorers.colours import BEST, REFERENCE
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import entry_chips
from diffviz.lab.explorers.work import Newest
from diffviz.plots.style import METHOD_COLOURS
from diffviz.web.description import Action, Chip, Chips, Control, Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Cloud, Note, Panel, Table, View, Working

NO_DRAWS = "none: the exact loss"
DRAWS = {NO_DRAWS: 0} | {str(draws): draws for draws in policy_experiments.DRAWS}
ROOM = -4.0, 4.0  # ends of the axes of actions: the first policy is N(0, I)
EQUAL = "equal"  # the line on which surrogate and log-ratio are the same

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


@lru_cache(4)
def drawn(name: str, m: int, n: int, seed: int) -> Draws:
    """Draws of λ and of noise for all actions.

    Args:
        name: Name of the weighting.
        m: Number of draws for each action.
        n: Number of actions.
        seed: Seed of the draws.

    Returns:
        λ in nats and factors, both of shape (m, n), and noise of shape (m, n, 2).
    """
    rng = np.random.default_rng(seed)
    logsnr, factor = policy_experiments.known(name).draw(m * n, rng)
    noise = rng.standard_normal((m, n, 2))
    return logsnr.reshape(m, -1), factor.reshape(m, -1), noise


def gain(name: str, variance: float) -> float:
    """Gain κ(c) of a weighting.

    Args:
        name: Name of the weighting.
        variance: The variance c.

    Returns:
        The gain.
    """
    return float(policy_experiments.gain_masses(name).gain(variance))


def weighting_chips() -> tuple[Chip, ...]:
    """The weightings of policies and the whole catalogue as options."""
    default = policy_experiments.DEFAULT
    own = Chip(default, "policy", "arXiv 2507.21053", plots.colour(default))
    return (own, *entry_chips())


def policy_controls(weighting: str) -> tuple[Control, ...]:
    """The controls of the explorer of surrogates.

    Args:
        weighting: A weighting that the menu offers besides those of policies.

    Returns:
        The controls.
    """
    names = tuple(dict.fromkeys((*policy_experiments.WEIGHTINGS, weighting)))
    noisy = {"draws": tuple(DRAWS)[1:]}
    return (
        Menu("weighting", "weighting", names, "fm-ot", tip="The weighting of the surrogate."),
        Slider("log_c", "log₁₀ c", -4, 1, 0.1, -2.0, tip="Variance of the fine direction."),
        Slider("fine", "fine share", 0, 1, 0.05, 0.5, tip="Share of the move that is fine."),
        Slider("size", "size", 0.1, 1.2, 0.05, 0.6, tip="Size of the move."),
        Menu("draws", "draws", tuple(DRAWS), NO_DRAWS, tip="Draws of λ and noise for an action."),
        Slider("seed", "draw again", 0, 50, 1, 0, whole=True, when=noisy, tip="Other draws."),
        Chips(
            "beside",
            "gains beside it",
            weighting_chips(),
            ("elbo", "edm"),
            most=4,
            tip="Weightings whose gain is drawn too.",
        ),
    )


class PolicyExplorer(ViewExplorer):
    """The surrogate of a policy against the exact log-ratio.

    The policy is N(0, diag(1, c)), and its mean moves in both directions. On the left is one dot
    for each action, on the right the gain κ of the weighting by c, beside that of others.

    Args:
        weighting: Weighting at first, a key of ``diffviz.lab.experiments.policy.WEIGHTINGS`` or of
            the catalogue.
        n: Number of actions.
        **state: Values of other controls at first, such as ``log_c=-1.0``.

    Raises:
        TypeError: ``n`` is no whole number, or a value is of the wrong kind.
        ValueError: The weighting is unknown, there are fewer than three actions, or a value is not
            allowed.
    """

    def __init__(self, weighting: str = "fm-ot", n: int = 200, **state: Any):
        policy_experiments.known(weighting)  # refuses an unknown name
        n = checks.count(n, "n", least=0)
        if n < 3:
            raise ValueError(f"a correlation takes three actions or more, got {n}")
        self.x = np.random.default_rng(0).standard_normal((n, 2))
        description = Description("Policies", policy_controls(weighting))
        super().__init__(description, {"weighting": weighting, **state})

    def compute(self, state: State, changed: Changed) -> View:
        """The surrogate against the log-ratio, the gains, and what they say.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, a table and notes.
        """
        comparison = compare(self.x, state)
        panels: tuple[Panel, ...] = (
            surrogate_chart(comparison, state),
            gain_chart(state),
            gain_table(state),
            *comparison_notes(comparison, state),
        )
        return View(panels, columns=2)


def variance_of(state: State) -> float:
    """The variance c of the second direction.

    Args:
        state: A value for each control.

    Returns:
        The variance.
    """
    return float(10.0 ** state["log_c"])


def compare(x: NDArray, state: State) -> Comparison:
    """The exact log-ratio of each action and its surrogate.

    Args:
        x: Standardised actions, shape (n, 2).
        state: A value for each control.

    Returns:
        The comparison.
    """
    name, draws = state["weighting"], DRAWS[state["draws"]]
    variance, fine = variance_of(state), state["fine"]
    move = state["size"] * np.sqrt([1 - fine, fine])
    parts = x * move - move**2 / 2  # log-ratio of each direction, (n, 2)
    gains = np.array([gain(name, 1.0), gain(name, variance)])
    if draws:
        at = drawn(name, draws, len(x), state["seed"])
        singles = policy_experiments.two_scales(x, variance, move, at)
    else:
        singles = (parts @ gains)[None]
    return Comparison(parts.sum(1), singles, *gains.tolist())


def surrogate_chart(comparison: Comparison, state: State) -> Chart:
    """One dot an action: its surrogate over its exact log-ratio.

    Args:
        comparison: The log-ratios and the surrogates.
        state: A value for each control.

    Returns:
        The chart.
    """
    name = state["weighting"]
    return Chart(
        np.array([-3.0, 3.0]),
        {EQUAL: np.array([-3.0, 3.0])},
        xlabel="exact log-ratio of an action",
        ylabel="surrogate / κ(1)",
        title="one dot an action: on the line is exact",
        ylim=(-3.0, 3.0),
        colours={EQUAL: BEST, name: plots.colour(name)},
        dashes={EQUAL: 1},
        dots={name: (comparison.exact, comparison.surrogate / comparison.gain)},
        under=(name,),
    )


def gain_chart(state: State) -> Chart:
    """The gain of the weighting by c, beside that of others.

    Args:
        state: A value for each control.

    Returns:
        The chart.
    """
    name = state["weighting"]
    here = gain(name, variance_of(state)) / gain(name, 1.0)
    names = dict.fromkeys((*state["beside"], name))
    return Chart(
        np.log10(policy_experiments.SCALES),
        {one: np.log10(policy_experiments.gains(one)) for one in names},
        xlabel="log₁₀ c  [fine ← → coarse]",
        ylabel="log₁₀ κ(c)/κ(1)",
        title="the gain, by the scale of a change",
        xlim=(-4.0, 1.0),
        ylim=(-3.6, 1.1),
        dots={name: (np.array([state["log_c"]]), np.log10([here]))},
    )


def gain_table(state: State) -> Table:
    """The gains of the weighting and of those beside it.

    Args:
        state: A value for each control.

    Returns:
        The table.
    """
    variance = variance_of(state)
    coarse_share = 1 - state["fine"]
    names = list(dict.fromkeys((state["weighting"], *state["beside"])))
    rows = []
    for name in names:
        ratio = gain(name, variance) / gain(name, 1.0)
        correlation = policy_experiments.two_scale_correlation(ratio, coarse_share)
        gains = f"{gain(name, 1.0):.4f}", f"{gain(name, variance):.4f}"
        rows.append((name, *gains, f"{ratio:.4f}", f"{correlation:.3f}"))
    head = ("", "κ(1)", f"κ({variance:.3g})", "ratio", "correlation, without noise")
    return Table(head, rows, [plots.colour(name) for name in names])


def comparison_notes(comparison: Comparison, state: State) -> tuple[Note, ...]:
    """The correlation and the mean ratio.

    Args:
        comparison: The log-ratios and the surrogates.
        state: A value for each control.

    Returns:
        The notes.
    """
    exact, singles, coarse_gain, _ = comparison
    correlation = np.corrcoef(exact, comparison.surrogate)[0, 1]
    with np.errstate(over="ignore"):
        exact_mean = np.exp(exact).mean()
        surrogate_mean = np.exp(comparison.surrogate / coarse_gain).mean()
        single_mean = np.exp(singles / coarse_gain).mean()
    ratios = (
        f"mean of exp(surrogate / κ(1)): {surrogate_mean:.3g}, of the exact ratio {exact_mean:.3g}"
    )
    if DRAWS[state["draws"]]:
        ratios += f"; with the exponential before the average over draws {single_mean:.3g}"
    first = f"correlation with the exact log-ratio {correlation:.3f} on these actions"
    return Note(first, strong=True), Note(ratios)


# --- learning -------------------------------------------------------------------------------------

REWARD, GOALS, ACTIONS, BEFORE = "reward", "goals kept", "actions", "the run before"
TO_REACH = "goals"  # where an action is rewarded
STARTS = "starts"  # of the actions whose ways are drawn
KEPT = 6  # runs that an explorer remembers
TRAILS = 12  # actions whose ways are drawn


def learning_controls() -> tuple[Control, ...]:
    """The controls of the explorer of learning."""
    weighted = {"method": ("FPO", "AWR", "DPO")}
    names = tuple(policy_experiments.WEIGHTINGS)
    return (
        Menu("method", "method", tuple(policy_experiments.METHODS), "FPO"),
        Menu(
            "weighting",
            "weighting",
            names,
            policy_experiments.DEFAULT,
            when=weighted,
            tip="The weighting of the surrogate.",
        ),
        Slider("keep", "KL term", 0, 0.5, 0.05, 0.0, tip="How strongly the first policy is kept."),
        Slider("batches", "batches", 2, 60, 1, 12, whole=True, tip="Batches of actions."),
        Slider("seed", "seed", 0, 9, 1, 0, whole=True),
        Action("learn", "Learn", main=True, tip="A run that is done is kept for the next time."),
    )


class LearningExplorer(ViewExplorer):
    """A flow policy that learns from reward or preference, batch by batch.

    On the left is the mean reward, in the middle the number of goals that are kept, each over that
    of the run before; on the right are the actions, which can be played back. A run that is done is
    kept in the cache, and shown at once the next time. The stop button ends a run; what was learned
    by then stays.

    Args:
        **state: Values of controls at first, such as ``method="AWR"``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A control is unknown, or a value is not allowed.
    """

    def __init__(self, **state: Any):
        self._runs = Newest[Learning, Learned](KEPT)
        super().__init__(Description("Learning", learning_controls()), state)

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """The run of these settings as far as it is known, over the one before.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            The view, or one that goes on as the policy learns.
        """
        settings = settings_of(state)
        if "learn" in changed:
            return self._learn(settings)
        self._runs.found(settings, policy_experiments.learning, settings)
        return self._show(settings)

    def _learn(self, settings: Learning) -> Iterator[View | Working]:
        """Learn, and show each batch."""
        yield Working(0.0, "the first batch")
        for learned in progress.followed(policy_experiments.learning, settings):
            self._runs.keep(settings, learned)
            yield self._show(settings_of(self.state))
            done = len(learned.reward) - 1  # the first entry is the policy before any batch
            yield Working(done / settings.batches, f"{done} of {settings.batches} batches")

    def _show(self, settings: Learning) -> View:
        """The run of these settings over the newest other one."""
        here = self._runs.get(settings)
        before = self._runs.before(settings)
        old = before[1] if before else None
        words = [Note(learning_text(settings, here), strong=here is not None)]
        if before:
            words.append(Note(f"the run before: {learning_text(*before)}"))
        return View(
            (
                progress_chart(settings, REWARD, here, old),
                progress_chart(settings, GOALS, here, old),
                action_cloud(settings, here),
                *words,
            ),
            columns=3,
        )


def settings_of(state: State) -> Learning:
    """The settings of a run.

    Args:
        state: A value for each control.

    Returns:
        The settings. DDPO has no weighting, so there it is always the same.
    """
    weighting = policy_experiments.DEFAULT if state["method"] == "DDPO" else state["weighting"]
    return Learning(state["method"], weighting, state["keep"], state["batches"], state["seed"])


def progress_chart(
    settings: Learning, what: str, here: Learned | None, before: Learned | None
) -> Chart:
    """Reward or goals by batch, over those of the run before.

    Args:
        settings: Settings of the run.
        what: ``REWARD`` or ``GOALS``.
        here: The run; None before it has begun.
        before: Another run; None if there was none.

    Returns:
        The chart.
    """
    values = {what: here} | ({BEFORE: before} if before else {})
    curves = {name: progress_of(run, what) for name, run in values.items()}
    return Chart(
        {name: np.arange(float(len(curve))) for name, curve in curves.items()},
        curves,
        xlabel="batches of actions",
        ylabel="mean reward" if what == REWARD else GOALS,
        title="mean reward" if what == REWARD else "goals kept, of four",
        xlim=(0.0, float(settings.batches)),
        ylim=(0.0, 1.02) if what == REWARD else (0.0, 4.3),
        yticks=() if what == REWARD else tuple(range(5)),
        colours={what: run_colour(settings), BEFORE: REFERENCE},
        dashes={what: 0, BEFORE: 1},
        faint=(BEFORE,) if before else (),
    )


def progress_of(run: Learned | None, what: str) -> NDArray:
    """Reward or goals of a run.

    Args:
        run: The run; None before it has begun.
        what: ``REWARD`` or ``GOALS``.

    Returns:
        A value for each batch, shape (k,); one NaN before it has begun.
    """
    if run is None:
        return np.array([np.nan])
    return np.asarray(run.reward if what == REWARD else run.goals, dtype=float)


def run_colour(settings: Learning) -> str:
    """The colour of a run, that of its method in the figures.

    Args:
        settings: Settings of the run.

    Returns:
        The colour.
    """
    held = f"{settings.method} + KL"
    return METHOD_COLOURS[held if settings.keep and held in METHOD_COLOURS else settings.method]


def action_cloud(settings: Learning, here: Learned | None) -> Cloud:
    """The actions of a policy as it learns, and the goals.

    Args:
        settings: Settings of the run.
        here: The run; None before it has begun.

    Returns:
        The cloud, with a clock in batches.
    """
    starts = {} if here is None else {STARTS: here.actions[0][:TRAILS]}
    return Cloud(
        {TO_REACH: policy_experiments.goals()} | starts,
        {} if here is None else {ACTIONS: here.actions},
        colours={TO_REACH: BEST, ACTIONS: run_colour(settings), STARTS: BEST},
        crosses=(TO_REACH,),
        clock="batch",
        captions=[] if here is None else captions_of(here),
        trails=TRAILS,
        title="actions, + goals, grey starts",
        xlabel="first component",
        ylabel="second component",
        xlim=ROOM,
        ylim=ROOM,
    )


def captions_of(learned: Learned) -> list[str]:
    """What the clock of the actions says at each batch.

    Args:
        learned: The run.

    Returns:
        A text for each batch: reward and goals kept.
    """
    pairs = enumerate(zip(learned.reward, learned.goals, strict=True))
    return [
        f"batch {batch}: {goals} goals, reward {reward:.2f}" for batch, (reward, goals) in pairs
    ]


def learning_text(settings: Learning, learned: Learned | None) -> str:
    """Reward and goals before and after, in words.

    Args:
        settings: Settings of the run.
        learned: The run; None before it has begun.

    Returns:
        The words.
    """
    if learned is None:
        return f"{settings}: press Learn"
    done = len(learned.reward) - 1  # the first entry is the policy before any batch
    so_far = f" ({done} so far)" if done < settings.batches else ""
    return (
        f"{settings}{so_far}: reward {learned.reward[0]:.2f} → {learned.reward[-1]:.2f}, "
        f"goals kept: {learned.goals[-1]}"
    )
