// The clock of an explorer: one player for all its clouds, which plays, pauses and scrubs them.

import { make } from "./elements.js";

const SECONDS = 4; // that a film lasts

export class Clock {
  /** @param {(share: number) => void} moved is told where in the film a reader has stopped */
  constructor(moved) {
    this.moved = moved;
    this.panels = new Set();
    this.share = 1; // of the film that is over
    this.frame = 0;
    this.play = make("button", { type: "button", onclick: () => this.toggle() });
    this.range = make("input.dv-range", { type: "range", min: 0, step: 1, "aria-label": "time" });
    this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
    this.text = make("output.dv-value");
    this.element = make("div.dv-player", { hidden: true }, this.play, this.range, this.text);
    this.label("▶", "play");
  }

  /** @param {string} sign @param {string} action what a press of the button does */
  label(sign, action) {
    this.play.textContent = sign;
    this.play.setAttribute("aria-label", action);
  }

  /** Steps of the longest film. */
  get steps() {
    return Math.max(0, ...[...this.panels].map((panel) => panel.steps));
  }

  get isPlaying() {
    return this.frame !== 0;
  }

  /**
   * The present step of a film.
   *
   * @param {number} steps how many it has
   * @returns {number}
   */
  stepOf(steps) {
    return Math.round(this.share * Math.max(0, steps - 1));
  }

  /** Show a share of the film that comes from elsewhere; not while a reader watches it. */
  show(share) {
    if (this.isPlaying || share === this.share) return;
    this.share = share;
    this.draw();
  }

  /** Fit the player to what the panels show now. */
  refresh() {
    const { steps } = this;
    this.element.hidden = steps < 2;
    this.range.max = String(Math.max(0, steps - 1));
    const step = this.stepOf(steps);
    const [words] = [...this.panels].map((panel) => panel.wordsAt(step)).filter(Boolean);
    this.range.value = String(step);
    this.text.textContent = words ?? "";
    this.range.setAttribute("aria-valuetext", this.text.textContent);
  }

  draw() {
    for (const panel of this.panels) panel.draw();
    this.refresh();
  }

  seek(step) {
    this.stop();
    this.share = step / Math.max(1, this.steps - 1);
    this.draw();
    this.moved(this.share);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.run();
  }

  /** Play from here, or from the beginning once the end is reached. */
  run() {
    const from = this.share >= 1 ? 0 : this.share;
    const start = performance.now();
    this.label("⏸", "pause");
    const next = (now) => {
      const gone = Math.max(0, now - start) / 1e3 / SECONDS; // a frame may begin before the click
      this.share = Math.min(1, from + gone);
      this.draw();
      if (this.share >= 1) this.pause();
      else this.frame = requestAnimationFrame(next);
    };
    this.frame = requestAnimationFrame(next);
  }

  pause() {
    this.stop();
    this.moved(this.share);
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.label("▶", "play");
  }

  /** @param {any} panel what shows a film: steps, draw(), wordsAt(step) */
  add(panel) {
    this.panels.add(panel);
  }

  remove(panel) {
    this.panels.delete(panel);
    if (!this.panels.size) this.stop();
    this.refresh();
  }
}
