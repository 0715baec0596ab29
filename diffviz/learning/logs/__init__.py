"""Logs of finished runs: rows of a noise level and a loss become a loss by log-SNR.

``door`` has ``read_log``. ``sources`` finds out what was passed; ``delimited``, ``lines`` and
``events`` read files; each makes a ``table`` of named columns in chunks. ``text`` unpacks lines,
``frames`` and ``scalars`` the records of event files. ``columns`` says which columns hold the loss
and the level, ``cells`` turns their text into numbers, ``runs`` chooses the run and the steps that
count, ``levels`` turns timesteps and sigmas into log-SNR and losses into squared eps errors.
``record`` is what comes back.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
