"""The figures show their numbers, read from the artists; the parts come by a second route."""

import numpy as np
import pytest
import torch
from pictures import check, check_type, data
from scipy.special import expit

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.experiments.elbo import divergence, information_from_entropies, known

pytestmark = pytest.mark.slow

NAMES = ("augmentation", "elbo-terms", "ode-likelihood", "vae-stack")


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "factor", "stated"),
    [("sigmoid-bias2", 2, 0.80203125), ("edm", 1, 1.19878449)],
)
def test_the_law_times_the_elbos_adds_up_to_the_loss_of_the_table(name, factor, stated, drawn):
    """−∫ w′ L dλ and the two ends, from the lines as drawn.

    The table's w has another constant for the sigmoid.
    """
    figure = drawn["augmentation"]
    logsnr, mean = data(figure, 2, "mean")
    _, law = data(figure, 1, name)
    _, counted = data(figure, 3, name)
    np.testing.assert_allclose(counted, law * mean, atol=1e-12)
    w = dv.objective(name).weighting(logsnr)
    np.testing.assert_allclose(data(figure, 0, name)[1], w / w.max(), rtol=1e-9)
    ends = w[-1] * mean[-1] - w[0] * mean[0]
    found = ends + w.max() * np.trapezoid(counted, logsnr)
    assert found == pytest.approx(factor * stated, rel=5e-3)
    told = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert f"{name}: {factor * stated:.3f} by ELBOs, {factor * stated:.3f} by errors" in told


def test_only_edms_law_is_negative_and_its_elbos_by_0_35_percent(drawn):
    figure = drawn["augmentation"]
    _, falling = data(figure, 1, "sigmoid-bias2")
    logsnr, signed = data(figure, 1, "edm")
    assert falling.min() > -1e-9
    peak = -3.307777567
    assert (signed[logsnr < peak - 0.06] < 0).all() and (signed[logsnr > peak + 0.06] > 0).all()
    _, counted = data(figure, 3, "edm")
    rest = np.trapezoid(np.maximum(counted, 0), logsnr)
    rest += data(figure, 0, "edm")[1][-1] * data(figure, 2, "mean")[1][-1]
    share = -np.trapezoid(np.minimum(counted, 0), logsnr) / rest
    assert share == pytest.approx(0.0035, abs=5e-5)


def test_what_edm_has_below_zero_is_drawn_again_in_a_frame(drawn):
    panel = drawn["augmentation"].axes[3]
    (frame,) = [ax for ax in panel.child_axes if ax.get_label() == "enlarged"]
    logsnr, counted = data(drawn["augmentation"], 3, "edm")
    (area,) = (shade.get_paths()[0].vertices for shade in frame.collections)
    assert area[:, 1].min() == pytest.approx(counted.min())
    assert area[:, 0].min() == pytest.approx(logsnr[0])
    (low, _), (left, right) = frame.get_ylim(), panel.get_xlim()
    times = int(frame.get_title().split("×")[1])
    inches = frame.bbox.height / panel.bbox.height * np.ptp(panel.get_ylim())
    assert times == pytest.approx(inches / -low, abs=0.5)
    assert left < frame.get_xlim()[0] < frame.get_xlim()[1] < right


def test_single_kl_curves_are_half_the_integral_of_their_errors_and_a_gaussians_is_closed():
    """KL(q(z|x) ‖ q(z)) of N(0, 1): ½(σ² + α²x² − 1 − ln σ²), since z is N(0, 1) at every λ."""
    logsnr, x = np.linspace(-8, 8, 33), np.array([-1.0, 0.3, 2.0])
    noise = expit(-logsnr)
    closed = (noise - 1 - np.log(noise) + (1 - noise) * x[:, None] ** 2) / 2
    np.testing.assert_allclose(divergence("gaussian", x, logsnr), closed, atol=1e-7)


def test_information_from_entropies_is_that_from_errors():
    """Between the levels at which either is computed, too."""
    levels = np.linspace(-19.9, 19.9, 200)
    found = information_from_entropies("ring8")(levels)
    np.testing.assert_allclose(found, known("ring8").information(levels), atol=1e-6)


@pytest.mark.parametrize("name", ["gmm1", "ring8", "gmm2d"])
def test_information_is_the_entropy_of_z_less_that_of_its_noise(name):
    toy, theory = dv.toy(name), known(name)
    for level in (-2.0, 1.0, 4.0, 9.0):
        wanted = toy.entropy(level) - theory.dimension / 2 * np.log(
            2 * np.pi * np.e * expit(-level)
        )
        assert theory.information(level) == pytest.approx(wanted, abs=3e-7)


def test_mean_terms_are_those_of_single_points():
    toy, theory = dv.toy("gmm1"), known("gmm1")
    line = torch.linspace(-4, 3, 1401, dtype=torch.float64)[:, None]
    mass = toy.log_prob(line).exp() * 0.005
    bound = dv.elbo(toy, line, levels=10, exact=True)
    for found, stated in zip(
        theory.terms(-10.0, 10.0), (bound.prior, bound.diffusion, bound.reconstruction), strict=True
    ):
        assert found == pytest.approx((mass @ stated).item(), abs=1e-6)


def test_what_has_no_density_has_no_terms():
    with pytest.raises(ValueError, match="mixture such as"):
        known("circle")


def test_terms_over_the_end_points_are_those_of_the_table(drawn):
    high, total = data(drawn["elbo-terms"], 0, "−ELBO")
    _, diffusion = data(drawn["elbo-terms"], 0, "diffusion")
    _, rest = data(drawn["elbo-terms"], 0, "reconstruction")
    at = np.abs(high - 10).argmin()
    assert diffusion[at] == pytest.approx(7.4787098243, abs=1e-6)
    assert total[at] == pytest.approx(0.3166781414, abs=1e-6)
    assert rest[at] == pytest.approx(np.log(2 * np.pi) + 1 - 10)
    slope = np.polyfit(high[high > 15], diffusion[high > 15], 1)[0]
    assert slope == pytest.approx(1, abs=1e-3)
    shades = {line.get_color() for line in drawn["elbo-terms"].axes[0].lines}
    assert len(shades) == 5
    names = {text.get_text() for text in drawn["elbo-terms"].axes[0].texts}
    assert names == {"prior", "diffusion", "reconstruction", "−ELBO"}


def test_the_frame_shows_where_the_sum_settles_at_the_entropy(drawn):
    panel = drawn["elbo-terms"].axes[0]
    (frame,) = panel.child_axes
    total, entropy = frame.lines
    high, nats = data(drawn["elbo-terms"], 0, "−ELBO")
    assert total.get_ydata() == pytest.approx(np.interp(total.get_xdata(), high, nats))
    assert entropy.get_ydata() == pytest.approx([known("ring8").entropy] * 2)
    assert total.get_ydata()[0] < frame.get_ylim()[1]
    assert total.get_ydata()[-1] - entropy.get_ydata()[0] < 1e-3


def test_the_gap_of_the_reconstruction_is_half_the_noise_times_the_fisher_information(drawn):
    high, gap = data(drawn["elbo-terms"], 1, "E[−ELBO] − entropy")
    _, leading = data(drawn["elbo-terms"], 1, "½ e^(−λ_max) · 200")
    assert gap[np.abs(high - 10).argmin()] == pytest.approx(4.53e-3, rel=2e-3)
    inside = (high > 10) & (high < 16)
    np.testing.assert_allclose(gap[inside], leading[inside], rtol=6e-3)


def test_the_gap_of_the_prior_is_the_divergence_of_the_noisiest_z_from_a_normal(drawn):
    """At λ_min = −2 by quadrature of the density itself."""
    low, gap = data(drawn["elbo-terms"], 2, "lost: prior term − I(x; z_λ_min)")
    toy, step = dv.toy("ring8"), 0.05
    line = torch.arange(-7, 7, step, dtype=torch.float64)
    z = torch.cartesian_prod(line, line)
    log = toy.log_prob(z, -2.0)
    normal = -z.square().sum(1) / 2 - np.log(2 * np.pi)
    wanted = (log.exp() * (log - normal)).sum().item() * step**2
    assert gap[np.abs(low + 2).argmin()] == pytest.approx(wanted, rel=1e-4)


def test_three_routes_meet_and_differ_by_thousandths_of_either_sign(drawn):
    figure = drawn["ode-likelihood"]
    x, exact = data(figure, 0, "exact −log p")
    parts = sum(
        w * np.exp(-((x - m) ** 2) / (2 * s * s)) / (s * np.sqrt(2 * np.pi))
        for w, m, s in ((0.3, -1.5, 0.3), (0.7, 0.5, 0.2))
    )
    np.testing.assert_allclose(exact, -np.log(parts), atol=1e-9)
    for name in ("ODE", "−ELBO"):
        _, other = data(figure, 0, name)
        _, thousandths = data(figure, 1, name)
        np.testing.assert_allclose(thousandths, 1e3 * (other - exact), atol=1e-9)
        assert thousandths.min() < -1 and thousandths.max() > 0.3 and np.abs(thousandths).max() < 15


def test_the_average_of_the_bounds_difference_is_the_gap(drawn):
    x, difference = data(drawn["ode-likelihood"], 1, "−ELBO")
    _, nats = data(drawn["ode-likelihood"], 0, "exact −log p")
    assert np.trapezoid(difference * np.exp(-nats), x) == pytest.approx(
        0.472, abs=0.02
    )  # in 10⁻³ nats; a little lies outside


@pytest.mark.parametrize(("name", "std"), [("±1", 2.21), ("Gaussian", 9.90)])
def test_probes_have_the_known_spread_and_average_out(name, std, drawn):
    probes, spread = data(drawn["ode-likelihood"], 2, name)
    assert spread[0] == pytest.approx(std, rel=0.06)
    assert np.polyfit(np.log(probes), np.log(spread), 1)[0] == pytest.approx(-0.5, abs=0.06)


def test_the_stack_has_a_box_for_each_variable_and_all_three_terms(drawn):
    (ax,) = drawn["vae-stack"].axes
    boxes = [text.get_text() for text in ax.texts if text.get_gid()]
    low, high = "$\\lambda_{\\min}$", "$\\lambda_{\\max}$"
    assert boxes == [f"z at λ₁ = {low}", "z at λ₂", f"z at λ₃ = {high}", "data x"]
    spans = {line.get_gid(): line.get_xdata() for line in ax.lines}
    assert list(spans) == ["prior", "diffusion: one KL for each learnt decoder", "reconstruction"]
    prior, diffusion, reconstruction = spans.values()
    assert prior.max() < diffusion.min()
    assert reconstruction.min() > diffusion.max()
    assert ax.get_title() == "3 encoders, 2 learnt decoders, and 3 terms of the ELBO"


def test_a_decoder_has_the_colour_of_its_term(drawn):
    (ax,) = drawn["vae-stack"].axes
    prior, diffusion, reconstruction = (line.get_color() for line in ax.lines)
    assert len({prior, diffusion, reconstruction}) == 3
    shades = {}
    for text in ax.texts:
        shades.setdefault(text.get_text(), set()).add(text.get_color())
    assert shades["decoder: uses x̂(z, λ)"] == {diffusion}
    assert shades["decoder: N(z/α, σ²/α²)"] == {reconstruction}


def test_the_stack_has_as_many_layers_as_are_asked_for():
    ax = figures.elbo.vae_stack(layers=4)
    words = [text.get_text() for text in ax.texts]
    assert words.count("encoder: adds noise") == 5
    assert words.count("decoder: uses x̂(z, λ)") == 4  # the last decoder has no network
    with pytest.raises(ValueError, match="layers must be"):
        figures.elbo.vae_stack(layers=0)


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name, drawn):
    check_type(drawn[name])
