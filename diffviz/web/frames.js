/**
 * Frames: where z = alpha x + sigma eps lives at a log-SNR, as `diffviz.theory.frames`.
 *
 * λ = log(alpha²/sigma²) fixes the ratio sigma/alpha = e^(−λ/2). A frame fixes the common scale.
 */

import { expit, logExpit } from "./special.js";

/**
 * @typedef {(x: number) => number} Curve
 *
 * @typedef {object} Frame Scales of signal and noise as functions of λ.
 * @property {string} name
 * @property {Curve} alpha Scale of the signal.
 * @property {Curve} sigma Scale of the noise.
 * @property {Curve} slope d log alpha/dλ; that of log sigma is less by ½.
 */

/**
 * Noise over signal, sigma/alpha = e^(−λ/2).
 * @param {number} logsnr
 * @returns {number}
 */
export function noiseRatio(logsnr) {
  return Math.exp(-logsnr / 2);
}

/**
 * The variance-preserving frame: alpha² + sigma² = 1.
 * @type {Frame}
 */
export const VP = {
  name: "VP",
  alpha: (logsnr) => Math.exp(logExpit(logsnr) / 2),
  sigma: (logsnr) => Math.exp(logExpit(-logsnr) / 2),
  slope: (logsnr) => expit(-logsnr) / 2,
};

/**
 * The variance-exploding frame: alpha = 1.
 * @type {Frame}
 */
export const VE = { name: "VE", alpha: () => 1, sigma: noiseRatio, slope: () => 0 };

/**
 * Linear interpolation: alpha = s, sigma = 1 − (1 − sigma_min) s.
 * @param {number} [sigmaMin] Noise that is left at the clean end, in [0, 1).
 * @returns {Frame}
 */
export function straight(sigmaMin = 0) {
  const most = 1 - sigmaMin;
  /** @type {Curve} */
  const sigma = (logsnr) => 1 / (1 + most * noiseRatio(-logsnr));
  return {
    name: sigmaMin ? `linear(sigma_min=${sigmaMin})` : "linear",
    alpha: (logsnr) => 1 / (most + noiseRatio(logsnr)),
    sigma,
    slope: (logsnr) => sigma(logsnr) / 2,
  };
}

export const STRAIGHT = straight();

/** @type {Curve} */
function subVpAlpha(logsnr) {
  const ratio = noiseRatio(logsnr);
  return 2 / (ratio + Math.hypot(ratio, 2));
}

/** @type {Curve} */
function subVpSigma(logsnr) {
  return 2 / (1 + Math.hypot(1, 2 * noiseRatio(-logsnr)));
}

/** @type {Curve} */
function subVpSlope(logsnr) {
  const sigma = subVpSigma(logsnr);
  return (0.5 * sigma) / (sigma + 2 * subVpAlpha(logsnr) ** 2);
}

/**
 * The sub-VP frame: sigma = 1 − alpha².
 * @type {Frame}
 */
export const SUB_VP = { name: "sub-VP", alpha: subVpAlpha, sigma: subVpSigma, slope: subVpSlope };
