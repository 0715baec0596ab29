"""A world of which everything is known: short sequences of a Markov chain.

A sequence x of L tokens from an alphabet of V has the probability start(x_1) Π T(x_l, x_{l+1}). Of
a masked sequence z, forward and backward messages give the law of each hidden token,

    p(x_l = v | z) ∝ forward_l(v) backward_l(v),

and with it the least cross-entropy that any predictor can have. The alphabet and the length are so
small that all sequences, and all masks, can be counted through.

A *state* is a masked sequence: V stands for the mask, and states are numbered like numbers with L
digits in base V + 1, the first token first.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

from diffviz.checks import array, count, random_generator, real_numbers, require
from diffviz.masked.schedules import rates_at
from diffviz.theory.frames import levels

MOST_STATES = 200_000  # of masked sequences that are counted through


def masks(length: int) -> NDArray[np.bool_]:
    """All masks of a sequence.

    Args:
        length: Number of tokens L.

    Returns:
        Which tokens are masked, shape (2^L, L). The first mask hides nothing, the last all.
    """
    return np.array(list(product((False, True), repeat=count(length, "length"))))


@dataclass(frozen=True, eq=False)
class MarkovWorld:
    """Sequences of a Markov chain.

    Args:
        start: Law of the first token, shape (V,). Rounding, as of float32, is made up for.
        transition: Law of the next token in each row, shape (V, V), likewise.
        length: Number of tokens of a sequence.

    Raises:
        TypeError: An array holds no real numbers, or the length is no whole number.
        ValueError: The laws are no laws, their shapes differ, or there are too many states.

    Example:
        >>> from diffviz.masked import MarkovWorld
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> world.posterior(np.array([[0, 2, 0]]))[0, 1].round(4)
        array([0.9878, 0.0122])
    """

    start: ArrayLike
    transition: ArrayLike
    length: int

    def __post_init__(self) -> None:
        start = array(self.start, "start", ndim=1)
        transition = array(self.transition, "transition", ndim=2)
        size = len(start)
        require(
            size >= 2 and transition.shape == (size, size),
            f"start has shape {start.shape}, transition {transition.shape}; give (V,) and (V, V) "
            "with V of at least 2",
        )
        for name, law in (("start", start[None]), ("transition", transition)):
            is_law = (law >= 0).all() and np.allclose(law.sum(-1), 1, atol=1e-9)
            require(is_law, f"each row of {name} must be a law: >= 0 and adding up to 1")
        # rows in float32 add up to 1 but for their rounding, which no draw would take
        start = start / start.sum()
        transition = transition / transition.sum(-1, keepdims=True)
        length = count(self.length, "length")
        require(
            (size + 1) ** length <= MOST_STATES,
            f"{(size + 1) ** length} masked sequences are too many to count through; take fewer "
            f"tokens than length={length}",
        )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "transition", transition)
        object.__setattr__(self, "length", length)

    @property
    def alphabet(self) -> int:
        """Number of tokens V; the mask is the token V."""
        return len(np.asarray(self.start))

    @cached_property
    def sequences(self) -> NDArray[np.int64]:
        """All sequences, shape (V^L, L)."""
        return np.array(list(product(range(self.alphabet), repeat=self.length)))

    @cached_property
    def states(self) -> NDArray[np.int64]:
        """All masked sequences in the order of their numbers, shape ((V + 1)^L, L)."""
        return np.array(list(product(range(self.alphabet + 1), repeat=self.length)))

    @cached_property
    def probability(self) -> NDArray:
        """Probability of each sequence, shape (V^L,)."""
        return np.exp(self.log_probability(self.sequences))

    @cached_property
    def entropy(self) -> float:
        """Entropy of a sequence in nats, the least −log-likelihood of any model."""
        p = self.probability[self.probability > 0]
        return float(-(p * np.log(p)).sum())

    def log_probability(self, x: NDArray) -> NDArray:
        """Log-likelihood of sequences.

        Args:
            x: Tokens, shape (n, L).

        Returns:
            log p(x) in nats, shape (n,); −inf for what cannot happen.
        """
        tokens = self._tokens(x, "x", self.alphabet)
        with np.errstate(divide="ignore"):
            first = np.log(self.start)[tokens[:, 0]]
            steps = np.log(self.transition)[tokens[:, :-1], tokens[:, 1:]]
        return first + steps.sum(1)

    def posterior(self, z: NDArray) -> NDArray:
        """Law of each token of masked sequences, by forward and backward messages.

        Args:
            z: Tokens, V where they are masked, shape (n, L).

        Returns:
            p(x_l = v | z), shape (n, L, V); of a visible token it is certain. Where z itself
            cannot happen, NaN.
        """
        tokens = self._tokens(z, "z", self.alphabet + 1)
        seen = np.concatenate([np.eye(self.alphabet), np.ones((1, self.alphabet))])[tokens]
        before, after = messages(self, seen)
        both = before * seen * after
        with np.errstate(invalid="ignore"):
            return both / both.sum(-1, keepdims=True)

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sequences of the chain.

        Args:
            n: Number of sequences.
            rng: NumPy generator.

        Returns:
            Tokens, shape (n, L).
        """
        drawn = random_generator(rng).choice(
            len(self.sequences), size=count(n, "n"), p=self.probability
        )
        return self.sequences[drawn]

    @cached_property
    def floor_by_count(self) -> NDArray:
        """Least cross-entropy summed over k masked tokens, over all masks of k, shape (L + 1,).

        Of a hidden token only the nearest visible token on either side matters, so that its
        entropy follows from the two distances.
        """
        totals = np.zeros(self.length + 1)
        for mask in masks(self.length):
            hidden = np.flatnonzero(mask).tolist()
            totals[len(hidden)] += sum(self._entropy_of(place, mask) for place in hidden)
        return totals / comb(self.length, np.arange(self.length + 1))

    def floor(self, logsnr: ArrayLike) -> NDArray:
        """Least cross-entropy summed over masked tokens at a log-SNR.

        Args:
            logsnr: λ in nats, any shape; ±inf is allowed.

        Returns:
            The floor in nats, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is NaN.

        Example:
            >>> from diffviz.masked import MarkovWorld
            >>> coin = MarkovWorld([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], length=2)
            >>> (coin.floor([0.0]) / np.log(2)).round(3)
            array([1.])
        """
        return by_rate(self.floor_by_count, logsnr)

    def _entropy_of(self, place: int, mask: NDArray) -> float:
        """Entropy of a hidden token given the visible ones, in nats."""
        visible = np.flatnonzero(~mask)
        before = visible[visible < place].tolist()
        after = visible[visible > place].tolist()
        left = before[-1] if before else None
        right = after[0] if after else None
        return self._bridge_entropy(left, place, right)

    def _bridge_entropy(self, left: int | None, place: int, right: int | None) -> float:
        """Conditional entropy H(x_place | x_left, x_right), of a law over at most three tokens."""
        begin = 0 if left is None else left
        law = np.asarray(self.start) @ self._power(begin)
        joint = np.diag(law) if left is not None else law[None]
        joint = joint @ self._power(place - begin)
        if right is not None:
            joint = joint[:, :, None] * self._power(right - place)[None]
        else:
            joint = joint[:, :, None]
        given = joint.sum(1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            surprise = np.where(joint > 0, np.log(given) - np.log(joint), 0.0)
        return float((joint * surprise).sum())

    def _power(self, steps: int) -> NDArray:
        """Law of the token after some steps, in each row."""
        return np.linalg.matrix_power(np.asarray(self.transition), steps)

    def _tokens(self, value: NDArray, name: str, kinds: int) -> NDArray[np.int64]:
        """Tokens of the right shape and kind."""
        tokens = real_numbers(value, name)
        fits = tokens.ndim == 2 and tokens.shape[1] == self.length
        require(
            fits and tokens.dtype.kind in "iu" and tokens.size > 0,
            f"{name} must hold whole numbers of shape (n, {self.length}), got "
            f"{tokens.dtype} of shape {tokens.shape}",
        )
        require(
            tokens.min() >= 0 and tokens.max() < kinds,
            f"{name} must hold tokens from 0 to {kinds - 1}, got {tokens.min()} to {tokens.max()}",
        )
        return tokens.astype(np.int64)


def messages(world: MarkovWorld, seen: NDArray) -> tuple[NDArray, NDArray]:
    """What the tokens before each token say of it, and what those after it say.

    Args:
        world: The world.
        seen: Probability of what is seen of each token if that token is v, shape (n, L, V).

    Returns:
        p(x_l = v, seen before l) and p(seen after l | x_l = v), each of shape (n, L, V).
    """
    transition = np.asarray(world.transition)
    before = np.empty_like(seen)
    after = np.ones_like(seen)
    before[:, 0] = np.asarray(world.start)
    for place in range(1, world.length):
        before[:, place] = (before[:, place - 1] * seen[:, place - 1]) @ transition
    for place in range(world.length - 2, -1, -1):
        after[:, place] = (after[:, place + 1] * seen[:, place + 1]) @ transition.T
    return before, after


def by_rate(by_count: NDArray, logsnr: ArrayLike) -> NDArray:
    """What is known for each number of masked tokens, as a function of log-SNR.

    Each token is masked by itself, so that the number is binomial.

    Args:
        by_count: Values for 0 to L masked tokens, shape (..., L + 1); ±inf is allowed.
        logsnr: λ in nats, any shape; ±inf is allowed.

    Returns:
        Expected value, shape (..., *shape of λ). An infinite value counts where its number of
        masked tokens is possible: any number at a finite λ, 0 at +inf and L at −inf.

    Raises:
        TypeError: An array holds no real numbers.
        ValueError: A number is NaN, or there are no values.
    """
    at = levels(logsnr)
    mask, keep = rates_at(at)
    by_count = array(by_count, "by_count", infinite=True)
    require(by_count.ndim > 0, "by_count must hold a value for each number of masked tokens")
    length = by_count.shape[-1] - 1
    counts = np.arange(length + 1)
    shape = (length + 1,) + (1,) * mask.ndim
    ways = comb(length, counts).reshape(shape)
    chance = ways * mask ** counts.reshape(shape) * keep ** (length - counts).reshape(shape)
    infinite = np.isinf(by_count)
    if not infinite.any():
        return np.tensordot(by_count, chance, axes=(-1, 0))
    possible = np.isfinite(at) | (chance > 0)  # where a chance is below the least number as well
    above, below = (
        np.tensordot(by_count == end, possible.astype(float), axes=(-1, 0)) > 0
        for end in (np.inf, -np.inf)
    )
    expected = np.tensordot(np.where(infinite, 0.0, by_count), chance, axes=(-1, 0))
    expected = np.where(above, np.inf, expected)
    return np.where(below, np.where(above, np.nan, -np.inf), expected)
