"""The catalogue: published training objectives, each as its paper or code states it.

A file holds one family: likelihoods (``elbo``), noise prediction (``ddpm``), score matching
(``score``), noise schedules (``schedules``), ``v_prediction``, ``x_prediction``, losses with
another weight (``reweighted``, ``sigmoid``), ``edm``, ``kdiffusion``, and flow matching by path
(``flow``) and by law of time (``flow_times``). Entries that are known by their code stand in
``diffusers_examples`` and ``smalldiffusion``. Sources, noise paths and closed forms that several
families share have a file each, and ``entries`` joins all of them.

An entry states a recipe: its path, law, target and multiplier. The weighting follows from them.
Its ``stated`` is the closed form that the literature gives, and tests hold it against the rule.
Where a code trains on T steps of a table, the entry is the continuous limit unless its name says
otherwise. Where a paper and its code differ, there is an entry for each.

``diffusers`` reads schedulers of that package into objectives: ``schedulers`` has their classes,
``betas`` their tables, ``resolution`` the shift of flow matching, and ``schemes`` the laws of time
of the training scripts. ``settings`` reads the command lines and files of trainers, and ``nearest``
finds the entries that are closest to a measured loss.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
