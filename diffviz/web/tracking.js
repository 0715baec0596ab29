// The loss by noise level with forgetting, as `LossByLogSNR` of `diffviz.learning.tracking`.

const DECAY = 0.98; // how much less a step counts with each step after it
const LEAST_DRAWS = 1.999; // effective ones, from which a standard error is known
const MOST_ERROR = 0.2; // largest relative standard error of a mean that is shown

/** Moving averages of losses in even bins of λ. */
export class LossByLogSNR {
  /** @param {ArrayLike<number>} middles Of the bins in nats, rising evenly. */
  constructor(middles) {
    this.width = middles[1] - middles[0];
    this.low = middles[0] - this.width / 2;
    const rows = () => new Float64Array(middles.length);
    this.draws = rows();
    this.loss = rows();
    this.squares = rows();
    this.drawsBySquare = rows(); // number of draws, each by the square of what it counts
  }

  /**
   * Take in the losses of a step.
   * @param {ArrayLike<number>} logsnr λ in nats, shape (n,).
   * @param {ArrayLike<number>} loss Shape (n,).
   */
  update(logsnr, loss) {
    for (let bin = 0; bin < this.draws.length; bin += 1) {
      this.draws[bin] *= DECAY;
      this.loss[bin] *= DECAY;
      this.squares[bin] *= DECAY;
      this.drawsBySquare[bin] *= DECAY ** 2;
    }
    for (let k = 0; k < logsnr.length; k += 1) {
      const bin = Math.floor((logsnr[k] - this.low) / this.width);
      if (!(bin >= 0 && bin < this.draws.length)) continue;
      this.draws[bin] += 1;
      this.loss[bin] += loss[k];
      this.squares[bin] += loss[k] ** 2;
      this.drawsBySquare[bin] += 1;
    }
  }

  /**
   * The mean of each bin; NaN where it is not known within a fifth.
   * @returns {Float64Array}
   */
  mean() {
    return this.draws.map((draws, bin) => {
      const mean = this.loss[bin] / draws;
      const variance = this.squares[bin] / draws - mean ** 2;
      const effective = draws ** 2 / this.drawsBySquare[bin];
      const error = Math.sqrt(Math.max(0, variance) / (effective - 1));
      return effective > LEAST_DRAWS && error < MOST_ERROR * mean ? mean : NaN;
    });
  }
}
