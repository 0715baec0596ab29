"""Records do not change after they are made, so that what was checked stays true."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1] / "diffviz"
ARRAY = re.compile(r"\b(NDArray|Tensor|ArrayLike)\b")
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


def holds_arrays(node):
    """Whether a field of a dataclass is an array, or may be one, or holds some."""
    kinds = [ast.unparse(part.annotation) for part in node.body if isinstance(part, ast.AnnAssign)]
    return any(ARRAY.search(kind) and "Callable" not in kind for kind in kinds)


def records():
    """Each dataclass of the package as it is written, with the keywords of its decorator."""
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for name, keywords in decorators(node):
                    if name == "dataclass":
                        yield node, keywords


def test_records_are_frozen_but_for_those_that_are_filled():
    found = list(records())
    assert len(found) > 300
    assert {node.name for node, keywords in found if not is_frozen(keywords)} == CHANGING


def test_a_record_of_arrays_is_equal_to_itself_alone():
    """Two of them have no one answer to whether they are equal, and so no hash of their fields."""
    with_arrays = [(node.name, keywords) for node, keywords in records() if holds_arrays(node)]
    assert len(with_arrays) > 100
    equal = [name for name, words in with_arrays if getattr(words.get("eq"), "value", True)]
    assert not equal
