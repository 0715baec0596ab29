"""Figures 20 to 22: the weighted loss as a mixture of ELBOs, the three terms of one, and what likelihoods by other routes say."""

import math

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments.elbo import divergence, known
from diffviz.lab.figures.registry import figure
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.paths import COSINE

RED = "#CC3311"


@figure(
    "augmentation",
    "L(t; x) on gmm1 and the law of noise p_w(t): a falling weighting is a mean of ELBOs, EDM's a "
    "signed one",
)
def augmentation() -> Axes:
    from diffviz.data import toys

    first, *others = plots.axes(12.5, 4.2, columns=3)
    toy, logsnr = toys.toy("gmm1"), np.linspace(-10, 10, 401)
    time, noise = COSINE.time(logsnr), np.log(2 * np.pi * np.e * expit(-logsnr)) / 2
    mean = np.array([toy.entropy(one) for one in logsnr]) - noise  # I(x; z_λ), by entropies
    points = np.array([-1.5, 0.0, 0.5])
    single = divergence("gmm1", points, logsnr)
    curves = {
        f"x = {x:g}".replace("-", "−"): one for x, one in zip(points, single, strict=True)
    } | {"mean": mean}
    label = "time t, cosine path   [0 data, 1 noise]"
    plots.lines(
        time,
        curves,
        xlabel=label,
        ylabel="nats",
        title="L(t; x) = KL(q(z_t..1|x) ‖ p(z_t..1))",
        ax=first,
    )
    first.set_ylim(0, 6)
    for ax, name in zip(others, ("sigmoid-bias2", "edm"), strict=True):
        w = CATALOGUE[name].weighting(logsnr)
        law = np.gradient(w, time) / w.max()
        mixture = w[-1] * mean[-1] - w[0] * mean[0] - np.trapezoid(mean, w)
        direct = np.trapezoid(w * toy.mmse(logsnr), logsnr) / 2
        title = f"{name}: mixture {mixture:.3f}, direct {direct:.3f}"
        plots.lines(
            time,
            {name: law},
            xlabel=label,
            ylabel="dw/dt over max w",
            title=title,
            outside=None,
            ax=ax,
        )
        ax.fill_between(time, np.minimum(law, 0), 0, color=RED, alpha=0.35, lw=0, gid="negative")
        ax.axhline(0, color="0.4", lw=0.8)
    share = analysis.verdict(CATALOGUE["edm"], information=known("gmm1").information).negative_share
    others[1].annotate(
        f"negative: {share:.2%}\nof the rest, by L",
        (0.3, 0.2),
        xycoords="axes fraction",
        color=RED,
        fontsize=10,
    )
    return first


@figure(
    "elbo-terms",
    "The three terms of −ELBO over the end points of λ, ring8: nats and bits per dimension, and "
    "what is left of the gap",
)
def elbo_terms() -> Axes:
    left, middle, right = plots.axes(13, 4.2, columns=3)
    ring, high, low = known("ring8"), np.linspace(2, 20, 181), np.linspace(-14, 0, 141)
    prior, diffusion, reconstruction = ring.terms(-10.0, high)
    total = prior + diffusion + reconstruction
    terms = {"diffusion": diffusion, "reconstruction": reconstruction, "−ELBO": total}
    label = "λ_max   [λ_min = −10]"
    plots.lines(high, terms, xlabel=label, ylabel="nats", title="large terms, small sum", ax=left)
    left.axhline(ring.entropy, color="0.4", ls=":", lw=1, gid="entropy")
    bits = left.secondary_yaxis(
        "right",
        functions=(lambda y: np.divide(y, math.log(4)), lambda y: np.multiply(y, math.log(4))),
    )
    bits.set_ylabel("bits per dimension", labelpad=1)
    left.figure.subplots_adjust(wspace=0.45)
    gaps = {"E[−ELBO] − entropy": total - ring.entropy, "½ e^(−λ_max) · 200": 100 * np.exp(-high)}
    plots.lines(
        high, gaps, xlabel=label, ylabel="nats", title="gap of the reconstruction", ax=middle
    )
    middle.lines[2].set_linestyle(plots.DASHES[1])
    middle.legend(frameon=False, fontsize=9, handlelength=3)
    prior = ring.terms(low, 10.0)[0]
    ends = {"prior term": prior, "prior term − I(x; z_λ_min)": prior - ring.information(low)}
    plots.lines(low, ends, xlabel="λ_min", ylabel="nats", title="gap of the prior", ax=right)
    for ax in (middle, right):
        ax.set_yscale("log")
    middle.set_ylim(1e-7, 20)
    right.set_ylim(1e-9, 3)
    return left


@figure(
    "ode-likelihood",
    "Exact log-density, ODE and ELBO on mixtures; the error of Hutchinson's estimate by number of "
    "probes",
)
def ode_likelihood() -> Axes:
    import torch

    from diffviz.data import toys
    from diffviz.sampling import likelihood

    left, middle, right = plots.axes(13, 4.2, columns=3)
    toy, x = toys.toy("gmm1"), torch.linspace(-2.5, 1.2, 112, dtype=torch.float64)[:, None]
    exact = -toy.log_prob(x)
    ode, bound = (
        -likelihood.log_likelihood(toy, x)[0],
        likelihood.elbo(toy, x, levels=10, exact=True).nats,
    )
    nats = {"exact −log p": exact, "ODE": ode, "−ELBO": bound}
    plots.lines(
        x[:, 0], nats, xlabel="x", ylabel="nats", title="three routes, one curve (gmm1)", ax=left
    )
    off = {name: 1e3 * (one - exact) for name, one in nats.items() if one is not exact}
    colours = {"ODE": plots.PALETTE[1], "−ELBO": plots.PALETTE[2]}
    label = "10⁻³ nats above −log p(x)"
    plots.lines(
        x[:, 0],
        off,
        xlabel="x",
        ylabel=label,
        title="their difference, λ ≤ 10",
        colours=colours.__getitem__,
        ax=middle,
    )
    middle.axhline(0, color="0.4", lw=0.8)
    probes = 2 ** np.arange(7)
    for place, (name, gaussian) in enumerate({"±1": False, "Gaussian": True}.items()):
        many = torch.zeros(4096, 2, dtype=torch.float64)
        found = likelihood.log_likelihood(
            toys.toy("gmm2d"),
            many,
            steps=24,
            probes=1,
            gaussian=gaussian,
            generator=torch.Generator().manual_seed(0),
        )[0]
        spread = [found.reshape(-1, k).mean(1).std().item() for k in probes.tolist()]
        right.plot(
            probes,
            spread,
            "os"[place],
            color=plots.PALETTE[3 * place],
            label=f"{name} probes",
            gid=name,
        )
        right.plot(probes, spread[0] / np.sqrt(probes), ":", color=plots.PALETTE[3 * place])
    title = "Hutchinson, gmm2d at (0, 0)"
    right.set(
        xscale="log",
        yscale="log",
        xlabel="probes   (dotted: 1/√probes)",
        ylabel="standard deviation, nats",
        title=title,
    )
    right.set_xticks(probes, probes, minor=False)
    right.minorticks_off()
    right.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    right.legend(frameon=False, fontsize=9)
    return left
