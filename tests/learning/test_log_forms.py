"""Logs in the forms in which people have them: each is read as the plain one, or refused."""

import gzip
import json

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.__main__ import main
from diffviz.learning.logs import levels
from diffviz.recipes.settings import explain

EDGES = np.arange(-4.0, 5.0)
LEVELS = [-3.5, 0.5, 0.5, 2.5, -0.5, 3.5]
LOSSES = [1.0, 2.0, 4.0, 0.25, 3.0, 0.125]
ROWS = [
    {"step": step, "logsnr": level, "loss": loss}
    for step, (level, loss) in enumerate(zip(LEVELS, LOSSES, strict=True))
]
COLUMNS = {"step": list(range(6)), "logsnr": LEVELS, "loss": LOSSES}


def read(log, **options):
    return dv.read_log(log, **({"edges": EDGES, "last": 1.0} | options))


def csv(rows=ROWS, delimiter=","):
    return "".join(delimiter.join(map(str, row.values())) + "\n" for row in rows)


def written(tmp_path, text, name):
    file = tmp_path / name
    file.write_bytes(text) if isinstance(text, bytes) else file.write_text(text)
    return file


def jsonl(rows=ROWS):
    return "".join(json.dumps(row) + "\n" for row in rows)


def packed(text):
    """The same bytes at any time, since they are part of a test's name."""
    return gzip.compress(text.encode(), mtime=0)


def assert_is_plain(log):
    """Compare with averages that NumPy computes."""
    for place, low in enumerate(EDGES[:-1]):
        inside = [
            loss for level, loss in zip(LEVELS, LOSSES, strict=True) if low <= level < low + 1
        ]
        expected = np.mean(inside) if inside else np.nan
        np.testing.assert_allclose(log.mean[place], expected, rtol=1e-12, err_msg=str(low))
    below = sum(loss for level, loss in zip(LEVELS, LOSSES, strict=True) if level < 0)
    assert log.share_below(0.0) == pytest.approx(below / sum(LOSSES), rel=1e-12)


HEADER = "step,logsnr,loss\n"
LISTS = [(LEVELS[:2], LOSSES[:2]), (LEVELS[2:], LOSSES[2:])]


def in_cells(form):
    """A CSV with a list in each cell, as ``form`` prints it."""
    rows = [f'{step},"{form(a)}","{form(b)}"\n' for step, (a, b) in enumerate(LISTS)]
    return HEADER + "".join(rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nested.jsonl", jsonl([{"step": r["step"], "train": {"x": r}} for r in ROWS])),
        ("some.jsonl", jsonl([{"x": r, "step": r["step"]} for r in ROWS] + [{"eval": {"a": 1}}])),
        ("dotted.jsonl", jsonl([{f"train.x.{k}": v for k, v in r.items()} for r in ROWS])),
        ("columns.json", json.dumps(COLUMNS)),
        (
            "pandas.json",
            json.dumps({k: {str(i): x for i, x in enumerate(v)} for k, v in COLUMNS.items()}),
        ),
        (
            "split.json",
            json.dumps({"columns": list(ROWS[0]), "data": [list(row.values()) for row in ROWS]}),
        ),
        ("wrapped.json", json.dumps({"run": "a", "history": ROWS})),
        ("packed.jsonl.gz", packed(jsonl())),
        ("packed.csv.gz", packed(HEADER + csv())),
        ("marked.csv", ("\ufeff" + (HEADER + csv()).replace("\n", "\r\n")).encode()),
        ("blank.csv", "\n" + HEADER + csv()),
        ("comment.csv", "# run 7, lr 1e-4\n" + HEADER + csv()),
        ("numpy.csv", "# " + HEADER + csv()),
        ("bars.csv", "step|logsnr|loss\n" + csv(delimiter="|")),
        ("spaces.txt", "step  logsnr  loss\n" + csv(delimiter="   ")),
        ("lists.csv", in_cells(list)),
        ("arrays.csv", in_cells(np.array)),
        ("tensors.csv", in_cells(lambda numbers: repr(torch.tensor(numbers)))),
        ("devices.csv", in_cells(lambda numbers: f"tensor({numbers}, device='cuda:0')")),
        ("cut.csv", HEADER + csv() + "6,3.5,1.5e-"),
        ("ended.csv", HEADER + csv().replace("\n", ",\n")),
        ("longer.csv", HEADER + csv() + "6,3,5,1\n"),
        ("longer.txt", (HEADER + csv() + "6,3,5,1\n").replace(",", " ")),
        ("epochs.csv", "step,logsnr,loss_step,val/loss,loss_epoch\n" + csv().replace("\n", ",,\n")),
        ("validated.csv", "step,logsnr,loss,val\n,,,0.5\n" + csv().replace("\n", ",\n")),
    ],
)
def test_a_log_is_read_in_the_form_that_people_have(tmp_path, name, text):
    assert_is_plain(read(written(tmp_path, text, name)))


def test_a_number_that_is_cut_is_left_out_and_named(tmp_path):
    log = read(written(tmp_path, HEADER + csv() + "6,3.5,1.5e-", "cut.csv"))
    assert "line 8, the last one, is cut and was left out" in log.text()


def test_rows_with_more_cells_than_names_are_left_out_and_named(tmp_path):
    log = read(written(tmp_path, HEADER + csv() + "6,3,5,1\n", "log.csv"))
    said = "1 of 7 rows have more cells than the header names, the first is line 8; such rows were"
    assert said in log.text()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_decimal_comma_with_three_digits_is_one_where_the_delimiter_tells(tmp_path, delimiter):
    text = "logsnr;loss\n0;1,125\n0;3\n".replace(";", delimiter)
    log = read(written(tmp_path, text, "log.csv"))
    assert np.nanmax(log.mean) == (1.125 + 3) / 2


def test_tensors_lose_their_gradients_and_bfloat16_is_read():
    rows = [
        {"logsnr": torch.tensor(a), "loss": torch.tensor(b, requires_grad=True)} for a, b in LISTS
    ]
    assert_is_plain(read(rows))
    narrow = [{"logsnr": torch.tensor(a), "loss": torch.tensor(b).bfloat16()} for a, b in LISTS]
    assert_is_plain(read(narrow))


def test_a_frame_with_missing_cells_passes_them_over():
    pandas = pytest.importorskip("pandas", reason="frames are read where pandas is")
    frame = pandas.DataFrame(
        {name: pandas.array([*cells, None], dtype="Float64") for name, cells in COLUMNS.items()}
    )
    log = read(frame)
    assert_is_plain(log)
    assert "1 row without a level or a loss" in log.text()
    with pytest.raises(ValueError, match="two columns of the name 'loss'"):
        read(pandas.DataFrame([[0.0, 1.0, 2.0]], columns=["logsnr", "loss", "loss"]))


def test_a_table_of_arrow_is_read():
    pyarrow = pytest.importorskip("pyarrow", reason="tables of Arrow are read where it is")
    table = pyarrow.table(COLUMNS)
    assert_is_plain(read(table))
    assert_is_plain(read(pyarrow.record_batch(COLUMNS)))
    in_chunks = pyarrow.concat_tables([table.slice(0, 2), table.slice(2)])
    assert_is_plain(read(in_chunks))


def test_a_table_of_arrow_with_missing_cells_passes_them_over():
    pyarrow = pytest.importorskip("pyarrow", reason="tables of Arrow are read where it is")
    log = read(pyarrow.table({name: [*cells, None] for name, cells in COLUMNS.items()}))
    assert_is_plain(log)
    assert "1 row without a level or a loss" in log.text()
    twice = pyarrow.table([[0.0], [1.0], [2.0]], names=["logsnr", "loss", "loss"])
    with pytest.raises(ValueError, match="two columns of the name 'loss'"):
        read(twice)


def test_a_table_of_arrow_may_hold_a_list_in_each_row():
    pyarrow = pytest.importorskip("pyarrow", reason="tables of Arrow are read where it is")
    levels, losses = zip(*LISTS, strict=True)
    assert_is_plain(read(pyarrow.table({"logsnr": list(levels), "loss": list(losses)})))


def test_a_lazy_frame_is_to_be_collected():
    polars = pytest.importorskip("polars", reason="frames are read where polars is")
    assert_is_plain(read(polars.DataFrame(COLUMNS)))
    with pytest.raises(TypeError, match=r"pass its collect\(\)"):
        read(polars.DataFrame(COLUMNS).lazy())


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("deep.json", "[" * 100_000, "has no line of JSON; 1 of 1 lines are no JSON object"),
        ("twice.csv", "logsnr,loss,loss\n0,1,2\n", "two columns of the name 'loss'"),
        ("words.txt", "epoch 1 loss 0.3\nepoch 2 loss 0.2\n", "must name the columns"),
        ("wide.csv", (HEADER + csv()).encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
        ("cut.csv.gz", packed(HEADER + csv() * 40)[:-40], "unpack it first"),
        ("no.csv", "logsnr,loss\n0,-1\n0,2\n", "1 of 2 loss values are below 0, such as -1"),
        ("comments.csv", "# a\n# b\n", "is empty: it has no header"),
        ("steps.csv", HEADER + csv() + "x,0.5,1\n", "'step' holds 'x' in row 6"),
        ("gap.csv", HEADER + csv() + ",0.5,1\n", "'step' must hold one number a row, got ''"),
        ("commas.csv", "step,loss,logsnr\n7,0,5,1\n8,1,2\n9,2,5,1\n",
         "line 2 of {file} has 4 cells, but the header names 3, so that it cannot be told which"),
        ("r.csv", '"logsnr","loss"\n"1",0.5,50\n"2",0.5,51\n', "give row names a name in the"),
        ("r.txt", '"logsnr" "loss"\n"1" 0.5 50\n"2" 0.5 51\n', "give row names a name in the"),
        ("thousand.csv", 'logsnr,loss\n0.5,"1,000"\n0.5,3\n',
         "'loss' holds '1,000' in row 0, which may be a thousand or more, or have a decimal comma: "
         "write 1000 or 1.000"),
        ("thousand.jsonl", '{"logsnr": 0.5, "loss": "1,000"}\n', "write 1000 or 1.000"),
        ("thousand.tsv", "logsnr\tloss\n0.5\t1,000\n0.5\t3\n", "write 1000 or 1.000"),
        ("wrong.csv", ",".join([*(f"layer{n}" for n in range(10_000)), "my_sigma"]) + "\n1\n",
         "its columns are my_sigma, layer0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, capsys, name, text, part):
    file = written(tmp_path, text, name)
    assert main(["log", str(file)]) == 2
    said = capsys.readouterr().err
    assert part.format(file=file) in said
    assert len(said) < 800


def test_a_column_of_one_number_and_a_long_row_are_shown_shortly():
    with pytest.raises(TypeError, match=r"got 0.5 for 'loss'; pass \[0.5\]"):
        dv.read_log({"logsnr": [1.0], "loss": 0.5})
    with pytest.raises(TypeError, match=r"got array\(0.5\) for 'loss'"):
        dv.read_log({"logsnr": [1.0], "loss": np.array(0.5)})
    with pytest.raises(TypeError, match="row 0 of the log must be a mapping") as caught:
        dv.read_log([np.arange(1000.0)])
    assert len(str(caught.value)) < 200


def test_a_log_of_which_no_loss_is_finite_spends_nowhere(recwarn):
    log = read([{"logsnr": 0.5, "loss": float("nan")}])
    assert np.isnan(log.spent).all()
    assert "spent:" not in log.text()
    assert not recwarn


# --- levels that the run's law does not draw ------------------------------------------------------


def drawn(batch, n=600):
    sigma = np.random.default_rng(0).random((n, batch)).mean(1)
    return {"sigma": sigma, "loss": np.ones(n)}


def test_means_of_levels_are_told_by_their_crowding():
    said = dv.read_log(drawn(16), scheduler="fm-ot").text()
    assert "not drawn as 'fm-ot' draws them: half of them lie within" in said
    assert "means over batches crowd like this" in said
    assert "not drawn as" not in dv.read_log(drawn(1), scheduler="fm-ot").text()


def test_the_levels_of_another_law_are_told():
    level = np.random.default_rng(0).normal(2.4, 2.4, 600)
    log = {"logsnr": level, "loss": np.ones(600)}
    assert "not drawn as" not in dv.read_log(log, scheduler="edm").text()
    said = dv.read_log(log, scheduler="sd3").text()
    assert "not drawn as 'sd3' draws them" in said
    assert "another scheduler=?" in said


def small_table(steps, **more):
    """A table of a few betas, and λ of its steps by the product of 1 − β."""
    betas = np.linspace(0.1, 0.9, steps)
    config = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": steps,
        "beta_schedule": "linear",
        "beta_start": 0.1,
        "beta_end": 0.9,
    }
    signal = np.cumprod(1 - betas)
    return dv.from_diffusers(config | more), np.log(signal / (1 - signal))


@in_one_test
@pytest.mark.parametrize("steps", [2, 3, 5, 40])
def test_steps_of_a_small_table_are_drawn_as_its_law_draws_them(steps):
    known, logsnr = small_table(steps)
    timestep = np.random.default_rng(0).integers(0, steps, 4000)
    share = np.bincount(timestep) / 4000
    # Kolmogorov's distance of two laws on the same levels
    expected = abs(np.cumsum(share - 1 / steps)).max()
    rounded = np.float32(logsnr[timestep]).astype(float)
    for logged in (logsnr[timestep], rounded):
        assert levels._distance(logged, known.law) == pytest.approx(expected, abs=1e-12)
        assert levels.unlike_law(logged, known) == []
    log = {"timestep": timestep, "loss": np.ones(4000)}
    assert "not drawn as" not in dv.read_log(log, scheduler=known).text()


def test_steps_of_a_small_table_that_are_drawn_otherwise_are_told():
    known, logsnr = small_table(3)
    between = (logsnr[1:] + logsnr[:-1]) / 2
    for logged in (
        np.repeat(logsnr, [500, 100, 100]),
        np.repeat(logsnr[1:], 300),
        np.repeat(logsnr[:2], 300),
        np.repeat(between, 300),
        np.random.default_rng(0).uniform(logsnr[-1], logsnr[0], 900),
    ):
        assert "not drawn as" in levels.unlike_law(logged, known)[0]


def test_draws_without_signal_that_a_table_has_are_no_other_law():
    known, _ = small_table(4, rescale_betas_zero_snr=True)
    timestep = np.repeat(np.arange(4), 200)
    logsnr = levels.levels_of(timestep.astype(float), "timestep", known).logsnr
    assert (logsnr == -np.inf).sum() == 200
    assert levels.unlike_law(logsnr, known) == []
    without, _ = small_table(4)
    assert "25% of them hold no signal or no noise" in levels.unlike_law(logsnr, without)[0]


# --- what the run trained -------------------------------------------------------------------------


def test_a_trainers_settings_say_what_the_run_trained():
    settings = "train_network.py --min_snr_gamma 5"
    rng = np.random.default_rng(0)
    log = {"timestep": rng.integers(1, 1000, 300), "loss": rng.exponential(1, 300)}
    text = dv.read_log(log, scheduler=settings)
    for scheduler in (dv.from_settings(settings), explain(settings)):
        other = dv.read_log(log, scheduler=scheduler)
        np.testing.assert_array_equal(text.mean, other.mean)
        np.testing.assert_array_equal(text.table(), other.table())
    assert "min-SNR-5" in text.text()
