"""Learning: small networks trained side by side, and their loss by log-SNR.

``models`` has the networks, ``training`` trains any number of objectives as one batched model,
``runs`` is what a training leaves, ``tracking`` averages the loss in bins of log-SNR, ``adaptive``
follows it with the law of log-SNR, and ``variance`` says what a law saves.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
