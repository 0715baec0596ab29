// Keeps the type checker out of the minified file.
export const wasm: any;
