// The orthonormal cosine transform of square images, as `scipy.fft.idctn(..., norm="ortho")`.

/** @type {Map<number, Float64Array>} */
const BASES = new Map();

/**
 * cos(π k (2n + 1)/(2 size)) scaled to an orthonormal basis; row k holds one wave.
 * @param {number} size
 * @returns {Float64Array} Shape (size · size,).
 */
function basisOf(size) {
  const known = BASES.get(size);
  if (known) return known;
  const basis = new Float64Array(size * size);
  for (let k = 0; k < size; k += 1) {
    const scale = Math.sqrt((k ? 2 : 1) / size);
    for (let n = 0; n < size; n += 1) {
      basis[k * size + n] = scale * Math.cos((Math.PI * k * (2 * n + 1)) / (2 * size));
    }
  }
  BASES.set(size, basis);
  return basis;
}

/**
 * Each row as the sum of the waves whose coefficients it holds, written as a column.
 * @param {Float64Array} rows Shape (size · size,).
 * @param {Float64Array} basis
 * @param {number} size
 * @returns {Float64Array} The transpose of the sums.
 */
function summedTransposed(rows, basis, size) {
  const columns = new Float64Array(size * size);
  const sum = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    sum.fill(0);
    for (let k = 0; k < size; k += 1) {
      const value = rows[row * size + k];
      const start = k * size;
      for (let n = 0; n < size; n += 1) sum[n] += value * basis[start + n];
    }
    for (let n = 0; n < size; n += 1) columns[n * size + row] = sum[n];
  }
  return columns;
}

/**
 * The image of its cosine coefficients.
 * @param {Float64Array} coefficients Shape (size · size,).
 * @param {number} size Pixels a side.
 * @returns {Float64Array} Shape (size · size,).
 */
export function inverseCosines(coefficients, size) {
  const basis = basisOf(size);
  return summedTransposed(summedTransposed(coefficients, basis, size), basis, size);
}
