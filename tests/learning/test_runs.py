"""A run denoises real numbers only, travels between processes, and is saved without loss."""

import copy
import json
import os
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import diffviz as dv
from diffviz.learning import files, runs
from diffviz.learning.identity import MissingObjective
from diffviz.learning.models import MLP, Transformer, linear
from diffviz.learning.runs import Run
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.multipliers import snr, snr_plus_one

POINTS = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(20, 8, 8, generator=torch.Generator().manual_seed(1))
SMALL = MLP(width=8, depth=1)


def trained(objective="fm-ot", data=POINTS, **settings):
    settings = {"steps": 6, "batch": 16, "model": SMALL, "progress": False} | settings
    return dv.fit(objective, data, **settings)[0]


@pytest.fixture(scope="module")
def run():
    return trained()


def denoised(run, data=POINTS):
    z = data[:9].double()
    return run.denoise(z, torch.linspace(-9, 9, 9, dtype=torch.float64))


def assert_same_run(a, b):
    assert a.name == b.name
    assert a.model == b.model
    assert (a.output, a.std, a.ema) == (b.output, b.std, b.ema)
    assert a.state.keys() == b.state.keys()
    np.testing.assert_array_equal(a.loss, b.loss, strict=True)
    for length in a.state:
        shape = tuple(a.mean.shape)
        data = POINTS if shape == (2,) else IMAGES
        assert torch.equal(denoised(a.at(length), data), denoised(b.at(length), data))


# --- denoising ----------------------------------------------------------------------------------


def test_whole_numbers_are_denoised_as_floats(run):
    whole = torch.tensor([[1, 2], [0, -3]])
    expected = run.denoise(whole.float(), 0.7)
    assert expected.dtype == torch.float32
    assert torch.equal(run.denoise(whole, 0.7), expected)
    assert torch.equal(run.denoise(whole.tolist(), 0.7), expected)
    assert torch.equal(run.denoise(whole.float(), torch.tensor([1, 1])), run.denoise(whole, 1.0))


def test_many_points_are_denoised_as_a_few_are(run, monkeypatch):
    """In pieces, of which the last is shorter, with levels of their own or one for all."""
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    levels = torch.linspace(-9, 9, 50, dtype=torch.float64)
    for logsnr in (levels, 0.5):
        whole = run.denoise(z, logsnr)
        with monkeypatch.context() as patch:
            patch.setattr(runs, "ROWS", 16)
            assert run._rows_at_once(z) == 16
            torch.testing.assert_close(run.denoise(z, logsnr), whole, rtol=1e-6, atol=1e-6)


def test_images_are_denoised_in_pieces_that_stay_in_the_cache():
    run = trained(data=IMAGES, model=Transformer(width=8, depth=1, heads=2))
    rows = run._rows_at_once(IMAGES)
    assert rows == 2 ** int(np.log2(rows))
    assert runs.PIECE / 2 < rows * run.multiply_adds(1) <= runs.PIECE or rows == runs.ROWS


def test_arrays_of_any_memory_layout_are_denoised(run):
    z = np.random.default_rng(0).normal(size=(6, 2))
    expected = run.denoise(torch.from_numpy(z[::-1].copy()), 0.5)
    reversed_view = z[::-1]
    reversed_view.flags.writeable = False
    assert torch.equal(run.denoise(reversed_view, np.float64(0.5)), expected)
    assert torch.equal(run.denoise(reversed_view, np.full(6, 0.5)[::-1]), expected)


@pytest.mark.parametrize(
    ("z", "logsnr", "error", "says"),
    [
        (torch.full((3, 2), torch.nan), 0.0, ValueError, "z must be finite, got nan"),
        (torch.full((3, 2), torch.inf), 0.0, ValueError, "z must be finite, got inf"),
        (
            POINTS[:3].double() * 1e300,
            0.0,
            ValueError,
            r"z must lie within ±1.*e\+30, got 1.*e\+300: .*float32",
        ),
        (POINTS[:3], torch.nan, ValueError, "logsnr must not be NaN"),
        (POINTS[:3], torch.tensor([0.0, torch.nan, 0.0]), ValueError, "logsnr must not be NaN"),
        (POINTS[:3] * 1j, 0.0, TypeError, "z must hold real numbers, got complex"),
        (POINTS[:3], 1j, TypeError, "logsnr must hold real numbers, got complex"),
        (np.ma.masked_array(np.zeros((3, 2))), 0.0, TypeError, "z is a masked array"),
        (POINTS[:3], "high", TypeError, "logsnr must hold real numbers, got text"),
        (torch.zeros(3, 3), 0.0, ValueError, r"z must be \(3, 2\)"),
        (torch.tensor(1.0), 0.0, ValueError, r"z must be \(1, 2\) and .* got \(\)"),
    ],
)
def test_what_cannot_be_denoised_is_refused(run, z, logsnr, error, says):
    with pytest.raises(error, match=says):
        run.denoise(z, logsnr)


@pytest.mark.parametrize(
    ("output", "end", "other"), [("eps", -np.inf, np.inf), ("x", np.inf, -np.inf)]
)
def test_a_level_of_which_the_output_says_nothing_is_refused(output, end, other):
    run = trained(output=output)
    for level in (end, torch.tensor([0.0, end, 1.0])):
        with pytest.raises(ValueError, match=f"{output} output says nothing .* logsnr {end:g};"):
            run.denoise(POINTS[:3], level)
    assert torch.isfinite(run.denoise(POINTS[:3], other)).all()


@pytest.mark.parametrize("output", ["v", "F"])
def test_infinite_levels_have_a_meaning(output):
    run = trained(output=output)
    z = POINTS[:3].double()
    torch.testing.assert_close(run.denoise(z, np.inf), z, rtol=1e-6, atol=1e-6)
    assert torch.isfinite(run.denoise(z, -np.inf)).all()


def test_a_run_of_unfit_parts_is_refused(run):
    for change, error, says in (
        ({"output": "u"}, ValueError, "unknown output 'u'"),
        ({"std": -1.0}, ValueError, "std must be a finite number > 0"),
        ({"ema": 0.3}, ValueError, "no average of length 0.3; there are 0.1, 0.05, 0.0"),
        ({"model": MLP}, TypeError, r"model must be a network, not a class: model=MLP\(\)"),
        ({"model": "MLP"}, TypeError, "model must be a network"),
    ):
        with pytest.raises(error, match=says):
            replace(run, **change)


def test_the_text_of_a_run_is_one_line(run):
    assert repr(run).startswith("Run('fm-ot': MLP(width=8, depth=1, ")
    assert repr(run).endswith("v output, 6 steps, average of length 0.1)")


# --- copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_do_the_same(run, duplicate):
    assert_same_run(duplicate(run), run)
    for model in (MLP(3), Transformer(8, 1, 2, patch=2)):
        assert duplicate(model) == model
    trainer = dv.learning.Trainer("edm", POINTS)
    assert duplicate(trainer.settings) == trainer.settings
    error = duplicate(dv.Diverged("not finite", [run]))
    assert str(error) == "not finite"
    assert_same_run(error.runs[0], run)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("rule", dv.learning.RULES)
def test_a_copy_of_an_adaptive_objective_has_the_same_law(duplicate, rule):
    tracker = LossByLogSNR(np.linspace(-5, 5, 21))
    tracker.update(np.linspace(-5, 5, 100), np.linspace(0, 1, 100))
    objective = dv.AdaptiveObjective(dv.objective("fm-ot"), tracker, rule)
    copied = duplicate(objective)
    assert copied.identity == objective.identity
    expected = objective.draw(50, np.random.default_rng(0))
    np.testing.assert_array_equal(copied.draw(50, np.random.default_rng(0)), expected)
    copied.tracker.update(np.zeros(9), np.ones(9))
    np.testing.assert_array_equal(objective.draw(50, np.random.default_rng(0)), expected)


# --- saving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (POINTS, {"output": "eps", "ema": (0.2,)}),
        (POINTS, {"output": "x", "ema": ()}),
        (POINTS, {"output": "v", "ema": (0.05, 0.123456789)}),
        (POINTS, {"output": "F", "model": MLP(4, 2, ())}),
        (IMAGES, {"model": Transformer(8, 1, 2)}),
        (IMAGES, {"model": Transformer(8, 1, 2, patch=2)}),
    ],
)
def test_a_loaded_run_denoises_bit_for_bit(tmp_path, data, settings):
    run = trained(data=data, **settings)
    run.save(tmp_path / "run")
    loaded = Run.load(tmp_path / "run")
    assert_same_run(loaded, run)
    assert loaded.objective is dv.objective("fm-ot")
    assert os.listdir(tmp_path) == ["run"]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "run").read_bytes()


def test_an_interrupted_training_is_saved_with_the_losses_that_it_has(tmp_path):
    run = dv.learning.Trainer("edm", POINTS, model=SMALL).runs()[0]
    run.save(tmp_path / "run")
    assert Run.load(tmp_path / "run").loss.shape == (0,)


def custom(curve, name="custom"):
    return dv.from_weighting(curve, dv.objective("edm").law, name)


def test_an_objective_outside_the_catalogue_is_given_or_missing(tmp_path):
    mine = custom(snr)
    run = trained(mine)
    run.save(tmp_path / "run")
    assert Run.load(tmp_path / "run", objective=mine).objective is mine
    bare = Run.load(tmp_path / "run")
    assert_same_run(bare, run)
    assert bare.objective == MissingObjective("custom", mine.identity)
    with pytest.raises(AttributeError, match=r"'custom' .* by name only.*'weighting'.*objective="):
        bare.objective.weighting(0.0)
    assert pickle.loads(pickle.dumps(bare)).objective == bare.objective
    assert copy.deepcopy(bare.objective) == bare.objective
    bare.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "run").read_bytes()


def test_an_objective_of_the_same_name_that_does_something_else_is_refused(tmp_path):
    mine, other = custom(snr), custom(snr_plus_one)
    trained(mine).save(tmp_path / "run")
    with pytest.raises(ValueError, match=f"{mine.identity}.*{other.identity}.*or none"):
        Run.load(tmp_path / "run", objective=other)
    with pytest.raises(ValueError, match="but objective= is 'edm' with identity"):
        Run.load(tmp_path / "run", objective="edm")
    with pytest.raises(ValueError, match="did you mean 'edm'"):
        Run.load(tmp_path / "run", objective="edn")


def test_a_name_of_the_catalogue_alone_is_not_enough(tmp_path):
    trained(custom(snr, "fm-ot")).save(tmp_path / "run")
    loaded = Run.load(tmp_path / "run")
    assert isinstance(loaded.objective, MissingObjective)
    assert loaded.name == "fm-ot"


@dataclass(frozen=True)
class Affine:
    """A network of one layer."""

    scale: float = 1.0

    def weights(self, shape):
        (d,) = shape
        return [((d, d), 0.1), ((1, d), 0.0)]

    def __call__(self, weights, z, logsnr):
        return linear(self.scale * z, *weights)


def test_a_network_of_ones_own_is_given_when_its_run_is_loaded(tmp_path):
    run = trained(model=Affine(0.5))
    run.save(tmp_path / "run")
    assert_same_run(Run.load(tmp_path / "run", model=Affine(0.5)), run)
    with pytest.raises(ValueError, match=r"Affine with \{'scale': 0.5\}.*give it as model="):
        Run.load(tmp_path / "run")
    for wrong in (Affine(), MLP()):
        with pytest.raises(ValueError, match=r"Affine with \{'scale': 0.5\}, not "):
            Run.load(tmp_path / "run", model=wrong)
    with pytest.raises(TypeError, match="model must be a network"):
        Run.load(tmp_path / "run", model="Affine")


def test_a_given_network_must_be_that_of_the_run(tmp_path, run):
    run.save(tmp_path / "run")
    assert_same_run(Run.load(tmp_path / "run", model=SMALL), run)
    with pytest.raises(ValueError, match="the network is MLP with"):
        Run.load(tmp_path / "run", model=MLP(width=9, depth=1))


# --- files that cannot be read ------------------------------------------------------------------


def contents(path):
    """Header and tensors of a file, and a function that writes others with a fitting check sum."""
    with safetensors.safe_open(path, "pt") as file:
        stamp = json.loads(file.metadata()["diffviz"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def rewrite(header=stamp["header"], tensors=tensors, **changed):
        fitting = {"header": header, "sum": files.check_sum(header, tensors)}
        text = json.dumps(stamp | fitting | changed)
        path.write_bytes(safetensors.torch.save(tensors, {"diffviz": text}))

    return stamp["header"], tensors, rewrite


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path, run, share):
    path = tmp_path / "run"
    run.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"run cannot be read as a saved run .*damaged, cut"):
        Run.load(path)


def test_every_damaged_byte_is_noticed(tmp_path, run):
    path = tmp_path / "run"
    run.save(path)
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="run cannot be read as a saved run"):
            Run.load(path)


def test_a_damaged_number_in_the_header_is_noticed(tmp_path, run):
    path = tmp_path / "run"
    run.save(path)
    place = path.read_bytes().index(b'std\\": ') + 7
    content = bytearray(path.read_bytes())
    content[place] = ord("7")
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="its check sum is another"):
        Run.load(path)


def test_foreign_and_newer_files_are_refused_in_words(tmp_path, run):
    path = tmp_path / "run"
    run.save(path)
    _, _, rewrite = contents(path)
    rewrite(version=2)
    with pytest.raises(ValueError, match=r"of version 2 of the format, .* reads 1; update diffviz"):
        Run.load(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no file of diffviz, and so no run"):
        Run.load(path)
    for entry in ("hello", "[1]", "{}", '{"kind": "run", "version": 1}'):
        safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"diffviz": entry})
        with pytest.raises(ValueError, match="damaged: its header is"):
            Run.load(path)
    path.write_text("name,value\n")
    with pytest.raises(ValueError, match="no safetensors file"):
        Run.load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Run.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Run.load(tmp_path)


def test_a_checkpoint_is_no_run_and_a_run_no_checkpoint(tmp_path, run):
    trained(checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="a diffviz checkpoint, no run"):
        Run.load(tmp_path / "checkpoint")
    run.save(tmp_path / "run")
    with pytest.raises(ValueError, match="a diffviz run, no checkpoint"):
        trained(checkpoint=tmp_path / "run")


def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, run):
    path = tmp_path / "run"
    run.save(path)
    header, tensors, rewrite = contents(path)
    cases = [
        ({key: header[key] for key in header if key != "std"}, tensors, "it has no 'std'"),
        (header | {"ema": 0.3}, tensors, "no average of length 0.3"),
        (header | {"output": "w"}, tensors, "unknown output 'w'"),
        (header | {"model": {"class": "MLP", "settings": {"size": 3}}}, tensors, "no settings"),
        (header, {name: tensors[name] for name in tensors if name != "mean"}, "it has no 'mean'"),
        (header, tensors | {"weights 0.1": torch.zeros(3)}, "parameters, the file weights of"),
    ]
    for changed, kept, says in cases:
        rewrite(changed, kept)
        with pytest.raises(ValueError, match=says):
            Run.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, run, monkeypatch):
    path = tmp_path / "run"
    run.save(path)
    content = path.read_bytes()

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        run.at(0.0).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["run"]
    with pytest.raises(FileNotFoundError):
        run.save(tmp_path / "nowhere" / "run")
