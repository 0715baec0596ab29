// The explorer of training on a page: two objectives on the same data and noise, in a worker that
// is started when the reader asks for it.

import { DRAWN, withDrawing } from "./mixtures.js";
import { note } from "./records.js";
import { knownOf } from "./training_data.js";
import {
  BEHIND,
  levelCharts,
  resultTable,
  sampleCloud,
  stateNote,
  weightingChart,
} from "./training_views.js";
import { act, trainingOf } from "./training_work.js";

/**
 * @typedef {import("./training_data.js").Data} Data
 * @typedef {import("./training_data.js").Pairs} Pairs
 * @typedef {import("./training_data.js").State} State
 */

/**
 * The weightings, and how far their training has come.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute(state, data) {
  const known = knownOf(state, data);
  const { colours } = data;
  if (!known) {
    const words = "Draw the data: drag over the empty picture, or click two points or more.";
    return { panels: [sampleCloud(BEHIND, [], null, colours), note(words, true)], columns: 1 };
  }
  if (!state.names.length) {
    const words = "Choose an objective, or two.";
    const panels = [sampleCloud(BEHIND, known.reference, null, colours), note(words, true)];
    return { panels, columns: 1 };
  }
  const now = trainingOf(state);
  const report = now?.report ?? null;
  const clouds = state.names.map((/** @type {string} */ name, /** @type {number} */ k) => {
    return sampleCloud(name, known.reference, report?.results[k].samples ?? null, colours);
  });
  return {
    panels: [
      weightingChart(state, data),
      ...levelCharts(state, data, known, report),
      ...clouds,
      stateNote(state, now),
      resultTable(state, data, known, report),
    ],
    columns: 3,
  };
}

/**
 * What is drawn becomes the data, or the second objective, unless it is still the example.
 * @param {State} state
 * @param {string} name Of the control that was moved.
 * @param {Data} data
 * @returns {State}
 */
function settle(state, name, { example, weighting }) {
  if (name === "drawing") return withDrawing(state, "toy", example);
  if (name !== "drawn" || state.names.includes(DRAWN)) return state;
  const isExample = JSON.stringify(state.drawn) === JSON.stringify(weighting);
  return isExample ? state : { ...state, names: [...state.names.slice(0, 1), DRAWN] };
}

/**
 * @param {Pairs} points
 * @returns {string} As Python writes them.
 */
function literal(points) {
  return `[${points.map(([x, y]) => `(${x}, ${y})`).join(", ")}]`;
}

/**
 * The cell that trains the same in a notebook.
 * @param {State} state
 * @returns {string}
 */
function code({ names, drawn, toy, drawing, kernel, width, steps, rate, seed }) {
  const listed = names.map((/** @type {string} */ name) => {
    const table10 = drawn.map((/** @type {[number, number]} */ [x, y]) => [x, 10 ** y]);
    return name === DRAWN ? `dv.from_weighting(${literal(table10)}, name="drawn")` : `"${name}"`;
  });
  const own = toy === DRAWN ? `, drawing=${literal(drawing)}, kernel=${kernel}` : "";
  const settings = `steps=${steps}, seed=${seed}, width=${width}, rate=${rate}${own}`;
  return (
    "import diffviz as dv\nfrom diffviz.lab.experiments.side_by_side import side_by_side\n\n" +
    `objectives = [${listed.join(", ")}]\n` +
    `*_, trained = side_by_side(objectives, "${toy}", ${settings})\ntrained.excess`
  );
}

export const local = { compute, settle, act, code };
