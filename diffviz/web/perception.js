// The explorer of perception on a page: what an eye implies on a photograph, and what noise leaves.
//
// In a notebook the kernel answers, which need not send all photographs first.

import { cosinesOf, imageOf } from "./cosines.js";
import { general, minus, percent } from "./looks.js";
import { chart, images, note, shaped, table } from "./records.js";
import { scaled } from "./scales.js";
import { SENSITIVITIES } from "./sensitivities.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./frames.js").Curve} Curve
 *
 * @typedef {object} Photograph
 * @property {number} side Pixels in a row.
 * @property {Uint8Array} pixels Bytes, shape (side, side); none where it has members.
 * @property {string[]} [members] Names of photographs that are looked at together.
 * @property {Float64Array} frequency Of the rings of its spectrum, in cycles per pixel.
 * @property {Float64Array} power Of each coefficient in a ring.
 * @property {Float64Array} count Coefficients in a ring.
 * @property {Float64Array} [coefficients] Kept once they were computed.
 *
 * What Python sends once; nothing in a notebook.
 * @typedef {object} Data
 * @property {Record<string, Photograph>} [photographs]
 * @property {Float64Array} noise Cosine coefficients of the noise, at the size of the photographs.
 * @property {Float64Array} [noisePixels] The noise itself, kept once it was computed.
 * @property {Float64Array} grid λ in nats.
 * @property {Record<string, Float64Array>} entries Published weightings on the grid.
 * @property {Record<string, number>} peaks Highest sensitivity of each curve.
 * @property {Record<string, number>} factors Of frequencies, by species.
 * @property {string} label Of the axis of λ.
 * @property {Record<string, string>} colours
 *
 * @typedef {object} Implied Functions of λ.
 * @property {Curve} rateDistortion
 * @property {Curve} projection
 * @property {Curve} projectionOfX
 * @property {Curve} distortion
 */

const RATE_DISTORTION = "rate–distortion";
const PROJECTION = "projection of ε";
const PROJECTION_OF_X = "projection of x";
const ALL_COLUMNS = 3; // of small pictures of several photographs
const SEEN = "seen / its peak";
const KNOWN = "known share";
const HALF = "one half";
const BRIGHTEST = 1.6; // value of z that is drawn white
const NYQUIST = 0.5; // cycles per pixel
const WIDTHS = [1.3, 1, 0.9]; // of the columns
const REACH_OF_PEOPLE = [-6, 5]; // of log10 w, at any distance
const REACH_OF_ANIMALS = [-7, 7];
const OF_PEOPLE = ["human", "macaque"];
const KNOTS = [-8, -4, 2, 8]; // λ between which slopes are stated

/**
 * What an eye implies on a photograph; see `WeightedSpectrum` of `diffviz.perception.spectra`.
 * @param {Photograph} photograph
 * @param {Curve} eye Sensitivity over cycles per degree.
 * @param {number} rate Pixels per degree.
 * @returns {Implied}
 */
function impliedBy({ frequency, power, count }, eye, rate) {
  const weight = frequency.map((value, ring) => count[ring] * eye(value * rate) ** 2);
  const sums = (/** @type {number} */ level) => {
    const growth = Math.exp(level);
    let [left, seen, square] = [0, 0, 0];
    for (let ring = 0; ring < power.length; ring += 1) {
      const v = power[ring] / (1 + power[ring] * growth); // what is left of a coefficient
      left += v * count[ring];
      seen += v * weight[ring];
      square += v * v * weight[ring];
    }
    return { left, seen, square };
  };
  /** @type {Curve} */
  const projection = (level) => {
    const { left, seen } = sums(level);
    return seen / left;
  };
  return {
    distortion: (level) => sums(level).seen,
    projection,
    projectionOfX: (level) => Math.exp(-level) * projection(level),
    rateDistortion: (level) => {
      const { left, square } = sums(level);
      return (2 * square) / left;
    },
  };
}

/**
 * The share of each coefficient's power that is known at λ.
 * @param {Photograph} photograph
 * @param {number} level
 * @returns {Float64Array} By ring.
 */
function knownAt({ power }, level) {
  const growth = Math.exp(level);
  return power.map((s) => (s * growth) / (1 + s * growth));
}

/**
 * log10 of the implied weightings and of those beside them.
 * @param {State} state
 * @param {Data} data
 * @param {Implied} implied
 * @returns {Record<string, any>}
 */
function weightingChart(state, data, implied) {
  const { grid } = data;
  /** @type {Record<string, Float64Array>} */
  const curves = {
    [RATE_DISTORTION]: grid.map(implied.rateDistortion),
    [PROJECTION]: grid.map(implied.projection),
    [PROJECTION_OF_X]: grid.map(implied.projectionOfX),
  };
  for (const name of state.beside) curves[name] = data.entries[name];
  const drawn = Object.entries(curves).map(([name, w]) => [
    name,
    scaled(w, grid, "log10, anchored"),
  ]);
  return chart({
    x: grid,
    curves: Object.fromEntries(drawn),
    xlabel: data.label,
    ylabel: "log₁₀ w on the ε error",
    title: "implied weightings",
    ylim: OF_PEOPLE.includes(state.species) ? REACH_OF_PEOPLE : REACH_OF_ANIMALS,
    colours: data.colours,
    dashes: { [RATE_DISTORTION]: 0, [PROJECTION]: 1, [PROJECTION_OF_X]: 2 },
    marks: { λ: state.logsnr },
  });
}

/**
 * What is seen and what is known of each band of frequencies.
 * @param {State} state
 * @param {Data} data
 * @param {Photograph} photograph
 * @param {Curve} eye
 * @returns {Record<string, any>}
 */
function bandChart(state, data, photograph, eye) {
  const { side } = photograph;
  const frequency = photograph.frequency.filter((value) => value < NYQUIST);
  const known = knownAt(photograph, state.logsnr).subarray(0, frequency.length);
  const peak = data.peaks[state.curve];
  return chart({
    x: frequency.map((value) => value * side),
    curves: {
      [SEEN]: frequency.map((value) => eye(value * state.rate) / peak),
      [KNOWN]: known,
      [HALF]: frequency.map(() => 0.5),
    },
    xlabel: "cycles per image",
    ylabel: "share",
    title: "seen, and known at λ",
    xscale: "log",
    xlim: [0.9, 0.55 * side],
    ylim: [0, 1.05],
    colours: data.colours,
    dashes: { [SEEN]: 0, [KNOWN]: 0, [HALF]: 2 },
  });
}

/**
 * The photograph with noise; with the pixels of the noise no transform is needed.
 * @param {number} scale Standard deviation of the noise.
 * @param {Data} data
 * @param {Photograph} photograph
 * @returns {Float64Array}
 */
function noisy(scale, data, photograph) {
  data.noisePixels ??= imageOf(Float64Array.from(data.noise), photograph.side);
  const { noisePixels } = data;
  return Float64Array.from(
    photograph.pixels,
    (byte, place) => byte / 127.5 - 1 + scale * noisePixels[place],
  );
}

/**
 * The best linear estimate of a photograph from the one with noise.
 * @param {number} scale Standard deviation of the noise.
 * @param {Float64Array} known The share that is known of a coefficient, by ring.
 * @param {Data} data
 * @param {Photograph} photograph
 * @returns {Float64Array}
 */
function bestGuess(scale, known, data, photograph) {
  const { side } = photograph;
  photograph.coefficients ??= cosinesOf(
    Float64Array.from(photograph.pixels, (byte) => byte / 127.5 - 1),
    side,
  );
  const { coefficients } = photograph;
  const z = coefficients.map((value, place) => value + scale * data.noise[place]);
  for (let place = 1; place < z.length; place += 1) {
    const [up, right] = [Math.floor(place / side), place % side];
    z[place] *= known[Math.round(Math.sqrt(up * up + right * right)) - 1];
  }
  z[0] = coefficients[0];
  return imageOf(z, side);
}

/**
 * The photograph with noise, or the best linear estimate of it; or several of them.
 * @param {State} state
 * @param {Data} data
 * @param {Photograph} photograph
 * @returns {Record<string, any>}
 */
function picture(state, data, photograph) {
  const { side, members } = photograph;
  const all = data.photographs ?? {};
  const shown = members ? members.map((name) => all[name]) : [photograph];
  const scale = Math.exp(-state.logsnr / 2);
  const size = state.guess ? 1 : Math.sqrt(1 + Math.exp(-state.logsnr));
  const known = knownAt(photograph, state.logsnr);
  const bytes = new Uint8ClampedArray(shown.length * side * side);
  shown.forEach((one, index) => {
    const values = state.guess ? bestGuess(scale, known, data, one) : noisy(scale, data, one);
    const grey = values.map((value) => (255 * (value / size / BRIGHTEST + 1)) / 2);
    bytes.set(grey, index * side * side);
  });
  return images({
    pixels: shaped(new Uint8Array(bytes.buffer), [shown.length, side, side]),
    columns: members ? ALL_COLUMNS : 1,
    title: minus(`${state.guess ? "best guess" : state.image} at λ = ${state.logsnr.toFixed(1)}`),
  });
}

/** @type {{key: string, panel: Record<string, any>}} */
let last = { key: "", panel: {} };

/**
 * The picture of a state; the one before while only the eye or its distance changes.
 * @param {State} state
 * @param {Data} data
 * @param {Photograph} photograph
 * @returns {Record<string, any>}
 */
function pictureOf(state, data, photograph) {
  const key = JSON.stringify([state.image, state.logsnr, state.guess]);
  if (key !== last.key) last = { key, panel: picture(state, data, photograph) };
  return last.panel;
}

/**
 * The share of power that is known at λ in each octave.
 * @param {State} state
 * @param {Photograph} photograph
 * @returns {Record<string, any>}
 */
function octaveTable(state, photograph) {
  const { side } = photograph;
  const known = knownAt(photograph, state.logsnr);
  const lows = Array.from({ length: Math.floor(Math.log2(side)) - 1 }, (_, k) => 2 ** k);
  const shares = lows.map((low) => {
    let whole = 0;
    let part = 0;
    photograph.frequency.forEach((frequency, ring) => {
      const cycles = frequency * side;
      if (cycles < low || cycles >= 2 * low) return;
      const power = photograph.power[ring] * photograph.count[ring];
      whole += power;
      part += known[ring] * power;
    });
    return percent(part / whole, 0);
  });
  return table(
    ["cycles per image", ...lows.map((low) => `${low}–${2 * low}`)],
    [
      ["per degree, from", ...lows.map((low) => general((low / side) * state.rate, 2))],
      ["known of its power", ...shares],
    ],
  );
}

/**
 * The width of the picture, the slopes of its weighting, and the distortion that is left.
 * @param {State} state
 * @param {Photograph} photograph
 * @param {Implied} implied
 * @returns {Record<string, any>}
 */
function words(state, photograph, implied) {
  const heights = KNOTS.map((level) => Math.log(implied.rateDistortion(level)));
  const slopes = KNOTS.slice(1).map((level, index) => {
    const slope = (heights[index + 1] - heights[index]) / (level - KNOTS[index]);
    return `${slope < 0 ? "" : "+"}${slope.toFixed(2)}`;
  });
  const left = implied.distortion(state.logsnr) / implied.distortion(-20);
  const width = photograph.side / state.rate;
  return note(
    minus(
      `${state.species}, ${state.curve}: ${width.toFixed(1)}° wide; ` +
        `visible distortion left at λ = ${state.logsnr.toFixed(1)}: ${percent(left)}\n` +
        `slope of the rate–distortion weighting ${slopes[0]} from −8 to −4, ` +
        `${slopes[1]} from −4 to 2, ${slopes[2]} from 2 to 8 (flow matching: −0.50)`,
    ),
  );
}

/**
 * The charts, the picture and the texts of a state; null where the kernel must answer.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View | null}
 */
function compute(state, data) {
  const photograph = data.photographs?.[state.image];
  if (!photograph) return null;
  const sensitivity = SENSITIVITIES[state.curve];
  const factor = data.factors[state.species];
  /** @type {Curve} */
  const eye = (frequency) => sensitivity(factor * frequency);
  const implied = impliedBy(photograph, eye, state.rate);
  const panels = [
    weightingChart(state, data, implied),
    bandChart(state, data, photograph, eye),
    pictureOf(state, data, photograph),
    octaveTable(state, photograph),
    words(state, photograph, implied),
  ];
  return { panels, columns: 3, widths: WIDTHS };
}

export const local = { compute };
