"""Controls that several explorers have, and what is asked of their arguments."""

from collections.abc import Iterable
from typing import Any

from diffviz import checks
from diffviz.lab.experiments.walks import DRAWN, figure_of_eight
from diffviz.theory.families import Parameter
from diffviz.theory.targets import BASES
from diffviz.web.description import Menu, Paste, Slider, State

EXAMPLE = figure_of_eight()  # a drawing to begin with

ANCHOR = (
    "A constant factor changes no weighting, so each logarithm is moved up or down until it is 0 "
    "at this λ. What differs then is the shape."
)


def base_menu(tip: str = "The error on which the weighting acts.", **options: Any) -> Menu:
    """The buttons that choose the error on which a weighting acts.

    Args:
        tip: A sentence that explains them.
        **options: Passed to the menu, such as ``when``.

    Returns:
        The menu "base".
    """
    return Menu("base", "error of", tuple(BASES), "eps", buttons=True, tip=tip, **options)


def anchor_slider(reach: float = 8, tip: str = ANCHOR, **options: Any) -> Slider:
    """The slider of the λ at which logarithms are 0.

    Args:
        reach: Largest |λ| in nats.
        tip: A sentence that explains it.
        **options: Passed to the slider, such as ``when``.

    Returns:
        The slider "anchor".
    """
    return Slider("anchor", "anchor λ", -reach, reach, 0.25, 0.0, unit="nats", tip=tip, **options)


def table_box(tip: str = "") -> Paste:
    """The box for a weighting as a table, folded away at first.

    Args:
        tip: A sentence that explains it.

    Returns:
        The box "table".
    """
    return Paste(
        "table",
        "own table",
        placeholder="λ, w  (two columns, one row a line)",
        apply="use table",
        accept=".csv,.txt,.tsv",
        rare=True,
        tip=tip,
    )


def parameter_slider(
    name: str, parameter: Parameter, menu: str, option: str, label: str = ""
) -> Slider:
    """The slider of a parameter, which is shown while its option of a menu is chosen.

    Args:
        name: Name in the state.
        parameter: The parameter.
        menu: Name of the menu.
        option: The option that has the parameter.
        label: What stands beside the slider; the parameter's name by default.

    Returns:
        The slider.
    """
    return Slider(
        name,
        label or parameter.name,
        parameter.low,
        parameter.high,
        parameter.step,
        parameter.default,
        when={menu: (option,)},
    )


def take_drawing(state: State, menu: str) -> None:
    """Let what is drawn be the data, unless it is still the example.

    A drawing over other data does not begin with the example, which nobody sees then.

    Args:
        state: A value for each control, which is changed; "drawing" holds what is drawn.
        menu: Name of the menu of data.
    """
    drawing = state["drawing"]
    if drawing == EXAMPLE:
        return
    size = len(EXAMPLE)
    if state[menu] != DRAWN and drawing[:size] == EXAMPLE:
        state["drawing"] = drawing[size:]
    state[menu] = DRAWN


def require_option(kind: str, value: object, options: Iterable[str], listing: str) -> None:
    """Refuse a value that is not among the options of a control.

    Args:
        kind: What is chosen, such as "weighting".
        value: The value.
        options: What can be chosen.
        listing: Where all options are listed, for the message.

    Raises:
        ValueError: The value is not an option; near ones are named.
    """
    known = list(options)
    if not isinstance(value, str) or value not in known:
        raise checks.unknown(kind, value, known, listing)


def name_tuple(names: Iterable[str], argument: str) -> tuple[str, ...]:
    """Several names as a tuple.

    Args:
        names: The names.
        argument: Name of the argument, for the message.

    Returns:
        The names.

    Raises:
        TypeError: The names are one text, or nothing to go through.
    """
    message = f"{argument} must be a list of names, such as ['edm', 'sd3'], got {names!r}"
    checks.require(not isinstance(names, (str, bytes)), message, TypeError)
    try:
        return tuple(names)
    except TypeError as error:  # nothing to go through, such as an array without dimensions
        raise TypeError(message) from error
