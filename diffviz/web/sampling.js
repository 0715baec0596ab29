// The explorer of sampling on a page: trajectories under exact denoisers of mixtures.
//
// In a notebook the kernel answers. The noise of a step is that of the kernel, sent as a table.

import { STRAIGHT, VE, VP } from "./frames.js";
import { exponential } from "./looks.js";
import { DRAWN, drawnMixture, exactDenoiser, withDrawing } from "./mixtures.js";
import { COSINE, LINEAR, karras } from "./paths.js";
import { cloud, note, shaped } from "./records.js";
import { sample } from "./solvers.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./mixtures.js").Mixture} Mixture
 * @typedef {import("./mixtures.js").Pairs} Pairs
 * @typedef {import("./paths.js").Path} Path
 * @typedef {import("./solvers.js").Points} Points
 * @typedef {import("./solvers.js").Trajectory} Trajectory
 *
 * @typedef {object} Ends What the exact flow of some data begins and ends with.
 * @property {Mixture} mixture
 * @property {Points} end z at the last level, of the first points.
 * @property {Points} points Of the data, to be shown.
 *
 * What Python sends once; nothing in a notebook.
 * @typedef {object} Data
 * @property {Record<string, Ends>} [data] By name.
 * @property {Points} start z at the first level.
 * @property {Record<string, Float64Array>} grids Levels of 1 step, of 2 steps, and so on, in a row.
 * @property {Float64Array & {shape: number[]}} noise Of each step, shape (steps, n, 2).
 * @property {Float64Array & {shape: number[]}} ownNoise That of starts of a reader's own.
 * @property {Record<string, string>} noisy Solvers that take noise, and the names of their options.
 * @property {[number, number]} range λ in nats.
 * @property {Pairs} example A drawing to begin with.
 * @property {Record<string, number>} sizes Half widths of axes and numbers of points; see Python.
 * @property {number[][]} corners Red, green and blue of the corners of the plane.
 * @property {Record<string, string>} colours
 *
 * @typedef {object} Walk
 * @property {string} solver
 * @property {Trajectory} trajectory
 * @property {Trajectory | null} own
 */

const NOTHING = "nothing";
const SAMPLES = "samples";
const OWN = "your starts";
const BEHIND = "data";
const BETWEEN = "slide"; // a frame between the linear one and VE
const SLID = ["linear", "VP", "VE"]; // the frames at 0, 1 and 2 of the slider
const SLIGHT = 0.005; // a part that is written as 0.00

// --- data -------------------------------------------------------------------------------------

/** @type {{key: string, ends: Ends | null}} */
let lastDrawn = { key: "", ends: null };

/**
 * The data of a state; null without data.
 * @param {State} state
 * @param {Data} data
 * @returns {Ends | null}
 */
function endsOf({ data: name, drawing, width }, data) {
  if (name !== DRAWN) return data.data?.[name] ?? null;
  const key = JSON.stringify([drawing, width]);
  if (key === lastDrawn.key) return lastDrawn.ends;
  const mixture = drawnMixture(drawing, width);
  let ends = null;
  if (mixture) {
    const { quick, compared } = data.sizes;
    const [low, high] = data.range;
    const fine = Array.from({ length: quick + 1 }, (_, k) => low + ((high - low) * k) / quick);
    const start = data.start.subarray(0, 2 * compared);
    const { z } = sample(exactDenoiser(mixture), fine, "RK4 in λ", start);
    ends = { mixture, end: z[quick], points: mixture.means };
  }
  lastDrawn = { key, ends };
  return ends;
}

// --- frames -----------------------------------------------------------------------------------

/**
 * A frame on the way from one to another.
 * @param {number} share
 * @param {Frame} first
 * @param {Frame} second
 * @returns {Frame}
 */
function blend(share, first, second) {
  const scale = (/** @type {number} */ a, /** @type {number} */ b) => a ** (1 - share) * b ** share;
  return {
    name: "slide",
    alpha: (logsnr) => scale(first.alpha(logsnr), second.alpha(logsnr)),
    sigma: (logsnr) => scale(first.sigma(logsnr), second.sigma(logsnr)),
    slope: (logsnr) => (1 - share) * first.slope(logsnr) + share * second.slope(logsnr),
  };
}

/**
 * The path in whose z and t a walk is seen.
 * @param {State} state
 * @param {Data} data
 * @returns {Path}
 */
function pathOf({ frame, place }, { range: [low, high] }) {
  /** @type {Record<string, () => Path>} */
  const paths = {
    linear: () => LINEAR,
    VP: () => COSINE,
    VE: () => karras(Math.exp(-high / 2 - 1), Math.exp(1 - low / 2), 1),
    slide: () => ({
      ...LINEAR,
      frame: place <= 1 ? blend(place, STRAIGHT, VP) : blend(place - 1, VP, VE),
    }),
  };
  return paths[frame]();
}

// --- the walk ---------------------------------------------------------------------------------

/**
 * @param {State} state
 * @param {Data} data
 * @param {string} solver
 * @param {Ends} ends
 * @param {Path} path
 * @returns {Walk}
 */
function walk(state, data, solver, ends, path) {
  const { steps, noise } = state;
  const before = ((steps - 1) * (steps + 2)) / 2; // levels of grids with fewer steps
  const levels = data.grids[state.grid].subarray(before, before + steps + 1);
  const denoise = exactDenoiser(ends.mixture);
  /** @type {Record<string, import("./solvers.js").Options>} */
  const kinds = { eta: { eta: noise }, churn: { churn: noise * steps * (Math.SQRT2 - 1) } };
  const sampled = (/** @type {Points} */ first, /** @type {typeof data.noise} */ table) =>
    sample(denoise, levels, solver, first, {
      ...kinds[data.noisy[solver]],
      path,
      noise: (draw) => {
        const begin = 2 * draw * table.shape[1];
        return table.subarray(begin, begin + first.length);
      },
    });
  const trajectory = sampled(data.start, data.noise);
  const scale = VP.alpha(trajectory.logsnr[0]) / path.frame.alpha(trajectory.logsnr[0]);
  const starts = Float64Array.from(state.starts.flat(), (value) => value * scale);
  const own = starts.length ? sampled(starts, data.ownNoise) : null;
  return { solver, trajectory, own };
}

/**
 * Points of all steps as one array, cut to the first of each step.
 * @param {Points[]} rows
 * @param {number} [most] Points of a step.
 * @returns {Float64Array & {shape: number[]}}
 */
function stacked(rows, most = Infinity) {
  const count = Math.min(most, rows[0].length / 2);
  const all = new Float64Array(rows.length * count * 2);
  rows.forEach((row, step) => all.set(row.subarray(0, 2 * count), step * count * 2));
  return shaped(all, [rows.length, count, 2]);
}

/**
 * z of a trajectory in the frame of a path.
 * @param {Trajectory} trajectory
 * @param {Path} path
 * @returns {Points[]}
 */
function inFrame({ z, logsnr }, { frame }) {
  return z.map((row, step) => {
    const scale = frame.alpha(logsnr[step]) / VP.alpha(logsnr[step]);
    return row.map((value) => value * scale);
  });
}

/**
 * R² of x_hat with the sample at each step.
 * @param {Points[]} xHat
 * @returns {number[]}
 */
function explained(xHat) {
  const last = xHat[xHat.length - 1];
  const count = last.length / 2;
  const means = [0, 1].map((axis) => {
    let sum = 0;
    for (let at = axis; at < last.length; at += 2) sum += last[at];
    return sum / count;
  });
  const total = last.reduce((sum, value, at) => sum + (value - means[at % 2]) ** 2, 0);
  return xHat.map((row) => {
    const error = row.reduce((sum, value, at) => sum + (value - last[at]) ** 2, 0);
    return 1 - error / total;
  });
}

/**
 * Mean length of trajectories over the mean distance of their ends.
 * @param {Points[]} z
 * @returns {number}
 */
function pathRatio(z) {
  let length = 0;
  for (let step = 1; step < z.length; step += 1) length += distance(z[step], z[step - 1]);
  return length / distance(z[z.length - 1], z[0]);
}

/**
 * Σ of the distances between points.
 * @param {Points} a
 * @param {Points} b
 * @returns {number}
 */
function distance(a, b) {
  let sum = 0;
  for (let at = 0; at < a.length; at += 2) sum += Math.hypot(a[at] - b[at], a[at + 1] - b[at + 1]);
  return sum;
}

// --- what is drawn ----------------------------------------------------------------------------

/**
 * A colour for each point by its place, mixed from those of the corners of a square.
 * @param {Points} points
 * @param {number[][]} corners
 * @param {number} reach Half the side of the square.
 * @returns {Uint8Array}
 */
function endColours(points, corners, reach) {
  const colours = new Uint8Array((3 * points.length) / 2);
  const place = (/** @type {number} */ value) =>
    Math.max(-1, Math.min(1, value / reach)) / 2 + 0.5;
  for (let index = 0; index < points.length / 2; index += 1) {
    const right = place(points[2 * index]);
    const up = place(points[2 * index + 1]);
    const shares = [(1 - right) * up, right * up, (1 - right) * (1 - up), right * (1 - up)];
    for (let channel = 0; channel < 3; channel += 1) {
      const mixed = shares.reduce((sum, share, k) => sum + share * corners[k][channel], 0);
      colours[3 * index + channel] = Math.round(255 * mixed);
    }
  }
  return colours;
}

/**
 * The value below which a share of values lies, as `numpy.quantile`.
 * @param {Float64Array} values
 * @param {number} share
 * @returns {number}
 */
function quantile(values, share) {
  const sorted = values.slice().sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/**
 * Where the flow goes, as arrows on a lattice, at each step; see `velocities` of
 * `diffviz.lab.experiments.walks`.
 * @param {Trajectory} trajectory
 * @param {Path} path
 * @param {number[]} reach
 * @param {Ends} ends
 * @param {number} across Arrows along each axis.
 * @returns {Float64Array & {shape: number[]}} Rows x, y, dx, dy.
 */
function velocities({ logsnr }, { frame }, reach, { mixture }, across) {
  const denoise = exactDenoiser(mixture);
  const mesh = (2 * 0.92) / (across - 1);
  const count = across ** 2;
  const rows = new Float64Array(logsnr.length * count * 4);
  logsnr.forEach((level, step) => {
    const alpha = frame.alpha(level);
    const slope = frame.slope(level);
    const scale = alpha / VP.alpha(level);
    const z = Float64Array.from({ length: 2 * count }, (_, at) => {
      const index = Math.floor(at / 2);
      const place = at % 2 ? Math.floor(index / across) : index % across;
      return reach[step] * (place * mesh - 0.92);
    });
    const xHat = denoise(z.map((value) => value / scale), level);
    const flow = xHat.map(
      (x, at) => alpha * slope * x + (slope - 0.5) * (z[at] - alpha * x),
    );
    const speeds = Float64Array.from({ length: count }, (_, k) =>
      Math.hypot(flow[2 * k], flow[2 * k + 1]),
    );
    const longest = quantile(speeds, 0.95) || 1;
    for (let k = 0; k < count; k += 1) {
      const factor = (reach[step] * mesh) / Math.max(speeds[k], longest);
      const arrow = [z[2 * k], z[2 * k + 1], factor * flow[2 * k], factor * flow[2 * k + 1]];
      rows.set(arrow, 4 * (step * count + k));
    }
  });
  return shaped(rows, [logsnr.length, count, 4]);
}

/**
 * What the clock says at each step.
 * @param {Trajectory} trajectory
 * @param {Path} path
 * @returns {string[]}
 */
function captionsOf({ logsnr, xHat }, { schedule }) {
  const shares = explained(xHat);
  return logsnr.map((level, step) => {
    const words =
      `step ${step} of ${logsnr.length - 1}: λ = ${level.toFixed(2)}, ` +
      `t = ${schedule.sf(level).toFixed(3)}, R² = ${shares[step].toFixed(3)}`;
    return words.replaceAll("= -", "= −");
  });
}

/**
 * The whole walk in words.
 * @param {Walk} walked
 * @param {Path} path
 * @param {Ends} ends
 * @param {boolean} isNoisy
 * @returns {string}
 */
function textOf({ solver, trajectory }, path, ends, isNoisy) {
  const ratio = pathRatio(inFrame(trajectory, path)).toFixed(3);
  const calls = trajectory.calls - 1;
  const name = isNoisy ? `${solver} with noise` : solver;
  const words = `${name}: ${calls} calls; length over distance in this frame ${ratio}; `;
  if (isNoisy) {
    return `${words}the end is another sample: no error against the reference`;
  }
  const last = trajectory.z[trajectory.z.length - 1];
  const square = ends.end.reduce((sum, value, at) => sum + (last[at] - value) ** 2, 0);
  const error = exponential(Math.sqrt(square / ends.end.length), 2);
  return `${words}rms error of the end ${error}`;
}

/**
 * In which frame z is drawn.
 * @param {State} state
 * @returns {string}
 */
function frameWords(state) {
  if (state.frame !== BETWEEN) {
    return `in the ${state.frame} frame`;
  }
  const before = Math.min(Math.trunc(state.place), SLID.length - 1);
  const part = state.place - before;
  if (part < SLIGHT) {
    return `in the ${SLID[before]} frame`;
  }
  return `${part.toFixed(2)} of the way from ${SLID[before]} to ${SLID[before + 1]}`;
}

/**
 * The axes of z and of x_hat without what moves.
 * @param {State} state
 * @param {Data} data
 * @param {Points} points Of the data.
 * @returns {[Record<string, any>, Record<string, any>]}
 */
function axesOf(state, data, points) {
  const { reach, sampleReach, trails } = data.sizes;
  const shared = { present: state.time, trails, strong: [OWN] };
  return [
    {
      ...shared,
      xlabel: "z₁",
      ylabel: "z₂",
      title: `noisy points z ${frameWords(state)}`,
      xlim: [-reach, reach],
      ylim: [-reach, reach],
      strokes: "starts",
    },
    {
      ...shared,
      xlabel: "x̂₁",
      ylabel: "x̂₂",
      title: "exact x̂ (grey: data, colour: end)",
      points: { [BEHIND]: points },
      colours: { [BEHIND]: data.colours.data },
      xlim: [-sampleReach, sampleReach],
      ylim: [-sampleReach, sampleReach],
      strokes: "drawing",
    },
  ];
}

/**
 * z and x_hat at each step, and what the whole walk comes to; null where the kernel must answer.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function compute(state, data) {
  if (!data.data) return null;
  const ends = endsOf(state, data);
  const [left, right] = axesOf(state, data, ends ? ends.points : new Float64Array(0));
  if (!ends) {
    const words =
      "Draw the data in the right picture: drag the pointer, or click two points or more.";
    return { panels: [cloud(left), cloud(right), note(words, true)], columns: 2 };
  }
  const path = pathOf(state, data);
  const walked = walk(state, data, state.solver, ends, path);
  const isBeside = ![NOTHING, state.solver].includes(state.beside);
  const other = isBeside ? walk(state, data, state.beside, ends, path) : null;
  const { trajectory } = walked;
  const scales = trajectory.logsnr.map((level) => path.frame.alpha(level) / VP.alpha(level));
  const reach = scales.map((scale) => data.sizes.reach * Math.max(scale, 1));
  const last = trajectory.xHat[trajectory.xHat.length - 1];
  const colours = {
    [SAMPLES]: endColours(last, data.corners, data.sizes.colourReach),
    [OWN]: data.colours.own,
    [BEHIND]: data.colours.data,
    [state.beside]: data.colours.beside,
  };
  const named = (/** @type {(trajectory: Trajectory) => Points[]} */ of) => ({
    [SAMPLES]: stacked(of(trajectory)),
    ...(other ? { [other.solver]: stacked(of(other.trajectory), data.sizes.trails) } : {}),
    ...(walked.own ? { [OWN]: stacked(of(walked.own)) } : {}),
  });
  const isNoisy = (/** @type {Walk} */ { solver }) => Boolean(data.noisy[solver] && state.noise);
  const walks = other ? [walked, other] : [walked];
  return {
    panels: [
      cloud({
        ...left,
        paths: named((one) => inFrame(one, path)),
        colours,
        reach,
        captions: captionsOf(trajectory, path),
        arrows: state.field ? velocities(trajectory, path, reach, ends, data.sizes.arrows) : [],
      }),
      cloud({ ...right, paths: named((one) => one.xHat), colours }),
      ...walks.map((one) => note(textOf(one, path, ends, isNoisy(one)))),
    ],
    columns: 2,
  };
}

/**
 * What is drawn becomes the data; a drawing over other data does not begin with the example.
 * @param {State} state
 * @param {string} name Of the control that was moved.
 * @param {Data} data
 * @returns {State}
 */
function settle(state, name, { example }) {
  return name === "drawing" && example ? withDrawing(state, "data", example) : state;
}

export const local = { compute, settle };
