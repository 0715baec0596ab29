// The explorer of noise levels in the browser: a photograph and points at a λ, and what counts
// there.

import { general, minus, percent } from "./looks.js";
import { weighting } from "./objectives.js";
import { published } from "./published.js";
import { chart, cloud, images, note, shaped, table } from "./records.js";
import { scaled } from "./scales.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {Float64Array & {shape: number[]}} Numbers
 * @typedef {[Numbers, Numbers]} Example Data of unit variance, and noise of the same shape.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} grid λ in nats.
 * @property {Example} image
 * @property {Example} points
 * @property {number} reach |z| that is black or white.
 * @property {number} spread |z| at the edge of the points.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} titles
 * @property {Record<string, string>} recipes Plain words for each name.
 * @property {string[]} head Of the table of weights.
 * @property {Record<string, string>} colours
 *
 * @typedef {object} Shown What is beside the pictures.
 * @property {Record<string, Float64Array>} curves
 * @property {Record<string, number>} here Values of the curves at the present λ.
 * @property {string} ylabel
 * @property {[number, number] | null} ylim
 * @property {Record<string, any>} words
 */

const WEIGHTS = "weights";
const DATA = "data, α²";
const NOISE = "noise, σ²";
const POINTS = "two moons";

/**
 * z = α x + σ ε at a level, with α² = sigmoid(λ) and σ² = sigmoid(−λ).
 * @param {Example} example
 * @param {number} level λ in nats.
 * @returns {Float64Array}
 */
function mixed([x, eps], level) {
  const [alpha, sigma] = [Math.sqrt(expit(level)), Math.sqrt(expit(-level))];
  return x.map((value, index) => alpha * value + sigma * eps[index]);
}

/**
 * The photograph with the noise of a level.
 * @param {number} level
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function imageAt(level, { image, reach, titles }) {
  const [height, width] = image[0].shape;
  const grey = mixed(image, level).map((value) => (255 * (value / reach + 1)) / 2);
  const bytes = new Uint8Array(Uint8ClampedArray.from(grey).buffer);
  return images({ pixels: shaped(bytes, [1, height, width]), columns: 1, title: titles.image });
}

/**
 * The points with the noise of a level, on axes that do not change.
 * @param {number} level
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function pointsAt(level, { points, spread, titles, colours }) {
  return cloud({
    points: { [POINTS]: mixed(points, level) },
    colours: { [POINTS]: colours[POINTS] },
    title: titles[POINTS],
    xlim: [-spread, spread],
    ylim: [-spread, spread],
  });
}

/**
 * The shares of data and noise in the variance of z.
 * @param {number} level
 * @param {Data} data
 * @returns {Shown}
 */
function sharesOf(level, { grid }) {
  const here = { [DATA]: expit(level), [NOISE]: expit(-level) };
  const text =
    `At λ = ${general(level)} the variance of z is ${percent(here[DATA])} data ` +
    `and ${percent(here[NOISE])} noise.`;
  return {
    curves: { [DATA]: grid.map(expit), [NOISE]: grid.map((value) => expit(-value)) },
    here,
    ylabel: "share of the variance",
    ylim: [-0.04, 1.04],
    words: note(minus(text), true),
  };
}

/**
 * The weightings of recipes, all of them 1 at λ = 0.
 * @param {number} level
 * @param {string[]} names
 * @param {Data} data
 * @returns {Shown}
 */
function weightsOf(level, names, { grid, recipes, head, colours }) {
  /** @type {Record<string, Float64Array>} */
  const curves = {};
  /** @type {Record<string, number>} */
  const here = {};
  const rows = names.map((name) => {
    const recipe = published(name);
    const [weight, zero] = weighting(recipe, Float64Array.of(level, 0));
    curves[name] = scaled(weighting(recipe, grid), grid, "log10, anchored");
    here[name] = Math.log10(weight / zero);
    return [name, recipes[name], general(weight / zero, 3)];
  });
  const shades = names.map((name) => colours[name]);
  const ylabel = "log₁₀ w, 0 at λ = 0";
  return { curves, here, ylabel, ylim: null, words: table(head, rows, shades) };
}

/**
 * The examples at λ, a chart on which λ is marked, and what that says.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute({ logsnr: level, shows, names }, data) {
  const shown = shows === WEIGHTS ? weightsOf(level, names, data) : sharesOf(level, data);
  const { curves, here, ylabel, ylim, words } = shown;
  const dots = Object.entries(here).map(([name, value]) => [
    name,
    [Float64Array.of(level), Float64Array.of(value)],
  ]);
  const marked = chart({
    x: data.grid,
    curves,
    xlabel: data.label,
    ylabel,
    title: data.titles[shows],
    ylim,
    colours: Object.fromEntries(Object.keys(curves).map((name) => [name, data.colours[name]])),
    marks: { [minus(`λ = ${general(level)}`)]: level },
    dots: Object.fromEntries(dots),
  });
  return { panels: [imageAt(level, data), pointsAt(level, data), marked, words], columns: 3 };
}

export const local = { compute };
