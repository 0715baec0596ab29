"""Modules of JavaScript as one, and the libraries that come with them."""

import hashlib
import re

import pytest

from diffviz.web import bundle

LARGEST = 1.5e6  # bytes of all vendored libraries

MODULES = {
    "main.js": 'import { two, three as four } from "./b.js";\nimport {\n  one,\n} from "./a.js";\n'
    "export default { sum: () => one + two() + four };\n",
    "b.js": 'import { one } from "./a.js";\nexport function two() {\n  return one + 1;\n}\n'
    "const three = 3;\nexport { three };\n",
    "a.js": "const hidden = 1;\nexport const one = hidden;\n",
    "ring.js": 'import { other } from "./other.js";\nexport const ring = 1;\n',
    "other.js": 'import { ring } from "./ring.js";\nexport const other = 1;\n',
    "star.js": 'import * as a from "./a.js";\nexport const star = 1;\n',
    "far.js": 'import { one } from "https://example.org/a.js";\nexport const far = 1;\n',
    "uses.js": 'import { local } from "./local.js";\nexport const it = local;\n',
    "local.js": "export const local = null;\n",
    "own.js": "export const local = 42;\n",
    "twice.js": 'import { sum } from "./main.js";\nexport const twice = sum;\n',
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    bundle.module.cache_clear()
    yield tmp_path
    bundle.module.cache_clear()


def test_a_module_stands_behind_those_that_it_imports(folder):
    text = bundle.module("main.js")
    places = [text.index(part) for part in ("module_a_js =", "module_b_js =", "export default")]
    assert places == sorted(places)
    assert "import" not in text and text.count("module_a_js = (()") == 1
    assert "const { two: two, three: four } = module_b_js;" in text
    assert "return { one: one };" in text and "return { two: two, three: three };" in text
    assert text.count("export") == 1


def test_a_local_module_takes_the_place_of_the_empty_one(folder):
    assert "null" in bundle.module("uses.js") and "42" not in bundle.module("uses.js")
    assert "42" in bundle.module("uses.js", "own.js")
    assert "null" not in bundle.module("uses.js", "own.js")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ring.js", "import each other: ring.js -> other.js -> ring.js"),
        ("star.js", "an import must have the form"),
        ("far.js", "an import must have the form"),
        ("twice.js", "must not export a default"),
        ("nothing.js", "unknown module 'nothing.js'"),
    ],
)
def test_what_cannot_be_joined_is_refused(folder, name, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        bundle.module(name)


def test_the_widget_is_one_module_without_imports():
    text = bundle.module("widget.js")
    assert not re.search(r"^import\b", text, re.M)
    assert re.findall(r"^export .*", text, re.M) == ["export default { render };"]
    assert ".dv-explorer" in bundle.style() and ".uplot" in bundle.style()


def test_vendored_libraries_are_what_their_page_says():
    folder = bundle.FOLDER / "vendor"
    rows = re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.M)
    files = {file.name for file in folder.iterdir()} - {"README.md"}
    assert {name for name, _ in rows} == files
    for name, checksum in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum, name
    assert sum((folder / name).stat().st_size for name in files) < LARGEST
