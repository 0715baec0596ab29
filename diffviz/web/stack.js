// The explorer of a stack of VAEs in the browser: what its layers cost, and where it loses nats.

import { linspace } from "./analysis.js";
import { termsOf } from "./elbo.js";
import { general, minus } from "./looks.js";
import { chart, table } from "./records.js";
import { splineAt } from "./splines.js";

/**
 * @typedef {import("./elbo.js").Known} Known
 *
 * @typedef {object} State
 * @property {string} data
 * @property {number} low λ_min in nats.
 * @property {number} high λ_max in nats.
 * @property {number} layers
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Record<string, Known>} known By the names in the menu.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours Of curves.
 *
 * @typedef {object} Ends What does not depend on the number of layers, in nats.
 * @property {number} prior
 * @property {number} limit The diffusion term without steps.
 * @property {number} reconstruction
 * @property {number} atNoise Lost at λ_min.
 * @property {number} atData Lost at λ_max.
 */

/** @type {[number, number]} */
const RANGE = [-20, 20];
const SHOWN = [-10, 10]; // λ of the left chart at least, in nats
const FINEST = [2048, 1536]; // layers, whose halves are the others that are drawn
const LEAST_LAYERS = 8;
const SMOOTH = 800; // points of the stairs at least
const LEAST_SHOWN = 1e-3; // nats; what is lost below that is told by the table alone
const LEAST = 1e-9; // nats, below which a difference of terms is only rounding
const LAYERS = "layers";
const LIMIT = "in the limit";
const AT_NOISE = "at λₘᵢₙ";
const BY_STEPS = "by the steps";
const AT_DATA = "at λₘₐₓ";
const IN_ALL = "in all";

/**
 * The least eps error at a level.
 * @param {Known} known
 * @param {number} level
 * @returns {number}
 */
function errorAt({ mmse }, level) {
  return Math.exp(splineAt(mmse, level));
}

/**
 * The terms of the stack without steps, and what is lost at its ends.
 * @param {State} state
 * @param {Known} known
 * @returns {Ends}
 */
function endsOf({ low, high }, known) {
  const { prior, diffusion, reconstruction } = termsOf(known, low, high);
  const informationAt = (/** @type {number} */ level) =>
    Math.exp(splineAt(known.information, level));
  return {
    prior,
    limit: diffusion,
    reconstruction,
    atNoise: prior - informationAt(low),
    atData: informationAt(high) + reconstruction - known.entropy,
  };
}

/**
 * The least eps error at the noisier end of each layer.
 * @param {State} state
 * @param {Known} known
 * @param {number} layers
 * @returns {Float64Array}
 */
function errorsOf({ low, high }, known, layers) {
  const thickness = (high - low) / layers;
  return Float64Array.from({ length: layers }, (_, k) => errorAt(known, low + thickness * k));
}

/**
 * The diffusion term of a stack that has a layer for each so many of these errors.
 * @param {State} state
 * @param {Float64Array} errors
 * @param {number} [stride]
 * @returns {number}
 */
function diffusionOf({ low, high }, errors, stride = 1) {
  let sum = 0;
  for (let index = 0; index < errors.length; index += stride) sum += errors[index];
  return (Math.expm1(((high - low) * stride) / errors.length) / 2) * sum;
}

/**
 * Pairs of a number of layers and its diffusion term, by number.
 * @param {State} state
 * @param {Known} known
 * @returns {number[][]}
 */
function diffusions(state, known) {
  const pairs = [];
  for (const finest of FINEST) {
    const errors = errorsOf(state, known, finest);
    for (let stride = 1; finest / stride >= LEAST_LAYERS; stride *= 2) {
      pairs.push([finest / stride, diffusionOf(state, errors, stride)]);
    }
  }
  return pairs.sort(([one], [other]) => one - other);
}

// --- the charts -------------------------------------------------------------------------------

/**
 * The cost of layers over λ, and without steps.
 * @param {State} state
 * @param {Known} known
 * @param {Float64Array} errors At the noisier ends of the layers.
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function costChart({ low, high, layers }, known, errors, { label, colours }) {
  const ofLayer = Math.ceil(SMOOTH / layers); // points
  const points = ofLayer * layers;
  const places = Float64Array.from(
    { length: points },
    (_, k) => low + ((high - low) * (k + 0.5)) / points,
  );
  const perNat = (Math.expm1((high - low) / layers) / 2) * (layers / (high - low));
  const costs = places.map((_, k) => perNat * errors[Math.floor(k / ofLayer)]);
  const whole = linspace(...RANGE, 401);
  const most = costs.reduce((so, value) => Math.max(so, value), 1);
  const below = places.map((level) => errorAt(known, level) / 2);
  return chart({
    x: { [LIMIT]: whole, [LAYERS]: places },
    curves: { [LIMIT]: whole.map((level) => errorAt(known, level) / 2), [LAYERS]: costs },
    xlabel: label,
    ylabel: "nats per nat of λ",
    title: "what a layer costs",
    xlim: [Math.min(low, SHOWN[0]), Math.max(high, SHOWN[1])],
    ylim: [0, 2 ** (Math.ceil(2 * Math.log2(1.05 * most)) / 2)],
    colours,
    dashes: { [LIMIT]: 1, [LAYERS]: 0 },
    bands: { [LAYERS]: [below, costs] },
  });
}

/**
 * What is lost by number of layers: at both ends, by the steps, and in all.
 * @param {State} state
 * @param {Known} known
 * @param {Ends} ends
 * @param {number} lost By the stack that is chosen.
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function lostChart(state, known, { limit, atNoise, atData }, lost, colours) {
  const pairs = diffusions(state, known);
  const drawn = (/** @type {(steps: number) => number} */ nats) =>
    Float64Array.from(pairs, ([, diffusion]) => {
      const value = nats(diffusion - limit);
      return value >= LEAST ? value : NaN;
    });
  const inAll = drawn((steps) => atNoise + steps + atData);
  const most = Math.max(...inAll.filter((value) => !Number.isNaN(value)));
  const curves = Object.entries({
    [IN_ALL]: inAll,
    [AT_NOISE]: drawn(() => atNoise),
    [BY_STEPS]: drawn((steps) => steps),
    [AT_DATA]: drawn(() => atData),
  }).filter(([, nats]) => nats.some((value) => value >= LEAST_SHOWN));
  return chart({
    x: Float64Array.from(pairs, ([count]) => count),
    curves: Object.fromEntries(curves),
    xlabel: "layers T",
    ylabel: "nats",
    title: "what the stack loses",
    xscale: "log",
    yscale: "log",
    xlim: [LEAST_LAYERS, FINEST[0]],
    ylim: [LEAST_SHOWN, 10 ** Math.ceil(Math.log10(most))],
    colours,
    dashes: { [IN_ALL]: 0, [AT_NOISE]: 2, [BY_STEPS]: 1, [AT_DATA]: 3 },
    dots: { [IN_ALL]: [Float64Array.of(state.layers), Float64Array.of(lost)] },
  });
}

// --- the texts --------------------------------------------------------------------------------

/**
 * The three terms and their sum, for the stack and without steps.
 * @param {State} state
 * @param {Known} known
 * @param {Ends} ends
 * @param {number} diffusion Of the stack.
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function termsTable({ layers }, { dimension }, ends, diffusion, colours) {
  const { prior, limit, reconstruction } = ends;
  const row = (/** @type {string} */ words, /** @type {number} */ middle) => {
    const total = prior + middle + reconstruction;
    const terms = [prior, middle, reconstruction, total, total / dimension / Math.LN2];
    return [words, ...terms.map((term) => minus(term.toFixed(4)))];
  };
  return table(
    ["nats", "prior", "diffusion", "reconstruction", "−ELBO", "nats / (d log 2)"],
    [row(`${layers} layers`, diffusion), row(LIMIT, limit)],
    [colours[LAYERS], colours[LIMIT]],
  );
}

/**
 * What the stack loses to the entropy, and where.
 * @param {Known} known
 * @param {number[]} lost
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function lostTable({ entropy }, lost, colours) {
  const cells = lost.map((nats) => (nats < LEAST ? "below 1e−9" : minus(general(nats, 2))));
  return table(
    ["lost", AT_NOISE, BY_STEPS, AT_DATA, IN_ALL],
    [[`over the entropy ${entropy.toFixed(4)}`, ...cells]],
    [colours[IN_ALL]],
  );
}

/**
 * The charts and tables of a state.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute(state, data) {
  const known = data.known[state.data];
  const ends = endsOf(state, known);
  const errors = errorsOf(state, known, state.layers);
  const diffusion = diffusionOf(state, errors);
  const parts = [ends.atNoise, diffusion - ends.limit, ends.atData];
  const lost = parts.reduce((sum, part) => sum + part, 0);
  const panels = [
    costChart(state, known, errors, data),
    lostChart(state, known, ends, lost, data.colours),
    termsTable(state, known, ends, diffusion, data.colours),
    lostTable(known, [...parts, lost], data.colours),
  ];
  return { panels, columns: 2 };
}

export const local = { compute };
