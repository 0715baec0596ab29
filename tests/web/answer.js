/** Reads one question as JSON from the first file and writes its answer to the second. */

import { readFileSync, writeFileSync } from "node:fs";

import {
  curves,
  pathValues,
  places,
  readings,
  specialValues,
  trainingValues,
} from "./agreement.js";

const [, , question, answer] = process.argv;
const asked = JSON.parse(readFileSync(question, "utf8"));
const { settings, grid, times, published, targets, wanted } = asked;
const levels = Float64Array.from(grid);

/** Arrays from their numbers and shapes, or from lists of numbers, as the browser has them. */
function arrays(value) {
  if (Array.isArray(value)) {
    return typeof value[0] === "number" ? Float64Array.from(value) : value.map(arrays);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  if ("numbers" in value && "shape" in value) {
    const Type = value.type === "uint8" ? Uint8Array : Float64Array;
    return Object.assign(Type.from(value.numbers), { shape: value.shape });
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, arrays(one)]));
}

/** The views of an explorer in some states; what goes wrong in words. */
async function views({ module, states, data }) {
  const { local } = await import(`../../diffviz/web/${module}`);
  const known = arrays(data);
  return states.map((state) => {
    try {
      return local.compute(state, known);
    } catch (error) {
      return { error: error.message };
    }
  });
}

/** NaN and infinity as texts, which JSON does not have. */
function plain(key, value) {
  if (ArrayBuffer.isView(value)) {
    return Array.from(value);
  }
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

if (wanted === "curves") {
  writeFileSync(answer, curves(settings, levels));
} else {
  const answers = {
    places: () => places(levels),
    paths: () => pathValues(settings, times, grid),
    readings: () => readings(settings, arrays(published), targets),
    special: () => specialValues(asked),
    training: () => trainingValues(asked),
    views: () => views(asked),
  };
  writeFileSync(answer, JSON.stringify(await answers[wanted](), plain));
}
