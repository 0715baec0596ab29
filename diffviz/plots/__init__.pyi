from .canvas import Drawing, axes
from .curves import lines, weighting_curves
from .files import save
from .losses import loss_curves
from .scales import ERROR_OF, LOGSNR, SCALES, scaled
from .strips import Strip, draw_strip
from .style import COLOURS, DASHES, PALETTE, colour
from .themes import THEMES, restyle

__all__ = [
    "COLOURS",
    "DASHES",
    "ERROR_OF",
    "LOGSNR",
    "PALETTE",
    "SCALES",
    "THEMES",
    "Drawing",
    "Strip",
    "axes",
    "colour",
    "draw_strip",
    "lines",
    "loss_curves",
    "restyle",
    "save",
    "scaled",
    "weighting_curves",
]
