/**
 * Parametric families as `diffviz.theory.families`.
 *
 * The parameters come from Python's sliders, so they have the names that they have there.
 */

import { logistic, logitNormalLogsnr, mode, quantileOf } from "./laws.js";
import { edmMultiplier, minSnr, p2, sigmoidMultiplier, softMinSnr } from "./multipliers.js";
import { objective } from "./objectives.js";
import { COSINE, LINEAR, edmPath, laplacePath, shifted } from "./paths.js";
import { EPS, U, X } from "./targets.js";

/**
 * @typedef {import("./objectives.js").Objective} Objective
 * @typedef {Record<string, number>} Values Values by the names of the parameters.
 */

/** @type {Record<string, (values: Values) => Objective>} */
export const FAMILIES = {
  "flow logit-normal": ({ mean, std, shift }) =>
    objective({
      name: "flow logit-normal",
      path: LINEAR,
      target: U,
      law: logitNormalLogsnr(mean, std, shift),
    }),
  "flow uniform t": ({ shift }) =>
    objective({
      name: "flow uniform t",
      path: LINEAR,
      target: U,
      law: logistic(-2 * Math.log(shift), 2),
    }),
  "flow mode": ({ scale }) =>
    objective({
      name: "flow mode",
      path: LINEAR,
      target: U,
      law: quantileOf(mode(scale), LINEAR.schedule),
    }),
  EDM: ({ mean, std, sigma_data: sigmaData }) =>
    objective({
      name: "EDM",
      path: edmPath(mean, std),
      target: X,
      multiplier: edmMultiplier(sigmaData),
    }),
  sigmoid: ({ bias }) =>
    objective({
      name: "sigmoid",
      path: COSINE,
      target: X,
      multiplier: sigmoidMultiplier(bias, COSINE),
    }),
  "Min-SNR": ({ gamma }) =>
    objective({ name: "Min-SNR", path: COSINE, target: EPS, multiplier: minSnr(gamma) }),
  "soft-Min-SNR": ({ gamma }) =>
    objective({ name: "soft-Min-SNR", path: COSINE, target: EPS, multiplier: softMinSnr(gamma) }),
  P2: ({ gamma, k }) =>
    objective({ name: "P2", path: COSINE, target: EPS, multiplier: p2(gamma, k) }),
  Laplace: ({ centre, scale }) =>
    objective({
      name: "Laplace",
      path: laplacePath(centre, scale),
      target: EPS,
    }),
  "cosine shifted": ({ shift }) =>
    objective({ name: "cosine shifted", path: shifted(COSINE, shift), target: EPS }),
};

/**
 * The values of a family's parameters in a state.
 * @param {Record<string, string>} controls Name of the control of each parameter.
 * @param {Record<string, any>} state
 * @returns {Record<string, number>}
 */
export function valuesOf(controls, state) {
  const pairs = Object.entries(controls);
  return Object.fromEntries(pairs.map(([parameter, control]) => [parameter, state[control]]));
}
