// The talk of an explorer with what computes: Python in a notebook, or a page that has no kernel.
//
// At most one request is under way; what a reader moves meanwhile is kept, the newest value of each
// control, and sent when the answer comes.

const TELL_EVERY = 250; // ms between two messages that await no answer
const SLOW = 400; // ms after which a reader is told to wait

/**
 * What an explorer talks with. A page without a kernel has no `send`.
 *
 * @typedef {{
 *   send?: (message: Record<string, any>, buffers?: ArrayBuffer[]) => void,
 *   listen: (receive: (message: any, buffers: any[]) => void) => () => void,
 * }} Link
 */

/**
 * Plain data with its arrays put in: a typed array with a shape for each reference to a buffer.
 *
 * @param {any} value
 * @param {any[]} buffers
 * @returns {any}
 */
export function unpacked(value, buffers) {
  if (Array.isArray(value)) return value.map((one) => unpacked(one, buffers));
  if (value === null || typeof value !== "object") return value;
  if (!("buffer" in value && "shape" in value)) {
    const pairs = Object.entries(value).map(([name, one]) => [name, unpacked(one, buffers)]);
    return Object.fromEntries(pairs);
  }
  const view = buffers[value.buffer];
  const bytes = ArrayBuffer.isView(view)
    ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
    : view;
  const Type = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array }[value.type];
  return Object.assign(new Type(bytes), { shape: value.shape });
}

/**
 * Keep values with the newest last, since Python takes them in their order.
 *
 * @param {Map<string, any>} kept
 * @param {Record<string, any>} values
 */
function putLast(kept, values) {
  for (const [name, value] of Object.entries(values)) {
    kept.delete(name);
    kept.set(name, value);
  }
}

export class Talk {
  /** @param {Link} link @param {(isLong: boolean) => void} showWaiting */
  constructor(link, showWaiting) {
    this.link = link;
    this.showWaiting = showWaiting;
    this.serial = 0; // of the last request
    this.waiting = 0; // serial of the request under way; 0 while there is none
    this.patience = 0;
    /** @type {Map<string, any>} */
    this.pending = new Map(); // values that wait for the answer under way
    /** @type {string[]} */
    this.underWay = []; // names of the values that are sent and not answered yet
    /** @type {Map<string, any>} */
    this.told = new Map(); // values whose view is drawn already
    this.teller = 0;
  }

  get hasKernel() {
    return Boolean(this.link.send);
  }

  /** Names of the values that are newer here than in any answer. */
  get ahead() {
    return new Set([...this.pending.keys(), ...this.told.keys(), ...this.underWay]);
  }

  /** Ask for the view of new values: now, or after the answer that is under way. */
  ask(values) {
    putLast(this.pending, values);
    this.flush();
  }

  /** Send what is pending, unless an answer is under way. */
  flush() {
    if (this.waiting || !this.pending.size || !this.hasKernel) return;
    const values = Object.fromEntries(this.pending);
    this.pending.clear();
    this.underWay = Object.keys(values);
    this.request({ kind: "set", values });
  }

  /** Tell the kernel, soon, of values whose view is drawn already. */
  tell(values) {
    if (!this.hasKernel) return;
    putLast(this.told, values);
    this.teller ||= setTimeout(() => this.tellNow(), TELL_EVERY);
  }

  tellNow() {
    clearTimeout(this.teller);
    this.teller = 0;
    if (!this.told.size) return;
    this.link.send?.({ kind: "tell", values: Object.fromEntries(this.told) });
    this.told.clear();
  }

  /** Send what awaits no view, after all that was told. */
  send(message) {
    this.tellNow();
    this.link.send?.(message);
  }

  /** Send what a view answers, after all that was told. */
  request(message, buffers = []) {
    this.tellNow();
    this.serial += 1;
    this.waiting = this.serial;
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.showWaiting(true), SLOW);
    this.link.send?.({ ...message, serial: this.serial }, buffers);
  }

  /** Take note of an answer; one to an older request ends no waiting. */
  answered(serial) {
    if (serial === this.waiting) this.settleDown();
  }

  /** Nothing is under way any more. */
  settleDown() {
    this.waiting = 0;
    this.underWay = [];
    clearTimeout(this.patience);
    this.showWaiting(false);
  }

  close() {
    this.tellNow();
    clearTimeout(this.patience);
  }
}
