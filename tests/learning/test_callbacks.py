"""Callbacks that log the loss by log-SNR as a training goes, in the real trainers."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

import diffviz as dv
from diffviz.learning import callbacks
from diffviz.learning.callbacks import follow_loop, pictures, scalars

EDGES = [-4.0, 0.0, 4.0]
NEEDED = "the extra 'callbacks' is not installed"
NAMES = ["loss_by_logsnr/-02.00", "loss_by_logsnr/+02.00"]


class Points(torch.utils.data.Dataset):
    """Points with a level each, as a trainer's loader takes them."""

    def __init__(self, n=24):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(n, 2, generator=generator)
        self.logsnr = torch.linspace(-3, 3, n) * torch.tensor([-1.0, 1.0]).repeat(n // 2)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"x": self.x[index], "logsnr": self.logsnr[index]}


def errors_of(network, batch):
    """Squared error of each sample."""
    return (network(batch["x"]) - batch["x"]).square().sum(1)


def filled(decay=0.9):
    tracker = dv.LossByLogSNR(EDGES, decay)
    tracker.update([-3.0, -1.0, 2.0], [0.25, 0.75, 1.0])
    return tracker


# --- any loop -----------------------------------------------------------------------------------


def test_the_curve_has_a_scalar_for_each_bin_that_was_seen():
    tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0, 8.0], [0.9, 0.5])
    tracker.update([-3.0, 2.0], [0.5, 1.0])
    tracker.update([-3.0, 2.0], [1.5, 3.0])
    assert scalars(tracker, "u", "a") == pytest.approx(
        {"a/-02.00": tracker.curve("u").mean[0, 0], "a/+02.00": tracker.curve("u").mean[0, 1]}
    )


def test_a_loop_logs_the_curve_when_it_is_due():
    logged = []
    tracker = dv.LossByLogSNR(EDGES, 0.9)
    follow = follow_loop(lambda values, step: logged.append((step, values)), tracker, every=2)
    expected = dv.LossByLogSNR(EDGES, 0.9)
    for step in range(1, 6):
        follow([-1.0, 2.0], [step, 2 * step])
        expected.update([-1.0, 2.0], [step, 2 * step])
        if step % 2 == 0:
            assert logged[-1] == (step, scalars(expected))
    assert [step for step, _ in logged] == [2, 4]


class Keyword:
    def __init__(self):
        self.got = []

    def log(self, values, step=None):
        self.got.append((step, values))


class Scalar:
    def __init__(self):
        self.got = []

    def add_scalar(self, name, value, step):
        self.got.append((step, {name: value}))


class Metrics:
    def __init__(self):
        self.got = []

    def log_metrics(self, values, step):
        self.got.append((step, values))


@pytest.mark.parametrize("kind", [Keyword, Scalar, Metrics])
def test_every_kind_of_logger_gets_the_curve(kind):
    logger = kind()
    follow_loop(logger, dv.LossByLogSNR(EDGES), every=1)([-1.0, 2.0], [0.5, 1.5])
    got = {name: value for _, values in logger.got for name, value in values.items()}
    assert got == dict(zip(NAMES, [0.5, 1.5], strict=True))
    assert {step for step, _ in logger.got} == {1}


@pytest.mark.parametrize(
    ("error", "part", "call"),
    [
        (TypeError, "logger must have log", lambda t: follow_loop(3, t)),
        (TypeError, "tracker must be a dv.LossByLogSNR", lambda t: follow_loop(print, 3)),
        (ValueError, "every must be at least 1", lambda t: follow_loop(print, t, every=0)),
        (ValueError, "unknown base 'w'", lambda t: follow_loop(print, t, base="w")),
        (TypeError, "name must be text", lambda t: follow_loop(print, t, name="")),
    ],
)
def test_a_wrong_argument_is_refused(error, part, call):
    with pytest.raises(error, match=part):
        call(filled())


# --- pictures -----------------------------------------------------------------------------------


class Figures(Scalar):
    def __init__(self):
        super().__init__()
        self.figures = []

    def add_figure(self, name, figure, step, close):
        self.figures.append((name, step, figure, close))


class Tracked:
    """As accelerate's: a tracker around a writer."""

    def __init__(self, writer):
        self.tracker = writer


class Accelerated(Keyword):
    def __init__(self, main=True):
        super().__init__()
        self.trackers = [Tracked(Figures()), Tracked(None)]
        self.is_main_process = main


class Experiment(Metrics):
    """As Lightning's logger of TensorBoard."""

    def __init__(self):
        super().__init__()
        self.experiment = Figures()


def test_the_first_curve_is_drawn_and_each_tenth_after_it():
    writer, tracker = Figures(), dv.LossByLogSNR(EDGES)
    follow = follow_loop(writer, tracker, every=2, base="x", name="a", pictures=3)
    for _ in range(15):
        follow([-1.0, 2.0], [0.5, 1.5])
    assert [(name, step) for name, step, *_ in writer.figures] == [
        ("a/curve", 2),
        ("a/curve", 8),
        ("a/curve", 14),
    ]
    line = writer.figures[-1][2].axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), tracker.curve("x").mean)
    assert len(writer.got) == 14  # two scalars in each of seven curves


@pytest.mark.parametrize("tracker", [dv.LossByLogSNR(EDGES), filled()], ids=["empty", "filled"])
def test_no_label_of_a_picture_is_cut_off(tracker):
    figure = pictures.drawn(tracker)
    pictures.pixels(figure)
    width, height = figure.canvas.get_width_height()
    for text in (figure.axes[0].xaxis.label, figure.axes[0].yaxis.label, figure.axes[0].title):
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height


def test_no_picture_is_drawn_where_none_is_asked_for():
    writer = Figures()
    follow_loop(writer, dv.LossByLogSNR(EDGES), every=1, pictures=0)([-1.0], [0.5])
    assert writer.figures == []
    assert writer.got
    with pytest.raises(ValueError, match="pictures must be at least 0"):
        follow_loop(writer, dv.LossByLogSNR(EDGES), pictures=-1)


def test_a_picture_reaches_the_writer_within_a_logger():
    for logger, figures in (
        ((one := Accelerated()), lambda: one.trackers[0].tracker.figures),
        ((two := Experiment()), lambda: two.experiment.figures),
    ):
        follow_loop(logger, dv.LossByLogSNR(EDGES), every=1)([-1.0, 2.0], [0.5, 1.5])
        assert [name for name, *_ in figures()] == ["loss_by_logsnr/curve"]
        assert len(logger.got) == 1
    other = Accelerated(main=False)
    follow_loop(other, dv.LossByLogSNR(EDGES), every=1)([-1.0], [0.5])
    assert other.trackers[0].tracker.figures == []


def test_wandb_gets_an_image_of_the_curve(monkeypatch):
    from types import ModuleType

    wandb = ModuleType("wandb")
    wandb.Image = lambda pixels: ("image", pixels)
    monkeypatch.setitem(__import__("sys").modules, "wandb", wandb)
    run = type("Run", (Keyword,), {"__module__": "wandb.sdk.wandb_run"})()
    follow_loop(run, dv.LossByLogSNR(EDGES), every=1)([-1.0, 2.0], [0.5, 1.5])
    (_, values), (step, picture) = run.got
    assert values == dict(zip(NAMES, [0.5, 1.5], strict=True))
    kind, pixels = picture["loss_by_logsnr/curve"]
    assert (kind, step, pixels.shape[2], pixels.dtype) == ("image", 1, 3, np.uint8)
    assert np.ptp(pixels) > 200  # something is drawn on white


# --- the real packages, with whatever they warn of ----------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_lightning_logs_the_curve_and_keeps_the_tracker_in_its_checkpoints(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason=NEEDED)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = nn.Linear(2, 2)

        def training_step(self, batch, index):
            error = errors_of(self.network, batch)
            return {"loss": error.mean(), "logsnr": batch["logsnr"], "error": error}

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    class Logger(lightning.loggers.logger.Logger):
        name, version = "memory", "0"

        def __init__(self):
            super().__init__()
            self.curves = {}

        def log_hyperparams(self, *args, **more):
            pass

        def log_metrics(self, metrics, step=None):
            curve = {name: value for name, value in metrics.items() if name in NAMES}
            self.curves |= {step: curve} if curve else {}

    tracker, logger = dv.LossByLogSNR(EDGES, 0.9), Logger()
    callback = callbacks.LightningCallback(tracker, every=2)
    trainer = lightning.Trainer(
        max_steps=4,
        logger=logger,
        callbacks=[callback],
        accelerator="cpu",
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_DISABLE_TIPS", "1")
        trainer.fit(Module(), torch.utils.data.DataLoader(Points(), 6))
    assert sorted(logger.curves) == [2, 4]
    assert logger.curves[4] == pytest.approx(scalars(tracker))
    assert tracker.count.sum() == 24
    file = tmp_path / "last.ckpt"
    trainer.save_checkpoint(file)
    states = torch.load(file, weights_only=False)["callbacks"]
    twin = callbacks.LightningCallback(dv.LossByLogSNR(EDGES, 0.9))
    twin.load_state_dict(states[callback.state_key])
    np.testing.assert_array_equal(twin.schedule.tracker.mean, tracker.mean)
    assert pickle.loads(pickle.dumps(twin)).schedule.every == 100
    with pytest.raises(ValueError, match="training_step must return a mapping with 'loss'"):
        callback.on_train_batch_end(trainer, None, {"loss": 1.0}, None, 0)


@pytest.mark.filterwarnings("ignore")
def test_accelerate_logs_the_curve_with_its_trackers(tmp_path):
    accelerate = pytest.importorskip("accelerate", reason=NEEDED)
    pytest.importorskip("tensorboard", reason=NEEDED)
    accelerator = accelerate.Accelerator(cpu=True, log_with="tensorboard", project_dir=tmp_path)
    accelerator.init_trackers("run")
    tracker = dv.LossByLogSNR(EDGES, 0.9)
    follow = follow_loop(accelerator, tracker, every=2)
    network = nn.Linear(2, 2)
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    loader = torch.utils.data.DataLoader(Points(), 6)
    network, optimiser, loader = accelerator.prepare(network, optimiser, loader)
    for batch in loader:
        error = errors_of(network, batch)
        accelerator.backward(error.mean())
        optimiser.step()
        optimiser.zero_grad()
        follow(batch["logsnr"], error)
    accelerator.end_training()
    curves = scalars_of(tmp_path)
    assert {name: sorted(steps) for name, steps in curves.items()} == {
        name: [2, 4] for name in NAMES
    }
    last = {name: steps[4] for name, steps in curves.items()}
    assert last == pytest.approx(scalars(tracker), rel=1e-6)
    assert pictures_in(tmp_path) == {"loss_by_logsnr/curve": [2]}


def pictures_in(folder):
    """Name to steps of the pictures in a folder, by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = [file for file in folder.rglob("*") if "tfevents" in file.name]
    events = EventAccumulator(str(file))
    events.Reload()
    return {name: [e.step for e in events.Images(name)] for name in events.Tags()["images"]}


def scalars_of(folder):
    """Name to {step: value} of the event files in a folder, by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = [file for file in folder.rglob("*") if "tfevents" in file.name]
    events = EventAccumulator(str(file), {"scalars": 0})
    events.Reload()
    return {
        name: {event.step: event.value for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
        if name in NAMES
    }


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_hugging_face_logs_the_curve(tmp_path):
    transformers = pytest.importorskip("transformers", reason=NEEDED)
    pytest.importorskip("accelerate", reason=NEEDED)
    pytest.importorskip("tensorboard", reason=NEEDED)
    tracker = dv.LossByLogSNR(EDGES, 0.9)

    class Trainer(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **more):
            error = errors_of(model, inputs)
            tracker.update(inputs["logsnr"], error)
            return error.mean()

    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=4,
        per_device_train_batch_size=6,
        use_cpu=True,
        report_to=["tensorboard"],
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        logging_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = Trainer(nn.Linear(2, 2), arguments, train_dataset=Points())
    callbacks.follow_trainer(trainer, tracker, every=2)
    trainer.train()
    curves = [row for row in trainer.state.log_history if NAMES[0] in row]
    assert [row["step"] for row in curves] == [2, 4]
    assert {name: curves[-1][name] for name in NAMES} == pytest.approx(scalars(tracker))
    assert pictures_in(tmp_path) == {"loss_by_logsnr/curve": [2]}
    with pytest.raises(TypeError, match=r"trainer must be a transformers\.Trainer"):
        callbacks.follow_trainer(print, tracker)


@pytest.mark.parametrize("package", ["lightning", "transformers"])
def test_a_missing_package_is_met_with_the_line_that_installs_it(package, monkeypatch):
    from diffviz.learning.callbacks import huggingface, lightning

    monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.setattr(lightning, "Callback", object)
    call = {
        "lightning": lambda: callbacks.LightningCallback(filled()),
        "transformers": lambda: huggingface.follow_trainer(None, filled()),
    }[package]
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'diffviz\[callbacks\]'"):
        call()
