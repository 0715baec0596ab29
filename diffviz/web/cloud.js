// Points and trajectories on a canvas. All clouds of an explorer have one clock.

import { make } from "./elements.js";
import { extent, figures } from "./chart.js";
import { readable } from "./theme.js";

const PEN_STEP = 0.025; // share of the axes that an arrow key moves the pen; with Shift a fifth
const PEN_SIZE = 7; // px of half a stroke of the cross that shows the pen
const CROSS = { size: 7, width: 2 }; // px of half a stroke of a cross, and of its width
const PEN_MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const PEN_KEYS =
  "arrow keys move a pen, Enter sets a point, Backspace takes the last one away";
const FEW_TRAILS = 24; // trajectories up to which each is drawn well to be seen
const LEAST_TICKS = 4; // steps between ticks along an axis, however short it is
const MARGIN = { left: 44, right: 8, top: 8, bottom: 34 };

export class CloudPanel {
  constructor(context) {
    this.context = context;
    this.title = make("div.dv-title");
    this.canvasElement = make("canvas.dv-canvas", { role: "img", tabindex: 0 });
    this.element = make("figure.dv-chart", {}, this.title, this.canvasElement);
    this.steps = 0;
    this.stroke = []; // what a reader draws now
    /** @type {{x: number, y: number} | null} */
    this.pen = null; // where the keys have moved the pen, as shares of the axes
    this.size = { width: 0, height: 0 };
    this.listen();
    context.clock.add(this);
  }

  update(cloud) {
    this.cloud = cloud;
    this.steps = Math.max(0, ...Object.values(cloud.paths).map((path) => path.shape[0]));
    this.stroke = [];
    this.title.textContent = cloud.title;
    const label = cloud.title || `${cloud.ylabel} over ${cloud.xlabel}`;
    const keys = cloud.strokes ? `; ${PEN_KEYS}` : "";
    this.canvasElement.setAttribute("aria-label", `${label}${keys}`);
    this.canvasElement.classList.toggle("dv-drawable", Boolean(cloud.strokes));
    this.canvasElement.title = this.context.tipOf(cloud.strokes);
    this.limits = this.limitsOf(cloud);
    this.draw();
    this.context.clock.refresh();
  }

  /** The present step. */
  get step() {
    return this.context.clock.stepOf(this.steps);
  }

  /** What the clock says at a step; nothing for a cloud without time. */
  wordsAt(step) {
    if (this.steps < 2) return "";
    const { captions, times, clock } = this.cloud;
    return captions[step] ?? `${clock} ${figures(times[step] ?? step)}`;
  }

  limitsOf(cloud) {
    const arrays = [...Object.values(cloud.points), ...Object.values(cloud.paths)];
    const axis = function* (offset) {
      for (const array of arrays) for (let k = offset; k < array.length; k += 2) yield array[k];
    };
    return { x: cloud.xlim ?? extent(axis(0), 0.04), y: cloud.ylim ?? extent(axis(1), 0.04) };
  }

  /** Pixels between the axes. */
  get inner() {
    const { width, height } = this.size;
    return { x: width - MARGIN.left - MARGIN.right, y: height - MARGIN.top - MARGIN.bottom };
  }

  /** Pixels of a point at the present step; with equal axes both have the same unit. */
  scales() {
    const { inner } = this;
    const reach = this.cloud.reach[this.step];
    let [x0, x1] = reach ? [-reach, reach] : this.limits.x;
    let [y0, y1] = reach ? [-reach, reach] : this.limits.y;
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
      canvas.width = columns;
      canvas.height = rows;
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
    ctx.rect(MARGIN.left, MARGIN.top, this.inner.x, this.inner.y);
    ctx.clip();
    this.drawArrows(ctx, scales);
    ctx.globalAlpha = this.steps > 1 ? 0.5 : 1; // what moves stands out
    const isCross = (/** @type {string} */ name) => this.cloud.crosses.includes(name);
    for (const [name, points] of Object.entries(this.cloud.points)) {
      if (isCross(name)) continue;
      this.drawPoints(ctx, scales, points, 0, points.length / 2, this.shade(name), 2);
    }
    ctx.globalAlpha = 1;
    for (const [name, path] of Object.entries(this.cloud.paths)) {
      this.drawPath(ctx, scales, name, path);
    }
    for (const name of Object.keys(this.cloud.points).filter(isCross)) {
      this.drawCrosses(ctx, scales, name);
    }
    const ink = getComputedStyle(this.element).getPropertyValue("--dv-ink").trim();
    this.drawPoints(ctx, scales, this.stroke.flat(), 0, this.stroke.length, () => ink, 2);
    if (this.pen && this.cloud.strokes) this.drawPen(ctx, ink);
    ctx.restore();
  }

  /** The place of the pen in pixels. */
  penPlace() {
    return [MARGIN.left + this.pen.x * this.inner.x, MARGIN.top + (1 - this.pen.y) * this.inner.y];
  }

  drawPen(ctx, ink) {
    const [left, top] = this.penPlace();
    drawCross(ctx, left, top, ink, { size: PEN_SIZE, width: 1.5 });
  }

  /** Crosses at the points of a name. */
  drawCrosses(ctx, scales, name) {
    const points = this.cloud.points[name];
    const shade = this.shade(name);
    for (let index = 0; 2 * index < points.length; index++) {
      const [left, top] = [scales.x(points[2 * index]), scales.y(points[2 * index + 1])];
      drawCross(ctx, left, top, shade(index), CROSS);
    }
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
    const { x: ends, y: upEnds } = scales.ends;
    const step = tickStep(ends, Math.max(LEAST_TICKS, (width - MARGIN.left) / 60));
    const upCount = Math.max(LEAST_TICKS, (height - MARGIN.bottom) / 40);
    const upStep = this.cloud.equal ? step : tickStep(upEnds, upCount);
    for (const tick of ticks(ends, step)) {
      ctx.moveTo(scales.x(tick), MARGIN.top);
      ctx.lineTo(scales.x(tick), height - MARGIN.bottom);
      ctx.textAlign = "center";
      ctx.fillText(figures(tick), scales.x(tick), height - MARGIN.bottom + 14);
    }
    for (const tick of ticks(upEnds, upStep)) {
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

  /** Trajectories: pale where they will go, and a point at the present. */
  drawPath(ctx, scales, name, path) {
    const [steps, count] = path.shape;
    const last = Math.min(this.step, steps - 1);
    const shade = this.shade(name);
    const isStrong = this.cloud.strong.includes(name);
    const trails = Math.min(count, this.cloud.trails ?? count);
    const isCrowded = trails > 100;
    const areFew = trails <= FEW_TRAILS;
    const [toCome, width] = areFew ? [0.5, 1.5] : [0.2, 1];
    ctx.lineWidth = isStrong ? 2 : width;
    for (let index = 0; index < trails; index++) {
      ctx.strokeStyle = shade(index);
      if (!isCrowded) this.drawLine(ctx, scales, path, index, steps - 1, isStrong ? 0.5 : toCome);
      this.drawLine(ctx, scales, path, index, last, isCrowded ? 0.25 : 0.8);
    }
    ctx.globalAlpha = 1;
    this.drawPoints(ctx, scales, path, last * count, count, shade, isStrong ? 4.5 : 2.5);
  }

  drawLine(ctx, scales, path, index, last, opacity) {
    const count = path.shape[1];
    ctx.globalAlpha = opacity;
    ctx.beginPath();
    for (let step = 0; step <= last; step++) {
      const at = 2 * (step * count + index);
      ctx.lineTo(scales.x(path[at]), scales.y(path[at + 1]));
    }
    ctx.stroke();
  }

  drawArrows(ctx, scales) {
    let { arrows } = this.cloud;
    if (arrows.shape?.length === 3) {
      const size = arrows.shape[1] * 4;
      const start = Math.min(this.step, arrows.shape[0] - 1) * size;
      arrows = arrows.subarray(start, start + size);
    }
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

  /** Clicks and drawings add points to the control named by `strokes`. */
  listen() {
    const canvas = this.canvasElement;
    let isDrawing = false;
    const add = (event) => {
      const box = canvas.getBoundingClientRect();
      this.stroke.push(this.pointAt(event.clientX - box.left, event.clientY - box.top));
      this.draw();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.cloud?.strokes) return;
      canvas.setPointerCapture(event.pointerId);
      isDrawing = true;
      this.stroke = [];
      add(event);
    });
    canvas.addEventListener("pointermove", (event) => isDrawing && add(event));
    canvas.addEventListener("pointerup", () => {
      if (!isDrawing) return;
      isDrawing = false;
      this.addPoints(this.stroke);
    });
    canvas.addEventListener("pointercancel", () => {
      isDrawing = false; // the system has taken the finger for a gesture of its own
      this.stroke = [];
      this.draw();
    });
    canvas.addEventListener("keydown", (event) => this.movePen(event));
    canvas.addEventListener("focus", () => this.placePen(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.placePen(false));
  }

  /** Coordinates of a place in pixels; where axes grow and shrink, in those of the first step. */
  pointAt(left, top) {
    const factor = (this.cloud.reach[0] ?? 1) / (this.cloud.reach[this.step] ?? 1);
    return this.scales()
      .value(left, top)
      .map((value) => value * factor);
  }

  addPoints(points) {
    const { strokes } = this.cloud;
    const brief = points.map((point) => point.map((value) => Number(value.toPrecision(4))));
    this.context.moved(strokes, [...this.context.state()[strokes], ...brief]);
  }

  /** Put the pen in the middle, or take it away. */
  placePen(isThere) {
    this.pen = isThere && this.cloud?.strokes ? { x: 0.5, y: 0.5 } : null;
    this.draw();
  }

  /** The arrow keys move a pen; Enter sets a point where it is, and Backspace takes the last. */
  movePen(event) {
    if (!this.cloud?.strokes) return;
    const { strokes } = this.cloud;
    const [right, up] = PEN_MOVES[event.key] ?? [0, 0];
    const actions = {
      Enter: () => this.addPoints([this.pointAt(...this.penPlace())]),
      Backspace: () => this.context.moved(strokes, this.context.state()[strokes].slice(0, -1)),
    };
    if (!(event.key in PEN_MOVES) && !(event.key in actions)) return;
    event.preventDefault();
    this.pen ??= { x: 0.5, y: 0.5 };
    const step = event.shiftKey ? PEN_STEP / 5 : PEN_STEP;
    const within = (share) => Math.min(1, Math.max(0, share));
    this.pen = { x: within(this.pen.x + right * step), y: within(this.pen.y + up * step) };
    this.draw();
    actions[event.key]?.();
  }

  resize(width, height) {
    this.size = { width, height: Math.max(120, height - this.title.offsetHeight) };
    this.draw();
  }

  canvas() {
    return this.canvasElement;
  }

  destroy() {
    this.context.clock.remove(this);
  }
}

/**
 * A cross at a place in pixels.
 *
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} left
 * @param {number} top
 * @param {string} colour
 * @param {{size: number, width: number}} look pixels of half a stroke, and of its width
 */
function drawCross(ctx, left, top, colour, { size, width }) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(left - size, top);
  ctx.lineTo(left + size, top);
  ctx.moveTo(left, top - size);
  ctx.lineTo(left, top + size);
  ctx.stroke();
}

/**
 * The distance of round numbers along an axis.
 *
 * @param {[number, number]} ends
 * @param {number} count steps that fit
 * @returns {number}
 */
function tickStep([low, high], count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

/**
 * Round numbers along an axis.
 *
 * @param {[number, number]} ends
 * @param {number} step their distance
 * @returns {number[]}
 */
function ticks([low, high], step) {
  const places = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    places.push(Number((k * step).toPrecision(12)));
  }
  return places;
}
