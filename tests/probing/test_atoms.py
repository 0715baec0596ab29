"""Times that are clamped or set to one: levels that come back have a mass, and leave the curve."""

import numpy as np
import pytest
import torch
from flow_curve import off_flow_matching
from scipy import stats

import diffviz as dv
from diffviz.probing.binning import atoms_of
from diffviz.probing.measure import probe

X = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))


def flow(model, x, t, noise=None, *, tells_time=True):
    noise = torch.randn_like(x) if noise is None else noise
    level = t[:, None]
    z = (1 - level) * x + level * noise
    return ((model(z, *[t] * tells_time) - (noise - x)) ** 2).mean()


def replaced(n):
    t = torch.rand(n)
    return torch.where(t < 0.02, 0.02, t)


def often_at_the_end(n):
    return torch.where(torch.rand(n) < 0.3, 1 / 4, torch.rand(n))


TIMES = {  # times of n samples, share of the draws in the atom, and its time
    "clamped": (lambda n: torch.rand(n).clamp(0.1, 1), 0.1, 0.1),
    "clamped for most": (lambda n: torch.rand(n).clamp(min=0.6), 0.6, 0.6),
    "clamped a little": (lambda n: torch.rand(n).clamp_min(1e-3), 1e-3, 1e-3),
    "replaced": (replaced, 0.02, 0.02),
    "often at one level": (often_at_the_end, 0.3, 1 / 4),
}


@pytest.mark.parametrize("tells_time", [True, False])
@pytest.mark.parametrize("name", TIMES)
def test_an_atom_is_named_and_the_curve_beside_it_stays(name, tells_time):
    times, share, at = TIMES[name]
    measured = probe(lambda model, x: flow(model, x, times(len(x)), tells_time=tells_time), X)
    level = 2 * np.log((1 - at) / at)
    (note,) = [note for note in measured.notes if "exactly (times clamped to an end" in note]
    assert note.startswith(f"{share:.2g} of the draws are at λ = {level:.3g} exactly")
    assert not measured.exact
    assert not measured.discrete
    assert measured.kind == "u"
    assert off_flow_matching(measured) < (0.03 if name == "often at one level" else 2e-3)


def test_the_density_beside_an_atom_is_as_without_and_the_atom_is_among_the_levels():
    measured = probe(lambda model, x: flow(model, x, torch.rand(len(x)).clamp(min=0.25)), X)
    edges = np.linspace(-8, 2 * np.log(3), 20)
    exact = np.diff(stats.logistic(scale=2).cdf(edges)) / np.diff(edges)
    np.testing.assert_allclose(measured.density(edges)[0], exact, rtol=2e-3)
    logsnr, mass, _ = measured.levels()
    assert logsnr[-1] == pytest.approx(2 * np.log(3))
    assert mass[-1] == pytest.approx(0.25, abs=1e-4)
    rest = measured.without_atoms()
    assert len(rest.logsnr) == 15_000
    assert rest.without_atoms() is rest


def test_nothing_is_called_equal_beside_an_atom():
    measured = dv.probe(lambda model, x: flow(model, x, torch.rand(len(x)).clamp(0.1, 1)), X)
    assert "closest to fm-ot" in str(measured)
    assert dv.closest(measured, 1)[0].deviation < 2e-3


def test_two_ends_of_a_clamped_sigma_are_named():
    """log sigma of N(-1.2, 1.2) is clamped to [log 0.02, log 3]."""

    def loss(model, x):
        sigma = (1.2 * torch.randn(len(x)) - 1.2).exp().clamp(0.02, 3)[:, None]
        noise = torch.randn_like(x)
        return ((model(x + sigma * noise, sigma) - noise) ** 2).mean()

    measured = probe(loss, X)
    ends = np.log([0.02, 3])
    low, high = stats.norm(-1.2, 1.2).cdf(ends)
    (note,) = [note for note in measured.notes if "exactly" in note]
    assert note.startswith(
        f"{1 - high:.2g} of the draws are at λ = {-2 * ends[1]:.3g} and {low:.2g} of the draws are "
        f"at λ = {-2 * ends[0]:.3g} exactly"
    )
    edges = np.linspace(-2 * ends[1], -2 * ends[0], 30)
    exact = np.diff(stats.norm(2.4, 2.4).cdf(edges)) / np.diff(edges)
    np.testing.assert_allclose(measured.density(edges)[0], exact, rtol=0.01)


def test_many_atoms_are_named_together():
    def loss(model, x):
        few = torch.randint(1, 9, (len(x),)) / 9
        return flow(model, x, torch.where(torch.rand(len(x)) < 0.5, few, torch.rand(len(x))))

    notes = probe(loss, X).notes
    assert any("0.5 of the draws are at 8 levels alone, from λ = -4.16 to 4.16" in n for n in notes)


def test_levels_of_a_few_have_no_atoms_however_uneven_they_are():
    assert not atoms_of(np.repeat(np.arange(5), [5, 5, 5, 5, 400])).any()
    bell = np.ceil(400 * stats.norm.pdf(np.linspace(-4, 4, 100))).astype(int)
    assert not atoms_of(np.repeat(np.arange(100), bell)).any()
    label = np.concatenate([np.arange(100), np.full(50, 100)])
    np.testing.assert_array_equal(np.flatnonzero(atoms_of(label)), [100])


def test_a_clamped_step_of_a_table_is_an_atom_and_the_table_stays():
    """Steps 0 to 50 of 1,000 are one, which holds 0.051 of the draws."""
    kept = torch.linspace(0.99, 0.01, 1000)

    def loss(model, x):
        step = torch.randint(0, 1000, (len(x),)).clamp(50)
        noise = torch.randn_like(x)
        share = kept[step][:, None]
        return ((model(share.sqrt() * x + (1 - share).sqrt() * noise, step) - noise) ** 2).mean()

    measured = dv.probe(loss, X)
    level = float(torch.logit(kept[50]))
    (note,) = [note for note in measured.notes if "exactly" in note]
    assert note.startswith(f"0.051 of the draws are at λ = {level:.3g} exactly")
    assert measured.discrete
    assert "equal to" not in str(measured)
    logsnr, mass, _ = measured.without_atoms().levels()
    np.testing.assert_allclose(logsnr, torch.logit(kept[51:]).flip(0), atol=1e-4)
    np.testing.assert_allclose(mass, 1 / 949)


def test_a_continuous_law_with_a_steep_peak_has_no_atoms():
    """Times are flat at 1/2, where the density of log-SNR is infinite, and many are equal there."""

    def loss(model, x):
        return flow(model, x, 0.5 + 4 * (torch.rand(len(x)) - 0.5) ** 3)

    measured = probe(loss, X)
    assert not any("exactly" in note for note in measured.notes)
