import assert from "node:assert/strict";
import { test } from "node:test";

import { sampleOf, tickText } from "../../diffviz/web/chart.js";

test("a tick has the sign of minus, no rest of a sum, and all figures of a large number", () => {
  const texts = [-10, 0, 0.1 + 0.2, 100250, 1e-7, null].map(tickText);
  assert.deepEqual(texts, ["−10", "0", "0.3", "100250", "1e−7", ""]);
});

test("the legend shows dots or a band where a name has no curve", () => {
  const curves = { a: [NaN, 1], b: [NaN], c: [NaN], d: Float32Array.of(NaN), e: [NaN] };
  const dots = { a: [[0], [1]], b: [[0], [1]], c: [[0], [1]] };
  const chart = { curves, dots, bands: { d: [[0], [1]] }, symbols: { b: "star" } };
  const samples = Object.keys(curves).map((name) => sampleOf(chart, name));
  assert.deepEqual(samples, ["line", "star", "dot", "band", "line"]);
});
