// An explorer on a page without a kernel: its first message lies beside the page in two files.

import { mount } from "./explorer.js";

/**
 * Show an explorer whose opening message, a file of JSON with the lengths of its buffers, and whose
 * buffers, one after the other in a second file, lie at an address.
 *
 * @param {HTMLElement} host
 * @param {string} address without an ending: ".json" and ".bin" are added
 */
export async function open(host, address) {
  const [text, binary] = await Promise.all([fetch(`${address}.json`), fetch(`${address}.bin`)]);
  const { message, lengths } = await text.json();
  const bytes = await binary.arrayBuffer();
  let start = 0;
  const buffers = lengths.map((length) => bytes.slice(start, (start += length)));
  const { local } = message.description.local
    ? await import(`./${message.description.local}`)
    : { local: null };
  const link = {
    listen: (receive) => {
      queueMicrotask(() => receive(message, buffers));
      return () => undefined;
    },
  };
  mount(host, link, local);
}
