"""What the explorers cost: in the kernel, in JupyterLab, and on the pages of the site.

The kernel's part is CPU time: the weighting explorer built, a slider moved (the view and its
message), and as a reference the same view drawn by Matplotlib. ``--browser`` opens each explorer in
JupyterLab in Chromium at 1366 x 768, and ``--site`` each page of a site that was built, on a slower
processor with ``--throttle 4``. There every control in sight is moved. A time goes from the event
in the page to the end of the frame in which the last canvas was drawn. The reference is a frame in
which the page itself draws eight lines of 1,001 points, so that ratios hold on any machine.
``--memory`` opens and closes each explorer 50 times on a page, and in Python.

Run: python benchmarks/explorer.py [--browser] [--site FOLDER [--throttle 4]] [--memory]
"""

import argparse
import gc
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from shutil import which
from typing import Any
from urllib.request import urlopen

import numpy as np
from timing import seconds

from diffviz.lab import explorers
from diffviz.lab.explorers.view import ViewExplorer
from diffviz.lab.explorers.weighting import WeightingExplorer
from diffviz.web import bundle
from diffviz.web.pictures import to_message

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import served

KINDS = tuple(name for name in explorers.__all__ if name[0].isupper())
CELL = "from diffviz.lab.explorers import {0}\n\n{0}()"
DATA = ("data", "toy", "image")  # menus whose choice changes the data
MOVES = Path(__file__).with_name("explorer_moves.js")
OPENED = 50  # times that an explorer is opened and closed
READY = (
    "() => window.jupyterapp?.shell.currentWidget?.context?.isReady"
    " && jupyterapp.shell.currentWidget.content.model.cells.length"
)
RUN = """async () => {
  await jupyterapp.shell.currentWidget.sessionContext.ready;
  await jupyterapp.commands.execute('notebook:run-all-cells');
}"""
WATCH = """
window.paints = [];
const clear = CanvasRenderingContext2D.prototype.clearRect;  // with which each drawing begins
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    paints.push(performance.now());
    channel.port1.close();
  };
  requestAnimationFrame(() => channel.port2.postMessage(0));
  return clear.apply(this, box);
};
"""
BLANK = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="views/vendor/uPlot.css"><link rel="stylesheet" href="views/style.css">
<div id="host"></div><script type="module">
import { open } from "./views/page.js";
window.turn = async (name, times) => {
  for (let k = 0; k < times; k++) {
    const end = await open(document.querySelector("#host"), new URL(name, location.href).href);
    await new Promise((done) => setTimeout(done, 30));
    end();
  }
};
</script>
"""


# --- in the kernel --------------------------------------------------------------------------------


def slide(explorer: WeightingExplorer, value: float) -> None:
    """Move a slider, and make the message of its view."""
    explorer.set("flow_logit_normal_mean", value)
    to_message(explorer.view)


def cpu(step: Callable[[], object], times: int) -> float:
    """Median CPU time of a step, in ms."""
    return 1e3 * statistics.median(seconds([step] * times))


def build(name: str) -> None:
    """Build an explorer, with all that a browser asks for at first."""
    getattr(explorers, name)().opening()


def print_kernel(steps: int) -> None:
    """Print what the kernel does."""
    explorer = WeightingExplorer()
    explorer.opening()
    places = iter(np.linspace(-1, 1, steps))
    moved = 1e3 * statistics.median(seconds(partial(slide, explorer, x) for x in places))
    drawn = cpu(lambda: explorer.png, 5)
    built = cpu(partial(build, "WeightingExplorer"), 5)
    print(f"kernel: explorer built and opened           {built:7.1f} ms CPU")
    print(f"kernel: slider moved, view and message      {moved:7.1f} ms CPU")
    print(f"kernel: the view drawn by Matplotlib        {drawn:7.1f} ms CPU")
    print(f"ratio, Matplotlib to move                   {drawn / moved:7.1f}")


# --- servers and a browser ------------------------------------------------------------------------


@contextmanager
def jupyterlab(root: Path) -> Iterator[str]:
    """JupyterLab on a free port, with settings of its own.

    Args:
        root: Folder that it serves.

    Yields:
        Address of a notebook in it, to be formatted with its name.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    settings = root / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    own = {
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"),
        *(f"--port={port}", "--port-retries=0", f"--IdentityProvider.token={token}"),
        *("--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={root}"),
    ]
    silent = subprocess.DEVNULL
    server = subprocess.Popen(command, env=os.environ | own, stdout=silent, stderr=silent)
    try:
        for _ in range(600):
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}/api/status?token={token}").close()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?reset&token={token}"
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def window(throttle: float = 1.0) -> Iterator[Any]:
    """A page of Chromium at 1366 x 768 that keeps the time of each paint.

    Args:
        throttle: By how much the processor is slower.

    Yields:
        The page.
    """
    from playwright.sync_api import sync_playwright

    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.add_init_script(WATCH)
        if throttle != 1:
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        yield page
        browser.close()


# --- the moves ------------------------------------------------------------------------------------


def moved(page: Any, steps: int) -> dict[str, Any]:
    """Times of the moves of all controls in sight.

    Args:
        page: The page, which shows an explorer.
        steps: Positions of each slider.

    Returns:
        Milliseconds of sliders and menus by name, those of the reference, and the updates a second
        while the first slider is dragged.
    """
    settings = {"steps": steps, "options": 5, "seconds": 2}
    times: dict[str, Any] = page.evaluate(f"({MOVES.read_text().strip().rstrip(';')})", settings)
    return times


def middle(times: Iterable[float]) -> str:
    """The median of some times, or a sign that there is none."""
    listed = list(times)
    return f"{statistics.median(listed):.0f}" if listed else "–"


def slowest(by_name: dict[str, list[float]]) -> str:
    """The control with the largest median, and that."""
    medians = {name: statistics.median(times) for name, times in by_name.items() if times}
    if not medians:
        return "–"
    name = max(medians, key=medians.__getitem__)
    return f"{medians[name]:.0f} {name}"


HEAD = ("explorer", "slider", "slowest slider", "menu", "slowest menu", "data", "a second", "ref.")
ROW = "{:22} {:>7} {:>26} {:>6} {:>24} {:>6} {:>9} {:>6}"


def print_moves(name: str, times: dict[str, Any]) -> None:
    """Print the medians of an explorer, in ms."""
    sliders, menus = times["sliders"], times["menus"]
    data = {name: menus[name] for name in DATA if name in menus}
    others = {name: spent for name, spent in menus.items() if name not in DATA}
    slider, menu, changed = (
        middle(chain.from_iterable(by_name.values())) for by_name in (sliders, others, data)
    )
    rate = "–" if times["rate"] is None else f"{times['rate']:.0f}"
    cells = (slider, slowest(sliders), menu, slowest(others), changed, rate)
    print(ROW.format(name, *cells, middle(times["reference"])), flush=True)


def print_browser(names: list[str], steps: int) -> None:
    """Print what a reader of a notebook waits for."""
    import nbformat

    print("in JupyterLab, medians in ms")
    print(ROW.format(*HEAD))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in names:
            cell = nbformat.v4.new_code_cell(CELL.format(name))
            notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
            nbformat.write(notebook, root / f"{name}.ipynb")
        with jupyterlab(root) as address, window() as page:
            for name in names:
                page.goto(address.format(f"{name}.ipynb"))
                page.wait_for_function(READY, timeout=60_000)
                page.evaluate(RUN)
                page.wait_for_selector(".dv-tools", timeout=60_000)
                page.wait_for_timeout(2000)
                print_moves(name, moved(page, steps))
                page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def print_site(site: Path, throttle: float, names: list[str], steps: int) -> None:
    """Print what a reader of the site waits for."""
    print(f"on the site, processor {throttle:g} times as slow, medians in ms")
    print(ROW.format(*HEAD))
    with served(site) as address, window(throttle) as page:
        for file in sorted(site.glob("openings/*.json")):
            code = json.loads(file.read_text(encoding="utf-8"))["message"]["description"]["code"]
            if code.replace("TrainingPage", "TrainingDashboard") not in names:
                continue
            page.goto(f"{address}/explorers/{file.stem}.html")
            page.wait_for_selector(".dv-tools", timeout=60_000)
            page.wait_for_timeout(1000)
            print_moves(file.stem, moved(page, steps))


# --- memory ---------------------------------------------------------------------------------------


def kept_by_python(name: str) -> int:
    """How many of the explorers that were opened and closed are still there."""
    seen = []
    for _ in range(OPENED):
        explorer: ViewExplorer = getattr(explorers, name)()
        explorer.opening()
        explorer.close()
        seen.append(weakref.ref(explorer))
        del explorer
    gc.collect()
    return sum(one() is not None for one in seen)


def kept_by_page(page: Any, name: str) -> tuple[float, int, int]:
    """What is left on a page when an explorer was opened and closed many times.

    Args:
        page: The blank page.
        name: Of the opening message.

    Returns:
        Kilobytes of the heap, elements and listeners more than after a few times.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def measured() -> dict[str, float]:
        for _ in range(3):  # what a first round lets go frees more
            session.send("HeapProfiler.collectGarbage")
            page.wait_for_timeout(100)
        metrics = session.send("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in metrics}

    page.evaluate("([name, times]) => turn(name, times)", [name, 10])
    before = measured()
    page.evaluate("([name, times]) => turn(name, times)", [name, OPENED])
    after = measured()
    session.detach()
    more = {key: after[key] - before[key] for key in ("Nodes", "JSEventListeners")}
    heap = (after["JSHeapUsedSize"] - before["JSHeapUsedSize"]) / 1e3
    return heap, int(more["Nodes"]), int(more["JSEventListeners"])


def print_memory(names: list[str]) -> None:
    """Print what is left of explorers that were opened and closed."""
    print(f"left after {OPENED} were opened and closed")
    print(f"{'explorer':22} {'in Python':>9} {'heap, kB':>9} {'elements':>9} {'listeners':>9}")
    with tempfile.TemporaryDirectory() as folder, window() as page:
        root = Path(folder)
        shutil.copytree(bundle.FOLDER, root / "views")
        (root / "index.html").write_text(BLANK, encoding="utf-8")
        with served(root) as address:
            for name in names:
                explorer = getattr(explorers, name)()
                explorer.save_opening(root / name)
                explorer.close()
                page.goto(address)
                page.wait_for_function("window.turn")
                heap, elements, listeners = kept_by_page(page, name)
                kept = kept_by_python(name)
                print(f"{name:22} {kept:9} {heap:9.0f} {elements:9} {listeners:9}", flush=True)


def print_building(names: list[str]) -> None:
    """Print what it costs to build each explorer, for the first time and again."""
    print(f"{'built and opened':22} {'first':>9} {'again':>9}   ms CPU")
    for name in names:
        first = 1e3 * seconds([partial(build, name)])[0]
        print(f"{name:22} {first:9.0f} {cpu(partial(build, name), 3):9.0f}", flush=True)


def main() -> None:
    """Print the times of the kernel, and of what else is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12, help="positions of each slider")
    parser.add_argument("--only", nargs="*", default=KINDS, help="explorers, by their classes")
    parser.add_argument("--browser", action="store_true", help="each explorer in JupyterLab")
    parser.add_argument("--site", type=Path, help="each page with an explorer, in this folder")
    parser.add_argument("--throttle", type=float, default=1.0, help="how much slower the site runs")
    parser.add_argument("--memory", action="store_true", help="opened and closed many times")
    options = parser.parse_args()
    names = list(options.only)
    if options.browser:
        print_browser(names, options.steps)
    if options.site:
        print_site(options.site, options.throttle, names, options.steps)
    if options.memory:
        print_memory(names)
    if not (options.browser or options.site or options.memory):
        print_kernel(41)
        print_building(names)


if __name__ == "__main__":
    main()
