// What an explorer says below its pictures: what went wrong, and how far its long work has come.

import { make } from "./elements.js";

export class Status {
  /** @param {() => void} stop ends the work */
  constructor(stop) {
    this.line = make("div.dv-status", { role: "status", "aria-live": "polite" });
    this.progress = make("progress", { max: 1, "aria-label": "progress" });
    this.text = make("span.dv-hint");
    const button = make("button", { type: "button", onclick: stop }, "stop");
    this.working = make("div.dv-working", { hidden: true }, this.progress, this.text, button);
  }

  /** Say what went wrong; an empty text takes it back. */
  say(text) {
    this.line.textContent = text;
    this.line.hidden = !text;
    this.line.classList.remove("dv-done");
  }

  /** Say what is done for a while, unless something else is said meanwhile. */
  sayBriefly(text, time) {
    this.say(text);
    this.line.classList.add("dv-done");
    setTimeout(() => this.line.textContent === text && this.say(""), time);
  }

  /** @param {{error?: string, working?: {progress: number, text: string} | null}} news */
  show({ error, working }) {
    this.say(error ?? "");
    this.working.hidden = !working;
    if (!working) return;
    this.progress.value = working.progress;
    this.text.textContent = working.text;
  }
}
