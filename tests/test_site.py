"""The site: its links and pictures, and what a real browser makes of a page of each kind.

A small site is built for it. Where ``DIFFVIZ_SITE`` names a folder, the site in it is looked at.
"""

import filecmp
import os
import sys
from collections import defaultdict
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import make_site  # noqa: E402
from pages import explorers, notebooks  # noqa: E402
from pages.folders import Selection  # noqa: E402
from pages.formulas import formulas  # noqa: E402

from diffviz.recipes.entries import CATALOGUE  # noqa: E402

pytestmark = pytest.mark.slow

SMALL = Selection.of(
    objectives=("edm", "fm-ot", "v-cosine"),
    figures=("fm-is-v-cosine", "sd3-vs-edm"),
    notebooks=("01_weightings",),
    reference=False,
)
KINDS = (
    "index.html",
    "explorers/weighting.html",
    "explorers/training.html",
    "notebooks/01_weightings.html",
    "gallery/index.html",
    "gallery/sd3-vs-edm.html",
    "catalogue/index.html",
    "catalogue/edm.html",
    "claims.html",
    "popular.html",
    "start.html",
    "slides/index.html",
)
WINDOWS = {"desktop, light": (1366, 768, "light"), "telephone, dark": (390, 844, "dark")}
FIRST_VIEW = 1_500_000  # bytes, as served without compression
AXE = ROOT / "tests" / "web" / "node_modules" / "axe-core" / "axe.min.js"
FETCHING = {"img", "script", "source", "iframe", "video", "audio", "link"}


def small_site(folder):
    make_site.build(folder, SMALL, jobs=1, source=ROOT / ".site-check")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    given = os.environ.get("DIFFVIZ_SITE")
    return (ROOT / given).resolve() if given else small_site(tmp_path_factory.mktemp("site"))


class Page(HTMLParser):
    """What a page refers to and what can be referred to."""

    def __init__(self, text):
        super().__init__()
        self.ids = set()
        self.links = []
        self.fetched = []
        self.pictures = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if named.get("id"):
            self.ids.add(named["id"])
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])
        address = named.get("src") or (named.get("href") if tag == "link" else None)
        if tag in FETCHING and address:
            self.fetched.append(address)
        if tag == "img":
            self.pictures.append((named.get("src"), named.get("alt")))
        if tag == "svg" and named.get("role") == "img":
            self.pictures.append(("svg", named.get("aria-label")))


@cache
def parsed(file):
    return Page(file.read_text(encoding="utf-8"))


def pages(site):
    return sorted(site.rglob("*.html"))


def broken(site, file, address):
    """What is wrong with an address on a page, or nothing."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None if parts.scheme in ("https", "mailto", "data") else f"{address}: scheme"
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or not target.is_relative_to(site):
        return f"{address}: no such file"
    is_state = "=" in parts.fragment
    if parts.fragment and not is_state and target.suffix == ".html":
        return None if parts.fragment in parsed(target).ids else f"{address}: no such place"
    return None


def test_every_link_leads_somewhere(site):
    wrong = defaultdict(set)
    for file in pages(site):
        for address in parsed(file).links:
            wrong[str(file.relative_to(site))].add(broken(site, file, address))
    assert not {page: found - {None} for page, found in wrong.items() if found - {None}}


def test_nothing_is_fetched_from_elsewhere(site):
    for file in pages(site):
        for address in parsed(file).fetched:
            assert not urlsplit(address).netloc, (file, address)
            assert not address.startswith("/"), (file, address)
            assert broken(site, file, address) is None, (file, address)


def test_every_picture_has_words_that_stand_for_it(site):
    without = {
        str(file.relative_to(site)): source
        for file in pages(site)
        for source, words in parsed(file).pictures
        if not (words or "").strip() or (words or "").startswith(("../", "_images"))
    }
    assert not without


def test_what_a_page_of_each_kind_must_have(site):
    objective = unescape((site / "catalogue" / "edm.html").read_text(encoding="utf-8"))
    for base in ("ε", "x", "v", "u"):
        assert f"Weighting on the {base} error" in objective
    for words in ("2206.00364", "<math", "'edm'", "0.29%", "consistency-models-karras"):
        assert words in objective, words
    figure = (site / "gallery" / "sd3-vs-edm.html").read_text(encoding="utf-8")
    for ending in ("svg", "pdf", "png", "csv"):
        assert f'href="../figures/sd3-vs-edm.{ending}"' in figure
        assert (site / "figures" / f"sd3-vs-edm.{ending}").stat().st_size > 1000
    assert "def" in figure
    assert "correlation 0.994" in figure
    notebook = (site / "notebooks" / "01_weightings.html").read_text(encoding="utf-8")
    assert notebook.count("<details>") >= 3
    claims = (site / "claims.html").read_text(encoding="utf-8")
    for verdict in ("confirmed", "true under a condition", "corrected"):
        assert verdict in claims
    assert "test_sd3_trims_both_ends_alike" in claims
    popular = (site / "popular.html").read_text(encoding="utf-8")
    assert popular.count('class="spark"') == popular.count("<tr>") - 1 > 50


def test_answers_for_instructors_are_not_shown(site):
    answers = (ROOT / "docs" / "pages" / "instructors-answers.md").read_text(encoding="utf-8")
    questions = (site / "instructors.html").read_text(encoding="utf-8")
    assert "Exercises" in questions
    telling = "DDIM keeps deviations as they are"
    assert telling in answers.replace("\n   ", " ")
    assert all(telling not in file.read_text(encoding="utf-8") for file in pages(site))


@pytest.mark.skipif("DIFFVIZ_SITE" in os.environ, reason="the whole site is not built twice")
def test_the_same_sources_give_the_same_bytes(site, tmp_path):
    again = small_site(tmp_path / "again")
    names = {file.relative_to(site) for file in site.rglob("*") if file.is_file()}
    assert names == {file.relative_to(again) for file in again.rglob("*") if file.is_file()}
    differing = [str(name) for name in names if not filecmp.cmp(site / name, again / name, False)]
    assert not differing


def test_formulas_are_those_of_the_numbers():
    """The formulas of the papers, by hand, for entries that have one."""
    said = {
        "elbo": "1",
        "fm-ot": r"e^{- \frac{\lambda}{2}}",
        "v-cosine": r"e^{- \frac{\lambda}{2}}",
        "iddpm-cosine": r"\mathrm{sech}{\left(\frac{\lambda}{2} \right)}",
    }
    for name, formula in said.items():
        assert formulas(CATALOGUE[name]).weighting == formula
    edm = formulas(CATALOGUE["edm"])
    assert edm.density == r"\mathcal{N}(\lambda;\, 2.4,\, 2.4^2)"
    assert r"0.25 + e^{- \lambda}" in edm.weighting
    assert r"\min\left(5, e^{\lambda}\right)" in formulas(CATALOGUE["min-snr-5-v"]).multiplier


@pytest.mark.parametrize("ending", ["", "/", ".git"])
def test_one_address_gives_the_links_that_open_a_notebook(monkeypatch, ending):
    monkeypatch.setenv("DIFFVIZ_REPOSITORY", "https://github.com/someone/fork" + ending)
    links = notebooks.links("01_weightings")
    assert (
        'href="https://mybinder.org/v2/gh/someone/fork/main?labpath=notebooks%2F01_weightings.ipynb"'
        in links
    )
    assert (
        'href="https://colab.research.google.com/github/someone/fork/blob/main/'
        'notebooks/01_weightings.ipynb"' in links
    )


def test_without_an_address_a_notebook_can_be_downloaded(monkeypatch):
    monkeypatch.delenv("DIFFVIZ_REPOSITORY", raising=False)
    links = notebooks.links("01_weightings")
    assert "mybinder" not in links and "colab" not in links
    assert "../downloads/01_weightings.ipynb" in links


@pytest.mark.parametrize("name", ["objectives", "figures", "notebooks"])
def test_an_unknown_part_is_named(name):
    with pytest.raises(ValueError, match="'edn'"):
        Selection.of(**{name: ["edn"]})


# --- in a real browser ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(site):
    with chromium.served(site) as root:
        yield f"{root}/"


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as launched:
        yield launched


class Visit:
    """A page in the browser, with what it has asked for and complained about."""

    def __init__(self, browser, address, window="desktop, light"):
        width, height, scheme = WINDOWS[window]
        size = {"width": width, "height": height}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints = []
        self.bytes = 0
        self.outside = []
        self.address = address
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message):
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location}")

    def _asked(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def _answered(self, response):
        self.bytes += int(response.headers.get("content-length", 0))

    def open(self, name):
        self.page.goto(self.address + name)
        self.page.wait_for_load_state("networkidle")
        for host in self.page.query_selector_all(".explorer[data-now]"):
            host.wait_for_selector(".dv-tools")  # the last part, after the first view
        return self.page

    def close(self):
        self.context.close()
        assert not self.complaints
        assert not self.outside


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address)
    yield visit
    visit.close()


@pytest.mark.parametrize("window", WINDOWS)
def test_a_page_of_each_kind_opens_without_a_complaint(browser, address, window):
    visit = Visit(browser, address, window)
    findings = {}
    for name in KINDS:
        page = visit.open(name)
        width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= room, f"{name} is {width} px wide"
        if AXE.is_file():
            findings[name] = serious(page)
    visit.close()
    assert not {name: found for name, found in findings.items() if found}


SCROLLED = "[...document.querySelectorAll('pre, div.math, .dv-texts, .table-wrapper')]"
BY_KEYS = "(one) => one.scrollWidth <= one.clientWidth || one.tabIndex === 0"


def serious(page):
    """What axe-core finds that keeps somebody out, once the page has come to rest."""
    page.wait_for_function(f"{SCROLLED}.every({BY_KEYS})")
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=str(AXE))
    found = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((all) => all.violations.map("
        "(one) => [one.impact, one.id, one.nodes.slice(0, 3).map((node) => node.html)]))"
    )
    return [one for one in found if one[0] in ("serious", "critical")]


def test_axe_is_there_where_all_is_checked():
    if not AXE.is_file():
        pytest.skip("npm's packages are not here; with a network `make lint` fetches them")
    assert "axe" in AXE.read_text(encoding="utf-8")[:200]


def test_the_first_view_is_small(visit):
    visit.open("index.html")
    assert 300_000 < visit.bytes < FIRST_VIEW


def texts(page):
    return page.inner_text(".dv-texts")


def test_an_explorer_takes_its_state_from_the_address(visit):
    first = texts(visit.open("explorers/composer.html"))
    moved = texts(visit.open("explorers/composer.html#law=logit-normal+t&base=x"))
    assert moved != first
    assert "sd3" in moved


def test_a_link_on_the_first_page_moves_the_explorer(visit):
    page = visit.open("index.html")
    before = texts(page)
    page.get_by_role("link", name="Turn flow matching into v-prediction").click()
    page.wait_for_function("location.hash.includes('target=v')")
    control = page.locator('[data-name="target"] select')
    assert control.input_value() == "v"
    assert "v-cosine" in texts(page)
    first, second = (words.splitlines()[0].rstrip(".").split() for words in (before, texts(page)))
    assert {one.strip(",") for one in first} == {one.strip(",") for one in second}  # the same loss


def test_every_explorer_opens_without_a_kernel(visit):
    named = explorers.available()
    assert {"composer", "weighting"} <= {one.name for one in named}
    findings = {}
    for one in named:
        page = visit.open(f"explorers/{one.name}.html")
        assert page.locator(".dv-view canvas").count() > 0, one.name
        assert page.inner_text(".dv-status") == "", one.name
        for scheme in ("light", "dark") if AXE.is_file() else ():
            page.emulate_media(color_scheme=scheme)
            page.wait_for_selector(f'.dv-explorer[data-dark="{str(scheme == "dark").lower()}"]')
            findings[one.name, scheme] = serious(page)
    assert not {name: found for name, found in findings.items() if found}


SHORT = "explorers/training.html#toy=moons&width=8&steps=100&names=fm-ot&names=drawn"


def excesses(page):
    """The excess at λ = 4 of each objective, as the table says."""
    cells = page.locator(".dv-texts tbody tr td:nth-child(6)").all_inner_texts()
    return [float(cell.replace("−", "-")) for cell in cells]


def test_a_page_trains_two_objectives_when_it_is_asked(visit):
    page = visit.open(SHORT)
    assert "fm-ot and drawn on moons, width 8, 100 steps: press Train" in texts(page)
    loaded = visit.bytes
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function("document.querySelector('.dv-texts').innerText.includes('done, ')")
    assert visit.bytes - loaded > 800_000  # TensorFlow.js, which came only now
    assert page.inner_text(".dv-status") == ""
    assert page.locator(".dv-working").is_hidden()
    reached = excesses(page)
    assert len(reached) == 2 and all(-3 < one < 0.5 for one in reached)
    findings = serious(page) if AXE.is_file() else []
    assert not findings
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="code").click()
    code = page.evaluate("navigator.clipboard.readText()").replace("steps=100", "steps=2")
    found = {}
    exec(code, found)  # what a reader would paste into a notebook
    assert found["trained"].excess.shape == (1, 2, 45)
    page.get_by_role("button", name="Forget").click()
    assert "nothing is trained yet" in texts(page)


def test_a_training_pauses_and_goes_on(visit):
    page = visit.open(SHORT.replace("steps=100", "steps=2000"))
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function("/ms a step/.test(document.querySelector('.dv-working').innerText)")
    assert not AXE.is_file() or not serious(page)  # while it trains
    page.get_by_role("button", name="Pause or go on").click()
    assert "paused after" in texts(page)
    done = int(texts(page).split("paused after ")[1].split()[0])
    page.get_by_role("button", name="Pause or go on").click()
    now = "document.querySelector('.dv-working').innerText.match(/([0-9]+) of 2000/)"
    page.wait_for_function(f"Number({now}[1]) > {done}")
    page.locator('[data-name="width"] input[type=range]').press("ArrowRight")
    assert "nothing is trained yet" in texts(page)  # at this width; the other goes on
    page.get_by_role("button", name="stop").click()
    assert page.locator(".dv-working").is_hidden()


def test_what_cannot_be_trained_is_said_in_words(visit):
    page = visit.open("explorers/training.html#drawn=[]&names=drawn")
    page.get_by_role("button", name="Train", exact=True).click()
    assert "drag over the first chart" in page.inner_text(".dv-status")
    page = visit.open("explorers/training.html#toy=drawn&drawing=1_1")
    page.reload()
    assert "Draw the data" in texts(page)
    page.get_by_role("button", name="Train", exact=True).click()
    assert "draw two points or more" in page.inner_text(".dv-status")


def test_a_drawing_on_the_page_is_followed_taken_back_and_sent_as_a_link(visit):
    page = visit.open("explorers/trajectories.html")
    before = texts(page)
    box = page.locator("canvas.dv-drawable").nth(1).bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 150, steps=8)
    page.mouse.up()
    drawn = texts(page)
    assert drawn != before
    assert page.locator('[data-name="data"] select').input_value() == "drawn"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="link").click()
    address = page.evaluate("navigator.clipboard.readText()")
    assert len(address.partition("#")[2]) < 40 + 16 * 9
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("document.querySelector('.dv-texts')?.innerText.includes('calls')")
    assert texts(page) == drawn
    page.get_by_role("button", name="undo drawing").click()
    assert texts(page) != drawn
    page.get_by_role("button", name="clear drawing").click()
    assert "Draw the data" in texts(page)


def test_a_weighting_is_drawn_in_one_stroke_and_becomes_the_second_objective(visit):
    page = visit.open("explorers/training.html")
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 100, steps=12)
    page.mouse.up()
    chosen = page.locator('[data-name="names"] .dv-chip').all_inner_texts()
    assert [one.split()[0] for one in chosen] == ["elbo", "drawn"]
    drawn = page.inner_text('[data-name="drawn"] .dv-hint')
    assert int(drawn.split()[0]) >= 12
    page.get_by_role("button", name="undo own w").click()
    assert page.inner_text('[data-name="drawn"] .dv-hint') == "4 points"


def test_a_finger_draws_data_without_scrolling_the_page(browser, address):
    size = {"width": 390, "height": 844}
    context = browser.new_context(viewport=size, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address}explorers/trajectories.html")
    canvas = page.locator("canvas.dv-drawable").nth(1)
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), page.evaluate("scrollY")
    finger = context.new_cdp_session(page)

    def touch(kind, step):
        place = {"x": box["x"] + 60 + 5 * step, "y": box["y"] + 50 + 6 * step}
        points = [] if kind == "touchEnd" else [place]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0)
    for step in range(1, 12):
        touch("touchMove", step)
    touch("touchEnd", 12)
    page.wait_for_function(
        "document.querySelector('[data-name=data] select').value === 'drawn'", timeout=20_000
    )
    assert page.evaluate("scrollY") == before
    assert "calls" in texts(page)
    context.close()


CONTROLS = "[...document.querySelectorAll('.explorer :is(input, select, button, summary)')]"
SHOWN = "one.checkVisibility() && one.tabIndex >= 0 && one.type !== 'radio' && !one.disabled"


FEWEST = {"explorers/noise.html": 7}  # controls; all other pages have more


def unreached(page, least):
    """Controls that the tab key does not come to.

    Of a group of radio buttons one has the focus, and arrows choose the others. There
    must be at least ``least`` controls, so that a page without any is noticed.
    """
    for fold in page.locator(".dv-more > summary").all():
        fold.click()
    wanted = set(
        page.evaluate(
            f"{CONTROLS}.map((one, place) => [one, place]).filter(([one]) => {SHOWN})"
            ".map(([, place]) => place)"
        )
    )
    assert len(wanted) >= least
    page.locator("h1").click()
    reached = set()
    for _ in range(len(wanted) + 30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"{CONTROLS}.indexOf(document.activeElement)"))
    return [page.evaluate(f"{CONTROLS}[{place}].outerHTML") for place in wanted - reached]


def test_the_keyboard_reaches_every_control(visit):
    pages = ("index.html", *(f"explorers/{one.name}.html" for one in explorers.available()))
    missed = {name: unreached(visit.open(name), FEWEST.get(name, 9)) for name in pages}
    assert not {name: left for name, left in missed.items() if left}


def test_a_table_sorts_and_is_searched(visit):
    page = visit.open("catalogue/index.html")
    page.get_by_role("button", name="year").click()
    years = page.locator("table.sortable tbody tr td:nth-child(3)").all_inner_texts()
    assert years == sorted(years)
    page.get_by_role("button", name="year").click()
    years = page.locator("table.sortable tbody tr td:nth-child(3)").all_inner_texts()
    assert years == sorted(years, reverse=True)
    page.get_by_role("searchbox", name="Search").fill("edm")
    shown = page.locator("table.sortable tbody tr:visible td:first-child").all_inner_texts()
    assert "edm" in shown
    assert "fm-ot" not in shown
    assert "search=edm" in page.url
    page.reload()
    assert page.get_by_role("searchbox", name="Search").input_value() == "edm"
