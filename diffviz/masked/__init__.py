"""Masked diffusion: weightings of a cross-entropy over the log-SNR of masking, on exact data.

- ``schedules`` hide tokens at a rate, ``objectives`` weight the cross-entropy of what is hidden,
  and ``entries`` is the catalogue of published ones;
- ``worlds`` has short sequences of a Markov chain, whose marginals are all known, and ``bounds``
  compares any predictor with them: floors, ELBOs, exact likelihoods;
- ``noises`` says what is left of this for uniform noise: a score entropy, and no cross-entropy;
- ``networks`` and ``training`` train a small transformer under several weightings;
- ``measurement`` measures the weighting of somebody's loss: ``replay`` takes hold of its draws,
  ``readings`` reads the gradient of one run, ``session`` concludes from many, ``rate_laws`` names
  the law of rates, and ``nearest`` finds the entries that are closest.

The catalogue and the exact data load without torch.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
