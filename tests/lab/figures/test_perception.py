"""Figures of notebook 9, read from their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from pictures import check, check_nothing_is_cut, check_type, data
from scipy import fft

import diffviz as dv
from diffviz import plots
from diffviz.lab import figures
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.explorers.colours import BESIDE as SEEN_COLOUR
from diffviz.lab.figures import perception as perception_figures
from diffviz.lab.figures.style import OTHERS
from diffviz.perception import sensitivities, spectra
from diffviz.plots.style import COLOURS
from diffviz.theory import analysis

pytestmark = pytest.mark.slow

RATES = {f"{rate} pixels per degree" for rate in perception_experiments.DISTANCES}
LINES_OF_ONE = {"rate–distortion", "projection of ε", *RATES}
NAMES = ("spectra", "frequency-map", "contrast-sensitivity", "csf-weighting", "hearing")


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name):
    check_type(figures.draw(name))


def test_photographs_fall_and_noise_is_flat():
    figure = figures.draw("spectra")
    wanted = {(0, "camera"): -2.71, (0, "grass"): -1.25}
    for (panel, name), slope in wanted.items():
        f, y = (
            one[(f >= 2) & (f <= 64)]
            for f in [data(figure, panel, name)[0]]
            for one in data(figure, panel, name)
        )
        assert np.polyfit(np.log(f), np.log(y), 1, w=f**-0.5)[0] == pytest.approx(slope, abs=0.06)
    f, y = data(figure, 1, "noise, λ = 0")
    score = (y - 1) / np.sqrt(2 / perception_experiments.spectrum().count[: len(f)])
    assert 0.85 < score[8:].std() < 1.15 and abs(score[8:].mean()) < 0.25
    f, y = data(figure, 0, "astronaut")
    image, radius = (
        perception_experiments.photos()["astronaut"],
        np.hypot.outer(np.arange(256), np.arange(256)) / 2,
    )
    power = fft.dctn(image - image.mean(), norm="ortho") ** 2
    ring = abs(radius - 40) < 0.25
    assert y[abs(f - 40).argmin()] == pytest.approx(power[ring].mean(), rel=1e-9)


@pytest.mark.parametrize(("group", "members"), [("scenes", 5), ("close-ups", 3)])
def test_a_straight_line_has_the_mean_slope_and_the_mean_height_of_its_group(group, members):
    figure = figures.draw("spectra")
    names = [
        name
        for name in perception_experiments.photos()
        if perception_figures.group_of(name) == group
    ]
    assert len(names) == members
    f, line = data(figure, 0, group)
    assert list(f) == [2, 64]
    slopes = [perception_experiments.spectrum(name).slopes()[0] for name in names]
    assert np.log2(line[0] / line[1]) / 5 == pytest.approx(np.mean(slopes))
    centre = []
    for name in names:
        places, power = data(figure, 0, name)
        octaves = [(places >= low) & (places < 2 * low) for low in (2, 4, 8, 16, 32)]
        centre.append(np.mean([np.log(power[octave]).mean() for octave in octaves]))
    assert np.log(line).mean() == pytest.approx(np.mean(centre), abs=0.2)


@pytest.mark.parametrize("level", ["4", "0", "−4"])
def test_the_spectrum_of_a_noised_photograph_is_a_hinge(level):
    figure, value = figures.draw("spectra"), float(level.replace("−", "-"))
    f, hinge = data(figure, 1, f"λ = {level}")
    measured = data(figure, 1, f"λ = {level}, noised")[1]
    clean = data(figure, 1, "camera")[1]
    assert np.allclose(hinge, clean + np.exp(-value), rtol=1e-12)
    count = perception_experiments.spectrum("camera").count[: len(f)]
    score = (measured - hinge) / np.sqrt(
        np.exp(-2 * value) * 2 / count + 4 * clean * np.exp(-value) / count
    )
    assert (
        0.85 < score[8:].std() < 1.15 and abs(score[8:].mean()) < 0.2
    )  # the noise's error, and that of its cross term
    bend = f[np.argmin(abs(clean - np.exp(-value)))]
    assert {"4": 50, "0": 12, "−4": 2}[level] < bend < {"4": 80, "0": 25, "−4": 5}[level]


def test_frequencies_drown_from_the_highest_and_later_in_small_pictures():
    figure = figures.draw("frequency-map")
    f, level = data(figure, 0, "256² pixels")
    assert np.corrcoef(np.log(f), level)[0, 1] > 0.99
    assert np.interp([4, 64], f, level) == pytest.approx([-3.03, 3.77], abs=0.01)  # 1.70 an octave
    for side in (128, 64, 32):
        g, other = data(figure, 0, f"{side}² pixels")
        low = g < 3
        assert np.allclose(other[low] - level[: low.sum()], 2 * np.log(256 / side), atol=0.15)


def test_shares_of_loss_are_drawn_with_area_one_and_the_stated_share_below_zero():
    figure = figures.draw("frequency-map")
    for name in perception_experiments.SPENDERS:
        logsnr, y = data(figure, 1, name)
        assert np.trapezoid(y, logsnr) == pytest.approx(1, abs=1e-9)
        assert np.trapezoid(y[logsnr <= 0], logsnr[logsnr <= 0]) == pytest.approx(
            perception_experiments.shares(name)[1], abs=2e-3
        )


def test_sensitivities_are_drawn_over_their_maximum_with_published_peaks():
    figure = figures.draw("contrast-sensitivity")
    for panel, name, at in (
        (0, "Mannos–Sakrison 1974", 7.89),
        (0, "Barten 2004", 3.04),
        (1, "cat", 0.4),
        (1, "goldfish", 0.3),
    ):
        f, y = data(figure, panel, name)
        assert f[np.nanargmax(y)] == pytest.approx(at, rel=0.02) and np.nanmax(y) == 1


def test_implied_weightings_are_drawn_with_the_slopes_of_the_table():
    figure, table = figures.draw("csf-weighting"), perception_experiments.slope_table()
    for key, name in perception_experiments.NAMES.items():
        logsnr, y = data(figure, 0, name)
        found = (np.interp(2, logsnr, y) - np.interp(-4, logsnr, y)) * np.log(10) / 6
        row = next(
            line for line in table.splitlines() if line.startswith(name) and " 30 px" in line
        )
        assert f"{found:+.2f}".replace("-", "−") in row and perception_experiments.slopes(
            perception_experiments.seen(key).rate_distortion
        )[1] == pytest.approx(found, abs=1e-6)
    assert "flow matching (fm-ot)" in table and table.count("−0.50 −0.50 −0.50") == 1


def test_the_two_definitions_are_drawn_to_disagree_about_low_snr():
    figure = figures.draw("csf-weighting")
    for panel, name in ((0, "Barten 2004"), (1, "30 pixels per degree"), (2, "human")):
        (logsnr, up), (_, down) = data(figure, panel, name), data(figure, panel + 3, name)
        assert up[logsnr == -8] > 0.7 and down[logsnr == -8] < -0.3


def test_doubling_the_pixels_per_degree_moves_the_weighting_on_photographs_too():
    """By −β ln 2 with the slope that the spectrum has there; its ends leave about half a nat."""
    grid, far, near = (
        np.linspace(-4, 4, 81),
        perception_experiments.seen(rate=30.0).rate_distortion,
        perception_experiments.seen(rate=60.0).rate_distortion,
    )
    level = lambda w: np.gradient(np.log(w(np.linspace(-9, 7, 161))), 0.1)
    place = lambda w: np.interp(0.6, -level(w), np.linspace(-9, 7, 161))  # where the slope is −0.6
    assert place(near) - place(far) == pytest.approx(-2.5 * np.log(2), abs=0.5)
    assert (near(grid) / near(0.0) < far(grid) / far(0.0))[grid > 0.2].all()


def test_a_curve_has_one_colour_in_every_picture():
    seen = {}
    drawn = [figures.draw(name) for name in NAMES]
    for figure in (*drawn, perception_figures.two_definitions().figure):
        for axes in figure.axes:
            for line in axes.lines:
                if line.get_gid() in {
                    *perception_figures.CURVE_COLOURS,
                    *perception_experiments.SPENDERS,
                }:
                    seen.setdefault(line.get_gid(), set()).add(line.get_color())
    assert seen.keys() == {
        *perception_figures.CURVE_COLOURS,
        *perception_experiments.SPENDERS,
    } and all(len(colours) == 1 for colours in seen.values())


def test_a_colour_is_that_of_one_eye():
    """Names that share a colour are one eye: another distance, definition, or the same curve."""
    same_eye = (
        {"Movshon–Kiorpes 1988", "human"},
        {"Barten 2004", *RATES},
        {"rate–distortion", "projection of ε", "projection of x"},
    )
    by_colour = {}
    for name, colour in perception_figures.CURVE_COLOURS.items():
        by_colour.setdefault(colour, set()).add(name)
    for names in by_colour.values():
        assert len(names) == 1 or names in same_eye
        dashes = [perception_figures.DASHED.get(name) for name in names if name in LINES_OF_ONE]
        assert len({str(dash) for dash in dashes}) == len(dashes)
    others = {*perception_figures.GROUP_COLOURS.values(), perception_figures.NOISED}
    assert not others & by_colour.keys()


def test_sizes_of_a_picture_have_blues_of_their_own_and_all_can_be_seen():
    shades = [perception_figures.shade_of(f"{side}² pixels") for side in (256, 128, 64, 32)]
    lightness = [np.dot((0.2126, 0.7152, 0.0722), to_rgb(shade)) for shade in shades]
    assert (np.diff(lightness) > 0.1).all()
    assert lightness[0] > 0 and lightness[-1] < 0.62


def test_all_animals_are_named_and_none_hides_another():
    figure = figures.draw("contrast-sensitivity")
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    said = set(", ".join(labels).split(", "))
    assert said == set(sensitivities.SPECIES)
    lines = {line.get_gid(): line for line in figure.axes[1].lines}
    assert lines["triplefin"].get_linestyle() != lines["cat"].get_linestyle()


def test_one_group_of_sensitivities_has_a_panel_of_its_own():
    for group, count in (("people", 5), ("animals", 6)):
        figure = perception_figures.contrast_sensitivity(of=(group,)).figure
        assert len(figure.axes) == 1
        assert len(figure.axes[0].texts) == count and figure.axes[0].get_legend() is None
        widths = {line.get_gid(): line.get_linewidth() for line in figure.axes[0].lines[::2]}
        wide = {name for name, width in widths.items() if width == max(widths.values())}
        assert wide == ({"Barten 2004"} if group == "people" else widths.keys())
        check_nothing_is_cut(figure)
        check_type(figure)
    with pytest.raises(ValueError, match="of"):
        perception_figures.contrast_sensitivity(of=("pigeons",))


def test_two_definitions_of_one_eye_stand_in_one_panel():
    view = perception_experiments.seen()
    figure = perception_figures.two_definitions().figure
    curves = {
        "rate–distortion": view.rate_distortion,
        "projection of ε": view.projection,
        "projection of x": view.projection_of_x,
    }
    low, high = figure.axes[0].get_ylim()
    for name, w in curves.items():
        logsnr, y = data(figure, 0, name)
        np.testing.assert_allclose(y, np.log10(w(logsnr) / w(0.0)), atol=1e-12)
        assert low < y.min() < y.max() < high
    said = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert list(said) == [
        "ELBO",
        "flow matching",
        "rate–distortion",
        "projection of ε",
        "projection of x",
    ]
    assert said["projection of ε"] == perception_figures.colour_of("projection of ε")
    check_nothing_is_cut(figure)
    check_type(figure)


def test_a_single_group_of_eyes_has_its_two_kinds_side_by_side_at_one_scale():
    title, views = next(iter(perception_experiments.implied_by_column().items()))
    left, right = perception_figures.csf_weighting({title: views}).figure.axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlabel() == plots.LOGSNR
    for ax in (left, right):
        assert {text.get_color() for text in ax.texts} == {
            perception_figures.colour_of(name) for name in ("elbo", "fm-ot", *views)
        }
        assert ax.get_legend() is None
    for panel, kind in enumerate(("rate_distortion", "projection")):
        for name, view in views.items():
            logsnr, y = data(left.figure, panel, name)
            w = getattr(view, kind)
            np.testing.assert_allclose(y, np.log10(w(logsnr) / w(0.0)), atol=1e-12)
            assert y.max() < left.get_ylim()[1]
    check_nothing_is_cut(left.figure)
    check_type(left.figure)


def test_the_titles_of_a_group_of_eyes_are_true_of_each_of_its_lines():
    people, _, species = perception_experiments.implied_by_column().values()
    for title, views in zip(perception_figures.FINDINGS, (people, species), strict=True):
        figure = perception_figures.csf_weighting({title: views}).figure
        said = [ax.get_title() for ax in figure.axes]
        assert said == list(perception_figures.FINDINGS[title])
    logsnr = np.linspace(-10, 10, 201)
    for view in people.values():
        middle = np.log(view.rate_distortion(-4.0) / view.rate_distortion(2.0)) / 6
        assert 0.35 < middle < 0.75  # flow matching's is 0.5
        w = view.projection(logsnr)
        assert w.max() / w.min() < 6.1 and w[0] < w.max() / 1.9
    ends = {name: view.projection(np.array([-10.0, 10.0])) for name, view in species.items()}
    assert [name for name, (noise, data_end) in ends.items() if noise < data_end] == ["human"]
    assert len(ends) == 6
    at_noise = [
        view.rate_distortion(-10.0) / view.rate_distortion(0.0) for view in species.values()
    ]
    assert at_noise == sorted(at_noise)  # from the highest peak to the lowest


def test_pictures_of_sizes_and_of_spending_name_their_curves():
    levels = {"64² pixels": perception_experiments.drowning(4)}
    ax = perception_figures.drowned(levels)
    np.testing.assert_array_equal(data(ax.figure, 0, "64² pixels"), levels["64² pixels"])
    assert [text.get_text() for text in ax.texts] == ["64² pixels"]
    logsnr = np.linspace(-10, 10, 201)
    names = ("elbo", "edm", "fm-ot", "sd3")
    spent = perception_experiments.photo_spending(logsnr, names)
    ax = perception_figures.spending(logsnr, spent)
    assert [text.get_text() for text in ax.texts] == ["ELBO", "EDM", "flow matching", "SD3"]
    for name in names:
        x, y = data(ax.figure, 0, name)
        assert np.trapezoid(y, x) == pytest.approx(1, rel=1e-6)
        assert np.trapezoid(y[x <= 0], x[x <= 0]) < 0.5  # as the title says
    for each in (ax.figure, perception_figures.drowned(levels).figure):
        check_nothing_is_cut(each)
        check_type(each)


def test_a_title_on_what_is_spent_holds_for_each_loss():
    logsnr = np.linspace(-10, 10, 201)
    late, early = (np.exp(-((logsnr - middle) ** 2)) for middle in (3, -3))
    assert "above λ = 0" in perception_figures.spending(logsnr, {"late": late}).get_title()
    both = perception_figures.spending(logsnr, {"late": late, "early": early})
    assert both.get_title() == perception_figures.SPENDING


def test_slopes_by_distance_are_drawn_and_named_where_they_end():
    rates = np.array([10.0, 30.0, 90.0])
    slopes = {"fm-ot": np.full(3, -0.5), "Barten 2004": np.array([-0.3, -0.5, -0.9])}
    ax = perception_figures.slopes_by_distance(rates, slopes)
    for name, wanted in slopes.items():
        np.testing.assert_array_equal(data(ax.figure, 0, name), (rates, wanted))
    heights = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert heights["flow matching"] > heights["Barten 2004"]
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)


def test_no_eye_has_the_colour_of_what_is_seen_in_the_explorer():
    assert SEEN_COLOUR not in perception_figures.CURVE_COLOURS.values()


def test_the_two_rows_of_implied_weightings_have_one_scale():
    panels = figures.draw("csf-weighting").axes
    scales = []
    for ax in panels:
        low, high = ax.get_ylim()
        scales.append(ax.get_window_extent().height / (high - low))
        curves = [line for line in ax.lines if line.get_gid() in perception_figures.CURVE_COLOURS]
        heights = np.concatenate([np.asarray(line.get_ydata()) for line in curves])
        assert heights.max() < high
    assert scales == pytest.approx([scales[0]] * 6, rel=0.01)


def test_an_unknown_photograph_or_sensitivity_names_near_ones():
    for call, near in (
        (lambda: perception_experiments.spectrum("camra"), "camera"),
        (lambda: perception_experiments.seen("barten"), "barten_1999"),
    ):
        with pytest.raises(ValueError, match=f"did you mean .*{near}"):
            call()
    with pytest.raises(ValueError, match="no published peak for species 'pigeon'"):
        perception_experiments.seen(animal="pigeon")


def test_hearing_prefers_no_low_frequencies():
    figure = figures.draw("hearing")
    f, decibels = data(figure, 0, "A-weighting")
    assert np.interp([100, 1000, 10000], f, decibels) == pytest.approx([-19.1, 0, -2.5], abs=0.1)
    logsnr, projection = data(figure, 1, "projection of ε")
    assert projection[logsnr == -8] < -0.2 and abs(projection[logsnr == 2]) < 0.1
    _, rate = data(figure, 1, "rate–distortion")
    assert (
        abs(rate[logsnr == -8] - rate[logsnr == -3]) < 0.15
    )  # no rise towards noise, where the low frequencies live
    assert (rate[logsnr == 10] - rate[logsnr == 6]) * np.log(10) / 4 == pytest.approx(-1, abs=0.02)


def test_pink_noise_is_pink_and_hears_the_same_as_its_law():
    seen = spectra.sound_spectrum(perception_experiments.pink())
    assert seen.slopes()[0] == pytest.approx(
        1, abs=0.03
    ) and perception_experiments.pink().std() == pytest.approx(0.2)
    law = spectra.Spectrum(
        seen.frequency,
        seen.frequency[None] ** -1.0 * np.median(seen.power * seen.frequency),
        seen.count,
    )
    logsnr = np.array([-4.0, 0.0, 4.0])
    for kind in ("rate_distortion", "projection"):
        found, wanted = (
            getattr(
                spectra.implied(one, sensitivities.a_weighting, perception_experiments.SOUND_RATE),
                kind,
            )(logsnr)
            for one in (seen, law)
        )
        assert found == pytest.approx(wanted, rel=0.04)


def test_the_tables_say_what_the_functions_find():
    table = perception_experiments.share_table().splitlines()
    row = next(line for line in table if line.startswith("fm-ot"))
    fm = dv.objective("fm-ot")
    white = dv.share_below(fm, mmse=analysis.gaussian_mmse)
    for value in (
        dv.share_below(fm),
        white,
        dv.share_below(fm, mmse=perception_experiments.spectrum().mmse),
    ):
        assert f"{value:.1%}" in row
    each = [
        dv.share_below(fm, mmse=perception_experiments.spectrum(name).mmse)
        for name in perception_experiments.photos()
    ]
    assert f"{min(each):.1%} to {max(each):.1%}" in row


def test_the_nearest_objective_is_that_of_the_smallest_spread_of_the_log_ratio():
    grid, w = np.linspace(-6, 6, 241), perception_experiments.seen().rate_distortion
    gap = {
        n: np.std(np.log(w(grid) / dv.objective(n).weighting(grid)))
        for n in ("diffsynth-flux2", "fm-ot", "elbo", "indi")
    }
    found = perception_experiments.nearest(w, k=len(dv.catalogue))
    assert found["diffsynth-flux2"] == min(found.values()) and all(
        found[n] == pytest.approx(gap[n], abs=1e-8) for n in ("diffsynth-flux2", "indi")
    )
    assert (
        sum(abs(one - gap["fm-ot"]) < 1e-6 for one in found.values()) == 1
    )  # its eight twins are left out
    assert (
        next(iter(perception_experiments.nearest(dv.objective("sigmoid-bias2").weighting, k=2)))
        == "sigmoid-bias2"
    )


def test_a_picture_noised_twice_has_the_same_noise_at_another_strength():
    image = perception_experiments.photos()["brick"]
    one, two = (
        perception_experiments.noised(image, 0.0) - image,
        perception_experiments.noised(image, 4.0) - image,
    )
    assert np.allclose(one, np.exp(2) * two) and one.std() == pytest.approx(1, abs=0.01)


def test_figures_take_other_data():
    """What a reader changes in a notebook changes the picture."""
    noised = perception_experiments.noised_power("grass", levels=(2.0, -2.0))
    figure = perception_figures.spectra(noised=noised).figure
    np.testing.assert_array_equal(data(figure, 1, "grass")[1], noised.image)
    assert np.allclose(data(figure, 1, "λ = −2")[1], noised.image + np.exp(2.0))
    figure = perception_figures.frequency_map(times=(1, 16), names=("edm", "indi")).figure
    assert data(figure, 0, "16² pixels")[0].max() < 9
    drawn = {line.get_gid() for line in figure.axes[1].lines}
    assert {"edm", "indi"} <= drawn and "fm-ot" not in drawn
    frequency = np.geomspace(0.1, 20, 50)
    figure = perception_figures.contrast_sensitivity(frequency).figure
    assert figure.axes[0].get_xlim() == (0.1, pytest.approx(20))
    one = {"goldfish": {"goldfish": perception_experiments.seen(animal="goldfish")}}
    figure = perception_figures.csf_weighting(one).figure
    assert len(figure.axes) == 2
    view = perception_experiments.seen()
    logsnr, y = data(perception_figures.hearing(view).figure, 1, "projection of ε")
    expected = np.log10(view.projection(logsnr) / view.projection(0.0))
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_no_curve_but_an_objectives_has_the_colour_of_an_objective():
    """Names that are no objectives have colours of their own."""
    taken = set(COLOURS.values()) - {"#000000"}
    assert not taken & {*OTHERS, *perception_figures.CURVE_COLOURS.values()}
    for name in NAMES:
        for axes in figures.draw(name).axes:
            for line in axes.lines:
                entry = str(line.get_gid()).removesuffix(":ends").removesuffix(":words")
                if line.get_color() in taken:
                    assert entry in dv.catalogue, (name, entry)
