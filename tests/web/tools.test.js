import assert from "node:assert/strict";
import { test } from "node:test";

import { tableOf } from "../../diffviz/web/tools.js";

const shaped = (numbers, shape) => Object.assign(Float64Array.from(numbers), { shape });

test("a chart alone gives its places and curves", () => {
  const chart = { x: [1, 2, 3], curves: { a: [0.5, NaN, 2], b: [4, 5] } };
  assert.equal(tableOf([{ chart }]), "x,a,b\n1,0.5,4\n2,nan,5\n3,2,nan\n");
});

test("curves with places of their own have a column for each", () => {
  const chart = { x: { a: [1, 2], b: [3] }, curves: { a: [5, 6], b: [7] } };
  assert.equal(tableOf([{ chart }]), "x of a,a,x of b,b\n1,5,3,7\n2,6,nan,nan\n");
});

test("a cloud gives its points, and its trajectories step by step", () => {
  const points = { data: shaped([1, 2], [1, 2]) };
  const paths = { samples: shaped([0, 0, 1, 1, 2, 2, 3, 3], [2, 2, 2]) };
  const [head, ...rows] = tableOf([{ cloud: { points, paths } }]).trim().split("\n");
  assert.equal(head, "data x,data y,samples step,samples x,samples y");
  assert.deepEqual(rows, ["1,2,0,0,0", "nan,nan,0,1,1", "nan,nan,1,2,2", "nan,nan,1,3,3"]);
});

test("several pictures are numbered, clouds after charts; notes have no columns", () => {
  const chart = { x: [1], curves: { a: [2] } };
  const cloud = { points: { a: shaped([3, 4], [1, 2]) }, paths: {} };
  const head = (...panels) => tableOf(panels).split("\n")[0];
  assert.equal(head({ cloud }, { chart }, { chart }, {}), "1:x,1:a,2:x,2:a,3:a x,3:a y");
  assert.equal(head({ cloud }, { chart }), "x,a,2:a x,2:a y");
  assert.equal(tableOf([{}]), "\n");
});
