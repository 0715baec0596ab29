// WebAssembly as what TensorFlow.js computes with.

/**
 * Load the backend for WebAssembly with SIMD, which each browser since 2023 has.
 * @param {any} tf TensorFlow.js.
 * @param {any} wasm Its backend.
 */
export async function prepare(tf, wasm) {
  const file = new URL("./vendor/tfjs-simd.wasm", import.meta.url).href;
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // threads ask for headers of the host
  wasm.setWasmPaths({
    "tfjs-backend-wasm.wasm": file,
    "tfjs-backend-wasm-simd.wasm": file,
    "tfjs-backend-wasm-threaded-simd.wasm": file,
  });
  if (!(await tf.setBackend("wasm"))) {
    throw new Error("this browser has no WebAssembly with SIMD, which training needs");
  }
}
