"""What a predictor of masked tokens is worth, exactly: cross-entropies, ELBOs and likelihoods.

Let C_k(x) be the cross-entropy of a predictor, summed over k masked tokens of x and averaged over
all masks of k tokens. Then with m = sigmoid(−λ)

    −ELBO(x) = ∫ sigmoid(λ) E[Σ_masked −log p_hat] dλ = Σ_k C_k(x)/k.

That is also the average of −log p_hat(x) over all orders in which tokens can be unmasked one by
one. The model of continuous time unmasks them in a random order, and p_hat(x) is the average of
Π p_hat(x_l|…) over orders. So the ELBO falls short of log p_hat(x) by what orders differ. An exact
predictor gives each order the same, and its gap is zero for every x (Hoogeboom et al. 2021, arXiv
2110.02037; Ou et al. 2024, arXiv 2406.03736).

With T steps the bound is a sum of rectangles that lie above the integral,

    −ELBO_T(x) = Σ_i (alpha_{i−1} − alpha_i)/(1 − alpha_i) E[Σ_masked −log p_hat at alpha_i].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb, logsumexp

from diffviz.checks import array, count, function, instance, random_generator, real_numbers, require
from diffviz.masked.objectives import MaskedObjective, checked_objective
from diffviz.masked.worlds import MarkovWorld, by_rate, masks

LAW = 1e-3  # by how much the sum of a law may differ from 1, for networks in half precision

# z of shape (n, L) to p_hat of shape (n, L, V); V stands for the mask
Predictor = Callable[[NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class Assessment:
    """A predictor on a world, known at every masked sequence.

    Args:
        world: The world.
        table: p_hat(x_l = v | z) of every state, shape ((V + 1)^L, L, V).

    Example:
        >>> from diffviz.masked import Assessment, MarkovWorld
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> exact = Assessment.of(world, world.posterior)
        >>> bool(np.allclose(exact.elbo, world.log_probability(world.sequences)))
        True
    """

    world: MarkovWorld
    table: NDArray

    @classmethod
    def of(cls, world: MarkovWorld, predictor: Predictor) -> "Assessment":
        """Ask a predictor for every masked sequence.

        Args:
            world: The world.
            predictor: Laws of all tokens of masked sequences, (n, L) to (n, L, V).

        Returns:
            The assessment.

        Raises:
            TypeError: The world is none, or the predictor no function, or it returns no numbers.
            ValueError: The predictor does not return laws of the right shape. Of a masked sequence
                that cannot happen it may return anything. What is no law there, such as NaN, gives
                no token a probability.
        """
        instance(world, "world", MarkovWorld, "a world such as MarkovWorld(start, transition)")
        answer = function(predictor, "predictor")(world.states)
        table = real_numbers(answer, "what predictor returns").astype(np.float64)
        wanted = (len(world.states), world.length, world.alphabet)
        require(
            table.shape == wanted,
            f"the predictor must return laws of shape {wanted}, got {table.shape}",
        )
        laws = table[_happens(world)]
        require(
            (laws >= 0).all() and np.allclose(laws.sum(-1), 1, atol=LAW),
            "what predictor returns must be laws, >= 0 and adding up to 1: take the softmax of "
            f"logits over {world.alphabet} tokens; the least is {laws.min():g}, the sums lie "
            f"between {laws.sum(-1).min():g} and {laws.sum(-1).max():g}",
        )
        return cls(world, table)

    @cached_property
    def _numbers(self) -> NDArray:
        """Number of the state of each sequence under each mask, shape (V^L, 2^L)."""
        base = self.world.alphabet + 1
        place = base ** np.arange(self.world.length - 1, -1, -1)
        hidden = masks(self.world.length)
        tokens = self.world.sequences[:, None]
        return np.where(hidden, self.world.alphabet, tokens) @ place

    @cached_property
    def surprise(self) -> NDArray:
        """−log p_hat(x_l|z) of each sequence, mask and token, shape (V^L, 2^L, L).

        It is infinite where p_hat is 0, and where z cannot happen and p_hat is no law.
        """
        tokens = self.world.sequences[:, None, :]
        places = np.arange(self.world.length)
        is_law = (np.isfinite(self.table) & (self.table >= 0)).all((1, 2))
        known = is_law | _happens(self.world)
        table = np.where(known[:, None, None], self.table, 0.0)
        with np.errstate(divide="ignore"):
            return -np.log(table[self._numbers[:, :, None], places, tokens])

    @cached_property
    def by_count(self) -> NDArray:
        """C_k of each sequence, for 0 to L masked tokens, shape (V^L, L + 1)."""
        spent = np.where(masks(self.world.length), self.surprise, 0.0).sum(-1)
        return self._by_size(spent)

    def by_size(self, values: NDArray) -> NDArray:
        """Averages over the masks of each number of tokens.

        Args:
            values: One value for each mask, shape (..., 2^L).

        Returns:
            Averages for 0 to L masked tokens, shape (..., L + 1).

        Raises:
            TypeError: Values are masked, complex, text or dates.
            ValueError: Values are NaN, or not one for each mask.
        """
        numbers = array(values, "values", infinite=True)
        number = len(masks(self.world.length))
        require(
            numbers.shape[-1:] == (number,),
            f"values must hold one for each of {number} masks, got the shape {numbers.shape}",
        )
        return self._by_size(numbers)

    def _by_size(self, values: NDArray) -> NDArray:
        """The same without checks."""
        size = masks(self.world.length).sum(1)
        counts = np.arange(self.world.length + 1)
        sums = np.stack([values[..., size == k].sum(-1) for k in counts], -1)
        return sums / comb(self.world.length, counts)

    def mean(self, values: NDArray) -> NDArray:
        """Average over the sequences of the world, along the first axis."""
        numbers = real_numbers(values, "values")
        likely = self.world.probability > 0
        require(
            numbers.ndim > 0 and len(numbers) == len(likely),
            f"values must hold one row for each of {len(likely)} sequences, got {numbers.shape}",
        )
        return np.tensordot(self.world.probability[likely], numbers[likely], axes=1)

    def cross_entropy(self, logsnr: ArrayLike) -> NDArray:
        """Cross-entropy summed over masked tokens at a log-SNR, averaged over the world.

        Args:
            logsnr: λ in nats, any shape; ±inf is allowed.

        Returns:
            The cross-entropy in nats, same shape.
        """
        return by_rate(self.mean(self.by_count), logsnr)

    @cached_property
    def elbo(self) -> NDArray:
        """ELBO of each sequence in continuous time in nats, shape (V^L,)."""
        return -(self.by_count[:, 1:] / np.arange(1, self.world.length + 1)).sum(1)

    def elbo_in_steps(self, alpha: ArrayLike) -> NDArray:
        """ELBO of each sequence with finitely many steps.

        Args:
            alpha: Share of kept tokens at the ends of the steps, falling from 1 to 0, (T + 1,).

        Returns:
            The bound in nats, shape (V^L,).

        Raises:
            ValueError: The shares do not fall from 1 to 0.
        """
        kept = _falling(alpha)
        reveal = (kept[:-1] - kept[1:]) / (1 - kept[1:])
        with np.errstate(divide="ignore"):
            logsnr = np.log(kept[1:]) - np.log1p(-kept[1:])
        return -by_rate(self.by_count, logsnr) @ reveal

    def loss(self, objective: MaskedObjective) -> float:
        """The loss that an objective has on the world, exactly.

        Args:
            objective: A masked objective.

        Returns:
            Σ_k weight_k C_k, averaged over the world, in nats.

        Raises:
            TypeError: It is no masked objective.
        """
        weights = checked_objective(objective).count_weights(self.world.length)
        return weighed(weights, self.mean(self.by_count)[1:])

    @property
    def log_likelihood(self) -> NDArray:
        """Log-likelihood of each sequence where tokens are unmasked one by one, shape (V^L,)."""
        return self.log_visible[:, 0]

    @cached_property
    def log_visible(self) -> NDArray:
        """Log-probability that the visible tokens come out as in each sequence, (V^L, 2^L).

        It is given which tokens are unmasked so far, for each mask. The last of them was each
        with the same probability.
        """
        hidden = masks(self.world.length)
        values = np.zeros((len(self.world.sequences), len(hidden)))
        bits = 2 ** np.arange(self.world.length - 1, -1, -1)
        for number in range(len(hidden) - 2, -1, -1):  # from all masked to none
            visible = np.flatnonzero(~hidden[number])
            before = number + bits[visible]
            path = values[:, before] - self.surprise[:, before, visible]
            values[:, number] = logsumexp(path, axis=1) - np.log(len(visible))
        return values

    def log_likelihood_in_steps(self, alpha: ArrayLike) -> NDArray:
        """Log-likelihood of each sequence for a sampler that takes finitely many steps.

        In each step every masked token is unmasked with the same chance, those of one step
        independently of each other.

        Args:
            alpha: Share of kept tokens at the ends of the steps, falling from 1 to 0, (T + 1,).

        Returns:
            The log-likelihood in nats, shape (V^L,). Steps may lead to masked sequences that cannot
            happen. Where the predictor has no law of them, no sequence comes out, and the
            likelihoods add up to less than 1.

        Raises:
            ValueError: The shares do not fall from 1 to 0.
        """
        kept = _falling(alpha)
        hidden = masks(self.world.length)
        likely = np.zeros((len(self.world.sequences), len(hidden)))
        likely[:, -1] = 1.0
        for later, sooner in zip(kept[:0:-1], kept[-2::-1], strict=True):
            likely = self._step(likely, hidden, (sooner - later) / (1 - later))
        with np.errstate(divide="ignore"):
            return np.log(likely[:, 0])

    def _step(self, likely: NDArray, hidden: NDArray, reveal: float) -> NDArray:
        """One step of the sampler on the probability of each mask."""
        following = np.zeros_like(likely)
        for number, mask in enumerate(hidden):
            if not likely[:, number].any():
                continue
            below = ~(hidden & ~mask).any(1)  # masks that hide nothing else
            shown = mask & ~hidden[below]
            stays = hidden[below].sum(1)
            chance = reveal ** shown.sum(1) * (1 - reveal) ** stays
            spent = np.where(shown, self.surprise[:, None, number], 0.0).sum(-1)
            following[:, below] += likely[:, number, None] * chance * np.exp(-spent)
        return following

    def sample(self, n: int, rng: np.random.Generator, steps: int | None = None) -> NDArray:
        """Sequences of the model.

        Args:
            n: Number of sequences.
            rng: NumPy generator.
            steps: Number of even steps; None unmasks one token at a time, in random order.

        Returns:
            Tokens, shape (n, L).

        Raises:
            TypeError: A number is not whole, or rng is no generator.
            ValueError: A number is below 1, or the model comes to masked sequences of which its
                predictor has no law.
        """
        rng = random_generator(rng)
        law = self.log_likelihood if steps is None else self.log_likelihood_in_steps(even(steps))
        likely = np.exp(law)
        lost = 1 - likely.sum()
        require(
            lost < 1 - (1 - 2 * LAW) ** self.world.length,
            f"in {lost:.2g} of all cases the model comes to masked sequences that cannot happen, "
            "where the predictor returned no laws: it must return laws there, too",
        )
        drawn = rng.choice(len(likely), size=count(n, "n"), p=likely / likely.sum())
        return self.world.sequences[drawn]


def _happens(world: MarkovWorld) -> NDArray[np.bool_]:
    """Which masked sequences can happen, by their numbers, shape ((V + 1)^L,)."""
    return np.isfinite(world.posterior(world.states)).all((1, 2))


def weighed(weights: ArrayLike, values: ArrayLike) -> float:
    """The sum of weighted values; one that is infinite counts nothing where its weight is 0.

    Args:
        weights: Finite weights, shape (k,).
        values: Values, shape (k,); inf is allowed.

    Returns:
        Σ weight · value.

    Raises:
        TypeError: An array holds no real numbers.
        ValueError: A weight is not finite, a value is NaN, or the shapes differ.
    """
    shares = array(weights, "weights", ndim=1)
    terms = array(values, "values", ndim=1, infinite=True)
    require(
        shares.shape == terms.shape,
        f"values must have one number for each of {len(shares)} weights, got {len(terms)}",
    )
    return float(np.where(shares != 0, terms, 0.0) @ shares)


def even(steps: int) -> NDArray:
    """Shares of kept tokens for even steps.

    Args:
        steps: Number of steps T.

    Returns:
        1, 1 − 1/T, …, 0, shape (T + 1,).
    """
    steps = count(steps, "steps")
    return np.arange(steps, -1, -1) / steps


def _falling(alpha: ArrayLike) -> NDArray:
    """Shares that fall from 1 to 0, or a ValueError."""
    kept = array(alpha, "alpha", ndim=1)
    falls = len(kept) > 1 and kept[0] == 1 and kept[-1] == 0 and (np.diff(kept) < 0).all()
    require(falls, "alpha must fall from 1 to 0, such as 1, 0.5, 0")
    return kept
