// What the page of training shows, as `diffviz.lab.explorers.training_views`.

import { heightsOn } from "./drawn.js";
import { DRAWN } from "./mixtures.js";
import { chart, cloud, note, table } from "./records.js";
import { drawsOf, interpolated, leastLoss } from "./training_data.js";

/**
 * @typedef {import("./training_data.js").Data} Data
 * @typedef {import("./training_data.js").Known} Known
 * @typedef {import("./training_data.js").State} State
 * @typedef {import("./training_work.js").Training} Training
 * @typedef {import("./records.js").Panel} Panel
 * @typedef {import("./session.js").Report} Report
 * @typedef {import("./session.js").Result} Result
 */

const FLOOR = "exact floor";
export const BEHIND = "data";
const REACH = 2.6; // half width of the axes of points
const LEVEL_LIMITS = [-8.5, 14.5];
const LOG_LIMITS = [-6.3, 3.3];
const LOSS_LIMITS = [0, 3];
const EXCESS_LIMITS = [-6.5, 1];
const SHOWN = 400; // points of the data
const TOLD = [-4, 4, 10]; // λ whose excess stands in the table

/**
 * The kinds of dashes of curves: the second objective is dotted, whose colour may be much like that
 * of the first.
 * @param {string[]} names
 * @returns {Record<string, number>}
 */
function dashesOf(names) {
  return { [FLOOR]: 1, ...(names.length > 1 ? { [names[1]]: 2 } : {}) };
}

/**
 * log10 w of the chosen objectives; what is drawn stands where it is drawn.
 * @param {State} state
 * @param {Data} data
 * @returns {Panel}
 */
export function weightingChart({ names, drawn }, { curveGrid, weightings, colours, labels }) {
  const curveOf = (/** @type {string} */ name) =>
    name === DRAWN ? heightsOn(curveGrid, { drawn, monotone: false }) : weightings[name];
  return chart({
    x: curveGrid,
    curves: Object.fromEntries(names.map((/** @type {string} */ name) => [name, curveOf(name)])),
    colours,
    xlabel: labels.logsnr,
    ylabel: labels.weighting,
    dashes: dashesOf(names),
    title: "weighting",
    xlim: LEVEL_LIMITS,
    ylim: LOG_LIMITS,
    strokes: "drawn",
  });
}

/**
 * Loss and excess by level.
 * @param {State} state
 * @param {Data} data
 * @param {Known} known
 * @param {Report | null} report
 * @returns {Panel[]}
 */
export function levelCharts({ names }, { grid, colours, labels }, { floor }, report) {
  const nothing = grid.map(() => NaN);
  const named = (/** @type {(result: Result) => Float64Array} */ of) =>
    Object.fromEntries(names.map((/** @type {string} */ name, /** @type {number} */ k) => {
      return [name, report ? of(report.results[k]) : nothing];
    }));
  const dashes = dashesOf(names);
  const shared = { x: grid, colours, dashes, xlabel: labels.logsnr, xlim: LEVEL_LIMITS };
  return [
    chart({
      ...shared,
      curves: { ...named(({ byLevel }) => byLevel), [FLOOR]: floor }, // over the lines it hides in
      ylabel: "E‖ε̂ − ε‖²",
      title: "loss by noise level",
      ylim: LOSS_LIMITS,
    }),
    chart({
      ...shared,
      curves: named(({ excess }) => excess.map(Math.log10)),
      ylabel: labels.excess,
      title: "excess over the floor",
      ylim: EXCESS_LIMITS,
    }),
  ];
}

/**
 * Samples of an objective over points of the data, where a drawing is data.
 * @param {string} name
 * @param {ArrayLike<number>} points Of the data; none before any are drawn.
 * @param {Float64Array | null} samples
 * @param {Record<string, string>} colours
 * @returns {Panel}
 */
export function sampleCloud(name, points, samples, colours) {
  const behind = Array.prototype.slice.call(points, 0, 2 * SHOWN);
  return cloud({
    points: { [BEHIND]: behind, ...(samples ? { [name]: samples } : {}) },
    colours,
    title: samples ? `samples, ${name}` : name,
    xlim: [-REACH, REACH],
    ylim: [-REACH, REACH],
    strokes: "drawing",
  });
}

/**
 * @param {number} value
 * @returns {string} With two decimals.
 */
function decimals(value) {
  return value.toFixed(2).replace("-", "−");
}

/**
 * How each objective has done; before the training, what it can come to.
 * @param {State} state
 * @param {Data} data
 * @param {Known} known
 * @param {Report | null} report
 * @returns {Panel}
 */
export function resultTable(state, data, known, report) {
  const levels = TOLD.map((level) => `λ = ${level}`.replace("-", "−"));
  levels[0] = `log₁₀ excess: ${levels[0]}`;
  const rows = drawsOf(state, data).map((draws, k) => {
    if (!draws) return [state.names[k], "–"];
    const least = leastLoss(draws, known, data);
    const row = [state.names[k], least.toPrecision(3)];
    if (!report) return row;
    const { excess, loss, distance } = report.results[k];
    const logs = TOLD.map((level) => decimals(Math.log10(interpolated(data.grid, excess, level))));
    return [...row, (loss / least).toFixed(3), ...logs, `${distance.toFixed(1)} × truth`];
  });
  const head = ["", "least loss", "loss / least", ...levels, "distance of samples"];
  const shades = state.names.map((/** @type {string} */ name) => data.colours[name]);
  return table(head.slice(0, rows[0].length), rows, shades);
}

/**
 * What will be trained, or how far it has come.
 * @param {State} state
 * @param {Training | null} now The training of this state.
 * @returns {Panel}
 */
export function stateNote({ names, toy, width, steps }, now) {
  const words = `${names.join(" and ")} on ${toy}, width ${width}, ${steps} steps`;
  if (!now) return note(`${words}: press Train; nothing is trained yet`);
  const done = now.report?.step ?? 0;
  /** @type {Record<string, string>} */
  const stages = {
    running: `${done} steps are done`,
    paused: `paused after ${done} steps; Train goes on`,
    done: `done, ${now.pace}`,
  };
  return note(`${words}: ${stages[now.stage]}`, true);
}
