from . import decks
from .decks import Slide, main, slides, write

__all__ = ["Slide", "decks", "main", "slides", "write"]
