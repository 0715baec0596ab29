/**
 * Contrast sensitivities of people over cycles per degree, as `diffviz.perception.sensitivities`,
 * whose defaults and sources they have.
 */

/** @typedef {import("./frames.js").Curve} Curve */

/** @type {Curve} */
function mannosSakrison(frequency) {
  const f = 0.114 * frequency;
  return 2.6 * (0.0192 + f) * Math.exp(-(f ** 1.1));
}

/** @type {Curve} */
function barten1999(frequency) {
  const pupil = 2.1; // mm
  const light = (Math.PI / 4) * pupil ** 2 * 20; // of 20 cd/m²
  const trolands = light * (1 - (pupil / 9.7) ** 2 + (pupil / 12.4) ** 4);
  const photonNoise = 1 / (0.03 * 1.2274e6 * trolands);
  const neuralNoise = 3e-8 / -Math.expm1(-((frequency / 7) ** 2));
  const perArea = 60 ** -2 + 12 ** -2 + (frequency / 15) ** 2;
  const width = 0.5 ** 2 + (0.08 * pupil) ** 2;
  const blur = Math.exp(-2 * ((Math.PI * frequency) / 60) ** 2 * width);
  return blur / 3 / Math.sqrt((2 / 0.1) * perArea * (photonNoise + neuralNoise));
}

/** @type {Curve} */
function barten2004(frequency) {
  const luminance = 100; // cd/m²
  const square = frequency ** 2;
  const perArea = 1 + 144 / 10 ** 2 + 0.64 * square;
  const noise = 63 / luminance ** 0.83 - 1 / Math.expm1(-0.02 * square);
  const optics = Math.exp(-0.0016 * square * (1 + 100 / luminance) ** 0.08);
  return (5200 * optics) / Math.sqrt(perArea * noise);
}

/** @type {Curve} */
function dalyCurve(frequency) {
  const area = 100; // square degrees
  const luminance = 100; // cd/m²
  const decay = 0.9 * 0.3 * (1 + 100 / luminance) ** 0.15 * frequency;
  const size = (1 + (3.23 * (frequency ** 2 * area) ** -0.3) ** 5) ** -0.2;
  const amplitude = size * 0.801 * (1 + 0.7 / luminance) ** -0.2;
  const shape = Math.sqrt(Math.exp(-2 * decay) + 0.06 * Math.exp(-decay));
  return 250 * (amplitude * 0.9 * frequency * shape);
}

/** @type {Curve} */
function daly(frequency) {
  const accommodation = 0.856 * 0.5 ** 0.14; // of an eye at 0.5 m
  return Math.min(dalyCurve(frequency), dalyCurve(frequency / accommodation));
}

/** @type {Curve} */
function movshonKiorpes(frequency) {
  return 75 * frequency ** 0.8 * Math.exp(-0.2 * frequency);
}

/** @type {Record<string, Curve>} */
export const SENSITIVITIES = {
  "Mannos–Sakrison 1974": mannosSakrison,
  "Barten 1999": barten1999,
  "Barten 2004": barten2004,
  "Daly 1993": daly,
  "Movshon–Kiorpes 1988": movshonKiorpes,
};
