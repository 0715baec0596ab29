import assert from "node:assert/strict";
import { test } from "node:test";

import {
  factorOf,
  linspace,
  median,
  rebase,
  sharesBelow,
  verdict,
  verdictOf,
} from "../../diffviz/web/analysis.js";
import { minSnr } from "../../diffviz/web/multipliers.js";
import { FAMILIES } from "../../diffviz/web/families.js";
import { objective, weighting } from "../../diffviz/web/objectives.js";
import { COSINE, LINEAR, uniformLogsnr } from "../../diffviz/web/paths.js";
import { logistic } from "../../diffviz/web/laws.js";
import { AXES, scaled } from "../../diffviz/web/scales.js";
import { EPS, U, V, X, baseGain } from "../../diffviz/web/targets.js";

const GRID = linspace(-12, 12, 241);

test("flow matching and v on the cosine path have one weighting, and it falls", () => {
  const flow = objective({ name: "flow", path: LINEAR, target: U });
  const v = objective({ name: "v", path: COSINE, target: V });
  const { factor } = factorOf(weighting(flow, GRID), weighting(v, GRID));
  assert.ok(factor - 1 < 1e-12);
  assert.ok(verdict(flow).monotone);
});

test("a ratio far below its median is as many times off as one above it", () => {
  const flat = Float64Array.of(1, 1, 1, 1, 0);
  const low = factorOf(Float64Array.of(1, 0.01, 1, 1, 5), flat);
  const high = factorOf(Float64Array.of(1, 1, 100, 1, 5), flat);
  assert.deepEqual([low.factor, low.index, low.count], [100, 1, 4]);
  assert.deepEqual([high.factor, high.index], [100, 2]);
});

test("the peak of a bell is found between the points of the grid", () => {
  const bell = GRID.map((x) => Math.exp(-((x - 0.123456) ** 2) / 8));
  assert.ok(Math.abs(verdictOf(GRID, bell).peak - 0.123456) < 1e-7);
});

test("a weighting that rises on two stretches is said to do so", () => {
  const grid = linspace(0, 6, 7);
  const { rises, monotone } = verdictOf(grid, Float64Array.of(1, 2, 2, 1, 2, 3, 0));
  assert.equal(monotone, false);
  assert.deepEqual(rises, [[0, 1], [3, 5]]);
});

test("the start of a support is no rise", () => {
  const grid = linspace(0, 4, 5);
  const values = Float64Array.of(0, 0, 3, 2, 1);
  assert.ok(verdictOf(grid, values, [1.5, 9]).monotone);
  assert.equal(verdictOf(grid, values).monotone, false);
});

test("a mixture with one step up and one down has the share that one counts", () => {
  const grid = linspace(0, 2, 3);
  const { negativeShare } = verdictOf(grid, Float64Array.of(1, 3, 2), undefined, () => 1);
  assert.equal(negativeShare, 2 / (2 + 1));
});

test("nothing but zeros is refused in words", () => {
  assert.throws(() => verdictOf(GRID, new Float64Array(241)), /0 on the whole grid/);
});

test("a symmetric weighting has half of itself below its centre", () => {
  const recipe = objective({ name: "ddpm", path: COSINE, target: EPS });
  assert.ok(Math.abs(sharesBelow(recipe, 0, [() => 1])[0] - 0.5) < 1e-10);
});

test("a change of base and back changes nothing", () => {
  const w = GRID.map((x) => 1 / Math.cosh(x / 2));
  const back = rebase(rebase(w, GRID, "eps", "u"), GRID, "u", "eps");
  w.forEach((value, index) => assert.ok(Math.abs(back[index] / value - 1) < 1e-14));
  assert.ok(Math.abs(baseGain("v", 0) - Math.SQRT2) < 1e-15);
  assert.throws(() => baseGain("z", 0), /unknown base 'z'/);
});

test("scales put the anchor at 0, the maximum at 1 and the area at 1", () => {
  const w = GRID.map((x) => Math.exp(-x * x / 9));
  assert.equal(scaled(w, GRID, "log10, anchored", 3)[150], 0);
  assert.equal(Math.max(...scaled(w, GRID, "w / max")), 1);
  const share = scaled(w, GRID, "unit area").reduce((sum, value) => sum + value * 0.1, 0);
  assert.ok(Math.abs(share - 1) < 1e-6);
  assert.ok(scaled(w.map(() => 0), GRID, "w / max").every(Number.isNaN));
});

test("an anchor outside the support is the end that is nearest to it", () => {
  const w = GRID.map((x) => (x > -4 && x < 2 ? Math.exp(x) : 0));
  const drawn = scaled(w, GRID, "log10, anchored", 8);
  assert.equal(drawn.findLast((value) => !Number.isNaN(value)), 0);
});

test("an infinite weighting is refused in words", () => {
  const w = Float64Array.of(1, Infinity, 2);
  assert.throws(() => scaled(w, GRID.slice(0, 3), "w / max"), /infinity at logsnr -11.9/);
});

test("axes of time are empty where a path never comes", () => {
  assert.ok(Number.isNaN(AXES["t, VP linear β"](-12)));
  assert.equal(AXES["t, linear path"](0), 0.5);
});

test("parts that do not go together are refused in words", () => {
  assert.throws(() => minSnr(5, "u"), /min-SNR is defined on eps, x, v, not on 'u'/);
  const path = uniformLogsnr(-8, 8);
  const law = logistic(0, 2);
  assert.throws(() => objective({ name: "mine", path, target: X, law }), /truncate the density/);
});

test("families agree with closed forms at a few levels", () => {
  const sigmoid = weighting(FAMILIES.sigmoid({ bias: 2 }), GRID);
  GRID.forEach((x, index) => {
    assert.ok(Math.abs(sigmoid[index] * (1 + Math.exp(x - 2)) / 2 - 1) < 1e-10);
  });
});

test("the median of an even number of values lies between the middle ones", () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([5, 1, 3]), 3);
});
