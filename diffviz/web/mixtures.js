// Mixtures of round Gaussians in the plane, whose denoiser is exact, and drawings as such mixtures.

import { expit } from "./special.js";

/**
 * @typedef {Float64Array} Points Pairs of coordinates, one point after another.
 * @typedef {[number, number][]} Pairs
 *
 * @typedef {object} Mixture
 * @property {Float64Array} logs Logarithms of the shares.
 * @property {Points} means
 * @property {Float64Array} variance
 */

export const DRAWN = "drawn"; // data of the reader's own, in the menu of data

/**
 * E[x|z] of a mixture in the variance-preserving frame.
 * @param {Mixture} mixture
 * @returns {(z: Points, logsnr: number) => Points}
 */
export function exactDenoiser({ logs, means, variance }) {
  const shares = new Float64Array(logs.length);
  return (z, logsnr) => {
    const alpha = Math.sqrt(expit(logsnr));
    const noise = expit(-logsnr);
    const totals = variance.map((value) => alpha ** 2 * value + noise);
    const offsets = logs.map((value, k) => value - Math.log(totals[k]));
    const xHat = new Float64Array(z.length);
    for (let at = 0; at < z.length; at += 2) {
      let most = -Infinity;
      for (let k = 0; k < shares.length; k += 1) {
        const x = z[at] - alpha * means[2 * k];
        const y = z[at + 1] - alpha * means[2 * k + 1];
        shares[k] = offsets[k] - (x * x + y * y) / (2 * totals[k]);
        if (shares[k] > most) most = shares[k];
      }
      let sum = 0;
      let [meanX, meanY, kept] = [0, 0, 0];
      for (let k = 0; k < shares.length; k += 1) {
        const share = Math.exp(shares[k] - most);
        const over = share / totals[k];
        sum += share;
        meanX += over * means[2 * k];
        meanY += over * means[2 * k + 1];
        kept += over * variance[k];
      }
      xHat[at] = (noise * meanX + alpha * kept * z[at]) / sum;
      xHat[at + 1] = (noise * meanY + alpha * kept * z[at + 1]) / sum;
    }
    return xHat;
  };
}

/**
 * The kernel density of drawn points; null of fewer than two different ones.
 * @param {Pairs} drawing
 * @param {number} width Of the kernel, in standard deviations of the points.
 * @returns {Mixture | null}
 */
export function drawnMixture(drawing, width) {
  const count = drawing.length;
  if (!drawing.some(([x, y]) => x !== drawing[0][0] || y !== drawing[0][1])) return null;
  const varianceOf = (/** @type {0 | 1} */ axis) => {
    const mean = drawing.reduce((sum, point) => sum + point[axis], 0) / count;
    return drawing.reduce((sum, point) => sum + (point[axis] - mean) ** 2, 0) / count;
  };
  const variance = (width ** 2 * (varianceOf(0) + varianceOf(1))) / 2;
  return {
    logs: new Float64Array(count).fill(-Math.log(count)),
    means: Float64Array.from(drawing.flat()),
    variance: new Float64Array(count).fill(variance),
  };
}

/**
 * E‖x − x_hat‖² behind noisy points, by Tweedie's formula of second order:
 * Cov[x|z] = sigma²/alpha · ∂x_hat/∂z.
 * @param {(z: Points, logsnr: number) => Points} denoise E[x|z], in the variance-preserving frame.
 * @param {Points} z
 * @param {number} logsnr λ in nats.
 * @returns {Float64Array} One for each point.
 */
export function posteriorVariance(denoise, z, logsnr) {
  const step = 1e-4 * Math.sqrt(expit(-logsnr)); // x_hat changes over lengths of sigma
  const trace = new Float64Array(z.length / 2);
  for (const axis of [0, 1]) {
    const shift = (/** @type {number} */ by) =>
      denoise(z.map((value, at) => (at % 2 === axis ? value + by : value)), logsnr);
    const [after, before] = [shift(step), shift(-step)];
    for (let k = 0; k < trace.length; k += 1) {
      trace[k] += (after[2 * k + axis] - before[2 * k + axis]) / (2 * step);
    }
  }
  const factor = expit(-logsnr) / Math.sqrt(expit(logsnr));
  return trace.map((value) => factor * value);
}

/**
 * A state whose drawing becomes its data, unless it is still the example; a drawing over other data
 * does not begin with the example, which nobody sees then.
 * @template {Record<string, any>} State
 * @param {State} state With what is drawn as `drawing`.
 * @param {string} menu Name of the menu of data.
 * @param {Pairs} example
 * @returns {State}
 */
export function withDrawing(state, menu, example) {
  const known = JSON.stringify(example);
  const isExample = (/** @type {Pairs} */ points) => JSON.stringify(points) === known;
  if (isExample(state.drawing)) return state;
  const isOver = state[menu] !== DRAWN && isExample(state.drawing.slice(0, example.length));
  const drawing = isOver ? state.drawing.slice(example.length) : state.drawing;
  return { ...state, drawing, [menu]: DRAWN };
}
