"""Perception: which noise level hides which frequency, and which weighting an eye or ear implies.

``spectra`` holds power spectra of images and sounds and the weightings that follow from them;
``sensitivities`` holds published contrast sensitivities and the A-weighting of hearing.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
