// The orthonormal cosine transform of square images with 2^k pixels a side, as `scipy.fft.dctn` and
// `idctn` with norm="ortho", by Lee's recursion (doi 10.1109/TASSP.1984.1164443).

/** @type {Map<number, Float64Array>} */
const DIVISORS = new Map();

/**
 * 2 cos(π (n + ½)/size), by which a half of a recursion is divided or multiplied.
 * @param {number} size
 * @returns {Float64Array} Shape (size/2,).
 */
function divisors(size) {
  const known = DIVISORS.get(size);
  if (known) return known;
  const values = Float64Array.from(
    { length: size / 2 },
    (_, n) => 2 * Math.cos((Math.PI * (n + 0.5)) / size),
  );
  DIVISORS.set(size, values);
  return values;
}

/**
 * Σ x cos(π k (2n + 1)/(2 size)) in the place of the values x.
 * @param {Float64Array} values
 * @param {number} start Where they begin.
 * @param {number} size
 * @param {Float64Array} spare Of the same length.
 */
function toWaves(values, start, size, spare) {
  if (size === 1) return;
  const half = size / 2;
  const by = divisors(size);
  for (let n = 0; n < half; n += 1) {
    const left = values[start + n];
    const right = values[start + size - 1 - n];
    spare[start + n] = left + right;
    spare[start + half + n] = (left - right) / by[n];
  }
  toWaves(spare, start, half, values);
  toWaves(spare, start + half, half, values);
  for (let n = 0; n < half; n += 1) {
    const next = n < half - 1 ? spare[start + half + n + 1] : 0;
    values[start + 2 * n] = spare[start + n];
    values[start + 2 * n + 1] = spare[start + half + n] + next;
  }
}

/**
 * Σ c cos(π k (2n + 1)/(2 size)) in the place of the coefficients c.
 * @param {Float64Array} values
 * @param {number} start Where they begin.
 * @param {number} size
 * @param {Float64Array} spare Of the same length.
 */
function fromWaves(values, start, size, spare) {
  if (size === 1) return;
  const half = size / 2;
  const by = divisors(size);
  for (let n = 0; n < half; n += 1) {
    const before = n ? values[start + 2 * n - 1] : 0;
    spare[start + n] = values[start + 2 * n];
    spare[start + half + n] = before + values[start + 2 * n + 1];
  }
  fromWaves(spare, start, half, values);
  fromWaves(spare, start + half, half, values);
  for (let n = 0; n < half; n += 1) {
    const even = spare[start + n];
    const odd = spare[start + half + n] / by[n];
    values[start + n] = even + odd;
    values[start + size - 1 - n] = even - odd;
  }
}

/**
 * @param {Float64Array} image Shape (size · size,).
 * @param {number} size
 * @returns {Float64Array}
 */
function transposed(image, size) {
  const turned = new Float64Array(image.length);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      turned[column * size + row] = image[row * size + column];
    }
  }
  return turned;
}

/**
 * The cosine coefficients of an image.
 * @param {Float64Array} image Shape (size · size,).
 * @param {number} size Pixels a side, a power of 2.
 * @returns {Float64Array} Shape (size · size,).
 */
export function cosinesOf(image, size) {
  /** @type {Float64Array} */
  let values = image.slice();
  const spare = new Float64Array(values.length);
  const [mean, wave] = [Math.sqrt(1 / size), Math.sqrt(2 / size)]; // orthonormal
  for (let axis = 0; axis < 2; axis += 1) {
    for (let start = 0; start < values.length; start += size) {
      toWaves(values, start, size, spare);
      for (let k = 0; k < size; k += 1) values[start + k] *= k ? wave : mean;
    }
    values = transposed(values, size);
  }
  return values;
}

/**
 * The image of cosine coefficients.
 * @param {Float64Array} coefficients Shape (size · size,).
 * @param {number} size Pixels a side, a power of 2.
 * @returns {Float64Array} Shape (size · size,).
 */
export function imageOf(coefficients, size) {
  /** @type {Float64Array} */
  let values = coefficients.slice();
  const spare = new Float64Array(values.length);
  const [mean, wave] = [Math.sqrt(1 / size), Math.sqrt(2 / size)]; // orthonormal
  for (let axis = 0; axis < 2; axis += 1) {
    for (let start = 0; start < values.length; start += size) {
      for (let k = 0; k < size; k += 1) values[start + k] *= k ? wave : mean;
      fromWaves(values, start, size, spare);
    }
    values = transposed(values, size);
  }
  return values;
}
