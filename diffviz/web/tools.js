// The row of buttons that all explorers have, and what a page without a kernel gives by them.

import { download, make } from "./elements.js";

/**
 * @typedef {{
 *   reset: () => void,
 *   save: (ending: string) => void,
 *   copyText: (what: string) => void,
 * }} Tools
 */

/**
 * The row of buttons. Matplotlib draws what is printed, so a page without a kernel saves pixels.
 *
 * @param {Tools} tools what they do
 * @param {boolean} hasKernel
 * @returns {HTMLElement}
 */
export function toolRow({ reset, save, copyText }, hasKernel) {
  const button = (text, title, onclick) => make("button", { type: "button", title, onclick }, text);
  const file = (ending, what) =>
    button(ending.slice(1).toUpperCase(), `save the ${what}`, () => save(ending));
  const pictures = hasKernel ? [".svg", ".png", ".pdf"] : [".png"];
  return make(
    "div.dv-tools",
    {},
    button("reset", "all controls as at first", reset),
    make("span.dv-hint", {}, "save"),
    ...pictures.map((ending) => file(ending, "picture")),
    file(".csv", "curves"),
    make("span.dv-hint", {}, "copy"),
    button("code", "the cell that reproduces this view", () => copyText("code")),
    button("link", "the link that brings this view back", () => copyText("link")),
  );
}

/**
 * The curves on show as text with commas.
 *
 * @param {any[]} panels
 * @returns {string}
 */
function curveTable(panels) {
  const columns = panels
    .filter((panel) => panel.table && panel.chart)
    .flatMap((panel) => {
      const names = ["x", ...Object.keys(panel.chart.curves)];
      return names.map((name, k) => [name, panel.table[k]]);
    });
  const longest = Math.max(0, ...columns.map(([, values]) => values.length));
  const lines = [columns.map(([name]) => name).join()];
  for (let row = 0; row < longest; row++) {
    lines.push(columns.map(([, values]) => values[row] ?? "nan").join());
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Save what a page shows: the curves as numbers, or the first picture as it is drawn.
 *
 * @param {string} ending
 * @param {any[]} panels
 * @param {string} name of the file
 */
export function saveHere(ending, panels, name) {
  if (ending === ".csv") {
    download(curveTable(panels), `${name}.csv`, "text/csv");
    return;
  }
  const canvas = panels.find((panel) => panel.canvas)?.canvas();
  canvas?.toBlob((blob) => download(blob, `${name}.png`, "image/png"));
}
