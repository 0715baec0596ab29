"""The figures show their numbers, read from the artists; the parts come by a second route."""

import numpy as np
import pytest
import torch
from pictures import check, check_nothing_is_cut, check_type, data
from scipy import integrate
from scipy.special import expit

from diffviz import plots
from diffviz.lab import figures
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.policy import bandit, surrogates
from diffviz.theory import elbo_mixture

pytestmark = pytest.mark.slow

NAMES = ("policy-gain", "policy-ratio", "policy-draws", "policy-training", "policy-collapse")


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize("name", policy_experiments.WEIGHTINGS)
def test_the_gain_law_is_drawn_as_quadrature_has_it(name):
    log_c, y = data(figures.draw("policy-gain"), 0, name)
    w = policy_experiments.WEIGHTINGS[name].weighting

    def kappa(c):  # another quadrature than the package's
        inside = lambda l: float(w(np.array([l]))[0] * expit(l + np.log(c)) * expit(-l - np.log(c)))
        return integrate.quad(inside, -60, 60, limit=400, points=[-np.log(c), np.log(5)])[0]

    for at in (0, 20, 50):
        assert y[at] == pytest.approx(np.log10(kappa(10 ** log_c[at]) / kappa(1)), abs=1e-6)


def test_the_gains_with_closed_forms():
    c = policy_experiments.SCALES
    np.testing.assert_allclose(policy_experiments.gains("elbo"), 1, rtol=1e-9)
    np.testing.assert_allclose(policy_experiments.gains("fm-ot"), np.sqrt(c), rtol=1e-6)
    np.testing.assert_allclose(
        policy_experiments.gains("iddpm-cosine"), 4 * np.sqrt(c) / (1 + np.sqrt(c)) ** 2, rtol=1e-6
    )
    assert elbo_mixture.gain(
        policy_experiments.WEIGHTINGS[policy_experiments.DEFAULT]
    ) == pytest.approx(1 - np.pi / 4, abs=1e-9)


def test_the_order_by_flatness_is_the_order_by_correlation_and_not_that_of_monotone():
    figure = figures.draw("policy-ratio")
    points = {
        name: [float(v[0]) for v in data(figure, 1, name)] for name in policy_experiments.WEIGHTINGS
    }
    order = sorted(points, key=lambda name: points[name][0])
    values = [points[name][1] for name in order]
    assert (
        values == sorted(values)
        and order[-1] == "elbo"
        and values[-1] == pytest.approx(1, abs=1e-9)
    )
    (filled,) = (
        {
            one.get_gid()
            for one in figure.axes[1].lines
            if one.get_marker() == "o" and one.get_markerfacecolor() != "white"
        },
    )
    assert filled == {"elbo", "sigmoid-bias2", "fm-ot", "indi"}
    assert (
        points[policy_experiments.DEFAULT][1]
        > points["iddpm-cosine"][1]
        > points["fm-ot"][1]
        > points["indi"][1]
    )
    r, curve = data(figure, 1, "law")
    for flat, correlation in points.values():
        assert abs(np.interp(flat, r, curve) - correlation) < 0.02


def test_the_surrogate_of_the_elbo_is_the_exact_log_ratio():
    for change in policy_experiments.changes().values():
        np.testing.assert_allclose(change.surrogate["elbo"], change.exact, atol=2e-5)
    x, y = data(figures.draw("policy-ratio"), 0, "elbo")
    np.testing.assert_allclose(x, y, atol=2e-5)


@pytest.mark.parametrize("name", ["fm-ot", policy_experiments.DEFAULT])
def test_single_draws_average_to_the_surrogate_without_noise(name):
    singles, exact = (
        policy_experiments.drawn(name)[128],
        policy_experiments.changes()["coarse"].surrogate[name],
    )
    off = (singles.mean(0) - exact) / (singles.std(0) / 128**0.5)
    assert (np.abs(off) < 4.5).mean() > 0.97 and abs(np.mean(off)) < 0.3
    x, y = data(figures.draw("policy-draws"), 0, f"{name}, coarse")
    assert np.allclose(2**x, policy_experiments.DRAWS) and (np.diff(y) > 0).all()


def test_averaging_after_the_exponential_is_not_mended_by_draws():
    figure = figures.draw("policy-draws")
    first, after = data(figure, 1, "average first")[1], data(figure, 1, "exponential first")[1]
    plain, exact = data(figure, 1, "FM without noise")[1][0], data(figure, 1, "exact ratio")[1][0]
    assert (
        first[0] == after[0]
        and abs(first[-1] - plain) < 0.02
        and (after[1:] > 2.3).all()
        and exact < 1 < plain
    )
    assert (np.diff(first) < 0).all() and np.ptp(after) == 0


def test_a_mean_ratio_is_that_of_draws_made_here():
    """Gaussian mixtures written out in numpy, at draws of another seed."""
    place, width = np.linspace(-2, 2, 5), 0.1
    shares = np.exp(np.linspace(-0.6, 0.6, 5))
    laws = {"old": np.full(5, 0.2), "new": shares / shares.sum()}
    x = policy_experiments._policies().x.numpy()[:, 0]
    rng = np.random.default_rng(5)
    level = 2 * np.log(1 / rng.random((400, len(x))) - 1)  # uniform time of the linear path
    eps = rng.standard_normal(level.shape)
    alpha, sigma = np.sqrt(expit(level)), np.sqrt(expit(-level))
    z = alpha * x + sigma * eps
    loss = {}
    for name, share in laws.items():
        variance = (alpha * width) ** 2 + sigma**2
        off = z[..., None] - alpha[..., None] * place
        logs = np.log(share) - off**2 / (2 * variance[..., None])
        weight = np.exp(logs - logs.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        pulled = place + (alpha * width**2 / variance)[..., None] * off
        x_hat = (weight * pulled).sum(-1)
        velocity = (x - x_hat) / expit(-level / 2)  # error of u on the linear path
        loss[name] = velocity**2
    singles = loss["old"] - loss["new"]
    shown = policy_experiments.mean_ratios()
    means = [np.exp(singles.reshape(-1, m, len(x)).mean(1)).mean() for m in (4, 8)]
    np.testing.assert_allclose(means, shown["average first"][1:3], rtol=0.05)


def test_the_gain_law_from_another_scale_says_how_much_less_each_counts():
    shown = ("elbo", policy_experiments.DEFAULT, "edm", "fm-ot", "indi")
    ax = figures.policy.gain_law(shown, finest=0.01)
    less = {
        name: elbo_mixture.gain(w) / elbo_mixture.gain(w, 0.01)
        for name, w in policy_experiments.WEIGHTINGS.items()
        if name in shown
    }
    words = dict(text.get_text().split(": ") for text in ax.texts)
    assert words == {
        "elbo": "alike",
        policy_experiments.DEFAULT: f"{less[policy_experiments.DEFAULT]:.1f} × less at c = 0.01",
        "edm": f"{less['edm']:.1f} × less at c = 0.01",
        "fm-ot": "10 × less at c = 0.01",
        "indi": f"{less['indi']:.0f} × less at c = 0.01",
    }
    for name in shown:
        log_c, y = data(ax.figure, 0, name)
        assert log_c[0] == -2
        assert y[0] == pytest.approx(-np.log10(less[name]), abs=1e-6)
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)


@pytest.mark.parametrize("finest", [0.0, 1e-5, 1.1, np.nan])
def test_the_gain_law_is_drawn_at_the_scales_of_the_experiment_only(finest):
    with pytest.raises(ValueError, match="finest"):
        figures.policy.gain_law(("elbo",), finest=finest)


def test_noisy_losses_are_drawn_below_those_without_noise():
    ax = figures.policy.draws_needed()
    for name in ("elbo", "fm-ot", policy_experiments.DEFAULT):
        m, values = data(ax.figure, 0, f"{name}, both")
        np.testing.assert_array_equal(2**m, policy_experiments.DRAWS)
        assert values == pytest.approx(policy_experiments.noisy_correlations(name, "both"))
        height = data(ax.figure, 0, f"{name}, both, without noise")[1][0]
        assert height == policy_experiments.changes()["both"].correlation(name)
    assert {text.get_text() for text in ax.texts} == {
        "elbo",
        "fm-ot",
        policy_experiments.DEFAULT,
        "dotted: without noise;  bars: the range of eight other sets of draws",
    }
    places = []
    for name in ("elbo", "fm-ot", policy_experiments.DEFAULT):
        (bars,) = [one for one in ax.collections if one.get_gid() == f"{name}: other draws"]
        spread = policy_experiments.spread_of_draws(name)
        ends = np.array(bars.get_segments())
        np.testing.assert_allclose(ends[:, 0, 1], spread.min(0))
        np.testing.assert_allclose(ends[:, 1, 1], spread.max(0))
        places.append(ends[:, 0, 0])
    assert (np.diff(places, axis=0) > 0.1).all()  # beside one another
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)


def test_each_line_of_the_gain_law_is_named_at_its_end():
    figure = figures.draw("policy-gain")
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == list(policy_experiments.WEIGHTINGS)
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert np.diff(heights).min() > 0.17  # apart by more than the type is high


@pytest.mark.parametrize("name", NAMES)
def test_the_type_is_large_enough(name):
    check_type(figures.draw(name))


def test_two_scales_are_the_losses_of_two_gaussians():
    """Against the losses of denoisers written out, at the same draws; on average the gain law."""
    c, move, x = 0.03, np.array([0.5, -0.8]), np.random.default_rng(0).standard_normal((300, 2))
    objective, std = policy_experiments.WEIGHTINGS["edm"], np.array([1.0, c**0.5])

    class Gaussian:
        def __init__(self, mean):
            self.mean = torch.from_numpy(mean)

        def denoise(self, z, logsnr):
            alpha, sigma, variance = (
                logsnr.sigmoid().sqrt()[:, None],
                (-logsnr).sigmoid().sqrt()[:, None],
                torch.from_numpy(std**2),
            )
            return self.mean + alpha * variance / (alpha**2 * variance + sigma**2) * (
                z - alpha * self.mean
            )

    action = torch.from_numpy(x * std)
    at = surrogates.draws(objective, action, 64, np.random.default_rng(1))
    losses = [
        surrogates.losses(Gaussian(mean), action, at).numpy() for mean in (0 * move, move * std)
    ]
    found = policy_experiments.two_scales(x, c, move, tuple(one.numpy() for one in at))
    np.testing.assert_allclose(found, losses[0] - losses[1], atol=1e-9)
    parts = x * move - move**2 / 2
    exact = parts @ [elbo_mixture.gain(objective), elbo_mixture.gain(objective, c)]
    off = (found.mean(0) - exact) / (found.std(0) / 8)
    assert abs(off.mean()) < 0.3 and (np.abs(off) < 5).mean() > 0.97


@pytest.mark.parametrize(("ratio", "share"), [(0.1, 0.5), (0.4, 0.7), (1.0, 0.3), (0.0, 0.25)])
def test_the_correlation_of_two_scales_is_that_of_a_large_sample(ratio, share):
    parts = np.random.default_rng(0).standard_normal((200_000, 2)) * np.sqrt([share, 1 - share])
    measured = np.corrcoef(parts @ [1, ratio], parts.sum(1))[0, 1]
    assert policy_experiments.two_scale_correlation(ratio, share) == pytest.approx(
        measured, abs=0.005
    )


def check_range(figure, name, panels=2):
    """Reward: the mean of the seeds with their range behind it. Goals: a line for each seed."""
    runs = policy_experiments.learned(name)
    each = np.array([one.reward for one in runs])
    assert len(each) == 3
    batch, mean = data(figure, 0, name)
    np.testing.assert_array_equal(batch, np.arange(each.shape[1]))
    np.testing.assert_allclose(mean, each.mean(0))
    bands = [one for one in figure.axes[0].collections if one.get_gid() == f"{name}:range"]
    (path,) = bands[0].get_paths()
    for at in range(each.shape[1]):
        heights = path.vertices[path.vertices[:, 0] == at, 1]
        assert (heights.min(), heights.max()) == (each[:, at].min(), each[:, at].max())
    for seed, run in enumerate(runs if panels > 1 else ()):
        batch, kept = data(figure, 1, f"{name}: seed {seed}")
        np.testing.assert_array_equal(batch, np.arange(len(run.goals)))
        np.testing.assert_array_equal(kept, run.goals)


def near_goals(actions):
    """Percent of each goal among the actions that reach one, by the environment, by its corner."""
    _, reward, *_, info = bandit.FourGoals().step(actions)
    goal = info["goal"][reward > bandit.FourGoals.near]
    corners = np.sign(policy_experiments.goals()).astype(int)
    return {tuple(corner): f"{np.mean(goal == k):.0%}" for k, corner in enumerate(corners)}


def shares_of(ax):
    """The shares that stand beside the goals, by their corner."""
    shares = [text for text in ax.texts if str(text.get_gid()).endswith(":share")]
    corners = [tuple(int(np.sign(part)) for part in text.get_position()) for text in shares]
    texts = [text.get_text().replace(" ", "") for text in shares]
    return dict(zip(corners, texts, strict=True))


def test_the_parts_of_learning_are_drawn_alone():
    curves = figures.policy.learning_curves(("FPO",)).figure
    check_range(curves, "FPO", panels=1)
    clouds = figures.policy.clouds(("DPO",)).figure
    for panel, name in enumerate(("before", "DPO")):
        shown = np.stack(data(clouds, panel, name), 1)
        np.testing.assert_array_equal(shown, policy_experiments.actions(name))
        crosses = np.stack(data(clouds, panel, "goals"), 1)
        np.testing.assert_array_equal(crosses, policy_experiments.goals())
        assert shares_of(clouds.axes[panel]) == near_goals(shown)
    for figure in (curves, clouds):
        check_nothing_is_cut(figure)
        check_type(figure)


def test_goals_are_drawn_by_the_reward_that_is_first_passed():
    ax = figures.policy.learning_curves().figure.axes[1]
    at = {}
    for name in ("FPO", "AWR"):
        runs, goals = policy_experiments.learned(name), []
        for seed, one in enumerate(runs):
            reward, kept = data(ax.figure, 1, f"{name}: seed {seed}")
            for level, count in zip(reward, kept, strict=True):
                pairs = zip(one.reward, one.goals, strict=True)
                assert count == next(g for r, g in pairs if r > level)
            goals.append(kept)
        furthest = min(max(one.reward) for one in runs)
        assert furthest - 0.0101 < reward[-1] < furthest
        at[name] = dict(zip(reward, np.mean(goals, 0), strict=True))
    assert not any(str(line.get_gid()).startswith("DPO") for line in ax.lines)
    both = [level for level in at["AWR"] if level > 0.5]
    assert len(both) > 10 and all(at["AWR"][level] < at["FPO"][level] for level in both)


def test_learning_shows_reward_rising_and_goals_going():
    """Which goal goes when is up to the last bits of a sum, which differ between machines."""
    figure, lost = figures.draw("policy-training"), 0
    for seed in range(3):
        fpo, awr, dpo = (policy_experiments.learned(name)[seed] for name in ("FPO", "AWR", "DPO"))
        passed = int((np.array(fpo.reward) > 0.45).argmax())
        assert fpo.reward[0] < 0.09 and 0 < passed <= 12
        assert min(fpo.goals[: passed + 1]) == 4 > fpo.goals[-1]
        assert min(dpo.goals) == 4
        assert dpo.reward[-1] > 0.12
        assert awr.reward[-1] > 0.45
        lost += 4 - awr.goals[-1]
    assert lost >= 2
    for name in ("FPO", "AWR", "DPO"):
        check_range(figure, name)
    before, goals = np.stack(data(figure, 2, "before"), 1), bandit.FourGoals()
    assert abs(before.std() - 1) < 0.1
    after = np.stack(data(figure, 3, "FPO"), 1)
    assert goals.step(after)[1].mean() > 0.8 > goals.step(before)[1].mean() + 0.6


def test_a_kl_term_keeps_the_goals_that_are_lost_without():
    figure, left = figures.draw("policy-collapse"), {}
    runs = {name: policy_experiments.learned(name) for name in ("FPO + KL", "FPO")}
    for name, histories in runs.items():
        check_range(figure, name)
        left[name] = sum(history.goals[-1] for history in histories)
    for held, free in zip(runs["FPO + KL"], runs["FPO"], strict=True):
        assert min(held.goals) >= 3 >= free.goals[-1]
        assert held.reward[-1] > 0.45
    assert left["FPO + KL"] > left["FPO"]
    goals = bandit.FourGoals().step(np.stack(data(figure, 2, "FPO + KL"), 1))[4]["goal"]
    assert (np.bincount(goals, minlength=4) > 10).sum() >= 3


def test_each_mean_ratio_is_named_at_its_end_in_its_colour():
    ax = figures.policy.jensen()
    names = {label: name for name, label in figures.policy.RATIO_LABELS.items()}
    shades = {names.get(text.get_text(), text.get_text()): text.get_color() for text in ax.texts}
    assert shades == figures.policy.RATIO_COLOURS and ax.get_legend() is None
    ends = {names.get(text.get_text(), text.get_text()): text.xy[1] for text in ax.texts}
    low, high = ax.get_ylim()
    for name, values in policy_experiments.mean_ratios().items():
        assert ends[name] == pytest.approx((values[-1] - low) / (high - low))
    check_nothing_is_cut(ax.figure)


def test_each_dot_of_flatness_is_named_in_its_colour():
    ax = figures.draw("policy-ratio").axes[1]
    shades = {text.get_text(): text.get_color() for text in ax.texts}
    assert shades == {name: plots.colour(name) for name in policy_experiments.WEIGHTINGS}


def test_lines_that_keep_all_goals_are_drawn_apart():
    """By more than a line is wide, and with the numbers that they have."""
    for ax, names in (
        (figures.policy.learning_curves().figure.axes[1], ("FPO", "AWR")),
        (figures.draw("policy-collapse").axes[1], ("FPO", "FPO + KL")),
    ):
        heights = []
        for name in (f"{one}: seed {seed}" for one in names for seed in range(3)):
            (line,) = (one for one in ax.lines if one.get_gid() == name)
            assert line.get_ydata()[0] == 4
            heights.append(line.get_transform().transform((0.1, 4))[1] * 72 / ax.figure.dpi)
        assert (-np.diff(heights) > line.get_linewidth()).all()


def test_a_fine_change_is_followed_above_a_level_by_every_weighting():
    ax = figures.policy.fine_alone()
    for name, part in policy_experiments.fine_above().items():
        assert data(ax.figure, 0, f"{name}: whole")[0] == part.whole
        assert data(ax.figure, 0, f"{name}: above")[0] == part.above > 0.97
        assert part.whole == policy_experiments.changes()["fine"].correlation(name)
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)
