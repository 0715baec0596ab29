/**
 * Noise paths z = alpha x + sigma eps as `diffviz.theory.paths`: a frame and a schedule.
 *
 * Time runs from data (t = 0) to noise (t = 1). Under uniform time λ has a law with the survival
 * function S and the density p, and t(λ) = S(λ), |dt/dλ| = p(λ).
 */

import { STRAIGHT, SUB_VP, VE, VP, noiseRatio, straight } from "./frames.js";
import { hypsecant, isf, laplace, law, logistic, moved, normal, uniform } from "./laws.js";
import { expit, logExpit, softplus } from "./special.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./laws.js").Law} Law
 *
 * @typedef {object} Path
 * @property {string} name
 * @property {Frame} frame alpha and sigma as functions of λ.
 * @property {Law} schedule Law of λ under uniform time.
 * @property {Curve} logsnr λ at a time.
 */

/**
 * A path whose λ has a given law under uniform time.
 * @param {string} name
 * @param {Frame} frame
 * @param {Law} schedule
 * @param {Curve} [logsnr] λ(t); by default a root search.
 * @returns {Path}
 */
function fromDensity(name, frame, schedule, logsnr = (t) => isf(schedule, t)) {
  return { name, frame, schedule, logsnr };
}

/**
 * A path from three functions.
 * @param {string} name
 * @param {Frame} frame
 * @param {Curve} logsnr λ(t).
 * @param {Curve} time t(λ).
 * @param {Curve} rate |dt/dλ| as a function of λ.
 * @returns {Path}
 */
function scheduled(name, frame, logsnr, time, rate) {
  const schedule = law([logsnr(1), logsnr(0)], rate, (x) => 1 - time(x), time);
  return fromDensity(name, frame, schedule, logsnr);
}

// --- λ by its law -----------------------------------------------------------------------------

/**
 * The linear path alpha = 1 − t, sigma = t.
 * @returns {Path}
 */
function linearPath() {
  return fromDensity("linear", STRAIGHT, logistic(0, 2), (t) => 2 * Math.log((1 - t) / t));
}

/**
 * Geometric sigma on the variance-exploding path: λ is uniform.
 * @param {number} sigmaMin sigma at t = 0.
 * @param {number} sigmaMax sigma at t = 1.
 * @returns {Path}
 */
export function ve(sigmaMin, sigmaMax) {
  const path = uniformLogsnr(-2 * Math.log(sigmaMax), -2 * Math.log(sigmaMin), VE);
  return { ...path, name: `VE(${sigmaMin}, ${sigmaMax})` };
}

/**
 * λ linear in t between its ends.
 * @param {number} low λ at t = 1.
 * @param {number} high λ at t = 0.
 * @param {Frame} [frame]
 * @returns {Path}
 */
export function uniformLogsnr(low, high, frame = VP) {
  const name = `uniform logsnr(${low}, ${high})`;
  return fromDensity(name, frame, uniform(low, high), (t) => high + t * (low - high));
}

/**
 * Path with ln sigma ~ N(mean, std²), with alpha = 1.
 * @param {number} mean
 * @param {number} std
 * @returns {Path}
 */
export function edmPath(mean, std) {
  return fromDensity(`EDM(${mean}, ${std})`, VE, normal(-2 * mean, 2 * std));
}

/**
 * Path whose λ has a Laplace law under uniform time.
 * @param {number} centre
 * @param {number} scale
 * @returns {Path}
 */
export function laplacePath(centre, scale) {
  return fromDensity(`Laplace(${centre}, ${scale})`, VP, laplace(centre, scale));
}

// --- schedules from a rate β(t), with B(t) = ∫β -------------------------------------------------

/**
 * @typedef {object} Rate A rate β(t) > 0 with its integral B(t).
 * @property {Curve} integral B at t.
 * @property {Curve} time t at B.
 * @property {Curve} rate β at B.
 */

/**
 * The rate β(t) = betaMin + rise · t.
 * @param {number} betaMin
 * @param {number} betaMax
 * @returns {Rate}
 */
function linearRate(betaMin, betaMax) {
  const rise = betaMax - betaMin;
  /** @type {Curve} */
  const rate = (integral) => Math.sqrt(betaMin ** 2 + 2 * rise * integral);
  return {
    integral: (t) => betaMin * t + (rise * t ** 2) / 2,
    time: (integral) => (2 * integral) / (betaMin + rate(integral)),
    rate,
  };
}

/**
 * The rate β(t) = steps · (root + rise · t)², of which (root + rise t)³ = root³ (1 + growth B).
 * @param {number} betaStart β of the first step.
 * @param {number} betaEnd β of the last step.
 * @param {number} steps
 * @returns {Rate}
 */
function scaledLinearRate(betaStart, betaEnd, steps) {
  const root = Math.sqrt(betaStart);
  const rise = Math.sqrt(betaEnd) - root;
  const growth = (3 * rise) / (steps * root ** 3);
  /** @type {Curve} */
  const integral = (t) => {
    const step = (rise * t) / root;
    return steps * betaStart * t * (1 + step + step ** 2 / 3);
  };
  return {
    integral,
    time: (value) => (root / rise) * Math.expm1(Math.log1p(growth * value) / 3),
    rate: (value) => steps * betaStart * Math.exp((2 / 3) * Math.log1p(growth * value)),
  };
}

/**
 * alpha² = e^(−B), sigma² = 1 − e^(−B) (Song et al. 2021, arXiv 2011.13456, eq. 29).
 * @param {string} name
 * @param {Rate} beta
 * @returns {Path}
 */
function vp(name, beta) {
  return scheduled(
    name,
    VP,
    (t) => {
      const integral = beta.integral(t);
      return -integral - Math.log(-Math.expm1(-integral));
    },
    (logsnr) => beta.time(softplus(-logsnr)),
    (logsnr) => (2 * VP.slope(logsnr)) / beta.rate(softplus(-logsnr)),
  );
}

/**
 * Linear β(t), the continuous limit of DDPM's table.
 * @param {number} betaMin β at t = 0.
 * @param {number} betaMax β at t = 1.
 * @returns {Path}
 */
export function vpLinear(betaMin, betaMax) {
  return vp(`VP linear beta(${betaMin}, ${betaMax})`, linearRate(betaMin, betaMax));
}

/**
 * sqrt(β) linear, the continuous limit of Stable Diffusion's table.
 * @param {number} betaStart β of the first step.
 * @param {number} betaEnd β of the last step.
 * @param {number} [steps] Number of steps of the table.
 * @returns {Path}
 */
export function scaledLinear(betaStart, betaEnd, steps = 1000) {
  const beta = scaledLinearRate(betaStart, betaEnd, steps);
  return vp(`VP scaled-linear beta(${betaStart}, ${betaEnd})`, beta);
}

/**
 * alpha² = e^(−B), sigma = 1 − e^(−B) with linear β(t) (the same paper, eq. 29).
 * @param {number} betaMin β at t = 0.
 * @param {number} betaMax β at t = 1.
 * @returns {Path}
 */
export function subVp(betaMin, betaMax) {
  const beta = linearRate(betaMin, betaMax);
  /** @type {Curve} */
  const integralAt = (logsnr) => 2 * Math.asinh(noiseRatio(logsnr) / 2);
  return scheduled(
    "sub-VP",
    SUB_VP,
    (t) => {
      const integral = beta.integral(t);
      return -integral - 2 * Math.log(-Math.expm1(-integral));
    },
    (logsnr) => beta.time(integralAt(logsnr)),
    (logsnr) => (2 * SUB_VP.slope(logsnr)) / beta.rate(integralAt(logsnr)),
  );
}

// --- alpha(t) or sigma(t) by a formula --------------------------------------------------------

/**
 * Cosine path: alpha = cos θ/cos θ(0), θ = (t + s)/(1 + s) · π/2.
 * @param {number} [offset] s.
 * @returns {Path}
 */
export function cosinePath(offset = 0) {
  if (offset === 0) {
    /** @type {Curve} */
    const logsnr = (t) => -2 * Math.log(Math.tan((Math.PI / 2) * t));
    return fromDensity("cosine", VP, hypsecant(0, 2), logsnr);
  }
  const start = ((Math.PI / 2) * offset) / (1 + offset);
  const span = Math.PI / 2 - start;
  const low = Math.sin(start);
  const high = Math.cos(start);
  /** @type {Curve} */
  const sine = (logsnr) => Math.hypot(low, high * VP.sigma(logsnr));
  /** @type {Curve} */
  const cosineOf = (logsnr) => high * VP.alpha(logsnr);
  return scheduled(
    `cosine(s=${offset})`,
    VP,
    (t) => {
      const turn = t * span;
      const squaredSignal = 2 * Math.log(Math.sin((1 - t) * span)); // exact at t = 1
      return squaredSignal - Math.log(Math.sin(turn) * Math.sin(turn + 2 * start));
    },
    (logsnr) => {
      // the sine of θ − start is (sin² θ − sin² start)/sin(θ + start), which keeps a small t exact
      const sum = sine(logsnr) * high + cosineOf(logsnr) * low;
      const turnSine = (high * VP.sigma(logsnr)) ** 2 / sum;
      const turnCosine = cosineOf(logsnr) * high + sine(logsnr) * low;
      return Math.atan2(turnSine, turnCosine) / span;
    },
    (logsnr) => (cosineOf(logsnr) * VP.sigma(logsnr) ** 2) / (2 * sine(logsnr) * span),
  );
}

/**
 * sigma^(1/ρ) uniform between its ends (Karras et al. 2022, arXiv 2206.00364, eq. 5).
 * @param {number} sigmaMin sigma at t = 0.
 * @param {number} sigmaMax sigma at t = 1.
 * @param {number} rho ρ.
 * @returns {Path}
 */
export function karras(sigmaMin, sigmaMax, rho) {
  const low = sigmaMin ** (1 / rho);
  const span = sigmaMax ** (1 / rho) - low;
  /** @type {Curve} */
  const root = (logsnr) => Math.exp(-logsnr / (2 * rho));
  return scheduled(
    `Karras(${sigmaMin}, ${sigmaMax}, rho=${rho})`,
    VE,
    (t) => -2 * rho * Math.log(low + t * span),
    (logsnr) => (root(logsnr) - low) / span,
    (logsnr) => root(logsnr) / (2 * rho * span),
  );
}

/**
 * sigma² is a sigmoid of t, rescaled to run from 0 to 1 (Jabri et al. 2022, arXiv 2212.11972).
 * @param {number} start Argument of the sigmoid at t = 0, times tau.
 * @param {number} end Argument of the sigmoid at t = 1, times tau.
 * @param {number} tau Temperature.
 * @returns {Path}
 */
export function sigmoidPath(start, end, tau) {
  const width = (end - start) / tau;
  const low = expit(start / tau);
  const range = expit(end / tau) - low;
  /** @type {Curve} */
  const growth = (logsnr) => expit(-logsnr) * range;
  return scheduled(
    `sigmoid(${start}, ${end}, ${tau})`,
    VP,
    (t) => {
      const noise = Math.sinh((t * width) / 2) / Math.cosh(start / tau / 2);
      const signal = Math.sinh(((1 - t) * width) / 2) / Math.cosh(end / tau / 2);
      return Math.log(signal) - Math.log(noise);
    },
    (logsnr) => {
      const grown = growth(logsnr);
      return (Math.log1p(grown / low) - Math.log1p(-grown / (1 - low))) / width;
    },
    (logsnr) => {
      const grown = growth(logsnr);
      return (grown * expit(logsnr)) / ((low + grown) * (1 - low - grown) * width);
    },
  );
}

/**
 * Scales alpha = (1 − t)^n, sigma = 1 − alpha.
 * @param {number} n Exponent.
 * @returns {Path}
 */
export function power(n) {
  return scheduled(
    `polynomial(n=${n})`,
    STRAIGHT,
    (t) => {
      const logAlpha = n * Math.log1p(-t);
      return 2 * (logAlpha - Math.log(-Math.expm1(logAlpha)));
    },
    (logsnr) => -Math.expm1(logExpit(logsnr / 2) / n),
    (logsnr) => (STRAIGHT.alpha(logsnr) ** (1 / n) * STRAIGHT.slope(logsnr)) / n,
  );
}

/**
 * Scales alpha = 1 − t, sigma = sqrt(1 − alpha²).
 * @returns {Path}
 */
export function linearVp() {
  return scheduled(
    "linear VP",
    VP,
    (t) => 2 * (Math.log1p(-t) - Math.log(t * (2 - t)) / 2),
    (logsnr) => VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr)),
    (logsnr) => VP.alpha(logsnr) * VP.slope(logsnr),
  );
}

/**
 * Scales alpha = 1 − t, sigma = sigma_min + (1 − sigma_min) t (Lipman et al. 2022, eq. 20).
 * @param {number} sigmaMin sigma at t = 0, in (0, 1).
 * @returns {Path}
 */
export function sigmaMinPath(sigmaMin) {
  const frame = straight(sigmaMin);
  return scheduled(
    `linear, sigma_min ${sigmaMin}`,
    frame,
    (t) => 2 * (Math.log1p(-t) - Math.log(sigmaMin + (1 - sigmaMin) * t)),
    (logsnr) => (frame.sigma(logsnr) - sigmaMin) / (1 - sigmaMin),
    (logsnr) => frame.alpha(logsnr) * frame.slope(logsnr),
  );
}

// --- paths from paths -------------------------------------------------------------------------

/**
 * A path with λ moved by −2 log shift, as for a higher resolution.
 * @param {Path} path
 * @param {number} shift Factor on sigma/alpha.
 * @returns {Path}
 */
export function shifted(path, shift) {
  if (shift === 1) {
    return path;
  }
  const move = -2 * Math.log(shift);
  const schedule = moved(path.schedule, move);
  const name = `${path.name}, shift ${shift}`;
  return fromDensity(name, path.frame, schedule, (t) => path.logsnr(t) + move);
}

export const LINEAR = linearPath();
export const COSINE = cosinePath();
