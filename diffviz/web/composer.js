// The recipe composer in the browser: the parts of a recipe, their product, and what is near to it.

import { rebase } from "./analysis.js";
import { general, lookChart, minus, verdictCells } from "./looks.js";
import { weighting } from "./objectives.js";
import { compose, distances } from "./recipes.js";
import { note, table } from "./records.js";
import { AXES } from "./scales.js";
import { baseGain } from "./targets.js";

/**
 * What Python sends once.
 * @typedef {import("./looks.js").LookData & {
 *   entries: Record<string, Float64Array>,
 *   levels: Record<string, Float64Array>,
 *   targets: Record<string, string>,
 *   colours: Record<string, string>,
 *   title: string,
 * }} Data weightings of the catalogue on the eps error, on the grid of the chart and at the levels
 *   at which recipes are compared with them; and the names of their targets
 *
 * @typedef {Record<string, any>} State
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {import("./recipes.js").Distance} Distance
 */

const NEAREST = 3; // published objectives that are listed
const NAMED = 12; // published objectives of the same weighting that are named
const SAME = 1 + 1e-6; // factor up to which two weightings are the same
const FAR = 1000; // factor from which on a number says no more
const OF_THE_LOOK = ["below", "names", "scale", "base", "anchor", "axis"]; // no part of a recipe

/**
 * p, gain², c and their product on the error of a base; NaN where the law does not reach.
 * @param {Objective} recipe
 * @param {Float64Array} grid λ in nats.
 * @param {string} base
 * @returns {Record<string, Float64Array>}
 */
function partsOf(recipe, grid, base) {
  const { law, multiplier, path, target } = recipe;
  const [low, high] = law.support;
  /** @type {(part: (at: number) => number) => Float64Array} */
  const inside = (part) => grid.map((at) => (at >= low && at <= high ? part(at) : 0));
  return {
    p: inside(law.pdf),
    "gain²": inside((at) => target.gain(at, path) ** 2 / baseGain(base, at) ** 2),
    c: inside(multiplier),
    w: weighting(recipe, grid, base),
  };
}

/** @type {{key: string, ordered: Distance[]}} */
let last = { key: "", ordered: [] };

/**
 * The published objectives, the nearest first; looked for again only when the recipe has changed.
 * @param {Objective} recipe
 * @param {State} state Which the recipe was composed from.
 * @param {Data} data
 * @returns {Distance[]}
 */
function orderedBy(recipe, state, { levels, targets }) {
  const parts = Object.entries(state).filter(([name]) => !OF_THE_LOOK.includes(name));
  const key = JSON.stringify(parts);
  if (key !== last.key) last = { key, ordered: distances(recipe, levels, targets) };
  return last.ordered;
}

/**
 * Where a recipe stands among the published ones, in a sentence.
 * @param {Distance[]} ordered The nearest first.
 * @returns {string}
 */
function placeText(ordered) {
  const same = ordered.filter(({ factor }) => factor <= SAME).map(({ name }) => name);
  if (!ordered.length) {
    return "w = 2 · c · gain² · p, where no published objective has support.";
  }
  if (!same.length) {
    return `w = 2 · c · gain² · p is new here; the nearest published one is ${ordered[0].name}.`;
  }
  const rest = same.length > NAMED ? ` and ${same.length - NAMED} more` : "";
  return `w = 2 · c · gain² · p is the weighting of ${same.slice(0, NAMED).join(", ")}${rest}.`;
}

/**
 * A factor with three digits after the point below 10, and one above.
 * @param {number} factor At least 1.
 * @returns {string}
 */
function factorWords(factor) {
  return factor > FAR ? `over ${FAR}` : factor.toFixed(factor < 10 ? 3 : 1);
}

/**
 * A row of the table of published objectives.
 * @param {string} name
 * @param {Distance | undefined} distance None where it has too little support.
 * @returns {[string, string, string]}
 */
function nearnessRow(name, distance) {
  if (!distance) {
    return [name, "elsewhere", ""];
  }
  const { factor, at } = distance;
  if (factor <= SAME) {
    return [name, "the same", ""];
  }
  return [name, factorWords(factor), minus(general(at))];
}

/**
 * How near the published objectives are: the nearest ones, then those that are chosen.
 * @param {Distance[]} ordered The nearest first.
 * @param {string[]} names The chosen ones.
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function nearnessTable(ordered, names, colours) {
  const known = new Map(ordered.map((one) => [one.name, one]));
  const nearest = ordered.slice(0, NEAREST).map(({ name }) => name);
  const listed = [...new Set([...nearest, ...names])];
  const rows = listed.map((name) => nearnessRow(name, known.get(name)));
  // only what is drawn has a colour
  const marks = listed.map((name) => (names.includes(name) ? colours[name] : ""));
  return table(["nearest published", "ratio off by a factor of", "at λ"], rows, marks);
}

/**
 * The chart, a sentence and the tables of a state.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function compute(state, data) {
  const recipe = compose(state);
  const curves = partsOf(recipe, data.grid, state.base);
  for (const name of state.names) {
    curves[name] = rebase(data.entries[name], data.grid, "eps", state.base);
  }
  const below = general(state.below);
  const head = ["verdict", `w below λ = ${below}`, `loss below λ = ${below}`];
  const verdicts = table(head, [verdictCells(recipe, state.below)]);
  const ordered = orderedBy(recipe, state, data);
  const nearness = nearnessTable(ordered, state.names, data.colours);
  const place = note(placeText(ordered), true);
  const level = AXES[state.axis](state.below);
  const marks = Number.isFinite(level) ? { [`λ = ${below}`]: level } : {};
  const title = data.title.replace("{}", data.errors[state.base]);
  const chart = { ...lookChart(curves, state, data, data.colours), marks, title };
  return {
    panels: [chart, place, verdicts, nearness],
    columns: 1,
  };
}

export const local = { compute };
