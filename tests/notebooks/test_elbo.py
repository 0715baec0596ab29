"""Every number in the prose of notebook 5 is computed here again, and looked for in the text."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.data import files
from diffviz.lab.experiments.elbo import known

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_elbo.ipynb"
CELLS = nbformat.read(NOTEBOOK, 4).cells
PROSE = re.sub(
    r"\s+", " ", " ".join(c.source for c in CELLS if c.cell_type == "markdown").replace("−", "-")
)
PRINTED = "\n".join(
    o.text for c in CELLS if c.cell_type == "code" for o in c.outputs if "text" in o
)
TESTED = ("fm-ot", "edm", "edm-monotonic", "iddpm-cosine", "min-snr-5-eps", "elbo")


def seed(n):
    return torch.Generator().manual_seed(n)


def shares(name):
    return [
        100 * dv.verdict(dv.objective(name), information=known(toy).information).negative_share
        for toy in ("gaussian", "gmm1", "ring8")
    ]


def test_a_coarse_stack_costs_what_it_says():
    at = {
        n: dv.elbo(
            dv.toy("gaussian"), torch.ones(1, 1), levels=n, finite=True, exact=True
        ).diffusion.item()
        for n in (10, 100, 1000)
    }
    assert (
        f"{at[10]:.4f} nats with ten layers, {at[100]:.4f} with a hundred, {at[1000]:.4f} with a thousand"
        in PROSE
    )
    assert 1000 * (at[1000] - 5) == pytest.approx(45, rel=0.01) and "falls as 45/T" in PROSE


def test_the_terms_of_the_ring_are_as_told():
    ring, toy = known("ring8"), dv.toy("ring8")
    assert f"entropy {toy.entropy():.4f} nats" in PROSE
    gap = sum(ring.terms(-10.0, 10.0)) - ring.entropy
    assert f"that is {gap:.4f} nats" in PROSE
    energy = toy.score(toy.sample(4000, seed(0)), 40.0).square().sum(1)
    assert abs(energy.mean() - 200) < 4 * energy.std() / 4000**0.5 and "here 200" in PROSE
    prior = float(ring.terms(-10.0, 10.0)[0] - ring.information(-10.0))
    assert 0 < prior < gap / 1e6 and "more than a million times smaller" in PROSE
    vdm, plain = (ring.terms(*ends) for ends in ((-5.0, 13.3), (-10.0, 10.0)))
    assert vdm[0] > plain[0] and sum(vdm) < sum(plain)


def test_one_x_beats_the_bound_as_told():
    toy, x = dv.toy("gaussian"), torch.full((1, 1), 2.0)
    bound, exact = dv.elbo(toy, x, levels=10, exact=True).nats.item(), 2 + np.log(2 * np.pi) / 2
    assert f"{bound:.7f} against {exact:.7f}" in PROSE and bound < exact


def test_routes_agree_within_0_005_nats_and_a_tenth_of_a_nat_takes_500_probes():
    found = [
        dv.log_likelihood(
            dv.toy("gmm2d"), torch.zeros(3000, 2), steps=24, probes=1, gaussian=g, generator=seed(4)
        )[0].std()
        for g in (False, True)
    ]
    assert (
        f"leaves {found[0]:.1f} nats" in PROSE
        and found[1].item() == pytest.approx(9.9, rel=0.05)
        and "a Gaussian one 9.9" in PROSE
    )
    assert (found[0].item() / 0.1) ** 2 == pytest.approx(
        500, rel=0.08
    ) and "some 500 probes" in PROSE
    toy, x = dv.toy("gmm1"), torch.linspace(-2.5, 1.2, 112, dtype=torch.float64)[:, None]
    routes = dv.elbo(toy, x, levels=10, exact=True).nats, -dv.log_likelihood(toy, x)[0]
    off = [(one + toy.log_prob(x)).abs().max().item() for one in routes]
    assert max(off) == pytest.approx(0.0126, abs=2e-4) and "at most 0.013 nats" in PROSE
    rows = re.findall(
        r"(\w+) +exact ([\d.]+) \| −ELBO ([\d.]+) \| ODE, trace ([\d.]+) \| ODE, 4 probes ([\d.]+)",
        PRINTED,
    )
    assert [row[0] for row in rows] == ["gmm1", "gmm2d", "ring8"]
    for name, *numbers in rows:
        exact, bound, ode, probes = map(float, numbers)
        assert exact == pytest.approx(dv.toy(name).entropy(), abs=6e-5)
        assert bound == pytest.approx(float(sum(known(name).terms(-10.0, 10.0))), abs=6e-5)
        assert (
            max(abs(bound - exact), abs(ode - exact)) < 0.005
            and "within 0.005 nats of the truth" in PROSE
        )
        assert abs(probes - ode) < 4 * 2.5 / (4 * 300) ** 0.5


def test_bits_of_images_are_as_told():
    images = files.load("fashion")["images"]
    pixels = (images + np.random.default_rng(0).random(images.shape)) / 128 - 1
    memory = dv.dataset(pixels[:4000], bandwidth=0.3, unit=False)
    held, new = (
        -memory.log_prob(x).mean().item() / 196 / np.log(2) + 7
        for x in (pixels[:12], pixels[4500:4512])
    )
    assert (
        abs(held - 5.75) < 0.05
        and abs(new - 7.5) < 0.05
        and "About 5.75 bits for what it holds and 7.5 for new" in PROSE
    )
    for bound, exact in re.findall(r"ELBO ([\d.]+), exact ([\d.]+) bits", PRINTED):
        assert abs(float(bound) - float(exact)) < 0.035 and "agree to 0.03 bits" in PROSE
    assert f"about {(3 - np.log2(127.5)) * 3072 * np.log(2):,.0f} nats" in PROSE


def test_negative_shares_are_as_told():
    edm, sd3, cosine, snr = map(shares, ("edm", "sd3", "iddpm-cosine", "min-snr-5-eps"))
    assert f"{min(edm + sd3):.2f} to {max(edm + sd3):.2f} % for EDM and SD3" in PROSE
    assert f"{min(cosine):.2f} to {max(cosine):.2f} % for ε with the cosine schedule" in PROSE
    assert f"{min(snr):.2f} to {max(snr):.2f} % for Min-SNR-5" in PROSE and shares("fm-ot") == [
        0,
        0,
        0,
    ]
    assert f"the negative part is {edm[1]:.2f} % of the rest" in PROSE
    every = np.array([dv.verdict(o).negative_share for o in dv.catalogue.values()])
    counts = [
        (every == 0).sum(),
        ((every > 0) & (every < 0.01)).sum(),
        ((every >= 0.01) & (every < 0.1)).sum(),
        (every >= 0.1).sum(),
    ]
    assert (
        "{} recipes {} are monotone, {} stay below 1 % on N(0, 1), {} lie between 1 and 10 %, and {} above".format(
            len(every), *counts
        )
        in PROSE
    )
    assert (
        f"`laplace-eps` ({100 * dv.verdict(dv.objective('laplace-eps')).negative_share:.1f} %)"
        in PROSE
    )
    assert f"`sd3-mode-1.75`, with {100 * every.max():.1f} %" in PROSE


def test_trained_networks_lose_what_the_table_says():
    """Trained again with one of the three seeds; the words about the rows are held against the printed table."""
    table = {
        name: list(map(float, row.split()))
        for name, row in re.findall(r"^([\w-]+) +((?:\d\.\d{4} *){3})$", PRINTED, re.M)
    }
    assert set(table) == set(TESTED)
    toy = dv.toy("gmm2d", unit=True)
    new = toy.sample(2000, seed(5))
    exact = dv.elbo(toy, new, generator=seed(1)).nats
    runs = dv.fit(TESTED, toy.sample(20_000, seed(0)), steps=800, seed=0, progress=False)
    for run in runs:
        lost = (dv.elbo(run, new, generator=seed(1)).nats - exact).mean().item()
        assert lost == pytest.approx(table[run.name][0], rel=0.15, abs=0.002)
    ode = toy.log_prob(new) - dv.log_likelihood(runs[0], new, low=-10, steps=40)[0]
    assert abs(
        ode.mean() - table["fm-ot"][0]
    ) < 4 * ode.std() / 2000**0.5 and ode.mean().item() == pytest.approx(0.02, abs=0.008)
    assert f"entropy of {toy.entropy():.4f}" in PROSE and "about 0.02 nats above" in PROSE
    spans = {name: f"{min(row):.4f} to {max(row):.4f}" for name, row in table.items()}
    assert f"EDM loses {spans['edm-monotonic']} nats; as published {spans['edm']}" in PROSE
    mean = {name: np.mean(row) for name, row in table.items()}
    assert min(mean, key=mean.get) == "iddpm-cosine" and max(mean, key=mean.get) == "min-snr-5-eps"
    near = sorted(mean.values())[:4]
    assert near[3] - near[0] < max(np.ptp(table[name]) for name in ("fm-ot", "edm", "iddpm-cosine"))
    assert "by less than seeds differ" in PROSE
    assert (
        4 < mean["elbo"] / mean["fm-ot"] < 5.5
        and "more than four times as much as flow matching" in PROSE
    )
