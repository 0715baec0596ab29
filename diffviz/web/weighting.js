// The weighting explorer in the browser: parametric families, bases, axes, anchors and scales.
//
// The kernel is asked for what only it can do: read a pasted table or a trainer's settings, and
// train what is drawn.

import { rebase } from "./analysis.js";
import { drawnObjective, drawnText, heightsOn, isDrawing } from "./drawn.js";
import { FAMILIES } from "./families.js";
import {
  LOOKS,
  PHOTOGRAPHS,
  general,
  lookChart,
  lookValues,
  shownBase,
  verdictCells,
} from "./looks.js";

/**
 * What Python sends once.
 * @typedef {import("./looks.js").LookData & {
 *   entries: Record<string, Float64Array>,
 *   cells: Record<string, [string, string, string]>,
 *   passed: string[],
 *   parameters: Record<string, Record<string, string>>,
 *   colours: Record<string, string>,
 *   head: string[],
 * }} Data weightings of the catalogue, and of what was passed from Python, on the eps error, the
 *   verdicts on them in words, and for each family the names of its parameters with those of their
 *   controls
 *
 * @typedef {Record<string, any>} State
 */

const DRAWN = "drawn"; // name of the weighting that is drawn by hand
const HEIGHT = 4; // decades on either side of 0 in which it is drawn, at least

/**
 * What the look shows of a weighting on the eps error, before it is scaled.
 * @param {Float64Array} w
 * @param {State} state
 * @param {Data} data
 * @returns {Float64Array}
 */
function valuesOfEntry(w, state, data) {
  return LOOKS[state.scale].values(rebase(w, data.grid, "eps", shownBase(state)), data);
}

/**
 * The values of the chosen family's parameters.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, number>}
 */
function familyValues(state, data) {
  const controls = Object.entries(data.parameters[state.family]);
  return Object.fromEntries(controls.map(([parameter, control]) => [parameter, state[control]]));
}

/**
 * The chart of a state. While a weighting is drawn it and the axis stay where they are.
 * @param {Record<string, Float64Array>} curves Values before they are scaled.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function chartOf(curves, state, data) {
  if (!isDrawing(state)) {
    const dashes = Object.hasOwn(curves, DRAWN) ? { [DRAWN]: 0 } : {};
    return { ...lookChart(curves, state, data, data.colours), dashes };
  }
  const others = { ...curves };
  delete others[DRAWN];
  const chart = lookChart(others, state, data, data.colours);
  const [low, high] = chart.ylim ?? [0, 0];
  chart.curves[DRAWN] = heightsOn(data.grid, state);
  return {
    ...chart,
    ylim: [Math.min(low, -HEIGHT), Math.max(high, HEIGHT)],
    dashes: { [DRAWN]: 0 },
    strokes: "drawn",
  };
}

/**
 * Whether only the kernel can show a state: it reads texts and trains what is drawn.
 * @param {State} state
 * @returns {boolean}
 */
function needsKernel(state) {
  const isTraining = isDrawing(state) && state.picture === "training";
  return Boolean(isTraining || state.table.trim() || state.settings.trim());
}

/**
 * The chart and the table of a state; null where the kernel must read a text.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any> | null}
 */
function compute(state, data) {
  const { family } = state;
  const hasFamily = Object.hasOwn(FAMILIES, family);
  const drawn = drawnObjective(state);
  const names = [...state.names, ...data.passed];
  const hasSomething = names.length || hasFamily || drawn || isDrawing(state);
  if (!hasSomething || needsKernel(state)) {
    return null;
  }
  /** @type {Record<string, Float64Array>} */
  const curves = {};
  const rows = [];
  for (const name of names) {
    curves[name] = valuesOfEntry(data.entries[name], state, data);
    rows.push([name, ...data.cells[name]]);
  }
  if (hasFamily) {
    const values = familyValues(state, data);
    const recipe = FAMILIES[family](values);
    const texts = Object.entries(values).map(([name, value]) => `${name} ${general(value)}`);
    curves[family] = lookValues(recipe, state, data);
    rows.push([`${family} (${texts.join(", ")})`, ...verdictCells(recipe)]);
  }
  if (drawn) {
    curves[DRAWN] = lookValues(drawn, state, data);
    rows.push([DRAWN, ...verdictCells(drawn)]);
  }
  const colours = Object.keys(curves).map((name) => data.colours[name]);
  const table = { kind: "table", head: data.head, rows, colours, title: "" };
  const texts = [];
  if (isDrawing(state)) {
    texts.push(drawnText(drawn, state.monotone));
  }
  if (state.scale === PHOTOGRAPHS) {
    texts.push("The table has the share of the loss on N(0, I) data.");
  }
  const notes = texts.map((text) => ({ kind: "note", text, strong: false }));
  return { panels: [chartOf(curves, state, data), table, ...notes], columns: 1 };
}

export const local = { compute };
