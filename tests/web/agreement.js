/** Curves at the settings that Python sends, for the comparison with the package. */

import { rebase, lossDensity, sharesBelow, verdict } from "../../diffviz/web/analysis.js";
import { slicedW2 } from "../../diffviz/web/distances.js";
import { drawsAt } from "../../diffviz/web/draws.js";
import { FAMILIES } from "../../diffviz/web/families.js";
import { drawnMixture, exactDenoiser, posteriorVariance } from "../../diffviz/web/mixtures.js";
import { featuresOf } from "../../diffviz/web/networks.js";
import { weighting } from "../../diffviz/web/objectives.js";
import { adamStep, initialState } from "../../diffviz/web/optimiser.js";
import { compose, distances } from "../../diffviz/web/recipes.js";
import { AXES, scaled } from "../../diffviz/web/scales.js";
import { LossByLogSNR } from "../../diffviz/web/tracking.js";
import { betainc, erfc, logBeta, logExpit, logGamma, ndtr } from "../../diffviz/web/special.js";

/** The objective of a setting: a family with its values, or a recipe with its state. */
function objectiveOf({ family, values, state }) {
  return family ? FAMILIES[family](values) : compose(state);
}

/** What is drawn at one setting; on a loss density the base has no effect. */
function curveOf(setting, grid) {
  const objective = objectiveOf(setting);
  const { scale, anchor, base, kind } = setting;
  if (kind === "loss density") {
    return scaled(lossDensity(weighting(objective, grid), grid), grid, scale, anchor);
  }
  if (kind === "rebased") {
    return scaled(rebase(weighting(objective, grid), grid, "eps", base), grid, scale, anchor);
  }
  if (kind === "w") {
    return weighting(objective, grid, base);
  }
  return scaled(weighting(objective, grid, base), grid, scale, anchor);
}

/** One curve after another; NaN throughout where a setting is refused. */
export function curves(settings, grid) {
  const all = new Float64Array(settings.length * grid.length);
  settings.forEach((setting, index) => {
    try {
      all.set(curveOf(setting, grid), index * grid.length);
    } catch {
      all.fill(NaN, index * grid.length, (index + 1) * grid.length);
    }
  });
  return all;
}

/** Verdict, shares and distances at each setting. */
export function readings(settings, published, targets) {
  return settings.map((setting) => {
    const objective = objectiveOf(setting);
    return {
      verdict: verdict(objective),
      share: sharesBelow(objective, setting.at, [() => 1])[0],
      distances: distances(objective, published, targets),
    };
  });
}

/** Places of a grid on each horizontal axis, by its name. */
export function places(grid) {
  const placed = Object.entries(AXES).map(([name, place]) => [name, Array.from(grid, place)]);
  return Object.fromEntries(placed);
}

/** Special functions at the arguments that Python sends. */
export function specialValues({ x, a, b, share }) {
  return {
    erfc: x.map(erfc),
    ndtr: x.map(ndtr),
    logGamma: a.map(logGamma),
    logBeta: a.map((value, index) => logBeta(value, b[index])),
    betainc: share.map((value, index) => betainc(a[index], b[index], value)),
    logExpit: x.map((value) => logExpit(4 * value)),
  };
}

/** λ(t), t(λ), the density and both scales of the path of each setting. */
export function pathValues(settings, times, grid) {
  return settings.map((setting) => {
    const { path, law } = objectiveOf(setting);
    return {
      logsnr: times.map(path.logsnr),
      time: grid.map(path.schedule.sf),
      density: grid.map(path.schedule.pdf),
      alpha: grid.map(path.frame.alpha),
      sigma: grid.map(path.frame.sigma),
      below: grid.map(law.cdf),
      above: grid.map(law.sf),
    };
  });
}

/** Weights, averages and moments after some steps of Adam. */
function optimised({ weights, gradients, settings }) {
  const state = initialState(Float32Array.from(weights));
  for (const gradient of gradients) adamStep(state, Float32Array.from(gradient), settings);
  return state;
}

/** The means of a tracker that takes in losses step by step. */
function tracked({ middles, levels, losses }) {
  const tracker = new LossByLogSNR(middles);
  levels.forEach((logsnr, step) => tracker.update(logsnr, losses[step]));
  return tracker.mean();
}

/** What the exact denoiser of a drawing leaves unknown behind noisy points. */
function unknown({ drawing, kernel, z, logsnr }) {
  const denoise = exactDenoiser(drawnMixture(drawing, kernel));
  return posteriorVariance(denoise, Float64Array.from(z), logsnr);
}

/** What a training on a page computes beside its network. */
export function trainingValues(asked) {
  return {
    features: featuresOf(asked.z, asked.level),
    optimised: optimised(asked),
    draws: asked.tables.map((table) => drawsAt(table, asked.quantiles)),
    tracked: tracked(asked),
    distance: slicedW2(asked.x, asked.y),
    unknown: unknown(asked),
  };
}
