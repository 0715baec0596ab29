from .door import Explained, explain, from_settings, trainers
from .reading import Pairs, Setting, read
from .trainer import Option, Reading, Trainer, Values

__all__ = [
    "Explained",
    "Option",
    "Pairs",
    "Reading",
    "Setting",
    "Trainer",
    "Values",
    "explain",
    "from_settings",
    "read",
    "trainers",
]
