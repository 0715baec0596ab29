"""Figures 1 to 11: what objectives weight, in which base, and what follows."""

import numpy as np
from matplotlib.axes import Axes
from scipy import stats
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments.common import WIDE, chosen
from diffviz.lab.experiments.weighting import bugs
from diffviz.lab.figures.registry import figure
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis, multipliers
from diffviz.theory import laws as theory_laws
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import V

CLASSICS = (
    "elbo",
    "iddpm-cosine",
    "fm-ot",
    "edm",
    "sd3",
    "min-snr-5-eps",
    "p2-gamma1",
    "indi",
    "sigmoid-bias2",
)


@figure(
    "weightings",
    "The classics on one axis: what each objective weights on the eps error, anchored at log-SNR 0",
)
def classics() -> Axes:
    left, right = plots.axes(10.5, 4.4, columns=2, legend=1.7)
    plots.weighting_curves(
        WIDE, chosen(*CLASSICS), ax=left, outside=None, title="anchored at λ = 0"
    )
    plots.weighting_curves(
        WIDE,
        chosen(*CLASSICS),
        scale="w / max",
        ax=right,
        title="scaled to the maximum on [−10, 10]",
    )
    left.set_ylim(-5, 5)
    for here, there in zip(left.lines, right.lines, strict=True):
        here.set_linestyle(there.get_linestyle())  # as in the legend
    return left


@figure(
    "fm-is-v-cosine",
    "Flow matching with uniform time and v-prediction with the cosine schedule are one weighting by two routes",
)
def fm_is_v_cosine() -> Axes:
    left, right = plots.axes(9.5, 4.2, columns=2)
    pair = chosen("fm-ot", "v-cosine")
    parts = {
        "gain², u target": pair["fm-ot"].target.gain(WIDE, LINEAR) ** 2,
        "p(λ), logistic": pair["fm-ot"].law.pdf(WIDE),
    }
    parts |= {
        "gain², v target": V.gain(WIDE, COSINE) ** 2,
        "p(λ), hypsecant": pair["v-cosine"].law.pdf(WIDE),
    }
    logs = {name: np.log10(values) for name, values in parts.items()}
    plots.lines(
        WIDE, logs, xlabel=plots.LOGSNR, ylabel="log₁₀", title="two different recipes ...", ax=left
    )
    plots.weighting_curves(
        WIDE, pair, ax=right, outside=False, title="... and their product 2·gain²·p, anchored"
    )
    return left


@figure(
    "sd3-vs-edm",
    "SD3's and EDM's weightings, scaled to their maxima: correlation 0.994, largest gap 0.129",
)
def sd3_vs_edm() -> Axes:
    ax = plots.weighting_curves(WIDE, chosen("sd3", "edm"), scale="w / max", outside=False)
    w = {line.get_gid(): np.asarray(line.get_ydata()) for line in ax.lines}
    r, gap = np.corrcoef(w["sd3"], w["edm"])[0, 1], np.abs(w["sd3"] - w["edm"]).max()
    ax.set_title(f"correlation {r:.3f}, largest gap {gap:.3f}")
    return ax


@figure(
    "time-densities",
    "SD3's time densities: logit-normal(m, s), mode(s) and CosMap over t (t = 0 is data)",
)
def time_densities() -> Axes:
    t = np.linspace(0, 1, 1001)
    laws = {
        f"logit-normal({m:g}, {s:g})": theory_laws.logit_normal(m, s)
        for m, s in ((0, 1), (0.5, 0.6), (-0.5, 1))
    }
    laws |= {f"mode({s:g})": theory_laws.mode(s) for s in (1.29, 0.81, -0.54)} | {
        "CosMap": theory_laws.cosmap(),
        "uniform": stats.uniform(),
    }
    curves = {name: law.pdf(t) for name, law in laws.items()}
    return plots.lines(
        t, curves, xlabel="time t   [0 data, 1 noise]", ylabel="density f(t)", outside=True
    )


@figure(
    "logsnr-densities",
    "Where training looks: densities over log-SNR; Laplace(0, 0.5) goes on to 1 at its peak",
)
def logsnr_densities() -> Axes:
    grid = np.linspace(-16, 16, 801)
    laws = {
        "fm-ot": LINEAR.schedule,
        "iddpm-cosine": COSINE.schedule,
        "edm": CATALOGUE["edm"].law,
        "sd3": CATALOGUE["sd3"].law,
    }
    laws |= {
        n: CATALOGUE[n].law for n in ("sd3-ln-1-0.6", "sd3-cosmap", "laplace-eps", "ncsnpp-ve")
    }
    curves = {
        name: np.where(law.pdf(grid) > 0, law.pdf(grid), np.nan) for name, law in laws.items()
    }
    ax = plots.lines(grid, curves, xlabel=plots.LOGSNR, ylabel="density p(λ) per nat", outside=True)
    ax.set_ylim(0, 0.4)
    return ax


@figure(
    "base-switch",
    "The same four losses, expressed in the eps, x, v and u errors: falling, rising or flat is a matter of base",
)
def base_switch() -> Axes:
    row = plots.axes(9, 6.6, columns=2, rows=2)
    for ax, base in zip(row, ("eps", "x", "v", "u"), strict=True):
        plots.weighting_curves(
            WIDE,
            chosen("elbo", "iddpm-cosine", "fm-ot", "sd3"),
            base=base,
            ax=ax,
            outside=False if ax is row[-1] else None,
            title=f"base {base}",
        )
        ax.set(ylim=(-5, 5), xlabel="log-SNR λ")
    return row[0]


@figure(
    "loss-density",
    "What the loss really spends where, for N(0, I) data: w(λ)·E‖ε̂ − ε‖², shares below log-SNR 0",
)
def loss_density() -> Axes:
    left, right = plots.axes(10.5, 4.2, columns=2, legend=2.5)
    some = chosen("elbo", "fm-ot", "iddpm-cosine", "edm", "sd3", "sd3-cosmap")
    w = {name: o.weighting(WIDE) for name, o in some.items()}
    plots.weighting_curves(
        WIDE, w, scale="unit area", ax=left, outside=None, title="weighting alone (ε base)"
    )
    spent = {name: analysis.loss_density(o, WIDE) for name, o in some.items()}
    plots.weighting_curves(WIDE, spent, scale="unit area", ax=right, title="loss density w·mmse")
    right.set_ylabel("share of the loss per nat (base-free)")
    if legend := right.get_legend():
        legend.set_title("share below 0: w / loss")
        for text, (name, o) in zip(legend.get_texts(), some.items(), strict=True):
            spent_below = analysis.share_below(o, mmse=analysis.gaussian_mmse)
            text.set_text(f"{name}  {analysis.share_below(o):.3f} / {spent_below:.3f}")
    return left


@figure(
    "heuristics",
    "Heuristic multipliers on one footing: each on the eps error with the cosine schedule, anchored",
)
def heuristics() -> Axes:
    base, sigma = CATALOGUE["iddpm-cosine"].weighting(WIDE), expit(-WIDE / 2)
    on_eps = {
        "constant": multipliers.constant(WIDE), "SNR": multipliers.snr(WIDE), "truncated SNR on x": multipliers.truncated_snr(WIDE) * np.exp(-WIDE),
        "SNR + 1 on x": multipliers.snr_plus_one(WIDE) * np.exp(-WIDE), "Min-SNR-5": multipliers.min_snr(5)(WIDE),
        "max-SNR-5 (the bug)": np.maximum(1, 5 * np.exp(-WIDE)), "soft-Min-SNR-4": multipliers.soft_min_snr(4)(WIDE), "P2": multipliers.p2()(WIDE),
        "debiased": multipliers.debiased()(WIDE), "sigmoid(2 − λ)": expit(2 - WIDE) / base, "Laplace(0, 2)": stats.laplace.pdf(WIDE, 0, 2) / base,
        "Cauchy(0, 2)": stats.cauchy.pdf(WIDE, 0, 2) / base, "CosMap": multipliers.cosmap(WIDE), "sigma_sqrt": sigma**-2.0,
        "bell": multipliers.bell(WIDE),
    }  # fmt: skip
    left, right = plots.axes(11, 4.8, columns=2)
    names = list(on_eps)
    for ax, part in ((left, names[:8]), (right, names[8:])):
        curves = {name: on_eps[name] * base for name in part}
        plots.weighting_curves(WIDE, curves, ax=ax, outside=False)
        ax.set_ylim(-6, 6)
    return left


@figure(
    "monotone", "Which classics are ELBOs with noise augmentation: −dw/dλ, its negative part shaded"
)
def monotone() -> Axes:
    row = plots.axes(12, 5.4, columns=5, rows=2)
    for ax, name in zip(row, (*CLASSICS, "edm-monotonic"), strict=True):
        v = analysis.verdict(CATALOGUE[name], WIDE)
        scaled = v.augmentation / max(
            np.abs(v.augmentation).max(), 1e-9 * v.w.max()
        )  # rounding noise of a flat w stays flat
        share = analysis.verdict(CATALOGUE[name]).negative_share
        ax.plot(WIDE, scaled, color=plots.colour(name), lw=2, gid=name)
        ax.fill_between(
            WIDE,
            np.minimum(scaled, 0),
            0,
            color="#CC3311",
            alpha=0.35,
            lw=0,
            gid=f"{name}:negative",
        )
        ax.axhline(0, color="0.4", lw=0.8)
        ax.set_title(
            f"{name}: " + ("monotone" if v.monotone else f"negative {share:.2%}"), fontsize=10
        )
        ax.set_ylim(-1.1, 1.1)
    row[0].figure.supxlabel("log-SNR λ", fontsize=10)
    row[0].set_ylabel("−dw/dλ, scaled")
    row[5].set_ylabel("−dw/dλ, scaled")
    return row[0]


@figure("edm-monotonic", "EDM made monotone: held at its peak value left of log-SNR −3.308")
def edm_monotonic() -> Axes:
    ax = plots.weighting_curves(
        WIDE, chosen("edm", "edm-monotonic"), scale="w / max", outside=False
    )
    peak = analysis.verdict(CATALOGUE["edm"]).peak
    ax.axvline(peak, color="0.4", lw=1, ls=":", gid="peak")
    ax.annotate(
        f"peak −{-peak:.3f}",
        (peak, 1.02),
        ha="left",
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
    )
    return ax


@figure(
    "historical-bugs",
    "Wrong weightings beside what was meant: three that were released, and a default left in place",
)
def historical_bugs() -> Axes:
    row = plots.axes(9.5, 7, columns=2, rows=2)
    for ax, (title, pair) in zip(row, bugs().items(), strict=True):
        plots.weighting_curves(WIDE, pair, ax=ax, outside=False, title=title)
        ax.set(ylim=(-5, 5), xlabel="log-SNR λ")
    return row[0]
