"""What a move of the weighting explorer costs: in the kernel, and from the event to the paint.

The kernel's part is CPU time: the explorer built, a slider moved (the view and its message), and as
a reference the same view drawn by Matplotlib. With ``--browser`` JupyterLab is started on a free
port, and Chromium runs the explorer at 1366 x 768. A time goes from the event in the page to the
end of the frame in which the last canvas was drawn. The reference there is a frame in which the
page itself draws eight lines of 1,001 points, so that ratios hold on any machine.

Run: python benchmarks/explorer.py [--steps N] [--browser]
"""

import argparse
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any
from urllib.request import urlopen

import numpy as np
from timing import seconds

from diffviz.lab.explorers.weighting import WeightingExplorer
from diffviz.web.pictures import to_message

CELL = "from diffviz.lab.explorers import WeightingExplorer\n\nWeightingExplorer()"
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
  channel.port1.onmessage = () => paints.push(performance.now());
  requestAnimationFrame(() => channel.port2.postMessage(0));
  return clear.apply(this, box);
};
"""
MEASURE = """async () => {
  const rest = time => new Promise(done => setTimeout(done, time));
  const find = (name, tag) => document.querySelector(`[data-name=${name}] ${tag}`);
  const fire = (element, kind) => element.dispatchEvent(new Event(kind, {bubbles: true}));
  const timed = async (act, times) => {
    const spent = [];
    for (let k = 0; k < times; k++) {
      paints.length = 0;
      const start = performance.now();
      act(k);
      await rest(300);
      if (paints.length) spent.push(paints.at(-1) - start);
    }
    return spent;
  };
  const range = find('flow_logit_normal_mean', 'input[type=range]');
  const slide = k => { range.value = 30 + k % 20; fire(range, 'input'); };
  const menu = find('axis', 'select');
  const choose = () => {
    menu.selectedIndex = (menu.selectedIndex + 1) % menu.options.length;
    fire(menu, 'change');
  };
  const canvas = document.body.appendChild(document.createElement('canvas'));
  const reference = () => {
    const pen = canvas.getContext('2d');
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (let c = 0; c < 8; c++) {
      pen.beginPath();
      for (let i = 0; i < 1001; i++) pen.lineTo(i * 0.3, 75 + 60 * Math.tanh(i / 100 - c));
      pen.stroke();
    }
  };
  const result = {slider: await timed(slide, 20), menu: await timed(choose, 14)};
  result.reference = await timed(reference, 20);
  canvas.remove();
  paints.length = 0;
  const start = performance.now();
  while (performance.now() - start < 3000) {
    slide(Math.round(performance.now() / 16));
    await new Promise(requestAnimationFrame);
  }
  const frames = new Set(paints.map(time => Math.round(time / 4)));  // paints of one frame are one
  result.rate = frames.size / ((performance.now() - start) / 1e3);
  return result;
}"""


def slide(explorer: WeightingExplorer, value: float) -> None:
    """Move a slider, and make the message of its view."""
    explorer.set("flow_logit_normal_mean", value)
    to_message(explorer.view)


def cpu(step: Callable[[], object], times: int) -> float:
    """Median CPU time of a step, in ms."""
    return 1e3 * statistics.median(seconds([step] * times))


def print_kernel(steps: int) -> None:
    """Print what the kernel does."""
    explorer = WeightingExplorer()
    explorer.opening()
    places = iter(np.linspace(-1, 1, steps))
    moved = 1e3 * statistics.median(seconds(partial(slide, explorer, x) for x in places))
    drawn = cpu(lambda: explorer.png, 5)
    print(f"kernel: explorer built and opened           {cpu(build, 5):7.1f} ms CPU")
    print(f"kernel: slider moved, view and message      {moved:7.1f} ms CPU")
    print(f"kernel: the view drawn by Matplotlib        {drawn:7.1f} ms CPU")
    print(f"ratio, Matplotlib to move                   {drawn / moved:7.1f}")


def build() -> None:
    """Build an explorer, with all that a browser asks for at first."""
    WeightingExplorer().opening()


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


def measured(address: str) -> dict[str, Any]:
    """Times in the browser.

    Args:
        address: Of the notebook.

    Returns:
        Milliseconds by what was moved, and the updates a second while dragging.
    """
    from playwright.sync_api import sync_playwright

    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.add_init_script(WATCH)
        page.goto(address)
        page.wait_for_function(READY, timeout=60_000)
        page.evaluate(RUN)
        page.wait_for_selector(".dv-view", timeout=60_000)
        page.wait_for_timeout(2000)
        times = page.evaluate(MEASURE)
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        browser.close()
    return times


def print_browser() -> None:
    """Print what a reader waits for."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cell = nbformat.v4.new_code_cell(CELL)
        notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
        nbformat.write(notebook, root / "explorer.ipynb")
        with jupyterlab(root) as address:
            times = measured(address.format("explorer.ipynb"))
    reference = statistics.median(times["reference"])
    for name in ("slider", "menu", "reference"):
        median, largest = statistics.median(times[name]), max(times[name])
        ratio = f"{median / reference:5.1f} times the reference"
        print(f"browser: {name:9} {median:5.0f} ms, largest {largest:5.0f} ms, {ratio}")
    print(f"browser: dragging {times['rate']:5.0f} updates a second")


def main() -> None:
    """Print the times of the kernel, and with ``--browser`` those in JupyterLab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=41, help="positions of the slider")
    parser.add_argument("--browser", action="store_true", help="also in JupyterLab")
    options = parser.parse_args()
    print_kernel(options.steps)
    if options.browser:
        print_browser()


if __name__ == "__main__":
    main()
