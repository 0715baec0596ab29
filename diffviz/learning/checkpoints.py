"""Checkpoints of a training: its state, and all that must agree for it to go on.

An objective is compared by what it does, not by its name; see ``identity.record``.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

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
        sentences = [
            f"{key} is {saved['settings'].get(key)} in the file, {here} here"
            for key, here in self.settings.items()
            if saved["settings"].get(key) != here
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
    settings: Settings, objectives: Sequence[Trainable], data: int
) -> Description:
    """What is compared before a training goes on.

    Args:
        settings: Settings of the training.
        objectives: Its objectives.
        data: Checksum of its data, made when they were first read.

    Returns:
        The description.
    """
    return Description(
        settings=settings.record(),
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
    try:
        header, tensors = files.read(path, KIND)
        different = description.differences(header) or _other_shapes(tensors, like.tensors())
        if different:
            raise ValueError("; ".join(different))
        moved = {name: tensor.to(like.weights.device) for name, tensor in tensors.items()}
        return State(**moved, step=header["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)} is no checkpoint of this training ({error}); name another file"
        ) from error


def _other_shapes(saved: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> list[str]:
    """Sentences on tensors whose shapes differ, as with another network of the same class."""
    return [
        f"{name} has shape {tuple(saved[name].shape)} in the file, {tuple(tensor.shape)} here"
        for name, tensor in here.items()
        if saved[name].shape != tensor.shape
    ]
