"""Every number in the prose of notebook 5 is computed here again, and looked for in the text."""

import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from notebook_prose import NOTEBOOKS, assert_says, printed
from scipy import stats
from scipy.special import expit

import diffviz as dv
from diffviz.data import files
from diffviz.data.toys import Toy
from diffviz.lab.exercises import check
from diffviz.lab.experiments import bounds
from diffviz.lab.experiments.elbo import known
from diffviz.lab.experiments.weighting import drawn_objective
from diffviz.sampling.likelihood import Bound

pytestmark = pytest.mark.slow

NOTEBOOK = "05_elbo"
TESTED = ("fm-ot", "edm", "edm-monotonic", "iddpm-cosine", "min-snr-5-eps", "elbo")


@pytest.fixture(scope="module")
def output():
    return printed(NOTEBOOK)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def negative_percents(name):
    """Negative share of an objective on three toys, in percent."""
    return [
        100 * dv.verdict(dv.objective(name), information=known(toy).information).negative_share
        for toy in ("gaussian", "gmm1", "ring8")
    ]


def layered(levels):
    """Nats of a stack of that many layers on a point of N(0, 1)."""
    bound = dv.elbo(dv.toy("gaussian"), torch.ones(1, 1), levels=levels, finite=True, exact=True)
    return bound.diffusion.item()


def test_a_coarse_stack_costs_what_it_says(text, output):
    ten, hundred, thousand = (layered(levels) for levels in (10, 100, 1000))
    assert_says(
        text,
        f"{ten:.1f} nats with ten layers",
        "falls as 45/T",
        r"\cdot\frac{20}T\cdot 10 = \frac{50}T",
        "which gives 5/T back",
    )
    for layers, nats in {10: ten, 100: hundred, 1000: thousand}.items():
        assert re.search(rf"^ *{layers} layers: diffusion term +{nats:.4f} nats$", output, re.M)
    assert 1000 * (thousand - 5) == pytest.approx(45, rel=0.01)
    edges = np.linspace(-10, 10, 1001)
    step, noisier = edges[1] - edges[0], expit(edges[:-1])  # the exact error of N(0, 1) is alpha²
    too_long = (np.expm1(step) - step) * noisier.sum() / 2
    assert 1000 * too_long == pytest.approx(50, rel=0.01)
    assert 1000 * (step * noisier.sum() / 2 - 5) == pytest.approx(-5, rel=0.01)
    assert step / 4 == pytest.approx(5 / 1000)
    assert_says(text, "falls short of the integral by ¼ Δλ")


def test_the_terms_of_the_ring_are_as_told(text):
    ring, toy = known("ring8"), dv.toy("ring8")
    gap = sum(ring.terms(-10.0, 10.0)) - ring.entropy
    assert_says(
        text,
        f"entropy {toy.entropy():.4f} nats",
        rf"e^{{-10}}\cdot 200 = {gap:.4f}\ \text{{nats}}",
        "which is 200",
    )
    energy = toy.score(toy.sample(4000, generator(0)), 40.0).square().sum(1)
    assert abs(energy.mean() - 200) < 4 * energy.std() / 4000**0.5
    prior_gap = float(ring.terms(-10.0, 10.0)[0] - ring.information(-10.0))
    assert 0 < prior_gap < gap / 1e6
    assert_says(text, "more than a million times smaller")
    grown = {end: ring.terms(-10.0, end + 0.5)[1] - ring.terms(-10.0, end)[1] for end in (3.0, 8.0)}
    assert grown[3.0] < 0.25 and 0.48 < grown[8.0] < 0.5
    assert_says(text, r"$\lambda_{\max} \approx 8$ on the diffusion term grows by almost as much")
    assert sum(ring.terms(-10.0, 4.0)) - ring.entropy < 0.6 * 100 * np.exp(-4)
    assert_says(text, "At its left end the gap is smaller")
    vdm, plain = ring.terms(-5.0, 13.3), ring.terms(-10.0, 10.0)
    assert vdm[0] > plain[0]
    assert_says(text, f"on the ring its gap is {sum(vdm) - ring.entropy:.5f} nats")
    assert sum(vdm) < sum(plain)


def stack(low, high, layers):
    """Nats that a stack loses on the ring over its entropy, at its ends and by its steps.

    From entropies of z at both ends, and the errors at the noisier ends of the layers.
    """
    toy, ring = dv.toy("ring8"), known("ring8")
    edges = np.linspace(low, high, layers + 1)
    layered = np.expm1(edges[1] - edges[0]) / 2 * ring.mmse(edges[:-1]).sum()
    at_data = toy.entropy(high) - np.log(expit(high)) - toy.entropy()
    squared = toy.law.means.square().sum(1).mean().item() + 2 * 0.1**2
    prior = (2 * (expit(-low) - 1 - np.log(expit(-low))) + expit(low) * squared) / 2
    info = toy.entropy(low) - np.log(2 * np.pi * np.e * expit(-low))
    by_steps = layered - (ring.information(high) - ring.information(low))
    return prior, prior - info, by_steps, at_data


def test_what_a_stack_loses_is_as_told(text):
    for layers, is_less in ((245, False), (265, True)):
        _, _, by_steps, at_data = stack(-5.0, 7.0, layers)
        assert (by_steps < at_data) == is_less
    _, _, by_steps, at_data = stack(-5.0, 10.0, 2048)
    assert by_steps > at_data == pytest.approx(0.0045, abs=5e-5)
    prior, lost, *_ = stack(-3.0, 7.0, 32)
    assert (prior, lost) == (pytest.approx(0.0965, abs=5e-4), pytest.approx(0.0011, abs=4e-4))
    below, near, above, far = (sum(stack(-5.0, end, 100)[2:]) for end in (6.5, 7.0, 8.0, 20.0))
    assert near < min(below, above)
    assert near == pytest.approx(0.31, abs=5e-3)
    assert far == pytest.approx(2.24, abs=5e-3)
    assert_says(
        text,
        "it takes about 250 layers until the steps lose less",
        "the data end loses so little, 0.0045 nats, that 2,048 layers are not enough",
        "The prior term is 0.0965 nats, and 0.0011 of them are lost",
        r"loses least near $\lambda_{\max} = 7$, where it is 0.31 nats",
        r"At $\lambda_{\max} = 20$ it is 2.24",
    )


def test_one_x_beats_the_bound_as_told(text):
    bound = dv.elbo(dv.toy("gaussian"), torch.full((1, 1), 2.0), levels=10, exact=True).nats.item()
    exact = 2 + np.log(2 * np.pi) / 2
    assert bound < exact
    assert_says(text, f"{bound:.6f} against {exact:.6f}")
    noise = np.exp(-10.0)
    own = (np.log1p(2 * noise) - 2 * noise / (1 + 2 * noise)) / 2  # KL of N(0, 1) to the smoothed
    assert 0 < own < np.log1p(noise) / 2 / 1000  # the gap on average
    assert own == pytest.approx(noise**2, rel=1e-3)
    gap = np.log1p(noise) / 2
    assert gap == pytest.approx(noise / 2, rel=1e-3)
    assert_says(
        text,
        r"by the gap of the last section: half of $e^{-\lambda_{\max}}$ here",
        r"log of the smoothed density exceeds the entropy by about $e^{-2\lambda_{\max}}$ only",
    )


def test_the_difference_changes_its_sign_at_the_root_of_two(text):
    x = torch.tensor([[0.0], [1.0], [2.0**0.5], [2.0]], dtype=torch.float64)
    bound = dv.elbo(dv.toy("gaussian"), x, levels=10, exact=True).nats.numpy()
    off = bound - (x[:, 0].numpy() ** 2 + np.log(2 * np.pi)) / 2
    noise = np.exp(-10.0)
    assert off / noise == pytest.approx([1.0, 0.5, 0.0, -1.0], abs=0.01)
    assert_says(
        text,
        r"the difference on N(0, 1) is $e^{-\lambda_{\max}}(1 - x^2/2)$",
        r"changes its sign at $|x| = \sqrt2$",
    )


def test_the_ring_has_less_to_learn_once_its_cluster_is_known(text):
    ring, wide = dv.toy("ring8"), dv.toy("ring8").law
    levels = np.array([-5.0, 3.0])
    variance = (wide.means.var(0, correction=0) + wide.std.max() ** 2).numpy()
    gauss = (variance[:, None] / (variance[:, None] + np.exp(-levels))).sum(0)
    assert variance == pytest.approx(2.0, abs=0.02)
    early, late = ring.mmse(levels) / gauss
    assert 0.97 < early <= 1.001
    assert late < 0.5
    assert_says(text, "Once the cluster is known, the ring has less left to learn")


def probe_spread(gaussian):
    """Standard deviation of an estimate of log p of gmm2d at 0 with one probe."""
    estimates = dv.log_likelihood(
        dv.toy("gmm2d"),
        torch.zeros(3000, 2),
        steps=24,
        probes=1,
        gaussian=gaussian,
        generator=generator(4),
    )[0]
    return estimates.std().item()


def test_a_tenth_of_a_nat_takes_500_probes(text):
    signs = probe_spread(gaussian=False)
    assert probe_spread(gaussian=True) == pytest.approx(9.9, rel=0.05)
    assert (signs / 0.1) ** 2 == pytest.approx(500, rel=0.08)
    assert_says(text, f"leaves {signs:.1f} nats", "a Gaussian one 9.9", "some 500 probes")


def test_routes_differ_by_thousandths_of_a_nat(text):
    toy, x = dv.toy("gmm1"), torch.linspace(-2.5, 1.2, 112, dtype=torch.float64)[:, None]
    routes = (dv.elbo(toy, x, levels=10, exact=True).nats, -dv.log_likelihood(toy, x)[0])
    off = [(route + toy.log_prob(x)).abs().max().item() for route in routes]
    assert max(off) == pytest.approx(0.0126, abs=2e-4)
    above = [(route + toy.log_prob(x)).max().item() for route in routes]
    assert min(above) > 0.0005 and 0.001 < max(above) < 0.002
    assert_says(text, "at most 0.013 nats below the exact value, and at most 0.002 above it")
    gaps = [(route + toy.log_prob(x)).abs().numpy() for route in routes]
    log_density = toy.log_prob(x).numpy()
    bend = abs(np.diff(log_density, 2))
    assert all(abs(gap.argmax() - bend.argmax() - 1) <= 3 for gap in gaps)
    assert -1.5 < x[bend.argmax() + 1] < 0.5
    assert_says(text, "between the two modes, where $\\log p_{\\mathrm{data}}$ bends most")
    parts = zip(toy.law.weights.tolist(), toy.law.means[:, 0].tolist(), strict=True)
    width = np.sqrt(np.asarray(toy.law.std, dtype=float) ** 2 + np.exp(-10))
    density = sum(
        share * stats.norm.pdf(x[:, 0].numpy(), mean, std)
        for (share, mean), std in zip(parts, np.broadcast_to(width, 2), strict=True)
    )
    off_by_smoothing = -np.log(density) + log_density
    assert abs(off_by_smoothing).max() == pytest.approx(0.007, abs=5e-4)
    left = routes[1].numpy() + np.log(density)  # by the steps of the solver and the other end
    assert abs(left).max() < 0.15 * abs(off_by_smoothing).max()
    dip = bend.argmax() + 1
    assert gaps[0][dip] > gaps[1][dip]
    assert_says(
        text,
        "is $p_{\\mathrm{data}}$ smoothed by $e^{-10}$. "
        "That alone makes up to 0.007 nats, which is nearly all",
        "Between the modes the ELBO's is larger",
    )


def test_the_displayed_flow_keeps_the_law_of_z(text):
    """∂p/∂λ = −∂(p dz/dλ)/∂z, by central differences on gmm1."""
    assert_says(text, r"\tfrac12\left(\sigma^2 z - \sigma\,\hat\varepsilon(z, \lambda)\right)")
    toy, step = dv.toy("gmm1"), 1e-4
    z = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)[:, None]
    for level in (-2.0, 0.5, 3.0):

        def moved(places, level=level):
            """Density times velocity; the exact noise is −sigma times the score."""
            sigma = expit(-level) ** 0.5
            noise = -sigma * toy.score(places, level)[:, 0]
            velocity = (sigma**2 * places[:, 0] - sigma * noise) / 2
            return toy.log_prob(places, level).exp() * velocity

        after, before = (toy.log_prob(z, level + one).exp() for one in (step, -step))
        change = (after - before) / (2 * step)
        outflow = (moved(z + step) - moved(z - step)) / (2 * step)
        torch.testing.assert_close(change, -outflow, atol=2e-6, rtol=0)


def test_the_table_of_routes_agrees_within_0_005_nats(text, output):
    number = r"([\d.]+)"
    pattern = (
        rf"(\w+) +exact {number} \| −ELBO {number} "
        rf"\| ODE, trace {number} \| ODE, 4 probes {number} ± {number}"
    )
    rows = re.findall(pattern, output)
    assert [name for name, *_ in rows] == ["gmm1", "gmm2d", "ring8"]
    for name, *numbers in rows:
        exact, bound, ode, probes, stderr = map(float, numbers)
        assert exact == pytest.approx(dv.toy(name).entropy(), abs=6e-5)
        assert bound == pytest.approx(float(sum(known(name).terms(-10.0, 10.0))), abs=6e-5)
        assert max(abs(bound - exact), abs(ode - exact)) < 0.005
        assert abs(probes - ode) < 4 * 2.5 / (4 * 300) ** 0.5
        assert abs(probes - exact) < 3 * stderr + 2e-4
    assert_says(text, "within 0.005 nats of the truth")


def test_bits_of_images_are_as_told(text, output):
    images = files.load("fashion")["images"]
    pixels = (images + np.random.default_rng(0).random(images.shape)) / 128 - 1
    memory = dv.dataset(pixels[:4000], bandwidth=0.3, unit=False)
    held, new = (
        -memory.log_prob(x).mean().item() / 196 / np.log(2) + 7
        for x in (pixels[:12], pixels[4500:4512])
    )
    assert held == pytest.approx(5.75, abs=0.05)
    assert new == pytest.approx(7.5, abs=0.05)
    assert_says(text, "About 5.75 bits for what it holds and 7.5 for new")
    for bound, exact in re.findall(r"ELBO ([\d.]+), exact ([\d.]+) bits", output):
        assert abs(float(bound) - float(exact)) < 0.035
    differences = re.findall(r"difference (-?[\d.]+) ± ([\d.]+)$", output, re.M)
    assert len(differences) == 2
    assert all(-float(stderr) < float(off) < 0 for off, stderr in differences)
    assert_says(text, "seems to lie below the exact value, but the difference is within its error")
    assert_says(text, f"about {(3 - np.log2(127.5)) * 3072 * np.log(2):,.0f} nats")


def test_negative_shares_are_as_told(text, output):
    rows = re.findall(r"^([\w-]+) +([\d.]+)% +([\d.]+)% +([\d.]+)%$", output, re.M)
    table = {name: [float(share) for share in shares] for name, *shares in rows}
    assert list(table) == ["fm-ot", "edm", "sd3", "ddpm-linear", "iddpm-cosine", "min-snr-5-eps"]
    for name, shares in table.items():
        assert shares == pytest.approx(negative_percents(name), abs=0.006)
        if name == "fm-ot":
            assert shares == [0, 0, 0]
        else:
            assert shares == sorted(set(shares))
    laplace = 100 * dv.verdict(dv.objective("laplace-eps")).negative_share
    assert_says(
        text,
        "Flow matching is monotone and has none",
        f"EDM has {table['edm'][1]:.2f} % on `gmm1` and {table['edm'][2]:.2f} % on `ring8`",
        "On these data the share of each row grows from left to right",
        f"`laplace-eps` ({laplace:.1f} %)",
    )


def test_the_share_grows_with_the_width_and_with_narrow_clusters_as_told(text):
    """Of N(0, c), by its own information ½ log(1 + c e^λ)."""
    curves = {
        c: lambda level, c=c: np.log1p(c * np.exp(level)) / 2 for c in (0.01, 1.0, 2.0, 4.0, 100.0)
    }
    curves["ring8"] = known("ring8").information
    percents = {
        name: 100 * dv.verdict(dv.objective("edm"), information=curve).negative_share
        for name, curve in curves.items()
    }
    by_width = [percents[c] for c in (0.01, 1.0, 2.0, 4.0, 100.0)]
    assert by_width == sorted(by_width)
    assert percents["ring8"] > percents[2.0]
    points = dv.toy("ring8").law.means
    assert (points.square().mean(0) + 0.1**2).numpy() == pytest.approx([2.0, 2.0], abs=0.02)
    for level in (-3.0, 0.0):  # what is learned there, over what is learned at 10
        early = {
            name: curve(np.array(level)) / curve(np.array(10.0)) for name, curve in curves.items()
        }
        assert early[1.0] < early[2.0] < min(early[4.0], early["ring8"])
    assert_says(
        text,
        f"EDM has {percents[1.0]:.2f} % on N(0, 1), and {percents[4.0]:.2f} % on N(0, 4)",
        f"On it EDM has {percents[2.0]:.2f} %, and on the ring more",
    )
    for c in (1.0, 2.0, 4.0):
        assert f"edm on N(0, {c:g}): {percents[c]:.2f}%" in printed(NOTEBOOK)
    default = dv.verdict(dv.objective("edm")).logsnr
    assert (default[0], default[-1]) == pytest.approx((-20, 20))
    assert_says(text, "Here $\\lambda$ goes from -20 to 20")


def test_the_term_at_the_noise_end_is_small_as_told(text):
    """w L at λ_min = −10 against the whole loss, where L is the prior term."""
    grid = np.linspace(-10, 10, 4001)
    for name in TESTED:
        w = dv.objective(name).weighting(grid)
        for toy in ("gmm1", "ring8"):
            loss = np.trapezoid(w * known(toy).mmse(grid), grid) / 2
            assert w[0] * known(toy).terms(-10.0, 10.0)[0] < 0.005 * loss
    assert_says(text, "There $L$ is the prior term alone, which is almost 0")


def test_the_sum_of_the_terms_is_the_entropy_of_noised_data_as_told(text):
    """Of x + s ε, which is z over its scale; by the entropy of the toy's own density."""
    ring, toy = known("ring8"), dv.toy("ring8")
    for end in (2.0, 6.0, 10.0):
        noised = toy.entropy(end) - np.log(expit(end))
        assert sum(ring.terms(-10.0, end)) == pytest.approx(noised, abs=2e-4)
    assert_says(text, r"I(x; z_{\lambda_{\max}}) + H(s\,\varepsilon) = H(x + s\,\varepsilon)")


def test_losses_on_the_ring_are_those_of_both_columns(text, output):
    """By errors with sums over a fine grid; by ELBOs with entropies of z at coarse levels."""
    row = r"^([\w-]+) +ring8: from errors ([\d.]+), from ELBOs ([\d.]+)$"
    rows = re.findall(row, output, re.M)
    assert len(rows) == 5
    ring, toy, grid = known("ring8"), dv.toy("ring8"), np.linspace(-20, 20, 40_001)
    coarse = grid[::250]
    noise = np.log(2 * np.pi * np.e * expit(-coarse))  # entropy of two dimensions
    bound = np.array([toy.entropy(level) for level in coarse]) - noise
    for name, errors, elbos in rows:
        assert errors == elbos  # to six digits
        w = dv.objective(name).weighting(grid)
        by_errors = np.trapezoid(w * ring.mmse(grid), grid) / 2
        assert by_errors == pytest.approx(float(errors), rel=1e-3)
        held = np.interp(grid, coarse, bound)
        by_elbos = w[-1] * held[-1] - w[0] * held[0] - np.trapezoid(held, w)
        assert by_elbos == pytest.approx(float(elbos), rel=2e-3)
    assert_says(
        text,
        "The two columns agree to six digits",
        "By errors it needs the denoiser and no entropy",
        "it needs the entropy of $z$, less that of the noise in it, and no denoiser",
    )


def test_minus_elbo_bounds_the_smoothed_density_at_every_x_as_told(text):
    """On N(0, 1) with a coarse data end, where the smoothing is strong."""
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)[:, None]
    bound = dv.elbo(dv.toy("gaussian"), x, low=-16, high=2, levels=18, exact=True).nats.numpy()
    variance = 1 + 2 * np.exp(-2.0)
    smoothed = -stats.norm.logpdf(x[:, 0].numpy(), scale=variance**0.5)
    exact = -stats.norm.logpdf(x[:, 0].numpy())
    assert (bound > smoothed).all() and (bound < exact).any()
    assert_says(
        text,
        "$p_{\\mathrm{stack}}$ is therefore $p_{\\mathrm{data}}$ smoothed by",
        "For $p_{\\mathrm{stack}}$ $-\\mathrm{ELBO}(x)$ is a bound at every $x$",
    )


def test_noised_data_have_the_elbo_that_the_text_writes(text):
    """−ELBO of z is L plus the entropy of the noise: with the exact denoiser, the entropy of z."""
    toy, ring = dv.toy("ring8"), known("ring8")
    for level in (-2.0, 1.0, 4.0):
        noise = np.log(2 * np.pi * np.e * expit(-level))
        assert ring.information(level) + noise == pytest.approx(toy.entropy(level), abs=1e-6)
    assert_says(
        text,
        r"\mathrm{KL}\big(q(z_{\lambda_{\min}:\lambda} \mid x)\,\Vert\,",
        r"= L(\lambda; x) + H\big(q(z_\lambda \mid x)\big) .",
    )


def test_drawn_weightings_have_the_shares_that_are_told(text):
    def share(*points):
        return dv.verdict(drawn_objective(points)).negative_share

    there = share((-6, -2), (0, 0), (6, -2))
    assert_says(text, f"The peak at λ = 0 that stands there has {100 * there:.1f} % negative")
    assert share((-0.5, -2), (0, 0), (0.5, -2)) > 0.5
    assert share((-11, -2), (-8, 0), (10, -2)) < 0.001
    assert_says(
        text,
        "To get beyond a half, draw it narrow",
        "A peak that is far to the noise side has nearly nothing negative",
    )


def test_the_triangle_has_the_share_of_its_solution(text, capsys):
    level = np.linspace(-2, 2, 40_001)
    share = dv.verdict(1 - abs(level) / 2, logsnr=level).negative_share
    left = np.trapezoid(np.log1p(np.exp(level[:20_001])) / 2, level[:20_001])
    assert share == pytest.approx(left / (1 + left), rel=1e-4)
    assert_says(text, f"`answer = {share:.3f}`", f"is {left:.3f}, and the share is $A/(A + 1)$")
    check("triangle-share", round(share, 3))
    assert capsys.readouterr().out == "triangle-share: right!\n"


def test_half_of_edms_slope_is_negative_as_told(text):
    w = dv.objective("edm").weighting(np.linspace(-10, 10, 401))
    steps = -np.diff(w)
    assert 0.95 < -steps[steps < 0].sum() / steps[steps > 0].sum() < 1
    assert_says(text, "The red area is nearly as large as what is positive of EDM's curve")


def test_the_catalogue_is_counted_by_negative_share(text):
    shares = np.array([dv.verdict(entry).negative_share for entry in dv.catalogue.values()])
    none, below_1 = (shares == 0).sum(), ((shares > 0) & (shares < 0.01)).sum()
    to_10, above = ((shares >= 0.01) & (shares < 0.1)).sum(), (shares >= 0.1).sum()
    assert_says(
        text,
        f"the catalogue's {len(shares)} recipes divide on N(0, 1)",
        f"| none, a sum of ELBOs | {none} | | below 1 % | {below_1} |",
        f"| 1 to 10 % | {to_10} | | above 10 % | {above} |",
        f"`sd3-mode-1.75`, with {100 * shares.max():.1f} %",
    )


def negative_of(entry, toy):
    """Negative share of a mixture on [−12, 10], by sums over the slope times L."""
    grid = np.linspace(-12, 10, 44_001)
    w, bound = entry.weighting(grid), known(toy).information(grid)
    counted = np.diff(w) * (bound[1:] + bound[:-1]) / 2
    return counted[counted > 0].sum() / (w[-1] * bound[-1] - counted[counted < 0].sum())


def test_what_the_last_explorer_shows_is_as_told(text):
    toys = ("gaussian", "gmm1", "ring8")
    before, after = (
        [negative_of(dv.families.cosine(shift), toy) for toy in toys] for shift in (1, 4)
    )
    assert all(new < old for old, new in zip(before, after, strict=True))
    spike = [negative_of(dv.families.laplace(0, 0.2), toy) for toy in toys]
    assert min(spike) > 0.7
    far = negative_of(dv.families.edm(1.0, 1.2, 0.5), "gaussian")
    grid = np.linspace(-12, 10, 44_001)
    w, error = dv.objective("edm").weighting(grid), known("gmm1").mmse(grid)
    held = np.where(grid < grid[w.argmax()], w.max(), w)
    assert_says(
        text,
        f"falls from {100 * before[1]:.1f} % to {100 * after[1]:.1f} % as the shift goes up to 4",
        f"EDM still has {100 * far:.2f} % on N(0, 1)",
        "With the scale 0.2 more than 70 % is negative on each of the three",
        f"The hold adds {100 * ((held @ error) / (w @ error) - 1):.2f} % to its loss",
    )


@pytest.fixture(scope="module")
def table(output):
    """Nats that trained networks lose, by objective and seed, as printed."""
    rows = re.findall(r"^([\w-]+) +((?:\d\.\d{4} *){3})$", output, re.M)
    return {name: [float(number) for number in row.split()] for name, row in rows}


class Retrained(NamedTuple):
    """What the notebook trains with the first of its seeds, trained again."""

    toy: Toy
    new: torch.Tensor
    ideal: Bound
    runs: list[dv.Run]
    bounds: dict[str, Bound]


@pytest.fixture(scope="module")
def retrained():
    toy = dv.toy("gmm2d", unit=True)
    new = toy.sample(2000, generator(5))
    ideal = dv.elbo(toy, new, generator=generator(1))
    runs = dv.fit(TESTED, toy.sample(20_000, generator(0)), steps=800, seed=0, progress=False)
    found = {run.name: dv.elbo(run, new, generator=generator(1)) for run in runs}
    return Retrained(toy, new, ideal, runs, found)


def test_trained_networks_lose_what_the_table_says(text, table, retrained):
    """Trained again with one of the three seeds."""
    assert set(table) == set(TESTED)
    toy, new, ideal, runs, found = retrained
    for run in runs:
        lost = (found[run.name].nats - ideal.nats).mean().item()
        assert lost == pytest.approx(table[run.name][0], rel=0.15, abs=0.002)
    ode = toy.log_prob(new) - dv.log_likelihood(runs[0], new, low=-10, steps=40)[0]
    assert abs(ode.mean() - table["fm-ot"][0]) < 4 * ode.std() / 2000**0.5
    assert ode.mean().item() == pytest.approx(0.01, abs=0.004)
    assert_says(text, "a network that loses about 0.01 nats by either route")


def test_the_losses_of_both_routes_differ_by_less_than_two_errors(text, output, retrained):
    """Point by point; printed, and trained again."""
    toy, new, ideal, runs, found = retrained
    ode = toy.log_prob(new) - dv.log_likelihood(runs[0], new, low=-10, steps=40)[0]
    difference = found["fm-ot"].nats - ideal.nats - ode
    stderr = difference.std() / 2000**0.5
    assert abs(difference.mean()) < 2.5 * stderr
    rows = re.findall(r"^(ELBO|ODE|ELBO − ODE) +lost (-?[\d.]+) ± ([\d.]+) nats$", output, re.M)
    told = {name: (float(mean), float(error)) for name, mean, error in rows}
    assert list(told) == ["ELBO", "ODE", "ELBO − ODE"]
    assert told["ELBO − ODE"][0] == pytest.approx(told["ELBO"][0] - told["ODE"][0], abs=0.0011)
    assert abs(told["ELBO − ODE"][0]) < 2 * told["ELBO − ODE"][1]
    assert told["ELBO − ODE"][1] == pytest.approx(stderr.item(), abs=0.001)
    assert_says(
        text,
        "the difference on the same 2,000 points",
        "less than two of its standard errors, so neither route is shown to lose less",
    )


def test_what_is_said_of_the_rows_holds_for_the_printed_table(text, table):
    spans = {name: f"{min(row):.4f} to {max(row):.4f}" for name, row in table.items()}
    assert_says(text, f"EDM loses {spans['edm-monotonic']} nats; as published {spans['edm']}")
    mean = {name: np.mean(row) for name, row in table.items()}
    assert max(mean, key=mean.get) == "min-snr-5-eps"
    near = sorted(mean, key=mean.get)[:4]
    assert set(near) == {"fm-ot", "edm", "edm-monotonic", "iddpm-cosine"}
    assert not dv.verdict(dv.objective("edm")).monotone
    assert not dv.verdict(dv.objective("iddpm-cosine")).monotone
    assert mean[near[3]] - mean[near[0]] < max(np.ptp(table[name]) for name in near)
    assert 4 < mean["elbo"] / mean["fm-ot"] < 5.5
    assert dv.verdict(dv.objective("elbo")).monotone
    assert not dv.verdict(dv.objective("min-snr-5-eps")).monotone
    assert sorted(mean, key=mean.get)[4:] == ["elbo", "min-snr-5-eps"]
    assert near[0] == "iddpm-cosine"
    assert max(table["iddpm-cosine"]) < min(table["edm"] + table["edm-monotonic"])
    assert max(table["edm"]) > mean["edm-monotonic"] > min(table["edm"])
    assert max(table["edm-monotonic"]) > mean["edm"] > min(table["edm-monotonic"])
    within, seeds = mean[near[3]] - mean[near[0]], np.ptp(table["edm-monotonic"])
    assert_says(
        text,
        f"The means of the four best rows lie within {within:.4f} nats, and the three seeds of "
        f"`edm-monotonic` alone within {seeds:.4f}",
        "The two are equal within their seeds",
        "its three seeds lie below all six of EDM",
    )
    assert_says(text, "more than four times as much as flow matching")


PIECES = ((-10, -3), (-3, 3), (3, 7), (7, 10))  # of λ, in nats


def lost_by_level(bound, ideal):
    """Nats that a network loses in each of ``PIECES``, from the errors of its ELBO."""
    lost = ((bound.error - ideal.error) * ideal.weight).mean(1) / 2
    level = ideal.logsnr[:, 0]
    return [lost[(level >= low) & (level < high)].sum().item() for low, high in PIECES]


def test_the_two_worst_rows_lose_where_it_is_said(text, output, retrained):
    row = r"^([\w-]+) +(-?\d\.\d{4}) +(\d\.\d{4}) +(\d\.\d{4}) +(\d\.\d{4}) +w\(0\)/w\(8\) = (\d+)$"
    rows = re.findall(row, output, re.M)
    assert [name for name, *_ in rows] == list(TESTED)
    ratios = {}
    for name, *pieces, ratio in rows:
        found = lost_by_level(retrained.bounds[name], retrained.ideal)
        assert found == pytest.approx([float(one) for one in pieces], rel=0.25, abs=0.001)
        w = dv.objective(name).weighting([0.0, 8.0])
        ratios[name] = w[0] / w[1]
        assert f"{ratios[name]:.0f}" == ratio
    worst = lost_by_level(retrained.bounds["min-snr-5-eps"], retrained.ideal)
    flat = lost_by_level(retrained.bounds["elbo"], retrained.ideal)
    assert worst[3] / sum(worst) == pytest.approx(0.75, abs=0.1)
    assert flat[1] / sum(flat) == pytest.approx(0.75, abs=0.1)
    assert max(abs(float(pieces[0])) for _, *pieces, _ in rows) < 0.0005
    others = [ratio for name, ratio in ratios.items() if name != "min-snr-5-eps"]
    assert ratios["min-snr-5-eps"] > 100 * max(others)
    assert ratios["min-snr-5-eps"] == pytest.approx(16_000, rel=0.03)
    assert_says(
        text,
        "Min-SNR-5 loses three quarters of its nats above λ = 7",
        "its weighting is 16,000 times less than in the middle",
        "more than a hundred times further down",
        "The ELBO loses three quarters between λ = −3 and 3",
        "and there every row loses next to nothing (first column)",
    )


@pytest.fixture(scope="module")
def page():
    """The page of the documentation that goes on where the notebook ends."""
    file = NOTEBOOKS.parent / "docs" / "bounds.md"
    return re.sub(r"\s+", " ", file.read_text(encoding="utf-8").replace("−", "-"))


def nats_cells(row):
    """What a row of the table of bounds says of one model."""
    noised = f"{row.noised:.4f}" if row.shape in ("flat", "falling") else "–"
    return f"{row.bound:.4f} | {row.likelihood:.4f} | {noised}"


def test_bounds_with_exact_decoders_are_as_told(page):
    tables = {model: {row.name: row for row in bounds.rows(model)} for model in bounds.MODELS}
    for table in tables.values():
        assert all(row.bound <= table["elbo"].bound for row in table.values())
        assert min(table.values(), key=lambda row: row.bound).name == "fm-ot"
        assert table["elbo"].likelihood == pytest.approx(table["elbo"].bound, abs=1e-4)
        for row in table.values():
            falls = row.shape in ("flat", "falling")
            assert np.isnan(row.noised) != falls
            assert not falls or row.noised == pytest.approx(row.bound, abs=2e-5)
    for row, other in zip(*(table.values() for table in tables.values()), strict=True):
        told = f"| {nats_cells(row)} | {nats_cells(other)} | {row.learned:.0%} |"
        assert_says(page, f"| `{row.name}` {told}")
    stretches = {
        name: dv.cascade(dv.objective(name)).stretches(0.5)
        for name in ("elbo", "sigmoid-bias2", "edm", "fm-ot")
    }
    for name, [(low, high)] in stretches.items():
        assert_says(page, f"`{name}` on [{low:.2f}, {high:.2f}]")
    [(_, halfway)] = stretches["fm-ot"]
    loose = tables["too wide"]["min-snr-5-eps"]
    assert_says(
        page,
        "Flow matching has the smallest",
        f"below λ = {halfway:.2f} only",
        f"average {loose.bound:.4f} nats for the model that is too wide, "
        f"and their models lose {loose.likelihood:.4f}",
    )


def test_networks_lose_less_by_their_own_bounds_as_told(page, retrained):
    """One of them is trained again; the bound from the errors of its ELBO."""
    rows = re.findall(r"\| `([\w-]+)` \| (0\.\d{5}) \| (0\.\d{4}) \|", page)
    assert [name for name, *_ in rows] == list(TESTED)
    assert all(float(own) < float(lost) for _, own, lost in rows[:5])
    assert float(rows[5][1]) == pytest.approx(float(rows[5][2]), abs=6e-5)
    assert_says(page, "The first five lose less", "For the ELBO the two are one number")
    names = [name for name, *_ in rows]
    owns, losts = ([float(row[k]) for row in rows] for k in (1, 2))
    capped, cosine = names.index("min-snr-5-eps"), names.index("iddpm-cosine")
    assert owns[capped] < owns[cosine]
    assert losts[capped] == max(losts)
    assert_says(page, "loses less than ε-cosine by its own bound, and most by −ELBO")
    own = owns[capped]
    w, ideal = dv.objective("min-snr-5-eps"), retrained.ideal
    theirs = retrained.bounds["min-snr-5-eps"]
    excess = ((theirs.error - ideal.error) * ideal.weight).mean(1)
    level = ideal.logsnr[:, 0].numpy()  # strata are a sixth of a nat wide
    share = w.weighting(level) / w.weighting(np.linspace(-10, 10, 20_001)).max()
    assert (share @ excess.numpy()) / 2 == pytest.approx(own, rel=0.2)
    for name, _, lost in rows:
        again = (retrained.bounds[name].nats - ideal.nats).mean().item()
        assert again == pytest.approx(float(lost), rel=0.15, abs=0.002)


def test_masked_bounds_are_as_told(page):
    chain, blurred = (bounds.masked_rows(predictor) for predictor in bounds.PREDICTORS)
    assert chain["simple"].noised == pytest.approx(chain["simple"].bound, abs=1e-12)
    elbo, simple = blurred["elbo"], blurred["simple"]
    assert dv.cascade(dv.masked_objective("simple"), low=-30).shape == "falling"
    assert_says(
        page,
        f"{elbo.bound:.4f} against {elbo.likelihood:.4f} nats",
        f"average bound of the blurred one is {simple.bound:.4f} nats. "
        f"The masked data lose {simple.noised:.4f} nats, "
        f"and the partly exact models {simple.likelihood:.4f}",
    )


def test_later_decoders_repair_as_told(page):
    found = bounds.repaired(2.0)
    assert found.partly_exact_bound < found.bound
    assert_says(
        page,
        f"those of N(0, {found.later:.3f})",
        f"from {found.divergence:.0f} to {found.partly_exact_divergence:.4f} nats",
    )
