from . import bandit, environment, methods, policies, surrogates
from .bandit import learn
from .surrogates import awr, ddpo, dpo, fpo

__all__ = [
    "awr",
    "bandit",
    "ddpo",
    "dpo",
    "environment",
    "fpo",
    "learn",
    "methods",
    "policies",
    "surrogates",
]
