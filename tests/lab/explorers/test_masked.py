"""The explorer of masked objectives: a control is set, the curves and the table are read."""

import numpy as np
import pytest
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments.masked import WORLD
from diffviz.lab.explorers.masked import MaskedExplorer


@pytest.fixture
def explorer():
    return MaskedExplorer()


def curve(explorer, name):
    chart = explorer.view.charts[0]
    return chart.places(name), np.asarray(chart.curves[name])


def test_the_first_view_has_the_weightings_anchored_at_zero(explorer):
    x, w = curve(explorer, "simple")
    assert w == pytest.approx(4 * expit(x) * expit(-x), rel=1e-6)
    assert "the ELBO" in explorer.view.text and "a sum of ELBOs" in explorer.view.text


def test_the_base_changes_the_curve(explorer):
    explorer.set("base", "over ELBO")
    x, w = curve(explorer, "mdlm")
    known = np.isfinite(w)
    assert known.sum() > 200 and w[known] == pytest.approx(np.ones(known.sum()), rel=1e-6)
    explorer.set("base", "one token")
    x, w = curve(explorer, "mdlm")
    assert w[known] == pytest.approx((4 * expit(x) * expit(-x))[known], rel=1e-6)


def test_the_anchor_moves_all_curves(explorer):
    explorer.set("anchor", 2.0)
    x, w = curve(explorer, "maskgit")
    assert np.interp(2.0, x, w) == pytest.approx(1, rel=1e-9)


def test_counts_are_those_of_a_length(explorer):
    explorer.set("shows", "by count")
    explorer.set("length", 5)
    x, w = curve(explorer, "maskgit")
    truth = dv.masked_objective("maskgit").count_weights(5) * np.arange(1, 6)
    assert x.tolist() == [1, 2, 3, 4, 5]
    assert w == pytest.approx(truth / truth.mean(), rel=1e-12)


def test_what_is_spent_is_the_weighting_times_the_floor(explorer):
    explorer.set("shows", "on exact data")
    x, spent = curve(explorer, "simple")
    truth = expit(x) * expit(-x) * WORLD.floor(x)
    at = np.interp(0.0, x, truth)
    assert spent == pytest.approx(truth / at, rel=1e-6)


def test_an_entry_without_the_anchor_is_shown_over_its_largest_value(explorer):
    explorer.set("anchor", 3.0)
    explorer.set("names", ("mage", "mdlm-geometric"))
    _, w = curve(explorer, "mage")
    assert np.nanmax(w) == pytest.approx(1)
    assert "minus 31.9% (chain 34.3%)" in explorer.view.text
    assert "mage has no weight there" in explorer.view.text
    explorer.set("names", ("mdlm-cosine",))
    assert "no weight" not in explorer.view.text


def test_a_curve_that_is_a_limit_is_said_to_be_one(explorer):
    for shows in ("over λ", "on exact data"):
        explorer.set("shows", shows)
        assert "In the limit of long sequences: maskgit." in explorer.view.text
    explorer.set("names", ("simple", "masked-mean", "dplm-linear", "simple-batch"))
    text = explorer.view.text
    assert "In the limit of large batches: dplm-linear, simple-batch." in text
    assert "long sequences" not in text  # under a uniform rate the mean is the ELBO at every length
    explorer.set("shows", "by count")
    assert "limit" not in explorer.view.text


def test_no_entry_and_too_many_are_met_in_words(explorer):
    explorer.set("names", ())
    assert not explorer.error
    with pytest.raises(ValueError, match="unknown names 'lada'"):
        MaskedExplorer(names=("lada",))


def test_the_table_has_the_names_of_the_papers():
    shown = MaskedExplorer(names=("maskgit", "amused", "mdlm-cosine")).view.text
    for words in ("cosine (MaskGIT)", "rounded up", "rounded to nearest", "cosine (MDLM) on [0"):
        assert words in shown
    assert "sine " not in shown.replace("cosine ", "")
    others = MaskedExplorer(names=("maskgit-square-root", "dplm-linear")).view.text
    for words in ("1 − ρ^0.5", "masked tokens of the batch", "rounded up"):
        assert words in others
    assert "kept" not in others


def test_losses_that_differ_have_rows_that_differ():
    names = tuple(dv.masked_catalogue)
    rows = {}
    for some in (names[k : k + 6] for k in range(0, len(names), 6)):
        table = MaskedExplorer(some).view.panels[1]
        column = table.head.index("factor")
        rows |= {name: (tuple(recipe), words) for name, *recipe, words in table.rows}
        for name, *recipe, _ in table.rows:
            entry = dv.masked_objective(name)
            at = entry.multiplier(np.array([-1.0, 2.0]))
            m = expit(-np.array([-1.0, 2.0]))
            known = {"1": np.ones(2), "1/m": 1 / m, "1 − m": 1 - m}.get(recipe[column - 1])
            if known is not None:
                assert at / at[0] == pytest.approx(known / known[0], rel=1e-12), name
    assert rows["dplm-linear"][0] != rows["simple-batch"][0]
    verdicts = {}
    for recipe, words in rows.values():
        assert verdicts.setdefault(recipe, words) == words


def test_no_third_of_the_axis_is_empty():
    explorer = MaskedExplorer(("elbo", "maskgit-square-root"), base="over ELBO")
    assert explorer.view.charts[0].ylim == (0, 2.25)
    explorer.set("names", ("elbo",))
    assert explorer.view.charts[0].ylim == (0, 1.25)
    explorer.set("names", ("maskgit",))
    assert explorer.view.charts[0].ylim == (0, 3)


def test_no_count_leaves_the_top():
    explorer = MaskedExplorer(names=("amused",), shows="by count", length=64)
    _, w = curve(explorer, "amused")
    assert explorer.view.charts[0].ylim == (0, pytest.approx(w.max())) and w.max() > 3


# --- a loss of one's own --------------------------------------------------------------------------


def own_words(explorer):
    """What the table says of the loss that is made."""
    *_, (name, rate, factor, divisor, words) = explorer.view.panels[1].rows
    assert name == "yours"
    made = [explorer.state[part] for part in ("rate", "factor", "divisor")]
    assert [rate, factor, divisor] == made
    return words


@pytest.mark.parametrize(
    ("rate", "factor", "divisor", "same"),
    [
        ("ρ", "1/m", "length", "llada"),
        ("ρ", "1", "masked tokens", "elbo"),
        ("ρ", "1 − m", "masked tokens of the batch", "dplm-linear"),
        ("1 − ρ^0.5", "1", "length", "dplm-linear"),
        ("1 − ρ^0.5", "1", "masked tokens", "maskgit-square-root"),
        ("cosine (MaskGIT)", "1", "masked tokens", "maskgit"),
        ("cosine (MaskGIT)", "1", "masked tokens of the batch", "muse"),
    ],
)
def test_a_loss_that_is_made_is_the_published_one(explorer, rate, factor, divisor, same):
    for name, value in {"own": True, "rate": rate, "factor": factor, "divisor": divisor}.items():
        explorer.set(name, value)
    x, w = curve(explorer, "yours")
    _, w_of_same = curve(MaskedExplorer((same,)), same)
    assert w[x < 6.5] == pytest.approx(w_of_same[x < 6.5], rel=1e-6)
    words = own_words(explorer)
    assert words == MaskedExplorer((same,)).view.panels[1].rows[0][-1]


def test_weights_by_count_of_a_loss_that_is_made(explorer):
    """Under a uniform rate the mean of m^k (1 − m)^(L − k + 1) is a beta function."""
    explorer.set("own", True)
    explorer.set("factor", "1 − m")
    explorer.set("shows", "by count")
    explorer.set("length", 6)
    k, weights = curve(explorer, "yours")
    truth = k * (7 - k)
    assert weights == pytest.approx(truth / truth.mean(), rel=1e-9)
    _, of_length = curve(explorer, "yours")
    explorer.set("divisor", "masked tokens of the batch")
    assert curve(explorer, "yours")[1] == pytest.approx(of_length, rel=1e-12)


def test_a_loss_can_be_made_without_any_other(explorer):
    explorer.set("names", ())
    explorer.set("own", True)
    assert not explorer.error and set(explorer.view.charts[0].curves) == {"yours"}
    explorer.set("shows", "on exact data")
    x, spent = curve(explorer, "yours")
    truth = expit(x) * expit(-x) * WORLD.floor(x)
    assert spent == pytest.approx(truth / np.interp(0.0, x, truth), rel=1e-6)
