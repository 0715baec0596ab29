// Light and dark, and the colours that are read on both.

const LEAST_CONTRAST = 4.5; // of a curve against a dark ground

/**
 * Whether the page around an element is dark: as JupyterLab, VS Code or the page itself says, else
 * as the reader's system does.
 *
 * @returns {boolean}
 */
export function isDark() {
  const { body, documentElement } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.dataset.vscodeThemeKind) return body.dataset.vscodeThemeKind.includes("dark");
  const theme = documentElement.dataset.theme ?? body.dataset.theme;
  if (theme === "dark" || theme === "light") return theme === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Call a function whenever the page may have turned light or dark.
 *
 * @param {() => void} changed
 * @returns {() => void} what ends it
 */
export function watchTheme(changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(changed);
  const attributes = ["data-jp-theme-light", "data-vscode-theme-kind", "data-theme"];
  for (const element of [document.body, document.documentElement]) {
    observer.observe(element, { attributes: true, attributeFilter: attributes });
  }
  system.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", changed);
  };
}

/**
 * @param {string} colour "#RRGGBB"
 * @returns {number[]} red, green and blue from 0 to 255
 */
export function channels(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

/**
 * Relative luminance of a colour (WCAG 2.2).
 *
 * @param {number[]} rgb
 * @returns {number} from 0 to 1
 */
function luminance(rgb) {
  const [red, green, blue] = rgb.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/**
 * A colour that can be read on the ground: on a dark one it is mixed with white until it can.
 *
 * @param {string} colour "#RRGGBB"
 * @param {boolean} dark
 * @returns {string} a colour of CSS
 */
export function readable(colour, dark) {
  if (!dark || !/^#[0-9a-f]{6}$/i.test(colour)) return colour;
  const rgb = channels(colour);
  for (let white = 0; white <= 1; white += 0.1) {
    const mixed = rgb.map((channel) => Math.round(channel + white * (255 - channel)));
    const contrast = (luminance(mixed) + 0.05) / (luminance([24, 24, 24]) + 0.05);
    if (contrast >= LEAST_CONTRAST) return `rgb(${mixed.join(", ")})`;
  }
  return "#ffffff";
}

/**
 * Rules of style that colour the swatches of options.
 *
 * @param {string[]} colours "#RRGGBB" each; what is no colour is left out
 * @param {boolean} dark
 * @returns {string}
 */
export function swatchRules(colours, dark) {
  const rule = (colour) =>
    `.dv-explorer [data-colour="${colour}"] { background: ${readable(colour, dark)}; }`;
  return [...new Set(colours.filter(Boolean))].map(rule).join("\n");
}
