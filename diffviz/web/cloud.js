// Points and trajectories on a canvas, with a clock that plays, pauses and scrubs.

import { make } from "./elements.js";
import { extent, figures } from "./chart.js";
import { readable } from "./theme.js";

const MARGIN = { left: 44, right: 8, top: 8, bottom: 34 };
const SECONDS = 4; // that a film lasts

export class CloudPanel {
  constructor(context) {
    this.context = context;
    this.title = make("div.dv-title");
    this.canvasElement = make("canvas.dv-canvas", { role: "img", tabindex: 0 });
    this.play = make("button", { type: "button", onclick: () => this.toggle() }, "▶");
    this.play.setAttribute("aria-label", "play");
    this.clock = make("input.dv-range", { type: "range", min: 0, step: 1, "aria-label": "time" });
    this.clock.addEventListener("input", () => this.seek(Number(this.clock.value)));
    this.time = make("output.dv-value");
    this.player = make("div.dv-player", {}, this.play, this.clock, this.time);
    this.element = make("figure.dv-chart", {}, this.title, this.canvasElement, this.player);
    this.size = { width: 0, height: 0 };
    this.step = -1;
    this.frame = 0;
    this.listen();
  }

  update(cloud) {
    const before = this.steps ?? 0;
    this.cloud = cloud;
    this.steps = Math.max(0, ...Object.values(cloud.paths).map((path) => path.shape[0]));
    this.title.textContent = cloud.title;
    this.player.hidden = this.steps < 2;
    this.clock.max = String(Math.max(0, this.steps - 1));
    const wasAtEnd = this.step < 0 || this.step >= before - 1;
    this.step = wasAtEnd ? this.steps - 1 : Math.min(this.step, this.steps - 1);
    const label = cloud.title || `${cloud.ylabel} over ${cloud.xlabel}`;
    this.canvasElement.setAttribute("aria-label", label);
    this.limits = this.limitsOf(cloud);
    this.draw();
  }

  limitsOf(cloud) {
    const arrays = [...Object.values(cloud.points), ...Object.values(cloud.paths)];
    const axis = function* (offset) {
      for (const array of arrays) for (let k = offset; k < array.length; k += 2) yield array[k];
    };
    return { x: cloud.xlim ?? extent(axis(0), 0.04), y: cloud.ylim ?? extent(axis(1), 0.04) };
  }

  /** Pixels of a point; with equal axes both have the same unit. */
  scales() {
    const { width, height } = this.size;
    const inner = { x: width - MARGIN.left - MARGIN.right, y: height - MARGIN.top - MARGIN.bottom };
    let [x0, x1] = this.limits.x;
    let [y0, y1] = this.limits.y;
    if (this.cloud.equal) {
      const unit = Math.max((x1 - x0) / inner.x, (y1 - y0) / inner.y);
      const grow = (low, high, size) => {
        return [(low + high - unit * size) / 2, (low + high + unit * size) / 2];
      };
      [x0, x1] = grow(x0, x1, inner.x);
      [y0, y1] = grow(y0, y1, inner.y);
    }
    return {
      ends: { x: [x0, x1], y: [y0, y1] },
      x: (value) => MARGIN.left + ((value - x0) / (x1 - x0)) * inner.x,
      y: (value) => MARGIN.top + ((y1 - value) / (y1 - y0)) * inner.y,
      value: (left, top) => [
        x0 + ((left - MARGIN.left) / inner.x) * (x1 - x0),
        y1 - ((top - MARGIN.top) / inner.y) * (y1 - y0),
      ],
    };
  }

  draw() {
    if (!this.cloud || !this.size.width) return;
    const ratio = devicePixelRatio;
    const { width, height } = this.size;
    const canvas = this.canvasElement;
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== columns || canvas.height !== rows) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    const scales = this.scales();
    this.drawAxes(ctx, scales);
    ctx.save();
    ctx.beginPath();
    const across = width - MARGIN.left - MARGIN.right;
    const down = height - MARGIN.top - MARGIN.bottom;
    ctx.rect(MARGIN.left, MARGIN.top, across, down);
    ctx.clip();
    this.drawArrows(ctx, scales);
    for (const [name, points] of Object.entries(this.cloud.points)) {
      this.drawPoints(ctx, scales, points, 0, points.length / 2, this.shade(name), 2);
    }
    for (const [name, path] of Object.entries(this.cloud.paths)) {
      this.drawPath(ctx, scales, name, path);
    }
    ctx.restore();
    this.showTime();
  }

  /** The colour of each point of a name. */
  shade(name) {
    const dark = this.context.isDark();
    const colours = this.cloud.colours[name];
    if (typeof colours === "string") {
      const one = readable(colours, dark);
      return () => one;
    }
    return (index) => `rgb(${colours.slice(3 * index, 3 * index + 3).join(" ")})`;
  }

  drawAxes(ctx, scales) {
    const style = getComputedStyle(this.element);
    ctx.strokeStyle = style.getPropertyValue("--dv-line").trim();
    ctx.fillStyle = style.getPropertyValue("--dv-ink").trim();
    ctx.font = `12px ${style.fontFamily}`;
    ctx.lineWidth = 1;
    const { width, height } = this.size;
    ctx.beginPath();
    for (const tick of ticks(scales.ends.x, (width - MARGIN.left) / 70)) {
      ctx.moveTo(scales.x(tick), MARGIN.top);
      ctx.lineTo(scales.x(tick), height - MARGIN.bottom);
      ctx.textAlign = "center";
      ctx.fillText(figures(tick), scales.x(tick), height - MARGIN.bottom + 14);
    }
    for (const tick of ticks(scales.ends.y, (height - MARGIN.bottom) / 40)) {
      ctx.moveTo(MARGIN.left, scales.y(tick));
      ctx.lineTo(width - MARGIN.right, scales.y(tick));
      ctx.textAlign = "right";
      ctx.fillText(figures(tick), MARGIN.left - 5, scales.y(tick) + 4);
    }
    ctx.stroke();
    ctx.textAlign = "center";
    ctx.fillText(this.cloud.xlabel, (width + MARGIN.left) / 2, height - 4);
    ctx.save();
    ctx.translate(11, (height - MARGIN.bottom) / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(this.cloud.ylabel, 0, 0);
    ctx.restore();
  }

  drawPoints(ctx, scales, points, start, count, shade, radius) {
    for (let index = 0; index < count; index++) {
      ctx.fillStyle = shade(index);
      ctx.beginPath();
      const at = 2 * (start + index);
      ctx.arc(scales.x(points[at]), scales.y(points[at + 1]), radius, 0, 7);
      ctx.fill();
    }
  }

  drawPath(ctx, scales, name, path) {
    const [steps, count] = path.shape;
    const last = Math.min(this.step, steps - 1);
    const shade = this.shade(name);
    ctx.lineWidth = 1;
    ctx.globalAlpha = count > 100 ? 0.25 : 0.7;
    for (let index = 0; index < count; index++) {
      ctx.strokeStyle = shade(index);
      ctx.beginPath();
      for (let step = 0; step <= last; step++) {
        const at = 2 * (step * count + index);
        ctx.lineTo(scales.x(path[at]), scales.y(path[at + 1]));
      }
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    this.drawPoints(ctx, scales, path, last * count, count, shade, 2.5);
  }

  drawArrows(ctx, scales) {
    const { arrows } = this.cloud;
    ctx.strokeStyle = getComputedStyle(this.element).getPropertyValue("--dv-ink").trim();
    ctx.globalAlpha = 0.35;
    ctx.beginPath();
    for (let k = 0; k < arrows.length; k += 4) {
      const [x0, y0] = [scales.x(arrows[k]), scales.y(arrows[k + 1])];
      const x1 = scales.x(arrows[k] + arrows[k + 2]);
      const y1 = scales.y(arrows[k + 1] + arrows[k + 3]);
      const [dx, dy] = [0.25 * (x1 - x0), 0.25 * (y1 - y0)];
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
      ctx.lineTo(x1 - dx + dy / 2, y1 - dy - dx / 2);
      ctx.moveTo(x1, y1);
      ctx.lineTo(x1 - dx - dy / 2, y1 - dy + dx / 2);
    }
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  showTime() {
    this.clock.value = String(this.step);
    const time = this.cloud.times[this.step] ?? this.step;
    this.time.textContent = `${this.cloud.clock} ${figures(time)}`;
    this.clock.setAttribute("aria-valuetext", this.time.textContent);
  }

  seek(step) {
    this.pause();
    this.step = step;
    this.draw();
  }

  toggle() {
    if (this.frame) this.pause();
    else this.run();
  }

  /** Play from here, or from the beginning once the end is reached. */
  run() {
    const from = this.step >= this.steps - 1 ? 0 : this.step;
    const start = performance.now();
    this.play.textContent = "⏸";
    this.play.setAttribute("aria-label", "pause");
    const next = (now) => {
      const gone = Math.max(0, now - start) / 1e3 / SECONDS; // a frame may begin before the click
      this.step = Math.min(this.steps - 1, from + Math.floor(gone * this.steps));
      this.draw();
      if (this.step >= this.steps - 1) this.pause();
      else this.frame = requestAnimationFrame(next);
    };
    this.frame = requestAnimationFrame(next);
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "play");
  }

  /** Clicks and drawings add points to the control named by `strokes`. */
  listen() {
    const canvas = this.canvasElement;
    let points = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.scales().value(event.clientX - box.left, event.clientY - box.top);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.cloud?.strokes) return;
      canvas.setPointerCapture(event.pointerId);
      points = [...this.context.state()[this.cloud.strokes], place(event)];
    });
    canvas.addEventListener("pointermove", (event) => points?.push(place(event)));
    canvas.addEventListener("pointerup", () => {
      if (points) this.context.moved(this.cloud.strokes, points);
      points = null;
    });
  }

  resize(width, height) {
    const others = this.title.offsetHeight + this.player.offsetHeight;
    this.size = { width, height: Math.max(120, height - others) };
    this.draw();
  }

  canvas() {
    return this.canvasElement;
  }

  destroy() {
    this.pause();
  }
}

/**
 * Round numbers along an axis.
 *
 * @param {[number, number]} ends
 * @param {number} count about how many
 * @returns {number[]}
 */
export function ticks([low, high], count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const places = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    places.push(Number((k * step).toPrecision(12)));
  }
  return places;
}
