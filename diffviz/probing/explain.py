"""What to pass to a probe where a loss fails under it, read from the loss's own error.

A loss fails under a probe because it expects more of its network, or of its data, than it gets. The
error that it raises then speaks of tensors and tuples. Here it is said which argument helps.
"""

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OF_OUTPUT = "the stand-in answers with a plain tensor of the shape of z"


def _attribute_of_a_tensor(error: Exception) -> str:
    """The loss reads ``out.sample``."""
    match = re.search(r"'Tensor' object has no attribute '(\w+)'", str(error))
    if not (match and isinstance(error, AttributeError)):
        return ""
    name = match[1]
    return (
        f"if the loss reads {name!r} of its network's output, give output={name!r}; if of its "
        f"batch, wrap the loss: lambda model, x: loss(model, batch_with(x))"
    )


def _unpacking(error: Exception) -> str:
    """The loss unpacks a tuple."""
    if not (isinstance(error, ValueError) and "values to unpack" in str(error)):
        return ""
    return (
        f"{OF_OUTPUT}: if the loss unpacks its network's output, give output=lambda out: (out, "
        "None), with as many values as it takes"
    )


def _missing_key(error: Exception) -> str:
    """The loss reads a dict."""
    if not isinstance(error, KeyError):
        return ""
    return (
        f"if the loss reads {error} of its network's output, give output={error}; if of its batch, "
        f"wrap the loss: lambda model, x: loss(model, {{{error}: x}})"
    )


def _string_index(error: Exception) -> str:
    """The loss reads ``out["sample"]`` or ``batch["image"]``."""
    is_told = "indices" in str(error) or "invalid data type 'str'" in str(error)
    if not (isinstance(error, (IndexError, TypeError)) and is_told):
        return ""
    return (
        "if the loss reads its network's output by name, give that name as output=, and for names "
        'in names output=lambda out: {"x": {"sample": out}}; if its batch is a dict, wrap the '
        'loss: lambda model, x: loss(model, {"image": x})'
    )


def _assertion(error: Exception) -> str:
    """The loss asserts something of its data or of its network."""
    if not isinstance(error, AssertionError):
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[-1].line if frames else ""
    return f"the loss asserts {line!r}; give data or a network (model=) for which this holds"


def _backward(error: Exception) -> str:
    """The loss calls backward itself."""
    text = str(error)
    if not (isinstance(error, RuntimeError) and "through the graph a second time" in text):
        return ""
    return "the loss calls backward itself: return it before that, and let the probe differentiate"


def _shapes(error: Exception) -> str:
    """The output has the wrong number of channels."""
    if not (isinstance(error, RuntimeError) and "must match" in str(error)):
        return ""
    return (
        f"{OF_OUTPUT}: if the network gives more channels, give output=lambda out: torch.cat([out, "
        "out.detach()], 1); if data are changed before the network, give x as it is then"
    )


def _differentiated(error: Exception) -> str:
    """The loss differentiates its network by its input."""
    if not (isinstance(error, RuntimeError) and "not have been used in the graph" in str(error)):
        return ""
    return (
        "if it differentiates its network by its input, as in sliced or Hutchinson score matching, "
        "it has no target for each sample, and so no weighting that could be read"
    )


def _mapped(error: Exception) -> str:
    """The loss calls its network under vmap."""
    if not (isinstance(error, RuntimeError) and "being vmapped" in str(error)):
        return ""
    return "the network cannot be probed inside torch.vmap: call it on the whole batch, as one does"


CAUSES: tuple[Callable[[Exception], str], ...] = (
    _attribute_of_a_tensor,
    _unpacking,
    _missing_key,
    _string_index,
    _assertion,
    _backward,
    _shapes,
    _differentiated,
    _mapped,
)


@contextmanager
def explaining(answered: Callable[[], str] | None = None) -> Iterator[None]:
    """Raise errors of a loss again with what to pass, where something is known to help.

    Args:
        answered: Gives the type of what ``output=`` returned, empty if it is not given. None where
            the loss itself does not run.
    """
    try:
        yield
    except Exception as error:
        advice = _advice(error) or _not_read(error, answered() if answered else "")
        if not advice:
            raise
        text = str(error) or type(error).__name__
        kind = ValueError if isinstance(error, (KeyError, AssertionError)) else type(error)
        raise kind(f"the loss fails under the probe: {text}; {advice}") from error


def _advice(error: Exception) -> str:
    """What to pass after an error; empty where nothing is known to help."""
    return next(filter(None, (cause(error) for cause in CAUSES)), "")


def _not_read(error: Exception, answered: str) -> str:
    """The loss cannot read what ``output=`` returns."""
    if not (answered and isinstance(error, TypeError | AttributeError | LookupError)):
        return ""
    return (
        f"its network answers with what output= returns, of type {answered}: return what the loss "
        "reads, such as a tensor of the shape of z"
    )
