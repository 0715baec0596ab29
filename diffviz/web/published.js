/**
 * Published objectives that the browser builds by their formulas, by their names in the catalogue.
 *
 * A test compares each with `diffviz.recipes`. The kernel knows the others.
 */

import { FAMILIES } from "./families.js";
import { likelihood } from "./multipliers.js";
import { objective } from "./objectives.js";
import { COSINE, LINEAR, vpLinear } from "./paths.js";
import { EPS, X } from "./targets.js";

/** @type {Record<string, () => import("./objectives.js").Objective>} */
const BUILDERS = {
  "ddpm-linear": () => objective({ name: "ddpm-linear", path: vpLinear(0.1, 20), target: EPS }),
  edm: () => FAMILIES.EDM({ mean: -1.2, std: 1.2, sigma_data: 0.5 }),
  elbo: () =>
    objective({ name: "elbo", path: COSINE, target: EPS, multiplier: likelihood(COSINE) }),
  "fm-ot": () => FAMILIES["flow uniform t"]({ shift: 1 }),
  "iddpm-cosine": () => objective({ name: "iddpm-cosine", path: COSINE, target: EPS }),
  indi: () => objective({ name: "indi", path: LINEAR, target: X }),
  "min-snr-5-eps": () => FAMILIES["Min-SNR"]({ gamma: 5 }),
  "p2-gamma1": () => FAMILIES.P2({ gamma: 1, k: 1 }),
  sd3: () => FAMILIES["flow logit-normal"]({ mean: 0, std: 1, shift: 1 }),
  "sigmoid-bias2": () => FAMILIES.sigmoid({ bias: 2 }),
};

/**
 * @param {string} name
 * @returns {boolean} Whether the browser can build it.
 */
export function isKnown(name) {
  return Object.hasOwn(BUILDERS, name);
}

/**
 * @param {string} name
 * @returns {import("./objectives.js").Objective}
 */
export function published(name) {
  return BUILDERS[name]();
}
