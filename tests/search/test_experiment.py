"""The two rounds of a search: what they refuse, how they stop, and failures that are shown."""

import math

import numpy as np
import pytest

from diffviz.learning import training
from diffviz.search import experiment, families, goals
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface


def press_at_step_5(step):
    """A callback that presses the stop button."""
    if step.step == 5:
        raise KeyboardInterrupt


def test_the_stop_button_inside_a_training_stops_the_search(monkeypatch, fast, tmp_path):
    fit = training.fit

    def stopped_fit(*arguments, **settings):
        return fit(*arguments, callback=press_at_step_5, **settings)

    monkeypatch.setattr(training, "fit", stopped_fit)
    with pytest.raises(KeyboardInterrupt):
        experiment.search(**fast, out=tmp_path / "s.csv")
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


def beyond_float32(_, bias):
    """A weighting of value exp(bias), or of 1e300, which no training survives, for bias < -3."""
    value = 1e300 if bias < -3 else math.exp(bias)

    def weighting(logsnr):
        return np.full(np.shape(logsnr), value)

    return weighting


def squared_log_weighting(run, *_):
    """A goal that no training moves. Over the biases above it is a parabola, least at bias 0."""
    return float(np.log(run.objective.weighting(np.zeros(1)))[0] ** 2)


def test_a_training_that_diverges_is_a_nan_that_is_told_kept_and_shown(monkeypatch, tmp_path):
    family = families.Family(beyond_float32, (("bias", -4.0, 10.0),))
    monkeypatch.setattr(families, "FAMILIES", {"wild": family})
    monkeypatch.setattr(goals, "GOALS", {"likelihood": goals.Goal(squared_log_weighting, "")})
    news, file = [], tmp_path / "s.csv"
    options = {"family": "wild", "points": 6, "seeds": 2, "steps": 4, "out": file}
    found = experiment.search(**options, tell=news.append)
    bad = found.surface.points[:, 0] < -3
    np.testing.assert_array_equal(np.isnan(found.surface.values).all(1), bad)
    assert bad.sum() == 1
    assert np.isfinite(found.surface.values[~bad]).all()
    assert found.optimum == pytest.approx([0.0], abs=1e-3)  # so it is trained, and does not diverge
    assert "2 of 2 trainings failed" in str(found)
    assert sum("not finite at step 0" in line for line in news) == 2
    assert file.read_text().count(",nan\n") == 2
    monkeypatch.setattr(experiment, "train_and_measure", pytest.fail)  # nothing is trained
    assert str(experiment.search(**options)) == str(found)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"data": "rings8"}, ValueError, "unknown data 'rings8'.*'ring8'.*fashion"),
        (
            {"goal": "likelyhood"},
            ValueError,
            "unknown goal 'likelyhood'; did you mean 'likelihood'.*sample, distortion",
        ),
        ({"family": "sigmod"}, ValueError, "unknown family 'sigmod'; did you mean 'sigmoid'"),
        ({"law": "any"}, ValueError, "unknown law 'any'.*one of same, own"),
        ({"surface": "smoth"}, ValueError, "unknown surface 'smoth'; did you mean 'smooth'"),
        ({"surface": "smooth", "seeds": 1}, ValueError, "smooth surface needs two seeds or more"),
        ({"points": 0}, ValueError, "points must be at least 1"),
        ({"points": 6}, ValueError, "'logit-normal' needs 7 points or more, got 6"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1, got 0"),
        ({"seeds": 1001}, ValueError, "seeds must be at most 1000, got 1001"),
        ({"steps": -1}, ValueError, "steps must be at least 1, got -1"),
        ({"seeds": 1.5}, TypeError, "seeds must be a whole number, got 1.5"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate must be a finite number > 0"),
        ({"goal": "distortion"}, ValueError, "needs data digits or fashion, not 'ring8'"),
        ({"family": "csf-mixture"}, ValueError, "needs data digits or fashion, not 'ring8'"),
    ],
)
def test_wrong_input_is_refused_before_any_training(untrained, tmp_path, wrong, kind, message):
    with pytest.raises(kind, match=message):
        experiment.search(**wrong, out=tmp_path / "s.csv")
    assert not untrained.batches
    assert not (tmp_path / "s.csv").exists()


def test_the_surface_is_the_one_that_is_asked_for_through_the_same_trainings(
    untrained, fast, tmp_path
):
    plain = experiment.search(**fast, out=tmp_path / "s.csv")
    smooth = experiment.search(**fast, out=tmp_path / "s.csv", surface="smooth")
    assert isinstance(plain.surface, Surface)
    assert isinstance(smooth.surface, SmoothSurface)
    np.testing.assert_array_equal(smooth.surface.values, plain.surface.values)
    size, lengths = smooth.surface.scales
    ((name, low, high), *_) = smooth.surface.box
    said = f"smooth surface: size {size:.4f}, lengths {lengths[0] * (high - low) / 2:.2f} in {name}"
    assert said in str(smooth)
    assert "of the coefficients" in str(plain)
    assert "of the coefficients" not in str(smooth)


def test_numpy_integers_are_counts(untrained, fast):
    counts = {name: np.int64(n) for name, n in fast.items()}
    assert str(experiment.search(**counts)) == str(experiment.search(**fast))
