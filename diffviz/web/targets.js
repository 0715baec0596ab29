/**
 * What a loss compares, target = a x + b eps, as `diffviz.theory.targets`.
 *
 * An error in eps_hat shows up in the target in proportion to its gain |b − a sigma/alpha|.
 */

import { VP, noiseRatio } from "./frames.js";

/**
 * @typedef {import("./paths.js").Path} Path
 * @typedef {(logsnr: number, path: Path) => number} Gain
 *
 * @typedef {object} Target
 * @property {string} name
 * @property {Gain} gain
 */

/** @type {Target} */
export const EPS = { name: "eps", gain: () => 1 };

/** @type {Target} */
export const X = { name: "x", gain: noiseRatio };

/**
 * @param {number} logsnr
 * @returns {number}
 */
function gainOfV(logsnr) {
  return VP.alpha(logsnr) + VP.sigma(logsnr) * noiseRatio(logsnr);
}

/**
 * v = alpha eps − sigma x in variance-preserving scales (Salimans and Ho 2022).
 * @type {Target}
 */
export const V = { name: "v", gain: gainOfV };

/**
 * u = dz/dt, the flow velocity of the path: a and b are d alpha/dt and d sigma/dt.
 * @type {Target}
 */
export const U = {
  name: "u",
  gain: (logsnr, path) => {
    const { frame, schedule } = path;
    const slope = frame.slope(logsnr);
    const pace = -1 / schedule.pdf(logsnr); // dλ/dt
    const a = frame.alpha(logsnr) * (slope * pace);
    const b = frame.sigma(logsnr) * ((slope - 0.5) * pace);
    return Math.abs(b - (a === 0 ? 0 : a * noiseRatio(logsnr)));
  },
};

/**
 * The score of the noising kernel, −eps/sigma.
 * @type {Target}
 */
export const SCORE = {
  name: "score",
  gain: (logsnr, path) => 1 / path.frame.sigma(logsnr),
};

/**
 * EDM's network output F = (x − c_skip z)/c_out (Karras et al. 2022, arXiv 2206.00364, eq. 7).
 * @param {number} sigmaData Standard deviation of the data.
 * @returns {Target}
 */
export function edmOutput(sigmaData) {
  return {
    name: `F(sigma_data=${sigmaData})`,
    gain: (logsnr) => {
      const ratio = noiseRatio(logsnr);
      const spread = Math.hypot(ratio, sigmaData);
      const a = ratio / (sigmaData * spread);
      return Math.abs(-sigmaData / spread - a * ratio);
    },
  };
}

/**
 * Gain of a base; the base u is the velocity of the linear path.
 * @type {Record<string, (logsnr: number) => number>}
 */
const BASE_GAINS = {
  eps: () => 1,
  x: noiseRatio,
  v: gainOfV,
  u: (logsnr) => 1 + noiseRatio(logsnr),
};

/**
 * Gain of a base: 1, e^(−λ/2), sqrt(1 + e^(−λ)), 1 + e^(−λ/2) for eps, x, v, u.
 * @param {string} base
 * @param {number} logsnr
 * @returns {number}
 */
export function baseGain(base, logsnr) {
  if (!Object.hasOwn(BASE_GAINS, base)) {
    throw new RangeError(`unknown base '${base}'; one of ${Object.keys(BASE_GAINS).join(", ")}`);
  }
  return BASE_GAINS[base](logsnr);
}
