// Adam with relative clipping and averaged weights, as `diffviz.learning.optimiser`.

/**
 * @typedef {object} State What a step of training changes, in its place.
 * @property {Float32Array} weights
 * @property {Float32Array} first First moment of the gradient.
 * @property {Float32Array} second Second moment of the gradient.
 * @property {Float32Array} average Averaged weights.
 * @property {number} step Number of steps done.
 *
 * @typedef {object} Settings
 * @property {number} steps Number of steps planned.
 * @property {number} rate Learning rate at the start; a cosine takes it to zero.
 */

const BETAS = [0.9, 0.99]; // decays of both moments (Kingma and Ba 2015)
const EPSILON = 1e-15;
const AGE = 0.1; // mean age of the averaged weights, as a share of the steps done

/**
 * The state before the first step.
 * @param {Float32Array} weights
 * @returns {State}
 */
export function initialState(weights) {
  const zeros = () => new Float32Array(weights.length);
  return {
    weights: weights.slice(),
    first: zeros(),
    second: zeros(),
    average: weights.slice(),
    step: 0,
  };
}

/**
 * @param {Float32Array} values
 * @returns {number}
 */
function squaredLength(values) {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

/**
 * What a gradient is multiplied by so that it is no longer than the running root mean square of its
 * length: a loss has no scale of its own.
 * @param {State} state The state before the step.
 * @param {Float32Array} gradient
 * @returns {number} In [0, 1].
 */
function clipFactor({ second, step }, gradient) {
  let sum = 0;
  for (const value of second) sum += value; // the second moment sums to the mean squared length
  const meanSquare = sum / (1 - BETAS[1] ** Math.max(step, 1));
  return meanSquare > 0 ? Math.sqrt(Math.min(1, meanSquare / squaredLength(gradient))) : 1;
}

/**
 * Share of the present weights in their average, whose mean age stays a share of the steps done:
 * the power function of Karras et al. 2024 (arXiv 2312.02696), sec. 3.1.
 * @param {number} step Number of steps done before.
 * @returns {number}
 */
function freshShare(step) {
  const kept = 1 - 1 / (step + 1);
  return 1 - kept ** (1 / AGE - 1);
}

/**
 * One step of Adam; the state is changed in its place.
 * @param {State} state
 * @param {Float32Array} gradient
 * @param {Settings} settings
 */
export function adamStep(state, gradient, { steps, rate }) {
  const { weights, first, second, average, step } = state;
  const [beta, beta2] = BETAS;
  const factor = clipFactor(state, gradient);
  const fresh = freshShare(step);
  const rateNow = (rate * (1 + Math.cos((Math.PI * step) / steps))) / 2;
  const size = rateNow / (1 - beta ** (step + 1));
  const correction = 1 - beta2 ** (step + 1);
  for (let k = 0; k < weights.length; k += 1) {
    const slope = factor * gradient[k];
    first[k] += (1 - beta) * (slope - first[k]);
    second[k] = beta2 * second[k] + (1 - beta2) * slope * slope;
    weights[k] -= (size * first[k]) / (Math.sqrt(second[k] / correction) + EPSILON);
    average[k] += fresh * (weights[k] - average[k]);
  }
  state.step = step + 1;
}
