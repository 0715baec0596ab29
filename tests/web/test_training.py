"""Training on a page beside training in Python: tables, optimiser, loss and gradient."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from chromium import VIEWS, served
from web_panels import numbers

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from pages import training as page  # noqa: E402

from diffviz.lab.experiments import side_by_side  # noqa: E402
from diffviz.lab.experiments.training import GRID, sliced_w2  # noqa: E402
from diffviz.lab.explorers.controls import EXAMPLE  # noqa: E402
from diffviz.learning import models, optimiser  # noqa: E402
from diffviz.learning.outputs import output_coefficients  # noqa: E402
from diffviz.learning.settings import Settings  # noqa: E402
from diffviz.learning.tracking import LossByLogSNR  # noqa: E402
from diffviz.recipes.entries import CATALOGUE  # noqa: E402
from diffviz.theory.frames import VP  # noqa: E402

RATE, STEPS = 0.03, 50
KERNEL = 0.2
QUANTILES = (np.arange(512) + 0.5) / 512
CLOSE = 1e-4  # of loss and gradient, over the largest value
WIDTH = 24


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def asked(rng):
    """Arguments for all that is computed beside the network."""
    flow = page.draws(side_by_side.known_objective("fm-ot"))
    return {
        "z": rng.normal(size=(20, 2)),
        "level": np.linspace(-25, 25, 20),
        "weights": rng.normal(size=30),
        "gradients": rng.normal(size=(8, 30)) * 10.0 ** rng.uniform(-3, 3, (8, 1)),
        "settings": {"steps": STEPS, "rate": RATE},
        "tables": [flow],
        "quantiles": QUANTILES,
        "middles": GRID,
        "levels": rng.uniform(-9, 15, (30, 64)),
        "losses": rng.exponential(size=(30, 64)),
        "x": rng.normal(size=(300, 2)),
        "y": rng.normal(size=(300, 2)),
        "drawing": EXAMPLE,
        "kernel": KERNEL,
        "logsnr": 2.0,
    }


@pytest.fixture
def computed(ask, asked):
    """What the modules answer."""
    flat = {"z", "x", "y"}
    plain = {
        name: (value.ravel() if name in flat else value).tolist()
        if isinstance(value, np.ndarray)
        else value
        for name, value in asked.items()
    }
    plain["tables"] = [
        {name: values.tolist() for name, values in table.items()} for table in asked["tables"]
    ]
    return ask("training", **plain)


class Seen(models.MLP):
    """A network whose output is what its layers are told."""

    def __call__(self, weights, z, logsnr):
        phase = (z.unsqueeze(-1) * z.new_tensor(self.frequencies)).flatten(2)
        return torch.cat([z, phase.sin(), phase.cos(), models.level(logsnr)], -1)


def test_the_network_is_told_what_it_is_told_in_python(asked, computed):
    z, level = torch.tensor(asked["z"])[None], torch.tensor(asked["level"])[None]
    expected = Seen()([], z, level)[0].numpy()
    got = numbers(computed["features"]).reshape(20, -1)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_optimiser_makes_the_steps_of_python(asked, computed):
    settings = Settings(models.MLP(), steps=STEPS, learning_rate=RATE)
    weights = torch.tensor(asked["weights"], dtype=torch.float32)[None]
    state = optimiser.State(
        weights=weights,
        first=0 * weights,
        second=0 * weights,
        averages=weights.repeat(2, 1, 1),
        losses=weights.new_zeros(1, STEPS),
    )
    for one in asked["gradients"]:
        gradient = torch.tensor(one, dtype=torch.float32)[None]
        length = gradient.square().sum(1, keepdim=True)
        state = optimiser.adam_step(state, gradient, length, settings)
    got = computed["optimised"]
    assert got["step"] == len(asked["gradients"])
    near = {"rtol": 2e-5, "atol": 2e-6}
    np.testing.assert_allclose(numbers(got["weights"]), state.weights[0], **near)
    np.testing.assert_allclose(numbers(got["average"]), state.averages[0, 0], **near)
    np.testing.assert_allclose(numbers(got["first"]), state.first[0], rtol=2e-5)
    np.testing.assert_allclose(numbers(got["second"]), state.second[0], rtol=2e-5)


def test_the_loss_by_level_forgets_as_in_python(asked, computed):
    tracker = LossByLogSNR(side_by_side.EDGES, decay=side_by_side.DECAY)
    for logsnr, loss in zip(asked["levels"], asked["losses"], strict=True):
        tracker.update(logsnr, loss)
    expected = side_by_side.known_means(tracker)
    assert 0 < np.isnan(expected).sum() < len(expected)
    np.testing.assert_allclose(numbers(computed["tracked"]), expected, rtol=1e-9)


def test_the_distance_of_samples_is_that_of_python(asked, computed):
    assert float(computed["distance"]) == pytest.approx(sliced_w2(asked["x"], asked["y"]), 1e-12)


def test_the_floor_of_a_drawing_is_that_of_its_posterior(asked, computed):
    mixture = side_by_side.toy_of("drawn", EXAMPLE, KERNEL).law
    z = torch.tensor(asked["z"])
    alpha, sigma = (torch.full((20, 1), scale(2.0)) for scale in (VP.alpha, VP.sigma))
    error = mixture.posterior(z, alpha, sigma).error
    got = np.exp(2.0) * numbers(computed["unknown"])
    np.testing.assert_allclose(got, error, rtol=1e-5)


def test_each_objective_is_drawn_from_a_table_as_from_its_law(ask, asked, computed):
    """The least loss of each, and its λ at quantiles, beside those of its own law."""
    facts = side_by_side.known("ring8")
    objectives = [side_by_side.known_objective(name) for name in CATALOGUE]
    tables = [page.draws(one) for one in objectives]
    assert all(np.isfinite(part).all() for table in tables for part in table.values())
    small = [{name: part.tolist() for name, part in table.items()} for table in tables]
    plain = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asked.items()
    }
    plain |= {"tables": small, "z": plain["z"][0], "level": [0.0], "x": [0, 0], "y": [0, 1]}
    drawn = ask("training", **plain)["draws"]
    off = {}
    for objective, got in zip(objectives, drawn, strict=True):
        logsnr, factor = numbers(got["logsnr"]), numbers(got["factor"])
        least = side_by_side.least_loss(objective, facts)
        off[objective.name] = (factor * facts.mmse(logsnr)).mean() / least - 1
    assert {name: one for name, one in off.items() if abs(one) > 0.01} == {}


# --- in a real browser ----------------------------------------------------------------------------

LOADED = """
  const [{ tf }, { wasm }, { evaluate, featuresOf }, { Session }, { prepare }] = await Promise.all(
    ["vendor/tfjs-core.js", "vendor/tfjs-wasm.js", "networks.js", "session.js", "backend.js"].map(
      (one) => import(`./${one}`),
    ),
  );
  await prepare(tf, wasm);
"""
EVALUATE = """async ({ network, weights, batch }) => {
  LOADED
  const floats = (values) => Float32Array.from(values);
  const inputs = featuresOf(batch.z, batch.level);
  const [target, weight] = [floats(batch.target), floats(batch.weight)];
  const found = evaluate(tf, network, floats(weights), { inputs, target, weight });
  return { loss: found.loss, gradient: [...found.gradient], error: [...found.error],
           backend: tf.getBackend(), left: tf.memory().numTensors };
}"""
BEGIN = """async (task) => {
  LOADED
  const session = new Session(tf, task);
  const { excess, samples } = session.look().results[0];
  session.advance();
  const { loss, byLevel } = session.look().results[0];
  return { excess: [...excess], samples: [...samples], loss, byLevel: [...byLevel] };
}"""


def in_page(browser, script, question):
    """What a script answers that has the modules of a training."""
    with served(VIEWS) as root:
        tab = browser.new_page()
        tab.goto(f"{root}/style.css")
        got = tab.evaluate(script.replace("LOADED", LOADED), question)
        tab.close()
    return got


def test_loss_and_gradient_are_those_of_torch(browser, rng):
    model = models.MLP(width=WIDTH)
    shapes = [shape for shape, _ in model.weights((2,))]
    weights = torch.tensor(rng.normal(0, 0.3, sum(map(np.prod, shapes))), dtype=torch.float32)
    x, eps = torch.tensor(rng.normal(size=(2, 64, 2)), dtype=torch.float32)
    level = torch.tensor(rng.uniform(-12, 14, 64), dtype=torch.float32)
    factor = torch.tensor(10.0 ** rng.uniform(-2, 2, 64), dtype=torch.float32)
    parts = output_coefficients(level[:, None], "v")
    z, target = parts.alpha * x + parts.sigma * eps, parts.a * x + parts.b * eps
    flat = weights.clone().requires_grad_()
    output = models.raw_output(model, flat[None], z[None], level[None])[0]
    error = (output - target).square().sum(-1)
    loss = (factor * error).mean()
    loss.backward()
    batch = {"z": z, "level": level, "target": target, "weight": factor}
    question = {
        "network": {"width": WIDTH, "depth": 3},
        "weights": weights.tolist(),
        "batch": {name: part.flatten().tolist() for name, part in batch.items()},
    }
    got = in_page(browser, EVALUATE, question)
    assert got["backend"] == "wasm"
    assert got["left"] == 0
    assert got["loss"] == pytest.approx(loss.item(), rel=CLOSE)
    np.testing.assert_allclose(got["error"], error.detach(), rtol=CLOSE, atol=1e-5)
    largest = flat.grad.abs().max().item()
    np.testing.assert_allclose(got["gradient"], flat.grad, rtol=CLOSE, atol=CLOSE * largest)


def test_before_training_excess_loss_and_samples_are_known(browser):
    """The last layer begins at zero, so that v_hat = 0 and, with data of unit variance, eps_hat is
    sigma z and x_hat is alpha z."""
    level, factor, count = 2.0, 3.0, 256
    place = page.place("ring8")
    points = place["points"].astype(float)
    std = float(np.sqrt(points.var(axis=0).mean()))
    rng = np.random.default_rng(3)
    task = {
        "names": ["one"],
        "draws": [{"logsnr": [level, level], "factor": [factor, factor]}],
        "place": {
            name: part.ravel().tolist() if isinstance(part, np.ndarray) else part
            for name, part in place.items()
        },
        "grid": GRID.tolist(),
        "starts": rng.normal(size=2 * len(place["reference"])).tolist(),
        "levels": [-8.0, 0.0, 8.0],
        "settings": {"width": 8, "depth": 3, "steps": 9, "batch": count, "seed": 0, "rate": 1e-9},
    }
    got = in_page(browser, BEGIN, task)
    levels = np.repeat(GRID, len(place["z"]) // len(GRID))[:, None]
    alpha, scale = VP.alpha(levels), np.hypot(VP.alpha(levels) * std, VP.sigma(levels))
    unit = (place["z"] - alpha * points.mean(0)) / scale
    x_hat = points.mean(0) + std * (alpha * std / scale) * unit
    off = np.square(x_hat - place["xHat"]).sum(1)
    expected = np.exp(GRID) * off.reshape(len(GRID), -1).mean(1)
    np.testing.assert_allclose(got["excess"], expected, rtol=1e-4)
    error = got["byLevel"][int(np.argmin(abs(GRID - level)))]
    assert got["loss"] == pytest.approx(factor * error, rel=1e-5)
    draws_error = 5 * 2 / count**0.5  # five standard errors of a mean of ‖v‖², which is about 2
    assert error / VP.alpha(level) ** 2 == pytest.approx(2, abs=draws_error)
    # a Gaussian flow only shrinks: from z with sigma² + alpha² to a spread of the same directions
    starts, samples = (np.reshape(part, (-1, 2)) for part in (task["starts"], got["samples"]))
    angles = np.angle(starts @ [1, 1j]) - np.angle((samples - points.mean(0)) @ [1, 1j])
    assert np.median(np.abs(np.angle(np.exp(1j * angles)))) < 0.05
