from . import arguments, bandit, environment, methods, policies, steps, surrogates
from .bandit import learn
from .surrogates import awm, awr, ddpo, dpo, fpo, nft

__all__ = [
    "arguments",
    "awm",
    "awr",
    "bandit",
    "ddpo",
    "dpo",
    "environment",
    "fpo",
    "learn",
    "methods",
    "nft",
    "policies",
    "steps",
    "surrogates",
]
