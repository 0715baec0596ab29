// What is random in a training: numbers from a seed, and levels drawn by an objective's law.

import { isf } from "./laws.js";
import { expit } from "./special.js";

/**
 * @typedef {import("./objectives.js").Objective} Objective
 *
 * @typedef {object} Draws λ and the factor on the squared eps error, at quantiles of the law of λ
 *   whose log-odds lie evenly from −9 to 9.
 * @property {ArrayLike<number>} logsnr λ in nats.
 * @property {ArrayLike<number>} factor
 */

const LAST_ODDS = 9; // log-odds of the last quantile; one draw in 8,000 lies beyond
const NODES = 513; // of an objective that is tabulated here

/**
 * Uniform numbers in [0, 1) from a seed (mulberry32).
 * @param {number} seed A whole number.
 * @returns {() => number}
 */
export function uniformDraws(seed) {
  let state = (seed * 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Draws of a standard normal (Box and Muller).
 * @param {() => number} random Uniform numbers in [0, 1).
 * @returns {() => number}
 */
export function gaussianDraws(random) {
  return () => {
    const length = Math.sqrt(-2 * Math.log(1 - random()));
    return length * Math.cos(2 * Math.PI * random());
  };
}

/**
 * The draws of an objective whose target is eps.
 * @param {Objective} objective
 * @returns {Draws}
 */
export function tabulated({ law, multiplier }) {
  const logsnr = Float64Array.from({ length: NODES }, (_, node) => {
    const odds = LAST_ODDS * ((2 * node) / (NODES - 1) - 1);
    return isf(law, expit(-odds));
  });
  return { logsnr, factor: logsnr.map(multiplier) };
}

/**
 * λ and factor at quantiles: on lines over their log-odds, of the logarithm of the factor.
 * @param {Draws} draws
 * @param {ArrayLike<number>} quantiles In (0, 1).
 * @returns {{logsnr: Float64Array, factor: Float64Array}}
 */
export function drawsAt({ logsnr, factor }, quantiles) {
  const last = logsnr.length - 1;
  const levels = new Float64Array(quantiles.length);
  const factors = new Float64Array(quantiles.length);
  for (let k = 0; k < quantiles.length; k += 1) {
    const odds = Math.log(quantiles[k] / (1 - quantiles[k]));
    const share = (odds / LAST_ODDS + 1) / 2;
    const place = last * Math.max(0, Math.min(1, share));
    const below = Math.min(last - 1, Math.floor(place));
    const rest = place - below;
    const [low, high] = [factor[below], factor[below + 1]];
    levels[k] = logsnr[below] + rest * (logsnr[below + 1] - logsnr[below]);
    const isPositive = low > 0 && high > 0;
    factors[k] = isPositive ? low ** (1 - rest) * high ** rest : low + rest * (high - low);
  }
  return { logsnr: levels, factor: factors };
}

/**
 * One number at random in each of n equal parts of [0, 1).
 * @param {number} count n
 * @param {() => number} random
 * @returns {Float64Array}
 */
export function strata(count, random) {
  return Float64Array.from({ length: count }, (_, k) => (k + random()) / count);
}
