from .canvas import Drawing, axes
from .curves import lines, weighting_curves
from .files import save
from .losses import loss_curves
from .scales import ERROR_OF, LOGSNR, SCALES, scaled
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
    "loss_curves",
    "save",
    "scaled",
    "weighting_curves",
]
