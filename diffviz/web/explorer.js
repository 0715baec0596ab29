// An explorer: its controls beside its panels, and the talk with whatever computes the panels.
//
// The state belongs to what computes: to Python in a notebook, to this page where there is no
// kernel. At most one request is under way; what a reader moves meanwhile is kept, the newest value
// of each control, and sent when the answer comes.

import { figures } from "./chart.js";
import { Clock } from "./clock.js";
import { isShown, makeControl } from "./controls.js";
import { copy, download, make, uniqueId } from "./elements.js";
import { isPicture, makePanel } from "./panels.js";
import { changes, fromQuery, isSame, toCode, toQuery } from "./query.js";
import { isDark, readable, watchTheme } from "./theme.js";

const NARROW = 560; // px of width below which the controls stand under the pictures
const TELL_EVERY = 250; // ms between two messages that await no answer
const SLOW = 400; // ms after which a reader is told to wait
const NEEDS_KERNEL =
  "this needs a notebook, where Python computes it: the button 'code' copies the cell";
const LEAST_ROW = 212; // px of a row of pictures, with a title, a legend and 170 px of axes
const MOST_ROW = 380;
const GAP = 8; // px between two rows
const LEAST_SCROLLED = 300; // px of what scrolls explorers; the output of a cell may be less
const SPARE = 24; // px of the margins of an explorer

/**
 * What an explorer talks with. A page without a kernel has no `send`.
 *
 * @typedef {{
 *   send?: (message: Record<string, any>, buffers?: ArrayBuffer[]) => void,
 *   listen: (receive: (message: any, buffers: any[]) => void) => () => void,
 * }} Link
 *
 * What computes in the browser: `compute` gives a view, or null where the kernel must; a view that
 * is `partial` is shown at once, and the kernel is asked for the whole of it. `settle` changes a
 * state after one control was moved, as `settled` of Python does. On a page, `act` does what a
 * button says, and tells of its work as long as it goes on; `code` gives the cell that does it too.
 *
 * @typedef {{error?: string, working: {progress: number, text: string} | null}} News
 *
 * @typedef {{
 *   compute: (state: any, data: any, changed: string[]) => any,
 *   settle?: (state: any, name: string, data: any) => any,
 *   act?: (name: string, state: any, data: any, show: (news: News) => void) => void,
 *   code?: (state: any) => string,
 * }} Local
 */

/**
 * Plain data with its arrays put in: a typed array with a shape for each reference to a buffer.
 *
 * @param {any} value
 * @param {any[]} buffers
 * @returns {any}
 */
export function unpacked(value, buffers) {
  if (Array.isArray(value)) return value.map((one) => unpacked(one, buffers));
  if (value === null || typeof value !== "object") return value;
  if (!("buffer" in value && "shape" in value)) {
    const pairs = Object.entries(value).map(([name, one]) => [name, unpacked(one, buffers)]);
    return Object.fromEntries(pairs);
  }
  const view = buffers[value.buffer];
  const bytes = ArrayBuffer.isView(view)
    ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
    : view;
  const Type = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array }[value.type];
  return Object.assign(new Type(bytes), { shape: value.shape });
}

/**
 * Keep values with the newest last, since Python takes them in their order.
 *
 * @param {Map<string, any>} kept
 * @param {Record<string, any>} values
 */
function putLast(kept, values) {
  for (const [name, value] of Object.entries(values)) {
    kept.delete(name);
    kept.set(name, value);
  }
}

class Explorer {
  /** @param {HTMLElement} host @param {Link} link @param {Local | null} local */
  constructor(host, link, local) {
    this.host = host;
    this.link = link;
    this.local = local;
    this.id = uniqueId();
    this.serial = 0;
    this.waiting = 0;
    this.pending = new Map();
    /** @type {string[]} */
    this.underWay = []; // names of the values that are sent and not answered yet
    this.told = new Map();
    this.teller = 0;
    this.panels = [];
    /** @type {string[]} */
    this.kinds = []; // of the panels
    /** @type {HTMLStyleElement | undefined} */
    this.sheet = undefined;
    this.columns = 1;
    this.width = 0; // px for which the rows were laid out
    this.rest = 0; // px that texts and buttons take of the height
    this.visible = Infinity; // px of the height that can be seen at once
    // else JupyterLab would take the arrow keys, to move between cells
    const attributes = {
      "data-lm-suppress-shortcuts": "true",
      onkeydown: (event) => event.stopPropagation(),
    };
    this.root = make("div.dv-explorer", attributes, make("p.dv-note", {}, "opening …"));
    host.append(this.root);
    this.endings = [
      link.listen((message, buffers) => this.receive(message, buffers)),
      watchTheme(() => this.paintTheme()),
    ];
    this.paintTheme();
    const observer = new ResizeObserver(() => this.layOut());
    observer.observe(this.root);
    this.endings.push(() => observer.disconnect());
    link.send?.({ kind: "open", browser: this.id });
  }

  // --- what is built once

  /** @param {any} message */
  build(message) {
    this.description = message.description;
    this.data = message.data;
    this.state = message.state;
    const timed = this.description.controls.find((control) => control.kind === "clock");
    this.clock = new Clock((share) => timed && this.remember({ [timed.name]: share }));
    const context = {
      isDark,
      clock: this.clock,
      tipOf: (name) => this.description.controls.find((one) => one.name === name)?.tip ?? "",
      moved: (name, value) => this.move(name, value),
      state: () => this.state,
    };
    this.context = context;
    this.controls = new Map();
    for (const control of this.description.controls) {
      if (control === timed) continue;
      const view = makeControl(control, (value) => this.answer(control, value));
      this.controls.set(control.name, { control, ...view });
    }
    const views = [...this.controls.values()];
    const rows = (rare) =>
      views.filter((one) => one.control.rare === rare).map((one) => one.element);
    const more = rows(true);
    const heading = make("summary", {}, "more");
    const fold = more.length ? [make("details.dv-more", {}, heading, ...more)] : [];
    this.form = make("div.dv-controls", {}, ...rows(false), ...fold);
    this.pictures = make("div.dv-pictures");
    this.texts = make("div.dv-texts");
    this.status = make("div.dv-status", { role: "status", "aria-live": "polite" });
    this.progress = make("progress", { max: 1, "aria-label": "progress" });
    this.progressText = make("span.dv-hint");
    const stop = make("button", { type: "button", onclick: () => this.press("stop") }, "stop");
    this.working = make("div.dv-working", { hidden: true }, this.progress, this.progressText, stop);
    if (timed) {
      Object.assign(this.clock.element.dataset, { name: timed.name, kind: timed.kind });
      this.clock.element.classList.add("dv-control");
    }
    this.timed = timed;
    const pictures = [this.pictures, this.clock.element];
    this.buttons = this.tools();
    const parts = [...pictures, this.working, this.status, this.texts, this.buttons];
    const view = make("div.dv-view", {}, ...parts);
    this.root.replaceChildren(this.form, view);
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", this.description.title);
    this.paintSwatches();
  }

  /** The row of buttons that all explorers have. */
  tools() {
    const button = (text, title, onclick) =>
      make("button", { type: "button", title, onclick }, text);
    const file = (ending, what) =>
      button(ending.slice(1).toUpperCase(), `save the ${what}`, () => this.save(ending));
    const files = this.link.send
      ? [file(".svg", "picture"), file(".png", "picture"), file(".pdf", "picture")]
      : [file(".png", "picture")];
    return make(
      "div.dv-tools",
      {},
      button("reset", "all controls as at first", () => this.reset()),
      make("span.dv-hint", {}, "save"),
      ...files,
      file(".csv", "curves"),
      make("span.dv-hint", {}, "copy"),
      button("code", "the cell that reproduces this view", () => this.copyText("code")),
      button("link", "the link that brings this view back", () => this.copyText("link")),
    );
  }

  // --- from the reader

  /** @param {any} control @param {any} value */
  answer(control, value) {
    if (control.kind === "action") this.press(control.name);
    else if (control.kind === "upload") this.upload(control, value);
    else this.move(control.name, value);
  }

  /** Take a new value, from a control or from a picture. */
  move(name, value) {
    this.take({ [name]: value });
  }

  /** @param {Record<string, any>} values in the order in which they were chosen */
  take(values) {
    const names = Object.keys(values);
    for (const [name, value] of Object.entries(values)) {
      this.state = { ...this.state, [name]: value };
      if (this.local?.settle) this.state = this.local.settle(this.state, name, this.data);
    }
    this.showState(names);
    const view = this.computeHere(names);
    if (!view && !this.link.send) this.complain(NEEDS_KERNEL);
    if (view && !view.partial) {
      this.tell(values);
      return;
    }
    putLast(this.pending, values);
    this.flush();
  }

  /** Draw what the browser can compute itself; null where it cannot. */
  computeHere(changed) {
    if (!this.local) return null;
    try {
      const view = this.local.compute(this.state, this.data, changed);
      if (view) this.drawView(view);
      if (view) this.complain("");
      return view;
    } catch (error) {
      if (this.link.send) return null; // the kernel knows more, or says it better
      this.complain(`${error.name}: ${error.message}`);
      return {};
    }
  }

  /** Keep values whose view is drawn already. */
  remember(values) {
    this.state = { ...this.state, ...values };
    this.tell(values);
  }

  /** Tell the kernel of values whose view is drawn already. */
  tell(values) {
    if (!this.link.send) return;
    putLast(this.told, values);
    this.teller ||= setTimeout(() => this.tellNow(), TELL_EVERY);
  }

  tellNow() {
    clearTimeout(this.teller);
    this.teller = 0;
    if (!this.told.size) return;
    this.link.send?.({ kind: "tell", values: Object.fromEntries(this.told) });
    this.told.clear();
  }

  /** Send what is pending, unless an answer is under way. */
  flush() {
    if (this.waiting || !this.pending.size || !this.link.send) return;
    this.tellNow();
    this.await();
    const values = Object.fromEntries(this.pending);
    this.underWay = Object.keys(values);
    this.pending.clear();
    this.link.send({ kind: "set", values, serial: this.serial });
  }

  press(name) {
    if (!this.link.send) {
      this.pressHere(name);
      return;
    }
    this.tellNow();
    this.await();
    this.link.send({ kind: "act", name, serial: this.serial });
  }

  /** Do what a button says without a kernel. */
  pressHere(name) {
    if (!this.local?.act) {
      this.complain(NEEDS_KERNEL);
      return;
    }
    const show = (news) => {
      this.computeHere([]);
      this.showStatus(news);
    };
    try {
      this.local.act(name, this.state, this.data, show);
    } catch (error) {
      this.complain(`${error.name}: ${error.message}`);
    }
  }

  /** Hand a file to Python, which answers with controls and a view. */
  async upload(control, file) {
    if (!this.link.send) {
      this.complain(NEEDS_KERNEL);
      return;
    }
    if (file.size > control.most) {
      const [size, most] = [file.size, control.most].map((bytes) => figures(bytes / 1e6));
      this.complain(`'${file.name}' has ${size} MB; up to ${most} MB are taken`);
      return;
    }
    const bytes = await file.arrayBuffer();
    this.tellNow();
    this.await();
    const message = { kind: "upload", name: control.name, file: file.name, serial: this.serial };
    this.link.send(message, [bytes]);
  }

  /** Nothing is under way any more. */
  settleDown() {
    this.waiting = 0;
    this.underWay = [];
    clearTimeout(this.patience);
    this.root.classList.remove("dv-waiting");
  }

  await() {
    this.serial += 1;
    this.waiting = this.serial;
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.root.classList.add("dv-waiting"), SLOW);
  }

  reset() {
    const moved = changes(this.description, this.state).map(([control]) => control);
    if (moved.length) this.take(Object.fromEntries(moved.map(({ name, value }) => [name, value])));
    this.showState([]);
  }

  // --- from what computes

  /** @param {any} message @param {any[]} buffers */
  receive(message, buffers) {
    const kinds = {
      opened: () => this.open(message, buffers),
      view: () => this.receiveView(message, buffers),
      file: () => download(buffers[0], message.name, message.mime),
      text: () => this.giveText(message.what, message.text),
    };
    kinds[message.kind]?.();
  }

  open(message, buffers) {
    if (message.browser && message.browser !== this.id) return; // the answer to another view
    const whole = unpacked(message, buffers);
    this.settleDown();
    this.build(whole);
    this.kinds = []; // else panels of before would be taken for those of the new view
    this.showState([]);
    if (whole.panels.length || !this.computeHere([])) this.drawView(whole);
    this.showStatus(whole);
    if (!this.link.send) this.followLinks();
  }

  /** On a page: the state of its address, now and whenever a link on the page changes it. */
  followLinks() {
    const changed = () => {
      if (!location.hash.includes("=")) return; // a heading
      this.reset();
      this.takeLink(location.hash.slice(1));
    };
    addEventListener("hashchange", changed);
    this.endings.push(() => removeEventListener("hashchange", changed));
    if (location.hash.includes("=")) this.takeLink(location.hash.slice(1));
  }

  /** The state of a link. */
  takeLink(text) {
    const { values, complaints } = fromQuery(this.description, text);
    if (Object.keys(values).length) this.take(values);
    this.showState([]);
    if (complaints.length) this.complain(complaints.join("; "));
  }

  receiveView(message, buffers) {
    if (!this.description) return;
    if (message.serial === this.waiting) this.settleDown();
    const ahead = new Set([...this.pending.keys(), ...this.told.keys(), ...this.underWay]);
    const settled = Object.entries(message.state).filter(([name]) => !ahead.has(name));
    this.state = { ...this.state, ...Object.fromEntries(settled) };
    this.showState([...ahead]);
    const view = unpacked(message, buffers);
    if (view.panels) this.drawView(view, Boolean(this.local) && ahead.size > 0);
    this.showStatus(view);
    this.flush();
  }

  // --- what is shown

  /** Show the state in all controls but those that a reader is moving. */
  showState(moving) {
    for (const [name, { control, element, show }] of this.controls) {
      element.hidden = !isShown(control, this.state);
      // points are moved in a picture, so their control always shows them
      const isMoved = moving.includes(name) && control.kind !== "points";
      if (control.kind !== "action" && !isMoved) show(this.state[name]);
    }
    const { name: time } = this.timed ?? {};
    if (time && !moving.includes(time)) this.clock.show(this.state[time]);
  }

  /** @param {any} view @param {boolean} textsOnly whether pictures that are newer stay */
  drawView(view, textsOnly = false) {
    const kinds = view.panels.map((panel) => panel.kind);
    const changed = !isSame(kinds, this.kinds) || view.columns !== this.columns;
    if (changed && view.partial && this.kinds.length) return this.drawPart(view);
    if (changed) this.makePanels(view);
    view.panels.forEach((panel, index) => {
      if (!textsOnly || !isPicture(panel.kind)) this.panels[index].update(panel);
    });
    if (changed) this.layOut();
  }

  /** Draw the pictures of a view whose texts are still to come. */
  drawPart(view) {
    const pictures = this.panels.filter((_, index) => isPicture(this.kinds[index]));
    view.panels.forEach((panel, index) => pictures[index]?.update(panel));
  }

  makePanels(view) {
    for (const panel of this.panels) panel.destroy();
    this.kinds = view.panels.map((panel) => panel.kind);
    this.columns = view.columns ?? 1;
    this.panels = this.kinds.map((kind) => makePanel(kind, this.context));
    const elements = (pictures) =>
      this.panels
        .filter((_, index) => isPicture(this.kinds[index]) === pictures)
        .map((one) => one.element);
    this.pictures.replaceChildren(...elements(true));
    this.texts.replaceChildren(...elements(false));
    this.forgetRoom();
  }

  showStatus(message) {
    this.complain(message.error ?? "");
    this.working.hidden = !message.working;
    if (message.working) {
      this.progress.value = message.working.progress;
      this.progressText.textContent = message.working.text;
    }
  }

  /** Say what went wrong; an empty text takes it back. */
  complain(text) {
    this.status.textContent = text;
    this.status.hidden = !text;
  }

  paintTheme() {
    this.root.dataset.dark = String(isDark());
    if (!this.description) return;
    this.paintSwatches();
    for (const panel of this.panels) panel.draw();
  }

  /** Colour the swatches of chips, which are made anew with each choice, by a sheet of rules. */
  paintSwatches() {
    this.sheet ??= this.root.appendChild(make("style"));
    const options = this.description.controls.flatMap((control) => control.options ?? []);
    const colours = [...new Set(options.map((option) => option.colour).filter(Boolean))];
    const rule = (colour) =>
      `.dv-explorer [data-colour="${colour}"] { background: ${readable(colour, isDark())}; }`;
    this.sheet.textContent = colours.map(rule).join("\n");
    this.root.append(this.sheet);
  }

  /** Share the room among the pictures: what the texts and buttons of the explorer leave. */
  layOut() {
    if (!this.description) return;
    const width = this.root.clientWidth;
    if (width !== this.width) this.forgetRoom();
    this.width = width;
    const isNarrow = width < NARROW;
    this.root.classList.toggle("dv-narrow", isNarrow);
    const columns = isNarrow ? Math.min(this.columns, 2) : this.columns;
    this.pictures.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const rows = Math.max(1, Math.ceil(this.pictures.children.length / columns));
    const height = this.rowHeight(rows, isNarrow);
    for (const panel of this.panels) {
      if (panel.resize) panel.resize(panel.element.clientWidth, height);
    }
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
    const others = [this.clock.element, this.texts, this.buttons];
    if (isNarrow) others.push(this.form);
    const taken = others.reduce((sum, one) => sum + one.offsetHeight, 0);
    this.rest = Math.max(this.rest, taken);
    this.visible = Math.min(this.visible, visibleHeight(this.root));
    const room = (this.visible - this.rest - SPARE) / rows - GAP;
    if (isNarrow && rows === 1) return Math.max(220, Math.min(250, innerHeight * 0.3));
    const [least, most] = isNarrow ? [150, 250] : [LEAST_ROW, MOST_ROW];
    return Math.round(Math.max(least, Math.min(most, room)));
  }

  // --- files and texts

  save(ending) {
    if (this.link.send) {
      this.tellNow();
      this.link.send({ kind: "file", ending });
    } else if (ending === ".csv") {
      download(this.table(), `${this.description.code}.csv`, "text/csv");
    } else {
      this.savePicture();
    }
  }

  /** The curves on show as text with commas. */
  table() {
    const columns = this.panels
      .filter((panel) => panel.table && panel.chart)
      .flatMap((panel) => {
        const names = ["x", ...Object.keys(panel.chart.curves)];
        return names.map((name, k) => [name, panel.table[k]]);
      });
    const longest = Math.max(0, ...columns.map(([, values]) => values.length));
    const lines = [columns.map(([name]) => name).join()];
    for (let row = 0; row < longest; row++) {
      lines.push(columns.map(([, values]) => values[row] ?? "nan").join());
    }
    return `${lines.join("\n")}\n`;
  }

  /** The first picture as it is drawn. */
  savePicture() {
    const canvas = this.panels.find((panel) => panel.canvas)?.canvas();
    canvas?.toBlob((blob) => download(blob, `${this.description.code}.png`, "image/png"));
  }

  copyText(what) {
    if (this.link.send) {
      this.tellNow();
      this.link.send({ kind: "text", what });
      return;
    }
    const query = toQuery(this.description, this.state);
    const address = `${location.href.split("#")[0]}#${query}`;
    const code = () => this.local?.code?.(this.state) ?? toCode(this.description, this.state);
    this.giveText(what, what === "code" ? code() : address);
  }

  async giveText(what, text) {
    await copy(text);
    const { code } = this.description;
    const isPart = what === "link" && this.link.send; // a notebook has no address of its own
    const use = isPart ? `; ${code}.from_link reads it, as does a page of ${code} after #` : "";
    const words = `${what} copied${use}`;
    this.complain(words);
    setTimeout(() => this.status.textContent === words && this.complain(""), isPart ? 8000 : 2500);
  }

  close() {
    this.tellNow();
    this.link.send?.({ kind: "closed", browser: this.id });
    for (const end of this.endings) end();
    for (const panel of this.panels) panel.destroy();
    clearTimeout(this.patience);
    this.root.remove();
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

/**
 * Show an explorer.
 *
 * @param {HTMLElement} host where it stands
 * @param {Link} link
 * @param {Local | null} local
 * @returns {() => void} what takes it away again
 */
export function mount(host, link, local) {
  const explorer = new Explorer(host, link, local);
  return () => explorer.close();
}
