import assert from "node:assert/strict";
import { test } from "node:test";

import { linspace } from "../../diffviz/web/analysis.js";
import {
  beta,
  cosmap,
  hypsecant,
  isf,
  laplace,
  logistic,
  logitNormal,
  loglogisticSigma,
  mode,
  moved,
  normal,
  quantileOf,
  splitLognormalSigma,
  truncated,
  uShaped,
  uniform,
} from "../../diffviz/web/laws.js";
import { COSINE, LINEAR, vpLinear } from "../../diffviz/web/paths.js";

const OF_LEVELS = {
  normal: normal(1, 2),
  logistic: logistic(0, 2),
  laplace: laplace(-1, 1.5),
  hypsecant: hypsecant(0, 2),
  "logistic ln σ": loglogisticSigma(-1.2, 0.6),
  "two-piece normal": splitLognormalSigma(-1, 1.2, 0.6),
  uniform: uniform(-8, 6),
  truncated: truncated(normal(0, 3), -4, 9),
  moved: moved(logistic(0, 2), -1.4),
  "logit-normal on the linear path": quantileOf(logitNormal(0.3, 1), LINEAR.schedule),
  "mode on the cosine path": quantileOf(mode(1.29), COSINE.schedule),
  "Beta on VP linear β": quantileOf(beta(2, 3), vpLinear(0.1, 20).schedule),
};
const OF_TIME = {
  "logit-normal": logitNormal(-0.4, 1.2),
  mode: mode(-0.7),
  cosmap: cosmap(),
  "U-shaped": uShaped(4),
  beta: beta(1.5, 2.5),
};

/** Integral of a density by the middles of 40,000 even cells. */
function integral(pdf, low, high) {
  const cells = 40000;
  const width = (high - low) / cells;
  const middles = linspace(low + width / 2, high - width / 2, cells);
  return middles.reduce((sum, x) => sum + pdf(x) * width, 0);
}

for (const [name, law] of Object.entries({ ...OF_LEVELS, ...OF_TIME })) {
  const low = Math.max(law.support[0], -60);
  const high = Math.min(law.support[1], 60);
  const inside = linspace(low, high, 25).filter((x) => law.cdf(x) > 1e-6 && law.sf(x) > 1e-6);

  test(`${name}: the density adds up to what the probabilities say`, () => {
    assert.ok(inside.length > 0);
    for (const x of inside) {
      assert.ok(Math.abs(integral(law.pdf, low, x) - law.cdf(x)) < 1e-4);
      assert.ok(Math.abs(law.cdf(x) + law.sf(x) - 1) < 1e-12);
    }
    assert.ok(Math.abs(integral(law.pdf, low, high) - 1) < 1e-4);
  });

  test(`${name}: quantiles invert probabilities`, () => {
    for (const q of [1e-4, 0.1, 0.5, 0.9, 1 - 1e-4]) {
      assert.ok(Math.abs(law.sf(isf(law, q)) - q) < 1e-11);
    }
  });
}

test("logit-normal time on the linear path is normal in λ", () => {
  const pushed = quantileOf(logitNormal(0.5, 0.8), LINEAR.schedule);
  const known = normal(-1, 1.6);
  for (const x of [-6, -1, 0, 3]) {
    assert.ok(Math.abs(pushed.pdf(x) / known.pdf(x) - 1) < 1e-12);
  }
});

test("a law without mass between the ends is refused in words", () => {
  assert.throws(() => truncated(uniform(0, 1), 5, 6), /no mass on logsnr \[5, 6\]/);
});
