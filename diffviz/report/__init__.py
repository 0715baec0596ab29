"""Report: a measured loss beside the nearest published objectives, in words and as a picture."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
