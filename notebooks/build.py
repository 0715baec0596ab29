"""Run notebooks from a cold kernel and save them with every figure.

    python notebooks/build.py [NAME.ipynb ...] [--jobs N]

A reader without a kernel sees the pictures. A saved notebook holds pictures and text, but no widget
state, no execution counts and no timings. It also holds a hash of its code cells. A test compares
the hash with the source, and fails where the outputs are out of step. If nothing has changed, the
saved bytes are the same.
"""

import argparse
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from diffviz.lab import figures

HERE = Path(__file__).parent
PICTURE = "image/png"
WIDGET = "application/vnd.jupyter.widget-view+json"
KEPT_METADATA = ("tags", "jupyter", "nbmake")


def fingerprint(notebook: NotebookNode) -> str:
    """Hash of the code cells."""
    code = "\n\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def is_live_only(output: NotebookNode) -> bool:
    """Whether an output is a widget without a picture or a page, such as a progress bar."""
    content = output.get("data", {})
    return WIDGET in content and not {PICTURE, "text/html"} & set(content)


def refuse_failures(cell: NotebookNode) -> None:
    """Stop where a cell failed or printed to stderr."""
    for output in cell.outputs:
        if output.output_type == "error" or output.get("name") == "stderr":
            raise SystemExit(f"a cell printed to stderr or failed:\n{cell.source}\n{output}")


def normalise_cell(cell: NotebookNode) -> None:
    """Remove from a code cell what changes from run to run or needs a kernel."""
    metadata = {key: value for key, value in cell.metadata.items() if key in KEPT_METADATA}
    cell.metadata = NotebookNode(metadata)
    cell.execution_count = None
    cell.outputs = [output for output in cell.outputs if not is_live_only(output)]
    for output in cell.outputs:
        if "data" in output:
            output.data.pop(WIDGET, None)
            size = output.get("metadata", {}).get(PICTURE)
            output.metadata = NotebookNode({PICTURE: size} if size else {})
        if "execution_count" in output:
            output.execution_count = None


def normalised(notebook: NotebookNode) -> NotebookNode:
    """The executed notebook as it is saved.

    Args:
        notebook: The notebook, which is changed.

    Returns:
        The same notebook.

    Raises:
        SystemExit: A cell failed or printed to stderr.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            refuse_failures(cell)
            normalise_cell(cell)
    metadata = {
        "diffviz": {"code": fingerprint(notebook)},
        "language_info": {"name": "python"},
    }
    if "kernelspec" in notebook.metadata:
        metadata["kernelspec"] = notebook.metadata["kernelspec"]
    notebook.metadata = NotebookNode(metadata)
    return notebook


def build(file: Path) -> None:
    """Execute one notebook and write it back."""
    notebook = nbformat.read(file, 4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(HERE)}},
        coalesce_streams=True,
    )
    client.execute()
    text = nbformat.writes(normalised(notebook)) + "\n"
    file.write_text(text, encoding="utf-8")
    print(f"{file.name}: {len(text) / 1e3:.0f} kB")


def main() -> None:
    """Write the README's picture, then build the named notebooks, or all of them."""
    parser = argparse.ArgumentParser(description="Run notebooks and save them with every figure.")
    parser.add_argument("names", nargs="*", metavar="NAME.ipynb", help="default: all")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks that run at the same time")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs must be 1 or more, got {options.jobs}")
    figures.write(["weightings"], HERE.parent / "docs", "png")
    files = [HERE / name for name in options.names] or sorted(HERE.glob("*.ipynb"))
    with ThreadPoolExecutor(options.jobs) as pool:  # each waits for a kernel, a process of its own
        list(pool.map(build, files))


if __name__ == "__main__":
    main()
