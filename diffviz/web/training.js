// The explorer of training on a page: two objectives on the same data and noise, in a worker that
// is started when the reader asks for it.

import { drawnObjective, heightsOn } from "./drawn.js";
import { drawsAt, gaussianDraws, strata, tabulated, uniformDraws } from "./draws.js";
import { slicedW2 } from "./distances.js";
import { DRAWN, drawnMixture, exactDenoiser, posteriorVariance, withDrawing } from "./mixtures.js";
import { chart, cloud, note, table } from "./records.js";
import { expit } from "./special.js";

/**
 * @typedef {Record<string, any>} State
 * @typedef {import("./draws.js").Draws} Draws
 * @typedef {import("./mixtures.js").Pairs} Pairs
 * @typedef {import("./session.js").Place} Place
 * @typedef {import("./session.js").Report} Report
 * @typedef {import("./session.js").Result} Result
 * @typedef {import("./session.js").Task} Task
 * @typedef {import("./records.js").Panel} Panel
 *
 * What Python sends once.
 * @typedef {object} Data
 * @property {Float64Array} grid Levels of excess and floor in nats.
 * @property {Float64Array} curveGrid Levels of the weightings in nats.
 * @property {Record<string, Place>} places By the names of the data.
 * @property {Record<string, Draws>} draws Of published objectives.
 * @property {Record<string, Float64Array>} weightings log10 w on `curveGrid`, 0 at λ = 0.
 * @property {Record<string, string>} colours
 * @property {Float64Array} starts Noise that samples start from.
 * @property {Float64Array} levels λ of the steps of the sampler.
 * @property {Record<string, string>} labels Of the axes.
 * @property {Pairs} example A drawing of data to begin with.
 * @property {Pairs} weighting A drawn weighting to begin with: λ and log10 w.
 * @property {{batch: number, depth: number}} fixed Settings without a control.
 *
 * @typedef {object} News What an explorer is told of work that goes on.
 * @property {string} [error]
 * @property {{progress: number, text: string} | null} working
 *
 * A training, which goes on while other settings are looked at.
 * @typedef {object} Training
 * @property {string} key What it depends on.
 * @property {Worker} worker
 * @property {Report | null} report
 * @property {string} stage "running", "paused" or "done".
 * @property {string} pace In words.
 * @property {number} steps
 */

const FLOOR = "exact floor";
const BEHIND = "data";
const REACH = 2.6; // half width of the axes of points
const LEVEL_LIMITS = [-8.5, 14.5];
const LOG_LIMITS = [-6.3, 3.3];
const LOSS_LIMITS = [0, 3];
const EXCESS_LIMITS = [-6.5, 1];
const SHOWN = 400; // points of the data
const TOLD = [-4, 4, 10]; // λ whose excess stands in the table
const QUANTILES = 512; // of a law over which its least loss is averaged
const TRAINED_POINTS = 4096; // of drawn data
const FIXED_POINTS = 64; // of each level
const SETS = 9; // of drawn points, by which their distance from others is known

// --- data -------------------------------------------------------------------------------------

/**
 * @typedef {object} Known What is known of data before they are trained on; see `Place`.
 * @property {ArrayLike<number>} z
 * @property {ArrayLike<number>} xHat
 * @property {ArrayLike<number>} floor
 * @property {ArrayLike<number>} reference
 */

/**
 * Draws of points of drawn data.
 * @param {Pairs} drawing
 * @param {import("./mixtures.js").Mixture} mixture
 * @param {number} seed
 * @returns {(count: number) => Float64Array}
 */
function pointDraws(drawing, mixture, seed) {
  const random = uniformDraws(seed);
  const gaussian = gaussianDraws(random);
  const width = Math.sqrt(mixture.variance[0]);
  return (count) => {
    const drawn = new Float64Array(2 * count);
    for (let at = 0; at < drawn.length; at += 2) {
      const [x, y] = drawing[Math.floor(random() * drawing.length)];
      drawn.set([x + width * gaussian(), y + width * gaussian()], at);
    }
    return drawn;
  };
}

/**
 * What is known of drawn data; null of fewer than two different points.
 * @param {Pairs} drawing
 * @param {number} kernel Its width, in standard deviations of the points.
 * @param {Data} data
 * @returns {Known | null}
 */
function drawnData(drawing, kernel, { grid, starts }) {
  const mixture = drawnMixture(drawing, kernel);
  if (!mixture) return null;
  const points = pointDraws(drawing, mixture, 0);
  const denoise = exactDenoiser(mixture);
  const x = points(FIXED_POINTS);
  const gaussian = gaussianDraws(uniformDraws(1));
  const eps = x.map(() => gaussian());
  const z = new Float64Array(grid.length * x.length);
  const xHat = z.slice();
  const floor = new Float64Array(grid.length);
  grid.forEach((logsnr, k) => {
    const [alpha, sigma] = [Math.sqrt(expit(logsnr)), Math.sqrt(expit(-logsnr))];
    const noisy = x.map((value, at) => alpha * value + sigma * eps[at]);
    z.set(noisy, k * x.length);
    xHat.set(denoise(noisy, logsnr), k * x.length);
    const variances = posteriorVariance(denoise, noisy, logsnr);
    floor[k] = (Math.exp(logsnr) * variances.reduce((sum, one) => sum + one, 0)) / FIXED_POINTS;
  });
  return { z, xHat, floor, reference: points(starts.length / 2) };
}

/**
 * Drawn data with points to train on, and the distance of two sets of points: what takes too long
 * while a slider is moved.
 * @param {State} state
 * @param {Known} known
 * @returns {Place}
 */
function drawnPlace({ drawing, kernel }, known) {
  const mixture = drawnMixture(drawing, kernel);
  if (!mixture) throw new Error("a drawing needs two different points");
  const points = pointDraws(drawing, mixture, 2);
  const apart = Float64Array.from({ length: SETS }, () => {
    return slicedW2(points(known.reference.length / 2), known.reference);
  });
  const distance = apart.sort()[Math.floor(SETS / 2)];
  return { ...known, points: points(TRAINED_POINTS), distance };
}

/** @type {{key: string, known: Known | null}} */
let lastDrawn = { key: "", known: null };

/**
 * What is known of the data of a state; null without data.
 * @param {State} state
 * @param {Data} data
 * @returns {Known | null}
 */
function knownOf({ toy, drawing, kernel }, data) {
  if (toy !== DRAWN) return data.places[toy];
  const key = JSON.stringify([drawing, kernel]);
  if (key !== lastDrawn.key) lastDrawn = { key, known: drawnData(drawing, kernel, data) };
  return lastDrawn.known;
}

/** @type {{key: string, draws: Draws | null}} */
let lastWeighting = { key: "", draws: null };

/**
 * The draws of a drawn weighting; null where fewer than two λ are drawn.
 * @param {Pairs} drawn λ and log10 w.
 * @returns {Draws | null}
 */
function drawnDraws(drawn) {
  const key = JSON.stringify(drawn);
  if (key !== lastWeighting.key) {
    const objective = drawnObjective({ drawn, monotone: false });
    lastWeighting = { key, draws: objective && tabulated(objective) };
  }
  return lastWeighting.draws;
}

/**
 * The draws of each chosen objective; null of a weighting that is not drawn yet.
 * @param {State} state
 * @param {Data} data
 * @returns {(Draws | null)[]}
 */
function drawsOf({ names, drawn }, data) {
  return names.map((/** @type {string} */ name) => {
    return name === DRAWN ? drawnDraws(drawn) : data.draws[name];
  });
}

/**
 * A curve over levels at any level, on lines; with more noise it falls as e^λ.
 * @param {ArrayLike<number>} grid
 * @param {ArrayLike<number>} values
 * @param {number} logsnr
 * @returns {number}
 */
function interpolated(grid, values, logsnr) {
  const last = grid.length - 1;
  if (logsnr < grid[0]) return values[0] * Math.exp(logsnr - grid[0]);
  const place = Math.min(last, (logsnr - grid[0]) / (grid[1] - grid[0]));
  const below = Math.min(last - 1, Math.floor(place));
  return values[below] + (place - below) * (values[below + 1] - values[below]);
}

/**
 * The training loss of the exact denoiser: the mean of factor · mmse over the law.
 * @param {Draws} draws
 * @param {Known} known
 * @param {Data} data
 * @returns {number}
 */
function leastLoss(draws, { floor }, { grid }) {
  const { logsnr, factor } = drawsAt(draws, strata(QUANTILES, () => 0.5));
  const sum = logsnr.reduce((so, level, k) => so + factor[k] * interpolated(grid, floor, level), 0);
  return sum / QUANTILES;
}

// --- the work ---------------------------------------------------------------------------------

/** @type {Training | null} */
let training = null;

/**
 * What a training depends on.
 * @param {State} state
 * @returns {string}
 */
function keyOf({ names, drawn, toy, drawing, kernel, width, steps, rate, seed }) {
  const own = names.includes(DRAWN) ? drawn : [];
  const ownData = toy === DRAWN ? [drawing, kernel] : [];
  return JSON.stringify([names, own, toy, ownData, width, steps, rate, seed]);
}

/**
 * What the worker needs.
 * @param {State} state
 * @param {Data} data
 * @returns {Task}
 */
function taskOf(state, data) {
  const known = knownOf(state, data);
  const draws = drawsOf(state, data).filter((one) => one !== null);
  if (!known) throw new Error("there are no data yet: draw two points or more");
  if (!state.names.length) throw new Error("choose an objective, or two");
  if (draws.length < state.names.length) {
    throw new Error("there is no drawn weighting yet: drag over the first chart");
  }
  const { width, steps, rate, seed } = state;
  const { grid, starts, levels, fixed } = data;
  const settings = { width, steps, rate, seed, ...fixed };
  const place = state.toy === DRAWN ? drawnPlace(state, known) : data.places[state.toy];
  return { names: state.names, draws, place, grid, starts, levels, settings };
}

/**
 * How far a training has come, for the explorer.
 * @param {Training} now
 * @returns {News}
 */
function newsOf({ stage, report, steps, pace }) {
  if (stage === "done") return { working: null };
  const done = report?.step ?? 0;
  const doing = { running: pace || "loading TensorFlow.js", paused: "paused" }[stage];
  return { working: { progress: done / steps, text: `${done} of ${steps} steps, ${doing}` } };
}

/** End the training under way; what it has reached stays if it is done. */
function end() {
  training?.worker.terminate();
  if (training?.stage !== "done") training = null;
}

/**
 * Start a training anew.
 * @param {State} state
 * @param {Data} data
 * @param {(news: News) => void} show
 */
function start(state, data, show) {
  const task = taskOf(state, data);
  end();
  const worker = new Worker(new URL("./trainer.js", import.meta.url), { type: "module" });
  /** @type {Training} */
  const now = {
    key: keyOf(state),
    worker,
    report: null,
    stage: "running",
    pace: "",
    steps: state.steps,
  };
  training = now;
  const fail = (/** @type {string} */ error) => {
    end();
    show({ error, working: null });
  };
  worker.addEventListener("error", () => fail("the worker that trains could not be loaded"));
  worker.addEventListener("message", ({ data: message }) => {
    if (message.kind === "error") {
      fail(message.text);
      return;
    }
    now.report = message;
    now.pace = `${message.pace.toPrecision(2)} ms a step`;
    if (message.step >= now.steps) {
      now.stage = "done";
      worker.terminate();
    }
    show(newsOf(now));
  });
  worker.postMessage({ kind: "start", task });
  show(newsOf(now));
}

/**
 * Pause the training under way, or let it go on.
 * @param {(news: News) => void} show
 */
function togglePause(show) {
  if (!training || training.stage === "done") return;
  const isPaused = training.stage === "paused";
  training.stage = isPaused ? "running" : "paused";
  training.worker.postMessage({ kind: isPaused ? "resume" : "pause" });
  show(newsOf(training));
}

/**
 * What a button does on a page.
 * @param {string} name
 * @param {State} state
 * @param {Data} data
 * @param {(news: News) => void} show Tells the explorer, now and whenever there is news.
 */
function act(name, state, data, show) {
  const isPaused = training?.stage === "paused" && training.key === keyOf(state);
  if (name === "pause" || (name === "train" && isPaused)) {
    togglePause(show);
  } else if (name === "train") {
    start(state, data, show);
  } else {
    training?.worker.terminate();
    training = null;
    show({ working: null });
  }
}

// --- what is shown ----------------------------------------------------------------------------

/**
 * The kinds of dashes of curves: the second objective is dotted, whose colour may be much like that
 * of the first.
 * @param {string[]} names
 * @returns {Record<string, number>}
 */
function dashesOf(names) {
  return { [FLOOR]: 1, ...(names.length > 1 ? { [names[1]]: 2 } : {}) };
}

/**
 * log10 w of the chosen objectives; what is drawn stands where it is drawn.
 * @param {State} state
 * @param {Data} data
 * @returns {Panel}
 */
function weightingChart({ names, drawn }, { curveGrid, weightings, colours, labels }) {
  const curveOf = (/** @type {string} */ name) =>
    name === DRAWN ? heightsOn(curveGrid, { drawn, monotone: false }) : weightings[name];
  return chart({
    x: curveGrid,
    curves: Object.fromEntries(names.map((/** @type {string} */ name) => [name, curveOf(name)])),
    colours,
    xlabel: labels.logsnr,
    ylabel: labels.weighting,
    dashes: dashesOf(names),
    title: "weighting",
    xlim: LEVEL_LIMITS,
    ylim: LOG_LIMITS,
    strokes: "drawn",
  });
}

/**
 * Loss and excess by level.
 * @param {State} state
 * @param {Data} data
 * @param {Known} known
 * @param {Report | null} report
 * @returns {Panel[]}
 */
function levelCharts({ names }, { grid, colours, labels }, { floor }, report) {
  const nothing = grid.map(() => NaN);
  const named = (/** @type {(result: Result) => Float64Array} */ of) =>
    Object.fromEntries(names.map((/** @type {string} */ name, /** @type {number} */ k) => {
      return [name, report ? of(report.results[k]) : nothing];
    }));
  const dashes = dashesOf(names);
  const shared = { x: grid, colours, dashes, xlabel: labels.logsnr, xlim: LEVEL_LIMITS };
  return [
    chart({
      ...shared,
      curves: { [FLOOR]: floor, ...named(({ byLevel }) => byLevel) },
      ylabel: "E‖ε̂ − ε‖²",
      title: "loss by noise level",
      ylim: LOSS_LIMITS,
    }),
    chart({
      ...shared,
      curves: named(({ excess }) => excess.map(Math.log10)),
      ylabel: labels.excess,
      title: "excess over the floor",
      ylim: EXCESS_LIMITS,
    }),
  ];
}

/**
 * Samples of an objective over points of the data, where a drawing is data.
 * @param {string} name
 * @param {ArrayLike<number>} points Of the data; none before any are drawn.
 * @param {Float64Array | null} samples
 * @param {Record<string, string>} colours
 * @returns {Panel}
 */
function sampleCloud(name, points, samples, colours) {
  const behind = Array.prototype.slice.call(points, 0, 2 * SHOWN);
  return cloud({
    points: { [BEHIND]: behind, ...(samples ? { [name]: samples } : {}) },
    colours,
    title: samples ? `samples, ${name}` : name,
    xlim: [-REACH, REACH],
    ylim: [-REACH, REACH],
    strokes: "drawing",
  });
}

/**
 * @param {number} value
 * @returns {string} With two decimals.
 */
function decimals(value) {
  return value.toFixed(2).replace("-", "−");
}

/**
 * How each objective has done; before the training, what it can come to.
 * @param {State} state
 * @param {Data} data
 * @param {Known} known
 * @param {Report | null} report
 * @returns {Panel}
 */
function resultTable(state, data, known, report) {
  const levels = TOLD.map((level) => `λ = ${level}`.replace("-", "−"));
  levels[0] = `log₁₀ excess: ${levels[0]}`;
  const rows = drawsOf(state, data).map((draws, k) => {
    if (!draws) return [state.names[k], "–"];
    const least = leastLoss(draws, known, data);
    const row = [state.names[k], least.toPrecision(3)];
    if (!report) return row;
    const { excess, loss, distance } = report.results[k];
    const logs = TOLD.map((level) => decimals(Math.log10(interpolated(data.grid, excess, level))));
    return [...row, (loss / least).toFixed(3), ...logs, `${distance.toFixed(1)} × truth`];
  });
  const head = ["", "least loss", "loss / least", ...levels, "distance of samples"];
  const shades = state.names.map((/** @type {string} */ name) => data.colours[name]);
  return table(head.slice(0, rows[0].length), rows, shades);
}

/**
 * What will be trained, or how far it has come.
 * @param {State} state
 * @param {Training | null} now The training of this state.
 * @returns {Panel}
 */
function stateNote({ names, toy, width, steps }, now) {
  const words = `${names.join(" and ")} on ${toy}, width ${width}, ${steps} steps`;
  if (!now) return note(`${words}: press Train; nothing is trained yet`);
  const done = now.report?.step ?? 0;
  /** @type {Record<string, string>} */
  const stages = {
    running: `${done} steps are done`,
    paused: `paused after ${done} steps; Train goes on`,
    done: `done, ${now.pace}`,
  };
  return note(`${words}: ${stages[now.stage]}`, true);
}

/**
 * The weightings, and how far their training has come.
 * @param {State} state
 * @param {Data} data
 * @returns {import("./records.js").View}
 */
function compute(state, data) {
  const known = knownOf(state, data);
  const { colours } = data;
  if (!known) {
    const words = "Draw the data: drag over the empty picture, or click two points or more.";
    return { panels: [sampleCloud(BEHIND, [], null, colours), note(words, true)], columns: 1 };
  }
  if (!state.names.length) {
    const words = "Choose an objective, or two.";
    const panels = [sampleCloud(BEHIND, known.reference, null, colours), note(words, true)];
    return { panels, columns: 1 };
  }
  const now = training?.key === keyOf(state) ? training : null;
  const report = now?.report ?? null;
  const clouds = state.names.map((/** @type {string} */ name, /** @type {number} */ k) => {
    return sampleCloud(name, known.reference, report?.results[k].samples ?? null, colours);
  });
  return {
    panels: [
      weightingChart(state, data),
      ...levelCharts(state, data, known, report),
      ...clouds,
      stateNote(state, now),
      resultTable(state, data, known, report),
    ],
    columns: 3,
  };
}

/**
 * What is drawn becomes the data, or the second objective, unless it is still the example.
 * @param {State} state
 * @param {string} name Of the control that was moved.
 * @param {Data} data
 * @returns {State}
 */
function settle(state, name, { example, weighting }) {
  if (name === "drawing") return withDrawing(state, "toy", example);
  if (name !== "drawn" || state.names.includes(DRAWN)) return state;
  const isExample = JSON.stringify(state.drawn) === JSON.stringify(weighting);
  return isExample ? state : { ...state, names: [...state.names.slice(0, 1), DRAWN] };
}

/**
 * @param {Pairs} points
 * @returns {string} As Python writes them.
 */
function literal(points) {
  return `[${points.map(([x, y]) => `(${x}, ${y})`).join(", ")}]`;
}

/**
 * The cell that trains the same in a notebook.
 * @param {State} state
 * @returns {string}
 */
function code({ names, drawn, toy, drawing, kernel, width, steps, rate, seed }) {
  const listed = names.map((/** @type {string} */ name) => {
    const table10 = drawn.map((/** @type {[number, number]} */ [x, y]) => [x, 10 ** y]);
    return name === DRAWN ? `dv.from_weighting(${literal(table10)}, name="drawn")` : `"${name}"`;
  });
  const own = toy === DRAWN ? `, drawing=${literal(drawing)}, kernel=${kernel}` : "";
  const settings = `steps=${steps}, seed=${seed}, width=${width}, rate=${rate}${own}`;
  return (
    "import diffviz as dv\nfrom diffviz.lab.experiments.side_by_side import side_by_side\n\n" +
    `objectives = [${listed.join(", ")}]\n` +
    `*_, trained = side_by_side(objectives, "${toy}", ${settings})\ntrained.excess`
  );
}

export const local = { compute, settle, act, code };
