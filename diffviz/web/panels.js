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

const IMAGE_GAP = 4; // px, as in the style
const IMAGE_LABEL = 16; // px of a label under an image
const LEAST_IMAGE = 48; // px

class ImagesPanel {
  constructor() {
    this.title = make("div.dv-title");
    this.grid = make("div.dv-images");
    this.element = make("figure", {}, this.title, this.grid);
    this.height = Infinity; // px that there are
  }

  update(images) {
    const [count, height, width, channels = 1] = images.pixels.shape;
    this.title.textContent = images.title;
    this.element.classList.toggle("dv-strip", count > 1);
    this.images = images;
    const names = images.rows.length ? "max-content " : "";
    const tracks = `${names}repeat(${images.columns}, minmax(0, 1fr))`;
    if (images.columns) this.grid.style.gridTemplateColumns = tracks;
    const figures = [];
    for (let index = 0; index < count; index++) {
      const [row, column] = [Math.floor(index / images.columns), index % images.columns];
      if (names && column === 0) figures.push(make("div.dv-row", {}, images.rows[row] ?? ""));
      const canvas = make("canvas", { width, height, role: "img" });
      const label = images.labels[index] ?? "";
      canvas.setAttribute("aria-label", label || `image ${index + 1}`);
      const size = height * width * channels;
      const pixels = images.pixels.subarray(index * size, (index + 1) * size);
      canvas.getContext("2d").putImageData(imageOf(pixels, width, height, channels), 0, 0);
      const caption = label ? [make("figcaption", {}, label)] : [];
      figures.push(make("figure", {}, canvas, ...caption));
    }
    this.grid.replaceChildren(...figures);
    this.fit();
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.height = height;
    this.fit();
  }

  /** Make the images as small as the height needs. */
  fit() {
    const { pixels, columns, labels } = this.images ?? {};
    if (!columns || !Number.isFinite(this.height)) return;
    const [count, height, width] = pixels.shape;
    const rows = Math.ceil(count / columns);
    const others = IMAGE_GAP + (labels.length ? IMAGE_LABEL : 0);
    const room = (this.height - this.title.offsetHeight) / rows - others;
    const side = Math.max(LEAST_IMAGE, room) * (width / height);
    const name = this.grid.querySelector(".dv-row")?.offsetWidth ?? 0;
    this.grid.style.maxWidth = `${Math.ceil(name + columns * (side + IMAGE_GAP))}px`;
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
