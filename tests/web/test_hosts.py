"""The views use nothing that only JupyterLab has, so Notebook 7 and VS Code show them as well.

Each host of anywidget gives a widget its model and an element, and its own variables of style and
attributes. What is not there must have something in its place.
"""

import re

import chromium
import pytest

from diffviz.web import bundle

OWN = sorted(path.name for path in bundle.FOLDER.glob("*.js"))
HOSTS = re.compile(r"jupyterapp|jupyterlab|@jupyter|@lumino|requirejs|\bJupyter\.|acquireVsCodeApi")
FROM_A_HOST = re.compile(r"var\(\s*(--(?!dv-)[\w-]+)\s*\)")  # without a fallback
USED = re.compile(r"var\(\s*(--dv-[\w-]+)")
GIVEN = re.compile(r"(--dv-[\w-]+):")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
MODEL = re.compile(r"\bmodel\.(\w+)")
FRONT_END = {"send", "on", "off"}  # of the model, which each host of anywidget has


def code_of(name):
    return COMMENT.sub("", bundle.read(name))


@pytest.mark.parametrize("name", OWN)
def test_no_module_asks_a_host_for_what_only_it_has(name):
    assert HOSTS.findall(code_of(name)) == []


def test_the_widget_uses_of_its_model_what_each_host_gives():
    used = set(MODEL.findall(code_of("widget.js")))
    assert used and used <= FRONT_END


def test_no_style_needs_the_variables_of_a_host():
    text = code_of("style.css")
    assert FROM_A_HOST.findall(text) == []
    assert FROM_A_HOST.findall("a { color: var(--jp-ui-font-color1) }") == ["--jp-ui-font-color1"]
    assert FROM_A_HOST.findall("a { color: var(--jp-ui-font-color1, #222) }") == []
    assert set(USED.findall(text)) <= set(GIVEN.findall(text))


THEMES = [
    ("jpThemeLight", "false", "true"),
    ("vscodeThemeKind", "vscode-dark", "vscode-light"),
    ("theme", "dark", "light"),
]
WHICH = """async ([name, value]) => {
  const { isDark } = await import("/theme.js");
  document.body.dataset[name] = value;
  const dark = isDark();
  delete document.body.dataset[name];
  return dark;
}"""


@pytest.mark.slow
def test_each_host_says_whether_it_is_dark(browser):
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    with chromium.served(bundle.FOLDER) as address:
        page.goto(f"{address}/style.css")
        for name, dark, light in THEMES:
            assert page.evaluate(WHICH, [name, dark]) is True
            assert page.evaluate(WHICH, [name, light]) is False
        context.close()
