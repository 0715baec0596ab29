"""A search: goals by a second route, weightings by the catalogue, a file that goes on, and failures that are shown."""

import functools
import inspect
import math
import types

import numpy as np
import pytest
import torch
from scipy import fft, stats

import diffviz as dv
from diffviz.__main__ import main
from diffviz.learning import training
from diffviz.perception import spectra
from diffviz.search import command as search_command
from diffviz.search import experiment as search_experiment
from diffviz.search import families as search_families
from diffviz.search import goals as search_goals
from diffviz.search import report as search_report

GRID = np.linspace(-7.5, 9.5, 35)
FAST = {"points": 7, "seeds": 2, "steps": 10}


class Denoiser:
    """A denoiser from a function of (z, logsnr)."""

    def __init__(self, estimate):
        self.denoise = estimate


def made_up(candidates, seed, settings, tell):
    """Goals without any training, from the weighting alone; noise of a seed's own."""
    rng = np.random.default_rng(seed)
    w = [np.log(one.w(np.array([-4.0, 4.0]))) for one in candidates]
    return [float((a - b) ** 2 / 10 + 0.01 * rng.standard_normal()) for a, b in w]


@pytest.fixture
def untrained(monkeypatch):
    """Counts what would have been trained."""
    done = []
    monkeypatch.setattr(
        search_experiment,
        "_trained",
        lambda c, seed, *rest: done.append((len(c), seed)) or made_up(c, seed, *rest),
    )
    return done


# goals
def test_distortion_of_the_best_filter_is_what_the_spectrum_says():
    """A Wiener filter ring by ring has the Gaussian channel's distortion whatever the data: only second moments count."""
    spectrum = spectra.image_spectrum(search_goals.images("digits"))
    axis = np.arange(8) / 16
    ring = np.rint(16 * np.hypot.outer(axis, axis)).astype(int)
    power = np.r_[1.0, spectrum.power][ring]

    def wiener(z, logsnr):
        alpha, sigma = (one.sigmoid().sqrt().numpy()[:, None, None] for one in (logsnr, -logsnr))
        gain = alpha * power / (alpha**2 * power + sigma**2)
        return torch.from_numpy(
            fft.idctn(
                gain * fft.dctn(z.numpy(), axes=(1, 2), norm="ortho"), axes=(1, 2), norm="ortho"
            )
        )

    whole = torch.from_numpy(search_goals.images("digits"))
    found = search_goals.distortion(
        Denoiser(wiener), search_goals.Data(whole, whole), "digits", 0, levels=64
    )
    assert found == pytest.approx(0, abs=0.01)
    nothing = search_goals.distortion(
        Denoiser(lambda z, logsnr: 0 * z), search_goals.Data(whole, whole), "digits", 0
    )
    assert nothing > 0.3


def test_the_eye_is_blind_to_the_mean_and_weighs_a_wave_by_its_sensitivity_squared():
    assert search_goals.seen(np.ones((1, 14, 14)))[0] == pytest.approx(0, abs=1e-20)
    wave = np.zeros((1, 14, 14))
    wave[0, 0, 5] = (
        2.0  # a coefficient: 5/28 cycles per pixel, alone in direction but not in its ring
    )
    spectrum = spectra.image_spectrum(search_goals.images("fashion"))
    miss = fft.idctn(wave, axes=(1, 2), norm="ortho")
    assert search_goals.seen(miss)[0] == pytest.approx(
        4 * search_goals.EYE(30 * spectrum.frequency[4]) ** 2
    )


def test_energy_distance_is_that_of_scipy():
    x, y = np.random.default_rng(0).standard_normal((2, 300))
    found = search_goals.energy(torch.from_numpy(x)[:, None], torch.from_numpy(y + 0.5)[:, None])
    assert found == pytest.approx(stats.energy_distance(x, y + 0.5), rel=1e-9)


def test_an_exact_denoiser_samples_at_the_floor_and_has_the_entropy_as_its_bound():
    """Over six seeds, within five standard errors.

    One seed's bound is off by 0.06 nats, and the logarithm of its distance over the floor by 0.24.
    """
    toy, above_floor, above_entropy = dv.toy("ring8", unit=True), [], []
    for seed in range(6):
        data = search_goals.drawn("ring8", seed)
        entropy = -toy.log_prob(data.held.double()).mean().item()
        above_floor.append(search_goals.sample(toy, data, "ring8", seed))
        above_entropy.append(search_goals.likelihood(toy, data, "ring8", seed) - entropy)
    assert abs(np.mean(above_floor)) < 5 * 0.24 / 6**0.5
    assert abs(np.mean(above_entropy)) < 5 * 0.06 / 6**0.5


def test_a_goal_is_the_same_each_time_and_moves_with_the_seed():
    toy, data = dv.toy("ring8", unit=True), search_goals.drawn("ring8", 0)
    for goal in (search_goals.likelihood, search_goals.sample):
        assert (
            goal(toy, data, "ring8", 0)
            == goal(toy, data, "ring8", 0)
            != goal(toy, data, "ring8", 1)
        )


def test_images_are_split_afresh_by_a_seed_and_nothing_is_in_both_parts():
    (train, held), other = search_goals.drawn("digits", 0), search_goals.drawn("digits", 1)
    assert len(held) == 359 and len(train) + len(held) == 1797 and not torch.equal(held, other.held)
    assert held.min() >= -1 and held.max() == 1
    rows = {bytes(one) for one in train.numpy()}
    assert sum(bytes(one) in rows for one in held.numpy()) == 0


# weightings
@pytest.mark.parametrize(
    ("family", "x", "name"), [("logit-normal", (0, 1), "sd3"), ("sigmoid", (2,), "sigmoid-bias2")]
)
def test_members_of_a_family_are_the_catalogues(family, x, name):
    w = search_families.FAMILIES[family].build("ring8", *x)
    assert dv.compare(w(GRID), dv.objective(name).weighting(GRID), GRID).same


def test_the_mixture_goes_from_the_elbo_to_what_the_eye_implies():
    np.testing.assert_allclose(search_families.mixture("digits", 0.0, 1.0)(GRID), 1)
    np.testing.assert_allclose(
        search_families.mixture("digits", 1.0, 0.0)(GRID),
        search_families.published("digits", "rate-distortion")(GRID),
    )
    far = search_families.mixture("digits", 1.0, 1.0)(GRID)
    np.testing.assert_allclose(far, search_goals.eye("digits", 60.0).rate_distortion(GRID))


@pytest.mark.parametrize("law", search_experiment.LAWS)
def test_a_law_of_levels_changes_neither_the_weighting_nor_the_mean_loss(law):
    w = dv.objective("fm-ot").weighting
    one = search_experiment.candidate("ring8", "fm-ot", w, law)
    np.testing.assert_allclose(one.weighting(GRID), w(GRID), rtol=1e-9)
    level, factor = one.draw(200_000, np.random.default_rng(0))
    fine = np.linspace(search_goals.LOW, search_goals.HIGH, 4001)
    mean = (
        np.trapezoid(w(fine) * stats.logistic.cdf(fine), fine) / 2
    )  # of the exact denoiser on N(0, 1)
    assert (factor * stats.logistic.cdf(level)).mean() == pytest.approx(mean, rel=2e-3)


def test_under_the_same_law_all_candidates_see_the_same_levels_and_an_own_law_is_quieter():
    names = ("fm-ot", "edm")
    draw = lambda name, law: search_experiment.candidate(
        "ring8", name, dv.objective(name).weighting, law
    ).draw(4096, np.random.default_rng(0))
    (first, _), (second, _) = (draw(name, "same") for name in names)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(draw("fm-ot", "own")[0], draw("edm", "own")[0])
    for name in names:
        spread = [
            np.std(factor * stats.logistic.cdf(level))
            for level, factor in (draw(name, law) for law in search_experiment.LAWS)
        ]
        assert spread[1] < spread[0] / 2


# the file
def test_a_second_run_trains_nothing_and_finds_the_same(untrained, tmp_path):
    first = search_experiment.search(**FAST, out=tmp_path / "s.csv")
    trained = len(untrained)
    second = search_experiment.search(**FAST, out=tmp_path / "s.csv")
    assert trained == len(untrained) == 4
    assert str(first) == str(second)
    np.testing.assert_array_equal(first.surface.values, second.surface.values)
    rows = (tmp_path / "s.csv").read_text().splitlines()
    assert len(rows) == 2 + 2 * (7 + 1 + len(search_experiment.CATALOGUE))


def test_more_points_and_seeds_train_only_what_is_missing(untrained, tmp_path):
    small = search_experiment.search(**FAST, out=tmp_path / "s.csv")
    untrained.clear()
    large = search_experiment.search(points=9, seeds=3, steps=10, out=tmp_path / "s.csv")
    assert untrained[:3] == [(2, 0), (2, 1), (9, 2)]
    np.testing.assert_array_equal(large.surface.points[:7], small.surface.points)
    np.testing.assert_array_equal(large.surface.values[:7, :2], small.surface.values)


def test_a_row_cut_short_is_told_and_measured_again(untrained, tmp_path):
    file = tmp_path / "s.csv"
    whole = search_experiment.search(**FAST, out=file)
    text = file.read_text()
    file.write_text(text[:-9])
    untrained.clear()
    with pytest.warns(UserWarning, match="the last row was cut short"):
        again = search_experiment.search(**FAST, out=file)
    assert untrained == [(1, search_experiment.FRESH + 1)] and len(
        file.read_text().splitlines()
    ) == len(text.splitlines())
    assert again.second.keys() == whole.second.keys() and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("left", [0, 20, 140])
def test_a_file_cut_short_before_its_first_row_is_begun_again(untrained, tmp_path, left):
    file = tmp_path / "s.csv"
    search_experiment.search(**FAST, out=file)
    file.write_text((whole := file.read_text())[:left])
    search_experiment.search(**FAST, out=file)
    assert file.read_text() == whole


def test_a_file_that_is_no_text_is_refused_by_name(untrained, tmp_path):
    (file := tmp_path / "s.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"s\.csv is of another search, or of none"):
        search_experiment.search(**FAST, out=file)
    assert file.read_bytes() == b"\xff\xfe\x00"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda text: text.replace('"steps": 10', '"steps": 20'),
            'of another search, or of none(.|\n)*"steps": 20',
        ),
        (lambda text: "anything\n", "of another search, or of none"),
        (lambda text: "anything", "of another search, or of none"),
        (lambda text: text.replace("elbo,1000,", "elbo,1000,x"), "line .*: 'elbo,1000,x"),
        (lambda text: text.replace("elbo,1000,", "elbo 1000 "), "is no candidate, seed and value"),
        (lambda text: text + text.splitlines()[-1] + "\n", "is there twice"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_search_is_refused_and_kept(
    untrained, tmp_path, change, says
):
    file = tmp_path / "s.csv"
    search_experiment.search(**FAST, out=file)
    file.write_text(other := change(file.read_text()))
    with pytest.raises(ValueError, match=says):
        search_experiment.search(**FAST, out=file)
    assert file.read_text() == other


def test_ctrl_c_loses_the_batch_under_way_and_no_more(monkeypatch, tmp_path, capsys):
    def stop(candidates, seed, *rest):
        if seed == 1:
            raise KeyboardInterrupt
        return made_up(candidates, seed, *rest)

    monkeypatch.setattr(search_experiment, "_trained", stop)
    file = tmp_path / "s.csv"
    argv = ["--points", "7", "--seeds", "2", "--steps", "10", "--out", str(file)]
    with pytest.raises(SystemExit, match="the same command goes on"):
        search_command.main(argv)
    assert len(file.read_text().splitlines()) == 2 + 7
    done = []
    monkeypatch.setattr(
        search_experiment,
        "_trained",
        lambda c, seed, *rest: done.append(seed) or made_up(c, seed, *rest),
    )
    search_command.main(argv)
    assert "optimum" in capsys.readouterr().out and done == [
        1,
        search_experiment.FRESH,
        search_experiment.FRESH + 1,
    ]


def test_the_stop_button_inside_a_training_stops_the_search(monkeypatch, tmp_path):
    advance = training.Trainer.advance

    def pressed(self):
        if self.step == 5:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(training.Trainer, "advance", pressed)
    with pytest.raises(KeyboardInterrupt):
        search_experiment.search(**FAST, out=tmp_path / "s.csv")
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


# failures
def beyond_float32(_, bias):
    """A weighting of value exp(bias), or of 1e300 where bias is below -3: no such training survives."""
    value = 1e300 if bias < -3 else math.exp(bias)

    def weighting(logsnr):
        return np.full(np.shape(logsnr), value)

    return weighting


def squared_log_weighting(run, *_):
    """A goal that no training moves. Over the biases above it is a parabola, least at bias 0."""
    return float(np.log(run.objective.weighting(np.zeros(1)))[0] ** 2)


def test_a_training_that_diverges_is_a_nan_that_is_told_kept_and_shown(monkeypatch, tmp_path):
    family = search_families.Family(beyond_float32, (("bias", -4.0, 10.0),))
    monkeypatch.setattr(search_families, "FAMILIES", {"wild": family})
    monkeypatch.setattr(
        search_goals, "GOALS", {"likelihood": search_goals.Goal(squared_log_weighting, "")}
    )
    news, file = [], tmp_path / "s.csv"
    options = {"family": "wild", "points": 6, "seeds": 2, "steps": 4, "out": file}
    found = search_experiment.search(**options, tell=news.append)
    bad = found.surface.points[:, 0] < -3
    np.testing.assert_array_equal(np.isnan(found.surface.values).all(1), bad)
    assert bad.sum() == 1 and np.isfinite(found.surface.values[~bad]).all()
    assert found.optimum == pytest.approx([0.0], abs=1e-3)  # so it is trained, and does not diverge
    assert "2 of 2 trainings failed" in str(found)
    assert sum("not finite at step 0" in line for line in news) == 2
    assert file.read_text().count(",nan\n") == 2
    monkeypatch.setattr(search_experiment, "_trained", None)
    assert str(search_experiment.search(**options)) == str(found)


def test_a_denoiser_that_returns_nan_fails_alone(monkeypatch):
    def measure(run, *rest):
        if run.name == "b":
            raise ValueError("the denoiser returned NaN or inf at logsnr 3")
        return 1.0

    monkeypatch.setitem(search_goals.GOALS, "likelihood", search_goals.Goal(measure, ""))
    one, news = dv.objective("fm-ot").weighting, []
    settings = {
        "data": "ring8",
        "goal": "likelihood",
        "law": "same",
        "steps": 2,
        "batch": 8,
        "learning_rate": 0.01,
    }
    values = search_experiment._trained(
        [search_experiment.Candidate("a", one), search_experiment.Candidate("b", one)],
        0,
        settings,
        news.append,
    )
    assert (
        values[0] == 1
        and math.isnan(values[1])
        and "seed 0, b: the denoiser returned NaN" in news[0]
    )


def compared(second):
    surface = types.SimpleNamespace(values=np.zeros((7, 4)))
    return search_report.Search({}, surface, second)


def test_verdicts_are_those_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    seeds = 3 * rng.standard_normal(8)
    second = {"optimum": seeds + 0.1 * rng.standard_normal(8)}
    second |= {
        f"{off:.2f}": seeds + off + 0.1 * rng.standard_normal(8)
        for off in np.linspace(-0.3, 0.3, 13)
    }
    found = compared(second)
    for name, values in second.items():
        if name != "optimum":
            test = stats.ttest_rel(values, second["optimum"])
            kind = (
                "not distinguishable from the optimum"
                if test.pvalue > 0.05
                else "worse"
                if test.statistic > 0
                else "better"
            )
            assert name in found.verdicts[kind]
            low, high = test.confidence_interval()
            assert found.beside[name] == pytest.approx(((low + high) / 2, (high - low) / 2))
    assert all(
        found.verdicts[kind] for kind in ("worse", "better", "not distinguishable from the optimum")
    )


def test_a_failure_or_one_seed_has_no_verdict():
    assert compared({"optimum": np.zeros(3), "a": np.array([1, np.nan, 1])}).verdicts[
        "no verdict"
    ] == ["a"]
    assert compared({"optimum": np.zeros(3) * np.nan, "a": np.ones(3)}).verdicts["no verdict"] == [
        "a"
    ]
    assert compared({"optimum": np.zeros(1), "a": np.ones(1)}).verdicts["no verdict"] == ["a"]


def test_one_seed_says_that_there_is_no_estimate_of_the_noise(untrained):
    text = str(search_experiment.search(points=7, seeds=1, steps=10))
    assert (
        "one seed: no estimate of the noise" in text
        and "no verdict: fm-ot" in text
        and "nan" not in text
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"data": "rings8"}, "unknown data 'rings8'; there is .*ring8, .*fashion"),
        (
            {"goal": "likelyhood"},
            "unknown goal 'likelyhood'; there is likelihood, sample, distortion",
        ),
        ({"family": "sigmod"}, "there is logit-normal, sigmoid, csf-mixture"),
        ({"law": "any"}, "unknown law 'any'; there is same, own"),
        ({"points": 0}, "logit-normal needs 7 points"),
        ({"points": 6}, "logit-normal needs 7 points"),
        ({"seeds": 0}, "whole and above 0"),
        ({"seeds": 1001}, "seeds at most 1000"),
        ({"steps": -1}, "whole and above 0"),
        ({"seeds": 1.5}, "whole and above 0"),
        ({"goal": "distortion"}, "needs data digits or fashion, not 'ring8'"),
        ({"family": "csf-mixture"}, "needs data digits or fashion, not 'ring8'"),
    ],
)
def test_wrong_input_is_refused_before_any_training(untrained, tmp_path, wrong, says):
    with pytest.raises(ValueError, match=says):
        search_experiment.search(**wrong, out=tmp_path / "s.csv")
    assert not untrained and not (tmp_path / "s.csv").exists()


def test_each_setting_is_an_option_with_the_same_default(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        search_command,
        "search",
        functools.wraps(search_experiment.search)(lambda **options: asked.append(options)),
    )
    search_command.main(["--batch", "128", "--learning-rate", "0.02", "--points", "9"])
    search_command.main([])
    capsys.readouterr()
    plain = {
        name: about.default
        for name, about in inspect.signature(search_experiment.search).parameters.items()
    }
    for one, change in zip(
        asked, ({"batch": 128, "learning_rate": 0.02, "points": 9}, {}), strict=True
    ):
        assert (
            one.pop("tell")
            and one
            == {k: v for k, v in plain.items() if k != "tell"} | {"out": "search.csv"} | change
        )


# all of it, trained
def test_the_command_line_searches_and_goes_on(tmp_path, capsys):
    argv = [
        "search",
        "--family",
        "sigmoid",
        "--points",
        "4",
        "--seeds",
        "2",
        "--steps",
        "8",
        "--out",
        str(tmp_path / "s.csv"),
    ]
    assert main(argv) == 0
    first = capsys.readouterr()
    assert "likelihood on ring8" in first.out and first.err.count("trained") == 4
    assert main(argv) == 0
    second = capsys.readouterr()
    assert second.out == first.out and not second.err
    assert main([*argv, "--goal", "beauty"]) == 2
    assert "unknown goal 'beauty'" in capsys.readouterr().err
    assert main([*argv, "--steps", "9"]) == 2
    assert "another search" in capsys.readouterr().err


def test_training_in_one_batch_or_two_is_the_same():
    both = [
        search_experiment.Candidate(name, dv.objective(name).weighting) for name in ("fm-ot", "edm")
    ]
    settings = {
        "data": "digits",
        "goal": "distortion",
        "law": "own",
        "steps": 20,
        "batch": 32,
        "learning_rate": 0.01,
    }
    together = search_experiment._trained(both, 0, settings, print)
    alone = [search_experiment._trained([one], 0, settings, print)[0] for one in both]
    np.testing.assert_allclose(together, alone, rtol=1e-3)
