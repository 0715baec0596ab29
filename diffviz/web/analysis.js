/**
 * What a weighting w(λ) on the eps error says about its loss, as `diffviz.theory.analysis`.
 */

import { weighting } from "./objectives.js";
import { expit, softplus } from "./special.js";
import { baseGain } from "./targets.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./objectives.js").Objective} Objective
 *
 * @typedef {object} Verdict
 * @property {boolean} monotone Whether w never rises with λ.
 * @property {[number, number][]} rises Intervals of λ on which w rises.
 * @property {number} peak λ of the largest w.
 * @property {number} negativeShare Share of the mixture of ELBOs with a negative sign.
 */

const VERDICT_POINTS = 4001;

/**
 * Eps error of the exact denoiser on N(0, 1), for each dimension.
 * @type {Curve}
 */
export const gaussianMmse = expit;

/**
 * Mutual information I(x; z_λ) = ½ log(1 + e^λ) for x ~ N(0, 1).
 * @type {Curve}
 */
const gaussianInformation = (logsnr) => softplus(logsnr) / 2;

/**
 * Points at even distances, as `numpy.linspace`.
 * @param {number} low
 * @param {number} high
 * @param {number} points At least 2.
 * @returns {Float64Array}
 */
export function linspace(low, high, points) {
  const step = (high - low) / (points - 1);
  const grid = Float64Array.from({ length: points }, (_, index) => low + index * step);
  grid[points - 1] = high;
  return grid;
}

/**
 * The integral of values over a grid, by trapezoids.
 * @param {Float64Array} values Shape (n,).
 * @param {Float64Array} grid Shape (n,).
 * @returns {number}
 */
export function trapezoid(values, grid) {
  let sum = 0;
  for (let index = 1; index < grid.length; index += 1) {
    sum += ((values[index] + values[index - 1]) / 2) * (grid[index] - grid[index - 1]);
  }
  return sum;
}

/**
 * Values over their integral, as shares per nat.
 * @param {Float64Array} values Shape (n,).
 * @param {Float64Array} grid λ in nats, shape (n,).
 * @returns {Float64Array} Shape (n,).
 */
export function perNat(values, grid) {
  const area = trapezoid(values, grid);
  return values.map((value) => value / area);
}

/**
 * Slope of values over a grid as `numpy.gradient`: second order inside, first order at the ends.
 * @param {Float64Array} values Shape (n,).
 * @param {Float64Array} grid Shape (n,).
 * @returns {Float64Array} Shape (n,).
 */
export function gradient(values, grid) {
  const last = grid.length - 1;
  return values.map((value, index) => {
    if (index === 0) return (values[1] - value) / (grid[1] - grid[0]);
    const before = grid[index] - grid[index - 1];
    const slope = (value - values[index - 1]) / before;
    if (index === last) return slope;
    const after = grid[index + 1] - grid[index];
    return (before * ((values[index + 1] - value) / after) + after * slope) / (before + after);
  });
}

/**
 * Grid over the stretch of [low, high] on which a law has support, ends a hair inside.
 * @param {[number, number]} support
 * @param {number} [low]
 * @param {number} [high]
 * @param {number} [points]
 * @returns {Float64Array} Shape (points,).
 */
export function gridWithin(support, low = -20, high = 20, points = VERDICT_POINTS) {
  const start = Math.max(low, support[0]);
  const stop = Math.min(high, support[1]);
  if (start >= stop) {
    throw new RangeError(`the supports do not overlap: [${low}, ${high}], [${support}]`);
  }
  const hair = 1e-12 * (stop - start);
  return linspace(start + hair, stop - hair, points);
}

/**
 * A weighting on the error of one base as one on the error of another; the loss stays.
 * @param {Float64Array} w Shape (n,).
 * @param {Float64Array} logsnr λ in nats, shape (n,).
 * @param {string} base The base on which w acts.
 * @param {string} to The base of the result.
 * @returns {Float64Array} Shape (n,).
 */
export function rebase(w, logsnr, base, to) {
  return w.map((value, index) => {
    const at = logsnr[index];
    return value * (baseGain(base, at) / baseGain(to, at)) ** 2;
  });
}

/**
 * Loss per nat of an exact denoiser, w(λ) E‖eps_hat − eps‖².
 * @param {Float64Array} w Weighting on the eps error, shape (n,).
 * @param {Float64Array} logsnr λ in nats, shape (n,).
 * @param {Curve} [mmse] Error of the denoiser; by default for N(0, I) data.
 * @returns {Float64Array} Shape (n,).
 */
export function lossDensity(w, logsnr, mmse = gaussianMmse) {
  return w.map((value, index) => value * mmse(logsnr[index]));
}

/**
 * Ends of the runs of grid steps that are marked.
 * @param {Float64Array} grid
 * @param {boolean[]} rising One for each step of the grid.
 * @returns {[number, number][]}
 */
function stretches(grid, rising) {
  /** @type {[number, number][]} */
  const found = [];
  rising.forEach((rises, step) => {
    if (rises && !rising[step - 1]) {
      found.push([grid[step], grid[step + 1]]);
    } else if (rises) {
      found[found.length - 1][1] = grid[step + 1];
    }
  });
  return found;
}

/**
 * Coefficients of the polynomial through points, lowest power first.
 *
 * Newton's divided differences, multiplied out.
 * @param {number[]} x
 * @param {number[]} y
 * @returns {number[]}
 */
function polynomialThrough(x, y) {
  const differences = [...y];
  for (let order = 1; order < x.length; order += 1) {
    for (let i = x.length - 1; i >= order; i -= 1) {
      differences[i] = (differences[i] - differences[i - 1]) / (x[i] - x[i - order]);
    }
  }
  /** @type {number[]} */
  let powers = [];
  for (let i = x.length - 1; i >= 0; i -= 1) {
    const raised = [differences[i], ...powers];
    powers = raised.map((value, power) => value - x[i] * (powers[power] ?? 0));
  }
  return powers;
}

/**
 * Where slope x + second x² + third x³ + fourth x⁴ turns, by Newton's method from 0; else NaN.
 * @param {number[]} coefficients
 * @returns {number}
 */
function rootNearZero([slope, second, third, fourth]) {
  let x = 0;
  for (let step = 0; step < 20; step += 1) {
    const value = slope + x * (2 * second + x * (3 * third + x * 4 * fourth));
    const growth = 2 * second + x * (6 * third + x * 12 * fourth);
    if (growth === 0) {
      return NaN;
    }
    x -= value / growth;
    if (Math.abs(value / growth) <= 1e-14) {
      return x;
    }
  }
  return NaN;
}

/**
 * Index of the first of the largest values.
 * @param {Float64Array} values
 * @returns {number}
 */
function argmax(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

/**
 * Place of the largest value, by a quartic through it and two neighbours on each side.
 * @param {Float64Array} grid
 * @param {Float64Array} values
 * @returns {number}
 */
function peakOf(grid, values) {
  const i = argmax(values);
  if (i < 2 || i >= grid.length - 2) {
    return grid[i];
  }
  const unit = grid[i + 1] - grid[i - 1];
  const near = [i - 2, i - 1, i, i + 1, i + 2];
  const [, ...higher] = polynomialThrough(
    near.map((index) => (grid[index] - grid[i]) / unit),
    near.map((index) => values[index] / values[i]),
  );
  const place = grid[i] + unit * rootNearZero(higher);
  return place > grid[i - 1] && place < grid[i + 1] ? place : grid[i];
}

/**
 * Share of the mixture of ELBOs that has a negative sign.
 * @param {Float64Array} grid
 * @param {Float64Array} values
 * @param {boolean[]} rising One for each step of the grid.
 * @param {Curve} information I(x; z_λ) of the data.
 * @returns {number}
 */
function negativeShareOf(grid, values, rising, information) {
  const last = grid.length - 1;
  let negative = 0;
  let positive = values[last] * information(grid[last]);
  for (let step = 0; step < last; step += 1) {
    const change = values[step + 1] - values[step];
    const spent = change * information((grid[step + 1] + grid[step]) / 2);
    if (rising[step]) {
      negative += spent;
    } else if (change < 0) {
      positive -= spent; // a rise that is not marked is the start of a support
    }
  }
  return negative === 0 ? 0 : negative / positive;
}

/**
 * Is w monotone (non-increasing in λ), where does it rise, and how much is negative?
 * @param {Float64Array} grid Increasing λ in nats, shape (n,).
 * @param {Float64Array} values w on the eps error, shape (n,).
 * @param {[number, number]} [support] The start of the support is no rise.
 * @param {Curve} [information] I(x; z_λ) of the data; by default N(0, I).
 * @returns {Verdict}
 */
export function verdictOf(
  grid,
  values,
  support = [-Infinity, Infinity],
  information = gaussianInformation,
) {
  if (!values.some((value) => value !== 0)) {
    throw new RangeError("the weighting is 0 on the whole grid; take a grid inside its support");
  }
  const [low, high] = support;
  const rising = Array.from(values.subarray(1), (next, step) => {
    const now = values[step];
    const rises = next - now > 1e-9 * Math.max(next, now);
    return rises && grid[step] >= low && grid[step + 1] <= high;
  });
  const rises = stretches(grid, rising);
  return {
    monotone: rises.length === 0,
    rises,
    peak: peakOf(grid, values),
    negativeShare: negativeShareOf(grid, values, rising, information),
  };
}

/**
 * The verdict on an objective, on [−20, 20] cut to its support.
 * @param {Objective} recipe
 * @returns {Verdict}
 */
export function verdict(recipe) {
  const grid = gridWithin(recipe.law.support);
  return verdictOf(grid, weighting(recipe, grid), recipe.law.support);
}

// Nodes and weights of the Gauss–Legendre rule on [−1, 1].
const NODES = [
  -0.9815606342467192,
  -0.9041172563704748,
  -0.7699026741943047,
  -0.5873179542866175,
  -0.3678314989981802,
  -0.1252334085114689,
  0.1252334085114689,
  0.3678314989981802,
  0.5873179542866175,
  0.7699026741943047,
  0.9041172563704748,
  0.9815606342467192,
];
const WEIGHTS = [
  0.04717533638651141,
  0.10693932599531907,
  0.16007832854334642,
  0.20316742672306573,
  0.2334925365383546,
  0.2491470458134027,
  0.2491470458134027,
  0.2334925365383546,
  0.20316742672306573,
  0.16007832854334642,
  0.10693932599531907,
  0.04717533638651141,
];
const SHARE_PANELS = 400; // of the range, with the nodes of the rule in each

/**
 * Shares of ∫ w · error dλ that lie below a λ, for several errors of a denoiser.
 * @param {Objective} recipe
 * @param {number} at λ in nats.
 * @param {Curve[]} errors
 * @param {number} [low] Least λ of the whole.
 * @param {number} [high] Largest λ of the whole.
 * @returns {number[]} One share for each error.
 */
export function sharesBelow(recipe, at, errors, low = -10, high = 10) {
  const nothing = `there is no weight on logsnr [${low}, ${high}]; widen the range`;
  const [first, last] = recipe.law.support;
  if (low >= last || high <= first) {
    throw new RangeError(nothing);
  }
  const even = gridWithin(recipe.law.support, low, high, SHARE_PANELS + 1);
  const { nodes, weights, isBelow } = panelNodes(panelEdges(even, at), at);
  const w = weighting(recipe, nodes);
  return errors.map((mmse) => {
    let [below, whole] = [0, 0];
    lossDensity(w, nodes, mmse).forEach((spent, index) => {
      whole += spent * weights[index];
      below += isBelow[index] ? spent * weights[index] : 0;
    });
    if (!(whole > 0)) {
      throw new RangeError(nothing);
    }
    return below / whole;
  });
}

/**
 * Nodes of the rule in each panel, with their weights, and whether the panel ends at or below a λ.
 * @param {Float64Array} edges Increasing λ.
 * @param {number} at λ in nats.
 * @returns {{nodes: Float64Array, weights: Float64Array, isBelow: boolean[]}}
 */
function panelNodes(edges, at) {
  const size = (edges.length - 1) * NODES.length;
  const [nodes, weights] = [new Float64Array(size), new Float64Array(size)];
  const isBelow = new Array(size);
  for (let panel = 0; panel < edges.length - 1; panel += 1) {
    const half = (edges[panel + 1] - edges[panel]) / 2;
    NODES.forEach((node, place) => {
      const index = panel * NODES.length + place;
      nodes[index] = edges[panel] + half * (1 + node);
      weights[index] = half * WEIGHTS[place];
      isBelow[index] = edges[panel + 1] <= at;
    });
  }
  return { nodes, weights, isBelow };
}

/**
 * Ends of even panels, and one more where a share ends.
 * @param {Float64Array} even Increasing λ.
 * @param {number} at λ in nats.
 * @returns {Float64Array}
 */
function panelEdges(even, at) {
  const isBetween = at > even[0] && at < even[even.length - 1] && !even.includes(at);
  return isBetween ? Float64Array.from([...even, at]).sort() : even;
}

/**
 * The middle value, or the mean of the two middle ones.
 * @param {ArrayLike<number>} values
 * @returns {number}
 */
export function median(values) {
  const sorted = new Float64Array(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @typedef {object} Departure
 * @property {number} factor Largest factor, at least 1; NaN without a ratio.
 * @property {number} index First place where it is met but for rounding; −1 without a ratio.
 * @property {number} count Number of places where both weightings are above 0.
 */

const ALIKE = 1 - 1e-9; // factors whose ratio is above this are equal but for rounding

/**
 * Largest factor between the ratio of two weightings and its median.
 *
 * @param {Float64Array} a
 * @param {Float64Array} b
 * @returns {Departure}
 */
export function factorOf(a, b) {
  const ratios = new Float64Array(a.length);
  const places = new Int32Array(a.length);
  let count = 0;
  for (let index = 0; index < a.length; index += 1) {
    if (a[index] > 0 && b[index] > 0) {
      ratios[count] = a[index] / b[index];
      places[count] = index;
      count += 1;
    }
  }
  if (!count) {
    return { factor: NaN, index: -1, count };
  }
  const kept = ratios.subarray(0, count);
  const usual = median(kept);
  const factors = kept.map((ratio) => Math.max(ratio / usual, usual / ratio));
  const factor = factors.reduce((most, value) => Math.max(most, value), 1);
  const worst = factors.findIndex((value) => value >= ALIKE * factor);
  return { factor, index: places[worst], count };
}
