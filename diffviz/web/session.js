// A training of networks side by side, from the same start on the same data and noise, as
// `diffviz.lab.experiments.side_by_side`.

import { slicedW2 } from "./distances.js";
import { drawsAt, gaussianDraws, strata, uniformDraws } from "./draws.js";
import { denoise, evaluate, featuresOf, initialWeights, scalesAt } from "./networks.js";
import { adamStep, initialState } from "./optimiser.js";
import { sample } from "./solvers.js";
import { LossByLogSNR } from "./tracking.js";

/**
 * @typedef {import("./draws.js").Draws} Draws
 *
 * @typedef {object} Place Data to train on, and what is known of them.
 * @property {ArrayLike<number>} points Points of the data, shape (n, 2).
 * @property {ArrayLike<number>} z Fixed noisy points of each level, shape (levels · m, 2).
 * @property {ArrayLike<number>} xHat E[x|z] at each.
 * @property {ArrayLike<number>} floor Mean squared eps error of the exact denoiser, by level.
 * @property {ArrayLike<number>} reference Points to compare samples with.
 * @property {number} distance Of two such sets of points, in the median.
 *
 * @typedef {object} Task What is trained.
 * @property {string[]} names Of the objectives.
 * @property {Draws[]} draws Of the objectives.
 * @property {Place} place
 * @property {ArrayLike<number>} grid Levels of the place in nats.
 * @property {ArrayLike<number>} starts Noise that samples start from.
 * @property {ArrayLike<number>} levels λ of the steps of a sampler.
 * @property {{width: number, depth: number, steps: number, batch: number, seed: number,
 *   rate: number}} settings
 *
 * @typedef {object} Result How far a network has come.
 * @property {Float64Array} byLevel Mean squared eps error over the last steps, by level.
 * @property {Float64Array} excess Over the exact denoiser, by level.
 * @property {Float64Array} samples
 * @property {number} distance Of the samples from points of the data, over that of two sets of
 *   such points.
 * @property {number} loss Mean of the own loss over the last steps.
 *
 * @typedef {object} Report
 * @property {number} step Number of steps done.
 * @property {Result[]} results
 */

const RECENT = 50; // steps whose mean loss is told

/**
 * Mean of each coordinate, and the root of the mean variance.
 * @param {ArrayLike<number>} points Shape (n, 2).
 * @returns {{mean: number[], std: number}}
 */
function momentsOf(points) {
  const count = points.length / 2;
  const mean = [0, 0];
  for (let at = 0; at < points.length; at += 1) mean[at % 2] += points[at] / count;
  let square = 0;
  for (let at = 0; at < points.length; at += 1) square += (points[at] - mean[at % 2]) ** 2;
  return { mean, std: Math.sqrt(square / points.length) };
}

export class Session {
  /** @param {any} tf TensorFlow.js. @param {Task} task */
  constructor(tf, task) {
    this.tf = tf;
    this.task = task;
    this.step = 0;
    this.data = momentsOf(task.place.points);
    this.random = uniformDraws(task.settings.seed + 1);
    this.gaussian = gaussianDraws(this.random);
    const weights = initialWeights(task.settings, this.gaussian);
    this.trained = task.names.map((name, k) => ({
      name,
      draws: task.draws[k],
      state: initialState(weights),
      tracker: new LossByLogSNR(task.grid),
      losses: /** @type {number[]} */ ([]),
    }));
  }

  get isDone() {
    return this.step >= this.task.settings.steps;
  }

  /** Train one step of each network. */
  advance() {
    const { place, settings } = this.task;
    const { mean, std } = this.data;
    const count = settings.batch;
    const quantiles = strata(count, this.random);
    const x = new Float64Array(2 * count);
    const eps = x.map(() => this.gaussian());
    for (let row = 0; row < count; row += 1) {
      const chosen = Math.floor((this.random() * place.points.length) / 2);
      for (const axis of [0, 1]) {
        x[2 * row + axis] = (place.points[2 * chosen + axis] - mean[axis]) / std;
      }
    }
    for (const one of this.trained) this.trainOn(one, quantiles, x, eps);
    this.step += 1;
  }

  /**
   * Train one step of a network.
   * @param {Session["trained"][0]} one
   * @param {Float64Array} quantiles Of its law of λ.
   * @param {Float64Array} x Data of mean 0 and variance 1.
   * @param {Float64Array} eps
   */
  trainOn({ name, draws, state, tracker, losses }, quantiles, x, eps) {
    const { logsnr, factor } = drawsAt(draws, quantiles);
    const level = logsnr.map((at) => at + 2 * Math.log(this.data.std));
    const z = new Float64Array(x.length);
    const target = new Float32Array(x.length);
    const square = new Float32Array(level.length); // from an error of v to one of eps
    for (let row = 0; row < level.length; row += 1) {
      const [alpha, sigma] = scalesAt(level[row]);
      square[row] = alpha ** 2;
      for (const at of [2 * row, 2 * row + 1]) {
        z[at] = alpha * x[at] + sigma * eps[at];
        target[at] = alpha * eps[at] - sigma * x[at];
      }
    }
    const weight = square.map((value, row) => value * factor[row]);
    const batch = { inputs: featuresOf(z, level), target, weight };
    const found = evaluate(this.tf, this.task.settings, state.weights, batch);
    const length = found.gradient.reduce((sum, value) => sum + value * value, 0);
    if (!Number.isFinite(found.loss + length)) {
      throw new RangeError(`${name}: loss or gradient not finite at step ${this.step}`);
    }
    adamStep(state, found.gradient, this.task.settings);
    tracker.update(logsnr, found.error.map((value, row) => value * square[row]));
    losses.push(found.loss);
  }

  /**
   * How far the training has come.
   * @returns {Report}
   */
  look() {
    return { step: this.step, results: this.trained.map((one) => this.resultOf(one)) };
  }

  /** @param {Session["trained"][0]} one @returns {Result} */
  resultOf({ state, tracker, losses }) {
    const { place, levels, starts, settings } = this.task;
    const answer = (/** @type {Float64Array} */ z, /** @type {ArrayLike<number>} */ logsnr) =>
      denoise(this.tf, settings, state.average, this.data, z, logsnr);
    const one = (/** @type {Float64Array} */ z, /** @type {number} */ logsnr) =>
      answer(z, new Float64Array(z.length / 2).fill(logsnr));
    const walk = sample(one, levels, "Heun", Float64Array.from(starts));
    const samples = walk.xHat[walk.xHat.length - 1];
    const recent = losses.slice(-RECENT);
    return {
      byLevel: tracker.mean(),
      excess: this.excessOf(answer),
      samples,
      distance: slicedW2(samples, place.reference) / place.distance,
      loss: recent.reduce((sum, value) => sum + value, 0) / recent.length,
    };
  }

  /**
   * E‖eps_hat − eps_hat*‖² = e^λ E‖x_hat − x_hat*‖² at each level.
   * @param {(z: Float64Array, logsnr: ArrayLike<number>) => Float64Array} answer
   * @returns {Float64Array}
   */
  excessOf(answer) {
    const { place, grid } = this.task;
    const count = place.z.length / 2 / grid.length;
    const z = Float64Array.from(place.z);
    const found = answer(z, Float64Array.from({ length: z.length / 2 }, (_, k) => {
      return grid[Math.floor(k / count)];
    }));
    const excess = new Float64Array(grid.length);
    for (let at = 0; at < z.length; at += 1) {
      excess[Math.floor(at / (2 * count))] += (found[at] - place.xHat[at]) ** 2 / count;
    }
    return excess.map((value, k) => Math.exp(grid[k]) * value);
  }
}
