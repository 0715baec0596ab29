"""Every number in a notebook's prose is computed here again, and looked for in the text."""

import numpy as np
import pytest
from notebook_prose import prose

import diffviz as dv
from diffviz.learning import validation
from diffviz.theory import analysis

pytestmark = pytest.mark.slow


def loss_share(name):
    return dv.share_below(dv.objective(name), mmse=analysis.gaussian_mmse)


def spread(name):
    grid = np.linspace(-60, 60, 24001)
    spent = dv.loss_density(dv.objective(name), grid)
    return np.sqrt(np.trapezoid(grid**2 * spent, grid) / np.trapezoid(spent, grid))


def twins():
    grid = np.linspace(-10, 10, 2001)
    a, b = (dv.objective(n).weighting(grid) for n in ("sd3", "edm"))
    return a / a.max(), b / b.max()


WEIGHTINGS = [
    (f"EDM (peak at λ = {dv.verdict(dv.objective('edm')).peak:.3f})", "peak of EDM"),
    (f"SD3 ({dv.verdict(dv.objective('sd3')).peak:.3f})", "peak of SD3"),
    (f"P2 ({dv.verdict(dv.objective('p2-gamma1')).peak:.3f})", "peak of P2"),
    (
        f"The {len(dv.catalogue)} published recipes hold {sum(len(g) > 1 for g in dv.equivalent(dv.catalogue.values()))} groups",
        "classes",
    ),
    (
        f"correlation {np.corrcoef(*twins())[0, 1]:.3f} and a largest gap of {np.abs(np.subtract(*twins())).max():.3f}",
        "twins",
    ),
    (
        f"{100 * dv.share_below(dv.objective('fm-ot')):.1f} % of the weight on [-10, 10] lies below",
        "FM's weight below 0",
    ),
    (
        f"ELBO {100 * loss_share('elbo'):.1f} %, ε-cosine {100 * loss_share('iddpm-cosine'):.1f} %, EDM {100 * loss_share('edm'):.1f} %, "
        f"flow matching and SD3 {100 * loss_share('fm-ot'):.1f} %",
        "loss below 0",
    ),
    (f"stays {100 * loss_share('sd3'):.1f} %", "SD3's loss below 0"),
    (
        f"standard deviation of {spread('fm-ot'):.2f} nats to {spread('sd3'):.2f}",
        "spread of the loss density",
    ),
    (
        f"{100 * dv.verdict(dv.objective('edm')).negative_share:.2f} % for EDM, {100 * dv.verdict(dv.objective('sd3')).negative_share:.2f} % for SD3, "
        f"{100 * dv.verdict(dv.objective('iddpm-cosine')).negative_share:.2f} % for ε with the cosine schedule, "
        f"{100 * dv.verdict(dv.objective('min-snr-5-eps')).negative_share:.2f} % for Min-SNR-5",
        "negative shares",
    ),
]


@pytest.mark.parametrize(("claim", "what"), WEIGHTINGS, ids=[what for _, what in WEIGHTINGS])
def test_weightings_says_what_is_computed(claim, what):
    assert claim in prose("01_weightings"), f"{what}: the prose does not say {claim!r}"


def test_sd3_over_fm_is_even():
    grid = np.linspace(-20, 20, 401)
    ratio = dv.objective("sd3").weighting(grid) / dv.objective("fm-ot").weighting(grid)
    closed = 8 * np.exp(-(grid**2) / 8) / (2 * np.sqrt(2 * np.pi)) * np.cosh(grid / 4) ** 2
    np.testing.assert_allclose(ratio / ratio[200], closed / closed[200], rtol=1e-12)


def test_probe_your_loss_says_what_is_measured():
    import torch

    from diffviz.lab import losses

    x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    edm = dv.probe(losses.edm, x)
    text = prose("04_probe_your_loss")
    assert (
        dv.closest(edm)[0].name == "edm"
        and dv.closest(edm)[0].deviation < 2e-4
        and "within 0.02 % over 99.8 %" in text
    )
    assert len(edm.logsnr) == 20_000 and "20,000 draws" in text
    assert "norm(loc=2.4, scale=2.4)" in str(edm) and "mean 2.4 and standard deviation 2.4" in text
    assert (
        "logistic(loc=0, scale=2)" in str(dv.probe(losses.MYSTERIES["B"], x))
        and "logistic with scale 2" in text
    )
    assert (
        "norm(loc=1, scale=2)" in str(dv.probe(losses.MYSTERIES["D"], x))
        and "The measured mean is +1" in text
    )
    assert "not a squared loss" in str(dv.probe(losses.huber, x))


def test_noise_schedules_says_what_is_computed():
    from scipy import stats

    from diffviz.lab.experiments import schedule as schedule_experiments
    from diffviz.lab.experiments.tracking import MIDDLE, over_least, ring_moments
    from diffviz.theory import paths

    text, fm, cosine = prose("02_noise_schedules"), dv.objective("fm-ot"), paths.COSINE.schedule
    assert f"{100 * 2 * cosine.sf(10):.2f} % of the draws lie beyond |λ| = 10" in text
    assert f"λ(0) = {float(paths.cosine(0.008, normalise=False).logsnr(0)):.3f}" in text
    laws = schedule_experiments.SAMPLERS
    noise = [
        schedule_experiments.draw_variance(laws[name])
        for name in ("cosine", "FM uniform t", "uniform λ on [−15, 15]")
    ]
    assert (
        f"{noise[0]:.2f} under the cosine density, {noise[1]:.2f} under" in text
        and f"{noise[2]:.1f} under uniform λ" in text
    )
    assert all(
        np.isinf(schedule_experiments.draw_variance(laws[name]))
        for name in ("EDM log-normal", "logit-normal(0, 1)")
    )
    shares, kingma_gao = np.full(100, 0.01), fm.weighting(MIDDLE) * ring_moments()[0]
    assert "the rest is the noise of the tracker" in text  # not the uniform share
    assert over_least(0.95 * kingma_gao / kingma_gao.sum() + 0.05 * shares) == pytest.approx(
        over_least(kingma_gao), abs=2e-3
    )
    wide = np.linspace(-20, 20, 81)
    assert (
        f"the exact {np.trapezoid(fm.weighting(wide) / 2 * dv.toy('ring8').mmse(wide), wide):.3f}"
        in text
    )
    one, least, _ = schedule_experiments.second_moment(fm, fm.law)
    assert (
        f"3 + 3π/2 = {one:.4f}" in text
        and f"3π²/4 = {least:.4f}" in text
        and f"ratio, {one / least:.4f}" in text
    )
    assert (one, least) == pytest.approx((3 + 1.5 * np.pi, 0.75 * np.pi**2), rel=1e-7)
    fixed = {
        name: over_least(law.pdf(MIDDLE))
        for name, law in (("fm", fm.law), ("cosine", cosine), ("λ", stats.uniform(-10, 20)))
    }
    assert (
        f"uniform λ, at {fixed['λ']:.2f} times the least" in text
        and f"{over_least(fm.weighting(MIDDLE) * ring_moments()[0]):.3f} is what" in text
    )
    assert (
        f"own uniform t has {fixed['fm']:.3f} and the plain cosine schedule {fixed['cosine']:.3f}"
        in text
    )
    assert (
        f"-log 4 = {-np.log(4):.3f} per doubling" in text
        and f"shift 3 is {-2 * np.log(3):.3f}" in text
    )
    assert f"{(1 + 0.99) / (1 - 0.99):.0f} at 0.99" in text


def test_noise_schedules_says_what_training_gives():
    """Rounded in the prose, since the last digits of a training are the machine's."""
    import torch

    from diffviz.lab.experiments import tracking as tracking_experiments
    from diffviz.learning import variance

    text, seeded = prose("02_noise_schedules"), torch.Generator().manual_seed
    ring, levels = dv.toy("ring8"), np.linspace(-10, 10, 41)
    over, dip = (
        tracking_experiments.tracked_training().curve()[0] / tracking_experiments.ring_moments()[0],
        slice(62, 67),
    )  # λ from 2.4 to 3.4
    points = ring.sample(50_000, seeded(0)).float()
    (run,) = dv.fit("fm-ot", points, progress=False)
    held, level = ring.sample(40_000, seeded(1)).double(), torch.tensor(2.9, dtype=torch.float64)
    z = level.sigmoid().sqrt() * held + (-level).sigmoid().sqrt() * torch.randn(
        held.shape, generator=seeded(2), dtype=held.dtype
    )
    network, floor = ((model.denoise(z, level) - held).square().sum() for model in (run, ring))
    assert "0.999 is smooth and *late*: near λ = 3" in text and over[
        2, dip
    ].mean() == pytest.approx(4 / 3, abs=0.08)
    assert (
        "the finished network is an eighth above it" in text
        and network / floor == pytest.approx(9 / 8, abs=0.05)
    )
    kingma_gao, least = (
        tracking_experiments.over_least(tracking_experiments.adapted(n)[0])[-1]
        for n in ("Kingma–Gao", "minimum variance")
    )
    assert "about 1.14 times the least" in text and kingma_gao == pytest.approx(1.14, abs=0.02)
    assert "comes within 3 % of the least" in text and least < 1.03

    names = ("iddpm-cosine", "elbo", "sigmoid-bias2", "fm-ot", "sd3")
    digits = dv.toy("digits").sample(20_000, seeded(1)).float().flatten(1)
    settings = {
        "model": dv.models.MLP(128),
        "steps": 200,
        "batch": 256,
        "learning_rate": 3e-3,
        "progress": False,
    }
    (net,) = dv.fit("fm-ot", digits, **settings)
    on = {
        "digits": variance.trained(net, digits[:128], levels),
        "ring": variance.trained(run, points[:256], levels),
    }
    gains = {
        data: np.array([variance.gains(dv.objective(name), *found) for name in names])
        for data, found in on.items()
    }
    assert (
        "about 24 for ε-cosine, 12 for the sigmoid weighting, 3 for flow matching and 2 for SD3, and hundreds for the ELBO"
        in text
    )
    assert (
        gains["digits"][[0, 2, 3, 4], 0] == pytest.approx([24, 12, 3, 2], rel=0.15)
        and gains["digits"][1, 0] > 200
    )
    assert "on the ring, the gains are below 2 but for the ELBO" in text
    assert (gains["ring"][[0, 2, 3, 4], 0] < 2).all() and gains["ring"][1, 0] > 10
    assert "less than 2 for all but the ELBO" in text and all(
        (g[[0, 2, 3, 4], 2] < 2).all() for g in gains.values()
    )
    assert (
        "nothing for flow matching and SD3 on the digits" in text
        and (gains["digits"][[3, 4], 2] < 1.05).all()
    )
    assert (
        "about 1.7 for ε-cosine, 1.5 for the sigmoid weighting, 1.1 for flow matching on the digits"
        in text
    )
    assert gains["digits"][[0, 2, 3], 3] == pytest.approx([1.7, 1.55, 1.1], rel=0.08)
    value, slope = on["digits"]
    stratifying = [
        value.variance(o) / value.variance(o, stratified=True) for o in map(dv.objective, names)
    ]
    assert (
        "13 times for ε-cosine, 9 for the sigmoid weighting, 3 for flow matching and 2 for SD3"
        in text
    )
    assert np.array(stratifying)[[0, 2, 3, 4]] == pytest.approx([13.4, 8.6, 3.1, 2.2], rel=0.15)
    assert "Stratifying does nothing for it" in text
    for name in map(dv.objective, names):
        for found in (slope, on["ring"][1]):
            assert found.variance(name) / found.variance(name, stratified=True) == pytest.approx(
                1, abs=0.05
            )
    mine, exact = (
        validation.validation_loss(
            m.denoise, ring.sample(2000, seeded(7)).float(), dv.objective("fm-ot")
        )
        for m in (run, ring)
    )
    gap = mine[2] - exact[2]
    assert (
        "far less error than each has by itself" in text
        and gap.std() / len(gap) ** 0.5 < 0.2 * mine[1]
    )
    assert "*worse* for flow matching's gradient" in text and gains["ring"][3, 3] < 0.95


def test_noise_schedules_says_what_grids_do():
    import torch

    from diffviz.lab.experiments.tracking import FM, GRIDS, TRAINED, Distance, sampled

    text, moons = prose("02_noise_schedules"), dv.toy("moons")
    pair = [dv.from_weighting(FM.weighting, law, name) for name, law in TRAINED.items()]
    runs, far = (
        dv.fit(
            pair, moons.sample(50_000, torch.Generator().manual_seed(0)).float(), progress=False
        ),
        Distance(moons),
    )
    found = np.array([[far(sampled(run, law, 8)) for run in runs] for law in GRIDS.values()])
    assert "uniform-λ grid is about twice as far from the truth as the cosine grid" in text
    assert found[2] / found[0] == pytest.approx([2.1, 2.1], abs=0.25)
    assert (
        "the two networks differ by a fifth at most" in text
        and (found[:, 0] / found[:, 1]).max() < 1.22
    )
    assert "*worst* on the uniform-λ grid" in text and found[:, 1].argmax() == 2
