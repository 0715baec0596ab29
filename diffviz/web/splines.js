// Splines in B-form, as `scipy.interpolate.BSpline`.

/**
 * @typedef {object} Spline
 * @property {Float64Array} knots Rising, each end as often as the degree plus one.
 * @property {Float64Array} coefficients
 * @property {number} degree
 */

/**
 * The last knot at or below a place, but not the last of all.
 * @param {Spline} spline
 * @param {number} x
 * @returns {number} Its index.
 */
function intervalOf({ knots, degree }, x) {
  let low = degree;
  let high = knots.length - degree - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (knots[middle] <= x) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The spline at a place between its ends, by de Boor's algorithm.
 * @param {Spline} spline
 * @param {number} x
 * @returns {number}
 */
export function splineAt(spline, x) {
  const { knots, coefficients, degree } = spline;
  const interval = intervalOf(spline, x);
  const first = interval - degree;
  const points = Array.from(coefficients.subarray(first, interval + 1));
  for (let level = 1; level <= degree; level += 1) {
    for (let index = degree; index >= level; index -= 1) {
      const left = knots[first + index];
      const right = knots[first + index + 1 + degree - level];
      const share = (x - left) / (right - left);
      points[index] = (1 - share) * points[index - 1] + share * points[index];
    }
  }
  return points[degree];
}
