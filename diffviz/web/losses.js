// Losses that are not squared: what they weight at given errors, as `diffviz.theory.losses` and
// `diffviz.lab.explorers.error_losses`.

import { linspace, trapezoid, verdictOf } from "./analysis.js";
import { noiseRatio } from "./frames.js";
import { general, minus, percent, verdictWords } from "./looks.js";
import { erf } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {(ratio: number) => number} Slope φ where δ²/m is given, with m the mean squared error.
 *
 * What Python sends once.
 * @typedef {object} LossData
 * @property {Float64Array} grid λ in nats.
 * @property {Record<string, Float64Array>} gains Of targets on the grid, each kind once.
 * @property {Record<string, string>} gainOf Which of them an objective has, by its name.
 * @property {Record<string, Float64Array>} supports Both ends of the law of each objective.
 * @property {Record<string, Float64Array>} errorsOn Mean squared eps error of a component on the
 *   grid, by the names of data.
 * @property {Record<string, Float64Array>} [toyErrorsOn] Those that only a page is sent.
 * @property {string[]} passedErrors Names of errors that were passed from Python.
 * @property {string[]} localHead Of the table.
 */

export const SQUARED = "squared";
const BY_SNR = "by SNR";
const POINTS = 400; // of the trapezoidal rule in the logarithm of r²
const FAR = 40; // exponent below which the density of r² does not count
const SHAPE = 1.5; // of the gamma law of r²/(2m) over three components
const SHARES = 10; // nats on either side of 0, between which shares of w are taken
const HAIR = 1e-9;

// --- what a unit of squared error costs -------------------------------------------------------

/**
 * Places 2u of the rule in u = r²/(2m), and what each counts.
 * @returns {[Float64Array, Float64Array]}
 */
function rule() {
  const reach = Math.sqrt((2 * FAR) / SHAPE);
  const offsets = linspace(-reach - FAR / SHAPE, reach, POINTS);
  const mass = offsets.map((offset) => Math.exp(SHAPE * (offset - Math.expm1(offset))));
  const whole = mass.reduce((sum, value) => sum + value, 0);
  return [
    offsets.map((offset) => 2 * SHAPE * Math.exp(offset)),
    mass.map((value) => value / whole),
  ];
}

const [SQUARES, SHARES_OF_MASS] = rule();

/**
 * The average of a function of (r/δ)² under a Gaussian error of three components.
 * @param {(square: number) => number} weight
 * @returns {Slope}
 */
function average(weight) {
  return (ratio) => {
    let sum = 0;
    for (let index = 0; index < POINTS; index += 1) {
      sum += SHARES_OF_MASS[index] * weight(SQUARES[index] / ratio);
    }
    return sum;
  };
}

/**
 * tanh(q)/q where q² is given.
 * @param {number} square
 * @returns {number}
 */
function tanhOverRoot(square) {
  if (square < 1e-8) {
    return 1 - square / 3;
  }
  const root = Math.sqrt(square);
  return Math.tanh(root) / root;
}

/** @type {Record<string, Slope>} */
const SLOPES = {
  Huber: (ratio) => erf(Math.sqrt(ratio / 2)),
  "pseudo-Huber": average((square) => 1 / Math.sqrt(1 + square)),
  "log-cosh": average(tanhOverRoot),
};

/**
 * The threshold δ of a state at a λ.
 * @param {State} state
 * @param {number} logsnr
 * @returns {number}
 */
function threshold({ schedule, threshold: constant, least }, logsnr) {
  return schedule === BY_SNR ? (1 - least) / (1 + noiseRatio(logsnr)) ** 2 + least : constant;
}

/**
 * The mean squared errors of the data of a state; undefined where only the kernel has them.
 * @param {State} state
 * @param {LossData} data
 * @returns {Float64Array | undefined}
 */
export function errorsOf(state, data) {
  return data.errorsOn[state.errors] ?? data.toyErrorsOn?.[state.errors];
}

/**
 * By what the loss of a state multiplies the weighting of the squared one; 1 where w is 0.
 * @param {Float64Array} w The weighting of the squared loss on the grid.
 * @param {Float64Array} gain Of the target on the grid.
 * @param {State} state
 * @param {LossData} data
 * @returns {Float64Array}
 */
export function slopesOn(w, gain, state, data) {
  const errors = errorsOf(state, data);
  if (state.loss === SQUARED || !errors) {
    return w.map(() => 1);
  }
  const slope = SLOPES[state.loss];
  return w.map((value, index) => {
    const error = gain[index] ** 2 * errors[index];
    if (!(value > 0 && error > 0)) {
      return 1;
    }
    return Math.min(slope(threshold(state, data.grid[index]) ** 2 / error), 1);
  });
}

/**
 * The gain of a recipe's target on the grid.
 * @param {Objective} recipe
 * @param {Float64Array} w Its weighting on the grid; where that is 0 there may be no gain.
 * @param {Float64Array} grid
 * @returns {Float64Array}
 */
export function gainOn({ target, path }, w, grid) {
  return w.map((value, index) => (value > 0 ? target.gain(grid[index], path) : 0));
}

// --- what is said of it -----------------------------------------------------------------------

/**
 * What a loss makes of a weighting, from what is drawn of it.
 * @param {Float64Array} w The weighting of the squared loss on the grid.
 * @param {Float64Array} slope φ there.
 * @param {ArrayLike<number>} support Both ends of the law.
 * @param {LossData} data
 * @returns {[string, string, string]}
 */
export function localCells(w, slope, support, { grid }) {
  const local = w.map((value, index) => value * slope[index]);
  const last = grid.length - 1;
  if (!local.some((value) => value !== 0)) {
    return [minus(`outside [${general(grid[0])}, ${general(grid[last])}]`), "", ""];
  }
  const words = verdictWords(verdictOf(grid, local, [support[0], support[1]]));
  const start = grid.findIndex((at) => at >= -SHARES - HAIR);
  /** @type {(end: number) => number} */
  const mass = (end) => {
    const stop = grid.findLastIndex((at) => at <= end + HAIR) + 1;
    return trapezoid(local.subarray(start, stop), grid.subarray(start, stop));
  };
  const whole = mass(SHARES);
  const share = whole > 0 ? percent(mass(0) / whole) : "";
  return [words, share, Math.min(...slope).toFixed(3)];
}

/**
 * What a loss that is not squared does, and at which errors, in words.
 * @param {State} state
 * @param {LossData} data
 * @returns {string}
 */
export function lossText(state, { passedErrors }) {
  const { loss, schedule, threshold: constant, least, errors } = state;
  const size =
    schedule === BY_SNR
      ? `from 1 at data to ${general(least)} at noise`
      : `= ${general(constant)}`;
  const whose = passedErrors.includes(errors)
    ? `that were passed as ${errors}`
    : `of the exact denoiser on ${errors}`;
  return (
    `The loss is ${loss} with δ ${size} on each component of the target, at the errors ${whose}: ` +
    "w is that of the squared loss times φ = E[r ρ′(r)]/(2 E r²). It is local, since it changes " +
    "with the errors. The verdict is for λ in [-12, 12], the share of w for [-10, 10]."
  );
}
