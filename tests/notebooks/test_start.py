"""What notebook 0 says holds: errors of x and ε, equal recipes, and who weights what."""

import re

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, cells, printed
from scipy.special import expit

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments import strips
from diffviz.lab.explorers import ComposerExplorer
from diffviz.lab.explorers.noise import COLOURS, DATA, FIRST, NOISE

NOTEBOOK = "00_start_here"


def test_the_errors_of_x_and_eps_differ_by_the_factor_that_is_printed(text):
    """On another toy and at other levels than the notebook's."""
    assert_says(text, "a factor. The factor depends on $\\lambda$ alone")
    toy = dv.toy("gmm2d")
    for level in (-3.0, 0.0, 5.0):
        logsnr = torch.tensor(level, dtype=torch.float64)
        alpha, sigma = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid().sqrt()
        x = toy.sample(200, torch.Generator().manual_seed(1))
        eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
        z = alpha * x + sigma * eps
        x_hat = toy.denoise(z, logsnr)
        eps_hat = (z - alpha * x_hat) / sigma
        ratio = (x_hat - x).square().sum(1) / (eps_hat - eps).square().sum(1)
        assert ratio.numpy() == pytest.approx(np.exp(-level), rel=1e-6)
    poor, better, exact = (
        [float(number) for number in re.findall(r"\d\.\d+", line)]
        for line in printed(NOTEBOOK).split("\n")[:3]
    )
    assert exact == [pytest.approx(np.exp(-2.0), abs=1e-6)]
    assert poor[2] == pytest.approx(exact[0], rel=1e-5)
    assert better[2] == pytest.approx(exact[0], rel=1e-5)
    assert poor[0] > 2 * better[0]  # one guess is much poorer than the other
    assert poor[0] == pytest.approx(1, abs=1e-3)  # the variance of the photograph


def test_the_two_recipes_are_one_loss(text):
    flow, v = dv.objective("fm-ot"), dv.objective("v-cosine")
    assert dv.compare(flow, v).same
    assert (flow.target.name, v.target.name) == ("u", "v")
    assert not dv.compare(flow, dv.objective("edm")).same
    assert_says(text, "They are one loss, found twice.", "EDM is another loss")
    rows = re.findall(
        r"^(\S+) +has the weighting of flow matching: (\w+)$", printed(NOTEBOOK), re.M
    )
    assert rows == [("v-cosine", "True"), ("edm", "False")]


def test_one_ratio_is_one_noisy_picture_at_two_scales(text):
    """On the linear and the cosine path at one λ, z differs by a factor alone."""
    assert_says(text, "are therefore the same noisy picture at two scales")
    x, eps = np.random.default_rng(0).standard_normal((2, 20))
    for level in (-3.0, 0.5, 4.0):
        first, second = (
            (path.alpha(path.time(level)), path.sigma(path.time(level)))
            for path in (dv.paths.LINEAR, dv.paths.COSINE)
        )
        assert first[0] + first[1] == pytest.approx(1)
        assert np.hypot(*second) == pytest.approx(1)
        ratio = (first[0] * x + first[1] * eps) / (second[0] * x + second[1] * eps)
        assert ratio == pytest.approx(np.full(20, ratio[0]))


def test_the_value_by_hand_is_that_of_the_recipe(text):
    recipe = dv.Objective(
        name="x on the cosine path",
        family="test",
        year=0,
        source="the cell that works it out",
        path=dv.paths.COSINE,
        target=dv.targets.X,
        multiplier=dv.multipliers.constant,
    )
    (w,) = recipe.weighting([2.0])
    p = 1 / np.cosh(1.0) / (2 * np.pi)
    level, h = 2.0, 1e-4
    later, sooner = (2 / np.pi * np.arctan(np.exp(-at / 2)) for at in (level - h, level + h))
    assert (later - sooner) / (2 * h) == pytest.approx(p, rel=1e-6)
    assert_says(text, r"\lambda = 2\log\cot(\pi t/2)")
    assert w == pytest.approx(2 * np.exp(-2) * p)
    assert_says(text, f"$p(2) = {p:.3f}$", f"$e^{{-2}} = {np.exp(-2):.3f}$", f"= {w:.3f}$")


def test_the_share_of_the_last_solution_is_flow_matchings(text):
    share = dv.share_below(dv.objective("fm-ot"))
    assert_says(text, f"with {100 * share:.0f} % on the error of ε")
    grid = np.linspace(-10, 10, 2001)
    on_x = dv.objective("fm-ot").weighting(grid, base="x")
    assert np.trapezoid(on_x[grid <= 0], grid[grid <= 0]) / np.trapezoid(on_x, grid) < 0.1


def test_the_curves_are_read_rightly(text):
    grid = np.linspace(-10, 10, 401)
    flow, edm, elbo = (dv.objective(name).weighting(grid) for name in ("fm-ot", "edm", "elbo"))
    sd3, middle = (dv.objective(name).weighting(grid) for name in ("sd3", "iddpm-cosine"))
    near = (grid > -8) & (grid < 0)
    assert np.abs(np.log10(sd3 / sd3[200] / (edm / edm[200])))[near].max() < 0.2
    assert sd3[400] / sd3[200] < 0.1 * edm[400] / edm[200]
    assert middle.argmax() == 200
    assert flow.argmax() == 0
    assert 0 < edm.argmax() < 200
    assert np.ptp(elbo) < 1e-12 * elbo[0]
    assert_says(
        text,
        "cares most for almost pure noise",
        "EDM cares for noise too, but not for the noisiest levels",
        "(`sd3`) does nearly the same, and cares far less for clean data",
        "cares most for the middle",
        "for all levels alike",
    )


def test_the_photograph_comes_out_where_most_of_the_variance_is_noise(text):
    """By correlation of blocks of 8 × 8 pixels, as an eye averages."""
    assert_says(text, "first be made out at about $\\lambda = -2$")
    shown = strips.noised("image")
    photo = strips.photograph()

    def blocks(image):
        return image.reshape(8, 8, 8, 8).mean((1, 3)).ravel()

    seen = [np.corrcoef(blocks(z), blocks(photo))[0, 1] for z in shown.z]
    by_level = dict(zip(shown.logsnr.tolist(), seen, strict=True))
    assert by_level[-2.0] > 0.8
    assert by_level[-8.0] < 0.5


def test_the_moons_are_blurred_at_2_and_clear_at_4(text):
    """By the share of points further than a quarter of a standard deviation from the moons."""
    moons = dv.toy("moons", unit=True)
    clean, true = (
        moons.sample(2000, torch.Generator().manual_seed(seed)).double() for seed in (0, 1)
    )
    eps = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2), dtype=clean.dtype)
    off = [
        (torch.cdist(clean + np.exp(-level / 2) * eps, true).amin(1) > 0.25).double().mean().item()
        for level in (2.0, 4.0)
    ]
    assert off[0] > 0.05 > 0.01 > off[1]
    assert_says(text, "They are blurred at λ = 2 and clear at λ = 4")


def test_near_pure_noise_the_weight_is_large_and_the_loss_small(text):
    """The error of the exact ε̂ on N(0, 1) is α², which falls faster than the weighting rises."""
    flow = dv.objective("fm-ot")
    far, middle = flow.weighting([-10.0, 0.0])
    assert far > 100 * middle
    assert far * expit(-10.0) < 0.1 * middle * expit(0.0)
    assert_says(text, "A large weight is not yet a large loss")


def test_neighbours_are_alike_in_the_photograph_so_that_an_eye_averages(text):
    photo = strips.photograph()
    assert_says(text, f"alike, and there are {photo.size:,} of them")
    assert np.corrcoef(photo[:, 1:].ravel(), photo[:, :-1].ravel())[0, 1] > 0.8
    assert np.corrcoef(photo[1:].ravel(), photo[:-1].ravel())[0, 1] > 0.8


def test_the_weights_at_the_first_level_of_the_explorer_are_as_told(text):
    level = -4.0
    flow, middle = (
        ratio[0] / ratio[1]
        for ratio in (dv.objective(name).weighting([level, 0.0]) for name in FIRST)
    )
    assert flow == pytest.approx(np.exp(2))
    assert middle == pytest.approx(1 / np.cosh(2))
    assert_says(text, f"there {flow:.2f} times as strongly", f"and DDPM {middle:.3f} times")
    right = np.linspace(0.01, 12, 200)
    one, other = (
        w / dv.objective(name).weighting([0.0])
        for name, w in ((name, dv.objective(name).weighting(right)) for name in FIRST)
    )
    assert (other > one).all()
    assert_says(text, "From $\\lambda = 0$ on", "both curves were set to 1 there")


def test_the_map_names_every_other_notebook(text):
    from notebook_prose import NOTEBOOKS

    others = [file.name for file in sorted(NOTEBOOKS.glob("*.ipynb")) if file.stem != NOTEBOOK]
    assert len(others) >= 11
    for name in others:
        assert_says(text, f"({name})")
    for reader in ("exploring", "reproducing", "teaching", "training"):
        assert_says(text, f"| {reader}")


def test_the_map_promises_only_what_there_is(text):
    """Files that it links, commands, and a section of five questions for each notebook."""
    from notebook_prose import NOTEBOOKS

    source = "\n".join(cell.source for cell in cells(NOTEBOOK) if cell.cell_type == "markdown")
    for link in re.findall(r"\]\((?!http)([^)#]+)", source):
        assert (NOTEBOOKS / link).exists(), link
    questions = (NOTEBOOKS.parent / "docs" / "questions.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"teaching or learning \| ([\d, ]+), with the \[five questions", text)
    for number in row.split(", "):
        if number != "1":
            assert f"## {number} · " in questions
    for number, what in ((1, "Explorer("), (2, "Explorer("), (3, "Explorer("), (4, "dv.probe(")):
        (file,) = NOTEBOOKS.glob(f"{number:02}_*.ipynb")
        assert what in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("a", "b", "level"), [(1.0, 0.0, 2.0), (-0.8, 0.6, -1.0), (-1.0, 1.0, 3.0)]
)
def test_the_error_of_any_target_is_the_gain_times_that_of_eps(text, a, b, level):
    assert_says(text, "The size of the bracket is called the **gain**")
    x, eps, eps_hat = np.random.default_rng(0).standard_normal((3, 20))
    ratio = np.exp(-level / 2)
    x_hat = x + ratio * (eps - eps_hat)  # so that x̂ + (σ/α) ε̂ is the known z/α
    error = a * x_hat + b * eps_hat - a * x - b * eps
    assert error == pytest.approx((b - a * ratio) * (eps_hat - eps))


def test_the_composer_opens_at_the_level_that_is_told(text):
    assert_says(text, "at $\\lambda = 0$, so its logarithm is 0 there")
    opened = ComposerExplorer().state
    assert (opened["anchor"], opened["below"]) == (0.0, 0.0)


def test_data_and_noise_have_the_colours_of_the_first_picture():
    shares = plots.lines([0.0, 1.0], {DATA: [0, 1], NOISE: [1, 0]}, xlabel="λ", ylabel="share")
    drawn = {line.get_gid(): line.get_color() for line in shares.lines}
    assert {name: COLOURS[name] for name in (DATA, NOISE)} == {
        name: drawn[name] for name in (DATA, NOISE)
    }


def test_it_opens_with_words_and_ends_with_the_explorer_and_exercises():
    code = [cell.source for cell in cells(NOTEBOOK) if cell.cell_type == "code"]
    assert sum("ComposerExplorer()" in source for source in code) == 1
    assert sum("NoiseExplorer(" in source for source in code) == 2
    assert sum("exercises.check" in source for source in code) == 3
