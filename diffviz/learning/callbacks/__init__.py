"""The loss by log-SNR in other people's trainers, written to their loggers as it goes.

``follow_loop`` serves the loop of accelerate and any other, ``LightningCallback`` Lightning, and
``follow_trainer`` the Trainer of Hugging Face. Each fills a ``dv.LossByLogSNR`` and logs its curve,
one scalar for each bin, and a picture of it now and then. ``curve`` has what they share,
``pictures`` hands the picture over. None of the three packages is needed for the others.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
