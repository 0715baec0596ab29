"""What is known about the least loss on data of one's own.

The floor of a law of data is E‖eps − E[eps|z]‖². A finite set of points does not determine it, but
brackets it. ``own`` computes the floor of the set itself, which in expectation is at most that of
the law. ``linear`` and ``kernels`` have denoisers that are made from some points and whose errors
on others are, in expectation, at least the floor of the law, as are those that ``network`` finds
for a network. ``parts`` divides the points. ``measure`` does all of this, and ``record`` holds the
result. ``shipped`` has tables of what takes long for the images of the package.
"""

from diffviz import extras

__getattr__, __dir__, __all__ = extras.attach(__name__, __file__)
