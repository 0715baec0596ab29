"""An address of the web or of a store is no file: it is refused, and no folder is left behind."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

import diffviz as dv
from diffviz import plots, search
from diffviz.lab import explorers

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
ADDRESSES = ["http://a.org/x", "s3://bucket/x", "gs://bucket/x", "HF://datasets/x"]


def save_a_figure(address):
    plots.save(plt.figure(), f"{address}.png")


def save_a_report(address):
    dv.report(dv.objective("edm")).save(f"{address}.html")


def save_an_explorer(address):
    explorers.ComposerExplorer().save(f"{address}.csv")


def save_a_checkpoint(address):
    dv.fit("fm-ot", POINTS, steps=1, checkpoint=f"{address}.pt")


def write_a_search(address):
    search.search(out=f"{address}.csv")


def read_points(address):
    dv.dataset(f"{address}.csv")


def read_a_weighting(address):
    dv.from_weighting(f"{address}.csv")


DOORS = (
    save_a_figure,
    save_a_report,
    save_an_explorer,
    save_a_checkpoint,
    write_a_search,
    read_points,
    read_a_weighting,
)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("use", DOORS)
def test_an_address_is_refused_and_leaves_nothing(tmp_path, monkeypatch, use, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r":/.* is an address and no file: nothing is fetched"):
        use(address)
    assert not list(tmp_path.iterdir())


def test_names_that_look_a_little_like_an_address_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http", "file.png", "s3/x.png", "notes about http: x.png"):
        file = plots.save(plt.figure(), Path(name).with_suffix(".png"))
        assert file.is_file()
