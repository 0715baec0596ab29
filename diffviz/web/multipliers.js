/**
 * Multipliers: the factor c(λ) on the squared error of a target, as `diffviz.theory.multipliers`.
 */

import { crossing, expit } from "./special.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./paths.js").Path} Path
 */

/** @type {Curve} */
export const constant = () => 1;

/** @type {Curve} */
export const snr = (logsnr) => Math.exp(logsnr);

/** @type {Curve} */
export const truncatedSnr = (logsnr) => Math.max(Math.exp(logsnr), 1);

/** @type {Curve} */
export const snrPlusOne = (logsnr) => Math.exp(logsnr) + 1;

/** @type {Record<string, Curve>} */
const MIN_SNR_DIVISORS = { eps: snr, x: constant, v: snrPlusOne };

/**
 * min(SNR, γ) over SNR, 1, SNR + 1 on the eps, x, v error (Hang et al. 2023, arXiv 2303.09556).
 * @param {number} gamma γ.
 * @param {string} [target] "eps", "x" or "v".
 * @returns {Curve}
 */
export function minSnr(gamma, target = "eps") {
  if (!Object.hasOwn(MIN_SNR_DIVISORS, target)) {
    const known = Object.keys(MIN_SNR_DIVISORS).join(", ");
    throw new RangeError(`min-SNR is defined on ${known}, not on '${target}'`);
  }
  const divisor = MIN_SNR_DIVISORS[target];
  return (logsnr) => Math.min(Math.exp(logsnr), gamma) / divisor(logsnr);
}

/**
 * γ/(SNR + γ) on the eps error.
 * @param {number} gamma γ.
 * @returns {Curve}
 */
export function softMinSnr(gamma) {
  return (logsnr) => expit(Math.log(gamma) - logsnr);
}

/**
 * 1/(k + SNR)^γ on the eps error.
 * @param {number} gamma γ.
 * @param {number} k
 * @returns {Curve}
 */
export function p2(gamma, k) {
  return (logsnr) => (k + Math.exp(logsnr)) ** -gamma;
}

/**
 * 1/sqrt(min(SNR, cap)) on the eps error.
 * @param {number} cap Largest SNR that counts.
 * @returns {Curve}
 */
export function debiased(cap) {
  return (logsnr) => Math.min(Math.exp(logsnr), cap) ** -0.5;
}

/**
 * −dλ/dt on the eps error under uniform time on a path: the ELBO.
 * @param {Path} path
 * @returns {Curve}
 */
export function likelihood(path) {
  return (logsnr) => 1 / path.schedule.pdf(logsnr);
}

/**
 * −dλ/dt e^b sigmoid(λ − b) on the x error, so that w = 1/(1 + e^(λ − b)).
 * @param {number} bias b.
 * @param {Path} path
 * @returns {Curve}
 */
export function sigmoidMultiplier(bias, path) {
  return (logsnr) => (Math.exp(bias) * expit(logsnr - bias)) / path.schedule.pdf(logsnr);
}

/**
 * (σ² + σ_data²)/(σ σ_data)² on the x error, σ = e^(−λ/2).
 * @param {number} sigmaData Standard deviation of the data.
 * @returns {Curve}
 */
export function edmMultiplier(sigmaData) {
  return (logsnr) => 1 / sigmaData ** 2 + Math.exp(logsnr);
}

/**
 * The two λ between which the slope d log w/dλ of EDM rises; none under a narrow law.
 * @param {number} scale Standard deviation of λ.
 * @param {number} sigmaData Standard deviation of the data.
 * @returns {number[]}
 */
function turns(scale, sigmaData) {
  if (scale <= 2) {
    return [];
  }
  const root = Math.sqrt(1 - 4 / scale ** 2);
  const large = (1 + root) / 2;
  const small = 2 / scale ** 2 / (1 + root);
  const half = Math.log(large / small);
  return [-half - 2 * Math.log(sigmaData), half - 2 * Math.log(sigmaData)];
}

/**
 * EDM's, raised so that w at λ is the largest w at λ or above; under λ ~ N(−2 mean, (2 std)²).
 *
 * Below a peak c = c(peak) e^(λ − peak) p(peak)/p(λ), since w is as c e^(−λ) p. Under a wide law w
 * may have two peaks.
 * @param {number} mean Mean of ln sigma.
 * @param {number} std Standard deviation of ln sigma.
 * @param {number} sigmaData Standard deviation of the data.
 * @returns {Curve}
 */
export function edmMonotonic(mean, std, sigmaData) {
  const centre = -2 * mean;
  const scale = 2 * std;
  const plain = edmMultiplier(sigmaData);
  /** @type {Curve} */
  const fall = (logsnr) =>
    expit(-logsnr - 2 * Math.log(sigmaData)) - (centre - logsnr) / scale ** 2; // −d log w/dλ
  const edges = [centre - 2 * scale ** 2 - 1, ...turns(scale, sigmaData), centre];
  /** @type {number[]} */
  const peaks = [];
  for (let k = 0; k < edges.length; k += 2) {
    if (edges[k] < edges[k + 1] && fall(edges[k]) < 0 && fall(edges[k + 1]) >= 0) {
      peaks.push(crossing(fall, edges[k], edges[k + 1]));
    }
  }
  return (logsnr) => {
    const held = peaks.map((peak) => {
      const below = Math.min(logsnr, peak);
      const squares = (below - centre) ** 2 - (peak - centre) ** 2;
      const rise = Math.exp(below - peak + squares / (2 * scale ** 2));
      return plain(Math.max(logsnr, peak)) * rise;
    });
    return Math.max(plain(logsnr), ...held);
  };
}

/**
 * σ^−2 on the linear path.
 * @type {Curve}
 */
export const sigmaSqrt = (logsnr) => (1 + Math.exp(logsnr / 2)) ** 2;

/**
 * 2/(π(1 − 2σ + 2σ²)) on the linear path: CosMap's density as a loss weight.
 * @type {Curve}
 */
export const cosmapMultiplier = (logsnr) => {
  const sigma = expit(-logsnr / 2);
  return 2 / (Math.PI * (1 - 2 * sigma + 2 * sigma ** 2));
};

/**
 * exp(−2(σ − ½)²) − e^(−½) on the linear path, which is 0 at both ends.
 * @type {Curve}
 */
export const bell = (logsnr) => {
  const half = logsnr / 2;
  const exponent = 2 * expit(half) * expit(-half); // −2(σ − ½)² is −½ + 2σ(1 − σ)
  return Math.exp(-0.5) * Math.expm1(exponent);
};
