/** Reads one question as JSON from the first file and writes its answer to the second. */

import { readFileSync, writeFileSync } from "node:fs";

import { curves, pathValues, places, readings, specialValues } from "./agreement.js";

const [, , question, answer] = process.argv;
const asked = JSON.parse(readFileSync(question, "utf8"));
const { settings, grid, times, published, wanted } = asked;
const levels = Float64Array.from(grid);
const known = Object.entries(published ?? {}).map(([name, w]) => [name, Float64Array.from(w)]);

/** NaN and infinity as texts, which JSON does not have. */
function plain(key, value) {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

if (wanted === "curves") {
  writeFileSync(answer, curves(settings, levels));
} else {
  const answers = {
    places: () => places(levels),
    special: () => specialValues(asked),
    paths: () => pathValues(settings, times, grid),
    readings: () => readings(settings, Object.fromEntries(known)),
  };
  writeFileSync(answer, JSON.stringify(answers[wanted](), plain));
}
