/**
 * Scales on which weightings are compared, as `diffviz.plots.scales`, and horizontal axes.
 *
 * The constant of a weighting is free, so each curve is normalised before it is drawn.
 */

import { perNat } from "./analysis.js";
import { STRAIGHT, VE, VP } from "./frames.js";
import { COSINE, LINEAR, vpLinear } from "./paths.js";

/**
 * @typedef {import("./frames.js").Curve} Curve
 * @typedef {import("./paths.js").Path} Path
 * @typedef {(w: Float64Array, logsnr: Float64Array, anchor: number) => Float64Array} Scale
 */

/**
 * log10 w, moved to 0 at the anchor or at the end of the support that is nearest to it.
 * @type {Scale}
 */
function logAnchored(w, logsnr, anchor) {
  let nearest = -1;
  w.forEach((value, index) => {
    const isNearer =
      nearest < 0 || Math.abs(logsnr[index] - anchor) < Math.abs(logsnr[nearest] - anchor);
    if (value > 0 && isNearer) {
      nearest = index;
    }
  });
  const zero = Math.log10(w[nearest]);
  return w.map((value) => Math.log10(value) - zero);
}

/**
 * A weighting over its largest value.
 * @type {Scale}
 */
function overMaximum(w) {
  const highest = w.reduce((most, value) => Math.max(most, value), 0);
  return w.map((value) => value / highest);
}

/** @type {Record<string, Scale>} */
const SCALES = {
  "log10, anchored": logAnchored,
  "w / max": overMaximum,
  "unit area": perNat,
};

/**
 * A weighting in one of the `SCALES`; NaN where w is not positive, so that nothing is drawn there.
 * @param {Float64Array} w Shape (n,).
 * @param {Float64Array} logsnr λ in nats, shape (n,).
 * @param {string} scale
 * @param {number} [anchor] Where log10 w is 0, in nats.
 * @returns {Float64Array} Shape (n,).
 */
export function scaled(w, logsnr, scale, anchor = 0) {
  const infinite = w.indexOf(Infinity);
  if (infinite >= 0) {
    throw new RangeError(`a weighting is finite, got infinity at logsnr ${logsnr[infinite]}`);
  }
  if (!w.some((value) => value > 0)) {
    return w.map(() => NaN);
  }
  return SCALES[scale](w, logsnr, anchor).map((value, index) => (w[index] > 0 ? value : NaN));
}

/**
 * Time on a path as a function of λ; NaN where the path never comes.
 * @param {Path} path
 * @returns {Curve}
 */
function timeOn(path) {
  const { schedule } = path;
  return (logsnr) => (schedule.pdf(logsnr) > 0 ? schedule.sf(logsnr) : NaN);
}

/**
 * Where each λ stands on a horizontal axis, by the name of the axis.
 * @type {Record<string, Curve>}
 */
export const AXES = {
  λ: (logsnr) => logsnr,
  "t, linear path": timeOn(LINEAR),
  "t, cosine path": timeOn(COSINE),
  "t, VP linear β": timeOn(vpLinear(0.1, 20)),
  "σ, linear path": STRAIGHT.sigma,
  "σ, VP": VP.sigma,
  "σ, VE (log scale)": VE.sigma,
};
