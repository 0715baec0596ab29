"""How readable the code is, by the usual statistics: thermometers, not goals.

    python benchmarks/readability.py [FOLDER ...]

Prints, for each folder (by default ``diffviz``), what a reader meets: tokens in a line of code,
lines beyond 100 columns, lambdas in 100 lines, the mean maintainability index of radon, and the
longest and the most complex functions. Beside them stand the values from before the package was one
house, when the code was written to a limit of 4,000 lines.
"""

import argparse
import ast
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path

from radon.complexity import cc_visit
from radon.metrics import mi_visit

CODE = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
WIDTH = 100
BEFORE = {
    "tokens in a line": "16.7",
    "lines past 100 columns": "27 %",
    "lambdas in 100 lines": "9",
    "maintainability index": "50",
}


@dataclass(frozen=True)
class Function:
    """One function: where it stands, its lines without the docstring, and its complexity."""

    place: str
    lines: int
    complexity: int


@dataclass(frozen=True)
class Statistics:
    """Sums over the files of a folder."""

    code_lines: int
    tokens: int
    lines: int
    wide: int
    lambdas: int
    index: float
    functions: list[Function]


def body_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, decorators and docstring apart."""
    length = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        length -= first.end_lineno - first.lineno + 1
    return length


def functions_of(file: Path, text: str) -> list[Function]:
    """All functions and methods of a file, nested ones too."""
    complexities = {}
    for block in cc_visit(text):
        for part in [block, *getattr(block, "methods", []), *getattr(block, "closures", [])]:
            complexities[part.lineno] = part.complexity
    return [
        Function(
            place=f"{file}:{node.lineno} {node.name}",
            lines=body_length(node),
            complexity=complexities.get(node.lineno, 0),
        )
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def measure(folder: Path) -> Statistics:
    """Read every Python file below a folder."""
    code_lines = tokens = lines = wide = lambdas = 0
    indices = []
    functions = []
    for file in sorted(folder.rglob("*.py")):
        text = file.read_text()
        rows = text.splitlines()
        lines += len(rows)
        wide += sum(len(row) > WIDTH for row in rows)
        read = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type in CODE]
        tokens += len(read)
        code_lines += len({t.start[0] for t in read})
        lambdas += sum(isinstance(node, ast.Lambda) for node in ast.walk(ast.parse(text)))
        functions += functions_of(file, text)
        if code_lines:
            indices.append(mi_visit(text, multi=True))
    mean_index = sum(indices) / len(indices)
    return Statistics(code_lines, tokens, lines, wide, lambdas, mean_index, functions)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("diffviz")])
    for folder in parser.parse_args().folders:
        found = measure(folder)
        now = {
            "tokens in a line": f"{found.tokens / found.code_lines:.1f}",
            "lines past 100 columns": f"{found.wide / found.lines:.1%}",
            "lambdas in 100 lines": f"{100 * found.lambdas / found.code_lines:.1f}",
            "maintainability index": f"{found.index:.0f}",
        }
        print(f"{folder}: {found.lines:,} lines, {found.code_lines:,} of code\n")
        print(f"{'':26}{'now':>8}{'before':>8}")
        for name, value in now.items():
            print(f"{name:26}{value:>8}{BEFORE[name]:>8}")
        print("\nlongest functions")
        for function in sorted(found.functions, key=lambda one: -one.lines)[:5]:
            print(f"{function.lines:6}  {function.place}")
        print("\nmost complex functions")
        for function in sorted(found.functions, key=lambda one: -one.complexity)[:5]:
            print(f"{function.complexity:6}  {function.place}")


if __name__ == "__main__":
    main()
