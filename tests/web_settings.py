"""Random settings of the views that the browser computes, and what the package says of them."""

import json

import numpy as np

from diffviz import plots
from diffviz.lab.experiments import composer
from diffviz.theory import analysis
from diffviz.theory.families import FAMILIES
from diffviz.theory.targets import BASES
from diffviz.theory.weightings import rebase

GRID = np.linspace(-12, 12, 601)
KINDS = ("w", "weighting", "rebased", "loss density")
OF_FAMILY = 0.4  # share of the settings that are families; the others are recipes
SHIFTED = 0.5  # share of the recipes in which a shift is not 1
LEAST_KEPT = (
    1e-5  # of a law that is cut to its path; of less, Python loses digits in the difference
)
LEAST_DENSITY = 1e-300  # below which numbers lose their digits, or are 0 in one language alone
NEAR_NOISE = 1e-6  # 1 − t below which its digits are lost, in Python as in the browser


def draw(rng, parameter):
    return float(rng.uniform(parameter.low, parameter.high))


def family(rng):
    name = str(rng.choice(list(FAMILIES)))
    values = {one.name: draw(rng, one) for one in FAMILIES[name].parameters}
    return {"family": name, "values": values}


def recipe(rng):
    """A random state of the composer, if enough of its law lies on its path."""
    while True:
        state = random_state(rng)
        if kept(state) > LEAST_KEPT:
            return {"state": state}


def kept(state):
    """Share of the law of λ that lies on the path."""
    uncut = {"law": "uniform t", "law_shift": 1.0, "multiplier": "constant"}
    path = composer.compose(state | uncut).path
    low, high = path.schedule.support()
    whole = composer.whole_law(state, path)
    return whole.cdf(high) - whole.cdf(low)


def random_state(rng):
    state = composer.start()
    for menu, options in composer.MENUS.items():
        state[menu] = str(rng.choice(list(options)))
        for one in options[state[menu]].parameters:
            state[composer.name_of(menu, state[menu], one.name)] = draw(rng, one)
    for name in composer.SHIFTS:
        if rng.random() < SHIFTED:
            state[name] = float(np.exp(rng.uniform(np.log(0.25), np.log(8))))
    return state


def settings(number, seed, of_family=OF_FAMILY):
    """Random settings: a family or a recipe each, with a base, a scale and an anchor."""
    rng = np.random.default_rng(seed)
    return [
        (family if rng.random() < of_family else recipe)(rng)
        | {
            "kind": str(rng.choice(KINDS)),
            "scale": str(rng.choice(list(plots.SCALES))),
            "base": str(rng.choice(list(BASES))),
            "anchor": float(rng.uniform(-8, 8)),
            "at": float(rng.uniform(-4, 4)),
        }
        for _ in range(number)
    ]


def objective(setting):
    if "family" in setting:
        return FAMILIES[setting["family"]].build(**setting["values"])
    return composer.compose(setting["state"])


def values(setting, of, grid):
    if setting["kind"] == "loss density":
        return analysis.loss_density(of, grid)
    if setting["kind"] == "rebased":
        return rebase(of.weighting(grid), grid, "eps", setting["base"])
    return of.weighting(grid, setting["base"])


def curve_of(setting, of, grid):
    """What the package draws of an objective; a ValueError where it refuses the setting."""
    w = values(setting, of, grid)
    if setting["kind"] == "w":
        return w
    return plots.scaled(w, grid, setting["scale"], setting["anchor"])


def curve(setting, grid=GRID):
    """What the package draws at a setting; None where it refuses the setting."""
    try:
        return curve_of(setting, objective(setting), grid)
    except ValueError:
        return None


def known_levels(setting, of, density, grid):
    """Where digits are left to compare: no density below the normal numbers, no time next to 1."""
    known = density > LEAST_DENSITY
    if "family" in setting or setting["state"]["law"] not in composer.LAWS_OF_TIME:
        return known
    move = 2 * np.log(setting["state"]["law_shift"])
    return known & (of.path.schedule.cdf(grid + move) > NEAR_NOISE)


def has_gap(density, expected, got):
    """Whether one curve alone has a value at a level, but where the density loses its digits."""
    underflows = (density > 0) & (density <= LEAST_DENSITY)
    return bool(((np.isnan(expected) != np.isnan(got)) & ~underflows).any())


def departure(setting, known, expected, got):
    """Largest difference of two curves over the largest value, or over 1 for a logarithm."""
    known = known & np.isfinite(expected)
    if not known.any():
        return 0.0
    largest = np.abs(expected[known]).max()
    if setting["kind"] != "w" and setting["scale"] == "log10, anchored":
        largest = max(largest, 1.0)
    return float(np.abs(expected[known] - got[known]).max() / largest)


def departure_at(setting, got, grid):
    """How far a curve is from that of the package; infinite for a gap or a refusal in one alone."""
    try:
        of = objective(setting)  # once, since it takes as long as all that follows
        expected = curve_of(setting, of, grid)
    except ValueError:
        return 0.0 if np.isnan(got).all() else np.inf
    density = of.law.pdf(grid)
    if has_gap(density, expected, got):
        return np.inf
    return departure(setting, known_levels(setting, of, density, grid), expected, got)


def largest_departure(all_settings, curves, grid=GRID):
    """Largest departure over settings, and the setting; a gap or a refusal in one alone counts."""
    worst, where = 0.0, ""
    for setting, got in zip(all_settings, curves, strict=True):
        apart = departure_at(setting, got, grid)
        if not apart <= worst:
            worst, where = apart, json.dumps(setting, ensure_ascii=False)
    return worst, where
