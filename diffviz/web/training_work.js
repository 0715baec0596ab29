// The training under way, in a worker that is started when the reader asks for it.

import { DRAWN } from "./mixtures.js";
import { drawnPlace, drawsOf, knownOf } from "./training_data.js";

/**
 * @typedef {import("./training_data.js").Data} Data
 * @typedef {import("./training_data.js").State} State
 * @typedef {import("./session.js").Report} Report
 * @typedef {import("./session.js").Task} Task
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
export function act(name, state, data, show) {
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

/**
 * The training of a state; null where it is of other settings, or has not begun.
 * @param {State} state
 * @returns {Training | null}
 */
export function trainingOf(state) {
  return training?.key === keyOf(state) ? training : null;
}
