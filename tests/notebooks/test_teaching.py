"""The style of notebooks that teach: citations, symbols, numbers, questions, visible code."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from notebook_prose import NOTEBOOKS, cells, prose

ROOT = NOTEBOOKS.parent
ALL = sorted(file.stem for file in NOTEBOOKS.glob("*.ipynb"))
DERIVED = (
    "00_start_here",
    "01_weightings",
    "02_noise_schedules",
    "03_training",
    "04_probe_your_loss",
    "05_elbo",
    "06_policy",
    "07_prior",
    "08_sampling",
    "09_perception",
    "10_masked",
    "11_few_steps",
    "12_two_roads",
    "13_search",
)
TYPESET = DERIVED


def loaded(file: Path):
    """A module from its file."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


paragraphs = loaded(NOTEBOOKS / "paragraphs.py")


def markdown(name):
    """The prose of a notebook as it stands in the cells."""
    return "\n\n".join(cell.source for cell in cells(name) if cell.cell_type == "markdown")


# --- citations ----------------------------------------------------------------------------------

bibliography = pytest.importorskip("sphinx") and loaded(ROOT / "docs" / "_ext" / "bibliography.py")
REFERENCES = {entry.link: entry for entry in bibliography.read(ROOT / "docs" / "references.bib")}
CITATION = re.compile(r"\[([^\]]+)\]\((https?://(?:arxiv\.org|doi\.org|www\.crosslabs)[^)]+)\)")


@pytest.mark.parametrize("name", ALL)
def test_every_citation_is_in_the_bibliography(name):
    for words, link in CITATION.findall(markdown(name)):
        assert link in REFERENCES, f"add {link} to docs/references.bib"
        entry = REFERENCES[link]
        assert entry.authors[0] in words, f"{words!r} is by {entry.names()}"
        assert entry.year in words, f"{words!r} is of {entry.year}"


@pytest.mark.parametrize("name", DERIVED)
def test_a_notebook_cites_its_sources(name):
    assert CITATION.findall(markdown(name))


def test_keys_and_links_of_the_bibliography_are_there_once():
    entries = bibliography.read(ROOT / "docs" / "references.bib")
    assert len({entry.key for entry in entries}) == len(entries) == len(REFERENCES)
    for entry in entries:
        family = entry.authors[0].lower().replace("ü", "u").replace(" ", "")
        assert entry.key.startswith(f"{family}{entry.year}"), entry.key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@misc{a1,\n  author = {A, B},\n  year = {1},\n  title = {T},\n}", "eprint, doi or url"),
        ("@misc{a1,\n  year = {1},\n  title = {T},\n  doi = {1},\n}", "needs author"),
        ("@misc{a1,\n  author = {A, B}, year = {1},\n}", "one field a line"),
        ("something else", "no entry"),
    ],
)
def test_a_bibliography_of_another_form_is_refused(text, said, tmp_path):
    file = tmp_path / "some.bib"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        bibliography.read(file)


# --- symbols ------------------------------------------------------------------------------------

LAYOUT = re.compile(
    r"\\(?:begin|end)\{\w+\}"
    r"|\\(?:text|mathrm\{std|label)\{[^}]*\}"
    r"|\\(?:tfrac|frac|left|right|big|Big|bigl|bigr|quad|qquad|underbrace|Vert|lVert|rVert|mid|int"
    r"|sum|infty|propto|approx|sim|le|ge|to|leftarrow|longrightarrow|longmapsto|Longrightarrow"
    r"|Rightarrow|dots|cdot|pm|sqrt|top|partial|circ|;|,|!|\\|:)(?![a-zA-Z])"
)
SYMBOL = re.compile(
    r"\\(?:hat|tilde|bar|dot)\s*\\?[a-zA-Z]+"
    r"|\\(?:operatorname|mathrm|mathbb)\s*\{?\s*[A-Za-z]+\}?"
    r"|\\[a-zA-Z]+|[a-zA-Z]"
)


def symbols(formula):
    """The symbols of a formula, without what only lays it out; \\hat x and \\hat{x} are one."""
    plain = LAYOUT.sub(" ", re.sub(r"\\text\{[^}]*\}", " ", formula))
    found = SYMBOL.findall(plain)
    return {re.sub(r"[{}\s]", "", symbol) for symbol in found}


def displayed(name):
    """The displayed formulas of a notebook."""
    return re.findall(r"\$\$(.+?)\$\$", markdown(name), re.S)


def glossary_symbols():
    """The symbols that the glossary defines: in the first column of its table, or its meaning."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\$.+?) \|", text, re.M)
    assert len(rows) > 40
    return set().union(*(symbols(formula) for row in rows for formula in row.split("$")[1::2]))


def test_symbols_are_read_from_formulas():
    found = symbols(
        r"\tfrac12\int w(\lambda)\,\mathbb E\,\lVert\hat\varepsilon - x'\rVert^2 d\lambda"
    )
    assert found == {"w", r"\lambda", r"\mathbbE", r"\hat\varepsilon", "x", "d"}
    assert symbols(r"\underbrace{\mathrm{KL}}_{\text{prior}}") == {r"\mathrmKL"}


@pytest.mark.parametrize("name", TYPESET)
def test_every_displayed_symbol_is_in_the_glossary(name):
    known = glossary_symbols()
    for formula in displayed(name):
        missing = symbols(formula) - known
        assert not missing, f"{sorted(missing)} of {formula.strip()} are not in docs/glossary.md"


@pytest.mark.parametrize("name", TYPESET)
def test_every_formula_becomes_mathml(name):
    """The pages show formulas as MathML; what cannot be read there stays as a command."""
    converter = pytest.importorskip("latex2mathml.converter")
    text = re.sub(r"```.*?```|`[^`]*`", "", markdown(name), flags=re.S)
    inline = re.findall(r"\$([^$\n]+)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.S))
    for formula in displayed(name) + inline:
        assert not re.search(r">\\[a-zA-Z]+<", converter.convert(formula)), formula


@pytest.mark.parametrize("name", DERIVED)
def test_a_displayed_formula_ends_its_paragraph(name):
    """Else the next paragraph begins in the line of the formula."""
    for cell in cells(name):
        lines = cell.source.split("\n") if cell.cell_type == "markdown" else []
        for place in [i for i, line in enumerate(lines) if line == "$$"][1::2]:
            assert not "".join(lines[place + 1 : place + 2]), lines[place + 1]


@pytest.mark.parametrize("name", DERIVED)
def test_key_formulas_are_displayed(name):
    assert len(displayed(name)) >= 4


def test_a_term_is_defined_once():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^- \*\*(.+?)\*\*", text, re.M)
    assert len(terms) == len(set(terms)) >= 30
    assert terms == sorted(terms, key=str.lower)


# --- numbers ------------------------------------------------------------------------------------

FEW = {  # exercises with their solutions, and counts that belong together
    "00_start_here": 0,
    "01_weightings": 0,
    "02_noise_schedules": 3,
    "03_training": 0,
    "04_probe_your_loss": 0,
    "05_elbo": 2,
    "06_policy": 4,
    "07_prior": 2,
    "08_sampling": 3,
    "09_perception": 2,
    "10_masked": 1,
    "11_few_steps": 2,
    "12_two_roads": 1,
    "13_search": 1,
}


@pytest.mark.parametrize("name", FEW)
def test_few_paragraphs_have_more_than_three_numbers(name):
    found = list(paragraphs.crowded(NOTEBOOKS / f"{name}.ipynb"))
    assert len(found) <= FEW[name], found


def test_the_script_counts_numbers_of_prose_and_nothing_else():
    text = (
        "# 1 2 3 4\n\nOne is 1, two 2.5, three −3, four 4e-5.\n\n"
        "| 1 | 2 | 3 | 4 |\n\n$1 + 2 + 3 + 4$ and `1, 2, 3, 4` and [Ho 2020](https://a.b/1234)\n\n"
        "- 1 and 2\n- 3 and 4"
    )
    counts = [len(paragraphs.NUMBER.findall(one)) for one in paragraphs.paragraphs(text)]
    assert counts == [4, 0, 2, 2]


# --- questions and code -------------------------------------------------------------------------


ASKED = TYPESET


@pytest.mark.parametrize("name", ASKED)
def test_there_are_five_questions_and_five_answers(name):
    text = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    number = int(name[:2])
    (section,) = re.findall(rf"^## {number} · .*?(?=^## |\Z)", text, re.M | re.S)
    asked, answered = section.split("<details>")
    assert re.findall(r"^(\d)\. .*", asked, re.M) == list("12345")
    assert re.findall(r"^(\d)\. .*", answered, re.M) == list("12345")
    assert all(line.endswith("?") for line in questions_of(asked))


def questions_of(text):
    """The questions of a section, each in one line."""
    body = text.split("\n\n", 1)[1]
    return [" ".join(one.split()) for one in re.split(r"^\d\. ", body, flags=re.M)[1:]]


@pytest.mark.parametrize("name", DERIVED)
def test_the_code_that_makes_a_picture_is_visible(name):
    code = [cell.source for cell in cells(name) if cell.cell_type == "code"]
    assert not any("figures.draw(" in source for source in code)
    if any("figures." in source for source in code):
        assert "/lab/figures/" in markdown(name)  # a link to the source


@pytest.mark.parametrize("name", DERIVED)
def test_a_notebook_links_the_glossary(name):
    assert "(../docs/glossary.md)" in markdown(name)


def test_what_readers_stumbled_at_is_gone():
    """Words and claims that were not understood, or said too strongly."""
    for name, words in {
        "01_weightings": ("really spends", "had no effect", "law of time,"),
        "03_training": ("floor (the broad grey line", "what did it cost at the ends?"),
        "05_elbo": ("a few seconds", "2.9189385"),
        "07_prior": ("felt", "couples of pairs", "the start's box off", "the dark prompt gets"),
        "08_sampling": ("names the wrong cause",),
        "02_noise_schedules": ("Honestly",),
        "04_probe_your_loss": ("loss / beside", "a weighting is drawn and never used"),
        "06_policy": ("The pink runs", "followed by those that have gain left"),
        "10_masked": ("integrates to the entropy, to 13 digits",),
        "11_few_steps": ("In all of them the target contains the network", "learned of"),
    }.items():
        for word in words:
            assert word not in prose(name), f"{name} says {word!r}"
    weightings, training = prose("01_weightings"), prose("03_training")
    assert "A random factor that knows nothing of the time is a constant on average" in weightings
    assert "all of it is noise that no network can predict" in weightings
    assert "**What does not follow.** - That the weighting alone decides" in training
    assert "800 steps of 256 points. But there are five seeds in the place of three" in training
    assert "24 steps of Heun's method on the same grid" in training
    assert "an analogy, not a measurement" in prose("07_prior")
    assert "no prompt was tested" in prose("07_prior")
    assert "A large network on photographs themselves was not tested" in prose("08_sampling")
