"""What notebook 4 says holds: EDM by hand, what mistakes do to a curve, what a probe notes."""

import re

import numpy as np
import pytest
import torch
from notebook_prose import NOTEBOOKS, assert_says, cells, printed
from pictures import data
from scipy import stats

import diffviz as dv
from diffviz.lab import losses
from diffviz.lab.exercises import check
from diffviz.lab.exercises.probing import TRACES
from diffviz.lab.experiments.probing import mistaken_pair
from diffviz.lab.explorers import ProbeExplorer
from diffviz.lab.figures import probing as probing_figures

NOTEBOOK = "04_probe_your_loss"
GRID = np.linspace(-4.8, 4.8, 97)  # what all of these losses draw


@pytest.fixture(scope="module")
def x():
    """The data of the notebook."""
    return dv.toy("moons").sample(256, torch.Generator().manual_seed(1)).float()


# --- the first loss -----------------------------------------------------------------------------


def test_edm_by_hand_is_the_catalogues(text):
    assert_says(text, r"\propto\; \big(4 + e^{\lambda}\big)\,e^{-\lambda}\,p(\lambda)")
    by_hand = (1 + 4 * np.exp(-GRID)) * stats.norm(2.4, 2.4).pdf(GRID)
    ratio = by_hand / dv.objective("edm").weighting(GRID)
    assert ratio == pytest.approx(np.full(len(GRID), ratio[0]), rel=1e-12)


def test_the_data_could_not_be_taken_for_noise(text, x):
    assert (abs(x.mean(0)) > 0.1).any()
    assert (abs(x.std(0) - 1) > 0.1).any()
    assert_says(text, "their mean is not 0, and their standard deviation is not 1")
    sources = [cell.source for cell in cells(NOTEBOOK) if cell.cell_type == "code"]
    assert not any("randn" in source for source in sources)


def test_data_of_a_global_seed_are_the_noise_of_a_loss_that_sets_it_too(text, x):
    assert_says(text, "Do not take `torch.randn` after `torch.manual_seed(0)`")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        data = torch.randn(256, 2)
        torch.manual_seed(0)  # as a loss may do
        noise = torch.randn_like(data)
        torch.manual_seed(0)
        noise_of_moons = torch.randn_like(x)
    assert torch.equal(noise, data)
    assert abs(np.corrcoef(noise_of_moons.ravel(), x.ravel())[0, 1]) < 0.2


def test_the_measured_curve_is_the_one_by_hand(x):
    measured = dv.probe(losses.edm, x)
    names = [match.name for match in dv.closest(measured)]
    assert names[0] == "edm"
    assert len(names) == 3  # two more entries are as close
    assert all(match.deviation < 2e-4 for match in dv.closest(measured))
    assert len(measured.logsnr) == 20_000


def test_three_gradients_of_one_sample_are_worked_through(text):
    """The target is v, so that a = −σ and b = α, and both rows count."""
    said = printed(NOTEBOOK)
    alpha, sigma = 0.8, 0.6
    row = re.search(r"^2c \[(.+?)\] +a \[(.+?)\] +b \[(.+?)\]$", said, re.M)
    twice, a, b = (np.array(one.split(), dtype=float) for one in row.groups())
    np.testing.assert_allclose(twice, 2, rtol=1e-6)
    np.testing.assert_allclose((a, b), ([-sigma] * 2, [alpha] * 2), rtol=1e-6)
    gain = re.search(r"gain² = .+? = \[(.+?)\] +1/α² = ([\d.]+)$", said, re.M)
    np.testing.assert_allclose(np.array(gain.group(1).split(), dtype=float), alpha**-2)
    assert float(gain.group(2)) == pytest.approx(alpha**-2)
    level = np.log(alpha**2 / sigma**2)
    assert dv.targets.V.gain(level, dv.paths.COSINE) ** 2 == pytest.approx(alpha**-2)
    assert_says(
        text,
        r"The rows say $a = -\sigma$ and $b = \alpha$, as they should for $v$, and $c = 1$",
        r"gain² is $(\alpha + \sigma^2/\alpha)^2$, which is $1/\alpha^2$",
        r"For EDM $a = 1$, $b = 0$ and $\alpha = 1$, and the same formula gives $\sigma^2$",
    )


def test_the_gradients_of_the_exercise_are_those_of_a_loss_that_predicts_x(text):
    """By autograd; the factor is the loss over the squared error of ε̂, for an F of its own."""
    alpha, sigma, x, eps = 0.8, 0.6, 2.0, 0.5

    def gradient(data, output):
        F = torch.tensor(output, requires_grad=True)
        (3 * (F - data) ** 2).backward()
        return F.grad.item()

    rows = gradient(x, 0.0), gradient(0.0, 0.0), gradient(x, 1.0) - gradient(x, 0.0)
    assert rows == pytest.approx((-12, 0, 6))
    assert_says(
        text,
        "| noise off, $F = 0$ | −12 | | data off, $F = 0$ | 0 |",
        "| changes by 6 |",
        r"z = 0.8\,x + 0.6\,\varepsilon$, with $x = 2$ and $\varepsilon = 0.5$",
    )
    x_hat = 1.3
    eps_hat = (alpha * x + sigma * eps - alpha * x_hat) / sigma
    factor = 3 * (x_hat - x) ** 2 / (eps_hat - eps) ** 2
    assert factor == pytest.approx(3 * (0.6 / 0.8) ** 2)
    assert_says(text, f"is {factor:.2f}. The last row is $2c$")


def test_what_the_reader_tries_comes_out_as_it_says(text):
    """The box is flow matching; the target x in its place has t² times as large a weighting."""
    explorer = ProbeExplorer(loss="own loss", beside="flow matching", nearest=False)
    assert "own loss  u  linear  fm-ot (0.0%)" in explorer.view.text
    explorer.set("own", explorer.state["own"].replace("eps - x", "x"))
    left, right = explorer.view.charts
    level, ratio = right.places("ratio"), np.asarray(right.curves["ratio"])
    squared = 2 * np.log10(2 / (1 + np.exp(level / 2)))  # of t, over that at λ = 0
    np.testing.assert_allclose(ratio, squared, atol=0.02)
    before = [np.asarray(curve) for curve in left.curves.values()]
    explorer.set("base", "x")
    left, right = explorer.view.charts
    np.testing.assert_array_equal(right.curves["ratio"], ratio)
    for old, new in zip(before, left.curves.values(), strict=True):
        np.testing.assert_allclose(new - old, level / np.log(10), atol=1e-9)
    assert_says(
        text,
        "The ratio is flat at the noise end and falls towards data",
        "the ratio of the two gain², which is $t^2$",
        r"The left one alone. On the error of $x$ both weightings are $e^{\lambda}$ times as large",
    )


# --- what is not squared ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [0.1, 0.4, 0.5, 1.0, 3.0])
def test_hubers_gradient_is_that_of_a_square_times_the_smaller_of_one_and_delta_over_r(text, error):
    assert_says(text, r"\min(1,\; \delta/|r|)", r"here $\delta = \tfrac12$")
    r = torch.tensor([error], requires_grad=True)
    torch.nn.functional.huber_loss(r, torch.zeros(1), delta=0.5).backward()
    assert r.grad.item() == pytest.approx(error * min(1.0, 0.5 / error), rel=1e-6)


def test_the_note_says_where_the_curve_of_huber_holds(text, x):
    measured = dv.probe(losses.huber, x)
    (note,) = measured.notes
    assert len(measured.logsnr) == 2000
    assert_says(text, "makes only 2,000 draws of a loss that is not squared")
    assert "at an error of 0.1 a component; at 1 it is 0.5 times that" in note
    assert_says(text, "it was taken, 0.1, and that the factor at an error of 1 is half of that")
    assert "largest deviation 0.00% at λ = -8.8 over 98% of its draws, ± 2.8% there" in printed(
        NOTEBOOK
    )
    assert_says(
        text,
        "No deviation from flow matching was seen, over 98 % of that recipe's draws",
        "At λ = −8.8, where few draws fall, one of a few times 2.8 % could hide",
    )


# --- the five mistakes --------------------------------------------------------------------------


def trace(letter, x):
    """log of the measured weighting of a mystery over that of what was meant, 0 at λ = 0."""
    loss, meant = (
        np.log(dv.from_weighting(dv.probe(one, x).table()).weighting(GRID))
        for one in (losses.MYSTERIES[letter], losses.INTENDED[letter])
    )
    ratio = loss - meant
    return ratio - ratio[48]


@pytest.fixture(scope="module")
def traces(x):
    made = {
        losses.MISTAKE_OF[mystery]: trace(letter, x) for letter, mystery in losses.MYSTERIES.items()
    }
    return made | decoy_traces()


def decoy_traces():
    """The same of the mistakes that no mystery has, by the weightings of their families."""
    meant_flow, meant_edm = dv.objective("sd3"), dv.objective("edm")
    pairs = {
        "log sigma": (dv.families.edm(mean=1.2), meant_edm),
        "cap": (dv.families.min_snr(20.0), dv.families.min_snr(5.0)),
        "width": (dv.families.flow(0.0, 0.5, 1.0), meant_flow),
    }
    logs = {
        name: np.subtract(*(np.log(one.weighting(GRID)) for one in pair))
        for name, pair in pairs.items()
    }
    return {name: ratio - ratio[48] for name, ratio in logs.items()}


CAP = np.log(5)


@pytest.mark.slow
def test_the_hints_say_what_each_mistake_does_to_the_curve(traces):
    """``TRACES`` in numbers: constant above a cap, rising at both ends, even, straight, a step."""
    assert traces.keys() == TRACES.keys()
    above, below = GRID > CAP + 0.3, GRID < CAP - 0.5
    numerator = traces["numerator"]
    assert np.ptp(numerator[above]) < 0.03
    assert (np.diff(numerator[below]) < 0).all()

    rises = traces["max"]
    assert (np.diff(rises[below]) < 0).all()
    assert (np.diff(rises[above]) > 0).all()

    even = traces["no effect"]
    assert even == pytest.approx(even[::-1], abs=0.05)
    assert (np.diff(even[GRID > 1]) > 0).all()

    straight = traces["wrong sign"]
    assert np.gradient(straight, GRID) == pytest.approx(0.5, abs=0.05)

    step = traces["sigma_data"]
    assert np.ptp(step[GRID < -3.5]) < 0.1
    assert np.ptp(step[GRID > 4]) < 0.1
    assert step[-1] - step[0] == pytest.approx(np.log(4), abs=0.1)

    assert np.gradient(traces["log sigma"], GRID) == pytest.approx(-4.8 / 2.4**2, abs=1e-9)

    cap = traces["cap"]
    assert np.ptp(cap[below]) < 1e-9
    assert (cap[GRID > CAP + 0.05] > 0).all()
    assert cap[np.log(20) < GRID] == pytest.approx(np.log(4), abs=1e-9)

    low = traces["width"]
    assert low == pytest.approx(low[::-1], abs=1e-9)
    assert (np.diff(low[GRID > 0.1]) < 0).all()


def test_the_answers_that_no_mystery_has_stand_in_the_table(text):
    assert_says(text, "Three of the eight answers belong to none of the losses")
    for name in losses.MISTAKES:
        assert f'| `"{name}"` |' in text


@pytest.mark.slow
def test_the_drawn_ratio_of_a_mystery_is_the_one_that_is_judged(text, x):
    """The lines of the figure beside the curves that ``trace`` measures."""
    for letter in losses.MYSTERIES:
        pair = mistaken_pair(letter, x)
        figure = probing_figures.mystery(pair).figure
        level, drawn = data(figure, 1, "ratio")
        inside = (level >= GRID[0]) & (level <= GRID[-1]) & np.isfinite(drawn)
        expected = np.interp(level[inside], GRID, trace(letter, x)) / np.log(10)
        assert inside.sum() > 90
        assert drawn[inside] == pytest.approx(expected, abs=0.01)
        sides = [data(figure, 0, name)[1] for name in ("measured", "meant")]
        np.testing.assert_allclose(sides[0] - sides[1], drawn)
        limits = [ax.get_ylim() for ax in figure.axes[:2]]
        assert limits[1][0] < 0 < limits[1][1]
        assert np.nanmax(sides) - np.nanmin(sides) > 0.5 * (limits[0][1] - limits[0][0])
        assert np.nanmax(drawn) - np.nanmin(drawn) > 0.5 * (limits[1][1] - limits[1][0])
        for values, (low, high) in zip((sides, drawn), limits, strict=True):
            assert low < np.nanmin(values) and np.nanmax(values) < high
    assert_says(text, f"by a factor of 4 in between, which is {np.log10(4):.1f} on the axis")
    c_meant, e_meant = (
        dv.closest(dv.probe(losses.INTENDED[one], x))[0].name.rpartition("-")[0] for one in "CE"
    )
    assert c_meant == e_meant == "min-snr-5"
    assert np.exp(1.6) == pytest.approx(5, rel=0.02)
    assert_says(text, "Min-SNR-5 has its corner at SNR = 5, which is λ = 1.6")


def test_the_two_codes_of_min_snr_have_one_weighting(text):
    """As derived there, and as the catalogue has them."""
    assert_says(text, r"\frac{\min(\mathrm{SNR}, 5)}{\mathrm{SNR} + 1}\cdot\frac{\mathrm{SNR} + 1}")
    snr = np.exp(GRID)
    product = np.minimum(snr, 5) / (snr + 1) * dv.targets.V.gain(GRID, dv.paths.COSINE) ** 2
    assert product == pytest.approx(np.minimum(1, 5 / snr), rel=1e-12)
    for name in ("min-snr-5-eps", "min-snr-5-v"):
        factor = dv.objective(name).factor(GRID)  # multiplier times gain²
        assert factor == pytest.approx(np.minimum(1, 5 / snr), rel=1e-9), name
    dent = np.linspace(4, 5, 11)
    drop = np.minimum(dent + 1, 5) / np.minimum(dent, 5)
    assert (np.diff(drop) < 0).all()
    assert drop[0] > drop[-1] == 1
    assert_says(
        text,
        "Between SNR 4 and 5",
        "the ratio drops to its last value there. That is the small kink at λ = 1.4 to 1.6",
    )
    density = dv.paths.COSINE.schedule.pdf(GRID) * (np.exp(GRID / 2) + np.exp(-GRID / 2))
    assert density == pytest.approx(np.full(len(GRID), density[0]), rel=1e-9)
    assert_says(text, r"proportional to $1/(e^{\lambda/2} + e^{-\lambda/2})$")
    left = (1 + 1 / snr) * dv.paths.COSINE.schedule.pdf(GRID) * np.exp(GRID / 2)
    assert left == pytest.approx(np.full(len(GRID), left[0]), rel=1e-9)
    assert_says(text, r"$1 + e^{-\lambda}$ times the density of the cosine schedule")


def test_a_mistake_is_drawn_for_known_letters_only():
    with pytest.raises(ValueError, match="letter"):
        mistaken_pair("F")


@pytest.mark.parametrize("letter", "ABCDE")
def test_printing_a_mystery_shows_no_answer(letter):
    mystery = losses.MYSTERIES[letter]
    shown = repr(mystery) + str(mystery) + repr(vars(mystery))
    assert letter in shown
    assert not any(name.replace(" ", "_") in shown for name in losses.MISTAKES)


@pytest.mark.parametrize("letter", "ABCDE")
def test_a_wrong_mistake_is_met_with_what_it_would_do(letter, capsys):
    right = losses.MISTAKE_OF[losses.MYSTERIES[letter]]
    for guess in losses.MISTAKES:
        check(f"mystery-{letter}", guess)
        said = capsys.readouterr().out
        assert ("right!" in said) == (guess == right)
        if guess != right:
            assert TRACES[guess] in said
            assert TRACES[right] not in said


def test_every_mystery_has_its_curve_and_its_solution(text):
    for letter, mystery in losses.MYSTERIES.items():
        assert_says(text, f"**Mystery {letter}**", f'`answer = "{losses.MISTAKE_OF[mystery]}"`')


# --- a preconditioned network -------------------------------------------------------------------


class Preconditioned(torch.nn.Module):
    """EDM's denoiser, with the raw network inside it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z, sigma):
        sigma, data = sigma.reshape(-1, 1), 0.5
        size = torch.hypot(sigma, torch.tensor(data))
        skip, out = (data / size) ** 2, sigma * data / size
        return skip * z + out * self.net(z / size, sigma.flatten().log() / 4)


class FirstArgument(torch.nn.Module):
    """A network that answers with its input."""

    def forward(self, z, _):
        return z


def test_inside_edms_denoiser_the_target_is_f_and_the_multiplier_constant(text, x):
    denoiser = Preconditioned(FirstArgument())
    raw, whole = (
        dv.probe(lambda batch: losses.edm(denoiser, batch), x, model=name)
        for name in ("denoiser.net", "denoiser")
    )
    assert (raw.kind, whole.kind) == ("F (sigma_data 0.5)", "x")
    size = np.median(raw.multiplier)
    assert raw.multiplier == pytest.approx(np.full(len(raw.multiplier), size), rel=1e-3)
    assert np.ptp(whole.multiplier) > 1
    for measured in (raw, whole):
        assert dv.closest(measured)[0].name == "edm"
        assert dv.closest(measured)[0].deviation < 2e-4
    assert_says(
        text,
        "the target that comes out is $F$",
        "the multiplier is constant",
        "The weighting is EDM's either way",
    )


# --- other losses -------------------------------------------------------------------------------


def test_ddpm_is_found_as_its_table(text, x):
    measured = dv.probe(losses.ddpm, x)
    assert dv.closest(measured)[0].name == "ddpm-linear"
    assert measured.kind == "eps"
    assert_says(text, "found as the table of `ddpm-linear`", "table of 1,000 steps")
    assert "the T = 1000 table of ddpm-linear" in printed(NOTEBOOK)


def test_the_packages_deviate_as_is_said(text):
    page = (NOTEBOOKS.parent / "docs" / "probed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+) .* \| ([\d.]+) % \|$", page, re.M)
    deviations = [float(value) for _, value in rows]
    assert "The bounds have room" in page  # the largest is a bound, and not a deviation
    assert len({name for name, _ in rows}) == 11
    assert np.mean([value < 0.2 for value in deviations]) > 0.7
    assert_says(
        text, "eleven packages", "less than 0.2 %", f"none by more than {max(deviations)} %"
    )
