"""Likelihoods by four routes, surrogates against the exact log-ratio, and learning curves.

Parts:

- "likelihood": mean −log p of draws of mixtures, ± the standard error of its difference from the
  exact one.
- "ratio": correlation and slope of each weighting's surrogate on the exact log-ratio of two
  policies, for changes at one scale and at two.
- "curves": mean reward and goals kept of each method over three seeds.

Run: python benchmarks/policy.py [--parts PART ...] [--points N] [--seeds N] [--iterations N]

All of it takes about eight minutes on one core.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import diffviz as dv
from diffviz.data import toys
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.policy import bandit, surrogates
from diffviz.theory import elbo_mixture

EPS = surrogates.MODES["eps"]


@dataclass(frozen=True)
class Curve:
    """A learning curve to draw.

    Args:
        name: What the output calls it.
        method: Name of the method.
        iterations: Batches of actions.
        options: Other options of ``bandit.learn``.
    """

    name: str
    method: str
    iterations: int
    options: dict[str, Any] = field(default_factory=dict)


CURVES = (
    Curve("FPO, u", "fpo", 30),
    Curve("FPO, eps", "fpo", 30, {"objective": EPS}),
    Curve("AWR, u", "awr", 15),
    Curve("DPO, eps", "dpo", 40, {"objective": EPS, "batch": 1024, "epochs": 4, "beta": 1.0}),
    Curve("DDPO", "ddpo", 20),
    Curve("FPO, u, long", "fpo", 80),
    Curve("FPO, eps, long", "fpo", 60, {"objective": EPS}),
    Curve("FPO, eps, KL 0.1", "fpo", 60, {"objective": EPS, "keep": 0.1}),
    Curve("FPO, eps, KL 0.3", "fpo", 60, {"objective": EPS, "keep": 0.3}),
)


def table_head(*columns: str) -> str:
    """The first two lines of a Markdown table."""
    return f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|"


def routes(toy: Any, x: Tensor) -> list[Tensor]:
    """−log p of points by the ELBO, by the ODE with its exact trace, and by two estimates of it."""
    options: dict[str, Any] = {
        "low": -12.0,
        "high": 12.0,
        "generator": torch.Generator().manual_seed(1),
    }
    estimated = {"probes": 4, "steps": 100}
    return [
        dv.elbo(toy, x, levels=512, **options).nats,
        -dv.log_likelihood(toy, x, **options)[0],
        -dv.log_likelihood(toy, x, gaussian=False, **estimated, **options)[0],
        -dv.log_likelihood(toy, x, gaussian=True, **estimated, **options)[0],
    ]


def likelihood(options: argparse.Namespace) -> None:
    """Print mean −log p in nats by each route."""
    names = ("−ELBO [−12, 12]", "ODE, exact trace", "ODE, 4 signs", "ODE, 4 Gaussian")
    print(table_head("mixture", "exact", *names, "s"))
    for name in ("gmm1", "gmm2d", "ring8"):
        toy, start = toys.toy(name), time.process_time()
        x = toy.sample(options.points, torch.Generator().manual_seed(0))
        exact = -toy.log_prob(x)
        cells = []
        for nats in routes(toy, x):
            error = (nats - exact).std() / len(x) ** 0.5
            cells.append(f"{nats.mean():.4f} ± {error:.4f}")
        spent = time.process_time() - start
        print(f"| {name} | {exact.mean():.4f} | {' | '.join(cells)} | {spent:.0f} |")


def ratio(options: argparse.Namespace) -> None:
    """Print correlation and slope of each surrogate on the exact log-ratio, at 200 actions."""
    changes = policy_experiments.changes()
    cases = [column for case in changes for column in (f"corr, {case}", "slope")]
    print("\n" + table_head("weighting", "κ(.01)/κ(1)", *cases))
    for name, objective in policy_experiments.WEIGHTINGS.items():
        relative = elbo_mixture.gain(objective, 0.01) / elbo_mixture.gain(objective)
        cells = [
            f"{change.correlation(name):.3f} | {change.slope(name):.3f}"
            for change in changes.values()
        ]
        print(f"| {name} | {relative:.3f} | {' | '.join(cells)} |")
    print()
    exact = changes["coarse"].exact
    for m, singles in policy_experiments.drawn("fm-ot").items():
        mean = singles.mean(0)
        print(
            f"FM, coarse, {m} draws: correlation {np.corrcoef(mean, exact)[0, 1]:.2f}, "
            f"mean ratio {np.exp(mean).mean():.3g}, "
            f"with the exponential first {np.exp(singles).mean():.3g}, "
            f"exact {np.exp(exact).mean():.3f}"
        )


def curves(options: argparse.Namespace) -> None:
    """Print mean reward (goals kept) of every fifth batch, for each seed, and CPU seconds."""
    for curve in CURVES:
        iterations = min(curve.iterations, options.iterations or curve.iterations)
        for seed in range(options.seeds):
            print(f"{curve.name}, seed {seed}: {learned(curve, iterations, seed)}", flush=True)


def learned(curve: Curve, iterations: int, seed: int) -> str:
    """A learning curve in words; one that stopped early says why."""
    histories: list[bandit.History] = []
    start, end = time.process_time(), ""
    try:
        bandit.learn(
            curve.method,
            iterations=iterations,
            seed=seed,
            callback=histories.append,
            **curve.options,
        )
    except ValueError as error:  # an exponential of the surrogate overflowed
        end = f"   stopped: {error}"
    history = histories[-1]
    fifths = zip(history.reward[::5], history.goals[::5], strict=True)
    line = "  ".join(f"{reward:.2f} ({goals})" for reward, goals in fifths)
    return f"{line}   {time.process_time() - start:.1f} s{end}"


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "likelihood": likelihood,
    "ratio": ratio,
    "curves": curves,
}


def main() -> None:
    """Print the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument("--points", type=int, default=300, help="draws of each mixture")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each learning curve")
    parser.add_argument("--iterations", type=int, help="batches of actions, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.parts:
        PARTS[part](options)


if __name__ == "__main__":
    main()
