"""Every number in the prose of notebook 9 is computed here again, and looked for in the text."""

from itertools import pairwise

import numpy as np
import pytest
from notebook_prose import assert_says, cells, percent
from PIL import Image
from scipy import optimize, stats
from scipy.io import wavfile

import diffviz as dv
from diffviz.data import signals
from diffviz.lab.exercises import check
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.experiments.perception import DISTANCES, NAMES, photos, seen, spectrum
from diffviz.perception import sensitivities, spectra

NOTEBOOK = "09_perception"
KNOTS = (-8.0, -4.0, 2.0, 8.0)


def slope(w, low, high):
    """Mean slope of ln w between two levels."""
    return float(np.log(w(high) / w(low)) / (high - low))


def middle_slope(curve="barten_2004", rate=30.0, image=""):
    """Slope from −4 to 2 of the rate–distortion weighting that an eye implies."""
    return slope(seen(curve, rate, image).rate_distortion, -4, 2)


def share(name, image=""):
    """Share below λ = 0 of an objective's loss on photographs, as the prose writes it."""
    return percent(dv.share_below(dv.objective(name), mmse=spectrum(image).mmse))


def level_of(cycles):
    """λ at which a number of cycles per image drowns."""
    every = spectrum()
    return np.interp(cycles / 256, every.frequency, every.drowns)


def test_the_slopes_of_spectra_are_right(text):
    slopes = {name: spectrum(name).slopes()[0] for name in photos()}
    textures = ("brick", "grass", "gravel")
    scenes = [value for name, value in slopes.items() if name not in textures]
    mean, low, high = spectra.interval(scenes)
    close = np.mean([slopes[name] for name in textures])
    everything = spectra.interval(list(slopes.values()))
    assert_says(
        text,
        f"scenes fall like f^-{mean:.2f} (95 % interval [{low:.2f}, {high:.2f}])",
        f"gravel like f^-{close:.2f}",
        "all eight together {:.2f} [{:.2f}, {:.2f}]".format(*everything),
    )


def test_the_levels_of_frequencies_are_right(text):
    coarse, fine = level_of(4), level_of(64)
    mean = np.mean([spectrum(name).slopes()[0] for name in photos()])
    assert_says(
        text,
        f"λ goes from {coarse:.2f} to {fine:.2f}, {(fine - coarse) / 4:.2f} an octave",
        f"by 2 ln 2 = {spectra.logsnr_shift(resolution=0.5):.3f}",
        f"β = {(fine - coarse) / np.log(16):.2f}, not the mean slope {mean:.2f}",
    )


def test_the_shares_of_loss_are_right(text):
    flow, each = perception_experiments.shares("fm-ot"), perception_experiments.shares("fm-ot").each
    labels = {
        "the ELBO spends": "elbo",
        "ε with the cosine schedule": "iddpm-cosine",
        "EDM": "edm",
        "flow matching": "fm-ot",
    }
    assert_says(
        text,
        f"{percent(flow.weighting)} of flow matching's w on [-10, 10] lies below 0, "
        f"but {percent(flow.loss)}",
        f"{100 * min(each):.1f} to {percent(max(each))} on single ones",
        ", ".join(f"{label} {share(name)}" for label, name in labels.items()),
        f"spends *more* there, {share('sd3')}",
    )


def peak_frequency(curve):
    """Cycles per degree at which a sensitivity is largest."""

    def negative(log_frequency):
        return -curve(np.exp(log_frequency))

    return np.exp(optimize.minimize_scalar(negative, bounds=(-2, 4), method="bounded").x)


def test_what_is_said_of_eyes_is_right(text):
    peaks = {name: peak_frequency(curve) for name, curve in sensitivities.SENSITIVITIES.items()}
    low, high = peaks["barten_1999"], peaks["mannos_sakrison"]
    assert (low, high) == (min(peaks.values()), max(peaks.values()))
    rate, wide = sensitivities.pixels_per_degree(0.25, 600), sensitivities.field_of_view(64, 600)
    cycles = round(4 * wide)
    assert_says(
        text,
        f"between {low:.1f} (Barten 1999, a field of 60°) and {high:.1f} (Mann",
        f"monitor at 60 cm, {rate:.0f} pixels per degree, a 256-pixel picture is {wide:.1f}° wide",
        f"degree are {cycles} cycles per image: those drown at λ = {level_of(cycles):.1f}",
    )


def small_field(frequency):
    """Barten's eye of 1999 on a field as large as the picture."""
    return sensitivities.barten_1999(frequency, field=256 / 30)


def test_the_slopes_of_implied_weightings_are_right(text):
    slopes = {
        name: [slope(seen(name).rate_distortion, *ends) for ends in pairwise(KNOTS)]
        for name in NAMES
    }
    noisy, _, clean = zip(*slopes.values(), strict=True)
    labels = {
        "Mannos–Sakrison": "mannos_sakrison",
        "Daly": "daly",
        "Barten 2004": "barten_2004",
        "Movshon–Kiorpes": "movshon_kiorpes",
    }
    middle = ", ".join(f"{slopes[name][1]:.2f} ({label})" for label, name in labels.items())
    small = spectra.implied(spectrum(), small_field, 30).rate_distortion
    assert_says(
        text,
        f"from -4 to 2 is {middle} but {slopes['barten_1999'][1]:.2f} (Barten 1999; ",
        f"{slope(small, -4, 2):.2f} with a field as large as the picture, {256 / 30:.1f}°",
        f"towards noise ({min(noisy):.2f} to {max(noisy):.2f})",
        f"towards data ({max(clean):.2f} to {min(clean):.2f})",
    )


def test_what_distance_does_to_implied_weightings_is_right(text):
    by_distance = ", ".join(f"{middle_slope(rate=float(rate)):.2f}" for rate in DISTANCES)
    *near, far = (f"{0.025 / np.radians(1 / rate):.0f}" for rate in DISTANCES)
    grid = np.linspace(-10, 10, 4001)
    peak = grid[seen().projection(grid).argmax()]
    assert_says(
        text,
        f"{by_distance} at 10, 30, 60 pixels per degree for Barten 2004; "
        "Mannos–Sakrison's only beyond 20",
        f"0.25 mm pixels from {', '.join(near)} and {far} cm",
        f"to a peak at λ = {peak:.1f} for Barten 2004",
    )
    rates = np.arange(5.0, 101.0, 5.0)
    for name in NAMES:
        steeper = np.diff([middle_slope(name, rate) for rate in rates]) < 0
        expected = rates[1:] > 20 if name == "mannos_sakrison" else rates[1:] > 0
        np.testing.assert_array_equal(steeper, expected)


def missed_area(n):
    """What a trapezoid rule of n points misses of the distortion removed."""
    grid, view = np.linspace(-10, 10, n), seen()
    area = np.trapezoid(view.rate_distortion(grid) * spectrum().mmse(grid), grid) / 2
    return 1 - area / (view.distortion(-10.0) - view.distortion(10.0))


def test_the_trapezoids_miss_the_identity_by_what_is_said(text):
    coarse, fine = missed_area(2001), missed_area(4001)
    assert_says(text, f"{1e9 * coarse:.0f} parts in 10⁹")
    assert coarse / fine == pytest.approx(4, rel=0.01)


def sigmoid_fit(name):
    """Bias of the nearest sigmoid on [−8, 8], its misfit, and that of flow matching."""
    grid = np.linspace(-8, 8, 161)
    logs = np.log(seen(name).rate_distortion(grid))

    def misfit(bias):
        return float(np.std(logs + np.logaddexp(0, grid - bias)))

    best = optimize.minimize_scalar(misfit, bounds=(-8, 8), method="bounded")
    return best.x, best.fun, float(np.std(logs + grid / 2))


def test_the_fits_of_a_sigmoid_are_right(text):
    bias, soft, straight = sigmoid_fit("barten_2004")
    _, mannos_soft, mannos_straight = sigmoid_fit("mannos_sakrison")
    assert_says(
        text,
        f"b = {bias:.2f} fits Barten 2004's on [-8, 8] to {soft:.2f}",
        f"e^(-λ/2) to {straight:.2f}",
        f"nearer to flow matching ({mannos_straight:.2f} against {mannos_soft:.2f})",
    )
    for name in NAMES:
        _, soft, straight = sigmoid_fit(name)
        assert (soft < straight) == (name != "mannos_sakrison")


def median_frequency(level):
    """Cycles per image below which half of the error at a level lies."""
    every = spectrum()
    left = every.power / (1 + every.power * np.exp(level)) * every.count
    return np.interp(0.5, np.cumsum(left) / left.sum(), every.frequency * 256)


def test_the_numbers_on_low_snr_are_right(text):
    noisy, even, clean = (median_frequency(level) for level in (-6.0, 0.0, 6.0))
    view = seen()
    projection, rate = (w(-6.0) / w(0.0) for w in (view.projection, view.rate_distortion))
    assert_says(
        text,
        f"lies below {noisy:.1f} cycles per image, at 0 below {even:.1f}, at 6 below {clean:.1f}",
        f"the projection is {projection:.2f} of what it is at 0, "
        f"the rate–distortion weighting {rate:.1f} times",
    )


def test_the_objectives_made_of_an_eye_are_as_said(text):
    law = stats.uniform(-10, 20)
    eye = dv.from_weighting(seen().rate_distortion, law)
    literal = dv.from_weighting(seen().projection, law)
    assert dv.verdict(eye).monotone
    assert not dv.verdict(literal).monotone
    near = perception_experiments.nearest(eye.weighting, len(dv.catalogue))
    flat = perception_experiments.nearest(literal.weighting)
    assert list(near)[:2] == ["pi0", "debiased-cosine"]
    assert next(iter(flat)) == "elbo"
    assert dv.compare(dv.objective("debiased-cosine"), dv.objective("sigmoid-bias0")).same
    grid = np.linspace(-6, 6, 241)
    gap = np.std(np.log(seen().rate_distortion(grid) * np.exp(grid / 2)))
    eye_share, literal_share = (
        percent(dv.share_below(entry, mmse=spectrum().mmse)) for entry in (eye, literal)
    )
    assert_says(
        text,
        f"spends {eye_share} of its loss below λ = 0: more than flow matching's {share('fm-ot')}",
        f"π0's with {near['pi0']:.2f}",
        f"bias 0, with {near['debiased-cosine']:.2f}",
        f"flow matching has {gap:.2f}",
        f"projection spends {literal_share}, and the ELBO is nearest to it ({flat['elbo']:.2f})",
    )


def animal_numbers(name):
    """Slope and share of the loss below λ = 0 that a species implies, as the prose writes them."""
    w = spectra.implied(spectrum(), sensitivities.species(name), 30).rate_distortion
    return f"{slope(w, -4, 2):.2f}", percent(dv.share_below(w, mmse=spectrum().mmse))


def test_what_is_said_of_other_eyes_is_right(text):
    assert_says(
        text,
        "a cat's slope is {} and {} of the loss".format(*animal_numbers("cat")),
        "a mouse's {} and {}".format(*animal_numbers("mouse")),
        "share a curve ({}, {})".format(*animal_numbers("human")),
    )
    assert sensitivities.SPECIES["human"] / sensitivities.SPECIES["cat"] == pytest.approx(10)


def test_what_is_said_of_sound_is_right(text):
    view, flat = (
        spectra.implied(
            perception_experiments.pink_spectrum(), curve, perception_experiments.SOUND_RATE
        )
        for curve in (sensitivities.a_weighting, np.ones_like)
    )
    low, high = view.projection(np.array([-8.0, 2.0]))
    heard, everything = (slope(found.rate_distortion, -8, -4) for found in (view, flat))
    verdict = dv.verdict(dv.from_weighting(view.rate_distortion, stats.uniform(-10, 20)))
    assert_says(
        text,
        f"takes {-20 * np.log10(sensitivities.a_weighting(63)):.0f} dB off at 63 Hz",
        f"rises from {low:.2f} at λ = -8 to {high:.2f} at 2",
        f"(slope {heard:+.2f}; of an ear that hears all frequencies alike "
        f"it would be {everything:.2f})",
        f"falls with {slope(view.rate_distortion, 2, 8):.2f} from 2 to 8",
        f"(negative share {percent(verdict.negative_share, 2)})",
    )


def test_files_of_ones_own_are_read_as_is_shown(tmp_path, monkeypatch):
    source = next(cell.source for cell in cells(NOTEBOOK) if '"mine.png"' in cell.source)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise).save("mine.png")
    wavfile.write("mine.wav", 8000, noise.ravel())
    made = {"signals": signals, "spectra": spectra, "sensitivities": sensitivities}
    exec(source.split("```python")[1].split("```")[0], made)
    assert made["picture"].count.sum() == 48**2 - 1
    assert made["rate"] == 8000
    assert len(made["samples"]) == noise.size
    for view in (made["view"], made["heard"]):
        assert view.rate_distortion(-6.0) > view.rate_distortion(6.0) > 0


def test_the_limits_carry_their_numbers(text):
    variance = {name: photo.var() for name, photo in photos().items()}
    three = sum(variance[name] for name in ("camera", "astronaut", "coffee"))
    middle = {name: middle_slope(image=name) for name in photos()}
    low, high = min(middle, key=middle.get), max(middle, key=middle.get)
    assert_says(
        text,
        f"hold {percent(three / sum(variance.values()), 0)} of the variance",
        f"runs from {middle[high]:.2f} ({high}) to {middle[low]:.2f} ({low})",
    )


def rate_like_flow_matching(name, low, high):
    """Pixels per degree at which an eye's middle slope is −0.5."""

    def too_flat(rate):
        return middle_slope(name, rate) + 0.5

    return optimize.brentq(too_flat, low, high)


def test_the_answers_of_the_exercises_are_right(text):
    movshon, mannos, barten = (
        rate_like_flow_matching(name, 10, 150)
        for name in ("movshon_kiorpes", "mannos_sakrison", "barten_1999")
    )
    near = rate_like_flow_matching("mannos_sakrison", 1, 10)
    assert_says(
        text,
        f"`answer = {movshon:.0f}`",
        f"Mannos–Sakrison it is at {mannos:.0f} (and once more at {near:.0f}), "
        f"for Barten 1999 at {barten:.0f}",
        f"`answer = -2 * np.log(2)`, {-2 * np.log(2):.3f}",
        f"`answer = {level_of(8):.2f}`",
    )


@pytest.mark.parametrize(
    ("name", "wrong", "hint"),
    [
        ("twice-as-far", 1.386, "The other way"),
        ("twice-as-far", -2.5, "octave"),
        ("twice-as-far", float("nan"), "finite"),
        ("eight-cycles", 0, "known"),
        ("eight-cycles", float("nan"), "finite"),
        ("as-steep-as-fm", 40, "steeper"),
        ("as-steep-as-fm", 0, "Pixels per degree"),
        ("as-steep-as-fm", "near", "right kind"),
    ],
)
def test_a_wrong_answer_gets_a_hint(name, wrong, hint, capsys):
    check(name, wrong)
    said = capsys.readouterr().out
    assert "not yet" in said
    assert hint in said
