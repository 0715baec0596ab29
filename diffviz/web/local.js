// What stands in for the module that computes in the browser where an explorer has none.

export const local = null;
