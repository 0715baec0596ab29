"""Predictions: a question that a reader answers before the notebook does.

``predict(name)`` shows the question with a field or with choices. The guess is kept, and a sentence
says how it compares with what is true, which is computed when the guess is made. ``predict(name,
guess)`` does the same without widgets. A guess that cannot be, such as a negative share, is
answered by a sentence too, and is not kept. ``guesses()`` lists what was guessed so far.
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
PERCENT, WHOLE = "%", 100.0  # the unit of a share, and the largest that there is
AGAIN = "Guess again:"  # what the answer to an impossible guess begins with


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

    def objection(self, guess: Any) -> str:
        """Why a guess cannot be the answer.

        Args:
            guess: Anything.

        Returns:
            A sentence; no text where the guess is a number in the range of the question.
        """
        try:
            value = number(guess, "the guess")
        except (TypeError, ValueError) as error:
            return f"{AGAIN} {error}."
        if value <= 0:
            return f"{AGAIN} the answer is above 0, and you said {value:g}.".replace("-", "−")
        if self.unit == PERCENT and value > WHOLE:
            return f"{AGAIN} it is a share of a whole, at most 100 %, and you said {value:g} %."
        return ""

    def comment(self, guess: Any) -> str:
        """How a guess compares with the truth.

        Args:
            guess: A positive number, of a percentage one up to 100.

        Returns:
            Sentences, or why the guess cannot be the answer.
        """
        objection = self.objection(guess)
        if objection:
            return objection
        value = number(guess, "the guess")
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

    def objection(self, guess: Any) -> str:
        """Why a guess cannot be the answer.

        Args:
            guess: Anything.

        Returns:
            A sentence that lists the answers; no text where the guess is one of them.
        """
        if isinstance(guess, str) and guess in self.comments:
            return ""
        return f"{AGAIN} {unknown('choice', guess, self.comments)}."

    def comment(self, guess: Any) -> str:
        """What is said of a choice.

        Args:
            guess: One of the possible answers.

        Returns:
            Sentences, or a list of the answers where it is none of them.
        """
        objection = self.objection(guess)
        if objection:
            return objection
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
        guess: A guess, where no field is wanted: a number, or the text of a choice. One that
            cannot be is answered by a sentence, and not kept.

    Returns:
        The question, which a notebook shows; None where a guess was given and commented on.

    Raises:
        ValueError: There is no such question.
    """
    asked = _found(name)
    if guess is None:
        return Question(name, asked)
    print(_kept(name, asked, guess))
    return None


def _kept(name: str, asked: Number | Choice, guess: Any) -> str:
    """Comment on a guess, and keep both; the first guess stays, since later ones are informed."""
    comment = asked.comment(guess)
    if not asked.objection(guess):
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
        comment.value = html.escape(_kept(self.name, self.asked, field.value))
