"""The stand-in for the network of a loss.

It takes the place of the network's ``forward``. It records the noised data z that the loss passes
to the network, and answers with an output that is chosen from outside.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from diffviz.checks import attribute, brief, has, require
from diffviz.probing.answers import learned_form
from diffviz.probing.outside import owners_of, variables_of

Selector = int | str | Callable[..., Tensor]


class Output(dict):
    """An output under its name: ``out.sample``, ``out["sample"]`` and ``out[0]`` are the same."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(
            f"the loss reads {name!r} of the network's output: name it by output={name!r}"
        )


@dataclass(frozen=True)
class NamedOutput:
    """Wraps a plain output under a name.

    Attributes:
        name: The name that the loss reads.
    """

    name: str

    def __call__(self, output: Tensor) -> Output:
        """The output under its name and under 0."""
        return Output({self.name: output, 0: output})


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the network with gradients on.

    Attributes:
        z: Noised data that the network got, detached; the part that is read.
        output: What the stand-in answered, a leaf that takes the gradient.
        scalars: The other arguments with one number, or one for each sample: times, noise levels.
        part: Places of z in the flattened output; None where z is all of it.
    """

    z: Tensor
    output: Tensor
    scalars: list[Tensor]
    part: Tensor | None = None

    def of_part(self, values: Tensor) -> Tensor:
        """The numbers of an output that belong to z.

        Args:
            values: Numbers in the shape of the output.

        Returns:
            Those at the places of z, in its shape.
        """
        if self.part is None:
            return values
        return values.reshape(-1)[self.part].reshape(self.z.shape)


@dataclass(frozen=True)
class Answers:
    """How the calls that are not probed are answered.

    Attributes:
        others: Size of the answer of other calls of the network; 0 stands for zeros.
        slope: Derivative of every answer by z, whose value it leaves as it is.
    """

    others: float = 0.0
    slope: float = 0.0


PLAIN = Answers()


class StandIn:
    """Answers in the place of a network.

    Calls without gradient, such as those of self-conditioning, are answered too. They do not count
    among the calls.

    Attributes:
        calls: The calls with gradient since the last ``reset``.
        silent: z of the calls without gradient since the last ``reset``.
        number: Number of the call that is probed; None until it is chosen.
        answered: Type of what ``wrap`` has returned last; empty where it was not given.
    """

    def __init__(
        self,
        select: Callable[..., Tensor],
        wrap: Callable[[Tensor], Any] | None,
        call: int,
        numbers: int | None = None,
        forward: Callable[..., Any] | None = None,
    ):
        """Choose what is recorded and how it is answered.

        Args:
            select: Finds z among the arguments of the network.
            wrap: Turns the plain output into what the loss expects; None returns the output itself.
            call: Which of the calls in one run of the loss gets the chosen output; -1 is the last.
            numbers: Numbers in a sample of the data. If z is a part of an argument of that size,
                the output is as large as the argument.
            forward: The network's own, which is run once to learn in what form it answers; None
                where there is none, or the form is given.
        """
        self.calls: list[Call] = []
        self.silent: list[Tensor] = []
        self.number: int | None = None
        self.answered = ""
        self._is_wrapped = wrap is not None
        self._select = select
        self._wrap = wrap
        self._call = call
        self._numbers = numbers
        self._forward = forward
        self._output: Tensor | None = None
        self._answers = PLAIN

    def reset(self, output: Tensor | None, answers: Answers = PLAIN) -> None:
        """Forget the recorded calls before the next run of the loss.

        Args:
            output: What the chosen call is answered with, in any shape with z's number of
                components, or one sample of it; None stands for zeros.
            answers: How other calls are answered.
        """
        self._output = output
        self._answers = answers
        self.calls = []
        self.silent = []

    def choose(self) -> Call:
        """Pick the call that is probed among the recorded ones.

        Returns:
            The call. From the next run on, the call with its number gets the chosen output.

        Raises:
            ValueError: The loss made no call with gradient, or fewer than were asked for.
        """
        total = len(self.calls)
        require(
            total,
            "the loss never calls its network with gradients on: write loss(model, x) that calls "
            "it, or give model=; where it calls a part of a network, or a method other than "
            "forward, that part is the model; a checkpoint needs use_reentrant=False",
        )
        require(
            -total <= self._call < total,
            f"call={self._call}, but the loss calls its network {total} time(s) with gradients on",
        )
        self.number = self._call % total
        return self.calls[self.number]

    @contextmanager
    def probing(self, number: int) -> Iterator[None]:
        """Probe another call for the while.

        Args:
            number: Number of the call, from 0.
        """
        before = self._call, self.number
        self._call = self.number = number
        try:
            yield
        finally:
            self._call, self.number = before

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call of the network and answer it."""
        z = self._noised_data(args, kwargs)
        if self._forward is not None:
            forward, self._forward = self._forward, None
            self._wrap = learned_form(forward, z, args, kwargs)
        if not torch.is_grad_enabled():
            answer = self._of_others(z)
            self.silent.append(z.detach())
            return self._wrapped(answer, kwargs)
        part, whole = self._part(z, args, kwargs)
        with _outside_transforms():
            output = self._next_output(z.detach(), part, whole).requires_grad_()
        scalars = _scalars(args, kwargs, z.shape[0])
        self.calls.append(Call(z.detach(), output, scalars, part))
        answer = output
        if self._answers.slope and part is None:
            answer = output + self._answers.slope * (z - z.detach())
        return self._wrapped(answer, kwargs)

    def _noised_data(self, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        """The argument that is z."""
        z = self._select(*args, **kwargs)
        require(
            isinstance(z, Tensor) and z.is_floating_point(),
            "inputs= must pick a floating-point tensor among the network's arguments, "
            f"got {type(z).__name__} {attribute(z, 'dtype', '')}".rstrip(),
            TypeError,
        )
        return z

    def _part(
        self, z: Tensor, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[Tensor | None, torch.Size]:
        """Places of z in an argument of the size of the data, and the shape of the output."""
        if self._numbers is None or z[:1].numel() >= self._numbers:
            return None, z.shape
        for whole in _tensors(args, kwargs):
            if whole[:1].numel() == self._numbers and _shares_memory(z, whole):
                places = torch.arange(whole.numel(), device=z.device).reshape(whole.shape)
                strides = list(z.stride())
                offset = z.storage_offset() - whole.storage_offset()
                if whole.is_contiguous():
                    part = torch.as_strided(places, z.shape, strides, offset)
                    return part.reshape(-1), whole.shape
        return None, z.shape

    def _next_output(self, z: Tensor, part: Tensor | None, whole: torch.Size) -> Tensor:
        """The chosen output if this is the chosen call, else that of other calls."""
        is_chosen = self.number is None or len(self.calls) == self.number
        if not is_chosen:
            return self._of_others(z.new_empty(whole))
        if self._output is None:
            return z.new_zeros(whole)
        size = z[:1].numel()
        require(
            self._output.numel() in (size, z.shape[0] * size),
            f"the network gets {size} numbers a sample, and other numbers in other calls: where "
            "the loss crops or resizes x to several sizes, probe each by itself, with x of that "
            "size and without that step",
        )
        output = self._output.reshape(-1, size).expand(z.shape[0], -1).to(z.dtype)
        if part is None:
            return output.reshape(z.shape).clone()
        return z.new_zeros(whole.numel()).index_put((part,), output.reshape(-1)).reshape(whole)

    def _of_others(self, z: Tensor) -> Tensor:
        """The answer of a call that is not probed, another one in each call.

        Equal answers would cancel where a loss takes the difference of two, as for a derivative.
        """
        return self._answers.others * _pattern(z, len(self.calls) + len(self.silent))

    def _wrapped(self, output: Tensor, kwargs: dict[str, Any]) -> Any:
        """The output in the form that the loss expects; ``return_dict=False`` asks for a tuple."""
        if self._wrap is not None:
            answer = self._wrap(output)
            if isinstance(answer, Iterator):
                raise TypeError(
                    "output= must return what the loss reads, such as a tensor or a tuple, got "
                    f"{brief(answer)}"
                )
            if self._is_wrapped:
                self.answered = type(answer).__name__
            return answer
        return (output,) if kwargs.get("return_dict") is False else output


def _pattern(z: Tensor, number: int) -> Tensor:
    """Numbers of size 1 in the shape of z, always the same for one number."""
    place = torch.arange(z.numel(), device=z.device, dtype=torch.float32)
    return torch.cos(3 * place + number).reshape(z.shape).to(z.dtype)


def _outside_transforms() -> AbstractContextManager[Any]:
    """Leave the transforms of ``torch.func``, inside which no leaf can be made."""
    return temporarily_clear_interpreter_stack()


def _shares_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are views of the same numbers."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _tensors(args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among the arguments of a network."""
    return [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]


def _scalars(args: tuple, kwargs: dict[str, Any], n: int) -> list[Tensor]:
    """The tensors among the arguments that hold one number, or one for each of n samples."""
    tensors = _tensors(args, kwargs)
    return [value.detach() for value in tensors if value.numel() in (1, n)]


class _EmptyNetwork(nn.Module):
    """Given to a loss when no network is; its one parameter tells the loss a device and a dtype."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.anchor = nn.Parameter(x.new_zeros(1))

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_parameters", ()):
            return self._parameters[name]
        if name == "module":  # as in model.module(z) under data parallelism
            return self
        raise AttributeError(
            f"the loss reads {name!r} of its network: give probe(..., model=) a module that has it"
        )


def network_for(loss: Callable, model: nn.Module | str | None, x: Tensor) -> nn.Module:
    """The module whose ``forward`` is replaced.

    Args:
        loss: The loss, in which a network is looked up by name.
        model: The module itself, its dotted name in the loss, or None for an empty module.
        x: Data, whose dtype and device an empty module takes.

    Returns:
        The module.

    Raises:
        ValueError: The loss has nothing of that name.
        TypeError: What was given or found is no module.
    """
    if model is None:
        return _EmptyNetwork(x)
    network = _look_up(loss, model) if isinstance(model, str) else model
    require(
        isinstance(network, nn.Module),
        f"model must be an nn.Module or the name of one in the loss, got {type(network).__name__}",
        TypeError,
    )
    return network


def _look_up(loss: Callable, name: str) -> Any:
    """What a dotted name means in a loss: an attribute of its object, or its variable."""
    first, *rest = name.split(".")
    variables = variables_of(loss)
    owner = next((one for one in (*owners_of(loss), loss) if has(one, first)), None)
    require(
        owner is not None or first in variables,
        f"model={name!r}: the loss has no {first!r}; name an attribute of it or a variable that "
        "it uses",
    )
    start = variables[first] if owner is None else getattr(owner, first)
    try:
        return reduce(getattr, rest, start)
    except Exception as error:  # the class of an object decides what a lookup raises
        raise ValueError(f"model={name!r}: {error}") from error


def selector_of_z(inputs: Selector | None, x: Tensor) -> Callable[..., Tensor]:
    """How z is found among the arguments of the network.

    Args:
        inputs: Position, keyword or function of the arguments; None takes the first floating-point
            tensor whose samples have the size of those of x.
        x: Data, shape (n, ...).

    Returns:
        A function of the network's arguments that returns z.

    Raises:
        TypeError: ``inputs`` is none of these.
    """
    if inputs is None:
        return _FirstOfSize(x.shape[1:])
    if callable(inputs):
        return inputs
    if isinstance(inputs, str):
        return _ByKeyword(inputs)
    require(
        isinstance(inputs, (int, np.integer)) and not isinstance(inputs, bool),
        "inputs must be a position, a keyword or a function of the network's arguments, "
        f"got {inputs!r}",
        TypeError,
    )
    return _ByPosition(int(inputs))


@dataclass(frozen=True)
class _FirstOfSize:
    """Finds the first argument whose samples have a given size."""

    shape: torch.Size

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        for value in (*args, *kwargs.values()):
            if self._fits(value):
                return value
        for value in _tensors(args, kwargs):
            if self._fits_in_other_samples(value):
                return value
        raise ValueError(
            f"no argument of the network is of the size of x {tuple(self.shape)} a sample; "
            f"say which by inputs={_advice_on_inputs(_tensors(args, kwargs))}"
        )

    def _fits(self, value: Any) -> bool:
        """Whether an argument is a floating-point tensor of that size."""
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            return False
        return value.shape[1:].numel() == self.shape.numel()

    def _fits_in_other_samples(self, value: Tensor) -> bool:
        """Whether an argument holds whole samples, cut into smaller ones."""
        numbers = self.shape.numel()
        size = value.shape[1:].numel()
        is_cut = value.ndim > 1 and 1 < size < numbers and numbers % size == 0
        return value.is_floating_point() and is_cut and value.numel() % numbers == 0


def _advice_on_inputs(tensors: list[Tensor]) -> str:
    """What else may help where no argument of the network is like the data."""
    tokens = [one for one in tensors if one.ndim > 1 and not one.is_floating_point()]
    if tokens:
        return (
            f". It gets whole numbers of shape {tuple(tokens[0].shape)}: a discrete or masked "
            "diffusion has no Gaussian noise. dv.probe_masked measures one that masks tokens; one "
            "that noises embeddings is probed with these as x"
        )
    sizes = [tuple(one.shape[1:]) for one in tensors if one.ndim > 1]
    if sizes:
        return (
            f". It gets {sizes[0]}: where z is joined with a condition, inputs=lambda joined, "
            "*others: joined[:, :4] takes its first four channels; where the loss crops or resizes "
            "x, give x as cropped"
        )
    return ""


@dataclass(frozen=True)
class _ByKeyword:
    """Finds z by the keyword under which the network gets it."""

    keyword: str

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        require(
            self.keyword in kwargs,
            f"inputs={self.keyword!r}, but the network gets the keywords {sorted(kwargs)} and "
            f"{len(args)} positional argument(s)",
        )
        return kwargs[self.keyword]


@dataclass(frozen=True)
class _ByPosition:
    """Finds z by its position among the arguments of the network."""

    position: int

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        require(
            -len(args) <= self.position < len(args),
            f"inputs={self.position}, but the network gets {len(args)} positional argument(s) and "
            f"the keywords {sorted(kwargs)}",
        )
        return args[self.position]
