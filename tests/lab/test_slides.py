"""Decks: what stands on each slide, in the browser's file and in PowerPoint's."""

import re
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from diffviz.lab import slides
from diffviz.lab.figures import FIGURES
from diffviz.lab.slides import decks

NAMES = ["sd3-vs-edm", "edm-monotonic"]


@pytest.fixture(scope="module")
def pictures():
    return {name: decks.picture(name) for name in NAMES}


def test_every_figure_has_a_slide_with_all_its_texts():
    every = slides.slides()
    assert {one.name for one in every} == set(FIGURES)
    assert len(every) == len(FIGURES)
    for one in every:
        assert one.title and one.sentence and one.source and one.notes
        assert one.sentence.endswith((".", "?", "!"))
        assert len(one.title) < 60


def test_texts_belong_to_figures():
    assert set(decks._texts()) <= set(FIGURES)


def test_a_figure_without_texts_says_what_is_known(monkeypatch):
    monkeypatch.setitem(FIGURES, "own-figure", (test_texts_belong_to_figures, "A caption"))
    slide = slides.slides(["own-figure"])[0]
    assert slide.title == "Own figure"
    assert slide.sentence == "A caption."
    assert slide.source and slide.notes


def test_a_picture_has_the_proportions_of_its_place(pictures):
    for content in pictures.values():
        with Image.open(BytesIO(content)) as image:
            assert image.size[0] == decks.PIXELS
            assert np.divide(*image.size) == pytest.approx(np.divide(*decks.SHAPE), rel=0.01)


def test_the_deck_for_the_browser_is_whole(tmp_path, pictures):
    file = slides.write(tmp_path / "deck.html", NAMES, pictures=pictures)
    text = file.read_text(encoding="utf-8")
    assert text.count("<section") == 2 * 3  # one inside the other, as reveal.js has columns
    assert text.count('<aside class="notes">') == 2
    assert text.count('src="data:image/png;base64,') == 2
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.findall(r'(?:src|href)="(?!data:)[^"#]', markup)
    assert "@import" not in markup and "url(http" not in markup
    for slide in slides.slides(NAMES):
        assert slide.title in text
        assert slide.notes.split(".")[0] in text
        assert slide.source.split(";")[0] in text
    places = [text.index(slide.title) for slide in slides.slides(NAMES)]
    assert places == sorted(places)


def test_the_same_deck_has_the_same_bytes(tmp_path, pictures):
    pytest.importorskip("pptx")
    for ending in decks.ENDINGS:
        files = [
            slides.write(tmp_path / f"{k}{ending}", NAMES, pictures=pictures) for k in range(2)
        ]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("theme", decks.THEMES)
def test_the_deck_for_powerpoint(tmp_path, pictures, theme):
    pptx = pytest.importorskip("pptx")
    file = slides.write(tmp_path / "deck.pptx", NAMES, theme, "Own title", pictures)
    deck = pptx.Presentation(file)
    assert deck.slide_width / deck.slide_height == pytest.approx(16 / 9, abs=1e-3)
    first, *pages = deck.slides
    assert first.shapes.title.text == "Own title"
    for page, slide in zip(pages, slides.slides(NAMES), strict=True):
        assert page.shapes.title.text == slide.title
        words = " ".join(shape.text_frame.text for shape in page.shapes if shape.has_text_frame)
        assert slide.sentence in words
        assert slide.source in words
        assert page.notes_slide.notes_text_frame.text == slide.notes
        (image,) = [shape for shape in page.shapes if shape.shape_type == 13]
        assert image._element.nvPicPr.cNvPr.get("descr") == slide.sentence
        assert image.left >= 0 and image.left + image.width <= deck.slide_width
        assert image.top + image.height <= deck.slide_height
        assert str(page.background.fill.fore_color.rgb) == decks.GROUND[theme]


def test_wrong_decks_are_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(ValueError, match="ending of the deck"):
        slides.write(tmp_path / "deck.pdf", NAMES)
    with pytest.raises(ValueError, match="theme"):
        slides.write(tmp_path / "deck.html", NAMES, "light")
    with pytest.raises(ValueError, match="figure"):
        slides.write(tmp_path / "deck.html", ["sd3-vs-edn"])
    with pytest.raises(TypeError, match="names must be a list"):
        slides.write(tmp_path / "deck.html", "sd3-vs-edm")
    with pytest.raises(TypeError, match="title must be text"):
        slides.write(tmp_path / "deck.html", NAMES, title=None)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pptx", None)
    monkeypatch.setattr(decks, "picture", None)
    with pytest.raises(ModuleNotFoundError, match=r"diffviz\[slides\]"):
        slides.write(tmp_path / "deck.pptx", NAMES)


def test_the_command_writes_the_selection(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decks, "picture", lambda name, theme: tiny())
    file = tmp_path / "talk.html"
    slides.main([*NAMES, "--out", str(file), "--theme", "dark", "--title", "Mine"])
    assert capsys.readouterr().out.strip() == str(file)
    text = file.read_text(encoding="utf-8")
    assert '<body class="dark">' in text
    assert ">Mine" in text


def tiny():
    content = BytesIO()
    Image.new("RGB", (16, 7)).save(content, "PNG")
    return content.getvalue()
