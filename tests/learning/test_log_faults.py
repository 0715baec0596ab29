"""Logs that are empty, cut, mixed or misread: each has a clear answer."""

import builtins
import json

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.learning.logs import columns

EDGES = np.arange(-4.0, 5.0)
LINEAR = {
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "_class_name": "DDPMScheduler",
}


def rows(n=8, **more):
    return [{"step": step, "logsnr": 0.5, "loss": 1.0 + step} | more for step in range(n)]


def lines(log):
    return "".join(json.dumps(row) + "\n" for row in log)


def written(tmp_path, text, name="log.jsonl"):
    file = tmp_path / name
    file.write_bytes(text) if isinstance(text, bytes) else file.write_text(text)
    return file


def read(log, **options):
    return dv.read_log(log, **({"edges": EDGES, "last": 1.0} | options))


# --- empty, cut, mixed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "part"),
    [
        ("", "log.jsonl", "log.jsonl is empty"),
        ("\n\n", "log.csv", "log.csv is empty"),
        ("step,logsnr,loss\n", "log.csv", "no rows below its header step, logsnr, loss"),
        ("[]", "log.json", "is empty: it has no rows"),
        ("{}\n{}\n", "log.jsonl", "its columns are none"),
        ("0,1.0\n1,2.0\n", "log.csv", "must name the columns"),
        ("hello\nworld\n", "log.jsonl", "has no line of JSON; 2 of 2 lines are no JSON object"),
        (b"PAR1\x00\x01", "log.parquet", "pandas.read_parquet"),
        (b"\x1f\x8b\x08\x00", "log.jsonl.gz", "unpack it first"),
        (b":W&B\x00\x01", "run-1.wandb", "binary log of W&B"),
        (b"\x00\x01\x02", "log.bin", "is no text"),
        (b"loss,logsnr\n\xff\xfe,1\n", "log.csv", "is no text in UTF-8"),
    ],
)
def test_a_file_that_holds_no_log_is_refused_with_its_reason(tmp_path, text, name, part):
    with pytest.raises(ValueError, match=part.replace(".", r"\.").replace("&", "[&]")):
        dv.read_log(written(tmp_path, text, name))


def test_a_last_line_of_json_that_is_cut_is_left_out_and_named(tmp_path):
    text = lines(rows(5))
    log = read(written(tmp_path, text[:-9]))
    assert log.count.sum() == 4
    assert "line 5, the last one, is cut" in log.text()


def test_a_last_row_of_csv_that_is_cut_is_left_out_and_named(tmp_path):
    text = "loss,logsnr,lr\n1.0,0.5,0.1\n2.0,0.5,0.1\n3.0,0.5"
    log = read(written(tmp_path, text, "log.csv"))
    assert log.count.sum() == 2
    assert "1 of 3 rows lack cells, the last one, is cut and was left out" in log.text()


def test_lines_that_are_no_json_are_counted_and_the_first_is_shown(tmp_path):
    text = lines(rows(3)) + "Epoch 2: 10%\n" + lines(rows(6)[3:]) + "done\n"
    log = read(written(tmp_path, text))
    assert log.count.sum() == 6
    assert "2 of 8 lines are no JSON object" in log.text()
    assert "the first is line 4: 'Epoch 2: 10%'" in log.text()


def test_rows_of_another_kind_are_passed_over_and_counted():
    mixed = [*rows(4), {"step": 4, "eval/loss": 3.0}, {"step": 5, "lr": 0.1}, {"logsnr": 1.0}]
    log = read(mixed)
    assert log.count.sum() == 4
    assert "passed over: 3 rows without a level or a loss" in log.text()


def test_losses_that_are_not_finite_are_counted_by_level(tmp_path):
    log = [
        {"logsnr": -3.5, "loss": float("nan")},
        {"logsnr": -3.5, "loss": float("inf")},
        {"logsnr": 2.5, "loss": float("nan")},
        {"logsnr": 2.5, "loss": 1.0},
        {"logsnr": -9.0, "loss": float("nan")},
        {"logsnr": float("nan"), "loss": 1.0},
    ]
    for form in (log, written(tmp_path, lines(log))):
        tracker = read(form)
        assert tracker.not_finite.tolist() == [1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 1]
        assert tracker.mean[6] == 1.0
        said = "3 at λ from -4 to 3, 1 below λ = -4, 1 without a level; they enter no average"
        assert said in tracker.text()
        assert np.nansum(tracker.spent) == 1.0


def test_a_level_that_no_training_reaches_does_not_widen_the_bins():
    def edges(*levels):
        return dv.read_log([{"logsnr": level, "loss": 1.0} for level in levels], last=1.0).edges

    expected = edges(-3.5, 2.5)
    assert expected[0] == -3.5 and expected[-1] == 3
    for far in (20.5, -1000.0, float("inf"), float("-inf")):
        np.testing.assert_array_equal(edges(-3.5, 2.5, far), expected)
    assert edges(-3.5, 20.0)[-1] > 20


def test_a_word_in_a_cell_is_named_with_its_row():
    with pytest.raises(ValueError, match=r"'loss' holds 'high' in row 2, which is no number"):
        read([*rows(2), {"logsnr": 0.5, "loss": "high"}])
    with pytest.raises(TypeError, match="row 1 of the log must be a mapping"):
        read([rows(1)[0], 3])
    with pytest.raises(TypeError, match="a log is a file, a folder, a frame"):
        dv.read_log(3)
    with pytest.raises(ValueError, match="differ in length"):
        dv.read_log({"loss": [1.0], "logsnr": [1.0, 2.0]})


@pytest.mark.parametrize(
    "cell",
    [
        True,
        np.False_,
        [True, False],
        "[true, false]",
        1 + 2j,
        np.complex128(1 + 2j),
        np.ma.masked_array([1.0, 999.0], mask=[False, True]),
        [np.ma.masked_array([999.0], mask=[True])],
        np.datetime64("2026-01-01", "ns"),
        torch.tensor(True),
    ],
)
def test_a_cell_that_is_a_number_by_conversion_only_is_named(cell):
    with pytest.raises(ValueError, match=r"(?s)'loss' holds .* in row 1, which is no number"):
        read([{"logsnr": 0.5, "loss": 1.0}, {"logsnr": 0.5, "loss": cell}])


def test_masked_cells_of_a_log_are_missing():
    plain = {"logsnr": [0.5, 0.5], "loss": [1.0, 3.0]}
    masked = np.ma.masked_array([1.0, 999.0, 3.0], mask=[False, True, False])
    logs = (
        {"logsnr": [0.5] * 3, "loss": masked},
        [{"logsnr": 0.5, "loss": loss} for loss in (1.0, np.ma.masked, 3.0)],
        [{"logsnr": 0.5, "loss": loss} for loss in (1.0, np.array(None), 3.0)],
    )
    for log in logs:
        found = read(log)
        np.testing.assert_array_equal(found.mean, read(plain).mean)
        assert "passed over: 1 row without a level or a loss" in found.text()


def test_level_and_loss_in_different_rows_are_refused():
    log = [{"logsnr": 0.5}, {"loss": 1.0}]
    with pytest.raises(ValueError, match="no row of the log has both 'logsnr' and 'loss'"):
        read(log)


# --- columns ----------------------------------------------------------------------------------


def test_a_wrong_column_is_met_with_near_names():
    with pytest.raises(ValueError, match=r"loss='los' is no column.*did you mean 'loss'"):
        read(rows(), loss="los")
    with pytest.raises(ValueError, match=r"timestep='logsnt' is no column.*mean 'logsnr'"):
        read(rows(), timestep="logsnt", scheduler=LINEAR)
    with pytest.raises(TypeError, match="step names a column of the log, got 3"):
        read(rows(), step=3)
    with pytest.raises(ValueError, match="timestep and logsnr name one level twice"):
        read(rows(), timestep="step", logsnr="logsnr")


def test_a_log_without_levels_says_what_can_no_longer_be_told():
    log = [{"step": 1, "train/loss": 0.1, "lr": 1e-4}]
    with pytest.raises(
        ValueError, match="no noise level: its columns are step, train/loss, lr"
    ) as error:
        dv.read_log(log)
    assert "can no longer be told apart by level" in str(error.value)
    assert "diffviz.learning.callbacks" in str(error.value)


def test_a_long_name_of_a_column_is_cut_in_the_message():
    with pytest.raises(ValueError, match=r"its columns are xxx.* \.\.\. xxx") as error:
        dv.read_log([{"x" * 5_000: 1.0}])
    assert len(str(error.value)) < 1000


def test_a_loss_that_no_name_tells_is_asked_for():
    with pytest.raises(ValueError, match=r"name it by loss=, such as loss='recon_loss'"):
        read([{"logsnr": 1.0, "recon_loss": 2.0}])
    with pytest.raises(ValueError, match=r"'a/loss', 'b/loss' could each be the loss"):
        read([{"logsnr": 1.0, "a/loss": 2.0, "b/loss": 2.0}])


@pytest.mark.parametrize(
    ("names", "loss", "level", "kind", "step"),
    [
        (("step", "loss", "t"), "loss", "t", "timestep", "step"),
        (("val/loss", "train/loss", "timesteps"), "train/loss", "timesteps", "timestep", None),
        (("_step", "brisk-sun-7 - loss", "Sigma"), "brisk-sun-7 - loss", "Sigma", "sigma", "_step"),
        (("loss__MIN", "loss", "loss__MAX", "log-SNR"), "loss", "log-SNR", "logsnr", None),
        (("train/loss", "other/loss", "timestep"), "train/loss", "timestep", "timestep", None),
        (
            ("trainer/global_step", "train_loss", "sigma", "logsnr"),
            "train_loss",
            "logsnr",
            "logsnr",
            "trainer/global_step",
        ),
    ],
)
def test_columns_are_guessed_by_their_names(names, loss, level, kind, step):
    none = dict.fromkeys(columns.LEVELS)
    chosen = columns.choose(names, "log", loss=None, levels=none, step=None)
    assert (chosen.loss, chosen.level, chosen.kind, chosen.step) == (loss, level, kind, step)
    assert set(chosen.guessed) == {loss, level, *([step] if step else [])}


# --- means over several levels ------------------------------------------------------------------


def test_the_mean_of_a_batch_says_what_can_no_longer_be_told():
    with pytest.raises(ValueError, match=r"row 1 is one number for 3 levels.*no longer be told"):
        read([{"logsnr": [1.0], "loss": 2.0}, {"logsnr": [0.0, 1.0, 2.0], "loss": 2.0}])
    with pytest.raises(ValueError, match="row 0 has 2 levels in 'logsnr' but 3 losses in 'loss'"):
        read([{"logsnr": [0.0, 1.0], "loss": [1.0, 2.0, 3.0]}])


def test_a_column_of_mean_timesteps_says_over_how_many():
    timestep = np.random.default_rng(0).integers(0, 1000, (40, 8)).mean(1)
    with pytest.raises(ValueError, match="a mean over 8 levels or a multiple of that: which"):
        dv.read_log({"timestep": timestep, "loss": np.ones(40)}, scheduler=LINEAR)
    with pytest.raises(ValueError, match="perhaps a mean over a batch"):
        dv.read_log({"timestep": [np.pi, np.e], "loss": [1.0, 1.0]}, scheduler=LINEAR)


# --- several runs, and changes on the way -------------------------------------------------------


def test_several_runs_by_name_are_asked_for():
    log = [*rows(4, run="a"), *[row | {"loss": 9.0} for row in rows(4, run="b")]]
    with pytest.raises(ValueError, match=r"holds 2 runs; pass run='a', or a list.*\('a', 'b'\)"):
        read(log)
    assert read(log, run="b").mean[4] == 9.0
    both = read(log, run=["a", "b"])
    assert both.mean[4] == pytest.approx((1 + 2 + 3 + 4 + 4 * 9) / 8)
    assert "runs a, b of 2 taken together" in both.text()
    with pytest.raises(ValueError, match="run='c' is not in the log; it holds 'a', 'b'"):
        read(log, run="c")


def test_several_runs_without_names_are_told_by_their_steps():
    log = [*rows(4), *[row | {"loss": 9.0} for row in rows(6)]]
    with pytest.raises(ValueError, match=r"2 runs: the steps start anew 1 time; .* pass run=0"):
        read(log)
    assert read(log, run=1).mean[4] == 9.0
    assert read(log, run=0).count.sum() == 4


def test_steps_that_were_made_again_count_once():
    again = [row | {"loss": 50.0} for row in rows(8)[4:]]
    log = read([*rows(6), *again])
    assert log.count.sum() == 8
    assert log.mean[4] == pytest.approx((1 + 2 + 3 + 4 + 4 * 50) / 8)
    assert "resumed at step 4 after step 5" in log.text()


def test_steps_that_were_made_again_count_once_in_each_of_several_runs():
    first = [*rows(6, run="a"), *[row | {"loss": 50.0} for row in rows(8, run="a")[4:]]]
    log = read([*first, *rows(4, run="b")], run=["a", "b"])
    assert log.count.sum() == 12
    assert log.mean[4] == pytest.approx((1 + 2 + 3 + 4 + 4 * 50 + 1 + 2 + 3 + 4) / 12)


def test_of_several_runs_each_counts_with_its_last_steps():
    log = [*rows(10, run="a"), *[row | {"loss": 9.0} for row in rows(100, run="b")]]
    both = read(log, run=["a", "b"], last=0.5)
    assert both.count.sum() == 5 + 50
    assert both.mean[4] == pytest.approx((sum(1.0 + step for step in range(5, 10)) + 50 * 9) / 55)
    without_names = [{**row, "run": ""} for row in log]
    assert read(without_names, run=[0, 1], last=0.5).count.sum() == 5 + 50


def test_a_setting_that_is_logged_now_and_then_changes_where_it_does():
    log = [row | ({"shift": 1.0} if row["step"] % 2 else {}) for row in rows(8)]
    assert "changes" not in read(log).text()
    later = [*log[:-1], log[-1] | {"shift": 3.0}]
    assert "shift changes from 1.0 to 3.0 at step 7" in read(later).text()


@pytest.mark.parametrize("timestep", [0.001, 0.999])
def test_levels_at_one_end_of_a_law_are_named(timestep):
    log = {"timestep": np.full(400, timestep), "loss": np.ones(400)}
    assert "their levels cannot be told" in dv.read_log(log, scheduler="fm-ot").text()


def test_a_setting_that_changes_half_way_is_named():
    log = [*rows(4, shift=1.0), *[row | {"shift": 3.0} for row in rows(8)[4:]]]
    assert "shift changes from 1.0 to 3.0 at step 4" in read(log).text()
    assert "changes" not in read(rows(8, shift=1.0)).text()


def test_levels_that_are_drawn_differently_later_are_named():
    rng = np.random.default_rng(0)
    level = np.r_[rng.normal(0, 1, 2000), rng.normal(1, 1, 2000)]
    ones = np.ones(4000)
    assert (
        "drawn differently from those of the first" in read({"logsnr": level, "loss": ones}).text()
    )
    same = rng.permutation(level)
    assert "drawn differently" not in read({"logsnr": same, "loss": ones}).text()


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "options", "part"),
    [
        ({"timestep": [5], "loss": [1.0]}, {}, "no log-SNR without its schedule"),
        ({"sigma": [0.5], "loss": [1.0]}, {}, "sigma between 0 and 1 is that of a flow"),
        ({"sigma": [-0.5], "loss": [1.0]}, {}, "sigma must be at least 0"),
        ({"sigma": [1.5], "loss": [1.0]}, {"scheduler": "fm-ot"}, "lies in \\[0, 1\\], got 1.5"),
        ({"timestep": [1000], "loss": [1.0]}, {"scheduler": LINEAR}, "1000 lies outside the table"),
        ({"timestep": [1500], "loss": [1.0]}, {"scheduler": "fm-ot"}, "lie in \\[0, 1000\\]"),
        ({"timestep": [500], "loss": [1.0]}, {"scheduler": "edm"}, "is ln\\(sigma\\)/4"),
        ({"timestep": [500], "loss": [1.0]}, {"scheduler": "v-cosine"}, "continuous time in"),
        ({"timestep": [5], "loss": [1.0]}, {"scheduler": "fm-to"}, "did you mean 'fm-ot'"),
        ({"timestep": [5], "loss": [1.0]}, {"scheduler": "no.json"}, "there is no file 'no.json'"),
        ({"logsnr": [5], "loss": [1.0]}, {"base": "w"}, "unknown base 'w'"),
        ({"logsnr": [5], "loss": [1.0]}, {"base": "weighted"}, "pass scheduler= too"),
        ({"logsnr": [5], "loss": [1.0]}, {"dim": 0}, "dim must be at least 1"),
        ({"logsnr": [5], "loss": [1.0]}, {"last": 0.0}, "last must be above 0"),
        ({"logsnr": [5], "loss": [1.0]}, {"last": 2.0}, "last must lie in"),
        ({"logsnr": [5], "loss": [1.0]}, {"decay": 0.9, "last": 1.0}, "two ways to forget"),
        ({"logsnr": [5], "loss": [1.0]}, {"decay": 1.5}, "decay lies in"),
        ({"logsnr": [50], "loss": [1.0]}, {}, "no level of the log lies within"),
    ],
)
def test_a_wrong_setting_is_refused(log, options, part):
    with pytest.raises(ValueError, match=part):
        dv.read_log(log, **options)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[" * 100_000, "holds no config of a scheduler in JSON"),
        ("{" * 5, "holds no config of a scheduler in JSON"),
        (b"\xff\xff{}", "cannot read"),
        ("[1]", "holds no config of a scheduler"),
    ],
)
def test_a_scheduler_file_that_cannot_be_read_is_named(tmp_path, content, part):
    file = written(tmp_path, content, "scheduler.json")
    with pytest.raises(ValueError, match=part) as caught:
        read(rows(), scheduler=str(file))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_scheduler_file_may_be_in_any_unicode(tmp_path, encoding):
    file = written(tmp_path, json.dumps(LINEAR).encode(encoding), "scheduler.json")
    log = [{"timestep": 400 + step, "loss": 1.0} for step in range(8)]
    found = read(log, scheduler=file)
    np.testing.assert_array_equal(found.mean, read(log, scheduler=LINEAR).mean)


def test_a_folder_must_hold_one_log(tmp_path):
    with pytest.raises(ValueError, match="holds no log"):
        dv.read_log(tmp_path)
    written(tmp_path, lines(rows()), "a.jsonl")
    assert read(tmp_path).count.sum() == 8
    written(tmp_path, lines(rows()), "b.jsonl")
    with pytest.raises(ValueError, match=r"holds several logs; pass one of a\.jsonl, b\.jsonl"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no log"):
        read(tmp_path / "c.jsonl")


# --- TensorBoard --------------------------------------------------------------------------------


def test_an_event_file_without_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    true_import = builtins.__import__

    def without(name, *more, **named):
        if name.startswith("tensorboard"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="tensorboard")
        return true_import(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'diffviz\[logs\]'"):
        read(written(tmp_path, b"\x01\x02", "events.out.tfevents.1.host"))


def test_event_files_are_joined_by_step_and_runs_by_folder(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra 'logs' is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for name, factor in (("a", 1.0), ("b", 9.0)):
        with SummaryWriter(tmp_path / name) as writer:
            for step in range(4):
                for sample in range(2):
                    writer.add_scalar("train/loss", factor * (1 + sample), step)
                    writer.add_scalar("train/logsnr", sample - 0.5, step)
                writer.add_scalar("lr", 0.1, step)
    one = read(tmp_path / "a")
    assert one.mean[3:5].tolist() == [1.0, 2.0]
    assert one.count.sum() == 8
    with pytest.raises(ValueError, match=r"holds 2 runs; pass run='a'"):
        read(tmp_path)
    assert read(tmp_path, run="b").mean[3:5].tolist() == [9.0, 18.0]
    with SummaryWriter(tmp_path / "a") as writer:  # resumed at step 3
        for sample in range(2):
            writer.add_scalar("train/loss", 5.0, 3)
            writer.add_scalar("train/logsnr", sample - 0.5, 3)
    again = read(tmp_path / "a")
    assert again.count.sum() == 8
    assert again.mean[3] == pytest.approx((3 * 1 + 5) / 4)
