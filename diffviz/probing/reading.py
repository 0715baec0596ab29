"""From the coefficients of each draw to path, target, factor and notes.

The steps, in the order of ``conclude``: combine the noises to one, leave out draws without a finite
log-SNR or factor, fit the frame and its scale, name the target, and write down by how much each
assumption fails.

The letters are those of ``coefficients``: z = alpha x + sigma eps, target = a x + b eps, and the
gradient of a draw at the network's output is h (output − target), where h = 2 c and c is the
multiplier. A loss may draw several noises; until they are combined, sigma and b have one column for
each.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require
from diffviz.probing.binning import atoms_of
from diffviz.probing.coefficients import Coefficients, Method
from diffviz.probing.dropped import Dropped, filled, find_dropped, nothing_dropped, without_skipped
from diffviz.probing.first_look import FirstLook
from diffviz.probing.measured import Measured
from diffviz.probing.notes import Evidence, any_is_grave, other_target, target_of_z, write_notes
from diffviz.probing.target_kind import LINEAR, VP, Frame, crosses_zero, fit_frame, name_target

MISREAD = 0.01  # relative error from which on a draw is misread
ANOTHER_TARGET = 0.05  # relative distance of a target from that of its neighbours in log-SNR
NEIGHBOURS = 5  # among which the median is taken
FAR = 100  # steps to the farther ones in all draws
NO_DRAW = (
    "no draw has data, noise and a finite gradient at once: is inputs= the noised x? is the loss "
    "NaN, or its weight 0 without data? where it standardises data or noise by their own spread, "
    "give x standardised and leave that step out"
)
SCATTER_OF_FACTORS = 0.02  # step of log alpha between draws of near sigma
FEWEST_OF_FACTORS = 50  # draws
NO_GAIN = 1e-4  # relative size of a gain that counts as 0
ROUNDED = 4  # digits of log-SNR by which draws of one level are told where no time tells
ROUNDING_OF_A_LEVEL = 2e-5  # nats from the mean of draws of one level, less than a rounded digit
NEAR_AN_ATOM = 1e-3  # nats within which an atom holds more draws than there are others
MOST_NAMED = 3  # atoms that are named one by one


@dataclass(frozen=True, eq=False)
class Noise:
    """The noises of a loss, combined to the one eps of unit variance that z holds.

    Attributes:
        sigma: Coefficient of eps in z, shape (n,).
        b: Coefficient of eps in the target, shape (n,).
        apart: Size of the noise in the target that is not in z, relative to the size of the target,
            shape (n,).
        notes: Notes on noises that do not count as eps.
    """

    sigma: NDArray
    b: NDArray
    apart: NDArray
    notes: list[str]

    def select(self, mask: NDArray) -> "Noise":
        """The noise of some draws.

        Args:
            mask: Which draws are kept, bool, shape (n,).

        Returns:
            The same for these draws alone.
        """
        return Noise(self.sigma[mask], self.b[mask], self.apart[mask], self.notes)


def conclude(
    first_look: FirstLook, coefficients: Coefficients, *, stratified: bool, scale: float | None
) -> Measured:
    """Conclude what the loss optimises.

    Args:
        first_look: What the first look found.
        coefficients: What was read off each draw.
        stratified: Whether times were quantiles of their law.
        scale: Factor by which the loss multiplies x, if it is known.

    Returns:
        The measured path, target, factor and notes, for all draws with a finite log-SNR. Where a
        sample holds several levels, there is one of each group of components, in ``parts``.

    Raises:
        ValueError: No draw has data, noise and a finite gradient at once.
    """
    groups = np.unique(coefficients.group)
    parts = [
        _conclude_group(
            first_look,
            coefficients.select(coefficients.group == group),
            scale,
            single=len(groups) == 1,
        )
        for group in groups
    ]
    parts = [replace(part, stratified=stratified) for part in parts]
    return parts[0] if len(parts) == 1 else _together(parts)


def _together(parts: list[Measured]) -> Measured:
    """All groups of components as one measurement, which has no weighting of its own."""
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("logsnr", "alpha", "sigma", "a", "b", "multiplier", "order")
    }
    label, labels = [], 0
    for part in parts:
        label.append(part.label + labels)
        labels += int(part.label.max()) + 1
    kinds = sorted({part.kind for part in parts})
    frames = sorted({part.frame for part in parts})
    return replace(
        replace(parts[0], **joined),  # type: ignore[arg-type]
        label=np.concatenate(label),
        kind=kinds[0] if len(kinds) == 1 else "other",
        frame=" or ".join(frames),
        residuals={key: max(part.residuals[key] for part in parts) for key in parts[0].residuals},
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        exact=False,
        refusal="a sample holds several noise levels, and there is no one weighting; take one of "
        f"the {len(parts)} parts: measured.parts[0].weighting(edges)",
        parts=tuple(parts),
    )


@np.errstate(all="ignore")
def _conclude_group(
    first_look: FirstLook, coefficients: Coefficients, scale: float | None, *, single: bool
) -> Measured:
    """Conclude what the loss optimises in one group of components, or a single one of all."""
    coefficients, noise, dropped, lost = _known_draws(first_look, coefficients, single=single)
    assumptions = first_look.assumptions
    of_any_size = assumptions.layout.data_scale is not None or assumptions.changed_data
    shift = np.inf if of_any_size else float(np.median(coefficients.shift))
    factors, changed = _random_factors(coefficients, noise, first_look.tolerance)
    alpha, a_of_data = coefficients.alpha / factors, coefficients.a / factors
    frame = fit_frame(alpha, noise.sigma, shift, scale, first_look.tolerance)
    alpha = alpha / frame.scale
    logsnr = 2 * np.log(np.abs(alpha) / noise.sigma)
    h, skipped = without_skipped(coefficients.h, logsnr)
    weighted = coefficients.h != 0
    a, b = _filled(a_of_data / frame.scale, noise.b, weighted, logsnr)
    gain = b - a * noise.sigma / alpha  # with its sign; only the square is used
    multiplier = h / 2  # h = 2 c
    if not first_look.factor_readable:
        multiplier = np.full_like(alpha, np.nan)

    residuals = _residuals(coefficients.select(weighted), noise.select(weighted))
    is_estimated = assumptions.external_noise  # then factors scatter with sigma
    residuals["factor"] = 0.0 if is_estimated else _scatter(multiplier * gain**2, logsnr)
    evidence = Evidence(
        first_look,
        residuals,
        lost=lost,
        dropped=dropped,
        kurtosis=float(np.median(coefficients.kurtosis)),
        unweighted=float((h == 0).mean()) - dropped.without_weight,
        skipped=skipped,
        negative=float((multiplier < 0).mean()),
        misread=_share_misread(first_look, coefficients, weighted),
        of_z_alone=bool(np.median(np.abs(gain) / np.hypot(b, b - gain)) < NO_GAIN),
    )
    kind = _kind(first_look, evidence, (alpha, noise.sigma, a, b), weighted, frame.frame)
    if kind != "network" and other_target(evidence) is None and _tells_targets(first_look):
        others = _share_of_other_targets(a * np.sign(alpha), b, logsnr)
        evidence = replace(evidence, other_targets=others)
    label = _label_levels(coefficients.scalars, logsnr)
    atoms = _notes_on_atoms(label, logsnr)
    return Measured(
        logsnr=logsnr,
        alpha=alpha,
        sigma=noise.sigma,
        a=a,
        b=b,
        multiplier=multiplier,
        label=label,
        order=coefficients.order,
        kind=kind,
        frame=frame.description,
        scale=frame.scale,
        stratified=True,
        residuals=residuals,
        notes=(*first_look.notes, *changed, *noise.notes, *write_notes(evidence), *atoms),
        exact=not (first_look.inexact or noise.notes or any_is_grave(evidence) or atoms),
        refusal=_refusal(first_look, evidence),
    )


def _tells_targets(first_look: FirstLook) -> bool:
    """Whether the target of each draw is known well enough to be compared with others."""
    assumptions = first_look.assumptions
    is_estimated = assumptions.external_noise or assumptions.estimated_noise
    is_hidden = first_look.mixed or first_look.added or bool(first_look.coupling.refusal)
    return not (is_estimated or is_hidden)


@np.errstate(all="ignore")
def _known_draws(
    first_look: FirstLook, coefficients: Coefficients, *, single: bool
) -> tuple[Coefficients, Noise, Dropped, float]:
    """The draws with a finite log-SNR and their noise, what is dropped, and the share that is lost.

    Samples that are dropped are given what others have at their level, where all of a sample is.
    """
    noise = _combine_noises(coefficients, first_look.tolerance)
    usable = _usable(first_look, coefficients, noise)
    said = (_reason(first_look), NO_DRAW, *first_look.notes)
    require(usable.any(), "; ".join(filter(None, said)))
    logsnr = 2 * np.log(np.abs(coefficients.alpha) / noise.sigma)
    dropped = find_dropped(coefficients, noise.sigma, logsnr, usable)
    if dropped.share and single:
        columns = {"sigma": noise.sigma, "b": noise.b, "apart": noise.apart}
        coefficients, columns = filled(dropped, coefficients, usable, columns)
        noise = Noise(**columns, notes=noise.notes)
        usable = _usable(first_look, coefficients, noise)
    elif dropped.share:
        dropped = nothing_dropped(told=False)
    lost = float(1 - usable.mean())
    return coefficients.select(usable), noise.select(usable), dropped, lost


def _random_factors(
    coefficients: Coefficients, noise: Noise, tolerance: float
) -> tuple[NDArray | int, tuple[str, ...]]:
    """Numbers by which a loss multiplies its data at random, shape (n,), and a note on them.

    They count as data if alpha is no function of sigma, and with them the path is one of the usual
    ones and the target has a name.
    """
    signs, notes = _random_signs(coefficients, noise, tolerance)
    alpha = signs * coefficients.alpha
    steps = np.abs(np.diff(np.log(np.abs(alpha[np.argsort(noise.sigma)]))))
    if (coefficients.h != 0).sum() < FEWEST_OF_FACTORS or np.median(steps) < SCATTER_OF_FACTORS:
        return signs, notes
    for frame in (LINEAR, VP):
        size = frame.data_size(alpha, noise.sigma)
        kind = _name_without(signs * size, coefficients, noise, frame, tolerance)
        if kind not in ("other", "eps", "score"):  # of which the data tell nothing
            low, high = np.quantile(size, [0.01, 0.99])
            return signs * size, (
                *notes,
                f"data are multiplied by {low:.2g} to {high:.2g} at random in each sample (an "
                "augmentation): counted as data",
            )
    return signs, notes


def _random_signs(
    coefficients: Coefficients, noise: Noise, tolerance: float
) -> tuple[NDArray | int, tuple[str, ...]]:
    """Signs by which a loss multiplies its data at random, shape (n,), and a note on them.

    They count as data if the target has a name then, and none without. Elsewhere a negative alpha
    belongs to the path.
    """
    alpha, a = coefficients.alpha, coefficients.a
    negative = alpha < 0
    weighted = coefficients.h != 0
    if negative.all() or not negative.any() or weighted.sum() < 2:
        return 1, ()
    if crosses_zero(alpha[weighted], noise.sigma[weighted], a[weighted], noise.b[weighted]):
        return 1, ()
    signs = np.where(negative, -1, 1)
    kinds = []
    for factor in (np.ones_like(signs), signs):
        frame = fit_frame(factor * alpha, noise.sigma, 0, None, tolerance).frame
        kinds.append(_name_without(factor, coefficients, noise, frame, tolerance))
    if kinds[0] not in ("other", "u", "v") or kinds[1] == "other":
        return 1, ()
    return signs, (
        f"{negative.mean():.2g} of the samples have their sign changed at random (an "
        "augmentation): counted as data",
    )


def _name_without(
    factors: NDArray,
    coefficients: Coefficients,
    noise: Noise,
    frame: Frame | None,
    tolerance: float,
) -> str:
    """Name of the target where data were multiplied by some factors, shape (n,)."""
    weighted = coefficients.h != 0
    alpha, a = coefficients.alpha / factors, coefficients.a / factors
    return name_target(
        alpha[weighted], noise.sigma[weighted], a[weighted], noise.b[weighted], frame, tolerance
    )


def _kind(
    first_look: FirstLook,
    evidence: Evidence,
    coefficients: tuple[NDArray, NDArray, NDArray, NDArray],
    weighted: NDArray,
    frame: Frame | None,
) -> str:
    """Name of the target, from alpha, sigma, a and b of the draws that have a weight."""
    if first_look.dependence.found:
        return "network"
    coupling = first_look.coupling
    is_hidden = bool(coupling.refusal) and not coupling.has_target
    if other_target(evidence) or not weighted.any() or is_hidden:
        return "other"
    alpha, sigma, a, b = (values[weighted] for values in coefficients)
    return name_target(alpha, sigma, a, b, frame, first_look.tolerance)


def _reason(first_look: FirstLook) -> str:
    """Why there is no weighting of one target; empty where a first look found no reason."""
    if first_look.dependence.found:
        return "no weighting: " + first_look.dependence.notes[-1]
    return first_look.coupling.refusal


def _refusal(first_look: FirstLook, evidence: Evidence) -> str:
    """Why there is no weighting although a factor was read; empty where there is one."""
    reason = _reason(first_look)
    if reason:
        return reason
    nothing_to_learn = target_of_z(evidence)
    return "" if nothing_to_learn is None else "no weighting: " + nothing_to_learn


def _filled(a: NDArray, b: NDArray, weighted: NDArray, logsnr: NDArray) -> tuple[NDArray, NDArray]:
    """The target where the weight is 0 and hides it, from that of draws of near log-SNR.

    There the factor is 0 whatever the target.
    """
    if weighted.all():
        return a, b
    if not weighted.any():
        return np.zeros_like(a), np.ones_like(b)
    order = np.argsort(logsnr[weighted])
    known = logsnr[weighted][order]
    hidden = ~weighted
    a, b = a.copy(), b.copy()
    for values in (a, b):
        values[hidden] = np.interp(logsnr[hidden], known, values[weighted][order])
    return a, b


# Noise sources -----------------------------------------------------------------------------------


def _combine_noises(coefficients: Coefficients, tolerance: float) -> Noise:
    """Combine the recorded noises to one.

    A noise is part of eps if every component has its own number. Noise that components share is not
    part of it. Neither is noise in a fixed ratio to alpha, since it belongs to the data: they are
    drawn at random.
    """
    sigmas = coefficients.sigma
    each_component = np.array(coefficients.each_component)
    size = _median_size(sigmas)
    in_eps = each_component & (size > 0)
    shared = ~each_component & (size > tolerance * size.max())
    notes = _notes_on_shared_noise(coefficients, in_eps, shared)
    for j in np.flatnonzero(in_eps & (size < size.max())):
        ratio = sigmas[:, j] / coefficients.alpha
        if _follows_alpha(ratio, coefficients.alpha, tolerance):
            in_eps[j] = False
            notes.append(
                f"data are drawn at random too ({abs(np.nanmean(ratio)):.3g} times a normal "
                "draw): counted as data"
            )
    # eps is the sum of these noises in z, scaled to unit variance; b is the target's part along it
    sigma_parts = sigmas[:, in_eps]
    b_parts = coefficients.b[:, in_eps]
    sigma = np.sqrt((sigma_parts**2).sum(1))
    b = (sigma_parts * b_parts).sum(1) / sigma
    apart = np.sqrt(np.maximum((b_parts**2).sum(1) - b**2, 0))
    return Noise(sigma, b, apart / np.hypot(b, coefficients.a), notes)


def _notes_on_shared_noise(
    coefficients: Coefficients, in_eps: NDArray, shared: NDArray
) -> list[str]:
    """Notes on noise that components share, with its size in units of the first noise in eps."""
    if not shared.any():
        return []
    require(
        in_eps.any(),
        "all noise is shared by components: z holds no noise of each component's own, and so no "
        "log-SNR; draw the noise in the shape of x",
    )
    sigmas = coefficients.sigma
    multiples = np.nanmedian(np.abs(sigmas[:, shared] / sigmas[:, in_eps][:, :1]), axis=0)
    sharers = np.array(coefficients.sharers)[shared]
    return [
        f"noise shared by components is added, {multiple:.3g} times eps: the noise is correlated; "
        f"λ is that of eps, and lower by {np.log1p(count * multiple**2):.2g} along what {count} "
        "components share"
        for multiple, count in zip(multiples, sharers, strict=True)
    ]


def _median_size(sigmas: NDArray) -> NDArray:
    """Median size of each noise over the draws where it is on and finite, else 0, shape (k,)."""
    sizes = np.ma.median(np.ma.masked_equal(np.ma.masked_invalid(np.abs(sigmas)), 0), axis=0)
    return np.ma.filled(sizes, 0)


def _follows_alpha(ratio: NDArray, alpha: NDArray, tolerance: float) -> bool:
    """Whether alpha varies and the ratio of a noise to it does not: it is part of the data."""
    constant = np.nanstd(ratio) < tolerance * abs(np.nanmean(ratio))
    return bool(constant and np.nanstd(alpha) > tolerance)


def _usable(first_look: FirstLook, coefficients: Coefficients, noise: Noise) -> NDArray:
    """Which draws have a finite log-SNR, target and factor, shape (n,)."""
    logsnr = 2 * np.log(np.abs(coefficients.alpha) / noise.sigma)
    usable = np.isfinite(logsnr) & (np.isfinite(noise.b) | (coefficients.h == 0))
    if first_look.factor_readable:
        usable &= np.isfinite(coefficients.h)
    return usable


# Residuals and levels ----------------------------------------------------------------------------


def _residuals(coefficients: Coefficients, noise: Noise) -> dict[str, float]:
    """By what relative amount each assumption fails; ``conclude`` adds that of the factor."""
    return {
        "data": _typical(coefficients.data_error),
        "noise": _typical(coefficients.noise_error),
        "target": _typical(coefficients.target_error),
        "apart": _typical(noise.apart),
        "squared": _typical(coefficients.square_error),
    }


def _typical(errors: NDArray) -> float:
    """The 0.9 quantile of the errors, where NaN counts as 0 and infinity as 1."""
    if not len(errors):
        return 0.0
    return float(np.quantile(np.nan_to_num(errors, posinf=1), 0.9))


def _share_misread(first_look: FirstLook, coefficients: Coefficients, weighted: NDArray) -> float:
    """Share of the draws in which z or the target are no sums of parts, without another note.

    A first look at one call does not see what a loss does in a few calls or samples alone.
    """
    allowed = max(MISREAD, first_look.tolerance)
    errors = []
    if not first_look.inexact:
        errors += [coefficients.data_error, coefficients.noise_error]
    target_error = np.where(weighted, coefficients.target_error, 0)
    has_sums = first_look.assumptions.method is Method.SUM_RULE
    if has_sums and _typical(target_error) <= allowed:
        errors.append(target_error)
    return float(np.any([error > allowed for error in errors], axis=0).mean()) if errors else 0.0


def _share_of_other_targets(a: NDArray, b: NDArray, logsnr: NDArray) -> float:
    """Share of the draws whose target is not that of the draws near them in log-SNR.

    The median of neighbours follows any monotone function, also where it is steep. Draws next to
    each other may come from calls that chose the same target, so that farther ones are compared
    too.
    """
    order = np.argsort(logsnr)
    steps = {1, max(1, len(order) // FAR)}
    return max(_share_far_from_neighbours(a[order], b[order], step) for step in steps)


def _share_far_from_neighbours(a: NDArray, b: NDArray, step: int) -> float:
    """Share of the targets that are not the median of those so many draws apart."""
    reach = (NEIGHBOURS - 1) * step
    n = len(a) - reach  # those with neighbours on both sides
    if n < 1:
        return 0.0
    middle = slice(reach // 2, reach // 2 + n)
    far = np.hypot(
        *(
            values[middle] - np.median([values[k : k + n] for k in range(0, reach + 1, step)], 0)
            for values in (a, b)
        )
    )
    return float((far > ANOTHER_TARGET * np.hypot(a, b)[middle]).mean())


def _scatter(factor: NDArray, logsnr: NDArray) -> float:
    """Distance of the log factor from a line between the two draws of nearest log-SNR.

    A quarter of the draws is further off, so that weights that scatter at some levels are seen.
    """
    order = np.argsort(logsnr)
    level, log_factor = logsnr[order], np.log(factor)[order]
    width = level[2:] - level[:-2]
    share = np.divide(
        level[1:-1] - level[:-2], width, out=np.full_like(width, 0.5), where=width > 0
    )
    distance = np.abs(log_factor[1:-1] - (1 - share) * log_factor[:-2] - share * log_factor[2:])
    finite = distance[np.isfinite(distance)]
    return float(np.quantile(finite, 0.75)) if len(finite) else 0.0


def _label_levels(times: list[NDArray], logsnr: NDArray) -> NDArray:
    """Number the discrete levels, and give each draw the number of its level, shape (n,).

    Draws of equal time are one level if their log-SNR is equal too. If no argument of the network
    is such a time, draws of equal log-SNR are one level. If log-SNR hardly repeats either, the law
    is continuous and each draw has a number of its own, but for atoms, where many are equal.
    """
    for values in (*times, np.round(logsnr, ROUNDED)):
        _, label = np.unique(values, return_inverse=True)
        if not _agree(label, logsnr):
            continue
        comes_back = atoms_of(label)[label]
        is_atom = comes_back & _is_apart(label, logsnr)
        if is_atom.any():
            return _label_atoms(label, logsnr, is_atom)
        if label.max() < (0.5 if comes_back.any() else 0.9) * len(label):
            return label  # a table
    return np.arange(len(logsnr))


def _is_apart(label: NDArray, logsnr: NDArray) -> NDArray:
    """Whether more draws have the level of a label than are near it with another, shape (n,).

    A density with a spike also gives many draws of nearly one level, and more of them near it.
    """
    counts = np.bincount(label)
    mean = np.bincount(label, logsnr) / np.maximum(counts, 1)
    in_order = np.sort(logsnr)
    low, high = (np.searchsorted(in_order, mean + side) for side in (-NEAR_AN_ATOM, NEAR_AN_ATOM))
    spread = np.bincount(label, np.abs(logsnr - mean[label]) > ROUNDING_OF_A_LEVEL)
    return ((high - low < 2 * counts) & (spread == 0))[label]


def _label_atoms(label: NDArray, logsnr: NDArray, is_atom: NDArray) -> NDArray:
    """Numbers of levels of a law with atoms, in increasing order of log-SNR, shape (n,).

    Draws of one atom may have two labels, on both sides of a bound between two rounded values. The
    other draws have a number each, unless they are of a table.
    """
    mean = (np.bincount(label, logsnr) / np.maximum(np.bincount(label), 1))[label]
    order = np.lexsort((label, mean))
    rest = label[~is_atom]
    is_table = len(np.unique(rest)) < len(rest) / 2
    near = np.diff(mean[order]) < 2 * 10.0**-ROUNDED
    alike = near & is_atom[order][1:] & is_atom[order][:-1]
    if is_table:
        alike |= np.diff(label[order]) == 0
    numbers = np.empty(len(logsnr), int)
    numbers[order] = np.append(0, np.cumsum(~alike))
    return numbers


def _notes_on_atoms(label: NDArray, logsnr: NDArray) -> tuple[str, ...]:
    """Says which levels of a continuous law come back, and how often."""
    counts = np.bincount(label)
    atoms = np.flatnonzero(atoms_of(label))
    if not len(atoms):
        return ()
    mean = np.bincount(label, logsnr) / counts
    shares = counts[atoms] / len(label)
    if len(atoms) > MOST_NAMED:
        named = f"{shares.sum():.2g} of the draws are at {len(atoms)} levels alone, from λ = "
        named += f"{mean[atoms].min():.3g} to {mean[atoms].max():.3g}"
    else:
        named = " and ".join(
            f"{share:.2g} of the draws are at λ = {at:.3g}"
            for share, at in zip(shares, mean[atoms], strict=True)
        )
    return (
        f"{named} exactly (times clamped to an end, or set to one value?): such a level has a mass "
        "and no density, and p and w are those of all other draws",
    )


def _agree(label: NDArray, logsnr: NDArray) -> bool:
    """Whether all draws of one label have nearly the same log-SNR."""
    mean = np.bincount(label, logsnr) / np.bincount(label)
    allowed = 0.02 * min(1, np.ptp(logsnr)) + 1e-4
    return bool(np.abs(logsnr - mean[label]).max() < allowed)
