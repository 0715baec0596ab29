// The weighting explorer in the browser: parametric families, bases, axes, anchors and scales.
//
// The kernel is asked for what only it can do: read a pasted table or a trainer's settings, train
// what is drawn, and compute the errors on toys.

import { rebase } from "./analysis.js";
import { drawnObjective, drawnText, heightsOn, isDrawing } from "./drawn.js";
import { FAMILIES, valuesOf } from "./families.js";
import {
  LOOKS,
  PHOTOGRAPHS,
  general,
  lookChart,
  shownBase,
  verdictCells,
} from "./looks.js";
import { SQUARED, errorsOf, gainOn, localCells, lossText, slopesOn } from "./losses.js";
import { weighting } from "./objectives.js";
import { note, table } from "./records.js";

/**
 * What Python sends once.
 * @typedef {import("./looks.js").LookData & import("./losses.js").LossData & {
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
 * @typedef {import("./objectives.js").Objective} Objective
 *
 * @typedef {object} Shown What is shown of an objective.
 * @property {Float64Array} curve Before it is scaled.
 * @property {[string, string, string]} cells Of its row in the table.
 */

const DRAWN = "drawn"; // name of the weighting that is drawn by hand
const AS_DRAWN = "the drawn curve stands as it was drawn, the others are scaled";
const HEIGHT = 4; // decades on either side of 0 in which it is drawn, at least

/**
 * The product of two curves.
 * @param {Float64Array} one
 * @param {Float64Array} other
 * @returns {Float64Array}
 */
function product(one, other) {
  return one.map((value, index) => value * other[index]);
}

/**
 * What is shown of an objective whose weighting Python has sent.
 * @param {string} name
 * @param {State} state
 * @param {Data} data
 * @returns {Shown}
 */
function ofEntry(name, state, data) {
  const w = data.entries[name];
  const slope = slopesOn(w, data.gains[data.gainOf[name]], state, data);
  const onBase = rebase(product(w, slope), data.grid, "eps", shownBase(state));
  const isSquared = state.loss === SQUARED;
  return {
    curve: LOOKS[state.scale].values(onBase, data),
    cells: isSquared ? data.cells[name] : localCells(w, slope, data.supports[name], data),
  };
}

/**
 * What is shown of an objective that has a formula here.
 * @param {Objective} recipe
 * @param {State} state
 * @param {Data} data
 * @returns {Shown}
 */
function ofRecipe(recipe, state, data) {
  const { grid } = data;
  const w = weighting(recipe, grid);
  const slope = slopesOn(w, gainOn(recipe, w, grid), state, data);
  const onBase = product(weighting(recipe, grid, shownBase(state)), slope);
  const isSquared = state.loss === SQUARED;
  return {
    curve: LOOKS[state.scale].values(onBase, data),
    cells: isSquared ? verdictCells(recipe) : localCells(w, slope, recipe.law.support, data),
  };
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
    title: AS_DRAWN,
    ylim: [Math.min(low, -HEIGHT), Math.max(high, HEIGHT)],
    dashes: { [DRAWN]: 0 },
    strokes: "drawn",
  };
}

/**
 * Whether only the kernel can show a state: it reads texts, trains what is drawn, and has errors.
 * @param {State} state
 * @param {Data} data
 * @returns {boolean}
 */
function needsKernel(state, data) {
  const isTraining = isDrawing(state) && state.picture === "training";
  const lacksErrors = state.loss !== SQUARED && !errorsOf(state, data);
  return Boolean(isTraining || lacksErrors || state.table.trim() || state.settings.trim());
}

/**
 * The sentences under the table.
 * @param {State} state
 * @param {Objective | null} drawn
 * @param {Data} data
 * @returns {string[]}
 */
function textsOf(state, drawn, data) {
  const texts = isDrawing(state) ? [drawnText(drawn, state.monotone)] : [];
  if (state.loss !== SQUARED) {
    texts.push(lossText(state, data));
  } else if (state.scale === PHOTOGRAPHS) {
    texts.push("The table has the share of the loss on N(0, I) data.");
  }
  return texts;
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
  if (!hasSomething || needsKernel(state, data)) {
    return null;
  }
  /** @type {Record<string, Float64Array>} */
  const curves = {};
  /** @type {string[][]} */
  const rows = [];
  /** @type {(name: string, shown: Shown, label?: string) => void} */
  const show = (name, { curve, cells }, label = name) => {
    curves[name] = curve;
    rows.push([label, ...cells]);
  };
  for (const name of names) {
    show(name, ofEntry(name, state, data));
  }
  if (hasFamily) {
    const values = valuesOf(data.parameters[family], state);
    const texts = Object.entries(values).map(([name, value]) => `${name} ${general(value)}`);
    const label = `${family} (${texts.join(", ")})`;
    show(family, ofRecipe(FAMILIES[family](values), state, data), label);
  }
  if (drawn) {
    show(DRAWN, ofRecipe(drawn, state, data));
  }
  const colours = Object.keys(curves).map((name) => data.colours[name]);
  const head = state.loss === SQUARED ? data.head : data.localHead;
  const notes = textsOf(state, drawn, data).map((text) => note(text));
  const panels = [chartOf(curves, state, data), table(head, rows, colours), ...notes];
  return { panels, columns: 1 };
}

export const local = { compute };
