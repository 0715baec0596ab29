"""Every number in the prose of the notebook on perception is computed here again, and looked for in the text."""

from itertools import pairwise

import nbformat
import numpy as np
import pytest
from notebook_prose import NOTEBOOKS, prose
from PIL import Image
from scipy import optimize, stats
from scipy.io import wavfile

import diffviz as dv
from diffviz.data import signals
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.figures import perception as perception_figures
from diffviz.perception import sensitivities, spectra

KNOTS = (-8.0, -4.0, 2.0, 8.0)


@pytest.fixture(scope="module")
def text():
    return prose("09_perception")


def slope(w, low, high):
    return float(np.log(w(high) / w(low)) / (high - low))


def share(name, spectrum=None):
    o = dv.objective(name) if isinstance(name, str) else name
    return dv.share_below(o, mmse=(spectrum or perception_experiments.spectrum()).mmse)


def percent(value):
    return f"{value:.1%}".replace("%", " %")


def test_the_slopes_of_spectra_are_right(text):
    slopes = {
        name: perception_experiments.spectrum(name).slopes()[0]
        for name in perception_experiments.photos()
    }
    close = ("brick", "grass", "gravel")
    mean, low, high = spectra.interval([one for name, one in slopes.items() if name not in close])
    assert f"scenes fall like f^-{mean:.2f} (95 % interval [{low:.2f}, {high:.2f}])" in text
    assert f"gravel like f^-{np.mean([slopes[name] for name in close]):.2f}" in text
    assert (
        "all eight together {:.2f} [{:.2f}, {:.2f}]".format(
            *spectra.interval(list(slopes.values()))
        )
        in text
    )


def test_the_levels_of_frequencies_are_right(text):
    every = perception_experiments.spectrum()
    coarse, fine = np.interp([4 / 256, 64 / 256], every.frequency, every.drowns)
    assert f"λ goes from {coarse:.2f} to {fine:.2f}, {(fine - coarse) / 4:.2f} an octave" in text
    assert f"by 2 ln 2 = {spectra.logsnr_shift(resolution=0.5):.3f}" in text
    mean = np.mean(
        [
            perception_experiments.spectrum(name).slopes()[0]
            for name in perception_experiments.photos()
        ]
    )
    assert f"β = {(fine - coarse) / np.log(16):.2f}, not the mean slope {mean:.2f}" in text


def test_the_shares_of_loss_are_right(text):
    fm = dv.objective("fm-ot")
    assert (
        f"{percent(dv.share_below(fm))} of flow matching's w on [-10, 10] lies below 0, but {percent(share('fm-ot'))}"
        in text
    )
    each = [
        share("fm-ot", perception_experiments.spectrum(name))
        for name in perception_experiments.photos()
    ]
    assert f"{100 * min(each):.1f} to {percent(max(each))} on single ones" in text
    names = {
        "the ELBO spends": "elbo",
        "ε with the cosine schedule": "iddpm-cosine",
        "EDM": "edm",
        "flow matching": "fm-ot",
    }
    assert ", ".join(f"{words} {percent(share(name))}" for words, name in names.items()) in text
    assert f"spends *more* there, {percent(share('sd3'))}" in text


def test_what_is_said_of_eyes_is_right(text):
    def peak(curve):
        return np.exp(
            optimize.minimize_scalar(
                lambda l: -curve(np.exp(l)), bounds=(-2, 4), method="bounded"
            ).x
        )

    assert (
        f"between {peak(sensitivities.barten_1999):.1f} (Barten 1999, a field of 60°) and {peak(sensitivities.mannos_sakrison):.1f} (Mann"
        in text
    )
    assert all(
        peak(sensitivities.barten_1999) <= peak(curve) <= peak(sensitivities.mannos_sakrison)
        for curve in sensitivities.SENSITIVITIES.values()
    )
    rate, wide = sensitivities.pixels_per_degree(0.25, 600), sensitivities.field_of_view(64, 600)
    assert (
        f"monitor at 60 cm, {rate:.0f} pixels per degree, a 256-pixel picture is {wide:.1f}° wide"
        in text
    )
    cycles = round(4 * wide)
    level = np.interp(
        cycles / 256,
        perception_experiments.spectrum().frequency,
        perception_experiments.spectrum().drowns,
    )
    assert f"degree are {cycles} cycles per image: those drown at λ = {level:.1f}" in text


def test_the_slopes_of_implied_weightings_are_right(text):
    found = {
        name: [
            slope(perception_experiments.seen(name).rate_distortion, *ends)
            for ends in pairwise(KNOTS)
        ]
        for name in perception_experiments.NAMES
    }
    noisy, middle, clean = (
        dict(zip(found, one, strict=True)) for one in zip(*found.values(), strict=True)
    )
    order = {
        "Mannos–Sakrison": "mannos_sakrison",
        "Daly": "daly",
        "Barten 2004": "barten_2004",
        "Movshon–Kiorpes": "movshon_kiorpes",
    }
    words = ", ".join(f"{middle[key]:.2f} ({name})" for name, key in order.items())
    assert f"from -4 to 2 is {words} but {middle['barten_1999']:.2f} (Barten 1999; " in text
    small = spectra.implied(
        perception_experiments.spectrum(),
        lambda f: sensitivities.barten_1999(f, field=256 / 30),
        30,
    ).rate_distortion
    assert (
        f"{slope(small, -4, 2):.2f} with a field as large as the picture, {256 / 30:.1f}°" in text
    )
    assert f"towards noise ({min(noisy.values()):.2f} to {max(noisy.values()):.2f})" in text
    assert f"towards data ({max(clean.values()):.2f} to {min(clean.values()):.2f})" in text
    by_distance = ", ".join(
        f"{slope(perception_experiments.seen(rate=float(rate)).rate_distortion, -4, 2):.2f}"
        for rate in perception_experiments.DISTANCES
    )
    assert (
        f"{by_distance} at 10, 30, 60 pixels per degree for Barten 2004; Mannos–Sakrison's only beyond 20"
        in text
    )
    rates = np.arange(5.0, 101.0, 5.0)
    for name in perception_experiments.NAMES:
        steeper = (
            np.diff(
                [
                    slope(perception_experiments.seen(name, rate).rate_distortion, -4, 2)
                    for rate in rates
                ]
            )
            < 0
        )
        assert steeper.all() if name != "mannos_sakrison" else (steeper == (rates[1:] > 20)).all()
    screen = " and ".join(
        ", ".join(
            f"{0.025 / np.radians(1 / rate):.0f}" for rate in perception_experiments.DISTANCES
        ).rsplit(", ", 1)
    )
    assert f"0.25 mm pixels from {screen} cm" in text
    grid = np.linspace(-10, 10, 4001)
    assert (
        f"to a peak at λ = {grid[perception_experiments.seen().projection(grid).argmax()]:.1f} for Barten 2004"
        in text
    )


def test_the_trapezoids_miss_the_identity_by_what_is_said(text):
    miss = []
    for n in (2001, 4001):
        grid, view = np.linspace(-10, 10, n), perception_experiments.seen()
        area = (
            np.trapezoid(
                view.rate_distortion(grid) * perception_experiments.spectrum().mmse(grid), grid
            )
            / 2
        )
        miss.append(1 - area / (view.distortion(-10.0) - view.distortion(10.0)))
    assert f"{1e9 * miss[0]:.0f} parts in 10⁹" in text and miss[0] / miss[1] == pytest.approx(
        4, rel=0.01
    )


def test_the_fits_of_a_sigmoid_are_right(text):
    grid = np.linspace(-8, 8, 161)

    def fits(name):
        w = np.log(perception_experiments.seen(name).rate_distortion(grid))
        spread = lambda bias: float(np.std(w + np.logaddexp(0, grid - bias)))
        best = optimize.minimize_scalar(spread, bounds=(-8, 8), method="bounded")
        return best.x, best.fun, float(np.std(w + grid / 2))

    bias, soft, straight = fits("barten_2004")
    assert (
        f"b = {bias:.2f} fits Barten 2004's on [-8, 8] to {soft:.2f}" in text
        and f"e^(-λ/2) to {straight:.2f}" in text
    )
    _, soft, straight = fits("mannos_sakrison")
    assert f"nearer to flow matching ({straight:.2f} against {soft:.2f})" in text
    assert all(
        (fits(name)[1] < fits(name)[2]) == (name != "mannos_sakrison")
        for name in perception_experiments.NAMES
    )


def test_the_numbers_on_low_snr_are_right(text):
    every, view = perception_experiments.spectrum(), perception_experiments.seen()
    middle = []
    for level in (-6.0, 0.0, 6.0):
        left = every.power / (1 + every.power * np.exp(level)) * every.count
        middle.append(np.interp(0.5, np.cumsum(left) / left.sum(), every.frequency * 256))
    assert (
        "lies below {:.1f} cycles per image, at 0 below {:.1f}, at 6 below {:.1f}".format(*middle)
        in text
    )
    one, other = (w(-6.0) / w(0.0) for w in (view.projection, view.rate_distortion))
    assert (
        f"the projection is {one:.2f} of what it is at 0, the rate–distortion weighting {other:.1f} times"
        in text
    )


def test_the_objectives_made_of_an_eye_are_as_said(text):
    law = stats.uniform(-10, 20)
    eye, literal = (dv.from_weighting(w, law) for w in perception_experiments.seen()[:2])
    assert dv.verdict(eye).monotone and not dv.verdict(literal).monotone
    assert (
        f"spends {percent(share(eye))} of its loss below λ = 0: more than flow matching's {percent(share('fm-ot'))}"
        in text
    )
    near, flat = (
        perception_experiments.nearest(eye.weighting, 104),
        perception_experiments.nearest(literal.weighting),
    )
    assert (
        f"π0's with {near['pi0']:.2f}" in text
        and f"bias 0, with {near['debiased-cosine']:.2f}" in text
    )
    assert list(near)[:2] == ["pi0", "debiased-cosine"] and next(iter(flat)) == "elbo"
    assert dv.compare(dv.objective("debiased-cosine"), dv.objective("sigmoid-bias0")).same
    gap = perception_experiments.seen().rate_distortion(grid := np.linspace(-6, 6, 241)) * np.exp(
        grid / 2
    )
    assert f"flow matching has {np.std(np.log(gap)):.2f}" in text
    assert (
        f"projection spends {percent(share(literal))}, and the ELBO is nearest to it ({flat['elbo']:.2f})"
        in text
    )


def test_what_is_said_of_other_eyes_is_right(text):
    found = {}
    for name in ("cat", "mouse", "human"):
        view = spectra.implied(perception_experiments.spectrum(), sensitivities.species(name), 30)
        found[name] = (
            f"{slope(view.rate_distortion, -4, 2):.2f}",
            percent(
                dv.share_below(view.rate_distortion, mmse=perception_experiments.spectrum().mmse)
            ),
        )
    assert "a cat's slope is {} and {} of the loss".format(*found["cat"]) in text
    assert (
        "a mouse's {} and {}".format(*found["mouse"]) in text
        and "share a curve ({}, {})".format(*found["human"]) in text
    )
    assert sensitivities.SPECIES["human"] / sensitivities.SPECIES["cat"] == pytest.approx(10)


def test_what_is_said_of_sound_is_right(text):
    assert f"takes {-20 * np.log10(sensitivities.a_weighting(63)):.0f} dB off at 63 Hz" in text
    view, flat = (
        spectra.implied(perception_experiments.pink_spectrum(), curve, perception_figures.RATE)
        for curve in (sensitivities.a_weighting, np.ones_like)
    )
    low, high = view.projection(np.array([-8.0, 2.0]))
    assert f"rises from {low:.2f} at λ = -8 to {high:.2f} at 2" in text
    ends = [
        slope(w, *knots)
        for w, knots in ((view.rate_distortion, (-8, -4)), (flat.rate_distortion, (-8, -4)))
    ]
    assert (
        f"(slope {ends[0]:+.2f}; of an ear that hears all frequencies alike it would be {ends[1]:.2f})"
        in text
    )
    assert f"falls with {slope(view.rate_distortion, 2, 8):.2f} from 2 to 8" in text
    found = dv.verdict(dv.from_weighting(view.rate_distortion, stats.uniform(-10, 20)))
    assert f"(negative share {found.negative_share:.2%})".replace("%)", " %)") in text


def test_files_of_ones_own_are_read_as_is_shown(tmp_path, monkeypatch):
    source = next(
        c.source
        for c in nbformat.read(NOTEBOOKS / "09_perception.ipynb", 4).cells
        if '"mine.png"' in c.source
    )
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise).save("mine.png")
    wavfile.write("mine.wav", 8000, noise.ravel())
    made = {"signals": signals, "spectra": spectra, "sensitivities": sensitivities}
    exec(source.split("```python")[1].split("```")[0], made)
    assert (
        made["picture"].count.sum() == 48**2 - 1
        and made["rate"] == 8000
        and len(made["samples"]) == noise.size
    )
    for view in (made["view"], made["heard"]):
        assert view.rate_distortion(-6.0) > view.rate_distortion(6.0) > 0


def test_the_limits_carry_their_numbers(text):
    variance = {name: photo.var() for name, photo in perception_experiments.photos().items()}
    three = sum(variance[name] for name in ("camera", "astronaut", "coffee")) / sum(
        variance.values()
    )
    assert f"hold {100 * three:.0f} % of the variance" in text
    middle = {
        name: slope(perception_experiments.seen(image=name).rate_distortion, -4, 2)
        for name in perception_experiments.photos()
    }
    low, high = min(middle, key=middle.get), max(middle, key=middle.get)
    assert f"runs from {middle[high]:.2f} ({high}) to {middle[low]:.2f} ({low})" in text


def test_the_answers_of_the_exercises_are_right(text):
    rates = {}
    for name in ("movshon_kiorpes", "mannos_sakrison", "barten_1999"):
        steep = lambda rate, name=name: (
            slope(perception_experiments.seen(name, rate).rate_distortion, -4, 2) + 0.5
        )
        rates[name] = optimize.brentq(steep, 10, 150)
    near = optimize.brentq(
        lambda rate: (
            slope(perception_experiments.seen("mannos_sakrison", rate).rate_distortion, -4, 2) + 0.5
        ),
        1,
        10,
    )
    assert f"`answer = {rates['movshon_kiorpes']:.0f}`" in text
    assert (
        f"Mannos–Sakrison it is at {rates['mannos_sakrison']:.0f} (and once more at {near:.0f}), for Barten 1999 at {rates['barten_1999']:.0f}"
        in text
    )
    assert f"`answer = -2 * np.log(2)`, {-2 * np.log(2):.3f}" in text
    assert (
        f"`answer = {np.interp(8 / 256, perception_experiments.spectrum().frequency, perception_experiments.spectrum().drowns):.2f}`"
        in text
    )


@pytest.mark.parametrize(
    ("name", "wrong", "hint"),
    [
        ("twice-as-far", 1.386, "The other way"), ("twice-as-far", -2.5, "octave"), ("twice-as-far", float("nan"), "octave"),
        ("eight-cycles", 0, "known"), ("eight-cycles", float("nan"), "finite"), ("as-steep-as-fm", 40, "steeper"),
        ("as-steep-as-fm", 0, "Pixels per degree"), ("as-steep-as-fm", "near", "right kind"),
    ],
)  # fmt: skip
def test_a_wrong_answer_gets_a_hint(name, wrong, hint, capsys):
    from diffviz.lab.exercises import check

    check(name, wrong)
    said = capsys.readouterr().out
    assert "not yet" in said and hint in said
