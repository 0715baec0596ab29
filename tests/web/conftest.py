"""What the tests of the views share."""

import chromium
import pytest


@pytest.fixture(scope="module")
def browser():
    """A real browser."""
    with chromium.launched() as launched:
        yield launched
