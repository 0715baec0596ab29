// The explorer of noisy steps in the browser: how much noise a rule adds, and what that costs.

import { linspace } from "./analysis.js";
import { general } from "./looks.js";
import { chart, note, table } from "./records.js";

/**
 * @typedef {Record<string, any>} State
 *
 * @typedef {object} Rule A rule of noise.
 * @property {string} method
 * @property {number} setting a of Flow-GRPO, η of the others.
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Record<string, Rule>} rules At usual settings, by label.
 * @property {Record<string, string>} settings Name of the control of each method's setting.
 * @property {Record<string, string>} symbols Of each method's setting.
 * @property {Record<string, string>} colours By method.
 * @property {number[]} ends Times where trajectories begin and end.
 * @property {number[]} counts Numbers of steps that are drawn.
 * @property {string[]} head Of the table.
 *
 * @typedef {object} Step One step on the linear path, with t = σ = 1 − α.
 * @property {number} t
 * @property {number} next
 *
 * @typedef {object} Law What a rule does in a step.
 * @property {number} noise Its standard deviation over that of ancestral sampling.
 * @property {number} std Its standard deviation.
 * @property {number} keep Factor on the state in the mean of the next one, with x̂ held.
 * @property {number} push Factor on x̂ there.
 * @property {number[]} scales Signal and noise of the state where the step starts.
 */

const FEW = 20; // steps up to which each has a dot
const COSTS = [0.8, 40]; // ends of the axis of KL over KL
const COUNT_ENDS = [4.5, 180]; // ends of the axis of steps
const NOISES = [0.05, 20]; // ends of the axis of noise over ancestral noise

/**
 * e^(−λ/2) at a time of the linear path, noise over signal.
 * @param {number} t
 * @returns {number}
 */
const ratioAt = (t) => t / (1 - t);

/**
 * √(1 − (s'/s)²) of a step, with s noise over signal.
 * @param {Step} step
 * @returns {number}
 */
const freshness = ({ t, next }) => Math.sqrt(1 - (ratioAt(next) / ratioAt(t)) ** 2);

/**
 * A step that keeps the amount of noise in z, in a frame with these scales.
 * @param {number} std Of what is fresh.
 * @param {number} noise The same over that of ancestral sampling.
 * @param {number[]} scales Signal and noise before.
 * @param {number[]} after Signal and noise.
 * @returns {Law}
 */
function preservingLaw(std, noise, scales, [nextAlpha, nextSigma]) {
  const keep = Math.sqrt(nextSigma ** 2 - std ** 2) / scales[1];
  return { noise, std, keep, push: nextAlpha - keep * scales[0], scales };
}

/**
 * A step by Euler–Maruyama in the time of the linear path.
 * @param {number} rate g², variance of the noise per unit of time.
 * @param {Step} step
 * @returns {Law}
 */
function eulerLaw(rate, step) {
  const { t, next } = step;
  const std = Math.sqrt(rate * (t - next));
  const score = rate / (2 * t); // what the noise adds to the drift, on ε̂
  return {
    noise: std / (next * freshness(step)),
    std,
    keep: 1 - ((t - next) * (1 + score)) / t,
    push: (t - next) * (1 + ((1 - t) / t) * (1 + score)),
    scales: [1 - t, t],
  };
}

/**
 * Signal and noise of unit variance at a time of the linear path.
 * @param {number} t
 * @returns {number[]}
 */
function unitScales(t) {
  const size = Math.hypot(1 - t, t);
  return [(1 - t) / size, t / size];
}

/** @type {Record<string, (setting: number, step: Step) => Law>} */
const LAWS = {
  "Flow-GRPO": (a, step) => eulerLaw(a ** 2 * ratioAt(step.t), step),
  DanceGRPO: (eta, step) => eulerLaw(eta ** 2, step),
  CPS: (eta, step) => {
    const { t, next } = step;
    const std = next * Math.sin((eta * Math.PI) / 2);
    return preservingLaw(std, std / (next * freshness(step)), [1 - t, t], [1 - next, next]);
  },
  DDIM: (eta, step) => {
    const after = unitScales(step.next);
    const std = eta * after[1] * freshness(step);
    return preservingLaw(std, eta, unitScales(step.t), after);
  },
};

/**
 * What a rule does in each of equal steps.
 * @param {Rule} rule
 * @param {number} count
 * @param {Data} data
 * @returns {{laws: Law[], times: Float64Array}}
 */
function lawsOf({ method, setting }, count, { ends }) {
  const times = linspace(ends[0], ends[1], count + 1);
  const laws = Array.from({ length: count }, (_, index) =>
    LAWS[method](setting, { t: times[index], next: times[index + 1] }),
  );
  return { laws, times: times.subarray(0, count) };
}

/**
 * KL of trajectories over that of the actions that they end in, for a policy N(0, I) whose mean
 * moves.
 * @param {Rule} rule
 * @param {number} count
 * @param {Data} data
 * @returns {number}
 */
function excessOf(rule, count, data) {
  const { laws } = lawsOf(rule, count, data);
  let mean = 0; // by how far that of a state has moved
  let variance = Math.hypot(...laws[0].scales) ** 2;
  let trajectories = 0; // twice the KL
  for (const { std, keep, push, scales } of laws) {
    const [alpha, sigma] = scales;
    const along = alpha / (alpha ** 2 + sigma ** 2); // of x̂, for each unit of z
    const moved = push * (1 - alpha * along); // of the next mean, for a mean of 1
    const slope = keep + push * along;
    trajectories += (moved / std) ** 2;
    mean = slope * mean + moved;
    variance = slope ** 2 * variance + std ** 2;
  }
  return (trajectories * variance) / mean ** 2;
}

/**
 * The label of the chosen rule, and all that are drawn, the chosen one first.
 * @param {State} state
 * @param {Data} data
 * @returns {{label: string, rules: Record<string, Rule>}}
 */
function shownRules(state, { rules, settings, symbols }) {
  const { method } = state;
  const setting = state[settings[method]];
  const label = `${method}, ${symbols[method]} = ${general(setting)}`;
  const others = Object.entries(rules).filter(([, rule]) => rule.method !== method);
  const shown = [[label, { method, setting }], ...(state.others ? others : [])];
  return { label, rules: Object.fromEntries(shown) };
}

/**
 * The noise of each step over ancestral noise.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").Panel}
 */
function noiseChart(state, data) {
  const { label, rules } = shownRules(state, data);
  const names = Object.keys(rules);
  const { times } = lawsOf(rules[label], state.steps, data);
  const etas = (/** @type {string} */ name) =>
    Float64Array.from(lawsOf(rules[name], state.steps, data).laws, ({ noise }) => noise);
  return chart({
    x: times,
    curves: Object.fromEntries(names.map((name) => [name, etas(name)])),
    xlabel: "t where a step starts   [noise → data]",
    ylabel: "noise / ancestral",
    title: "noise of each step (1 is ancestral)",
    xlim: [1, 0],
    ylim: NOISES,
    yscale: "log",
    yticks: [0.1, 0.3, 1, 3, 10],
    ...looksOf(rules, data),
    dots: state.steps <= FEW ? { [label]: [times, etas(label)] } : {},
  });
}

/**
 * The KL of trajectories over that of actions, by the number of steps.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").Panel}
 */
function costChart(state, data) {
  const { label, rules } = shownRules(state, data);
  const costs = (/** @type {Rule} */ rule) =>
    Float64Array.from(data.counts, (count) => excessOf(rule, count, data));
  const here = excessOf(rules[label], state.steps, data);
  return chart({
    x: Float64Array.from(data.counts),
    curves: Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, costs(rule)])),
    xlabel: "steps of a trajectory",
    ylabel: "KL / KL of actions",
    title: "KL of trajectories over that of actions",
    xscale: "log",
    yscale: "log",
    xlim: COUNT_ENDS,
    ylim: COSTS,
    xticks: data.counts,
    yticks: [1, 2, 5, 10, 20],
    ...looksOf(rules, data),
    dots: { [label]: [Float64Array.of(state.steps), Float64Array.of(here)] },
  });
}

/**
 * Colours and dashes of the rules; all but the first are pale.
 * @param {Record<string, Rule>} rules
 * @param {Data} data
 * @returns {object}
 */
function looksOf(rules, { colours }) {
  const names = Object.keys(rules);
  return {
    colours: Object.fromEntries(names.map((name) => [name, colours[rules[name].method]])),
    dashes: Object.fromEntries(names.map((name) => [name, 0])),
    faint: names.slice(1),
  };
}

/**
 * Noise of three steps and the cost of each rule.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").Panel}
 */
function ruleTable(state, data) {
  const { rules } = shownRules(state, data);
  const { steps } = state;
  const rows = Object.entries(rules).map(([name, rule]) => {
    const { laws } = lawsOf(rule, steps, data);
    const noise = [0, Math.floor(steps / 2), steps - 1].map((at) => laws[at].noise.toFixed(2));
    return [name, ...noise, excessOf(rule, steps, data).toFixed(2)];
  });
  return table(
    data.head,
    rows,
    Object.values(rules).map(({ method }) => data.colours[method]),
  );
}

/**
 * Noise, its cost, and both in numbers.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute(state, data) {
  const { label, rules } = shownRules(state, data);
  const cost = excessOf(rules[label], state.steps, data).toFixed(2);
  const words =
    `${label}, ${state.steps} steps: trajectories differ ${cost} times as much as actions, in KL`;
  const panels = [noiseChart(state, data), costChart(state, data), ruleTable(state, data)];
  return { panels: [...panels, note(words, true)], columns: 2 };
}

export const local = { compute };
