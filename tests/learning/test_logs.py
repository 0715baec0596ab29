"""The loss by log-SNR of a finished run: right against the live tracker, closed forms and hand."""

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

import diffviz as dv
from diffviz.learning.logs import levels
from diffviz.learning.logs.record import LossLog
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.targets import base_gain

EDGES = np.linspace(-12, 12, 25)
LINEAR = {
    "_class_name": "DDPMScheduler",
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
}
FLOW = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "num_train_timesteps": 1000,
    "shift": 3.0,
}
COSINE = {
    "_class_name": "DDPMScheduler",
    "beta_schedule": "squaredcos_cap_v2",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
}


def alphas_cumprod():
    """ᾱ of the linear schedule by the definition (Ho et al. 2020)."""
    return np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def linear_logsnr(timestep):
    """λ of steps of the linear schedule."""
    signal = alphas_cumprod()[timestep]
    return np.log(signal / (1 - signal))


def live_run(steps=300, batch=16, seed=0):
    """Timesteps and losses of a run, shape (steps, batch): those of the ideal denoiser, N(0, 1)."""
    rng = np.random.default_rng(seed)
    timestep = rng.integers(0, 1000, (steps, batch))
    loss = expit(linear_logsnr(timestep)) * rng.standard_normal(timestep.shape) ** 2
    return timestep, loss


def rows_of(timestep, loss, **more):
    return [
        {"step": step, "timestep": int(t), "loss": float(value)} | more
        for step, (ts, values) in enumerate(zip(timestep, loss, strict=True))
        for t, value in zip(ts, values, strict=True)
    ]


def lists_of(timestep, loss):
    return [
        {"step": step, "timestep": ts.tolist(), "loss": values.tolist()}
        for step, (ts, values) in enumerate(zip(timestep, loss, strict=True))
    ]


def write_lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_csv(file, rows, delimiter=",", point="."):
    names = list(rows[0])
    lines = [delimiter.join(names)]
    lines += [delimiter.join(str(row[n]).replace(".", point) for n in names) for row in rows]
    file.write_text("\n".join(lines) + "\n")
    return file


# --- the same as the live run -----------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.9, 0.99])
@pytest.mark.parametrize("listed", [False, True], ids=["a row a sample", "a row a batch"])
def test_the_tracker_from_the_log_is_that_of_the_live_run(tmp_path, decay, listed):
    timestep, loss = live_run()
    live = LossByLogSNR(EDGES, decay)
    for ts, values in zip(timestep, loss, strict=True):
        live.update(linear_logsnr(ts), values)
    rows = lists_of(timestep, loss) if listed else rows_of(timestep, loss)
    file = write_lines(tmp_path / "log.jsonl", rows)
    log = dv.read_log(file, scheduler=LINEAR, edges=EDGES, decay=decay)
    for name in ("mean", "stderr", "count", "not_finite"):
        np.testing.assert_allclose(getattr(log, name), getattr(live, name), rtol=1e-9)
    np.testing.assert_allclose(log.curve("v").second, live.curve("v").second, rtol=1e-9)


def test_batches_of_changing_sizes_age_as_in_the_live_run():
    rng = np.random.default_rng(1)
    live = LossByLogSNR(EDGES, 0.9)
    rows = []
    for step, size in enumerate([4, 4, 1, 7, 7, 7, 3, 1, 1, 1]):
        level, loss = rng.normal(0, 4, size), rng.random(size)
        live.update(level, loss)
        rows += [
            {"step": step, "logsnr": at, "loss": value}
            for at, value in zip(level, loss, strict=True)
        ]
    log = dv.read_log(rows, edges=EDGES, decay=0.9)
    np.testing.assert_allclose(log.mean, live.mean, rtol=1e-12)
    np.testing.assert_allclose(log.count, live.count)


def test_without_a_decay_the_last_half_of_the_steps_counts_alike():
    timestep, loss = live_run()
    log = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR, edges=EDGES)
    level, late = linear_logsnr(timestep[150:]).ravel(), loss[150:].ravel()
    for place in range(24):
        inside = late[(level >= EDGES[place]) & (level < EDGES[place + 1])]
        assert log.count[place + 1] == len(inside)
        if len(inside) > 1:
            assert log.mean[place] == pytest.approx(inside.mean(), rel=1e-9)
            error = inside.std(ddof=1) / len(inside) ** 0.5
            assert log.stderr[place] == pytest.approx(error, rel=1e-9)
    whole = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR, edges=EDGES, last=1.0)
    assert whole.count.sum() == loss.size


@pytest.mark.parametrize("share", [1e-300, 1e-3, 1 / 300])
def test_however_small_the_share_the_last_step_counts(share):
    timestep, loss = live_run()
    log = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR, edges=EDGES, last=share)
    assert log.count.sum() == loss[-1].size


def test_a_log_is_a_tracker_that_travels():
    timestep, loss = live_run(40)
    log = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR, edges=EDGES)
    assert isinstance(log, LossByLogSNR)
    for twin in (pickle.loads(pickle.dumps(log)), copy.deepcopy(log)):
        assert isinstance(twin, LossLog)
        assert twin.text() == log.text()
        np.testing.assert_array_equal(twin.mean, log.mean)
    assert dv.AdaptiveObjective(dv.objective("ddpm-linear"), log).law.mean() == pytest.approx(
        dv.AdaptiveObjective(dv.objective("ddpm-linear"), log.merge(LossByLogSNR(EDGES))).law.mean()
    )


# --- levels -----------------------------------------------------------------------------------


def test_a_step_of_a_table_of_betas_has_the_level_of_its_cumulative_product():
    timestep = np.arange(1000.0)
    known = levels.objective_of(LINEAR)
    found = levels.levels_of(timestep, "timestep", known).logsnr
    np.testing.assert_allclose(found, linear_logsnr(np.arange(1000)), atol=1e-9)


def stable_diffusion():
    """λ of the steps of Stable Diffusion's table, by the product of 1 − β."""
    signal = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    return np.log(signal / (1 - signal))


def whole_table():
    """DDPM's loss on Stable Diffusion's table."""
    entries = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    return dv.from_diffusers(LINEAR | entries)


def weighted_steps(*steps):
    """An objective of a table of weights over some steps of Stable Diffusion's table."""
    step = np.concatenate(steps)
    weights = {"timestep": step, "weight": np.ones(len(step))}
    return dv.from_weighting(weights, path=whole_table().path)


def followed(objective):
    """An objective whose law is the one that an adaptive schedule begins with."""
    return replace(objective, law=dv.AdaptiveObjective(objective, LossByLogSNR(EDGES)).law)


def of_part(change):
    """An objective on Stable Diffusion's table whose law and path are those of a part of it."""
    whole = whole_table()
    law = change(whole.law)
    return replace(whole, law=law, path=dv.paths.from_density(law))


# trainings on some of the steps of Stable Diffusion's table
ON_PART_OF_A_TABLE = {
    "sd-scripts": lambda: dv.from_settings(
        "train_network.py --min_timestep 200 --max_timestep 800"
    ),
    "onetrainer": lambda: dv.from_settings(
        {
            "model_type": "STABLE_DIFFUSION_XL_10_BASE",
            "min_noising_strength": 0.2,
            "max_noising_strength": 0.8,
        },
        trainer="onetrainer",
    ),
    "ai-toolkit": lambda: dv.from_settings({"noise_scheduler": "ddpm"}, trainer="ai-toolkit"),
    "truncated": lambda: of_part(lambda law: dv.laws.truncated(law, -2.0, 2.0)),
    "by another law of time": lambda: of_part(
        lambda law: dv.laws.quantile_of(stats.uniform(0.2, 0.5), law)
    ),
    "by a table of weights": lambda: weighted_steps(np.arange(200, 800)),
    "by a table with gaps": lambda: weighted_steps([0, 1], np.arange(2, 997, 5), [998, 999]),
    "by an adaptive law": lambda: followed(weighted_steps(np.arange(200, 800))),
}


@pytest.mark.parametrize("make", ON_PART_OF_A_TABLE.values(), ids=ON_PART_OF_A_TABLE)
def test_a_step_has_the_same_level_where_others_are_never_drawn(make):
    timestep = np.arange(1000.0)
    objective = make()
    assert len(objective.law.dist.levels) < 1000
    found = levels.levels_of(timestep, "timestep", objective).logsnr
    np.testing.assert_allclose(found, stable_diffusion(), atol=1e-9)


@pytest.mark.parametrize("name", ["sd-scripts", "by a table of weights"])
def test_a_log_of_part_of_a_table_is_spent_on_that_part(name):
    objective = ON_PART_OF_A_TABLE[name]()
    timestep = np.tile(np.arange(200, 800), 4)
    rows = {"timestep": timestep, "loss": np.ones(2400)}
    log = dv.read_log(rows, scheduler=objective, last=1.0, edges=[-4.0, -1.0, 2.0])
    below = np.mean(stable_diffusion()[200:800] < -1)
    assert log.share_below(-1.0) == pytest.approx(below, abs=1e-12)
    assert "not drawn as" not in log.text()
    assert "another scheduler" not in log.text()


FLOWS_ON_A_TABLE = {
    "four levels": (
        {"model_family": "flux", "flux_fast_schedule": True},
        "simpletuner",
    ),
    "part of a table": (
        {"model_paths": "wan2", "max_timestep_boundary": 0.4},
        "diffsynth",
    ),
    "one entry more than steps": (
        {"noise_scheduler": "flowmatch", "timestep_type": "lognorm_blend"},
        "ai-toolkit",
    ),
}


@pytest.mark.parametrize(("settings", "trainer"), FLOWS_ON_A_TABLE.values(), ids=FLOWS_ON_A_TABLE)
def test_a_timestep_of_a_trainer_of_flows_is_a_thousandth_of_sigma(settings, trainer):
    objective = dv.from_settings(settings, trainer=trainer)
    sigma = np.array([0.25, 0.5, 0.75])
    found = levels.levels_of(1000 * sigma, "timestep", objective).logsnr
    np.testing.assert_allclose(found, np.log(((1 - sigma) / sigma) ** 2), atol=1e-12)


def test_the_step_without_signal_lies_below_all_bins():
    config = LINEAR | {"rescale_betas_zero_snr": True}
    rows = {"timestep": [0, 500, 999], "loss": [1.0, 1.0, 1.0]}
    log = dv.read_log(rows, scheduler=config, last=1.0)
    assert log.count[0] == 1
    assert log.count.sum() == 3
    assert "1 draw below" in log.text()


@pytest.mark.parametrize("scale", [1, 1000])
def test_the_time_of_a_flow_is_sigma(scale):
    sigma = np.array([0.1, 0.25, 0.5, 0.9])
    expected = np.log(((1 - sigma) / sigma) ** 2)
    for scheduler in (FLOW, "fm-ot"):
        known = levels.objective_of(scheduler)
        found = levels.levels_of(sigma * scale, "timestep", known).logsnr
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_allclose(levels.levels_of(sigma, "sigma", known).logsnr, expected)


def test_sigma_is_noise_over_signal_under_edm_and_beyond_one():
    sigma = np.array([0.1, 0.5, 20.0])
    expected = -2 * np.log(sigma)
    edm = levels.objective_of("edm")
    np.testing.assert_allclose(levels.levels_of(sigma, "sigma", edm).logsnr, expected)
    np.testing.assert_allclose(levels.levels_of(sigma, "sigma", None).logsnr, expected)
    c_noise = np.log(sigma) / 4
    np.testing.assert_allclose(levels.levels_of(c_noise, "timestep", edm).logsnr, expected)
    beyond = levels.levels_of(sigma, "sigma", levels.objective_of(LINEAR)).logsnr
    np.testing.assert_allclose(beyond, expected)


def test_sigma_of_a_variance_preserving_path_is_its_scale_of_noise():
    signal = alphas_cumprod()[[10, 500, 900]]
    known = levels.objective_of(LINEAR)
    found = levels.levels_of(np.sqrt(1 - signal), "sigma", known).logsnr
    np.testing.assert_allclose(found, np.log(signal / (1 - signal)), atol=1e-9)


def test_the_time_of_a_continuous_path_runs_from_data_to_noise():
    known = levels.objective_of("v-cosine")
    time = np.array([0.1, 0.5, 0.9])
    found = levels.levels_of(time, "timestep", known).logsnr
    np.testing.assert_allclose(found, -2 * np.log(np.tan(np.pi * time / 2)), atol=1e-9)
    ends = levels.levels_of(np.array([0.0, 1.0]), "timestep", known).logsnr
    assert ends.tolist() == [np.inf, -np.inf]


# --- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["eps", "x", "v", "u"])
def test_the_loss_of_a_base_becomes_the_squared_eps_error(base):
    rng = np.random.default_rng(0)
    logsnr = rng.uniform(-8, 8, 4000)
    eps_error = expit(logsnr) * 12  # the ideal denoiser of N(0, I) in 12 dimensions
    gain = {
        "eps": np.ones_like(logsnr),
        "x": np.exp(-logsnr / 2),
        "v": 1 / np.sqrt(expit(logsnr)),
        "u": 1 + np.exp(-logsnr / 2),
    }[base]
    rows = {"logsnr": logsnr, "loss": gain**2 * eps_error / 12}
    log = dv.read_log(rows, base=base, dim=12, edges=np.linspace(-8, 8, 65), last=1.0)
    np.testing.assert_allclose(log.mean, 12 * expit(log.middle), rtol=0.08)
    np.testing.assert_allclose(log.curve(base).mean, base_gain(base, log.middle) ** 2 * log.mean)


def test_the_weighted_loss_of_an_objective_becomes_the_squared_eps_error():
    edm = dv.objective("edm")
    logsnr, factor = edm.draw(20_000, np.random.default_rng(0))
    eps_error = 3 * expit(logsnr)
    rows = {"sigma": np.exp(-logsnr / 2), "loss": factor * eps_error / 3}
    log = dv.read_log(rows, scheduler="edm", dim=3, edges=np.linspace(-4, 8, 49), last=1.0)
    np.testing.assert_allclose(log.mean, 3 * expit(log.middle), rtol=0.08)
    explicit = dv.read_log(
        rows, scheduler="edm", base=edm, dim=3, edges=np.linspace(-4, 8, 49), last=1.0
    )
    np.testing.assert_array_equal(explicit.mean, log.mean)


@pytest.mark.parametrize("name", ["fm-ot", "edm", "sd3"])
def test_what_a_run_spends_and_weights_is_that_of_its_objective(name):
    objective = dv.objective(name)
    logsnr, factor = objective.draw(40_000, np.random.default_rng(0))
    loss = factor * expit(logsnr)
    edges = np.linspace(-16, 16, 65)
    rows = {"sigma": np.exp(-logsnr / 2), "loss": loss}
    if name != "edm":
        rows["sigma"] = 1 / (1 + np.exp(logsnr / 2))
    log = dv.read_log(rows, scheduler=name, edges=edges, last=1.0)
    for at in (-2.0, 0.0, 3.0):
        share = dv.share_below(objective, at, mmse=expit, low=-16, high=16)
        assert log.share_below(at) == pytest.approx(share, abs=0.005)
    many = log.count[1:-1] > 2000
    expected = objective.weighting(log.middle[many])
    np.testing.assert_allclose(log.table()[many, 1], expected, rtol=0.08)
    assert log.spent.sum() == pytest.approx(1)


def test_an_unweighted_error_is_weighted_by_the_objective_of_the_run():
    objective = dv.objective("sd3")
    logsnr, factor = objective.draw(20_000, np.random.default_rng(0))
    sigma = 1 / (1 + np.exp(logsnr / 2))
    weighted = {"sigma": sigma, "loss": factor * expit(logsnr)}
    plain = {"sigma": sigma, "loss": expit(logsnr)}
    one = dv.read_log(weighted, scheduler="sd3", edges=EDGES)
    other = dv.read_log(plain, scheduler="sd3", base="eps", edges=EDGES)
    np.testing.assert_allclose(one.spent, other.spent, rtol=1e-9)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9)


def test_the_log_of_a_v_prediction_reads_the_v_error():
    timestep, _ = live_run(100)
    known = dv.from_diffusers(COSINE)
    table = np.sort(known.law.dist.levels)[::-1]
    logsnr = table[timestep]
    loss = expit(logsnr) / expit(logsnr)  # |v error|² = |eps error|²/alpha², which is 1 on N(0, 1)
    edges = np.linspace(-12, 12, 193)
    log = dv.read_log(rows_of(timestep, loss), scheduler=COSINE, edges=edges, last=1.0)
    seen = np.isfinite(log.mean)
    np.testing.assert_allclose(log.curve("v").mean[seen], 1.0, rtol=0.07)
    assert "v error" in log.text()
    assert log.spent[1:-1] == pytest.approx(log.count[1:-1] / log.count.sum())


# --- forms ------------------------------------------------------------------------------------


def forms(tmp_path, rows):
    """The same rows in every form that needs no other package."""
    names = list(rows[0])
    (tmp_path / "one").mkdir()
    document = tmp_path / "list.json"
    document.write_text(json.dumps(rows))
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"global_step": 3, "log_history": rows}))
    return {
        "lines": write_lines(tmp_path / "log.jsonl", rows),
        "text": str(write_lines(tmp_path / "log.txt", rows)),
        "commas": write_csv(tmp_path / "log.csv", rows),
        "semicolons": write_csv(tmp_path / "semicolons.csv", rows, ";"),
        "decimal commas": write_csv(tmp_path / "decimal.csv", rows, ";", ","),
        "tabs": write_csv(tmp_path / "log.tsv", rows, "\t"),
        "folder": write_lines(tmp_path / "one" / "log.jsonl", rows).parent,
        "document": document,
        "trainer state": state,
        "rows": rows,
        "columns": {name: np.array([row[name] for row in rows]) for name in names},
    }


def test_every_form_of_a_log_is_read_alike(tmp_path):
    timestep, loss = live_run(30, 4)
    read = {
        form: dv.read_log(log, scheduler=LINEAR, edges=EDGES)
        for form, log in forms(tmp_path, rows_of(timestep, loss)).items()
    }
    expected = read.pop("rows")
    assert np.isfinite(expected.mean).any()
    for form, log in read.items():
        np.testing.assert_allclose(log.mean, expected.mean, rtol=1e-12, err_msg=form)
        np.testing.assert_array_equal(log.count, expected.count, err_msg=form)


def test_a_frame_of_pandas_is_read():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    timestep, loss = live_run(30, 4)
    rows = rows_of(timestep, loss)
    log = dv.read_log(pandas.DataFrame(rows), scheduler=LINEAR, edges=EDGES)
    np.testing.assert_allclose(
        log.mean, dv.read_log(rows, scheduler=LINEAR, edges=EDGES).mean, rtol=1e-12
    )
    sparse = pandas.DataFrame([*rows, {"step": 99, "lr": 0.1}])
    assert "1 row without a level" in dv.read_log(sparse, scheduler=LINEAR, edges=EDGES).text()


def test_an_export_of_wandb_is_read(tmp_path):
    timestep, loss = live_run(20, 1)
    lines = ['"_step","train/loss","train/timestep","lr","train/loss__MIN"']
    for step, (t, value) in enumerate(zip(timestep[:, 0], loss[:, 0], strict=True)):
        lines.append(f'"{step}","{float(value)!r}","{t}","",""')
        lines.append(f'"{step}","","","0.001",""')
    file = tmp_path / "export.csv"
    file.write_text("\n".join(lines) + "\n")
    log = dv.read_log(file, scheduler=LINEAR, edges=EDGES, last=1.0)
    expected = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR, edges=EDGES, last=1.0)
    np.testing.assert_allclose(log.mean, expected.mean, rtol=1e-12)
    assert "20 rows without a level or a loss" in log.text()
    assert "'_step'" in log.text()


def test_a_cell_of_csv_may_hold_a_list(tmp_path):
    timestep, loss = live_run(20, 3)
    rows = lists_of(timestep, loss)
    lines = ["step,timestep,loss"]
    lines += [f'{row["step"]},"{row["timestep"]}","{row["loss"]}"' for row in rows]
    file = tmp_path / "lists.csv"
    file.write_text("\n".join(lines) + "\n")
    log = dv.read_log(file, scheduler=LINEAR, edges=EDGES, decay=0.9)
    np.testing.assert_allclose(
        log.mean, dv.read_log(rows, scheduler=LINEAR, edges=EDGES, decay=0.9).mean, rtol=1e-12
    )


def test_a_batch_at_one_level_counts_each_of_its_losses():
    rows = [{"logsnr": 1.0, "loss": [1.0, 3.0]}, {"logsnr": [-1.0], "loss": [2.0, 2.0]}]
    log = dv.read_log(rows, edges=[-2.0, 0.0, 2.0], last=1.0)
    assert log.mean.tolist() == [2.0, 2.0]
    assert log.count.tolist() == [0, 2, 2, 0]


def test_the_scheduler_may_be_a_file(tmp_path):
    file = tmp_path / "scheduler_config.json"
    file.write_text(json.dumps(LINEAR))
    timestep, loss = live_run(20, 3)
    rows = rows_of(timestep, loss)
    one, other = (dv.read_log(rows, scheduler=s, edges=EDGES) for s in (str(file), LINEAR))
    np.testing.assert_array_equal(one.mean, other.mean)


# --- pictures and words -----------------------------------------------------------------------


def test_the_plot_stands_over_the_floor_of_the_data():
    import torch

    x = dv.toy("gaussian").sample(300, torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    level = rng.uniform(-4, 4, 2000)
    log = dv.read_log({"logsnr": level, "loss": 2 * expit(level) + 0.1}, edges=np.arange(-4.0, 5))
    ax = log.plot(floor=dv.floor(x, np.arange(-4.0, 5)))
    assert {"loss:stderr", "floor"} <= {shade.get_gid() for shade in ax.collections}
    np.testing.assert_allclose(ax.lines[0].get_ydata(), log.mean)
    spent = log.plot_spent().lines[0].get_ydata()
    assert (spent * log.width).sum() == pytest.approx(log.spent[1:-1].sum())


def test_the_text_says_how_the_log_was_read():
    timestep, loss = live_run(20, 3)
    text = dv.read_log(rows_of(timestep, loss), scheduler=LINEAR).text()
    for part in (
        "columns: loss 'loss', timestep 'timestep', step 'step' ('loss', 'timestep', 'step' by",
        "step of the table of 'DDPMScheduler', 1000 steps",
        "30 of 60 loss values count, those of 10 steps from 10 on",
        "dim= was not given",
    ):
        assert part in text
    assert "base= was not given" not in text
    assert "base= was not given" in dv.read_log({"logsnr": [0.0], "loss": [1.0]}).text()


def test_text_in_a_log_is_escaped_in_a_notebook():
    rows = [{"<b>loss": 1.0, "logsnr": 0.0, "step": step} for step in range(3)]
    html = dv.read_log(rows, loss="<b>loss")._repr_html_()
    assert "&lt;b&gt;loss" in html
    assert "<b>" not in html
