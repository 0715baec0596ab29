"""Web: the views that notebooks and pages share.

``description`` says which controls a view has, and keeps their state; ``pictures`` say what is
drawn. Both are plain records. ``figures`` draws the same records by Matplotlib, and ``bundle``
joins the modules of JavaScript beside it into the one that a notebook loads.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
