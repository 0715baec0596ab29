// The pictures and texts of an explorer, and how they share the room.

import { repeatedLegends } from "./chart.js";
import { make } from "./elements.js";
import { isPicture, makePanel } from "./panels.js";
import { isSame } from "./query.js";

const NARROW = 560; // px of width below which the controls stand under the pictures
const LEAST_ROW = 212; // px of a row of pictures, with a title, a legend and 170 px of axes
const MOST_ROW = 380;
const GAP = 8; // px between two rows
const LEAST_SCROLLED = 300; // px of what scrolls explorers; the output of a cell may be less
const SPARE = 24; // px of the margins of an explorer

export class Display {
  /**
   * @param {HTMLElement} root the explorer
   * @param {any} context what panels know of their explorer
   * @param {{around: HTMLElement[], form: HTMLElement}} others what takes room as well: what stands
   *   among the pictures, and the controls, which do so where the explorer is narrow
   */
  constructor(root, context, { around, form }) {
    this.root = root;
    this.context = context;
    this.pictures = make("div.dv-pictures");
    this.texts = make("div.dv-texts");
    this.around = [...around, this.texts];
    this.form = form;
    /** @type {any[]} */
    this.panels = [];
    /** @type {string[]} */
    this.kinds = []; // of the panels
    this.columns = 1;
    /** @type {number[]} */
    this.widths = []; // of the columns, relative to each other; none where they are alike
    this.width = 0; // px for which the rows were laid out
    this.rest = 0; // px that texts and buttons take of the height
    this.visible = Infinity; // px of the height that can be seen at once
  }

  /** @param {any} view @param {boolean} textsOnly whether pictures that are newer stay */
  show(view, textsOnly = false) {
    const kinds = view.panels.map((panel) => panel.kind);
    const changed = !isSame(kinds, this.kinds) || view.columns !== this.columns;
    if (changed && view.partial && this.kinds.length) {
      this.showPictures(view);
      return;
    }
    if (changed) this.makePanels(view);
    const repeated = repeatedLegends(view.panels);
    view.panels.forEach((panel, index) => {
      if (textsOnly && isPicture(panel.kind)) return;
      this.panels[index].update(panel, repeated[index]);
    });
    if (changed) this.layOut();
  }

  /** Draw the pictures of a view whose texts are still to come. */
  showPictures(view) {
    const pictures = this.panels.filter((_, index) => isPicture(this.kinds[index]));
    const repeated = repeatedLegends(view.panels);
    view.panels.forEach((panel, index) => pictures[index]?.update(panel, repeated[index]));
  }

  makePanels(view) {
    this.destroy();
    this.kinds = view.panels.map((panel) => panel.kind);
    this.columns = view.columns ?? 1;
    this.widths = view.widths ?? [];
    this.panels = this.kinds.map((kind) => makePanel(kind, this.context));
    const elements = (pictures) =>
      this.panels
        .filter((_, index) => isPicture(this.kinds[index]) === pictures)
        .map((one) => one.element);
    this.pictures.replaceChildren(...elements(true));
    this.texts.replaceChildren(...elements(false));
    this.forgetRoom();
  }

  /** Draw what is shown once more, in other colours. */
  draw() {
    for (const panel of this.panels) panel.draw();
  }

  /** Share the room among the pictures: what the texts and buttons of the explorer leave. */
  layOut() {
    const width = this.root.clientWidth;
    if (width !== this.width) this.forgetRoom();
    this.width = width;
    const isNarrow = width < NARROW;
    this.root.classList.toggle("dv-narrow", isNarrow);
    const columns = isNarrow ? Math.min(this.columns, 2) : this.columns;
    const alike = Array(columns).fill(1);
    const widths = !isNarrow && this.widths.length === columns ? this.widths : alike;
    this.pictures.style.gridTemplateColumns = widths.map((w) => `minmax(0, ${w}fr)`).join(" ");
    const rows = Math.max(1, Math.ceil(this.pictures.children.length / columns));
    this.widen(columns);
    const height = this.rowHeight(rows, isNarrow);
    for (const panel of this.panels) {
      if (panel.resize) panel.resize(panel.element.clientWidth, height);
    }
  }

  /** Give several images that are alone in the last row all of its width. */
  widen(columns) {
    const pictures = this.kinds.filter(isPicture);
    const isAlone = pictures.at(-1) === "images" && (pictures.length - 1) % columns === 0;
    const last = this.pictures.lastElementChild;
    last?.classList.toggle("dv-wide", isAlone && last.classList.contains("dv-strip"));
  }

  /** Measure the room for the pictures anew. */
  forgetRoom() {
    this.rest = 0;
    this.visible = Infinity;
  }

  /**
   * Height of a row of pictures.
   *
   * Texts that become longer take their room from the pictures. What they once took they keep, so
   * that the pictures stand still while a reader drags a slider. They never grow by themselves:
   * else they could grow until a page scrolls, shrink since it scrolls, and so on.
   *
   * @param {number} rows
   * @param {boolean} isNarrow whether the controls stand below the pictures, else beside them
   * @returns {number} pixels
   */
  rowHeight(rows, isNarrow) {
    const others = isNarrow ? [...this.around, this.form] : this.around;
    const taken = others.reduce((sum, one) => sum + one.offsetHeight, 0);
    this.rest = Math.max(this.rest, taken);
    this.visible = Math.min(this.visible, visibleHeight(this.root));
    const room = (this.visible - this.rest - SPARE) / rows - GAP;
    if (isNarrow && rows === 1) return Math.max(220, Math.min(250, innerHeight * 0.3));
    const [least, most] = isNarrow ? [150, 250] : [LEAST_ROW, MOST_ROW];
    return Math.round(Math.max(least, Math.min(most, room)));
  }

  destroy() {
    for (const panel of this.panels) panel.destroy();
  }
}

/**
 * How much of an element can be seen at once: of the part of the page that scrolls it, such as a
 * notebook beside its menus, else of the window.
 *
 * @param {HTMLElement} element
 * @returns {number} pixels
 */
function visibleHeight(element) {
  for (let around = element.parentElement; around; around = around.parentElement) {
    const { overflowY } = getComputedStyle(around);
    const canScroll = overflowY === "auto" || overflowY === "scroll";
    const isScrolled = canScroll && around.scrollHeight > around.clientHeight;
    if (isScrolled && around.clientHeight >= LEAST_SCROLLED) {
      return Math.min(around.clientHeight, innerHeight);
    }
  }
  return innerHeight;
}
