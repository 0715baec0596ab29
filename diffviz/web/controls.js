// Controls from their records. Each shows a value when it is told to, and says when a reader has
// moved it. What it shows is never taken for its value: a slider shows the nearest step.

import { make, uniqueId } from "./elements.js";
import { isSame } from "./query.js";

const ONE_STROKE = 300; // ms between two changes of points, up to which they are of one stroke

/**
 * @typedef {Record<string, any>} ControlRecord a control as `Control.record` of Python gives it
 * @typedef {{element: HTMLElement, show: (value: any) => void}} ControlView
 * @typedef {(value: any) => void} Moved
 */

/**
 * A number without the last digits of a binary fraction.
 *
 * @param {number} value
 * @returns {number}
 */
function tidy(value) {
  return Number(value.toPrecision(12));
}

/**
 * The scale of a slider: its positions are whole numbers.
 *
 * @param {ControlRecord} control
 */
function sliderScale(control) {
  const isLog = control.scale === "log";
  const forward = isLog ? Math.log10 : (value) => value;
  const backward = isLog ? (place) => 10 ** place : (place) => place;
  const low = forward(control.low);
  const last = Math.round((forward(control.high) - low) / control.step);
  const within = (value) => Math.min(control.high, Math.max(control.low, value));
  const whole = (value) => (control.whole ? Math.round(value) : value);
  return {
    last,
    position: (value) => Math.round((forward(value) - low) / control.step),
    value: (position) => whole(tidy(within(backward(low + position * control.step)))),
  };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function slider(control, moved, id) {
  const scale = sliderScale(control);
  const range = make("input.dv-range", { id, type: "range", min: 0, max: scale.last, step: 1 });
  const number = make("input.dv-number", {
    type: "number",
    "aria-label": `${control.label}, as a number`,
    min: control.low,
    max: control.high,
    step: "any",
  });
  const show = (value) => {
    range.value = scale.position(value);
    range.setAttribute("aria-valuetext", `${value} ${control.unit}`.trim());
    if (document.activeElement !== number || number.value === "") number.value = tidy(value);
  };
  range.addEventListener("input", () => {
    const value = scale.value(Number(range.value));
    number.value = value;
    range.setAttribute("aria-valuetext", `${value} ${control.unit}`.trim());
    moved(value);
  });
  number.addEventListener("change", () => {
    const value = Math.min(control.high, Math.max(control.low, Number(number.value)));
    number.value = value;
    range.value = scale.position(value);
    moved(control.whole ? Math.round(value) : value);
  });
  const unit = control.unit ? [make("span.dv-unit", {}, control.unit)] : [];
  return { element: make("span.dv-field", {}, range, number, ...unit), show };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function menu(control, moved, id) {
  if (control.buttons) return buttons(control, moved, id);
  const options = control.options.map((option) => make("option", { value: option }, option));
  const select = make("select.dv-select", { id }, ...options);
  select.addEventListener("change", () => moved(select.value));
  return { element: select, show: (value) => void (select.value = value) };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function buttons(control, moved, id) {
  const inputs = control.options.map((option, index) =>
    make("input", { type: "radio", name: id, value: option, id: index ? `${id}-${index}` : id }),
  );
  const labels = inputs.map((input) => make("label", {}, input, make("span", {}, input.value)));
  const attributes = { role: "radiogroup", "aria-label": control.label };
  const group = make("span.dv-buttons", attributes, ...labels);
  group.addEventListener("change", () => moved(inputs.find((input) => input.checked).value));
  const show = (value) => {
    for (const input of inputs) input.checked = input.value === value;
  };
  return { element: group, show };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function toggle(control, moved, id) {
  const box = make("input", { id, type: "checkbox" });
  box.addEventListener("change", () => moved(box.checked));
  return { element: box, show: (value) => void (box.checked = value) };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function text(control, moved, id) {
  const field = make("input.dv-text", { id, type: "text", placeholder: control.placeholder });
  field.addEventListener("change", () => moved(field.value));
  return { element: field, show: (value) => void (field.value = value) };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function paste(control, moved, id) {
  const area = make("textarea.dv-text", { id, rows: 3, placeholder: control.placeholder });
  const read = async (file) => {
    area.value = await file.text();
    moved(area.value);
  };
  const file = make("input.dv-file", { type: "file", accept: control.accept, hidden: true });
  file.addEventListener("change", () => file.files.length && read(file.files[0]));
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    read(event.dataTransfer.files[0]);
  });
  const apply = make("button", { type: "button", onclick: () => moved(area.value) }, control.apply);
  const choose = make("button", { type: "button", onclick: () => file.click() }, "file …");
  const element = make("span.dv-paste", {}, area, make("span.dv-field", {}, apply, choose, file));
  let shown = "";
  const show = (value) => {
    if (value !== shown) area.value = value; // what cannot be read stays, to be mended
    shown = value;
  };
  return { element, show };
}

/** @param {ControlRecord} control @param {Moved} moved @returns {ControlView} */
function points(control, moved) {
  const hint = make("span.dv-hint");
  const past = []; // what stood there before each stroke, the newest last
  let present = control.value;
  let changed = -Infinity; // ms
  const takeBack = () => {
    present = past.pop();
    moved(present);
  };
  const button = (word, onclick) =>
    make("button", { type: "button", "aria-label": `${word} ${control.label}`, onclick }, word);
  const undo = button("undo", takeBack);
  const clear = button("clear", () => moved([]));
  undo.disabled = true;
  const show = (value) => {
    const isStroke = performance.now() - changed < ONE_STROKE;
    if (!isSame(value, present)) {
      if (!isStroke) past.push(present);
      changed = performance.now();
    }
    present = value;
    undo.disabled = !past.length;
    const count = `${value.length} ${value.length === 1 ? "point" : "points"}`;
    hint.textContent = value.length ? count : control.tip || count;
  };
  return { element: make("span.dv-field", {}, hint, undo, clear), show };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function action(control, moved, id) {
  const kind = control.main ? "button.dv-main" : "button";
  const button = make(kind, { id, type: "button", title: control.tip }, control.label);
  button.addEventListener("click", () => moved(undefined));
  return { element: button, show: () => undefined };
}

// --- several of many, found by a search ----------------------------------------------------------

/**
 * The options that a search finds, those whose name begins with it first.
 *
 * @param {Record<string, any>[]} options
 * @param {string} sought
 * @returns {Record<string, any>[]}
 */
export function matching(options, sought) {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (option) => {
    const known = `${option.value} ${option.group} ${option.keywords}`.toLowerCase();
    return words.every((word) => known.includes(word));
  };
  const rank = (option) => Number(!option.value.toLowerCase().startsWith(words[0] ?? ""));
  return options.filter(fits).sort((a, b) => rank(a) - rank(b));
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
// eslint-disable-next-line max-lines-per-function -- one closure over the chips and their search
function chips(control, moved, id) {
  let chosen = [];
  let active = 0;
  const list = make("span.dv-chips", { role: "group", "aria-label": control.label });
  const search = make("input.dv-text", {
    id,
    type: "search",
    role: "combobox",
    autocomplete: "off",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
    placeholder: `add: name, paper, family (${control.options.length})`,
  });
  const found = make("div.dv-options", { id: `${id}-list`, role: "listbox", hidden: true });
  const status = make("span.dv-hint", { role: "status" });

  const choose = (values) => {
    chosen = values;
    drawChips();
    moved([...chosen]);
  };
  const drawChips = () => {
    list.replaceChildren(...chosen.map((value) => chip(value)));
    const isFull = chosen.length >= control.most;
    status.textContent = isFull ? `${control.most} at once: take one away to add another` : "";
    search.disabled = isFull;
  };
  const chip = (value) => {
    const option = control.options.find((one) => one.value === value);
    const swatch = option?.colour ? [make("span.dv-swatch", { "data-colour": option.colour })] : [];
    const remove = () => {
      choose(chosen.filter((one) => one !== value));
      search.focus();
    };
    const title = [option?.group, option?.keywords].filter(Boolean).join(": ");
    const label = `remove ${value}`;
    const attributes = { type: "button", title, "aria-label": label, onclick: remove };
    const button = make("button.dv-chip", attributes);
    button.append(...swatch, value, make("span", { "aria-hidden": "true" }, " ×"));
    return button;
  };
  const isOpen = () => !found.hidden;
  const close = () => {
    found.hidden = true;
    search.setAttribute("aria-expanded", "false");
    search.removeAttribute("aria-activedescendant");
  };
  const add = (value) => {
    search.value = "";
    close();
    choose([...chosen, value]);
  };
  const open = () => {
    const free = control.options.filter((option) => !chosen.includes(option.value));
    const fitting = matching(free, search.value);
    const rows = [];
    let group = null;
    fitting.forEach((option, index) => {
      if (option.group !== group && !search.value) {
        rows.push(make("div.dv-group", {}, option.group));
      }
      group = option.group;
      const attributes = { role: "option", id: `${id}-option-${index}` };
      const row = make("div.dv-option", attributes, option.value);
      row.title = option.keywords;
      row.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        add(option.value);
      });
      rows.push(row);
    });
    if (!fitting.length) rows.push(make("div.dv-group", {}, "nothing matches"));
    found.replaceChildren(...rows);
    found.hidden = false;
    search.setAttribute("aria-expanded", "true");
    point(0);
  };
  const point = (index) => {
    const rows = [...found.querySelectorAll(".dv-option")];
    active = Math.max(0, Math.min(rows.length - 1, index));
    rows.forEach((row, place) => row.setAttribute("aria-selected", String(place === active)));
    if (!rows.length) return;
    rows[active].scrollIntoView({ block: "nearest" });
    search.setAttribute("aria-activedescendant", rows[active].id);
  };
  const keys = {
    ArrowDown: () => (isOpen() ? point(active + 1) : open()),
    ArrowUp: () => point(active - 1),
    Escape: close,
    Enter: () => {
      const row = isOpen() && found.querySelectorAll(".dv-option")[active];
      if (row) add(row.textContent);
    },
    Backspace: () => search.value === "" && chosen.length && choose(chosen.slice(0, -1)),
  };
  search.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    if (event.key !== "Backspace") event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  search.addEventListener("input", open);
  search.addEventListener("click", open);
  search.addEventListener("blur", close);

  const show = (value) => {
    if (isSame(value, chosen)) return;
    chosen = [...value];
    drawChips();
  };
  return { element: make("span.dv-several", {}, list, search, found, status), show };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function upload(control, moved, id) {
  const file = make("input.dv-file", { type: "file", accept: control.accept, hidden: true });
  file.addEventListener("change", () => {
    if (file.files.length) moved(file.files[0]);
    file.value = ""; // the same file can be chosen again
  });
  const attributes = { id, type: "button", title: control.tip, onclick: () => file.click() };
  const element = make("span.dv-field", {}, make("button", attributes, "file …"), file);
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    moved(event.dataTransfer.files[0]);
  });
  return { element, show: () => undefined };
}

const KINDS = { action, chips, menu, paste, points, slider, switch: toggle, text, upload };

/**
 * A control with its label.
 *
 * @param {ControlRecord} control
 * @param {Moved} moved
 * @returns {ControlView}
 */
export function makeControl(control, moved) {
  const id = uniqueId();
  const { element, show } = KINDS[control.kind](control, moved, id);
  const isAction = control.kind === "action";
  const label = isAction
    ? ""
    : make("label.dv-label", { for: id, title: control.tip }, control.label);
  const attributes = { "data-name": control.name, "data-kind": control.kind };
  const row = make("div.dv-control", attributes, label, element);
  return { element: row, show };
}

/**
 * Whether a control has an effect in a state.
 *
 * @param {ControlRecord} control
 * @param {Record<string, any>} state
 * @returns {boolean}
 */
export function isShown(control, state) {
  return Object.entries(control.when).every(([name, values]) => values.includes(state[name]));
}
