"""Experiments: the numbers that figures, exercises and explorers show, one file a subject."""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
