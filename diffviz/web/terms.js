// What the headings of tables mean, for a reader who rests the pointer on one.

const TERMS = {
  verdict:
    "Monotone: w never rises with λ, and the loss is a sum of ELBOs of noised data. Else: the λ " +
    "at which w is largest, and the share of its mixture of ELBOs that counts negatively.",
  "w below": "Share of the area under w at noise levels with a smaller λ.",
  "w at λ <": "Share of the area under w at these noise levels.",
  "loss below":
    "Share of the loss at noise levels with a smaller λ, for the exact denoiser on N(0, I) data.",
  "loss at λ <": "Share of the loss at these noise levels, for the exact denoiser on N(0, I) data.",
  "ratio off by":
    "By which factor the ratio of the two weightings is above or below its median over λ, at " +
    "most, and at which λ.",
  "least loss": "The loss that the exact denoiser has: no network can come below it.",
  "loss / least": "The loss over the least one, averaged over the last steps; 1 is perfect.",
  "log₁₀ excess":
    "Squared error of ε̂ beyond that of the exact denoiser at this λ: −2 is 0.01, −3 is 0.001.",
  "least φ": "Smallest factor by which this loss multiplies the weighting of the squared one.",
  "distance of samples":
    "Sliced Wasserstein distance of the samples from points of the data, over the distance of " +
    "two sets of such points: 1 is as near as true points come.",
  negative: "Share of the mixture of ELBOs that counts negatively, on these data.",
  astray: "Share of the samples that are far from every mode of the data.",
};

/**
 * What a heading means; undefined where nothing needs to be said.
 *
 * @param {string} heading which begins with a term
 * @returns {string | undefined}
 */
export function meaningOf(heading) {
  const term = Object.keys(TERMS).find((one) => heading.startsWith(one));
  return term && TERMS[term];
}
