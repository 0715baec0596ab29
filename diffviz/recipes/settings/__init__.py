"""Trainers' settings: what a command line or a file of options trains on.

``reading`` takes a command line, TOML, YAML or JSON apart. ``trainer`` says what is known of a
trainer: its options and the objective that they make. Each trainer has a file with the facts that
were read in its code. ``levels`` and ``draws`` hold the laws that several of them share, and
``door`` has the public functions.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
