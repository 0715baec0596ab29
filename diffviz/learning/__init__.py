"""Learning: small networks trained side by side, and their loss by log-SNR.

``models`` has the networks and ``outputs`` what they put out. ``training`` trains any number of
objectives as one batched model: ``settings`` says how, ``batches`` draws levels, points and noise,
``designs`` spreads them evenly, ``importance`` lets levels follow the measured loss, ``optimiser``
makes the steps, ``checkpoints`` keeps them, and ``identity`` tells one objective from another.
``runs`` is what a training leaves. ``tracking`` averages the loss in bins of log-SNR,
``adaptive`` lets the law of log-SNR follow it, ``validation`` computes the loss by quadrature, and
``variance`` says what a law saves. ``velocity`` learns a flow from pairs. ``floors`` brackets the
least loss on data of one's own. ``logs`` reads the loss by log-SNR from the log of a finished run,
and ``callbacks`` logs it in other people's trainers. ``files`` and ``doors`` serve all of these.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
