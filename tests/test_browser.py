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
WINDOW = {"width": 1440, "height": 1000}
LOOKS = 3  # at a notebook that is late
OPENINGS = 3  # of a notebook that JupyterLab does not show
PATIENCE = 60_000  # ms for one of them
LOOKS_AGAIN = 10  # at a move that has changed nothing, three frames each
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

# What the kernel runs where a move has brought up controls. A reader looks at these first, and what
# such a move begins to import in a thread beside other work, as error_losses does, is there then.
LOADED = """
import threading
[one.join() for one in threading.enumerate() if "_import" in one.name]
"""
# What the page is asked lies in the page, so that each move takes one call, and no fixed time is
# waited: an answer is there when the kernel has done all that it was sent and a frame was drawn.
WATCH = (
    """
const frame = () => new Promise(done => requestAnimationFrame(done));
// One clock, inside the page, times the first event of a move and the first picture after it.
window.watch = {event: null, painted: null, kernel: [], unanswered: new Set()};
for (const kind of ['keydown', 'input', 'change', 'click'])
  document.addEventListener(kind, () => { watch.event ??= performance.now(); }, true);
const paint = () => { if (watch.event) watch.painted ??= performance.now(); };
document.addEventListener('load', event => { if (event.target.tagName == 'IMG') paint(); }, true);
const clear = CanvasRenderingContext2D.prototype.clearRect;  // with which each new drawing begins
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  paint();
  return clear.apply(this, box);
};
watch.listen = kernel => {
  watch.loaded = () => kernel.requestExecute({code: LOADED, silent: true}).done;
  kernel.iopubMessage.connect((_, {header, content}) => {  // also what callbacks raise, which no cell shows
    if (header.msg_type == 'error') watch.kernel.push(content.ename + ': ' + content.evalue);
    if (header.msg_type == 'stream' && content.name == 'stderr') watch.kernel.push(content.text);
  });
  kernel.anyMessage.connect((_, {msg, direction}) => {  // of what was received, once it has been handled
    if (direction == 'send' && msg.channel == 'shell') watch.unanswered.add(msg.header.msg_id);
    if (direction == 'recv' && msg.header.msg_type == 'status' && msg.content.execution_state == 'idle')
      watch.unanswered.delete(msg.parent_header.msg_id);
  });
};
watch.settled = async () => {
  const end = performance.now() + 3e4;
  await frame();
  while (watch.unanswered.size && performance.now() < end) await new Promise(done => setTimeout(done, 5));
  await frame();
  await frame();
};
const pixels = PIXELS;
const bytes = async image => new Uint8Array(
  await crypto.subtle.digest('SHA-1', await (await fetch(image.src)).arrayBuffer())).join();
// What the control's own output shows: the pictures, and the words and options of everything but the
// control itself.
watch.shown = async control => {
  const area = control.closest('.jp-OutputArea-output'), others = [...area.querySelectorAll('.widget-html, .widget-label, select, .dv-texts')];
  const drawn = [...area.querySelectorAll('canvas')].map(pixels);
  return [[...drawn, ...await Promise.all([...area.querySelectorAll('img')].map(bytes))].join(';'),
          others.filter(one => !control.contains(one)).map(one => one.textContent).join(';')];
};
// How many outputs show their widgets, once all do; an explorer does with its first view.
watch.appeared = async number => {
  const all = '.jp-OutputArea-output:has(.jupyter-widgets, .dv-view)';
  const alive = () => document.querySelectorAll(all).length;
  for (let wait = 0; alive() < number && wait < 400; wait++) await new Promise(done => setTimeout(done, 50));
  return alive();
};
// What has come of a move. One that changes nothing is given more frames, and a picture that has
// changed the time until it is painted.
watch.answer = async (control, before) => {
  let shown;
  for (let look = 0; look < LOOKS_AGAIN; look++) {
    await watch.settled();
    shown = await watch.shown(control);
    if (shown.join() != before.join()) break;
  }
  const isNew = shown[0] != before[0];
  for (let wait = 0; isNew && watch.painted === null && wait < 200; wait++) await frame();
  const seconds = isNew ? (watch.painted - watch.event) / 1e3 : 0;
  const found = watch.fresh();
  if (found) await watch.loaded();
  watch.event = watch.painted = null;
  return {shown, seconds, errors: watch.errors(), fresh: found};
};
// Texts of widgets in which an error may be, and errors of the kernel since the last call.
watch.errors = () => {
  const widgets = [...document.querySelectorAll('.jp-OutputArea-output :is(.jupyter-widgets, .dv-explorer)')];
  const failed = widgets.filter(one => /(Error|Exception): /.test(one.textContent));
  return {texts: failed.map(one => one.innerText), kernel: watch.kernel.splice(0)};
};
// Marks the controls in sight that have not been moved, and counts them.
watch.fresh = () => {
  document.querySelectorAll('[data-fresh]').forEach(control => delete control.dataset.fresh);
  const found = [...document.querySelectorAll('CONTROLS')].filter(
    control => control.getClientRects().length && control.checkVisibility({visibilityProperty: true}));
  found.forEach(control => Object.assign(control.dataset, {moved: 1, fresh: 1}));
  return found.length;
};
""".replace("PIXELS", chromium.PIXELS)
    .replace("CONTROLS", CONTROLS)
    .replace("LOOKS_AGAIN", str(LOOKS_AGAIN))
    .replace("LOADED", json.dumps(LOADED))
)
SETTLED = "() => watch.settled()"
SHOWN = "control => watch.shown(control)"
APPEARED = "number => watch.appeared(number)"
ERRORS = "() => watch.errors()"
FRESH = "() => watch.fresh()"
ANSWER = "([control, before]) => watch.answer(control, before)"
STARTED = "() => window.jupyterapp?.restored"
# The timer also holds on to the answer. What nothing in the page refers to any more, such as a
# promise that JupyterLab has lost, the browser throws away, and an error is all that is heard of it.
OPEN = """async name => {
  Object.assign(watch, {event: null, painted: null, kernel: [], unanswered: new Set()});
  const open = async () => {
    await jupyterapp.restored;
    const panel = await jupyterapp.commands.execute('docmanager:open', {path: name, factory: 'Notebook'});
    await panel.context.ready;
    await panel.revealed;
    return true;
  };
  return Promise.race([open(), new Promise(done => setTimeout(() => done(false), PATIENCE))]);
}""".replace("PATIENCE", str(PATIENCE))
RUN = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  const run = async () => {
    await panel.sessionContext.ready;
    watch.listen(panel.sessionContext.session.kernel);
    await jupyterapp.commands.execute('notebook:run-all-cells');
  };
  await Promise.race([run(), new Promise((_, late) => setTimeout(() => late(new Error('not run within 180 s')), 18e4))]);
  return [...panel.content.model.cells].filter(cell => cell.type == 'code').flatMap(cell => cell.outputs.toJSON());
}"""
THEME = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
CLOSE = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown();
  panel.dispose();
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folder that JupyterLab serves, and its address."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, home / "root")
    shutil.copytree(NOTEBOOKS.parent / "data", home / "data")
    for file in (home / "root").glob("*.ipynb"):
        notebook = nbformat.read(file, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        quiet = [cell for cell in code[1:] if not EXPLORER.search(cell.source)]
        assert len(quiet) < len(code) - 1, f"{file.name} has no explorer"
        # texts move nothing, and to typeset their formulas takes a fifth of the browser's time
        notebook.cells = [cell for cell in code if cell not in quiet]
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
        yield home / "root", f"http://127.0.0.1:{port}/lab?reset&token={token}"
    finally:
        server.terminate()  # Jupyter ends its kernels
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def desk(browser, lab):
    """JupyterLab in a window, where one notebook after the other is opened and closed."""
    page = browser.new_page(viewport=WINDOW)
    page.add_init_script(WATCH)
    load(page, lab[1])
    yield page
    page.close()


def load(page, address):
    """Load JupyterLab with nothing open."""
    page.goto(address)
    page.wait_for_function(STARTED, timeout=PATIENCE)


def open_notebook(page, name):
    """Open a notebook, in a JupyterLab that is loaded afresh where it loses what it opens."""
    for _ in range(OPENINGS):
        if page.evaluate(OPEN, name):
            return
        load(page, page.evaluate("() => `${location.origin}/lab?reset`"))
    raise TimeoutError(f"JupyterLab did not open {name} in {OPENINGS} times {PATIENCE} ms")


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


def marked(page, number) -> list:
    """Controls in sight that have been found now and have not been moved; there are ``number``."""
    return page.query_selector_all("[data-fresh]") if number else []


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
        answer = page.evaluate(ANSWER, [control, before])
        after, seconds = answer["shown"], answer["seconds"]
        if seconds > LATE and (seconds := seconds - queued_since(waits)) > LATE:
            problems.append(f"{name}: the picture came {seconds:.2f} s after the event")
        told = kind in ANSWERED_IN_WORDS and after[1] != before[1]
        answered |= told or after[0] != before[0]
        before = after
        problems += [f"{name}: {error}" for error in raised(answer["errors"])]
        for new in marked(page, answer["fresh"]):
            problems += move(page, new)
    return problems if answered else [*problems, f"{name} changes nothing"]


def raised(errors) -> list[str]:
    """Errors since the last call: of callbacks on the kernel's channel, and in an explorer's text."""
    shown = {match.group() for text in errors["texts"] for match in RAISED.finditer(text)}
    kernel = [error for error in errors["kernel"] if not LABS_OWN.search(error)]
    return [*kernel, *sorted(shown)]


def look(page, name) -> list[str]:
    """Open a notebook, run it and move all its controls; what a person would complain about."""
    problems: list[str] = []

    def failed(error):
        problems.append(f"JavaScript: {error}")

    def said(message):
        if message.type == "error" and not LABS_OWN.search(message.text):
            problems.append(f"page: {message.text}")

    page.on("pageerror", failed)
    page.on("console", said)
    open_notebook(page, name)
    try:
        outputs = page.evaluate(RUN)
        problems += [
            f"cell: {o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"
        ]
        shown = [
            o.get("data", {})
            for o in outputs
            if "%|" not in "".join(o.get("data", {}).get("text/plain", ""))
        ]  # bars go when done
        widgets = sum("application/vnd.jupyter.widget-view+json" in data for data in shown)
        alive = page.evaluate(APPEARED, widgets)
        page.evaluate(SETTLED)
        problems += [f"kernel: {error}" for error in raised(page.evaluate(ERRORS))]
        problems += (
            [f"{widgets - alive} of {widgets} widgets did not appear"] if alive != widgets else []
        )
        for control in marked(page, page.evaluate(FRESH)):
            problems += move(page, control)
        page.wait_for_timeout(chromium.TELLS)
        page.evaluate(SETTLED)
        problems += [f"kernel: {error}" for error in raised(page.evaluate(ERRORS))]
        return list(dict.fromkeys(problems))
    finally:
        page.remove_listener("pageerror", failed)
        page.remove_listener("console", said)
        page.evaluate(CLOSE)


@pytest.mark.parametrize("name", sorted(file.name for file in NOTEBOOKS.glob("*.ipynb")))
def test_every_control_of_a_notebook_answers_with_a_picture(name, desk):
    """Time in line for a processor does not count.

    What load costs beside that makes a picture late and never early, so that what is only late is
    looked at afresh.
    """
    for _ in range(LOOKS):
        problems = look(desk, name)
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
    "late": ("if change and not change.old: time.sleep(3)", "slider 'late': the picture came"),
    "script": (
        "display(ipywidgets.HTML('<img src=x onerror=nowhere()>'))",
        "JavaScript: nowhere is not defined",
    ),
    "fails": ("1 / 0", "cell: ZeroDivisionError"),
}


def test_what_is_broken_is_found_and_what_is_good_is_left_alone(desk, lab):
    cells = [
        nbformat.v4.new_code_cell(BROKEN.format(kind=kind, fault=fault))
        for kind, (fault, _) in FAULTS.items()
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab[0] / "broken.ipynb")
    problems = look(desk, "broken.ipynb")
    for complaint in [complaint for _, complaint in FAULTS.values() if complaint]:
        assert any(complaint in problem for problem in problems), (complaint, problems)
    assert not any("'good'" in problem for problem in problems), problems


LOSES = """() => {  // what it opens, and no time
  const later = setTimeout;
  window.setTimeout = done => later(done);
  jupyterapp.commands.execute = () => new Promise(() => {});
}"""


def test_a_notebook_that_is_lost_while_it_opens_is_opened_again(desk):
    desk.evaluate(LOSES)
    assert not desk.evaluate(OPEN, "00_start_here.ipynb")
    open_notebook(desk, "00_start_here.ipynb")
    desk.evaluate(CLOSE)


SIZE = {"width": 1366, "height": 768}  # of a small laptop, with the file browser open
DRAWN = """
from diffviz.lab import explorers

explorers.WeightingExplorer()
"""


def test_an_explorer_fits_beside_the_file_browser_and_keeps_the_arrow_keys(desk, lab):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(DRAWN.strip())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab[0] / "drawn.ipynb")
    desk.set_viewport_size(SIZE)
    open_notebook(desk, "drawn.ipynb")
    try:
        desk.evaluate(RUN)
        desk.wait_for_selector(".dv-view")
        desk.evaluate(SETTLED)
        desk.locator(".dv-explorer").scroll_into_view_if_needed()
        area = desk.locator(".jp-WindowedPanel-outer").first.bounding_box()
        for part in (".dv-controls", ".dv-pictures", ".dv-texts", ".dv-tools"):
            box = desk.locator(part).bounding_box()
            assert box["y"] >= area["y"], part
            assert box["y"] + box["height"] <= area["y"] + area["height"], part
            assert box["x"] + box["width"] <= area["x"] + area["width"], part
        anchor = desk.locator("[data-name=anchor] input[type=range]")
        before = anchor.input_value()
        anchor.press("ArrowRight")
        assert int(anchor.input_value()) == int(before) + 1
        desk.evaluate(THEME, "JupyterLab Dark")
        desk.wait_for_function("document.querySelector('.dv-explorer').dataset.dark === 'true'")
    finally:
        desk.evaluate(THEME, "JupyterLab Light")
        desk.evaluate(CLOSE)
        desk.set_viewport_size(WINDOW)


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
