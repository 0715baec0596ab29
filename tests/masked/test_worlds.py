"""The exact world, by brute force over all sequences, and what bounds say on it."""

import numpy as np
import pytest
from scipy import integrate, special

import diffviz as dv
from diffviz.masked import Assessment, MarkovWorld, noises
from diffviz.masked.bounds import even, weighed
from diffviz.masked.worlds import by_rate, masks

WORLD = MarkovWorld([0.5, 0.3, 0.2], [[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]], 4)
SMALL = MarkovWorld(WORLD.start, WORLD.transition, 3)
EXACT = Assessment.of(WORLD, WORLD.posterior)
COIN = MarkovWorld([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], 5)


def blurred(z):
    """A predictor that is wrong, and differs between orders."""
    exact = WORLD.posterior(z)
    hidden = (z == WORLD.alphabet).mean(1)[:, None, None]
    return (1 - 0.5 * hidden) * exact + 0.5 * hidden / WORLD.alphabet


WRONG = Assessment.of(WORLD, blurred)


def posterior_by_counting(world, z):
    """p(x_l = v | z) as a sum over all sequences that agree with z."""
    agrees = ((z == world.sequences) | (z == world.alphabet)).all(1)
    p = world.probability * agrees
    one_hot = np.eye(world.alphabet)[world.sequences]
    return np.tensordot(p, one_hot, 1) / p.sum()


def test_probabilities_add_up_to_one():
    assert WORLD.probability.sum() == pytest.approx(1, abs=1e-12)
    start, step = np.log(WORLD.start), np.log(WORLD.transition)
    x = np.array([[0, 2, 1, 1]])
    truth = start[0] + step[0, 2] + step[2, 1] + step[1, 1]
    assert WORLD.log_probability(x)[0] == pytest.approx(truth, abs=1e-12)


def test_messages_give_the_posterior_that_counting_gives():
    counted = np.array([posterior_by_counting(WORLD, z) for z in WORLD.states])
    assert np.abs(WORLD.posterior(WORLD.states) - counted).max() < 1e-12


def test_the_floor_from_nearest_neighbours_is_the_cross_entropy_of_the_posterior():
    assert EXACT.mean(EXACT.by_count) == pytest.approx(WORLD.floor_by_count, abs=1e-12)


def test_the_floor_is_an_average_over_drawn_masks_and_sequences():
    rng = np.random.default_rng(0)
    x = WORLD.sample(20_000, rng)
    hidden = rng.random(x.shape) < 0.4
    law = WORLD.posterior(np.where(hidden, 3, x))
    spent = -np.log(np.take_along_axis(law, x[..., None], 2)[..., 0]) * hidden
    total = spent.sum(1)
    error = total.std() / np.sqrt(len(x))
    assert WORLD.floor(np.log(0.6 / 0.4)) == pytest.approx(total.mean(), abs=5 * error)


def test_the_floor_of_coins_is_a_bit_for_each_masked_token():
    level = np.array([-3.0, 0.0, 2.0])
    assert COIN.floor(level) == pytest.approx(5 * np.log(2) * special.expit(-level), rel=1e-12)
    assert COIN.entropy == pytest.approx(5 * np.log(2), rel=1e-12)


def test_no_predictor_is_below_the_floor():
    level = np.linspace(-6, 6, 25)
    assert (WRONG.cross_entropy(level) > WORLD.floor(level)).all()


def test_values_by_count_become_a_function_of_log_snr():
    counts = np.arange(5.0)
    assert by_rate(counts, 0.0) == pytest.approx(2.0)
    assert by_rate(counts, [-np.inf, np.inf]) == pytest.approx([4.0, 0.0])


def test_an_infinite_value_counts_where_its_number_of_masks_is_possible():
    level = [-np.inf, -800.0, 0.0, 800.0, np.inf]
    inf = np.inf
    assert by_rate([0, 1.0, inf], level).tolist() == [inf, inf, inf, inf, 0]
    assert by_rate([0, inf, 2.0], level).tolist() == [2, inf, inf, inf, 0]
    assert by_rate([-inf, 1.0, 2.0], level).tolist() == [2, -inf, -inf, -inf, -inf]
    assert np.isnan(by_rate([-inf, 1.0, inf], 0.0))


# --- what cannot happen ---------------------------------------------------------------------------

RISING = MarkovWorld([0.5, 0.5], [[1.0, 0.0], [0.5, 0.5]], 3)  # after 0 comes no 1


@pytest.mark.parametrize("filler", [np.nan, -1.0, np.inf])
def test_the_exact_predictor_gives_what_cannot_happen_no_probability(filler):
    def predictor(z):
        law = RISING.posterior(z)
        return np.where(np.isnan(law), filler, law)

    known = Assessment.of(RISING, predictor)
    truth = RISING.log_probability(RISING.sequences)
    assert np.isneginf(truth).sum() == 4
    assert known.elbo == pytest.approx(truth, abs=1e-12)
    assert known.log_likelihood == pytest.approx(truth, abs=1e-12)
    for alpha in ([1, 0.5, 0], [1, 0]):
        likely = known.log_likelihood_in_steps(alpha)
        assert (known.elbo_in_steps(alpha) <= likely + 1e-12).all()
    assert np.exp(likely).sum() == pytest.approx(1, abs=1e-12)  # of a single step
    assert known.cross_entropy([-np.inf, 0.0, np.inf]) == pytest.approx(
        RISING.floor([-np.inf, 0.0, np.inf]), abs=1e-12
    )


def test_samples_of_the_exact_predictor_are_what_can_happen():
    known = Assessment.of(RISING, RISING.posterior)
    drawn = known.sample(400, np.random.default_rng(0))
    assert np.isfinite(RISING.log_probability(drawn)).all()
    assert len(np.unique(drawn, axis=0)) == 4
    assert len(known.sample(20, np.random.default_rng(0), steps=1)) == 20


def test_a_predictor_that_comes_to_what_cannot_happen_needs_laws_there():
    """In two steps both of 0 1 may come out, and then the third has no law."""
    rng = np.random.default_rng(0)
    known = Assessment.of(RISING, RISING.posterior)
    with pytest.raises(ValueError, match=r"in 0\.\d+ of all cases .* must return laws there, too"):
        known.sample(4, rng, steps=2)
    filled = lambda z: np.nan_to_num(RISING.posterior(z), nan=0.5)
    assert len(Assessment.of(RISING, filled).sample(4, rng, steps=2)) == 4


def test_a_predictor_without_doubt_costs_nothing_where_nothing_is_masked():
    sure = Assessment.of(SMALL, lambda z: np.broadcast_to(np.eye(3)[0], (len(z), 3, 3)))
    zeros = (SMALL.sequences == 0).all(1)
    assert sure.cross_entropy([np.inf, 0.0, -np.inf]).tolist() == [0, np.inf, np.inf]
    for alpha in ([1, 0], [1, 0.5, 0]):
        assert sure.elbo_in_steps(alpha).tolist() == np.where(zeros, 0, -np.inf).tolist()
    assert np.array_equal(sure.elbo, np.where(zeros, 0, -np.inf))
    assert sure.loss(dv.masked_objective("elbo")) == np.inf


def test_a_weight_of_zero_leaves_an_infinite_value_out():
    assert weighed(np.array([0.0, 2.0]), np.array([np.inf, 3.0])) == 6
    assert weighed(np.array([1.0, 2.0]), np.array([np.inf, 3.0])) == np.inf
    with pytest.raises(ValueError, match="one number for each of 2 weights, got 3"):
        weighed([1.0, 2.0], [1.0, 2.0, 3.0])


# --- the ELBO -------------------------------------------------------------------------------------


def test_the_exact_predictor_has_no_gap_for_any_sequence():
    truth = WORLD.log_probability(WORLD.sequences)
    assert np.abs(EXACT.elbo - truth).max() < 1e-9
    assert np.abs(EXACT.log_likelihood - truth).max() < 1e-9


def test_the_elbo_is_the_integral_of_sigmoid_times_the_cross_entropy():
    """By quadrature over λ, for a predictor that is wrong."""
    spent = lambda level: special.expit(level) * WRONG.cross_entropy(level)
    integral = integrate.quad(spent, -60, 60, epsabs=1e-12, limit=500, points=[0])[0]
    assert WRONG.mean(-WRONG.elbo) == pytest.approx(integral, abs=1e-9)


def test_a_weighted_loss_is_the_integral_of_its_weighting():
    for name in ("elbo", "simple", "dplm-linear"):
        entry = dv.masked_objective(name)
        spent = lambda level: entry.weighting(level) * WRONG.cross_entropy(level)  # noqa: B023
        integral = integrate.quad(spent, -60, 60, epsabs=1e-12, limit=500, points=[0])[0]
        divisor = {"sum": 1.0, "length": 4.0, "batch": 2.0}[entry.average]
        assert WRONG.loss(entry) == pytest.approx(integral / divisor, abs=1e-9)


def test_a_falling_weighting_is_a_mixture_of_bounds_of_masked_data():
    """∫ r sigmoid C dλ = ∫ (−r′) E[−ELBO of z_λ] dλ + r(∞) ELBO, here with r = m = sigmoid(−λ)."""
    node = np.linspace(-40, 40, 16001)
    step = node[1] - node[0]
    rate = special.expit(node) * WRONG.cross_entropy(node)
    bound = np.cumsum(rate) * step - rate * step / 2  # of data that are masked at that level
    mixture = (special.expit(node) * special.expit(-node) * bound).sum() * step
    direct = (special.expit(-node) * rate).sum() * step
    assert direct == pytest.approx(mixture, rel=1e-6)
    assert 4 * WRONG.loss(dv.masked_objective("simple")) == pytest.approx(direct, rel=1e-8)


def test_the_elbo_of_a_wrong_predictor_lies_below_its_likelihood():
    assert (WRONG.log_likelihood - WRONG.elbo > -1e-12).all()
    assert (WRONG.log_likelihood - WRONG.elbo).max() > 1e-3
    assert np.exp(WRONG.log_likelihood).sum() == pytest.approx(1, abs=1e-12)


def test_the_likelihood_is_an_average_over_all_orders():
    from itertools import permutations

    x = np.array([1, 0, 2, 2])
    total = 0.0
    for order in permutations(range(4)):
        z = np.full(4, 3)
        p = 1.0
        for place in order:
            p *= blurred(z[None])[0, place, x[place]]
            z[place] = x[place]
        total += p / 24
    row = np.flatnonzero((WORLD.sequences == x).all(1))[0]
    assert WRONG.log_likelihood[row] == pytest.approx(np.log(total), abs=1e-12)


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", [EXACT, WRONG], ids=["exact", "wrong"])
def test_a_sampler_in_steps_is_a_law_above_its_bound(predictor):
    for steps in (1, 2, 5):
        likely = predictor.log_likelihood_in_steps(even(steps))
        assert np.exp(likely).sum() == pytest.approx(1, abs=1e-12)
        assert (likely - predictor.elbo_in_steps(even(steps)) > -1e-12).all()


def test_one_step_is_the_product_of_the_first_laws():
    first = EXACT.table[-1]
    product = first[np.arange(4), WORLD.sequences].prod(1)
    assert np.exp(EXACT.log_likelihood_in_steps([1.0, 0.0])) == pytest.approx(product, abs=1e-12)
    assert np.exp(EXACT.elbo_in_steps([1.0, 0.0])) == pytest.approx(product, abs=1e-12)


def test_the_gap_of_the_bound_is_of_first_order_and_that_of_the_sampler_of_second():
    steps = (64, 128)
    bounds = [EXACT.mean(-EXACT.elbo_in_steps(even(n))) - WORLD.entropy for n in steps]
    samplers = [EXACT.mean(-EXACT.log_likelihood_in_steps(even(n))) - WORLD.entropy for n in steps]
    assert 0.95 < np.log2(bounds[0] / bounds[1]) < 1.05
    assert 1.9 < np.log2(samplers[0] / samplers[1]) < 2.1
    # the leading term of rectangles is half a step of the integrand's ends
    rate = [EXACT.cross_entropy(level) * special.expit(-level) ** -1 for level in (-30.0, 30.0)]
    assert bounds[1] * 128 == pytest.approx((rate[0] - rate[1]) / 2, rel=0.02)


def test_the_sampler_by_brute_force_over_states():
    """A transition matrix over all masked sequences of two tokens."""
    world = MarkovWorld(WORLD.start, WORLD.transition, 2)
    exact = Assessment.of(world, world.posterior)
    kept = np.array([1.0, 0.7, 0.2, 0.0])
    law = np.zeros(len(world.states))
    law[-1] = 1.0
    for later, sooner in zip(kept[:0:-1], kept[-2::-1], strict=True):
        reveal = (sooner - later) / (1 - later)
        matrix = np.ones((len(law), len(law)))
        for a, z in enumerate(world.states):
            for b, y in enumerate(world.states):
                for place in range(2):
                    if z[place] < 3:
                        matrix[a, b] *= float(y[place] == z[place])
                    elif y[place] < 3:
                        matrix[a, b] *= reveal * exact.table[a, place, y[place]]
                    else:
                        matrix[a, b] *= 1 - reveal
        law = law @ matrix
    clean = (world.states < 3).all(1)
    assert law[clean] == pytest.approx(np.exp(exact.log_likelihood_in_steps(kept)), abs=1e-12)


def test_samples_have_the_law_of_the_model():
    drawn = WRONG.sample(20_000, np.random.default_rng(0), steps=2)
    likely = np.exp(WRONG.log_likelihood_in_steps(even(2)))
    number = drawn @ 3 ** np.arange(3, -1, -1)
    seen = np.bincount(number, minlength=81) / 20_000
    assert np.abs(seen - likely).max() < 5 * np.sqrt(likely.max() / 20_000)


# --- other noises ---------------------------------------------------------------------------------

KINDS = {
    "absorbing": noises.absorbing(3),
    "uniform": noises.uniform(3),
    "hybrid": noises.hybrid(3, 0.3),
}
P_HAT = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
X = np.array([0, 1, 2, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_elbo_of_every_noise_closes_with_the_exact_prediction(kind):
    bound = noises.exact_elbo(SMALL, KINDS[kind])
    assert np.abs(bound - SMALL.log_probability(SMALL.sequences)).max() < 1e-9


HALVES = MarkovWorld([0.5, 0.5], np.eye(2), 2)
ONE_WAY = MarkovWorld([0.5, 0.5, 0], [[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]], 3)


@pytest.mark.parametrize("reach", [45.0, 100.0, 700.0])
@pytest.mark.parametrize("world", [HALVES, ONE_WAY], ids=["halves", "one way"])
@pytest.mark.parametrize("kind", [noises.absorbing, noises.uniform])
def test_the_elbo_of_what_cannot_happen_is_minus_infinity(kind, world, reach):
    truth = world.log_probability(world.sequences)
    assert np.isinf(truth).any()
    bound = noises.exact_elbo(world, kind(world.alphabet), reach, int(7 * reach))
    np.testing.assert_allclose(bound, truth, atol=1e-7)
    density = noises.mean_density(world, kind(world.alphabet), [-3.0, 0.0, 8.0])
    assert (np.isfinite(density) & (density >= 0)).all()


def test_laws_that_are_rounded_are_made_up_for():
    """Draws of NumPy need sums within 1e-8; those of float32 are within 1e-7."""
    rounded = np.float32([0.1, 0.2, 0.7]) * np.float32(1 + 3e-7)
    for law in (rounded, [0.33333] * 3):
        world = MarkovWorld(law, [law] * 3, 2)
        np.testing.assert_allclose(world.start, np.float64(law) / np.float64(law).sum())
        assert world.probability.sum() == pytest.approx(1, abs=1e-15)
        assert world.sample(4, np.random.default_rng(0)).shape == (4, 2)


def test_for_masking_the_score_entropy_is_sigmoid_times_the_cross_entropy():
    masked = np.full(4, 3)
    for level in (-3.0, 0.0, 2.5):
        density = noises.density_by_scores(KINDS["absorbing"], X, masked, P_HAT, level)
        entropy = -np.log(P_HAT[np.arange(4), X])
        assert np.abs(density - special.expit(level) * entropy).max() < 1e-12


def test_a_free_score_pays_for_its_scale():
    """s_hat = c e^λ p_hat costs alpha (c − 1 − log c) more, which is 0 only for c = 1."""
    masked = np.full(4, 3)
    plain = noises.density_by_scores(KINDS["absorbing"], X, masked, P_HAT, 0.5)
    scaled = noises.density_by_scores(KINDS["absorbing"], X, masked, P_HAT, 0.5, scale=1.7)
    extra = special.expit(0.5) * (1.7 - 1 - np.log(1.7))
    assert scaled - plain == pytest.approx(np.full(4, extra), rel=1e-10)


def test_visible_tokens_cost_nothing_under_masking():
    density = noises.density_by_scores(KINDS["absorbing"], X, X, P_HAT, 0.5)
    assert density == pytest.approx(np.zeros(4), abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_divergences_give_one_density(kind):
    noise = KINDS[kind]
    for level in (-4.0, 0.0, 4.0):
        for z in range(len(noise.law)):
            possible = noise.noised(np.eye(3)[X], level)[:, z] > 0
            x, p_hat = X[possible], P_HAT[possible]
            same = np.full(possible.sum(), z)
            first = noises.density_by_scores(noise, x, same, p_hat, level)
            second = noises.density_by_divergences(noise, x, same, p_hat, level)
            assert first == pytest.approx(second, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("density", [noises.density_by_scores, noises.density_by_divergences])
def test_a_level_beyond_float64_is_refused(density):
    with pytest.raises(ValueError, match=r"logsnr must lie in \[-700, 700\]"):
        density(KINDS["uniform"], X, X, P_HAT, 1e300)


def test_uniform_noise_has_no_cross_entropy_form():
    """Two predictions with one loss under masking have different ones under uniform noise."""
    p_hat = np.array([[0.5, 0.45, 0.05], [0.5, 0.05, 0.45]])
    x = np.array([0, 0])
    masked = noises.density_by_scores(KINDS["absorbing"], x, np.full(2, 3), p_hat, 0.0)
    assert masked[0] == pytest.approx(masked[1], rel=1e-12)
    uniform = noises.density_by_scores(KINDS["uniform"], x, np.full(2, 1), p_hat, 0.0)
    assert uniform.max() > 1.5 * uniform.min()


def test_the_posterior_that_knows_its_own_token_leaves_a_gap_under_uniform_noise():
    noise = KINDS["uniform"]
    z = np.array([[0, 1, 1]])
    others = noises.posterior_from_others(SMALL, noise, z, 0.0)
    chance = noise.noised(np.eye(3), 0.0)
    joint = SMALL.probability * chance[SMALL.sequences, z[0]].prod(1)
    own = np.tensordot(joint, np.eye(3)[SMALL.sequences], 1) / joint.sum()
    with_own = others[0] * chance[:, z[0]].T
    assert own == pytest.approx(with_own / with_own.sum(1, keepdims=True), abs=1e-12)
    assert np.abs(own - others[0]).max() > 0.05


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MarkovWorld([0.5, 0.4], np.eye(2), 3), "each row of start must be a law"),
        (lambda: MarkovWorld([0.5, 0.5], [[1, 1], [0, 1]], 3), "each row of transition"),
        (lambda: MarkovWorld([0.5, 0.5], np.eye(3), 3), "transition"),
        (lambda: MarkovWorld([0.5, 0.5], np.eye(2), 20), "too many to count through"),
        (lambda: WORLD.posterior(np.array([[0, 1, 2, 4]])), "tokens from 0 to 3"),
        (lambda: WORLD.posterior(np.array([[0, 1]])), "shape"),
        (lambda: EXACT.elbo_in_steps([1.0, 0.5]), "alpha must fall from 1 to 0"),
        (lambda: Assessment.of(WORLD, lambda z: np.ones(3)), "must return laws of shape"),
        (lambda: noises.Noise([0.5, 0.4], 2), "must be a law"),
        (lambda: noises.hybrid(3, 1.2), "uniform_share must lie in"),
    ],
)
def test_wrong_worlds_and_predictors_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_masks_are_all_subsets():
    assert masks(3).sum(1).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
