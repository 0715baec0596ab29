// Controls from their records. Each shows a value when it is told to, and says when a reader has
// moved it. What it shows is never taken for its value: a slider shows the nearest step.

import { ChipField } from "./chips.js";
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

/**
 * The field that takes a file, chosen or dropped.
 *
 * @param {HTMLElement} box on which files are dropped
 * @param {string} accept
 * @param {(file: any) => void} take
 */
function fileField(box, accept, take) {
  const field = make("input.dv-file", { type: "file", accept, hidden: true });
  field.addEventListener("change", () => {
    if (field.files.length) take(field.files[0]);
    field.value = ""; // the same file can be chosen again
  });
  box.addEventListener("dragover", (event) => event.preventDefault());
  box.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  return field;
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function paste(control, moved, id) {
  const area = make("textarea.dv-text", { id, rows: 3, placeholder: control.placeholder });
  const file = fileField(area, control.accept, async (chosen) => {
    area.value = await chosen.text();
    moved(area.value);
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

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function chips(control, moved, id) {
  const field = new ChipField(control, moved, id);
  return { element: field.element, show: (value) => field.show(value) };
}

/** @param {ControlRecord} control @param {Moved} moved @param {string} id @returns {ControlView} */
function upload(control, moved, id) {
  const element = make("span.dv-field");
  const file = fileField(element, control.accept, moved);
  const attributes = { id, type: "button", title: control.tip, onclick: () => file.click() };
  element.append(make("button", attributes, "file …"), file);
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
