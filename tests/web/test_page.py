"""The views in a real browser, on a page without a kernel: numbers, every option, links.

The server listens on 127.0.0.1 and gives out the modules as they are, which a page loads.
"""

import base64
import json
from pathlib import Path

import chromium
import numpy as np
import pytest
import web_panels
import web_settings

from diffviz.lab.experiments import composer
from diffviz.lab.explorers import (
    ComposerExplorer,
    PerceptionExplorer,
    PolicyExplorer,
    TrajectoryExplorer,
    WeightingExplorer,
)
from diffviz.lab.explorers.weighting import parameter_name
from diffviz.theory.families import FAMILIES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLOSE = 1e-6  # largest departure, over the largest value of a curve
PAGE = """<!doctype html><meta charset="utf-8"><title>explorer</title>
<link rel="stylesheet" href="/diffviz/web/vendor/uPlot.css">
<link rel="stylesheet" href="/diffviz/web/style.css">
<div id="host" style="width: 900px"></div>
<script type="module">
import { open } from "/diffviz/web/page.js";
await open(document.getElementById("host"), "/data");
</script>"""
NUMBERS = """async ({ settings, grid }) => {
  const { curves } = await import("/tests/web/agreement.js");
  const bytes = new Uint8Array(curves(settings, Float64Array.from(grid)).buffer);
  const parts = [];
  for (let start = 0; start < bytes.length; start += 3 * 8192) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(start, start + 3 * 8192))));
  }
  return parts.join("");
}"""
TEXTS = """() => [...document.querySelectorAll(".dv-table table")].map(
  table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)))"""


@pytest.fixture(scope="module")
def address():
    with chromium.served(ROOT) as root:
        yield root


@pytest.fixture
def page(browser, address):
    """A page whose errors, in the console or elsewhere, fail the test."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.route("**/explorer.html", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.route("**/favicon.ico", lambda route: route.fulfill(body=""))
    yield page
    context.close()
    assert not errors


def show(page, address, explorer, link=""):
    """Open an explorer on the page, as it was made or in the state of a link."""
    message, buffers = explorer.opening(on_page=True)
    text = json.dumps({"message": message, "lengths": [len(one) for one in buffers]})
    page.route("**/data.json", lambda route: route.fulfill(body=text))
    page.route("**/data.bin", lambda route: route.fulfill(body=b"".join(buffers)))
    page.goto(f"{address}/explorer.html{link}")
    page.wait_for_selector(".dv-texts > *")


def texts(explorer):
    """The tables of an explorer as the page shows them, with a cell for each colour."""
    tables = [panel for panel in explorer.view.panels if hasattr(panel, "rows")]
    return [
        [["", *row] if table.colours else list(row) for row in [table.head, *map(list, table.rows)]]
        for table in tables
    ]


def choose(page, explorer, name, option):
    """Choose an option of a menu on the page and in Python."""
    label = explorer.description[name].label
    page.get_by_label(label, exact=True).select_option(option)
    explorer.set(name, option)


VIEWS = """async ({ module, states }) => {
  const { unpacked } = await import("/diffviz/web/messages.js");
  const { message, lengths } = await (await fetch("/data.json")).json();
  const bytes = await (await fetch("/data.bin")).arrayBuffer();
  let start = 0;
  const buffers = lengths.map((length) => bytes.slice(start, (start += length)));
  const { local } = await import(`/diffviz/web/${module}`);
  const data = unpacked(message.data, buffers);
  const plain = (key, value) => {
    if (ArrayBuffer.isView(value)) return Array.from(value);
    return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  };
  return JSON.stringify(states.map((state) => {
    try {
      return local.compute(state, data);
    } catch (error) {
      return { error: error.message };
    }
  }), plain);
}"""


def test_random_settings_give_the_same_numbers_in_the_browser(page, address):
    settings = web_settings.settings(1000, seed=8)
    page.goto(f"{address}/tests/web/package.json")
    question = {"settings": settings, "grid": web_settings.GRID.tolist()}
    bytes_of_curves = base64.b64decode(page.evaluate(NUMBERS, question))
    curves = np.frombuffer(bytes_of_curves).reshape(len(settings), -1)
    worst, where = web_settings.largest_departure(settings, curves)
    assert worst <= CLOSE, where


def test_every_option_of_the_composer_is_computed_in_the_browser(page, address):
    explorer = ComposerExplorer(target="v")
    show(page, address, explorer)
    assert page.evaluate(TEXTS) == texts(explorer)
    for menu, options in composer.MENUS.items():
        first = explorer.state[menu]
        for option in [*options, first]:
            choose(page, explorer, menu, option)
            status = page.text_content(".dv-status")
            if explorer.error:
                assert status.partition(": ")[2] == explorer.error.partition(": ")[2]
            else:
                assert status == ""
                assert page.evaluate(TEXTS) == texts(explorer)
        assert (
            page.get_by_label(explorer.description[menu].label, exact=True).input_value() == first
        )


def test_every_family_of_the_weighting_explorer_is_computed_in_the_browser(page, address):
    explorer = WeightingExplorer()
    show(page, address, explorer)
    for family, offered in FAMILIES.items():
        choose(page, explorer, "family", family)
        assert page.evaluate(TEXTS) == texts(explorer)
        parameter = offered.parameters[0]
        number = page.get_by_label(f"{parameter.name}, as a number").locator("visible=true")
        number.fill(str(parameter.high))
        number.press("Enter")
        explorer.set(parameter_name(family, parameter.name), parameter.high)
        assert page.evaluate(TEXTS) == texts(explorer)


@pytest.mark.parametrize(
    "explorer",
    [
        ComposerExplorer(path="VP linear β", law="Beta t", target="x", names=("edm", "sd3")),
        WeightingExplorer(names=("edm",), family="P2", p2_gamma=0.55, base="x", axis="σ, VP"),
    ],
    ids=["composer", "weighting"],
)
def test_a_link_brings_the_state_back(page, address, explorer):
    show(page, address, type(explorer)(), explorer.link())
    assert page.evaluate(TEXTS) == texts(explorer)


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_explorers_on_a_page_show_what_python_shows(page, address, module):
    kind, _ = web_panels.MODULES[module]
    explorer = kind()
    show(page, address, explorer)
    states = web_panels.states_of(module, explorer, 6, seed=11)
    got = page.evaluate(VIEWS, {"module": module, "states": states})
    web_panels.assert_same_views(json.loads(got), states, explorer)


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_a_page_in_one_file_needs_no_server(page, tmp_path, module):
    kind, _ = web_panels.MODULES[module]
    explorer = kind()
    file = explorer.save(tmp_path / "alone.html")
    page.goto(file.as_uri())
    page.wait_for_selector(".dv-view")
    before = page.inner_text(".dv-texts")
    slider = page.locator(".dv-controls .dv-control:not([hidden]) input.dv-range").first
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    page.wait_for_function(
        "(text) => document.querySelector('.dv-texts').innerText !== text", arg=before
    )
    assert not page.inner_text(".dv-status")


def test_what_only_a_kernel_can_do_is_said(page, tmp_path):
    explorer = TrajectoryExplorer()
    page.goto(explorer.save(tmp_path / "alone.html").as_uri())
    page.get_by_text("more", exact=True).click()
    page.get_by_role("button", name="save animation").click()
    assert "needs a notebook" in page.inner_text(".dv-status")


def test_an_explorer_that_needs_a_kernel_has_no_page(tmp_path):
    with pytest.raises(ValueError, match="needs a kernel"):
        PolicyExplorer().save(tmp_path / "policy.html")


def test_a_page_refuses_files_in_words(page, tmp_path):
    explorer = PerceptionExplorer()
    page.goto(explorer.save(tmp_path / "alone.html").as_uri())
    page.locator("[data-name=own] input").set_input_files(tmp_path / "alone.html")
    assert "needs a notebook" in page.inner_text(".dv-status")
