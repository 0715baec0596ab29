"""Checkpoints of a training: its state, and all that must agree for it to go on.

An objective is compared by what it does, not by its name; see ``identity.record``.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from diffviz.checks import require
from diffviz.learning import files
from diffviz.learning.identity import Record, record
from diffviz.learning.optimiser import State
from diffviz.learning.settings import Settings
from diffviz.protocols import Trainable

KIND = "checkpoint"


@dataclass(frozen=True)
class Description:
    """What a checkpoint must agree on for its continuation to be the same training.

    Args:
        settings: ``Settings.record`` of the training.
        objectives: One record for each objective, in their order.
        data: Checksum of the data; see ``TrainingData``.
    """

    settings: Mapping[str, Any]
    objectives: Sequence[Record]
    data: int

    def differences(self, saved: Mapping[str, Any]) -> list[str]:
        """Sentences on what differs in a saved description, none if nothing does.

        Args:
            saved: What ``header`` returned when the checkpoint was written.

        Returns:
            For each difference the value in the file and the value here.
        """
        settings = saved["settings"]
        sentences = [
            f"{key} is {settings.get(key)} in the file, {self.settings.get(key)} here"
            for key in {**self.settings, **settings}
            if settings.get(key) != self.settings.get(key)
        ]
        if saved["data"] != self.data:
            sentences.append("data in the file is another")
        objectives = [Record(**fields) for fields in saved["objectives"]]
        return sentences + self._other_objectives(objectives)

    def _other_objectives(self, saved: Sequence[Record]) -> list[str]:
        """A sentence on the objectives if their identities differ."""
        if len(saved) != len(self.objectives):
            return [f"objectives are {len(saved)} in the file, {len(self.objectives)} here"]
        pairs = [
            (there, here)
            for there, here in zip(saved, self.objectives, strict=True)
            if there.identity != here.identity
        ]
        if not pairs:
            return []
        listed = ", ".join(f"{there} in the file, {here} here" for there, here in pairs)
        return [f"objectives differ: {listed}"]

    def header(self) -> dict[str, Any]:
        """The description as JSON has it."""
        return {
            "settings": dict(self.settings),
            "objectives": [asdict(objective) for objective in self.objectives],
            "data": self.data,
        }


def describe_training(
    settings: Settings, network: Mapping[str, Any], objectives: Sequence[Trainable], data: int
) -> Description:
    """What is compared before a training goes on.

    Args:
        settings: Settings of the training.
        network: Description of its network, made before the first step.
        objectives: Its objectives.
        data: Checksum of its data, made when they were first read.

    Returns:
        The description.
    """
    return Description(
        settings=settings.record(network),
        objectives=[record(objective) for objective in objectives],
        data=data,
    )


def save(path: str | os.PathLike, description: Description, state: State) -> None:
    """Write a checkpoint in the place of an old one.

    Args:
        path: Where to.
        description: What training it belongs to.
        state: What is trained.

    Raises:
        OSError: The file cannot be written. An old checkpoint is still there.
    """
    header = description.header() | {"step": state.step}
    files.write(path, KIND, header, state.tensors())


def load(path: str | os.PathLike, description: Description, like: State) -> State:
    """The state of a checkpoint of the same training.

    Args:
        path: Where from.
        description: What training goes on.
        like: A state of that training, for the shapes and the device.

    Returns:
        The state.

    Raises:
        FileNotFoundError: There is no file.
        ValueError: The file is damaged, or a checkpoint of another training.
    """
    files.checked_path(path)
    try:
        header, tensors = files.read(path, KIND)
        different = description.differences(_checked(header))
        different = different or _other_tensors(tensors, like.tensors())
        if different:
            raise ValueError("; ".join(different))
        moved = {name: tensor.to(like.weights.device) for name, tensor in tensors.items()}
        return State(**moved, step=_checked_step(header["step"], like.losses.shape[1]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)} is no checkpoint of this training ({error}); name another file"
        ) from error


def _checked(header: dict[str, Any]) -> dict[str, Any]:
    """A header with all parts in their forms; a ValueError that names the part for another."""
    forms = {"settings": dict, "objectives": list, "data": int, "step": int}
    for name, form in forms.items():
        require(name in header, f"it has no {name}")
        value = header[name]
        require(type(value) is form, f"{name} must be of type {form.__name__}, got {value!r:.80}")
    parts = {field.name for field in fields(Record)}
    for objective in header["objectives"]:
        require(
            isinstance(objective, dict) and objective.keys() == parts,
            f"each of the objectives has {' and '.join(sorted(parts))}, got {objective!r:.80}",
        )
    return header


def _checked_step(step: int, steps: int) -> int:
    """A number of steps done, of those that are planned."""
    require(0 <= step <= steps, f"step must lie in [0, {steps}], got {step}")
    return step


def _other_tensors(saved: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> list[str]:
    """Sentences on tensors that differ in name, type or shape, as with another network."""
    if saved.keys() != here.keys():
        return [f"tensors are {', '.join(sorted(saved))} in the file, {', '.join(here)} here"]
    return [
        f"{name} has {_difference(saved[name], tensor)}"
        for name, tensor in here.items()
        if (saved[name].shape, saved[name].dtype) != (tensor.shape, tensor.dtype)
    ]


def _difference(saved: Tensor, here: Tensor) -> str:
    """In what two tensors differ: in shape, or in type where they have one shape."""
    if saved.shape != here.shape:
        return f"shape {tuple(saved.shape)} in the file, {tuple(here.shape)} here"
    return f"type {saved.dtype} in the file, {here.dtype} here"
