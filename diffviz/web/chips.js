// Several of many, found by a search: a chip for each that is chosen, and a list of the others.

import { make } from "./elements.js";
import { isSame } from "./query.js";

/**
 * The options that a search finds, those whose name begins with it first.
 *
 * @param {Record<string, any>[]} options
 * @param {string} sought
 * @returns {Record<string, any>[]}
 */
function matching(options, sought) {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (option) => {
    const known = `${option.value} ${option.group} ${option.keywords}`.toLowerCase();
    return words.every((word) => known.includes(word));
  };
  const rank = (option) => Number(!option.value.toLowerCase().startsWith(words[0] ?? ""));
  return options.filter(fits).sort((a, b) => rank(a) - rank(b));
}

export class ChipField {
  /**
   * @param {Record<string, any>} control as `Chips.record` of Python gives it
   * @param {(value: string[]) => void} moved
   * @param {string} id of the search
   */
  constructor(control, moved, id) {
    this.control = control;
    this.moved = moved;
    this.id = id;
    /** @type {string[]} */
    this.chosen = [];
    this.active = 0; // place of the option that Enter takes
    this.list = make("span.dv-chips", { role: "group", "aria-label": control.label });
    this.found = make("div.dv-options", { id: `${id}-list`, role: "listbox", hidden: true });
    this.status = make("span.dv-hint", { role: "status" });
    this.search = make("input.dv-text", {
      id,
      type: "search",
      role: "combobox",
      autocomplete: "off",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      placeholder: `add: name, paper, family (${control.options.length})`,
      onkeydown: (event) => this.press(event),
      oninput: () => this.open(),
      onclick: () => this.open(),
      onblur: () => this.close(),
    });
    const parts = [this.list, this.search, this.found, this.status];
    this.element = make("span.dv-several", {}, ...parts);
  }

  // --- what is chosen

  /** @param {string[]} value */
  show(value) {
    if (isSame(value, this.chosen)) return;
    this.chosen = [...value];
    this.drawChips();
  }

  choose(values) {
    this.chosen = values;
    this.drawChips();
    this.moved([...values]);
  }

  drawChips() {
    this.list.replaceChildren(...this.chosen.map((value) => this.chip(value)));
    const { most } = this.control;
    const isFull = this.chosen.length >= most;
    this.status.textContent = isFull ? `${most} at once: take one away to add another` : "";
    this.search.disabled = isFull;
  }

  chip(value) {
    const option = this.control.options.find((one) => one.value === value);
    const swatch = option?.colour ? [make("span.dv-swatch", { "data-colour": option.colour })] : [];
    const remove = () => {
      this.choose(this.chosen.filter((one) => one !== value));
      this.search.focus();
    };
    const title = [option?.group, option?.keywords].filter(Boolean).join(": ");
    const label = `remove ${value}`;
    const attributes = { type: "button", title, "aria-label": label, onclick: remove };
    const cross = make("span", { "aria-hidden": "true" }, " ×");
    return make("button.dv-chip", attributes, ...swatch, value, cross);
  }

  // --- the list of the others

  open() {
    const free = this.control.options.filter((option) => !this.chosen.includes(option.value));
    const rows = [];
    let group = null;
    matching(free, this.search.value).forEach((option, index) => {
      if (option.group !== group && !this.search.value) {
        rows.push(make("div.dv-group", {}, option.group));
      }
      group = option.group;
      rows.push(this.row(option, index));
    });
    if (!rows.length) rows.push(make("div.dv-group", {}, "nothing matches"));
    this.found.replaceChildren(...rows);
    this.found.hidden = false;
    this.search.setAttribute("aria-expanded", "true");
    this.point(0);
  }

  row(option, index) {
    const attributes = {
      role: "option",
      id: `${this.id}-option-${index}`,
      title: option.keywords,
      onpointerdown: (event) => {
        event.preventDefault();
        this.add(option.value);
      },
    };
    return make("div.dv-option", attributes, option.value);
  }

  /** Mark the option that Enter takes. */
  point(index) {
    const rows = [...this.found.querySelectorAll(".dv-option")];
    this.active = Math.max(0, Math.min(rows.length - 1, index));
    rows.forEach((row, place) => row.setAttribute("aria-selected", String(place === this.active)));
    if (!rows.length) return;
    rows[this.active].scrollIntoView({ block: "nearest" });
    this.search.setAttribute("aria-activedescendant", rows[this.active].id);
  }

  add(value) {
    this.search.value = "";
    this.close();
    this.choose([...this.chosen, value]);
  }

  close() {
    this.found.hidden = true;
    this.search.setAttribute("aria-expanded", "false");
    this.search.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const keys = {
      ArrowDown: () => (this.found.hidden ? this.open() : this.point(this.active + 1)),
      ArrowUp: () => this.point(this.active - 1),
      Escape: () => this.close(),
      Enter: () => this.take(),
      Backspace: () => this.takeBack(),
    };
    if (!(event.key in keys)) return;
    if (event.key !== "Backspace") event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  /** Take the option that is marked. */
  take() {
    const row = this.found.hidden ? null : this.found.querySelectorAll(".dv-option")[this.active];
    if (row) this.add(row.textContent);
  }

  /** Take the last chip away, where nothing is sought. */
  takeBack() {
    if (this.search.value === "" && this.chosen.length) this.choose(this.chosen.slice(0, -1));
  }
}
