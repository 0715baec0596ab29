"""Search: which weighting is best for a data set and a goal.

``goals`` says what is measured on which ``datasets``, and ``vision`` what an eye sees of images.
``families`` says what is varied, ``design`` at which points; ``candidates`` are members of a family
and published weightings, to be trained. ``settings`` is what a search depends on. ``measurement``
trains, ``tasks`` hands the trainings to an executor, ``results`` keeps what is trained, and
``experiment`` runs both rounds. ``surface`` fits a quadratic and ``smooth`` a surface of any shape,
``report`` puts the result in words, and ``command`` is the command line.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
