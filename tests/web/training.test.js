import assert from "node:assert/strict";
import { test } from "node:test";

import { slicedW2 } from "../../diffviz/web/distances.js";
import {
  drawsAt,
  gaussianDraws,
  strata,
  tabulated,
  uniformDraws,
} from "../../diffviz/web/draws.js";
import { published } from "../../diffviz/web/published.js";
import { drawnMixture, exactDenoiser, posteriorVariance } from "../../diffviz/web/mixtures.js";
import { initialWeights } from "../../diffviz/web/networks.js";
import { adamStep, initialState } from "../../diffviz/web/optimiser.js";
import { LossByLogSNR } from "../../diffviz/web/tracking.js";
import { local } from "../../diffviz/web/training.js";

const near = (value, wanted, slack) =>
  assert.ok(Math.abs(value - wanted) <= slack, `${value} is not ${wanted} ± ${slack}`);

test("uniform numbers are even, and follow from the seed", () => {
  const random = uniformDraws(3);
  const counts = new Array(10).fill(0);
  for (let k = 0; k < 10_000; k += 1) counts[Math.floor(10 * random())] += 1;
  for (const count of counts) near(count, 1000, 150); // five standard deviations
  assert.equal(uniformDraws(3)(), uniformDraws(3)());
  assert.notEqual(uniformDraws(3)(), uniformDraws(4)());
});

test("Gaussian numbers have the moments of a standard normal", () => {
  const gaussian = gaussianDraws(uniformDraws(0));
  const drawn = Float64Array.from({ length: 20_000 }, gaussian);
  const moment = (power) => drawn.reduce((sum, value) => sum + value ** power, 0) / drawn.length;
  near(moment(1), 0, 0.04);
  near(moment(2), 1, 0.05);
  near(moment(4), 3, 0.4);
});

test("each part of the unit interval gets one draw", () => {
  const drawn = strata(64, uniformDraws(1));
  drawn.forEach((value, k) => assert.equal(Math.floor(64 * value), k));
});

test("flow matching draws log-odds twice over", () => {
  const quantiles = [0.01, 0.3, 0.5, 0.99];
  const flow = published("fm-ot");
  const { logsnr } = drawsAt(tabulated({ ...flow, multiplier: () => 1 }), quantiles);
  quantiles.forEach((share, k) => near(logsnr[k], 2 * Math.log(share / (1 - share)), 1e-9));
});

test("a factor is drawn on lines of its logarithm, and may be 0", () => {
  const table = { logsnr: [-9, 0, 9], factor: [1, 0, 4] };
  assert.deepEqual([...drawsAt(table, [0.5]).factor], [0]);
  const steep = { logsnr: [-9, 9], factor: [1, 100] };
  near(drawsAt(steep, [0.5]).factor[0], 10, 1e-12);
});

test("a shift is its length over the root of two away", () => {
  const gaussian = gaussianDraws(uniformDraws(5));
  const x = Float64Array.from({ length: 400 }, gaussian);
  const y = x.map((value, at) => value + (at % 2 ? 0.3 : 0.4));
  near(slicedW2(x, y), 0.5 / Math.SQRT2, 1e-12);
});

test("the posterior of one Gaussian is known", () => {
  const one = { logs: Float64Array.of(0), means: Float64Array.of(1, -2), variance: [0.3] };
  const denoise = exactDenoiser({ ...one, variance: Float64Array.from(one.variance) });
  for (const logsnr of [-12, -2, 0, 5, 14]) {
    const [alpha2, sigma2] = [1 / (1 + Math.exp(-logsnr)), 1 / (1 + Math.exp(logsnr))];
    const known = (2 * 0.3 * sigma2) / (0.3 * alpha2 + sigma2);
    const [found] = posteriorVariance(denoise, Float64Array.of(0.4, 0.1), logsnr);
    near(found / known, 1, 1e-6);
  }
});

test("one point is no data, and two are", () => {
  assert.equal(drawnMixture([[1, 1]], 0.1), null);
  assert.equal(drawnMixture([[1, 1], [1, 1]], 0.1), null);
  assert.equal(drawnMixture([[1, 1], [1, 2]], 0.1).logs.length, 2);
});

test("the first step of Adam goes as far as the rate, against the gradient", () => {
  const state = initialState(Float32Array.of(1, 2, 3));
  adamStep(state, Float32Array.of(1e-3, -50, 0), { steps: 10, rate: 0.1 });
  const moved = [0.9, 2.1, 3];
  moved.forEach((value, k) => near(state.weights[k], value, 1e-6));
  assert.deepEqual(state.average, state.weights);
});

test("a gradient that is far longer than those before moves no further", () => {
  const moves = [1, 1e6].map((size) => {
    const state = initialState(Float32Array.of(0));
    for (let k = 0; k < 20; k += 1) {
      adamStep(state, Float32Array.of(1), { steps: 1e9, rate: 0.1 });
    }
    const before = state.second[0];
    adamStep(state, Float32Array.of(size), { steps: 1e9, rate: 0.1 });
    return state.second[0] / before;
  });
  near(moves[1] / moves[0], 1, 1e-3);
});

test("the last layer begins at zero, and the others at the variance of He", () => {
  const network = { width: 64, depth: 3 };
  const weights = initialWeights(network, gaussianDraws(uniformDraws(2)));
  assert.equal(weights.length, 21 * 64 + 64 + 2 * (64 * 64 + 64) + 64 * 2 + 2);
  assert.ok(weights.slice(-130).every((value) => value === 0));
  const second = weights.slice(21 * 64 + 64, 21 * 64 + 64 + 64 * 64);
  const variance = second.reduce((sum, value) => sum + value ** 2, 0) / second.length;
  near(variance, 2 / 64, 0.004);
});

test("a bin that few draws have met is not shown", () => {
  const tracker = new LossByLogSNR([-1, 0, 1]);
  tracker.update([0, 0.2, -0.3, 0.1], [1, 1.01, 0.99, 1]);
  tracker.update([0.9], [5]);
  tracker.update([40, -40, NaN], [1, 1, 1]);
  const [low, middle, high] = tracker.mean();
  assert.ok(Number.isNaN(low));
  near(middle, 1, 0.01);
  assert.ok(Number.isNaN(high)); // one loss says nothing of the error of its mean
});

test("a drawing becomes the data, and a drawn weighting the second objective", () => {
  const data = { example: [[0, 0], [1, 1]], weighting: [[-8, 0], [8, 0]] };
  const state = { toy: "ring8", names: ["elbo", "fm-ot"], drawing: data.example, drawn: [[0, 1]] };
  assert.equal(local.settle(state, "drawing", data), state);
  const drawn = local.settle({ ...state, drawing: [...data.example, [2, 2]] }, "drawing", data);
  assert.deepEqual([drawn.toy, drawn.drawing], ["drawn", [[2, 2]]]);
  assert.deepEqual(local.settle(state, "drawn", data).names, ["elbo", "drawn"]);
  const example = { ...state, drawn: data.weighting };
  assert.equal(local.settle(example, "drawn", data), example);
});
