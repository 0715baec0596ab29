"""The pictures of explorers in these docs, from Chromium: two stills, and the composer in use.

The explorers stand on a page without a kernel, where the browser computes all that they show. Each
step of the animation moves one control, which has a frame around it, and takes a screenshot.

Run: python docs/pictures.py
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from shutil import which

from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright

import diffviz.web
from diffviz.lab.explorers import ComposerExplorer, WeightingExplorer
from diffviz.lab.explorers.view import ViewExplorer

HERE = Path(__file__).parent
VIEWS = Path(diffviz.web.__file__).parent
ADDRESS = "http://composer.test/"  # served from the folder of the views, not from any network
SIZE = {"width": 880, "height": 540}
WIDE = {"width": 934, "height": 520}
CROSSHAIR = (540, 150)  # where the pointer is, in pixels of the page
SHOWN = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3")
SHADES = 64  # colours of a picture
LOOK = 1800  # ms for a look at what has changed
SLIDE = 180  # ms for a step of a slider
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>composer</title>
<link rel="stylesheet" href="vendor/uPlot.css"><link rel="stylesheet" href="style.css">
<style>
body { margin: 8px; background: white } TOOLS
.moved { outline: 2px solid var(--dv-accent); outline-offset: 2px; border-radius: 3px }
</style>
<div id="host"></div>
<script type="module">
import { open } from "./page.js";
await open(document.querySelector("#host"), "composer");
</script></html>"""
MOVE = """([name, value]) => {
  for (const row of document.querySelectorAll(".moved")) row.classList.remove("moved");
  const row = document.querySelector(`[data-name="${name}"]`);
  row.classList.add("moved");
  const buttons = [...row.querySelectorAll("label:has(input)")];
  const input = row.querySelector("select, input[type=number]");
  if (buttons.length) buttons.find((one) => one.textContent.trim() === value).click();
  else {
    input.value = value;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
KINDS = {".js": "text/javascript", ".css": "text/css"}


def serve(
    page: Page, explorer: ViewExplorer, tools: str = ".dv-tools { visibility: hidden }"
) -> None:
    """Give the page the modules of the views, and the explorer as it was made."""
    message, buffers = explorer.opening()
    lengths = [len(buffer) for buffer in buffers]
    files = {
        "": PAGE.replace("TOOLS", tools).encode(),
        "composer.json": json.dumps({"message": message, "lengths": lengths}).encode(),
        "composer.bin": b"".join(buffers),
    }

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ADDRESS)
        body = files[name] if name in files else (VIEWS / name).read_bytes()
        route.fulfill(body=body, content_type=KINDS.get(Path(name).suffix, "text/html"))

    page.route(f"{ADDRESS}**", answer)
    page.goto(ADDRESS)
    page.wait_for_selector(".dv-texts table")


def moves() -> Iterator[tuple[str, str, int]]:
    """Name of a control, its value, and how long the view stays, in ms.

    Flow matching becomes v-prediction on the cosine path, which has the same weighting; then the
    times are drawn as for SD3, and their centre is moved.
    """
    yield "path", "cosine", LOOK
    yield "target", "v", 2 * LOOK
    yield "path", "linear", LOOK
    yield "target", "u", LOOK
    yield "law", "logit-normal t", 2 * LOOK
    for step in range(1, 11):
        yield "law_logit_normal_t_mean", f"{step / 10:g}", SLIDE
    yield "law_logit_normal_t_mean", "1", LOOK
    yield "base", "u", LOOK


def shot(page: Page) -> Image.Image:
    """What the page shows, in few colours."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # an octree keeps the colours of thin lines and small squares
    return picture.quantize(SHADES, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def main() -> None:
    """Write ``composer.png``, ``composer.gif`` and ``explorer.png``."""
    program = which("chromium") or which("chromium-browser") or which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        page = browser.new_page(viewport=SIZE)
        serve(page, ComposerExplorer())
        frames, times = [shot(page)], [LOOK]
        for name, value, time in moves():
            page.evaluate(MOVE, [name, value])
            frames.append(shot(page))
            times.append(time)
        serve(page, ComposerExplorer(path="cosine", target="v", names=("edm", "sd3")))
        still = shot(page)
        page.set_viewport_size(WIDE)
        family = {"family": "flow logit-normal", "flow_logit_normal_mean": 0.4}
        serve(page, WeightingExplorer(SHOWN, **family), tools="")
        page.mouse.move(*CROSSHAIR)
        page.wait_for_timeout(LOOK)
        weightings = shot(page)
        browser.close()
    still.save(HERE / "composer.png", optimize=True)
    weightings.save(HERE / "explorer.png", optimize=True)
    frames[0].save(
        HERE / "composer.gif",
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=0,
    )
    for file in ("composer.png", "composer.gif", "explorer.png"):
        print(f"{file}: {(HERE / file).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
