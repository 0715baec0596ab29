// A small network of points in the plane and its loss, by TensorFlow.js: the same as `MLP` of
// `diffviz.learning.models`, with the output v of `diffviz.learning.outputs`.
//
// The network sees z' = alpha' x' + sigma' eps of data x' with mean 0 and variance 1, and estimates
// v = alpha' eps − sigma' x'.

import { expit } from "./special.js";

/**
 * @typedef {object} Network
 * @property {number} width Units in a hidden layer.
 * @property {number} depth Number of hidden layers.
 *
 * @typedef {object} Layer
 * @property {number} inputs
 * @property {number} outputs
 *
 * @typedef {object} Batch What a loss is computed of, for n points.
 * @property {Float32Array} inputs Features of z' and its level, shape (n, 21).
 * @property {Float32Array} target v, shape (n, 2).
 * @property {Float32Array} weight Factor on its squared error, shape (n,).
 *
 * @typedef {object} Evaluation
 * @property {number} loss Mean of weight times squared error.
 * @property {Float32Array} gradient Of the loss by the weights.
 * @property {Float32Array} error Squared error of v, shape (n,).
 */

const FREQUENCIES = [1, 2, 4]; // angular, of the Fourier features of z'
const LEVEL_FREQUENCIES = [1, 3, 6];
const FARTHEST = 20; // nats; levels beyond look like this one
const DIMENSIONS = 2;
const OF_POINT = DIMENSIONS * (1 + 2 * FREQUENCIES.length);
const FEATURES = OF_POINT + 1 + 2 * LEVEL_FREQUENCIES.length;

/**
 * The layers from the features to v.
 * @param {Network} network
 * @returns {Layer[]}
 */
function layersOf({ width, depth }) {
  const sizes = [FEATURES, ...new Array(depth).fill(width), DIMENSIONS];
  return sizes.slice(1).map((outputs, k) => ({ inputs: sizes[k], outputs }));
}

/**
 * Random weights before training: of variance 2/inputs, and 0 in the last layer.
 * @param {Network} network
 * @param {() => number} gaussian Draws of a standard normal.
 * @returns {Float32Array} Weights and biases, layer by layer.
 */
export function initialWeights(network, gaussian) {
  const layers = layersOf(network);
  const values = layers.flatMap(({ inputs, outputs }, k) => {
    const deviation = k < layers.length - 1 ? Math.sqrt(2 / inputs) : 0;
    const weights = Array.from({ length: inputs * outputs }, () => deviation * gaussian());
    return [...weights, ...new Array(outputs).fill(0)];
  });
  return Float32Array.from(values);
}

/**
 * What the network is told of points: coordinates, their sines and cosines, and the level.
 * @param {ArrayLike<number>} z Points z', shape (n, 2).
 * @param {ArrayLike<number>} level Log-SNR of x' in nats, shape (n,).
 * @returns {Float32Array} Shape (n, 21).
 */
export function featuresOf(z, level) {
  const all = new Float32Array(level.length * FEATURES);
  const count = DIMENSIONS * FREQUENCIES.length;
  for (let row = 0; row < level.length; row += 1) {
    const begin = row * FEATURES;
    let at = begin + DIMENSIONS;
    for (let axis = 0; axis < DIMENSIONS; axis += 1) {
      const place = z[DIMENSIONS * row + axis];
      all[begin + axis] = place;
      for (const frequency of FREQUENCIES) {
        all[at] = Math.sin(frequency * place);
        all[at + count] = Math.cos(frequency * place);
        at += 1;
      }
    }
    const height = Math.max(-FARTHEST, Math.min(FARTHEST, level[row])) / FARTHEST;
    at = begin + OF_POINT;
    all[at] = height;
    LEVEL_FREQUENCIES.forEach((frequency, k) => {
      const phase = (frequency * height * Math.PI) / 2;
      all[at + 1 + k] = Math.sin(phase);
      all[at + 1 + LEVEL_FREQUENCIES.length + k] = Math.cos(phase);
    });
  }
  return all;
}

/**
 * alpha' and sigma' at a level.
 * @param {number} level Log-SNR of x' in nats.
 * @returns {[number, number]}
 */
export function scalesAt(level) {
  return [Math.sqrt(expit(level)), Math.sqrt(expit(-level))];
}

/**
 * @typedef {object} Pass What the layers have computed on the way to the output.
 * @property {any[]} matrices Of the layers, shape (inputs, outputs).
 * @property {any[]} values What each layer was given, and at last the output.
 * @property {any[]} sums Of each hidden layer, before its SiLU.
 */

/**
 * The pass through the layers.
 * @param {any} tf TensorFlow.js.
 * @param {Network} network
 * @param {any} weights Tensor of all weights.
 * @param {any} inputs Tensor of features, shape (n, 21).
 * @returns {Pass}
 */
function forward(tf, network, weights, inputs) {
  const layers = layersOf(network);
  const sizes = layers.flatMap((layer) => [layer.inputs * layer.outputs, layer.outputs]);
  const pieces = tf.split(weights, sizes);
  const matrices = layers.map((layer, k) =>
    tf.reshape(pieces[2 * k], [layer.inputs, layer.outputs]),
  );
  const values = [inputs];
  /** @type {any[]} */
  const sums = [];
  layers.forEach((_, k) => {
    const sum = tf.fused.matMul({ a: values[k], b: matrices[k], bias: pieces[2 * k + 1] });
    const isHidden = k < layers.length - 1;
    if (isHidden) sums.push(sum);
    values.push(isHidden ? tf.mul(sum, tf.sigmoid(sum)) : sum);
  });
  return { matrices, values, sums };
}

/**
 * The gradient of a loss by all weights.
 *
 * The small bundle of TensorFlow.js has no gradients of its own, and those of a perceptron are
 * these few lines: SiLU'(s) = p (1 + s (1 − p)) with p = sigmoid(s).
 * @param {any} tf TensorFlow.js.
 * @param {Pass} pass
 * @param {any} slope Gradient of the loss by the output, shape (n, 2).
 * @returns {any[]} Tensors of matrices and biases, layer by layer.
 */
function backward(tf, { matrices, values, sums }, slope) {
  /** @type {any[]} */
  const gradients = [];
  let back = slope;
  for (let k = matrices.length - 1; k >= 0; k -= 1) {
    // transposed before, since WebAssembly multiplies what is not transposed much faster
    gradients.unshift(tf.matMul(tf.transpose(values[k]), back), tf.sum(back, 0));
    if (k === 0) break;
    const sum = sums[k - 1];
    const share = tf.sigmoid(sum);
    const rise = tf.mul(share, tf.add(1, tf.mul(sum, tf.sub(1, share))));
    back = tf.mul(tf.matMul(back, tf.transpose(matrices[k])), rise);
  }
  return gradients;
}

/**
 * Loss, gradient and errors of a batch.
 * @param {any} tf TensorFlow.js.
 * @param {Network} network
 * @param {Float32Array} weights
 * @param {Batch} batch
 * @returns {Evaluation}
 */
export function evaluate(tf, network, weights, { inputs, target, weight }) {
  const count = weight.length;
  const gradient = new Float32Array(weights.length);
  return tf.tidy(() => {
    const features = tf.tensor2d(inputs, [count, FEATURES]);
    const pass = forward(tf, network, tf.tensor1d(weights), features);
    const off = tf.sub(pass.values[pass.values.length - 1], tf.tensor2d(target, [count, 2]));
    const error = tf.sum(tf.square(off), 1).dataSync();
    const factor = tf.tensor2d(weight.map((value) => (2 * value) / count), [count, 1]);
    let at = 0;
    for (const piece of backward(tf, pass, tf.mul(factor, off))) {
      gradient.set(piece.dataSync(), at);
      at += piece.size;
    }
    const loss = weight.reduce((sum, value, k) => sum + value * error[k], 0) / count;
    return { loss, gradient, error };
  });
}

/**
 * The data that the network expects behind noisy points.
 * @param {any} tf TensorFlow.js.
 * @param {Network} network
 * @param {Float32Array} weights
 * @param {{mean: number[], std: number}} data Mean of each coordinate, and their spread.
 * @param {Float64Array} z Points in the variance-preserving frame, shape (n, 2).
 * @param {ArrayLike<number>} logsnr λ of each in nats, shape (n,).
 * @returns {Float64Array} Shape (n, 2).
 */
export function denoise(tf, network, weights, { mean, std }, z, logsnr) {
  const unit = new Float64Array(z.length);
  const level = Float64Array.from(logsnr, (at) => at + 2 * Math.log(std));
  for (let row = 0; row < level.length; row += 1) {
    const alpha = Math.sqrt(expit(logsnr[row]));
    const scale = Math.sqrt(expit(logsnr[row]) * std ** 2 + expit(-logsnr[row]));
    for (const axis of [0, 1]) {
      unit[2 * row + axis] = (z[2 * row + axis] - alpha * mean[axis]) / scale;
    }
  }
  const output = tf.tidy(() => {
    const inputs = tf.tensor2d(featuresOf(unit, level), [level.length, FEATURES]);
    return forward(tf, network, tf.tensor1d(weights), inputs).values.pop().dataSync();
  });
  return unit.map((value, at) => {
    const [alpha, sigma] = scalesAt(level[at >> 1]);
    return mean[at % 2] + std * (alpha * value - sigma * output[at]);
  });
}
