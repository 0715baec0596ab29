/**
 * An objective is a recipe: a path, a law of λ, a target and a multiplier on its squared error.
 *
 *     w(λ) = 2 c(λ) gain(λ)² p(λ),      as `diffviz.theory.objectives`.
 */

import { constant } from "./multipliers.js";
import { baseGain } from "./targets.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./laws.js").Law} Law
 * @typedef {import("./paths.js").Path} Path
 * @typedef {import("./targets.js").Target} Target
 *
 * @typedef {object} Objective
 * @property {string} name
 * @property {Path} path
 * @property {Target} target
 * @property {Curve} multiplier c(λ) on the target's squared error.
 * @property {Law} law Law of λ.
 */

const SLACK = 1e-9; // relative, of the ends of a law beyond those of its path

/**
 * An objective, if its law lives where its path does.
 * @param {object} parts
 * @param {string} parts.name
 * @param {Path} parts.path
 * @param {Target} parts.target
 * @param {Curve} [parts.multiplier]
 * @param {Law} [parts.law] By default that of uniform time on the path.
 * @returns {Objective}
 */
export function objective({ name, path, target, multiplier = constant, law = path.schedule }) {
  const [low, high] = law.support;
  const [first, last] = path.schedule.support;
  const sizes = [first, last].filter(Number.isFinite).map(Math.abs);
  const slack = SLACK * Math.max(1, ...sizes);
  if (!(low >= first - slack && high <= last + slack)) {
    throw new RangeError(
      `${name}: the density lives on logsnr [${low}, ${high}], the path '${path.name}' only on ` +
        `[${first}, ${last}]; truncate the density or take another path`,
    );
  }
  return { name, path, target, multiplier, law };
}

/**
 * What the loss multiplies the eps squared error by at λ: c(λ) · gain².
 * @param {Objective} recipe
 * @param {number} logsnr
 * @returns {number}
 */
function factor({ name, path, target, multiplier }, logsnr) {
  const value = multiplier(logsnr) * target.gain(logsnr, path) ** 2;
  if (!(Number.isFinite(value) && value >= 0)) {
    throw new RangeError(
      `${name}: multiplier times gain² of the ${target.name} target is ${value} at logsnr ` +
        `${logsnr}; a weighting is finite and >= 0: restrict the density or mend the multiplier`,
    );
  }
  return value;
}

/**
 * Implied w(λ) on the squared error of a base; 0 outside the support of the law.
 * @param {Objective} recipe
 * @param {Float64Array} logsnr λ in nats, shape (n,).
 * @param {string} [base] "eps", "x", "v" or "u".
 * @returns {Float64Array} Shape (n,).
 */
export function weighting(recipe, logsnr, base = "eps") {
  const { law } = recipe;
  const [low, high] = law.support;
  return logsnr.map((at) => {
    const isInside = at >= low && at <= high;
    return isInside ? (2 * factor(recipe, at) * law.pdf(at)) / baseGain(base, at) ** 2 : 0;
  });
}
