/**
 * Special functions in double precision, each checked against SciPy by tests/web.
 *
 * Every series and continued fraction below has positive terms only, so that nothing cancels.
 */

/**
 * The logistic function 1/(1 + e^(−x)).
 * @param {number} x
 * @returns {number}
 */
export function expit(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * log(1 + e^x), as `numpy.logaddexp(0, x)`.
 * @param {number} x
 * @returns {number}
 */
export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/**
 * The logarithm of `expit`.
 * @param {number} x
 * @returns {number}
 */
export function logExpit(x) {
  return -softplus(-x);
}

const SERIES_END = 2.5; // beyond it the continued fraction converges to the last digit
const FRACTION_TERMS = 80;

/**
 * erf(x) = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1)/(2n+1)!! (Abramowitz and Stegun 7.1.6), for 0 <= x <= 2.5.
 * @param {number} x
 * @returns {number}
 */
function erfSeries(x) {
  let term = x;
  let sum = x;
  for (let n = 1; term > 1e-17 * sum; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/**
 * erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + ...)))) (Abramowitz and Stegun 7.1.14).
 * @param {number} x At least 2.5.
 * @returns {number}
 */
function erfcFraction(x) {
  let below = x;
  for (let n = FRACTION_TERMS; n > 0; n -= 1) {
    below = x + n / 2 / below;
  }
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / below;
}

/**
 * The error function, with all its digits near 0 too.
 * @param {number} x
 * @returns {number}
 */
export function erf(x) {
  if (x < 0) {
    return -erf(-x);
  }
  return x < SERIES_END ? erfSeries(x) : 1 - erfcFraction(x);
}

/**
 * The complementary error function.
 * @param {number} x
 * @returns {number}
 */
export function erfc(x) {
  if (x < 0) {
    return 2 - erfc(-x);
  }
  return x < SERIES_END ? 1 - erfSeries(x) : erfcFraction(x);
}

/**
 * Probability below x of the standard normal law, as `scipy.special.ndtr`.
 * @param {number} x
 * @returns {number}
 */
export function ndtr(x) {
  return erfc(-x / Math.SQRT2) / 2;
}

/**
 * Density of the standard normal law.
 * @param {number} x
 * @returns {number}
 */
export function normalDensity(x) {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360];
const STIRLING_START = 12; // from here on six terms of the series give all digits

/**
 * log Γ(x) by Stirling's series (Abramowitz and Stegun 6.1.41), after Γ(x + 1) = x Γ(x).
 * @param {number} x Above 0.
 * @returns {number}
 */
export function logGamma(x) {
  let product = 1;
  let shifted = x;
  while (shifted < STIRLING_START) {
    product *= shifted;
    shifted += 1;
  }
  let series = 0;
  for (let n = STIRLING.length - 1; n >= 0; n -= 1) {
    series = series / (shifted * shifted) + STIRLING[n];
  }
  const stirling = (shifted - 0.5) * Math.log(shifted) - shifted + Math.log(2 * Math.PI) / 2;
  return stirling + series / shifted - Math.log(product);
}

/**
 * log B(a, b) of the beta function.
 * @param {number} a Above 0.
 * @param {number} b Above 0.
 * @returns {number}
 */
export function logBeta(a, b) {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

const MOST_TERMS = 300;

/**
 * The incomplete beta integral from 0 to x, for x below (a + 1)/(a + b + 2).
 *
 * x^a (1 − x)^b/(a B) times the series Σ (a + b)_n/(a + 1)_n xⁿ (Abramowitz and Stegun 26.5.4).
 * @param {number} a
 * @param {number} b
 * @param {number} x
 * @param {number} rest 1 − x.
 * @returns {number}
 */
function betaSeries(a, b, x, rest) {
  let term = 1;
  let sum = 1;
  for (let n = 0; n < MOST_TERMS && term > 1e-17 * sum; n += 1) {
    term *= ((a + b + n) / (a + 1 + n)) * x;
    sum += term;
  }
  return (Math.exp(a * Math.log(x) + b * Math.log(rest) - logBeta(a, b)) / a) * sum;
}

/**
 * Probability below x of the law Beta(a, b), as `scipy.special.betainc`.
 * @param {number} a Above 0.
 * @param {number} b Above 0.
 * @param {number} x Between 0 and 1.
 * @returns {number}
 */
export function betainc(a, b, x) {
  if (x <= 0 || x >= 1) {
    return x <= 0 ? 0 : 1;
  }
  const isLow = x < (a + 1) / (a + b + 2);
  return isLow ? betaSeries(a, b, x, 1 - x) : 1 - betaSeries(b, a, 1 - x, x);
}

const MOST_HALVINGS = 200;

/**
 * Where a rising function crosses 0, by halving a bracket until no number is left inside it.
 * @param {(x: number) => number} rising
 * @param {number} low Where it is at most 0.
 * @param {number} high Where it is at least 0.
 * @returns {number}
 */
export function crossing(rising, low, high) {
  let first = low;
  let last = high;
  for (let step = 0; step < MOST_HALVINGS; step += 1) {
    const middle = first + (last - first) / 2;
    if (middle <= first || middle >= last) {
      break;
    }
    if (rising(middle) < 0) {
      first = middle;
    } else {
      last = middle;
    }
  }
  return first + (last - first) / 2;
}
