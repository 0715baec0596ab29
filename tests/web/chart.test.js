import assert from "node:assert/strict";
import { test } from "node:test";

import { tickText } from "../../diffviz/web/chart.js";

test("a tick has the sign of minus, no rest of a sum, and all figures of a large number", () => {
  const texts = [-10, 0, 0.1 + 0.2, 100250, 1e-7, null].map(tickText);
  assert.deepEqual(texts, ["−10", "0", "0.3", "100250", "1e−7", ""]);
});
