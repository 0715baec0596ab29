// A weighting that is drawn by hand, as an objective: the same as in
// `diffviz.lab.experiments.weighting`.

import { verdict } from "./analysis.js";
import { uniform } from "./laws.js";
import { LOGARITHMIC, minus } from "./looks.js";
import { objective } from "./objectives.js";
import { COSINE } from "./paths.js";
import { EPS } from "./targets.js";

/**
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {Record<string, any>} State
 * @typedef {[number, number]} Point λ in nats and log10 w.
 */

const FEW = 3; // stretches that are listed

/**
 * Whether the pointer draws a weighting: that is chosen, and the chart shows its log w over λ.
 * @param {State} state
 * @returns {boolean}
 */
export function isDrawing({ drawing, scale, base, axis, loss }) {
  const isPlain = base === "eps" && axis === "λ" && loss === "squared";
  return drawing && scale === LOGARITHMIC && isPlain;
}

/**
 * The function of λ that a stroke draws; where the stroke turns back, its newest part counts.
 * @param {Point[]} points In the order of the stroke.
 * @param {boolean} monotone Hold the heights where they would rise with λ.
 * @returns {Point[]} In the order of λ.
 */
function drawnLevels(points, monotone) {
  /** @type {Point[]} */
  const below = [];
  /** @type {Point[]} */
  const above = [];
  let low = Infinity;
  let high = -Infinity;
  // a stroke is connected, so that its newer part covers all between the ends of that part
  for (const point of [...points].reverse()) {
    const [at] = point;
    if (at > high) {
      above.push(point);
    } else if (at < low) {
      below.push(point);
    }
    low = Math.min(low, at);
    high = Math.max(high, at);
  }
  const levels = [...below.reverse(), ...above];
  let least = Infinity;
  return levels.map(([at, height]) => {
    least = Math.min(least, height);
    return [at, monotone ? least : height];
  });
}

/**
 * Linear interpolation between points in rising order; NaN beyond them.
 * @param {Point[]} levels At least two.
 * @returns {(at: number) => number}
 */
function interpolation(levels) {
  const last = levels.length - 1;
  let step = 0; // where the last one was found, since most are asked in rising order
  return (at) => {
    if (!(at >= levels[0][0] && at <= levels[last][0])) {
      return NaN;
    }
    while (step > 0 && at < levels[step][0]) {
      step -= 1;
    }
    while (step < last - 1 && at > levels[step + 1][0]) {
      step += 1;
    }
    const [[x, y], [nextX, nextY]] = [levels[step], levels[step + 1]];
    return y + ((nextY - y) * (at - x)) / (nextX - x);
  };
}

/**
 * The drawn log10 w where it was drawn; NaN beyond the points.
 * @param {Float64Array} grid λ in nats.
 * @param {State} state
 * @returns {Float64Array}
 */
export function heightsOn(grid, { drawn, monotone }) {
  const levels = drawnLevels(drawn, monotone);
  return levels.length < 2 ? grid.map(() => NaN) : grid.map(interpolation(levels));
}

/**
 * The objective of the drawn weighting on the eps error; null where fewer than two λ are drawn.
 * @param {State} state
 * @returns {Objective | null}
 */
export function drawnObjective({ drawn, monotone }) {
  const levels = drawnLevels(drawn, monotone);
  if (levels.length < 2) {
    return null;
  }
  const [low, high] = [levels[0][0], levels[levels.length - 1][0]];
  const top = Math.max(...levels.map(([, height]) => height));
  const height = interpolation(levels);
  return objective({
    name: "drawn",
    path: COSINE,
    target: EPS,
    multiplier: (at) => (10 ** (height(at) - top) * (high - low)) / 2,
    law: uniform(low, high),
  });
}

/**
 * The verdict on a drawn weighting in a sentence, or how to draw one.
 * @param {Objective | null} recipe
 * @param {boolean} isHeld Whether w is held where it would rise.
 * @returns {string}
 */
export function drawnText(recipe, isHeld) {
  if (!recipe) {
    const held = isHeld ? " Where it would rise with λ, it is held." : "";
    return (
      "Drag over the chart. Where the stroke turns back, its newest part counts; between its " +
      `points log w is linear, and beyond them w is 0.${held}`
    );
  }
  const { monotone, rises } = verdict(recipe);
  if (monotone) {
    return "The drawn w never rises with λ: its loss is a sum of ELBOs of noised data.";
  }
  const texts = rises.map(([low, high]) => `[${low.toFixed(2)}, ${high.toFixed(2)}]`);
  const more = texts.length > FEW ? ` and ${texts.length - FEW} more stretches` : "";
  const listed = texts.slice(0, FEW).join(", ");
  const where = minus(`${listed}${more}`);
  return `The drawn w rises with λ on ${where}: there ELBOs of noised data count with a minus.`;
}
