"""Probing: what a training loss really weights, measured from outside.

``measure.probe`` runs a loss with a stand-in for its network and reads off how each draw is
weighted. Nothing here knows the catalogue, so that each can check the other. In the order of the
work:

- ``standin`` takes the network's place, ``draws`` and ``numpy_draws`` intercept random numbers and
  put ``quantiles`` in the place of times, ``outside`` finds what the loss reaches, ``counters``
  restores what it keeps between its calls, ``session`` runs it; ``answers`` learns in what form the
  network answers, ``explain`` says what to pass where the loss fails;
- ``first_look`` finds out which assumptions hold: ``layout`` finds the places and noise levels of
  components, ``augmentation`` data that are moved at random, ``dependence`` whether the target
  comes from a network, ``coupling`` whether a sample's weight is its own, ``correlation`` how noise
  is spread over directions;
- ``coefficients`` reads each draw by them;
- ``reading`` concludes, with names from ``target_kind`` and sentences from ``notes``;
- ``arrays`` makes losses outside torch into losses that can be probed;
- ``measured`` is the result, whose densities and weightings ``binning`` makes.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
