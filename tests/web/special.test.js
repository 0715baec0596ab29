import assert from "node:assert/strict";
import { test } from "node:test";

import { betainc, crossing, erfc, logGamma, ndtr, softplus } from "../../diffviz/web/special.js";

const close = (got, expected, tolerance = 1e-14) =>
  assert.ok(Math.abs(got - expected) <= tolerance * Math.max(1, Math.abs(expected)), `${got}`);

test("erfc of x and of −x add up to 2, across the place where the formula changes", () => {
  for (const x of [0, 0.3, 1, 2.4999999, 2.5, 2.5000001, 4]) {
    close(erfc(x) + erfc(-x), 2);
  }
  close(erfc(2.5 - 1e-12) / erfc(2.5 + 1e-12), 1, 1e-10);
});

test("the normal law is one half at 0, and far tails are not lost", () => {
  assert.equal(ndtr(0), 0.5);
  assert.ok(ndtr(-30) > 0 && ndtr(-30) < 1e-190);
});

test("gamma is the factorial at whole numbers and √π at one half", () => {
  let factorial = 1;
  for (let n = 1; n < 20; n += 1) {
    close(logGamma(n), Math.log(factorial));
    factorial *= n;
  }
  close(logGamma(0.5), Math.log(Math.PI) / 2);
});

test("the beta law has its closed forms", () => {
  for (const x of [0, 0.1, 0.5, 0.9, 1]) {
    close(betainc(1, 1, x), x);
    close(betainc(3, 1, x), x ** 3);
    close(betainc(1, 3, x), 1 - (1 - x) ** 3);
    close(betainc(2.5, 0.7, x) + betainc(0.7, 2.5, 1 - x), 1);
  }
});

test("a crossing is found to the last digit", () => {
  close(crossing((x) => x * x - 2, 0, 2), Math.SQRT2);
});

test("softplus neither overflows nor underflows", () => {
  assert.equal(softplus(1000), 1000);
  assert.equal(softplus(-1000), 0);
  close(softplus(0), Math.LN2);
});
