// Panels as the records of `diffviz.web.pictures`, for the modules that compute in the browser.

/**
 * @typedef {Record<string, any>} Panel
 * @typedef {{panels: Panel[], columns: number, widths?: number[]}} View
 */

/**
 * A chart, with the same defaults as in Python; each curve and each set of dots needs a colour.
 * @param {Panel} parts With `x`, `curves`, `xlabel`, `ylabel` and `colours` at least.
 * @returns {Panel}
 */
export function chart(parts) {
  return {
    kind: "chart",
    title: "",
    xscale: "linear",
    yscale: "linear",
    xlim: null,
    ylim: null,
    dashes: {},
    faint: [],
    marks: {},
    bands: {},
    dots: {},
    under: [],
    symbols: {},
    xticks: [],
    yticks: [],
    strokes: "",
    ...parts,
  };
}

/**
 * Points and trajectories in a plane, with the same defaults as in Python.
 * @param {Panel} parts
 * @returns {Panel}
 */
export function cloud(parts) {
  return {
    kind: "cloud",
    points: {},
    paths: {},
    colours: {},
    trails: null,
    strong: [],
    crosses: [],
    times: [],
    clock: "step",
    captions: [],
    present: 1,
    arrows: [],
    reach: [],
    xlabel: "",
    ylabel: "",
    title: "",
    xlim: null,
    ylim: null,
    equal: true,
    strokes: "",
    ...parts,
  };
}

/**
 * @param {string} text
 * @param {boolean} [strong]
 * @returns {Panel}
 */
export function note(text, strong = false) {
  return { kind: "note", text, strong };
}

/**
 * @param {string[]} head
 * @param {string[][]} rows
 * @param {string[]} [colours]
 * @returns {Panel}
 */
export function table(head, rows, colours = []) {
  return { kind: "table", head, rows, colours, title: "" };
}

/**
 * Small images in rows, with the same defaults as in Python.
 * @param {Panel} parts With `pixels` at least.
 * @returns {Panel}
 */
export function images(parts) {
  return { kind: "images", labels: [], columns: 0, rows: [], title: "", ...parts };
}

/**
 * An array with the shape that a panel needs to know.
 * @template {Float64Array | Uint8Array} Numbers
 * @param {Numbers} numbers
 * @param {number[]} shape
 * @returns {Numbers & {shape: number[]}}
 */
export function shaped(numbers, shape) {
  return Object.assign(numbers, { shape });
}
