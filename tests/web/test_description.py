"""Controls and their state: what is accepted, what a link holds."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffviz.web.description import (
    Action,
    Chip,
    Chips,
    Clock,
    Description,
    Menu,
    Paste,
    Points,
    Slider,
    Switch,
    Text,
    Upload,
    nearest_step,
    slug,
)

NAMES = ("edm", "fm-ot", "sd3", "a,b & c=ä")
CONTROLS = (
    Slider("anchor", "anchor", -8, 8, 0.25, 0.1, unit="nats"),
    Slider("sigma", "σ", 0.01, 100, 0.1, 1.0, scale="log"),
    Slider("steps", "steps", 1, 100, 1, 10, whole=True),
    Menu("base", "error of", ("eps", "x"), "eps", buttons=True),
    Chips("names", "objectives", (Chip("edm", "EDM", "karras"), *NAMES[1:]), ("edm",), most=3),
    Switch("even", "even"),
    Text("note", "note"),
    Paste("table", "table", rare=True),
    Points("clicks", "clicks"),
    Clock("time", "time", 0.5),
    Action("train", "train"),
)
PANEL = Description("Panel", CONTROLS)
STATES = st.fixed_dictionaries(
    {
        "anchor": st.floats(-8, 8),
        "sigma": st.floats(0.01, 100),
        "steps": st.integers(1, 100),
        "base": st.sampled_from(("eps", "x")),
        "names": st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
        "even": st.booleans(),
        "note": st.text(st.characters(codec="utf-8"), max_size=20),
        "table": st.sampled_from(("", "0, 1\n1, 2\n", "a&b=c#d")),
        "time": st.floats(0, 1),
        "clicks": st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=3),
    }
)


def test_a_state_begins_with_the_values_of_its_controls():
    assert PANEL.checked({}) == PANEL.start
    assert "train" not in PANEL.start and PANEL.start["anchor"] == 0.1


@settings(deadline=None, max_examples=60)
@given(STATES)
def test_a_link_brings_a_state_back(state):
    whole = PANEL.checked(state)
    assert PANEL.from_query(PANEL.to_query(state)) == whole
    assert PANEL.from_query(f"https://example.org/a.html?x#{PANEL.to_query(state)}") == whole


def test_a_link_holds_only_what_was_changed():
    assert PANEL.to_query({}) == "" and PANEL.from_query("") == PANEL.start
    assert PANEL.to_query({"base": "x", "anchor": 0.1}) == "base=x"
    assert PANEL.to_query({"names": ()}) == "names="
    assert PANEL.from_query("names=")["names"] == ()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("bsae=x", "unknown control 'bsae'; did you mean 'base'"),
        ("base=y", "unknown base 'y'"),
        ("anchor=", "anchor=: could not convert"),
        ("anchor=nan", "anchor must be finite"),
        ("anchor=9", r"anchor must lie in \[-8, 8\]"),
        ("names=edmm", "unknown names 'edmm'; did you mean 'edm'"),
        ("even=yes", "unknown even 'yes'"),
        ("steps=1.5", "steps must be whole"),
        ("clicks=[[0", "clicks must be points"),
        ("clicks=[0]", "clicks must be pairs"),
        ("train=1", "unknown control 'train'"),
    ],
)
def test_a_broken_link_is_met_with_words(query, words):
    with pytest.raises(ValueError, match=words):
        PANEL.from_query(query)


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ({"ancor": 1}, ValueError, "did you mean 'anchor'"),
        ({"anchor": "1"}, TypeError, "anchor must hold real numbers"),
        ({"anchor": True}, TypeError, "anchor must be a number"),
        ({"anchor": -8.01}, ValueError, "anchor must lie in"),
        ({"base": None}, ValueError, "unknown base"),
        ({"names": "edm"}, TypeError, r"such as \['edm', 'sd3'\]"),
        ({"names": np.array(3)}, TypeError, "must be a list of names"),
        ({"names": NAMES}, ValueError, "leave out a,b"),
        ({"even": 1}, TypeError, "True or False"),
        ({"note": 1}, TypeError, "note must be text"),
        ({"steps": 2.5}, ValueError, "steps must be whole"),
    ],
)
def test_a_wrong_value_is_refused_by_name(state, error, words):
    with pytest.raises(error, match=words):
        PANEL.checked(state)


def test_a_state_has_plain_values():
    state = PANEL.checked(
        {
            "anchor": np.float32(0.5),
            "steps": 7.0,
            "names": ["sd3", "edm", "sd3"],
            "even": np.True_,
            "clicks": np.array([[0, 1]]),
        }
    )
    assert json.loads(json.dumps(state))["names"] == ["sd3", "edm"]
    assert state["steps"] == 7 and isinstance(state["steps"], int)
    assert state["even"] is True and state["clicks"] == ((0.0, 1.0),)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Slider("a", "a", 1, 0, 1, 0.5), "low < high"),
        (lambda: Slider("a", "a", 0, 1, 0, 0.5), "step of a"),
        (lambda: Slider("a", "a", 0, 1, 0.1, 2), "a must lie in"),
        (lambda: Slider("a", "a", 0, 1, 0.1, 0.5, scale="log"), "low > 0 on a log"),
        (lambda: Slider("a", "a", 0, 1, 0.1, 0.5, scale="lgo"), "unknown scale of a"),
        (lambda: Menu("a", "a", ("x",), "y"), "unknown a"),
        (lambda: Chips("a", "a", ("x",), ("y",)), "unknown a"),
        (lambda: Text("a b", "a"), "identifier"),
        (lambda: Description("t", (Text("a", "a"), Switch("a", "a"))), "same name"),
        (lambda: Description("t", (Text("a", "a", when={"b": ("x",)}),)), "control in"),
        (lambda: PANEL["nothing"], "unknown control"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_limits_of_a_slider_are_plain_numbers():
    slider = Slider("a", "a", np.array([0.5]), np.float32(2), np.array(0.5), 1.0)
    assert json.loads(json.dumps([slider.low, slider.high, slider.step])) == [0.5, 2.0, 0.5]
    with pytest.raises(ValueError, match=r"a must lie in \[0.5, 2\]"):
        slider.checked(3)


def test_how_many_can_be_chosen_is_a_plain_number():
    chips = Chips("a", "a", ("x", "y"), ("x",), np.int64(1))
    assert type(chips.most) is int
    with pytest.raises(ValueError, match="a takes 1 at once; leave out y"):
        chips.checked(["x", "y"])


@pytest.mark.parametrize("text", ["[[0, 1]", "[" * 100_000, "0_1*x"])
def test_a_text_that_holds_no_points_is_refused(text):
    with pytest.raises(ValueError, match="p must be points such as"):
        Points("p", "p").from_texts([text])


def test_the_oldest_points_go_first():
    points = Points("p", "p", most=2)
    assert points.checked([[0, 0], [1, 1], [2, 2]]) == ((1.0, 1.0), (2.0, 2.0))


def test_a_control_is_shown_while_another_has_the_value():
    panel = Description(
        "t", (Menu("family", "f", ("a", "b"), "a"), Text("own", "own", when={"family": ("b",)}))
    )
    assert panel.shown({"family": "a", "own": ""}) == ("family",)
    assert panel.shown({"family": "b", "own": ""}) == ("family", "own")


@pytest.mark.parametrize(("value", "shown"), [(0.1, 0.0), (0.13, 0.25), (-8.0, -8.0), (7.9, 8.0)])
def test_a_slider_shows_the_nearest_step_and_keeps_the_value(value, shown):
    slider = PANEL["anchor"]
    assert nearest_step(slider, value) == shown
    assert PANEL.checked({"anchor": value})["anchor"] == value


def test_the_steps_of_a_log_slider_are_decades():
    slider = PANEL["sigma"]
    assert nearest_step(slider, 1.02) == pytest.approx(1.0)
    assert nearest_step(slider, 1.2) == pytest.approx(10**0.1)
    assert nearest_step(slider, 100) == 100


def test_the_record_is_plain_data():
    record = json.loads(json.dumps(PANEL.record()))
    kinds = [control["kind"] for control in record["controls"]]
    assert kinds[:2] == ["slider", "slider"] and kinds[-1] == "action"
    assert record["controls"][4]["options"][0] == {
        "value": "edm",
        "group": "EDM",
        "keywords": "karras",
        "colour": "",
    }
    assert "value" not in record["controls"][-1]


def test_a_slug_is_an_identifier():
    assert slug("flow logit-normal") == "flow_logit_normal"


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan, "half"])
def test_a_clock_takes_a_share_of_the_film(share):
    with pytest.raises((TypeError, ValueError), match="time"):
        PANEL.checked({"time": share})
    with pytest.raises(ValueError, match="time=2"):
        PANEL.from_query("time=2")


def test_an_upload_has_no_value_and_takes_files_of_some_size():
    upload = Upload("own", "your own", most=4)
    settings = Description("Files", (upload, Switch("on", "on")))
    assert settings.start == {"on": False} and "own" not in settings.to_query({"on": True})
    with pytest.raises(ValueError, match="control"):
        settings.checked({"own": b"abcd"})
    assert upload.checked_file("a.png", b"abcd") == b"abcd"
    with pytest.raises(ValueError, match=r"'a\.png' is empty"):
        upload.checked_file("a.png", b"")
    with pytest.raises(ValueError, match=r"'a\.png' has .* are taken"):
        upload.checked_file("a.png", b"abcde")
