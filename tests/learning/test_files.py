"""A file is replaced as a whole and keeps what it is; one training at a time writes it."""

import os
import stat
import subprocess
import sys

import pytest
import torch

import diffviz as dv
from diffviz.learning import files
from diffviz.learning.models import MLP

DATA = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
TENSORS = {"x": torch.arange(3.0)}


def train(**settings):
    settings = {"steps": 6, "batch": 8, "model": MLP(4, 1), "progress": False} | settings
    return dv.fit("fm-ot", DATA, **settings)[0]


def write(path, number=0):
    files.write(path, "run", {"number": number}, TENSORS)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "r"
    write(path)
    path.chmod(mode)
    write(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert files.read(path, "run")[0] == {"number": 1}


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk" / "r")
    for number in (0, 1):  # at first there is nothing where it points to
        write(link, number)
        assert link.is_symlink()
        assert files.read(tmp_path / "disk" / "r", "run")[0] == {"number": number}
    assert os.listdir(tmp_path / "disk") == ["r"]


def test_a_pipe_is_no_file_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is a device or a pipe; name a file"):
        write(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_the_content_is_on_the_disk_before_the_old_file_is_replaced(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("sync"), sync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    write(tmp_path / "r")
    assert done[:2] == ["sync", "replace"]


def test_what_killed_processes_had_begun_is_cleared_and_nothing_else(tmp_path):
    for name in ("c.0123abcd.tmp", "c.lock", "c.tmp", "d.0123abcd.tmp", "c.0123abcd.tmp.txt"):
        (tmp_path / name).touch()
    train(checkpoint=tmp_path / "c")
    assert sorted(os.listdir(tmp_path)) == ["c", "c.0123abcd.tmp.txt", "c.tmp", "d.0123abcd.tmp"]
    (tmp_path / "r.0123abcd.tmp").touch()
    train().save(tmp_path / "r")
    assert not (tmp_path / "r.0123abcd.tmp").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from diffviz.learning import files

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
with files.alone(sys.argv[1]):
    files.write(sys.argv[1], "run", {}, {"x": torch.zeros(3)})
"""


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_the_old_file_and_no_lock(tmp_path):
    path = tmp_path / "r"
    write(path, 1)
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode != 0 and len(os.listdir(tmp_path)) == 3  # with a lock and a beginning
    assert files.read(path, "run")[0] == {"number": 1}
    with files.alone(path):
        write(path, 2)
    assert os.listdir(tmp_path) == ["r"]


def test_two_trainings_do_not_mix_in_one_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c"
    monkeypatch.setattr("diffviz.learning.runs.PATIENCE", 0)
    refused = []

    def another(step):
        if step.step != 3:
            return
        for use in (lambda: train(checkpoint=path, seed=1), lambda: train(seed=1).save(path)):
            with pytest.raises(
                BlockingIOError, match=r"is writing .*c; wait until it ends"
            ) as told:
                use()
            refused.append(told)

    (whole, with_another) = (train(), train(checkpoint=path, callback=another))
    assert len(refused) == 2
    assert (with_another.loss == whole.loss).all()
    assert os.listdir(tmp_path) == ["c"]


def test_a_training_does_not_wait_for_a_checkpoint_that_is_in_use(tmp_path, monkeypatch):
    """It would begin anew over what the other has written; a save waits for its turn."""
    asked = []
    held = files.locks.held

    def noted(path, patience):
        asked.append(patience)
        return held(path, patience)

    monkeypatch.setattr(files.locks, "held", noted)
    run = train(checkpoint=tmp_path / "c")
    assert asked == [0]
    run.save(tmp_path / "r")
    assert asked[1] > 0


def test_a_lock_makes_no_folder(tmp_path):
    with files.alone(tmp_path / "nowhere" / "c"), files.alone(None), files.alone(tmp_path):
        assert not os.listdir(tmp_path)


@pytest.mark.parametrize(("save", "steps"), [(1, 0), (2, 2), (4, 6), (5, 6)])
def test_an_interrupt_while_saving_returns_what_is_trained(tmp_path, monkeypatch, save, steps):
    saves = []
    replace = os.replace

    def stopped(*names):
        saves.append(names)
        if len(saves) == save:
            raise KeyboardInterrupt
        replace(*names)

    monkeypatch.setattr(os, "replace", stopped)
    run = train(checkpoint=tmp_path / "c", every=2)
    assert len(run.loss) == steps
    assert os.listdir(tmp_path) == ["c"]
    resumed = train(checkpoint=tmp_path / "c")
    assert (resumed.loss == train().loss).all()


# --- well-formed checkpoints with foreign content -----------------------------------------------


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"step": 99}, r"step must lie in \[0, 6\], got 99"),
        ({"step": -1}, r"step must lie in \[0, 6\], got -1"),
        ({"step": 1.5}, "step must be of type int, got 1.5"),
        ({"step": True}, "step must be of type int, got True"),
        ({"settings": [1]}, "settings must be of type dict"),
        ({"settings": nested(500)}, "settings must be of type dict"),
        ({"settings": {}}, "model is None in the file"),
        ({"objectives": 1}, "objectives must be of type list, got 1"),
        ({"objectives": [1]}, "each of the objectives has identity and name, got 1"),
        ({"objectives": [{"name": "a", "identity": [1]}]}, "identity of an objective must be text"),
        ({"data": "a"}, "data must be of type int, got 'a'"),
    ],
)
def test_a_header_of_another_form_is_refused_in_words(tmp_path, change, says):
    path = tmp_path / "c"
    train(checkpoint=path)
    header, tensors = files.read(path, "checkpoint")
    files.write(path, "checkpoint", header | change, tensors)
    with pytest.raises(ValueError, match=f"c is no checkpoint of this training .*{says}"):
        train(checkpoint=path)
    lacking = {name: value for name, value in header.items() if name not in change}
    files.write(path, "checkpoint", lacking, tensors)
    with pytest.raises(ValueError, match=f"it has no {next(iter(change))}"):
        train(checkpoint=path)


def test_other_tensors_are_refused_in_words(tmp_path):
    path = tmp_path / "c"
    train(checkpoint=path)
    header, tensors = files.read(path, "checkpoint")
    fewer = {name: tensor for name, tensor in tensors.items() if name != "weights"}
    for changed, says in (
        (tensors | {"more": torch.zeros(1)}, "tensors are .*more.* in the file"),
        (fewer, "tensors are averages, first, losses, second in the file"),
        (tensors | {"weights": tensors["weights"].double()}, "weights has type torch.float64"),
    ):
        files.write(path, "checkpoint", header, changed)
        with pytest.raises(ValueError, match=f"c is no checkpoint of this training .*{says}"):
            train(checkpoint=path)


def test_a_header_that_is_no_object_or_too_deep_is_refused_in_words(tmp_path):
    import safetensors.torch

    path = tmp_path / "c"
    files.write(path, "checkpoint", [1], TENSORS)
    with pytest.raises(ValueError, match="its header is cut"):
        train(checkpoint=path)
    deep = '{"kind":"checkpoint","version":1,"sum":1,"header":' + "[" * 10**5 + "]" * 10**5 + "}"
    path.write_bytes(safetensors.torch.save(TENSORS, {files.ENTRY: deep}))
    with pytest.raises(ValueError, match="its header is no JSON of diffviz"):
        train(checkpoint=path)


@pytest.mark.parametrize("name", [[1], {}, None])
def test_a_run_with_a_network_without_a_name_is_refused_in_words(tmp_path, name):
    path = tmp_path / "r"
    train().save(path)
    header, tensors = files.read(path, "run")
    network = header["model"] | {"class": name}
    files.write(path, "run", header | {"model": network}, tensors)
    with pytest.raises(ValueError, match=r"r cannot be read as a saved run .*description must"):
        dv.Run.load(path)
    objective = {"name": name, "identity": "a"}
    files.write(path, "run", header | {"objective": objective}, tensors)
    with pytest.raises(ValueError, match=r"cannot be read .*name of an objective must be text"):
        dv.Run.load(path)
    whole = tensors | {"weights 0.1": tensors["weights 0.1"].long()}
    files.write(path, "run", header, whole)
    with pytest.raises(ValueError, match=r"weights 0.1 must be of floating point"):
        dv.Run.load(path)
