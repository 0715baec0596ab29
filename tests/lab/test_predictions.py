"""A prediction keeps the guess and comments on it; what is true is computed."""

import math

import numpy as np
import pytest
from scipy import fft
from scipy.special import ndtr, ndtri

import diffviz as dv
from diffviz.lab import exercises
from diffviz.lab.exercises import predictions
from diffviz.lab.exercises.predictions import Choice, Number, prediction
from diffviz.lab.experiments import perception

pytest.importorskip("ipywidgets")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No guesses from other tests."""
    monkeypatch.setattr(predictions, "_GUESSES", {})


def asked(name):
    """A prediction by name, with all registered."""
    exercises.predict(name)
    return exercises.PREDICTIONS[name]


def test_a_number_is_close_or_so_many_times_off():
    question = Number("how many?", lambda: 8.0, "a lesson.", "nats")
    assert question.comment(8.5) == "You said 8.5, it is 8 nats: close. a lesson."
    assert "2 times too high" in question.comment(16)
    assert "4 times too low" in question.comment(2)


IMPOSSIBLE = (0, -2.45, -1e300, math.nan, math.inf, -math.inf, 10**400, 1j, True, "many", "", None)
IMPOSSIBLE += ([1, 2], [], {}, object(), np.array([np.nan]), np.ma.masked)


@pytest.mark.parametrize("guess", IMPOSSIBLE)
def test_what_is_no_positive_number_is_answered_by_a_sentence(guess):
    question = Number("how many?", lambda: 8.0, "a lesson.")
    said = question.comment(guess)
    assert said.startswith(predictions.AGAIN) and said.endswith(".")
    assert "it is 8" not in said and "lesson" not in said


def test_a_share_is_no_more_than_the_whole():
    question = Number("which share?", lambda: 26.0, "a lesson.", "%")
    assert "at most 100 %" in question.comment(250)
    assert "times too high" in question.comment(100)
    assert "times too high" in Number("how many?", lambda: 8.0, "a lesson.").comment(250)


def test_no_prediction_answers_an_impossible_guess_by_a_traceback(capsys):
    """And it keeps no such guess, nor says the truth, nor even computes it."""
    asked("beyond-ten")
    for name, question in exercises.PREDICTIONS.items():
        for guess in IMPOSSIBLE:
            said = question.comment(guess)
            assert said.startswith(predictions.AGAIN), (name, guess)
            assert said == question.objection(guess), (name, guess)
            if guess is not None:
                exercises.predict(name, guess)
                assert capsys.readouterr().out == said + "\n", (name, guess)
    assert not exercises.guesses()


@pytest.mark.slow
def test_every_prediction_answers_a_guess_that_is_far_too_low_or_high():
    asked("beyond-ten")
    for name, question in exercises.PREDICTIONS.items():
        if isinstance(question, Number):
            assert "too low" in question.comment(1e-9), name
            high = "at most 100 %" if question.unit == "%" else "too high"
            assert high in question.comment(1e9), name


def test_a_choice_is_commented_on_and_the_right_one_named():
    question = Choice("which?", {"a": "A is so.", "b": "B is so."}, lambda: "b")
    assert question.comment("b") == "Yes. B is so."
    assert question.comment("a") == "No: A is so. It is “b”. B is so."
    said = question.comment("c")
    assert said == "Guess again: unknown choice 'c' (one of a, b)."


def test_the_first_guess_is_kept(capsys):
    exercises.predict("beyond-ten", 20)
    exercises.predict("beyond-ten", 0.86)
    assert exercises.guesses()["beyond-ten"][0] == 20
    first, second = capsys.readouterr().out.splitlines()
    assert "times too high" in first
    assert "close" in second


def test_the_button_comments_and_keeps():
    question = exercises.predict("straighter")
    box = question.widget()
    field, button = box.children[1].children
    comment = box.children[2]
    button.click()
    assert comment.value.startswith(predictions.AGAIN)
    assert not exercises.guesses()
    field.value = "variance-preserving cosine"
    button.click()
    assert comment.value.startswith("Yes.")
    again = exercises.predict("straighter").widget()
    assert again.children[1].children[0].value == "variance-preserving cosine"
    assert again.children[2].value == comment.value


def test_a_number_of_zero_asks_for_a_guess():
    box = exercises.predict("coarse-stack").widget()
    box.children[1].children[1].click()
    assert "the answer is above 0" in box.children[2].value


def test_a_saved_notebook_shows_the_question_and_no_answer():
    bundle = exercises.predict("straighter")._repr_mimebundle_()
    assert "on which path is the exact flow straighter?" in bundle["text/html"]
    assert "variance-preserving cosine" in bundle["text/html"]
    assert "exercises.predict(&quot;" in bundle["text/html"]
    for text in (bundle["text/html"], bundle["text/plain"]):
        assert "nothing moves" not in text
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_printing_a_question_shows_no_answer():
    question = exercises.predict("beyond-ten")
    assert repr(question) == "Question('beyond-ten')"
    assert "0.85" not in repr(exercises.PREDICTIONS["beyond-ten"])


def test_an_unknown_prediction_names_near_ones():
    with pytest.raises(ValueError, match="'beyond-ten'"):
        exercises.predict("beyond-tin")


def test_a_name_is_taken_once():
    asked("beyond-ten")
    with pytest.raises(ValueError, match="'beyond-ten' already"):
        prediction("beyond-ten", Number("another?", lambda: 1.0, ""))


@pytest.mark.slow
def test_every_truth_is_one_of_its_choices_or_a_positive_number():
    asked("beyond-ten")
    for name, question in exercises.PREDICTIONS.items():
        truth = question.truth()
        if isinstance(question, Choice):
            assert truth in question.comments, name
        else:
            assert truth > 0, name


@pytest.mark.slow
def test_the_truths_are_those_of_other_routes():
    signal = last_signal()
    kept = 1 - math.sqrt(signal * 204.8 / (1 + signal * 203.8))
    stack = 0.5 * np.expm1(2.0) * sum(1 / (1 + np.exp(-low)) for low in np.arange(-10.0, 10, 2))
    outside = 1 - 4 / np.pi * (np.arctan(np.exp(5)) - np.pi / 4)  # of t = 2/π arctan e^(−λ/2)
    uniform = 30 * 3 / 4 * np.tanh(7.5)  # E Y², whose integrand is 3/16 sech²(λ/2) over p = 1/30
    wanted = {
        "beyond-ten": 100 * outside,
        "price-of-uniform": (uniform - np.pi**2 / 4) / (np.pi**2 / 2),
        "coarse-stack": stack,
        "kept-darkness": 100 * kept,
        "nats-an-octave": octave_of_photographs(),
        "fine-changes": 0.01**-0.5,
        "clip-of-six": 1.05 ** (6 / (1 - np.pi / 4)),
    }
    for name, value in wanted.items():
        assert asked(name).truth() == pytest.approx(value, rel=2e-3), name
    fall = wanted["nats-an-octave"] / np.log(2)
    assert f"falls like f^−{fall:.2f} there" in asked("nats-an-octave").question


@pytest.mark.slow
def test_less_than_a_fiftieth_of_edms_mixture_is_negative_on_the_ring():
    assert 0 < edms_negative_percent_on_the_ring() < 2
    assert asked("negative-share").truth() == "less than a fiftieth"
    w = dv.objective("edm").weighting(np.linspace(-14, 14, 1401))
    steps = np.diff(w)
    assert 0.95 < steps[steps > 0].sum() / -steps[steps < 0].sum() < 1  # as the question says


def edms_negative_percent_on_the_ring():
    """By sums over the steps of w, with L from the entropies of z and of its noise."""
    ring, grid = dv.toy("ring8"), np.linspace(-14, 14, 141)
    bound = [ring.entropy(level) - np.log(2 * np.pi * np.e / (1 + np.exp(level))) for level in grid]
    middle = (np.array(bound)[1:] + bound[:-1]) / 2
    counted = -np.diff(dv.objective("edm").weighting(grid)) * middle
    return -100 * counted[counted < 0].sum() / counted[counted > 0].sum()


def octave_of_photographs():
    """Nats an octave by the mean powers of two rings of the photographs' cosine transforms."""
    index = np.hypot.outer(np.arange(256), np.arange(256))
    images = np.stack(list(perception.photos().values()))
    power = (fft.dctn(images, axes=(1, 2), norm="ortho") ** 2).mean(0)
    coarse, fine = (power[np.rint(index) == 2 * cycles].mean() for cycles in (4, 64))
    return float(np.log(coarse / fine)) / 4


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("where-is-the-weighting", "the variable times the density of λ times σ²"),
        ("eyes-see-best", "in the middle"),
        ("rises-towards-noise", "rate–distortion"),
        ("ears-want-noise", "less than an eye"),
        ("flat-or-monotone", "FPO's default"),
        ("adaptive-factor", "at the data end"),
        ("most-bent", "c = 1, as wide as the source"),
        ("probe-of-huber", "the curve of small errors, and a warning"),
    ],
)
def test_a_choice_is_what_its_notebook_goes_on_to_show(name, truth):
    assert asked(name).truth() == truth


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("quietest-rule", "the plain cosine schedule"),
        ("what-pairing-breaks", "the second"),
        ("other-variable", "more than a thousand"),
        ("own-grid", "one"),
        ("best-in-one-step", "shortcut"),
        ("mends-meanflow", "uniform times, without the factor"),
        ("who-strays-least", "in the middle, λ = 4"),
        ("first-to-lose-a-goal", "AWR"),
        ("whom-width-helps", "flow matching"),
        ("under-one-clip", "the root"),
        ("width-of-the-floor", "about a third"),
        ("levels-of-its-own", "most of it goes"),
    ],
)
def test_a_choice_that_is_measured_is_what_its_notebook_goes_on_to_show(name, truth):
    assert asked(name).truth() == truth


def last_signal():
    """α² at Stable Diffusion's last level, from its own betas."""
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return float(np.prod(1 - beta))


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("llada-and-md4", "in a constant at most"),
        ("dear-mistake", "the one that believes what it sees"),
        ("diagonal-law", "no, it is noisier"),
        ("states-to-the-left", "those below −0.5"),
    ],
)
def test_the_predictions_of_two_notebooks_are_true(name, truth):
    """The law of the smaller of two draws, and the costs of two predictions, are tested there."""
    question = asked(name)
    assert question.truth() == truth
    assert question.comment(truth).startswith("Yes.")


def test_the_states_that_go_left_are_as_many_as_the_points_there():
    """The flow of a line keeps the order, so its border is a quantile of the noise."""
    share = dv.toy("gmm1").law.weights[0].item()
    assert share == pytest.approx(0.3)
    assert asked("states-to-the-left").truth() == f"those below {ndtri(share):.1f}".replace(
        "-", "−"
    )
    assert ndtr(-1.5) == pytest.approx(0.07, abs=0.005)


def test_a_long_jump_is_as_rare_as_two_logit_normal_times_are_far_apart():
    question = asked("long-jump")
    edge = math.log(9)
    once = 1 / (0.25 * 2 * ndtr(-(edge + 0.4)) * ndtr(-edge + 0.4))
    assert question.truth() == pytest.approx(once, rel=1e-9)
    assert "close" in question.comment(12_000)


@pytest.mark.slow
def test_one_draw_gains_what_the_fold_of_its_notebook_says():
    question = asked("gain-of-one-draw")
    assert question.truth() == pytest.approx(24, rel=0.15)
    assert "close" in question.comment(24)


@pytest.mark.slow
def test_the_trainings_of_masked_objectives_answer_the_prediction():
    assert asked("one-weighting-trained").truth() == "any-order, three times"
