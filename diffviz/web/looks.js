// How weightings are drawn and judged: what the explorers that compute in the browser share, in the
// same words and numbers as `diffviz.lab.explorers.weighting`.

import { gaussianMmse, lossDensity, sharesBelow, verdict } from "./analysis.js";
import { constant } from "./multipliers.js";
import { chart } from "./records.js";
import { AXES, scaled } from "./scales.js";

/**
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {Record<string, any>} State
 * @typedef {Record<string, Float64Array>} Curves
 *
 * @typedef {object} Look A way to look at objectives.
 * @property {string} scale Scale on which the values are drawn.
 * @property {(w: Float64Array, data: LookData) => Float64Array} values What is drawn of a weighting
 *   on the grid, before it is scaled.
 * @property {(low: number, high: number) => [number, number]} limits Of the vertical axis.
 *
 * What Python sends once; see `look_data` there.
 * @typedef {object} LookData
 * @property {Float64Array} grid λ in nats.
 * @property {Record<string, {label: string, scale: string}>} axes
 * @property {Record<string, string>} labels Of the vertical axis, with places for the error and
 *   for the anchor.
 * @property {Record<string, string>} errors Sign of the error of each base.
 * @property {Float64Array} [photographs] Eps error of the exact denoiser on Gaussian data with the
 *   spectrum of photographs, on the grid.
 */

export const LOGARITHMIC = "log10, anchored";
export const PHOTOGRAPHS = "loss density, photographs";

/** @type {Look["limits"]} */
const fromZero = (_, high) => [0, 1.05 * high];

/** @type {Look["values"]} */
const plain = (w) => w;

/** @type {Record<string, Look>} */
export const LOOKS = {
  [LOGARITHMIC]: {
    scale: LOGARITHMIC,
    values: plain,
    limits: (low, high) => [Math.max(low, -6) - 0.3, Math.min(high, 6) + 0.3],
  },
  "w / max": { scale: "w / max", values: plain, limits: fromZero },
  "loss density": {
    scale: "unit area",
    values: (w, { grid }) => lossDensity(w, grid),
    limits: fromZero,
  },
  [PHOTOGRAPHS]: {
    scale: "unit area",
    values: (w, { photographs = new Float64Array(w.length) }) =>
      w.map((value, index) => value * photographs[index]),
    limits: fromZero,
  },
};

/**
 * Ends of the vertical axis; null where nothing is drawn at all.
 * @param {Curves} curves
 * @param {Look} look
 * @returns {[number, number] | null}
 */
function limitsOf(curves, look) {
  let low = Infinity;
  let high = -Infinity;
  for (const curve of Object.values(curves)) {
    for (const value of curve) {
      if (Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return low > high ? null : look.limits(low, high);
}

/**
 * A chart of curves in the look, on the axis and with the anchor that a state chooses.
 * @param {Curves} curves Values before they are scaled.
 * @param {State} state With `scale`, `base`, `anchor` and `axis`.
 * @param {LookData} data
 * @param {Record<string, string>} colours Name to "#RRGGBB".
 * @returns {Record<string, any>}
 */
export function lookChart(curves, state, data, colours) {
  const look = LOOKS[state.scale];
  const { label, scale } = data.axes[state.axis];
  const pairs = Object.entries(curves).map(([name, values]) => [
    name,
    scaled(values, data.grid, look.scale, state.anchor),
  ]);
  const drawn = Object.fromEntries(pairs);
  return chart({
    x: data.grid.map(AXES[state.axis]),
    curves: drawn,
    xlabel: label,
    ylabel: labelOf(data.labels[state.scale], data.errors[state.base], state.anchor),
    xscale: scale,
    ylim: limitsOf(drawn, look),
    colours,
  });
}

/**
 * A label with its places filled, as Python's "format" fills them.
 * @param {string} label
 * @param {string} error Sign of an error.
 * @param {number} anchor λ in nats.
 * @returns {string}
 */
function labelOf(label, error, anchor) {
  return label.replace("{}", error).replace("{:g}", general(anchor));
}

/**
 * The base that a look shows: the chosen one, but a loss density is the same on each.
 * @param {State} state With `scale` and `base`.
 * @returns {string}
 */
export function shownBase(state) {
  return LOOKS[state.scale].scale === "unit area" ? "eps" : state.base;
}

/**
 * A share as Python's "{:.1%}" writes it.
 * @param {number} share
 * @param {number} [digits] After the point.
 * @returns {string}
 */
export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}%`;
}

/**
 * A number as Python's "{:g}" writes it.
 * @param {number} value
 * @param {number} [digits] That count.
 * @returns {string}
 */
export function general(value, digits = 6) {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? "nan" : `${value < 0 ? "-" : ""}inf`;
  }
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < digits) {
    return String(Number(value.toPrecision(digits)));
  }
  return `${Number(mantissa)}${powerText(power)}`;
}

/**
 * A finite number as Python's "{:.2e}" writes it.
 * @param {number} value
 * @param {number} digits After the point.
 * @returns {string}
 */
export function exponential(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  return `${mantissa}${powerText(Number(exponent))}`;
}

/**
 * A power of ten as Python writes it, with two digits or more.
 * @param {number} power
 * @returns {string}
 */
function powerText(power) {
  return `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/**
 * A text with the sign of minus in the place of each hyphen.
 * @param {string} text
 * @returns {string}
 */
export function minus(text) {
  return text.replaceAll("-", "−");
}

/**
 * A verdict in a few words.
 * @param {import("./analysis.js").Verdict} of
 * @returns {string}
 */
export function verdictWords({ monotone, peak, negativeShare }) {
  return monotone
    ? "monotone"
    : `peak ${minus((Math.round(100 * peak) / 100 + 0).toFixed(2))}, ` +
        `negative ${percent(negativeShare)}`;
}

/**
 * The verdict on an objective, and its shares below a λ, in words.
 * @param {Objective} recipe
 * @param {number} [at] λ in nats.
 * @returns {[string, string, string]}
 */
export function verdictCells(recipe, at = 0) {
  const words = verdictWords(verdict(recipe));
  const [low, high] = recipe.law.support;
  if (low >= 10 || high <= -10) {
    return [words, "outside [−10, 10]", ""];
  }
  const [ofWeight, ofLoss] = sharesBelow(recipe, at, [constant, gaussianMmse]);
  return [words, percent(ofWeight), percent(ofLoss)];
}
