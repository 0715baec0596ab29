"""What every file of the package keeps to, so that it can be read at once."""

import ast
from pathlib import Path

import pytest
from cells import in_one_test
from radon.complexity import cc_visit

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "diffviz").rglob("*.py"))
LONGEST = 60  # lines of a function, its docstring apart
MOST_COMPLEX = 12  # cyclomatic complexity, as radon counts it
EXCUSE = "long because"  # a comment with these words above a function gives the reason


def names(file):
    return str(file.relative_to(ROOT / "diffviz"))


def functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node):
    """Lines of a function without its decorators and docstring."""
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= first.end_lineno - first.lineno + 1
    return lines


def excused(node, rows):
    """Whether a comment right above the function says why it is long."""
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return EXCUSE in rows[first - 2]


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_no_line_is_longer_than_a_hundred_columns(file):
    rows = file.read_text().splitlines()
    assert not [row for row in rows if len(row) > 100]


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_no_function_is_too_long_to_read_at_once(file):
    text = file.read_text()
    rows = text.splitlines()
    long = {node.name: length(node) for node in functions(text) if length(node) > LONGEST}
    reasons = {node.name for node in functions(text) if excused(node, rows)}
    assert set(long) <= reasons, long


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_no_function_has_too_many_branches(file):
    blocks = cc_visit(file.read_text())
    methods = [one for block in blocks for one in getattr(block, "methods", [])]
    complexities = {one.name: one.complexity for one in [*blocks, *methods] if one.letter != "C"}
    assert max(complexities.values(), default=0) <= MOST_COMPLEX, complexities


def eager_messages(text):
    """Calls of ``brief`` that write a value for the message of a ``require`` which may hold."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("require"):
            inside = (one for one in ast.walk(node) if isinstance(one, ast.Call))
            yield from (one for one in inside if ast.unparse(one.func).endswith("brief"))


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_no_long_value_is_written_for_an_error_that_is_not_raised(file):
    assert not list(eager_messages(file.read_text()))


def test_a_value_that_is_written_too_early_is_found():
    text = "checks.require(x > 0, f'x must be above 0, got {checks.brief(x)}')"
    assert len(list(eager_messages(text))) == 1
    assert not list(eager_messages("if x <= 0:\n    raise ValueError(brief(x))"))


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_a_protocol_is_asked_for_by_offers(file):
    """``isinstance`` with a protocol does not see what a network's wrapper hands on."""
    assert "runtime_checkable" not in file.read_text()


def compared_by_identity(text):
    """Comparisons by ``is`` with a record that stands in capitals, as ``target is EPS``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
            (other,) = node.comparators
            if isinstance(other, ast.Name) and other.id.isupper() and other.id != "NOTHING":
                yield ast.unparse(node)


@in_one_test
@pytest.mark.parametrize("file", FILES, ids=names)
def test_a_record_is_compared_by_its_value(file):
    """A copy of a target, frame or kind is another object, and does the same."""
    assert not list(compared_by_identity(file.read_text()))


def test_a_comparison_by_identity_is_found():
    assert list(compared_by_identity("if target is EPS or row.kind is not FLOW: pass")) == [
        "target is EPS",
        "row.kind is not FLOW",
    ]
    assert not list(compared_by_identity("if found is NOTHING or role is Role.TIME: pass"))


def test_a_long_function_is_found():
    text = "def f():\n" + "    x = 1\n" * 61
    (node,) = functions(text)
    assert length(node) == 62
