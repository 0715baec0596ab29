// Curves on the axes of uPlot, with a legend that shows the values under the crosshair.

import { uPlot } from "./vendor/uPlot.js";
import { make } from "./elements.js";
import { readable } from "./theme.js";

const DASHES = [[], [6, 2], [2, 1.5], [7, 2, 1.5, 2]]; // as in diffviz.plots.style, in line widths
const LINE_WIDTH = 2;
const ALIKE = 0.25; // share of a curve that hides another, from which on one of them is dashed
const FAINT = 0.4;
const BAND = 0.2; // opacity
const DOT_RADIUS = 3; // px
const RIM = 1; // px, of the symbols that are no dots
/** Corners of a symbol about its middle, in px; y points down, as on a screen. */
const CORNERS = { diamond: corners([7]), star: corners([8.5, 3.4], 10) };
const DISC_RADIUS = 5; // px
const MARGINS = { x: 44, y: 70 }; // px of a chart that a label in the middle of its axis cannot use
/** What a key moves: places of the curves, and a share of the vertical axis. */
const KEYS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  PageUp: [25, 0],
  PageDown: [-25, 0],
  ArrowUp: [0, 0.02],
  ArrowDown: [0, -0.02],
  Enter: [0, 0],
};
const STROKE_STEP = 3; // px between the points of a stroke, so that a link can hold it

/**
 * @typedef {Record<string, any>} ChartRecord a `Chart` of Python with its arrays
 * @typedef {ArrayLike<number>} Numbers
 */

/**
 * Whether two curves could be taken for each other: a quarter of them lies in one place.
 *
 * @param {Numbers} here
 * @param {Numbers} there
 * @returns {boolean}
 */
function isAlike(here, there) {
  if (here.length !== there.length || !here.length) return false;
  let close = 0;
  for (let index = 0; index < here.length; index++) {
    if (Math.abs(here[index] - there[index]) <= 1e-9 + 1e-3 * Math.abs(here[index])) close++;
  }
  return close > ALIKE * here.length;
}

/**
 * The dash of each curve: as it is given, else one for each curve before it that is alike.
 *
 * @param {ChartRecord} chart
 * @returns {Record<string, number[]>}
 */
function dashesOf(chart) {
  const names = Object.keys(chart.curves);
  const dashes = {};
  names.forEach((name, place) => {
    const alike = names.slice(0, place).filter(
      (other) =>
        chart.colours[name] === chart.colours[other] ||
        isAlike(chart.curves[name], chart.curves[other]),
    );
    const rank = chart.dashes[name] ?? alike.length;
    dashes[name] = DASHES[rank % DASHES.length].map((length) => length * LINE_WIDTH);
  });
  return dashes;
}

/**
 * Which panels are charts whose whole legend also stands under another chart.
 *
 * @param {any[]} panels records of a view
 * @returns {boolean[]} of each panel
 */
export function repeatedLegends(panels) {
  const entries = panels.map((panel) =>
    panel.kind === "chart"
      ? Object.keys(panel.curves).map((name) =>
          JSON.stringify([name, panel.colours[name], panel.dashes[name]]),
        )
      : null,
  );
  return entries.map((own, place) =>
    Boolean(own?.length) &&
    entries.some((other, before) => {
      if (!other || before === place || !own.every((entry) => other.includes(entry))) return false;
      return other.length > own.length || before < place;
    }),
  );
}

/**
 * Places and values in rising order, without places that are no numbers; null breaks a line.
 *
 * @param {Numbers} x
 * @param {Numbers[]} curves
 * @returns {(number | null)[][]}
 */
export function rising(x, curves) {
  const kept = [];
  for (let index = 0; index < x.length; index++) if (Number.isFinite(x[index])) kept.push(index);
  if (kept.length > 1 && x[kept[0]] > x[kept[kept.length - 1]]) kept.reverse();
  const value = (y) => (Number.isFinite(y) ? y : null);
  const values = curves.map((y) => kept.map((index) => value(y[index])));
  return [kept.map((index) => x[index]), ...values];
}

/**
 * All curves over places that they share.
 *
 * @param {ChartRecord} chart
 * @returns {any[]} the places, then each curve
 */
function tableOf(chart) {
  const curves = Object.values(chart.curves);
  if (typeof chart.x.length === "number") return rising(chart.x, curves);
  if (!curves.length) return [[]];
  const tables = Object.entries(chart.curves).map(([name, y]) => rising(chart.x[name], [y]));
  return uPlot.join(tables, tables.map(() => [1, 1])); // 1: null stays a break of the line
}

/**
 * Least and largest of some numbers, with a little room if they are to be the ends of an axis.
 *
 * @param {Iterable<number | null | undefined>} values
 * @param {number} room share of the range on each side
 * @returns {[number, number]}
 */
export function extent(values, room = 0) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const spare = (high - low) * room || (room && (Math.abs(high) * 0.05 || 1));
  return [low - spare, high + spare];
}

/** @param {any[]} arrays */
function* all(...arrays) {
  for (const array of arrays) yield* array;
}

/**
 * A number as a reader wants it: four figures.
 *
 * @param {number | null | undefined} value
 * @returns {string}
 */
export function figures(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

export class ChartPanel {
  /**
   * @param {{isDark: () => boolean, moved: (name: string, value: any) => void, state: () => any}}
   *   context
   */
  constructor(context) {
    this.context = context;
    this.title = make("div.dv-title");
    this.legend = make("div.dv-legend");
    this.plot = make("div.dv-plot", { tabindex: 0, role: "img" });
    this.ylabel = make("div.dv-ylabel"); // where the axis is too short for its label
    this.xlabel = make("div.dv-xlabel");
    const parts = [this.title, this.legend, this.ylabel, this.plot, this.xlabel];
    this.element = make("figure.dv-chart", {}, ...parts);
    /** @type {any} */
    this.uplot = null;
    this.structure = "";
    /** @type {Record<string, HTMLElement>} */
    this.values = {}; // of the curves at the crosshair, in the legend
    this.direction = 1;
    this.placed = ""; // the labels and the room for which they were placed
    this.size = { width: 0, height: 0 };
    /** @type {{points: number[][], last: PointerEvent} | null} */
    this.stroke = null; // what a reader draws now
    this.penHeight = 0.5; // share of the vertical axis at which the keys draw
    this.plot.addEventListener("keydown", (event) => this.moveCursor(event));
  }

  /** @param {ChartRecord} chart @param {boolean} isRepeated whether another legend says the same */
  update(chart, isRepeated = false) {
    this.chart = chart;
    this.element.classList.toggle("dv-repeated", isRepeated);
    this.dashes = dashesOf(chart);
    this.table = tableOf(chart);
    this.limits = this.limitsOf(chart);
    this.direction = chart.xlim && chart.xlim[0] > chart.xlim[1] ? -1 : 1; // of the horizontal axis
    this.title.textContent = chart.title;
    const keys = chart.strokes ? "; arrow keys move the crosshair, Enter draws to it" : "";
    this.plot.setAttribute("aria-label", `${chart.ylabel} over ${chart.xlabel}${keys}`);
    this.draw();
  }

  /** The ends of both axes, the lower first. */
  limitsOf(chart) {
    const dots = Object.values(chart.dots);
    const bands = Object.values(chart.bands).flat();
    const [x, ...curves] = this.table;
    const isLog = chart.yscale === "log";
    const inside = (values) => (isLog ? [...values].filter((value) => value > 0) : values);
    return {
      x: [...(chart.xlim ?? extent(all(x, ...dots.map((pair) => pair[0]))))].sort((a, b) => a - b),
      y:
        chart.ylim ??
        extent(inside(all(...curves, ...bands, ...dots.map((pair) => pair[1]))), isLog ? 0 : 0.04),
    };
  }

  /** Draw again, on new axes where something other than the values has changed. */
  draw() {
    if (!this.chart || !this.size.width) return;
    const { curves, xscale, yscale, xticks, yticks, colours, strokes } = this.chart;
    const dark = this.context.isDark();
    const names = Object.keys(curves);
    const shades = names.map((name) => colours[name]);
    this.placeLabels(this.size);
    const outside = [this.xlabel, this.ylabel].map((label) => label.textContent !== "");
    const axes = [xscale, yscale, xticks, yticks, this.direction, outside];
    const samples = names.map((name) => sampleOf(this.chart, name));
    const structure = JSON.stringify([axes, names, shades, this.dashes, samples, strokes, dark]);
    if (structure === this.structure) {
      this.uplot.batch(() => {
        this.uplot.setData(this.table, false);
        this.uplot.setScale("x", { min: this.limits.x[0], max: this.limits.x[1] });
        this.uplot.setScale("y", { min: this.limits.y[0], max: this.limits.y[1] });
      });
      this.showValues(this.uplot.cursor.idx);
      return;
    }
    this.structure = structure;
    const crosshair = this.crosshair();
    this.uplot?.destroy();
    this.drawLegend(names, dark);
    const options = this.options(names, dark);
    options.hooks.ready = [(plot) => setCrosshair(plot, crosshair)];
    this.uplot = new uPlot(options, this.table, this.plot);
    if (this.chart.strokes) this.listenToStrokes();
  }

  /** Where the crosshair is: its place, and its share of the height; null without one. */
  crosshair() {
    if (!this.uplot) return null;
    const { idx, top } = this.uplot.cursor;
    if (idx === null || idx === undefined) return null;
    return { x: this.uplot.data[0][idx], share: top / this.uplot.over.clientHeight };
  }

  /**
   * Put a label that is longer than its axis outside the axes, where it wraps.
   *
   * @param {{width: number, height: number}} size
   */
  placeLabels({ width, height }) {
    const { xlabel, ylabel } = this.chart;
    const placed = JSON.stringify([xlabel, ylabel, width, height]);
    if (placed === this.placed) return;
    this.placed = placed;
    const family = getComputedStyle(this.element).fontFamily;
    const fits = (label, room) => lengthOf(label, family) <= room;
    this.ylabel.textContent = fits(ylabel, height - MARGINS.y) ? "" : ylabel;
    this.xlabel.textContent = fits(xlabel, width - MARGINS.x) ? "" : xlabel;
  }

  /** What uPlot is told. */
  options(names, dark) {
    const style = getComputedStyle(this.element);
    const ink = style.getPropertyValue("--dv-ink").trim();
    const line = style.getPropertyValue("--dv-line").trim();
    const font = `12px ${style.fontFamily}`;
    const axis = {
      stroke: ink,
      font,
      labelFont: font,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, size: 4 },
      labelSize: 18,
    };
    const { chart } = this;
    const xlabel = this.xlabel.textContent ? undefined : () => this.chart.xlabel;
    const ylabel = this.ylabel.textContent ? undefined : () => this.chart.ylabel;
    const series = names.map((name) => ({
      label: name,
      stroke: readable(chart.colours[name], dark),
      width: LINE_WIDTH,
      dash: this.dashes[name],
      alpha: chart.faint.includes(name) ? FAINT : 1,
      points: { show: false },
      pxAlign: 0, // whole pixels would make stairs of a straight line with few points
    }));
    const scale = (name) => ({
      time: false,
      distr: chart[`${name}scale`] === "log" ? 3 : 1,
      range: () => this.limits[name],
    });
    return {
      ...this.size,
      legend: { show: false },
      scales: { x: { ...scale("x"), dir: this.direction }, y: scale("y") },
      axes: [
        { ...axis, label: xlabel, size: 34, space: tickSpace(26, 50), ...ticksAt(chart.xticks) },
        { ...axis, label: ylabel, size: 46, space: tickSpace(16, 30), ...ticksAt(chart.yticks) },
      ],
      series: [{}, ...series],
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      hooks: {
        setCursor: [(plot) => this.showValues(plot.cursor.idx)],
        drawAxes: [(plot) => this.drawUnder(plot, dark)],
        draw: [(plot) => this.drawOver(plot, dark, ink)],
      },
    };
  }

  /** The legend: a sample of each line, dot or band, its name, and room for its value. */
  drawLegend(names, dark) {
    if (String(names) !== String(Object.keys(this.values))) this.legend.style.minHeight = "";
    this.values = {};
    const items = names.map((name) => {
      const shade = readable(this.chart.colours[name], dark);
      const sample = drawSample(sampleOf(this.chart, name), shade, this.dashes[name]);
      this.values[name] = make("output.dv-value");
      const label = make("span.dv-name", {}, name);
      return make("span.dv-entry", { title: name }, sample, label, this.values[name]);
    });
    this.place = make("output.dv-value.dv-place");
    this.legend.replaceChildren(...items, this.place);
  }

  /** Show the values of all curves at the crosshair. */
  showValues(index) {
    const isOn = index !== null && index !== undefined;
    Object.keys(this.values).forEach((name, place) => {
      this.values[name].textContent = isOn ? figures(this.nearest(place + 1, index)) : "";
    });
    this.place.textContent = isOn ? `at ${figures(this.table[0][index])}` : "";
  }

  /** The value of a curve at a place, or where it has none of its own there, at the next before. */
  nearest(curve, index) {
    const values = this.table[curve];
    while (index > 0 && values[index] === undefined) index--;
    return values[index];
  }

  /** The arrow keys move the crosshair; where a reader draws, up and down too, and Enter draws. */
  moveCursor(event) {
    const isDrawn = Boolean(this.chart?.strokes);
    const [step, rise] = KEYS[event.key] ?? [0, 0];
    if (!this.uplot || !(step || (isDrawn && event.key in KEYS))) return;
    event.preventDefault();
    event.stopPropagation();
    const x = this.table[0];
    const from = this.uplot.cursor.idx ?? Math.floor(x.length / 2);
    const index = Math.max(0, Math.min(x.length - 1, from + this.direction * step));
    this.penHeight = Math.max(0, Math.min(1, this.penHeight + rise));
    const top = isDrawn ? (1 - this.penHeight) * this.uplot.over.clientHeight : 10;
    this.uplot.setCursor({ left: this.uplot.valToPos(x[index], "x"), top });
    if (event.key === "Enter") this.drawTo(x[index], this.uplot.posToVal(top, "y"));
  }

  /** Add a point to what is drawn. */
  drawTo(x, y) {
    const { strokes } = this.chart;
    const point = [x, y].map((value) => Number(value.toPrecision(5))); // as a link writes them
    this.context.moved(strokes, [...this.context.state()[strokes], point]);
  }

  /** What lies under the curves: bands around them, and some of the dots. */
  drawUnder(plot, dark) {
    const { ctx } = plot;
    const isUnder = (name) => this.chart.under.includes(name);
    ctx.save();
    clipTo(plot);
    this.drawDots(plot, dark, isUnder);
    ctx.restore();
    for (const [name, [low, high]] of Object.entries(this.chart.bands)) {
      const places = this.chart.x[name] ?? this.chart.x;
      const points = [];
      for (let k = 0; k < low.length; k++) points.push([places[k], low[k]]);
      for (let k = high.length - 1; k >= 0; k--) points.push([places[k], high[k]]);
      ctx.save();
      ctx.globalAlpha = BAND;
      ctx.fillStyle = readable(this.chart.colours[name], dark);
      ctx.beginPath();
      for (const [x, y] of points) {
        ctx.lineTo(plot.valToPos(x, "x", true), plot.valToPos(y, "y", true));
      }
      ctx.fill();
      ctx.restore();
    }
  }

  /** The dots of some names. */
  drawDots(plot, dark, isDrawn) {
    const rim = getComputedStyle(this.element).getPropertyValue("--dv-ink").trim();
    for (const [name, [x, y]] of Object.entries(this.chart.dots).filter(([one]) => isDrawn(one))) {
      const shade = readable(this.chart.colours[name], dark);
      const symbol = this.chart.symbols[name];
      for (let k = 0; k < x.length; k++) drawDot(plot, x[k], y[k], shade, symbol, rim);
    }
  }

  /** The other dots, marks, and where a curve starts or stops inside the picture. */
  drawOver(plot, dark, ink) {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    clipTo(plot);
    this.drawDots(plot, dark, (name) => !this.chart.under.includes(name));
    Object.keys(this.chart.curves).forEach((name, place) => {
      const values = this.table[place + 1];
      for (const index of endsInside(values)) {
        const shade = readable(this.chart.colours[name], dark);
        drawDot(plot, this.table[0][index], values[index], shade);
      }
    });
    ctx.setLineDash([]); // the last curve has left its own
    for (const [label, x] of Object.entries(this.chart.marks)) {
      const left = plot.valToPos(x, "x", true);
      ctx.strokeStyle = ctx.fillStyle = ink;
      ctx.globalAlpha = 0.6;
      ctx.lineWidth = ratio;
      ctx.beginPath();
      ctx.moveTo(left, plot.bbox.top);
      ctx.lineTo(left, plot.bbox.top + plot.bbox.height);
      ctx.stroke();
      ctx.font = `${11 * ratio}px sans-serif`;
      const end = left + 4 * ratio + ctx.measureText(label).width;
      const fits = end <= plot.bbox.left + plot.bbox.width;
      ctx.textAlign = fits ? "left" : "right";
      ctx.fillText(label, left + (fits ? 4 : -4) * ratio, plot.bbox.top + 12 * ratio);
    }
    ctx.restore();
  }

  /** Dragging over the axes draws points, which the control named by `strokes` takes. */
  listenToStrokes() {
    const { over } = this.uplot;
    const place = ({ clientX, clientY }) => {
      const box = over.getBoundingClientRect();
      const x = this.uplot.posToVal(clientX - box.left, "x");
      const y = this.uplot.posToVal(clientY - box.top, "y");
      return [x, y].map((value) => Number(value.toPrecision(5))); // as a link writes them
    };
    const distance = (event, last) =>
      Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY);
    over.style.touchAction = "none";
    over.style.cursor = "crosshair";
    // axes that are made anew during a stroke take it over
    if (this.stroke) over.setPointerCapture(this.stroke.last.pointerId);
    over.addEventListener("pointerdown", (event) => {
      over.setPointerCapture(event.pointerId);
      this.stroke = { points: [place(event)], last: event };
    });
    over.addEventListener("pointermove", (event) => {
      if (!this.stroke || distance(event, this.stroke.last) < STROKE_STEP) return;
      this.stroke.last = event;
      this.stroke.points.push(place(event));
      this.context.moved(this.chart.strokes, [...this.stroke.points]);
    });
    over.addEventListener("pointerup", () => {
      const { points } = this.stroke ?? {};
      this.stroke = null;
      if (points) this.context.moved(this.chart.strokes, points);
    });
    over.addEventListener("pointercancel", () => {
      this.stroke = null; // the system has taken the finger for a gesture of its own
    });
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    // a line that the values under the crosshair once needed stays, else the picture would jump
    if (width !== this.size.width) this.legend.style.minHeight = "";
    this.legend.style.minHeight = `${this.legend.offsetHeight}px`;
    if (this.chart) this.placeLabels({ width, height: height - this.legend.offsetHeight });
    const others = [this.title, this.legend, this.ylabel, this.xlabel];
    const rest = others.reduce((sum, one) => sum + one.offsetHeight, 0);
    const size = { width, height: Math.max(120, height - rest) };
    if (size.width === this.size.width && size.height === this.size.height) return;
    this.size = size;
    this.structure = ""; // labels may have to move
    this.draw();
  }

  /** The picture as it is drawn. */
  canvas() {
    return this.uplot?.ctx.canvas;
  }

  destroy() {
    this.uplot?.destroy();
  }
}

/** Draw inside the axes only, until the context is restored. */
function clipTo({ ctx, bbox }) {
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}

/** A dot, or another symbol, at a place of the axes. */
function drawDot(plot, x, y, colour, symbol = "dot", rim = colour) {
  const { ctx } = plot;
  const [left, top] = [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
  ctx.fillStyle = colour;
  ctx.beginPath();
  if (symbol in CORNERS) {
    for (const [right, down] of CORNERS[symbol]) {
      ctx.lineTo(left + right * devicePixelRatio, top + down * devicePixelRatio);
    }
    ctx.closePath();
  } else {
    ctx.arc(left, top, radiusOf(symbol) * devicePixelRatio, 0, 7);
  }
  ctx.fill();
  if (symbol === "dot") return;
  ctx.setLineDash([]); // the last curve has left its own
  ctx.strokeStyle = rim;
  ctx.lineWidth = RIM * devicePixelRatio;
  ctx.stroke();
}

/**
 * Corners at even angles, the first at the top.
 *
 * @param {number[]} radii px, which take turns
 * @param {number} count
 * @returns {number[][]} places about the middle
 */
function corners(radii, count = 4) {
  return Array.from({ length: count }, (_, k) => {
    const [angle, radius] = [(2 * Math.PI * k) / count, radii[k % radii.length]];
    return [radius * Math.sin(angle), -radius * Math.cos(angle)];
  });
}

/** @param {string} symbol "dot" or "disc" */
function radiusOf(symbol) {
  return symbol === "disc" ? DISC_RADIUS : DOT_RADIUS;
}

/**
 * What the legend shows of a name: its line, or where that has no value its dots or its band.
 *
 * @param {ChartRecord} chart
 * @param {string} name
 * @returns {string} "line", "band" or a symbol
 */
export function sampleOf(chart, name) {
  if (chart.curves[name].some(Number.isFinite)) return "line";
  if (name in chart.dots) return chart.symbols[name] ?? "dot";
  return name in chart.bands ? "band" : "line";
}

/**
 * A sample of a line, a dot or a band.
 *
 * @param {string} kind what `sampleOf` says
 * @param {string} shade
 * @param {number[]} dashes px, of a line
 * @returns {SVGElement}
 */
function drawSample(kind, shade, dashes) {
  const isDot = kind !== "line" && kind !== "band";
  const [width, height] = isDot ? [17, 17] : [26, kind === "band" ? 12 : 8];
  const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  sample.setAttribute("width", String(width));
  sample.setAttribute("height", String(height));
  if (kind === "line") {
    sample.innerHTML =
      `<line x1="0" y1="4" x2="26" y2="4" stroke="${shade}" ` +
      `stroke-width="${LINE_WIDTH}" stroke-dasharray="${dashes.join(" ")}"/>`;
  } else if (kind === "band") {
    sample.innerHTML = `<rect width="26" height="12" fill="${shade}" fill-opacity="${BAND}"/>`;
  } else {
    const rim = kind === "dot" ? "" : `stroke="var(--dv-ink)" stroke-width="${RIM}"`;
    const round = `circle r="${radiusOf(kind)}"`;
    const shape = kind in CORNERS ? `polygon points="${CORNERS[kind].join(" ")}"` : round;
    sample.innerHTML = `<g transform="translate(8.5 8.5)"><${shape} fill="${shade}" ${rim}/></g>`;
  }
  return sample;
}

/** What uPlot is told of an axis: how its ticks are written, and where a chart wants them. */
function ticksAt(places) {
  if (!places.length) return { values: (_, splits) => splits.map(tickText) };
  return {
    splits: () => places,
    filter: () => places, // a logarithmic axis would name powers of ten only
    values: () => places.map(figures),
  };
}

/**
 * A round number at a tick, with the sign of minus as Matplotlib writes it.
 *
 * @param {number | null} place null where a logarithmic axis leaves the tick without a name
 * @returns {string}
 */
export function tickText(place) {
  return place === null ? "" : String(Number(place.toPrecision(9))).replaceAll("-", "−");
}

/**
 * Put the crosshair of axes before on those that are made anew.
 *
 * @param {any} plot
 * @param {{x: number, share: number} | null} crosshair
 */
function setCrosshair(plot, crosshair) {
  if (!crosshair) return;
  const left = plot.valToPos(crosshair.x, "x");
  if (!(left >= 0 && left <= plot.over.clientWidth)) return; // outside of new limits
  plot.setCursor({ left, top: crosshair.share * plot.over.clientHeight });
}

/**
 * How far apart two ticks are at least: less on a short axis, so that it has three or four.
 *
 * @param {number} least pixels
 * @param {number} most pixels
 * @returns {(...sizes: any[]) => number} of what uPlot knows of an axis, its length at last
 */
function tickSpace(least, most) {
  return (...sizes) => Math.max(least, Math.min(most, sizes[4] / 4));
}

/** @type {any} */
let ruler = null;

/**
 * How long a label is.
 *
 * @param {string} label
 * @param {string} family of the font
 * @returns {number} pixels
 */
function lengthOf(label, family) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = `12px ${family}`;
  return ruler.measureText(label).width;
}

/**
 * Where a curve starts or stops inside its places.
 *
 * @param {(number | null | undefined)[]} values
 * @returns {number[]}
 */
function endsInside(values) {
  const isThere = (value) => value !== null && value !== undefined;
  const first = values.findIndex(isThere);
  const last = values.findLastIndex(isThere);
  return [...new Set([first, last])].filter((index) => index > 0 && index < values.length - 1);
}
