"""A weighted loss as an average of bounds on the likelihood, whose models are exact in part.

The stack of a diffusion model has a decoder at each λ. The *optimal decoder* of a step draws from
the law that the data themselves give the next level, and loses nothing. Put it in the place of the
network's decoder everywhere but on a set S of levels. The model that results still has an ELBO, and
averaged over the data (our own derivation, after the idea of Shi and Titsias 2025, arXiv
2511.19664)

    E[−ELBO_S(x)] = entropy + ∫_S loss(λ) dλ,      loss = ½ (E‖eps − eps_hat‖² − mmse) >= 0,

since by the chain rule the KL of the two paths is a sum over the steps, and a step with the optimal
decoder adds 0. Every S that is left out makes the bound smaller. With M = max w and
S_h = {λ: w(λ) >= h M}, for any bounded w >= 0,

    ∫_0^1 E[−ELBO_{S_h}] dh = entropy + ∫ (w/M) loss dλ.

So the weighted loss is, up to constants, an average of bounds. The share of them that has the
network's decoder at λ is w(λ)/M. If w falls, S_h reaches from the noise to some λ, and the decoder
from there to the data is the exact law of x given z. If w rises, the exact part is at the noise. If
w has one peak, both ends are exact.

Kingma and Gao (2023, arXiv 2303.00848) read the same number in another way, for a w that falls: the
network alone models noised data z at a random λ, and no decoder is replaced.

For masked diffusion the loss is sigmoid(λ) times the excess of the cross-entropy summed over masked
tokens, and w is relative to the ELBO.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from diffviz.checks import finite, number, require
from diffviz.theory import elbo_mixture
from diffviz.theory.frames import Curve
from diffviz.theory.weightings import (
    Resolved,
    WeightingLike,
    evaluate,
    relative_to_elbo,
    resolve_curve,
)

LEVEL = 1e-9  # change of w/M that is taken for rounding


@dataclass(frozen=True, eq=False)
class Cascade:
    """The bounds of which a weighted loss is an average, from ``cascade``.

    Args:
        logsnr: Levels of a quadrature over λ in nats, shape (m,).
        width: Their weights in nats, shape (m,).
        share: Share of the bounds in which the network's decoder stands there, w/M, shape (m,).
        low: Noisiest level with a w in nats; below it every decoder is exact.
        high: Cleanest level with a w in nats; above it every decoder is exact.
        span: Length of the range of λ that was asked for, in nats.
        peak: λ of the largest w in nats.
        top: The largest w, M.
        weighting: The weighting itself.

    Example:
        >>> found = dv.cascade(dv.objective("edm"))
        >>> found.shape, round(found.learned, 3)
        ('one peak', 0.343)
    """

    logsnr: NDArray
    width: NDArray
    share: NDArray
    low: float
    high: float
    span: float
    peak: float
    top: float
    weighting: Resolved

    def __repr__(self) -> str:
        return (
            f"Cascade({self.shape}: the network decodes {self.learned:.1%} of the range, "
            "the rest is exact)"
        )

    @property
    def shape(self) -> str:
        """How w goes with λ.

        It is "flat", "falling", "rising", "one peak" or "several peaks". Where w falls, the exact
        decoders are at the data. Where it rises, they are at the noise. With one peak they are at
        both ends, and with several also between. Only the support of w counts, as in a verdict.
        """
        change = np.diff(self.share)
        turns = np.sign(change[np.abs(change) > LEVEL])
        if not len(turns):
            return "flat"
        runs = turns[np.concatenate([[True], turns[1:] != turns[:-1]])].tolist()
        return {(-1,): "falling", (1,): "rising", (1, -1): "one peak"}.get(
            tuple(runs), "several peaks"
        )

    @property
    def learned(self) -> float:
        """Share of the range that was asked for on which the network decodes, on average."""
        return float(self.width @ self.share) / self.span

    def gap(self, loss: Curve) -> float:
        """How far the average of the bounds lies above the entropy of the data.

        Args:
            loss: Nats for each nat of λ that the network's decoder loses to the optimal one:
                ½ (E‖eps − eps_hat‖² − mmse), or sigmoid(λ) times the excess cross-entropy.

        Returns:
            ∫ (w/M) loss dλ in nats.

        Raises:
            TypeError: ``loss`` is no function, or does not return real numbers.
            ValueError: It returns another shape, or what is not finite.

        Example:
            >>> ours = dv.cascade(dv.multipliers.constant, low=-10, high=10)
            >>> round(ours.gap(lambda level: np.full_like(level, 0.1)), 6)
            2.0
        """
        require(callable(loss), f"loss must be a function of λ, got {loss!r}", TypeError)
        nats = finite(loss(self.logsnr), "loss")
        require(
            nats.shape == self.logsnr.shape,
            f"loss must return one value for each λ, {self.logsnr.shape}, got {nats.shape}",
        )
        return float((self.width * self.share) @ nats)

    def stretches(self, height: float) -> list[tuple[float, float]]:
        """Where the network decodes in one of the bounds; everywhere else decoders are exact.

        Args:
            height: Which bound, between 0 and 1: w is at least ``height`` times its maximum.

        Returns:
            Ends of the stretches of λ in nats.

        Raises:
            TypeError: The height is no number.
            ValueError: The height does not lie between 0 and 1.

        Example:
            >>> [(low, high)] = dv.cascade(dv.objective("edm")).stretches(0.5)
            >>> round(low, 2), round(high, 2)
            (-6.17, -0.19)
        """
        height = number(height, "height")
        require(0 < height < 1, f"height must lie between 0 and 1, got {height:g}")
        places = np.unique(np.concatenate([[self.low, self.peak, self.high], self.logsnr]))
        values = evaluate(self.weighting, places) / self.top - height
        above = values >= 0
        ends = [
            self._crossing(height, places[i], places[i + 1])
            for i in np.flatnonzero(above[1:] != above[:-1])
        ]
        first = [self.low] if above[0] else []
        last = [self.high] if above[-1] else []
        edges = first + ends + last
        return list(zip(edges[::2], edges[1::2], strict=True))

    def _crossing(self, height: float, start: float, stop: float) -> float:
        """Where w passes a height, between two levels on either side of it."""

        def over(level: float) -> float:
            return float(evaluate(self.weighting, np.array([level]))[0] / self.top - height)

        return float(brentq(over, start, stop, xtol=1e-12))


def _peak(weighting: Resolved, places: NDArray) -> tuple[float, float]:
    """Place and value of the largest w, at some levels or between neighbours of the best."""
    values = evaluate(weighting, places)
    best = int(values.argmax())
    middle = places[best]
    before = float(places[max(best - 1, 0)] - middle)
    after = float(places[min(best + 1, len(places) - 1)] - middle)

    # by the distance from the best place, which has more digits than λ at a narrow peak
    def below(offset: float) -> float:
        return -float(evaluate(weighting, np.array([middle + offset]))[0])

    options = {"xatol": 1e-9 * (after - before)}
    found = minimize_scalar(below, bounds=(before, after), method="bounded", options=options)
    if -found.fun > values[best]:
        return float(middle + found.x), -float(found.fun)
    return float(places[best]), float(values[best])


def cascade(
    w: WeightingLike, low: float = -10.0, high: float = 10.0, points: ArrayLike = ()
) -> Cascade:
    """The bounds with partly exact models of which a weighted loss is an average.

    Any bounded w >= 0 has them; a w that falls with λ needs exact decoders at the data only.

    Peaks of an objective are found by its law, however narrow. A callable is read every 2e-3 nats,
    and beyond ±128 in a range of more than 512 nats every thousandth of λ. It may have narrower
    peaks at ``points``.

    Args:
        w: An objective, masked or not, a measured loss or a callable of λ.
        low: Noisiest level in nats, from −1e15. A w that grows towards the noise has its maximum
            here, so that the average depends on it.
        high: Cleanest level in nats, up to 1e15.
        points: λ in nats at which w has narrow peaks or jumps, shape (k,).

    Returns:
        The bounds.

    Raises:
        TypeError: An end or a point is no number, or ``w`` is a name.
        ValueError: low >= high, w is 0 everywhere between them, or w is negative, not finite, or
            noise at every scale.

    Example:
        >>> for name in ("elbo", "sigmoid-bias2", "edm"):
        ...     found = dv.cascade(dv.objective(name))
        ...     print(name, found.shape, round(found.learned, 2))
        elbo flat 1.0
        sigmoid-bias2 falling 0.6
        edm one peak 0.34
    """
    low, high = number(low, "low"), number(high, "high")
    resolved = resolve_curve(relative_to_elbo(w), "cascade")
    panels = elbo_mixture.panels(resolved, low, high, points)
    level, width = panels.nodes.ravel(), panels.widths.ravel()
    start = float(panels.start[0, 0])
    stop = float(panels.start[-1, 0] + 2 * panels.half[-1, 0])
    # edges of panels too, since a cusp stands on one
    peak, top = _peak(resolved, np.unique([start, *panels.start.ravel(), *level, stop]))
    require(top > 0, f"the weighting is 0 on [{low:g}, {high:g}]; take a range where it is not")
    return Cascade(
        logsnr=level,
        width=width,
        share=evaluate(resolved, level) / top,
        low=start,
        high=stop,
        span=high - low,
        peak=peak,
        top=top,
        weighting=resolved,
    )
