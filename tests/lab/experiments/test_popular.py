"""What popular settings weight: all rows are computed, some known by closed forms."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit, logit

from diffviz.__main__ import main
from diffviz.lab.experiments import popular
from diffviz.recipes import settings

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def table():
    return popular.rows()


def row(table, title, trainer):
    """The one row of that title and trainer."""
    (found,) = [
        one for one in table if (one.setting.title, one.setting.trainer) == (title, trainer)
    ]
    return found


def test_there_are_many_settings_each_with_a_row(table):
    assert len(table) == len(popular.POPULAR) == 54
    names = [(one.setting.title, one.setting.trainer) for one in table]
    assert len(set(names)) == 54
    for one in table:
        assert np.isfinite(one.quartiles).all()
        assert one.quartiles[0] < one.median < one.quartiles[2]
        assert 0 < one.below <= 1
        assert one.is_monotone == (one.negative_share == 0)
        assert one.nearest is not None


def test_every_trainer_that_is_read_has_a_row(table):
    named = {one.setting.trainer for one in table}
    assert named == {*settings.trainers(), popular.SCHEDULER}


def test_every_option_has_an_effect_so_that_no_row_says_more_than_it_does(table):
    for setting in popular.POPULAR:
        if setting.trainer != popular.SCHEDULER:
            explained = settings.explain(
                setting.text, trainer=setting.trainer, model=setting.model, tokens=setting.tokens
            )
            assert explained.no_effect == (), setting.title


@pytest.mark.parametrize(
    ("title", "trainer", "shift", "law"),
    [
        ("FLUX.1 dev", "diffusers-flow", 1.0, stats.uniform()),
        ("HunyuanVideo", "scheduler", 7.0, stats.uniform()),
        ("FLUX.1 dev at 1024²", "scheduler", np.exp(1.15), stats.uniform()),
        ("FLUX.1 dev, as its guide says", "sd-scripts-flux", 3.1582, None),
        ("Wan 2.1", "musubi", 3.0, None),
        ("FLUX.1 dev", "ai-toolkit", 1.0, None),
    ],
)
def test_rows_of_flows_are_their_closed_forms(table, title, trainer, shift, law):
    """σ = s t/(1 + (s − 1) t) with uniform t, or t the sigmoid of a normal (law None)."""
    quarters = np.array([0.75, 0.5, 0.25])
    time = expit(stats.norm.ppf(quarters)) if law is None else law.ppf(quarters)
    sigma = shift * time / (1 + (shift - 1) * time)
    found = row(table, title, trainer)
    assert found.quartiles == pytest.approx(-2 * logit(sigma), abs=0.01)

    def spent(logsnr):
        """Density times gain² of u, times the eps error of N(0, 1)."""
        noise = logit(expit(-logsnr / 2)) - np.log(shift)  # logit of the unshifted time
        density = stats.norm.pdf(noise) if law is None else stats.logistic.pdf(noise)
        return density / 2 * (1 + np.exp(-logsnr / 2)) ** 2 * expit(logsnr)

    below = integrate.quad(spent, -10, 0)[0] / integrate.quad(spent, -10, 10)[0]
    assert found.below == pytest.approx(below, abs=0.003)


def test_noise_prediction_on_a_table_is_its_sum_over_steps(table):
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    logsnr = np.sort(logit(np.cumprod(1 - betas)))
    found = row(table, "SD 1.5", "diffusers")
    assert found.median == pytest.approx(np.median(logsnr), abs=0.01)
    spent = expit(logsnr)
    assert found.below == pytest.approx(spent[logsnr < 0].sum() / spent.sum(), abs=0.002)


def numbers(text):
    """The cells of a table in Markdown, line by line."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_the_pages_is_this_one(table):
    """Numbers may differ by one in the last digit, by the rounding of another machine."""
    page = (DOCS / "popular-settings.inc").read_text(encoding="utf-8")
    shown = numbers(page)
    assert len(shown) == len(table)
    for cells, one in zip(shown, table, strict=True):
        assert cells[:2] == [one.setting.title, one.setting.trainer]
        assert float(cells[2]) == pytest.approx(one.median, abs=0.0101)
        assert float(cells[3]) == pytest.approx(one.spread, abs=0.0101)
        assert (cells[4] == "monotone") == one.is_monotone
        assert float(cells[5].rstrip("%")) == pytest.approx(100 * one.below, abs=1.01)
        assert cells[6].split()[0] == one.nearest.name
    assert popular.markdown(table).partition("## The settings")[2] in page


def test_what_the_page_says_in_words_is_so(table):
    prose = (DOCS / "popular.md").read_text(encoding="utf-8")
    count = sum(not one.is_monotone for one in table)
    assert f"{count} of the {len(table)} settings count some ELBOs with a minus sign" in prose
    assert max(one.negative_share for one in table) < 0.04
    assert row(table, "FLUX.1 dev", "diffusers-flow").median == pytest.approx(0, abs=0.01)
    assert row(table, "FLUX.1 dev", "ai-toolkit").median == pytest.approx(0, abs=0.01)
    guide = row(table, "FLUX.1 dev, as its guide says", "sd-scripts-flux")
    assert guide.median == pytest.approx(-2.3, abs=0.01)
    shares = [row(table, "SD 1.5", "diffusers").below, row(table, "HunyuanVideo", "musubi").below]
    spends = re.search(r"spends (\d+) % of its\n  loss below λ = 0, HunyuanVideo (\d+) %", prose)
    assert [round(100 * share) for share in shares] == [int(spends[1]), int(spends[2])]
    assert f"deviates by at most {100 * popular.EQUAL:.0f} %" in prose


def test_small_numbers_are_not_rounded_to_something_else():
    nearest = popular.row_of(popular.POPULAR[0]).nearest
    one = popular.PopularRow(popular.POPULAR[0], (-1.0, -0.001, 1.0), False, 1e-5, 0.5, nearest)
    assert popular.cells(one)[2] == "0.00"
    assert one.verdict == "under 0.1% negative"


def test_the_command_prints_the_table(capsys):
    assert main(["popular"]) == 0
    printed = numbers(capsys.readouterr().out)
    assert len(printed) == 54
    assert printed[0][:2] == ["SD 1.5", "diffusers"]
