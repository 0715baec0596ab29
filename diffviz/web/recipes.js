/**
 * Recipes put together from menus, as `diffviz.lab.experiments.composer`.
 *
 * A state holds the options of the four menus and the values of all parameters by their names in
 * Python; the parameter `offset` of the path "cosine" is `path_cosine_offset`.
 */

import { factorOf, linspace } from "./analysis.js";
import {
  UNIFORM_TIME,
  beta,
  cosmap,
  isf,
  laplace,
  logitNormal,
  logitNormalLogsnr,
  loglogisticSigma,
  mode,
  moved,
  quantileOf,
  splitLognormalSigma,
  truncated,
  uShaped,
  uniform,
} from "./laws.js";
import {
  bell,
  constant,
  cosmapMultiplier,
  debiased,
  edmMonotonic,
  edmMultiplier,
  likelihood,
  minSnr,
  p2,
  sigmaSqrt,
  sigmoidMultiplier,
  snr,
  snrPlusOne,
  softMinSnr,
  truncatedSnr,
} from "./multipliers.js";
import { objective, weighting } from "./objectives.js";
import {
  LINEAR,
  cosinePath,
  edmPath,
  karras,
  laplacePath,
  linearVp,
  power,
  scaledLinear,
  shifted,
  sigmaMinPath,
  sigmoidPath,
  subVp,
  uniformLogsnr,
  ve,
  vpLinear,
} from "./paths.js";
import { EPS, SCORE, U, V, X, edmOutput } from "./targets.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./laws.js").Law} Law
 * @typedef {import("./paths.js").Path} Path
 * @typedef {import("./targets.js").Target} Target
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {Record<string, number>} Values Values by the names of the parameters.
 * @typedef {Record<string, any>} State
 */

/** @type {Record<string, (values: Values) => Path>} */
const PATHS = {
  linear: () => LINEAR,
  cosine: ({ offset }) => cosinePath(offset),
  "VP linear β": (values) => vpLinear(values.beta_min, values.beta_max),
  "VP scaled-linear β": (values) => scaledLinear(values.beta_start, values.beta_end),
  "sub-VP": (values) => subVp(values.beta_min, values.beta_max),
  VE: (values) => ve(values.sigma_min, values.sigma_max),
  EDM: ({ mean, std }) => edmPath(mean, std),
  Karras: (values) => karras(values.sigma_min, values.sigma_max, values.rho),
  "uniform λ": ({ low, high }) => uniformLogsnr(low, high),
  sigmoid: ({ start, end, tau }) => sigmoidPath(start, end, tau),
  power: ({ n }) => power(n),
  "linear VP": () => linearVp(),
  "linear, σ_min": (values) => sigmaMinPath(values.sigma_min),
  Laplace: ({ centre, scale }) => laplacePath(centre, scale),
};

/** @type {Record<string, (values: Values) => Law>} */
const LAWS_OF_TIME = {
  "uniform t": () => UNIFORM_TIME,
  "logit-normal t": ({ mean, std }) => logitNormal(mean, std),
  "mode t": ({ scale }) => mode(scale),
  "CosMap t": () => cosmap(),
  "U-shaped t": ({ a }) => uShaped(a),
  "Beta t": ({ a, b }) => beta(a, b),
};

/** @type {Record<string, (values: Values) => Law>} */
const LAWS_OF_LEVELS = {
  "normal ln σ": ({ mean, std }) => logitNormalLogsnr(mean, std),
  "logistic ln σ": ({ mean, scale }) => loglogisticSigma(mean, scale),
  "two-piece normal ln σ": ({ mean, below, above }) => splitLognormalSigma(mean, below, above),
  "Laplace λ": ({ centre, scale }) => laplace(centre, scale),
  "uniform λ": ({ low, high }) => uniform(low, high),
};

/** @type {Record<string, (values: Values) => Target>} */
const TARGETS = {
  eps: () => EPS,
  x: () => X,
  v: () => V,
  u: () => U,
  score: () => SCORE,
  F: (values) => edmOutput(values.sigma_data),
};

/** @type {Record<string, (values: Values, path: Path, target: Target) => Curve>} */
const MULTIPLIERS = {
  constant: () => constant,
  SNR: () => snr,
  "max(SNR, 1)": () => truncatedSnr,
  "SNR + 1": () => snrPlusOne,
  "min-SNR": ({ gamma }, path, target) => minSnr(gamma, target.name),
  "soft min-SNR": ({ gamma }) => softMinSnr(gamma),
  P2: ({ gamma, k }) => p2(gamma, k),
  debiased: ({ cap }) => debiased(cap),
  "−dλ/dt (ELBO)": (values, path) => likelihood(path),
  sigmoid: ({ bias }, path) => sigmoidMultiplier(bias, path),
  EDM: (values) => edmMultiplier(values.sigma_data),
  "EDM monotonic": (values) => edmMonotonic(values.mean, values.std, values.sigma_data),
  "σ^−2, linear": () => sigmaSqrt,
  CosMap: () => cosmapMultiplier,
  bell: () => bell,
};

const FARTHEST = 700; // nats, beyond which no weighting is finite

/**
 * The values of a part's parameters, by their short names.
 * @param {State} state
 * @param {string} menu "path", "law", "target" or "multiplier".
 * @returns {Values}
 */
function valuesOf(state, menu) {
  const slug = state[menu].toLowerCase().replace(/[^\p{L}\p{N}]/gu, "_");
  const start = `${menu}_${slug}_`;
  const named = Object.entries(state).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(named.map(([name, value]) => [name.slice(start.length), value]));
}

/**
 * The option of a menu that a state chooses.
 * @template Part
 * @param {Record<string, Part>} options
 * @param {State} state
 * @param {string} menu
 * @returns {Part}
 */
function chosen(options, state, menu) {
  if (!Object.hasOwn(options, state[menu])) {
    throw new RangeError(`unknown ${menu} '${state[menu]}'; one of ${Object.keys(options)}`);
  }
  return options[state[menu]];
}

/**
 * The law of λ: pushed along the path, moved by its shift, and cut to where the path goes.
 * @param {State} state
 * @param {Path} path
 * @returns {Law}
 */
function lawOf(state, path) {
  const build = chosen({ ...LAWS_OF_TIME, ...LAWS_OF_LEVELS }, state, "law");
  const whole = build(valuesOf(state, "law"));
  let law = whole;
  if (whole === UNIFORM_TIME) {
    law = path.schedule;
  } else if (Object.hasOwn(LAWS_OF_TIME, state.law)) {
    law = quantileOf(whole, path.schedule);
  }
  if (state.law_shift !== 1) {
    law = moved(law, -2 * Math.log(state.law_shift));
  }
  const [low, high] = law.support;
  const [first, last] = path.schedule.support;
  if (low >= first && high <= last) {
    return law;
  }
  return truncated(law, Math.max(low, first, -FARTHEST), Math.min(high, last, FARTHEST));
}

/**
 * The objective that a state describes.
 * @param {State} state
 * @returns {Objective}
 */
export function compose(state) {
  const path = shifted(chosen(PATHS, state, "path")(valuesOf(state, "path")), state.path_shift);
  const target = chosen(TARGETS, state, "target")(valuesOf(state, "target"));
  const build = chosen(MULTIPLIERS, state, "multiplier");
  return objective({
    name: "composed",
    path,
    target,
    multiplier: build(valuesOf(state, "multiplier"), path, target),
    law: lawOf(state, path),
  });
}

// --- beside the published objectives ----------------------------------------------------------

/**
 * @typedef {object} Distance
 * @property {string} name Name of the published objective.
 * @property {number} factor Largest factor, at least 1, between the ratio and its median.
 * @property {number} at λ in nats where it is met.
 */

const LEVELS = linspace(-12, 12, 241);
const CENTRAL = 0.998; // central share of what a recipe draws, over which it is compared
const LEAST_OVERLAP = 0.9; // share of that stretch on which a published one must have support

/**
 * A published weighting beside a composed one; null where it has too little support.
 * @param {string} name
 * @param {Float64Array} known The published weighting at the levels.
 * @param {Float64Array} w The composed one.
 * @param {Float64Array} at The levels in nats.
 * @returns {Distance | null}
 */
function distanceTo(name, known, w, at) {
  const { factor, index, count } = factorOf(w, known);
  if (!count || count < LEAST_OVERLAP * at.length) {
    return null;
  }
  return { name, factor, at: at[index] };
}

/**
 * The published objectives, the nearest to a composed one first.
 *
 * Of those that agree to six decimals, the ones with the same target come first, else they stand as
 * in the catalogue.
 * @param {Objective} recipe
 * @param {Record<string, Float64Array>} published Weightings on `LEVELS` by name.
 * @param {Record<string, string>} targets Names of their targets by name.
 * @returns {Distance[]}
 */
export function distances(recipe, published, targets) {
  const share = (1 - CENTRAL) / 2;
  const low = isf(recipe.law, 1 - share);
  const high = isf(recipe.law, share);
  const first = LEVELS.findIndex((at) => at >= low);
  const last = LEVELS.findLastIndex((at) => at <= high);
  if (first < 0 || last < first) {
    return [];
  }
  const at = LEVELS.subarray(first, last + 1);
  const w = weighting(recipe, at);
  /** @type {(distance: Distance) => number} */
  const nearness = ({ name, factor }) => {
    const isOther = targets[name] !== recipe.target.name;
    return Math.round(factor * 1e6) + (isOther ? 0.5 : 0);
  };
  return Object.entries(published)
    .map(([name, curve]) => distanceTo(name, curve.subarray(first, last + 1), w, at))
    .filter((distance) => distance !== null)
    .sort((one, other) => nearness(one) - nearness(other));
}
