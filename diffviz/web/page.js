// An explorer on a page without a kernel: its first message lies beside the page in two files, or
// in the page itself.

import { mount } from "./explorer.js";

/**
 * Show an explorer from its opening message.
 *
 * @param {HTMLElement} host
 * @param {{message: any, lengths: number[]}} opening the message, and the lengths of its buffers
 * @param {ArrayBuffer} bytes the buffers, one after the other
 * @param {import("./explorer.js").Local | null} local what computes in the browser
 * @returns {() => void} what takes it away again
 */
export function show(host, { message, lengths }, bytes, local) {
  let start = 0;
  const buffers = lengths.map((length) => bytes.slice(start, (start += length)));
  const link = {
    listen: (receive) => {
      queueMicrotask(() => receive(message, buffers));
      return () => undefined;
    },
  };
  return mount(host, link, local);
}

/**
 * Show an explorer whose opening message, a file of JSON with the lengths of its buffers, and whose
 * buffers, one after the other in a second file, lie at an address.
 *
 * @param {HTMLElement} host
 * @param {string} address without an ending: ".json" and ".bin" are added
 * @returns {Promise<() => void>} what takes it away again
 */
export async function open(host, address) {
  const [text, binary] = await Promise.all([fetch(`${address}.json`), fetch(`${address}.bin`)]);
  const opening = await text.json();
  const module = opening.message.description.local;
  const { local } = module ? await import(`./${module}`) : { local: null };
  return show(host, opening, await binary.arrayBuffer(), local);
}
