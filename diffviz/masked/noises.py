"""Other noises of tokens: what is left of the axis and of the cross-entropy.

A token is kept with probability alpha, and else drawn anew from a law π:

    q(z|x) = alpha [z = x] + (1 − alpha) π(z).

For every π there is a log-SNR λ = log(alpha/(1 − alpha)), and the ELBO is an integral over it. With
s(y) = q(y|x)/q(z|x) and its estimate s_hat, its density is a score entropy (Lou et al. 2023, arXiv
2310.16834),

    (1 − alpha) π(z) Σ_y [s_hat(y) − s(y) − s(y) log(s_hat(y)/s(y))].

If s_hat is the ratio of q(y|p_hat) = Σ_v p_hat(v) q(y|v), the sum is (von Rütte et al. 2025, GIDD,
arXiv 2503.04482)

    [KL(q(·|x) ‖ q(·|p_hat)) + IS(q(z|x), q(z|p_hat))]/q(z|x),      IS(a, b) = a/b − log(a/b) − 1.

Masking is the π that puts everything on a token of its own. Only that token counts then, the ratio
IS vanishes, and sigmoid(λ) times the cross-entropy is left. For any other π the weight depends on
which token z is, and the loss on all of p_hat: there is an axis, but no weighting of a
cross-entropy on it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import array, brief, count, instance, number, positive, require
from diffviz.masked.schedules import rates_at
from diffviz.masked.worlds import MarkovWorld, messages
from diffviz.theory.frames import LARGEST_LEVEL


@dataclass(frozen=True, eq=False)
class Noise:
    """What replaces a token that is not kept.

    Args:
        law: Law π over all tokens that z may be, shape (K,); the first V are those of the data.
        alphabet: Number of tokens V of the data.

    Raises:
        TypeError: The law holds no real numbers.
        ValueError: It is no law, or has fewer tokens than the data.
    """

    law: ArrayLike
    alphabet: int

    def __post_init__(self) -> None:
        law = array(self.law, "law", ndim=1)
        size = count(self.alphabet, "alphabet", least=2)
        is_law = (law >= 0).all() and abs(law.sum() - 1) < 1e-9
        require(is_law and len(law) >= size, f"law must be a law over at least {size} tokens")
        object.__setattr__(self, "law", law)

    def noised(self, p: NDArray, logsnr: float) -> NDArray:
        """Law of z where x has a law.

        Args:
            p: Law of x, shape (..., V).
            logsnr: λ in nats.

        Returns:
            alpha p + (1 − alpha) π, shape (..., K).
        """
        mask, keep = rates_at(np.asarray(logsnr))
        law = np.asarray(self.law)
        kept = np.zeros((*p.shape[:-1], len(law)))
        kept[..., : self.alphabet] = keep * p
        return kept + mask * law


def absorbing(alphabet: int) -> Noise:
    """Masking: a token that is not kept becomes a token of its own, the last one.

    Args:
        alphabet: Number of tokens V of the data.

    Returns:
        The noise.

    Raises:
        ValueError: There are fewer than two tokens.
    """
    size = count(alphabet, "alphabet", least=2)
    return Noise(np.eye(size + 1)[size], size)


def uniform(alphabet: int) -> Noise:
    """A token that is not kept becomes any token of the data.

    Args:
        alphabet: Number of tokens V of the data.

    Returns:
        The noise.

    Raises:
        ValueError: There are fewer than two tokens.
    """
    size = count(alphabet, "alphabet", least=2)
    return Noise(np.full(size, 1 / size), size)


def hybrid(alphabet: int, uniform_share: float) -> Noise:
    """Masking in a part of the cases, and any token of the data in the others.

    Args:
        alphabet: Number of tokens V of the data.
        uniform_share: Probability of the others, in [0, 1].

    Returns:
        The noise.

    Raises:
        ValueError: There are fewer than two tokens, or the share leaves [0, 1].
    """
    share = number(uniform_share, "uniform_share", 0.0, 1.0)
    size = count(alphabet, "alphabet", least=2)
    return Noise(np.append(np.full(size, share / size), 1 - share), size)


def score_entropy(score: NDArray, estimate: NDArray) -> NDArray:
    """The divergence s_hat − s − s log(s_hat/s), summed over the last axis.

    Args:
        score: Ratios s >= 0, shape (..., K).
        estimate: Their estimates, above 0 where s is, same shape.

    Returns:
        The divergence, >= 0 and 0 only where both agree, shape (...).
    """
    s, s_hat = array(score, "score"), array(estimate, "estimate")
    require(
        s.shape == s_hat.shape and s.ndim > 0,
        f"score and estimate must have one shape (..., K), got {s.shape} and {s_hat.shape}",
    )
    require((s >= 0).all(), f"score must be >= 0, got {s.min(initial=0.0):g}")
    missing = (s > 0) & ~(s_hat > 0)
    require(not missing.any(), "estimate must be above 0 where score is")
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.where(s > 0, s * (np.log(s_hat) - np.log(s)), 0.0)
    return (s_hat - s - logarithm).sum(-1)


def _check_noise(value: Any, name: str = "noise") -> None:
    """Refuse what is no noise."""
    instance(value, name, Noise, "a noise such as absorbing(4) or uniform(4)")


def _check_world(value: Any) -> None:
    """Refuse what is no world."""
    instance(value, "world", MarkovWorld, "a world such as MarkovWorld(start, transition)")


def _tokens(value: Any, name: str, kinds: int, ndim: int) -> NDArray:
    """Tokens as whole numbers from 0 below a number of kinds."""
    numbers = array(value, name, ndim=ndim)
    are_tokens = (numbers == np.floor(numbers)) & (numbers >= 0) & (numbers < kinds)
    if not are_tokens.all():
        raise ValueError(f"{name} must hold tokens from 0 to {kinds - 1}, got {brief(value)}")
    return numbers.astype(np.int64)


def _pairs(
    noise: Noise, x: ArrayLike, z: ArrayLike, p_hat: ArrayLike
) -> tuple[NDArray, NDArray, NDArray]:
    """Tokens, noised tokens and laws of one number, checked."""
    _check_noise(noise)
    clean = _tokens(x, "x", noise.alphabet, 1)
    noised = _tokens(z, "z", len(np.asarray(noise.law)), 1)
    laws = array(p_hat, "p_hat", ndim=2)
    require(len(clean) == len(noised), f"z must hold {len(clean)} tokens as x, got {len(noised)}")
    wanted = (len(clean), noise.alphabet)
    require(laws.shape == wanted, f"p_hat must have the shape {wanted}, got {laws.shape}")
    require((laws >= 0).all(), f"p_hat must be >= 0, got {laws.min(initial=0.0):g}")
    return clean, noised, laws


def density_by_scores(
    noise: Noise, x: NDArray, z: NDArray, p_hat: NDArray, logsnr: float, scale: float = 1.0
) -> NDArray:
    """−dELBO/dλ of single tokens as a score entropy.

    Args:
        noise: What replaces tokens.
        x: Tokens of the data, shape (n,).
        z: Noised tokens with q(z|x) > 0, shape (n,).
        p_hat: Laws of x that a network predicts, shape (n, V).
        logsnr: λ, within ±700 nats.
        scale: Factor on all estimated ratios of other tokens, as of a network whose scores are not
            made of laws.

    Returns:
        The density in nats of loss for each nat of λ, shape (n,).

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: A token, a law, λ or the scale is out of range, or the shapes do not fit.
    """
    x, z, p_hat = _pairs(noise, x, z, p_hat)
    logsnr = number(logsnr, "logsnr", -LARGEST_LEVEL, LARGEST_LEVEL)
    scale = positive(scale, "scale")
    own = noise.noised(np.eye(noise.alphabet)[x], logsnr)
    estimated = noise.noised(p_hat, logsnr)
    at = np.arange(len(z))
    score = own / own[at, z][:, None]
    estimate = scale * estimated / estimated[at, z][:, None]
    score[at, z] = 1.0
    estimate[at, z] = 1.0
    mask, _ = rates_at(np.asarray(logsnr))
    return mask * np.asarray(noise.law)[z] * score_entropy(score, estimate)


def density_by_divergences(
    noise: Noise, x: NDArray, z: NDArray, p_hat: NDArray, logsnr: float
) -> NDArray:
    """−dELBO/dλ of single tokens as KL plus Itakura–Saito, weighted by the token z.

    Args:
        noise: What replaces tokens.
        x: Tokens of the data, shape (n,).
        z: Noised tokens with q(z|x) > 0, shape (n,).
        p_hat: Laws of x that a network predicts, shape (n, V).
        logsnr: λ in nats.

    Returns:
        The density in nats of loss for each nat of λ, shape (n,).
    """
    x, z, p_hat = _pairs(noise, x, z, p_hat)
    logsnr = number(logsnr, "logsnr", -LARGEST_LEVEL, LARGEST_LEVEL)
    own = noise.noised(np.eye(noise.alphabet)[x], logsnr)
    estimated = noise.noised(p_hat, logsnr)
    at = np.arange(len(z))
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(own > 0, own * np.log(own / estimated), 0.0).sum(-1)
    ratio = own[at, z] / estimated[at, z]
    itakura_saito = ratio - np.log(ratio) - 1
    mask, _ = rates_at(np.asarray(logsnr))
    weight = mask * np.asarray(noise.law)[z] / own[at, z]
    return weight * (divergence + itakura_saito)


def posterior_from_others(world: MarkovWorld, noise: Noise, z: NDArray, logsnr: float) -> NDArray:
    """Law of each token given all other noised tokens, by forward and backward messages.

    It is the exact p_hat of a network that is told z: what z_l itself says enters by q(z_l|p_hat).

    Args:
        world: The world.
        noise: What replaces tokens.
        z: Noised tokens, shape (n, L).
        logsnr: λ in nats.

    Returns:
        p(x_l = v | z without z_l), shape (n, L, V); NaN where z without z_l cannot happen.
    """
    _check_world(world)
    _check_noise(noise)
    z = _tokens(z, "z", len(np.asarray(noise.law)), 2)
    wanted = f"z must have shape (n, {world.length}), got {z.shape}"
    require(z.shape[1] == world.length, wanted)
    logsnr = number(logsnr, "logsnr", -LARGEST_LEVEL, LARGEST_LEVEL)
    seen = noise.noised(np.eye(world.alphabet), logsnr)[:, z].transpose(1, 2, 0)
    before, after = messages(world, seen)
    both = before * after
    with np.errstate(invalid="ignore"):
        return both / both.sum(-1, keepdims=True)


def mean_density(world: MarkovWorld, noise: Noise, logsnr: ArrayLike) -> NDArray:
    """−dELBO/dλ of the exact prediction, averaged over the world.

    Args:
        world: The world.
        noise: What replaces tokens.
        logsnr: λ in nats, shape (n,).

    Returns:
        The density in nats for each nat of λ, shape (n,); its area is the entropy.
    """
    _check_world(world)
    _check_noise(noise)
    z = _all_noised(world, noise)
    nodes = array(logsnr, "logsnr", ndim=1)
    return np.array([world.probability @ _density(world, noise, z, node) for node in nodes])


def exact_elbo(world: MarkovWorld, noise: Noise, reach: float = 45.0, steps: int = 301) -> NDArray:
    """ELBO of each sequence under the exact prediction, by an integral over λ.

    The integrand falls like e^(−|λ|) and has no corner, so that even steps converge fast.

    Args:
        world: The world.
        noise: What replaces tokens.
        reach: Largest |λ| in nats, up to 700.
        steps: Number of nodes.

    Returns:
        The ELBO in nats, shape (V^L,); it is log p(x) for every noise, −inf for a sequence that
        cannot happen, of which the integral diverges.
    """
    _check_world(world)
    _check_noise(noise)
    reach = number(positive(reach, "reach"), "reach", high=LARGEST_LEVEL)
    nodes = np.linspace(-reach, reach, count(steps, "steps", least=2))
    z = _all_noised(world, noise)
    spent = sum(_density(world, noise, z, node) for node in nodes)
    happens = np.isfinite(world.log_probability(world.sequences))
    return np.where(happens, -spent * (nodes[1] - nodes[0]), -np.inf)


def _all_noised(world: MarkovWorld, noise: Noise) -> NDArray:
    """All sequences that z may be, shape (K^L, L)."""
    kinds = len(np.asarray(noise.law))
    noised = np.meshgrid(*[np.arange(kinds)] * world.length, indexing="ij")
    return np.stack(noised, -1).reshape(-1, world.length)


def _density(world: MarkovWorld, noise: Noise, z: NDArray, logsnr: float) -> NDArray:
    """−dELBO/dλ of each sequence, summed over tokens and averaged over z, shape (V^L,).

    That of a sequence which cannot happen has no meaning.
    """
    p_hat = posterior_from_others(world, noise, z, logsnr)
    chance = noise.noised(np.eye(world.alphabet), logsnr)  # q(z|x), (V, K)
    # of each token v at each place of each z, shape (n, L, V)
    by_token = np.zeros(p_hat.shape)
    for v in range(world.alphabet):
        flat = z.ravel()
        # the law predicts each token of a sequence that can happen; what it rules out, or NaN, is
        # of sequences that cannot. A token that no noise draws has a density of 0.
        predicted = p_hat[:, :, v].ravel() > 0
        possible = (chance[v][flat] > 0) & predicted & (np.asarray(noise.law)[flat] > 0)
        density = np.zeros(len(flat))
        density[possible] = density_by_scores(
            noise,
            np.full(possible.sum(), v),
            flat[possible],
            p_hat.reshape(-1, world.alphabet)[possible],
            logsnr,
        )
        by_token[:, :, v] = density.reshape(z.shape)
    places = np.arange(world.length)
    total = np.zeros(len(world.sequences))
    for place, x in enumerate(world.sequences):
        weight = chance[x, z].prod(-1)
        total[place] = weight @ by_token[:, places, x].sum(-1)
    return total
