"""Explorers in a real browser, with Python behind: what a reader sees, moves and takes away."""

import gc
import io
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from chromium import ADDRESS, ExplorerPage
from ipywidgets.widgets import widget
from PIL import Image

from diffviz.lab.experiments import progress
from diffviz.lab.experiments.side_by_side import Trained
from diffviz.lab.experiments.training import GRID
from diffviz.lab.explorers.composer import ComposerExplorer
from diffviz.lab.explorers.elbo import ElboExplorer
from diffviz.lab.explorers.few_steps import FewStepExplorer
from diffviz.lab.explorers.masked import MaskedExplorer
from diffviz.lab.explorers.noise import NoiseExplorer
from diffviz.lab.explorers.perception import PerceptionExplorer
from diffviz.lab.explorers.policy import LearningExplorer, PolicyExplorer
from diffviz.lab.explorers.prior import PriorExplorer
from diffviz.lab.explorers.probe import ProbeExplorer
from diffviz.lab.explorers.roads import ClipExplorer, StepNoiseExplorer
from diffviz.lab.explorers.sampling import TrajectoryExplorer
from diffviz.lab.explorers.schedule import ScheduleExplorer
from diffviz.lab.explorers.search import SearchExplorer
from diffviz.lab.explorers.stack import StackExplorer
from diffviz.lab.explorers.training import CapacityExplorer, TrainingDashboard
from diffviz.lab.explorers.view import ViewExplorer
from diffviz.lab.explorers.weighting import WeightingExplorer
from diffviz.web.description import (
    Action,
    Chips,
    Description,
    Menu,
    Paste,
    Points,
    Slider,
    Switch,
    Text,
)
from diffviz.web.pictures import Chart, Cloud, Images, Note, Table, View

pytestmark = pytest.mark.slow

EXPLORERS = (
    CapacityExplorer,
    ClipExplorer,
    ComposerExplorer,
    ElboExplorer,
    FewStepExplorer,
    LearningExplorer,
    MaskedExplorer,
    NoiseExplorer,
    PerceptionExplorer,
    PolicyExplorer,
    PriorExplorer,
    ProbeExplorer,
    ScheduleExplorer,
    SearchExplorer,
    StackExplorer,
    StepNoiseExplorer,
    TrainingDashboard,
    TrajectoryExplorer,
    WeightingExplorer,
)
WINDOWS = {  # pixels that JupyterLab with its file browser leaves at 1366 x 768; a telephone
    "notebook": (934, 590),
    "telephone": (390, 844),
}
LONGEST = 60.0  # s that a test waits for a thread
PARTS = (".dv-controls", ".dv-pictures", ".dv-texts")
OPTIONS = 12  # of a menu, at most
REFUSALS = ("min-SNR is defined on eps, x, v",)  # which no control could know beforehand
X = np.linspace(-2, 2, 41)
CONTROLS = (
    Chips("names", "names", ("a", "b", "c"), ("a",), most=2),
    Menu("shape", "shape", ("line", "wave"), "line"),
    Menu("sign", "sign", ("plus", "minus"), "plus", buttons=True),
    Slider("height", "height", -3, 3, 0.5, 0.2, unit="m"),
    Slider("size", "size", 0.01, 10, 0.1, 1.0, scale="log", when={"shape": ("wave",)}),
    Switch("grid", "grid"),
    Text("note", "note"),
    Paste("table", "table"),
    Points("drawn", "drawn"),
    Points("clicked", "clicked"),
    Slider("rare", "rare", 0, 5, 1, 0, rare=True),
    Action("press", "press"),
)


class Everything(ViewExplorer):
    """Every kind of control and every kind of panel."""

    def __init__(self, **state):
        self.presses = 0
        super().__init__(Description("Everything", CONTROLS), state)

    def compute(self, state, changed):
        self.presses += "press" in changed
        if state["table"]:
            float(state["table"])
        sign = {"plus": 1, "minus": -1}[state["sign"]]
        wave = np.sin(3 * X * state["size"]) if state["shape"] == "wave" else X
        curves = {name: sign * wave + state["height"] + k for k, name in enumerate(state["names"])}
        marks = {"rare": state["rare"]}
        chart = Chart(X, curves, "x", "y", ylim=(-8, 8), strokes="drawn", marks=marks)
        angle = np.linspace(0, 3, 10)[:, None, None] + np.arange(4)[None, :, None]
        circle = np.concatenate([np.cos(angle), np.sin(angle)], axis=2)
        cloud = Cloud(
            {"clicked": np.array(state["clicked"]).reshape(-1, 2)},
            {"fm-ot": circle},
            xlim=(-2, 2),
            ylim=(-2, 2),
            strokes="clicked",
            arrows=[[0, 0, 1, 1]] if state["grid"] else (),
        )
        images = Images(np.linspace(0, 1, 32).reshape(2, 4, 4), labels=("one", "two"))
        table = Table(("", "presses"), (("all", str(self.presses)),), ("#009E73",))
        notes = Note(state["note"] or "none"), Note(f"{len(state['drawn'])} drawn")
        return View((chart, cloud, images, table, *notes), columns=3)


@pytest.fixture
def opened(browser):
    """A function that opens an explorer on a page, which closes without complaints."""
    pages = []

    def open_page(explorer, *window, **options):
        pages.append(ExplorerPage(browser, explorer, *window, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
        assert page.complaints == []


def moves(row):
    """Ways to move a control, each with a check that it shows what was chosen."""
    kind = row.get_attribute("data-kind")
    if kind == "slider":
        handle = row.locator("input[type=range]")
        keys = ("PageUp", "ArrowLeft")
        return [(lambda key=key: handle.press(key), lambda: True) for key in keys]
    if kind == "menu" and row.locator("select").count():
        menu = row.locator("select")
        options = menu.locator("option").all_text_contents()
        first = menu.input_value()
        others = [option for option in options if option != first][:OPTIONS]
        return [
            (lambda one=one: menu.select_option(one), lambda one=one: menu.input_value() == one)
            for one in (*others, first)
        ]
    if kind == "menu":
        labels = row.locator("label:has(input)")
        buttons = [labels.nth(k) for k in range(1, labels.count())] + [labels.nth(0)]
        return [(one.click, lambda one=one: one.locator("input").is_checked()) for one in buttons]
    if kind == "switch":
        return [(row.locator("input").click, lambda: True)] * 2
    if kind == "chips":
        chips = row.locator(".dv-chip")

        def add():
            row.locator("input").click()
            row.locator("input").press("Enter")

        count = chips.count()
        if count == 0:
            return [
                (add, lambda: chips.count() == 1),
                (lambda: chips.last.click(), lambda: chips.count() == 0),
            ]
        return [
            (lambda: chips.last.click(), lambda: chips.count() == count - 1),
            (add, lambda: chips.count() == count),
        ]
    return []


def move_all(page):
    """Move every control in sight, and those that it brings up; what is wrong."""
    problems, moved = [], set()

    def go(row, name):
        before = page.shown()
        answered, ways = False, moves(row)
        for act, holds in ways:
            act()
            after, status, names = page.look()
            is_meant = any(words in status for words in REFUSALS)
            answered |= is_meant or after != before
            before = after
            problems.extend([f"{name}: {status}"] if status and not is_meant else [])
            problems.extend([] if holds() else [f"{name} does not keep its value"])
            sweep(names)
        problems.extend([f"{name} changes nothing"] if ways and not answered else [])

    def sweep(names):
        """Move what is in sight and was not before."""
        new = [name for name in names if name not in moved]
        moved.update(new)
        for name in new:
            go(page.control(name), name)

    for fold in page.page.locator(".dv-more > summary").all():
        fold.click()
    sweep(page.look()[2])
    return problems


@pytest.mark.parametrize("kind", [*EXPLORERS, Everything])
def test_every_control_answers_and_keeps_its_value(opened, kind):
    page = opened(kind())
    assert move_all(page) == []
    slow = [message for message in page.asked if message["kind"] == "set"]
    assert slow or kind().description.local


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", EXPLORERS)
def test_controls_pictures_and_texts_are_on_screen_together(opened, kind, window):
    width, height = WINDOWS[window]
    page = opened(kind(), width, height)
    for part in PARTS:
        left, top, right, bottom = page.box(part)
        assert left >= 0 and right <= width + 0.5, part
        assert top >= 0 and bottom <= height + 0.5, part
    assert page.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    hidden = page.page.evaluate(
        """() => [...document.querySelectorAll(".dv-chips, .dv-texts")].filter((one) =>
             one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1
           ).length"""
    )
    assert hidden == 0


def test_whole_numbers_stay_whole_on_a_slider_of_a_log_scale(opened):
    page = opened(StackExplorer())
    handle, number = (page.page.locator(f"input[type={one}]").nth(2) for one in ("range", "number"))
    seen = []
    for key in ("Home", *["ArrowRight"] * 5):
        handle.press(key)
        seen.append(number.input_value())
    assert seen == ["8", "9", "10", "11", "13", "14"]  # each press moves it


CROWDED = (
    (ScheduleExplorer, {"picture": "six views"}),
    (PerceptionExplorer, {}),
    (ElboExplorer, {}),
)


@pytest.mark.parametrize(("kind", "state"), CROWDED)
def test_charts_in_columns_are_high_enough_to_be_read(opened, kind, state):
    page = opened(kind(**state))
    heights = page.page.eval_on_selector_all(
        ".u-wrap, .dv-canvas", "all => all.map((one) => one.offsetHeight)"
    )
    assert min(heights) >= 170
    assert page.box(".dv-texts")[3] <= WINDOWS["notebook"][1]


def test_pictures_fit_the_part_of_a_page_that_scrolls(opened):
    page = opened(ElboExplorer(), 934, 1000).page
    page.evaluate(
        """() => {
          const host = document.querySelector("#host");
          host.style = "height: 560px; overflow: auto";
          const cell = document.createElement("div");
          cell.style.height = "200px";
          host.prepend(cell);
          host.style.width = "930px";
        }"""
    )
    page.wait_for_function("document.querySelector('.dv-view').offsetHeight <= 560")
    heights = "() => [...document.querySelectorAll('.u-wrap')].map((one) => one.offsetHeight)"
    before = page.evaluate(heights)
    page.wait_for_timeout(200)
    assert page.evaluate(heights) == before and min(before) >= 170


@pytest.mark.parametrize("kind", EXPLORERS)
def test_the_state_survives_a_link(opened, kind, monkeypatch):
    # a run of another test would be shown as the one before
    monkeypatch.setattr(progress, "kept", lambda *_, **__: None)
    explorer = kind()
    page = opened(explorer)
    for row in page.page.locator("[data-kind=slider]:visible").all():
        row.locator("input[type=range]").press("PageUp")
    page.tell()
    state = explorer.state
    assert state != explorer.description.start
    again = kind.from_link(explorer.link())
    assert again.state == state
    query = page.page.evaluate(
        """async ([record, state]) => (await import("./query.js")).toQuery(record, state)""",
        [explorer.description.record(), state],
    )
    assert explorer.description.from_query(query) == state
    other = opened(again)
    assert other.shown()[1:] == page.shown()[1:]


QUERIES = [
    {},
    {"names": (), "sign": "minus", "grid": True},
    {"height": -2.35, "note": "ä & b=c#d", "table": "0, 1\n1, 2", "drawn": ((0.5, -1.0),)},
]


@pytest.mark.parametrize("state", QUERIES)
def test_the_browser_reads_and_writes_the_links_of_python(opened, state):
    explorer = Everything()
    whole = explorer.description.checked(state)
    record = explorer.description.record()
    script = """async ([record, text]) => (await import("./query.js")).fromQuery(record, text)"""
    page = opened(explorer).page
    read = page.evaluate(script, [record, explorer.description.to_query(whole)])
    assert read["complaints"] == []
    assert explorer.description.checked(read["values"]) == whole
    broken = page.evaluate(script, [record, "height=9&nothing=1&shape=round&note=kept"])
    assert broken["values"] == {"note": "kept"} and len(broken["complaints"]) == 3


def test_every_input_has_a_name_and_the_tab_key_reaches_all(opened):
    page = opened(Everything()).page
    page.locator(".dv-more > summary").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, textarea, button")].filter((one) =>
             one.type !== "file" && !one.labels?.length && !one.ariaLabel && !one.textContent
           ).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    controls = page.locator(".dv-control:visible")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.closest('.dv-control')?.dataset.name")
        reached.add(name)
    assert {row.get_attribute("data-name") for row in controls.all()} <= reached
    page.locator(".dv-plot").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".dv-place").text_content().startswith("at ")
    assert page.locator(".dv-entry .dv-value").first.text_content() != ""


def test_a_horizontal_axis_may_fall(opened):
    """Time runs from noise to data: λ over time is low on the left and high on the right."""
    page = opened(ScheduleExplorer("cosine", picture="six views")).page
    shot = page.locator(".u-over").first.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=float)
    blue = np.abs(pixels - [0x00, 0x72, 0xB2]).max(2) < 60
    rows, columns = np.nonzero(blue)
    width = pixels.shape[1]
    left, right = rows[columns < 0.2 * width].mean(), rows[columns > 0.8 * width].mean()
    assert left > 1.3 * right  # rows count from the top


def test_chips_are_found_by_a_search_and_no_more_than_their_number_are_chosen(opened):
    page = opened(WeightingExplorer())
    row = page.control("names")
    search = row.locator("input")
    search.fill("kohya")
    found = row.locator(".dv-option").all_text_contents()
    assert "kohya-debiased-v" in found and "sd3" not in found
    for word in ("kohya-debiased-v", "indi", "ddpm-linear"):
        search.fill(word)
        search.press("Enter")
        page.tell()
    assert page.explorer.state["names"][-3:] == ("kohya-debiased-v", "indi", "ddpm-linear")
    assert search.is_disabled() and "take one away" in row.inner_text()
    row.locator(".dv-chip").first.click()
    assert search.is_enabled()


def test_an_error_is_shown_in_words_and_goes_when_it_is_mended(opened):
    page = opened(Everything())
    before = page.shown()[0]
    box = page.control("table")
    box.locator("textarea").fill("words <b>")
    box.locator("button").first.click()
    page.settle()
    status = page.page.locator(".dv-status")
    assert status.text_content().startswith("ValueError: could not convert")
    assert page.shown()[0] == before
    assert box.locator("textarea").input_value() == "words <b>"
    box.locator("textarea").fill("3")
    box.locator("button").first.click()
    page.settle()
    assert status.text_content() == "" and page.explorer.state["table"] == "3"


def test_what_is_done_does_not_look_like_an_error(opened):
    page = opened(Everything())
    status = page.page.locator(".dv-status")
    colour = "one => getComputedStyle(one).color"
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.get_by_text("code", exact=True).click()
    page.page.wait_for_function("document.querySelector('.dv-status').textContent")
    assert status.text_content() == "code copied"
    done = status.evaluate(colour)
    box = page.control("table")
    box.locator("textarea").fill("words")
    box.locator("button").first.click()
    page.settle()
    assert status.text_content().startswith("ValueError")
    assert status.evaluate(colour) != done


def test_a_typed_number_lies_between_the_steps_and_stays(opened):
    page = opened(Everything())
    field = page.control("height").locator("input[type=number]")
    assert field.input_value() == "0.2"
    field.fill("1.23")
    field.press("Enter")
    page.control("shape").locator("select").select_option("wave")
    page.settle()
    assert page.explorer.state["height"] == 1.23 and field.input_value() == "1.23"
    assert page.page.locator(".dv-control[data-name=size]").is_visible()
    page.page.get_by_text("reset", exact=True).click()
    page.settle()
    assert page.explorer.state == page.explorer.description.start


def test_drawing_and_clicking_give_points(opened):
    page = opened(Everything())
    over = page.page.locator(".u-over").bounding_box()
    page.page.mouse.move(over["x"] + 10, over["y"] + 10)
    page.page.mouse.down()
    page.page.mouse.move(over["x"] + over["width"] / 2, over["y"] + over["height"] / 2, steps=4)
    page.page.mouse.up()
    page.settle()
    drawn = np.array(page.explorer.state["drawn"])
    assert len(drawn) == 5
    np.testing.assert_allclose(drawn[-1], [0, 0], atol=0.1)
    canvas = page.page.locator(".dv-canvas")
    canvas.click(position={"x": 60, "y": 60})
    canvas.click(position={"x": 80, "y": 60})
    page.settle()
    clicked = np.array(page.explorer.state["clicked"])
    assert len(clicked) == 2 and clicked[1, 0] > clicked[0, 0] and clicked[0, 1] == clicked[1, 1]
    page.control("clicked").get_by_text("clear").click()
    page.settle()
    assert page.explorer.state["clicked"] == ()


def test_a_weighting_is_drawn_and_judged_without_the_kernel(opened):
    page = opened(WeightingExplorer(("edm",), "none"))
    page.control("drawing").locator("input").click()
    page.settle()
    asked = len(page.asked)
    over = page.page.locator(".u-over").bounding_box()
    left, middle = over["x"], over["y"] + over["height"] / 2
    note, mouse = page.page.locator(".dv-note"), page.page.mouse
    assert note.text_content().startswith("Drag over the chart")
    mouse.move(left + 40, middle + 30)
    mouse.down()
    mouse.move(left + 120, middle - 30, steps=8)
    page.settle()
    assert "rises with λ on [" in note.text_content()
    mouse.move(left + 300, middle + 60, steps=8)
    mouse.up()
    assert page.page.locator("td", has_text="drawn").count() == 1
    assert [one["kind"] for one in page.asked[asked:] if one["kind"] != "tell"] == []
    page.tell()
    explorer = page.explorer
    assert len(explorer.state["drawn"]) == 17
    assert WeightingExplorer.from_link(explorer.link()).state == explorer.state
    assert explorer.view.panels[-1].text == note.text_content()
    page.control("monotone").locator("input").click()
    page.settle()
    assert "never rises" in note.text_content()
    page.control("drawn").get_by_text("clear").click()
    page.settle()
    assert note.text_content().startswith("Drag over the chart")


WRITES = """() => {
  window.written = [];
  const write = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    written.push(text);
    return write.call(this, text, ...place);
  };
  document.querySelector(".dv-chart canvas").dataset.first = "yes";
}"""


def test_a_label_that_says_the_anchor_changes_on_the_same_axes(opened):
    page = opened(WeightingExplorer())
    page.page.evaluate(WRITES)
    page.control("anchor").locator("input[type=range]").press("ArrowRight")
    page.settle()
    assert "log₁₀ w on the ε error, 0 at λ = 0.25" in page.page.evaluate("written")
    assert page.page.locator(".dv-chart canvas").get_attribute("data-first") == "yes"
    assert "A constant factor" in page.control("anchor").locator("label").get_attribute("title")


def test_the_crosshair_moves_where_its_values_need_another_line_of_the_legend(opened):
    """Charts that are drawn anew keep their crosshair; those that are settled stay as they are."""
    page = opened(ScheduleExplorer(picture="six views", shift=3))
    for chart in page.page.locator(".dv-chart").all():
        plot = chart.locator(".dv-plot")
        places = []
        for _ in range(3):
            plot.press("ArrowRight")
            page.settle()
            places.append(chart.locator(".dv-place").inner_text())
        assert len(set(places)) == 3 and all(place.startswith("at ") for place in places)
        assert all(chart.locator(".dv-entry .dv-value").all_inner_texts())
        height = plot.bounding_box()["height"]
        page.page.mouse.move(1, 1)
        page.settle()
        assert plot.bounding_box()["height"] == height


def test_names_that_several_legends_would_say_are_said_once(opened):
    page = opened(ScheduleExplorer(picture="six views", shift=3)).page
    names = page.locator(".dv-name:visible").all_inner_texts()
    assert len(names) == len(set(names)) == 2
    samples = page.locator(".dv-entry")
    assert samples.count() == 6 * len(names)
    assert all(one.get_attribute("title") in names for one in samples.all())


class Goals(ViewExplorer):
    """One cross in the middle."""

    def __init__(self, **state):
        super().__init__(Description("Goals", ()), state)

    def compute(self, state, changed):
        goals, shade = {"goals": [[0.0, 0.0]]}, {"goals": "#cc3311"}
        cloud = Cloud(goals, colours=shade, crosses=("goals",), xlim=(-1, 1), ylim=(-1, 1))
        return View((cloud,))


INK = """canvas => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let [left, right, top, bottom, count] = [width, 0, height, 0, 0];
  for (let place = 0; place < width * height; place++) {
    if (pixels[4 * place] - pixels[4 * place + 1] < 80) continue;
    const [x, y] = [place % width, Math.floor(place / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    count += 1;
  }
  return [right - left + 1, bottom - top + 1, count].map((size) => size / devicePixelRatio);
}"""


def test_goals_are_crosses(opened):
    """Two strokes of 14 px, 2 px wide, with a place in common."""
    page = opened(Goals()).page
    width, height, ink = page.locator(".dv-canvas").evaluate(INK)
    assert (width, height) == pytest.approx((14, 14), abs=1)
    assert 0.5 * 52 <= ink <= 1.6 * 52


def test_points_are_set_and_taken_away_by_keys(opened):
    page = opened(TrajectoryExplorer())
    left = page.page.locator(".dv-canvas").first
    left.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        left.press(key)
    page.settle()
    (start,) = page.explorer.state["starts"]
    assert start[0] > 0.2 and 0.1 < start[1] < 0.3
    left.press("Backspace")
    page.settle()
    assert page.explorer.state["starts"] == ()


def test_a_weighting_is_drawn_by_keys(opened):
    page = opened(WeightingExplorer(("edm",), "none", drawing=True))
    plot = page.page.locator(".dv-plot")
    for key in ("PageDown", "PageDown", "Enter", "PageUp", "PageUp", "ArrowUp", "Enter"):
        plot.press(key)
    page.tell()
    (low, first), (high, second) = page.explorer.state["drawn"]
    assert low < high and first < second
    assert "rises with λ on [" in page.page.locator(".dv-note").text_content()


def test_a_drawn_weighting_is_trained_beside_two_others(opened):
    drawn = ((-6.0, 0.0), (0.0, 1.0), (6.0, -2.0))
    explorer = WeightingExplorer(("edm", "fm-ot"), drawing=True, drawn=drawn, steps=100)
    page = opened(explorer)
    page.control("train").locator("button").click()
    page.settle()
    explorer.wait()
    for key in ("ArrowRight", "ArrowLeft"):  # what the work has sent comes with the next answer
        page.control("steps").locator("input[type=range]").press(key)
        page.settle()
    assert page.page.locator("td", has_text="× truth").count() == 3
    assert explorer.state["picture"] == "training"
    names = page.page.locator(".dv-table td:nth-child(2)").all_text_contents()
    assert names == ["drawn", "edm", "fm-ot"]
    told = page.page.locator("th", has_text="distance of samples")
    assert "1 is as near as true points come" in told.get_attribute("title")
    page.control("picture").locator("label:has(input)").first.click()
    page.settle()
    assert page.page.locator("th", has_text="verdict").count() == 1


def picture_file(path, size=(60, 40)):
    """A picture that is dark on the left and bright on the right."""
    wave = np.linspace(0, 255, size[0])[None, :] * np.ones((size[1], 1))
    Image.fromarray(wave.astype(np.uint8)).save(path)
    return path


def test_a_picture_of_ones_own_is_looked_at(opened, tmp_path):
    page = opened(PerceptionExplorer())
    field = page.control("own").locator("input")
    field.set_input_files(picture_file(tmp_path / "wave.png"))
    page.page.wait_for_function(
        "document.querySelector('[data-name=image] select').value === 'wave'"
    )
    assert page.explorer.state["image"] == "wave" and page.explorer.photograph().side == 256
    page.control("logsnr").locator("input[type=range]").press("PageUp")
    page.settle()
    assert page.page.locator(".dv-status").text_content() == ""
    (tmp_path / "broken.png").write_bytes(b"nothing")
    page.control("own").locator("input").set_input_files(tmp_path / "broken.png")
    page.page.wait_for_function(
        "document.querySelector('.dv-status').textContent.includes('cannot read an image')"
    )
    assert page.explorer.state["image"] == "wave"
    assert page.page.locator(".dv-waiting").count() == 0


def test_a_film_plays_pauses_and_is_scrubbed(opened):
    page = opened(Everything()).page
    player = page.locator(".dv-player")
    assert player.locator("output").text_content() == "step 9"
    player.locator("input").press("Home")
    assert player.locator("output").text_content() == "step 0"
    before = page.locator(".dv-canvas").evaluate("one => one.toDataURL()")
    player.get_by_label("play").click()
    page.wait_for_function(
        "Number(document.querySelector('.dv-player output').textContent.split(' ')[1]) > 2"
    )
    player.get_by_label("pause").click()
    assert page.locator(".dv-canvas").evaluate("one => one.toDataURL()") != before
    assert player.get_by_label("play").is_visible()


def test_two_clouds_have_one_clock_and_python_knows_it(opened):
    page = opened(TrajectoryExplorer())
    pixels = "all => all.map(one => one.toDataURL())"
    before = page.page.locator(".dv-canvas").evaluate_all(pixels)
    page.page.locator(".dv-player input").press("ArrowRight")
    after = page.page.locator(".dv-canvas").evaluate_all(pixels)
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert page.page.locator(".dv-player output").text_content().startswith("step 7 of 12")
    page.control("steps").locator("input[type=range]").press("ArrowRight")
    page.settle()
    assert page.explorer.state["time"] == 7 / 12 and page.explorer.state["steps"] == 13
    assert page.page.locator(".dv-player output").text_content().startswith("step 8 of 13")
    page.page.get_by_text("reset", exact=True).click()
    page.settle()
    assert page.page.locator(".dv-player output").text_content().startswith("step 6 of 12")


def test_a_click_starts_a_trajectory_and_a_drawing_is_data(opened):
    page = opened(TrajectoryExplorer())
    left, right = page.page.locator(".dv-canvas").all()
    left.click(position={"x": 100, "y": 60})
    page.settle()
    assert len(page.explorer.state["starts"]) == 1
    box = right.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.move(*middle)
    page.page.mouse.down()
    page.page.mouse.move(middle[0] + 60, middle[1], steps=5)
    page.page.mouse.up()
    page.settle()
    assert page.explorer.state["data"] == "drawn" and len(page.explorer.state["drawing"]) == 6
    assert page.control("data").locator("select").input_value() == "drawn"
    assert page.control("width").is_visible() and page.complaints == []
    page.control("drawing").get_by_text("clear").click()
    page.settle()
    assert "Draw the data" in page.page.locator(".dv-texts").text_content()
    page.page.get_by_text("reset", exact=True).click()
    page.settle()
    assert page.explorer.state == page.explorer.description.start


def test_a_start_is_the_place_of_the_click_although_the_axes_shrink(opened):
    page = opened(TrajectoryExplorer(frame="VE", time=0.0))
    left = page.page.locator(".dv-canvas").first
    for key in ("Home", "End"):
        page.page.locator(".dv-player input").press(key)
        left.click(position={"x": 120, "y": 80})
        page.settle()
    noisy, clean = page.explorer.state["starts"]
    assert np.hypot(*noisy) > 50  # of the axes of the first step
    np.testing.assert_allclose(noisy, clean, rtol=1e-9)


def test_while_an_answer_is_under_way_the_newest_value_waits(opened):
    page = opened(Everything())
    asked = page.page.evaluate(
        """async () => {
          const asked = [], answer = window.ask;
          let release;
          const gate = new Promise((done) => { release = done; });
          window.ask = async (message, buffers) => {
            asked.push(message);
            await gate;
            return answer(message, buffers);
          };
          const range = document.querySelector("[data-name=height] input[type=range]");
          for (const value of [1, 2, 3, 4, 5]) {
            range.value = value;
            range.dispatchEvent(new Event("input", { bubbles: true }));
          }
          const before = asked.length;
          release();
          await new Promise((done) => setTimeout(done, 300));
          return [before, asked.map((message) => message.values.height)];
        }"""
    )
    assert asked == [1, [-2.5, -0.5]]
    assert page.explorer.state["height"] == -0.5


LOCAL = """
export const local = {
  settle: (state, name) => {
    const turns = name === "height" && state.height < 0;
    return turns ? { ...state, sign: "minus" } : state;
  },
  compute: (state, data, changed) => {
    if (state.shape === "wave") return null;
    if (state.note === "broken") throw new Error("in the browser");
    const sign = { plus: 1, minus: -1 }[state.sign];
    const y = data.x.map((x) => sign * x + state.height);
    const chart = {
      kind: "chart", x: data.x, curves: { here: y }, xlabel: "x", ylabel: "y", title: "",
      xscale: "linear", yscale: "linear", xlim: null, ylim: [-8, 8], colours: { here: "#0072B2" },
      dashes: {}, faint: [], marks: {}, bands: {}, dots: {}, strokes: "",
      under: [], xticks: [], yticks: [],
    };
    const note = { kind: "note", text: `here ${y[0].toFixed(2)}`, strong: false };
    const whole = { panels: [chart, note], columns: 1 };
    return state.grid ? { panels: [chart], columns: 1, partial: true } : whole;
  },
};
"""


class Near(Everything):
    """What Python computes of the same, and the data for the browser."""

    def __init__(self):
        super().__init__()
        self.description = replace(self.description, local="near.js")

    def local_data(self):
        return {"x": X}

    def settled(self, state, changed):
        return state | {"sign": "minus"} if changed == "height" and state["height"] < 0 else state

    def compute(self, state, changed):
        y = {"plus": 1, "minus": -1}[state["sign"]] * X + state["height"]
        chart = Chart(X, {"here": y}, "x", "y", ylim=(-8, 8), colours={"here": "#0072B2"})
        return View((chart, Note(f"Python {y[0]:.2f}")))


def texts(page):
    return page.page.locator(".dv-texts").inner_text().strip()


def test_what_the_browser_computes_is_drawn_at_once_and_told_to_python(opened):
    page = opened(Near(), files={"near.js": LOCAL})
    assert texts(page) == "Python -1.80"
    height = page.control("height").locator("input[type=range]")
    height.press("ArrowRight")
    assert texts(page) == "here -1.50"
    assert [message["kind"] for message in page.asked] == ["open"]
    height.press("Home")
    assert texts(page) == "here -1.00"  # its sign has changed
    page.page.wait_for_function("window.told > 0")
    page.settle()
    assert [message["kind"] for message in page.asked] == ["open", "tell"]
    assert page.explorer.state["height"] == -3 and page.explorer.state["sign"] == "minus"
    assert page.explorer.view.text == "Python -1.00"


def test_python_is_told_last_of_what_was_moved_last(opened):
    page = opened(Near(), files={"near.js": LOCAL})
    page.page.evaluate(
        """() => {
          const move = (selector, kind, change) => {
            const input = document.querySelector(selector);
            Object.assign(input, change);
            input.dispatchEvent(new Event(kind, { bubbles: true }));
          };
          const height = "[data-name=height] input[type=range]";
          move(height, "input", { value: 0 });
          move("[data-name=sign] input[value=plus]", "change", { checked: true });
          move(height, "input", { value: 1 });
        }"""
    )
    page.page.wait_for_function("window.told > 0")
    page.settle()
    assert page.explorer.state["height"] < 0 and page.explorer.state["sign"] == "minus"


def test_what_the_browser_cannot_compute_is_asked_of_python(opened):
    page = opened(Near(), files={"near.js": LOCAL})
    before = page.shown()[0]
    page.control("shape").locator("select").select_option("wave")
    page.settle()
    assert [message["kind"] for message in page.asked] == ["open", "set"]
    page.control("grid").locator("input").click()
    page.control("shape").locator("select").select_option("line")
    page.settle()
    page.control("height").locator("input[type=range]").press("ArrowRight")
    page.settle()
    assert texts(page) == "Python -1.50" and page.shown()[0] != before
    assert {message["kind"] for message in page.asked[1:]} == {"set"}


DRAG = """async () => {
  const gates = [];
  const answer = window.ask;
  window.ask = async (...asked) => {
    await new Promise((open) => gates.push(open));
    return answer(...asked);
  };
  const canvas = document.querySelector(".u-wrap canvas");
  const range = document.querySelector("[data-name=height] input[type=range]");
  const before = canvas.toDataURL();
  for (const value of [1, 2, 3]) {
    range.value = value;
    range.dispatchEvent(new Event("input", { bubbles: true }));
  }
  gates[0]();
  while (gates.length < 2) await new Promise((done) => setTimeout(done, 10));
  const isDrawn = canvas.toDataURL() !== before; // while the second answer is awaited
  window.ask = answer;
  gates[1]();
  return isDrawn;
}"""


def test_pictures_of_the_kernel_follow_a_slider_that_is_dragged(opened):
    """A module in the browser may leave a state to the kernel, whose pictures are the newest."""
    page = opened(Near(), files={"near.js": LOCAL})
    page.control("shape").locator("select").select_option("wave")
    page.settle()
    assert page.page.evaluate(DRAG)
    page.settle()
    assert page.explorer.state["height"] == -1.5


def test_a_page_without_a_kernel_computes_by_itself(opened, tmp_path):
    explorer = Near()
    explorer.save_opening(tmp_path / "near")
    names = ("near.json", "near.bin")
    files = {name: (tmp_path / name).read_bytes() for name in names}
    files["alone.html"] = (
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="style.css">'
        '<link rel="stylesheet" href="vendor/uPlot.css"><div id="host"></div>'
        '<script type="module">import { open } from "./page.js";'
        'await open(document.querySelector("#host"), "near");</script>'
    )
    page = opened(explorer, files=files | {"near.js": LOCAL})
    page.asked.clear()
    page.page.goto(f"{ADDRESS}alone.html#height=1.5&shape=round")
    page.page.wait_for_selector(".dv-view")
    assert texts(page) == "here -0.50"
    assert page.page.locator(".dv-status").text_content() == (
        "the link has a broken value: shape=round"
    )
    page.control("height").locator("input[type=range]").press("ArrowRight")
    assert texts(page) == "here 0.00"
    page.control("shape").locator("select").select_option("wave")
    assert "needs a notebook" in page.page.locator(".dv-status").text_content()
    page.control("note").locator("input").fill("broken")
    page.control("note").locator("input").press("Enter")
    page.control("shape").locator("select").select_option("line")
    assert page.page.locator(".dv-status").text_content() == "Error: in the browser"
    with page.page.expect_download() as download:
        page.page.get_by_text("CSV", exact=True).click()
    assert download.value.suggested_filename == "Near.csv"
    assert page.asked == []


def test_a_view_of_long_work_does_not_move_a_slider_back(opened):
    """It was sent before the kernel knew of the move."""
    page = opened(Everything())
    old = {"kind": "view", "serial": 0, "state": page.explorer.state, "error": "", "working": None}
    shown = page.page.evaluate(
        """async (old) => {
          const answer = window.ask;
          let release;
          const gate = new Promise((done) => { release = done; });
          window.ask = async (...asked) => { await gate; return answer(...asked); };
          const range = document.querySelector("[data-name=height] input[type=range]");
          range.value = 1;
          range.dispatchEvent(new Event("input", { bubbles: true }));
          for (const receive of window.receivers) receive(old, []);
          const value = range.value;
          release();
          return value;
        }""",
        old,
    )
    page.settle()
    assert shown == "1" and page.explorer.state["height"] == -2.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_light_and_dark(opened, scheme):
    page = opened(WeightingExplorer(), scheme=scheme).page
    colours = page.evaluate(
        """() => {
          const style = getComputedStyle(document.querySelector(".dv-explorer"));
          const swatch = document.querySelector(".dv-table .dv-swatch");
          return [style.backgroundColor, style.color, getComputedStyle(swatch).backgroundColor];
        }"""
    )
    ground, ink, black = (
        np.mean([int(part) for part in colour[4:-1].split(", ")]) for colour in colours
    )
    assert abs(ground - ink) > 150 and abs(ground - black) > 90
    assert (ground > ink) == (scheme == "light")
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")  # a light JupyterLab
    page.wait_for_function("document.querySelector('.dv-explorer').dataset.dark === 'false'")


def test_a_picture_is_sharp_on_a_fine_screen(opened):
    canvases = opened(Everything(), ratio=2).page.locator(".dv-chart canvas").all()
    sizes = [canvas.evaluate("one => one.width / one.clientWidth") for canvas in canvases]
    assert len(sizes) == 2 and all(abs(size - 2) < 0.02 for size in sizes)


def test_a_training_shows_its_progress_at_once_and_is_stopped(opened, monkeypatch):
    passed, gate = threading.Event(), threading.Event()
    count = len(GRID)

    def follow(_, training):
        curves = np.full((1, 2, count), 0.5)
        samples = np.zeros((2, 9, 2))
        yield Trained(60, np.ones((1, 2, 60)), curves[0], curves, samples, np.ones(2))
        yield Trained(80, np.ones((1, 2, 80)), curves[0], curves, samples, np.ones(2))
        passed.set()
        assert gate.wait(LONGEST)

    monkeypatch.setattr(progress, "followed", follow)
    explorer = TrainingDashboard(width=4, steps=200)
    page = opened(explorer)
    working = page.page.locator(".dv-working")
    assert working.is_hidden()
    page.page.locator(".dv-main").click()
    page.settle()
    assert working.is_visible()
    assert passed.wait(LONGEST)
    page.control("picture").locator("label", has_text="by step").click()
    page.settle()
    assert working.locator("progress").evaluate("bar => bar.value") == pytest.approx(0.4)
    assert "80 of 200 steps" in working.inner_text()
    assert "80 steps are done" in page.page.locator(".dv-texts").inner_text()
    working.locator("button").click()
    page.settle()
    assert working.is_hidden() and not explorer.is_working
    gate.set()
    explorer.wait(LONGEST)
    assert "80 steps are done" in explorer.view.text


def test_fifty_explorers_that_are_opened_and_closed_leave_nothing(opened):
    page = opened(Everything()).page
    count = "document.querySelectorAll('*').length"
    page.evaluate("window.end()")
    before = page.evaluate(count)
    page.evaluate(
        """async () => {
          for (let k = 0; k < 50; k++) {
            const end = window.mounted();
            await new Promise((done) => setTimeout(done, 20));
            end();
          }
        }"""
    )
    assert page.evaluate(count) == before and page.evaluate("window.receivers.size") == 0


def test_fifty_closed_explorers_are_forgotten_by_python():
    known = len(widget._instances)
    seen = []
    for _ in range(50):
        explorer = Everything()
        seen.append(weakref.ref(explorer))
        explorer.close()
        del explorer
    gc.collect()
    assert len(widget._instances) == known
    assert sum(one() is not None for one in seen) == 0
