// Elements of the page, made in one line each.

/**
 * An element with attributes, listeners and children.
 *
 * @param {string} tag such as "label", or "label.dv-label" with a class
 * @param {Record<string, any>} [attributes] functions whose names begin with "on" listen
 * @param {(Node | string)[]} children
 * @returns {any} the element
 */
export function make(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (![false, undefined, ""].includes(value)) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

let count = 0;

/**
 * An id that no other element of the page has.
 *
 * @returns {string}
 */
export function uniqueId() {
  count += 1;
  return `dv-${count}-${Math.random().toString(36).slice(2, 8)}`;
}

/**
 * Put a text on the reader's clipboard.
 *
 * @param {string} text
 * @returns {Promise<void>}
 */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make("textarea"); // where the page has no right to the clipboard, as over http
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/**
 * Hand a file to the reader.
 *
 * @param {BlobPart} content
 * @param {string} name
 * @param {string} mime
 */
export function download(content, name, mime) {
  const address = URL.createObjectURL(new Blob([content], { type: mime }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
