"""A real browser for tests, and an explorer in it with Python behind."""

import base64
import json
import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import diffviz.web

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
VIEWS = Path(diffviz.web.__file__).parent
ADDRESS = "http://views.test/"  # served from the folder of the views, not from any network
KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".bin": "application/octet-stream",
}
# Parts of the browser that are switched off. Views of the address bar are made for each window,
# even where no screen shows it, by processes of their own that cost more than most of our pages.
ADDRESS_BAR = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup")
# Of two lists of such parts Chromium takes the last, so that ours repeats that of Playwright.
OF_PLAYWRIGHT = (
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
TELLS = 300  # ms, more than the time after which the browser tells what it has computed
PATIENCE = 300_000  # ms that an answer may take, since some train
# Waits until no answer is under way, and for the frame after it. One call from Python does it all,
# since each takes more of the processor than what it waits for.
SETTLED = """async (patience) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const end = performance.now() + patience;
  await frame();
  while (window.underWay) {
    if (performance.now() > end) throw new Error("the answer did not come");
    await new Promise((done) => setTimeout(done, 10));
  }
  await frame();
}"""
# Two numbers that stand for the pixels of a canvas, so that no PNG is written and sent to Python.
PIXELS = """(canvas) => {
  if (!canvas.width || !canvas.height) return "";
  const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let [first, second] = [canvas.width, canvas.height];
  for (const pixel of new Uint32Array(image.data.buffer)) {
    first = Math.imul(first ^ pixel, 0x01000193);
    second = Math.imul(second, 0x5bd1e995) + pixel | 0;
  }
  return `${first},${second}`;
}"""
SAID = ".dv-texts, .dv-legend, .dv-status"
SHOWN = f"""() => [
  [...document.querySelectorAll("canvas")].map({PIXELS}).join(),
  ...[...document.querySelectorAll("{SAID}")].map((one) => one.innerText),
]"""
# The same once all has settled, with the status and the names of the controls in sight.
LOOK = f"""async (patience) => {{
  await ({SETTLED})(patience);
  const controls = [...document.querySelectorAll(".dv-control")].filter((one) => one.offsetParent);
  return [
    ({SHOWN})(),
    document.querySelector(".dv-status").textContent,
    controls.map((one) => one.dataset.name),
  ];
}}"""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>an explorer</title>
<link rel="stylesheet" href="vendor/uPlot.css"><link rel="stylesheet" href="style.css">
<style>body { margin: 0 } @media (prefers-color-scheme: dark) { body { background: #111 } }</style>
<div id="host"></div>
<script type="module">
import { mount } from "./explorer.js";
const receivers = new Set();
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
const letters = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const link = {
  send: async (message, buffers = []) => {
    window.underWay += 1;
    window.told += message.kind === "tell";
    for (const [answer, parts] of await window.ask(message, buffers.map(letters)))
      for (const receive of receivers) receive(answer, parts.map(bytes));
    window.underWay -= 1;
  },
  listen: (receive) => { receivers.add(receive); return () => receivers.delete(receive); },
};
const { local } = LOCAL ? await import(`./${LOCAL}`) : { local: null };
window.underWay = 0;
window.told = 0;
window.receivers = receivers;
window.mounted = () => mount(document.querySelector("#host"), link, local);
window.end = window.mounted();
</script></html>
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """The address of a server on this machine that gives out the files of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def launched():
    """Chromium without a way out of this machine; the test is skipped where there is none."""
    if PROGRAM is None:
        reason = (
            "no Chromium here, so nothing was looked at in a browser "
            "(on Debian: apt-get install chromium)"
        )
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        settings = [
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--disable-features={','.join((*ADDRESS_BAR, *OF_PLAYWRIGHT))}",
        ]
        chromium = playwright.chromium.launch(executable_path=PROGRAM, args=settings)
        yield chromium
        chromium.close()


class ExplorerPage:
    """An explorer on a page that loads the views' modules as they are.

    What the page asks is answered by the explorer in this process, as a kernel would.

    Args:
        browser: Chromium.
        explorer: The explorer.
        width: Width of the window in pixels.
        height: Height of the window in pixels.
        scheme: "light" or "dark".
        ratio: Pixels of the screen in one of the page.
        files: Name to text of what the page finds besides the views.
    """

    def __init__(
        self, browser, explorer, width=934, height=590, scheme="light", ratio=1, files=None
    ):
        self.explorer = explorer
        self.files = files or {}
        self.asked = []
        self.complaints = []
        self._answers = []
        explorer.send = self._answer
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            device_scale_factor=ratio,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: message.type == "error" and self.complaints.append(message.text),
        )
        self.page.route(f"{ADDRESS}**", self._serve)
        self.page.expose_function("ask", self._ask)
        self.page.goto(ADDRESS)
        self.page.wait_for_selector(".dv-view")
        self.settle()

    def _serve(self, route):
        name = route.request.url.removeprefix(ADDRESS).split("#")[0]
        local = json.dumps(self.explorer.description.local)
        if not name:
            text = PAGE.replace("LOCAL", local)
        else:
            text = self.files[name] if name in self.files else (VIEWS / name).read_bytes()
        kind = KINDS[Path(name or "a.html").suffix]
        route.fulfill(body=text, content_type=kind)

    def _answer(self, message, buffers=None):
        packed = [base64.b64encode(buffer).decode() for buffer in buffers or []]
        self._answers.append([json.loads(json.dumps(message)), packed])

    def _ask(self, message, buffers):
        self.asked.append(message)
        self.explorer._receive(None, message, [base64.b64decode(text) for text in buffers])
        answers, self._answers = self._answers, []
        return answers

    def control(self, name):
        """The row of a control."""
        return self.page.locator(f".dv-control[data-name={name}]")

    def settle(self):
        """Wait until no answer is under way and the frame after it has been painted."""
        self.page.evaluate(SETTLED, PATIENCE)

    def tell(self):
        """Wait until Python knows of all that the browser has computed itself."""
        self.settle()
        self.page.wait_for_timeout(TELLS)
        self.settle()

    def shown(self):
        """What can be seen: pixels of the pictures, and the texts."""
        return self.page.evaluate(SHOWN)

    def look(self):
        """Wait as ``settle`` does, and look: what is shown, the status, the controls in sight."""
        return self.page.evaluate(LOOK, PATIENCE)

    def box(self, selector):
        """Left, top, right and bottom of an element in the window."""
        box = self.page.locator(selector).first.bounding_box()
        return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]

    def close(self):
        """Close the page, then the explorer."""
        self.context.close()
        self.explorer.close()
