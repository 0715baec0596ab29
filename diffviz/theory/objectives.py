"""An objective is a recipe as its source states it; its weighting is computed, never typed in.

A recipe is a path, a law of λ (from the law of time), a target and a multiplier c on the target's
own squared error. With p the density of the law,

    w(λ) = 2 c(λ) gain(λ)² p(λ),
    L = E_{λ~p}[c ‖target error‖²] = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ.

``stated`` is the literature's closed form of w, a claim that tests hold against the rule.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz import markup
from diffviz.checks import attribute, brief, count, finite, one_of, random_generator, require
from diffviz.theory import multipliers, tables
from diffviz.theory.atoms import atomic, curve_through, quantiles
from diffviz.theory.frames import Curve, levels
from diffviz.theory.laws import checked_law, density, is_in_gap, log_density, truncated
from diffviz.theory.paths import COSINE, Path, checked_path
from diffviz.theory.targets import EPS, Target, base_gain, checked_target

SMALLEST = 1e-290  # of a weighting on eps; below, float64 loses digits

# where the identity of an objective is taken: both ends of the law, and the middles of 64 shares
IDENTITY_GRID = np.concatenate([[0.0], (np.arange(64) + 0.5) / 64, [1.0]])


def identity_of(law: Any, factor: Curve, kind: str = "") -> str:
    """A hash of what an objective does, to 8 significant digits.

    Args:
        law: Law of λ, with quantiles ``ppf``.
        factor: Factor on its error at finite λ, before any check.
        kind: What else tells it from others, in words.

    Returns:
        16 hexadecimal digits.
    """
    with np.errstate(all="ignore"):
        quantiles = np.asarray(law.ppf(IDENTITY_GRID), dtype=float)
        inner = quantiles[1:-1]
        factors = np.full_like(inner, np.nan)
        known = np.isfinite(inner)
        factors[known] = factor(inner[known])
    accepted = np.isfinite(factors) & (factors >= 0)
    numbers = np.concatenate(
        [
            np.where(np.abs(quantiles) < 1e-12, 0.0, quantiles),
            np.where(accepted, factors, np.nan),
        ]
    )
    text = kind + " ".join(f"{number:.7e}" for number in numbers + 0.0)  # −0.0 + 0.0 is 0.0
    return sha256(text.encode()).hexdigest()[:16]


def check_description(entry: Any) -> None:
    """Refuse words, a year or functions of the wrong kind in an objective.

    Args:
        entry: An objective with ``name``, ``family``, ``source``, ``note``, ``year``,
            ``multiplier`` and ``stated``.

    Raises:
        TypeError: One of them is of the wrong kind.
        ValueError: The year is negative.
    """
    for field in ("name", "family", "source", "note"):
        value = getattr(entry, field)
        require(isinstance(value, str), f"{field} must be text, got {value!r}", TypeError)
    count(entry.year, "year", least=0)
    if not callable(entry.multiplier):
        raise TypeError(f"multiplier must be a function of λ, got {brief(entry.multiplier)}")
    if not (entry.stated is None or callable(entry.stated)):
        raise TypeError(f"stated must be a function of λ or None, got {brief(entry.stated)}")


@dataclass(frozen=True, eq=False)
class Objective:
    """A training objective.

    It pickles and deep-copies if the multiplier and the stated form do; all that this package
    makes do.

    Args:
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        path: Frame and schedule.
        target: What the loss compares.
        multiplier: c(λ) on the target's squared error, array to array.
        law: Law of λ, a frozen SciPy distribution. By default that of uniform time on the path.
        stated: Closed form of w(λ) from the literature, up to a constant.
        note: Traps and remarks.

    Raises:
        TypeError: A part is of the wrong kind.
        ValueError: The year is negative, or the law reaches outside the path's range.


    Example:
        >>> mine = dv.Objective(
        ...     name="mine",
        ...     family="flow matching",
        ...     year=2026,
        ...     source="my notebook",
        ...     path=dv.paths.LINEAR,
        ...     target=dv.targets.U,
        ... )
        >>> dv.compare(mine, dv.objective("fm-ot")).same
        True
    """

    name: str
    family: str
    year: int
    source: str
    path: Path
    target: Target
    multiplier: Curve = multipliers.constant
    law: Any = None
    stated: Curve | None = None
    note: str = ""

    def __post_init__(self) -> None:
        self._check_parts()
        if self.law is None:
            object.__setattr__(self, "law", self.path.schedule)
        checked_law(self.law)
        low, high = self.law.support()
        first, last = self.path.schedule.support()
        sizes = [abs(end) for end in (first, last) if np.isfinite(end)]
        slack = 1e-9 * max([1.0, *sizes])
        if not (low >= first - slack and high <= last + slack):  # NaN too
            raise ValueError(
                f"{self.name}: the density lives on logsnr [{low:.4g}, {high:.4g}], "
                f"the path {self.path.name!r} only on [{first:.4g}, {last:.4g}]; "
                "truncate the density or take another path"
            )

    def _check_parts(self) -> None:
        """Refuse parts of the wrong kind where they are passed, not where they are used."""
        check_description(self)
        checked_path(self.path)
        checked_target(self.target, "target")

    def __repr__(self) -> str:
        return (
            f"Objective({self.name!r}: {self.target.name} target, {self.path.name} path, "
            f"{self.source})"
        )

    def _repr_html_(self) -> str:
        return markup.objective(self)

    @property
    def identity(self) -> str:
        """What the objective does, as 16 hexadecimal digits.

        It is a hash of the law's quantiles on a fixed grid of probabilities and of the factor at
        each, both to 8 significant digits, so that another processor gives the same. Name, note
        and source do not enter. Quantiles within 1e-12 of 0 are rounding errors and count as 0.

        The ends of the support enter without a factor, since a multiplier may be infinite there.
        An infinite quantile enters as "inf", and its factor as "nan". A factor that ``factor``
        refuses (negative or not finite) enters as "nan" too.
        """
        return identity_of(self.law, self._raw_factor)

    def _raw_factor(self, logsnr: NDArray) -> NDArray:
        """c(λ) · gain² before any check."""
        return np.asarray(self.multiplier(logsnr)) * self.target.gain(logsnr, self.path) ** 2

    def factor(self, logsnr: ArrayLike) -> NDArray:
        """What the loss multiplies the eps squared error by: c(λ) · gain².

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The factor, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is NaN, or the factor is negative or not finite.

        Example:
            >>> dv.objective("fm-ot").factor([-2.0, 0.0, 2.0]).round(3)
            array([13.826,  4.   ,  1.871])
        """
        at = levels(logsnr)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # refused below
            value = self._raw_factor(at)
        return self._checked(value, at, f"multiplier times gain² of the {self.target.name} target")

    def _checked(self, value: NDArray, logsnr: NDArray, what: str) -> NDArray:
        """Values of a factor or weighting; a ValueError for one that is negative or not finite."""
        bad = ~(np.isfinite(value) & (value >= 0))
        if bad.any():
            raise ValueError(
                f"{self.name}: {what} is {value[bad].flat[0]} at logsnr {logsnr[bad].flat[0]:g}; "
                "a weighting is finite and >= 0: stay within ±700 nats, restrict the density or "
                "mend the multiplier"
            )
        return value

    def weighting(self, logsnr: ArrayLike, base: str = "eps") -> NDArray:
        """Implied w(λ) on the squared error of a base; 0 outside the support of the law.

        Under a law of discrete levels it is the weight of each level over the spacing of levels,
        with straight lines between them on the eps error.

        Args:
            logsnr: λ in nats, any shape.
            base: "eps", "x", "v" or "u".

        Returns:
            The weighting, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: A λ is not finite, the base is unknown, or the factor is negative or not
                finite.

        Example:
            >>> edm = dv.objective("edm")
            >>> edm.weighting([-4.0, 0.0, 4.0]).round(3)
            array([2.083, 1.008, 0.286])
            >>> edm.weighting([-4.0, 0.0, 4.0], base="x").round(3)
            array([ 0.038,  1.008, 15.599])
        """
        at = finite(logsnr, "logsnr")
        low, high = self._support
        inside = (at >= low) & (at <= high)
        if at.ndim and inside.all():  # as on most grids; choosing all takes as long as the density
            return self._on_base(at, base)
        w = np.zeros(at.shape)
        w[inside] = self._on_base(at[inside], base)
        return w

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: the recipe alone, so that use does not change its pickle."""
        return {name: value for name, value in vars(self).items() if name != "_support"}

    @cached_property
    def _support(self) -> tuple[float, float]:
        """Support of the law, which SciPy works out anew each time."""
        return self.law.support()

    def _on_base(self, level: NDArray, base: str) -> NDArray:
        """The weighting of the squared error of a base at λ within the support of the law."""
        on_eps = self._on_eps(level)
        on_base = on_eps / base_gain(base, level) ** 2
        faint = on_eps < SMALLEST
        if faint.any() and atomic(self.law) is None:
            on_base[faint] = self._far_out(level[faint], base)
        return on_base

    @property
    def _given(self) -> Curve | None:
        """The weighting from which the multiplier was made under this law; None for others."""
        made = self.multiplier
        if not isinstance(made, WeightingOverLaw) or made.law is not self.law:
            return None
        return made.w if self.target == EPS and atomic(self.law) is None else None

    def _where_drawn(self, given: Curve, level: NDArray) -> NDArray:
        """A weighting at λ within the support of the law; 0 in a gap, where no λ is drawn."""
        w = np.array(given(level), dtype=float)
        empty = np.isneginf(log_density(self.law, level))
        if empty.any():
            w[empty] *= ~is_in_gap(self.law, level[empty])
        return w

    def _far_out(self, level: NDArray, base: str) -> NDArray:
        """The weighting of a base where the product of its factors underflows on eps."""
        given = self._given
        if given is not None:
            with np.errstate(divide="ignore"):
                logarithm = np.log(self._where_drawn(given, level))
            return np.exp(logarithm - 2 * np.log(base_gain(base, level)))
        with np.errstate(divide="ignore", over="ignore"):  # the log of a factor that is 0
            logarithm = np.log(2) + multipliers.logarithm(self.multiplier, level)
            logarithm += 2 * np.log(self.target.gain(level, self.path))
            logarithm += log_density(self.law, level) - 2 * np.log(base_gain(base, level))
        return np.exp(logarithm)

    def _on_eps(self, level: NDArray) -> NDArray:
        """The weighting of the eps squared error at λ within the support of the law."""
        given = self._given
        if given is not None:  # the density cancels, also where float64 has none
            return self._checked(self._where_drawn(given, level), level, "the weighting")
        table = atomic(self.law)
        if table is None:
            factor = self.factor(level)
            with np.errstate(over="ignore"):  # where a density is 1 over what overflows
                return factor * (2 * density(self.law, level))
        return curve_through(table, 2 * self.factor(table.levels) * table.mass)(level)

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels to train at and the factor on the eps squared error there.

        Args:
            n: Number of draws.
            rng: NumPy generator.
            stratified: Take one draw in each of n equal shares of probability, in mixed order.

        Returns:
            λ in nats and factor, both float64 of shape (n,). The mean of factor ·
            ‖eps_hat − eps‖², summed over dimensions, estimates the loss.

        Raises:
            TypeError: n is no whole number, or rng is no generator.
            ValueError: n is below 1, ``stratified`` is no bool, or a factor is negative or not
                finite.


        Example:
            >>> logsnr, factor = dv.objective("edm").draw(1000, np.random.default_rng(0))
            >>> logsnr.shape, factor.shape
            ((1000,), (1000,))
            >>> round(float(logsnr.mean()), 1)
            2.4
        """
        n = count(n, "n")
        rng = random_generator(rng)
        stratified = one_of(stratified, "stratified", (False, True))
        u = quantile_draws(n, rng, stratified)
        logsnr = quantiles(self.law, u)
        return logsnr, self.factor(logsnr)


def quantile_draws(n: int, rng: np.random.Generator, stratified: bool = True) -> NDArray:
    """Uniform draws, at which the quantiles of a law are draws of the law.

    Args:
        n: Number of draws.
        rng: NumPy generator.
        stratified: Take one draw in each of n equal parts of (0, 1), in mixed order.

    Returns:
        Draws from (0, 1), shape (n,).
    """
    return (rng.permutation(n) + rng.random(n)) / n if stratified else rng.random(n)


@dataclass(frozen=True)
class WeightingOverLaw:
    """The multiplier on the eps error that gives a weighting under a law: c = w/(2 p).

    Args:
        w: The weighting, a function of λ.
        law: Law of λ with the density p, a frozen SciPy distribution.
    """

    w: Curve
    law: Any

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        return self.w(logsnr) / (2 * self.law.pdf(logsnr))


def _check_curve(w: Curve, law: Any) -> None:
    """Refuse a callable that does not return one value for each λ."""
    shape = np.shape(w(law.ppf([0.25, 0.75])))
    require(
        shape == (2,),
        f"a callable w returns one value for each λ; for 2 it returned shape {shape}",
    )


def _check_within(law: Any, low: float, high: float) -> None:
    """Refuse a law that reaches outside a table."""
    first, last = law.support()
    require(
        first >= low - 1e-9 and last <= high + 1e-9,
        f"the law reaches outside the table's logsnr [{low:g}, {high:g}]; nothing is extrapolated",
    )


def _source_of(w: Any) -> str:
    """What an objective made from a weighting says of its source."""
    if callable(w):
        return "callable"
    is_text = isinstance(w, str) and ("\n" in w or tables.is_json(w))
    is_file = isinstance(w, str | File) and not is_text
    return f"table {w}" if is_file else "table"


@dataclass(frozen=True)
class Recipe:
    """What a weighting of one's own trains on.

    Args:
        multiplier: Factor on the eps squared error, a function of λ.
        law: Law of λ, a frozen SciPy distribution.
    """

    multiplier: Curve
    law: Any


def _recipe_of_curve(w: Curve, law: Any, path: Path) -> Recipe:
    """The recipe of a weighting that is a function."""
    law = checked_law(path.schedule if law is None else law)
    _check_curve(w, law)
    return Recipe(WeightingOverLaw(w, law), law)


def _recipe_of_table(table: tables.WeightTable, law: Any, path: Path | None) -> Recipe:
    """The recipe of a table, by what its levels are."""
    if table.kind == "logsnr":
        w = tables.weighting_over_logsnr(table)
        low, high = w.logsnr[[0, -1]]
        return _recipe_within(w, stats.uniform(low, high - low), law, low, high)
    if path is None:
        raise ValueError(
            f"a table over {table.kind} needs path=, the path of the training: its weights are "
            "factors on the squared eps error at levels that uniform time on the path draws"
        )
    if table.kind == "timestep":
        require(law is None, "law has no effect on a table over timesteps, whose levels it lists")
        return Recipe(*tables.factor_over_steps(table, path))
    return _recipe_over_time(table, law, path)


def _recipe_over_time(table: tables.WeightTable, law: Any, path: Path) -> Recipe:
    """The recipe of a table over ``t`` or ``sigma``."""
    factor = tables.factor_over_path(table, path)
    low, high = factor.logsnr[[0, -1]]
    w = tables.FactorUnderLaw(factor, path.schedule)
    return _recipe_within(w, truncated(path.schedule, low, high), law, low, high)


def _recipe_within(w: Curve, natural: Any, law: Any, low: float, high: float) -> Recipe:
    """The recipe of a weighting that is known between two levels, under its own law by default."""
    law = checked_law(natural if law is None else law)
    _check_within(law, low, high)
    return Recipe(WeightingOverLaw(w, law), law)


def from_weighting(
    w: Any, law: Any = None, name: str = "custom", path: Path | None = None
) -> Objective:
    r"""Objective from a weighting of one's own on the eps error.

    A table is a CSV file or its text, JSON text, a frame or a mapping with named columns, or an
    array of shape (n, 2).
    Over log-SNR it holds w(λ); without names its levels are λ. Over another level it holds the
    factors of a training: what multiplies the squared eps error at times drawn uniformly on
    ``path``. Its columns are then called "t,weight" (t = 0 is data), "sigma,weight", or
    "timestep,weight" (step 0 has the least noise; the path is ``dv.from_diffusers(...).path``).

    It pickles if ``w`` does: any table does, and so does a named function of a module.

    Args:
        w: Callable of λ, or a table.
        law: Law of λ to train under, a frozen SciPy distribution. By default it is uniform over the
            range of a table of λ, and else that of uniform time on ``path``.
        name: What plots and errors call the objective.
        path: Frame and schedule; ``dv.paths.COSINE`` for a callable and a table of λ by default.

    Returns:
        The objective.

    Raises:
        TypeError: ``w`` is an objective or a class, ``law`` is no law, or ``path`` is no path.
        OSError: A file cannot be opened.
        ValueError: The table is no weighting (see ``tables.read``), its levels need a path or do
            not fit it, the law reaches outside the path or the table, or a callable does not
            return one value for each λ.

    Example:
        >>> own = dv.from_weighting([[-8.0, 1.0], [0.0, 2.0], [8.0, 0.5]])
        >>> own.weighting([-8.0, 0.0, 4.0]).round(3)
        array([1., 2., 1.])
        >>> constant = "t,weight\n0.001,1\n0.999,1"
        >>> ddpm = dv.from_weighting(constant, path=dv.paths.COSINE)
        >>> dv.compare(ddpm, dv.objective("iddpm-cosine")).same
        True
    """
    # a frame may have a column of this name, which is no function
    has_weighting = callable(attribute(w, "weighting"))
    if isinstance(w, type) or has_weighting:
        raise TypeError(
            f"w is a callable of λ or a table, got {w!r}; of an objective o pass o.weighting, of a "
            "measured loss its table()"
        )
    chosen = checked_path(COSINE if path is None else path)
    if callable(w):
        recipe = _recipe_of_curve(w, law, chosen)
    else:
        recipe = _recipe_of_table(tables.read(w), law, path)
    return Objective(
        name=name,
        family="custom",
        year=0,
        source=_source_of(w),
        path=chosen,
        target=EPS,
        multiplier=recipe.multiplier,
        law=recipe.law,
    )
