"""The JavaScript of the views: its style, its types, its unit tests, and that it computes the same.

Node comes from a wheel of the test extra, and what checks style and types from npm. Where either
cannot be had, what needs it is skipped and says so. The real browser computes the same once more in
``tests/test_browser.py``.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import web_panels
import web_settings
from scipy import special
from web_panels import CLOSE, numbers, plain

from diffviz.lab.experiments import composer
from diffviz.lab.explorers.composer import ComposerExplorer
from diffviz.lab.explorers.weighting import AXES, WeightingExplorer, parameter_name
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import from_weighting

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
SETTINGS = 1000
TIMES = np.linspace(0.01, 0.99, 41)
FAR = np.concatenate([np.linspace(-40, -12, 57), np.linspace(12, 40, 57)])


def packages_or_skip(name):
    command = PACKAGES / name
    if not command.is_file():
        pytest.skip("npm's packages are not here; with a network `make lint` fetches them")
    return command


def test_modules_keep_to_the_style(node):
    eslint = packages_or_skip("eslint/bin/eslint.js")
    node(eslint, "-c", HERE / "eslint.config.js", "diffviz/web", "docs/_static", "tests/web")


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.views.json"])
def test_modules_keep_to_their_types(node, project):
    node(packages_or_skip("typescript/bin/tsc"), "-p", HERE / project)


def test_unit_tests_pass(node):
    files = sorted(HERE.glob("*.test.js"))
    assert files
    node("--test", "--test-isolation=none", *files)


def test_special_functions_are_those_of_scipy(ask):
    rng = np.random.default_rng(0)
    x = rng.uniform(-9, 9, 300)
    a, b = rng.uniform(0.3, 6, (2, 300))
    share = rng.uniform(0, 1, 300)
    got = ask("special", x=list(x), a=list(a), b=list(b), share=list(share))
    np.testing.assert_allclose(numbers(got["erfc"]), special.erfc(x), rtol=1e-12)
    np.testing.assert_allclose(numbers(got["ndtr"]), special.ndtr(x), rtol=1e-12)
    np.testing.assert_allclose(numbers(got["logGamma"]), special.gammaln(a), atol=2e-14)
    np.testing.assert_allclose(numbers(got["logBeta"]), special.betaln(a, b), atol=4e-14)
    np.testing.assert_allclose(numbers(got["betainc"]), special.betainc(a, b, share), rtol=1e-11)
    np.testing.assert_allclose(numbers(got["logExpit"]), special.log_expit(4 * x), rtol=1e-14)


@pytest.mark.slow
def test_curves_of_random_settings_agree_with_the_package(ask):
    settings = web_settings.settings(SETTINGS, seed=0)
    worst, where = web_settings.largest_departure(settings, ask("curves", settings))
    assert worst <= CLOSE, where


def test_every_option_of_the_composer_agrees_with_the_package(ask):
    start = web_settings.recipe(np.random.default_rng(1))["state"]
    plain = {"kind": "w", "base": "eps", "scale": "w / max", "anchor": 0.0}
    settings = [
        plain | {"state": start | {"target": "v", "multiplier": "constant"} | {menu: option}}
        for menu, options in composer.MENUS.items()
        for option in options
    ]
    curves = ask("curves", settings)
    assert all(np.isfinite(curve).all() for curve in curves)
    worst, where = web_settings.largest_departure(settings, curves)
    assert worst <= CLOSE, where


def test_far_tails_of_families_are_finite_and_agree(ask):
    rng = np.random.default_rng(2)
    plain = {"kind": "w", "base": "eps", "scale": "w / max", "anchor": 0.0}
    settings = [
        plain
        | {"family": name, "values": {one.name: end for one, end in zip(parts, ends, strict=True)}}
        for name, family in FAMILIES.items()
        for parts in [family.parameters]
        for ends in (
            [one.low for one in parts],
            [one.high for one in parts],
            [one.default for one in parts],
            [web_settings.draw(rng, one) for one in parts],
        )
    ]
    curves = ask("curves", settings, FAR)
    assert np.isfinite(curves).all()
    worst, where = web_settings.largest_departure(settings, curves, FAR)
    assert worst <= CLOSE, where


def test_far_tails_of_recipes_are_finite_or_refused_as_in_the_package(ask):
    settings = [
        setting | {"kind": "w", "base": "eps"}
        for setting in web_settings.settings(200, seed=3, of_family=0)
    ]
    curves = ask("curves", settings, FAR)
    partly = np.isnan(curves).any(axis=1) & ~np.isnan(curves).all(axis=1)
    assert not partly.any()
    refused = [web_settings.curve(setting, FAR) is None for setting in settings]
    assert np.isnan(curves).all(axis=1).tolist() == refused


def test_paths_and_laws_agree_with_the_package(ask):
    settings = web_settings.settings(60, seed=4)
    settings = [one for one in settings if web_settings.curve(one) is not None]
    grid = np.linspace(-12, 12, 97)
    for setting, got in zip(settings, ask("paths", settings, grid, times=list(TIMES)), strict=True):
        of = web_settings.objective(setting)
        near = {"rtol": 1e-9, "atol": 1e-12, "err_msg": json.dumps(setting, ensure_ascii=False)}
        np.testing.assert_allclose(numbers(got["logsnr"]), of.path.logsnr(TIMES), **near)
        np.testing.assert_allclose(numbers(got["time"]), of.path.time(grid), **near)
        np.testing.assert_allclose(numbers(got["density"]), of.path.schedule.pdf(grid), **near)
        np.testing.assert_allclose(numbers(got["alpha"]), of.path.frame.alpha(grid), **near)
        np.testing.assert_allclose(numbers(got["sigma"]), of.path.frame.sigma(grid), **near)
        loose = near | {"atol": 1e-9}  # what is left of the law beside its path may be small
        np.testing.assert_allclose(numbers(got["below"]), of.law.cdf(grid), **loose)
        np.testing.assert_allclose(numbers(got["above"]), of.law.sf(grid), **loose)


def test_verdicts_shares_and_distances_agree_with_the_package(ask):
    settings = web_settings.settings(40, seed=5)
    grids = [web_settings.curve(one, np.linspace(-20, 20, 401)) for one in settings]
    settings = [one for one, curve in zip(settings, grids, strict=True) if curve is not None]
    published = {name: list(w) for name, w in composer.published().items()}
    targets = {name: entry.target.name for name, entry in CATALOGUE.items()}
    for setting, got in zip(
        settings, ask("readings", settings, published=published, targets=targets), strict=True
    ):
        of = web_settings.objective(setting)
        said, expected = got["verdict"], analysis.verdict(of)
        assert said["monotone"] == expected.monotone, setting
        assert len(said["rises"]) == len(expected.rises), setting
        np.testing.assert_allclose(np.ravel(said["rises"]), np.ravel(expected.rises), atol=1e-9)
        assert float(said["peak"]) == pytest.approx(expected.peak, abs=1e-6), setting
        share = pytest.approx(expected.negative_share, abs=1e-7)
        assert float(said["negativeShare"]) == share, setting
        below = pytest.approx(analysis.share_below(of, setting["at"]), abs=1e-9)
        assert float(got["share"]) == below, setting
        distances = composer.distances(of)
        by_name = {one["name"]: one for one in got["distances"]}
        assert set(by_name) == {one.name for one in distances}, setting
        for one in distances:
            near = pytest.approx(one.factor, rel=1e-6)
            assert float(by_name[one.name]["factor"]) == near, (setting, one)


def test_axes_agree_with_the_explorer(ask):
    got = ask("places")
    assert list(got) == list(AXES)
    for name, axis in AXES.items():
        expected = axis.place(web_settings.GRID)
        np.testing.assert_allclose(numbers(got[name]), expected, rtol=1e-12, atol=1e-15)


def stroke(rng):
    """A drawn weighting: a stroke that wanders and turns back, or none."""
    steps = rng.normal([0.2, 0], [0.3, 0.2], (int(rng.integers(0, 80)), 2))
    points = np.clip(np.cumsum(steps, axis=0) - [4, 0], -12, 12)
    return {
        "drawn": tuple(map(tuple, points.tolist())),
        "drawing": bool(rng.integers(2)),
        "monotone": bool(rng.integers(2)),
    }


def weighting_states(rng):
    names = list(WeightingExplorer().description["names"].options)
    for family in ["none", *FAMILIES] * 2:
        parameters = FAMILIES[family].parameters if family in FAMILIES else ()
        values = {
            parameter_name(family, one.name): web_settings.draw(rng, one) for one in parameters
        }
        chosen = [str(one.value) for one in rng.choice(names, rng.integers(1, 6), replace=False)]
        sizes = {"threshold": 10 ** rng.uniform(-2, 1), "least": 10 ** rng.uniform(-2, 0)}
        yield values | {"family": family, "names": chosen} | sizes | stroke(rng)


def composer_states(rng):
    names = list(ComposerExplorer().description["names"].options)
    for setting in web_settings.settings(60, seed=6, of_family=0):
        chosen = [str(one.value) for one in rng.choice(names, rng.integers(0, 5), replace=False)]
        yield setting["state"] | {"names": chosen, "below": float(rng.uniform(-8, 8))}


@pytest.mark.parametrize(
    ("kind", "module", "states"),
    [
        (WeightingExplorer, "weighting.js", weighting_states),
        (ComposerExplorer, "composer.js", composer_states),
    ],
)
def test_the_browser_shows_what_python_shows(ask, kind, module, states):
    rng = np.random.default_rng(7)
    explorer = kind()
    description = explorer.description
    looks = {name: description[name].options for name in ("scale", "base", "axis")}
    if kind is WeightingExplorer:
        looks |= {name: description[name].options for name in ("loss", "schedule", "errors")}
    checked = [
        description.checked(
            state
            | {name: str(rng.choice(options)) for name, options in looks.items()}
            | {"anchor": float(rng.uniform(-8, 8))}
        )
        for state in states(rng)
    ]
    data = plain({**explorer.local_data(), **explorer.page_data()})
    views = ask("views", module=module, states=checked, data=data)
    web_panels.assert_same_views(views, checked, explorer)


def test_a_drawn_weighting_is_judged_alike_while_it_is_drawn(ask):
    rng = np.random.default_rng(9)
    passed = {"mine": from_weighting([[-9.0, 1.0], [0.0, 3.0], [7.0, 0.5]])}
    explorer = WeightingExplorer(("edm",), "none", objectives=passed)
    empty = {"names": (), "family": "none", "drawing": True, "drawn": ()}
    states = [explorer.state | stroke(rng) | {"drawing": True} for _ in range(12)]
    states = [explorer.description.checked(one) for one in (*states, empty)]
    views = ask("views", module="weighting.js", states=states, data=plain(explorer.local_data()))
    said = set()
    for state, got in zip(states, views, strict=True):
        expected = explorer.compute(state, ())
        assert got["panels"][0]["strokes"] == "drawn"
        for panel, own in zip(got["panels"], expected.panels, strict=True):
            web_panels.assert_same(panel, own, json.dumps(state, ensure_ascii=False))
        said.add(expected.panels[-1].text[:22])
    assert said == {"Drag over the chart. W", "The drawn w never rise", "The drawn w rises with"}


@pytest.mark.parametrize("loss", ["Huber", "pseudo-Huber", "log-cosh"])
def test_another_loss_has_the_same_weighting_in_the_browser_at_any_size(ask, loss):
    errors = {"mine": ([-8.0, 0.0, 8.0], [0.01, 0.4, 1.2])}
    explorer = WeightingExplorer(("fm-ot", "edm", "sd3"), "EDM", network_errors=errors, loss=loss)
    sizes = (0.01, 0.03, 0.1, 0.5, 3.0, 10.0)
    states = [explorer.state | {"threshold": size} for size in sizes]
    states += [explorer.state | {"schedule": "by SNR", "least": size} for size in (0.01, 0.4, 1.0)]
    states.append(explorer.state | {"errors": "mine"})
    data = plain(explorer.local_data())
    views = ask("views", module="weighting.js", states=states, data=data)
    web_panels.assert_same_views(views, states, explorer)
    slopes = [view["panels"][1]["rows"][0][3] for view in views]
    assert slopes[0] < slopes[3] < slopes[5]


def test_the_kernel_reads_pasted_texts_and_has_the_errors_on_toys(ask):
    explorer = WeightingExplorer()
    states = [
        explorer.state | {"table": "0, 1\n1, 2"},
        explorer.state | {"settings": "--min_snr_gamma 5"},
        explorer.state | {"names": (), "family": "none"},
        explorer.state | {"loss": "Huber", "errors": "ring of 8 (ring8)"},
    ]
    data = plain(explorer.local_data())
    assert ask("views", module="weighting.js", states=states, data=data) == [None] * 4
