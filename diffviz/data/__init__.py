"""Data: toys whose density and ideal denoiser are exact, small images, and files of your own.

Everything about a toy is known at every noise level: density, score, the ideal denoiser and its
error. ``densities`` has the formulas and ``toys`` the data made of them. The files that ship with
the package are read here, and so are pictures, sounds and tables. ``streams`` reads points for a
training, from arrays larger than memory too, and from batches. ``signals`` and ``files`` need no
torch.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
