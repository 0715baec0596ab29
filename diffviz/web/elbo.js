// The explorer of the ELBO in the browser: a weighted loss as a signed mixture of ELBOs.
//
// The kernel is asked for a pasted table, and for objectives that have no formula here.

import { gradient, gridWithin, linspace, trapezoid, verdictOf } from "./analysis.js";
import { FAMILIES, valuesOf } from "./families.js";
import { general, minus, percent } from "./looks.js";
import { weighting } from "./objectives.js";
import { isKnown, published } from "./published.js";
import { chart, note, table } from "./records.js";
import { expit, softplus } from "./special.js";
import { splineAt } from "./splines.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./objectives.js").Objective} Objective
 *
 * @typedef {object} Known What is known of data; the splines are of logarithms.
 * @property {number} dimension
 * @property {number} square E‖x‖².
 * @property {number} entropy In nats.
 * @property {import("./splines.js").Spline} mmse Least eps error.
 * @property {import("./splines.js").Spline} information I(x; z_λ) in nats.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Record<string, Known>} known By the names in the menu, in their order.
 * @property {Record<string, Record<string, string>>} parameters Of each family: its controls.
 * @property {string[]} head Of the table of verdicts.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours Of curves and of published objectives.
 * @property {Record<string, string>} shades Of what is looked at, by its name in the menu.
 *
 * @typedef {object} Mixture See `SignedMixture` of `diffviz.lab.experiments.elbo`.
 * @property {Float64Array} logsnr
 * @property {Float64Array} w
 * @property {Float64Array} augmentation −dw/dλ.
 * @property {Float64Array} information
 * @property {Float64Array} mmse
 * @property {number} loss
 * @property {number} between
 * @property {number} atHigh
 * @property {number} atLow
 * @property {number} added Share by which the loss grew when w was held.
 */

const POINTS = 801;
/** @type {[number, number]} */
const RANGE = [-20, 20];
const LEAST_END = 3; // nats from 0 between which and 20 an end moves
const LAW = "−dw/dλ";
const W = "w";
const NEGATIVE = "negative";
const MIXED = "−w′·L";
const DIRECT = "½w·mmse";
const TIMES = [2, 5, 10, 20, 50, 100, 200, 500, 1000]; // larger, in which what is below 0 is drawn
const ROUNDING = 1e-9; // of the axis: what is less below 0 is not drawn larger
const OVER_HIGH = "λₘₐₓ moves";
const OVER_LOW = "λₘᵢₙ moves";

// --- the mixture ------------------------------------------------------------------------------

/**
 * The objective that is chosen; null where the browser has no formula for it.
 * @param {State} state
 * @param {Data} data
 * @returns {Objective | null}
 */
function objectiveOf(state, { parameters }) {
  const name = state.weighting;
  if (isKnown(name)) return published(name);
  if (!Object.hasOwn(FAMILIES, name)) return null;
  return FAMILIES[name](valuesOf(parameters[name], state));
}

/**
 * w held at its peak to the left: the least curve above it that never rises.
 * @param {Float64Array} w
 * @returns {Float64Array}
 */
function heldAtPeak(w) {
  const held = w.slice();
  for (let index = held.length - 2; index >= 0; index -= 1) {
    held[index] = Math.max(held[index], held[index + 1]);
  }
  return held;
}

/**
 * A weighted loss as a signed mixture of ELBOs, between the chosen ends.
 * @param {Objective} recipe
 * @param {State} state
 * @param {Known} known
 * @returns {Mixture}
 */
function mixtureOf(recipe, { low, high, held }, known) {
  const logsnr = gridWithin(recipe.law.support, low, high, POINTS);
  const last = POINTS - 1;
  const plain = weighting(recipe, logsnr);
  const w = held ? heldAtPeak(plain) : plain;
  const most = Math.max(...w);
  const isFlat = most - Math.min(...w) < 1e-9 * most;
  const mmse = logsnr.map((level) => Math.exp(splineAt(known.mmse, level)));
  const informationAt = (/** @type {number} */ level) =>
    Math.exp(splineAt(known.information, level));
  const information = logsnr.map(informationAt);
  let between = 0;
  for (let step = 0; step < last; step += 1) {
    between -= (w[step + 1] - w[step]) * informationAt((logsnr[step + 1] + logsnr[step]) / 2);
  }
  const lossOf = (/** @type {Float64Array} */ of) =>
    trapezoid(of.map((value, index) => value * mmse[index]), logsnr) / 2;
  const loss = lossOf(w);
  return {
    logsnr,
    w,
    augmentation: isFlat ? w.map(() => 0) : gradient(w, logsnr).map((slope) => -slope),
    information,
    mmse,
    loss,
    between,
    atHigh: w[last] * information[last],
    atLow: -w[0] * information[0],
    added: loss / lossOf(plain) - 1,
  };
}

/**
 * −dw/dλ over its largest absolute value.
 * @param {Mixture} mixture
 * @returns {Float64Array}
 */
function scaledLaw({ augmentation }) {
  const largest = Math.max(...augmentation.map(Math.abs));
  return largest > 0 ? augmentation.map((value) => value / largest) : augmentation;
}

/**
 * The three terms of E[−ELBO] of the exact denoiser between two ends of λ, in nats.
 * @param {Known} known
 * @param {number} low
 * @param {number} high
 * @returns {{prior: number, diffusion: number, reconstruction: number}}
 */
export function termsOf({ dimension, square, information }, low, high) {
  const ofUnit = dimension * (expit(-low) - 1 + softplus(low));
  return {
    prior: (ofUnit + expit(low) * square) / 2,
    diffusion: Math.exp(splineAt(information, high)) - Math.exp(splineAt(information, low)),
    reconstruction: (dimension / 2) * (Math.log(2 * Math.PI) + 1 - high),
  };
}

/**
 * E[−ELBO] of the exact denoiser between two ends of λ, in nats.
 * @param {Known} known
 * @param {number} low
 * @param {number} high
 * @returns {number}
 */
function negativeElbo(known, low, high) {
  const { prior, diffusion, reconstruction } = termsOf(known, low, high);
  return prior + diffusion + reconstruction;
}

// --- the charts -------------------------------------------------------------------------------

/**
 * The part of a curve below 0 with the next point on each side, which is 0; NaN elsewhere.
 * @param {Float64Array} values
 * @returns {Float64Array}
 */
function negative(values) {
  const isNear = (/** @type {number} */ index) =>
    [index - 1, index, index + 1].some((place) => values[place] < 0);
  return values.map((value, index) => (isNear(index) ? Math.min(value, 0) : NaN));
}

/**
 * The area between the part of a curve below 0 and the axis.
 * @param {Float64Array} values
 * @returns {[Float64Array, Float64Array]}
 */
function bandBelow(values) {
  return [values.map((value) => Math.min(value, 0)), values.map(() => 0)];
}

/**
 * @param {Mixture} mixture
 * @param {Record<string, Mixture>} besides
 * @param {[number, number]} xlim
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function lawChart(mixture, besides, xlim, { label, colours }) {
  const { logsnr, w } = mixture;
  const law = scaledLaw(mixture);
  const most = Math.max(...w);
  /** @type {Record<string, Float64Array>} */
  const x = { [W]: logsnr, [LAW]: logsnr, [NEGATIVE]: logsnr };
  /** @type {Record<string, Float64Array>} */
  const curves = { [W]: w.map((value) => value / most) };
  /** @type {Record<string, number>} */
  const dashes = { [W]: 1, [LAW]: 0, [NEGATIVE]: 0 };
  for (const [name, other] of Object.entries(besides)) {
    x[name] = other.logsnr;
    curves[name] = scaledLaw(other);
    dashes[name] = 2;
  }
  Object.assign(curves, { [LAW]: law, [NEGATIVE]: negative(law) });
  return chart({
    x,
    curves,
    xlabel: label,
    ylabel: "over its largest size",
    title: "−dw/dλ, a law only where it is positive",
    xlim,
    ylim: [-1.1, 1.1],
    colours,
    dashes,
    bands: { [NEGATIVE]: bandBelow(law) },
  });
}

/**
 * The upper end of the vertical axis, a power of two, so that a slider seldom moves it.
 * @param {Float64Array[]} curves
 * @returns {number}
 */
function steadyTop(curves) {
  const most = Math.max(...curves.map((curve) => Math.max(...curve)));
  return 0.1 * 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(most, 1e-9) / 0.095)));
}

/**
 * How many times what is below 0 is drawn, so that it can be seen below the axis.
 * @param {Float64Array} values
 * @param {number} top The upper end of the vertical axis.
 * @returns {number}
 */
function enlargement(values, top) {
  const depth = -Math.min(...values);
  if (depth < ROUNDING * top) return 1;
  return Math.max(1, ...TIMES.filter((times) => times * depth <= top / 2));
}

/**
 * What each level adds to the loss, as an error and as an ELBO.
 * @param {Mixture} mixture
 * @param {[number, number]} xlim
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function sharesChart(mixture, xlim, { label, colours }) {
  const { logsnr, w, augmentation, information, mmse, loss } = mixture;
  const asElbos = augmentation.map((value, index) => (value * information[index]) / loss);
  const asErrors = w.map((value, index) => (value * mmse[index]) / 2 / loss);
  const top = steadyTop([asElbos, asErrors]);
  const times = enlargement(asElbos, top);
  const below = times === 1 ? NEGATIVE : `${NEGATIVE} × ${times}`;
  const enlarged = asElbos.map((value) => times * value);
  const least = Math.min(...enlarged);
  const bottom = least > -top / 9 ? -top / 8 : Math.min(-top / 2, 1.1 * least);
  return chart({
    x: logsnr,
    curves: { [DIRECT]: asErrors, [MIXED]: asElbos, [below]: negative(enlarged) },
    xlabel: label,
    ylabel: "share per nat of λ",
    title: "what each level adds to the loss",
    xlim,
    ylim: [bottom, top],
    colours: { ...colours, [below]: colours[NEGATIVE] },
    dashes: { [DIRECT]: 1, [MIXED]: 0, [below]: 0 },
    bands: { [below]: bandBelow(enlarged) },
  });
}

/**
 * The gap of the unweighted ELBO as either end moves and the other stays.
 * @param {State} state
 * @param {Known} known
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function gapChart({ low, high }, known, colours) {
  const highs = linspace(LEAST_END, RANGE[1], 171);
  const lows = linspace(RANGE[0], -LEAST_END, 171);
  const log = (/** @type {number} */ nats) => {
    const gap = nats - known.entropy;
    return gap > 0 ? Math.log10(gap) : NaN;
  };
  const here = Float64Array.of(log(negativeElbo(known, low, high)));
  return chart({
    x: { [OVER_HIGH]: highs, [OVER_LOW]: lows },
    curves: {
      [OVER_HIGH]: highs.map((level) => log(negativeElbo(known, low, level))),
      [OVER_LOW]: lows.map((level) => log(negativeElbo(known, level, high))),
    },
    xlabel: "the end that moves, λ in nats",
    ylabel: "log₁₀ of the gap in nats",
    title: "gap of the unweighted ELBO",
    xlim: RANGE,
    ylim: [-8.5, 2.5],
    colours,
    dashes: { [OVER_HIGH]: 0, [OVER_LOW]: 1 },
    dots: {
      [OVER_HIGH]: [Float64Array.of(high), here],
      [OVER_LOW]: [Float64Array.of(low), here],
    },
  });
}

// --- the texts --------------------------------------------------------------------------------

/**
 * The verdict on a weighting in words, and its negative share on each of the data.
 * @param {Mixture} mixture
 * @param {Data} data
 * @returns {string[]}
 */
function verdictCells({ logsnr, w }, { known }) {
  const verdicts = Object.values(known).map(({ information }) =>
    verdictOf(logsnr, w, undefined, (level) => Math.exp(splineAt(information, level))),
  );
  if (verdicts[0].monotone) return ["monotone: a sum of ELBOs", ...verdicts.map(() => "0")];
  const peak = Math.round(100 * verdicts[0].peak) / 100 + 0;
  const shares = verdicts.map(({ negativeShare }) => percent(negativeShare, 2));
  return [`not monotone: peak ${minus(peak.toFixed(2))}`, ...shares];
}

/**
 * A share in per cent without a negative zero.
 * @param {number} share
 * @returns {string}
 */
function tidyPercent(share) {
  return minus(percent(Math.round(1000 * share) / 1000 + 0));
}

/**
 * The loss by both routes, and the parts of it that sit at the ends.
 * @param {Mixture} mixture
 * @param {boolean} held
 * @returns {Record<string, any>}
 */
function partsTable({ loss, between, atHigh, atLow, added }, held) {
  const parts = [between, atHigh, atLow];
  const whole = parts.reduce((sum, part) => sum + part, 0);
  const more = held ? `, ${percent(added, 2)} added by the hold` : "";
  const shares = parts.map((part) => tidyPercent(part / loss));
  return table(
    ["the loss", "in nats", "between the ends", "at λₘₐₓ", "at λₘᵢₙ"],
    [
      [`as errors ½∫w·mmse dλ${more}`, general(loss, 4), "100%", "", ""],
      ["as ELBOs −∫w′L dλ + ends", general(whole, 4), ...shares],
    ],
  );
}

/**
 * The unweighted ELBO between the ends, beside the entropy.
 * @param {State} state
 * @param {Known} known
 * @returns {Record<string, any>}
 */
function gapNote({ low, high }, known) {
  const nats = negativeElbo(known, low, high);
  const { entropy } = known;
  return note(
    minus(
      `E[-ELBO] = ${nats.toFixed(5)} nats on [${general(low)}, ${general(high)}], ` +
        `entropy ${entropy.toFixed(5)}, gap ${general(nats - entropy, 2)}`,
    ),
  );
}

/**
 * The charts, tables and the note of a state; null where the kernel must answer.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function compute(state, data) {
  const recipe = objectiveOf(state, data);
  if (!recipe || !state.beside.every(isKnown)) return null;
  const known = data.known[state.data];
  const mixture = mixtureOf(recipe, state, known);
  const besides = Object.fromEntries(
    state.beside.map((/** @type {string} */ name) => [
      name,
      mixtureOf(published(name), state, known),
    ]),
  );
  const isGap = state.right === "gap of the ELBO";
  /** @type {[number, number]} */
  const xlim = [state.low, state.high];
  const named = [[state.weighting, mixture], ...Object.entries(besides)];
  const rows = named.map(([name, one]) => [name, ...verdictCells(one, data)]);
  const shade = data.shades[state.weighting];
  /** @type {Record<string, string>} */
  const colours = { ...data.colours, [LAW]: shade, [MIXED]: shade };
  const shown = { ...data, colours };
  const marks = [LAW, ...Object.keys(besides)].map((name) => colours[name]);
  const panels = [
    lawChart(mixture, besides, xlim, shown),
    isGap ? gapChart(state, known, colours) : sharesChart(mixture, xlim, shown),
    table(data.head, rows, marks),
    partsTable(mixture, state.held),
    gapNote(state, known),
  ];
  return { panels, columns: 2 };
}

export const local = { compute };
