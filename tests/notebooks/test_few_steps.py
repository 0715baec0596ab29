"""Every number in the prose of notebook 11 is computed here again, and looked for in the text."""

import inspect
import math

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from notebook_prose import NOTEBOOKS, assert_says, printed
from scipy import stats

import diffviz as dv
from diffviz.few_steps import maps, objectives
from diffviz.few_steps import training as few_steps_training
from diffviz.lab.exercises.few_steps import long_jumps
from diffviz.lab.experiments import few_steps
from diffviz.lab.explorers import few_steps as explorer
from diffviz.lab.figures import few_steps as figures
from diffviz.lab.figures.style import minus

NOTEBOOK = "11_few_steps"
ROOT = NOTEBOOKS.parent


def test_the_map_is_nearly_a_line_at_first_and_a_step_at_the_end(text):
    import torch

    toy, z = dv.toy("gmm1"), torch.linspace(-2, 2, 81, dtype=torch.float64)[:, None]

    def curve(r):
        return maps.exact_map(toy, z, 0.99, r).ravel().numpy()

    def steepest(values):
        """The largest slope over the mean one."""
        return np.diff(values).max() / np.diff(values).mean()

    assert_says(text, "To $r = 0.6$ the map is almost a straight line", "it is nearly a step")
    assert np.corrcoef(z.ravel().numpy(), curve(0.6))[0, 1] > 0.999
    assert steepest(curve(0.6)) < 1.2
    assert steepest(curve(0.01)) > 5


def test_one_euler_step_suffices_as_far_as_stated(text):
    paths = few_steps.paths("gmm1")
    before, after = paths.at(0.99), paths.at(0.8)
    off = np.abs(before.states - (0.99 - 0.8) * before.velocity - after.states)
    inside = np.abs(few_steps.PATH_STARTS) <= 2
    assert 0.04 < off[inside].max() < 0.05
    assert_says(text, "From $t = 0.99$ to $r = 0.8$ it is off by less than 0.05")
    landed = before.states - 0.98 * before.velocity
    assert np.abs(landed[inside] + 0.1).max() < 0.05
    mean = float(np.dot([-1.5, 0.5], [0.3, 0.7]))  # of both clusters, as checked below
    assert mean == pytest.approx(-0.1)
    assert_says(
        text,
        "From $t = 0.99$ it lands near -0.1, whatever the state",
        "That is the mean of the data",
    )
    jump = explorer.FewStepExplorer(shows=explorer.MAP).view
    begun, ended = jump.charts[0].curves[explorer.JUMP]
    assert "the average velocity is u = 0.478" in jump.text and ended < begun
    assert_says(text, "where $u$ is positive, the path goes down")
    law = dv.toy("gmm1").law
    assert law.means.flatten().tolist() == [-1.5, 0.5] and law.weights[1] > law.weights[0]
    assert_says(text, "around −1.5 and 0.5, of which the second is the larger one")
    assert law.weights.tolist() == pytest.approx([0.3, 0.7])
    assert_says(text, "it has 70 % of the data", "takes the lowest 30 % of the noise")
    assert stats.norm.ppf(0.3) == pytest.approx(-0.5, abs=0.03)
    assert_says(text, "The step stands near −0.5, since paths on a line do not cross")
    start = text.index("The explorer follows one state")
    others = [minus(f"at {place:g}") for place in explorer.OTHERS.values()]
    assert_says(text[start:], f"two others in grey, which start {' and '.join(others)}")


# torch's own rules for forward mode are made by a function that torch deprecates
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_the_code_of_meanflow_is_its_error(text):
    """The three lines of the notebook, on a network with random weights."""
    import torch
    from notebook_prose import cells

    from diffviz.few_steps.training import Batch, meanflow_errors

    source = next(cell.source for cell in cells(NOTEBOOK) if "torch.func.jvp" in cell.source)
    code = source.split("```python\n")[1].split("```")[0]
    generator = torch.Generator().manual_seed(0)
    x, eps, t, r = (torch.rand(5, 1, generator=generator) for _ in range(4))
    r = r * t

    def network(z, r, t):
        return torch.sin(z + 2 * t) * (1 + r) + z * r

    def narrow(z, r, t):
        return network(z, r[:, None], t[:, None])

    names = {"torch": torch, "network": network, "x": x, "eps": eps, "t": t, "r": r}
    exec(code, names)
    expected = meanflow_errors(narrow, Batch(x, eps, t[:, 0], r[:, 0]))
    torch.testing.assert_close(names["error"], expected)


def test_the_diagonal_of_meanflow_is_the_law_that_is_stated(text):
    """Two N(0.8, 2²) are drawn and the smaller is kept; its density is a derivative."""
    level = np.linspace(-6, 6, 25)
    y = (level - 0.8) / 2
    stated = stats.norm.pdf(y) * stats.norm.cdf(-y)
    np.testing.assert_allclose(objectives.LARGER_OF_TWO.pdf(level), stated, rtol=1e-10)
    h = 1e-5
    above = [objectives.LOGIT_NORMAL.sf(level + sign * h) ** 2 for sign in (-1, 1)]
    np.testing.assert_allclose((above[0] - above[1]) / (2 * h), stated, rtol=1e-6)
    shift = objectives.LOGIT_NORMAL.mean() - dv.few_step("meanflow").diagonal.law.mean()
    assert shift / objectives.LOGIT_NORMAL.std() == pytest.approx(1 / math.sqrt(math.pi), rel=1e-9)
    assert_says(text, f"lies {shift / 2:.2f} standard deviations lower, where there is more noise")
    assert_says(text, r"logit-normal(-0.4, 1)", "N(0.8, 2²)", "three quarters of its batch")
    assert dv.few_step("meanflow").diagonal_share == 0.75
    assert dv.compare(dv.few_step("shortcut").diagonal, dv.objective("fm-ot")).same


def test_the_density_of_the_smaller_of_two_is_derived_as_in_the_text(text):
    y = np.linspace(-3, 3, 13)
    derived = 2 * (0.5 * stats.norm.pdf(y)) * stats.norm.cdf(-y)
    np.testing.assert_allclose(objectives.LARGER_OF_TWO.pdf(0.8 + 2 * y), derived, rtol=1e-10)
    assert_says(text, r"$2 \cdot \tfrac12\varphi(y) \cdot \Phi(-y)$")


def test_the_colours_that_are_named_are_those_of_the_pictures(text):
    assert figures.colour("meanflow, diagonal") == figures.colour(figures.WITHOUT) == "#4477AA"
    assert figures.colour("shortcut, diagonal") == "#228833"
    red, green, blue = to_rgb(figures.colour("one logit-normal draw"))
    assert red == green == blue
    assert_says(
        text,
        "It is the grey curve of the next picture. The blue one is the law on the diagonal of "
        "MeanFlow, the green one that of a shortcut model",
        "Without the factor (blue) that is just the density",
    )


def test_the_standard_deviation_of_the_exercise_is_right(text):
    """One draw of 100 at 2.064, by the probability of both orders of two draws."""
    edge = math.log(9)
    share = 0.25 * 2 * stats.norm.cdf(-(edge + 0.4) / 2.064) * stats.norm.cdf((-edge + 0.4) / 2.064)
    assert share == pytest.approx(0.01, rel=1e-3)
    assert long_jumps(2.064) == pytest.approx(share, rel=1e-12)
    assert long_jumps(1.0) == pytest.approx(few_steps.share_of_long_jumps("meanflow"), rel=1e-9)
    assert_says(text, "`answer = 2.064`", f"logit}} 0.9 = {edge:.3f}$")


def test_a_cell_of_the_planes_is_half_a_nat(text):
    np.testing.assert_allclose(np.diff(few_steps.EDGES), 0.5)
    assert figures.LEAST == 1e-5
    assert_says(text, "half a nat wide and high", "less than one draw of 100,000 falls")


def test_long_jumps_are_as_rare_as_stated(text):
    once = [1 / few_steps.share_of_long_jumps(name) for name in ("meanflow", "shortcut")]
    assert round(once[0], -3) == 12_000 and once[1] == pytest.approx(28)
    assert_says(
        text, "once in about 12,000 draws", "once in 28 draws, and each time it is the whole jump"
    )
    assert 1 - dv.few_step("meanflow").diagonal_share == 0.25
    assert_says(text, "only a quarter of the draws keeps $r < t$")
    assert few_steps.share_of_long_jumps("imeanflow") == pytest.approx(2 / once[0])
    assert dv.few_step("imeanflow").diagonal_share == 0.5
    assert_says(text, "The improved form keeps one half, and so draws it twice as often")
    assert few_steps.plane("shortcut").mass[0, -1] == pytest.approx(1 / 28)
    assert few_steps.share_of_long_jumps("ict") == 0
    jumps = dv.few_step("shortcut").pairs
    t, r = (1 / (1 + np.exp(np.array(levels) / 2)) for levels in (jumps.start, jumps.end))
    lengths, drawn = np.unique(np.round(t - r, 9), return_inverse=True)
    np.testing.assert_allclose(lengths, 2.0 ** np.arange(-6, 1))
    np.testing.assert_allclose(np.bincount(drawn, jumps.share) / np.sum(jumps.share), 1 / 7)
    np.testing.assert_allclose(r / (t - r), np.round(r / (t - r)), atol=1e-6)
    assert_says(text, "jumps have seven lengths, each as often as the others: the whole way")
    left, upper = np.nonzero(few_steps.plane("ict").mass)
    assert set(upper - left) == {0, 1}
    assert_says(text, "so all its draws lie in two rows of cells")
    assert_says(
        text, "`ict` compares neighbouring levels and draws no jumps, so its frame is empty"
    )


def test_ict_jumps_to_the_data_from_every_level_that_it_draws(text):
    """The noisier neighbour is above t = 0.9 as often as a log-normal law of σ says."""
    import torch

    from diffviz.few_steps.training import Batch, consistency_errors

    ends = []

    def network(z, r, t):
        ends.append(r)
        return z

    x, eps, r, t = torch.ones(4, 1), torch.zeros(4, 1), torch.full((4,), 0.5), torch.full((4,), 0.6)
    consistency_errors(network, Batch(x, eps, t, r))
    assert len(ends) == 2 and all((end == 0).all() for end in ends)
    drawn = dv.few_step("ict").pairs.mass([-1e3, -2 * math.log(9), 1e3])[0].sum()
    law = stats.norm(-1.1, 2.0)  # of log σ, which is cut off at 0.002 and 80
    low, edge, high = law.cdf(np.log([0.002, 9, 80]))
    assert drawn == pytest.approx((high - edge) / (high - low), rel=0.01)
    assert_says(
        text,
        f"in one draw of {1 / drawn:.0f} from $t > 0.9$ (the last line above)",
    )
    assert f"for the data themselves: 1 in {1 / drawn:.0f} draws" in printed(NOTEBOOK)
    answers = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert f"jumps from t > 0.9 to the data in one draw of {1 / drawn:.0f}." in answers


def test_the_factor_moves_weight_as_stated(text):
    least = few_steps.LeastError(0.3)
    assert least([-60.0, 60.0]) == pytest.approx([0.09, 1.0])
    assert few_steps.LeastError(1.0)([-60.0, 0.0, 60.0]) == pytest.approx([1.0, 2.0, 1.0])
    assert few_steps.LeastError(2.0)([-60.0, 60.0]) == pytest.approx([4.0, 1.0])
    grid = np.linspace(-10, 10, 2001)
    assert least(grid).max() == pytest.approx(1.09, abs=1e-5)
    diagonal = dv.few_step("meanflow").diagonal
    local = few_steps.local("meanflow", 0.3)
    ends = np.array([-30.0, 30.0])
    low, high = np.log(local.weighting(ends)) - np.log(diagonal.weighting(ends))
    assert math.exp(low - high) == pytest.approx(10.1, abs=0.01)
    assert dv.few_step("meanflow").adaptive == objectives.Adaptive(1.0, 0.01)
    assert_says(
        text,
        "is 0.09, the variance",
        "goes up to 1.09",
        "for these data the factor moves weight towards noise",
        "The error is largest between them, 2 at λ = 0",
        "it is 10 times as large at the noisy end as at the clean one",
    )


def test_the_derivative_of_a_jump_along_the_flow_is_the_velocity(text):
    """u + (t − r) du/dt = u*(z_t, t), by differences along paths of two clusters."""
    paths, r, t, h = few_steps.paths("gmm1"), 0.21, 0.61, 0.02  # rows are 0.02 apart
    end = paths.at(r).states

    def average(time):
        return (paths.at(time).states - end) / (time - r)

    slope = (average(t + h) - average(t - h)) / (2 * h)
    derived = average(t) + (t - r) * slope
    np.testing.assert_allclose(derived, paths.at(t).velocity, atol=5e-3)
    assert_says(text, r"u + (t - r)\, \dot u = u^*(z_t, t)")


def test_the_check_of_the_identity_prints_both_sides(text):
    """At t = 0.7 and r = 0.2, with the velocity from the weights of the two clusters."""
    import torch

    z = torch.tensor([[-1.0], [-0.5], [1.0]], dtype=torch.float64)
    average = (z - maps.exact_map(dv.toy("gmm1"), z, 0.7, 0.2)) / (0.7 - 0.2)
    law = dv.toy("gmm1").law
    means, weights = law.means.flatten().numpy(), law.weights.numpy()
    within = law.std.numpy() ** 2
    spread = 0.3**2 * within + 0.7**2
    likely = weights * stats.norm.pdf(z.numpy(), 0.3 * means, np.sqrt(spread))
    likely /= likely.sum(1, keepdims=True)
    x_hat = (likely * (means + 0.3 * within / spread * (z.numpy() - 0.3 * means))).sum(1)
    velocity = (z.numpy().ravel() - x_hat) / 0.7
    lines = [line for line in printed(NOTEBOOK).splitlines() if line.startswith("u")]
    first, second = (line.split(":")[1].split("[")[1].split("]")[0] for line in lines[:2])
    assert first == second == " ".join(f"{value:.4f}" for value in average.ravel().tolist())
    alone = [float(value) for value in lines[0].split("[")[2].rstrip("] ").split()]
    assert alone == pytest.approx(velocity.tolist(), abs=1e-4)
    assert np.abs(velocity - average.ravel().numpy()).min() > 0.3
    assert_says(text, "agree to four digits, and $u^*$ alone is far from both")


def test_the_correction_is_as_large_as_stated(text):
    def correction(data, z):
        """The average to r = 0.21 less the velocity, at the rows of the table above it."""
        paths, times = few_steps.paths(data), few_steps.PATH_TIMES
        column = int(np.abs(few_steps.PATH_STARTS - z).argmin())
        states, velocity = paths.states[:, column], paths.velocity[:, column]
        (end,) = np.flatnonzero(np.isclose(times, 0.21))
        return times[:end], (states[:end] - states[end]) / (times[:end] - 0.21) - velocity[:end]

    t, by_one = correction("gmm1", -1.0)
    assert (by_one[t > 0.6] > 1).all()
    assert by_one[t < 0.5].max() < 1
    _, by_half = correction("gmm1", -0.5)
    assert np.abs(by_half[t > 0.7]).max() < 0.2
    assert t[np.abs(by_half).argmax()] < 0.4
    _, of_one = correction("N(0, 0.3²)", -1.0)
    assert np.abs(of_one).max() < 0.2
    assert_says(
        text,
        "lies more than 1 above the velocity as long as $t$ is above 0.6",
        "the correction is small there, and largest late",
        "From -1, with $r$ at 0.21, the correction stays below 0.2",
    )


def test_the_chain_rule_holds_for_a_network(text):
    """The Jacobian times the velocity and the slope in t add up to the difference along a path."""
    import torch

    def network(z, t):
        return torch.stack([torch.sin(z[0] * z[1] + t), z[0] * t**2])

    z, v = torch.tensor([0.3, -0.8]).double(), torch.tensor([1.1, 0.4]).double()
    t, h = torch.tensor(0.6).double(), 1e-5
    by_z, by_t = torch.autograd.functional.jacobian(network, (z, t))
    moved = network(z + h * v, t + h) - network(z - h * v, t - h)
    torch.testing.assert_close(by_z @ v + by_t, moved / (2 * h), rtol=1e-8, atol=1e-8)
    assert_says(text, r"(\partial_z u_\theta)\, v + \partial_t u_\theta")


def test_the_loss_of_improved_consistency_training_is_no_square(text):
    assert "pseudo-Huber" in dv.few_step("ict").note
    adaptive = [name for name, one in dv.few_step_catalogue.items() if one.adaptive]
    assert "meanflow" in adaptive and "ict" not in adaptive
    assert_says(
        text, r"Here the loss is $\lVert\Delta\rVert^2$, and a factor on it comes in a later"
    )
    assert_says(text, r"that takes $\sqrt{\lVert\Delta\rVert^2 + c^2} - c$")
    assert "In improved MeanFlow the target is $v$ alone" in text
    assert "target is that of flow matching everywhere" in dv.few_step("imeanflow").note


@pytest.mark.slow
def test_the_titles_name_what_comes_near(text):
    """Near is one distance in both titles."""
    near = {
        data: {
            (name, steps)
            for name in few_steps.NAMES
            for steps, mean in zip(
                few_steps.STEPS, few_steps.errors_by_seed(name, data).mean(0), strict=True
            )
            if mean < 0.25
        }
        for data in few_steps.DATA
    }
    gaussian, clusters = few_steps.DATA
    assert {name for name, steps in near[gaussian] if steps == 1} == {"shortcut", "ict"}
    by_steps = {
        name: {steps for other, steps in near[clusters] if other == name}
        for name in few_steps.NAMES
    }
    assert [name for name in by_steps if by_steps[name] == set(few_steps.STEPS)] == ["shortcut"]
    assert not by_steps["ict"]
    assert not {1, 4} & (by_steps["meanflow"] | by_steps["imeanflow"])
    assert figures.FINDINGS[gaussian] == "one Gaussian: shortcut and ict are near in one step"
    assert figures.FINDINGS[clusters] == "two clusters: only shortcut is near throughout"
    assert_says(
        text,
        "The titles call *near* what is within 0.25 on average",
    )


def steps_at(ends):
    """Where a map first gets above -0.5, halfway between the clusters."""
    above = int(np.argmax(ends > -0.5))
    lower, upper = ends[above - 1 : above + 1]
    start, after = few_steps.PATH_STARTS[above - 1 : above + 1]
    return start + (-0.5 - lower) / (upper - lower) * (after - start)


@pytest.mark.slow
def test_where_one_step_of_a_network_ends(text):
    """Trainings grow the last bits of a sum, so only what holds with a margin is said."""
    import torch

    gaussian, clusters = few_steps.DATA
    starts, forms = few_steps.PATH_STARTS, ("meanflow", "imeanflow")
    two = np.isclose(starts, 2.0)
    line = few_steps.paths(gaussian).at(0.01).states
    np.testing.assert_allclose(line, line[two] / 2 * starts, atol=1e-6)
    assert line[two] == pytest.approx(0.6, abs=0.02)
    for name in forms:
        assert (few_steps.learned_map(name, gaussian)[:, two] < 0.3).all()
        assert few_steps.learned_map(name, gaussian)[:, np.isclose(starts, -2.0)].max() > 0.2
    assert_says(text, "at least one seed of each form even ends well on the other side of zero")
    inside = np.abs(starts) <= 1.5
    for name in ("shortcut", "ict"):
        off = np.abs(few_steps.learned_map(name, gaussian) - line)[:, inside]
        assert off.max() < 0.2
    assert_says(text, "at $z = 2$ they end below 0.3, where the line is at 0.6")
    exact = few_steps.paths(clusters).at(0.01).states
    place = steps_at(exact)
    toy, fine = dv.toy("gmm1"), np.linspace(-0.53, -0.52, 11)
    ends = maps.exact_map(toy, torch.from_numpy(fine)[:, None], 0.99, 0.01).ravel().numpy()
    halfway = np.interp(-0.5, ends, fine)
    assert halfway == pytest.approx(place, abs=0.01)
    found = {
        name: np.array([steps_at(ends) for ends in few_steps.learned_map(name, clusters)])
        for name in few_steps.NAMES
    }
    assert np.abs(found["shortcut"] - place).max() < 0.15
    middle = np.abs(starts - place) < 0.25
    steepest = np.diff(exact[middle]).max()
    shortcut = few_steps.learned_map("shortcut", clusters)[:, middle]
    assert (np.diff(shortcut, axis=1).max(1) < 0.5 * steepest).all()
    assert (found["ict"] < place - 0.1).all()
    for name in forms:
        assert (found[name] < found["ict"].min()).all()
        assert (few_steps.learned_map(name, clusters)[:, np.isclose(starts, -1.0)] > -0.9).all()
    assert exact[np.isclose(starts, -1.0)] < -1.4
    ends = few_steps.learned_map("imeanflow", clusters)
    rises = ends[:, np.isclose(starts, -0.5)] - ends[:, np.isclose(starts, -2.0)]
    assert rises.min() < 1
    assert_says(text, "One seed of the improved form has no step, but a slow rise")
    assert_says(
        text,
        f"the exact map steps at $z = {halfway:.2f}$",
        "`ict` steps too far to the left, and both forms of MeanFlow farther still",
        "both forms end between the clusters",
    )
    others = ("shortcut", "ict")
    titles = {
        (gaussian, forms): "one Gaussian: no MeanFlow follows the map",
        (gaussian, others): "one Gaussian: shortcut and ict follow it",
        (clusters, forms): "two clusters: no MeanFlow follows the map",
        (clusters, others): "two clusters: shortcut steps near it, ict too far left",
    }
    assert titles == figures.MAP_FINDINGS


@pytest.mark.slow
def test_what_small_networks_learn(text):
    """Trainings grow the last bits of a sum, so only what holds with a margin is said."""
    gaussian, clusters = few_steps.DATA
    found = {name: few_steps.errors_by_seed(name, gaussian) for name in few_steps.NAMES}
    unmoved = few_steps.errors("shortcut", gaussian).unmoved
    best = max(found[name][:, 0].max() for name in ("shortcut", "ict"))
    assert best < 0.06
    assert_says(
        text,
        f"not moved are {unmoved:.2f} off",
        "have an RMS distance below 0.06 in one step",
    )
    for name in ("meanflow", "imeanflow"):
        assert (found[name][:, 0] > 3 * best).all()
        assert (found[name][:, 1:].max(1) < 0.6 * found[name][:, 0]).all()
    near = np.mean([found[name][:, 0].mean() for name in ("shortcut", "ict")])
    far = np.mean([found[name][:, 0].mean() for name in ("meanflow", "imeanflow")])
    assert far / near == pytest.approx(7.5, rel=0.3)
    assert_says(
        text,
        "about seven times as far off in one step, and do better in two and four",
        "At each seed they are more than three times as far off",
    )
    found = {name: few_steps.errors_by_seed(name, clusters) for name in few_steps.NAMES}
    unmoved = few_steps.errors("shortcut", clusters).unmoved
    for name in ("meanflow", "imeanflow"):
        assert (found[name][:, 0] > unmoved).all()
        assert (found[name][:, 2] > 0.8 * unmoved).all()
    assert found["shortcut"].max() < 0.2 < 0.5 * unmoved
    assert (found["ict"][:, 0] > 0.6 * unmoved).all()
    nearest = {name: found[name][:, 0] for name in few_steps.NAMES}  # one step, at each seed
    assert all(
        (nearest["shortcut"] < 0.7 * nearest[name]).all() for name in nearest if name != "shortcut"
    )
    one, two, four = found["meanflow"].T
    assert (two < 0.85 * np.minimum(one, four)).all()
    assert two.mean() < 0.5 * one.mean()
    assert_says(
        text,
        f"it stays below 0.2, where states that are not moved are {unmoved:.2f} off",
        "In two steps MeanFlow is nearer than in one at each seed, and less than half as far off "
        "in the mean of the seeds",
    )
    assert few_steps.TRAINING == {"steps": 1500, "width": 64}
    assert_says(text, "three hidden layers of 64 units", "1,500 steps", "with three seeds each")
    assert len(few_steps.SEEDS) == 3
    drawn = inspect.signature(few_steps_training.train).parameters["batch"].default
    assert_says(text, f"A training has 1,500 steps of {drawn} draws")


def test_meanflow_hardly_ever_sees_the_time_at_which_it_is_used(text):
    """The larger of two logit-normal times is above 0.99 unless both are below it."""
    below = stats.norm.cdf(math.log(99) + 0.4)
    share = 1 - below**2
    start = 2 * math.log(0.01 / 0.99)
    assert dv.few_step("meanflow").diagonal.law.cdf(start) == pytest.approx(share, rel=1e-6)
    assert 1 / share == pytest.approx(1.7e6, rel=0.01) and 1500 * 256 == 384_000
    assert math.exp(-share * 1500 * 256) == pytest.approx(4 / 5, abs=0.01)
    assert_says(text, "four trainings of five never see the time at which their network is asked")
    assert "grows from 10 to 1,280; the entry has the last grid" in dv.few_step("ict").note
    assert_says(text, "begins with few levels and ends with 1,280")
    pairs = dv.few_step("meanflow").pairs.mass([-1e3, start, 1e3])
    assert pairs[0].sum() == pytest.approx(share, rel=1e-6)
    assert_says(
        text, "once in 1.7 million draws, on the diagonal and off it, and a training has 384,000"
    )
    assert dv.few_step("shortcut").diagonal.law.cdf(start) == pytest.approx(0.01)
    assert "1 in 100;" in printed(NOTEBOOK)


def test_the_factor_makes_the_loss_a_logarithm(text):
    """Its gradient is that of ½ log(Δ² + c), by the training's own factor."""
    import torch

    errors = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    squared = errors.square()
    factor = objectives.Adaptive(1.0, 0.01)(squared.detach().numpy())
    (pull,) = torch.autograd.grad((torch.from_numpy(factor) * squared / 2).sum(), errors)
    (slope,) = torch.autograd.grad((0.5 * (errors.square() + 0.01).log()).sum(), errors)
    torch.testing.assert_close(pull, slope)
    assert_says(text, r"\frac{\Delta}{\Delta^2 + c}", r"\tfrac12 \log(\Delta^2 + c)")


def guess_of_many(z, coordinates, t=0.9):
    """The best guess with the factor on independent coordinates, all with one state, by draws."""
    x = np.linspace(-6, 6, 4001)
    law = dv.toy("gmm1").law
    means, weights = law.means.flatten().numpy(), law.weights.numpy()
    prior = (weights * stats.norm.pdf(x[:, None], means, law.std.numpy())).sum(1)
    likely = prior * stats.norm.pdf(z, (1 - t) * x, t)
    likely /= likely.sum()
    drawn = np.random.default_rng(0).choice(x, (20_000, coordinates), p=likely)
    guess = np.linspace(-2, 1, 601)[:, None]
    first, second = drawn.sum(1), (drawn**2).sum(1)
    squared = (coordinates * guess**2 - 2 * guess * first + second) / t**2
    return float(guess[np.log(squared + 0.01).mean(1).argmin(), 0]), float(likely @ x)


def test_the_best_guess_is_the_larger_cluster_on_one_coordinate_and_the_mean_on_many(text):
    likely = np.linspace(-2.5, 2.5, 21)
    found = few_steps.guesses(0.9, likely)
    assert np.abs(found.with_factor - 0.5).max() < 0.05
    for z in (-1.0, 0.0, 1.0):
        one = few_steps.guesses(0.9, [z])
        alone, mean = guess_of_many(z, 1)
        assert one.mean == pytest.approx(mean, abs=1e-3)
        assert one.with_factor == pytest.approx(alone, abs=0.03)  # of 20,000 draws
        assert abs(guess_of_many(z, 64)[0] - mean) < 0.02
    assert_says(
        text,
        "With it the best guess is the larger cluster, whatever the state",
        "With 64 that are independent, each with these two clusters",
        "the best guess is the mean again, to 0.02",
    )


@pytest.mark.slow
def test_it_takes_both_changes(text):
    """Trainings grow the last bits of a sum, so only what holds with a margin is said."""
    rms = {change: few_steps.outcome(change).rms for change in few_steps.CHANGES}
    both = rms.pop(few_steps.BOTH)
    assert both[:, 0].max() < 0.8 * min(other[:, 0].min() for other in rms.values())
    assert (rms[few_steps.NO_FACTOR][:, 2] < 0.25).all() and (both[:, 2] < 0.25).all()
    assert (rms[few_steps.NO_FACTOR][:, 0] > 0.4).all()
    assert (rms[few_steps.UNIFORM] > 0.4).all()
    assert_says(
        text,
        "one step stays far off, while four steps are near the exact map",
        "With both changes each seed is nearer in one step than any seed of the other three",
    )
