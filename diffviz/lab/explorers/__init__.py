"""Explorers: widgets that connect controls to pictures, one file a subject.

They need ``pip install 'diffviz[lab]'``. Each leaves a static picture in a saved notebook.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
