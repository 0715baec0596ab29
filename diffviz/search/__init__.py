"""Search: which weighting of a family is best for a data set and a goal.

``goals`` says what is measured, ``families`` what is varied, ``experiment`` trains, ``surface`` fits,
and ``report`` puts the result in words.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
