// The explorer of schedules in the browser: one weighted loss under any density of λ.
//
// A loss that fills in, batch after batch, comes from the kernel.

import { gaussianMmse, gridWithin, linspace, lossDensity, trapezoid } from "./analysis.js";
import { hypsecant, isf, logistic, logitNormalLogsnr, normal, uniform } from "./laws.js";
import { general, minus, percent } from "./looks.js";
import { weighting } from "./objectives.js";
import { isKnown, published } from "./published.js";
import { chart, note } from "./records.js";
import { expit, logExpit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./objectives.js").Objective} Objective
 *
 * @typedef {object} Density A density of λ that is a standard one, moved and stretched.
 * @property {import("./laws.js").Law} law
 * @property {Curve} logpdf Logarithm of the density, which does not underflow.
 * @property {(quantiles: Quantiles) => Float64Array} levels λ with 1 − t of the mass below.
 *
 * @typedef {Record<"hypsecant" | "logistic" | "normal" | "uniform", Float64Array>} Quantiles
 *
 * @typedef {{label: string, colours: Record<string, string>}} Data Label of the axis of λ, and the
 *   colours of the densities, of the best one and of the one without a shift.
 *
 * @typedef {{second: number, least: number, missed: number}} Cost
 */

const SIX = "six views";
const LIVE = "live loss";
const LOOKS_AT = "p(λ)";
const SPENDS = "the best p ∝ w·mmse";
const ADDS = "under p(λ)";
const ADDS_LEAST = "under the best p";
const UNSHIFTED = "no shift";
const GRID = linspace(-20, 20, 801);
/** @type {[number, number]} */
const SEEN = [-12, 12]; // the part of it that is drawn
const INFINITE = 40; // |λ| in nats that stands for infinity
const POINTS = 8001; // of an integral over λ
const TIMES = linspace(0.001, 0.999, 400);
/** @type {Record<string, [number, number]>} */
const RANGES = { t: [1, 0], λ: [-15, 15], σ: [1, 0] }; // noise on the left

// --- densities --------------------------------------------------------------------------------

/**
 * @param {number} centre
 * @param {number} scale
 * @param {Float64Array} quantiles Of the standard law.
 * @returns {Float64Array}
 */
function spread(centre, scale, quantiles) {
  return quantiles.map((quantile) => centre + scale * quantile);
}

/**
 * @param {number} mean Mean of logit t.
 * @param {number} std Its standard deviation.
 * @returns {Density}
 */
function logitNormal(mean, std) {
  const [centre, scale] = [-2 * mean, 2 * std];
  const constant = Math.log(2 * Math.PI) / 2 + Math.log(scale);
  return {
    law: logitNormalLogsnr(mean, std),
    logpdf: (x) => -(((x - centre) / scale) ** 2) / 2 - constant,
    levels: (quantiles) => spread(centre, scale, quantiles.normal),
  };
}

/** @type {Record<string, (state: State) => Density>} */
const DENSITIES = {
  cosine: () => ({
    law: hypsecant(0, 2),
    logpdf: (x) => -Math.abs(x / 2) - Math.log1p(Math.exp(-Math.abs(x))) - Math.log(Math.PI),
    levels: (quantiles) => spread(0, 2, quantiles.hypsecant),
  }),
  "FM, uniform t": () => ({
    law: logistic(0, 2),
    logpdf: (x) => logExpit(x / 2) + logExpit(-x / 2) - Math.LN2,
    levels: (quantiles) => spread(0, 2, quantiles.logistic),
  }),
  "SD3, logit-normal t": (state) => logitNormal(state.sd3_m, state.sd3_s),
  "EDM, log-normal σ": (state) => logitNormal(state.edm_mean, state.edm_std),
  "uniform λ": ({ uniform_low: low, uniform_high: high }) => ({
    law: uniform(low, high),
    logpdf: (x) => (x >= low && x <= high ? -Math.log(high - low) : -Infinity),
    levels: (quantiles) => spread(low, high - low, quantiles.uniform),
  }),
};

/** @type {Quantiles | undefined} */
let quantilesOfTimes;

/**
 * Where standard laws have 1 − t of their mass below, at each of `TIMES`; found once.
 * @returns {Quantiles}
 */
function standardQuantiles() {
  quantilesOfTimes ??= {
    hypsecant: TIMES.map((t) => -Math.log(Math.tan((Math.PI / 2) * t))),
    logistic: TIMES.map((t) => Math.log1p(-t) - Math.log(t)),
    normal: TIMES.map((t) => isf(normal(0, 1), t)),
    uniform: TIMES.map((t) => 1 - t),
  };
  return quantilesOfTimes;
}

// --- one draw ---------------------------------------------------------------------------------

/**
 * ∫ e^logs dλ; infinite where the integrand has not died out at ±40.
 * @param {Float64Array} logs
 * @param {Float64Array} grid
 * @returns {number}
 */
function integralOf(logs, grid) {
  const peak = logs.reduce((most, value) => Math.max(most, value), -Infinity);
  if (!Number.isFinite(peak)) {
    const [low, high] = [grid[0], grid[grid.length - 1]].map((end) => general(end));
    throw new RangeError(
      `there is no weight on logsnr [${low}, ${high}]; choose another density or weighting`,
    );
  }
  const total = trapezoid(logs.map((value) => Math.exp(value - peak)), grid);
  const isOpen = [0, grid.length - 1].some(
    (end) =>
      Math.abs(grid[end]) > 0.999 * INFINITE && Math.exp(logs[end] - peak) > 1e-3 * total,
  );
  return isOpen ? Infinity : total * Math.exp(peak);
}

/**
 * What one draw of the loss costs: E Y² under the density, the least under any, and the share of
 * the loss that lies outside its range.
 * @param {Objective} recipe
 * @param {Density} density
 * @param {number} move What the shift adds to λ, in nats.
 * @param {number} logVariance Of the data.
 * @returns {Cost}
 */
function costOf(recipe, density, move, logVariance) {
  /** @type {(grid: Float64Array) => Float64Array} */
  const logLoss = (grid) =>
    weighting(recipe, grid).map((w, index) => Math.log(w) + logExpit(grid[index] + logVariance));
  const { support } = recipe.law;
  const [low, high] = density.law.support.map((end) =>
    Math.max(-INFINITE, Math.min(INFINITE, end - move)),
  );
  const whole = gridWithin(support, -INFINITE, INFINITE, POINTS);
  const grid = gridWithin(support, low, high, POINTS);
  const logs = logLoss(grid);
  const seen = integralOf(logs, grid);
  const everything = integralOf(logLoss(whole), whole);
  const squares = logs.map((value, index) => 2 * value - density.logpdf(grid[index] + move));
  const missed = Number.isFinite(everything) ? Math.max(0, 1 - seen / everything) : NaN;
  return { second: 0.75 * integralOf(squares, grid), least: 0.75 * seen ** 2, missed };
}

/**
 * The cost of one draw in sentences; the first is the cost.
 * @param {Cost} cost
 * @param {number} ratioInside E Y² over the least within |λ| ≤ 20.
 * @returns {string[]}
 */
function costTexts({ second, least, missed }, ratioInside) {
  let moment =
    `E Y² = ${general(second, 4)}, smallest ${general(least, 4)} (p ∝ w·mmse), ` +
    `ratio ${(second / least).toFixed(4)}`;
  if (least === Infinity) {
    moment =
      "the loss itself is infinite: w·mmse does not fall off; " +
      "on a bounded range (uniform λ) it is finite";
  } else if (second === Infinity) {
    moment =
      "E Y² is infinite: p(λ) has thinner tails than the loss, " +
      "and no number of draws averages that out" +
      ` (within |λ| ≤ 20 alone the ratio is ${general(ratioInside, 4)})`;
  }
  const texts = [moment];
  if (missed > 5e-5) {
    const unseen = percent(missed, 2);
    texts.push(`${unseen} of the loss lies outside the range of p(λ) and is never seen`);
  }
  if (Number.isNaN(missed) && Number.isFinite(least)) {
    texts.push("outside the range of p(λ) the loss is infinite, and never seen");
  }
  return [...texts, "one draw: Y = w/p · ½‖ε̂ − ε‖² on N(0, c), exact denoiser"];
}

/**
 * Where training looks and where the loss is.
 * @param {Float64Array} p
 * @param {Float64Array} best w·mmse over its integral.
 * @param {string} xlabel
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function densityChart(p, best, xlabel, colours) {
  let highest = 0;
  for (const value of [...p, ...best]) {
    if (value > highest) highest = value;
  }
  return chart({
    x: GRID,
    curves: { [LOOKS_AT]: p, [SPENDS]: best },
    xlabel,
    ylabel: "density per nat",
    title: "where training looks, and where it should",
    xlim: SEEN,
    ylim: [0, 0.25 * 2 ** Math.max(0, Math.ceil(Math.log2(highest / 0.2)))],
    colours,
    dashes: { [LOOKS_AT]: 0, [SPENDS]: 1 },
  });
}

/**
 * What a draw adds to E Y² per nat, for the density and for the best one, and its cost in words.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>[]}
 */
function drawPanels(state, data) {
  const recipe = published(state.weighting);
  const density = DENSITIES[state.density](state);
  const move = 2 * Math.log(state.shift);
  const cost = costOf(recipe, density, move, state.log_c);
  /** @type {Curve} */
  const mmse = (logsnr) => gaussianMmse(logsnr + state.log_c);
  const loss = lossDensity(weighting(recipe, GRID), GRID, mmse);
  const area = trapezoid(loss, GRID);
  const logp = GRID.map((logsnr) => {
    const value = density.logpdf(logsnr + move);
    return value === -Infinity ? NaN : value;
  });
  const total = Number.isFinite(cost.least) ? Math.sqrt(cost.least / 0.75) : area;
  const logBest = loss.map((value, index) => Math.log10(value / total) + 0 * logp[index]);
  const added = logBest.map((value, index) => 2 * value - logp[index] / Math.LN10);
  const inside = trapezoid(added.map((value) => (Number.isNaN(value) ? 0 : 10 ** value)), GRID);
  const [own, best] = [data.colours[state.density], data.colours[SPENDS]];
  const shades = { [LOOKS_AT]: own, [SPENDS]: best };
  const [first, ...rest] = costTexts(cost, inside);
  return [
    densityChart(logp.map(Math.exp), loss.map((value) => value / area), data.label, shades),
    chart({
      x: GRID,
      curves: { [ADDS]: added, [ADDS_LEAST]: logBest },
      xlabel: data.label,
      ylabel: "log₁₀ per nat",
      title: "what each λ adds to E Y², over the least",
      xlim: SEEN,
      ylim: [-5, 3],
      colours: { [ADDS]: own, [ADDS_LEAST]: best },
      dashes: { [ADDS]: 0, [ADDS_LEAST]: 1 },
    }),
    note(first, true),
    ...rest.map((text) => note(text)),
  ];
}

// --- six views --------------------------------------------------------------------------------

/**
 * What six views show of a schedule under a shift.
 * @param {Density} density
 * @param {number} shift
 * @returns {Record<string, Float64Array>}
 */
function viewsOf(density, shift) {
  const start = density.levels(standardQuantiles());
  const logsnr = start.map((level) => level - 2 * Math.log(shift));
  const sigma = logsnr.map((level) => Math.sqrt(expit(-level)));
  const p = start.map(density.law.pdf);
  const overSigma = p.map((value, index) => (value * 2) / (sigma[index] * expit(logsnr[index])));
  return { time: TIMES, logsnr, sigma, p, overSigma, slope: p.map((value) => -1 / value) };
}

/**
 * The density as a schedule under uniform time, in six views; under a shift also without it.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>[]}
 */
function sixPanels(state, data) {
  const density = DENSITIES[state.density](state);
  const name = state.density;
  /** @type {Record<string, Record<string, Float64Array>>} */
  const drawn = { [name]: viewsOf(density, state.shift) };
  if (state.shift !== 1) drawn[UNSHIFTED] = viewsOf(density, 1);
  /** @type {(key: string) => Record<string, Float64Array>} */
  const each = (key) =>
    Object.fromEntries(Object.entries(drawn).map(([one, views]) => [one, views[key]]));
  /** @type {[string, string, string, string, string, [number, number] | null][]} */
  const views = [
    ["time", "logsnr", "t", "λ", "λ over time", [-15, 15]],
    ["time", "sigma", "t", "σ", "σ over time", [0, 1.02]],
    ["logsnr", "sigma", "λ", "σ", "σ over λ", [0, 1.02]],
    ["logsnr", "p", "λ", "p(λ)", "p over λ", null],
    ["sigma", "overSigma", "σ", "p(σ)", "p over σ", [0, 6]],
    ["time", "slope", "t", "dλ/dt", "speed dλ/dt", [-60, 0]],
  ];
  return views.map(([place, value, xlabel, ylabel, title, ylim]) =>
    chart({
      x: each(place),
      curves: each(value),
      xlabel,
      ylabel,
      title,
      xlim: RANGES[xlabel],
      ylim,
      colours: { [name]: data.colours[name], [UNSHIFTED]: data.colours[UNSHIFTED] },
      dashes: { [name]: 0, [UNSHIFTED]: 1 },
    }),
  );
}

/**
 * What a shift does in words; nothing for the shift 1, which does nothing.
 * @param {number} shift
 * @returns {Record<string, any>[]}
 */
function shiftNotes(shift) {
  if (shift === 1) return [];
  const move = (-2 * Math.log(shift)).toFixed(3);
  return [note(minus(`shift ${general(shift)} moves λ by −2 log s = ${move}`))];
}

/**
 * The charts of a state and the cost of one draw; null where the kernel must answer.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function compute(state, data) {
  if (state.picture === LIVE || !isKnown(state.weighting)) return null;
  const shift = shiftNotes(state.shift);
  return state.picture === SIX
    ? { panels: [...sixPanels(state, data), ...shift], columns: 3 }
    : { panels: [...drawPanels(state, data), ...shift], columns: 2 };
}

export const local = { compute };
