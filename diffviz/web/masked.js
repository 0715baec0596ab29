// The explorer of masked objectives in the browser: curves over λ or by count, of any entries.
//
// The weightings of the catalogue come as tables, and so do those of all losses that a reader can
// make of a rate, a factor and a divisor. Those by count are on a page only, since a kernel
// computes them at once.

import { general, percent } from "./looks.js";
import { chart, note, table } from "./records.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {Record<string, Float64Array>} Curves
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} levels λ in nats.
 * @property {Curves} weightings By entry, or by the parts of a loss that is made; on the
 *   cross-entropy summed over masked tokens.
 * @property {Record<string, Uint8Array>} inside By entry: 1 where λ is inside the support, else 0.
 * @property {Curves} factors By base: what such a weighting is multiplied by to act on that.
 * @property {Float64Array} floor Loss of the exact predictor on short sequences.
 * @property {Curves} [counts] By entry: the weights by count, for one length after the other.
 * @property {Record<string, string[]>} rows Of the table, by entry.
 * @property {Record<string, string>} limits By entry: in which limit it is a weighting, or "".
 * @property {string[]} head Of the table.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours
 */

const BY_COUNT = "by count";
const SPENT = "on exact data";
const OVER_ELBO = "over ELBO";
const OWN = "yours"; // the loss that a reader makes
const TOPS = [1.25, 1.6, 2.25, 3]; // of the axis of a weighting
const LENGTH = "length";
const LIMITS = ["long sequences", "large batches"]; // in which a mean is a weighting over λ
const BATCH = "masked tokens of the batch";
const RATIO = "the ratio r to the ELBO's weighting";
/** @type {Record<string, string>} */
const TITLES = {
  "over λ": "the weighting over λ",
  [BY_COUNT]: "weight of sequences with k masked tokens, over the ELBO's",
  [SPENT]: "where each loss is spent on short sequences; heights are relative",
};

/**
 * A curve over λ at one place, between two points on the line through them.
 * @param {Float64Array} levels Increasing λ in nats, shape (n,).
 * @param {Float64Array} values Shape (n,).
 * @param {number} at λ in nats.
 * @returns {number} NaN where a neighbour is NaN.
 */
function valueAt(levels, values, at) {
  const place = levels.findLastIndex((level) => level <= at);
  if (levels[place] === at) return values[place];
  const share = (at - levels[place]) / (levels[place + 1] - levels[place]);
  return values[place] + share * (values[place + 1] - values[place]);
}

/**
 * Values over that at an anchor, or over the largest where there is none.
 * @param {Float64Array} levels
 * @param {Float64Array} values NaN outside the support.
 * @param {number} anchor λ in nats.
 * @returns {Float64Array}
 */
function anchored(levels, values, anchor) {
  const at = valueAt(levels, values, anchor);
  const one = at > 0 ? at : Math.max(...values.filter((value) => !Number.isNaN(value)));
  return values.map((value) => value / one);
}

/**
 * The state and the data with the loss that a reader has made beside the chosen entries.
 * @param {State} state
 * @param {Data} data
 * @returns {[State, Data]}
 */
function withOwn(state, data) {
  if (!state.own) return [state, data];
  const { rate, factor, divisor, names } = state;
  const key = `${rate} ${factor} ${divisor}`;
  const byCount = `${rate} ${factor} ${divisor === BATCH ? LENGTH : divisor}`; // in proportion
  const { weightings, inside, rows, limits, counts } = data;
  return [
    { ...state, names: [...names, OWN] },
    {
      ...data,
      weightings: { ...weightings, [OWN]: weightings[key] },
      inside: { ...inside, [OWN]: inside[key] },
      rows: { ...rows, [OWN]: rows[key] },
      limits: { ...limits, [OWN]: limits[key] },
      ...(counts ? { counts: { ...counts, [OWN]: counts[byCount] } } : {}),
    },
  ];
}

/**
 * A weighting, NaN outside the support.
 * @param {string} name
 * @param {Data} data
 * @returns {Float64Array}
 */
function within(name, { weightings, inside }) {
  return weightings[name].map((w, index) => (inside[name][index] ? w : NaN));
}

/**
 * The upper end of an axis on which all curves are 1 at one place.
 * @param {[string, Float64Array][]} curves Some values may be NaN.
 * @returns {number} The least of TOPS that is above all values, or the last of them.
 */
function topOf(curves) {
  const known = curves.flatMap(([, values]) => [...values].filter((value) => !Number.isNaN(value)));
  const highest = Math.max(0, ...known);
  return TOPS.find((top) => highest < top) ?? TOPS[TOPS.length - 1];
}

/**
 * Weightings over λ, or what they spend on the exact data.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").Panel}
 */
function levelChart(state, data) {
  const { levels } = data;
  const spends = state.shows === SPENT;
  const factor = spends ? data.floor : data.factors[state.base];
  const curves = state.names.map((/** @type {string} */ name) => {
    const values = within(name, data).map((w, index) => w * factor[index]);
    return [name, anchored(levels, values, state.anchor)];
  });
  const ratio = !spends && state.base === OVER_ELBO;
  const weighting = ratio ? "ratio r" : `w (${state.base})`;
  const label = spends ? "loss of the exact predictor" : weighting;
  return chart({
    x: levels,
    curves: Object.fromEntries(curves),
    xlabel: data.label,
    ylabel: `${label}, 1 at λ = ${general(state.anchor)}`,
    title: ratio ? RATIO : TITLES[state.shows],
    ...(spends ? {} : { ylim: /** @type {[number, number]} */ ([0, topOf(curves)]) }),
    colours: data.colours,
  });
}

/**
 * Weights of each number of masked tokens over those of the ELBO, on average 1.
 * @param {State} state
 * @param {Curves} counts
 * @param {Record<string, string>} colours
 * @returns {import("./records.js").Panel}
 */
function countChart({ names, length }, counts, colours) {
  const start = (length * (length - 1)) / 2 - 1; // after the lengths from 2 on
  /** @type {Curves} */
  const curves = Object.fromEntries(
    names.map((/** @type {string} */ name) => [name, counts[name].slice(start, start + length)]),
  );
  const x = Float64Array.from({ length }, (_, index) => index + 1);
  return chart({
    x,
    curves,
    xlabel: `masked tokens k of ${length}`,
    ylabel: "k · weight, 1 on average",
    title: TITLES[BY_COUNT],
    xlim: [0.5, length + 0.5], // whole dots at both ends
    ylim: [0, Math.max(3, ...Object.values(curves).map((values) => Math.max(...values)))],
    colours,
    dots: Object.fromEntries(Object.entries(curves).map(([name, values]) => [name, [x, values]])),
  });
}

/**
 * Where the curves are compared, in words.
 * @param {State} state
 * @param {Data} data
 * @returns {string}
 */
function where({ names, shows, anchor }, data) {
  if (shows === BY_COUNT) return "The ELBO is 1 at each number of masked tokens.";
  const apart = names.filter(
    (/** @type {string} */ name) => !(valueAt(data.levels, within(name, data), anchor) > 0),
  );
  return [
    `All curves are 1 at λ = ${general(anchor)}, where ${percent(expit(anchor))} of the tokens ` +
      "are visible.",
    ...apart.map(
      (/** @type {string} */ name) =>
        `${name} has no weight there, and is shown over its largest value.`,
    ),
    ...LIMITS.flatMap((limit) => {
      const drawn = names.filter((/** @type {string} */ name) => data.limits[name] === limit);
      return drawn.length ? [`In the limit of ${limit}: ${drawn.join(", ")}.`] : [];
    }),
  ].join(" ");
}

/**
 * The chart, the table and a sentence; null where the kernel must answer.
 * @param {State} settings
 * @param {Data} sent
 * @returns {import("./records.js").View | null}
 */
function compute(settings, sent) {
  const [state, data] = withOwn(settings, sent);
  const { counts, colours } = data;
  const isByCount = state.shows === BY_COUNT;
  if (isByCount && !counts) return null;
  const rows = state.names.map((/** @type {string} */ name) => data.rows[name]);
  const marks = state.names.map((/** @type {string} */ name) => colours[name]);
  const picture =
    isByCount && counts ? countChart(state, counts, colours) : levelChart(state, data);
  return { panels: [picture, table(data.head, rows, marks), note(where(state, data))], columns: 1 };
}

export const local = { compute };
