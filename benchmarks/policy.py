"""Likelihoods of mixtures by four routes, weightings against the exact log-ratio, and learning curves over three seeds.

Run: python benchmarks/policy.py [likelihood] [ratio] [curves]     (about five minutes on one core)
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

import diffviz as dv
from diffviz import data
from suite import policy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
SEEDS = range(3)
RUNS = {
    "FPO, u": ("fpo", {"iterations": 30}),
    "FPO, eps": ("fpo", {"iterations": 30, "objective": policy.MODES["eps"]}),
    "AWR, u": ("awr", {"iterations": 15}),
    "DPO, eps": ("dpo", {"iterations": 40, "objective": policy.MODES["eps"], "batch": 1024, "epochs": 4, "beta": 1.0}),
    "DDPO": ("ddpo", {"iterations": 20}),
}


def likelihood() -> None:
    """Mean −log p in nats of 300 draws by each route, ± standard error of its difference from the exact one."""
    print("| mixture | exact | −ELBO [−12, 12] | ODE, exact trace | ODE, 4 signs | ODE, 4 Gaussian | s |\n" + "|---" * 7 + "|")
    for name in ("gmm1", "gmm2d", "ring8"):
        toy, start = data.toy(name), time.process_time()
        x = toy.sample(300, torch.Generator().manual_seed(0))
        exact, options = -toy.log_prob(x), {"low": -12.0, "high": 12.0, "generator": torch.Generator().manual_seed(1)}
        found = [dv.elbo(toy, x, levels=512, **options).nats, -dv.log_likelihood(toy, x, **options)[0]]
        found += [-dv.log_likelihood(toy, x, probes=4, gaussian=kind, steps=100, **options)[0] for kind in (False, True)]
        cells = [f"{one.mean():.4f} ± {(one - exact).std() / 300**0.5:.4f}" for one in found]
        print(f"| {name} | {exact.mean():.4f} | {' | '.join(cells)} | {time.process_time() - start:.0f} |")


def ratio() -> None:
    """Correlation and slope of the surrogate on the exact log-ratio at 200 actions on a line; changes at one scale and at two."""
    means, std = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None], 0.1
    old, even = data.mixture(means, std), torch.full((5,), 0.2, dtype=torch.float64)
    share = torch.linspace(-0.6, 0.6, 5, dtype=torch.float64).softmax(0)
    fine = 0.03 * torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)[:, None]
    cases = {"coarse": (means, share), "fine": (means + fine, even), "both": (means + fine, share)}
    x = old.sample(200, torch.Generator().manual_seed(0))
    weightings = {"ELBO (w = 1)": np.ones_like, "FM": policy.MODES["u"], "FPO eps": policy.MODES["eps"]}
    names = ("iddpm-cosine", "v-cosine", "edm", "sd3", "sigmoid-bias2", "min-snr-5-eps", "indi")
    weightings |= {name: dv.objective(name) for name in names}
    errors = lambda toy: dv.elbo(toy, x, low=-16, high=16, levels=24, exact=True)
    before, table = errors(old), {name: [f"{policy.gain(w, 0.01, -16, 16):.3f}"] for name, w in weightings.items()}
    exact = np.zeros(200)
    for moved, weights in reversed(cases.values()):
        new = data.mixture(moved, std, weights)
        after, exact = errors(new), (new.log_prob(x) - old.log_prob(x)).numpy()
        for name, w in weightings.items():
            found = (before.weighted(w) - after.weighted(w)).numpy()
            table[name][1:1] = [f"{np.corrcoef(found, exact)[0, 1]:.3f}", f"{np.polyfit(exact, found, 1)[0]:.3f}"]
    print("\n| weighting | κ(.01) | " + " | ".join(f"corr, {case} | slope" for case in cases) + " |\n" + "|---" * 8 + "|")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print()
    for m in (1, 4, 8, 32, 128):  # of the last, coarse change
        at = policy.draws(policy.MODES["u"], x, m, np.random.default_rng(m))
        found = policy.losses(old, x, at) - policy.losses(new, x, at)
        mean = found.mean(0)
        print(
            f"FM, coarse, {m} draws: correlation {np.corrcoef(mean, exact)[0, 1]:.2f}, mean ratio {mean.exp().mean():.3g}, with the "
            f"exponential first {found.exp().mean():.3g}, exact {np.exp(exact).mean():.3f}"
        )


def curves() -> None:
    """Mean reward (goals kept) every fifth step, for each seed, and CPU seconds."""
    from suite import bandit

    for name, (method, options) in RUNS.items():
        for seed in SEEDS:
            start = time.process_time()
            found = bandit.learn(method, seed=seed, **options)
            line = "  ".join(f"{r:.2f} ({g})" for r, g in zip(found.reward[::5], found.goals[::5], strict=True))
            print(f"{name}, seed {seed}: {line}   {time.process_time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ("likelihood", "ratio", "curves"):
        {"likelihood": likelihood, "ratio": ratio, "curves": curves}[part]()
