"""Tables of weights over log-SNR, time, sigma and timesteps are what their names say."""

import copy
import json
import pathlib
import pickle

import numpy as np
import pytest
from cells import in_one_test
from scipy import stats

import diffviz as dv
from diffviz.theory import laws, multipliers, paths, tables
from diffviz.theory.frames import STRAIGHT, VE, VP
from diffviz.theory.paths import COSINE, LINEAR

GRID = np.linspace(-6.0, 6.0, 25)
W = np.exp(-GRID / 3)
SD = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 200,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "epsilon",
}


def csv(names, *columns):
    """The text of a table."""
    rows = "\n".join(",".join(map(repr, row)) for row in np.column_stack(columns).tolist())
    return f"{names}\n{rows}\n"


class Frame:
    """A frame as pandas and polars have it."""

    def __init__(self, **columns):
        self.columns = list(columns)
        self.held = columns

    def __getitem__(self, name):
        return self.held[name]


def forms_of(levels, weights, folder):
    """A table in each form that ``from_weighting`` takes."""
    rows = [[level, weight] for level, weight in zip(levels, weights, strict=True)]
    text = csv("logsnr,w", levels, weights)
    (folder / "w.csv").write_text(text, encoding="utf-8")
    return {
        "text": text,
        "text without names": text.split("\n", 1)[1],
        "file": folder / "w.csv",
        "semicolons": text.replace(",", ";"),
        "JSON of rows": json.dumps(rows),
        "JSON of columns": json.dumps({"logsnr": list(levels), "w": list(weights)}),
        "JSON of records": json.dumps([{"logsnr": one, "w": other} for one, other in rows]),
        "mapping": {"logsnr": levels, "w": weights},
        "frame": Frame(logsnr=np.array(levels), w=np.array(weights)),
        "array": np.array(rows),
        "list": rows,
        "float32": np.array(rows, dtype=np.float32),
    }


@in_one_test
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [1, 2, 4])
@pytest.mark.parametrize("column", [1, 2])
def test_a_cell_without_a_finite_number_is_refused_by_its_place(tmp_path, number, row, column):
    columns = ([-2.0, -1.0, 0.0, 1.0], [4.0, 3.0, 2.0, 1.0])
    columns[column - 1][row - 1] = number
    for form, table in forms_of(*columns, tmp_path).items():
        with pytest.raises(ValueError, match=rf"row {row}.*, column {column}\b") as refused:
            dv.from_weighting(table)
        message = str(refused.value)
        assert "finite" in message or "missing" in message, (form, message)
        if "w.csv" in message or form in ("text", "semicolons"):
            assert f"(line {row + 1})" in message, (form, message)


@pytest.mark.parametrize("name", ["logsnr", "LogSNR", "log_snr", "lambda", "λ", "log-snr"])
def test_a_table_over_logsnr_is_its_weighting(tmp_path, name):
    text = csv(f"{name},w", GRID, W)
    (tmp_path / "w.csv").write_text(text, encoding="utf-8")
    swapped = csv(f"weight,{name}", W, GRID)
    semicolons = text.replace(",", ";").replace(".", ",")
    frame = Frame(**{name: GRID, "w": W})
    for form in (text, tmp_path / "w.csv", str(tmp_path / "w.csv"), swapped, semicolons, frame):
        own = dv.from_weighting(form)
        np.testing.assert_allclose(own.weighting(GRID[1:-1]), W[1:-1], rtol=1e-12)
        assert own.law.support() == (-6, 6)
    assert dv.from_weighting(text).source == "table"
    assert dv.from_weighting(tmp_path / "w.csv").source.endswith("w.csv")


@pytest.mark.parametrize("path", [COSINE, LINEAR, paths.vp_linear(0.1, 20.0)])
def test_a_constant_factor_over_time_is_the_eps_loss_of_the_path(path):
    """w = 2 p(λ), with p = −dt/dλ by finite differences."""
    t = np.linspace(0.02, 0.98, 400)
    own = dv.from_weighting(csv("t,weight", t, np.full(400, 3.0)), path=path)
    inner = np.linspace(0.1, 0.9, 9)
    level = path.logsnr(inner)
    step = 1e-5
    density = 2 * step / (path.logsnr(inner - step) - path.logsnr(inner + step))
    np.testing.assert_allclose(own.weighting(level), 2 * 3.0 * density, rtol=1e-6)
    # it draws what uniform time draws
    share = own.law.cdf(path.logsnr(0.25)) - own.law.cdf(path.logsnr(0.5))
    assert share == pytest.approx(0.25 / 0.96, rel=1e-9)


def test_a_factor_over_time_may_run_either_way_and_keeps_its_law():
    t = np.linspace(0.05, 0.95, 60)
    factor = 1 + t**2
    up = dv.from_weighting(csv("t,weight", t, factor), path=LINEAR)
    down = dv.from_weighting(csv("time,weight", t[::-1], factor[::-1]), path=LINEAR)
    level = LINEAR.logsnr(np.linspace(0.1, 0.9, 7))
    np.testing.assert_array_equal(up.weighting(level), down.weighting(level))
    law = stats.uniform(-2, 4)
    other = dv.from_weighting(csv("t,weight", t, factor), law, path=LINEAR)
    inside = np.linspace(-1.9, 1.9, 9)
    np.testing.assert_allclose(other.weighting(inside), up.weighting(inside), rtol=1e-12)
    assert other.law is law


@pytest.mark.parametrize(
    ("frame", "logsnr_of"),
    [
        (VE, lambda sigma: -2 * np.log(sigma)),
        (VP, lambda sigma: np.log1p(-(sigma**2)) - 2 * np.log(sigma)),
        (STRAIGHT, lambda sigma: 2 * np.log(1 - sigma) - 2 * np.log(sigma)),
    ],
)
def test_sigma_is_that_of_the_frame(frame, logsnr_of):
    path = paths.from_density(stats.norm(0, 3), frame)
    sigma = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(
        tables.logsnr_of_sigma(sigma, path), logsnr_of(sigma), rtol=1e-12, atol=1e-12
    )
    own = dv.from_weighting(csv("sigma,weight", sigma, 1 / sigma), path=path)
    level = logsnr_of(sigma[5:9])
    expected = 2 / sigma[5:9] * stats.norm(0, 3).pdf(level)
    np.testing.assert_allclose(own.weighting(level), expected, rtol=1e-9)


def test_edms_table_over_sigma_is_edm():
    path = paths.edm(mean=-1.2, std=1.2)
    sigma = np.geomspace(0.01, 50, 4000)
    # on x EDM has the factor (σ² + ½²)/(½σ)²; an eps error is 1/σ of an x error
    factor = (sigma**2 + 0.25) / (0.5 * sigma) ** 2 * sigma**2
    own = dv.from_weighting(csv("sigma,weight", sigma, factor), path=path)
    assert dv.compare(own, dv.objective("edm"), np.linspace(-6, 6, 99)).deviation < 1e-5


def test_timesteps_are_those_of_a_scheduler():
    plain = dv.from_diffusers(SD)
    steps = np.arange(200)
    weighted = dv.from_diffusers(SD, multipliers.soft_min_snr(4.0))
    levels = weighted.law.dist.levels[::-1]  # step 0 has the least noise
    factor = multipliers.soft_min_snr(4.0)(levels)
    own = dv.from_weighting(csv("timestep,weight", steps, factor), path=plain.path)
    np.testing.assert_array_equal(own.law.dist.levels, weighted.law.dist.levels)
    np.testing.assert_allclose(own.law.dist.mass, weighted.law.dist.mass, rtol=1e-12)
    np.testing.assert_allclose(
        own.weighting(levels[5:-5]), weighted.weighting(levels[5:-5]), rtol=1e-12
    )
    # some of the steps, in any order
    some = dv.from_weighting(csv("timesteps,w", steps[[9, 3, 5]], factor[[9, 3, 5]]), path=own.path)
    np.testing.assert_array_equal(some.law.dist.levels, levels[[9, 5, 3]])
    np.testing.assert_allclose(some.multiplier(levels[[9, 5, 3]]), factor[[9, 5, 3]], rtol=1e-12)


def test_timesteps_of_part_of_a_table_are_those_of_the_whole():
    whole = dv.from_diffusers(SD)
    levels = whole.law.dist.levels[::-1]
    part = paths.from_density(laws.truncated(whole.law, levels[150], levels[40]))
    steps = np.arange(40, 151)
    factor = 1.0 + steps
    own = dv.from_weighting(csv("timestep,weight", steps, factor), path=part)
    np.testing.assert_array_equal(own.law.dist.levels, levels[steps][::-1])
    np.testing.assert_allclose(own.multiplier(levels[steps]), factor, rtol=1e-12)
    with pytest.raises(ValueError, match=r"timestep \[39\] is never drawn on this path"):
        dv.from_weighting(csv("timestep,weight", steps - 1, factor), path=part)


T = np.linspace(0.1, 0.9, 5)
ONES = np.ones(5)
STEPS = np.arange(5.0)


@in_one_test
@pytest.mark.parametrize(
    ("table", "settings", "says"),
    [
        (csv("timestep,weight", np.arange(0.0, 1000, 50), np.ones(20)), {}, "needs path="),
        (csv("sigma,weight", T, ONES), {}, "a table over sigma needs path="),
        (csv("t,weight", T, ONES), {}, "a table over t needs path="),
        (Frame(timestep=[0, 1], weight=[1.0, 1.0]), {}, "a table over timestep needs path="),
        (csv("x,y", T, ONES), {}, r"has the columns x and y: call one of them logsnr"),
        (csv("snr,w", T, ONES), {}, "call one of them logsnr"),
        (csv("t,logsnr", T, ONES), {}, "has the columns t and logsnr: call one"),
        (
            csv("logsnr,w", np.arange(0.0, 1000, 50), np.ones(20)),
            {},
            "from 0 to 950 are no log-SNR",
        ),
        (np.column_stack([np.arange(1000), np.ones(1000)]), {}, "may be timesteps"),
        (np.column_stack([np.arange(1, 51), np.ones(50)]), {}, "from 1 to 50 are no log-SNR"),
        (np.column_stack([np.arange(0, 1000, 10), np.ones(100)]), {}, "'timestep,weight'"),
        (csv("t,weight", [0.0, 0.5], [1, 1]), {"path": COSINE}, r"row 1: t = 0 has no finite"),
        (csv("t,weight", [0.5, 1.0], [1, 1]), {"path": COSINE}, r"row 2: t = 1 has no finite"),
        (csv("t,weight", [0.5, 1.5], [1, 1]), {"path": COSINE}, r"t must lie in \[0, 1\]"),
        (csv("t,weight", [0.1, 0.5, 0.3], [1, 1, 1]), {"path": COSINE}, "strictly increasing"),
        (csv("sigma,weight", [0.5, 1.5], [1, 1]), {"path": LINEAR}, r"within \(.*, 1\) on the"),
        (csv("sigma,weight", [0.0, 0.5], [1, 1]), {"path": LINEAR}, "sigma must lie within"),
        (csv("timestep,weight", STEPS, ONES), {"path": LINEAR}, "is continuous: pass path=dv.from"),
        (csv("t,weight", T, -ONES), {"path": LINEAR}, "w must be >= 0"),
        (csv("t,weight", T, 0 * ONES), {"path": LINEAR}, "somewhere positive"),
        ("logsnr,w\n0,1\n1,\n", {}, r"row 2 \(line 3\), column 2 \(w\): the cell is empty"),
        ("logsnr,w\n", {}, "but no numbers"),
        ("", {}, "the table is empty"),
        ("logsnr (dB),w\n0,1\n1,1\n", {}, "call one of them logsnr"),
        ("logsnr,w_x\n0,1\n1,1\n", {}, r"column w_x is a weighting on another error.*rebase"),
        ("logsnr,weight on v\n0,1\n1,1\n", {}, "another error"),
        ("logsnr,log w\n0,1\n1,1\n", {}, "column log w is no weighting"),
        ("logsnr,loss\n0,1\n1,1\n", {}, "column loss is no weighting"),
        ("logsnr,w\n0,1\n2,1\n1,1\n", {}, "row 3 is not above the row before; sort"),
        ("logsnr,w\n0,1\n2,-1\n", {}, "smallest -1 in row 2"),
        (
            np.column_stack([np.linspace(0, 1, 20), np.ones(20)]),
            {},
            "may be times, sigmas or log-SNR",
        ),
    ],
)
def test_what_is_no_table_of_weights_is_refused_with_the_way_out(table, settings, says):
    with pytest.raises(ValueError, match=says):
        dv.from_weighting(table, **settings)


def test_timesteps_far_apart_at_an_end_are_refused():
    path = dv.from_diffusers(SD).path
    with pytest.raises(ValueError, match="list the steps beside the first and the last"):
        dv.from_weighting(csv("timestep,weight", [0, 199], [1, 1]), path=path)
    own = dv.from_weighting(csv("timestep,weight", [0, 1, 198, 199], [1, 1, 1, 1]), path=path)
    assert own.law.support() == pytest.approx(path.schedule.support(), rel=1e-12)


@pytest.mark.parametrize("name", ["logsnr [nats]", "Log-SNR (nat)", "λ [1]", "lambda ()"])
def test_a_unit_after_a_name_is_read_over(name):
    own = dv.from_weighting(f"{name},w(λ) [-]\n-2,1\n2,3\n")
    assert own.weighting([-2.0, 2.0]) == pytest.approx([1, 3])


def test_columns_by_name_are_a_table():
    own = dv.from_weighting({"weight": [1, 3], "logsnr": [-2, 2]})
    assert own.weighting([-2.0, 2.0]) == pytest.approx([1, 3])


def test_timesteps_that_do_not_fit_are_refused():
    path = dv.from_diffusers(SD).path
    for steps, says in (
        ([0, 200], "from 0 to 199 on this path, got 200"),
        ([-1, 3], "got -1"),
        ([0.5, 3], "got 0.5"),
        ([3, 3], "stands in the table twice"),
    ):
        with pytest.raises(ValueError, match=says):
            dv.from_weighting(csv("timestep,weight", steps, [1, 1]), path=path)
    table = csv("timestep,weight", [0, 1], [1, 1])
    with pytest.raises(ValueError, match="law has no effect"):
        dv.from_weighting(table, stats.uniform(-1, 2), path=path)


def test_few_whole_numbers_are_log_snr():
    for levels in (np.arange(-10, 11), np.arange(0, 20), [0, 25, 50]):
        own = dv.from_weighting(np.column_stack([levels, np.ones(len(levels))]))
        assert own.law.support() == (levels[0], levels[-1])


def test_an_index_column_is_dropped_with_a_warning():
    text = csv(",logsnr,w", np.arange(25), GRID, W)
    with pytest.warns(UserWarning, match="the table: the first column has no name"):
        own = dv.from_weighting(text)
    np.testing.assert_allclose(own.weighting(GRID[1:-1]), W[1:-1], rtol=1e-12)


@pytest.mark.parametrize("kind", ["t", "sigma", "timestep"])
def test_objectives_of_tables_travel(kind):
    levels = np.arange(5) if kind == "timestep" else T
    path = dv.from_diffusers(SD).path if kind == "timestep" else LINEAR
    own = dv.from_weighting(csv(f"{kind},weight", levels, 1 + T), path=path)
    for same in (pickle.loads(pickle.dumps(own)), copy.deepcopy(own)):
        assert same.identity == own.identity


@pytest.mark.parametrize(
    "text",
    [
        "[[-6.0, 7.5], [6.0, 0.25]]",
        '[{"logsnr": -6.0, "w": 7.5}, {"logsnr": 6.0, "w": 0.25}]',
        '{"w": [7.5, 0.25], "logsnr": [-6.0, 6.0]}',
        '{\n "logsnr": [-6.0, 6.0],\n "w": [7.5, 0.25]\n}',
    ],
)
def test_a_table_may_be_text_of_json(text):
    own = dv.from_weighting(text)
    np.testing.assert_allclose(own.weighting(np.array([-6.0, 6.0])), [7.5, 0.25])
    assert own.source == "table"


@pytest.mark.parametrize("text", ["[[-6.0, 1.0], [6.0", "[" * 100_000, '{"a":' * 100_000])
def test_broken_json_is_named(text):
    with pytest.raises(ValueError, match="cannot read the table as JSON"):
        dv.from_weighting(text)


@pytest.mark.parametrize("make", [str, pathlib.Path])
@pytest.mark.parametrize("address", ["http://a.org/w.csv", "https://a.org/w", "file:///w.csv"])
def test_an_address_is_refused_and_leaves_no_folder(tmp_path, monkeypatch, make, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is an address and no file: nothing is fetched or"):
        dv.from_weighting(make(address))
    assert not list(tmp_path.iterdir())


def test_a_table_is_0_beyond_both_of_its_ends():
    ends = np.array([-3.0, 5.0])
    for w in (np.array([1.0, 2.0]), np.array([0.0, 2.0])):  # by log w, and by w
        table = tables.Table(ends, w)
        np.testing.assert_array_equal(table(np.array([-40.0, -3.1, 5.1, 40.0])), 0)
        np.testing.assert_allclose(table(ends), w)
