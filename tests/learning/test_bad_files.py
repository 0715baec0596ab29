"""Files and objects that are no runs are refused by name."""

import dataclasses

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.learning import files

NO_PATHS = [3, 0, True, 1.5, ["a"], {}]
NO_FILE_NAMES = ["", b"", "a\0b"]
DATA = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def run():
    return train()


def train(**settings):
    return dv.fit("fm-ot", DATA, steps=2, batch=8, progress=False, **settings)[0]


@pytest.mark.parametrize(
    ("path", "error"),
    [(path, TypeError) for path in NO_PATHS] + [(path, ValueError) for path in NO_FILE_NAMES],
)
def test_what_is_no_path_of_a_file_is_refused(run, path, error):
    for use in (run.save, dv.Run.load, lambda path: train(checkpoint=path)):
        with pytest.raises(error, match="the path of a file"):
            use(path)


def test_a_folder_is_refused_by_name(run, tmp_path):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder; name a file"):
        run.save(tmp_path)
    for use in (dv.Run.load, lambda path: train(checkpoint=path)):
        with pytest.raises(FileNotFoundError, match="it is a folder, name a file in it"):
            use(tmp_path)


def test_a_folder_that_is_not_there_is_named(run, tmp_path):
    missing = r"the folder of '.*no/run' does not exist; make it first$"
    for use in (run.save, lambda path: train(checkpoint=path)):
        with pytest.raises(FileNotFoundError, match=missing):
            use(str(tmp_path / "no" / "run"))
        home = r"the folder of '~/no/run' .* where ~ is no home: pass '/.*/no/run'"
        with pytest.raises(FileNotFoundError, match=home):
            use("~/no/run")


def test_a_path_may_be_bytes(run, tmp_path):
    path = bytes(tmp_path / "a run λ")
    run.save(path)
    assert dv.Run.load(path).name == run.name


@pytest.mark.parametrize("value", [None, 3, "MLP", [], {}, {"class": "MLP"}, True])
def test_a_file_without_a_description_of_the_network_is_refused_by_name(run, tmp_path, value):
    path = tmp_path / "r"
    run.save(path)
    header, tensors = files.read(path, "run")
    files.write(path, "run", header | {"model": value}, tensors)
    with pytest.raises(ValueError, match=r"r cannot be read as a saved run .*description must"):
        dv.Run.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", torch.zeros(2, 2)),
        ("loss", torch.zeros(2, dtype=torch.complex64)),
        ("mean", torch.full((2,), torch.nan)),
        ("mean", torch.zeros(2, dtype=torch.int64)),
        ("mean", torch.zeros(2, dtype=torch.complex64)),
    ],
)
def test_a_file_with_other_tensors_is_refused_by_name(run, tmp_path, name, value):
    path = tmp_path / "r"
    run.save(path)
    header, tensors = files.read(path, "run")
    files.write(path, "run", header, tensors | {name: value})
    with pytest.raises(ValueError, match=f"r cannot be read as a saved run .*{name} must"):
        dv.Run.load(path)


@pytest.mark.parametrize("value", [3, object(), dv.Objective, ["fm-ot"]])
def test_a_run_is_not_loaded_with_what_has_no_name(run, tmp_path, value):
    run.save(tmp_path / "r")
    with pytest.raises(TypeError, match="objective must have a name"):
        dv.Run.load(tmp_path / "r", objective=value)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("objective", None, TypeError),
        ("objective", "edm", TypeError),
        ("mean", np.zeros(2), TypeError),
        ("mean", torch.zeros(2, dtype=torch.int64), TypeError),
        ("mean", torch.full((2,), torch.inf), ValueError),
        ("loss", "low", TypeError),
        ("loss", 1.0, ValueError),
        ("state", [0.1], TypeError),
        ("ema", [0.1, 0.05], ValueError),
        ("ema", "long", TypeError),
        ("ema", None, TypeError),
    ],
)
def test_a_run_of_unfit_parts_is_refused_by_name(run, field, value, error):
    with pytest.raises(error, match=field):
        dataclasses.replace(run, **{field: value})


@pytest.mark.parametrize("value", [np.array(3), torch.tensor(3), np.ma.masked])
def test_a_single_number_is_no_objective(value):
    with pytest.raises(TypeError, match="objectives are names of the catalogue"):
        dv.fit(value, DATA, steps=2, progress=False)


def test_a_clip_whose_square_is_infinite_is_refused():
    with pytest.raises(ValueError, match="clip must lie in"):
        train(clip=1e200)
