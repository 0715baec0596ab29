// Keeps the type checker out of the minified file.
export const tf: any;
