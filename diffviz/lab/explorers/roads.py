"""The explorer of noisy steps: how much noise a rule adds, and what that costs a likelihood."""

import math
from typing import Any

import numpy as np

from diffviz.lab.experiments import roads
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.figures.roads import method_colour
from diffviz.web.description import Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Note, Table, View

FLOW, DANCE, CPS, DDIM = roads.METHODS
SETTINGS = {FLOW: "a", DANCE: "dance", CPS: "cps", DDIM: "ddim"}  # control of each method
SYMBOLS = {FLOW: "a", DANCE: "η", CPS: "η", DDIM: "η"}
HEAD = ("noise / ancestral noise", "first step", "middle", "last step", "KL / KL of actions")
FEW = 20  # steps up to which each has a dot
COSTS = (0.8, 40.0)  # ends of the axis of KL over KL
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
        Slider("dance", "η of DanceGRPO", 0.05, 3, 0.05, 0.3, when=own[DANCE], tip=tip),
        Slider("cps", "η of CPS", 0.05, 1, 0.05, 0.5, when=own[CPS], tip=tip),
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
