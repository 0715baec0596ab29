"""Exercises in which a reader writes a function: right ones pass, each usual mistake is named."""

import numpy as np
import pytest
from scipy.special import expit

import diffviz as dv
from diffviz.lab.exercises import EXERCISES, check, functions
from diffviz.lab.experiments import composer

RIGHT = "right!"


def scales(logsnr):
    """α and σ with α² + σ² = 1, by another route than the judge's."""
    snr = np.exp(logsnr)
    return np.sqrt(snr / (1 + snr)), np.sqrt(1 / (1 + snr))


def ddim(z, x_hat, logsnr, next_logsnr):
    """DDIM as Euler's step in y = z/α over s = σ/α."""
    (alpha, sigma), (next_alpha, next_sigma) = scales(logsnr), scales(next_logsnr)
    s, next_s = sigma / alpha, next_sigma / next_alpha
    y = z / alpha
    return next_alpha * (y + (next_s - s) * (y - x_hat) / s)


def ddim_with_squares(z, x_hat, logsnr, next_logsnr):
    """A usual mistake: DDIM with α² and σ² for α and σ."""
    alpha, sigma = expit(logsnr), expit(-logsnr)
    return expit(next_logsnr) * x_hat + expit(-next_logsnr) * (z - alpha * x_hat) / sigma


def ddim_by_sampler(z, x_hat, logsnr, next_logsnr):
    """DDIM as ``dv.sample`` takes it, with a denoiser that always says x_hat."""
    import torch

    class Fixed:
        def denoise(self, z, logsnr):
            return torch.as_tensor(x_hat)[:, None]

    start = torch.as_tensor(z)[:, None]
    walk = dv.sample(Fixed(), [logsnr, next_logsnr], solver="ddim", start=start)
    return walk.z[-1][:, 0].numpy()


def gain_by_logistic(w, logsnr, variance):
    """κ by the density of a logistic law, whose slope of the sigmoid it is."""
    from scipy import stats

    density = stats.logistic(loc=-np.log(variance)).pdf(logsnr)
    return np.sum((w * density)[1:] + (w * density)[:-1]) / 2 * (logsnr[1] - logsnr[0])


def crossed_by_distances(x1, e1, x2, e2):
    """Whether two pairs would be closer with partners swapped, from the four distances."""
    square = lambda one, other: ((one - other) ** 2).sum(-1)
    return square(x1, e2) + square(x2, e1) < square(x1, e1) + square(x2, e2)


def excess_by_noise(x_hat, exact, logsnr):
    """The excess by the two guesses of ε at one z."""
    alpha, sigma = scales(logsnr)
    z = np.full_like(exact, 0.7)
    off = (z - alpha * x_hat) / sigma - (z - alpha * exact) / sigma
    return np.linalg.norm(off, axis=1).dot(np.linalg.norm(off, axis=1)) / len(off)


def line_density(level):
    """Density of λ under uniform times on the linear path, by its law."""
    return dv.objective("fm-ot").law.pdf(level)


def removed_by_differences(power, visible, logsnr, step=1e-4):
    """−dD/dI by central differences of the visible distortion and of the nats."""

    def distortion(level):
        return np.sum(visible / (1 / power + np.exp(level)))

    def nats(level):
        return np.log1p(power * np.exp(level)).sum() / 2

    ends = logsnr - step, logsnr + step
    return -np.diff([distortion(end) for end in ends])[0] / np.diff([nats(end) for end in ends])[0]


def uncertain(power, logsnr):
    """The variance of a Gaussian coefficient given z."""
    return 1 / (1 / power + np.exp(logsnr))


RIGHT_ANSWERS = [
    ("weighting-of-indi", lambda level: 3 * line_density(level) / np.exp(level)),
    ("excess-of-x", excess_by_noise),
    ("weighting-of-a-recipe", lambda level: dv.objective("fm-ot").law.pdf(level)),
    ("weighting-of-a-recipe", lambda level: 5 * expit(level / 2) * expit(-level / 2)),
    ("importance-draw", lambda w, p, error: 0.5 * w * error / p),
    ("weighting-of-edm2-rule", lambda level: (1 + np.exp(-level)) / np.cosh(level / 4) ** 2),
    ("layer-cost", lambda low, high, error: (np.exp(high) / np.exp(low) - 1) * error / 2),
    ("crosses", crossed_by_distances),
    ("crosses", lambda *pairs: crossed_by_distances(*pairs).astype(int)),
    ("ddim-step", ddim),
    ("ddim-step", ddim_by_sampler),
    ("fpo-ratio", lambda old, new: np.exp(old.mean(-1)) / np.exp(new.mean(-1))),
    ("released-clip", lambda d, delta: np.exp(d * np.log1p(delta))),
    ("gain-integral", gain_by_logistic),
    ("removed-per-nat", removed_by_differences),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT_ANSWERS)
def test_a_right_function_by_another_route_passes(name, answer, capsys):
    check(name, answer)
    assert RIGHT in capsys.readouterr().out


WRONG_ANSWERS = [
    ("weighting-of-indi", lambda level: np.exp(-level), "density of λ is missing"),
    ("weighting-of-indi", lambda level: line_density(level) * np.exp(-level / 2), "to be squared"),
    ("weighting-of-indi", lambda level: line_density(level) * np.exp(level), "The sign"),
    ("weighting-of-indi", line_density, "the density alone"),
    ("weighting-of-indi", lambda level: np.exp(-level) / np.cosh(level / 2), "cosine path"),
    ("weighting-of-indi", lambda level: np.exp(-level) * line_density(2 * level), "half of λ"),
    ("excess-of-x", lambda x, y, level: excess_by_noise(x, y, -level), "other way round"),
    ("excess-of-x", lambda x, y, level: excess_by_noise(x, y, level / 2), "square is missing"),
    ("excess-of-x", lambda x, y, level: excess_by_noise(x, y, 0.0), "the error of x"),
    ("excess-of-x", lambda x, y, level: excess_by_noise(x, y, level) / 2, "Sum over the two"),
    ("excess-of-x", lambda x, y, level: excess_by_noise(x, y, level) * len(x), "E is a mean"),
    ("excess-of-x", lambda x, y, level: x[:, 0], "the shape (9,)"),
    ("weighting-of-a-recipe", lambda level: np.exp(-level / 2), "flow matching's"),
    (
        "weighting-of-a-recipe",
        lambda level: -expit(level / 2) * expit(-level / 2),
        "-1 times the right",
    ),
    ("weighting-of-a-recipe", lambda level: 1 / np.cosh(level / 2), "cosine schedule"),
    ("weighting-of-a-recipe", lambda level: expit(-level / 2), "its slope"),
    ("weighting-of-a-recipe", lambda level: expit(level) * expit(-level), "half of λ"),
    ("weighting-of-edm2-rule", lambda level: np.exp(-level / 2), "was asked"),
    ("weighting-of-edm2-rule", lambda level: expit(level) / np.cosh(level / 4) ** 2, "Divide"),
    ("weighting-of-edm2-rule", lambda level: 1 + np.exp(-level), "density is missing"),
    ("weighting-of-edm2-rule", lambda level: 1 / np.cosh(level / 4) ** 2, "density alone"),
    (
        "weighting-of-edm2-rule",
        lambda level: np.exp(-level / 2) + np.exp(-1.5 * level),
        "not the w",
    ),
    ("importance-draw", lambda w, p, error: w * error / p, "½ of the loss is missing"),
    ("importance-draw", lambda w, p, error: w * error * p, "Divide by p"),
    ("importance-draw", lambda w, p, error: w * error / 2, "has to appear"),
    ("importance-draw", lambda w, p, error: w / p * error**2 / 2, "squared already"),
    ("layer-cost", lambda low, high, error: (high - low) * error / 2, "thin layers"),
    ("layer-cost", lambda low, high, error: np.expm1(high - low) * error, "½ is missing"),
    ("layer-cost", lambda low, high, error: np.expm1(low - high) * error / 2, "The sign"),
    ("layer-cost", lambda low, high, error: np.exp(high - low) * error / 2, "Take 1 off"),
    ("crosses", lambda *pairs: ~crossed_by_distances(*pairs), "the sign"),
    ("crosses", lambda x, e, y, f: ((x - y) * (e - f)).sum(-1), "That is the product"),
    (
        "crosses",
        lambda x, e, y, f: crossed_by_distances(x, y, e, f),
        "difference of the two data points",
    ),
    ("crosses", lambda x, e, y, f: (x - y)[:, 0] * (e - f)[:, 0] < 0, "one coordinate"),
    ("crosses", lambda x, e, y, f: (x - y) * (e - f) < 0, "returns the shape"),
    ("crosses", lambda x, e, y, f: ((x - e) ** 2).sum(-1) > 1, "Multiply this"),
    ("ddim-step", lambda z, x, here, there: ddim(z, x, there, here), "other way round"),
    ("ddim-step", lambda z, x, here, there: ddim(z, x, 2 * here, 2 * there), "log(α/σ)"),
    ("ddim-step", lambda z, x, here, there: z, "where the step begins"),
    ("ddim-step", ddim_with_squares, "square root"),
    ("fpo-ratio", lambda old, new: np.exp((new - old).mean(-1)), "The sign"),
    ("fpo-ratio", lambda old, new: np.exp(old - new).mean(-1), "Average before"),
    ("fpo-ratio", lambda old, new: (old - new).mean(-1), "Take exp"),
    ("fpo-ratio", lambda old, new: np.exp((old - new).sum(-1)), "not their sum"),
    ("released-clip", lambda d, delta: (1 + delta) ** (1 / d), "other way round"),
    ("released-clip", lambda d, delta: 1 + delta, "released ratio is clipped"),
    ("released-clip", lambda d, delta: (1 - delta) ** d, "upper end"),
    ("released-clip", lambda d, delta: 1 + d * delta, "small δ"),
    ("gain-integral", lambda w, level, c: gain_by_logistic(w, level, 1 / c), "sign of log c"),
    ("gain-integral", lambda w, level, c: gain_by_logistic(w, level, np.exp(c)), "logarithm"),
    ("gain-integral", lambda w, level, c: gain_by_logistic(w, level, 1.0), "does not appear"),
    ("gain-integral", lambda w, level, c: gain_by_logistic(1 + 0 * w, level, c), "missing"),
    ("gain-integral", lambda w, level, c: gain_by_logistic(w, level, c) * 3, "is 3 times"),
    (
        "removed-per-nat",
        lambda s, q, level: np.average(q, weights=uncertain(s, level)),
        "That is the projection",
    ),
    (
        "removed-per-nat",
        lambda s, q, level: 2 * np.average(q, weights=uncertain(s, level)),
        "twice the projection",
    ),
    (
        "removed-per-nat",
        lambda s, q, level: 2 * np.average(q, weights=uncertain(s, level) ** 2),
        "Divide by the sum of v",
    ),
    (
        "removed-per-nat",
        lambda s, q, level: removed_by_differences(s, 1 + 0 * q, level),
        "sensitivity is missing",
    ),
    (
        "removed-per-nat",
        lambda s, q, level: removed_by_differences(s, q**2, level),
        "squared already",
    ),
    (
        "removed-per-nat",
        lambda s, q, level: removed_by_differences(s, q, -level),
        "sign of λ",
    ),
    ("removed-per-nat", lambda s, q, level: removed_by_differences(s, q, level) / 2, "is 0.5"),
]


@pytest.mark.parametrize(("name", "answer", "said"), WRONG_ANSWERS)
def test_a_usual_mistake_is_named(name, answer, said, capsys):
    check(name, answer)
    out = capsys.readouterr().out
    assert "not yet" in out
    assert said in out


WEIGHTINGS = ("weighting-of-a-recipe", "weighting-of-indi", "weighting-of-edm2-rule")
FUNCTIONS = sorted({name for name, _ in RIGHT_ANSWERS} - set(WEIGHTINGS))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda *arguments: ..., "in the place of the dots"),
        (lambda *arguments: None, "in the place of the dots"),
        (lambda *arguments: "text", "must return numbers"),
        (lambda *arguments: arguments[0][99999], "raised IndexError"),
        (lambda: 0, "raised TypeError"),
        (lambda *arguments: np.zeros((2, 3, 4)), "the shape (2, 3, 4)"),
        (lambda *arguments: np.nan * arguments[0], "must be finite"),
        (3, "the answer is a function here"),
    ],
)
def test_what_is_no_such_function_is_met_with_a_hint(name, answer, said, capsys):
    check(name, answer)
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: not yet. ")
    assert said in out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda logsnr: ..., "in the place of the dots"),
        (lambda logsnr: "text", "raised ValueError"),
        (lambda logsnr: 0 * logsnr, "must be finite"),
        (lambda logsnr: logsnr[99999], "raised IndexError"),
        (lambda: 0, "raised TypeError"),
        (lambda logsnr: np.ones((2, 3)), "the shape (2, 3)"),
        (3, "the answer is a function here"),
    ],
)
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_that_is_no_such_function_is_met_with_a_hint(name, answer, said, capsys):
    check(name, answer)
    assert said in capsys.readouterr().out


def test_an_answer_that_changes_its_inputs_is_judged_by_what_it_returns(capsys):
    def in_place(w, p, error):
        w *= error
        w /= 2 * p
        return w

    check("importance-draw", in_place)
    assert RIGHT in capsys.readouterr().out


def test_an_answer_right_on_one_input_only_is_not_right():
    cases = [(np.ones(3),), (2 * np.ones(3),)]
    said = functions.judged(lambda x: np.ones(3), lambda x: x, cases, {}, "hint")
    assert said == "hint"


def test_a_small_error_in_one_place_is_seen():
    truth = np.linspace(0, 1, 50)
    close = truth.copy()
    close[7] += 1e-4
    assert functions.agrees(truth + 1e-9, truth)
    assert not functions.agrees(close, truth)


def test_printing_an_exercise_shows_no_answer():
    """A judge is printed by its name alone, and carries no value as a default."""
    names = ("edm2-peak", *(name for name, _ in RIGHT_ANSWERS), "error-of-x", "four-to-one")
    for judge in map(EXERCISES.__getitem__, names):
        assert repr(judge).startswith(f"<function {judge.__name__} at ")
        assert judge.__defaults__ is None


MONOTONE_AT_2 = "objective-with-a-property"


@pytest.mark.slow
def test_an_objective_has_to_have_both_properties(capsys):
    check(MONOTONE_AT_2, dv.objective("edm"))
    assert "rises somewhere" in capsys.readouterr().out
    check(MONOTONE_AT_2, dv.objective("fm-ot"))
    assert "Move it to the right" in capsys.readouterr().out
    check(MONOTONE_AT_2, "fm-ot")
    assert "dv.Objective is needed" in capsys.readouterr().out
    recipe = {"target": "x", "multiplier": "sigmoid", "multiplier_sigmoid_bias": 4.0}
    check(MONOTONE_AT_2, composer.compose(composer.start() | recipe))  # as notebook 1 says
    assert RIGHT in capsys.readouterr().out
    check(MONOTONE_AT_2, dv.families.sigmoid(4.0))  # sigmoid(4 − λ) sigmoid(λ) is even about 2
    assert RIGHT in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (27 / 16, RIGHT),
        (0.5625, "That is gain²"),
        (3, "the factor on the error of x"),
        (3.375, "The change is 2 c"),
        (2.25, "the gain is squared"),
        (16 / 3, "not α/σ"),
        (1.08, "if α were 1"),
        (7, "First a, b and c"),
    ],
)
def test_the_probe_by_hand_names_the_slip(answer, said, capsys):
    check("probe-by-hand", answer)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("four-to-one", -1.386, RIGHT),
        ("four-to-one", 1.386, "The sign"),
        ("four-to-one", 0.25, "too high"),
        ("error-of-x", 0.00183, RIGHT),
        ("error-of-x", 0.1 * np.exp(-2), "not σ/α"),
        ("error-of-x", 5.46, "other way round"),
        ("error-of-x", 0.1, "at λ = 4"),
        ("most-weight-on-noise", "fm-ot", RIGHT),
        ("most-weight-on-noise", "elbo", "another one has more"),
        ("most-weight-on-noise", "v-cosine", "Choose one of"),
    ],
)
def test_the_first_notebook_judges_its_exercises(name, answer, said, capsys):
    check(name, answer)
    assert said in capsys.readouterr().out
