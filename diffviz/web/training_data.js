// What the page trains on: data with their exact answers, drawn ones too, and the draws of the
// objectives.

import { drawnObjective } from "./drawn.js";
import { drawsAt, gaussianDraws, strata, tabulated, uniformDraws } from "./draws.js";
import { slicedW2 } from "./distances.js";
import { DRAWN, drawnMixture, exactDenoiser, posteriorVariance } from "./mixtures.js";
import { expit } from "./special.js";

const QUANTILES = 512; // of a law over which its least loss is averaged
const TRAINED_POINTS = 4096; // of drawn data
const FIXED_POINTS = 64; // of each level
const SETS = 9; // of drawn points, by which their distance from others is known

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./draws.js").Draws} Draws
 * @typedef {import("./mixtures.js").Pairs} Pairs
 * @typedef {import("./session.js").Place} Place
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} grid Levels of excess and floor in nats.
 * @property {Float64Array} curveGrid Levels of the weightings in nats.
 * @property {Record<string, Place>} places By the names of the data.
 * @property {Record<string, Draws>} draws Of published objectives.
 * @property {Record<string, Float64Array>} weightings log10 w on `curveGrid`, 0 at λ = 0.
 * @property {Record<string, string>} colours
 * @property {Float64Array} starts Noise that samples start from.
 * @property {Float64Array} levels λ of the steps of the sampler.
 * @property {Record<string, string>} labels Of the axes.
 * @property {Pairs} example A drawing of data to begin with.
 * @property {Pairs} weighting A drawn weighting to begin with: λ and log10 w.
 * @property {{batch: number, depth: number}} fixed Settings without a control.
 *
 * @typedef {object} Known What is known of data before they are trained on; see `Place`.
 * @property {ArrayLike<number>} z
 * @property {ArrayLike<number>} xHat
 * @property {ArrayLike<number>} floor
 * @property {ArrayLike<number>} reference
 */

/**
 * Draws of points of drawn data.
 * @param {Pairs} drawing
 * @param {import("./mixtures.js").Mixture} mixture
 * @param {number} seed
 * @returns {(count: number) => Float64Array}
 */
function pointDraws(drawing, mixture, seed) {
  const random = uniformDraws(seed);
  const gaussian = gaussianDraws(random);
  const width = Math.sqrt(mixture.variance[0]);
  return (count) => {
    const drawn = new Float64Array(2 * count);
    for (let at = 0; at < drawn.length; at += 2) {
      const [x, y] = drawing[Math.floor(random() * drawing.length)];
      drawn.set([x + width * gaussian(), y + width * gaussian()], at);
    }
    return drawn;
  };
}

/**
 * What is known of drawn data; null of fewer than two different points.
 * @param {Pairs} drawing
 * @param {number} kernel Its width, in standard deviations of the points.
 * @param {Data} data
 * @returns {Known | null}
 */
function drawnData(drawing, kernel, { grid, starts }) {
  const mixture = drawnMixture(drawing, kernel);
  if (!mixture) return null;
  const points = pointDraws(drawing, mixture, 0);
  const denoise = exactDenoiser(mixture);
  const x = points(FIXED_POINTS);
  const gaussian = gaussianDraws(uniformDraws(1));
  const eps = x.map(() => gaussian());
  const z = new Float64Array(grid.length * x.length);
  const xHat = z.slice();
  const floor = new Float64Array(grid.length);
  grid.forEach((logsnr, k) => {
    const [alpha, sigma] = [Math.sqrt(expit(logsnr)), Math.sqrt(expit(-logsnr))];
    const noisy = x.map((value, at) => alpha * value + sigma * eps[at]);
    z.set(noisy, k * x.length);
    xHat.set(denoise(noisy, logsnr), k * x.length);
    const variances = posteriorVariance(denoise, noisy, logsnr);
    floor[k] = (Math.exp(logsnr) * variances.reduce((sum, one) => sum + one, 0)) / FIXED_POINTS;
  });
  return { z, xHat, floor, reference: points(starts.length / 2) };
}

/**
 * Drawn data with points to train on, and the distance of two sets of points: what takes too long
 * while a slider is moved.
 * @param {State} state
 * @param {Known} known
 * @returns {Place}
 */
export function drawnPlace({ drawing, kernel }, known) {
  const mixture = drawnMixture(drawing, kernel);
  if (!mixture) throw new Error("a drawing needs two different points");
  const points = pointDraws(drawing, mixture, 2);
  const apart = Float64Array.from({ length: SETS }, () => {
    return slicedW2(points(known.reference.length / 2), known.reference);
  });
  const distance = apart.sort()[Math.floor(SETS / 2)];
  return { ...known, points: points(TRAINED_POINTS), distance };
}

/** @type {{key: string, known: Known | null}} */
let lastDrawn = { key: "", known: null };

/**
 * What is known of the data of a state; null without data.
 * @param {State} state
 * @param {Data} data
 * @returns {Known | null}
 */
export function knownOf({ toy, drawing, kernel }, data) {
  if (toy !== DRAWN) return data.places[toy];
  const key = JSON.stringify([drawing, kernel]);
  if (key !== lastDrawn.key) lastDrawn = { key, known: drawnData(drawing, kernel, data) };
  return lastDrawn.known;
}

/** @type {{key: string, draws: Draws | null}} */
let lastWeighting = { key: "", draws: null };

/**
 * The draws of a drawn weighting; null where fewer than two λ are drawn.
 * @param {Pairs} drawn λ and log10 w.
 * @returns {Draws | null}
 */
function drawnDraws(drawn) {
  const key = JSON.stringify(drawn);
  if (key !== lastWeighting.key) {
    const objective = drawnObjective({ drawn, monotone: false });
    lastWeighting = { key, draws: objective && tabulated(objective) };
  }
  return lastWeighting.draws;
}

/**
 * The draws of each chosen objective; null of a weighting that is not drawn yet.
 * @param {State} state
 * @param {Data} data
 * @returns {(Draws | null)[]}
 */
export function drawsOf({ names, drawn }, data) {
  return names.map((/** @type {string} */ name) => {
    return name === DRAWN ? drawnDraws(drawn) : data.draws[name];
  });
}

/**
 * A curve over levels at any level, on lines; with more noise it falls as e^λ.
 * @param {ArrayLike<number>} grid
 * @param {ArrayLike<number>} values
 * @param {number} logsnr
 * @returns {number}
 */
export function interpolated(grid, values, logsnr) {
  const last = grid.length - 1;
  if (logsnr < grid[0]) return values[0] * Math.exp(logsnr - grid[0]);
  const place = Math.min(last, (logsnr - grid[0]) / (grid[1] - grid[0]));
  const below = Math.min(last - 1, Math.floor(place));
  return values[below] + (place - below) * (values[below + 1] - values[below]);
}

/**
 * The training loss of the exact denoiser: the mean of factor · mmse over the law.
 * @param {Draws} draws
 * @param {Known} known
 * @param {Data} data
 * @returns {number}
 */
export function leastLoss(draws, { floor }, { grid }) {
  const { logsnr, factor } = drawsAt(draws, strata(QUANTILES, () => 0.5));
  const sum = logsnr.reduce((so, level, k) => so + factor[k] * interpolated(grid, floor, level), 0);
  return sum / QUANTILES;
}
