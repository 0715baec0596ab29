"""What notebook 0 says holds: errors of x and ε, equal recipes, and who weights what."""

import re

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, cells, printed

import diffviz as dv
from diffviz.lab.experiments import strips

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
    first, second = printed(NOTEBOOK).split("\n")[:2]
    assert float(first.split()[-1]) == pytest.approx(float(second.split()[-1]), rel=1e-9)


def test_the_two_recipes_are_one_loss(text):
    flow, v = dv.objective("fm-ot"), dv.objective("v-cosine")
    assert dv.compare(flow, v).same
    assert (flow.target.name, v.target.name) == ("u", "v")
    assert not dv.compare(flow, dv.objective("edm")).same
    assert_says(text, "They are one loss, found twice.")


def test_the_curves_are_read_rightly(text):
    grid = np.linspace(-10, 10, 401)
    flow, edm, elbo = (dv.objective(name).weighting(grid) for name in ("fm-ot", "edm", "elbo"))
    assert flow.argmax() == 0
    assert 0 < edm.argmax() < 200
    assert np.ptp(elbo) < 1e-12 * elbo[0]
    assert_says(
        text,
        "cares most for almost pure noise",
        "EDM cares for noise too, but not for the noisiest levels",
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


def test_it_opens_with_words_and_ends_with_the_explorer_and_exercises():
    code = [cell.source for cell in cells(NOTEBOOK) if cell.cell_type == "code"]
    assert sum("Explorer()" in source for source in code) == 1
    assert sum("exercises.check" in source for source in code) == 3
