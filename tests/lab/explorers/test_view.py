"""What explorers in the browser are made of: states, messages, long work, errors in words."""

import json
import threading

import numpy as np
import pytest

from diffviz.lab.explorers.view import ViewExplorer
from diffviz.web.description import Action, Description, Menu, Paste, Points, Slider, Text
from diffviz.web.pictures import Chart, Note, View, Working

LONGEST = 20.0  # s that a test waits for a thread
CONTROLS = (
    Slider("level", "level", -5, 5, 1, 0.0),
    Menu("preset", "preset", ("own", "low"), "own"),
    Paste("table", "table"),
    Text("name", "name", "curve"),
    Points("clicks", "clicks"),
    Action("train", "train"),
    Action("break", "break"),
)


class Example(ViewExplorer):
    """A constant curve; a preset sets its level, and a press of a button works long."""

    def __init__(self, **state):
        self.sent = []
        self.calls = []
        self.gate = threading.Event()
        self.passed = threading.Event()
        self.ended = threading.Event()
        super().__init__(Description("Example", CONTROLS), state)

    def send(self, content, buffers=None):
        self.sent.append((json.loads(json.dumps(content)), buffers))

    def settled(self, state, changed):
        if changed == "preset" and state["preset"] == "low":
            state["level"] = -4.3
        if changed == "level":
            state["preset"] = "own"
        return state

    def compute(self, state, changed):
        self.calls.append(changed)
        if "train" in changed:
            return self.train()
        if "break" in changed:
            raise RuntimeError("broken <here>")
        if state["table"]:
            float(state["table"])
        return self.picture(state, "now")

    def picture(self, state, note):
        curve = np.full(3, state["level"])
        chart = Chart([0.0, 1.0, 2.0], {state["name"]: curve}, xlabel="x", ylabel="y")
        return View((chart, Note(note)))

    def train(self):
        try:
            yield Working(0.5, "half")
            self.passed.set()
            assert self.gate.wait(LONGEST)
            yield self.picture(self.state, "trained")
            yield Working(1.0)
        finally:
            self.ended.set()

    def tell(self, **content):
        """A message of the browser."""
        self._receive(None, content, [])


@pytest.fixture
def explorer():
    one = Example()
    yield one
    one.gate.set()
    one.close()
    one.wait(LONGEST)


@pytest.fixture
def opened(explorer):
    explorer.tell(kind="open", browser="b")
    explorer.sent.clear()
    return explorer


def test_nothing_is_computed_before_somebody_looks(explorer):
    assert explorer.calls == []
    assert explorer.view.charts[0].curves["curve"].tolist() == [0, 0, 0]
    assert explorer.calls == [()]


def test_the_browser_gets_controls_state_and_view_when_it_opens(explorer):
    explorer.tell(kind="open", browser="b")
    ((message, buffers),) = explorer.sent
    assert message["kind"] == "opened" and message["browser"] == "b"
    assert [control["kind"] for control in message["description"]["controls"]] == [
        "slider",
        "menu",
        "paste",
        "text",
        "points",
        "action",
        "action",
    ]
    assert message["state"] == {**explorer.state, "clicks": []}
    curve = message["panels"][0]["curves"]["curve"]
    assert np.frombuffer(buffers[curve["buffer"]], curve["type"]).tolist() == [0, 0, 0]


def test_values_of_the_browser_are_taken_in_their_order_and_answered_once(opened):
    opened.tell(kind="set", values={"level": 2, "preset": "low"}, serial=7)
    ((message, _),) = opened.sent
    assert message["serial"] == 7 and opened.calls[-1] == ("level", "preset")
    assert message["state"]["level"] == -4.3 and message["state"]["preset"] == "low"
    opened.tell(kind="set", values={"preset": "low", "level": 2}, serial=8)
    assert opened.state["level"] == 2 and opened.state["preset"] == "own"


def test_a_preset_between_the_steps_of_a_slider_is_kept(opened):
    """The echo of a control that rounds would turn the preset into "own"."""
    opened.set("preset", "low")
    assert opened.state["preset"] == "low" and opened.state["level"] == -4.3
    assert opened.view.charts[0].curves["curve"][0] == -4.3


def test_a_view_that_the_browser_computed_is_not_answered_but_known(opened):
    count = len(opened.calls)
    opened.tell(kind="tell", values={"level": 3})
    assert opened.sent == [] and len(opened.calls) == count
    assert opened.view.charts[0].curves["curve"].tolist() == [3, 3, 3]


def test_an_error_is_sent_in_words_and_the_picture_stays(opened):
    before = opened.view
    opened.act("break")
    ((message, _),) = opened.sent
    assert message["error"] == "RuntimeError: broken <here>" and "panels" not in message
    assert opened.view is before
    opened.set("level", 1)
    assert opened.error == "" and opened.sent[-1][0]["error"] == ""


def test_a_text_that_cannot_be_read_is_not_kept(opened):
    opened.set("table", "words")
    assert "could not convert" in opened.error and opened.state["table"] == ""
    opened.set("level", 1)
    assert opened.error == ""
    opened.set("table", "3.5")
    assert opened.state["table"] == "3.5"


def test_an_explorer_whose_first_view_fails_opens_with_its_controls_and_words():
    explorer = Example(table="words")
    explorer.tell(kind="open", browser="b")
    ((message, _),) = explorer.sent
    assert message["kind"] == "opened" and message["panels"] == []
    assert "could not convert" in message["error"] and message["description"]["controls"]
    explorer.set("table", "")
    assert explorer.error == "" and len(explorer.sent[-1][0]["panels"]) == 2


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"kind": "set", "values": {"level": 9}, "serial": 1}, "level must lie in"),
        ({"kind": "set", "values": {"levle": 1}, "serial": 1}, "did you mean 'level'"),
        ({"kind": "nothing"}, "KeyError"),
    ],
)
def test_a_message_that_makes_no_sense_is_answered_in_words(opened, message, words):
    opened.tell(**message)
    assert words in opened.sent[-1][0]["error"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("levle", 1, ValueError), ("level", "1", TypeError), ("level", 9, ValueError)],
)
def test_what_is_set_from_python_is_checked(explorer, name, value, error):
    with pytest.raises(error):
        explorer.set(name, value)
    with pytest.raises(error):
        Example(**{name: value})


def test_long_work_shows_progress_at_once_and_its_views(opened):
    opened.act("train")
    assert opened.sent[0][0]["working"] == {"progress": 0.0, "text": ""}
    assert opened.passed.wait(LONGEST)
    assert opened.is_working
    assert opened.sent[1][0]["working"] == {"progress": 0.5, "text": "half"}
    opened.set("level", 4)  # which does not stop it
    opened.gate.set()
    opened.wait(LONGEST)
    assert not opened.is_working and opened.ended.is_set()
    assert opened.view.text == "trained"
    assert opened.view.charts[0].curves["curve"].tolist() == [4, 4, 4]
    assert opened.sent[-1][0]["working"] is None


def test_long_work_stops_at_its_next_step(opened):
    opened.act("train")
    assert opened.passed.wait(LONGEST)
    opened.act("stop")
    assert not opened.is_working and opened.sent[-1][0]["working"] is None
    opened.gate.set()
    opened.wait(LONGEST)
    assert opened.ended.is_set() and opened.view.text == "now"


@pytest.mark.parametrize("how", ["python", "browser"])
def test_a_closed_explorer_stops_its_work(opened, how):
    opened.act("train")
    assert opened.passed.wait(LONGEST)
    opened.close() if how == "python" else opened.tell(kind="closed", browser="b")
    assert not opened.is_working
    opened.gate.set()
    opened.wait(LONGEST)
    assert opened.ended.is_set()


def test_an_error_in_long_work_is_shown_in_words(opened, monkeypatch):
    def failing():
        yield Working(0.1)
        raise ArithmeticError("diverged at step 3")

    monkeypatch.setattr(opened, "train", failing)
    opened.act("train")
    opened.wait(LONGEST)
    assert opened.error == "ArithmeticError: diverged at step 3"
    assert opened.sent[-1][0]["error"] == opened.error and not opened.is_working


@pytest.mark.parametrize(
    ("ending", "start"),
    [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".csv", b"x,curve\n0,0\n")],
)
def test_a_file_is_sent_to_the_browser(opened, ending, start):
    opened.tell(kind="file", ending=ending)
    ((message, buffers),) = opened.sent
    assert message["name"] == f"Example{ending}"
    assert buffers[0].startswith(start)


def test_code_and_link_hold_what_was_changed(opened):
    opened.set("level", 2)
    opened.set("clicks", [[0, 1]])
    opened.tell(kind="text", what="code")
    opened.tell(kind="text", what="link")
    code, link = (message["text"] for message, _ in opened.sent[-2:])
    assert code.endswith("Example(level=2.0, clicks=((0.0, 1.0),))")
    assert link == "#level=2.0&clicks=0_1"
    assert Example.from_link(link).state == opened.state


def test_the_static_picture_is_that_of_the_view(explorer):
    explorer.set("level", 2)
    (line, _) = explorer.figure().axes[0].lines
    assert line.get_ydata().tolist() == [2, 2, 2]
    assert explorer.png.startswith(b"\x89PNG")
