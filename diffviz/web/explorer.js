// An explorer: its controls beside its panels. The state belongs to what computes: to Python in a
// notebook, to this page where there is no kernel.

import { figures } from "./chart.js";
import { Clock } from "./clock.js";
import { isShown, makeControl } from "./controls.js";
import { Display } from "./display.js";
import { copy, download, make, uniqueId } from "./elements.js";
import { Talk, unpacked } from "./messages.js";
import { changes, fromQuery, toCode, toQuery } from "./query.js";
import { Status } from "./status.js";
import { isDark, swatchRules, watchTheme } from "./theme.js";
import { saveHere, toolRow } from "./tools.js";

const NEEDS_KERNEL =
  "this needs a notebook, where Python computes it: the button 'code' copies the cell";
const BRIEFLY = 2500; // ms that a reader is told of what is copied
const LONGER = 8000; // ms, where it is also said what it is for

/**
 * @typedef {import("./messages.js").Link} Link
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

class Explorer {
  /**
   * @param {HTMLElement} root
   * @param {Talk} talk
   * @param {Local | null} local
   * @param {any} opening the first message: description, data, state and view
   */
  constructor(root, talk, local, opening) {
    this.root = root;
    this.talk = talk;
    this.local = local;
    this.description = opening.description;
    this.data = opening.data;
    this.state = opening.state;
    this.isDrawnHere = false; // whether this page has drawn the newest pictures itself
    this.timed = this.description.controls.find((control) => control.kind === "clock");
    this.clock = this.makeClock();
    this.controls = this.makeControls();
    this.status = new Status(() => this.press("stop"));
    this.sheet = make("style");
    const form = this.makeForm();
    const tools = {
      reset: () => this.reset(),
      save: (ending) => this.save(ending),
      copyText: (what) => this.copyText(what),
    };
    const buttons = toolRow(tools, talk.hasKernel);
    const around = [this.clock.element, buttons];
    this.display = new Display(root, this.makeContext(), { around, form });
    const { pictures, texts } = this.display;
    const { working, line } = this.status;
    const parts = [pictures, this.clock.element, working, line, texts, buttons];
    root.replaceChildren(form, make("div.dv-view", {}, ...parts), this.sheet);
    root.setAttribute("aria-label", this.description.title);
    this.paintSwatches();
    this.followAddress = () => this.takeAddress();
    this.begin(opening);
  }

  // --- what is built once

  makeClock() {
    const { timed } = this;
    const clock = new Clock((share) => timed && this.remember({ [timed.name]: share }));
    if (timed) {
      Object.assign(clock.element.dataset, { name: timed.name, kind: timed.kind });
      clock.element.classList.add("dv-control");
    }
    return clock;
  }

  /** What panels know of their explorer. */
  makeContext() {
    return {
      isDark,
      clock: this.clock,
      tipOf: (name) => this.description.controls.find((one) => one.name === name)?.tip ?? "",
      moved: (name, value) => this.take({ [name]: value }),
      state: () => this.state,
    };
  }

  makeControls() {
    const controls = new Map();
    for (const control of this.description.controls) {
      if (control === this.timed) continue;
      const view = makeControl(control, (value) => this.answer(control, value));
      controls.set(control.name, { control, ...view });
    }
    return controls;
  }

  /** All controls, the rare ones folded away. */
  makeForm() {
    const views = [...this.controls.values()];
    const rows = (rare) =>
      views.filter((one) => one.control.rare === rare).map((one) => one.element);
    const more = rows(true);
    const heading = make("summary", {}, "more");
    const fold = more.length ? [make("details.dv-more", {}, heading, ...more)] : [];
    return make("div.dv-controls", {}, ...rows(false), ...fold);
  }

  /** Show the view that the explorer opens with, or compute it here. */
  begin(opening) {
    this.showState([]);
    if (opening.panels.length || !this.computeHere([])) this.display.show(opening);
    this.status.show(opening);
    if (this.talk.hasKernel) return;
    addEventListener("hashchange", this.followAddress);
    if (location.hash.includes("=")) this.takeLink(location.hash.slice(1));
  }

  // --- from the reader

  /** @param {any} control @param {any} value */
  answer(control, value) {
    if (control.kind === "action") this.press(control.name);
    else if (control.kind === "upload") this.upload(control, value);
    else this.take({ [control.name]: value });
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
    if (!view && !this.talk.hasKernel) this.status.say(NEEDS_KERNEL);
    if (view && !view.partial) this.talk.tell(values);
    else this.talk.ask(values);
  }

  /** Draw what the browser can compute itself; null where it cannot. */
  computeHere(changed) {
    this.isDrawnHere = false;
    if (!this.local) return null;
    try {
      const view = this.local.compute(this.state, this.data, changed);
      if (!view) return null;
      this.display.show(view);
      this.isDrawnHere = true;
      this.status.say("");
      return view;
    } catch (error) {
      if (this.talk.hasKernel) return null; // the kernel knows more, or says it better
      this.status.say(`${error.name}: ${error.message}`);
      return {};
    }
  }

  /** Keep values whose view is drawn already. */
  remember(values) {
    this.state = { ...this.state, ...values };
    this.talk.tell(values);
  }

  press(name) {
    if (this.talk.hasKernel) this.talk.request({ kind: "act", name });
    else if (this.local?.act) this.pressHere(name);
    else this.status.say(NEEDS_KERNEL);
  }

  /** Do what a button says without a kernel. */
  pressHere(name) {
    const show = (news) => {
      this.computeHere([]);
      this.status.show(news);
    };
    try {
      this.local?.act?.(name, this.state, this.data, show);
    } catch (error) {
      this.status.say(`${error.name}: ${error.message}`);
    }
  }

  /** Hand a file to Python, which answers with controls and a view. */
  async upload(control, file) {
    if (!this.talk.hasKernel) {
      this.status.say(NEEDS_KERNEL);
      return;
    }
    if (file.size > control.most) {
      const [size, most] = [file.size, control.most].map((bytes) => figures(bytes / 1e6));
      this.status.say(`'${file.name}' has ${size} MB; up to ${most} MB are taken`);
      return;
    }
    const bytes = await file.arrayBuffer();
    this.talk.request({ kind: "upload", name: control.name, file: file.name }, [bytes]);
  }

  reset() {
    const moved = changes(this.description, this.state).map(([control]) => control);
    if (moved.length) this.take(Object.fromEntries(moved.map(({ name, value }) => [name, value])));
    this.showState([]);
  }

  /** On a page: take the state of its address, whenever a link on the page has changed it. */
  takeAddress() {
    if (!location.hash.includes("=")) return; // a heading
    this.reset();
    this.takeLink(location.hash.slice(1));
  }

  /** The state of a link. */
  takeLink(text) {
    const { values, complaints } = fromQuery(this.description, text);
    if (Object.keys(values).length) this.take(values);
    this.showState([]);
    if (complaints.length) this.status.say(complaints.join("; "));
  }

  // --- from what computes

  /** @param {any} message @param {any[]} buffers */
  receive(message, buffers) {
    const kinds = {
      view: () => this.receiveView(unpacked(message, buffers)),
      file: () => download(buffers[0], message.name, message.mime),
      text: () => this.giveText(message.what, message.text),
    };
    kinds[message.kind]?.();
  }

  receiveView(view) {
    this.talk.answered(view.serial);
    const { ahead } = this.talk;
    const settled = Object.entries(view.state).filter(([name]) => !ahead.has(name));
    this.state = { ...this.state, ...Object.fromEntries(settled) };
    this.showState([...ahead]);
    if (view.panels) this.display.show(view, this.isDrawnHere && ahead.size > 0);
    this.status.show(view);
    this.talk.flush();
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

  paintTheme() {
    this.paintSwatches();
    this.display.draw();
  }

  /** Colour the swatches of chips, which are made anew with each choice, by a sheet of rules. */
  paintSwatches() {
    const options = this.description.controls.flatMap((control) => control.options ?? []);
    this.sheet.textContent = swatchRules(options.map((option) => option.colour), isDark());
  }

  // --- files and texts

  save(ending) {
    if (this.talk.hasKernel) this.talk.send({ kind: "file", ending });
    else saveHere(ending, this.display.panels, this.description.code);
  }

  copyText(what) {
    if (this.talk.hasKernel) this.talk.send({ kind: "text", what });
    else this.giveText(what, what === "code" ? this.code() : this.address());
  }

  code() {
    return this.local?.code?.(this.state) ?? toCode(this.description, this.state);
  }

  address() {
    return `${location.href.split("#")[0]}#${toQuery(this.description, this.state)}`;
  }

  async giveText(what, text) {
    await copy(text);
    const { code } = this.description;
    const isPart = what === "link" && this.talk.hasKernel; // a notebook has no address of its own
    const use = isPart ? `; ${code}.from_link reads it, as does a page of ${code} after #` : "";
    this.status.sayBriefly(`${what} copied${use}`, isPart ? LONGER : BRIEFLY);
  }

  close() {
    removeEventListener("hashchange", this.followAddress);
    this.display.destroy();
  }
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
  const id = uniqueId();
  // else JupyterLab would take the arrow keys, to move between cells
  const attributes = {
    role: "group",
    "data-lm-suppress-shortcuts": "true",
    onkeydown: (event) => event.stopPropagation(),
  };
  const root = make("div.dv-explorer", attributes, make("p.dv-note", {}, "opening …"));
  const talk = new Talk(link, (isLong) => root.classList.toggle("dv-waiting", isLong));
  /** @type {Explorer | null} */
  let explorer = null;
  const open = (message, buffers) => {
    if (message.browser && message.browser !== id) return; // the answer to another view
    talk.settleDown();
    explorer?.close();
    explorer = new Explorer(root, talk, local, unpacked(message, buffers));
  };
  const receive = (message, buffers) => {
    if (message.kind === "opened") open(message, buffers);
    else explorer?.receive(message, buffers);
  };
  const paint = () => {
    root.dataset.dark = String(isDark());
    explorer?.paintTheme();
  };
  paint();
  host.append(root);
  const observer = new ResizeObserver(() => explorer?.display.layOut());
  observer.observe(root);
  const endings = [link.listen(receive), watchTheme(paint), () => observer.disconnect()];
  link.send?.({ kind: "open", browser: id });
  return () => {
    talk.close();
    link.send?.({ kind: "closed", browser: id });
    for (const end of endings) end();
    explorer?.close();
    root.remove();
  };
}
