// How far two sets of points in the plane are from each other.

const DIRECTIONS = 64;

/**
 * Sliced Wasserstein-2 distance: root mean square over directions of the distances on a line, as
 * `sliced_w2` of `diffviz.lab.experiments.training`.
 * @param {ArrayLike<number>} x Points, shape (n, 2).
 * @param {ArrayLike<number>} y As many points.
 * @returns {number}
 */
export function slicedW2(x, y) {
  const count = x.length / 2;
  let sum = 0;
  for (let direction = 0; direction < DIRECTIONS; direction += 1) {
    const angle = (direction * Math.PI) / DIRECTIONS;
    const [right, up] = [Math.cos(angle), Math.sin(angle)];
    const places = (/** @type {ArrayLike<number>} */ points) =>
      Float64Array.from({ length: count }, (_, k) => {
        return right * points[2 * k] + up * points[2 * k + 1];
      }).sort();
    const [here, there] = [places(x), places(y)];
    for (let k = 0; k < count; k += 1) sum += (here[k] - there[k]) ** 2;
  }
  return Math.sqrt(sum / (DIRECTIONS * count));
}
