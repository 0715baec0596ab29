"""A probed loss beside the catalogue, in numbers, in words and as a picture."""

import inspect
import json

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.__main__ import main
from diffviz.lab import losses as lab_losses
from diffviz.probing import measure
from diffviz.recipes import nearest

CLOSED = {
    "flow matching": lambda l: np.exp(-l / 2),
    "EDM": lambda l: np.exp(-(((l - 2.4) / 2.4) ** 2) / 2) * (np.exp(-l) + 0.25),
    "SD3": lambda l: np.exp(-(l**2) / 8) * (1 + np.exp(-l / 2)) ** 2,
    "Min-SNR, eps": lambda l: np.minimum(1, 5 * np.exp(-l)) / np.cosh(l / 2),
    "Min-SNR, v": lambda l: np.minimum(1, 5 * np.exp(-l)) / np.cosh(l / 2),
    "mystery A": lambda l: np.exp(-(((l - 2.4) / 2.4) ** 2) / 2) * (np.exp(-l) + 1),
    "mystery B": lambda l: np.exp(-l / 2),
    "mystery C": lambda l: np.minimum(1 + np.exp(l), 5) * np.exp(-l) / np.cosh(l / 2),
    "mystery D": lambda l: np.exp(-((l - 1) ** 2) / 8) * (1 + np.exp(-l / 2)) ** 2,
    "mystery E": lambda l: np.maximum(1, 5 * np.exp(-l)) / np.cosh(l / 2),
}


@pytest.fixture(scope="module")
def x():
    return torch.randn(256, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def reports(x):
    return {name: dv.probe(loss, x) for name, loss in lab_losses.LOSSES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSED)
def test_every_example_weights_as_its_closed_form_says(name, reports):
    edges = reports[name].edges()
    w, _ = reports[name].weighting(edges)
    nodes, rule = np.polynomial.legendre.leggauss(20)
    fine = (edges[1:] + edges[:-1]) / 2 + np.diff(edges) / 2 * nodes[:, None]
    ratio = w / (rule @ CLOSED[name](fine))
    assert np.abs(ratio / np.median(ratio) - 1).max() < 1.5e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("flow matching", "fm-ot"),
        ("EDM", "edm"),
        ("SD3", "sd3"),
        ("Min-SNR, eps", "min-snr-5-eps"),
        ("Min-SNR, v", "min-snr-5-v"),
    ],
)
def test_the_closest_entry_is_the_one_with_the_same_target(name, same, reports):
    best = dv.closest(reports[name])[0]
    assert best.name == same and best.deviation < 2e-3
    assert f"equal to {same} up to a constant" in str(reports[name])


def test_a_table_of_steps_agrees_with_its_own_discrete_objective(reports):
    table = dv.from_diffusers(
        {
            "_class_name": "DDPMScheduler",
            "num_train_timesteps": 1000,
            "beta_start": 1e-4,
            "beta_end": 0.02,
            "beta_schedule": "linear",
            "prediction_type": "epsilon",
        }
    )
    measured = reports["DDPM"]
    edges = measured.edges(40, 0.98)
    w, _ = measured.weighting(edges)
    fine = np.linspace(edges[:-1], edges[1:], 401)[:-1] + np.diff(edges) / 800
    known = table.weighting(fine).mean(0)
    assert np.abs(w / known / np.median(w / known) - 1).max() < 0.02
    assert "equal to the T = 1000 table of ddpm-linear up to a constant, largest" in str(measured)
    assert "over 98% of its draws" in str(measured)
    assert "the T = 1000 table of ddpm-linear" in str(measured)
    assert dv.closest(measured)[0].deviation < 1e-3
    assert dv.compare(measured, dv.objective("ddpm-linear")).same
    # at the levels, to the precision of float32
    assert dv.compare(measured, table).deviation < 2e-3


def test_a_table_under_the_loss_of_sd3_is_called_by_its_name(x):
    """The lines of train_dreambooth_sd3.py, whose outermost levels stand for tails of the law."""
    table = 1 - torch.arange(1000) / 1000
    table = 3 * table / (1 + 2 * table)

    def loss(model, x):
        at = (torch.sigmoid(torch.randn(len(x))) * 1000).long()
        noise, s = torch.randn_like(x), table[at][:, None]
        return ((model((1 - s) * x + s * noise, 1000 * s) - (noise - x)) ** 2).mean()

    measured = dv.probe(loss, x)
    best = dv.closest(measured)[0]
    assert (
        best.name == "sd3-shift3"
        and best.deviation < 0.02
        and best.mass == 0.98
        and "equal to sd3-shift3" in str(measured)
    )
    assert "a table of sd3-shift3" in str(measured)
    assert len(dv.verdict(measured).rises) == 1
    assert "stratified" not in str(measured)


def test_times_that_were_sampled_are_compared_within_their_error_and_that_is_said(x):
    rng = np.random.default_rng(0)

    def loss(model, x):
        t = torch.from_numpy(rng.uniform(size=len(x))).float()[:, None]
        noise = torch.randn_like(x)
        return ((model((1 - t) * x + t * noise, t) - (noise - x)) ** 2).mean()

    measured = dv.probe(loss, x)
    best = dv.closest(measured)[0]
    assert (
        best.name == "fm-ot"
        and best.mass == 0.98
        and best.error > 0.01
        and best.deviation < 5 * best.error
    )
    assert "there: times were sampled, not stratified" in str(measured)


def test_compare_and_verdict_take_a_probed_loss(reports):
    assert dv.compare(reports["EDM"], dv.objective("edm")).deviation < 2e-3
    assert dv.compare(reports["mystery A"], dv.objective("edm")).deviation > 0.5
    assert dv.verdict(reports["SD3"]).peak == pytest.approx(
        dv.verdict(dv.objective("sd3")).peak, abs=0.05
    )


def test_the_plot_holds_the_measured_points_and_the_closest_curves(reports):
    ax = reports["SD3"].plot(2)
    lines = {line.get_gid(): line for line in ax.lines if not line.get_gid().endswith(":ends")}
    assert set(lines) == {"measured", *(match.name for match in dv.closest(reports["SD3"], 2))}
    np.testing.assert_allclose(lines["measured"].get_ydata(), lines["sd3"].get_ydata(), atol=2e-3)


def test_nothing_is_called_equal_that_is_not(reports):
    assert "equal to" not in str(reports["mystery C"]) and "equal to" not in str(
        reports["mystery E"]
    )


def test_fewer_than_one_match_is_refused(reports):
    with pytest.raises(ValueError, match="at least 1"):
        nearest.closest(reports["EDM"], 0)


@pytest.mark.parametrize("letter", "ABCDE")
def test_each_mystery_is_another_objective_than_was_meant(letter, x):
    wrong, meant = (
        dv.probe(losses[letter], x) for losses in (lab_losses.MYSTERIES, lab_losses.INTENDED)
    )
    assert dv.compare(wrong, meant).deviation > 0.3


def test_the_command_line_prints_the_summary_and_writes_the_plot(tmp_path, capsys):
    assert (
        main(
            [
                "probe",
                "diffviz.lab.losses:sd3",
                "--shape",
                "1,4,4",
                "--draws",
                "2000",
                "--out",
                str(tmp_path / "a.png"),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "target: u" in out and "equal to sd3" in out and (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("diffviz.lab.losses:nothing", "module:function"),
        ("no_such_module:f", "no_such_module"),
        ("diffviz.lab.losses:MISTAKES", "module:function"),
        ("diffviz.data.toys:Toy", "module:function"),
        ("losses/mine.py:loss", "names a file; write mine:loss in the folder that holds it"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_a_loss(loss, says, capsys):
    assert main(["probe", loss]) == 2
    assert says in capsys.readouterr().err


def test_the_command_line_writes_numbers_and_takes_the_settings_of_a_probe(tmp_path, capsys):
    files = {"--json": tmp_path / "a.json", "--csv": tmp_path / "a.csv"}
    options = ["--draws", "500", "--mode", "as-is", "--inputs", "0", "--scale", "1"]
    for name, file in files.items():
        options += [name, str(file)]
    assert main(["probe", "diffviz.lab.losses:sd3", "--shape", "1,4,4", *options]) == 0
    content = json.loads(files["--json"].read_text())
    assert content["target"] == "u"
    table = np.loadtxt(files["--csv"], delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 1], content["w"])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--out", "a.txt"], "--out must end in one of"),
        (["--json", "no/such/folder/a.json"], "does not exist"),
        (["--json", "."], "'.' is a folder; name a file in it"),
        (["--csv", "."], "'.' is a folder; name a file in it"),
        (["--inputs", "7"], "inputs=7"),
        (["--inputs=-7"], "inputs=-7"),
        (["--model", "nothing"], "has no 'nothing'"),
    ],
)
def test_the_command_line_refuses_a_wrong_option_in_a_sentence(option, says, capsys):
    assert main(["probe", "diffviz.lab.losses:sd3", "--draws", "200", *option]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("shape", ["3x32x32", "-3", "2,", ""])
def test_the_command_line_says_how_a_shape_is_written(shape, capsys):
    assert main(["probe", "diffviz.lab.losses:sd3", f"--shape={shape}"]) == 2
    assert "sizes such as 3,32,32" in capsys.readouterr().err


def test_the_view_for_notebooks_shows_the_summary_and_the_curve(reports):
    html = reports["SD3"]._repr_html_()
    assert "equal to sd3 up to a constant" in html and "<polyline" in html


@pytest.mark.slow
def test_one_noise_level_has_a_summary_and_a_view_without_a_curve(x):
    def loss(model, x):
        noise = torch.randn_like(x)
        return ((model(0.8 * x + 0.6 * noise, torch.zeros(len(x))) - noise) ** 2).mean()

    report = dv.probe(loss, x, draws=200)  # each is one more call at the same level
    assert "weighting:" not in str(report)
    assert "<polyline" not in report._repr_html_() and "target" in report._repr_html_()
    with pytest.raises(ValueError, match="one noise level"):
        report.plot()


def test_the_public_probe_has_the_arguments_of_the_measurement():
    public = inspect.signature(dv.probe).parameters
    inner = inspect.signature(measure.probe).parameters
    assert {name: (p.kind, p.default) for name, p in public.items()} == {
        name: (p.kind, p.default) for name, p in inner.items()
    }
