"""Records do not change after they are made, so that what was checked stays true."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "diffviz"
CHANGING = {"History", "LeftOut", "_Counted"}  # what is filled while something runs


def decorators(node):
    """The decorators of a class by name, with their keywords."""
    for one in node.decorator_list:
        call = one if isinstance(one, ast.Call) else None
        name = one.func if call else one
        keywords = {word.arg: word.value for word in call.keywords} if call else {}
        yield getattr(name, "id", ""), keywords


def is_frozen(keywords):
    """Whether ``frozen=True`` is among the keywords of a decorator."""
    return getattr(keywords.get("frozen"), "value", False) is True


def records():
    """Name of each dataclass of the package, with the keywords of its decorator."""
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for name, keywords in decorators(node):
                    if name == "dataclass":
                        yield node.name, keywords


def test_records_are_frozen_but_for_those_that_are_filled():
    found = list(records())
    assert len(found) > 300
    assert {name for name, keywords in found if not is_frozen(keywords)} == CHANGING
