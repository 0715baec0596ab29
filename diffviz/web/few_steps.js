// The explorer of few-step objectives in the browser: what an adaptive factor does on the diagonal.

import { lossDensity, perNat, rebase, verdictOf } from "./analysis.js";
import { percent } from "./looks.js";
import { chart, note } from "./records.js";
import { scaled } from "./scales.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./frames.js").Curve} Curve
 *
 * @typedef {object} Diagonal The diffusion loss of an objective, without the factor.
 * @property {Float64Array} w On the eps error, on the grid.
 * @property {Float64Array} density p(λ) on the grid.
 * @property {Float64Array} levels The finer grid of its verdict, λ in nats.
 * @property {Float64Array} fine w on that.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} grid λ in nats.
 * @property {Record<string, Diagonal>} diagonals By objective.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours
 */

const PLAIN = "without the factor";
const LOCAL = "with the factor";
const SPENT_PLAIN = "spent without it";
const SPENT = "spent with it";
const DRAWN = "drawn";

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
 * A verdict in words, as Python writes it.
 * @param {import("./analysis.js").Verdict} verdict
 * @param {number} start Least λ that was looked at.
 * @returns {string}
 */
function sentence({ monotone, rises, peak, negativeShare }, start) {
  if (monotone) return "monotone: an ELBO with noise augmentation";
  const stretches = rises
    .slice(0, 3)
    .map(([first, last]) =>
      first === start
        ? `below ${last.toFixed(2)}`
        : `on [${first.toFixed(2)}, ${last.toFixed(2)}]`,
    );
  const more = rises.length > 3 ? " ..." : "";
  return (
    `not monotone: rises ${stretches.join(", ")}${more}; peak at ${peak.toFixed(3)}; ` +
    `negative share ${percent(negativeShare, 2)}`
  );
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
 * The weightings, what is spent and drawn, and a sentence.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute({ name, std, power, floor }, { grid, diagonals, label, colours }) {
  const { w, density, levels, fine } = diagonals[name];
  const error = leastError(std);
  /** @type {(values: Float64Array, places: Float64Array) => Float64Array} */
  const withFactor = (values, places) =>
    values.map((value, index) => value * (error(places[index]) + floor) ** -power);
  /** @type {(values: Float64Array) => Float64Array} */
  const spent = (values) =>
    perNat(lossDensity(rebase(values, grid, "eps", "u"), grid, error), grid);
  const local = withFactor(w, grid);
  const spends = spent(local);
  const drawn = perNat(density, grid);
  const verdict = sentence(verdictOf(levels, withFactor(fine, levels)), levels[0]);
  const overlap = overlapOf(spends, drawn, grid[1] - grid[0]);
  const panels = [
    chart({
      x: grid,
      curves: {
        [PLAIN]: scaled(w, grid, "log10, anchored"),
        [LOCAL]: scaled(local, grid, "log10, anchored"),
      },
      xlabel: label,
      ylabel: "log₁₀ w on the ε error",
      ylim: [-6, 3],
      colours,
    }),
    chart({
      x: grid,
      curves: { [SPENT_PLAIN]: spent(w), [SPENT]: spends, [DRAWN]: drawn },
      xlabel: label,
      ylabel: "share per nat",
      colours,
      dashes: { [DRAWN]: 1 },
    }),
    note(
      `With the factor w is ${verdict}. What is spent and drawn overlap by ` +
        `${(100 * overlap).toFixed(0)} %.`,
    ),
  ];
  return { panels, columns: 1 };
}

export const local = { compute };
