"""Compute: how work is run, apart from what it is.

``threads`` decides how many threads torch uses. ``cache`` keeps the results of experiments on disk;
``sources`` tells which code a result depends on. ``locks`` let one process wait for another.
``executors`` runs tasks here, in a pool of processes or on a cluster.
``gradients`` lets a training record gradients wherever it is called.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
