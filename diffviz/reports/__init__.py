"""Report: a measured loss beside the nearest published objectives, in words and as a picture."""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
