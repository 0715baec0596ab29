"""Make the files of this directory again from their sources.

    python data/build.py DOWNLOADS

They have the same bytes with the same NumPy and zlib. DOWNLOADS holds, unpacked: ``dm/`` the wheel
of data-morph-ai 0.4.1, ``sk/`` the wheel of scikit-image 0.26.0, ``fm/`` Debian's package
dataset-fashion-mnist 0.0~git20200523.55506a9-1. The digits come from the installed scikit-learn.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
CROPS = {  # file -> row and column of the upper left corner of a 256 x 256 crop at full resolution
    "camera.png": (40, 90),
    "astronaut.png": (0, 96),
    "coffee.png": (30, 160),
    "chelsea.png": (30, 90),
    "rocket.jpg": (120, 192),
    "brick.png": (128, 128),
    "grass.png": (128, 128),
    "gravel.png": (128, 128),
}


def photos(folder: Path) -> dict[str, np.ndarray]:
    """Grey crops of the pictures in a folder, by name, each (256, 256)."""
    crops = {}
    for name, (row, column) in CROPS.items():
        grey = np.asarray(Image.open(folder / name).convert("L"))
        crops[Path(name).stem] = grey[row : row + 256, column : column + 256]
    return crops


def fashion(folder: Path, n: int = 5000) -> dict[str, np.ndarray]:
    """The first n images of Fashion-MNIST at half their size, (n, 14, 14), and their labels."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + n * 784), np.uint8, offset=16).reshape(
            n, 14, 2, 14, 2
        )
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + n), np.uint8, offset=8)
    return {"images": images.mean((2, 4)).round().astype(np.uint8), "labels": labels}


if __name__ == "__main__":
    source = Path(sys.argv[1])
    digits = load_digits()
    np.savez_compressed(
        HERE / "digits.npz",
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.uint8),
    )
    np.savez_compressed(
        HERE / "fashion.npz", **fashion(source / "fm/usr/share/datasets/fashion-mnist")
    )
    np.savez_compressed(HERE / "photos.npz", **photos(source / "sk/skimage/data"))
    (HERE / "dino.csv").write_bytes(
        (source / "dm/data_morph/data/starter_shapes/dino.csv").read_bytes()
    )
