"""Valid calls of the public callables that no row of ``test_doors`` or ``room_doors`` calls.

They are small, and what they return is not looked at: ``public_calls`` notes the arguments. Where a
new public callable has no valid call, ``test_hostile_inputs`` asks for one here.
"""

import contextlib
import dataclasses
from functools import cache, partial
from pathlib import Path

import hostile
import matplotlib.figure
import numpy as np
import torch
from scipy import stats

import diffviz as dv
from diffviz import data, few_steps, plots, web
from diffviz.compute import cache as results
from diffviz.compute import executors
from diffviz.data import signals
from diffviz.few_steps import pairs, training
from diffviz.lab.explorers.view import ViewExplorer
from diffviz.learning import Trainer, variance
from diffviz.learning.callbacks import loop
from diffviz.masked import (
    Assessment,
    MarkovWorld,
    bounds,
    cascades,
    nearest,
    noises,
    schedules,
    worlds,
)
from diffviz.masked import training as masked_training
from diffviz.perception import sensitivities, spectra
from diffviz.policy import steps
from diffviz.search import Surface, search
from diffviz.search import goals as search_goals
from diffviz.search import report as search_report
from diffviz.search.settings import Settings
from diffviz.search.smooth import SmoothSurface
from diffviz.theory import elbo_mixture, laws, paths, prior, targets

GRID = np.arange(-4.0, 5.0)
NORMAL = stats.norm(0.0, 2.0)
FREQUENCIES = np.array([0.5, 2.0, 8.0])


def generator():
    return torch.Generator().manual_seed(0)


def rng():
    return np.random.default_rng(0)


def double(x):
    """A function whose results are kept or computed elsewhere."""
    return 2 * x


# --- theory --------------------------------------------------------------------------------------


def call_laws():
    laws.blended(NORMAL, 0.3)
    laws.cosmap()
    laws.logit_normal(0.5, 1.0)
    laws.loglogistic_sigma(-1.0, 0.5)
    laws.loguniform_sigma(0.01, 10.0)
    laws.lower_of_two(NORMAL)
    laws.mixture([NORMAL, stats.norm(2, 1)], [0.4, 0.6])
    laws.mode(1.29)
    laws.quantile_of(stats.beta(2, 2), NORMAL)
    laws.reflected(stats.beta(2, 3))
    laws.smooth(NORMAL, "law")
    laws.split_lognormal_sigma(-1.2, 0.8, 1.6)
    laws.squeezed(NORMAL, 0.1, 0.9)
    laws.stretched(stats.beta(2, 2), 0.1, 0.9)
    laws.truncated(NORMAL, -2.0, 3.0)
    laws.u_shaped(4.0)


def call_paths():
    paths.cosine(0.008)
    paths.discrete([0.9, 0.5, 0.1])
    paths.edm(-1.2, 1.2)
    paths.from_density(NORMAL, name="mine")
    paths.icfm(0.1)
    paths.interpolated(paths.uniform_logsnr(-12, 8), paths.uniform_logsnr(-6, 14))
    paths.karras(0.002, 80.0, 7.0)
    paths.power(2.0)
    paths.restricted(paths.LINEAR, 0.1, 0.8)
    paths.scaled_linear(0.001, 0.012, 100)
    paths.sigma_min_path(0.01)
    paths.sigmoid(-3.0, 3.0, 1.0)
    paths.sub_vp(0.1, 20.0)
    paths.uniform_logsnr(-5.0, 5.0)
    paths.ve(0.01, 10.0)
    paths.vp_linear(0.1, 20.0)
    paths.zero_terminal_snr(paths.COSINE)
    paths.push_forward(stats.beta(2, 2), paths.LINEAR)
    paths.scheduled("straight", paths.VP, double, double, np.ones_like)


def call_multipliers_and_targets():
    dv.multipliers.debiased(1000.0)
    dv.multipliers.edm(0.5)
    dv.multipliers.edm_monotonic(-1.2, 1.2, 0.5)
    dv.multipliers.likelihood(paths.COSINE)
    dv.multipliers.logarithm(dv.multipliers.p2(), GRID)
    dv.multipliers.min_snr(5.0, "eps")
    dv.multipliers.sigmoid(0.0, paths.COSINE)
    dv.multipliers.soft_min_snr(4.0)
    for multiplier in (dv.multipliers.constant, dv.multipliers.snr, dv.multipliers.bell):
        multiplier(GRID)
    targets.checked_target(targets.EPS, "target")
    targets.EPS.gain(GRID, paths.LINEAR)
    point = np.ones((2, 3)), np.ones((2, 3)), np.zeros((2, 1))
    targets.convert(*point, targets.EPS, targets.X, paths.LINEAR)
    targets.edm_output(0.5)


def call_families():
    for make in (
        *(dv.families.cosine, dv.families.edm, dv.families.flow, dv.families.flow_uniform),
        *(dv.families.laplace, dv.families.min_snr, dv.families.mode, dv.families.p2),
        *(dv.families.sigmoid, dv.families.soft_min_snr),
    ):
        make()
    dv.losses.by_snr()
    dv.losses.exponential(paths.LINEAR)
    dv.losses.huber(1.0)
    dv.losses.log_cosh(1.0)
    dv.losses.pseudo_huber(0.1)


def call_prior_and_mixtures():
    prior.lowest_logsnr(4.0, 0.01)
    prior.offset_shift(0.1, 64)
    prior.prior_kl(-3.0, np.ones((2, 3)))
    prior.terminal_bias(-3.0, 1.0, 2.0)
    elbo_mixture.gain(dv.objective("fm-ot"))
    elbo_mixture.masses(dv.objective("fm-ot"))


# --- data and perception -------------------------------------------------------------------------


def call_data():
    for density in (data.Circle(1.0), data.Checkerboard(2.0)):
        density.draw(torch.rand(4, generator=generator()), generator())
    signals.samples([0.0, 1.0], "values")
    data.load("digits")  # directly: the package keeps what it has loaded


def call_files_of_signals():
    from PIL import Image
    from scipy.io import wavfile

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save("grey.png")
    wavfile.write("tone.wav", 8000, np.arange(64, dtype=np.int16))
    signals.image("grey.png")
    signals.sound("tone.wav")
    signals.image_of_bytes(Path("grey.png").read_bytes(), "grey.png")
    signals.sound_of_bytes(Path("tone.wav").read_bytes(), "tone.wav")


@cache
def spectrum():
    return spectra.image_spectrum(rng().random((4, 16, 16)))


def call_perception():
    found = spectrum()
    found.captured(GRID)
    found.information(GRID)
    found.mmse(GRID)
    found.remaining(GRID)
    found.slopes(0.1, 0.4)
    spectra.interval([1.0, 2.0, 3.0], 0.95)
    spectra.logsnr_shift(2.0, 1.0)
    spectra.sound_spectrum(rng().standard_normal(300), 64)
    spectra.implied(found, np.exp, 1.0).projection_of_x(GRID)
    sensitivities.a_weighting(FREQUENCIES)
    sensitivities.barten_1999(FREQUENCIES)
    sensitivities.barten_2004(FREQUENCIES)
    sensitivities.checked_frequency(FREQUENCIES)
    sensitivities.daly(FREQUENCIES)
    sensitivities.field_of_view(1.0, 2.0)
    sensitivities.mannos_sakrison(FREQUENCIES)
    sensitivities.movshon_kiorpes(FREQUENCIES)
    sensitivities.pixels_per_degree(0.01, 2.0)
    sensitivities.species("cat")


# --- masked and few steps ------------------------------------------------------------------------


@cache
def world():
    return MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], length=3)


def call_masked():
    small = world()
    small.floor(GRID)
    small.log_probability(small.sequences)
    small.posterior(small.states)
    small.sample(4, rng())
    worlds.masks(3)
    worlds.by_rate(small.floor_by_count, GRID)
    exact = Assessment.of(small, small.posterior)
    exact.cross_entropy(GRID)
    exact.elbo_in_steps([1.0, 0.5, 0.0])
    exact.log_likelihood_in_steps([1.0, 0.5, 0.0])
    exact.loss(dv.masked_objective("mdlm"))
    exact.sample(3, rng(), 2)
    bounds.even(3)
    simple = dv.masked_objective("simple")
    cascades.learned_shares(simple, 4)
    cascades.partly_exact(exact, np.ones(small.length, bool))
    cascades.masked_bounds(exact, simple)
    cascades.visible_divergence(exact)


def call_masked_schedules_and_noises():
    schedules.power(2.0)
    schedules.kept_power(2.0)
    schedules.geometric(0.01, 5.0)
    schedules.exponential(5.0)
    schedules.of_law(stats.beta(2, 2))
    schedules.squeezed(schedules.power(2.0), 0.1, 0.9)
    noises.absorbing(2)
    noises.hybrid(2, 0.3)
    uniform = noises.uniform(2)
    uniform.noised(np.array([0.5, 0.5]), 0.0)
    x, z = np.array([0, 1]), np.array([1, 1])
    p_hat = np.array([[0.5, 0.5], [0.3, 0.7]])
    noises.density_by_scores(uniform, x, z, p_hat, 0.0)
    noises.density_by_divergences(uniform, x, z, p_hat, 0.0)
    noises.score_entropy(np.array([1.0, 2.0]), np.array([1.0, 1.5]))
    noises.posterior_from_others(world(), uniform, world().sequences, 0.0)
    noises.mean_density(world(), uniform, [0.0, 1.0])
    noises.exact_elbo(world(), uniform, 8.0, 5)


def call_masked_training():
    import test_doors

    settings = masked_training.Settings(steps=2, batch=4, width=8, layers=1)
    masked_training.fit_masked([dv.masked_objective("mdlm")], world(), settings)
    even = torch.zeros(1, 3, 3)  # logits of two tokens and the mask
    tokens, mask = np.array([[0, 1, 1], [1, 0, 0]]), np.ones((2, 3), bool)
    masked_training.cross_entropies(lambda z: even.expand(len(z), -1, -1), tokens, mask, 2)
    nearest.closest_masked(test_doors.masked_measured(), 2)


def call_few_steps():
    entry = dv.few_step("meanflow")
    entry.draw(4, rng())
    entry.at_error(np.exp)
    few_steps.objectives.Adaptive(1.0, 0.01)
    pairs.SortedPairs(NORMAL)
    pairs.adjacent([0.1, 1.0, 10.0], [0.5, 0.5])
    pairs.dyadic(8)
    pairs.karras_levels(4)
    pairs.lognormal_shares([0.1, 1.0, 10.0])
    z = torch.ones(3, 1, dtype=torch.float64)
    few_steps.exact_map(dv.toy("gaussian"), z, 0.5, 0.25)
    model = few_steps.FlowMap(2, 8, 0)
    model.carry(torch.ones(3, 2), [1.0, 0.5, 0.0])
    for name in training.ERRORS:
        few_steps.train(name, dv.toy("ring8"), steps=1, batch=8, width=8)
    few_steps.train_seeds("shortcut", dv.toy("ring8"), (0, 1), steps=1, batch=8, width=8)
    training.clean(model, torch.ones(3, 2), torch.full((3,), 0.5))
    dataclasses.replace(entry, name="mine")


# --- pictures and explorers ----------------------------------------------------------------------


def call_plots():
    ax = plots.lines(GRID, {"a": GRID}, xlabel="x", ylabel="y")
    ax.figure.png(50)
    plots.files.encoded(ax.figure, ".svg")
    plots.save(ax.figure, "a.svg")
    plots.draw_strip(ax, plots.Strip([-4.0, 0.0, 4.0], np.zeros((3, 40)), "sound"))
    plots.restyle(matplotlib.figure.Figure(), "dark")


@cache
def description():
    return web.Description(
        "Example",
        (
            web.Slider("anchor", "anchor λ", -8, 8, 0.25, 0.0),
            web.Menu("base", "base", ("eps", "x"), "eps"),
            web.Chips("names", "objectives", (web.Chip("edm"), web.Chip("sd3")), ("edm",)),
            web.Switch("shown", "shown", True),
            web.Text("note", "note", "words"),
            web.Points("drawn", "drawn"),
            web.Paste("pasted", "pasted"),
            web.Clock("step", "step"),
            web.Action("go", "go"),
            web.Upload("picture", "picture"),
        ),
    )


class Example(ViewExplorer):
    """An explorer of every control."""

    def __init__(self, **state):
        super().__init__(description(), state)

    def compute(self, state, changed):
        return view()

    def uploaded(self, control, file, content):
        assert content


def call_descriptions():
    whole = description()
    whole["anchor"]
    whole.checked({"anchor": 1.0})
    whole.changes(whole.start)
    whole.shown(whole.start)
    whole.to_query(whole.start)
    whole.from_query("anchor=1&names=edm")
    for control in whole.controls:
        if control.has_value:
            control.from_texts(control.to_texts(control.checked(whole.start[control.name])))
    whole["picture"].checked_file("a.png", b"bytes")
    web.description.nearest_step(whole["anchor"], 0.3)
    web.description.slug("A title")


@cache
def view():
    chart = web.Chart(GRID, {"a": GRID}, xlabel="x", ylabel="y")
    cloud = web.Cloud({"points": np.zeros((3, 2))})
    table = web.Table(("a", "b"), (("1", "2"),))
    return web.View((chart, cloud, web.Images(np.zeros((2, 4, 4))), table, web.Note("words")))


def call_views():
    web.figure(view())
    view().charts[0].places("a")
    view().panels[1].step(3)
    web.pictures.to_message(view())
    web.pictures.columns_of(view())
    web.pictures.as_bytes([0.0, 1.0])
    web.pictures.plain({"a": np.float64(1.0)})
    web.Working(0.5, "half")
    web.bundle.read("style.css")
    web.bundle.module("chart.js")


def call_explorers():
    from diffviz.lab.explorers import ComposerExplorer

    shown = Example()
    shown.set("anchor", 1.0)
    shown.act("go")
    Path("picture.bin").write_bytes(b"bytes")
    shown.upload("picture", "picture.bin")
    shown.wait(1.0)
    shown.settled(shown.state, "anchor")
    shown.opening(on_page=False)
    shown.save("example.svg")
    shown.save_opening("opening")
    Example.from_link("#anchor=1")
    composer = ComposerExplorer()
    web.page.html(composer)
    web.page.opening(composer)
    web.page.write(composer, "page.html")


# --- the rest ------------------------------------------------------------------------------------


def call_learning():
    import room_doors

    moments = room_doors.moments()
    objective = dv.objective("fm-ot")
    variance.draw_moments(objective, np.ones_like, np.ones_like)
    variance.gains(objective, moments)
    variance.table([objective], moments)
    follow = loop.follow_loop(hostile.returning(None), dv.LossByLogSNR([-4.0, 0.0, 4.0]), every=2)
    follow([-1.0, 2.0], [0.5, 1.0])
    trainer = Trainer("fm-ot", torch.randn(20, 2, generator=generator()), steps=2, batch=4)
    trainer.save("checkpoint")
    room_doors.run().save("run.safetensors")
    dv.Run.load("run.safetensors")
    trainer.resume("checkpoint")


def call_search():
    point = np.linspace(0, 1, 6)[:, None]
    values = np.stack([point[:, 0] ** 2, point[:, 0] ** 2 + 0.1], 1)
    parameters = (("mean", -1.0, 1.0),)
    surface = Surface(parameters, 2 * point - 1, values)
    surface.at([[0.0]])
    surface.least()
    SmoothSurface(parameters, 2 * point - 1, values).at([[0.0]])
    Settings("ring8", steps=10)
    search_goals.add_goal("mine", double, unit="one")
    with contextlib.suppress(hostile.OnPurpose):  # at the first news, so that nothing is trained
        search("gmm1", points=8, seeds=2, steps=2, tell=hostile.raising)
    second = {"optimum": np.ones(2), "elbo": np.zeros(2)}
    search_report.Search({}, surface, second).apart("elbo", "optimum")


def call_the_rest():
    dataclasses.replace(steps.CPSStep(0.5), eta=0.6)
    results.cached(double)(2)
    results.trim(10**9)
    with executors.executor(1) as pool:
        executors.in_order(pool, double, [(1,)])
        list(executors.completed(pool, double, [(1,)]))


CALLS = [value for name, value in list(globals().items()) if name.startswith("call_")]
CALLS = [partial(call) for call in CALLS]
