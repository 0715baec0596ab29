"""Training of candidates side by side, and failures that do not spread."""

import math
import pickle

import numpy as np
import pytest

import diffviz as dv
from diffviz.search import goals
from diffviz.search.candidates import Candidate, member, published
from diffviz.search.measurement import Outcome, train_and_measure
from diffviz.search.settings import Settings


def fails_for_b(run, data, seed):
    """A goal whose measurement fails for one candidate."""
    if run.name == "b":
        raise ValueError("the denoiser returned NaN or inf at logsnr 3")
    return 1.0


def enormous(logsnr):
    """A weighting under which no training survives in float32."""
    return np.full(np.shape(logsnr), 1e300)


def test_a_denoiser_that_returns_nan_fails_alone(monkeypatch):
    monkeypatch.setitem(goals.GOALS, "likelihood", goals.Goal(fails_for_b, ""))
    w = dv.objective("fm-ot").weighting
    settings = Settings(steps=2, batch=8)
    good, bad = train_and_measure([Candidate("a", w), Candidate("b", w)], 0, settings)
    assert good == Outcome(1.0)
    assert math.isnan(bad.value)
    assert bad.failure == "seed 0, b: the denoiser returned NaN or inf at logsnr 3"


def test_a_training_that_diverges_fails_alone(monkeypatch):
    monkeypatch.setitem(goals.GOALS, "likelihood", goals.Goal(fails_for_b, ""))
    w = dv.objective("fm-ot").weighting
    candidates = [Candidate("a", w), Candidate("wild", enormous), Candidate("c", w)]
    outcomes = train_and_measure(candidates, 5, Settings(steps=2, batch=8))
    assert [math.isnan(outcome.value) for outcome in outcomes] == [False, True, False]
    assert outcomes[1].failure.startswith("seed 5, ")
    assert "not finite at step 0" in outcomes[1].failure


def test_training_in_one_batch_or_two_is_the_same():
    settings = Settings("digits", "distortion", steps=20, batch=32, law="own")
    both = [Candidate(name, dv.objective(name).weighting) for name in ("fm-ot", "edm")]
    together = [outcome.value for outcome in train_and_measure(both, 0, settings)]
    alone = [train_and_measure([candidate], 0, settings)[0].value for candidate in both]
    np.testing.assert_allclose(together, alone, rtol=1e-3)


def test_a_batch_travels_to_another_process_and_back():
    settings = Settings(family="sigmoid", steps=3, batch=8)
    candidates = [member(settings, [2.0]), *published(settings)[:1]]
    task = train_and_measure, candidates, 4, settings
    function, *arguments = pickle.loads(pickle.dumps(task))
    outcomes = function(*arguments)
    assert pickle.loads(pickle.dumps(outcomes)) == train_and_measure(candidates, 4, settings)


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="there are no candidates to train"):
        train_and_measure([], 0, Settings())


def test_settings_are_the_same_after_a_journey():
    settings = Settings(batch=np.int64(8), learning_rate=1)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings.record()["batch"] == 8
    assert settings.record()["learning_rate"] == 1.0


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"data": ["ring8"]}, ValueError, "unknown data"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be a finite number > 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate must be a finite number"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"batch": True}, TypeError, "batch must be a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, kind, message):
    with pytest.raises(kind, match=message):
        Settings(**wrong)
