"""Every number in the prose of notebook 10 is computed here again, and looked for in the text."""

import re
from itertools import product
from math import comb

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, cells, printed
from numpy.polynomial import Polynomial
from scipy.special import expit

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.exercises import check
from diffviz.lab.experiments import masked
from diffviz.lab.explorers.masked import (
    OWN_DIVISORS,
    factor_words,
    own_objectives,
    relative_weights,
)
from diffviz.masked import noises
from diffviz.masked.objectives import draw_masks

NOTEBOOK = "10_masked"

pytestmark = pytest.mark.slow


def test_the_counts_of_the_catalogue_are_right(text):
    rows = masked.classes()
    elbos = len(rows[0].names)
    total = sum(len(row.names) for row in rows)
    assert_says(text, f"{total} entries fall into {len(rows)} classes, and {elbos} of them are")
    tilted = dv.verdict(dv.masked_objective("dplm-linear"))
    share = f"{100 * tilted.negative_share:.0f} %"
    assert_says(
        text, f"For independent tokens the part with a minus is {share} of the part with a plus"
    )
    level = np.linspace(-6, 6, 25)
    ratio = dv.masked_objective("dplm-linear").weighting(level, "elbo")
    product = expit(level) * expit(-level)
    np.testing.assert_allclose(ratio / ratio[12], product / product[12], rtol=1e-9)
    assert_says(text, r"the ratio is then $\alpha m$", "the same once batches are large")
    assert dv.masked_objective("dplm-linear").average == "batch"
    assert_says(text, "If it is divided by the masked tokens of the batch, the ratio is the same")
    share = np.linspace(0, 1, 10_001)
    slope = (1 - 2 * share) * share
    minus, plus = (np.trapezoid(np.maximum(part, 0), share) for part in (slope, -slope))
    assert (24 * minus, 24 * plus) == pytest.approx((1, 5), rel=1e-6)
    assert minus / plus == pytest.approx(tilted.negative_share, abs=1e-6)
    assert_says(text, r"a\, da = \tfrac1{24}$", r"those with a plus add up to $\tfrac5{24}$")
    assert abs(tilted.peak) < 1e-6


def chain_sums():
    """S_k of the chain for k = 0 to 6, by counting through all masks and sequences."""
    world, length = masked.WORLD, masked.WORLD.length
    x = world.sequences
    chance = np.exp(world.log_probability(x))
    sums, masks = np.zeros(length + 1), np.zeros(length + 1)
    for hidden in product((False, True), repeat=length):
        posterior = world.posterior(np.where(hidden, 3, x))
        right = np.take_along_axis(posterior, x[..., None], axis=2)[..., 0]
        sums[sum(hidden)] += -(chance @ np.log(right)[:, list(hidden)].sum(1))
        masks[sum(hidden)] += 1
    return sums / masks


def test_the_shares_on_the_chain_are_as_told(text):
    """By polynomials in the visible share a, from posteriors of every mask."""
    visible, hidden = Polynomial([0, 1]), Polynomial([1, -1])
    length = masked.WORLD.length
    density = sum(  # of −ELBO over a: C/(1 − a)
        comb(length, k) * total * hidden ** (k - 1) * visible ** (length - k)
        for k, total in enumerate(chain_sums())
        if k
    )
    bound = density.integ()
    assert bound(1) == pytest.approx(masked.WORLD.entropy, rel=1e-9)
    level = np.linspace(-5, 5, 11)
    assert masked.visible_elbo(level) == pytest.approx(bound(expit(level)), rel=1e-9)
    tilted = (Polynomial([1, -2]) * bound).integ()  # the slope of α − α², times the bound
    shares = {
        "maskgit-square-root": bound.integ()(1) / bound(1),
        "dplm-linear": tilted(0.5) / (tilted(0.5) - tilted(1)),
    }
    for name, share in shares.items():
        assert masked.share_on_chain(dv.masked_objective(name)) == pytest.approx(share, rel=1e-4)
        independent = dv.verdict(dv.masked_objective(name)).negative_share
        assert independent < share
        told = f"mixture, minus {independent:.0%} (chain {share:.0%})"
        assert told in printed(NOTEBOOK)
    first, second = (f"{100 * share:.1f} %" for share in shares.values())
    assert_says(
        text,
        f"The shares are then {first} and {second}",
        "the last tokens are easier, so $-\\mathrm{ELBO}_a$ is more than $a$ times the whole",
        "the assumption makes them a little too small",
    )
    assert (bound(np.linspace(0.1, 0.9, 9)) > np.linspace(0.1, 0.9, 9) * bound(1)).all()


def test_the_curve_of_maskgit_is_a_limit_that_no_length_reaches(text):
    """The largest weight over the ELBO's, by drawing rates and rounding the masks up."""
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    times = {}
    for length in (8, 16):
        count = np.ceil(length * np.cos(np.pi * u / 2))
        chance = np.bincount(count.astype(int), minlength=length + 1) / len(u)
        times[length] = chance[length] / chance[1]
        relative = relative_weights(dv.masked_objective("maskgit"), length)
        assert relative[-1] / relative[0] == pytest.approx(times[length], rel=1e-4)
        assert (np.diff(relative) > 0).all()
    assert_says(
        text,
        f"counts a sequence of all masks {times[8]:.1f} times as much as one with a single mask "
        f"in sequences of eight tokens, and {times[16]:.1f} times in those of sixteen",
        "the limit of `maskgit` rises without end over the ELBO",
    )
    far = dv.masked_objective("maskgit").weighting([-8.0, -12.0, -20.0], "elbo")
    assert far[0] < far[1] / 5 < far[2] / 100
    long = relative_weights(dv.masked_objective("maskgit"), 2000)
    level = np.array([-2.0, 0.0, 2.0])
    counts = np.rint(2000 * expit(-level)).astype(int) - 1
    ratio = dv.masked_objective("maskgit").weighting(level, "elbo")
    assert long[counts] / long[counts[1]] == pytest.approx(ratio / ratio[1], rel=5e-3)


def test_what_the_losses_that_are_made_come_out_as(text):
    made = own_objectives()
    uniform = {key: one for key, one in made.items() if key.startswith("ρ ")}
    elbos = [key for key, one in uniform.items() if masked.is_elbo(dv.verdict(one))]
    assert len(uniform) == 9
    assert elbos == [
        "ρ 1 masked tokens",
        "ρ 1/m length",
        "ρ 1/m masked tokens of the batch",
    ]
    dplm = dv.masked_objective("dplm-linear")
    assert dv.compare(made["1 − ρ^0.5 1 length"], dplm).same
    assert not dv.compare(made["cosine (MaskGIT) 1 length"], dplm).same
    cosines = {
        key: dv.verdict(one).negative_share for key, one in made.items() if key.startswith("cos")
    }
    shares = [cosines[f"cosine (MaskGIT) 1 − m {divisor}"] for divisor in OWN_DIVISORS]
    assert shares[0] == pytest.approx(shares[2])
    assert {key for key, share in cosines.items() if share > 0} == {
        *(f"cosine (MaskGIT) 1 − m {divisor}" for divisor in OWN_DIVISORS),
        "cosine (MaskGIT) 1/m masked tokens",
    }
    assert_says(
        text,
        "**Three of nine.** The factor $1/m$ with the length or with the masked tokens of the",
        f"it is {100 * shares[0]:.0f} % if the sum is divided by the length or by the masked "
        f"tokens of the batch, and {100 * shares[1]:.0f} % by those of each sequence",
    )


def test_below_minus_3_the_least_is_left_by_what_counts_it_more(text):
    """At each seed; and most of what lies above the entropy is above λ = −2."""
    for seed in masked.SEEDS:
        runs = masked.trained(seed=seed)
        level = runs[0].logsnr
        left = {run.name: run.exact - masked.WORLD.floor(level) for run in runs}
        low = level < -3
        assert (np.minimum(left["maskgit"], left["simple"]) < left["any-order"])[low].all()
        assert (left["elbo"] >= np.max([*left.values()], axis=0)).all()
        for values in left.values():
            spent = expit(level) * values
            assert spent[level > -2].sum() > 0.9 * spent.sum()
    for name in ("maskgit", "simple"):
        relative = relative_weights(dv.masked_objective(name), 6)
        assert (np.diff(relative) > 0).all() and relative[0] < 1
    assert_says(
        text,
        "Below λ = -3 it is otherwise: at each seed the least is left by `maskgit` or `simple`",
        "All this is decided above λ = -2",
        "both count more where much is masked",
        "At high λ both count less than `elbo`, and yet have less left",
    )


def test_the_score_entropy_is_0_for_the_right_ratio_alone(text):
    ratio = np.array([0.25, 1.0, 4.0])[:, None]
    guess = np.geomspace(0.05, 20, 400)
    term = guess - ratio * np.log(guess) + ratio * (np.log(ratio) - 1)
    assert (term > -1e-12).all()
    assert abs(guess[term.argmin(1)] / ratio[:, 0] - 1).max() < 0.02
    assert_says(text, "a term is 0 for the right ratio, and above 0 for any other")


def test_the_closing_section_says_what_was_shown(text):
    entries = [dv.masked_objective(name) for name in dv.masked_catalogue]
    elbo = dv.masked_objective("elbo")
    same = sum(bool(dv.compare(entry, elbo).same) for entry in entries)
    assert len(entries) / 2 < same < 0.6 * len(entries)
    by_mean = sum(
        entry.average == "masked" and bool(dv.compare(entry, elbo).same) for entry in entries
    )
    assert by_mean < same / 2
    assert_says(text, "For most of them the schedule drops out")
    assert masked.WORLD.length == 6
    assert_says(
        text,
        "More than half of the catalogue is one objective, the ELBO",
        "a Markov chain of six tokens",
        "small and trained for 600 steps",
    )


def test_the_means_are_as_the_text_says(text):
    masked_tokens = np.arange(1, 9)
    batch = dv.masked_objective("simple-batch").count_weights(8) * masked_tokens
    assert batch[7] / batch[0] == pytest.approx(8)
    assert_says(text, "in a large batch it counts 8 masked tokens eight times as often as one")
    each = dv.masked_objective("masked-mean").count_weights(8) * masked_tokens
    assert np.ptp(each) < 1e-9 * each.mean()


def test_the_gaps_in_steps_are_right(text):
    found = masked.gaps()
    assert_says(
        text, f"At 64 steps the excess of the bound is {found.bound[-1] / found.sampler[-1]:.0f}"
    )
    assert found.steps[-1] == 64
    assert_says(text, "loses about half of its excess", "the likelihood nearly three quarters")
    assert np.log2(found.bound[-2] / found.bound[-1]) == pytest.approx(1, abs=0.05)
    assert np.log2(found.sampler[-2] / found.sampler[-1]) == pytest.approx(2, abs=0.1)


def test_the_network_and_its_order_are_as_the_text_says(text):
    """The order holds at each seed; which of the other two is better does not."""
    for seed in masked.SEEDS:
        runs = {run.name: run for run in masked.trained(seed=seed)}
        gaps = {name: run.elbo - masked.WORLD.entropy for name, run in runs.items()}
        likelihoods = {name: run.likelihood for name, run in runs.items()}
        for values in (gaps, likelihoods):
            assert min(values, key=values.get) == "any-order"
            assert max(values, key=values.get) == "elbo"
        assert gaps["elbo"] > 2 * gaps["any-order"]
    assert len(masked.SEEDS) == 3
    row = r"^{} +([\d.]+) +([\d.]+) +([\d.]+) +[\d.]+ +[\d.]+ +[\d.]+$"
    worst, best = (
        np.array(re.findall(row.format(name), printed(NOTEBOOK), re.M)[0], dtype=float)
        for name in ("elbo", "any-order")
    )
    times = worst / best
    assert times.min() == pytest.approx(3, abs=0.5)
    assert times.max() == pytest.approx(6, abs=0.5)
    assert_says(
        text,
        "all of it with three seeds",
        "After 600 steps `any-order` is the best of the four in bound and likelihood at each seed",
        "`elbo` is the worst of the four at each seed",
        "three to six times as large as that of `any-order`",
    )


def test_the_gradients_are_as_noisy_as_the_text_says(text):
    found = masked.gradient_noise()
    times = found.noise["elbo"] / found.noise["any-order"]
    assert_says(text, f"But that of `elbo` is {times:.1f} times as noisy", "400 batches")
    assert found.cosine > 0.999
    drawn = draw_masks(dv.masked_objective("any-order"), 64, 6, np.random.default_rng(0))
    hidden = drawn.mask.sum(1)
    assert drawn.weight * hidden == pytest.approx(drawn.weight[0] * hidden[0]) and hidden.min() == 1
    drawn = draw_masks(dv.masked_objective("elbo"), 64, 6, np.random.default_rng(0))
    rate = expit(-drawn.logsnr)
    assert drawn.weight * rate == pytest.approx(drawn.weight[0] * rate[0])
    assert_says(text, "its factor is $6/k$ for $k$ masked tokens, so at most 6")
    lines = printed(NOTEBOOK)
    for name, noise in found.noise.items():
        assert f"{name:10} noise of the gradient {noise:.3f}" in lines
    assert f"both mean gradients: {found.cosine:.4f}" in lines


def test_the_areas_of_three_noises_are_the_entropy_that_is_stated(text):
    """Of three tokens: on average the entropy, and for each sequence −log p(x)."""
    assert_says(text, "sequences of three tokens", f"is {masked.SMALL.entropy:.2f} nats")
    assert masked.SMALL.length == 3
    truth = masked.SMALL.log_probability(masked.SMALL.sequences)
    for noise in masked.NOISES.values():
        np.testing.assert_allclose(noises.exact_elbo(masked.SMALL, noise), truth, rtol=1e-12)
    assert_says(text, r"For a single sequence the integral is $-\log p(x)$")
    gaps = re.findall(r"largest gap of any sequence (\S+)$", printed(NOTEBOOK), re.M)
    assert len(gaps) == 1 + len(masked.NOISES) and max(map(float, gaps)) < 1e-12


def test_what_is_printed_is_right():
    lines = printed(NOTEBOOK)
    assert "same up to a constant" in lines and "different" not in lines
    assert lines.count("It is the ELBO up to a constant") == 2
    assert f"entropy {masked.WORLD.entropy:.6f} nats" in lines
    assert "nearest is llada" in lines and "nearest is simple-batch" in lines


def test_a_loss_is_the_mixture_of_elbos_that_the_text_writes(text):
    """Both sides of the identity on exact data, for a ratio that falls and one that rises."""
    level = np.linspace(-30, 30, 12001)
    floor = masked.WORLD.floor(level)
    density = expit(level) * floor
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(level))])
    for name in ("maskgit", "maskgit-square-root", "dplm-linear"):
        entry = dv.masked_objective(name)
        ratio = entry.weighting(level, "elbo")
        left = np.trapezoid(entry.weighting(level) * floor, level)
        right = ratio[-1] * masked.WORLD.entropy - np.trapezoid(
            np.gradient(ratio, level) * below, level
        )
        assert left == pytest.approx(right, rel=1e-4), name
    assert_says(
        text, r"= r(1)\,(-\mathrm{ELBO}) + \int_0^1 \big(-r'(a)\big)\,(-\mathrm{ELBO}_a)\, da"
    )
    share = dv.verdict(dv.masked_objective("maskgit-square-root")).negative_share
    assert share == pytest.approx(0.5, abs=1e-6)
    assert_says(text, f"the negative share is {100 * share:.0f} %")


def test_llada_is_the_elbo_over_what_it_leaves_out(text):
    ratio = dv.masked_objective("llada").weighting([0.0], "elbo")
    assert ratio == pytest.approx(1 / 0.999, rel=1e-9)
    assert_says(text, "LLaDA draws $t$ from 0.001 on, so its density of $t$ is $1/0.999$")
    end = np.log(0.999 / 0.001)
    inside, beyond = dv.masked_objective("llada").weighting([end - 0.01, end + 0.01])
    assert inside > 0.99 and beyond == 0
    assert_says(text, f"It has no weight beyond λ = {end:.1f}")


def test_six_names_stand_alone_and_four_are_maskgits(text):
    alone = {row.names[0] for row in masked.classes() if len(row.names) == 1}
    maskgits = {name for name in alone if name.startswith("maskgit")}
    assert alone - maskgits == {"mage", "dfm-cross-entropy"}
    entries = [dv.masked_objective(name) for name in maskgits]
    assert {(entry.average, entry.masks) for entry in entries} == {("masked", "up")}
    assert len({entry.schedule.name for entry in entries}) == len(maskgits) == 4
    assert_says(
        text,
        "Six names stand alone in their class. Four of them are MaskGIT's mean under four",
    )


def test_the_sentence_of_the_table_is_that_of_the_picture():
    source = next(cell.source for cell in cells(NOTEBOOK) if "| a sentence |" in cell.source)
    rows = re.findall(r"^\| (−?\d) \| (\d+) % \| `(.+)` \|$", source, re.M)
    assert [row[0] for row in rows] == ["4", "2", "0", "−2", "−4"]
    full = rows[0][2].split()
    assert full == [word for word, _ in figures.masked.SENTENCE]
    for level, kept, words in rows:
        logsnr = float(level.replace("−", "-"))
        assert int(kept) == round(100 * expit(logsnr))
        shown = [word if "▒" not in word else "" for word in words.split()]
        assert shown == figures.masked.masked_words(logsnr)


def test_the_leap_of_maskgit_is_its_schedule_and_its_rounding(text):
    u = np.linspace(0.01, 0.99, 99)
    density = 2 / np.pi / np.sin(np.pi * u / 2)  # of the rates cos(π u/2), which fall
    assert (np.diff(density) < 0).all()
    weights = dv.masked_objective("maskgit").count_weights(8) * np.arange(1, 9)
    share = 2 / np.pi * np.arccos(7 / 8)  # of rates cos(π u/2) above 7/8
    assert weights[7] / weights.mean() == pytest.approx(8 * share, rel=1e-6)
    assert_says(
        text,
        f"{share:.3f}$ of the draws",
        f"Over this mean the share of the draws is eight times as large: {8 * share:.2f}",
    )
    u = (np.arange(100_000) + 0.5) / 100_000
    count = np.ceil(8 * np.cos(np.pi * u / 2))
    chances = np.bincount(count.astype(int), minlength=9)[1:] / len(u)
    assert chances / chances.mean() == pytest.approx(weights / weights.mean(), rel=1e-3)
    assert f"{8 * share:.2f}]" in printed(NOTEBOOK)


def test_the_ratios_of_the_first_explorer_rise_where_it_is_said(text):
    level = np.linspace(-6, 6, 25)
    ratios = {
        name: dv.masked_objective(name).weighting(level, "elbo")
        for name in ("elbo", "maskgit-square-root", "dplm-linear")
    }
    assert np.ptp(ratios["elbo"]) < 1e-9
    assert (np.diff(ratios["maskgit-square-root"]) > 0).all()
    assert (np.sign(np.diff(ratios["dplm-linear"])) == np.sign(-level[:-1] - 0.25)).all()
    assert_says(
        text,
        "The ratio of `maskgit-square-root` rises everywhere, that of `dplm-linear` up to λ = 0",
    )


def test_the_names_of_the_text_are_what_it_says(text):
    def entry(name):
        one = dv.masked_objective(name)
        return one.schedule.name, one.average, one.masks

    assert entry("simple") == ("linear", "length", "independent")
    assert entry("maskgit") == ("sine", "masked", "up")
    assert entry("maskgit-square-root") == ("kept power 0.5", "masked", "up")
    assert entry("masked-mean") == ("linear", "masked", "independent")
    assert entry("simple-batch") == ("linear", "batch", "independent")
    assert entry("amused")[1] == "batch"
    assert entry("muse")[:2] == ("sine", "batch")
    assert entry("muse")[2] == "independent" and entry("amused")[2] == "nearest"
    assert entry("mage")[0] == "rate on [0.5, 1]"
    assert entry("dfm-cross-entropy") == ("kept power 3", "length", "independent")
    assert_says(
        text,
        "`muse` and `maskgit` have one cosine schedule. They divide by different numbers",
        "MaskGIT up and aMUSEd to the nearest",
        "`mage` masks half of an image or more. Its rates are a Gaussian around 0.55",
        r"the sum without a factor under $\alpha = \rho^3$",
    )
    assert dv.masked_objective("dplm-linear").factor([0.0]) == pytest.approx(0.5)
    assert dv.compare(dv.masked_objective("dplm"), dv.masked_objective("simple")).same
    assert dv.verdict(dv.masked_objective("mage")).negative_share == pytest.approx(0.32, abs=0.005)
    visible = np.linspace(0.01, 0.6, 119)
    ratio = dv.masked_objective("mage").weighting(np.log(visible / (1 - visible)), "elbo")
    top = int(ratio.argmax())
    assert visible[top] == pytest.approx(0.45) and (np.diff(ratio[: top + 1]) > 0).all()
    assert ratio[visible > 0.5].max() == 0
    assert_says(text, "It rises from all masks to 45 % visible, and ends where half is visible")
    assert_says(text, "`masked-mean` takes the mean over the masked tokens of each sequence")


def test_a_sequence_of_masks_counts_as_said(text):
    for length in (8, 16, 32, 64):
        most = {
            name: relative_weights(dv.masked_objective(name), length)[-1]
            for name in ("elbo", "simple-batch", "maskgit", "amused")
        }
        assert sorted(most, key=most.get)[-2:] == ["maskgit", "amused"]
    assert_says(text, "It is `amused`, at each of these lengths, and `maskgit` comes second")
    for level in (-6.0, -4.0, -2.0):
        low = {
            name: masked.inside(dv.masked_objective(name), np.array([level]))[0]
            / masked.inside(dv.masked_objective(name), np.array([0.0]))[0]
            for name in ("elbo", "maskgit", "simple")
        }
        assert max(low, key=low.get) == "maskgit"
    assert_says(
        text,
        "the heaviest tail where much is hidden, below λ = -2?",
        "It is `maskgit`: its curve is the highest there",
    )


def score_entropy_of_the_text(p_hat, level):
    """The formula of the text where uniform noise of three tokens has turned 0 into 1."""
    alpha, m = expit(level), expit(-level)
    ratios = [alpha * p + m / 3 for p in (np.eye(3)[[0, 0]], p_hat)]
    s, s_hat = (ratio / ratio[:, 1:2] for ratio in ratios)
    terms = s_hat - s * np.log(s_hat) + s * (np.log(s) - 1)
    return m / 3 * (terms[:, 0] + terms[:, 2])


def test_the_costly_mistake_costs_what_is_said(text):
    p_hat = np.array([[0.5, 0.45, 0.05], [0.5, 0.05, 0.45]])
    truth, seen = np.zeros(2, int), np.ones(2, int)
    first, second = noises.density_by_scores(masked.NOISES["uniform"], truth, seen, p_hat, 0.0)
    assert score_entropy_of_the_text(p_hat, 0.0) == pytest.approx([first, second], rel=1e-12)
    elsewhere = noises.density_by_scores(masked.NOISES["uniform"], truth, seen, p_hat, 0.7)
    assert score_entropy_of_the_text(p_hat, 0.7) == pytest.approx(elsewhere, rel=1e-12)
    assert_says(
        text,
        r"\frac{m}{K}\sum_{y \ne z}\big(\hat s_y - s_y \log \hat s_y + s_y (\log s_y - 1)\big) .",
    )
    assert_says(text, f"the first costs {first:.2f} and the second {second:.2f}")
    assert_says(text, r"$\hat s_y = \hat q(y)/\hat q(z)$, where $\hat q = \alpha\,\hat p + m/K$")


def test_the_focal_factor_is_refused_as_printed():
    assert "depends on its own cross-entropy, as a focal factor does" in printed(NOTEBOOK)


def square_rates(factor, average):
    """A loss with rates t = u², a factor of t and an average of spent (n, L)."""

    def loss(model, x):
        t = torch.rand(len(x), 1) ** 2
        hidden = torch.rand(x.shape) < t
        logits = model(torch.where(hidden, 8, x))
        spent = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none") * hidden
        return average(factor(t) * spent, hidden)

    return loss


def uniform_rate(model, x):
    t = torch.rand(len(x), 1)
    hidden = torch.rand(x.shape) < t
    logits = model(torch.where(hidden, 8, x))
    spent = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none") * hidden
    return (spent / t).mean()


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (square_rates(lambda t: 7 / t.sqrt(), lambda spent, hidden: spent.mean()), "right!"),
        (square_rates(lambda t: 1 / t, lambda spent, hidden: spent.mean()), "with few masked"),
        (square_rates(torch.ones_like, lambda spent, hidden: spent.mean()), "with many masked"),
        (square_rates(torch.ones_like, lambda spent, hidden: spent.sum() / hidden.sum()), "batch"),
        (uniform_rate, "squares of uniform numbers"),
        (square_rates(lambda t: ..., lambda spent, hidden: spent.mean()), "place of the dots"),
        (3, "a function"),
    ],
)
def test_a_loss_of_square_rates_is_judged(loss, said, capsys):
    check("elbo-of-square-rates", loss)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("wrong", "hint"), [(1, "two objectives"), (1 / 12, "divides by k")])
def test_the_two_means_are_told_apart(wrong, hint, capsys, text):
    rng = np.random.default_rng(0)
    spent, hidden = rng.random((20_000, 16)), rng.random((20_000, 16)) < rng.random((20_000, 1))
    count = hidden.sum(1)
    weights = {k: (spent * hidden)[count == k].sum() for k in (1, 12)}  # by k, as a batch adds up
    own = {k: ((spent * hidden)[count == k].sum(1) / k).sum() for k in (1, 12)}
    assert (weights[12] / weights[1]) / (own[12] / own[1]) == pytest.approx(12)
    assert_says(text, "`answer = 12`: the mean over each sequence has $\\omega_k \\propto 1/k$")
    check("two-means", wrong)
    assert hint in capsys.readouterr().out


def test_the_exercises_take_the_right_answers(capsys, text):
    token = float(dv.masked_objective("elbo").weighting([2.0], base="token")[0])
    assert_says(text, f"gives {token:.3f}", "`answer = 2 / 3`")
    even = np.array([[0.5, 0.25, 0.25]] * 2)
    cost = float(score_entropy_of_the_text(even, 0.0)[0])
    assert_says(text, f"`answer = {cost:.3f}`")
    answers = {
        "masked-token-base": token,
        "masked-negative-share": 2 / 3,
        "two-means": 12,
        "uniform-mistake": cost,
    }
    for name, answer in answers.items():
        check(name, answer)
        assert "not yet" not in capsys.readouterr().out
        check(name, 1.2 * answer)
        assert "not yet" in capsys.readouterr().out


def test_the_table_of_names_has_the_parts_and_the_weighting_of_each(text):
    """A weighting is the density of λ times the factor, over m for a mean of each sequence."""
    source = next(cell.source for cell in cells(NOTEBOOK) if "| rate $m$ |" in cell.source)
    rows = {}
    for names, *parts in re.findall(
        r"^\| (`.+?`) \| (.+) \| (.+) \| (.+) \| (.+) \|$", source, re.M
    ):
        rows |= dict.fromkeys(re.findall(r"`(.+?)`", names), parts)
    assert len(rows) == 10
    alpha = expit(np.linspace(-4, 4, 9))
    m = 1 - alpha
    weightings = {
        r"$\alpha = \operatorname{sigmoid}(\lambda)$": alpha,
        r"$\alpha$": alpha,
        r"$\alpha m$": alpha * m,
        r"$\alpha^2$": alpha**2,
        r"$\alpha^2 m$": alpha**2 * m,
        r"$\alpha/\sqrt{1 - m^2}$": alpha / np.sqrt(1 - m**2),
        r"$\alpha m/\sqrt{1 - m^2}$": alpha * m / np.sqrt(1 - m**2),
    }
    divisors = {"nothing": "sum", "the length of the sequence": "length"} | {
        "the masked tokens of each sequence": "masked",
        "the masked tokens of the batch": "batch",
    }
    for name, (_, factor, divisor, weighting) in rows.items():
        entry = dv.masked_objective(name)
        assert entry.average == divisors[divisor], name
        assert factor_words(entry) == factor.replace("$", "").replace("-", "−"), name
        ratio = entry.weighting(np.linspace(-4, 4, 9)) / weightings[weighting]
        assert ratio == pytest.approx(ratio[0], rel=1e-9), name


def test_at_seed_one_two_trainings_meet_where_all_is_masked(text):
    runs = {run.name: run for run in masked.trained(seed=1)}
    floor = masked.WORLD.floor(runs["elbo"].logsnr)[0]
    ratio = (runs["elbo"].exact[0] - floor) / (runs["any-order"].exact[0] - floor)
    assert ratio == pytest.approx(1.005, abs=0.001)
    assert_says(text, "At seed 1 the lines of these two meet where all is masked")
