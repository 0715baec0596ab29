// The worker in which a page trains: TensorFlow.js is loaded with it, and the page never waits.

import { tf } from "./vendor/tfjs-core.js";
import { wasm } from "./vendor/tfjs-wasm.js";
import { prepare } from "./backend.js";
import { Session } from "./session.js";

const TURN = 40; // ms of training between two looks for messages
const PAUSE = 600; // least ms between two reports
const SHARE = 3; // ms of training for each of a report, at least

/** @type {Session | null} */
let session = null;
let isWanted = false; // whether the reader wants it to go on
let isRunning = false;

/** Wait until messages that have come are taken. */
function turn() {
  return new Promise((done) => setTimeout(done));
}

/** Train until all steps are done or the reader pauses, and report. */
async function run() {
  if (isRunning || !session) return;
  isRunning = true;
  let due = performance.now() + PAUSE;
  let [begin, first] = [performance.now(), session.step];
  while (isWanted && !session.isDone) {
    const until = performance.now() + TURN;
    while (performance.now() < until && !session.isDone) session.advance();
    const start = performance.now();
    if (start < due && !session.isDone) {
      await turn();
      continue;
    }
    const pace = (start - begin) / (session.step - first); // ms a step
    const report = session.look();
    postMessage({ kind: "report", pace, ...report });
    [begin, first] = [performance.now(), session.step];
    due = begin + Math.max(PAUSE, SHARE * (begin - start));
    await turn();
  }
  isRunning = false;
}

const ANSWERS = {
  start: async ({ task }) => {
    isWanted = true; // a reader may pause while WebAssembly is loaded
    await prepare(tf, wasm);
    session = new Session(tf, task);
    await run();
  },
  pause: () => {
    isWanted = false;
  },
  resume: () => {
    isWanted = true;
    return run();
  },
};

addEventListener("message", async ({ data }) => {
  try {
    await ANSWERS[data.kind](data);
  } catch (error) {
    postMessage({ kind: "error", text: error.message });
  }
});
