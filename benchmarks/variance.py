"""What adapting the density of log-SNR saves on the digits: variance of the loss's value and of its gradient, for several weightings.

Numbers are variances under an objective's own density over those under another, so how many times fewer draws say as much; all λ in
[−10, 10], densities cut to that. What the columns are is said at ``diffviz.learning.variance.gains``. First the ideal denoiser (the value only), then
networks trained with flow matching for a short and for a longer time: the value's gain depends on how much of its loss is left.

Run: OMP_NUM_THREADS=1 PYTHONPATH=notebooks python benchmarks/variance.py
"""

import time

import numpy as np
import torch

import diffviz as dv
from diffviz.learning import variance

WEIGHTINGS = "iddpm-cosine", "elbo", "sigmoid-bias2", "fm-ot", "sd3", "edm"
LEVELS = np.linspace(-10, 10, 41)
NETWORKS = {
    "MLP, 200 steps": (dv.models.MLP(128), 200),
    "transformer, 800 steps": (dv.models.Transformer(), 800),
}


def main() -> None:
    torch.set_num_threads(1)
    digits, objectives = dv.toy("digits"), [dv.objective(name) for name in WEIGHTINGS]
    print("ideal denoiser\n" + variance.table(objectives, variance.exact(digits, LEVELS)))
    x, held = (digits.sample(n, torch.Generator().manual_seed(n)).float() for n in (20_000, 256))
    for name, (model, steps) in NETWORKS.items():
        shape = (-1, 64) if isinstance(model, dv.models.MLP) else (-1, 8, 8)
        start = time.process_time()
        settings = {
            "model": model,
            "steps": steps,
            "batch": 256,
            "learning_rate": 3e-3,
            "progress": False,
        }
        (run,) = dv.fit("fm-ot", x.reshape(shape), **settings)
        middle = time.process_time()
        found = variance.table(objectives, *variance.trained(run, held.reshape(shape), LEVELS))
        spent = f"{middle - start:.0f} CPU seconds of training, {time.process_time() - middle:.0f} of measuring"
        print(f"{name} ({spent})\n{found}")


if __name__ == "__main__":
    main()
