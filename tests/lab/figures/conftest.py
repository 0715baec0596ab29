"""What the tests of figures share."""

import pytest

from diffviz.lab import figures


@pytest.fixture(scope="module")
def drawn(request):
    """The figures that the test file lists as NAMES, by name."""
    return {name: figures.draw(name) for name in request.module.NAMES}
