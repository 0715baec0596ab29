"""What the tests of notebooks share."""

import pytest
from notebook_prose import prose


@pytest.fixture(scope="module")
def text(request):
    """The prose of the notebook that the test file names as NOTEBOOK."""
    return prose(request.module.NOTEBOOK)
