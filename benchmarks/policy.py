"""Likelihoods of mixtures by four routes, weightings against the exact log-ratio, and learning curves over three seeds.

Run: python benchmarks/policy.py [likelihood] [ratio] [curves]     (about eight minutes on one core)
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

import diffviz as dv
from diffviz.data import toys
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.policy import bandit, surrogates
from diffviz.theory import elbo_mixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))


SEEDS = range(3)
RUNS = {
    "FPO, u": ("fpo", {"iterations": 30}),
    "FPO, eps": ("fpo", {"iterations": 30, "objective": surrogates.MODES["eps"]}),
    "AWR, u": ("awr", {"iterations": 15}),
    "DPO, eps": (
        "dpo",
        {
            "iterations": 40,
            "objective": surrogates.MODES["eps"],
            "batch": 1024,
            "epochs": 4,
            "beta": 1.0,
        },
    ),
    "DDPO": ("ddpo", {"iterations": 20}),
    "FPO, u, long": ("fpo", {"iterations": 80}),
    "FPO, eps, long": ("fpo", {"iterations": 60, "objective": surrogates.MODES["eps"]}),
    "FPO, eps, KL 0.1": (
        "fpo",
        {"iterations": 60, "objective": surrogates.MODES["eps"], "keep": 0.1},
    ),
    "FPO, eps, KL 0.3": (
        "fpo",
        {"iterations": 60, "objective": surrogates.MODES["eps"], "keep": 0.3},
    ),
}


def likelihood() -> None:
    """Mean −log p in nats of 300 draws by each route, ± standard error of its difference from the exact one."""
    print(
        "| mixture | exact | −ELBO [−12, 12] | ODE, exact trace | ODE, 4 signs | ODE, 4 Gaussian | s |\n"
        + "|---" * 7
        + "|"
    )
    for name in ("gmm1", "gmm2d", "ring8"):
        toy, start = toys.toy(name), time.process_time()
        x = toy.sample(300, torch.Generator().manual_seed(0))
        exact, options = (
            -toy.log_prob(x),
            {"low": -12.0, "high": 12.0, "generator": torch.Generator().manual_seed(1)},
        )
        found = [
            dv.elbo(toy, x, levels=512, **options).nats,
            -dv.log_likelihood(toy, x, **options)[0],
        ]
        found += [
            -dv.log_likelihood(toy, x, probes=4, gaussian=kind, steps=100, **options)[0]
            for kind in (False, True)
        ]
        cells = [f"{one.mean():.4f} ± {(one - exact).std() / 300**0.5:.4f}" for one in found]
        print(
            f"| {name} | {exact.mean():.4f} | {' | '.join(cells)} | {time.process_time() - start:.0f} |"
        )


def ratio() -> None:
    """Correlation and slope of the surrogate on the exact log-ratio at 200 actions on a line; changes at one scale and at two."""
    found = policy_experiments.changes()
    print(
        "\n| weighting | κ(.01)/κ(1) | "
        + " | ".join(f"corr, {case} | slope" for case in found)
        + " |\n"
        + "|---" * 8
        + "|"
    )
    for name, w in policy_experiments.WEIGHTINGS.items():
        cells = [f"{one.correlation(name):.3f} | {one.slope(name):.3f}" for one in found.values()]
        print(
            f"| {name} | {elbo_mixture.gain(w, 0.01) / elbo_mixture.gain(w):.3f} | {' | '.join(cells)} |"
        )
    print()
    for m, singles in policy_experiments.drawn("fm-ot").items():
        mean, exact = singles.mean(0), found["coarse"].exact
        print(
            f"FM, coarse, {m} draws: correlation {np.corrcoef(mean, exact)[0, 1]:.2f}, mean ratio {np.exp(mean).mean():.3g}, with the "
            f"exponential first {np.exp(singles).mean():.3g}, exact {np.exp(exact).mean():.3f}"
        )


def curves() -> None:
    """Mean reward (goals kept) every fifth step, for each seed, and CPU seconds."""
    for name, (method, options) in RUNS.items():
        for seed in SEEDS:
            start, seen, end = time.process_time(), [], ""
            try:
                bandit.learn(method, seed=seed, callback=seen.append, **options)
            except ValueError as error:  # an exponential of the surrogate overflowed
                end = f"   stopped: {error}"
            line = "  ".join(
                f"{r:.2f} ({g})"
                for r, g in zip(seen[-1].reward[::5], seen[-1].goals[::5], strict=True)
            )
            print(
                f"{name}, seed {seed}: {line}   {time.process_time() - start:.1f} s{end}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ("likelihood", "ratio", "curves"):
        {"likelihood": likelihood, "ratio": ratio, "curves": curves}[part]()
