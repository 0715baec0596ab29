"""Figures: each a registered function that draws an experiment, one file a subject.

``draw`` returns a figure by its name, ``write`` saves figures to files, and ``FIGURES`` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
