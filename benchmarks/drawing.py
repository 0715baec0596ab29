"""Three libraries that draw curves in a browser: size, first draw, and drawing again.

Each draws eight curves of 1,001 points in Chromium, at 640 x 320 pixels, with axes and a grid. Then
one curve changes, sixty times. A time ends when the frame after the call has been painted, so a
frame of 17 ms is the least that is seen on a screen; the time of the script alone stands beside it.

The libraries are fetched from npm's registry into a folder that is given.

Run: python benchmarks/drawing.py FOLDER
"""

import argparse
import gzip
import io
import statistics
import tarfile
from pathlib import Path
from shutil import which
from urllib.request import urlopen

REGISTRY = "https://registry.npmjs.org"
FILES = {  # name of a library -> archive and file of each script that it needs
    "uPlot 1.6.32": (("uplot/-/uplot-1.6.32.tgz", "dist/uPlot.iife.min.js"),),
    "Observable Plot 0.6.17": (
        ("d3/-/d3-7.9.2.tgz", "dist/d3.min.js"),
        ("@observablehq/plot/-/plot-0.6.17.tgz", "dist/plot.umd.min.js"),
    ),
    "Plotly basic 4.1.1": (
        (
            "plotly.js-basic-dist-min/-/plotly.js-basic-dist-min-4.1.1.tgz",
            "plotly-basic.min.js",
        ),
    ),
    "Chart.js 4.6.1": (("chart.js/-/chart.js-4.6.1.tgz", "dist/chart.umd.min.js"),),
}
DATA = """
const place = document.querySelector("#place"), size = {width: 640, height: 320};
const x = Float64Array.from({length: 1001}, (_, k) => -10 + k / 50);
const curves = Array.from({length: 8}, (_, c) => Float64Array.from(x, v => Math.tanh(v - c)));
const move = step => { curves[0] = Float64Array.from(x, v => Math.sin(v + step / 10)); };
"""
DRAW = {  # what makes `first` and `again`, which draw curves
    "uPlot 1.6.32": """
let plot;
const scales = {x: {time: false}};
const series = [{}, ...curves.map((_, c) => ({stroke: `hsl(${40 * c} 80% 40%)`, width: 2}))];
const first = () => { plot = new uPlot({...size, scales, series}, [x, ...curves], place); };
const again = () => plot.setData([x, ...curves]);
""",
    "Observable Plot 0.6.17": """
const marks = () => curves.map((y, c) =>
  Plot.line({length: x.length}, {x, y, stroke: `hsl(${40 * c} 80% 40%)`, strokeWidth: 2}));
const first = () => place.replaceChildren(Plot.plot({...size, grid: true, marks: marks()}));
const again = first;
""",
    "Plotly basic 4.1.1": """
const traces = () => curves.map((y, c) => ({x, y, mode: "lines"}));
const first = () => Plotly.newPlot(place, traces(), size);
const again = () => Plotly.react(place, traces(), size);
""",
    "Chart.js 4.6.1": """
let chart;
const points = y => Array.from(x, (v, k) => ({x: v, y: y[k]}));
const datasets = () => curves.map((y, c) =>
  ({data: points(y), borderColor: `hsl(${40 * c} 80% 40%)`, pointRadius: 0}));
const first = () => {
  const canvas = place.appendChild(Object.assign(document.createElement("canvas"), size));
  const options = {animation: false, parsing: false, normalized: true, responsive: false,
    scales: {x: {type: "linear"}}};
  chart = new Chart(canvas, {type: "line", data: {datasets: datasets()}, options});
};
const again = () => { chart.data.datasets[0].data = points(curves[0]); chart.update("none"); };
""",
}
TIME = """
const painted = () => new Promise(done => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = done;
  channel.port2.postMessage(0);
}));
window.measured = (async () => {
  await painted();
  const timed = async act => {
    const start = performance.now();
    await act();
    const script = performance.now() - start;
    await painted();
    return [script, performance.now() - start];
  };
  const opened = await timed(first), moved = [];
  for (let step = 1; step <= 60; step++) { move(step); moved.push(await timed(again)); }
  return [opened, moved];
})();
"""


def script(archive: str, name: str, folder: Path) -> str:
    """A script of a library, fetched once.

    Args:
        archive: Path of the archive in the registry.
        name: File in the archive.
        folder: Where archives are kept.

    Returns:
        The text of the script.
    """
    file = folder / archive.rpartition("/")[2]
    if not file.exists():
        with urlopen(f"{REGISTRY}/{archive}") as answer:
            file.write_bytes(answer.read())
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as packed:
        content = packed.extractfile(f"package/{name}")
        assert content is not None, f"{archive} has no {name}"
        return content.read().decode()


def main() -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the libraries are kept")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    print("| library | kB | kB packed | first draw, ms | again: script, ms | again: painted, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for library, files in FILES.items():
            scripts = [script(archive, name, folder) for archive, name in files]
            size = sum(len(text.encode()) for text in scripts) / 1e3
            packed = sum(len(gzip.compress(text.encode())) for text in scripts) / 1e3
            page = browser.new_page()
            page.set_content("<div id=place></div>")
            for text in scripts:
                page.add_script_tag(content=text)
            page.add_script_tag(content=f"{{{DATA}{DRAW[library]}{TIME}}}")
            opened, moved = page.evaluate("window.measured")
            script_time, whole = (statistics.median(column) for column in zip(*moved, strict=True))
            times = f"{opened[1]:.0f} | {script_time:.1f} | {whole:.0f}"
            print(f"| {library} | {size:.0f} | {packed:.0f} | {times} |")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
