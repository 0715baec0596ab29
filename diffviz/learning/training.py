"""Train small denoisers under any number of objectives, so that what differs is the objective.

An objective enters only as draws of (logsnr, factor):

    loss = mean of factor · ‖eps_hat − eps‖².

All networks start from the same weights, see the same data, the same noise and the same quantiles
of their own density, and are one batched model.

The network sees data of zero mean and unit variance, x' = (x − m)/s for data of mean m and standard
deviation s. Noise at log-SNR λ of x is noise at λ' of x':

    z' = alpha' x' + sigma' eps,    alpha'² + sigma'² = 1,    λ' = λ + 2 ln s.

In the code ``logsnr`` is λ and ``level`` is λ'. The raw output r_hat estimates r = a x' + b eps.
See ``outputs`` for a, b and the gain g. The loss is therefore factor/g² · ‖r_hat − r‖², whatever r
is.

The optimiser is ``optimiser.adam_step``, which turns one ``State`` into the next. The settings are
in ``settings``, and all that is random is drawn in ``batches``.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm.auto import tqdm

from diffviz import checks
from diffviz.compute import gradients, threads
from diffviz.data.streams import Source
from diffviz.learning import checkpoints, files, importance, spread
from diffviz.learning.batches import BLOCK, Block, draw_block, training_data
from diffviz.learning.identity import trainables
from diffviz.learning.models import Network, default_model, described, multiply_adds, raw_output
from diffviz.learning.optimiser import State, adam_step, initial_state
from diffviz.learning.runs import Run
from diffviz.learning.settings import Settings
from diffviz.protocols import Trainable

Objectives = str | Trainable | Sequence[str | Trainable]
Data = ArrayLike | Tensor | Source | Iterable[Any]


class Diverged(FloatingPointError):
    """A loss or gradient stopped being finite.

    Args:
        message: Which objective, at which step and log-SNR.
        runs: What was trained before that step.

    Example:
        >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
        >>> try:
        ...     dv.fit("fm-ot", data, steps=5, learning_rate=1e30, progress=False)
        ... except dv.Diverged as error:
        ...     print(len(error.runs))
        1
    """

    def __init__(self, message: str, runs: Sequence[Run] = ()):
        super().__init__(message)
        self.runs = list(runs)


@dataclass(frozen=True, eq=False)
class Step:
    """One step of k objectives on n points.

    Args:
        step: Number of steps done.
        logsnr: λ of the draws in nats, shape (k, n).
        error: Squared eps error summed over dimensions, shape (k, n).
        loss: Mean of factor · error, shape (k,).
    """

    step: int
    logsnr: Tensor
    error: Tensor
    loss: Tensor


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Losses of k objectives on the n points of a step, with their gradients.

    Args:
        logsnr: λ of the draws in nats, shape (k, n).
        error: Squared eps error, shape (k, n).
        weighted: Factor times squared eps error, shape (k, n).
        loss: Mean of ``weighted``, shape (k,).
        gradient: Gradient of the loss by the weights, shape (k, parameters).
        squared_length: Squared length of the gradient, shape (k, 1).
    """

    logsnr: Tensor
    error: Tensor
    weighted: Tensor
    loss: Tensor
    gradient: Tensor
    squared_length: Tensor


@dataclass(frozen=True, eq=False)
class Drawn:
    """A block of draws, and what was known of the errors when it was drawn.

    Args:
        block: The draws.
        seen: See ``State.seen``.
    """

    block: Block
    seen: Tensor | None


class Trainer:
    """Training step by step, for a dashboard or a loop of one's own.

    Args:
        objectives: One or several objectives; see ``fit``.
        data: Points or images; see ``fit``.
        model: The network. By default an ``MLP`` for points and a ``Transformer`` for images.
        steps: Number of steps.
        batch: Number of points in a step.
        seed: Seed of all that is random.
        learning_rate: Learning rate of Adam at the start.
        schedule: Schedule of the learning rate: "cosine" or "constant".
        output: What the network puts out: "eps", "x", "v" or "F".
        ema: Mean ages of the averaged weights, as shares of the steps done.
        clip: Longest gradient in units of its running root mean square.
        adaptive: Whether levels follow the measured loss; see ``fit``.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The data or a setting is unusable.
    """

    @gradients.recorded()
    def __init__(
        self,
        objectives: Objectives,
        data: Data,
        *,
        model: Network | None = None,
        steps: int = 800,
        batch: int = 512,
        seed: int = 0,
        learning_rate: float = 1e-2,
        schedule: str = "cosine",
        output: str = "v",
        ema: Sequence[float] = (0.1, 0.05),
        clip: float = 1.0,
        adaptive: bool = False,
    ):
        self.objectives = trainables(objectives)
        self.data = training_data(data)
        self.settings = Settings(
            model=default_model(self.data.mean.shape) if model is None else model,
            steps=steps,
            batch=batch,
            seed=seed,
            learning_rate=learning_rate,
            schedule=schedule,
            output=output,
            ema=ema,
            clip=clip,
            adaptive=adaptive,
        )
        self._network = described(self.settings.model)
        self._state = initial_state(
            self.settings, self.data.mean.shape, len(self.objectives), self.data.device
        )
        if self.settings.adaptive:
            self._state = self._nothing_seen(self._state)
        self._drawn: Drawn | None = None

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._state.step

    @property
    def steps(self) -> int:
        """Number of steps planned."""
        return self.settings.steps

    @cached_property
    def work(self) -> float:
        """Multiply-adds of the largest operation of a step; infinite if a network hides it."""
        if self.data.points.device.type != "cpu":
            return math.inf
        n = len(self.objectives) * self.settings.batch
        return multiply_adds(self.settings.model, tuple(self.data.mean.shape), n)

    @gradients.recorded()
    def advance(self) -> Step:
        """Train one step.

        Returns:
            The step, with its draws, errors and losses.

        Raises:
            Diverged: A loss or gradient is not finite. The weights stay what they were.
            ValueError: All steps are done, or an objective draws what cannot be used.
        """
        if self.step >= self.steps:
            raise ValueError(f"all {self.steps} steps are done; a new Trainer starts afresh")
        with threads.suited(self.work):
            return self._advance()

    def _advance(self) -> Step:
        """Train one step, of which there is one left."""
        block_number, row = divmod(self.step, BLOCK)
        if self._drawn is None or self._drawn.block.number != block_number:
            self._drawn = self._draw(block_number, row)
        block = self._drawn.block
        evaluation = self._evaluate(block, row)
        self._check_finite(evaluation)
        self._state.losses[:, self.step] = evaluation.loss
        state = adam_step(
            self._state, evaluation.gradient, evaluation.squared_length, self.settings
        )
        if state.block is not None:
            # at the first step a copy: the steps of the last block must outlive an interrupt
            steps = state.block.clone() if row == 0 else state.block
            steps[:, row] = torch.stack([evaluation.logsnr, evaluation.error])
            state = replace(state, seen=self._drawn.seen, block=steps)
        self._state = state
        return Step(self.step, evaluation.logsnr, evaluation.error, evaluation.loss)

    def _draw(self, number: int, row: int) -> Drawn:
        """Draw a block; after a checkpoint in its middle, the same block as before."""
        seen = self._state.seen
        if seen is None or self._state.block is None:
            return Drawn(draw_block(self.objectives, self.settings, self.data, number), None)
        adaptable = importance.adaptable(self.objectives)
        if row == 0 and number > 0:
            logsnr, error = self._state.block
            scale = importance.DataScale(self.data.std, self.data.mean.numel())
            seen = importance.learn(seen, adaptable, logsnr, error, scale)
        sampled = [
            importance.ImportanceSampled(objective, known)
            for objective, known in zip(adaptable, seen.cpu().numpy(), strict=True)
        ]
        # the first block is drawn as ever
        block = draw_block(sampled, self.settings, self.data, number, is_paired=number > 0)
        return Drawn(block, seen)

    def _nothing_seen(self, state: State) -> State:
        """A state that keeps what importance sampling needs; see ``State``."""
        k = len(importance.adaptable(self.objectives))
        steps = state.weights.new_zeros(2, BLOCK, k, self.settings.batch)
        return replace(state, seen=importance.begin(k).to(state.weights.device), block=steps)

    def _evaluate(self, block: Block, row: int) -> Evaluation:
        """Losses and gradients at one step of a block, which is a row of its arrays."""
        weights = self._state.weights.detach().requires_grad_()
        coefficients = block.coefficients_at(row)
        x, eps = block.draws_at(row, self.data)
        z = coefficients.alpha * x + coefficients.sigma * eps
        target = coefficients.a * x + coefficients.b * eps
        raw = raw_output(self.settings.model, weights, z, block.level[row])
        output_error = (raw - target).square().flatten(2).sum(-1)
        weighted = block.weight[row] * output_error
        loss = weighted.mean(1)
        (gradient,) = torch.autograd.grad(loss.sum(), weights)
        return Evaluation(
            logsnr=block.logsnr[row],
            error=(block.inverse_gain2[row] * output_error).detach(),
            weighted=weighted.detach(),
            loss=loss.detach(),
            gradient=gradient,
            squared_length=gradient.square().sum(1, keepdim=True),
        )

    def _check_finite(self, evaluation: Evaluation) -> None:
        """Raise ``Diverged`` for the first objective whose loss or gradient is not finite."""
        finite = torch.isfinite(evaluation.loss + evaluation.squared_length[:, 0])
        if finite.all():
            return
        k = int(finite.int().argmin())
        largest = evaluation.weighted[k].nan_to_num(math.inf, math.inf).argmax()
        worst_logsnr = evaluation.logsnr[k, largest].item()
        raise Diverged(
            f"{self.objectives[k].name}: loss or gradient not finite at step {self.step}, "
            f"largest at logsnr {worst_logsnr:.3g}; weights are kept as before it, "
            f"try a learning_rate below {self.settings.learning_rate:g}",
            self.runs(),
        )

    def runs(self) -> list[Run]:
        """What is trained so far.

        Returns:
            One run for each objective, with weights and losses of its own.
        """
        return [self._run(k) for k in range(len(self.objectives))]

    def _run(self, k: int) -> Run:
        """What is trained so far under the k-th objective."""
        ages = self.settings.ema
        averages = {
            age: average[k].clone() for age, average in zip(ages, self._state.averages, strict=True)
        }
        weights = averages | {0.0: self._state.weights[k].clone()}  # at age 0 nothing is averaged
        return Run(
            objective=self.objectives[k],
            model=self.settings.model,
            output=self.settings.output,
            mean=self.data.mean,
            std=self.data.std,
            state=weights,
            ema=next(iter(weights)),  # the first age, or 0 if no average was asked for
            loss=self._state.losses[k, : self.step].cpu().numpy().copy(),
            described=self._network,
        )

    def _description(self) -> checkpoints.Description:
        """What a checkpoint must agree on."""
        return checkpoints.describe_training(
            self.settings, self._network.description, self.objectives, self.data.checksum
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write a checkpoint in the place of an old one.

        If that fails and there is an old one, it stays and a RuntimeWarning says so.

        Args:
            path: Where to.

        Raises:
            OSError: The file cannot be written, and there is no old one.
        """
        try:
            checkpoints.save(path, self._description(), self._state)
        except OSError as error:
            if not os.path.exists(path):
                raise
            warnings.warn(
                f"no checkpoint at step {self.step}, the old one stays: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    def resume(self, path: str | os.PathLike) -> None:
        """Continue from a checkpoint, bit for bit.

        Args:
            path: A file that ``save`` has written for the same settings, data and objectives.

        Raises:
            FileNotFoundError: There is no file.
            ValueError: The file is damaged or of another training; the message names what differs.
        """
        self._state = checkpoints.load(path, self._description(), self._state)
        self._drawn = None


def _train(
    trainer: Trainer,
    callback: Callable[[Step], Any] | None,
    checkpoint: str | os.PathLike | None,
    every: int,
    progress: bool,
) -> None:
    """Train the steps that are left, between a first and a last checkpoint.

    A KeyboardInterrupt ends this early and is not passed on, whether it comes in a step or while a
    checkpoint is written: the state in memory is whole, and so is the file.
    """
    done, total = trainer.step, trainer.steps
    with suppress(KeyboardInterrupt):
        if checkpoint is not None and not os.path.exists(checkpoint):
            trainer.save(checkpoint)
        steps = range(done, total)
        for _ in tqdm(steps, initial=done, total=total, disable=not progress, leave=False):
            step = trainer.advance()
            if callback is not None:
                callback(step)
            if checkpoint is not None and step.step % every == 0:
                trainer.save(checkpoint)
    if checkpoint is not None:
        with suppress(KeyboardInterrupt):
            trainer.save(checkpoint)


@gradients.recorded()
def fit(
    objectives: Objectives,
    data: Data,
    *,
    model: Network | None = None,
    steps: int = 800,
    batch: int = 512,
    seed: int = 0,
    learning_rate: float = 1e-2,
    schedule: str = "cosine",
    output: str = "v",
    ema: Sequence[float] = (0.1, 0.05),
    clip: float = 1.0,
    adaptive: bool = False,
    callback: Callable[[Step], Any] | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: int = 16 * BLOCK,
    progress: bool = True,
    devices: Sequence[str | torch.device] | None = None,
) -> list[Run]:
    """Train one denoiser for each objective, side by side: same start, same data, same noise.

    Jupyter's stop button or Ctrl-C (KeyboardInterrupt) ends the training early, and the runs so far
    are returned. Small networks train on one thread, since more make them slower; see
    ``compute.threads``.

    Args:
        objectives: One or several: objectives, names of the catalogue, or anything with ``name``
            and ``draw(n, rng)``. ``draw`` is called once for each block of 32 steps, so that a law
            may change during training. A training with such a law resumes bit for bit if the
            checkpoint was written after a multiple of 32 steps, and if what the law depends on (a
            tracker) is restored too.
        data: Points (n, d) or images (n, h, w), (n, channels, h, w). Points of up to 16 dimensions
            and their noise are drawn evenly by Sobol points, others with replacement. The training
            runs on the device of a tensor. Memory-mapped arrays and tensors are read where points
            are drawn. Images of uint8, (n, h, w, channels) too, come out with their channels first
            and on [−1, 1] instead of 0 to 255. Or batches of any of these, alone, in a tuple
            (x, label) or in a mapping: a torch ``DataLoader``, or what else can be gone through
            again; a generator cannot. Their points are used in their order, on the device on which
            they come. All data are read once at the start, for mean and spread, and must not change
            during the training.
        model: The network. By default ``MLP()`` for points and ``Transformer()`` for images; see
            ``diffviz.models``.
        steps: Number of steps.
        batch: Number of points in a step.
        seed: Seed of all that is random.
        learning_rate: Learning rate of Adam at the start.
        schedule: Schedule of the learning rate: "cosine" takes it to zero, "constant" leaves it.
        output: What the network puts out: "eps", "x", "v" or "F". The loss does not depend on it.
        ema: Mean ages of averaged weights, as shares of the steps done, each in (0, 0.5].
            ``Run.denoise`` uses the first, ``Run.at`` the others.
        clip: Longest gradient in units of its running root mean square; ``math.inf`` for any.
        adaptive: Whether to draw more levels where the measured loss says that there is something
            to learn, and some at every level, and to divide by their density. The loss and its
            weighting stay what they were; see ``diffviz.learning.importance``. Each objective must
            be an ``Objective``.
        callback: Gets a ``Step`` after each step, for a tracker or a plot. It may raise
            KeyboardInterrupt to stop.
        checkpoint: File that is written at the start, every ``every`` steps and at the end. If it
            exists, training resumes from it, if the points are the same. Of batches only the shape
            and number of points are compared, since their order may change; where it does not, the
            training resumes bit for bit too. While it trains, ``FILE.lock`` beside it keeps other
            trainings off the file.
        every: Number of steps between two checkpoints.
        progress: Whether to show a progress bar.
        devices: Devices that share the objectives, such as ["cuda:0", "cuda:1"], each with a
            process of its own; ["cpu"] * 4 are four processes. They take no ``callback`` and show
            no progress. Ctrl-C is raised, and the training goes on from its checkpoints, one for
            each device.

    Returns:
        One run for each objective, in their order.

    Raises:
        BlockingIOError: Another training is writing the checkpoint.
        Diverged: A loss or gradient is not finite. Its ``runs`` are those before that step.
        OSError: The checkpoint cannot be written at the start.
        TypeError: An argument is of the wrong kind.
        ValueError: Data, draws, a setting or the checkpoint are unusable.

    Example:
        >>> data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
        >>> runs = dv.fit(["fm-ot", "edm"], data, steps=5, batch=16, progress=False)
        >>> [run.name for run in runs]
        ['fm-ot', 'edm']
        >>> runs[0].loss.shape
        (5,)
    """
    checks.count(every, "every")
    checks.require(
        callback is None or callable(callback),
        f"callback must be a function of a Step, got {callback!r}",
        TypeError,
    )
    trainer = Trainer(
        objectives,
        data,
        model=model,
        steps=steps,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate,
        schedule=schedule,
        output=output,
        ema=ema,
        clip=clip,
        adaptive=adaptive,
    )
    if checkpoint is not None:
        checkpoint = files.checked_path(checkpoint)
    if devices is not None:
        checks.require(callback is None, "devices train in other processes, without a callback")
        return spread.fit_on_devices(
            trainer.objectives, trainer.data.points, trainer.settings, devices, checkpoint, every
        )
    with files.alone(checkpoint), threads.suited(trainer.work):
        if checkpoint is not None and os.path.exists(checkpoint):
            trainer.resume(checkpoint)
        _train(trainer, callback, checkpoint, every, progress)
    return trainer.runs()
