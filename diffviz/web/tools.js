// The row of buttons that all explorers have, and what a page without a kernel gives by them.

import { download, make } from "./elements.js";

/**
 * @typedef {{
 *   reset: () => void,
 *   save: (ending: string) => void,
 *   copyText: (what: string) => void,
 * }} Tools
 *
 * @typedef {[string, ArrayLike<number>]} Column a name and its values
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
    file(".csv", "curves and points"),
    make("span.dv-hint", {}, "copy"),
    button("code", "the cell that reproduces this view", () => copyText("code")),
    button("link", "the link that brings this view back", () => copyText("link")),
  );
}

/**
 * The columns of a chart: its places, then its curves.
 *
 * @param {any} chart
 * @returns {Column[]}
 */
function chartColumns({ x, curves }) {
  const areShared = typeof x.length === "number";
  const names = Object.keys(curves);
  if (areShared) return names.length ? [["x", x], ...Object.entries(curves)] : [];
  return names.flatMap((name) => [[`x of ${name}`, x[name]], [name, curves[name]]]);
}

/**
 * The columns of a cloud: the coordinates of points, and with their steps those of trajectories.
 *
 * @param {any} cloud
 * @returns {Column[]}
 */
function cloudColumns({ points, paths }) {
  const rows = (values, of) => Array.from({ length: values.length / 2 }, (_, row) => of(row));
  /** @type {(name: string, values: any) => Column[]} */
  const places = (name, values) => [
    [`${name} x`, rows(values, (row) => values[2 * row])],
    [`${name} y`, rows(values, (row) => values[2 * row + 1])],
  ];
  /** @type {(name: string, values: any) => Column} */
  const steps = (name, values) => [
    `${name} step`,
    rows(values, (row) => Math.floor(row / values.shape[1])),
  ];
  return [
    ...Object.entries(points).flatMap(([name, values]) => places(name, values)),
    ...Object.entries(paths).flatMap(([name, values]) => [
      steps(name, values),
      ...places(name, values),
    ]),
  ];
}

/**
 * The curves and points on show as text with commas, as `columns_of` of Python names them.
 *
 * @param {any[]} panels
 * @returns {string}
 */
export function tableOf(panels) {
  const charts = panels.flatMap(({ chart }) => (chart ? [chartColumns(chart)] : []));
  const clouds = panels.flatMap(({ cloud }) => (cloud ? [cloudColumns(cloud)] : []));
  const all = [...charts, ...clouds];
  const columns = all.flatMap((own, k) => {
    const isAlone = k < charts.length ? charts.length === 1 : all.length === 1;
    return own.map(([name, values]) => ({ name: isAlone ? name : `${k + 1}:${name}`, values }));
  });
  const longest = Math.max(0, ...columns.map(({ values }) => values.length));
  const lines = [columns.map(({ name }) => name).join()];
  for (let row = 0; row < longest; row++) {
    lines.push(columns.map(({ values }) => textOf(values[row])).join());
  }
  return `${lines.join("\n")}\n`;
}

/** @param {number | null | undefined} value @returns {string} */
function textOf(value) {
  return value === null || value === undefined || Number.isNaN(value) ? "nan" : String(value);
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
    download(tableOf(panels), `${name}.csv`, "text/csv");
    return;
  }
  const canvas = panels.find((panel) => panel.canvas)?.canvas();
  canvas?.toBlob((blob) => download(blob, `${name}.png`, "image/png"));
}
