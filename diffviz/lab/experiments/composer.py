"""Recipes put together from menus, and how near their weighting is to published ones.

A recipe has four parts: a path, a law of times, a target and a multiplier. Each part is one option
of a menu, with parameters. A state holds the options and the values of all parameters by name; the
parameter ``offset`` of the path "cosine" is ``path_cosine_offset``. The view in the browser
composes the same recipes from the same states, by ``diffviz/web/recipes.js``.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz.checks import increasing, one_of
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import laws, multipliers, paths, targets
from diffviz.theory.families import Parameter
from diffviz.theory.frames import LARGEST_LEVEL, VP
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import base_gain
from diffviz.web.description import slug

State = Mapping[str, Any]
LEVELS = np.linspace(-12, 12, 241)  # λ at which recipes are compared with published objectives
CENTRAL = 0.998  # central share of what a recipe draws, over which it is compared
ALIKE = 1 - 1e-9  # factors whose ratio is above this are equal but for rounding
LEAST_OVERLAP = 0.9  # share of that stretch on which a published objective must have support


@dataclass(frozen=True)
class Part:
    """An option of one of the four menus.

    Args:
        build: Makes the part from values by name.
        code: What a reader types: a function of the values, an expression with places for them, or
            the part itself.
        parameters: Its parameters, in the order of their sliders.
        needs: Other parts that ``build`` takes by name: "path" or "target".
    """

    build: Callable[..., Any]
    code: str
    parameters: tuple[Parameter, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """Makes a part that has no parameters: it is there already.

    Args:
        part: The part.
    """

    part: Any

    def __call__(self) -> Any:
        """The part."""
        return self.part


def laplace_path(centre: float, scale: float) -> paths.Path:
    """The path whose λ has a Laplace law under uniform time (Hang and Gu 2024).

    Args:
        centre: Centre of the law.
        scale: Its scale.

    Returns:
        The path, in the variance-preserving frame.
    """
    return paths.from_density(stats.laplace(centre, scale), VP, f"Laplace({centre:g}, {scale:g})")


def min_snr(gamma: float, target: targets.Target) -> Callable:
    """Min-SNR-γ on the error of a target.

    Args:
        gamma: γ.
        target: The target of the recipe.

    Returns:
        The multiplier.

    Raises:
        ValueError: The target is not eps, x or v.
    """
    return multipliers.min_snr(gamma, target.name)


PATHS: Mapping[str, Part] = MappingProxyType(
    {
        "linear": Part(Ready(paths.LINEAR), "dv.paths.LINEAR"),
        "cosine": Part(
            build=paths.cosine,
            code="dv.paths.cosine",
            parameters=(Parameter("offset", default=0, low=0, high=0.1, step=0.002),),
        ),
        "VP linear β": Part(
            build=paths.vp_linear,
            code="dv.paths.vp_linear",
            parameters=(
                Parameter("beta_min", default=0.1, low=0.01, high=2, step=0.01),
                Parameter("beta_max", default=20, low=5, high=40, step=0.5),
            ),
        ),
        "VP scaled-linear β": Part(
            build=paths.scaled_linear,
            code="dv.paths.scaled_linear",
            parameters=(
                Parameter("beta_start", default=0.00085, low=0.0001, high=0.003, step=0.00005),
                Parameter("beta_end", default=0.012, low=0.004, high=0.04, step=0.0005),
            ),
        ),
        "sub-VP": Part(
            build=paths.sub_vp,
            code="dv.paths.sub_vp",
            parameters=(
                Parameter("beta_min", default=0.1, low=0.01, high=2, step=0.01),
                Parameter("beta_max", default=20, low=5, high=40, step=0.5),
            ),
        ),
        "VE": Part(
            build=paths.ve,
            code="dv.paths.ve",
            parameters=(
                Parameter("sigma_min", default=0.01, low=0.002, high=0.5, step=0.002),
                Parameter("sigma_max", default=50, low=1, high=400, step=1),
            ),
        ),
        "EDM": Part(
            build=paths.edm,
            code="dv.paths.edm",
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=1, step=0.05),
                Parameter("std", default=1.2, low=0.4, high=2, step=0.05),
            ),
        ),
        "Karras": Part(
            build=paths.karras,
            code="dv.paths.karras",
            parameters=(
                Parameter("sigma_min", default=0.002, low=0.002, high=0.5, step=0.002),
                Parameter("sigma_max", default=80, low=1, high=400, step=1),
                Parameter("rho", default=7, low=1, high=12, step=0.5),
            ),
        ),
        "uniform λ": Part(
            build=paths.uniform_logsnr,
            code="dv.paths.uniform_logsnr",
            parameters=(
                Parameter("low", default=-10, low=-20, high=-1, step=0.5),
                Parameter("high", default=10, low=1, high=20, step=0.5),
            ),
        ),
        "sigmoid": Part(
            build=paths.sigmoid,
            code="dv.paths.sigmoid",
            parameters=(
                Parameter("start", default=-3, low=-6, high=-0.5, step=0.1),
                Parameter("end", default=3, low=0.5, high=6, step=0.1),
                Parameter("tau", default=1, low=0.3, high=2, step=0.05),
            ),
        ),
        "power": Part(
            build=paths.power,
            code="dv.paths.power",
            parameters=(Parameter("n", default=2, low=0.5, high=4, step=0.1),),
        ),
        "linear VP": Part(build=paths.linear_vp, code="dv.paths.linear_vp"),
        "linear, σ_min": Part(
            build=paths.sigma_min_path,
            code="dv.paths.sigma_min_path",
            parameters=(Parameter("sigma_min", default=0.01, low=0.001, high=0.2, step=0.001),),
        ),
        "Laplace": Part(
            build=laplace_path,
            code="dv.paths.from_density(scipy.stats.laplace({centre!r}, {scale!r}))",
            parameters=(
                Parameter("centre", default=0, low=-4, high=4, step=0.1),
                Parameter("scale", default=0.5, low=0.2, high=3, step=0.05),
            ),
        ),
    }
)
LAWS_OF_TIME: Mapping[str, Part] = MappingProxyType(
    {
        "uniform t": Part(build=stats.uniform, code="scipy.stats.uniform"),
        "logit-normal t": Part(
            build=laws.logit_normal,
            code="dv.laws.logit_normal",
            parameters=(
                Parameter("mean", default=0, low=-2, high=2, step=0.05),
                Parameter("std", default=1, low=0.2, high=2, step=0.05),
            ),
        ),
        "mode t": Part(
            build=laws.mode,
            code="dv.laws.mode",
            parameters=(Parameter("scale", default=1.29, low=-1, high=1.75, step=0.01),),
        ),
        "CosMap t": Part(build=laws.cosmap, code="dv.laws.cosmap"),
        "U-shaped t": Part(
            build=laws.u_shaped,
            code="dv.laws.u_shaped",
            parameters=(Parameter("a", default=4, low=0.5, high=10, step=0.1),),
        ),
        "Beta t": Part(
            build=stats.beta,
            code="scipy.stats.beta",
            parameters=(
                Parameter("a", default=1.5, low=0.5, high=5, step=0.05),
                Parameter("b", default=1, low=0.5, high=5, step=0.05),
            ),
        ),
    }
)


def uniform_levels(low: float, high: float) -> Any:
    """The law of λ that is uniform between two ends.

    Args:
        low: Least λ in nats.
        high: Largest λ in nats.

    Returns:
        A frozen SciPy distribution.
    """
    return stats.uniform(low, high - low)


def laplace_levels(centre: float, scale: float) -> Any:
    """The Laplace law of λ.

    Args:
        centre: Centre in nats.
        scale: Scale in nats.

    Returns:
        A frozen SciPy distribution.
    """
    return stats.laplace(centre, scale)


LAWS_OF_LEVELS: Mapping[str, Part] = MappingProxyType(
    {
        "normal ln σ": Part(
            build=laws.logit_normal_logsnr,
            code="dv.laws.logit_normal_logsnr",
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=2, step=0.05),
                Parameter("std", default=1.2, low=0.2, high=2, step=0.05),
            ),
        ),
        "logistic ln σ": Part(
            build=laws.loglogistic_sigma,
            code="dv.laws.loglogistic_sigma",
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=2, step=0.05),
                Parameter("scale", default=0.6, low=0.1, high=2, step=0.05),
            ),
        ),
        "two-piece normal ln σ": Part(
            build=laws.split_lognormal_sigma,
            code="dv.laws.split_lognormal_sigma",
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=2, step=0.05),
                Parameter("below", default=1.2, low=0.2, high=2, step=0.05),
                Parameter("above", default=0.8, low=0.2, high=2, step=0.05),
            ),
        ),
        "Laplace λ": Part(
            build=laplace_levels,
            code="scipy.stats.laplace({centre!r}, {scale!r})",
            parameters=(
                Parameter("centre", default=0, low=-4, high=4, step=0.1),
                Parameter("scale", default=1, low=0.2, high=3, step=0.05),
            ),
        ),
        "uniform λ": Part(
            build=uniform_levels,
            code="scipy.stats.uniform({low!r}, {high!r} - {low!r})",
            parameters=(
                Parameter("low", default=-8, low=-20, high=-1, step=0.5),
                Parameter("high", default=8, low=1, high=20, step=0.5),
            ),
        ),
    }
)
LAWS: Mapping[str, Part] = MappingProxyType({**LAWS_OF_TIME, **LAWS_OF_LEVELS})
TARGETS: Mapping[str, Part] = MappingProxyType(
    {
        "eps": Part(Ready(targets.EPS), "dv.targets.EPS"),
        "x": Part(Ready(targets.X), "dv.targets.X"),
        "v": Part(Ready(targets.V), "dv.targets.V"),
        "u": Part(Ready(targets.U), "dv.targets.U"),
        "score": Part(Ready(targets.SCORE), "dv.targets.SCORE"),
        "F": Part(
            build=targets.edm_output,
            code="dv.targets.edm_output",
            parameters=(Parameter("sigma_data", default=0.5, low=0.1, high=2, step=0.05),),
        ),
    }
)
MULTIPLIERS: Mapping[str, Part] = MappingProxyType(
    {
        "constant": Part(Ready(multipliers.constant), "dv.multipliers.constant"),
        "SNR": Part(Ready(multipliers.snr), "dv.multipliers.snr"),
        "max(SNR, 1)": Part(Ready(multipliers.truncated_snr), "dv.multipliers.truncated_snr"),
        "SNR + 1": Part(Ready(multipliers.snr_plus_one), "dv.multipliers.snr_plus_one"),
        "min-SNR": Part(
            build=min_snr,
            code="dv.multipliers.min_snr",
            parameters=(Parameter("gamma", default=5, low=0.5, high=20, step=0.5),),
            needs=("target",),
        ),
        "soft min-SNR": Part(
            build=multipliers.soft_min_snr,
            code="dv.multipliers.soft_min_snr",
            parameters=(Parameter("gamma", default=4, low=0.5, high=20, step=0.5),),
        ),
        "P2": Part(
            build=multipliers.p2,
            code="dv.multipliers.p2",
            parameters=(
                Parameter("gamma", default=1, low=0.1, high=2, step=0.05),
                Parameter("k", default=1, low=0.1, high=4, step=0.1),
            ),
        ),
        "debiased": Part(
            build=multipliers.debiased,
            code="dv.multipliers.debiased",
            parameters=(Parameter("cap", default=1000, low=1, high=1000, step=1),),
        ),
        "−dλ/dt (ELBO)": Part(
            build=multipliers.likelihood, code="dv.multipliers.likelihood", needs=("path",)
        ),
        "sigmoid": Part(
            build=multipliers.sigmoid,
            code="dv.multipliers.sigmoid",
            parameters=(Parameter("bias", default=2, low=-6, high=6, step=0.1),),
            needs=("path",),
        ),
        "EDM": Part(
            build=multipliers.edm,
            code="dv.multipliers.edm",
            parameters=(Parameter("sigma_data", default=0.5, low=0.1, high=2, step=0.05),),
        ),
        "EDM monotonic": Part(
            build=multipliers.edm_monotonic,
            code="dv.multipliers.edm_monotonic",
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=1, step=0.05),
                Parameter("std", default=1.2, low=0.4, high=2, step=0.05),
                Parameter("sigma_data", default=0.5, low=0.1, high=2, step=0.05),
            ),
        ),
        "σ^−2, linear": Part(Ready(multipliers.sigma_sqrt), "dv.multipliers.sigma_sqrt"),
        "CosMap": Part(Ready(multipliers.cosmap), "dv.multipliers.cosmap"),
        "bell": Part(Ready(multipliers.bell), "dv.multipliers.bell"),
    }
)
MENUS: Mapping[str, Mapping[str, Part]] = MappingProxyType(
    {"path": PATHS, "law": LAWS, "target": TARGETS, "multiplier": MULTIPLIERS}
)
SHIFTS = ("path_shift", "law_shift")  # factors on sigma/alpha: of the path, and of the law of λ


def name_of(menu: str, option: str, parameter: str) -> str:
    """Name of a parameter in a state.

    Args:
        menu: "path", "law", "target" or "multiplier".
        option: The option of the menu.
        parameter: The parameter of the option.

    Returns:
        The name, such as "path_cosine_offset".
    """
    return f"{menu}_{slug(option)}_{parameter}"


def start() -> dict[str, Any]:
    """The state at the start: flow matching, and the defaults of all parameters."""
    state: dict[str, Any] = {"path": "linear", "law": "uniform t", "target": "u"}
    state["multiplier"] = "constant"
    state.update(dict.fromkeys(SHIFTS, 1.0))
    for menu, options in MENUS.items():
        for option, part in options.items():
            for parameter in part.parameters:
                state[name_of(menu, option, parameter.name)] = parameter.default
    return state


def _part(state: State, menu: str) -> Part:
    """The part that a state chooses."""
    return MENUS[menu][one_of(state[menu], menu, MENUS[menu])]


def values_of(state: State, menu: str) -> dict[str, float]:
    """The values of the parameters of the option that is chosen.

    Args:
        state: Options and values by name.
        menu: "path", "law", "target" or "multiplier".

    Returns:
        Values by the names of the parameters.
    """
    parameters = _part(state, menu).parameters
    return {one.name: state[name_of(menu, state[menu], one.name)] for one in parameters}


def _build(state: State, menu: str, **others: Any) -> Any:
    """The part that a state chooses, made from its values and from other parts that it needs."""
    part = _part(state, menu)
    needed = {name: others[name] for name in part.needs}
    return part.build(**values_of(state, menu), **needed)


def whole_law(state: State, path: paths.Path) -> Any:
    """The law of λ, pushed along the path and moved by its shift, before it is cut to the path.

    Args:
        state: As for ``compose``.
        path: The path of the recipe, shifted.

    Returns:
        A frozen SciPy distribution, which may reach beyond the path.
    """
    law = _build(state, "law")
    if state["law"] == "uniform t":
        law = path.schedule
    elif state["law"] in LAWS_OF_TIME:
        law = paths.push_forward(law, path)
    return law if state["law_shift"] == 1 else laws.moved(law, -2 * math.log(state["law_shift"]))


def _ends(law: Any, path: paths.Path) -> tuple[float, float] | None:
    """Least and largest λ to which a law is cut, where it goes beyond its path; else None."""
    low, high = law.support()
    first, last = path.schedule.support()
    if low >= first and high <= last:
        return None
    return float(max(low, first, -LARGEST_LEVEL)), float(min(high, last, LARGEST_LEVEL))


def _law(state: State, path: paths.Path) -> Any:
    """The law of λ, cut to where the path goes."""
    law = whole_law(state, path)
    ends = _ends(law, path)
    return law if ends is None else laws.truncated(law, *ends)


def compose(state: State, name: str = "composed") -> Objective:
    """The objective that a state describes.

    Args:
        state: Options of the four menus, the two shifts and the values of the parameters by name;
            see ``start``.
        name: What plots and errors call the objective.

    Returns:
        The objective.

    Raises:
        ValueError: An option is unknown, or the parts do not go together.
    """
    path = _build(state, "path")
    if state["path_shift"] != 1:
        path = paths.shifted(path, state["path_shift"])
    target = _build(state, "target")
    return Objective(
        name=name,
        family="custom",
        year=0,
        source="recipe composer",
        path=path,
        target=target,
        multiplier=_build(state, "multiplier", path=path, target=target),
        law=_law(state, path),
    )


# --- the code that makes the same objective -------------------------------------------------------


def _call(state: State, menu: str, needed: Iterable[str] = ()) -> str:
    """The expression that makes the part that a state chooses."""
    part = _part(state, menu)
    if isinstance(part.build, Ready):
        return part.code
    values = values_of(state, menu)
    if "{" in part.code:
        return part.code.format(**values)
    arguments = [f"{name}={value!r}" for name, value in values.items()]
    return f"{part.code}({', '.join([*arguments, *needed])})"


def _law_code(state: State, path: paths.Path) -> list[str]:
    """The lines that make the law of λ; none for uniform time."""
    if state["law"] == "uniform t" and state["law_shift"] == 1:
        return []
    lines = [f"law = {_call(state, 'law')}"]
    if state["law"] == "uniform t":
        lines = ["law = path.schedule"]
    elif state["law"] in LAWS_OF_TIME:
        lines.append("law = dv.paths.push_forward(law, path)")
    if state["law_shift"] != 1:
        lines.append(f"law = dv.laws.moved(law, {-2 * math.log(state['law_shift'])!r})")
    ends = _ends(whole_law(state, path), path)
    if ends is not None:
        lines.append(f"law = dv.laws.truncated(law, low={ends[0]!r}, high={ends[1]!r})")
    return lines


def code(state: State) -> str:
    """The lines of Python that make the objective of a state.

    Args:
        state: As for ``compose``.

    Returns:
        Lines that end with ``objective = dv.Objective(...)``; they need ``import diffviz as dv``
        and, for some laws, ``import scipy.stats``, which stand at the top.
    """
    objective = compose(state)
    path = f"path = {_call(state, 'path')}"
    if state["path_shift"] != 1:
        path += f"\npath = dv.paths.shifted(path, {state['path_shift']!r})"
    needs = _part(state, "multiplier").needs
    needed = {"path": "path=path", "target": f"target={state['target']!r}"}
    multiplier = _call(state, "multiplier", [needed[name] for name in needs])
    law = _law_code(state, objective.path)
    lines = [
        "import diffviz as dv",
        *(["import scipy.stats"] if "scipy" in "".join([path, *law]) else []),
        "",
        path,
        *law,
        "objective = dv.Objective(",
        '    name="composed",',
        '    family="custom",',
        "    year=0,",
        '    source="recipe composer",',
        "    path=path,",
        f"    target={_call(state, 'target')},",
        f"    multiplier={multiplier},",
        *(["    law=law,"] if law else []),
        ")",
    ]
    return "\n".join(lines)


# --- the parts as curves --------------------------------------------------------------------------


def parts(objective: Objective, logsnr: ArrayLike, base: str = "eps") -> dict[str, NDArray]:
    """The parts of a recipe and their product.

    Args:
        objective: The objective.
        logsnr: Increasing λ in nats, shape (n,).
        base: The error on which gain² and w act: "eps", "x", "v" or "u".

    Returns:
        p, gain², c and w, shape (n,) each; 0 where the law does not reach.

    Raises:
        TypeError: λ is no real number.
        ValueError: The grid does not increase, the base is unknown, or the parts do not make a
            finite weighting.
    """
    grid = increasing(logsnr, "logsnr")
    low, high = objective.law.support()
    inside = (grid >= low) & (grid <= high)
    at = grid[inside]
    gain = objective.target.gain(at, objective.path) / base_gain(base, at)
    values = {
        "p": objective.law.pdf(at),
        "gain²": gain**2,
        "c": objective.multiplier(at),
    }
    curves = {name: np.zeros(grid.shape) for name in values}
    for name, curve in curves.items():
        curve[inside] = values[name]
    return curves | {"w": objective.weighting(grid, base)}


# --- beside the published objectives --------------------------------------------------------------


@lru_cache(1)
def published() -> Mapping[str, NDArray]:
    """The weighting of each entry of the catalogue on ``LEVELS``, on the eps error.

    Returns:
        Arrays of shape (241,) by name; 0 outside the support.
    """
    return MappingProxyType({name: entry.weighting(LEVELS) for name, entry in CATALOGUE.items()})


@dataclass(frozen=True)
class Distance:
    """How far a published weighting is from a composed one.

    Args:
        name: Name of the published objective.
        factor: Largest factor, at least 1, between the ratio of the weightings and its median.
        at: λ in nats where it is met.
    """

    name: str
    factor: float
    at: float


def distances(objective: Objective) -> list[Distance]:
    """The published objectives, the nearest to a composed one first.

    Weightings are compared up to a constant, at the levels within the central 99.8 % of what the
    objective draws. An entry without support on nine tenths of them is left out.

    Args:
        objective: The composed objective.

    Returns:
        The distances, in rising order. Of those that agree to six decimals, the ones with the same
        target come first, else they stand as in the catalogue.
    """
    share = (1 - CENTRAL) / 2
    low, high = objective.law.isf([1 - share, share])
    central = (low <= LEVELS) & (high >= LEVELS)
    at = LEVELS[central]
    w = objective.weighting(at)
    found = []
    for name, curve in published().items():
        known = curve[central]
        both = (w > 0) & (known > 0)
        if not both.any() or both.mean() < LEAST_OVERLAP:
            continue
        ratio = w[both] / known[both]
        ratio /= np.median(ratio)
        factors = np.maximum(ratio, 1 / ratio)
        worst = np.flatnonzero(factors >= ALIKE * factors.max())[0]
        found.append(Distance(name, float(factors[worst]), float(at[both][worst])))

    def nearness(distance: Distance) -> tuple[int, bool]:
        """Factor to six decimals, then whether the target is another."""
        other_target = CATALOGUE[distance.name].target.name != objective.target.name
        return round(distance.factor * 1e6), other_target

    return sorted(found, key=nearness)
