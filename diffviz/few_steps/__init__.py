"""Few steps: objectives with two times, exact flow maps, and networks that learn them.

``objectives`` has the catalogue: what stands on the diagonal r = t, what the rest regresses on.
``pairs`` has laws of the two times, ``maps`` the exact flow map and the network, ``training`` the
losses from the papers' formulas and a short loop.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
