// The explorer of the prior in the browser: brightness of samples that start from N(0, I).
//
// A start changes the sizes of a photograph's cosine coefficients; see
// `diffviz.lab.experiments.starts`. Couplings come as tables, which only a page has.

import { cosinesOf, imageOf } from "./cosines.js";
import { general, minus, percent } from "./looks.js";
import { chart, cloud, images, note, shaped, table } from "./records.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {Float64Array & {shape: number[]}} Numbers
 * @typedef {[number, number]} Pair A mean and a standard deviation, or their ratios.
 *
 * @typedef {object} Film A coupling.
 * @property {Numbers} z Points on the way, shape (steps + 1, n, 2).
 * @property {Float64Array} share Share of the way that is done.
 * @property {Uint8Array} colours Of the pairs.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Record<string, number>} levels λ at the end of each schedule.
 * @property {string[]} endless Schedules that end without signal, at λ = −∞.
 * @property {string} own Name of a level that the slider sets.
 * @property {number} lowest λ that stands for −∞ on the axis.
 * @property {Float64Array} lattice λ at the end.
 * @property {Float64Array} tone Brightness.
 * @property {Numbers} photographs On [−1, 1], shape (n, side, side).
 * @property {Float64Array[]} [coefficients] Their cosine coefficients, once they were computed.
 * @property {Float64Array} quantiles Of the brightness of each, in standard deviations.
 * @property {Numbers} power Of each coefficient, shape (side, side).
 * @property {Record<string, string>} colours
 * @property {Record<string, Film>} [films] Couplings by name.
 * @property {string[]} [head] Of the table of couplings.
 * @property {Record<string, [number, number, number]>} [numbers] Of each coupling.
 * @property {number} trails Pairs whose way is a line.
 */

const DATA = "data";
const SAMPLES = "samples";
const SCHEDULES = "ends of schedules";
const MEAN_RATIO = "mean / data's";
const STD_RATIO = "std / data's";
const PHOTOGRAPHS = "right start";
const MOVED = "start from N(0, I)";
const ALONE = "nothing"; // beside a coupling
const FROM_RING = "from a ring of eight Gaussians to two moons";

/**
 * λ at the end of training; −∞ for zero terminal SNR.
 * @param {State} state
 * @param {Data} data
 * @returns {number}
 */
function levelOf({ schedule, logsnr }, { levels, endless }) {
  if (endless.includes(schedule)) return -Infinity;
  return levels[schedule] ?? logsnr;
}

/**
 * Brightness of samples over that of the data; see `terminal_bias` of `diffviz.theory.prior`.
 * @param {State} state
 * @param {number} level λ at the end.
 * @returns {Pair} Ratio of the means and ratio of the standard deviations.
 */
function ratiosOf({ side, std, offset, start }, level) {
  const noise = 1 + (offset * side) ** 2; // variance of the noise at frequency 0
  const variance = (side * std) ** 2 / noise;
  const total = expit(level) * variance + expit(-level);
  const spread = 1 / Math.sqrt(total);
  const meanRatio = 1 - Math.sqrt((expit(level) * variance) / total);
  return [meanRatio, start ? spread : spread / Math.sqrt(noise)];
}

/**
 * The densities of brightness.
 * @param {Float64Array} tone
 * @param {Record<string, Pair>} bells
 * @param {Record<string, string>} colours
 * @returns {Record<string, any>}
 */
function bellChart(tone, bells, colours) {
  const curves = Object.entries(bells).map(([name, [mean, std]]) => [
    name,
    tone.map((value) => Math.exp(-(((value - mean) / std) ** 2) / 2)),
  ]);
  return chart({
    x: tone,
    curves: Object.fromEntries(curves),
    xlabel: "brightness  [−1 to 1]",
    ylabel: "density / maximum",
    title: "brightness of data and samples",
    ylim: [0, 1.05],
    colours,
    dashes: { [SAMPLES]: 1 },
  });
}

/**
 * Both ratios by λ, with the levels of the schedules and the present one.
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function ratioChart(state, data) {
  const { lattice, lowest, levels } = data;
  const places = Float64Array.from(Object.values(levels));
  /** @type {(grid: Float64Array, which: 0 | 1) => Float64Array} */
  const ratios = (grid, which) => grid.map((level) => ratiosOf(state, level)[which]);
  return chart({
    x: lattice,
    curves: {
      [MEAN_RATIO]: ratios(lattice, 0),
      [STD_RATIO]: ratios(lattice, 1),
      [SCHEDULES]: lattice.map(() => NaN), // for the legend
    },
    xlabel: minus(`λ at the end  [nats; ${general(data.lowest)} stands for −∞]`),
    ylabel: "samples / data",
    title: "what samples keep of it",
    xlim: [lowest - 1, 2],
    ylim: [0, 1.2],
    colours: data.colours,
    marks: { here: Math.max(levelOf(state, data), lowest) },
    dots: { [SCHEDULES]: [places, ratios(places, 0)] },
    symbols: { [SCHEDULES]: "disc" },
  });
}

/**
 * The cosine coefficients of all photographs, computed once.
 * @param {Data} data
 * @returns {Float64Array[]}
 */
function coefficientsOf(data) {
  const [count, side] = data.photographs.shape;
  const size = side * side;
  data.coefficients ??= Array.from({ length: count }, (_, index) =>
    cosinesOf(data.photographs.subarray(index * size, (index + 1) * size), side),
  );
  return data.coefficients;
}

/**
 * A photograph as it comes out of a start from N(0, I).
 * @param {State} state
 * @param {Data} data
 * @param {number} index Of the photograph.
 * @returns {Float64Array} Pixels, shape (side · side,).
 */
function started(state, data, index) {
  const [, side] = data.photographs.shape;
  const level = levelOf(state, data);
  const [meanRatio, stdRatio] = ratiosOf(state, level);
  const scale = (state.side / side) ** 2; // of the power in an image of other size
  const own = coefficientsOf(data)[index];
  const changed = own.map(
    (value, place) =>
      value / Math.sqrt(expit(level) * data.power[place] * scale + expit(-level)),
  );
  const apart = state.std * data.quantiles[index]; // from the mean of the data
  changed[0] = side * (state.mean * meanRatio + apart * stdRatio);
  return imageOf(changed, side);
}

/**
 * Photographs as bright as the data, and under each where its start leads from N(0, I).
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function photographs(state, data) {
  const [count, side] = data.photographs.shape;
  const size = side * side;
  const pixels = new Uint8ClampedArray(2 * count * size);
  for (let index = 0; index < count; index += 1) {
    const brightness = coefficientsOf(data)[index][0] / side;
    const shift = state.mean + state.std * data.quantiles[index] - brightness;
    const own = data.photographs.subarray(index * size, (index + 1) * size);
    pixels.set(
      own.map((value) => (255 * (value + shift + 1)) / 2),
      index * size,
    );
    const sample = started(state, data, index).map((value) => (255 * (value + 1)) / 2);
    pixels.set(sample, (count + index) * size);
  }
  return images({
    pixels: shaped(new Uint8Array(pixels.buffer), [2 * count, side, side]),
    columns: count,
    rows: [PHOTOGRAPHS, MOVED],
  });
}

/**
 * The numbers of the present setting.
 * @param {State} state
 * @param {Data} data
 * @param {Record<string, Pair>} bells
 * @returns {string}
 */
function textOf(state, data, bells) {
  const level = levelOf(state, data);
  const shift = -Math.log(1 + (state.offset * state.side) ** 2) + 0;
  const [dataMean, dataStd] = bells[DATA];
  const [mean, std] = bells[SAMPLES];
  const at = (/** @type {number} */ value) =>
    value === -Infinity ? "-∞" : value.toFixed(3);
  const lines = [
    `λ = ${at(level)}: α_T = ${Math.sqrt(expit(level)).toFixed(4)}, ` +
      `SNR_T = ${general(Math.exp(level), 3)}`,
    `frequency 0 has λ = ${at(level + shift)} with this offset noise, ` +
      `a shift of −log(1 + κ² N) = ${at(shift)}`,
    `data ${dataMean.toFixed(2)} ± ${dataStd.toFixed(2)}, ` +
      `samples ${mean.toFixed(3)} ± ${std.toFixed(3)}: ` +
      `mean off by ${at(mean - dataMean + 0)}, ${percent(std / dataStd)} of the spread`,
    `grey discs on the curve of the mean, where schedules end, from right to left: ` +
      Object.keys(data.levels).join(", "),
  ];
  return minus(lines.join("\n"));
}

/**
 * A film of one coupling or of two, and the numbers of all.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function couplingView(state, data) {
  const { films, numbers, head = [] } = data;
  if (!films || !numbers) return null;
  const shown = [state.coupling];
  if (state.beside !== ALONE) shown.push(state.beside);
  const rows = Object.entries(numbers).map(([name, [crossing, cost, length]]) => [
    `${shown.includes(name) ? "▸" : ""} ${name}`,
    percent(crossing),
    cost.toFixed(1),
    length.toFixed(3),
  ]);
  const titles = shown.length > 1 ? shown : [`${FROM_RING}: ${shown[0]}`];
  const clouds = shown.map((name, place) => filmOf(films[name], titles[place], state, data));
  return { panels: [...clouds, table(head, rows)], columns: clouds.length };
}

/**
 * The ways of a coupling from source to data.
 * @param {Film} film
 * @param {string} title
 * @param {State} state
 * @param {Data} data
 * @returns {Record<string, any>}
 */
function filmOf({ z, share, colours }, title, state, data) {
  const [steps, pairs] = z.shape;
  return cloud({
    points: { [DATA]: z.subarray((steps - 1) * pairs * 2) },
    paths: { [SAMPLES]: z },
    colours: { [DATA]: data.colours.behind, [SAMPLES]: colours },
    times: share,
    captions: Array.from(share, (one) => `t = ${(1 - one).toFixed(3)}: 1 source, 0 data (grey)`),
    xlabel: "z₁",
    ylabel: "z₂",
    title,
    trails: data.trails,
    present: state.time,
  });
}

/**
 * Brightness, or a coupling; null where the kernel must answer.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function compute(state, data) {
  if (state.shows === "couplings") return couplingView(state, data);
  const { mean, std } = state;
  const [meanRatio, stdRatio] = ratiosOf(state, levelOf(state, data));
  /** @type {Record<string, Pair>} */
  const bells = { [DATA]: [mean, std], [SAMPLES]: [mean * meanRatio, std * stdRatio] };
  const panels = [
    bellChart(data.tone, bells, data.colours),
    ratioChart(state, data),
    photographs(state, data),
    note(textOf(state, data, bells)),
  ];
  return { panels, columns: 2 };
}

/**
 * The menu of schedules and the slider of λ follow each other.
 * @param {State} state
 * @param {string} name Of the control that was moved.
 * @param {Data} data
 * @returns {State}
 */
function settle(state, name, data) {
  const place = data.levels[state.schedule];
  if (name === "schedule" && place !== undefined) return { ...state, logsnr: place };
  const isOwn = name === "logsnr" && state.logsnr !== place;
  return isOwn ? { ...state, schedule: data.own } : state;
}

export const local = { compute, settle };
