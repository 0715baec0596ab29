"""``make device-check``, as far as it goes without a GPU."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from diffviz.learning.training import Trainer

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def check(monkeypatch):
    """The module of the script."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("device_check")
    for name in ("device_check", "timing", "training"):
        sys.modules.pop(name, None)


def test_without_a_gpu_it_says_so_and_ends_well(check, monkeypatch, capsys):
    monkeypatch.setattr(check, "found_device", lambda: None)
    monkeypatch.setattr(sys, "argv", ["device_check.py"])
    assert check.main() == 0
    assert "no GPU" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("status", [0, 1])
def test_a_dry_run_prints_a_row_for_each_work_and_returns_the_status_of_the_tests(
    check, monkeypatch, capsys, status
):
    times = iter([2.0, 0.5] * 4)  # seconds of diffviz and of plain torch

    def run_and_tell(call, device):
        call()
        return next(times)

    monkeypatch.setattr(check, "elapsed", run_and_tell)
    monkeypatch.setattr(check, "run_tests", lambda: status)
    monkeypatch.setattr(sys, "argv", ["device_check.py", "--cpu-dry-run"])
    assert check.main() == status
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row[28:].split()[:3] for row in rows] == [
        ["18", "72", "4.00"],  # 12 objectives for 3 steps
        ["1", "4", "4.00"],  # 2 steps
        ["100", "400", "4.00"],  # 200 draws
        ["30", "120", "4.00"],  # 20 points for 3 steps
    ]
    assert [row.split(",")[0].split()[0] for row in rows] == ["fit", "fit", "probe", "sample"]


def test_its_tests_are_those_of_devices(check):
    assert check.TESTS.exists()


def test_plain_torch_starts_with_the_same_network(check):
    network = check.MLP(width=8, depth=1)
    data = torch.randn(20, 2)
    (run,) = Trainer("fm-ot", data, model=network, steps=1).runs()
    plain = check.Plain(network, (2,))
    assert torch.equal(plain.flat[0], run.state[0.0])
    assert plain(data, torch.zeros(20)).shape == data.shape


def test_the_network_of_the_probe_is_as_large_as_it_says(check):
    with torch.device("meta"):
        network = check.TakesTime(check.Sizes().channels)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(36e6, rel=0.02)


@pytest.mark.slow
def test_plain_ddim_ends_where_the_sampler_ends(check):
    data = check.normal(torch.device("cpu"), 100, 2)
    (run,) = check.dv.fit("fm-ot", data, steps=3, batch=16, progress=False)
    grid = check.dv.grid(check.dv.objective("fm-ot").law, 10)
    start = data[:20]
    z = check.plain_ddim(run, start, torch.from_numpy(grid).to(start))
    walk = check.dv.sample(run, grid, "ddim", start=start)
    torch.testing.assert_close(z, walk.z[-1], rtol=1e-3, atol=1e-3)
