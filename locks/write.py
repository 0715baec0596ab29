"""Write the files of hashes in this folder: what ``make`` installs, one release of each package.

uv resolves what pyproject.toml asks for within constraints.txt, for every platform and for Python
3.11 and newer, with the hash of every file of a release. Versions that stand in the files already
stay, unless ``--upgrade`` asks for the newest.

torch is left out, and the packages of NVIDIA that its build for CUDA needs: ``make`` installs its
CPU build first, from PyTorch's own index or from a folder of wheels, and these hold other files
than PyPI does.

Run: make locks
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "locks"
UV = ROOT / ".uv" / "bin" / "uv"
BUILD = "hatchling\neditables\n"  # what builds the package itself
OF_TORCH = re.compile(r"torch==|triton==|nvidia-|cuda-")
HEAD = "# Hashes of what `make` installs, from {source}. Written by `make locks`; do not edit.\n"
EXTRAS = {"test": "test.txt", "lab": "lab.txt"}  # the larger one first: both take the same versions
LISTS = {
    "locks/pip.in": "pip.txt",
    "tests/peers.txt": "peers.txt",
    "tests/others.txt": "others.txt",
}


def blocks(text):
    """The requirements of a file, each with the lines of its hashes."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = []
    for line in lines:
        if line.startswith(" "):
            found[-1].append(line)
        else:
            found.append([line])
    return ["\n".join(block) + "\n" for block in found]


def compiled(sources, out, *options):
    """Resolve some sources, starting from the versions that a file has."""
    command = [UV, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "-o", out, *options]
    subprocess.run([*command, *sources], cwd=ROOT, check=True)
    kept = [one for one in blocks(out.read_text()) if not OF_TORCH.match(one)]
    return HEAD.format(source=sources[0]) + "".join(kept)


def main():
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest releases")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build.in"
        build.write_text(BUILD)
        same = []
        for extra, name in EXTRAS.items():
            options = ["--extra", extra, "-c", "constraints.txt", *same, *upgrade]
            write(["pyproject.toml", build], Path(folder) / name, options)
            same = ["-c", str(FOLDER / name)]
        for source, name in LISTS.items():
            write([source], Path(folder) / name, ["--no-deps", *upgrade])


def write(sources, work, options):
    """Write one file of this folder, by way of a working copy."""
    place = FOLDER / work.name
    if place.exists():
        work.write_text(place.read_text())
    text = compiled(sources, work, *options)
    place.write_text(text)
    print(f"{place.relative_to(ROOT)}: {len(blocks(text))} packages")


if __name__ == "__main__":
    main()
