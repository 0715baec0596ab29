"""Every number in the prose of notebook 9 is computed here again, and looked for in the text."""

import re
from itertools import pairwise

import numpy as np
import pytest
from notebook_prose import assert_says, cells, percent, printed
from PIL import Image
from scipy import optimize, stats
from scipy.io import wavfile

import diffviz as dv
from diffviz.data import signals
from diffviz.lab.exercises import check
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.experiments import search as search_experiments
from diffviz.lab.experiments.perception import DISTANCES, NAMES, photos, seen, spectrum
from diffviz.perception import sensitivities, spectra

NOTEBOOK = "09_perception"
KNOTS = (-8.0, -4.0, 2.0, 8.0)
BY_SHARE = ("elbo", "iddpm-cosine", "edm", "fm-ot", "sd3")  # of the loss on photographs below 0


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
    textures = perception_experiments.TEXTURES
    scenes = [value for name, value in slopes.items() if name not in textures]
    mean, low, high = spectra.interval(scenes)
    close = np.mean([slopes[name] for name in textures])
    everything = spectra.interval(list(slopes.values()))
    assert_says(
        text,
        f"| five scenes | {mean:.2f} | [{low:.2f}, {high:.2f}] |",
        f"| three close-ups | {close:.2f} |",
        "| all eight | {:.2f} | [{:.2f}, {:.2f}] |".format(*everything),
    )


def test_the_levels_of_frequencies_are_right(text):
    coarse, fine = level_of(4), level_of(64)
    mean = np.mean([spectrum(name).slopes()[0] for name in photos()])
    assert_says(
        text,
        f"drowns at λ = {coarse:.2f}, and structure of 64 at λ = {fine:.2f}",
        f"That is {(fine - coarse) / 4:.2f} an octave",
        f"$2\\log 2$, which is {spectra.logsnr_shift(resolution=0.5):.3f}",
        f"$\\beta = {(fine - coarse) / np.log(16):.2f}$. It is steeper than the mean of the "
        f"slopes, "
        f"{mean:.2f}, since in it",
    )


def test_fine_structure_moves_further_with_the_resolution(text):
    at = [np.interp(10, *perception_experiments.drowning(times)) for times in (4, 8)]
    assert_says(
        text,
        f"the picture of 64² pixels is halved, 10 cycles per image move by {at[1] - at[0]:.1f}",
    )


def test_the_shares_of_loss_are_right(text):
    flow, each = perception_experiments.shares("fm-ot"), perception_experiments.shares("fm-ot").each
    rising = [perception_experiments.shares(name).loss for name in BY_SHARE]
    assert rising == sorted(rising)
    assert_says(
        text,
        f"{percent(flow.weighting)} of flow matching's $w$ on [-10, 10] lies below λ = 0, "
        f"but only {percent(flow.loss)} of its loss on photographs does",
        f"its share runs from {100 * min(each):.1f} to {percent(max(each))}",
        "Of five well-known objectives the ELBO spends least there, then ε-prediction with "
        "the cosine "
        "schedule (which is not in the picture), EDM, flow matching and SD3",
        f"it spends *more* than flow matching, {share('sd3')} against {percent(flow.loss)}",
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
        f"between {low:.1f} (Barten 1999, for a field of 60°) and {high:.1f} (Mann",
        f"a degree has {rate:.0f} pixels, and a 256-pixel picture is {wide:.1f}° wide",
        f"degree are {cycles} cycles per image. At this resolution those drown at λ = "
        f"{level_of(cycles):.1f}",
        f"On a linear axis of frequency {cycles} of {256 // 2} cycles is low",
    )


def test_the_peaks_of_animals_are_those_that_are_used(text):
    for name, peak in sensitivities.SPECIES.items():
        label = "human, macaque" if name in ("human", "macaque") else name
        columns = [column.lstrip("| ") for column in text.split(" | ")]
        rows = [column for column in columns if column.startswith(label)]
        assert rows, f"no row for {name}"
        assert f"{rows[0]} | {peak} |" in text


def test_what_the_explorers_of_noise_and_of_a_cat_show_is_as_said(text):
    camera = spectrum("camera")
    cycles, known = camera.frequency * 256, camera.captured(-2.0)
    drowned = cycles[(known < 0.5) & (cycles > 1)].min()
    assert_says(text, f"structure of {int(drowned)} cycles per image: there the grey line")
    cat, human = (seen(rate=rate, animal=name) for rate, name in ((3.0, "cat"), (30.0, "human")))
    levels = np.linspace(-8, 8, 17)
    ours, theirs = (w(levels) / w(0.0) for w in (human.rate_distortion, cat.rate_distortion))
    np.testing.assert_allclose(theirs, ours, rtol=1e-9)
    assert_says(text, "At a tenth of our distance, 3 pixels per degree in the place of 30")


def test_the_two_definitions_are_said_to_agree_where_they_do(text):
    view = seen()
    for w in (view.rate_distortion, view.projection, view.projection_of_x):
        assert w(10.0) < w(0.0)
    assert view.rate_distortion(-10.0) > view.rate_distortion(0.0)
    assert view.projection(-10.0) < view.projection(0.0)
    assert_says(
        text,
        "About clean data all agree that it counts less than the middle",
        "About noise they disagree",
    )
    assert view.projection(10.0) < view.projection(np.linspace(-10, 10, 201)).max() / 2
    assert_says(text, "to a peak in the middle, and beyond it falls to less than half of that")
    quarter = perception_experiments.shares("fm-ot").loss
    assert quarter == pytest.approx(0.25, abs=0.03)
    assert_says(text, "spends about a quarter of its loss below λ = 0, not almost all")


def test_the_base_of_the_projection_is_named_and_what_it_makes_is_as_said(text):
    """A flat eye has the weighting of the base alone: 1 for ε, and e^−λ for x."""
    levels = np.linspace(-10, 10, 201)
    flat = spectra.implied(spectrum(), np.ones_like, 30.0)
    np.testing.assert_allclose(flat.projection(levels), 1)
    np.testing.assert_allclose(flat.projection_of_x(levels), np.exp(-levels))
    view = seen()
    of_eps, of_x = (slope(w, -4, 2) for w in (view.projection, view.projection_of_x))
    assert of_x == pytest.approx(of_eps - 1)
    assert (np.diff(view.projection_of_x(levels)) < 0).all()
    for name in NAMES:
        assert slope(seen(name).projection_of_x, -4, 2) < -0.8 < -0.5
    left = view.projection_of_x(levels) * spectrum().mmse(levels)
    np.testing.assert_allclose(left, view.distortion(levels), rtol=1e-9)
    assert_says(
        text,
        f"from λ = -4 to 2 with a slope of {of_x:.2f}, more steeply than flow matching's",
        f"of the slope {of_x:.2f} the base makes -1, and the eye {of_eps:.2f}",
        "Rate–distortion has no such choice",
        "With x as its base each would be multiplied by $e^{-\\lambda}$",
        "its loss is that visible error, as long as the error is divided among the frequencies as",
    )


@pytest.mark.slow
def test_what_is_said_of_trained_networks_is_what_the_search_finds(text):
    for law in ("same", "own"):
        found = search_experiments.small(law=law)
        for name in ("projection", "elbo"):
            behind, half = found.apart(name, "fm-ot")
            assert behind == pytest.approx(0.11, abs=0.025) and behind > half
        for name in ("rate-distortion", "visible-error"):
            assert found.apart(name, "fm-ot")[0] > -0.002
    assert_says(
        text,
        "the projection of ε leaves a tenth more visible error than flow matching, as the "
        "ELBO does",
        "neither rate–distortion nor the projection of x leaves less than flow matching",
    )


def test_each_slope_is_that_of_a_line_from_2_to_64_cycles(text):
    """Over all of a curve the slopes are others."""
    brick = spectrum("brick")
    assert brick.slopes()[0] == brick.slopes(low=2 / 256, high=64 / 256)[0]
    assert abs(brick.slopes(low=1 / 300, high=1 / 2)[0] - brick.slopes()[0]) > 0.1
    assert_says(text, "the slope of one straight line, fitted from 2 to 64 cycles per image")


def test_every_curve_and_every_peak_has_a_source(text):
    """A published curve has a link, and so has each animal but the one that is second-hand."""
    for name in NAMES.values():
        assert re.search(rf"\| {name} \| \[[^\]]+\]\(https://doi.org", text), name
    linked = re.findall(r"\| [\d.]+ \| \[[^\]]+\]\(https://doi.org", text)
    assert len(linked) == len(sensitivities.SPECIES) - 2  # people and macaques share a row
    assert "Harmening 2017" in text
    assert "second-hand" in text


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
        "Barten 1999": "barten_1999",
    }
    rows = {
        label: " | ".join(f"{each:.2f}" for each in slopes[name]) for label, name in labels.items()
    }
    small = spectra.implied(spectrum(), small_field, 30).rate_distortion
    assert_says(
        text,
        *(f"| {label} | {row} |" for label, row in rows.items()),
        f"a field as large as the picture, {256 / 30:.1f}°, its middle slope is "
        f"{slope(small, -4, 2):.2f}",
        "Towards noise all are flatter, and towards data all are steeper",
    )
    levels = np.linspace(-10, 10, 401)
    for name in NAMES:
        rises = np.diff(seen(name).rate_distortion(levels)) > 0
        assert rises.any() == (name == "daly"), name
        assert not rises[levels[1:] > -5.5].any(), name
    assert_says(
        text,
        "four fall everywhere",
        "The fifth on the left is Daly. It rises a little up to about λ = -6",
    )
    projected, removed = (
        [np.ptp(np.log(getattr(seen(name), kind)(levels))) for name in NAMES]
        for kind in ("projection", "rate_distortion")
    )
    spans = f"factors of {np.exp(min(projected)):.0f} to {np.exp(max(projected)):.0f}"
    assert_says(text, "| rate–distortion | more than 10⁴ |", f"| projection of ε | {spans} |")
    spans = spans.replace("factors", "a factor")
    assert_says(text, f"at 30 pixels per degree stays within {spans} over the whole axis")
    assert min(removed) > np.log(1e4)
    assert min(noisy) > -0.5
    assert max(clean) < -0.5


def test_what_distance_does_to_implied_weightings_is_right(text):
    *near, far = (f"{0.025 / np.radians(1 / rate):.0f}" for rate in DISTANCES)
    grid = np.linspace(-10, 10, 4001)
    peak = grid[seen().projection(grid).argmax()]
    assert_says(
        text,
        "four of the five weightings get steeper, and the fifth does beyond 20 pixels per degree",
        "Mannos–Sakrison's gets steeper only beyond 20 pixels per degree",
        f"| from {near[0]} cm | from {near[1]} cm | from {far} cm |",
        f"The projection of Barten 2004 has its peak at λ = {peak:.1f}",
        "Each line crosses flow matching's slope at a distance of its own",
    )
    rates = np.arange(5.0, 101.0, 5.0)
    for name in NAMES:
        steeper = np.diff([middle_slope(name, rate) for rate in rates]) < 0
        expected = rates[1:] > 20 if name == "mannos_sakrison" else rates[1:] > 0
        np.testing.assert_array_equal(steeper, expected)
        middle = [middle_slope(name, rate) for rate in rates]
        assert max(middle) > -0.5 > min(middle), name


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


def line_fit(name):
    """What the best straight line misses of a log weighting on [−8, 8]."""
    grid = np.linspace(-8, 8, 161)
    logs = np.log(seen(name).rate_distortion(grid))
    return float(np.std(logs - np.polyval(np.polyfit(grid, logs, 1), grid)))


def test_the_fits_of_a_sigmoid_are_right(text):
    labels = {
        "Mannos–Sakrison": "mannos_sakrison",
        "Daly": "daly",
        "Barten 2004": "barten_2004",
        "Movshon–Kiorpes": "movshon_kiorpes",
        "Barten 1999": "barten_1999",
    }
    assert set(labels.values()) == set(NAMES)
    for label, name in labels.items():
        _, soft, straight = sigmoid_fit(name)
        line = line_fit(name)
        assert line <= straight
        assert_says(text, f"| {label} | {soft:.2f} | {line:.2f} | {straight:.2f} |")
        assert (soft < line) == (soft < straight) == (name != "mannos_sakrison")
    _, _, mannos_straight = sigmoid_fit("mannos_sakrison")
    assert mannos_straight - line_fit("mannos_sakrison") < 0.01
    assert_says(
        text,
        "Four of the five are nearest to a soft sigmoid",
        f"(For Barten 2004 $b$ is {sigmoid_fit('barten_2004')[0]:.2f}.)",
        "flow matching's is almost the best one",
    )


def test_the_projection_rises_for_people_and_falls_for_other_eyes(text):
    grid = np.linspace(-8, 0, 81)
    assert_says(
        text,
        "For people it *rises* from noise",
        "For cat, triplefin and goldfish it is nearly flat up to λ = -6",
        "For the mouse it falls from the start, and for the tree shrew it rises to λ = -4",
    )
    for name in NAMES:
        projection = seen(name).projection
        assert projection(-8.0) < projection(0.0)
        falls = np.log(projection(np.linspace(-10, 10, 401)).max() / projection(10.0))
        assert (falls < 0.2) == (name == "mannos_sakrison"), name
    for name in ("cat", "triplefin", "goldfish", "mouse"):
        projection = spectra.implied(spectrum(), sensitivities.species(name), 30).projection
        assert projection(-8.0) > projection(0.0) > projection(8.0)
        assert (np.diff(projection(grid[grid > -6])) < 0).all()
        noisy = projection(np.linspace(-10, -6, 81))
        if name == "mouse":
            assert (np.diff(noisy) < 0).all()
        else:
            assert noisy.max() < 1.08 * noisy.min()
    shrew = spectra.implied(spectrum(), sensitivities.species("tree shrew"), 30).projection
    levels = np.linspace(-10, 10, 201)
    assert levels[shrew(levels).argmax()] == pytest.approx(-4, abs=0.3)


def test_how_the_projection_leans_by_the_distance_is_as_said(text):
    """Weight at λ = −10 over that at 10."""
    near, far = ({name: seen(name, rate).projection for name in NAMES} for rate in (30.0, 60.0))
    near, far = ({name: w(-10.0) / w(10.0) for name, w in some.items()} for some in (near, far))
    assert [name for name in NAMES if near[name] > 1] == ["barten_1999"]
    assert sum(ratio > 1 for ratio in far.values()) == 4
    assert_says(
        text,
        "for four of the five curves λ = -10 counts less there than λ = 10",
        f"For Barten 1999 λ = -10 counts {near['barten_1999']:.1f} times as much",
        "At 60 four of the five curves lean to noise",
    )


def median_frequency(level):
    """Cycles per image below which half of the error at a level lies."""
    every = spectrum()
    left = every.power / (1 + every.power * np.exp(level)) * every.count
    return np.interp(0.5, np.cumsum(left) / left.sum(), every.frequency * 256)


def test_the_numbers_on_low_snr_are_right(text):
    noisy, even, clean = (median_frequency(level) for level in (-6.0, 0.0, 6.0))
    view = seen()
    projection, seen_later = (
        view.projection(level) / view.projection(0.0) for level in (-6.0, 6.0)
    )
    rate, later = (view.rate_distortion(level) / view.rate_distortion(0.0) for level in (-6.0, 6.0))
    assert_says(
        text,
        f"| λ = -6 | {noisy:.1f} cycles per image | {rate:.1f} times that at 0 | "
        f"{projection:.2f} times |",
        f"| λ = 0 | {even:.1f} | 1 | 1 |",
        f"| λ = 6 | {clean:.1f} | {later:.3f} times | {seen_later:.2f} times |",
    )


def test_the_objectives_made_of_an_eye_are_as_said(text):
    law = stats.uniform(-10, 20)
    eye = dv.from_weighting(seen().rate_distortion, law)
    literal = dv.from_weighting(seen().projection, law)
    assert dv.verdict(eye).monotone
    assert not dv.verdict(literal).monotone
    near = perception_experiments.nearest(eye.weighting, len(dv.catalogue))
    flat = perception_experiments.nearest(literal.weighting)
    assert next(iter(near)) == "diffsynth-flux2"
    assert next(iter(flat)) == "elbo"
    assert dv.compare(dv.objective("debiased-cosine"), dv.objective("sigmoid-bias0")).same
    grid = np.linspace(-6, 6, 241)
    gap = np.std(np.log(seen().rate_distortion(grid) * np.exp(grid / 2)))
    assert near["v-cosine"] == pytest.approx(gap)
    for name in ("diffsynth-flux2", "pi0", "debiased-cosine", "v-cosine"):
        assert re.search(rf"^{name} +{near[name]:.2f}$", printed(NOTEBOOK), re.M), name
    eye_share, literal_share = (
        percent(dv.share_below(entry, mmse=spectrum().mmse)) for entry in (eye, literal)
    )
    assert_says(
        text,
        f"spends {eye_share} of its loss below λ = 0, more than flow matching's {share('fm-ot')}",
        f"trains FLUX.2 | {near['diffsynth-flux2']:.2f} |",
        f"| π0, a policy for robots | {near['pi0']:.2f} |",
        f"bias 0 | {near['debiased-cosine']:.2f} |",
        f"| flow matching | {gap:.2f} |",
        f"The projection of ε spends {literal_share}",
        f"nearest to the projection of ε is the ELBO ({flat['elbo']:.2f})",
    )


def animal_share(name):
    """Share of the loss below λ = 0 that a species implies, as the prose writes it."""
    w = spectra.implied(spectrum(), sensitivities.species(name), 30).rate_distortion
    return percent(dv.share_below(w, mmse=spectrum().mmse))


def test_what_is_said_of_other_eyes_is_right(text):
    assert_says(
        text,
        f"a cat spends {animal_share('cat')} of its loss below λ = 0 and a mouse "
        f"{animal_share('mouse')}, where a human and a macaque spend {animal_share('human')}",
    )
    assert sensitivities.SPECIES["human"] / sensitivities.SPECIES["cat"] == pytest.approx(10)
    assert sensitivities.SPECIES["human"] == sensitivities.SPECIES["macaque"]


def test_what_is_said_of_sound_is_right(text):
    view, flat = (
        spectra.implied(
            perception_experiments.pink_spectrum(), curve, perception_experiments.SOUND_RATE
        )
        for curve in (sensitivities.a_weighting, np.ones_like)
    )
    levels = np.linspace(-10, 10, 401)
    projection = view.projection(levels)
    low, high = view.projection(-8.0), projection.max()
    assert levels[projection.argmax()] == pytest.approx(-0.5, abs=0.2)
    heard, everything, eye = (
        slope(found.rate_distortion, -8, -4) for found in (view, flat, seen())
    )
    looks = [f"{slope(seen().rate_distortion, *ends):.2f}" for ends in ((-4, 2), (2, 8))]
    verdict = dv.verdict(dv.from_weighting(view.rate_distortion, stats.uniform(-10, 20)))
    assert_says(
        text,
        f"takes {-20 * np.log10(sensitivities.a_weighting(63)):.0f} dB off at 63 Hz",
        f"The projection rises from {low:.2f} at λ = -8 to {high:.2f} at its peak near λ = -0.5",
        f"| λ from -8 to -4 | {heard:+.2f} | {everything:.2f} | {eye:.2f} |",
        f"| λ from -4 to 2 | {slope(view.rate_distortion, -4, 2):.2f} | "
        f"{slope(flat.rate_distortion, -4, 2):.2f} | {looks[0]} |",
        f"| λ from 2 to 8 | {slope(view.rate_distortion, 2, 8):.2f} | "
        f"{slope(flat.rate_distortion, 2, 8):.2f} | {looks[1]} |",
        "photographs fall more steeply than pink noise",
        "Its weighting rises more than the ear's",
        f"it nearly is (negative share {percent(verdict.negative_share, 2)})",
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

    return optimize.brentq(too_flat, low, high, xtol=0.01)


def test_the_distances_of_flow_matchings_slope_are_as_said(text):
    found = [rate_like_flow_matching(name, 10, 150) for name in NAMES]
    newer = rate_like_flow_matching("barten_2004", 10, 150)
    said = f"at {min(found):.0f} to {max(found):.0f} pixels per degree"
    assert text.count(said) == 2
    assert middle_slope(rate=17.0, image="coffee") > -0.5 > middle_slope(rate=18.0, image="coffee")
    assert_says(
        text,
        "At 17 to 18 pixels per degree for the coffee cup, "
        f"and at {newer:.0f} for all eight photographs together "
        "(with Barten 2004)",
    )


def test_the_answers_of_the_exercises_are_right(text):
    movshon, mannos, barten = (
        rate_like_flow_matching(name, 10, 150)
        for name in ("movshon_kiorpes", "mannos_sakrison", "barten_1999")
    )
    near = rate_like_flow_matching("mannos_sakrison", 1, 10)

    def lean(rate):
        projection = seen(rate=rate).projection
        return np.log(projection(-10.0) / projection(10.0))

    assert_says(text, f"`answer = {optimize.brentq(lean, 20, 80):.0f}`: a search")
    assert_says(
        text,
        f"`answer = {movshon:.0f}`",
        f"Mannos–Sakrison it is at {mannos:.0f}, for Barten 1999 at {barten:.0f}",
        f"slope twice: at {near:.0f}, where its line begins, and at {mannos:.0f}",
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
        ("leans-neither-way", 30, "farther off"),
        ("leans-neither-way", 40, "nearer"),
        ("leans-neither-way", 0, "Pixels per degree"),
        ("removed-per-nat", 3, "a function here"),
    ],
)
def test_a_wrong_answer_gets_a_hint(name, wrong, hint, capsys):
    check(name, wrong)
    said = capsys.readouterr().out
    assert "not yet" in said
    assert hint in said


def test_what_readers_stumbled_at_is_gone(text):
    """Rows of readers' notes: a joke, a long number, a wall of numbers, a broken emphasis."""
    for words in ("pigeon", "their *variance* is", "figures.draw("):
        assert words not in text
    outputs = [output for cell in cells(NOTEBOOK) for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if "text" in output)
    assert not re.search(r"\d{9,}\.\d", printed)
    assert "Animals without a published peak are left out" in text
