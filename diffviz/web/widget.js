// The entry of a notebook: what anywidget calls with its model and its element.

import { mount } from "./explorer.js";
import { local } from "./local.js";

/**
 * @param {{model: any, el: HTMLElement}} context
 * @returns {() => void} what takes the view away again
 */
function render({ model, el }) {
  const link = {
    send: (message, buffers) => model.send(message, undefined, buffers),
    listen: (receive) => {
      const answer = (message, buffers) => receive(message, buffers ?? []);
      model.on("msg:custom", answer);
      return () => model.off("msg:custom", answer);
    },
  };
  return mount(el, link, local);
}

export default { render };
