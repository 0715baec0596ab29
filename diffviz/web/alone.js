// The entry of a page that holds all it needs; see `diffviz.web.page`.

import { show } from "./page.js";
import { local } from "./local.js";

/** @param {string} name @returns {string} the text of an element */
const textOf = (name) => document.getElementById(name).textContent;

const bytes = Uint8Array.from(atob(textOf("buffers")), (letter) => letter.charCodeAt(0));
show(document.getElementById("explorer"), JSON.parse(textOf("opening")), bytes.buffer, local);
