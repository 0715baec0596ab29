from .curves import ERROR_OF, LOGSNR, SCALES, Drawing, axes, lines, scaled, weighting_curves
from .save import save as save
from .style import COLOURS, DASHES, PALETTE, colour

__all__ = [
    "COLOURS",
    "DASHES",
    "ERROR_OF",
    "LOGSNR",
    "PALETTE",
    "SCALES",
    "Drawing",
    "axes",
    "colour",
    "lines",
    "save",
    "scaled",
    "weighting_curves",
]
