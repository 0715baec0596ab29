// Panels without axes: tables, notes and small images.

import { make } from "./elements.js";
import { readable } from "./theme.js";
import { ChartPanel } from "./chart.js";
import { CloudPanel } from "./cloud.js";
import { meaningOf } from "./terms.js";

class TablePanel {
  constructor(context) {
    this.context = context;
    this.element = make("div.dv-table");
  }

  update(table) {
    this.table = table;
    this.draw();
  }

  draw() {
    const { title, head, rows, colours } = this.table;
    const dark = this.context.isDark();
    const headings = head.map((text) => make("th", { title: meaningOf(text) }, text));
    const swatch = (index) => {
      const mark = make("span.dv-swatch");
      if (colours[index]) mark.style.background = readable(colours[index], dark);
      return colours.length ? [make("td", {}, mark)] : [];
    };
    const first = colours.length ? [make("th")] : [];
    const cells = (row) => row.map((cell) => make("td", {}, cell));
    const lines = rows.map((row, index) => make("tr", {}, ...swatch(index), ...cells(row)));
    const header = make("thead", {}, make("tr", {}, ...first, ...headings));
    const caption = title ? [make("caption", {}, title)] : [];
    const body = make("tbody", {}, ...lines);
    this.element.replaceChildren(make("table", {}, ...caption, header, body));
  }

  destroy() {}
}

class NotePanel {
  constructor() {
    this.element = make("p.dv-note");
  }

  update(note) {
    this.element.textContent = note.text;
    this.element.classList.toggle("dv-strong", note.strong);
  }

  draw() {}

  destroy() {}
}

class ImagesPanel {
  constructor() {
    this.title = make("div.dv-title");
    this.grid = make("div.dv-images");
    this.element = make("figure", {}, this.title, this.grid);
  }

  update(images) {
    const [count, height, width, channels = 1] = images.pixels.shape;
    this.title.textContent = images.title;
    this.element.classList.toggle("dv-strip", count > 1);
    if (images.columns) this.grid.style.gridTemplateColumns = `repeat(${images.columns}, 1fr)`;
    const figures = [];
    for (let index = 0; index < count; index++) {
      const canvas = make("canvas", { width, height, role: "img" });
      const label = images.labels[index] ?? "";
      canvas.setAttribute("aria-label", label || `image ${index + 1}`);
      const size = height * width * channels;
      const pixels = images.pixels.subarray(index * size, (index + 1) * size);
      canvas.getContext("2d").putImageData(imageOf(pixels, width, height, channels), 0, 0);
      figures.push(make("figure", {}, canvas, make("figcaption", {}, label)));
    }
    this.grid.replaceChildren(...figures);
  }

  draw() {}

  destroy() {}
}

/**
 * @param {Uint8Array} pixels
 * @param {number} width
 * @param {number} height
 * @param {number} channels 1 for grey, 3 for colour
 * @returns {ImageData}
 */
function imageOf(pixels, width, height, channels) {
  const image = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * place + channel] = pixels[place * channels + (channels === 3 ? channel : 0)];
    }
    image.data[4 * place + 3] = 255;
  }
  return image;
}

const KINDS = {
  chart: ChartPanel,
  cloud: CloudPanel,
  images: ImagesPanel,
  note: NotePanel,
  table: TablePanel,
};

/**
 * @param {string} kind
 * @param {any} context
 * @returns {any} a panel: element, update(record), draw(), destroy()
 */
export function makePanel(kind, context) {
  return new KINDS[kind](context);
}

/**
 * Whether a panel stands among the pictures, above the texts.
 *
 * @param {string} kind
 * @returns {boolean}
 */
export function isPicture(kind) {
  return kind === "chart" || kind === "cloud" || kind === "images";
}
