"""Exercises of the notebooks: ``check(name, answer)`` says whether an answer is right.

``registry`` holds the exercises and checks answers, and ``answers`` reads them. Each other file has
the judges of one notebook. A judge computes the truth; no solution is typed in here. ``judges``
brings all of them in, when an answer is first checked.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
