"""The bar of a long probe, on a clock that each look moves on by as much as the test says."""

import itertools
import re

import pytest
import torch
import tqdm.auto
import tqdm.notebook
import tqdm.std

from diffviz.probing import measure
from diffviz.reports import measurement

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
TIMES = r"\[(\d\d):(\d\d)<(\d\d):(\d\d), +([\d.]+)s/call\]"
BAR = re.compile(rf"probe: +(\d+)%\|[^|]*\| (\d+)/20 {TIMES}")


def flow(model, x):
    t = torch.rand(len(x), 1)
    eps = torch.randn_like(x)
    return ((model((1 - t) * x + t * eps, t) - (eps - x)) ** 2).mean()


def step(x, eps, u):
    return x + u[:, None] * eps, eps, 1.0


@pytest.fixture
def clock(monkeypatch):
    """Sets by how many seconds each look at the clock moves it on."""

    def set_step(seconds):
        monkeypatch.setattr(tqdm.std, "time", itertools.count(0, seconds).__next__)

    return set_step


def test_a_long_probe_shows_how_far_it_is_and_how_long_it_will_take(clock, capsys):
    clock(1)
    measure.probe(flow, X, draws=320, batch=16)
    captured = capsys.readouterr()
    shown = [tuple(map(float, found)) for found in BAR.findall(captured.err)]
    assert shown
    assert captured.out == ""
    assert captured.err.rpartition("\r")[2] == ""  # the line is empty again afterwards
    assert not captured.err.strip("\r").split("\r")[-1].strip()
    for percent, done, minutes, seconds, minutes_left, seconds_left, each in shown:
        assert percent == 5 * done
        assert 60 * minutes + seconds >= measure.WAIT
        assert 60 * minutes_left + seconds_left == pytest.approx(each * (20 - done), abs=1)


def test_a_short_probe_shows_nothing(clock, capsys):
    clock(0.1)
    measure.probe(flow, X, draws=320, batch=16)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("door", [measure.probe, measurement.probe])
def test_a_probe_without_progress_shows_nothing_however_long_it_takes(door, clock, capsys):
    clock(100)
    door(flow, X, draws=320, batch=16, progress=False)
    assert capsys.readouterr() == ("", "")
    door(flow, X, draws=320, batch=16)
    assert "probe: " in capsys.readouterr().err


def test_a_probe_of_arrays_shows_the_same_bar(clock, capsys):
    clock(100)
    measurement.probe_arrays(step, X.numpy(), draws=320, batch=16, progress=False)
    assert capsys.readouterr() == ("", "")
    measurement.probe_arrays(step, X.numpy(), draws=320, batch=16)
    assert "probe: " in capsys.readouterr().err


def test_a_bar_is_closed_where_the_loss_fails(clock, capsys):
    """The last call is met late, since calls are made in no order."""

    def failing(model, x):
        if bool((x == X[-1]).all(1).any()):
            raise RuntimeError("no such file")
        return flow(model, x)

    clock(100)
    with pytest.raises(RuntimeError, match="no such file"):
        measure.probe(failing, X, draws=100, batch=1)
    drawn = capsys.readouterr().err
    assert "probe: " in drawn
    assert not drawn.strip("\r").split("\r")[-1].strip()


def test_in_a_notebook_the_bar_is_a_widget_below_the_cell(clock, capsys, monkeypatch):
    """There ``tqdm.auto`` is the bar of ``tqdm.notebook``."""
    assert measure.tqdm is tqdm.auto.tqdm
    displayed = []
    texts = []

    class Bar(tqdm.notebook.tqdm):
        def display(self, *args, **kwargs):
            super().display(*args, **kwargs)
            texts.append("".join(child.value for child in self.container.children[::2]))

    monkeypatch.setattr(measure, "tqdm", Bar)
    monkeypatch.setattr(tqdm.notebook, "display", displayed.append)
    clock(0.1)
    measure.probe(flow, X, draws=320, batch=16)
    assert not displayed
    clock(1)
    measure.probe(flow, X, draws=320, batch=16)
    assert len(displayed) == 1
    assert displayed[0].comm is None  # closed at the end
    assert any(re.search(r"probe.*/20\s\[\d\d:\d\d&lt;\d\d:\d\d,", text) for text in texts)
    assert capsys.readouterr().err == ""


def test_progress_is_yes_or_no():
    with pytest.raises(ValueError, match="progress"):
        measure.probe(flow, X, draws=100, progress="fast")
