"""Predictions: a question that a reader answers before the notebook does.

``predict(name)`` shows the question with a field or with choices. The guess is kept, and a sentence
says how it compares with what is true, which is computed when the guess is made. ``predict(name,
guess)`` does the same without widgets. ``guesses()`` lists what was guessed so far.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from diffviz.checks import number, require, unknown

if TYPE_CHECKING:
    import ipywidgets

CLOSE = 1.25  # factor up to which a number is close


@dataclass(frozen=True)
class Number:
    """A question whose answer is a positive number.

    Args:
        question: The question.
        truth: Computes the answer.
        lesson: What the answer teaches, said after the guess.
        unit: Unit of the answer.
    """

    question: str
    truth: Callable[[], float]
    lesson: str
    unit: str = ""

    def comment(self, guess: Any) -> str:
        """How a guess compares with the truth.

        Args:
            guess: A positive number.

        Returns:
            Sentences.

        Raises:
            TypeError: The guess is no number.
            ValueError: It is not finite, or not above 0.
        """
        value = number(guess, "the guess")
        require(value > 0, f"the guess must be above 0, got {value:g}")
        truth = self.truth()
        ratio = value / truth
        told = f"You said {value:.3g}, it is {truth:.3g} {self.unit}".rstrip()
        if 1 / CLOSE <= ratio <= CLOSE:
            return f"{told}: close. {self.lesson}"
        factor, side = (ratio, "high") if ratio > 1 else (1 / ratio, "low")
        return f"{told}: {factor:.3g} times too {side}. {self.lesson}"


@dataclass(frozen=True)
class Choice:
    """A question with a few possible answers.

    Args:
        question: The question.
        comments: Each possible answer, to what is said of it.
        truth: Computes which of them is right.
    """

    question: str
    comments: Mapping[str, str]
    truth: Callable[[], str]

    def comment(self, guess: Any) -> str:
        """What is said of a choice.

        Args:
            guess: One of the possible answers.

        Returns:
            Sentences.

        Raises:
            ValueError: It is none of them; the message lists them.
        """
        if not isinstance(guess, str) or guess not in self.comments:
            raise unknown("choice", guess, self.comments, "the text of one of the answers")
        truth = self.truth()
        if guess == truth:
            return f"Yes. {self.comments[guess]}"
        return f"No: {self.comments[guess]} It is “{truth}”. {self.comments[truth]}"


PREDICTIONS: dict[str, Number | Choice] = {}
_GUESSES: dict[str, tuple[Any, str]] = {}  # by name: the guess and what was said of it


def prediction(name: str, asked: Number | Choice) -> None:
    """Register a prediction.

    Args:
        name: Its name in the notebook.
        asked: The question.

    Raises:
        ValueError: The name is taken by another question.
    """
    known = PREDICTIONS.get(name, asked)
    require(
        known.question == asked.question,
        f"there is a prediction {name!r} already; choose another name",
    )
    PREDICTIONS[name] = asked


def _found(name: str) -> Number | Choice:
    """A prediction by name."""
    from diffviz.lab.exercises import questions  # noqa: F401  registers all; it loads the package

    if name not in PREDICTIONS:
        raise unknown("prediction", name, PREDICTIONS, "diffviz.lab.exercises.PREDICTIONS")
    return PREDICTIONS[name]


def predict(name: str, guess: Any = None) -> "Question | None":
    """Ask for a prediction, or take one.

    Args:
        name: Name of the question.
        guess: A guess, where no field is wanted: a number, or the text of a choice.

    Returns:
        The question, which a notebook shows; None where a guess was given and commented on.

    Raises:
        TypeError: The guess is of the wrong kind.
        ValueError: There is no such question, or the guess is not possible.
    """
    asked = _found(name)
    if guess is None:
        return Question(name, asked)
    print(_kept(name, asked, guess))
    return None


def _kept(name: str, asked: Number | Choice, guess: Any) -> str:
    """Comment on a guess, and keep both; the first guess stays, since later ones are informed."""
    comment = asked.comment(guess)
    _GUESSES.setdefault(name, (guess, comment))
    return comment


def guesses() -> dict[str, tuple[Any, str]]:
    """What was guessed so far.

    Returns:
        The first guess and the comment on it, by name of the question.
    """
    return dict(_GUESSES)


class Question:
    """A question in a notebook: a field or choices, a button, and a place for the comment.

    Args:
        name: Its name.
        asked: The question.
    """

    def __init__(self, name: str, asked: Number | Choice):
        self.name = name
        self.asked = asked

    def __repr__(self) -> str:
        return f"Question({self.name!r})"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Widgets for a live notebook, and the question as text for a saved one."""
        static = f"<p><b>Predict.</b> {html.escape(self.asked.question)}</p>"
        if isinstance(self.asked, Choice):
            items = "".join(f"<li>{html.escape(choice)}</li>" for choice in self.asked.comments)
            static += f"<ul>{items}</ul>"
        call = html.escape(f'exercises.predict("{self.name}", guess)')
        static += f"<p>Without buttons, <code>{call}</code> comments on a guess.</p>"
        bundle = {"text/plain": f"Predict: {self.asked.question}", "text/html": static}
        live = self.widget()._repr_mimebundle_(**options)
        view = "application/vnd.jupyter.widget-view+json"
        return bundle | {view: live[view]}

    def widget(self) -> "ipywidgets.VBox":
        """The controls: field or choices, button, comment."""
        import ipywidgets

        question = ipywidgets.HTML(f"<b>Predict.</b> {html.escape(self.asked.question)}")
        field = self._field()
        button = ipywidgets.Button(description="that is my guess", button_style="info")
        comment = ipywidgets.HTML()
        if self.name in _GUESSES:
            guess, said = _GUESSES[self.name]
            field.value = guess
            comment.value = html.escape(said)
        button.on_click(partial(self._answered, field, comment))
        row = ipywidgets.HBox([field, button])
        return ipywidgets.VBox([question, row, comment])

    def _field(self) -> Any:
        """Where the guess is made."""
        import ipywidgets

        wide = ipywidgets.Layout(width="auto")
        if isinstance(self.asked, Choice):
            choices = list(self.asked.comments)
            return ipywidgets.RadioButtons(options=choices, value=None, layout=wide)
        return ipywidgets.FloatText(value=0.0, description=self.asked.unit)

    def _answered(self, field: Any, comment: Any, button: Any) -> None:
        """Comment on what stands in the field."""
        try:
            said = _kept(self.name, self.asked, field.value)
        except (TypeError, ValueError) as error:
            said = f"Make a guess first: {error}."
        comment.value = html.escape(said)
