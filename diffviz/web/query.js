// The state of an explorer in a link and in code, as `Description` of Python writes them.

/** @param {any} a @param {any} b */
export function isSame(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The values that differ from those at the start.
 *
 * @param {any} description
 * @param {Record<string, any>} state
 * @returns {[any, any][]} pairs of a control and its value
 */
export function changes(description, state) {
  return description.controls
    .filter((control) => "value" in control && !isSame(control.value, state[control.name]))
    .map((control) => [control, state[control.name]]);
}

/**
 * The part of a link that brings a state back, after "#".
 *
 * @param {any} description
 * @param {Record<string, any>} state
 * @returns {string}
 */
export function toQuery(description, state) {
  const query = new URLSearchParams();
  for (const [control, value] of changes(description, state)) {
    const write = WRITERS[control.kind] ?? ((one) => [String(one)]);
    for (const one of write(value)) query.append(control.name, one);
  }
  return query.toString();
}

/** @param {number} value @returns {number} rounded to six figures */
const brief = (value) => Number(value.toPrecision(6));

/**
 * The points of a text such as "0.5_-1*2_0.25", or of JSON as links of before hold it.
 *
 * @param {string} text
 * @returns {number[][] | undefined} undefined for what is broken
 */
function readPoints(text) {
  try {
    const pairs = text.startsWith("[")
      ? JSON.parse(text)
      : text.split("*").map((pair) => pair.split("_").map((one) => Number(one || NaN)));
    const isPair = (pair) => pair.length === 2 && pair.every(Number.isFinite);
    return pairs.every(isPair) ? pairs : undefined;
  } catch {
    return undefined;
  }
}

/** What each kind of control reads from the texts of a link; undefined for what is broken. */
const READERS = {
  chips: (control, texts) => {
    const known = control.options.map((option) => option.value);
    const chosen = [...new Set(texts.filter(Boolean))];
    return chosen.every((one) => known.includes(one)) ? chosen.slice(0, control.most) : undefined;
  },
  clock: (_, texts) => {
    const value = Number(texts.at(-1) || NaN);
    return value >= 0 && value <= 1 ? value : undefined;
  },
  menu: (control, texts) => control.options.find((option) => option === texts.at(-1)),
  points: (control, texts) => readPoints(texts.at(-1)),
  slider: (control, texts) => {
    const value = Number(texts.at(-1) || NaN);
    return value >= control.low && value <= control.high ? value : undefined;
  },
  switch: (control, texts) => ({ 0: false, 1: true })[texts.at(-1)],
};

/** The texts of a value in a link, by the kind of control; other values are one text. */
const WRITERS = {
  chips: (value) => (value.length ? value : [""]),
  points: (value) => [value.map((pair) => pair.map(brief).join("_")).join("*") || "[]"],
  switch: (value) => [String(Number(value))],
};

/**
 * The values in a link, and words on what in it is broken.
 *
 * @param {any} description
 * @param {string} text the part after "#"
 * @returns {{values: Record<string, any>, complaints: string[]}}
 */
export function fromQuery(description, text) {
  const query = new URLSearchParams(text);
  const values = {};
  const complaints = [];
  for (const name of new Set(query.keys())) {
    const control = description.controls.find((one) => one.name === name && "value" in one);
    const texts = query.getAll(name);
    const read = READERS[control?.kind] ?? ((_, all) => all.at(-1));
    const value = control && read(control, texts);
    if (value === undefined) {
      complaints.push(`the link has a broken value: ${name}=${texts.at(-1)}`);
    } else {
      values[name] = value;
    }
  }
  return { values, complaints };
}

/** @param {any} value @returns {string} the value as Python writes it */
function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `(${value.map((one) => `${literal(one)},`).join(" ")})`;
  return JSON.stringify(value);
}

/**
 * The cell that reproduces a state.
 *
 * @param {any} description
 * @param {Record<string, any>} state
 * @returns {string}
 */
export function toCode(description, state) {
  const { code } = description;
  const pairs = changes(description, state);
  const named = pairs.map(([control, value]) => `${control.name}=${literal(value)}`);
  return `from diffviz.lab.explorers import ${code}\n\n${code}(${named.join(", ")})`;
}
