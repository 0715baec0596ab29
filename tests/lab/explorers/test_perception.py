"""The explorer of perception: a control is set, the lines and the picture are read."""

import numpy as np
import pytest
from PIL import Image
from scipy import fft
from scipy.io import wavfile

import diffviz as dv
from diffviz.data import files
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.explorers import recordings
from diffviz.lab.explorers.perception import BRIGHTEST, HALF, KNOWN, LEVEL, SEEN, PerceptionExplorer
from diffviz.perception import sensitivities, spectra
from diffviz.web.pictures import Images, to_message

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer():
    return PerceptionExplorer()


def curve(explorer, panel, name):
    chart = explorer.view.charts[panel]
    return chart.places(name), np.asarray(chart.curves[name])


def picture(explorer):
    """What is shown, in the units of z."""
    (panel,) = (panel for panel in explorer.view.panels if isinstance(panel, Images))
    return (2 * np.asarray(panel.pixels[0]) - 1) * BRIGHTEST


def test_the_curves_are_the_weightings_of_what_is_chosen(explorer):
    for name, value in {
        "image": "grass",
        "rate": 60.0,
        "curve": "Daly 1993",
        "species": "cat",
    }.items():
        explorer.set(name, value)
    rings = spectra.image_spectrum(files.load("photos")["grass"])
    view = spectra.implied(rings, lambda f: sensitivities.daly(10 * f), explorer.state["rate"])
    for name, w in (
        ("rate–distortion", view.rate_distortion),
        ("projection of ε", view.projection),
        ("projection of x", view.projection_of_x),
    ):
        logsnr, y = curve(explorer, 0, name)
        assert np.allclose(y, np.log10(w(logsnr) / w(0.0)), atol=1e-9)
    f, felt = curve(explorer, 1, SEEN)
    assert np.allclose(
        felt,
        sensitivities.daly(10 * f / 256 * explorer.state["rate"])
        / sensitivities.daly(np.geomspace(0.05, 60, 200)).max(),
    )
    assert felt.max() <= 1.01
    slope = np.log(view.rate_distortion(2.0) / view.rate_distortion(-4.0)) / 6
    assert f"{slope:+.2f} from −4 to 2".replace("-", "−") in explorer.view.text
    explorer.set("logsnr", -3.0)
    assert "at λ = −3.0: " in explorer.view.text


def test_objectives_of_the_catalogue_stand_beside(explorer):
    explorer.set("beside", ("edm", "indi"))
    logsnr, y = curve(explorer, 0, "edm")
    edm = dv.objective("edm").weighting
    assert np.allclose(y, np.log10(edm(logsnr) / edm(0.0)))
    assert list(explorer.view.charts[0].curves) == [
        "rate–distortion",
        "projection of ε",
        "projection of x",
        "edm",
        "indi",
    ]


def test_the_picture_is_noised_to_the_level(explorer):
    image = perception_experiments.photos()["camera"]
    for level in (-4.0, 0.0, 6.0):
        explorer.set("logsnr", level)
        shown = picture(explorer)
        alpha, sigma = np.sqrt(1 / (1 + np.exp(-level))), np.sqrt(1 / (1 + np.exp(level)))
        eps = (shown - alpha * image) / sigma
        assert [eps.mean(), eps.std()] == pytest.approx([0, 1], abs=0.01) and abs(
            np.corrcoef(eps.flat, image.flat)[0, 1]
        ) < 0.02
        assert explorer.view.charts[0].marks == {LEVEL: level}


def test_the_known_share_of_a_band_is_what_the_guess_recovers(explorer):
    """Over an octave, the mean squared error of the guess is the share of power not known."""
    explorer.set("logsnr", -1.0)
    explorer.set("guess", True)
    guess = picture(explorer)
    gap = fft.dctn(guess - perception_experiments.photos()["camera"], norm="ortho") ** 2
    f, share = curve(explorer, 1, KNOWN)
    radius = np.hypot.outer(np.arange(256), np.arange(256)) / 2
    power = fft.dctn(perception_experiments.photos()["camera"], norm="ortho") ** 2
    band = (radius >= 8) & (radius < 32)
    ring = (f >= 8) & (f < 32)
    weight = (
        perception_experiments.spectrum("camera").power
        * perception_experiments.spectrum("camera").count
    )
    weight = weight[perception_experiments.spectrum("camera").frequency < 0.5][ring]
    assert gap[band].sum() / power[band].sum() == pytest.approx(
        1 - share[ring] @ weight / weight.sum(), rel=0.05
    )


def test_the_table_of_octaves_counts_power(explorer):
    explorer.set("logsnr", 2.0)
    radius, power = (
        np.hypot.outer(np.arange(256), np.arange(256)) / 2,
        fft.dctn(perception_experiments.photos()["camera"], norm="ortho") ** 2,
    )
    band = (radius >= 32) & (radius < 64)
    ring = np.rint(2 * radius[band]).astype(int)
    mean = np.bincount(ring, power[band]) / np.maximum(np.bincount(ring), 1)
    known = mean[ring] / (mean[ring] + np.exp(-2.0))
    row = explorer.view.text.split("known of its power  ")[1].splitlines()[0].split("  ")
    assert float(row[-2].rstrip("%")) / 100 == pytest.approx(
        (known * power[band]).sum() / power[band].sum(), abs=0.011
    )
    assert (
        "32–64" in explorer.view.text and "3.8" in explorer.view.text
    )  # 32 cycles in 256/30 degrees


def test_the_distortion_left_is_the_share_of_what_is_seen(explorer):
    """At first for Barten 2004 at 30 pixels per degree; little is known, so nearly all is left."""
    explorer.set("logsnr", 1.0)
    rings = perception_experiments.spectrum("camera")
    seen = rings.count * rings.power * sensitivities.barten_2004(rings.frequency * 30) ** 2
    left = (seen / (1 + rings.power * np.exp(1.0))).sum() / seen.sum()
    assert f"left at λ = 1.0: {left:.1%}" in explorer.view.text and 0 < left < 0.5
    explorer.set("logsnr", -8.0)
    assert float(explorer.view.text.split("left at λ = −8.0: ")[1].split("%")[0]) > 90


def test_each_control_changes_what_is_shown(explorer):
    values = {
        "logsnr": -3,
        "rate": 60.0,
        "image": "brick",
        "curve": "Daly 1993",
        "species": "cat",
        "guess": True,
        "beside": (),
    }
    for name, value in values.items():
        before = to_message(explorer.view)
        explorer.set(name, value)
        assert explorer.error == "" and to_message(explorer.view) != before, name


def test_all_eight_photographs_are_looked_at_together(explorer):
    explorer.set("image", "all eight")
    assert explorer.error == ""
    view = perception_experiments.seen("barten_2004", 30)
    logsnr, y = curve(explorer, 0, "rate–distortion")
    assert np.allclose(y, np.log10(view.rate_distortion(logsnr) / view.rate_distortion(0.0)))
    (shown,) = (panel for panel in explorer.view.panels if isinstance(panel, Images))
    assert shown.pixels.shape == (8, 256, 256) and shown.columns == 3
    explorer.set("guess", True)
    explorer.set("logsnr", 8.0)
    for guess, photo in zip(
        explorer.picture(), perception_experiments.photos().values(), strict=True
    ):
        assert np.corrcoef(guess.ravel(), photo.ravel())[0, 1] > 0.99


def test_the_guess_of_all_eight_knows_the_mean_spectrum_only():
    album = perception_experiments.album()
    brick = perception_experiments.photograph("brick")
    own, of_album = brick.guess(0.0), brick.guess(0.0, album.spectrum)
    error = [np.square(guess - brick.pixels).mean() for guess in (own, of_album)]
    assert error[0] < error[1]
    place = list(perception_experiments.photos()).index("brick")
    np.testing.assert_array_equal(album.guess(0.0)[place], of_album)


def test_a_picture_of_the_reader_stands_beside_the_photographs():
    rows, columns = np.mgrid[:64, :64]
    waves = np.round(127.5 + 100 * np.sin(rows / 3 + columns / 7)).astype(np.uint8)
    explorer = PerceptionExplorer("mine", pictures={"mine": waves}, logsnr=8.0)
    shown = picture(explorer)
    assert shown.shape == (64, 64)
    assert np.corrcoef(shown.ravel(), waves.ravel())[0, 1] > 0.99
    assert "16–32" in explorer.view.text and "32–64" not in explorer.view.text
    rings = spectra.image_spectrum(waves)
    view = spectra.implied(rings, sensitivities.barten_2004, 30.0)
    logsnr, y = curve(explorer, 0, "rate–distortion")
    w = view.rate_distortion
    assert np.allclose(y, np.log10(w(logsnr) / w(0.0)), atol=1e-9)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ([np.zeros((8, 8))], TypeError, "pictures must map names"),
        ({"mine": np.ones((8, 8), complex)}, TypeError, "picture of type complex128"),
        ({"mine": np.eye(8)[:4]}, ValueError, "square"),
        ({"mine": np.full((8, 8), np.nan)}, ValueError, "NaN|finite"),
    ],
)
def test_what_is_no_picture_is_refused(bad, error, words):
    with pytest.raises(error, match=words):
        PerceptionExplorer(pictures=bad)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [({"image": "camra"}, "camera"), ({"curve": "Barten"}, "Barten"), ({"species": "cad"}, "cat")],
)
def test_an_unknown_choice_names_near_ones(wrong, near):
    with pytest.raises(ValueError, match=near):
        PerceptionExplorer(**wrong)


def file_of(tmp_path, name, pixels, **options):
    Image.fromarray(pixels).save(tmp_path / name, **options)
    return tmp_path / name


def ramp(height, width, dtype=np.uint8, most=255):
    return (np.linspace(0, most, width) * np.ones((height, 1))).astype(dtype)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey.png", ramp(80, 120)),
        ("colour.jpg", np.stack([ramp(40, 40)] * 3, 2)),
        ("clear.png", np.dstack([ramp(64, 48)] * 3 + [np.full((64, 48), 255, np.uint8)])),
        ("deep.png", ramp(33, 50, np.uint16, 65535)),
        ("small.bmp", ramp(16, 16)),
        ("float.tif", ramp(64, 64, np.float32, 2.0) - 1),
        ("camera.webp", ramp(100, 100)),
    ],
)
def test_a_picture_in_a_file_is_taken(tmp_path, name, pixels):
    explorer = PerceptionExplorer()
    explorer.upload("own", file_of(tmp_path, name, pixels))
    assert explorer.error == ""
    stem = name.split(".")[0]
    assert explorer.state["image"] == ("camera (your own)" if stem == "camera" else stem)
    shown = explorer.photograph().pixels
    assert shown.shape == (256, 256) and shown[:, :20].mean() < -0.5 < 0.5 < shown[:, -20:].mean()
    assert "pictures=pictures" in explorer.code()
    explorer.set("guess", True)
    assert explorer.error == "" and len(explorer.view.panels) == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"no picture at all", "cannot read an image from file.png"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "cannot read an image from file.png"),
        (bytes(20_000_001), "up to 20 MB"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_in_words(tmp_path, content, words):
    explorer = PerceptionExplorer()
    (tmp_path / "file.png").write_bytes(content)
    explorer.upload("own", tmp_path / "file.png")
    assert words in explorer.error
    assert explorer.state == explorer.description.start


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((40, 40), 7, np.uint8), "constant"),
        (np.full((40, 40), np.nan, np.float32), "must be finite"),
        (ramp(7, 400), "at least 8 a side"),
        (np.dstack([ramp(64, 48)] * 4), "alpha channel"),
    ],
)
def test_a_picture_without_a_spectrum_is_refused_in_words(tmp_path, pixels, words):
    explorer = PerceptionExplorer()
    name = "file.tif" if pixels.dtype == np.float32 else "file.png"
    explorer.upload("own", file_of(tmp_path, name, pixels))
    assert words in explorer.error and explorer.state["image"] == "camera"


def test_only_an_upload_takes_a_file(tmp_path):
    with pytest.raises(ValueError, match="takes no file"):
        PerceptionExplorer().upload("rate", file_of(tmp_path, "a.png", ramp(20, 20)))


def sound_file(path, values, rate=16000):
    wavfile.write(path, rate, values)
    return path


def tone(hertz=1000.0, rate=16000, seconds=1.0):
    noise = np.random.default_rng(0).standard_normal(int(rate * seconds))
    wave = np.sin(2 * np.pi * hertz * np.arange(len(noise)) / rate)
    return (8000 * wave + 50 * noise).astype(np.int16)


@pytest.mark.parametrize("species", sensitivities.SPECIES)
@pytest.mark.parametrize("rate", [3.0, 30.0, 120.0])
def test_no_weighting_leaves_the_picture_at_any_distance(species, rate):
    explorer = PerceptionExplorer(species=species, rate=rate)
    for image in ("grass", "coffee", "brick", "all eight"):
        explorer.set("image", image)
        chart = explorer.view.charts[0]
        low, high = chart.ylim
        for name in ("rate–distortion", "projection of ε", "projection of x"):
            assert low < chart.curves[name].min() <= chart.curves[name].max() < high, (image, name)


def test_a_frequency_drowns_where_half_of_it_is_known(explorer):
    explorer.set("logsnr", 0.0)
    cycles, known = curve(explorer, 1, KNOWN)
    _, half = curve(explorer, 1, HALF)
    power = perception_experiments.spectrum(explorer.state["image"]).power[: len(cycles)]
    np.testing.assert_array_equal(known > half, power > 1)


def test_a_sound_is_listened_to(tmp_path):
    explorer = PerceptionExplorer()
    explorer.upload("own", sound_file(tmp_path / "tone.wav", tone()))
    assert explorer.error == "" and explorer.state["image"] == "tone"
    assert "rate" not in explorer.description.shown(explorer.state)
    assert "1.00 s at 16000 Hz" in explorer.view.text
    bands = explorer.view.charts[1]
    known = np.asarray(bands.curves[recordings.KNOWN])
    assert bands.places(recordings.KNOWN)[known.argmax()] == pytest.approx(1000, abs=40)
    wave = explorer.view.charts[2]
    clean = np.asarray(wave.curves["sound"])
    explorer.set("logsnr", 8.0)
    near = np.asarray(explorer.view.charts[2].curves["at λ"])
    assert np.abs(near - clean).max() < 0.1 < np.abs(wave.curves["at λ"] - clean).max()
    explorer.set("image", "camera")
    assert explorer.error == "" and len(explorer.view.charts) == 2


def test_a_sound_and_a_picture_of_one_name_take_turns(tmp_path):
    explorer = PerceptionExplorer()
    explorer.upload("own", sound_file(tmp_path / "own.wav", tone()))
    explorer.upload("own", file_of(tmp_path, "own.png", ramp(40, 40)))
    assert len(explorer.view.charts) == 2
    explorer.upload("own", sound_file(tmp_path / "own.wav", tone()))
    assert len(explorer.view.charts) == 3 and explorer.error == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(16000, np.int16), "not constant"),
        (np.full(16000, np.nan, np.float32), "must be finite"),
        (tone(seconds=0.05), "two segments"),
        (np.stack([tone()] * 2, 1), "2 channels"),
    ],
)
def test_a_sound_without_a_spectrum_is_refused_in_words(tmp_path, values, words):
    explorer = PerceptionExplorer()
    explorer.upload("own", sound_file(tmp_path / "bad.wav", values))
    assert words in explorer.error and explorer.state == explorer.description.start


def test_a_file_that_is_no_sound_is_refused_in_words(tmp_path):
    explorer = PerceptionExplorer()
    (tmp_path / "bad.wav").write_bytes(b"RIFF and nothing")
    explorer.upload("own", tmp_path / "bad.wav")
    assert "cannot read a WAV file from bad.wav" in explorer.error


def test_an_upload_is_no_button():
    with pytest.raises(ValueError, match="action"):
        PerceptionExplorer().act("own")
