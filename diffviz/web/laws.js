/**
 * Laws of levels and of times as `diffviz.theory.laws`: densities with the methods of SciPy.
 *
 * A training code states the law f(t) of time. Through a path it becomes the law of λ with the
 * density p(λ) = f(t(λ)) |dt/dλ|.
 */

import { betainc, crossing, expit, logBeta, ndtr, normalDensity } from "./special.js";

/**
 * @typedef {(x: number) => number} Curve
 *
 * @typedef {object} Law
 * @property {[number, number]} support Least and largest value.
 * @property {Curve} pdf Density, 0 outside the support.
 * @property {Curve} cdf Probability of at most x.
 * @property {Curve} sf Probability of more than x, as exact for small probabilities as `cdf`.
 * @property {() => Law} [rest] Law of 1 − t, of a law of time where it is known without rounding.
 */

/**
 * A law that its formulas describe within the support.
 * @param {[number, number]} support
 * @param {Curve} pdf
 * @param {Curve} cdf
 * @param {Curve} sf
 * @returns {Law}
 */
export function law(support, pdf, cdf, sf) {
  const [low, high] = support;
  /** @type {(inside: Curve, below: number, above: number) => Curve} */
  const within = (inside, below, above) => (x) => {
    if (x < low) {
      return below;
    }
    return x > high ? above : inside(x);
  };
  return { support, pdf: within(pdf, 0, 0), cdf: within(cdf, 0, 1), sf: within(sf, 1, 0) };
}

/**
 * A law with support on all numbers, from those of a standard one.
 * @param {number} centre
 * @param {number} scale
 * @param {Curve} pdf Standard density.
 * @param {Curve} cdf Standard probability below.
 * @returns {Law} The law, which must be symmetric.
 */
function located(centre, scale, pdf, cdf) {
  return {
    support: [-Infinity, Infinity],
    pdf: (x) => pdf((x - centre) / scale) / scale,
    cdf: (x) => cdf((x - centre) / scale),
    sf: (x) => cdf((centre - x) / scale),
  };
}

/**
 * @param {number} centre
 * @param {number} scale Standard deviation.
 * @returns {Law}
 */
export function normal(centre, scale) {
  return located(centre, scale, normalDensity, ndtr);
}

/**
 * @param {number} centre
 * @param {number} scale
 * @returns {Law}
 */
export function logistic(centre, scale) {
  return located(centre, scale, (z) => expit(z) * expit(-z), expit);
}

/**
 * @param {number} centre
 * @param {number} scale
 * @returns {Law}
 */
export function laplace(centre, scale) {
  return located(
    centre,
    scale,
    (z) => Math.exp(-Math.abs(z)) / 2,
    (z) => (z < 0 ? Math.exp(z) / 2 : 1 - Math.exp(-z) / 2),
  );
}

/**
 * The hyperbolic secant law, that of λ under uniform time on the cosine path for scale 2.
 * @param {number} centre
 * @param {number} scale
 * @returns {Law}
 */
export function hypsecant(centre, scale) {
  return located(
    centre,
    scale,
    (z) => 1 / (Math.PI * Math.cosh(z)),
    (z) => (2 / Math.PI) * Math.atan(Math.exp(z)),
  );
}

/**
 * @param {number} low
 * @param {number} high
 * @returns {Law}
 */
export function uniform(low, high) {
  const width = high - low;
  return law(
    [low, high],
    () => 1 / width,
    (x) => (x - low) / width,
    (x) => (high - x) / width,
  );
}

// --- laws of λ --------------------------------------------------------------------------------

/**
 * Law of λ under shifted logit-normal time on the linear path: N(−2 mean − 2 log shift, (2 std)²).
 * @param {number} mean Mean of logit t.
 * @param {number} std Standard deviation of logit t.
 * @param {number} [shift] Factor on sigma/alpha.
 * @returns {Law}
 */
export function logitNormalLogsnr(mean, std, shift = 1) {
  return normal(-2 * mean - 2 * Math.log(shift), 2 * std);
}

/**
 * Law of λ for ln sigma ~ logistic(mean, scale).
 * @param {number} mean
 * @param {number} scale
 * @returns {Law}
 */
export function loglogisticSigma(mean, scale) {
  return logistic(-2 * mean, 2 * scale);
}

/**
 * Law of λ for ln sigma two-piece normal.
 * @param {number} mean Mode of ln sigma.
 * @param {number} below Scale of ln sigma below its mode.
 * @param {number} above Scale of ln sigma above its mode.
 * @returns {Law}
 */
export function splitLognormalSigma(mean, below, above) {
  const peak = -2 * mean;
  const left = 2 * above; // λ falls with sigma
  const right = 2 * below;
  const share = left / (left + right);
  /** @type {Curve} */
  const tailBelow = (x) => 2 * share * ndtr((x - peak) / left);
  /** @type {Curve} */
  const tailAbove = (x) => 2 * (1 - share) * ndtr((peak - x) / right);
  return law(
    [-Infinity, Infinity],
    (x) => (2 * normalDensity((x - peak) / (x < peak ? left : right))) / (left + right),
    (x) => (x < peak ? tailBelow(x) : 1 - tailAbove(x)),
    (x) => (x < peak ? 1 - tailBelow(x) : tailAbove(x)),
  );
}

// --- laws of time on [0, 1] -------------------------------------------------------------------

export const UNIFORM_TIME = uniform(0, 1);

/**
 * Law of t with logit t ~ N(mean, std²): SD3's rf/lognorm.
 * @param {number} mean
 * @param {number} std
 * @returns {Law}
 */
export function logitNormal(mean, std) {
  const ofLogit = normal(mean, std);
  /** @type {Curve} */
  const logit = (t) => Math.log(t / (1 - t));
  const own = law(
    [0, 1],
    (t) => (t > 0 && t < 1 ? ofLogit.pdf(logit(t)) / (t * (1 - t)) : 0),
    (t) => ofLogit.cdf(logit(t)),
    (t) => ofLogit.sf(logit(t)),
  );
  return { ...own, rest: () => logitNormal(-mean, std) };
}

/**
 * Law of t on [0, 1] with the density t^(a−1) (1 − t)^(b−1)/B(a, b).
 * @param {number} a
 * @param {number} b
 * @returns {Law}
 */
export function beta(a, b) {
  const scale = Math.exp(-logBeta(a, b));
  const own = law(
    [0, 1],
    (t) => scale * t ** (a - 1) * (1 - t) ** (b - 1),
    (t) => betainc(a, b, t),
    (t) => betainc(b, a, 1 - t),
  );
  return { ...own, rest: () => beta(b, a) };
}

/**
 * Law of t = (1 + s) w − s sin²(πw/2) for w uniform: SD3's mode sampling.
 *
 * The density is dw/dt, and the probability below t is w, which needs a root search.
 * @param {number} scale s, between −1 and 2/(π − 2).
 * @returns {Law}
 */
export function mode(scale) {
  /** @type {Curve} */
  const time = (w) => (1 + scale) * w - scale * Math.sin((Math.PI * w) / 2) ** 2;
  /** @type {Curve} */
  const growth = (w) => 1 + scale - ((scale * Math.PI) / 2) * Math.sin(Math.PI * w);
  /** @type {Curve} */
  const inverse = (t) => inverted(time, growth, t);
  const own = law(
    [0, 1],
    (t) => 1 / growth(inverse(t)),
    inverse,
    (t) => inverse(1 - t), // the law is symmetric about ½
  );
  return { ...own, rest: () => mode(scale) };
}

/**
 * Law of t = 1 − 1/(tan(πu/2) + 1) for u uniform: SD3's CosMap.
 * @returns {Law}
 */
export function cosmap() {
  const own = law(
    [0, 1],
    (t) => 2 / (Math.PI * (1 - 2 * t + 2 * t * t)),
    (t) => (2 / Math.PI) * Math.atan2(t, 1 - t),
    (t) => (2 / Math.PI) * Math.atan2(1 - t, t),
  );
  return { ...own, rest: () => cosmap() };
}

/**
 * Law of t with a density proportional to cosh(a (t − ½)).
 * @param {number} a How steep the ends are.
 * @returns {Law}
 */
export function uShaped(a) {
  const half = Math.sinh(a / 2);
  const own = law(
    [0, 1],
    (t) => (a * Math.cosh(a * (t - 0.5))) / (2 * half),
    (t) => 0.5 + Math.sinh(a * (t - 0.5)) / (2 * half),
    (t) => 0.5 - Math.sinh(a * (t - 0.5)) / (2 * half),
  );
  return { ...own, rest: () => uShaped(a) };
}

// --- laws from laws ---------------------------------------------------------------------------

/**
 * Law of the λ that is exceeded with probability t, for t with a law of its own.
 * @param {Law} time Law of t in [0, 1].
 * @param {Law} levels Law of λ.
 * @returns {Law}
 */
export function quantileOf(time, levels) {
  const [first, last] = time.support;
  const { support, pdf, cdf, sf } = levels;
  const low = last >= 1 ? support[0] : isf(levels, last);
  const high = first <= 0 ? support[1] : isf(levels, first);
  const rest = time.rest?.(); // t rounds to 1 where 1 − t keeps its digits
  if (rest === undefined) {
    return law(
      [low, high],
      (x) => time.pdf(sf(x)) * pdf(x),
      (x) => time.sf(sf(x)),
      (x) => time.cdf(sf(x)),
    );
  }
  return law(
    [low, high],
    (x) => (sf(x) <= 0.5 ? time.pdf(sf(x)) : rest.pdf(cdf(x))) * pdf(x),
    (x) => (sf(x) <= 0.5 ? time.sf(sf(x)) : rest.cdf(cdf(x))),
    (x) => (sf(x) <= 0.5 ? time.cdf(sf(x)) : rest.sf(cdf(x))),
  );
}

/**
 * Law of λ + move.
 * @param {Law} levels Law of λ.
 * @param {number} move In nats.
 * @returns {Law}
 */
export function moved(levels, move) {
  const [low, high] = levels.support;
  return {
    support: [low + move, high + move],
    pdf: (x) => levels.pdf(x - move),
    cdf: (x) => levels.cdf(x - move),
    sf: (x) => levels.sf(x - move),
  };
}

/**
 * A law conditioned on low <= λ <= high.
 * @param {Law} levels Law of λ.
 * @param {number} low In nats.
 * @param {number} high In nats.
 * @returns {Law}
 */
export function truncated(levels, low, high) {
  const { pdf, cdf, sf } = levels;
  const mass = sf(low) > 0.5 ? cdf(high) - cdf(low) : sf(low) - sf(high);
  if (!(mass > 0)) {
    throw new RangeError(`the law has no mass on logsnr [${low}, ${high}]; move it or its ends`);
  }
  const [first, last] = levels.support;
  const below = cdf(low);
  const above = sf(high);
  return law(
    [Math.max(first, low), Math.min(last, high)],
    (x) => pdf(x) / mass,
    (x) => (cdf(x) - below) / mass,
    (x) => (sf(x) - above) / mass,
  );
}

const FARTHEST = 1e4; // nats; no law of this package has probability beyond it

/**
 * Value that is exceeded with probability q.
 * @param {Law} levels
 * @param {number} q Between 0 and 1.
 * @returns {number}
 */
export function isf(levels, q) {
  const [low, high] = levels.support;
  if (q <= 0 || q >= 1) {
    return q <= 0 ? high : low;
  }
  const first = Math.max(low, -FARTHEST);
  const last = Math.min(high, FARTHEST);
  return q < 0.5
    ? crossing((x) => q - levels.sf(x), first, last)
    : crossing((x) => levels.cdf(x) - (1 - q), first, last);
}

const LAST_STEP = 1e-10; // a Newton step this small, relative to x, leaves an error of its square
const MOST_STEPS = 200; // halving alone needs 60

/**
 * Where a rising map of [0, 1] takes a value, by Newton's method within a bracket.
 * @param {Curve} map
 * @param {Curve} growth Its derivative.
 * @param {number} value Of the map; also the first guess.
 * @returns {number}
 */
function inverted(map, growth, value) {
  let low = 0;
  let high = 1;
  let root = Math.min(Math.max(value, 0), 1);
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const x = root;
    const excess = map(x) - value;
    const newton = x - excess / growth(x);
    low = excess <= 0 ? x : low;
    high = excess >= 0 ? x : high;
    const isInside = newton >= low && newton <= high; // NaN is not
    root = isInside ? newton : (low + high) / 2;
    if (Math.abs(root - x) <= LAST_STEP * x) {
      break;
    }
  }
  return root;
}
