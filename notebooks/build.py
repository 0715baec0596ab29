"""Run notebooks from a cold kernel and save them so that a reader without a kernel sees every figure.

    python notebooks/build.py [NAME.ipynb ...]

A saved notebook holds pictures and text, no widget state, no execution counts and no timings, and a hash of its code cells, which
a test compares with the source: outputs that are out of step fail. Nothing changed, the same bytes.
"""

import hashlib
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from diffviz.lab import figures

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KEEP = ("tags", "jupyter", "nbmake")


def fingerprint(notebook) -> str:
    """Hash of the code cells."""
    code = "\n\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def normalised(notebook):
    """The executed notebook without what changes from run to run or needs a kernel; refuses what a reader should not see."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.execution_count, kept = None, {k: v for k, v in cell.metadata.items() if k in KEEP}
        cell.metadata = nbformat.NotebookNode(kept)
        # a live widget without a picture of its own, such as a progress bar, has nothing to say later
        cell.outputs = [
            o for o in cell.outputs if WIDGET not in o.get("data", {}) or "image/png" in o.data
        ]
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                raise SystemExit(f"a cell printed to stderr or failed:\n{cell.source}\n{output}")
            if "data" in output:
                output.data.pop(WIDGET, None)
                output.metadata = nbformat.NotebookNode()
            if "execution_count" in output:
                output.execution_count = None
    keep = {k: notebook.metadata[k] for k in ("kernelspec",) if k in notebook.metadata}
    notebook.metadata = nbformat.NotebookNode(
        keep | {"diffviz": {"code": fingerprint(notebook)}, "language_info": {"name": "python"}}
    )
    return notebook


def build(file: Path) -> None:
    """Execute one notebook and write it back."""
    notebook = nbformat.read(file, 4)
    here = {"metadata": {"path": str(HERE)}}
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=here, coalesce_streams=True
    ).execute()
    text = nbformat.writes(normalised(notebook)) + "\n"
    file.write_text(text)
    print(f"{file.name}: {len(text) / 1e3:.0f} kB")


if __name__ == "__main__":
    figures.write(["weightings"], HERE, "png")  # the README's picture
    for one in [HERE / name for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        build(one)
