"""Probing: what a training loss really weights, measured from outside.

``measure`` runs the loss with a stand-in for its network (``standin``) on recorded draws
(``draws``, ``session``) and reads them (``reading``) into a ``Measured``. Nothing here knows the
catalogue, so that each can check the other.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
