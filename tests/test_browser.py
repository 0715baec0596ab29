"""Notebooks and reports in a real browser: each control of an explorer answers within a second.

All its other cells are run without a browser (nbmake, in ``make test``).

The server listens on 127.0.0.1 with a random token and works on a copy, so nothing of the user's is
read or saved.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import chromium
import nbformat
import psutil
import pytest

import diffviz as dv

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
EXPLORER = re.compile(r"(Explorer|Dashboard)\(")
LATE = 1.0  # s from the event to the new picture
LOOKS = 3  # at a notebook that is late
OPTIONS = 16  # of a list, at most
FEW = 3  # options of a menu that the browser draws itself; tests/web chooses all of them
KINDS = ("slider", "dropdown", "select", "checkbox", "toggle-button", "toggle-buttons", "radio")
DRAWN_KINDS = ("slider", "menu", "switch")  # of explorers that the browser draws
CONTROLS = ", ".join(
    [f".widget-{kind}:not([data-moved], .widget-toggle-buttons *)" for kind in KINDS]
    + [f".dv-control[data-kind={kind}]:not([data-moved])" for kind in DRAWN_KINDS]
)
# a menu may fill a list instead of the picture, and a setting of long work is shown in words
ANSWERED_IN_WORDS = ("dropdown", "select", "drawn-menu", "drawn-slider", "drawn-switch")
RAISED = re.compile(r"\b[A-Z]\w*(?:Error|Exception): .*")
LABS_OWN = re.compile(
    r"Failed to load resource|/api/|workspaces|Content Security Policy|No such comm"
)
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight stay in the page
}
FOLDERS = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_WORKSPACES_DIR",
)

# Marks the controls in sight that have not been moved, and counts them. The page itself looks for
# them, since this is asked after each move.
FIND_FRESH = """selectors => {
  document.querySelectorAll('[data-fresh]').forEach(control => delete control.dataset.fresh);
  const found = [...document.querySelectorAll(selectors)].filter(
    control => control.getClientRects().length && control.checkVisibility({visibilityProperty: true}));
  found.forEach(control => Object.assign(control.dataset, {moved: 1, fresh: 1}));
  return found.length;
}"""
# One clock, inside the page, times the last event and the first picture after it.
WATCH = """
window.watch = {event: 0, painted: null, kernel: []};
for (const kind of ['keydown', 'input', 'change', 'click'])
  document.addEventListener(kind, () => { watch.event = performance.now(); watch.painted = null; }, true);
document.addEventListener('load', event => {
  if (event.target.tagName == 'IMG') watch.painted ??= performance.now();
}, true);
const clear = CanvasRenderingContext2D.prototype.clearRect;  // with which each new drawing begins
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  watch.painted ??= performance.now();
  return clear.apply(this, box);
};
"""
READY = "() => window.jupyterapp?.shell.currentWidget?.context?.isReady && jupyterapp.shell.currentWidget.content.model.cells.length"
RUN = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  const run = async () => {
    await panel.sessionContext.ready;
    panel.sessionContext.iopubMessage.connect((_, {header, content}) => {  // also what callbacks raise, which no cell shows
      if (header.msg_type == 'error') watch.kernel.push(content.ename + ': ' + content.evalue);
      if (header.msg_type == 'stream' && content.name == 'stderr') watch.kernel.push(content.text);
    });
    await jupyterapp.commands.execute('notebook:run-all-cells');
  };
  await Promise.race([run(), new Promise((_, late) => setTimeout(() => late(new Error('not run within 180 s')), 18e4))]);
  return [...panel.content.model.cells].filter(cell => cell.type == 'code').flatMap(cell => cell.outputs.toJSON());
}"""
SETTLE = """async () => {
  for (let quiet = 0, i = 0; quiet < 6 && i < 1200; i++) {
    await new Promise(done => setTimeout(done, 25));
    quiet = jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle' ? quiet + 1 : 0;
  }
}"""
SHUT_DOWN = "() => jupyterapp.shell.currentWidget.sessionContext.shutdown()"
# What the control's own output shows: the pictures, and the words and options of everything but the
# control itself.
SHOWN = """async control => {
  const area = control.closest('.jp-OutputArea-output'), others = [...area.querySelectorAll('.widget-html, .widget-label, select, .dv-texts')];
  const drawn = [...area.querySelectorAll('canvas')].map(canvas => canvas.toDataURL());
  const hash = async image => new Uint8Array(
    await crypto.subtle.digest('SHA-1', await (await fetch(image.src)).arrayBuffer())).join();
  return [[...drawn, ...await Promise.all([...area.querySelectorAll('img')].map(hash))].join(';'),
          others.filter(one => !control.contains(one)).map(one => one.textContent).join(';')];
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folder that JupyterLab serves, and the address of a notebook in it."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, home / "root")
    shutil.copytree(NOTEBOOKS.parent / "data", home / "data")
    for file in (home / "root").glob("*.ipynb"):
        notebook = nbformat.read(file, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        quiet = [cell for cell in code[1:] if not EXPLORER.search(cell.source)]
        assert len(quiet) < len(code) - 1, f"{file.name} has no explorer"
        notebook.cells = [cell for cell in notebook.cells if cell not in quiet]
        nbformat.write(notebook, file)
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port, token = free.getsockname()[1], secrets.token_hex(16)
    flags = f"""-m jupyterlab --no-browser --ip=127.0.0.1 --port={port} --port-retries=0 --IdentityProvider.token={token}
        --LabApp.expose_app_in_browser=True {"--allow-root" if os.getuid() == 0 else ""}""".split()
    command = [sys.executable, *flags, f"--ServerApp.root_dir={home / 'root'}"]
    own = {name: str(home / name.lower()) for name in FOLDERS} | {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")
    }
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}/api/status?token={token}").close()
                break
            assert server.poll() is None, (home / "log").read_text()
            time.sleep(0.1)
        yield (
            home / "root",
            lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}?reset&token={token}",
        )
    finally:
        server.terminate()  # Jupyter ends its kernels
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as launched:
        yield launched


def drawn_moves(control, kind):
    """Ways to move a control that the browser draws; the last one brings it back."""
    menu = control.query_selector("select")
    if kind == "slider":
        handle = control.query_selector("input[type=range]")
        return [lambda key=key: handle.press(key) for key in ("ArrowRight", "PageUp", "ArrowLeft")]
    if kind == "menu" and menu:
        options = menu.evaluate("menu => [...menu.options].map(option => option.value)")
        first = menu.input_value()
        others = [option for option in options if option != first][:FEW]
        return [lambda one=one: menu.select_option(one) for one in (*others, first)]
    buttons = control.query_selector_all("input")
    first = [button for button in buttons if button.is_checked() and kind == "menu"]
    others = [button for button in buttons if button not in first]
    return [lambda one=one: one.click(force=True) for one in (*others, *(first or others))]


def moves(control, kind):
    """Ways to move a control as a person would; the last one brings it back."""
    if kind in ("drawn-slider", "drawn-menu", "drawn-switch"):
        return drawn_moves(control, kind.removeprefix("drawn-"))
    if kind == "slider":
        handle = control.query_selector(".noUi-handle")
        return [
            lambda key=key: handle.press(key)
            for key in ("ArrowRight", "PageUp", "PageDown", "ArrowLeft")
        ]
    if kind in ("dropdown", "select"):
        menu = control.query_selector("select")
        chosen = menu.evaluate("menu => [...menu.options].map(option => option.selected)")
        others = [index for index, on in enumerate(chosen) if not on][:OPTIONS]
        back = [index for index, on in enumerate(chosen) if on]
        return [lambda index=index: menu.select_option(index=index) for index in (*others, back)]
    if kind in ("checkbox", "toggle-button"):
        return [(control.query_selector("input") or control).click] * 2
    buttons = control.query_selector_all("button, input")
    first = [
        b for b in buttons if b.evaluate("b => b.checked || b.classList.contains('mod-active')")
    ]
    return [button.click for button in (*(b for b in buttons if b not in first), *first)]


def fresh(page) -> list:
    """Controls in sight that have not been moved and will be now."""
    found = page.evaluate(FIND_FRESH, CONTROLS)
    return page.query_selector_all("[data-fresh]") if found else []


def displayed(page, control, before) -> list[str]:
    """What the control's output shows when the kernel is idle and, on a busy machine, has changed.

    A move that changes nothing is given 2 s.
    """
    for _ in range(8):
        page.evaluate(SETTLE)
        now = page.evaluate(SHOWN, control)
        if now != before:
            break
        page.wait_for_timeout(100)
    return now


def queued() -> dict[int, int]:
    """Nanoseconds for which browser, server and kernels have waited for a processor, by process.

    These are the waits of their main threads up to now, which other work on the machine causes.
    Where the system does not tell, there are none.
    """
    waits = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(OSError):  # it has just ended, or this is not Linux
            told = Path(f"/proc/{process.pid}/schedstat").read_text()
            waits[process.pid] = int(told.split()[1])
    return waits


def queued_since(before) -> float:
    """Seconds of such waits since an earlier look."""
    now = queued()
    return sum(now[process] - before[process] for process in now.keys() & before.keys()) / 1e9


def move(page, control) -> list[str]:
    """Move one control, and those that it brings up; what is wrong."""
    classes = control.get_attribute("class").split()
    kind = f"drawn-{control.get_attribute('data-kind')}"
    if "dv-control" not in classes:
        kind = next(kind for kind in KINDS if f"widget-{kind}" in classes)
    name = f"{kind} '{control.inner_text().strip().partition(chr(10))[0]}'"
    problems, answered, before = [], False, page.evaluate(SHOWN, control)
    for act in moves(control, kind):
        waits = queued()
        act()
        after = displayed(page, control, before)
        if after[0] != before[0]:
            wait = page.evaluate("() => watch.painted - watch.event") / 1e3
            wait -= queued_since(waits)
            problems += (
                [f"{name}: the picture came {wait:.2f} s after the event"] if wait > LATE else []
            )
        told = kind in ANSWERED_IN_WORDS and after[1] != before[1]
        answered |= told or after[0] != before[0]
        before = after
        problems += [f"{name}: {error}" for error in raised(page)]
        for new in fresh(page):
            problems += move(page, new)
    return problems if answered else [*problems, f"{name} changes nothing"]


def raised(page) -> list[str]:
    """Errors since the last call: of callbacks on the kernel's channel, and in an explorer's text."""
    texts = page.eval_on_selector_all(
        ".jp-OutputArea-output :is(.jupyter-widgets, .dv-explorer)",
        "all => all.map(one => one.innerText)",
    )
    shown = {match.group() for text in texts for match in RAISED.finditer(text)}
    kernel = [
        error
        for error in page.evaluate("() => watch.kernel.splice(0)")
        if not LABS_OWN.search(error)
    ]
    return [*kernel, *sorted(shown)]


def look(browser, address) -> list[str]:
    """Open a notebook, run it and move all its controls; what a person would complain about."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"JavaScript: {error}"))
    page.on(
        "console",
        lambda m: (
            m.type == "error" and not LABS_OWN.search(m.text) and problems.append(f"page: {m.text}")
        ),
    )
    page.add_init_script(WATCH)
    try:
        page.goto(address)
        page.wait_for_function(READY, timeout=60_000)
        outputs = page.evaluate(RUN)
        page.evaluate(SETTLE)
        problems += [
            f"cell: {o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"
        ]
        problems += [f"kernel: {error}" for error in raised(page)]
        shown = [
            o.get("data", {})
            for o in outputs
            if "%|" not in "".join(o.get("data", {}).get("text/plain", ""))
        ]  # bars go when done
        widgets = sum("application/vnd.jupyter.widget-view+json" in data for data in shown)
        alive = len(
            page.query_selector_all(".jp-OutputArea-output:has(.jupyter-widgets, .dv-explorer)")
        )
        problems += (
            [f"{widgets - alive} of {widgets} widgets did not appear"] if alive != widgets else []
        )
        for control in fresh(page):
            problems += move(page, control)
        complaints = list(dict.fromkeys(problems))
        page.evaluate(SHUT_DOWN)
        return complaints
    finally:
        page.close()


@pytest.mark.parametrize("name", sorted(file.name for file in NOTEBOOKS.glob("*.ipynb")))
def test_every_control_of_a_notebook_answers_with_a_picture(name, browser, lab):
    """Time in line for a processor does not count.

    What load costs beside that makes a picture late and never early, so that what is only late is
    looked at afresh.
    """
    for _ in range(LOOKS):
        problems = look(browser, lab[1](name))
        if not problems or not all("the picture came" in problem for problem in problems):
            break
    assert problems == []


BROKEN = """
import io, time, ipywidgets, numpy
from PIL import Image

box, picture = ipywidgets.IntSlider(description="{kind}", max=9), ipywidgets.Image()

def draw(change, box=box, picture=picture):
    {fault}
    file = io.BytesIO()
    Image.fromarray(numpy.full((40, 40), 20 * box.value, "uint8")).save(file, "PNG")
    picture.value = file.getvalue()

draw(None)
box.observe(draw, "value")
ipywidgets.VBox([box, picture])
"""
FAULTS = {  # the last one ends the run
    "good": ("pass", None),
    "dead": ("if change: return", "slider 'dead' changes nothing"),
    "raises": (
        "if box.value == 1: raise ValueError('on the way')",
        "slider 'raises': ValueError: on the way",
    ),
    "late": ("if change: time.sleep(3)", "slider 'late': the picture came"),
    "script": (
        "display(ipywidgets.HTML('<img src=x onerror=nowhere()>'))",
        "JavaScript: nowhere is not defined",
    ),
    "fails": ("1 / 0", "cell: ZeroDivisionError"),
}


def test_what_is_broken_is_found_and_what_is_good_is_left_alone(browser, lab):
    cells = [
        nbformat.v4.new_code_cell(BROKEN.format(kind=kind, fault=fault))
        for kind, (fault, _) in FAULTS.items()
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab[0] / "broken.ipynb")
    problems = look(browser, lab[1]("broken.ipynb"))
    for complaint in [complaint for _, complaint in FAULTS.values() if complaint]:
        assert any(complaint in problem for problem in problems), (complaint, problems)
    assert not any("'good'" in problem for problem in problems), problems


SIZE = {"width": 1366, "height": 768}  # of a small laptop, with the file browser open
DRAWN = """
from diffviz.lab import explorers

explorers.WeightingExplorer()
"""


def test_an_explorer_fits_beside_the_file_browser_and_keeps_the_arrow_keys(browser, lab):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(DRAWN.strip())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab[0] / "drawn.ipynb")
    page = browser.new_page(viewport=SIZE)
    page.add_init_script(WATCH)
    try:
        page.goto(lab[1]("drawn.ipynb"))
        page.wait_for_function(READY, timeout=60_000)
        page.evaluate(RUN)
        page.wait_for_selector(".dv-view")
        page.evaluate(SETTLE)
        page.locator(".dv-explorer").scroll_into_view_if_needed()
        area = page.locator(".jp-WindowedPanel-outer").first.bounding_box()
        for part in (".dv-controls", ".dv-pictures", ".dv-texts", ".dv-tools"):
            box = page.locator(part).bounding_box()
            assert box["y"] >= area["y"], part
            assert box["y"] + box["height"] <= area["y"] + area["height"], part
            assert box["x"] + box["width"] <= area["x"] + area["width"], part
        anchor = page.locator("[data-name=anchor] input[type=range]")
        before = anchor.input_value()
        anchor.press("ArrowRight")
        assert int(anchor.input_value()) == int(before) + 1
        page.evaluate(
            "() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
        )
        page.wait_for_function("document.querySelector('.dv-explorer').dataset.dark === 'true'")
        page.evaluate(SHUT_DOWN)
    finally:
        page.close()


# --- the page that a report is --------------------------------------------------------------------

WIDTHS = (390, 1366)  # pixels of a telephone and of a laptop
GROUND = "getComputedStyle(document.body).backgroundColor"
INK = "getComputedStyle(document.querySelector('svg text')).fill"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
CUT = """
[...document.querySelectorAll('main *')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width && (box.left < -0.5 || box.right > innerWidth + 0.5);
}).map(element => element.outerHTML.slice(0, 80))
"""


def brightness(colour):
    """Mean of the channels of a colour as the browser gives it."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_is_readable_narrow_and_wide_in_light_and_dark(browser, tmp_path, width):
    name = "a-name-that-is-very-long-and-has-no-place-to-break-" * 3
    note = "https://example.org/" + "path/" * 40
    file = tmp_path / "card.html"
    dv.report(replace(dv.objective("edm"), name=name, note=note), file)
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(file.as_uri())
        assert page.evaluate(OVERFLOW) <= 0
        assert page.evaluate(CUT) == []
        seen[scheme] = brightness(page.evaluate(GROUND)), brightness(page.evaluate(INK))
    page.emulate_media(color_scheme="dark", media="print")
    seen["paper"] = brightness(page.evaluate(GROUND)), brightness(page.evaluate(INK))
    page.close()
    assert set(requests) == {file.as_uri()}
    assert complaints == []
    assert seen["light"][0] - seen["light"][1] > 150
    assert seen["dark"][1] - seen["dark"][0] > 150
    assert seen["paper"][0] - seen["paper"][1] > 150
