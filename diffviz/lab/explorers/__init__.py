"""Explorers: widgets that connect controls to pictures, one file a subject.

They need ``pip install 'diffviz[lab]'``. Each leaves a static picture in a saved notebook.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
