// Solvers of the probability-flow ODE as `diffviz.sampling.solvers`, in y = z/alpha and
// s = sigma/alpha = e^(−λ/2), where dy/ds = (y − x_hat)/s.

/**
 * @typedef {Float64Array} Points Pairs of coordinates, one point after another.
 *
 * @typedef {object} Call One call of the denoiser.
 * @property {number} s
 * @property {Points} y
 * @property {Points} xHat
 *
 * @typedef {object} Denoiser The denoiser as a solver sees it.
 * @property {(y: Points, s: number) => Points} xHat E[x|z].
 * @property {() => Points} noise A draw of noise like y.
 * @property {Call[]} history The first call of each step so far.
 * @property {number} steps Of the whole trajectory.
 *
 * @typedef {object} Options
 * @property {number} [eta] Share of noise of DDIM and of Euler.
 * @property {number} [churn] Noise of Heun, over all steps.
 * @property {import("./paths.js").Path} [path] Whose z and t Euler steps in.
 *
 * @typedef {(denoiser: Denoiser, y: Points, start: number, end: number, options: Options) =>
 *   Points} Solver One step from s = start to s = end.
 *
 * @typedef {object} Trajectory
 * @property {number[]} logsnr λ where the denoiser was first called in each step, and at the end.
 * @property {Points[]} z In the variance-preserving frame, at each level.
 * @property {Points[]} xHat
 * @property {number} calls
 */

const INFLATE = 1.003; // S_noise of EDM's churn
const MOST_GROWTH = Math.SQRT2 - 1; // of s by churn in a step

/**
 * Σ of points times factors.
 * @param {[number, Points][]} parts
 * @returns {Points}
 */
function combined(...parts) {
  const [[, first]] = parts;
  return first.map((_, index) => {
    let sum = 0;
    for (const [factor, points] of parts) sum += factor * points[index];
    return sum;
  });
}

/**
 * The flow if x_hat were constant.
 * @param {Points} xHat
 * @param {Points} y
 * @param {number} start
 * @param {number} end
 * @returns {Points}
 */
function withConstantX(xHat, y, start, end) {
  return combined([1 - end / start, xHat], [end / start, y]);
}

/** @type {Solver} */
function ddim(denoiser, y, start, end, { eta = 0 }) {
  const fresh = eta * end * Math.sqrt(1 - (end / start) ** 2);
  const kept = Math.sqrt(end ** 2 - fresh ** 2);
  const next = withConstantX(denoiser.xHat(y, start), y, start, kept);
  return eta ? combined([1, next], [fresh, denoiser.noise()]) : next;
}

/** @type {Solver} */
function euler(denoiser, y, start, end, { eta = 0, path }) {
  if (!path) throw new TypeError("Euler needs a path");
  const before = -2 * Math.log(start);
  const after = -2 * Math.log(end);
  const { frame, schedule } = path;
  const h = (schedule.sf(before) - schedule.sf(after)) / schedule.pdf(before);
  const pull = (h * (1 + eta ** 2)) / 2;
  const xHat = denoiser.xHat(y, start);
  let next = combined([1 + h * frame.slope(before) - pull, y], [pull, xHat]);
  if (eta) next = combined([1, next], [eta * start * Math.sqrt(h), denoiser.noise()]);
  return combined([frame.alpha(before) / frame.alpha(after), next]);
}

/** @type {Solver} */
function heun(denoiser, y, start, end, { churn = 0 }) {
  const raised = start * (1 + Math.min(churn / denoiser.steps, MOST_GROWTH));
  let from = y;
  if (raised > start) {
    const fresh = INFLATE * Math.sqrt(raised ** 2 - start ** 2);
    from = combined([1, y], [fresh, denoiser.noise()]);
  }
  const xHat = denoiser.xHat(from, raised);
  const guess = withConstantX(xHat, from, raised, end);
  const again = denoiser.xHat(guess, end);
  const [first, second] = [(end - raised) / raised / 2, (end - raised) / end / 2];
  return combined([1 + first, from], [-first, xHat], [second, guess], [-second, again]);
}

/** @type {Solver} */
function dpm2m(denoiser, y, start, end) {
  let xHat = denoiser.xHat(y, start);
  const before = denoiser.history.at(-2);
  if (before) {
    const ratio = Math.log(start / end) / Math.log(before.s / start) / 2;
    xHat = combined([1 + ratio, xHat], [-ratio, before.xHat]);
  }
  return withConstantX(xHat, y, start, end);
}

/** @type {Solver} */
function dpm2s(denoiser, y, start, end) {
  const middle = Math.sqrt(start * end);
  const halfway = withConstantX(denoiser.xHat(y, start), y, start, middle);
  return withConstantX(denoiser.xHat(halfway, middle), y, start, end);
}

/**
 * Weights of past slopes that integrate polynomials exactly over the next step.
 *
 * With one, two or three nodes: the integral of the polynomials of Lagrange, by Simpson's rule,
 * which is exact for them.
 * @param {number[]} nodes Where the slopes are; the last is where the step begins.
 * @param {number} end
 * @returns {number[]}
 */
function adamsBashforthWeights(nodes, end) {
  const begin = nodes[nodes.length - 1];
  return nodes.map((node) => {
    const others = nodes.filter((other) => other !== node);
    const at = (/** @type {number} */ x) =>
      others.reduce((product, other) => (product * (x - other)) / (node - other), 1);
    return ((end - begin) / 6) * (at(begin) + 4 * at((begin + end) / 2) + at(end));
  });
}

/** @type {Solver} */
function ab3(denoiser, y, start, end) {
  denoiser.xHat(y, start);
  const recent = denoiser.history.slice(-3);
  const nodes = recent.map(({ s }) => Math.atan(s));
  const last = Math.atan(end);
  const weights = adamsBashforthWeights(nodes, last);
  /** @type {[number, Points][]} */
  const parts = recent.flatMap((call, index) => {
    const share = weights[index] / Math.sin(nodes[index]);
    return [
      [share * Math.cos(nodes[index]) ** 2, call.y],
      [-share, call.xHat],
    ];
  });
  const now = Math.cos(nodes[nodes.length - 1]);
  return combined([now, y], ...parts).map((value) => value / Math.cos(last));
}

/**
 * A step of Runge and Kutta's method of fourth order, by the 3/8 rule as in torchdiffeq.
 * @param {(at: Points, share: number) => Points} slope At a share of the step.
 * @param {Points} y
 * @param {number} step
 * @returns {Points}
 */
function threeEighths(slope, y, step) {
  const first = slope(y, 0);
  const second = slope(combined([1, y], [step / 3, first]), 1 / 3);
  const third = slope(combined([1, y], [step, second], [-step / 3, first]), 2 / 3);
  const fourth = slope(combined([1, y], [step, first], [-step, second], [step, third]), 1);
  const eighth = step / 8;
  return combined(
    [1, y],
    [eighth, first],
    [3 * eighth, second],
    [3 * eighth, third],
    [eighth, fourth],
  );
}

/** @type {Solver} */
function rk4(denoiser, y, start, end) {
  const before = -2 * Math.log(start);
  const step = -2 * Math.log(end) - before;
  const slope = (/** @type {Points} */ at, /** @type {number} */ share) => {
    const xHat = denoiser.xHat(at, Math.exp(-(before + share * step) / 2));
    return combined([0.5, xHat], [-0.5, at]);
  };
  return threeEighths(slope, y, step);
}

/** @type {Solver} */
function rk4InAngle(denoiser, y, start, end) {
  const before = Math.atan(start);
  const step = Math.atan(end) - before;
  const slope = (/** @type {Points} */ z, /** @type {number} */ share) => {
    const angle = before + share * step;
    const xHat = denoiser.xHat(combined([1 / Math.cos(angle), z]), Math.tan(angle));
    return combined([1 / Math.tan(angle), z], [-1 / Math.sin(angle), xHat]);
  };
  const z = threeEighths(slope, combined([Math.cos(before), y]), step);
  return combined([1 / Math.cos(before + step), z]);
}

/** @type {Record<string, Solver>} By the names in the menu. */
const SOLVERS = {
  DDIM: ddim,
  "Euler in the frame": euler,
  Heun: heun,
  "DPM++ 2M": dpm2m,
  "DPM++ 2S": dpm2s,
  "AB3 in θ": ab3,
  "RK4 in λ": rk4,
  "RK4 in θ": rk4InAngle,
};

/**
 * Sample along levels of λ.
 * @param {(z: Points, logsnr: number) => Points} denoise E[x|z] in the variance-preserving frame.
 * @param {ArrayLike<number>} levels Rising λ in nats.
 * @param {string} solver A name of `SOLVERS`.
 * @param {Points} first z at the first level.
 * @param {Options & {noise?: (draw: number) => Points}} options
 * @returns {Trajectory}
 */
export function sample(denoise, levels, solver, first, options = {}) {
  const steps = levels.length - 1;
  let calls = 0;
  let draws = 0;
  /** @type {Call[]} */
  const history = [];
  let step = 0;
  const denoiser = {
    steps,
    history,
    noise: () => {
      draws += 1;
      return options.noise?.(draws - 1) ?? new Float64Array(first.length);
    },
    xHat: (/** @type {Points} */ y, /** @type {number} */ s) => {
      const logsnr = -2 * Math.log(s);
      const scale = 1 / Math.hypot(1, s);
      const xHat = denoise(y.map((value) => value * scale), logsnr);
      calls += 1;
      if (history.length === step) history.push({ s, y, xHat });
      return xHat;
    },
  };
  const ratios = Array.from(levels, (level) => Math.exp(-level / 2));
  const size = Math.hypot(1, ratios[0]);
  /** @type {Points} */
  let y = first.map((value) => value * size);
  for (step = 0; step < steps; step += 1) {
    y = SOLVERS[solver](denoiser, y, ratios[step], ratios[step + 1], options);
  }
  denoiser.xHat(y, ratios[steps]);
  const z = history.map((call) => {
    const scale = 1 / Math.hypot(1, call.s);
    return call.y.map((value) => value * scale);
  });
  return {
    logsnr: history.map(({ s }) => -2 * Math.log(s)),
    z,
    xHat: history.map(({ xHat }) => xHat),
    calls,
  };
}
