from . import bandit, surrogates
from .bandit import learn
from .surrogates import awr, ddpo, dpo, fpo

__all__ = [
    "awr",
    "bandit",
    "ddpo",
    "dpo",
    "fpo",
    "learn",
    "surrogates",
]
