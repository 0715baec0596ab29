"""A report as one page: whole, safe to share, and right in its numbers."""

import copy
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import torch
from pictures import check_nothing_is_cut
from PIL import Image
from scipy import stats
from scipy.special import expit

import diffviz as dv
from diffviz.__main__ import main
from diffviz.lab.experiments.popular import POPULAR, SCHEDULER
from diffviz.recipes import settings
from diffviz.reports import page as pages
from diffviz.reports import pictures

HOSTILE = '<script>alert(1)</script> & "quoted" $x^{ $ </title>'
VOID = {"br", "meta", "hr", "img", "link", "input"}
FETCHES = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")


class Elements(HTMLParser):
    """The elements of a page, its text, and whether all are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)

    def values(self, key):
        return [attributes[key] for _, attributes in self.found if key in attributes]


def lines_of(card, caption):
    """x and y of the lines of a picture, by gid."""
    (ax,) = dv.plots.axes()
    pictures.panels(card)[caption](ax)
    return {line.get_gid(): line.get_xydata().T for line in ax.lines}


@pytest.fixture(scope="module")
def measured():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return dv.probe(dv.lab.losses.flow_matching, x, draws=2000)


@pytest.fixture(scope="module")
def tracker():
    """A loss of twice sigmoid(λ), which is the floor of N(0, I) in two dimensions."""
    follower = dv.LossByLogSNR(np.linspace(-4, 4, 9), decay=0.99)
    logsnr = (np.arange(4000) + 0.5) / 500 - 4
    follower.update(logsnr, 2 * expit(logsnr))
    return follower


# --- whole and safe -------------------------------------------------------------------------------


def test_the_page_is_closed_has_ids_of_its_own_and_fetches_nothing():
    elements = Elements(dv.report(dv.objective("edm")).html())
    assert elements.open == []
    tags = [tag for tag, _ in elements.found]
    assert tags.count("svg") == 5
    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    ids = elements.values("id")
    assert len(ids) == len(set(ids)) > 20
    for key in FETCHES:
        assert all(value.startswith("#") for value in elements.values(key)), key
    referred = [value[1:] for value in elements.values("href")]
    referred += re.findall(r"url\(#([^)]*)\)", " ".join(map(str, elements.values("clip-path"))))
    assert referred
    assert set(referred) <= set(ids)
    (policy,) = [value for value in elements.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'")


def test_text_from_outside_is_escaped():
    fields = ("name", "source", "note", "family")
    texts = {field: f"{HOSTILE} in {field}" for field in fields}
    page = dv.report(replace(dv.objective("edm"), **texts))
    elements = Elements(page.html())
    assert "script" not in [tag for tag, _ in elements.found]
    assert all(text in elements.text for text in texts.values())
    page.figure().canvas.draw()  # dollars are no formula


def test_the_line_that_makes_it_again_is_escaped_too():
    page = dv.report(dv.objective("edm"), title=HOSTILE, again=HOSTILE)
    elements = Elements(page.html())
    assert "script" not in [tag for tag, _ in elements.found]
    assert elements.text.count(HOSTILE) == 3  # twice as the title


def test_text_and_axes_have_the_colour_of_the_page():
    html = dv.report(dv.objective("edm")).html()
    assert pictures.INK not in html
    assert html.count("currentColor") > 50


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(tmp_path):
    files = [tmp_path / "a.html", tmp_path / "b.html", tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        dv.report(dv.objective("sd3"), file)
    first, second, third, fourth = (file.read_bytes() for file in files)
    assert first == second
    assert third == fourth
    with Image.open(files[2]) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 1000


def test_a_report_on_an_objective_needs_no_torch():
    code = (
        "import sys, diffviz as dv; dv.report(dv.objective('edm')).html(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- right ----------------------------------------------------------------------------------------

CLOSED = {  # flow matching: log w on each error, from w = exp(−λ/2) on eps
    "Weighting on the ε error": lambda l: -l / 2,
    "Weighting on the x error": lambda l: l / 2,
    "Weighting on the v error": lambda l: -l / 2 - np.log1p(np.exp(-l)) + np.log(2),
    "Weighting on the u error": lambda l: -2 * np.log(np.cosh(l / 4)),
}


@pytest.mark.parametrize("caption", CLOSED)
def test_the_curve_is_the_closed_form_in_every_base(caption):
    logsnr, height = lines_of(dv.report(dv.objective("fm-ot")).card, caption)["this training"]
    assert height == pytest.approx(CLOSED[caption](logsnr) / np.log(10), abs=1e-6)


def test_the_levels_that_are_drawn_have_their_law():
    card = dv.report(dv.objective("edm")).card
    logsnr, density = lines_of(card, "Noise levels that are drawn")["this training"]
    assert density == pytest.approx(stats.norm(2.4, 2.4).pdf(logsnr))
    assert dict(card.facts)["levels drawn"].startswith("median λ = 2.40, nine tenths from -1.55")


def test_an_entry_is_not_its_own_neighbour_but_a_copy_has_it():
    entry = dv.objective("edm")
    assert "edm" not in [match.name for match in dv.report(entry).card.nearest]
    match = dv.report(replace(entry, name="mine")).card.nearest[0]
    assert match.deviation < 1e-6


def test_a_copy_of_an_entry_has_the_same_report():
    entry = dv.objective("edm")
    assert dv.report(copy.deepcopy(entry)).html() == dv.report(entry).html()


def numbers_of(item):
    """The table of a weighting on the page of a report, as it is copied from there."""
    text = Elements(dv.report(item).html()).text
    return text[text.index("logsnr,w") :].split("\n\n")[0].partition("Made by")[0].strip()


def test_the_numbers_on_the_page_are_read_by_from_weighting():
    original = dv.objective("edm")
    again = dv.from_weighting(numbers_of(original))
    grid = np.linspace(-6, 8, 30)
    assert dv.compare(original, again, grid).deviation < 0.05


def test_the_numbers_on_the_page_keep_zeros_between_levels():
    original = dv.from_weighting([[-8, 1], [-2, 0], [2, 0], [8, 1]])
    again = dv.from_weighting(numbers_of(original))
    assert again.weighting([-1.5, 0.0, 1.5]).tolist() == [0, 0, 0]
    grid = np.array([-6.0, -4.0, 4.0, 6.0])
    np.testing.assert_allclose(again.weighting(grid), original.weighting(grid), rtol=0.05)


def test_a_measured_loss_has_its_curve_its_verdict_and_its_entry(measured):
    card = dv.report(measured).card
    logsnr, w = measured.table().T
    assert np.array_equal(card.weighting.logsnr, logsnr)
    assert np.array_equal(card.weighting.values, w)
    assert dict(card.facts)["target"] == "u"
    assert dict(card.facts)["verdict"] == str(dv.verdict(measured))
    assert card.nearest[0].name == dv.closest(measured, 1)[0].name
    law, _ = lines_of(card, "Noise levels that are drawn").values()
    assert law[1] == pytest.approx(stats.logistic(scale=2).pdf(law[0]), rel=0.05)


def test_a_loss_at_one_level_says_so_and_has_no_curve():
    def loss(model, x):
        eps = torch.randn_like(x)
        z = 0.6 * x + 0.8 * eps
        return (model(z, torch.zeros(len(x))) - eps).square().mean()

    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    page = dv.report(dv.probe(loss, x, draws=200))
    assert page.card.weighting is None
    assert page.card.nearest == ()
    assert any("one noise level" in note for note in page.card.notes)
    assert "svg" not in [tag for tag, _ in Elements(page.html()).found]
    page.figure().canvas.draw()


def test_a_loss_by_level_lies_over_the_floor(tracker):
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    floor = dv.floor(x, [-4.0, 0.0, 4.0])
    card = dv.report(tracker, floor=floor, objective=dv.objective("fm-ot")).card
    _, loss = lines_of(card, "Loss by log-SNR over the floor")["loss"]
    ends = np.logaddexp(0, np.arange(-4, 5))  # the antiderivative of the sigmoid
    assert loss == pytest.approx(2 * np.diff(ends), rel=1e-5)
    low, high = floor.band()
    assert np.array_equal(card.losses.band[1], low)
    assert np.array_equal(card.losses.band[2], high)
    facts = dict(card.facts)
    assert facts["draws"] == "4,000, in 8 bins on λ from -4 to 4"
    # ½ ∫ 2 sigmoid(λ) dλ over [−4, 4] is 4
    assert float(facts["negative ELBO"].split()[0]) == pytest.approx(4, rel=0.01)
    # exp(−λ/2) sigmoid(λ) is even in λ; w is taken at the middles of bins of 1 nat
    assert float(facts["spent below λ = 0"].partition("%")[0]) == pytest.approx(50, abs=1)
    assert card.weighting is not None


def test_what_lies_above_the_floor_is_told_as_a_range():
    data = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    floor = dv.floor(data, np.linspace(-4, 4, 9))
    follower = dv.LossByLogSNR(np.linspace(-4, 4, 9))
    follower.update(floor.logsnr[:-1] + 0.5, 4 * expit(floor.logsnr[:-1] + 0.5))
    text = dict(dv.report(follower, floor=floor).card.facts)["above the floor"]
    least, most = (int(share) for share in re.findall(r"(\d+)%", text))
    assert 40 < least <= 50 <= most < 100  # twice the floor of N(0, I)


def test_nothing_is_cut_in_the_pictures(tracker):
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    page = dv.report(tracker, floor=dv.floor(x, [-4.0, 4.0]), objective=dv.objective("edm"))
    check_nothing_is_cut(page.figure())
    drawn = pictures.panels(page.card)
    assert len(drawn) == 6
    with matplotlib.rc_context({"font.size": 9, "axes.labelsize": 9}):
        for draw in drawn.values():
            check_nothing_is_cut(pictures.small_figure(draw))


def followed(loss):
    tracker = dv.LossByLogSNR(np.linspace(-10, 10, 41))
    tracker.update(np.linspace(-9.9, 9.9, 400), loss * np.ones(400))
    return tracker


@pytest.mark.parametrize(
    "item",
    [
        replace(dv.objective("edm"), name="long-name-" * 20, source="x" * 300, note="W" * 400),
        replace(dv.objective("edm"), name="narrow", law=stats.norm(0, 1e-6)),
        followed(1e30),
        followed(np.linspace(1e-30, 2e-30, 400)),
    ],
    ids=["long", "narrow", "large", "small"],
)
def test_nothing_is_cut_whatever_the_text_and_the_numbers(item):
    page = dv.report(item)
    check_nothing_is_cut(page.figure())
    with matplotlib.rc_context({"font.size": 9, "axes.labelsize": 9}):
        for draw in pictures.panels(page.card).values():
            check_nothing_is_cut(pictures.small_figure(draw))


@pytest.mark.parametrize("loss", [followed(1e30), followed(np.geomspace(1.0, 30.0, 400))])
def test_the_numbers_of_the_losses_stand_apart(loss):
    figure = pictures.small_figure(pictures.panels(dv.report(loss).card)["Loss by log-SNR"])
    figure.canvas.draw()
    axis = figure.axes[0].yaxis
    low, high = figure.axes[0].get_ylim()
    boxes = [
        label.get_window_extent()
        for minor in (False, True)
        for at, label in zip(
            axis.get_ticklocs(minor=minor), axis.get_ticklabels(minor), strict=True
        )
        if low <= at <= high and label.get_text()
    ]
    assert len(boxes) > 1
    for below, above in pairwise(sorted(boxes, key=lambda box: box.y0)):
        assert below.y1 < above.y0


def test_the_picture_of_a_log_is_on_the_error_that_was_logged():
    rng = np.random.default_rng(0)
    log = {"sigma": rng.uniform(0.1, 0.9, 2000), "loss": np.ones(2000)}
    card = dv.report(dv.read_log(log, scheduler="fm-ot", last=1.0)).card
    assert card.losses.base == "u"
    _, drawn = lines_of(card, "Loss by log-SNR, on the u error")["loss"]
    # a logged loss of 1 is 1 again, but for the width of the bins; on eps it would be 0.1 to 9
    np.testing.assert_allclose(drawn, 1.0, rtol=0.1)
    ones = {"logsnr": rng.uniform(-4, 4, 2000), "loss": np.ones(2000)}
    assert dv.report(dv.read_log(ones, base="v")).card.losses.base == "v"
    assert dv.report(dv.read_log(ones, base="edm")).card.losses.base == "x"  # its target
    score = next(entry for entry in dv.catalogue.values() if entry.target.name == "score")
    assert dv.report(dv.read_log(ones, base=score)).card.losses.base == "eps"


def test_a_loss_of_zero_has_no_picture():
    assert pictures.panels(dv.report(followed(0.0)).card) == {}


def test_a_tracker_without_draws_has_no_picture():
    page = dv.report(dv.LossByLogSNR([-4.0, 0.0, 4.0]))
    assert dict(page.card.facts)["loss"] == "no bin has been seen"
    assert pictures.panels(page.card) == {}
    assert "<h2>Curves" not in page.html()


def test_of_several_decays_the_first_is_told():
    follower = dv.LossByLogSNR([-4.0, 0.0, 4.0], decay=[0.5, 0.9])
    follower.update([-1.0, 1.0], [1.0, 2.0])
    follower.update([-1.0, 1.0], [3.0, 2.0])
    assert dv.report(follower).card.losses.mean[0] == pytest.approx(follower.mean[0, 0])


def test_a_log_knows_what_was_trained_and_tells_how_it_was_read():
    sigma = (np.arange(2000) + 0.5) / 2000
    log = dv.read_log({"sigma": sigma, "loss": 1 + 0 * sigma}, scheduler="fm-ot", last=1.0)
    card = dv.report(log).card
    assert card.title == "Loss by log-SNR, trained on fm-ot"
    assert dict(card.facts)["columns"].startswith("loss 'loss', sigma 'sigma'")
    assert card.weighting is not None
    names = [name for name, _ in card.facts]
    assert "note" not in names
    assert "spent" in names
    assert "spent below λ = 0" not in names  # told once, by the log


# --- made again -----------------------------------------------------------------------------------


def test_the_line_of_an_entry_makes_the_same_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = dv.report(dv.objective("edm"))
    exec(page.card.again, {"dv": dv})
    assert (tmp_path / "edm.html").read_text(encoding="utf-8") == page.html()


def test_the_line_of_a_command_makes_the_same_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "edm", "--report", "card.html"]) == 0
    assert capsys.readouterr().out.endswith("card.html\n")
    first = (tmp_path / "card.html").read_text(encoding="utf-8")
    line = re.search(r"<pre>(python -m diffviz .*?)</pre>", first)[1]
    (tmp_path / "card.html").unlink()
    assert main(shlex.split(line)[3:]) == 0
    assert (tmp_path / "card.html").read_text(encoding="utf-8") == first


@pytest.mark.slow
def test_the_line_of_a_log_makes_the_same_page_in_a_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{t},1.0\n" for t in range(1, 1000))
    (tmp_path / "my 'log' & $x.csv").write_text("timestep,loss\n" + rows)
    options = ["--scheduler", "train_network.py --min_snr_gamma ${GAMMA:-5}", "--dim", "4"]
    assert main(["log", "my 'log' & $x.csv", *options, "--report", "card.html"]) == 0
    first = (tmp_path / "card.html").read_text(encoding="utf-8")
    line = unescape(re.search(r"<pre>(python -m diffviz .*?)</pre>", first, re.DOTALL)[1])
    (tmp_path / "card.html").unlink()
    shell = f"{shlex.quote(sys.executable)}{line.removeprefix('python')}"
    subprocess.run(shell, shell=True, check=True, capture_output=True)
    assert (tmp_path / "card.html").read_text(encoding="utf-8") == first


OF_TRAINERS = [setting for setting in POPULAR if setting.trainer != SCHEDULER]


@pytest.mark.parametrize("setting", OF_TRAINERS, ids=lambda one: f"{one.trainer}-{one.title}")
def test_the_line_of_settings_reads_the_same_objective(setting):
    given = {"model": setting.model, "tokens": setting.tokens}
    explained = settings.explain(setting.text, trainer=setting.trainer, **given)
    words = shlex.split(pages.settings_line(explained, **given))
    assert words[:4] == ["python", "-m", "diffviz", "settings"]
    again = settings.explain(words[4], trainer=words[6], **given)
    assert again.objective.identity == explained.objective.identity


def test_the_line_of_settings_has_neither_paths_nor_keys(tmp_path, capsys):
    card = tmp_path / "card.html"
    line = (
        "flux_train_network.py --timestep_sampling shift --discrete_flow_shift 3.1582 "
        "--output_dir /home/me --huggingface_token hf_secret --model_prediction_type raw"
    )
    assert main(["settings", line, "--report", str(card)]) == 0
    html = card.read_text(encoding="utf-8")
    assert "3.1582" in html
    assert "/home/me" not in html
    assert "hf_secret" not in html


def test_log_and_probe_write_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{(k % 100 + 0.5) / 100},1.0\n" for k in range(400))
    (tmp_path / "log.csv").write_text("sigma,loss\n" + rows)
    assert main(["log", "log.csv", "--scheduler", "fm-ot", "--report", "log.html"]) == 0
    assert "Loss by log-SNR" in (tmp_path / "log.html").read_text(encoding="utf-8")
    command = ["probe", "diffviz.lab.losses:flow_matching", "--draws", "500"]
    assert main([*command, "--report", "probe.html"]) == 0
    html = (tmp_path / "probe.html").read_text(encoding="utf-8")
    assert "Training loss diffviz.lab.losses:flow_matching" in html
    assert "--draws 500 --report probe.html" in html


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("card.pdf", ValueError, "ends in .html or .png, got 'card.pdf'"),
        ("no/such/card.html", FileNotFoundError, "make it first"),
        (7, TypeError, "path must be text or a path, got 7"),
    ],
)
def test_a_path_is_refused_before_anything_is_computed(path, error, says, monkeypatch):
    monkeypatch.setattr(pages, "card_of", None)
    with pytest.raises(error, match=says):
        dv.report(dv.objective("edm"), path)


@pytest.mark.parametrize(
    ("item", "more", "error", "says"),
    [
        ("edm", {}, TypeError, r"dv.objective\('edm'\) is the entry"),
        (np.ones(3), {}, TypeError, "a report is on an objective"),
        (dv.Objective, {}, TypeError, "a report is on an objective"),
        (dv.objective("edm"), {"floor": 1}, ValueError, "floor= goes with a loss by log-SNR"),
        (dv.objective("edm"), {"objective": 1}, ValueError, "objective= goes with a loss"),
        (dv.objective("edm"), {"title": 1}, TypeError, "title must be text"),
        (dv.objective("edm"), {"again": 1}, TypeError, "again must be text"),
        (dv.LossByLogSNR([0, 1]), {"objective": "edm"}, TypeError, "must be an objective"),
        (dv.LossByLogSNR([0, 1]), {"floor": 1}, TypeError, "floor must be what dv.floor returns"),
    ],
)
def test_what_no_report_is_on_is_refused(item, more, error, says):
    with pytest.raises(error, match=says):
        dv.report(item, **more)
