"""Explorers of two roads to a likelihood: what noisy steps cost, and clips of released codes."""

import math
from typing import Any

import numpy as np

from diffviz.lab.experiments import roads
from diffviz.lab.experiments.policy import DEFAULT
from diffviz.lab.explorers.colours import BEST, REFERENCE
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.figures.roads import method_colour
from diffviz.web.description import Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Note, Table, View

FLOW, DANCE, CPS, DDIM = roads.METHODS
SETTINGS = {FLOW: "a", DANCE: "dance", CPS: "cps", DDIM: "ddim"}  # control of each method
SYMBOLS = {FLOW: "a", DANCE: "η_D", CPS: "η_C", DDIM: "η"}
HEAD = ("noise / ancestral noise", "first step", "middle", "last step", "KL / KL of actions")
FEW = 20  # steps up to which each has a dot
COSTS = (0.8, 40.0)  # ends of the axis of KL over KL
COUNT_ENDS = (4.5, 180.0)  # ends of the axis of steps
NOISES = (0.05, 20.0)  # ends of the axis of noise over ancestral noise


def step_controls(method: str) -> tuple[Control, ...]:
    """The controls of the explorer.

    Args:
        method: The method at first.

    Returns:
        The controls.
    """
    own = {one: {"method": (one,)} for one in roads.METHODS}
    tip = "The method's own setting."
    doubling = math.log10(2)  # decades
    return (
        Menu("method", "method", roads.METHODS, method, tip="Whose noise a step adds."),
        Slider("a", "a", 0.1, 3, 0.05, 0.7, when=own[FLOW], tip=tip),
        Slider("dance", "η_D of DanceGRPO", 0.05, 3, 0.05, 0.3, when=own[DANCE], tip=tip),
        Slider("cps", "η_C of CPS", 0.05, 1, 0.05, 0.5, when=own[CPS], tip=tip),
        Slider("ddim", "η of DDIM", 0.05, 1, 0.05, 1.0, when=own[DDIM], tip=tip),
        Slider(
            "steps", "steps", 5, 160, doubling, 10, "", "log", True, tip="Of equal length in t."
        ),
        Switch("others", "the others", True, tip="The other methods, each at a usual setting."),
    )


class StepNoiseExplorer(ViewExplorer):
    """The noise that a rule adds in each step, and the KL of trajectories over that of actions.

    On the left is the noise of each step over that of ancestral sampling. On the right is what the
    trajectories of two policies differ by, over what the actions that they end in differ by, for
    each number of steps. Pale lines are other methods at a usual setting.

    Args:
        method: Method at first, one of ``diffviz.lab.experiments.roads.METHODS``.
        **state: Values of other controls at first, such as ``a=1.4``.

    Raises:
        ValueError: The method is unknown, or a value is not allowed.
    """

    def __init__(self, method: str = FLOW, **state: Any):
        require_option("method", method, roads.METHODS, "diffviz.lab.experiments.roads.METHODS")
        description = Description("Noise of a step", step_controls(method), local="roads.js")
        super().__init__(description, state)

    def local_data(self) -> dict[str, Any]:
        """Rules at usual settings, and what charts and table are labelled with."""
        return {
            "rules": {
                name: {"method": method, "setting": setting}
                for name, (method, setting) in roads.USUAL.items()
            },
            "settings": SETTINGS,
            "symbols": SYMBOLS,
            "colours": {method: method_colour(method) for method in roads.METHODS},
            "ends": list(roads.ENDS),
            "counts": list(roads.COUNTS),
            "head": HEAD,
        }

    def compute(self, state: State, changed: Changed) -> View:
        """Noise, its cost, and both in numbers.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, a table and a note.
        """
        rules = shown_rules(state)
        words = f"{label_of(state)}, {state['steps']} steps: {cost_text(state)}"
        panels = (noise_chart(state, rules), cost_chart(state, rules), rule_table(state, rules))
        return View((*panels, Note(words, strong=True)), columns=2)


def setting_of(state: State) -> float:
    """The chosen method's own setting.

    Args:
        state: A value for each control.

    Returns:
        a of Flow-GRPO, η of the others.
    """
    return float(state[SETTINGS[state["method"]]])


def label_of(state: State) -> str:
    """The chosen rule in words, such as "Flow-GRPO, a = 0.7".

    Args:
        state: A value for each control.

    Returns:
        The label, in the form of the experiment's ``RULES``.
    """
    method = state["method"]
    return f"{method}, {SYMBOLS[method]} = {setting_of(state):g}"


def shown_rules(state: State) -> dict[str, Any]:
    """The rules that are drawn: the chosen one first, then those of other methods.

    Args:
        state: A value for each control.

    Returns:
        Label to rule.
    """
    chosen = {label_of(state): roads.rule_of(state["method"], setting_of(state))}
    others = [name for name, (method, _) in roads.USUAL.items() if method != state["method"]]
    return chosen | {name: roads.rule(name) for name in others if state["others"]}


def looks_of(rules: dict[str, Any]) -> dict[str, Any]:
    """Colours and dashes of the rules in a chart; all but the first are pale.

    Args:
        rules: What ``shown_rules`` returned.

    Returns:
        Arguments of ``Chart``.
    """
    return {
        "colours": {name: method_colour(name) for name in rules},
        "dashes": dict.fromkeys(rules, 0),
        "faint": tuple(rules)[1:],
    }


def noise_chart(state: State, rules: dict[str, Any]) -> Chart:
    """The noise of each step over ancestral noise.

    Args:
        state: A value for each control.
        rules: What ``shown_rules`` returned.

    Returns:
        The chart.
    """
    steps, label = state["steps"], label_of(state)
    times = np.linspace(*roads.ENDS, steps + 1)[:-1]
    etas = {name: roads.etas_of(rule, steps) for name, rule in rules.items()}
    return Chart(
        times,
        etas,
        xlabel="t where a step starts   [noise → data]",
        ylabel="noise / ancestral",
        title="noise of each step (1 is ancestral)",
        xlim=(1.0, 0.0),
        ylim=NOISES,
        yscale="log",
        yticks=(0.1, 0.3, 1.0, 3.0, 10.0),
        **looks_of(rules),
        dots={label: (times, etas[label])} if steps <= FEW else {},
    )


def cost_chart(state: State, rules: dict[str, Any]) -> Chart:
    """The KL of trajectories over that of actions, by the number of steps.

    Args:
        state: A value for each control.
        rules: What ``shown_rules`` returned.

    Returns:
        The chart.
    """
    label, steps = label_of(state), state["steps"]
    costs = {
        name: np.array([roads.excess_of(rule, count) for count in roads.COUNTS])
        for name, rule in rules.items()
    }
    here = roads.excess_of(rules[label], steps)
    return Chart(
        np.array(roads.COUNTS, dtype=float),
        costs,
        xlabel="steps of a trajectory",
        ylabel="KL / KL of actions",
        title="KL of trajectories over that of actions",
        xscale="log",
        yscale="log",
        xlim=COUNT_ENDS,
        ylim=COSTS,
        xticks=tuple(map(float, roads.COUNTS)),
        yticks=(1.0, 2.0, 5.0, 10.0, 20.0),
        **looks_of(rules),
        dots={label: (np.array([float(steps)]), np.array([here]))},
    )


def rule_table(state: State, rules: dict[str, Any]) -> Table:
    """Noise of three steps and the cost of each rule.

    Args:
        state: A value for each control.
        rules: What ``shown_rules`` returned.

    Returns:
        The table.
    """
    steps = state["steps"]
    rows = []
    for name, rule in rules.items():
        noise = roads.etas_of(rule, steps)[[0, steps // 2, -1]]
        cost = roads.excess_of(rule, steps)
        rows.append((name, *(f"{one:.2f}" for one in noise), f"{cost:.2f}"))
    return Table(HEAD, rows, [method_colour(name) for name in rules])


def cost_text(state: State) -> str:
    """What the chosen rule costs, in words.

    Args:
        state: A value for each control.

    Returns:
        The words.
    """
    cost = roads.excess_of(roads.rule_of(state["method"], setting_of(state)), state["steps"])
    return f"trajectories differ {cost:.2f} times as much as actions, in KL"


# --- clips of released codes ----------------------------------------------------------------------

EXACT, CLIP = "the exact ratio", "the clip"
WEIGHTINGS = {"flow matching": "fm-ot", "its default": DEFAULT}  # of FPO
MOST_COMPONENTS = 256
FAR_RATIO = 1e3  # end of the axis of the exact ratio
PLAIN_DECADES = 6.0  # up to which a table has the number itself
BEYOND = 1.2  # of the last place of a clip, where the other axis ends
LARGEST_LOG = 30.0  # decades that a float of the browser can hold
BEYOND_ONE = (0.003, 100.0)  # ends of the axis of what an exact ratio is above 1
DECADES = (0.01, 0.1, 1.0, 10.0, 100.0)
CLIP_HEAD = ("code", "power of the exact ratio", "exact ratio at the clip")
CLIP_CONTROLS = (
    Slider(
        "components",
        "d",
        1,
        MOST_COMPONENTS,
        1,
        2,
        whole=True,
        tip="Numbers in an action: 2 in the plane, thousands in an image.",
    ),
    Slider("clip", "clip δ", 0.005, 0.3, 0.005, 0.05, tip="A ratio is clipped at 1 ± δ."),
    Slider("time", "t' of CPS", 0.02, 0.9, 0.02, 0.5, tip="Where a step of CPS ends: 1 is noise."),
    Menu("weighting", "FPO under", tuple(WEIGHTINGS), "flow matching"),
)


class ClipExplorer(ViewExplorer):
    """At which exact ratio of two policies does the clip of a released code act?

    On the left is the ratio that a code computes, over the exact one, with the clip as a level. On
    the right is the exact ratio at the clip, less 1, by the number of components.

    Args:
        **state: Values of controls at first, such as ``components=16``.

    Raises:
        ValueError: A value is not allowed.
    """

    counts = np.unique(np.logspace(0, np.log10(MOST_COMPONENTS), 61).round())

    def __init__(self, **state: Any):
        super().__init__(Description("Clip of a released code", CLIP_CONTROLS), state)

    def compute(self, state: State, changed: Changed) -> View:
        """The ratios of the codes, and where they are clipped.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts and a table.
        """
        powers = powers_of(state, state["components"])
        panels = (
            self._ratios(state, powers),
            self._clips(state, powers),
            clip_table(state, powers),
        )
        return View(panels, columns=2)

    def _ratios(self, state: State, powers: dict[str, float]) -> Chart:
        """The ratio that each code computes, over the exact one."""
        level = 1 + state["clip"]
        places = {name: decades_of(state, power) for name, power in powers.items()}
        far = min(BEYOND * max(places.values()), math.log10(FAR_RATIO))
        decades = np.linspace(0, far, 121)
        curves = {name: 10 ** (power * decades) for name, power in powers.items()}
        return Chart(
            decades,
            {**curves, CLIP: np.full(len(decades), level)},
            xlabel="log₁₀ of the exact ratio of new to old",
            ylabel="ratio of the code",
            title=f"the clip at {level:g}",
            ylim=(1.0, 1 + 2 * state["clip"]),
            colours=clip_colours(),
            dashes={**dict.fromkeys(powers, 0), CLIP: 1},
            dots={
                name: (np.array([place]), np.array([level]))
                for name, place in places.items()
                if place <= far
            },
        )

    def _clips(self, state: State, powers: dict[str, float]) -> Chart:
        """What the exact ratio at the clip is above 1, by the number of components."""
        by_count = [clipped_at(state, powers_of(state, int(number))) for number in self.counts]
        here = float(state["components"])
        dots = {
            name: (np.array([here]), np.array([exact - 1]))
            for name, exact in clipped_at(state, powers).items()
            if exact - 1 <= BEYOND_ONE[1]
        }
        return Chart(
            self.counts,
            {name: np.array([one[name] - 1 for one in by_count]) for name in powers},
            xlabel="components d",
            ylabel="exact ratio at the clip − 1",
            title="where the clip acts",
            xscale="log",
            yscale="log",
            ylim=BEYOND_ONE,
            xticks=(1.0, 4.0, 16.0, 64.0, 256.0),
            yticks=DECADES,
            colours=clip_colours(),
            dashes=dict.fromkeys(powers, 0),
            dots=dots,
        )


def clip_colours() -> dict[str, str]:
    """The colours of the codes, of the exact ratio and of the clip.

    Returns:
        Name to colour.
    """
    codes = {name: method_colour(name) for name in ("Flow-GRPO", "CPS", "FPO")}
    return {EXACT: BEST, **codes, CLIP: REFERENCE}


def powers_of(state: State, components: int) -> dict[str, float]:
    """The power of the exact ratio that each code clips.

    Args:
        state: A value for each control.
        components: Number of components of an action.

    Returns:
        Name to power; 1 for the exact ratio.
    """
    weighting = WEIGHTINGS[state["weighting"]]
    return {EXACT: 1.0, **roads.clip_powers(components, state["time"], weighting)}


def clipped_at(state: State, powers: dict[str, float]) -> dict[str, float]:
    """The exact ratio at which each code clips an action that shall become more likely.

    Args:
        state: A value for each control.
        powers: What ``powers_of`` returned.

    Returns:
        Name to ratio, above 1.
    """
    return {
        name: 10 ** min(decades_of(state, power), LARGEST_LOG) for name, power in powers.items()
    }


def decades_of(state: State, power: float) -> float:
    """log10 of the exact ratio at the clip.

    Args:
        state: A value for each control.
        power: The power of the exact ratio that is clipped.

    Returns:
        The logarithm.
    """
    return math.log10(1 + state["clip"]) / power


def clip_table(state: State, powers: dict[str, float]) -> Table:
    """Power and exact ratio at the clip of each code.

    Args:
        state: A value for each control.
        powers: What ``powers_of`` returned.

    Returns:
        The table.
    """
    rows = []
    for name, power in powers.items():
        decades = decades_of(state, power)
        ratio = f"{10**decades:.4g}" if decades < PLAIN_DECADES else f"10^{decades:.0f}"
        rows.append((name, f"{power:.3g}", ratio))
    colours = clip_colours()
    return Table(CLIP_HEAD, rows, [colours[name] for name in powers])
