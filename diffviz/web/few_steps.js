// The explorer of few-step objectives in the browser: the map of the flow and its average velocity,
// from tables of paths, and what an adaptive factor does on the diagonal.

import { gradient, perNat } from "./analysis.js";
import { minus } from "./looks.js";
import { chart, note } from "./records.js";
import { scaled } from "./scales.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./frames.js").Curve} Curve
 *
 * @typedef {object} Diagonal The diffusion loss of an objective, without the factor.
 * @property {Float64Array} w On the error of u, on the grid.
 * @property {Float64Array} density p(λ) on the grid.
 * @property {string} colour
 *
 * @typedef {object} Paths Of the exact flow, one row for each time.
 * @property {Float64Array} states z, shape (times, starts).
 * @property {Float64Array} velocity The velocity there.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} grid λ in nats.
 * @property {Record<string, Diagonal>} diagonals By objective.
 * @property {Record<string, Paths>} paths By data.
 * @property {Float64Array} times Of the rows of the paths, decreasing.
 * @property {Float64Array} starts States at the first time, increasing.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours
 */

const PLAIN = "without the factor";
const LOCAL = "with the factor";
const ITSELF = "the factor itself, scaled";
const SPENT_PLAIN = "spent without it";
const SPENT = "spent with it";
const DRAWN = "drawn";
const MAP = "flow map";
const FACTOR = "adaptive factor";
const PATH = "path of the flow";
const JUMP = "jump by the average u";
const EULER = "Euler step by u*";
const AVERAGE = "average u";
const VELOCITY = "velocity u*";
const TARGET = "u* − (t − r) u̇";
/** @type {Record<string, number>} */
const OTHERS = { "from −0.6": -0.6, "from 1.5": 1.5 };
/** @type {Record<string, number>} */
const OTHER_DASHES = { "from −0.6": 2, "from 1.5": 0 };
/** Axes of a chart of paths. */
const ON_ITS_WAY = {
  xlabel: "time t   [noise ← → data]",
  ylabel: "z",
  title: "one state on its way",
  xlim: [1, 0],
};
const STATES = [-2.5, 2.5]; // ends of an axis of all states
const SHORTEST = 0.01; // of a jump, in t

/**
 * E‖u − E[u|z]‖² for data N(0, std²) on the linear path.
 * @param {number} std
 * @returns {Curve}
 */
function leastError(std) {
  return (logsnr) => {
    const alpha = expit(logsnr / 2);
    const sigma = expit(-logsnr / 2);
    return std ** 2 / ((alpha * std) ** 2 + sigma ** 2);
  };
}

/**
 * The share that two densities have in common.
 * @param {Float64Array} a
 * @param {Float64Array} b
 * @param {number} nat Distance of neighbours in nats.
 * @returns {number}
 */
function overlapOf(a, b, nat) {
  return nat * a.reduce((sum, value, index) => sum + Math.min(value, b[index]), 0);
}

/**
 * The value between two places of a grid, on the line through them.
 * @param {number} at
 * @param {Float64Array} places Increasing.
 * @param {Float64Array} values
 * @returns {number}
 */
function interpolated(at, places, values) {
  const found = places.findLastIndex((place) => place <= at);
  const place = Math.min(Math.max(found, 0), places.length - 2);
  const part = (at - places[place]) / (places[place + 1] - places[place]);
  return values[place] + part * (values[place + 1] - values[place]);
}

/**
 * A row of a table of paths at a time, between two rows on the line through them.
 * @param {Float64Array} table
 * @param {number} t
 * @param {Data} data
 * @returns {Float64Array}
 */
function rowAt(table, t, { times, starts }) {
  const last = times.length - 1;
  const place = ((times[0] - t) / (times[0] - times[last])) * last;
  const row = Math.min(Math.trunc(place), last - 1);
  const part = place - row;
  const size = starts.length;
  return Float64Array.from(
    { length: size },
    (_, index) =>
      (1 - part) * table[row * size + index] + part * table[(row + 1) * size + index],
  );
}

/**
 * A path and two jumps along it.
 * @param {State} state
 * @param {Data} data
 * @param {{jump: number[], here: number, end: number, euler: number}} ends
 * @returns {import("./records.js").Panel}
 */
function pathChart(state, data, { jump, here, end, euler }) {
  const { times, starts, colours } = data;
  const { states } = data.paths[state.data];
  const size = starts.length;
  const rows = Array.from(times, (_, row) => states.subarray(row * size, (row + 1) * size));
  const ends = Float64Array.from(jump);
  const followed = (/** @type {number} */ start) =>
    Float64Array.from(rows, (row) => interpolated(start, starts, row));
  const others = (/** @type {(start: number) => any} */ value) =>
    Object.fromEntries(Object.entries(OTHERS).map(([name, start]) => [name, value(start)]));
  return chart({
    x: { [PATH]: times, [JUMP]: ends, [EULER]: ends, ...others(() => times) },
    curves: {
      [PATH]: followed(state.z),
      [JUMP]: Float64Array.of(here, end),
      [EULER]: Float64Array.of(here, euler),
      ...others(followed),
    },
    ...ON_ITS_WAY,
    colours,
    dashes: { [PATH]: 0, [JUMP]: 0, [EULER]: 1, ...OTHER_DASHES },
  });
}

/**
 * A path and two jumps along it, the map of all states, and where the jumps end.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function mapView(state, data) {
  const { starts, colours } = data;
  const { states, velocity } = data.paths[state.data];
  const t = state.t;
  const r = Math.min(state.r, t - SHORTEST);
  const before = rowAt(states, t, data);
  const slopes = rowAt(velocity, t, data);
  const after = rowAt(states, r, data);
  const here = interpolated(state.z, starts, before);
  const slope = interpolated(state.z, starts, slopes);
  const end = interpolated(state.z, starts, after);
  const euler = here - (t - r) * slope;
  const average = (here - end) / (t - r);
  const through = chart({
    x: before,
    curves: {
      [JUMP]: after,
      [EULER]: before.map((z, index) => z - (t - r) * slopes[index]),
    },
    xlabel: "z at t",
    ylabel: "z at r",
    title: "all states: from t to r",
    xlim: [-3, 3],
    ylim: STATES,
    colours,
    dashes: { [JUMP]: 0, [EULER]: 1 },
    dots: { [PATH]: [Float64Array.of(here), Float64Array.of(end)] },
  });
  const words =
    `From t = ${t.toFixed(2)} to r = ${r.toFixed(2)} the average velocity is ` +
    `u = ${average.toFixed(3)}, the velocity at t is ${slope.toFixed(3)}. The flow ends at ` +
    `z = ${end.toFixed(3)}, one Euler step at ${euler.toFixed(3)}.`;
  const along = pathChart(state, data, { jump: [t, r], here, end, euler });
  return { panels: [along, through, note(minus(words))], columns: 2 };
}

/**
 * The index of the place that is nearest to a value; the first one of two.
 * @param {Float64Array} places
 * @param {number} value
 * @returns {number}
 */
function nearest(places, value) {
  const distances = places.map((place) => Math.abs(place - value));
  return distances.indexOf(Math.min(...distances));
}

/**
 * A column of a table of paths: one path from its first time on.
 * @param {Float64Array} table
 * @param {number} column
 * @param {Data} data
 * @returns {Float64Array}
 */
function columnOf(table, column, { times, starts }) {
  return times.map((_, row) => table[row * starts.length + column]);
}

/**
 * The velocity, the average velocity to the time of a row, and what the identity makes of both.
 * @param {Float64Array} states Of one path.
 * @param {Float64Array} velocity
 * @param {Float64Array} times
 * @param {number} last The row at whose time the average ends.
 * @returns {{change: Float64Array, curves: Record<string, Float64Array>}} By rows from the second.
 */
function velocities(states, velocity, times, last) {
  const r = times[last];
  const average = velocity
    .slice(0, last + 1)
    .map((value, row) =>
      row === last ? value : (states[row] - states[last]) / (times[row] - r),
    );
  const change = gradient(average, times.slice(0, last + 1)).slice(1, last);
  const target = change.map((rate, row) => velocity[row + 1] - (times[row + 1] - r) * rate);
  return {
    change,
    curves: {
      [VELOCITY]: velocity.slice(1, last),
      [AVERAGE]: average.slice(1, last),
      [TARGET]: target,
    },
  };
}

/**
 * A path with a jump to a time that stays, and the velocities on the way, by the later time.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function identityView(state, data) {
  const { times, starts, colours } = data;
  const tables = data.paths[state.data];
  const column = nearest(starts, state.z);
  const last = nearest(times, state.end);
  const here = Math.min(nearest(times, state.at), last - 1);
  const states = columnOf(tables.states, column, data);
  const { change, curves } = velocities(
    states,
    columnOf(tables.velocity, column, data),
    times,
    last,
  );
  const r = times[last].toFixed(2);
  const along = chart({
    x: { [PATH]: times, [JUMP]: Float64Array.of(times[here], times[last]) },
    curves: { [PATH]: states, [JUMP]: Float64Array.of(states[here], states[last]) },
    ...ON_ITS_WAY,
    colours,
    dashes: { [PATH]: 0, [JUMP]: 0 },
  });
  const at = (/** @type {string} */ name) => curves[name][here - 1];
  const dot = (/** @type {string} */ name) => [
    Float64Array.of(times[here]),
    Float64Array.of(at(name)),
  ];
  const beside = chart({
    x: times.slice(1, last),
    curves,
    xlabel: `time t   [r stays at ${r}]`,
    ylabel: "velocity",
    title: "its velocities, at each t",
    xlim: [1, 0],
    colours,
    dashes: { [VELOCITY]: 0, [AVERAGE]: 0, [TARGET]: 2 },
    dots: { [VELOCITY]: dot(VELOCITY), [AVERAGE]: dot(AVERAGE) },
  });
  const words =
    `At t = ${times[here].toFixed(2)} the velocity is u* = ${at(VELOCITY).toFixed(3)}, and the ` +
    `average velocity changes at the rate u̇ = ${change[here - 1].toFixed(3)}. So ` +
    `u* − (t − r) u̇ = ${at(TARGET).toFixed(3)}; the average velocity itself is ` +
    `u = ${at(AVERAGE).toFixed(3)}.`;
  return { panels: [along, beside, note(minus(words))], columns: 2 };
}

/**
 * The weightings, what is spent and drawn, and a sentence.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function factorView({ name, std, power, floor }, { grid, diagonals, label, colours }) {
  const { w, density, colour } = diagonals[name];
  const shades = { ...colours, [PLAIN]: colour, [DRAWN]: colour };
  const error = leastError(std);
  const factor = grid.map((logsnr) => (error(logsnr) + floor) ** -power);
  const local = w.map((value, index) => value * factor[index]);
  const weightings = {
    [PLAIN]: scaled(w, grid, "unit area"),
    [LOCAL]: scaled(local, grid, "unit area"),
  };
  const highest = Math.max(...Object.values(weightings).map((each) => Math.max(...each)));
  const largest = Math.max(...factor);
  /** @type {(values: Float64Array) => Float64Array} */
  const spent = (values) =>
    perNat(
      values.map((value, index) => value * error(grid[index])),
      grid,
    );
  const spends = spent(local);
  const drawn = perNat(density, grid);
  const overlap = overlapOf(spends, drawn, grid[1] - grid[0]);
  const panels = [
    chart({
      x: grid,
      curves: {
        ...weightings,
        [ITSELF]: factor.map((value) => (highest * value) / largest),
      },
      xlabel: label,
      ylabel: "w on the error of u",
      title: "the weighting",
      colours: shades,
      dashes: { [ITSELF]: 2 },
    }),
    chart({
      x: grid,
      curves: { [SPENT_PLAIN]: spent(w), [SPENT]: spends, [DRAWN]: drawn },
      xlabel: label,
      ylabel: "share per nat",
      title: "what the loss spends",
      colours: shades,
      dashes: { [DRAWN]: 1 },
    }),
    note(
      "What is spent with the factor and what is drawn overlap by " +
        `${(100 * overlap).toFixed(0)} %.`,
    ),
  ];
  return { panels, columns: 2 };
}

/**
 * Two charts and a sentence on what was chosen.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute(state, data) {
  if (state.shows === FACTOR) return factorView(state, data);
  return state.shows === MAP ? mapView(state, data) : identityView(state, data);
}

export const local = { compute };
